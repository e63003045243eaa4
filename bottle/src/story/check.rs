//! What must be there at the end, and nothing else (cluster §20.4): of every account its entries and its
//! messages, once and in their order; at other services every message once; and every sender was told
//! what became of each.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::FutureExt as _;
use mesh_backend::bottled::{deliveries, frames, leftovers, quarantined, queued, standing};
use mesh_backend::moving::verify::verify_account;
use mesh_common::account::Standing;
use mesh_common::address::AccountAddress;
use mesh_common::dare::{ContainerKind, ContainerName, Envelope};
use mesh_common::spool::{MessageState, SpoolItem};

use super::{Cast, read};
use crate::client::{CATALOG, Ledger};
use crate::cluster::Cluster;
use crate::peers::Delivery;

/// Everything that is wrong with what is stored, and with what is known elsewhere.
pub(super) fn check(cluster: &Cluster, cast: &Cast) -> Vec<String> {
    let mut wrong = cluster.sky.trespasses();
    wrong.extend(cluster.peers.shared_claims());
    wrong.extend(cluster.peers.unheld());
    wrong.extend(waiting(cluster));
    let expected = Expected::of(cast);
    for (address, ledger) in &cast.clients {
        wrong.extend(read(ledger, |ledger| entries(cluster, address, ledger)));
        wrong.extend(inbound(cluster, address, &expected));
        wrong.extend(read(ledger, |ledger| told(cluster, address, ledger)));
        wrong.extend(told_twice(cluster, address));
    }
    wrong.extend(abroad(cluster, &expected));
    wrong
}

/// Rows that wait for nobody any more.
fn waiting(cluster: &Cluster) -> Vec<String> {
    let Some(Ok(left)) = leftovers(&cluster.engine).now_or_never() else {
        return vec!["what is left in the store cannot be read".to_owned()];
    };
    let left = left.into_iter().filter(|(_, count)| *count > 0);
    let mut wrong: Vec<String> = left
        .map(|(what, count)| format!("{count} {what} at the end"))
        .collect();
    let queued = queued(&cluster.engine).now_or_never();
    wrong.extend(queued.and_then(Result::ok).unwrap_or_default());
    wrong
}

/// What is wrong with an account's rows, and with the entries of its catalog.
fn entries(cluster: &Cluster, address: &AccountAddress, ledger: &Ledger) -> Vec<String> {
    // Without the sky between, everything is answered at once.
    let verified = verify_account(&cluster.engine, address).now_or_never();
    let mut wrong: Vec<String> = match verified {
        Some(Ok(verified)) => {
            let problems = verified.problems.iter();
            problems
                .map(|one| format!("{address}: problem {one:?}"))
                .collect()
        }
        other => vec![format!("{address} cannot be verified: {other:?}")],
    };
    let text = |frame: Envelope| String::from_utf8_lossy(frame.payload.as_slice()).into_owned();
    match container(cluster, address, &ContainerName::parse(CATALOG).ok()) {
        Ok(found) => {
            let found: Vec<String> = found.into_iter().map(text).collect();
            let acknowledged = &ledger.acknowledged;
            if found != *acknowledged {
                wrong.push(format!(
                    "{address} has {found:?}, acknowledged was {acknowledged:?}"
                ));
            }
        }
        Err(error) => wrong.push(format!("{address}: {error}")),
    }
    wrong
}

/// The frames of a container behind the first, none if there is no such container.
fn container(
    cluster: &Cluster,
    address: &AccountAddress,
    name: &Option<ContainerName>,
) -> Result<Vec<Envelope>, String> {
    let standing = standing(&cluster.engine, address).now_or_never().flatten();
    let Some(Standing::Account(state)) = standing else {
        return Err("there is no account".to_owned());
    };
    let Some(head) = name.as_ref().and_then(|name| state.head(name)) else {
        return Ok(Vec::new());
    };
    let (id, number, count) = (state.record.id, head.number, head.count());
    let frames = frames(&cluster.engine, id, number, count).now_or_never();
    frames.unwrap_or_else(|| Err("the engine does not answer".to_owned()))
}

/// The messages that should be with each account here, and elsewhere.
#[derive(Default)]
struct Expected {
    /// By recipient, then by sender: UniqueIDs in the order in which they must be there, and those whose
    /// order is not known.
    here: BTreeMap<String, Vec<Stream>>,
    /// For accounts of other services.
    abroad: BTreeSet<Delivery>,
}

/// The messages of one sender for one recipient.
#[derive(Default)]
struct Stream {
    sender: String,
    all: BTreeSet<String>,
    /// Those whose order is known.
    ordered: Vec<String>,
}

impl Expected {
    fn of(cast: &Cast) -> Self {
        let mut expected = Self::default();
        for (sender, ledger) in &cast.clients {
            read(ledger, |ledger| {
                for posted in &ledger.posted {
                    for recipient in &posted.recipients {
                        let is_here = recipient.domain() == sender.domain();
                        let to = recipient.canonical();
                        if is_here {
                            // By way of the intake, each after the commit of the one before.
                            expected.add(to, sender.canonical(), &posted.unique_id, true);
                        } else {
                            let delivery = (posted.unique_id.clone(), to.to_owned());
                            expected.abroad.insert(delivery);
                        }
                    }
                }
            });
        }
        for (number, receipts) in cast.correspondents.iter().enumerate() {
            read(receipts, |receipts| {
                for taken in &receipts.taken {
                    let to = taken.recipient.canonical();
                    let (id, is_ordered) = (&taken.unique_id, taken.was_left_at_once);
                    expected.add(to, &format!("correspondent {number}"), id, is_ordered);
                }
            });
        }
        expected
    }

