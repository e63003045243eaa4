//! Two people: they exchange their contact data, one asks the other to confirm something, and one
//! has had enough of the other.

use std::time::Duration;

use mesh_client::Client;
use mesh_client::changes::Decisions;
use mesh_client::messages::{Direction, MessageFacts, Trust};

use super::DemoError;
use super::checks::check;
use super::stage::{Site, address_of};
use super::transcript::Transcript;

pub(super) const ALICE: &str = "alice@north.test";
const BOB: &str = "bob@north.test";
/// How often news are waited for before the demo gives up on them.
const WAITS_MAX: usize = 30;
/// How long each wait is.
const WAIT: Duration = Duration::from_secs(1);

/// Bob comes, Alice and Bob get to know each other, and Bob confirms something to Alice.
pub(super) async fn meet(
    site: &Site,
    alice: &mut Client,
    transcript: &mut Transcript,
) -> Result<Client, DemoError> {
    let mut bob = site.device("bob")?;
    transcript.step("a second person comes, and the two exchange their contact data");
    bob.create_account(&site.new_account(BOB, "Bob's laptop")?)
        .await?;
    let subject = "Bob from the choir";
    exchange_contacts(as_bob(&mut bob), as_alice(alice), subject, transcript).await?;
    transcript.done();
    transcript.step("Alice asks Bob to confirm something");
    let text = "Pay 120 for the hall?";
    confirm(as_alice(alice), as_bob(&mut bob), text, transcript).await?;
    transcript.done();
    Ok(bob)
}

/// Alice, with a device of hers.
pub(super) const fn as_alice(device: &mut Client) -> Person<'_> {
    Person {
        name: "Alice",
        address: ALICE,
        device,
    }
}

const fn as_bob(device: &mut Client) -> Person<'_> {
    Person {
        name: "Bob",
        address: BOB,
        device,
    }
}

/// Alice blocks Bob, whose next message is refused.
pub(super) async fn part(
    alice: &mut Client,
    bob: &mut Client,
    transcript: &mut Transcript,
) -> Result<(), DemoError> {
    transcript.step("Alice blocks Bob, who writes once more");
    alice.block(&address_of(BOB)?)?;
    alice.exchange(&Decisions::default()).await?;
    let before = alice.messages(Direction::Inbound)?.len();
    let queued = bob.ask_confirmation(&address_of(ALICE)?, "May I have your car?")?;
    bob.deliver(&queued.id).await?;
    let state = until(bob, "the end of Bob's message", |bob| {
        let sent = bob.message(&queued.id)?;
        let state = sent.deliveries.get(ALICE).cloned();
        Ok(state.filter(|state| state != "pending" && state != "sent"))
    })
    .await?;
    transcript.show("Bob is told", &state);
    check(state == "refused", || {
        format!("a blocked sender's message is {state}")
    })?;
    alice.exchange(&Decisions::default()).await?;
    let after = alice.messages(Direction::Inbound)?.len();
    check(before == after, || {
        "a blocked sender's message arrived".into()
    })?;
    transcript.held("the service refused it by Alice's own entry; nothing reached her");
    transcript.done();
    Ok(())
}

/// Somebody, with the device they hold.
pub(super) struct Person<'a> {
    pub(super) name: &'static str,
    pub(super) address: &'static str,
    pub(super) device: &'a mut Client,
}

/// One asks for the other's contact data; afterwards each has the other's.
pub(super) async fn exchange_contacts(
    asking: Person<'_>,
    asked: Person<'_>,
    subject: &str,
    transcript: &mut Transcript,
) -> Result<(), DemoError> {
    let rights = ["Confirm".to_owned()];
    let asked_by = address_of(asked.address)?;
    let sent = asking
        .device
        .request_contact(&asked_by, Some(subject.to_owned()), &rights)?;
    asking.device.deliver(&sent.id).await?;
    let what = format!("the request of {}", asking.name);
    let request = until(asked.device, &what, |device| {
        Ok(device.pending_contacts()?.received.into_iter().next())
    })
    .await?;
    transcript.show(&format!("{} reads", asked.name), &request.summary);
    from(&request, Trust::Stranger)?;
    let accepted = asked.device.accept_contact(&request.id, &rights)?;
    asked.device.exchange(&Decisions::default()).await?;
    transcript.show(&format!("{} knows", asked.name), &accepted.contact.address);
    // What is taken in is no longer pending: the exchange that brings the answer says so.
    let what = format!("the answer of {}", asked.name);
    let state = until(asking.device, &what, |device| {
        let facts = device.message(&sent.id)?;
        let pending = device.pending_contacts()?;
        Ok(pending.sent.is_empty().then_some(facts.deliveries))
    })
    .await?;
    check(
        state.get(asked.address).map(String::as_str) == Some("received"),
        || format!("the request of {} is {state:?}", asking.name),
    )?;
    transcript.held("each has the other's account, signed by a device of that account");
    Ok(())
}

/// One asks, the other says yes.
pub(super) async fn confirm(
    asking: Person<'_>,
    asked: Person<'_>,
    text: &str,
    transcript: &mut Transcript,
) -> Result<(), DemoError> {
    let sent = asking
        .device
        .ask_confirmation(&address_of(asked.address)?, text)?;
    asking.device.deliver(&sent.id).await?;
    let what = format!("the question of {}", asking.name);
    let question = until(asked.device, &what, |device| {
        Ok(device.confirmations()?.received.into_iter().next())
    })
    .await?;
    transcript.show(&format!("{} reads", asked.name), &question.summary);
    from(&question, Trust::Verified)?;
    let answer = asked.device.answer_confirmation(&question.id, true)?;
    asked.device.deliver(&answer.id).await?;
    let what = format!("the answer of {}", asked.name);
    let confirmed = until(asking.device, &what, |device| {
        let asked = device.confirmations()?.asked;
        let ours = asked.into_iter().find(|one| one.request.id == sent.id);
        Ok(ours.and_then(|one| one.confirmed))
    })
    .await?;
    check(confirmed, || "yes became no".into())?;
    check(sent.encrypted && answer.encrypted, || {
        "the services could read it".into()
    })?;
    transcript.held(format!(
        "the answer is {}'s, to just that question; no service could read either",
        asked.name
    ));
    Ok(())
}

/// A message proves whom it is from as far as can be.
fn from(message: &MessageFacts, expected: Trust) -> Result<(), DemoError> {
    let trust = message.origin.as_ref().map(|origin| origin.trust);
    check(trust == Some(expected), || {
        format!("{} comes from {trust:?}", message.id)
    })
}

/// Exchanges with the service until there is what `look` looks for.
pub(super) async fn until<T>(
    client: &mut Client,
    what: &str,
    mut look: impl FnMut(&mut Client) -> Result<Option<T>, DemoError>,
) -> Result<T, DemoError> {
    for _ in 0..WAITS_MAX {
        client.exchange(&Decisions::default()).await?;
        if let Some(found) = look(client)? {
            return Ok(found);
        }
        client.wait_for_news(WAIT).await?;
    }
    Err(DemoError::Wrong(format!("{what} did not come")))
}
