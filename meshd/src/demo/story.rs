//! The acts of the demo, in order.

use super::DemoError;
use super::stage::Stage;
use super::transcript::Transcript;
use super::{devices, elsewhere, main_job, people};

/// The whole story.
pub(super) async fn tell(stage: &mut Stage, transcript: &mut Transcript) -> Result<(), DemoError> {
    transcript.step("a service starts: an empty store, a new identity, a development CA");
    stage.north.start(&stage.names, transcript).await?;
    transcript.done();
    let mut alice = main_job::play(&mut stage.north, transcript).await?;
    let mut bob = people::meet(&stage.north, &mut alice, transcript).await?;
    devices::play(&stage.north, &mut alice, transcript).await?;
    let mut carol = elsewhere::play(stage, &mut alice, transcript).await?;
    people::part(&mut alice, &mut bob, transcript).await?;
    main_job::end([&mut alice, &mut bob, &mut carol], transcript).await?;
    stage.south.stop().await;
    stage.north.stop().await;
    Ok(())
}
