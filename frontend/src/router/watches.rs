//! Watches over accounts whose owners change (cluster §10, architecture A-14).
//!
//! A watch at a node hears what that node commits, for as long as its stream of events lasts. One
//! follower for each watched account, however many devices wait for it, keeps such a watch at whoever
//! owns the account:
//!
//! ```text
//!  begin at the owner ─▶ confirmed ─▶ changes are told on ─┬─ the owner changes, the stream breaks
//!    ▲                      │                              │
//!    └── in turn, not all at once ◀────────────────────────┘
//!                           └─▶ told, unless it is the first: something may have been missed
//! ```
//!
//! Whoever is told looks (Status), and the look comes after the new watch has begun. So what was
//! committed in between is seen late, never not at all. While there is no watch to be had, requests
//! that want to wait are answered at once, and those that wait already do so until they are told or
//! their time is over.
//!
//! An owner that is alive and not heard from here is watched by way of another node (`routing::detours`). What
//! lies behind that node is out of sight: so with each word of it, it is asked whether it still hears the owner.
//!
//! When a node is lost, everything that was watched there begins anew, and everybody who waits looks
//! again. [`WATCHES_RENEWED_AT_ONCE`] and [`WATCH_RENEWAL_TIME_MIN`] spread that over time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use mesh_common::address::AccountAddress;
use mesh_common::cluster::{Changes, PartitionId, Route, Watch};
use mesh_common::limits::{
    WATCH_BEGINS_TIME_MAX, WATCH_PASSED_TIME_MAX, WATCH_RENEWAL_PAUSE, WATCH_RENEWAL_TIME_MIN,
    WATCHES_RENEWED_AT_ONCE,
};
use tokio::sync::{Semaphore, watch};
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};

use super::Inner;
use super::links::Linked;
use super::routing::{Address, Through};

/// Everything that is watched by one front-end.
#[derive(Debug)]
pub(crate) struct Watches {
    changes: Arc<Changes>,
    followers: Mutex<HashMap<AccountAddress, Weak<Follower>>>,
    renewals: Semaphore,
}

/// Keeps one account watched; it ends with the last watch that keeps it.
#[derive(Debug)]
struct Follower {
    watches: Weak<Watches>,
    account: AccountAddress,
    /// Whether the owner watches the account now.
    is_watched: watch::Receiver<bool>,
    task: AbortHandle,
}

/// A watch at the owner.
struct AtOwner {
    /// The owner, or the node that watches there.
    linked: Arc<Linked>,
    /// The claim of the owner, if it is watched by another node.
    through: Option<Route>,
    /// In this stream of events.
    stream: u64,
    watch: Watch,
}

impl Watches {
    pub(crate) fn new() -> Self {
        Self {
            changes: Arc::default(),
            followers: Mutex::default(),
            renewals: Semaphore::new(WATCHES_RENEWED_AT_ONCE),
        }
    }

    /// Whether nothing is watched.
    #[cfg(test)]
    pub(super) fn is_idle(&self) -> bool {
        self.followers().is_empty() && self.changes.watches() == 0
    }

    fn followers(&self) -> MutexGuard<'_, HashMap<AccountAddress, Weak<Follower>>> {
        // Whoever panicked while holding it left the map whole.
        self.followers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.task.abort();
        let Some(watches) = self.watches.upgrade() else {
            return;
        };
        let mut followers = watches.followers();
        let known = followers.get(&self.account);
        // Another one may have taken its place.
        if known.is_some_and(|known| known.strong_count() == 0) {
            followers.remove(&self.account);
        }
    }
}

impl Inner {
    /// Begins to watch `account` for one request.
    pub(super) async fn begin_watch(self: &Arc<Self>, account: &AccountAddress) -> Option<Watch> {
        // Before the owner is asked: what it tells from then on is heard.
        let watch = self.watches.changes.watch(account)?;
        let follower = self.follower(account);
        let mut is_watched = follower.is_watched.clone();
        let begun = timeout(WATCH_BEGINS_TIME_MAX, is_watched.wait_for(|is| *is)).await;
        begun.ok()?.ok()?;
        Some(watch.keeping(follower))
    }

    fn follower(self: &Arc<Self>, account: &AccountAddress) -> Arc<Follower> {
        let mut followers = self.watches.followers();
        if let Some(follower) = followers.get(account).and_then(Weak::upgrade) {
            return follower;
        }
        let (told, is_watched) = watch::channel(false);
        let following = follow(Arc::downgrade(self), account.clone(), told);
        let follower = Arc::new(Follower {
            watches: Arc::downgrade(&self.watches),
            account: account.clone(),
            is_watched,
            task: tokio::spawn(following).abort_handle(),
        });
        followers.insert(account.clone(), Arc::downgrade(&follower));
        follower
    }

