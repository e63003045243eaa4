//! Shards at work (delivery §11): the service's own owner of shards does everything; here it is let
//! run, its losses are told to the Keeper, and owners on other nodes are told what was queued for them.

use std::sync::Arc;
use std::time::Duration;

use mesh_backend::outbound::Carrier;
use mesh_common::cluster::Event;
use mesh_common::delivery::ShardId;

use super::Node;

/// Time for which what is to be told others is collected.
const PACE: Duration = Duration::from_millis(10);

impl Node {
    pub(super) fn begin_minding_shards(&self, carrier: Arc<dyn Carrier>) {
        let pieces = self.0.pieces.clone();
        self.spawn(async move { pieces.dispatch(carrier).await });
        let node = self.clone();
        self.spawn(async move {
            loop {
                for (shard, fence) in node.0.pieces.lost().await {
                    node.lock().counts.fenced += 1;
                    let unit = shard.into();
                    node.tell(Event::Fenced { unit, fence });
                }
            }
        });
        let node = self.clone();
        self.spawn(async move {
            loop {
                let shards = node.0.pieces.rung_abroad().await;
                node.0.world.sleep(PACE).await;
                for shard in shards {
                    node.tell_owner(shard);
                }
            }
        });
    }

    fn tell_owner(&self, shard: ShardId) {
        if let Some(route) = self.route(shard.into()) {
            let roads = &self.0.roads;
            roads.tell(route.node, move |owner| owner.0.pieces.nudged([shard]));
        }
    }
}
