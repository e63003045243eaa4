//! Exactly once, whatever the store answers: owners append under a fence while it misbehaves.

use super::*;
use crate::store::{Fault, Faults, KeyRange, Limit, MemoryStore, Order};

/// One append of an owner: the frame at `index`, and the tip that names the batch.
struct Append {
    fence: Vec<u8>,
    index: u64,
    batch: u64,
}

fn frame_key(index: u64) -> Vec<u8> {
    [b"frame/", &index.to_be_bytes()[..]].concat()
}

impl Plan<MemoryStore> for Append {
    type Refusal = &'static str;

    fn fence_key(&self) -> &[u8] {
        b"part"
    }

    async fn fill(
        &self,
        tx: &mut <MemoryStore as Store>::Tx,
    ) -> Result<(), PlanError<&'static str>> {
        if tx.get(b"part", Read::Serializable).await?.as_deref() != Some(&self.fence[..]) {
            return Err(PlanError::Refused("another owner holds the fence"));
        }
        // Two frames in one batch, so that half a batch would be seen.
        tx.set(&frame_key(self.index), self.batch.to_be_bytes().to_vec());
        tx.set(
            &frame_key(self.index + 1),
            self.batch.to_be_bytes().to_vec(),
        );
        tx.set(
            b"tip",
            [self.batch.to_be_bytes(), (self.index + 2).to_be_bytes()].concat(),
        );
        Ok(())
    }

    async fn has_landed(&self, tx: &<MemoryStore as Store>::Tx) -> Result<bool, StoreError> {
        Ok(tip(tx).await?.0 == self.batch)
    }
}

/// The batch and the next index that the tip names.
async fn tip(tx: &<MemoryStore as Store>::Tx) -> Result<(u64, u64), StoreError> {
    let tip = tx.get(b"tip", Read::Serializable).await?;
    Ok(tip.map_or((0, 0), |tip| {
        let number = |from: usize| u64::from_be_bytes(tip[from..from + 8].try_into().unwrap());
        (number(0), number(8))
    }))
}

async fn take_over(store: &MemoryStore, owner: &[u8]) {
    let mut tx = store.begin(TxOptions::default());
    tx.set(b"part", owner.to_vec());
    // Whatever the answer, the loop of the test tries again until the fence is there.
    while tx.commit().await.is_err() {
        tx = store.begin(TxOptions::default());
        tx.set(b"part", owner.to_vec());
    }
}

fn all_faults(seed: u64) -> Faults {
    Faults {
        seed,
        conflict: 60,
        too_old: 30,
        unknown_applied: 100,
        unknown_lost: 100,
        may_still_land: 150,
        land_after_max: 4,
        short_page: 200,
        ..Faults::default()
    }
}

/// Appends thirty batches; every few, a rival takes the fence over. Gives the batches that were
/// reported as landed.
async fn run_owners(store: &MemoryStore) -> Vec<u64> {
    let mut landed = Vec::new();
    let mut batch = 0;
    for owner in 0..6_u8 {
        let fence = vec![owner];
        take_over(store, &fence).await;
        for _ in 0..5 {
            batch += 1;
            // An owner that does not know where it stands reads its tip again.
            let index = loop {
                if let Ok((_, index)) = tip(&store.begin(TxOptions::default())).await {
                    break index;
                }
            };
            let plan = Append {
                fence: fence.clone(),
                index,
                batch,
            };
            match commit_with_probe(store, TxOptions::default(), &plan).await {
                Ok(_) => landed.push(batch),
                Err(ProbeError::Refused(reason)) => panic!("{reason}"),
                Err(ProbeError::NotCommitted(_) | ProbeError::Unresolved(_)) => {
                    // The owner gives up its fence, as the table of cluster §7.3 says.
                    break;
                }
                Err(ProbeError::Store(error)) => panic!("{error}"),
            }
        }
    }
    landed
}

/// The batch of every frame, in the order of the frames; checks that they are dense.
async fn frames(store: &MemoryStore) -> Vec<u64> {
    let tx = store.begin(TxOptions::default());
    let range = KeyRange::prefix(b"frame/");
    let page = tx
        .range(&range, Limit::rows(1_000), Order::Forward, Read::Snapshot)
        .await
        .unwrap();
    for (index, row) in page.rows.iter().enumerate() {
        assert_eq!(row.key, frame_key(index as u64), "the frames are dense");
    }
    let batches = page
        .rows
        .iter()
        .map(|row| u64::from_be_bytes(row.value[..].try_into().unwrap()));
    batches.collect()
}

