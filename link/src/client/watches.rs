//! Watches over accounts of the node: who waits here, and what the node was asked to tell.
//!
//! The node watches an account once, under a number, however many wait for it here; and goes on until
//! nobody does, which is looked for from time to time. A number is used once in the life of a stream,
//! so that an order that ends a watch never ends a later one.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use mesh_common::address::AccountAddress;
use mesh_common::cluster::wire::{StreamId, WatchOrder, WatchReply};
use mesh_common::cluster::{Changes, Watch};
use mesh_common::limits::LINK_WATCHES_PER_ORDER_MAX;

use super::Core;

/// What the node watches for this process.
#[derive(Default)]
pub(super) struct Watches {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The stream that is open, if one is.
    stream: Option<StreamId>,
    /// The number that was given last.
    last: u64,
    by_number: HashMap<u64, Asked>,
    /// The number of each account that is surely watched.
    by_account: HashMap<AccountAddress, u64>,
}

/// What the node was asked to watch.
struct Asked {
    account: AccountAddress,
    /// Whether the order is over, however it ended: before, it is not ended.
    is_over: bool,
}

/// An order on its way. However it ends, also by being given up, what it asked for can be ended.
struct UnderWay<'a> {
    watches: &'a Watches,
    order: WatchOrder,
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        let mut state = self.watches.state();
        if state.stream == Some(self.order.stream) {
            for (number, _) in &self.order.begin {
                if let Some(asked) = state.by_number.get_mut(number) {
                    asked.is_over = true;
                }
            }
        }
    }
}

impl Watches {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins with nothing in `stream`.
    pub(super) fn open(&self, stream: StreamId) {
        *self.state() = State {
            stream: Some(stream),
            ..State::default()
        };
    }

    /// Forgets what was watched: its stream is lost.
    pub(super) fn close(&self) {
        *self.state() = State::default();
    }

    /// Tells those who wait that the accounts of these watches changed.
    pub(super) fn tell(&self, numbers: &[u64], changes: &Changes) {
        let accounts: Vec<AccountAddress> = {
            let state = self.state();
            let asked = numbers
                .iter()
                .filter_map(|number| state.by_number.get(number));
            asked.map(|asked| asked.account.clone()).collect()
        };
        for account in accounts {
            changes.tell(&account);
        }
    }

    /// An order to watch those of `accounts` that are not watched yet; none without an open stream.
    fn order(&self, accounts: impl IntoIterator<Item = AccountAddress>) -> Option<UnderWay<'_>> {
        let mut state = self.state();
        let stream = state.stream?;
        let mut begin = Vec::new();
        for account in accounts {
            if !state.by_account.contains_key(&account) {
                state.last += 1;
                let number = state.last;
                // Changes may be told before the reply.
                let asked = Asked {
                    account: account.clone(),
                    is_over: false,
                };
                state.by_number.insert(number, asked);
                begin.push((number, account));
            }
        }
        Some(UnderWay {
            watches: self,
            order: WatchOrder {
                stream,
                begin,
                end: Vec::new(),
            },
        })
    }

    /// Takes in which watches of `order` began, as the node says.
    fn took(&self, order: &WatchOrder, began: &[bool]) {
        let mut state = self.state();
        if state.stream != Some(order.stream) {
            return;
        }
        for ((number, account), began) in order.begin.iter().zip(began) {
            if *began {
                state.by_account.insert(account.clone(), *number);
            } else {
                state.by_number.remove(number);
            }
        }
    }

    /// An order to end what `changes` has no watch for.
    fn sweep(&self, changes: &Changes) -> Option<WatchOrder> {
        let mut state = self.state();
        let stream = state.stream?;
        let is_idle = |(number, asked): (&u64, &Asked)| {
            (asked.is_over && !changes.is_watched(&asked.account)).then_some(*number)
        };
        let idle = state.by_number.iter().filter_map(is_idle);
        let end: Vec<u64> = idle.take(LINK_WATCHES_PER_ORDER_MAX).collect();
        for number in &end {
            if let Some(asked) = state.by_number.remove(number)
                && state.by_account.get(&asked.account) == Some(number)
            {
                state.by_account.remove(&asked.account);
            }
        }
        (!end.is_empty()).then_some(WatchOrder {
            stream,
            begin: Vec::new(),
            end,
        })
    }
}

impl Core {
    /// Begins to watch `account` here and at the node.
    pub(super) async fn watch(&self, account: &AccountAddress) -> Option<Watch> {
        // It waits here first: a sweep at this moment sees it.
        let watch = self.changes.watch(account)?;
        let under_way = self.watches.order([account.clone()])?;
        self.carry_out(under_way).await.then_some(watch)
    }

    /// Watches in a new stream what is waited for already.
    pub(super) async fn watch_again(&self) {
        for accounts in self.changes.accounts().chunks(LINK_WATCHES_PER_ORDER_MAX) {
            if let Some(under_way) = self.watches.order(accounts.iter().cloned())
                && !self.carry_out(under_way).await
            {
                tracing::warn!(node = self.address, "some accounts are not watched");
            }
        }
    }

    /// Ends what nobody waits for any more.
    pub(super) async fn sweep_watches(&self) {
        while let Some(order) = self.watches.sweep(&self.changes) {
            if let Err(failure) = self.order(&order).await {
                tracing::debug!(node = self.address, %failure, "watches were not ended");
            }
        }
    }

    /// Whether all that was asked for did begin.
    async fn carry_out(&self, under_way: UnderWay<'_>) -> bool {
        let order = &under_way.order;
        if order.begin.is_empty() {
            return true;
        }
        match self.order(order).await {
            Ok(WatchReply(began)) => {
                self.watches.took(order, &began);
                began.len() == order.begin.len() && began.iter().all(|began| *began)
            }
            Err(failure) => {
                tracing::debug!(node = self.address, %failure, "nothing is watched");
                false
            }
        }
    }
}
