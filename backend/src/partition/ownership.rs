//! Who may write into a partition: the record `part/p`, and the fence in it (cluster §4.2–§4.4).
//!
//! An owner claims a partition by raising the epoch, and from then on every batch it commits depends
//! on the record being as it left it. A former owner that wakes up after any pause, and any commit
//! that is still on its way from before the claim, fails on that one key; no clock takes part.
//!
//! Shards of destinations are owned in the same way, by records of the same table (delivery §11).
//!
//! An embedded store has one node, which claims all partitions and shards when it starts. A cluster
//! claims them one by one under the rules of cluster §4.3; the check below stays as it is.

use std::collections::HashMap;

use bytes::Bytes;
use mesh_common::cluster::{Fence, NodeId, Ownership, PartitionId};
use mesh_common::delivery::ShardId;

use super::codec::{Reader, RowError, Writer};
use super::reading::ReadError;
use crate::store::{
    KeyRange, Limit, Order, Plan, PlanError, ProbeError, Read, Store, StoreError, Tx, TxOptions,
    commit_with_probe, keys,
};

const FORMAT: u8 = 1;

/// The row of an ownership record.
pub(crate) fn encode(record: &Ownership) -> Vec<u8> {
    Writer::new(FORMAT)
        .u32(record.fence.generation)
        .u64(record.fence.epoch)
        .fixed(&record.node.0)
        .u8(u8::from(record.is_active))
        .finish()
}

/// The ownership record of a row.
pub(crate) fn decode(value: &[u8]) -> Result<Ownership, RowError> {
    let mut row = Reader::new("ownership record", value, FORMAT)?;
    let decoded = Ownership {
        fence: Fence {
            generation: row.u32()?,
            epoch: row.u64()?,
        },
        node: NodeId(row.array()?),
        is_active: match row.u8()? {
            0 => false,
            1 => true,
            _ => return Err(row.impossible("state")),
        },
    };
    row.finish()?;
    Ok(decoded)
}

/// The record after a claim of nobody's: whoever owned the partition is fenced off, and claims it anew.
pub(crate) const fn without_owner(record: Ownership) -> Ownership {
    Ownership {
        fence: Fence {
            generation: record.fence.generation,
            epoch: record.fence.epoch + 1,
        },
        is_active: false,
        ..record
    }
}

/// Why a partition could not be claimed.
#[derive(Debug, thiserror::Error)]
pub enum ClaimError {
    /// Others claimed it at the same moment, again and again.
    #[error("the partition is claimed by others")]
    Contended,
    /// A row does not read.
    #[error("the ownership records cannot be read")]
    Row(#[from] RowError),
    /// The store cannot be read.
    #[error("the store cannot be read")]
    Store(#[from] StoreError),
    /// The claim could not be committed.
    #[error("the claim was not committed")]
    Commit(#[source] ProbeError<Contended>),
}

impl From<ReadError> for ClaimError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Store(error) => Self::Store(error),
            ReadError::Row(error) => Self::Row(error),
        }
    }
}

/// The records changed between being read and being claimed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Contended;

/// The owner of partitions: which generation, which process.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Claimant {
    pub(crate) generation: u32,
    pub(crate) node: NodeId,
}

/// What a claim brought: the fence, and how the owner before it left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Claim {
    pub(crate) fence: Fence,
    /// Whether the record was still active: its owner did not end as it should.
    pub(crate) was_active: bool,
}

impl Claimant {
    /// Raises the epoch of every partition in `partitions` and takes them over.
    pub(crate) async fn claim<S: Store>(
        &self,
        store: &S,
        options: TxOptions,
        partitions: &[PartitionId],
    ) -> Result<Vec<Fence>, ClaimError> {
        let records = partitions.iter().map(|one| keys::part(*one)).collect();
        let claims = self.claim_records(store, options, records).await?;
        Ok(claims.into_iter().map(|claim| claim.fence).collect())
    }

