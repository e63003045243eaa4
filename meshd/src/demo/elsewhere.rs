//! Another service, at another address: found by DNS, written to and from, away for a while; and one that
//! is not there at all.

use mesh_client::Client;
use mesh_client::messages::Direction;

use super::DemoError;
use super::checks::check;
use super::people::{ALICE, Person, as_alice, confirm, exchange_contacts, until};
use super::stage::{Site, Stage, address_of};
use super::transcript::Transcript;

const CAROL: &str = "carol@south.test";
/// Whoever that is.
const DAVE: &str = "dave@gone.test";

/// Alice writes to Carol, whose account is elsewhere, and to somebody whose service is not there.
pub(super) async fn play(
    stage: &mut Stage,
    alice: &mut Client,
    transcript: &mut Transcript,
) -> Result<(), DemoError> {
    transcript.step("a second service starts at another address, and DNS says where it is");
    stage.south.start(&stage.names, transcript).await?;
    transcript.done();
    let mut carol = stage.south.device("carol")?;
    acquainted(&stage.south, alice, &mut carol, transcript).await?;
    let waiting = away(&mut stage.south, alice, transcript).await?;
    back(&mut stage.south, &waiting, (alice, &mut carol), transcript).await
}

async fn acquainted(
    south: &Site,
    alice: &mut Client,
    carol: &mut Client,
    transcript: &mut Transcript,
) -> Result<(), DemoError> {
    transcript.step("Carol has an account there; she and Alice exchange their contact data");
    carol
        .create_account(&south.new_account(CAROL, "Carol's laptop")?)
        .await?;
    let subject = "Carol from the south";
    exchange_contacts(as_carol(carol), as_alice(alice), subject, transcript).await?;
    transcript.held("each service called the other back at its domain before it believed it");
    transcript.done();
    transcript.step("Alice asks Carol to confirm something");
    let text = "Sing with us on Sunday?";
    confirm(as_alice(alice), as_carol(carol), text, transcript).await?;
    transcript.done();
    Ok(())
}

/// The identifiers of what waits: for Carol, and for Dave.
async fn away(
    south: &mut Site,
    alice: &mut Client,
    transcript: &mut Transcript,
) -> Result<[String; 2], DemoError> {
    transcript.step("Carol's service stops; Alice writes to her, and to one whose service is gone");
    south.stop().await;
    let to_carol = alice.ask_confirmation(&address_of(CAROL)?, "Shall I drive?")?;
    let to_dave = alice.request_contact(&address_of(DAVE)?, None, &[])?;
    for (message, recipient) in [(&to_carol, CAROL), (&to_dave, DAVE)] {
        alice.deliver(&message.id).await?;
        let state = alice.message(&message.id)?.deliveries.remove(recipient);
        let state = state.unwrap_or_else(|| "unknown".into());
        transcript.show(&format!("to {recipient}"), &state);
        check(state == "pending", || {
            format!("what is for {recipient} is {state}")
        })?;
    }
    transcript.held("Alice's service took both, and tries on; nothing else waits for them");
    transcript.done();
    Ok([to_carol.id, to_dave.id])
}

/// Carol's service comes back and writes, so that it is seen to be there.
async fn back(
    south: &mut Site,
    [to_carol, to_dave]: &[String; 2],
    (alice, carol): (&mut Client, &mut Client),
    transcript: &mut Transcript,
) -> Result<(), DemoError> {
    transcript.step("Carol's service is back; what waited for her goes out, once");
    south.restart().await?;
    let text = "Did you call?";
    confirm(as_carol(carol), as_alice(alice), text, transcript).await?;
    until(carol, "what Alice wrote meanwhile", |carol| {
        let mut received = carol.messages(Direction::Inbound)?.into_iter();
        Ok(received.find(|message| message.id == *to_carol))
    })
    .await?;
    let state = ended(alice, to_carol, CAROL).await?;
    transcript.show("Alice is told", &state);
    let received = carol.messages(Direction::Inbound)?;
    let copies = received.iter().filter(|one| one.id == *to_carol).count();
    check(copies == 1 && state == "received", || {
        format!("{copies} copies arrived, and it is {state}")
    })?;
    let to_dave = alice.message(to_dave)?.deliveries.remove(DAVE);
    check(to_dave.as_deref() == Some("pending"), || {
        format!("what is for {DAVE} is {to_dave:?}")
    })?;
    transcript.held("it arrived once; what is for the service that is gone waits on");
    transcript.done();
    Ok(())
}

/// What became of a message, once nothing more becomes of it.
async fn ended(device: &mut Client, message: &str, recipient: &str) -> Result<String, DemoError> {
    until(device, "the end of a message", |device| {
        let state = device.message(message)?.deliveries.remove(recipient);
        Ok(state.filter(|state| !["pending", "sent", "delayed"].contains(&state.as_str())))
    })
    .await
}

const fn as_carol(device: &mut Client) -> Person<'_> {
    Person {
        name: "Carol",
        address: CAROL,
        device,
    }
}
