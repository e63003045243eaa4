//! The battery: any sequence of writes, against a plain ordered map.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use tokio::runtime::Handle;

use crate::store::{Landing, Plan, PlanError, commit_with_probe};

use super::*;

type Map = BTreeMap<Vec<u8>, Vec<u8>>;

/// Sequences tried per engine.
const SEQUENCES: u32 = 24;

#[derive(Clone, Debug)]
enum Op {
    Set(Vec<u8>, Vec<u8>),
    Clear(Vec<u8>),
    ClearRange(Vec<u8>, Vec<u8>),
}

/// Short keys of few octets, so that they meet.
fn key() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(prop::sample::select(vec![0_u8, 1, b'a', b'b', 0xfe]), 1..4)
}

/// Values on both sides of the bound from which an engine may keep them apart from the keys.
fn value() -> impl Strategy<Value = Vec<u8>> {
    (
        any::<u8>(),
        prop::sample::select(vec![0_usize, 1, 20, 511, 512, 600, 5_000]),
    )
        .prop_map(|(octet, length)| vec![octet; length])
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => (key(), value()).prop_map(|(key, value)| Op::Set(key, value)),
        2 => key().prop_map(Op::Clear),
        1 => (key(), key()).prop_map(|(begin, end)| Op::ClearRange(begin, end)),
    ]
}

fn apply_to_map(map: &mut Map, op: &Op) {
    match op {
        Op::Set(key, value) => {
            map.insert(key.clone(), value.clone());
        }
        Op::Clear(key) => {
            map.remove(key);
        }
        Op::ClearRange(begin, end) => map.retain(|key, _| key < begin || key >= end),
    }
}

fn apply_to_tx<T: Tx>(tx: &mut T, op: &Op) {
    match op {
        Op::Set(key, value) => tx.set(key, value.clone()),
        Op::Clear(key) => tx.clear(key),
        Op::ClearRange(begin, end) => tx.clear_range(&KeyRange::new(begin, end)),
    }
}

/// Runs `case` on generated input; each starts with an empty store.
fn run<S: Store, I: Strategy>(store: &S, input: &I, case: impl AsyncFn(&S, I::Value)) {
    let mut runner = TestRunner::new(Config {
        cases: SEQUENCES,
        ..Config::default()
    });
    let outcome = tokio::task::block_in_place(|| {
        runner.run(input, |input| {
            Handle::current().block_on(async {
                let mut tx = store.begin(TxOptions::default());
                tx.clear_range(&KeyRange::all());
                tx.commit().await.unwrap();
                case(store, input).await;
            });
            Ok(())
        })
    });
    outcome.unwrap();
}

/// Asserts that `tx` reads exactly `map`, page by page in both orders and key by key.
async fn assert_reads<T: Tx>(tx: &T, map: &Map, rows: usize) {
    for order in [Order::Forward, Order::Reverse] {
        let mut found: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
        let mut rest = Some(KeyRange::all());
        while let Some(range) = rest {
            let page = tx
                .range(&range, Limit::rows(rows), order, Read::Snapshot)
                .await
                .unwrap();
            rest = page.rest(&range, order);
            found.extend(
                page.rows
                    .into_iter()
                    .map(|row| (row.key.into(), row.value.into())),
            );
        }
        if order == Order::Reverse {
            found.reverse();
        }
        assert!(
            found.iter().map(|(key, value)| (key, value)).eq(map.iter()),
            "{found:?} {map:?}"
        );
    }
    for key in map
        .keys()
        .cloned()
        .chain([b"a".to_vec(), b"b\0".to_vec(), b"\xfe".to_vec()])
    {
        let found = tx.get(&key, Read::Snapshot).await.unwrap();
        assert_eq!(found.as_deref(), map.get(&key).map(Vec::as_slice));
    }
}

pub(in crate::store) async fn any_sequence_agrees_with_a_plain_map<S: Store>(store: S) {
    let commits = prop::collection::vec((prop::collection::vec(op(), 1..6), any::<bool>()), 1..10);
    run(
        &store,
        &(commits, 1..6_usize),
        async |store, (commits, rows)| {
            let mut map = Map::new();
            let mut kept = Vec::new();
            for (ops, keeps) in commits {
                let mut tx = store.begin(TxOptions::default());
                for op in &ops {
                    apply_to_tx(&mut tx, op);
                    apply_to_map(&mut map, op);
                }
                tx.commit().await.unwrap();
                let reader = store.begin(TxOptions::default());
                reader.read_version().await.unwrap();
                if keeps {
                    kept.push((reader, map.clone()));
                } else {
                    assert_reads(&reader, &map, rows).await;
                }
            }
            // What was read earlier still reads the same, whatever was committed since.
            for (reader, map) in kept {
                assert_reads(&reader, &map, rows).await;
            }
        },
    );
}

pub(in crate::store) async fn any_transaction_reads_as_a_plain_map<S: Store>(store: S) {
    let ops = || prop::collection::vec(op(), 0..12);
    run(
        &store,
        &(ops(), ops(), 1..6_usize),
        async |store, (before, own, rows)| {
            let mut map = Map::new();
            let mut tx = store.begin(TxOptions::default());
            for op in &before {
                apply_to_tx(&mut tx, op);
                apply_to_map(&mut map, op);
            }
            tx.commit().await.unwrap();
            let mut tx = store.begin(TxOptions::default());
            for op in &own {
                apply_to_tx(&mut tx, op);
                apply_to_map(&mut map, op);
                assert_reads(&tx, &map, rows).await;
            }
            tx.commit().await.unwrap();
            assert_reads(&store.begin(TxOptions::default()), &map, rows).await;
        },
    );
}

/// Adds one to a counter under a fence, leaving a mark.
struct Increment {
    fence: &'static [u8],
    mark: u64,
}

impl<S: Store> Plan<S> for Increment {
    type Refusal = ();

    fn fence_key(&self) -> &[u8] {
        b"fence"
    }

    async fn fill(&self, tx: &mut S::Tx) -> Result<(), PlanError<()>> {
        if tx.get(b"fence", Read::Serializable).await?.as_deref() != Some(self.fence) {
            return Err(PlanError::Refused(()));
        }
        tx.set(b"tip", self.mark.to_be_bytes().to_vec());
        Ok(())
    }

    async fn has_landed(&self, tx: &S::Tx) -> Result<bool, StoreError> {
        let tip = tx.get(b"tip", Read::Snapshot).await?;
        Ok(tip.is_some_and(|tip| tip == self.mark.to_be_bytes().to_vec()))
    }
}

pub(in crate::store) async fn a_plan_lands_once<S: Store>(store: S) {
    put(&store, b"fence", b"mine").await;
    let plan = Increment {
        fence: b"mine",
        mark: 7,
    };
    let landing = commit_with_probe(&store, TxOptions::default(), &plan)
        .await
        .unwrap();
    assert!(matches!(landing, Landing::Answered(_)));
    assert_eq!(
        get(&store, b"tip").await.unwrap(),
        7_u64.to_be_bytes().to_vec()
    );
    put(&store, b"fence", b"other").await;
    let plan = Increment {
        fence: b"mine",
        mark: 8,
    };
    commit_with_probe(&store, TxOptions::default(), &plan)
        .await
        .unwrap_err();
    assert_eq!(
        get(&store, b"tip").await.unwrap(),
        7_u64.to_be_bytes().to_vec()
    );
}