#[tokio::test]
async fn every_batch_lands_once_or_is_reported_as_not_landed() {
    for seed in 0..200 {
        let store = MemoryStore::with_faults(all_faults(seed));
        let landed = run_owners(&store).await;
        store.set_faults(Faults::default());
        // Let what is still in flight land, if it can.
        for _ in 0..10 {
            take_over(&store, b"end").await;
        }
        assert_eq!(store.strays(), 0);
        let frames = frames(&store).await;
        for pair in frames.chunks(2) {
            assert_eq!(pair[0], pair[1], "seed {seed}: half a batch");
        }
        let batches: Vec<u64> = frames.chunks(2).map(|pair| pair[0]).collect();
        assert!(
            batches.is_sorted_by(|one, next| one < next),
            "seed {seed}: {batches:?}"
        );
        for batch in &landed {
            assert!(
                batches.contains(batch),
                "seed {seed}: batch {batch} was lost"
            );
        }
        assert!(!landed.is_empty(), "seed {seed}");
    }
}

/// The control: what a retry without a probe does to a counter under the same faults.
#[tokio::test]
async fn a_retry_without_a_probe_would_apply_twice() {
    let store = MemoryStore::with_faults(all_faults(1));
    let mut acknowledged = 0_u64;
    while acknowledged < 200 {
        let mut tx = store.begin(TxOptions::default());
        let Ok(value) = tx.get(b"n", Read::Serializable).await else {
            continue;
        };
        let count = value.map_or(0, |value| u64::from_be_bytes(value[..].try_into().unwrap()));
        tx.set(b"n", (count + 1).to_be_bytes().to_vec());
        acknowledged += u64::from(tx.commit().await.is_ok());
    }
    store.set_faults(Faults::default());
    let tx = store.begin(TxOptions::default());
    let value = tx.get(b"n", Read::Snapshot).await.unwrap().unwrap();
    assert!(u64::from_be_bytes(value[..].try_into().unwrap()) > 200);
}

async fn prepared() -> (MemoryStore, Append) {
    let store = MemoryStore::new();
    take_over(&store, b"me").await;
    (
        store,
        Append {
            fence: b"me".to_vec(),
            index: 0,
            batch: 1,
        },
    )
}

async fn outcome(store: &MemoryStore, plan: &Append) -> Result<Landing, ProbeError<&'static str>> {
    commit_with_probe(store, TxOptions::default(), plan).await
}

#[tokio::test]
async fn a_conflict_is_tried_again() {
    let (store, plan) = prepared().await;
    store.inject(Fault::Conflict);
    store.inject(Fault::TooOld);
    assert!(matches!(
        outcome(&store, &plan).await,
        Ok(Landing::Answered(_))
    ));
    assert_eq!(frames(&store).await, [1, 1]);
}

#[tokio::test]
async fn five_conflicts_are_enough() {
    let (store, plan) = prepared().await;
    for _ in 0..5 {
        store.inject(Fault::Conflict);
    }
    let outcome = outcome(&store, &plan).await;
    assert!(matches!(
        outcome,
        Err(ProbeError::NotCommitted(CommitError::Conflict))
    ));
    assert!(frames(&store).await.is_empty());
}

#[tokio::test]
async fn an_unknown_commit_that_was_applied_is_found() {
    let (store, plan) = prepared().await;
    store.inject(Fault::UnknownApplied);
    assert_eq!(outcome(&store, &plan).await.unwrap(), Landing::Found);
    assert_eq!(frames(&store).await, [1, 1]);
}

#[tokio::test]
async fn an_unknown_commit_that_was_lost_is_tried_again() {
    let (store, plan) = prepared().await;
    store.inject(Fault::UnknownLost);
    assert!(matches!(
        outcome(&store, &plan).await,
        Ok(Landing::Answered(_))
    ));
    assert_eq!(frames(&store).await, [1, 1]);
}

#[tokio::test]
async fn a_commit_that_landed_before_the_barrier_is_found() {
    let (store, plan) = prepared().await;
    store.inject(Fault::LandsAfter(0));
    assert_eq!(outcome(&store, &plan).await.unwrap(), Landing::Found);
    assert_eq!(frames(&store).await, [1, 1]);
}

