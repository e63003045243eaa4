//! What operators order at a node (delivery §13, docs/0008): it writes the rows, and whom they concern finds them.

use std::time::Duration;

use mesh_common::cluster::NodeId;

use super::Node;

/// Time after which an order is given again that is not known to have landed.
const ORDER_PAUSE: Duration = Duration::from_secs(1);

impl Node {
    /// Has it order another node to leave, once: nobody minds if that fails.
    pub fn order_out(&self, other: NodeId) {
        let pieces = self.0.pieces.clone();
        self.spawn(async move {
            let _known = pieces.order_out(other).await;
        });
    }

    /// Has it order that messages for `domain` are held, or no longer, until that is known to have landed.
    pub fn hold(&self, domain: &'static str, is_held: bool) {
        let (pieces, world) = (self.0.pieces.clone(), self.0.world.clone());
        self.spawn(async move {
            while !pieces.hold(domain, is_held).await {
                world.sleep(ORDER_PAUSE).await;
            }
        });
    }

    /// Has it order that everything for `domain` is tried now, once.
    pub fn retry(&self, domain: &'static str) {
        let pieces = self.0.pieces.clone();
        self.spawn(async move { pieces.retry(domain).await });
    }
}
