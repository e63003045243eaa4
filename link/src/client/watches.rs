//! Watches over accounts of the node: who waits here, and what the node was asked to tell.
//!
//! The node watches an account once, under a number, however many wait for it here; and goes on until
//! nobody does, which is looked for from time to time. A number is used once in the life of a stream,
//! so that an order that ends a watch never ends a later one.
//!
//! What the node watches at another one (*passed* watches) is counted apart: the node may watch the same account
//! itself. Each of them is asked for anew as often as somebody wants to know whether it still lasts, and the
//! later one takes the place of the one before.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use mesh_common::address::AccountAddress;
use mesh_common::cluster::wire::{StreamId, WatchOrder, WatchReply};
use mesh_common::cluster::{Changes, Route, Watch};
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
    /// The same of those that are watched at others.
    passed: HashMap<AccountAddress, u64>,
}

/// What the node was asked to watch.
struct Asked {
    account: AccountAddress,
    is_passed: bool,
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

    /// The accounts of these watches, and whether each is watched at another node.
    fn changed(&self, numbers: &[u64]) -> Vec<(AccountAddress, bool)> {
        let state = self.state();
        let asked = numbers
            .iter()
            .filter_map(|number| state.by_number.get(number));
        asked
            .map(|asked| (asked.account.clone(), asked.is_passed))
            .collect()
    }

    /// An order to watch those of `accounts` that are not watched yet; none without an open stream.
    fn order(&self, accounts: impl IntoIterator<Item = AccountAddress>) -> Option<UnderWay<'_>> {
        let mut state = self.state();
        let stream = state.stream?;
        let mut begin = Vec::new();
        for account in accounts {
            if !state.by_account.contains_key(&account) {
                let number = state.ask(&account, false);
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

    /// An order to watch `account` at another node, in place of the watch there was; none without an open
    /// stream.
    fn order_passed(&self, account: &AccountAddress) -> Option<UnderWay<'_>> {
        let mut state = self.state();
        let stream = state.stream?;
        let number = state.ask(account, true);
        let before = state.passed.get(account).copied();
        Some(UnderWay {
            watches: self,
            order: WatchOrder {
                stream,
                begin: vec![(number, account.clone())],
                end: before.into_iter().collect(),
            },
        })
    }

    /// Takes in which watches of `order` began, as the node says.
    fn took(&self, order: &WatchOrder, began: &[bool]) {
        let mut state = self.state();
        if state.stream != Some(order.stream) {
            return;
        }
        for number in &order.end {
            state.forget(*number);
        }
        for ((number, account), began) in order.begin.iter().zip(began) {
            let is_passed = state.by_number.get(number).map(|asked| asked.is_passed);
            match is_passed {
                Some(is_passed) if *began => {
                    state.surely(is_passed).insert(account.clone(), *number);
                }
                _ => {
                    state.by_number.remove(number);
                }
            }
        }
    }

    /// An order to end what nobody waits for, at the node (`changes`) or at others (`passed`).
    fn sweep(&self, changes: &Changes, passed: &Changes) -> Option<WatchOrder> {
        let mut state = self.state();
        let stream = state.stream?;
        let is_idle = |(number, asked): (&u64, &Asked)| {
            let is_waited_for = match asked.is_passed {
                false => changes.is_watched(&asked.account),
                // A later one may have taken its place.
                true => {
                    let is_last = state.passed.get(&asked.account) == Some(number);
                    is_last && passed.is_watched(&asked.account)
                }
            };
            (asked.is_over && !is_waited_for).then_some(*number)
        };
        let idle = state.by_number.iter().filter_map(is_idle);
        let end: Vec<u64> = idle.take(LINK_WATCHES_PER_ORDER_MAX).collect();
        for number in &end {
            state.forget(*number);
        }
        (!end.is_empty()).then_some(WatchOrder {
            stream,
            begin: Vec::new(),
            end,
        })
    }
}

impl State {
    /// The number of a new watch. Changes may be told before the reply.
    fn ask(&mut self, account: &AccountAddress, is_passed: bool) -> u64 {
        self.last += 1;
        let asked = Asked {
            account: account.clone(),
            is_passed,
            is_over: false,
        };
        self.by_number.insert(self.last, asked);
        self.last
    }

    fn surely(&mut self, is_passed: bool) -> &mut HashMap<AccountAddress, u64> {
        match is_passed {
            false => &mut self.by_account,
            true => &mut self.passed,
        }
    }

    fn forget(&mut self, number: u64) {
        if let Some(asked) = self.by_number.remove(&number) {
            let surely = self.surely(asked.is_passed);
            if surely.get(&asked.account) == Some(&number) {
                surely.remove(&asked.account);
            }
        }
    }
}

impl Core {
    /// Tells those who wait that the accounts of these watches changed.
    pub(super) fn tell(&self, numbers: &[u64]) {
        for (account, is_passed) in self.watches.changed(numbers) {
            match is_passed {
                false => self.changes.tell(&account),
                true => self.passed.tell(&account),
            }
        }
    }

    /// Wakes everybody who waits for anything.
    pub(super) fn tell_all(&self) {
        self.changes.tell_all();
        self.passed.tell_all();
    }

    /// Begins to watch `account` here, and at the owner by way of the node.
    pub(super) async fn watch_on(&self, route: Route, account: &AccountAddress) -> Option<Watch> {
        let watch = self.passed.watch(account)?;
        let under_way = self.watches.order_passed(account)?;
        let began = self.carry_out(under_way, Some(route)).await;
        began.then_some(watch)
    }

    /// Begins to watch `account` here and at the node.
    pub(super) async fn watch(&self, account: &AccountAddress) -> Option<Watch> {
        // It waits here first: a sweep at this moment sees it.
        let watch = self.changes.watch(account)?;
        let under_way = self.watches.order([account.clone()])?;
        let began = self.carry_out(under_way, None).await;
        began.then_some(watch)
    }

    /// Watches in a new stream what is waited for already.
    pub(super) async fn watch_again(&self) {
        for accounts in self.changes.accounts().chunks(LINK_WATCHES_PER_ORDER_MAX) {
            if let Some(under_way) = self.watches.order(accounts.iter().cloned())
                && !self.carry_out(under_way, None).await
            {
                tracing::warn!(node = self.address, "some accounts are not watched");
            }
        }
    }

    /// Ends what nobody waits for any more.
    pub(super) async fn sweep_watches(&self) {
        while let Some(order) = self.watches.sweep(&self.changes, &self.passed) {
            if let Err(failure) = self.order(&order, None).await {
                tracing::debug!(node = self.address, %failure, "watches were not ended");
            }
        }
    }

    /// Whether all that was asked for did begin.
    async fn carry_out(&self, under_way: UnderWay<'_>, route: Option<Route>) -> bool {
        let order = &under_way.order;
        if order.begin.is_empty() {
            return true;
        }
        match self.order(order, route).await {
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
