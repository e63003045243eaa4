//! The queue to other services as an operator sees it: what waits is read from the store, how
//! destinations do is asked of the pool, and what is ordered goes to the standing orders or the pool.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::ControlFlow;
use std::sync::Arc;

use mesh_common::delivery::{Class, QueueItem, ShardId, Trouble};
use mesh_common::time::Timestamp;

use super::owner::{as_written, owner_of};
use super::quarantine::count_quarantined;
use super::scan::each;
use super::{
    Answer, DeskError, DestinationState, DestinationView, Explanation, Item, Overview, Phase,
    PoolDesk, Quarantined, QueueDesk, Selection, StandingOrder, TroubleView, What,
};
use crate::handle::BackendHandle;
use crate::outbound::once::Once;
use crate::outbound::{load, rows};
use crate::partition::shared::Shared;
use crate::store::{KeyRange, Store, keys};

/// The operator's desk over the queue of one back-end.
pub struct OutboundDesk<S: Store> {
    pub(super) shared: Arc<Shared<S>>,
    pub(super) pool: Arc<dyn PoolDesk>,
}

impl<S: Store> BackendHandle<S> {
    /// The desk over this back-end's queue, which `pool` empties.
    #[must_use]
    pub fn outbound_desk(&self, pool: Arc<dyn PoolDesk>) -> OutboundDesk<S> {
        OutboundDesk {
            shared: Arc::clone(&self.inner.shared),
            pool,
        }
    }
}

impl<S: Store> std::fmt::Debug for OutboundDesk<S> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("OutboundDesk")
            .finish_non_exhaustive()
    }
}

/// What waits for one destination.
#[derive(Default)]
pub(super) struct Waiting {
    items: u64,
    bytes: u64,
    oldest_at: Option<Timestamp>,
    tenants: BTreeSet<String>,
}

impl Waiting {
    fn count(&mut self, item: &QueueItem) {
        self.items += 1;
        self.bytes += item.bytes;
        let oldest = self.oldest_at.get_or_insert(item.enqueued_at);
        *oldest = item.enqueued_at.min(*oldest);
        if !self.tenants.contains(item.tenant()) {
            self.tenants.insert(item.tenant().to_owned());
        }
    }
}

impl<S: Store> OutboundDesk<S> {
    /// Shows every item of `range` that reads, with its shard.
    pub(super) async fn each_item(
        &self,
        range: KeyRange,
        mut look: impl FnMut(ShardId, QueueItem) -> ControlFlow<()> + Send,
    ) -> Result<(), DeskError> {
        each(&self.shared.store, range, |row| {
            let place = keys::parse_queue_item(&row.key);
            match place.zip(rows::item(&row.value).ok()) {
                Some(((shard, _), item)) => look(shard, item),
                None => ControlFlow::Continue(()),
            }
        })
        .await
    }

    /// What waits in `range`, by destination.
    async fn waiting(&self, range: KeyRange) -> Result<BTreeMap<String, Waiting>, DeskError> {
        let mut found: BTreeMap<String, Waiting> = BTreeMap::new();
        self.each_item(range, |_, item| {
            match found.get_mut(item.destination()) {
                Some(waiting) => waiting.count(&item),
                None => {
                    let mut waiting = Waiting::default();
                    waiting.count(&item);
                    found.insert(item.destination().to_owned(), waiting);
                }
            }
            ControlFlow::Continue(())
        })
        .await?;
        Ok(found)
    }

    pub(super) fn view(&self, mut state: DestinationState, waiting: Waiting) -> DestinationView {
        let orders = &self.shared.orders;
        let success_at = state.last_success_at;
        // What went wrong before the last success is of no interest.
        state.last_trouble = state
            .last_trouble
            .filter(|trouble| success_at.is_none_or(|at| at < trouble.at));
        DestinationView {
            waiting: waiting.items,
            waiting_bytes: waiting.bytes,
            oldest_at: waiting.oldest_at,
            tenants: waiting.tenants.len() as u64,
            held: orders.of_destination(What::Hold, &state.domain),
            routed: orders.of_destination(What::Route, &state.domain),
            owner: owner_of(&self.shared, ShardId::of(&state.domain).into()),
            state,
        }
    }

