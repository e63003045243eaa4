//! Two people: they exchange their contact data, one asks the other to confirm something, and one
//! has had enough of the other.

use std::time::Duration;

use mesh_client::Client;
use mesh_client::changes::Decisions;
use mesh_client::messages::{Direction, MessageFacts, Trust};

use super::DemoError;
use super::checks::check;
use super::stage::{Stage, address_of};
use super::transcript::Transcript;

const ALICE: &str = "alice@localhost";
const BOB: &str = "bob@localhost";
/// How often news are waited for before the demo gives up on them.
const WAITS_MAX: usize = 30;
/// How long each wait is.
const WAIT: Duration = Duration::from_secs(1);

/// Bob comes, Alice and Bob get to know each other, and Bob confirms something to Alice.
pub(super) async fn meet(
    stage: &Stage,
    alice: &mut Client,
    transcript: &mut Transcript,
) -> Result<Client, DemoError> {
    let mut bob = stage.device("bob")?;
    exchange_contacts(stage, alice, &mut bob, transcript).await?;
    confirm(alice, &mut bob, transcript).await?;
    Ok(bob)
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

async fn exchange_contacts(
    stage: &Stage,
    alice: &mut Client,
    bob: &mut Client,
    transcript: &mut Transcript,
) -> Result<(), DemoError> {
    transcript.step("a second person comes, and the two exchange their contact data");
    bob.create_account(&stage.new_account(BOB, "Bob's laptop")?)
        .await?;
    let rights = ["Confirm".to_owned()];
    let subject = Some("Bob from the choir".to_owned());
    let asked = bob.request_contact(&address_of(ALICE)?, subject, &rights)?;
    bob.deliver(&asked.id).await?;
    let request = until(alice, "Bob's request", |alice| {
        Ok(alice.pending_contacts()?.received.into_iter().next())
    })
    .await?;
    transcript.show("Alice reads", &request.summary);
    from(&request, Trust::Stranger)?;
    let accepted = alice.accept_contact(&request.id, &rights)?;
    alice.exchange(&Decisions::default()).await?;
    transcript.show("Alice knows", &accepted.contact.address);
    // What is taken in is no longer pending: the exchange that brings the answer says so.
    let state = until(bob, "Alice's answer", |bob| {
        let facts = bob.message(&asked.id)?;
        let pending = bob.pending_contacts()?;
        Ok(pending.sent.is_empty().then_some(facts.deliveries))
    })
    .await?;
    check(
        state.get(ALICE).map(String::as_str) == Some("received"),
        || format!("Bob's request is {state:?}"),
    )?;
    transcript.held("each has the other's account, signed by a device of that account");
    transcript.done();
    Ok(())
}

async fn confirm(
    alice: &mut Client,
    bob: &mut Client,
    transcript: &mut Transcript,
) -> Result<(), DemoError> {
    transcript.step("Alice asks Bob to confirm something");
    let text = "Pay 120 for the hall?";
    let asked = alice.ask_confirmation(&address_of(BOB)?, text)?;
    alice.deliver(&asked.id).await?;
    let question = until(bob, "Alice's question", |bob| {
        Ok(bob.confirmations()?.received.into_iter().next())
    })
    .await?;
    transcript.show("Bob reads", &question.summary);
    from(&question, Trust::Verified)?;
    let answer = bob.answer_confirmation(&question.id, true)?;
    bob.deliver(&answer.id).await?;
    let confirmed = until(alice, "Bob's answer", |alice| {
        let asked = alice.confirmations()?.asked;
        Ok(asked.into_iter().find_map(|one| one.confirmed))
    })
    .await?;
    check(confirmed, || "yes became no".into())?;
    check(asked.encrypted && answer.encrypted, || {
        "the services could read it".into()
    })?;
    transcript.held("the answer is Bob's, to just that question; the service could read neither");
    transcript.done();
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
