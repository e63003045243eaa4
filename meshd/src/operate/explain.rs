//! `meshd explain`: where a message is, what it waits for, and what to do about it.

use mesh_backend::desk::{
    Aside, DestinationView, Explanation, Item, Phase, Quarantined, Whereabouts,
};
use mesh_common::spool::MessageState;
use mesh_common::time::Timestamp;

use super::args::Explain;
use super::failure::Failure;
use super::link::{Ask, escaped, with_query};
use super::page::{ago, counted, facts, in_time, plain, size, trouble};
use super::queue::{owner, standing, state};
use super::{Done, read};

/// Asks where a message is.
///
/// # Errors
/// [`Failure`].
pub fn ask(asked: &Explain, link: &dyn Ask, now: Timestamp) -> Result<Done, Failure> {
    let path = format!("explain/{}", escaped(&asked.message));
    let answer = link.get(&with_query(&path, &[("sender", asked.sender.as_deref())]))?;
    let explanation: Explanation = read(&answer)?;
    if explanation.recipients.is_empty() {
        let message = plain(&asked.message);
        return Err(match &asked.sender {
            None => Failure::refused(
                format!("no message {message} waits anywhere in this service"),
                format!(
                    "meshd explain {message} --sender ADDRESS: what its sender was told, if its way has ended"
                ),
            ),
            Some(sender) => Failure::refused(
                format!(
                    "no message {message} waits here, and none is remembered of {}",
                    plain(sender)
                ),
                "check the id and the sender: mesh message list prints both, on the sender's device",
            ),
        });
    }
    Ok(Done::new("explain", text_of(&explanation, now), answer))
}

fn text_of(explanation: &Explanation, now: Timestamp) -> String {
    let mut text = format!("message {}\n", plain(&explanation.message));
    for found in &explanation.recipients {
        text.push('\n');
        text.push_str(&match found {
            Whereabouts::Queued {
                item,
                shard,
                destination,
            } => queued(item, *shard, destination, now),
            Whereabouts::Quarantined { entry } => quarantined(entry, now),
            Whereabouts::Intake {
                recipient,
                left_at,
                partition,
                owner: by,
            } => format!(
                "to {recipient}\n{}",
                facts(&[
                    (
                        "waits",
                        "for its recipient's partition, on this service".to_owned()
                    ),
                    ("accepted", ago(now, *left_at)),
                    ("owner", format!("partition {partition}, {}", owner(by))),
                    (
                        "next",
                        "within seconds; if not, see the log for the partition".to_owned()
                    ),
                ])
            ),
            Whereabouts::SetAside { entry } => set_aside(entry, now),
            Whereabouts::Told {
                recipient,
                state,
                at,
            } => told(recipient, *state, *at, now),
        });
    }
    text
}

fn queued(item: &Item, shard: u16, destination: &DestinationView, now: Timestamp) -> String {
    let domain = &destination.state.domain;
    let next = item.next_try_at.map(|at| in_time(now, at));
    let next = next.unwrap_or_else(|| "not while it is held".to_owned());
    let mut known = vec![
        ("waits", format!("for {domain}: {}", why(item, destination))),
        ("next try", next),
        ("tries", tries(item)),
        ("accepted", ago(now, item.enqueued_at)),
        ("given up", in_time(now, item.expires_at)),
        ("destination", state(destination, now)),
        ("window", window(destination)),
        (
            "owner",
            format!("shard {shard}, {}", owner(&destination.owner)),
        ),
    ];
    if let Some(last) = &item.last_trouble {
        known.push(("last error", trouble(now, last)));
    }
    if let Some(last) = &destination.state.last_trouble {
        known.push(("destination's", trouble(now, last)));
    }
    if let Some(order) = &item.held {
        known.push(("order", standing(order, now)));
    }
    format!(
        "{}\n{}try: meshd queue show {domain}\n",
        title(item),
        facts(&known)
    )
}

fn window(destination: &DestinationView) -> String {
    let waiting = counted(destination.waiting, "message");
    if !destination.owner.is_here() {
        return format!("known to its owner alone, {waiting} waiting");
    }
    let state = &destination.state;
    format!(
        "{} at once, {} in flight, {waiting} waiting",
        state.limit, state.in_flight
    )
}

fn title(item: &Item) -> String {
    format!(
        "to {} from {}, {}, {}, item {}",
        item.recipient,
        item.sender,
        plain(&item.message_type),
        size(item.bytes),
        item.id
    )
}

fn tries(item: &Item) -> String {
    let note = if item.attempts == 0 && item.last_trouble.is_some() {
        ": where a destination cannot be reached, none is counted"
    } else {
        ""
    };
    format!("{}{note}", item.attempts)
}

/// What it waits for, in a phrase.
fn why(item: &Item, destination: &DestinationView) -> &'static str {
    if item.held.is_some() {
        return "an operator holds it";
    }
    match destination.state.phase {
        Phase::Away { .. } | Phase::Probing => "it does not answer",
        Phase::Paused { .. } => "it asked us to wait",
        Phase::Idle | Phase::Flowing if item.attempts > 0 => "it did not take the message yet",
        Phase::Idle | Phase::Flowing if destination.state.last_trouble.is_some() => {
            "its last transfers failed"
        }
        Phase::Idle | Phase::Flowing => "it is sent as soon as the window allows",
    }
}

fn quarantined(entry: &Quarantined, now: Timestamp) -> String {
    let title = entry.item.as_ref().map(title).unwrap_or_default();
    let mut known = vec![
        ("waits", "for an operator: it is in quarantine".to_owned()),
        ("reason", plain(&entry.reason)),
    ];
    if let Some(item) = &entry.item {
        known.push(("accepted", ago(now, item.enqueued_at)));
    }
    format!(
        "{title}\n{}try: meshd quarantine show {}\n",
        facts(&known),
        entry.id
    )
}

fn set_aside(entry: &Aside, now: Timestamp) -> String {
    let recipient = entry.account.as_ref().map(ToString::to_string);
    let mut known = vec![
        (
            "waits",
            "for an operator: it could not be received here".to_owned(),
        ),
        ("reason", plain(&entry.reason)),
        ("told", "its sender was told that it failed".to_owned()),
    ];
    if let Some(left_at) = entry.left_at {
        known.push(("accepted", ago(now, left_at)));
    }
    format!(
        "to {}\n{}try: meshd aside show {}\n",
        recipient.unwrap_or_default(),
        facts(&known),
        entry.id
    )
}

fn told(
    recipient: &str,
    state: Option<MessageState>,
    at: Option<Timestamp>,
    now: Timestamp,
) -> String {
    let what = match state {
        Some(MessageState::Received) => "received: it is in the recipient's Inbound",
        Some(MessageState::Sent) => "sent: the recipient's service accepted it",
        Some(MessageState::Refused) => "refused by the recipient or its service",
        Some(MessageState::Failed) => "failed: it was given up",
        Some(MessageState::Delayed) => "delayed, and nothing since",
        _ => "nothing is recorded: its outcome is on its way to the sender, or too old",
    };
    let mut known = vec![("ended", what.to_owned())];
    if let Some(at) = at {
        known.push(("told", ago(now, at)));
    }
    format!("to {}\n{}", plain(recipient), facts(&known))
}
