//! The way of a node to others: nudges, for whoever cannot wait for them, and requests that a front-end could
//! not bring to their owner, and watches over what it cannot hear. At most one nudge is on its way to each node, and what comes meanwhile goes
//! together with the next.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use mesh_common::address::AccountAddress;
use mesh_common::cluster::{AccountRequest, Answer, Nudge, Verified, Watch};
use mesh_common::limits::{
    LINK_HEARD_PER_NUDGE_MAX, LINK_NODES_MAX, NEIGHBOUR_HEARD_LINGER, WATCH_BEGINS_TIME_MAX,
};
use tokio::time::timeout;

use super::{LinkClient, LinkConnector};
use crate::link::{LinkFailure, NodeLink as _};

/// The way by which a node reaches others.
#[derive(Clone)]
pub struct Nudges {
    shared: Arc<NudgesShared>,
}

struct NudgesShared {
    connector: LinkConnector,
    nodes: Mutex<HashMap<String, Node>>,
    /// Nodes that are heard, since front-ends wait for what they tell and cannot hear them.
    heard: Mutex<HashMap<String, Arc<LinkClient>>>,
}

/// What is on its way to one node.
struct Node {
    link: Arc<LinkClient>,
    /// What goes next, if something is on its way.
    waiting: Option<Nudge>,
}

impl Nudges {
    /// Nudges over links that `connector` makes.
    #[must_use]
    pub fn new(connector: LinkConnector) -> Self {
        Self {
            shared: Arc::new(NudgesShared {
                connector,
                nodes: Mutex::default(),
                heard: Mutex::default(),
            }),
        }
    }

    /// Has the node at `address` look at what `nudge` names. Returns at once, and promises nothing:
    /// whoever is not reached looks by itself before long.
    pub fn nudge(&self, address: &str, nudge: Nudge) {
        let shared = &self.shared;
        let mut nodes = shared.nodes();
        let node = shared.node(&mut nodes, address);
        match &mut node.waiting {
            Some(waiting) => merge(waiting, nudge),
            None => {
                node.waiting = Some(Nudge::default());
                shared.send(address, Arc::clone(&node.link), nudge);
            }
        }
    }

    /// Has the node at `address` carry out what a front-end sent here, if it is the owner
    /// ([`LinkClient::passed_on`]).
    ///
    /// # Errors
    /// [`LinkFailure`].
    pub async fn pass_on(
        &self,
        address: &str,
        request: &Verified<AccountRequest>,
    ) -> Result<Answer, LinkFailure> {
        let link = {
            let mut nodes = self.shared.nodes();
            Arc::clone(&self.shared.node(&mut nodes, address).link)
        };
        link.passed_on(request).await
    }

    /// Watches `account` at the node at `address`, if that is the owner, for a front-end that cannot hear it:
    /// [`crate::link::NodeLink::watch`]. Waits [`WATCH_BEGINS_TIME_MAX`] for it to be heard.
    pub async fn watch(&self, address: &str, account: &AccountAddress) -> Option<Watch> {
        let link = self.shared.listening(address);
        let mut heard = link.heard();
        let open = heard.wait_for(|heard| heard.is_open);
        // Until its stream is open nothing can be watched there.
        drop(timeout(WATCH_BEGINS_TIME_MAX, open).await.ok()?.ok()?);
        let watch = link.watch(account).await?;
        Some(watch.keeping(link))
    }
}

