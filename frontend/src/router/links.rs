//! The links to all nodes that are known, and what they tell (cluster §4.6, decision Q-63).
//!
//! ```text
//!  finder ─▶ seeds ─▶ links ─▶ streams of events ─▶ tables ─▶ nodes ─▶ links to all of them
//! ```
//!
//! What was found by name or in a list only serves to hear the first node. From then on the nodes tell
//! of each other, under the addresses they give themselves; who is in no table any more is gone.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, Weak};

use mesh_common::limits::{BACKENDS_LOOKUP_INTERVAL, BACKENDS_LOOKUP_PAUSE, NODES_LINKED_MAX};
use mesh_link::{Heard, NodeLink};
use tokio::sync::Notify;
use tokio::sync::futures::Notified;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep, timeout};

use super::parking::Turns;
use super::routing::Address;
use super::{Inner, MEASURE_INTERVAL};

/// The links, by address.
#[derive(Default)]
pub(crate) struct Links {
    by_address: RwLock<HashMap<Address, Arc<Linked>>>,
    /// Where back-ends were found.
    seeds: Mutex<BTreeSet<Address>>,
    /// Rung when other links may be wanted than there are.
    relink: Notify,
}

/// A link, and what becomes of its stream of events.
pub(crate) struct Linked {
    pub(crate) link: Arc<dyn NodeLink>,
    pub(crate) address: Address,
    /// Of writes that waited for the node's partitions.
    pub(crate) turns: Turns,
    /// Which stream is open; 0: none.
    stream: AtomicU64,
    /// Rung when that changes.
    changed: Notify,
    listening: RwLock<Option<AbortHandle>>,
}

impl Links {
    pub(crate) fn get(&self, address: &Address) -> Option<Arc<Linked>> {
        let links = self.by_address.read();
        let links = links.unwrap_or_else(PoisonError::into_inner);
        links.get(address).cloned()
    }

    fn seeds(&self) -> MutexGuard<'_, BTreeSet<Address>> {
        self.seeds.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks soon whether other links are wanted.
    pub(crate) fn look_again(&self) {
        self.relink.notify_one();
    }
}

impl Linked {
    fn new(link: Arc<dyn NodeLink>) -> Self {
        Self {
            address: Address::from(link.address()),
            link,
            turns: Turns::default(),
            stream: AtomicU64::new(0),
            changed: Notify::new(),
            listening: RwLock::default(),
        }
    }

    /// Which stream of events is open; `None` while none is. What is watched is watched in one stream.
    pub(crate) fn stream(&self) -> Option<u64> {
        let stream = self.stream.load(Ordering::SeqCst);
        (stream != 0).then_some(stream)
    }

    /// Ready when [`stream`](Self::stream) changes after this was called and enabled.
    pub(crate) fn stream_changed(&self) -> Notified<'_> {
        self.changed.notified()
    }

    /// Whether `stream` is open at this very moment. [`stream`](Self::stream) may learn of it later.
    pub(crate) fn hears(&self, stream: u64) -> bool {
        let heard = self.link.heard();
        let heard = heard.borrow();
        heard.is_open && heard.opened == stream
    }

    fn set_stream(&self, stream: u64) -> bool {
        let is_new = self.stream.swap(stream, Ordering::SeqCst) != stream;
        if is_new {
            self.changed.notify_waiters();
        }
        is_new
    }
}

impl Drop for Linked {
    fn drop(&mut self) {
        let listening = self.listening.get_mut();
        if let Some(task) = listening.unwrap_or_else(PoisonError::into_inner).take() {
            task.abort();
        }
    }
}

impl Inner {
    /// Makes the links that are wanted, and ends those that are not.
    fn relink(self: &Arc<Self>) {
        let seeds = self.links.seeds().clone();
        let wanted = self.routing().wanted(&seeds);
        let links = self.links.by_address.write();
        let mut links = links.unwrap_or_else(PoisonError::into_inner);
        let mut ended = Vec::new();
        links.retain(|address, linked| {
            let is_wanted = wanted.contains(address);
            if !is_wanted {
                ended.push(Arc::clone(linked));
            }
            is_wanted
        });
        let mut made = Vec::new();
        for address in &wanted {
            if !links.contains_key(address) && links.len() < NODES_LINKED_MAX {
                tracing::debug!(node = %address, "a link to a node is made");
                links.insert(Arc::clone(address), self.link_to(address));
                made.push(Arc::clone(address));
            }
        }
        drop(links);
        for address in made {
            // Whoever wanted it before there was a link found nobody.
            let changed = self.routing_mut().answered(&address, None);
            self.wake(&changed);
        }
        for linked in ended {
            tracing::debug!(node = %linked.address, "the link to a node is ended");
            // Whoever watches by it begins elsewhere.
            linked.set_stream(0);
            let changed = self.routing_mut().forget(&linked.address);
            self.wake(&changed);
        }
    }