    /// Raises the epoch of every shard in `shards` and takes them over.
    pub(crate) async fn claim_shards<S: Store>(
        &self,
        store: &S,
        options: TxOptions,
        shards: &[ShardId],
    ) -> Result<Vec<Claim>, ClaimError> {
        let records = shards.iter().map(|one| keys::shard(*one)).collect();
        self.claim_records(store, options, records).await
    }

    async fn claim_records<S: Store>(
        &self,
        store: &S,
        options: TxOptions,
        records: Vec<Vec<u8>>,
    ) -> Result<Vec<Claim>, ClaimError> {
        const ROUNDS_MAX: usize = 5;
        for _ in 0..ROUNDS_MAX {
            let plan = self.plan(store, options, &records).await?;
            match commit_with_probe(store, options, &plan).await {
                Ok(_) => return Ok(plan.claims.iter().map(Claimed::claim).collect()),
                Err(ProbeError::Refused(Contended)) => {}
                Err(error) => return Err(ClaimError::Commit(error)),
            }
        }
        Err(ClaimError::Contended)
    }

    async fn plan<S: Store>(
        &self,
        store: &S,
        options: TxOptions,
        records: &[Vec<u8>],
    ) -> Result<ClaimPlan, ClaimError> {
        let tx = store.begin(options);
        let mut found = read_all(&tx).await?;
        let mut claims = Vec::with_capacity(records.len());
        for key in records {
            let before = found.remove(key.as_slice());
            let owned = before.as_deref().map(decode).transpose()?;
            let ours = Ownership {
                fence: Fence {
                    generation: self.generation,
                    epoch: owned.map_or(0, |owned| owned.fence.epoch) + 1,
                },
                node: self.node,
                is_active: true,
            };
            claims.push(Claimed {
                key: key.clone(),
                was_active: owned.is_some_and(|owned| owned.is_active),
                before,
                ours,
            });
        }
        Ok(ClaimPlan {
            fence_key: keys::meta(),
            claims,
        })
    }

    /// The record by which this process holds something under `fence`.
    pub(crate) const fn held(&self, fence: Fence) -> Ownership {
        Ownership {
            fence,
            node: self.node,
            is_active: true,
        }
    }

    /// The record by which this process lets go of it.
    pub(crate) const fn released(&self, fence: Fence) -> Ownership {
        Ownership {
            fence,
            node: self.node,
            is_active: false,
        }
    }
}

/// All ownership records, by key.
async fn read_all<T: Tx>(tx: &T) -> Result<HashMap<Bytes, Bytes>, StoreError> {
    let mut found = HashMap::new();
    let mut range: Option<KeyRange> = Some(keys::parts());
    while let Some(rest) = range {
        let page = tx
            .range(&rest, Limit::default(), Order::Forward, Read::Snapshot)
            .await?;
        range = page.rest(&rest, Order::Forward);
        found.extend(page.rows.into_iter().map(|row| (row.key, row.value)));
    }
    Ok(found)
}

/// A record to be replaced.
struct Claimed {
    key: Vec<u8>,
    before: Option<Bytes>,
    was_active: bool,
    ours: Ownership,
}

impl Claimed {
    const fn claim(&self) -> Claim {
        Claim {
            fence: self.ours.fence,
            was_active: self.was_active,
        }
    }
}

struct ClaimPlan {
    fence_key: Vec<u8>,
    claims: Vec<Claimed>,
}

impl<S: Store> Plan<S> for ClaimPlan {
    type Refusal = Contended;

    fn fence_key(&self) -> &[u8] {
        &self.fence_key
    }

    async fn fill(&self, tx: &mut S::Tx) -> Result<(), PlanError<Contended>> {
        for claim in &self.claims {
            let found = tx.get(&claim.key, Read::Serializable).await?;
            if found != claim.before {
                return Err(PlanError::Refused(Contended));
            }
            tx.set(&claim.key, encode(&claim.ours));
        }
        Ok(())
    }