#[tokio::test]
async fn a_commit_in_flight_cannot_land_after_the_barrier() {
    let (store, plan) = prepared().await;
    // It would land after the retry, over whatever the owner has written since.
    store.inject(Fault::LandsAfter(4));
    let landing = outcome(&store, &plan).await.unwrap();
    assert!(matches!(landing, Landing::Answered(_)));
    let next = Append {
        index: 2,
        batch: 2,
        ..plan
    };
    outcome(&store, &next).await.unwrap();
    for _ in 0..5 {
        take_over(&store, b"me").await;
    }
    assert_eq!(store.strays(), 0);
    assert_eq!(
        tip(&store.begin(TxOptions::default())).await.unwrap(),
        (2, 4)
    );
    assert_eq!(frames(&store).await, [1, 1, 2, 2]);
}

#[tokio::test]
async fn a_doubtful_barrier_is_repeated() {
    let (store, plan) = prepared().await;
    store.inject(Fault::LandsAfter(9));
    store.inject(Fault::UnknownLost);
    store.inject(Fault::NeverLands);
    store.inject(Fault::Conflict);
    assert!(matches!(
        outcome(&store, &plan).await,
        Ok(Landing::Answered(_))
    ));
    assert_eq!(frames(&store).await, [1, 1]);
}

#[tokio::test]
async fn without_a_barrier_nothing_is_known() {
    let (store, plan) = prepared().await;
    store.inject(Fault::NeverLands);
    for _ in 0..5 {
        store.inject(Fault::Conflict);
    }
    let outcome = outcome(&store, &plan).await;
    assert!(matches!(
        outcome,
        Err(ProbeError::Unresolved(CommitError::MayStillLand))
    ));
}

#[tokio::test]
async fn a_lost_fence_refuses_and_writes_nothing() {
    let (store, plan) = prepared().await;
    take_over(&store, b"rival").await;
    assert!(matches!(
        outcome(&store, &plan).await,
        Err(ProbeError::Refused(_))
    ));
    assert!(frames(&store).await.is_empty());
}

#[tokio::test]
async fn a_batch_that_landed_before_the_fence_was_lost_is_still_a_success() {
    let (store, plan) = prepared().await;
    store.inject(Fault::UnknownApplied);
    let landing = outcome(&store, &plan).await;
    take_over(&store, b"rival").await;
    assert_eq!(landing.unwrap(), Landing::Found);
}

#[tokio::test]
async fn a_store_that_takes_no_writes_is_not_asked_again() {
    let (store, plan) = prepared().await;
    store.inject(Fault::ReadOnly);
    let refused = outcome(&store, &plan).await;
    assert!(matches!(
        refused,
        Err(ProbeError::NotCommitted(CommitError::ReadOnly))
    ));
    assert!(matches!(
        outcome(&store, &plan).await,
        Ok(Landing::Answered(_))
    ));
}

/// An append whose owner is replaced, by somebody who goes on appending, before it can look.
struct Overtaken {
    append: Append,
    store: MemoryStore,
}

impl Plan<MemoryStore> for Overtaken {
    type Refusal = &'static str;

    fn fence_key(&self) -> &[u8] {
        self.append.fence_key()
    }

    async fn fill(
        &self,
        tx: &mut <MemoryStore as Store>::Tx,
    ) -> Result<(), PlanError<&'static str>> {
        self.append.fill(tx).await
    }

    async fn has_landed(&self, tx: &<MemoryStore as Store>::Tx) -> Result<bool, StoreError> {
        assert!(
            !self
                .append
                .has_landed(&self.store.begin(TxOptions::default()))
                .await?
                || {
                    take_over(&self.store, b"rival").await;
                    let mut rival = self.store.begin(TxOptions::default());
                    rival.set(b"tip", [9_u64.to_be_bytes(), 9_u64.to_be_bytes()].concat());
                    rival.commit().await.is_ok()
                }
        );
        self.append.has_landed(tx).await
    }
}

#[tokio::test]
async fn a_batch_that_landed_and_was_written_over_is_not_said_to_be_lost() {
    let (store, append) = prepared().await;
    store.inject(Fault::UnknownApplied);
    let plan = Overtaken {
        append,
        store: store.clone(),
    };
    let outcome = commit_with_probe(&store, TxOptions::default(), &plan).await;
    assert!(
        matches!(outcome, Err(ProbeError::Unresolved(CommitError::Unknown))),
        "{outcome:?}"
    );
    assert_eq!(frames(&store).await.len(), 2, "it has landed");
}
