//! What operators order at a node (delivery §13, docs/0008): by rows that it writes, and that other nodes find as they
//! look.

use std::collections::BTreeSet;

use mesh_common::cluster::NodeId;
use mesh_common::delivery::ShardId;

use super::Bottled;
use crate::cluster::claims;
use crate::desk::standing::StandingOrders;
use crate::desk::{Selection, StandingOrder, What};
use crate::outbound::once::{self, Once, OnceOrder};
use crate::store::Store;

impl<S: Store> Bottled<S> {
    /// Orders `node` to leave. Whether that is known to be committed.
    pub async fn order_out(&self, node: NodeId) -> bool {
        let (shared, by) = (&self.shared, self.shared.claimant.node);
        let ordered = claims::order_out(&shared.store, shared.writing(), node, by).await;
        ordered.is_ok()
    }

    /// Has messages for `domain` held, or no longer, by an order in the store, which nodes find as they look.
    /// Whether that is known to be committed.
    pub async fn hold(&self, domain: &str, is_held: bool) -> bool {
        let Ok(selection) = Selection::of_destination(domain) else {
            return false;
        };
        let (store, options) = (&self.shared.store, self.shared.writing());
        // Not those of this node, which finds the order as all others do.
        let orders = StandingOrders::default();
        let ordered = if is_held {
            let order = StandingOrder {
                selection,
                what: What::Hold,
                route: None,
                since: self.shared.now(),
                by: "operator".to_owned(),
                reason: "a story".to_owned(),
            };
            orders.put(store, options, &order).await
        } else {
            let revoked = orders.revoke(store, options, &selection, What::Hold);
            revoked.await.map(drop)
        };
        ordered.is_ok()
    }

    /// Leaves an order for the owner of the shard of `domain` to try everything there now.
    pub async fn retry(&self, domain: &str) {
        let Ok(selection) = Selection::of_destination(domain) else {
            return;
        };
        let order = OnceOrder {
            selection,
            once: Once::Retry,
        };
        let shards = BTreeSet::from([ShardId::of(domain)]);
        // Best effort: an operator orders it again.
        let _landed = once::leave(&self.shared, &shards, &order).await;
    }
}
