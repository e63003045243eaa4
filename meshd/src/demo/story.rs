//! The acts of the demo, in order.

use super::DemoError;
use super::stage::Stage;
use super::transcript::Transcript;
use super::{devices, main_job, people};

/// The whole story.
pub(super) async fn tell(stage: &mut Stage, transcript: &mut Transcript) -> Result<(), DemoError> {
    stage.start(transcript).await?;
    let mut alice = main_job::play(stage, transcript).await?;
    let mut bob = people::meet(stage, &mut alice, transcript).await?;
    devices::play(stage, &mut alice, transcript).await?;
    people::part(&mut alice, &mut bob, transcript).await?;
    main_job::end(&mut alice, &mut bob, transcript).await?;
    stage.stop().await;
    Ok(())
}