    async fn has_landed(&self, tx: &S::Tx) -> Result<bool, StoreError> {
        for claim in &self.claims {
            let found = tx.get(&claim.key, Read::Snapshot).await?;
            if found.as_deref() != Some(encode(&claim.ours).as_slice()) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// Another owner holds the partition, or the shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("another owner holds the partition")]
pub struct Fenced;

/// The read fence (cluster §4.4): `tx` commits only if `partition` is still held under `fence`.
pub(crate) async fn check_fence<T: Tx>(
    tx: &T,
    partition: PartitionId,
    fence: Fence,
    node: NodeId,
) -> Result<(), PlanError<Fenced>> {
    let held = Ownership {
        fence,
        node,
        is_active: true,
    };
    check_held(tx, &keys::part(partition), &held).await
}

/// The read fence of whatever the record under `key` is about: it must be as `held` says.
pub(crate) async fn check_held<T: Tx>(
    tx: &T,
    key: &[u8],
    held: &Ownership,
) -> Result<(), PlanError<Fenced>> {
    let found = tx.get(key, Read::Serializable).await?;
    if found.as_deref() == Some(encode(held).as_slice()) {
        Ok(())
    } else {
        Err(PlanError::Refused(Fenced))
    }
}

#[cfg(test)]
mod tests {
    use mesh_common::entropy::SeededEntropy;

    use super::*;
    use crate::store::{CommitError, Fault, MemoryStore};

    fn claimant(seed: u64) -> Claimant {
        Claimant {
            generation: 1,
            node: NodeId::draw(&mut SeededEntropy::new(seed)),
        }
    }

    const P: PartitionId = PartitionId(9);

    async fn claim(store: &MemoryStore, seed: u64) -> Fence {
        claimant(seed)
            .claim(store, TxOptions::default(), &[P])
            .await
            .unwrap()[0]
    }

    #[test]
    fn the_record_is_written_as_it_always_was() {
        let record = Ownership {
            fence: Fence {
                generation: 1,
                epoch: 2,
            },
            node: NodeId([0xaa; 16]),
            is_active: true,
        };
        let mut expected = vec![1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2];
        expected.extend_from_slice(&[0xaa; 16]);
        expected.push(1);
        assert_eq!(encode(&record), expected);
        assert_eq!(decode(&expected), Ok(record));
    }

    #[actix::test]
    async fn a_new_owner_fences_the_former_one_off() {
        let store = MemoryStore::new();
        let first = claim(&store, 1).await;
        let stray = store.begin(TxOptions::default());
        check_fence(&stray, P, first, claimant(1).node)
            .await
            .unwrap();
        let second = claim(&store, 2).await;
        assert!(second > first);
        let late = store.begin(TxOptions::default());
        let verdict = check_fence(&late, P, first, claimant(1).node).await;
        assert!(matches!(verdict, Err(PlanError::Refused(Fenced))));
        let mut stray = stray;
        stray.set(b"x", "late");
        assert!(matches!(stray.commit().await, Err(CommitError::Conflict)));
    }

    #[actix::test]
    async fn a_claim_with_a_lost_answer_is_found_and_raises_the_epoch_once() {
        let store = MemoryStore::new();
        for fault in [
            Fault::UnknownApplied,
            Fault::UnknownLost,
            Fault::LandsAfter(1),
            Fault::NeverLands,
        ] {
            let before = claim(&store, 1).await;
            store.inject(fault);
            let after = claim(&store, 2).await;
            assert_eq!(after.epoch, before.epoch + 1, "{fault:?}");
        }
    }

    #[actix::test]
    async fn all_partitions_are_claimed_at_once() {
        let store = MemoryStore::new();
        let all: Vec<PartitionId> = PartitionId::all().collect();
        let options = TxOptions::default();
        let first = claimant(1).claim(&store, options, &all).await.unwrap();
        let second = claimant(2).claim(&store, options, &all).await.unwrap();
        assert_eq!(first.len(), all.len());
        assert!(first.iter().all(|fence| fence.epoch == 1));
        assert!(second.iter().all(|fence| fence.epoch == 2));
    }
}
