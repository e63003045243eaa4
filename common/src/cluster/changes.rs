//! Who waits for which account to change (cluster §10, architecture A-14): one entry per waiting
//! device, woken after the commit, and nothing else while nothing happens.
//!
//! A [`Watch`] notices every change that is told after it began. Whoever waits begins the watch first
//! and looks at the account then, so that a change falls either before the look or into the watch:
//!
//! ```text
//!  waiter:  watch ──▶ look ──▶ nothing new? ──▶ changed().await ──▶ look again
//!  owner:   commit ──▶ show ──▶ tell
//! ```
//!
//! The owner shows before it tells. A look that does not see a commit came before the showing, hence
//! the watch began before the telling. A told change is remembered until it is awaited. A watch may
//! also be woken for nothing: looking again costs little, and a link that lost its stream tells
//! everybody (decision Q-63).

use std::any::Any;
use std::collections::HashMap;
use std::fmt;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use crate::address::AccountAddress;
use crate::limits::POLLS_PER_ACCOUNT_MAX;

/// The watches over the accounts of one owner, or of one link to owners.
#[derive(Debug, Default)]
pub struct Changes {
    watched: Mutex<HashMap<AccountAddress, Vec<Arc<Ear>>>>,
}

/// What one watch has heard.
#[derive(Debug, Default)]
struct Ear(Mutex<Heard>);

#[derive(Debug, Default)]
enum Heard {
    /// Nothing, and nobody waits to hear it at this moment.
    #[default]
    Nothing,
    /// Nothing; whom to wake.
    Awaited(Waker),
    /// A change that was not awaited yet.
    Change,
}

/// A watch over one account. It ends when it is dropped.
pub struct Watch {
    changes: Arc<Changes>,
    account: AccountAddress,
    ear: Arc<Ear>,
    kept: Option<Kept>,
}

/// Whatever has to live as long as a watch.
type Kept = Arc<dyn Any + Send + Sync>;

impl Changes {
    /// Begins to watch `account`; `None` if [`POLLS_PER_ACCOUNT_MAX`] watch it already.
    #[must_use]
    pub fn watch(self: &Arc<Self>, account: &AccountAddress) -> Option<Watch> {
        let mut watched = lock(&self.watched);
        let ears = watched.entry(account.clone()).or_default();
        if ears.len() >= POLLS_PER_ACCOUNT_MAX {
            return None;
        }
        let ear = Arc::<Ear>::default();
        ears.push(Arc::clone(&ear));
        Some(Watch {
            changes: Arc::clone(self),
            account: account.clone(),
            ear,
            kept: None,
        })
    }

    /// Wakes everybody who watches `account`. To be called once the change can be seen.
    pub fn tell(&self, account: &AccountAddress) {
        // Nobody is woken under the lock: whoever wakes may begin or end a watch.
        let ears = lock(&self.watched).get(account).cloned();
        for ear in ears.into_iter().flatten() {
            ear.hear();
        }
    }

    /// Wakes everybody: what changed is not known, because an owner was lost or its stream broke.
    pub fn tell_all(&self) {
        let ears: Vec<_> = lock(&self.watched).values().flatten().cloned().collect();
        for ear in ears {
            ear.hear();
        }
    }

    /// Whether anybody watches `account`.
    #[must_use]
    pub fn is_watched(&self, account: &AccountAddress) -> bool {
        lock(&self.watched).contains_key(account)
    }

    /// The accounts that are watched.
    #[must_use]
    pub fn accounts(&self) -> Vec<AccountAddress> {
        lock(&self.watched).keys().cloned().collect()
    }

    /// Number of watches.
    #[must_use]
    pub fn watches(&self) -> usize {
        lock(&self.watched).values().map(Vec::len).sum()
    }
}

impl Ear {
    fn hear(&self) {
        let before = std::mem::replace(&mut *lock(&self.0), Heard::Change);
        if let Heard::Awaited(waker) = before {
            waker.wake();
        }
    }

    fn poll(&self, context: &Context<'_>) -> Poll<()> {
        let mut heard = lock(&self.0);
        match &mut *heard {
            Heard::Change => {
                *heard = Heard::Nothing;
                Poll::Ready(())
            }
            Heard::Awaited(waker) => {
                waker.clone_from(context.waker());
                Poll::Pending
            }
            Heard::Nothing => {
                *heard = Heard::Awaited(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl Watch {
    /// Keeps `what` for as long as the watch lasts: what makes sure that it is told.
    #[must_use]
    pub fn keeping(mut self, what: Kept) -> Self {
        self.kept = Some(what);
        self
    }

    /// Waits for a change that was told since the watch began, or since the last one that was awaited
    /// here. Several that come together are one.
    ///
    /// # Cancellation
    /// Loses nothing: a change that comes meanwhile is there for the next call.
    pub async fn changed(&mut self) {
        poll_fn(|context| self.ear.poll(context)).await;
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Watch")
            .field("account", &self.account)
            .field("ear", &self.ear)
            .field("keeps", &self.kept.is_some())
            .finish()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let mut watched = lock(&self.changes.watched);
        if let Some(ears) = watched.get_mut(&self.account) {
            ears.retain(|ear| !Arc::ptr_eq(ear, &self.ear));
            if ears.is_empty() {
                watched.remove(&self.account);
            }
        }
    }
}

/// A lock whose holder panicked left the value whole: every change of it is one assignment.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