    fn link_to(self: &Arc<Self>, address: &Address) -> Arc<Linked> {
        let linked = Arc::new(Linked::new(self.connector.link(address)));
        let listening = listen(Arc::downgrade(self), Arc::downgrade(&linked));
        let task = tokio::spawn(listening).abort_handle();
        let slot = linked.listening.write();
        *slot.unwrap_or_else(PoisonError::into_inner) = Some(task);
        linked
    }

    /// Takes what is heard of one node. `before` is the stream and the revision taken last.
    fn take(&self, linked: &Linked, heard: &Heard, before: &mut (u64, u64)) {
        // Held until all is taken: nothing is taken any more of a node whose link has ended.
        let links = self.links.by_address.read();
        let links = links.unwrap_or_else(PoisonError::into_inner);
        if !links.contains_key(&linked.address) {
            return;
        }
        if !heard.is_open {
            if linked.set_stream(0) {
                tracing::info!(node = %linked.address, "a node is not heard any more");
                let now = self.now();
                let changed = self.routing_mut().silent(&linked.address, now);
                self.wake(&changed);
                self.links.look_again();
            }
            return;
        }
        let told = (heard.opened, heard.told.revision);
        if heard.told.revision != 0 && told != *before {
            *before = told;
            let (now, routes) = (self.now(), Arc::clone(&heard.told.routes));
            let changed = self.routing_mut().told(&linked.address, routes, now);
            self.tickets
                .take(&heard.told.ticket_secrets, self.clock.now());
            self.wake(&changed);
            self.links.look_again();
        }
        if linked.set_stream(heard.opened) {
            tracing::info!(node = %linked.address, "a node is heard");
        }
    }
}

/// Listens to one node for as long as its link lives.
async fn listen(inner: Weak<Inner>, linked: Weak<Linked>) {
    let Some(mut heard) = linked.upgrade().map(|linked| linked.link.heard()) else {
        return;
    };
    let mut before = (0, 0);
    loop {
        let (Some(inner), Some(linked)) = (inner.upgrade(), linked.upgrade()) else {
            return;
        };
        let now = heard.borrow_and_update().clone();
        inner.take(&linked, &now, &mut before);
        drop((inner, linked));
        if heard.changed().await.is_err() {
            return;
        }
    }
}

/// Keeps the links that are wanted, and measures, until the router is gone.
pub(super) async fn keep_links(inner: Weak<Inner>) {
    let mut silent_since = Instant::now();
    loop {
        let Some(inner) = inner.upgrade() else {
            return;
        };
        let now = Instant::now();
        if inner.routing().is_heard() {
            silent_since = now;
        }
        let age = now.saturating_duration_since(silent_since);
        inner.measures.cache_age.set(age.as_secs_f64());
        inner.relink();
        let links = Arc::clone(&inner.links);
        drop(inner);
        // Either way it is time to look again.
        let _ = timeout(MEASURE_INTERVAL, links.relink.notified()).await;
    }
}

/// Looks for back-ends until the router is gone: often while none is heard, which would tell of the
/// others.
pub(super) async fn seek(inner: Weak<Inner>) {
    let mut looked_at: Option<Instant> = None;
    loop {
        let Some(inner) = inner.upgrade() else {
            return;
        };
        let is_late = looked_at.is_none_or(|at| at.elapsed() >= BACKENDS_LOOKUP_INTERVAL);
        if is_late || !inner.routing().is_heard() {
            inner.look().await;
            looked_at = Some(Instant::now());
        }
        drop(inner);
        sleep(BACKENDS_LOOKUP_PAUSE).await;
    }
}

impl Inner {
    /// Asks where back-ends are. Who was found before stays, if nothing can be found now.
    async fn look(&self) {
        match self.finder.find().await {
            Ok(found) => {
                let found = found.iter().map(|one| Address::from(one.as_str()));
                *self.links.seeds() = found.collect();
                self.links.look_again();
            }
            Err(error) => tracing::warn!(%error, "back-ends cannot be looked for"),
        }
    }
}