    /// An item with what is ordered about it, and when it is tried next.
    pub(super) fn item(&self, item: &QueueItem, phase: Phase) -> Item {
        let held = self.shared.orders.hold_of(item);
        Item {
            next_try_at: held.is_none().then(|| phase.next_try_at(item.due_at)),
            held,
            ..shown(item)
        }
    }

    async fn look_over(&self) -> Result<Overview, DeskError> {
        self.catch_up().await?;
        let mut waiting = self.waiting(keys::all_queues()).await?;
        let states = self.pool.destinations().await?;
        let in_flight = states.iter().map(|state| u64::from(state.in_flight)).sum();
        let mut destinations: Vec<DestinationView> = states
            .into_iter()
            .map(|state| {
                let waiting = waiting.remove(&state.domain).unwrap_or_default();
                self.view(state, waiting)
            })
            .collect();
        for (domain, waiting) in waiting {
            let state = self.state_elsewhere(&domain).await?;
            destinations.push(self.view(state, waiting));
        }
        let orders = self.shared.orders.all();
        for domain in orders
            .iter()
            .filter_map(|one| one.selection.whole_destination())
        {
            if destinations.iter().all(|one| one.state.domain != domain) {
                let state = DestinationState::unknown(domain);
                destinations.push(self.view(state, Waiting::default()));
            }
        }
        destinations.retain(is_worth_showing);
        destinations.sort_by_key(|one| {
            let oldest_at = one.oldest_at.map_or(i64::MAX, Timestamp::as_millis);
            (oldest_at, one.state.domain.clone())
        });
        Ok(Overview {
            destinations,
            in_flight,
            quarantined: count_quarantined(&self.shared.store).await?,
            orders: orders.to_vec(),
        })
    }

    pub(super) async fn look_at(&self, domain: &str) -> Result<Option<DestinationView>, DeskError> {
        self.catch_up().await?;
        let mut waiting = self.waiting(keys::queue(domain)).await?;
        let states = self.pool.destinations().await?;
        let state = states.into_iter().find(|state| state.domain == domain);
        let is_known = state.is_some();
        let state = match state {
            Some(state) => state,
            None => self.state_elsewhere(domain).await?,
        };
        let view = self.view(state, waiting.remove(domain).unwrap_or_default());
        let is_shown = is_known || is_worth_showing(&view);
        Ok(is_shown.then_some(view))
    }

    /// A destination that the pool of this node has not in memory: as its owner elsewhere last wrote of it.
    async fn state_elsewhere(&self, domain: &str) -> Result<DestinationState, DeskError> {
        let remembered = match self.is_elsewhere(domain) {
            true => load::remembered(&self.shared.store, domain).await?,
            false => None,
        };
        let remembered = remembered.filter(|one| one.domain == domain);
        Ok(match remembered {
            Some(remembered) => as_written(remembered, self.shared.now()),
            None => DestinationState::unknown(domain),
        })
    }

    /// An order that holds items of `selection`, if everything that matches is held.
    async fn hold_of_all(&self, selection: &Selection) -> Result<Option<StandingOrder>, DeskError> {
        let range = selection
            .destination()
            .map_or_else(keys::all_queues, keys::queue);
        let mut order = None;
        self.each_item(range, |_, item| {
            if !selection.matches(&item) {
                return ControlFlow::Continue(());
            }
            order = self.shared.orders.hold_of(&item);
            match order {
                Some(_) => ControlFlow::Continue(()),
                None => ControlFlow::Break(()),
            }
        })
        .await?;
        Ok(order)
    }

    async fn matching(&self, selection: &Selection, max: usize) -> Result<Vec<Item>, DeskError> {
        let range = selection
            .destination()
            .map_or_else(keys::all_queues, keys::queue);
        self.catch_up().await?;
        let mut items = Vec::new();
        self.each_item(range, |_, item| {
            if selection.matches(&item) {
                items.push(item);
            }
            if items.len() < max {
                ControlFlow::Continue(())
            } else {
                ControlFlow::Break(())
            }
        })
        .await?;
        let states = self.pool.destinations().await?;
        let mut phases: HashMap<String, Phase> = states
            .into_iter()
            .map(|state| (state.domain, state.phase))
            .collect();
        let mut found = Vec::new();
        for item in items {
            let domain = item.destination();
            let phase = match phases.get(domain) {
                Some(phase) => *phase,
                None => {
                    let phase = self.state_elsewhere(domain).await?.phase;
                    phases.insert(domain.to_owned(), phase);
                    phase
                }
            };
            found.push(self.item(&item, phase));
        }
        found.sort_by_key(|item| item.due_at);
        Ok(found)
    }
}