    fn add(&mut self, recipient: &str, sender: &str, unique_id: &str, is_ordered: bool) {
        let streams = self.here.entry(recipient.to_owned()).or_default();
        let known = streams.iter().position(|one| one.sender == sender);
        let place = known.unwrap_or_else(|| {
            streams.push(Stream {
                sender: sender.to_owned(),
                ..Stream::default()
            });
            streams.len() - 1
        });
        if let Some(stream) = streams.get_mut(place) {
            stream.all.insert(unique_id.to_owned());
            if is_ordered {
                stream.ordered.push(unique_id.to_owned());
            }
        }
    }
}

/// What is wrong with the messages that an account has received.
fn inbound(cluster: &Cluster, address: &AccountAddress, expected: &Expected) -> Vec<String> {
    let found = match container(cluster, address, &ContainerKind::Inbound.name()) {
        Ok(found) => found,
        Err(error) => return vec![format!("{address}, Inbound: {error}")],
    };
    let id = |frame: &Envelope| frame.header.content_meta().ok()?.unique_id;
    let found: Vec<String> = found.iter().filter_map(id).collect();
    let mut wrong = Vec::new();
    let mut places: BTreeMap<&str, usize> = BTreeMap::new();
    for (place, id) in found.iter().enumerate() {
        if places.insert(id, place).is_some() {
            wrong.push(format!("{address} has received {id} twice"));
        }
    }
    let none = Vec::new();
    let streams = expected.here.get(address.canonical()).unwrap_or(&none);
    for stream in streams {
        let missing = stream
            .all
            .iter()
            .filter(|id| !places.contains_key(id.as_str()));
        wrong.extend(missing.map(|id| format!("{address} has lost {id}, which was accepted")));
        let order: Vec<usize> = stream
            .ordered
            .iter()
            .filter_map(|id| places.get(id.as_str()).copied())
            .collect();
        if !order.is_sorted() {
            let (sender, ordered) = (&stream.sender, &stream.ordered);
            wrong.push(format!(
                "{address} has received {ordered:?} of {sender} in another order: {found:?}"
            ));
        }
    }
    let is_expected = |id: &&String| streams.iter().any(|stream| stream.all.contains(*id));
    let unexpected = found.iter().filter(|id| !is_expected(id));
    wrong.extend(unexpected.map(|id| format!("{address} has received {id}, which nobody sent")));
    wrong
}

/// What is wrong with what other services have.
fn abroad(cluster: &Cluster, expected: &Expected) -> Vec<String> {
    let mut wrong = Vec::new();
    for (delivery, times) in cluster.peers.taken() {
        let (id, recipient) = &delivery;
        if times != 1 {
            wrong.push(format!("{recipient} has {id} {times} times"));
        }
        if !expected.abroad.contains(&delivery) {
            wrong.push(format!("{recipient} has {id}, which nobody sent"));
        }
    }
    wrong
}

/// What a sender was told more than once.
fn told_twice(cluster: &Cluster, sender: &AccountAddress) -> Vec<String> {
    let found = match container(cluster, sender, &ContainerKind::Outbound.name()) {
        Ok(found) => found,
        Err(error) => return vec![format!("{sender}, Outbound: {error}")],
    };
    let mut known = BTreeSet::new();
    let mut wrong = Vec::new();
    for frame in found {
        let item = SpoolItem::read(1, &frame.header, Some(frame.payload.as_slice()));
        let SpoolItem::Completion {
            recipient: Some(recipient),
            references,
        } = item
        else {
            continue;
        };
        for one in references {
            let told = (one.message_id, recipient.clone(), one.relationship);
            if !known.insert(told.clone()) {
                wrong.push(format!("{sender} was told twice: {told:?}"));
            }
        }
    }
    wrong
}

/// What is wrong with what a sender was told: every message is received, refused and told so, or set aside
/// and told so.
fn told(cluster: &Cluster, sender: &AccountAddress, ledger: &Ledger) -> Vec<String> {
    let standing = standing(&cluster.engine, sender).now_or_never().flatten();
    let Some(Standing::Account(state)) = standing else {
        return vec![format!("{sender} has no account")];
    };
    let taken = cluster.peers.taken();
    let aside = quarantined(&cluster.engine).now_or_never();
    let aside = aside.and_then(Result::ok).unwrap_or_default();
    let mut wrong = Vec::new();
    for posted in &ledger.posted {
        for recipient in &posted.recipients {
            let (id, to) = (&posted.unique_id, recipient.canonical());
            let state = deliveries(&cluster.engine, state.record.id, id, to).now_or_never();
            let state = state.and_then(Result::ok).flatten();
            let delivery = (id.clone(), to.to_owned());
            let is_here = recipient.domain() == sender.domain();
            let is_true = match state {
                Some(MessageState::Received) if is_here => true,
                Some(MessageState::Received | MessageState::Sent) => taken.contains_key(&delivery),
                Some(MessageState::Refused) => cluster.peers.refuses(&delivery),
                Some(MessageState::Delayed) => aside.contains(&delivery),
                _ => false,
            };
            if !is_true {
                wrong.push(format!(
                    "{sender} was told {state:?} of {id} for {to}, which is not so"
                ));
            }
        }
    }
    wrong
}
