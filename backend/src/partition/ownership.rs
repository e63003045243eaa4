//! Who may write into a partition: the record `part/p`, and the fence in it (cluster §4.2–§4.4).
//!
//! An owner claims a partition by raising the epoch, and from then on every batch it commits depends
//! on the record being as it left it. A former owner that wakes up after any pause, and any commit
//! that is still on its way from before the claim, fails on that one key; no clock takes part.
//!
//! An embedded store has one node, which claims all partitions when it starts. A cluster claims them
//! one by one under the rules of cluster §4.3; the check below stays as it is.

use std::fmt;

use mesh_common::cluster::PartitionId;
use mesh_common::entropy::{self, Entropy};

use super::codec::{Reader, RowError, Writer};
use crate::store::{
    KeyRange, Limit, Order, Plan, PlanError, ProbeError, Read, Store, StoreError, Tx, TxOptions,
    commit_with_probe, keys,
};

const FORMAT: u8 = 1;

/// Rises with every change of owner; ordered by generation first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fence {
    /// Raised when a store is restored from a backup.
    pub generation: u32,
    /// Raised when a partition is claimed.
    pub epoch: u64,
}

/// Sixteen octets drawn by each process when it starts, so that it never mistakes itself for its past.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Incarnation(pub [u8; 16]);

impl Incarnation {
    /// Draws one.
    pub fn draw(entropy: &mut dyn Entropy) -> Self {
        Self(entropy::draw(entropy))
    }
}

impl fmt::Debug for Incarnation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:02x}{:02x}..", self.0[0], self.0[1])
    }
}

/// The ownership record of a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ownership {
    pub(crate) fence: Fence,
    pub(crate) incarnation: Incarnation,
    /// Whether the owner is at work; a released partition is free to be claimed.
    pub(crate) is_active: bool,
}

impl Ownership {
    pub(crate) fn encode(&self) -> Vec<u8> {
        Writer::new(FORMAT)
            .u32(self.fence.generation)
            .u64(self.fence.epoch)
            .fixed(&self.incarnation.0)
            .u8(u8::from(self.is_active))
            .finish()
    }

    pub(crate) fn decode(value: &[u8]) -> Result<Self, RowError> {
        let mut row = Reader::new("ownership record", value, FORMAT)?;
        let decoded = Self {
            fence: Fence {
                generation: row.u32()?,
                epoch: row.u64()?,
            },
            incarnation: Incarnation(row.array()?),
            is_active: match row.u8()? {
                0 => false,
                1 => true,
                _ => return Err(row.impossible("state")),
            },
        };
        row.finish()?;
        Ok(decoded)
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

/// The records changed between being read and being claimed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Contended;

/// The owner of partitions: which generation, which process.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Claimant {
    pub(crate) generation: u32,
    pub(crate) incarnation: Incarnation,
}

impl Claimant {
    /// Raises the epoch of every partition in `partitions` and takes them over.
    pub(crate) async fn claim<S: Store>(
        &self,
        store: &S,
        options: TxOptions,
        partitions: &[PartitionId],
    ) -> Result<Vec<Fence>, ClaimError> {
        const ROUNDS_MAX: usize = 5;
        for _ in 0..ROUNDS_MAX {
            let plan = self.plan(store, options, partitions).await?;
            match commit_with_probe(store, options, &plan).await {
                Ok(_) => return Ok(plan.claims.iter().map(|claim| claim.2.fence).collect()),
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
        partitions: &[PartitionId],
    ) -> Result<ClaimPlan, ClaimError> {
        let tx = store.begin(options);
        let found = read_all(&tx).await?;
        let mut claims = Vec::with_capacity(partitions.len());
        for &partition in partitions {
            let before = found
                .binary_search_by_key(&partition, |row| row.0)
                .ok()
                .map(|place| found[place].1.clone());
            let epoch = match &before {
                Some(value) => Ownership::decode(value)?.fence.epoch,
                None => 0,
            };
            let ours = Ownership {
                fence: Fence {
                    generation: self.generation,
                    epoch: epoch + 1,
                },
                incarnation: self.incarnation,
                is_active: true,
            };
            claims.push((partition, before, ours));
        }
        Ok(ClaimPlan {
            fence_key: keys::meta(),
            claims,
        })
    }
}

/// All ownership records, in the order of partitions.
async fn read_all<T: Tx>(tx: &T) -> Result<Vec<(PartitionId, bytes::Bytes)>, StoreError> {
    let mut found = Vec::new();
    let mut range: Option<KeyRange> = Some(keys::parts());
    while let Some(rest) = range {
        let page = tx
            .range(&rest, Limit::default(), Order::Forward, Read::Snapshot)
            .await?;
        range = page.rest(&rest, Order::Forward);
        found.extend(
            page.rows
                .into_iter()
                .filter_map(|row| Some((keys::partition_of_part(&row.key)?, row.value))),
        );
    }
    Ok(found)
}

/// Records to be replaced: partition, value before, record after.
struct ClaimPlan {
    fence_key: Vec<u8>,
    claims: Vec<(PartitionId, Option<bytes::Bytes>, Ownership)>,
}

impl<S: Store> Plan<S> for ClaimPlan {
    type Refusal = Contended;

    fn fence_key(&self) -> &[u8] {
        &self.fence_key
    }

    async fn fill(&self, tx: &mut S::Tx) -> Result<(), PlanError<Contended>> {
        for (partition, before, ours) in &self.claims {
            let key = keys::part(*partition);
            let found = tx.get(&key, Read::Serializable).await?;
            if found != *before {
                return Err(PlanError::Refused(Contended));
            }
            tx.set(&key, ours.encode());
        }
        Ok(())
    }

    async fn has_landed(&self, tx: &S::Tx) -> Result<bool, StoreError> {
        for (partition, _, ours) in &self.claims {
            let found = tx.get(&keys::part(*partition), Read::Snapshot).await?;
            if found.as_deref() != Some(ours.encode().as_slice()) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// Another owner holds the partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("another owner holds the partition")]
pub struct Fenced;

/// The read fence (cluster §4.4): `tx` commits only if `partition` is still held under `fence`.
pub(crate) async fn check_fence<T: Tx>(
    tx: &T,
    partition: PartitionId,
    fence: Fence,
    incarnation: Incarnation,
) -> Result<(), PlanError<Fenced>> {
    let held = Ownership {
        fence,
        incarnation,
        is_active: true,
    };
    let found = tx.get(&keys::part(partition), Read::Serializable).await?;
    if found.as_deref() == Some(held.encode().as_slice()) {
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
            incarnation: Incarnation::draw(&mut SeededEntropy::new(seed)),
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
            incarnation: Incarnation([0xaa; 16]),
            is_active: true,
        };
        let mut expected = vec![1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2];
        expected.extend_from_slice(&[0xaa; 16]);
        expected.push(1);
        assert_eq!(record.encode(), expected);
        assert_eq!(Ownership::decode(&expected), Ok(record));
    }

    #[actix::test]
    async fn a_new_owner_fences_the_former_one_off() {
        let store = MemoryStore::new();
        let first = claim(&store, 1).await;
        let stray = store.begin(TxOptions::default());
        check_fence(&stray, P, first, claimant(1).incarnation)
            .await
            .unwrap();
        let second = claim(&store, 2).await;
        assert!(second > first);
        let late = store.begin(TxOptions::default());
        let verdict = check_fence(&late, P, first, claimant(1).incarnation).await;
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