impl NudgesShared {
    /// What is on its way to the node at `address`, and the link to it, made if there is none.
    fn node<'n>(&self, nodes: &'n mut HashMap<String, Node>, address: &str) -> &'n mut Node {
        if !nodes.contains_key(address) && nodes.len() >= LINK_NODES_MAX {
            // Links to nodes that are no more; a new one is made for those that are.
            nodes.retain(|_, node| node.waiting.is_some());
        }
        nodes.entry(address.to_owned()).or_insert_with(|| Node {
            link: Arc::new(self.connector.silent_link(address)),
            waiting: None,
        })
    }

    /// The link over which the node at `address` is heard, made if there is none.
    fn listening(self: &Arc<Self>, address: &str) -> Arc<LinkClient> {
        let mut heard = self.heard();
        if let Some(link) = heard.get(address) {
            return Arc::clone(link);
        }
        let link = Arc::new(self.connector.listening_link(address));
        heard.insert(address.to_owned(), Arc::clone(&link));
        let ending = forget_idle(Arc::downgrade(self), address.to_owned());
        self.connector.process.runtime.spawn(ending);
        link
    }

    fn heard(&self) -> MutexGuard<'_, HashMap<String, Arc<LinkClient>>> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn nodes(&self) -> MutexGuard<'_, HashMap<String, Node>> {
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends `nudge`, then what has come for the same node meanwhile.
    fn send(self: &Arc<Self>, address: &str, link: Arc<LinkClient>, nudge: Nudge) {
        let (shared, address) = (Arc::clone(self), address.to_owned());
        self.connector.process.runtime.spawn(async move {
            let mut next = Some(nudge);
            while let Some(nudge) = next {
                if let Err(failure) = link.nudge(nudge).await {
                    tracing::debug!(node = address, %failure, "a node was not nudged");
                }
                next = shared.next(&address);
            }
        });
    }

    /// What goes to `address` next; if nothing does, nothing is on its way any more.
    fn next(&self, address: &str) -> Option<Nudge> {
        let mut nodes = self.nodes();
        let waiting = &mut nodes.get_mut(address)?.waiting;
        let next = waiting.take().filter(|nudge| *nudge != Nudge::default())?;
        *waiting = Some(Nudge::default());
        Some(next)
    }
}

/// Listens to the node at `address` no more when nothing has been watched there for a while.
async fn forget_idle(shared: Weak<NudgesShared>, address: String) {
    loop {
        tokio::time::sleep(NEIGHBOUR_HEARD_LINGER).await;
        let Some(shared) = shared.upgrade() else {
            return;
        };
        let mut heard = shared.heard();
        // Watches hold it, and whoever is about to begin one does.
        let is_idle = |link: &Arc<LinkClient>| Arc::strong_count(link) == 1;
        if heard.get(&address).is_none_or(is_idle) {
            let link = heard.remove(&address);
            drop(heard);
            drop(link);
            return;
        }
    }
}

/// Both, each thing once.
fn merge(into: &mut Nudge, nudge: Nudge) {
    let Nudge {
        intakes,
        queues,
        released,
        heard,
    } = nudge;
    add(&mut into.intakes, intakes);
    add(&mut into.queues, queues);
    add(&mut into.released, released);
    add(&mut into.heard, heard);
    into.heard.truncate(LINK_HEARD_PER_NUDGE_MAX);
}

/// Lists as long as there are partitions or shards, or [`LINK_HEARD_PER_NUDGE_MAX`].
fn add<T: Ord>(into: &mut Vec<T>, more: Vec<T>) {
    into.extend(more);
    into.sort_unstable();
    into.dedup();
}

#[cfg(test)]
mod tests {
    use mesh_common::cluster::PartitionId;

    use super::*;

    #[test]
    fn what_waits_goes_together_and_once() {
        let of = |numbers: &[u16], heard: &[&str]| Nudge {
            intakes: numbers.iter().map(|number| PartitionId(*number)).collect(),
            heard: heard.iter().map(|domain| (*domain).to_owned()).collect(),
            ..Nudge::default()
        };
        let mut waiting = of(&[3, 1], &["b.example"]);
        merge(&mut waiting, of(&[1, 2], &["a.example", "b.example"]));
        assert_eq!(waiting, of(&[1, 2, 3], &["a.example", "b.example"]));
        let many: Vec<String> = (0..2 * LINK_HEARD_PER_NUDGE_MAX)
            .map(|number| format!("{number}.example"))
            .collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        merge(&mut waiting, of(&[], &many));
        assert_eq!(waiting.heard.len(), LINK_HEARD_PER_NUDGE_MAX);
    }
}
