//! Nodes that own partitions, in the stories of this folder.

use mesh_common::cluster::PartitionId;

use super::*;
use crate::partition::shared::Shared;

impl Node {
    pub(super) fn shared(&self) -> &Arc<Shared<MemoryStore>> {
        &self.scene.backend.inner.shared
    }

    pub(super) fn owns(&self, person: &Person) -> bool {
        self.shared().owns(PartitionId::of(&person.address))
    }
}

impl Town {
    /// Until each partition has an owner, and each node its share.
    pub(super) async fn divide_partitions(&mut self) {
        self.pass_until("the nodes divide the partitions", |town| {
            let holdings = |node: &Node| node.scene.backend.holdings().unwrap().partitions;
            let shares: Vec<usize> = town.nodes.iter().map(holdings).collect();
            let least = 1_024 / town.nodes.len() / 3;
            shares.iter().sum::<usize>() == 1_024 && shares.iter().all(|one| *one > least)
        })
        .await;
        self.pass(2, &[]).await;
    }

    pub(super) async fn create(&self, people: &[Person]) {
        for person in people {
            let home = self.nodes.iter().find(|node| node.owns(person));
            home.unwrap().scene.create(person).await;
        }
    }
}
