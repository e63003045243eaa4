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
use mesh_common::protocol::Code;
use mesh_tests::client::Client;
use mesh_tests::frames;
use mesh_tests::people::Person;
use mesh_tests::spools::told;
pub(crate) use mesh_tests::spools::{INBOUND, OUTBOUND, spool};

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

/// What became of messages in the end, as the service told in Outbound: message, recipient, state. Waits
/// until that is said of `count` of them. That a message is on its way comes before (decision Q-6).
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