    /// Watches `account` at its owner, if that is there and heard; else by way of another node that is not
    /// among those `tried` in vain.
    async fn watch_at_owner(
        &self,
        account: &AccountAddress,
        tried: &mut Vec<Address>,
    ) -> Option<AtOwner> {
        let direct = self.owner_of(account);
        let direct = direct.and_then(|linked| Some((linked.stream()?, linked)));
        if let Some((stream, linked)) = direct {
            tried.clear();
            let begun = timeout(WATCH_BEGINS_TIME_MAX, linked.link.watch(account)).await;
            let watch = begun.ok()??;
            return Some(AtOwner {
                linked,
                through: None,
                stream,
                watch,
            });
        }
        let unit = PartitionId::of(account).into();
        let through = self.routing().watched_by(unit, tried, self.now());
        let Some(through) = through else {
            // Whoever was no help may be by now.
            tried.clear();
            return None;
        };
        let watched = self.watch_by(account, &through).await;
        if watched.is_none() {
            tried.push(through.by);
        }
        watched
    }

    /// Has `through` watch `account` at its owner.
    async fn watch_by(&self, account: &AccountAddress, through: &Through) -> Option<AtOwner> {
        let linked = self.links.get(&through.by)?;
        let stream = linked.stream()?;
        let watch = watch_on(&linked, through.route, account).await?;
        Some(AtOwner {
            linked,
            through: Some(through.route),
            stream,
            watch,
        })
    }

    fn owner_of(&self, account: &AccountAddress) -> Option<Arc<Linked>> {
        let owner = self.routing().owner(PartitionId::of(account).into())?;
        self.links.get(&owner.address)
    }

    /// Whether the owner of `account` is watched there, or cannot be heard otherwise, as far as is known.
    fn is_right(&self, account: &AccountAddress, at: &AtOwner) -> bool {
        let unit = PartitionId::of(account).into();
        if let Some(route) = at.through {
            return self.routing().is_unheard(unit, route);
        }
        let owner = self.routing().owner(unit);
        owner.is_some_and(|owner| owner.address == at.linked.address)
    }

    /// Tells on what the owner tells, until it is the owner no more or is not heard any more.
    async fn tell_on(&self, account: &AccountAddress, mut at: AtOwner) {
        loop {
            let bell = self.bell(PartitionId::of(account)).notified();
            let stream_changed = at.linked.stream_changed();
            tokio::pin!(bell, stream_changed);
            bell.as_mut().enable();
            stream_changed.as_mut().enable();
            let is_heard = at.linked.stream() == Some(at.stream);
            if !is_heard || !self.is_right(account, &at) {
                return;
            }
            tokio::select! {
                () = at.watch.changed() => {
                    let is_watched = match at.through {
                        None => true,
                        Some(route) => watch_on(&at.linked, route, account).await.is_some(),
                    };
                    // The loss of the stream wakes as well. Then everybody looks when there is a new
                    // one, not now and then again. A watch that took the place of another may have begun
                    // after a change that the other one had not told yet: so they look now, not before.
                    if at.linked.hears(at.stream) {
                        self.watches.changes.tell(account);
                    }
                    if !is_watched {
                        return;
                    }
                }
                () = bell => {}
                () = stream_changed => {}
            }
        }
    }
}

/// Begins to watch `account` at the owner by `route`, by way of `linked`; or asks whether it is still watched.
async fn watch_on(linked: &Linked, route: Route, account: &AccountAddress) -> Option<Watch> {
    let begun = linked.link.watch_on(route, account);
    timeout(WATCH_PASSED_TIME_MAX, begun).await.ok()?
}

/// Keeps `account` watched at its owner, until the router or the last watch is gone.
async fn follow(inner: Weak<Inner>, account: AccountAddress, told: watch::Sender<bool>) {
    let mut is_first = true;
    let mut tried = Vec::new();
    loop {
        let Some(inner) = inner.upgrade() else {
            return;
        };
        let bell = inner.bell(PartitionId::of(&account)).notified();
        tokio::pin!(bell);
        bell.as_mut().enable();
        let turn = match is_first {
            true => None,
            // An error would say that the semaphore was closed, which nobody does.
            false => inner.watches.renewals.acquire().await.ok(),
        };
        match inner.watch_at_owner(&account, &mut tried).await {
            Some(begun) => {
                told.send_replace(true);
                if !is_first {
                    inner.watches.changes.tell(&account);
                    sleep(WATCH_RENEWAL_TIME_MIN).await;
                }
                drop(turn);
                is_first = false;
                inner.tell_on(&account, begun).await;
                told.send_replace(false);
            }
            None => {
                drop(turn);
                // It may be heard again without anything being said of its owner.
                drop(timeout(WATCH_RENEWAL_PAUSE, bell).await);
            }
        }
    }
}
