//! Shards that others take from an owner, and that come back to the same life of it.

use mesh_common::cluster::{NodeId, Ownership};

use super::*;
use crate::outbound::rows::Owners;
use crate::partition::{decode_ownership, encode_ownership};

impl Town {
    /// Owners of `shard` ended badly twice: whoever works for it next handles one item at a time, and notes it before.
    async fn make_careful(&self, shard: ShardId) {
        let mut owners = Owners::default();
        let now = self.clock.now();
        for seconds in [2, 1] {
            let at = now - Duration::from_secs(seconds);
            owners.note_unclean(at, now - Duration::from_secs(60));
        }
        let mut tx = self.store.begin(TxOptions::default());
        tx.set(&keys::suspect(shard), owners.encode());
        tx.commit().await.unwrap();
    }

    /// Somebody takes `shard`, whom nobody hears of, and who has done nothing yet.
    async fn rob(&self, shard: ShardId) {
        let mut tx = self.store.begin(TxOptions::default());
        let key = keys::shard(shard);
        let row = tx.get(&key, Read::Serializable).await.unwrap();
        let owned = decode_ownership(&row.unwrap()).unwrap();
        let stranger = NodeId([0xee; 16]);
        let robbed = Ownership::claimed(Some(&owned), owned.fence.generation, stranger);
        tx.set(&key, encode_ownership(&robbed.unwrap()));
        tx.set_stamped_value(&keys::route(), b"", b"");
        tx.commit().await.unwrap();
    }
}

/// The item is noted before it is begun, and that note is refused: nothing of it was sent, and it is nobody's.
#[actix::test]
async fn an_item_that_was_noted_and_not_begun_is_sent_when_its_shard_comes_back() {
    let (mut town, alice) = (Town::new(), Person::new("alice"));
    let domain = "careful.example";
    let shard = ShardId::of(domain);
    town.make_careful(shard).await;
    let played = Played::new(&town.clock, received);
    town.add(OUTBOUND, Some(&played)).await;
    town.divide().await;
    town.rob(shard).await;
    let item = queued(&alice, &format!("bob@{domain}"), "M1", town.clock.now());
    town.nodes[0].scene.put_in_queue(&[item]).await;
    town.idle().await;
    assert!(!town.nodes[0].shards().contains(&shard), "it is found lost");
    assert_eq!(played.times("M1"), 0, "nothing is sent without the note");
    // Nobody hears of whoever took it: the same node claims it anew.
    town.pass_until("it comes back", |town| {
        town.nodes[0].shards().contains(&shard)
    })
    .await;
    town.idle().await;
    assert_eq!(played.times("M1"), 1);
    assert!(town.nodes[0].scene.is_empty().await);
}
