//! The queue seen from one of several nodes: who works for what, what is known of destinations that others work
//! for, and orders that are left for them.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use mesh_common::cluster::Unit;
use mesh_common::delivery::ShardId;
use mesh_common::delivery::pool::Remembered;
use mesh_common::time::Timestamp;

use super::queue::{OutboundDesk, trouble};
use super::{Answer, DeskError, DestinationState, Owner, Phase, PoolDesk, Selection};
use crate::outbound::once::{self, Once, OnceOrder};
use crate::partition::shared::Shared;
use crate::store::{Store, keys};

/// The pool of a process that sends nothing itself: all shards are others'.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoPool;

impl PoolDesk for NoPool {
    fn destinations(&self) -> Answer<'_, Vec<DestinationState>> {
        Box::pin(std::future::ready(Ok(Vec::new())))
    }

    fn retry<'a>(&'a self, _: &'a Selection) -> Answer<'a, u64> {
        Box::pin(std::future::ready(Ok(0)))
    }

    fn fail<'a>(&'a self, _: &'a Selection, _: &'a str) -> Answer<'a, u64> {
        Box::pin(std::future::ready(Ok(0)))
    }

    fn orders_changed(&self) {}
}

/// Who owns `unit`, as this node knows it.
pub(super) fn owner_of<S: Store>(shared: &Shared<S>, unit: Unit) -> Owner {
    let Some(membership) = shared.membership.as_ref() else {
        return Owner::Here;
    };
    let is_ours = match unit {
        Unit::Partition(partition) => shared.owns(partition),
        Unit::Shard(shard) => shared.queue_bell.is_home(shard),
    };
    if is_ours {
        return Owner::Here;
    }
    let Some(route) = membership.route(unit) else {
        return Owner::Nobody;
    };
    let routes = membership.told().routes;
    let node = routes.nodes.get(&route.node);
    Owner::Node {
        node: route.node.to_string(),
        address: node.map(|node| node.address.clone()).unwrap_or_default(),
    }
}

/// A destination that others work for, as they last wrote of it.
pub(super) fn as_written(remembered: Remembered, now: Timestamp) -> DestinationState {
    let phase = match (remembered.reopens_at, remembered.paused_until) {
        (Some(next_try_at), _) => Phase::Away { next_try_at },
        (None, Some(until)) if until > now => Phase::Paused { until },
        (None, _) => Phase::Idle,
    };
    DestinationState {
        phase,
        last_success_at: remembered.last_success,
        last_trouble: remembered.trouble.as_ref().map(trouble),
        ..DestinationState::unknown(&remembered.domain)
    }
}

impl<S: Store> OutboundDesk<S> {
    /// Whether others work for `domain`.
    pub(super) fn is_elsewhere(&self, domain: &str) -> bool {
        !self.shared.queue_bell.is_home(ShardId::of(domain))
    }

    /// Follows what was ordered at other nodes.
    pub(super) async fn catch_up(&self) -> Result<(), DeskError> {
        let shared = &self.shared;
        if shared.shards.are_shared() && shared.orders.refresh(&shared.store).await? {
            self.pool.orders_changed();
        }
        Ok(())
    }

    /// Leaves an order for the owners of shards elsewhere with matching messages, and says how many those are.
    pub(super) async fn order_elsewhere(
        &self,
        selection: &Selection,
        once: Once,
    ) -> Result<u64, DeskError> {
        let shared = &self.shared;
        if !shared.shards.are_shared() {
            return Ok(0);
        }
        let range = selection
            .destination()
            .map_or_else(keys::all_queues, keys::queue);
        let (mut items, mut shards) = (0, BTreeSet::new());
        self.each_item(range, |shard, item| {
            if !shared.queue_bell.is_home(shard) && selection.matches(&item) {
                items += 1;
                shards.insert(shard);
            }
            ControlFlow::Continue(())
        })
        .await?;
        if !shards.is_empty() {
            let selection = selection.clone();
            once::leave(shared, &shards, &OnceOrder { selection, once }).await?;
        }
        Ok(items)
    }
}
