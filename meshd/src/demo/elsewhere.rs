//! Another service, at another address: found by DNS, written to and from, away for a while; and one that
//! is not there at all.

use std::sync::Arc;
use std::time::Duration;

use mesh_backend::desk::{DeskError, QueueDesk, Selection, SelectionError};
use mesh_client::Client;
use mesh_client::messages::Direction;
use mesh_common::discovery::service_name;

use super::DemoError;
use super::checks::check;
use super::people::{Person, as_alice, confirm, exchange_contacts, until};
use super::stage::{GONE, NORTH, SOUTH, Site, Stage, address_of};
use super::transcript::Transcript;
use crate::service::Service;

const CAROL: &str = "carol@south.test";
/// Whoever that is.
const DAVE: &str = "dave@gone.test";
/// How often the queue is looked at before the demo gives up on a first attempt, and how soon again.
const LOOKS_MAX: usize = 1_200;
const LOOK_PAUSE: Duration = Duration::from_millis(50);

/// Alice writes to Carol, whose account is elsewhere, and to somebody whose service is not there.
pub(super) async fn play(
    stage: &mut Stage,
    alice: &mut Client,
    transcript: &mut Transcript,
) -> Result<Client, DemoError> {
    transcript.step("a second service starts at another address, and DNS says where it is");
    stage.south.start(&stage.names, transcript).await?;
    transcript.done();
    let mut carol = stage.south.device("carol")?;
    acquainted(stage, alice, &mut carol, transcript).await?;
    let [to_carol, to_dave] = away(stage, alice, transcript).await?;
    back(&mut stage.south, &to_carol, (alice, &mut carol), transcript).await?;
    given_up(&stage.north, &to_dave, alice, transcript).await?;
    Ok(carol)
}

async fn acquainted(
    stage: &Stage,
    alice: &mut Client,
    carol: &mut Client,
    transcript: &mut Transcript,
) -> Result<(), DemoError> {
    transcript.step("Carol has an account there; she and Alice exchange their contact data");
    carol
        .create_account(&stage.south.new_account(CAROL, "Carol's laptop")?)
        .await?;
    let subject = "Carol from the south";
    exchange_contacts(as_carol(carol), as_alice(alice), subject, transcript).await?;
    let is_found = |domain| stage.names.asked(&service_name(domain)) > 0;
    check(is_found(NORTH) && is_found(SOUTH), || {
        "one service believed the other without looking where it is".into()
    })?;
    transcript.held("each service found the other by DNS, and called it back where DNS said");
    transcript.done();
    transcript.step("Alice asks Carol to confirm something");
    let text = "Sing with us on Sunday?";
    confirm(as_alice(alice), as_carol(carol), text, transcript).await?;
    transcript.done();
    Ok(())
}

/// The identifiers of what waits: for Carol, and for Dave.
async fn away(
    stage: &mut Stage,
    alice: &mut Client,
    transcript: &mut Transcript,
) -> Result<[String; 2], DemoError> {
    transcript.step("Carol's service stops; Alice writes to her, and to one whose service is gone");
    stage.south.stop().await;
    let to_carol = alice.ask_confirmation(&address_of(CAROL)?, "Shall I drive?")?;
    let to_dave = alice.request_contact(&address_of(DAVE)?, None, &[])?;
    for message in [&to_carol, &to_dave] {
        alice.deliver(&message.id).await?;
        let (destination, trouble) = tried(&stage.north, &message.id).await?;
        transcript.show(&destination, trouble);
    }
    transcript.held("Alice's service has both, has tried, and says why they wait");
    transcript.done();
    Ok([to_carol.id, to_dave.id])
}

/// What the last attempt to reach the destination of a message came to, as the operator sees it.
async fn tried(site: &Site, message: &str) -> Result<(String, String), DemoError> {
    let (desk, selection) = (desk(site)?, selected(Selection::of_message(message))?);
    for _ in 0..LOOKS_MAX {
        if let Some(item) = desk.items(&selection, 1).await.map_err(wrong)?.pop() {
            let domain = item.recipient.domain();
            let view = desk.destination(domain).await.map_err(wrong)?;
            let trouble = view.and_then(|view| view.state.last_trouble);
            if let Some(trouble) = item.last_trouble.clone().or(trouble) {
                return Ok((domain.to_owned(), trouble.text));
            }
        }
        actix_rt::time::sleep(LOOK_PAUSE).await;
    }
    Err(DemoError::Wrong(format!("{message} was not tried")))
}

/// What is for a service that is gone, the operator ends.
async fn given_up(
    north: &Site,
    to_dave: &str,
    alice: &mut Client,
    transcript: &mut Transcript,
) -> Result<(), DemoError> {
    transcript.step("the operator gives up what is for the service that is gone");
    let (desk, selection) = (desk(north)?, selected(Selection::of_destination(GONE))?);
    let reason = "there is no such service any more";
    let ended = desk.fail(&selection, reason).await.map_err(wrong)?;
    transcript.show("given up", format!("{ended} message for {GONE}"));
    let state = outcome(alice, to_dave, DAVE).await?;
    transcript.show("Alice is told", &state);
    check(ended == 1 && state == "failed", || {
        format!("{ended} messages were ended, and Alice's is {state}")
    })?;
    let left = desk.overview().await.map_err(wrong)?.destinations;
    let left: u64 = left.iter().map(|destination| destination.waiting).sum();
    check(left == 0, || format!("{left} messages wait"))?;
    transcript.held("every message was received, or its sender told why not; nothing waits");
    transcript.done();
    Ok(())
}

/// The queue of a service that runs, as its operator sees it.
fn desk(site: &Site) -> Result<impl QueueDesk, DemoError> {
    let backend = site.service().and_then(Service::backend);
    let desk = backend.and_then(|backend| {
        let pool = backend.outbound()?.clone();
        Some(backend.outbound_desk(Arc::new(pool)))
    });
    desk.ok_or_else(|| DemoError::Wrong("a service that runs has a queue".into()))
}

fn selected(selection: Result<Selection, SelectionError>) -> Result<Selection, DemoError> {
    selection.map_err(|error| DemoError::Wrong(error.to_string()))
}

fn wrong(error: DeskError) -> DemoError {
    DemoError::Wrong(error.to_string())
}

/// Carol's service comes back and writes, so that it is seen to be there.
async fn back(
    south: &mut Site,
    to_carol: &str,
    (alice, carol): (&mut Client, &mut Client),
    transcript: &mut Transcript,
) -> Result<(), DemoError> {
    transcript.step("Carol's service is back; what waited for her goes out, once");
    south.restart().await?;
    let text = "Did you call?";
    confirm(as_carol(carol), as_alice(alice), text, transcript).await?;
    until(carol, "what Alice wrote meanwhile", |carol| {
        let mut received = carol.messages(Direction::Inbound)?.into_iter();
        Ok(received.find(|message| message.id == to_carol))
    })
    .await?;
    let state = outcome(alice, to_carol, CAROL).await?;
    transcript.show("Alice is told", &state);
    let received = carol.messages(Direction::Inbound)?;
    let copies = received.iter().filter(|one| one.id == to_carol).count();
    check(copies == 1 && state == "received", || {
        format!("{copies} copies arrived, and it is {state}")
    })?;
    transcript.held("it arrived once, and its sender knows");
    transcript.done();
    Ok(())
}

/// What became of a message, once nothing more becomes of it.
async fn outcome(device: &mut Client, message: &str, recipient: &str) -> Result<String, DemoError> {
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