/// Whether there is anything to say: something waits, is ordered, or goes wrong.
fn is_worth_showing(view: &DestinationView) -> bool {
    let is_well = matches!(view.state.phase, Phase::Idle | Phase::Flowing);
    view.waiting > 0
        || view.state.in_flight > 0
        || view.held.is_some()
        || view.routed.is_some()
        || !is_well
}

pub(super) fn trouble(trouble: &Trouble) -> TroubleView {
    TroubleView {
        at: trouble.at,
        text: trouble.text.clone(),
    }
}

/// An item, as far as it tells by itself.
pub(super) fn shown(item: &QueueItem) -> Item {
    Item {
        id: item.id.to_string(),
        message: item.unique_id.clone(),
        message_type: item.message_type.clone(),
        sender: item.sender.clone(),
        recipient: item.recipient.clone(),
        class: match item.class {
            Class::Interactive => "interactive",
            Class::Bulk => "bulk",
        }
        .to_owned(),
        bytes: item.bytes,
        enqueued_at: item.enqueued_at,
        expires_at: item.expires_at,
        due_at: item.due_at,
        next_try_at: None,
        attempts: item.attempts,
        last_trouble: item.last_trouble.as_ref().map(trouble),
        held: None,
    }
}

impl<S: Store> QueueDesk for OutboundDesk<S> {
    fn overview(&self) -> Answer<'_, Overview> {
        Box::pin(self.look_over())
    }

    fn destination<'a>(&'a self, domain: &'a str) -> Answer<'a, Option<DestinationView>> {
        Box::pin(self.look_at(domain))
    }

    fn items<'a>(&'a self, selection: &'a Selection, max: usize) -> Answer<'a, Vec<Item>> {
        Box::pin(self.matching(selection, max))
    }

    fn explain<'a>(&'a self, message: &'a str, sender: Option<&'a str>) -> Answer<'a, Explanation> {
        Box::pin(self.whereabouts(message, sender))
    }

    fn orders(&self) -> Answer<'_, Vec<StandingOrder>> {
        Box::pin(async move {
            self.catch_up().await?;
            Ok(self.shared.orders.all().to_vec())
        })
    }

    fn order<'a>(&'a self, order: StandingOrder) -> Answer<'a, ()> {
        Box::pin(async move {
            let shared = &self.shared;
            let orders = &shared.orders;
            orders.put(&shared.store, shared.writing(), &order).await?;
            self.pool.orders_changed();
            Ok(())
        })
    }

    fn revoke<'a>(&'a self, selection: &'a Selection, what: What) -> Answer<'a, u64> {
        Box::pin(async move {
            let shared = &self.shared;
            let (store, writing) = (&shared.store, shared.writing());
            let revoked = shared.orders.revoke(store, writing, selection, what);
            let revoked = revoked.await?;
            self.pool.orders_changed();
            Ok(revoked)
        })
    }

    fn retry<'a>(&'a self, selection: &'a Selection) -> Answer<'a, u64> {
        Box::pin(async move {
            if let Some(order) = self.hold_of_all(selection).await? {
                return Err(DeskError::Refused {
                    why: format!(
                        "{selection}: held by {}, so nothing is tried; resume {} first",
                        order.by, order.selection
                    ),
                });
            }
            let elsewhere = self.order_elsewhere(selection, Once::Retry).await?;
            Ok(elsewhere + self.pool.retry(selection).await?)
        })
    }

    fn fail<'a>(&'a self, selection: &'a Selection, reason: &'a str) -> Answer<'a, u64> {
        Box::pin(async move {
            let once = Once::Fail {
                reason: reason.to_owned(),
            };
            let elsewhere = self.order_elsewhere(selection, once).await?;
            Ok(elsewhere + self.pool.fail(selection, reason).await?)
        })
    }

    fn quarantined(&self, max: usize) -> Answer<'_, Vec<Quarantined>> {
        Box::pin(self.in_quarantine(max))
    }

    fn requeue<'a>(&'a self, id: &'a str) -> Answer<'a, ()> {
        Box::pin(self.take_back(id))
    }

    fn drop_quarantined<'a>(&'a self, id: &'a str) -> Answer<'a, ()> {
        Box::pin(self.drop_from_quarantine(id))
    }
}
