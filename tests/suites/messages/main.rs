//! Messages from one account to another through the whole service: post, intake, spool, and what the
//! sender is told (service §7, cluster §8).
//!
//! | module | holds |
//! | --- | --- |
//! | `walk` | one message each way, and everything that can be said of it afterwards |
//! | `alike` | refusals that a sender cannot tell apart |
//! | `many` | 1,000 messages from 100 senders at once, with one reply in ten lost |

mod alike;
mod many;
mod walk;

use mesh_common::dare::Envelope;
use mesh_common::protocol::{Code, ConstraintsSelect};
use mesh_common::spool::SpoolItem;
use mesh_tests::client::Client;
use mesh_tests::frames;
use mesh_tests::people::Person;

pub(crate) const INBOUND: &str = "mmm_Inbound";
pub(crate) const OUTBOUND: &str = "mmm_Outbound";

/// A signed message of `person` under `unique_id`, as its type says.
pub(crate) fn signed(person: &Person, tag: &str, unique_id: &str, body: &str) -> Envelope {
    person.device.signed(frames::message(tag, unique_id, body))
}

/// Frames of a spool, the first one included.
pub(crate) fn count(client: &mut Client, spool: &str) -> u64 {
    let answer = client.ask(&frames::status_of(spool));
    answer.must_be(Code::Ok).count_of(spool).unwrap_or_default()
}

/// Waits until a spool has `frames` frames.
pub(crate) fn wait_for(client: &mut Client, spool: &str, frames: u64) {
    while count(client, spool) < frames {
        std::thread::yield_now();
    }
}

/// The envelopes of a spool behind frame 0, in as many Downloads as it takes.
pub(crate) fn spool(client: &mut Client, name: &str) -> Vec<Envelope> {
    let mut envelopes = Vec::new();
    loop {
        let select = ConstraintsSelect {
            container: Some(name.to_owned()),
            index_min: Some(1 + i64::try_from(envelopes.len()).expect("spools of tests are short")),
            ..ConstraintsSelect::default()
        };
        let answer = client.ask(&frames::download_select(vec![select]));
        let page = &answer.must_be(Code::Ok).download().updates[0].envelopes;
        if page.is_empty() {
            return envelopes;
        }
        envelopes.extend(page.iter().cloned());
    }
}

/// What became of messages in the end, as the service told in Outbound: message, recipient, state. Waits
/// until that is said of `count` of them. That a message is on its way comes before, or not at all
/// where the end came at once.
pub(crate) fn ended(client: &mut Client, count: usize) -> Vec<(String, String, String)> {
    loop {
        let told = told(client);
        let mut on_their_way = Vec::new();
        let mut ended = Vec::new();
        for (message, recipient, state) in told {
            if state == "Sent" {
                on_their_way.push((message, recipient));
            } else {
                ended.push((message, recipient, state));
            }
        }
        assert!(on_their_way.len() <= count, "each is told once");
        if ended.len() >= count {
            return ended;
        }
        std::thread::yield_now();
    }
}

/// What the service told in Outbound: message, recipient, state.
fn told(client: &mut Client) -> Vec<(String, String, String)> {
    let mut told = Vec::new();
    for envelope in spool(client, OUTBOUND) {
        let payload = Some(envelope.payload.as_slice());
        if let SpoolItem::Completion {
            recipient,
            references,
        } = SpoolItem::read(1, &envelope.header, payload)
        {
            let recipient = recipient.expect("the service names the recipient");
            told.extend(
                references
                    .into_iter()
                    .map(|one| (one.message_id, recipient.clone(), one.relationship)),
            );
        }
    }
    told
}
