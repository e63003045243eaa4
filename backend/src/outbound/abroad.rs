//! Tells the owners of shards on other nodes what concerns them: that something was queued, that a peer spoke
//! (cluster §11). Best effort: who is not told looks every two seconds; a breaker that is not told waits for its time.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Weak};
use std::time::Duration;

use mesh_common::cluster::Nudge;
use mesh_common::limits::OUTBOUND_RUNG_MAX;
use mesh_common::time::Timestamp;

use crate::handle::Inner;
use crate::store::Store;

/// Time for which what is to be told is collected: a busy node tells each owner a hundred times a second.
const PACE: Duration = Duration::from_millis(10);
/// Time for which it is not told again that the same peer spoke: it is tried once a minute at most.
const HEARD_AGAIN: Duration = Duration::from_secs(10);

/// Which peers were told of lately.
#[derive(Debug, Default)]
struct Told(HashMap<String, Timestamp>);

impl Told {
    /// Of `heard`, those that were not told of a moment ago. They count as told now.
    fn news(&mut self, heard: BTreeSet<String>, now: Timestamp) -> BTreeSet<String> {
        if self.0.len() >= OUTBOUND_RUNG_MAX {
            self.0.retain(|_, at| now.since(*at) < HEARD_AGAIN);
        }
        let mut news = heard;
        news.retain(|domain| {
            let known = self.0.get(domain);
            known.is_none_or(|at| now.since(*at) >= HEARD_AGAIN)
        });
        for domain in &news {
            self.0.insert(domain.clone(), now);
        }
        news
    }
}

/// Tells owners elsewhere, until the back-end is gone.
pub(crate) async fn run<S: Store>(home: Weak<Inner<S>>) {
    let mut told = Told::default();
    loop {
        let Some(shared) = home.upgrade().map(|inner| Arc::clone(&inner.shared)) else {
            return;
        };
        shared.queue_bell.rung_abroad().await;
        tokio::time::sleep(PACE).await;
        let abroad = shared.queue_bell.take_abroad();
        if let Some(membership) = &shared.membership {
            membership.nudge_owners(Nudge {
                queues: abroad.queues.into_iter().collect(),
                heard: told.news(abroad.heard, shared.now()).into_iter().collect(),
                ..Nudge::default()
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_that_speaks_all_the_time_is_told_of_now_and_then() {
        let mut told = Told::default();
        let heard = |name: &str| BTreeSet::from([name.to_owned()]);
        let begin = Timestamp::from_secs(1_000);
        assert_eq!(told.news(heard("a.example"), begin).len(), 1);
        let soon = begin + Duration::from_secs(9);
        assert_eq!(told.news(heard("a.example"), soon).len(), 0);
        assert_eq!(told.news(heard("b.example"), soon).len(), 1);
        let later = begin + HEARD_AGAIN;
        assert_eq!(told.news(heard("a.example"), later).len(), 1);
    }
}
