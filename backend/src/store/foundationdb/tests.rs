//! The engine over FoundationDB, or over the stand-in for its client library: the battery, and what
//! only a cluster does.
//!
//! `.ci/foundationdb` runs this. With `MESH_FDB_CLUSTER_FILE` set, it is the same suite over a real
//! cluster. Faults cannot be ordered there: tests run without them, and the two that look at nothing
//! but one fault end at once.

use std::collections::BTreeSet;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use tempfile::TempDir;

use super::*;
use crate::store::battery::{battery, everything, get, keys, put};
use crate::store::{
    CommitError, KeyRange, Limit, Order, Plan, PlanError, Read, Tx, Version, commit_with_probe,
    keys as table,
};

/// The cluster file of a real cluster.
const REAL_CLUSTER: &str = "MESH_FDB_CLUSTER_FILE";

/// The client's thread, for as long as the tests run: it is not stopped, the process ends.
fn network() -> &'static Network {
    static NETWORK: OnceLock<Network> = OnceLock::new();
    NETWORK.get_or_init(|| Network::start().unwrap())
}

/// Keeps the stand-in's cluster file.
struct Cluster {
    folder: Option<TempDir>,
    options: FoundationOptions,
}

impl Cluster {
    /// A cluster with these faults, and nothing under a prefix that no other test has.
    async fn with(faults: &str) -> (Self, FoundationStore) {
        static TESTS: AtomicU64 = AtomicU64::new(0);
        let test = TESTS.fetch_add(1, Ordering::SeqCst);
        let prefix = format!("mesh-test/{}/{test}/", std::process::id());
        let options = |file: PathBuf| FoundationOptions {
            cluster_file: Some(file),
            prefix: prefix.clone().into(),
            timeout: Duration::from_secs(5),
        };
        let cluster = match std::env::var_os(REAL_CLUSTER) {
            Some(file) => Self {
                folder: None,
                options: options(file.into()),
            },
            None => {
                let folder = TempDir::new().unwrap();
                let options = options(folder.path().join("fdb.cluster"));
                let folder = Some(folder);
                Self { folder, options }
            }
        };
        cluster.order(faults);
        let store = cluster.open();
        let mut tx = store.begin(TxOptions::default());
        tx.clear_range(&KeyRange::all());
        tx.commit().await.unwrap();
        (cluster, store)
    }

    /// From the next handle on these faults happen.
    fn order(&self, faults: &str) {
        if let (Some(_), Some(file)) = (&self.folder, &self.options.cluster_file) {
            std::fs::write(file, format!("stand-in {faults}")).unwrap();
        }
    }

    fn open(&self) -> FoundationStore {
        FoundationStore::open(network(), &self.options).unwrap()
    }
}

mod standard {
    use super::*;
    battery!(Cluster::with("").await);
}

/// Answers from the client's thread, pages that end early, watches that resolve without cause.
mod disturbed {
    use super::*;
    battery!(Cluster::with("seed=5 latency=300000 short=500000").await);
}

/// Adds one to a counter under a fence, in a way that can be probed.
struct Increment {
    fence: Vec<u8>,
    counter: Vec<u8>,
    mark: Vec<u8>,
}

impl Plan<FoundationStore> for Increment {
    type Refusal = ();

    fn fence_key(&self) -> &[u8] {
        &self.fence
    }

    async fn fill(&self, tx: &mut FoundationTx) -> Result<(), PlanError<()>> {
        tx.get(&self.fence, Read::Serializable).await?;
        let count = tx.get(&self.counter, Read::Serializable).await?;
        let count = count.map_or(0, |octets| {
            u64::from_be_bytes(octets[..].try_into().unwrap())
        });
        tx.set(&self.counter, (count + 1).to_be_bytes().to_vec());
        tx.set(&self.mark, "done");
        Ok(())
    }

    async fn has_landed(&self, tx: &FoundationTx) -> Result<bool, StoreError> {
        Ok(tx.get(&self.mark, Read::Snapshot).await?.is_some())
    }
}

/// Increments until `times` were acknowledged, beside somebody else who does so.
async fn increments(store: FoundationStore, name: &'static str, times: usize) {
    let fence = table::part(mesh_common::cluster::PartitionId(7));
    for number in 0..times {
        let plan = Increment {
            fence: fence.clone(),
            counter: b"counter".to_vec(),
            mark: format!("mark/{name}/{number}").into_bytes(),
        };
        loop {
            match commit_with_probe(&store, TxOptions::default(), &plan).await {
                Ok(_) => break,
                Err(error) => {
                    // Whatever it says: what has landed must not be done again.
                    let tx = store.begin(TxOptions::default());
                    if plan.has_landed(&tx).await.unwrap_or(false) {
                        break;
                    }
                    let _looks_again = error;
                }
            }
        }
    }
}

#[tokio::test]
async fn what_is_acknowledged_is_done_once_whatever_the_cluster_answers() {
    for seed in 0..10 {
        let faults = "conflict=50000 unknown=200000 late=30000 changed=10000 too-old=5000 future=5000 \
                      behind=5000 latency=50000";
        let (cluster, _) = Cluster::with("").await;
        cluster.order(&format!("seed={seed} {faults}"));
        let store = cluster.open();
        tokio::join!(
            increments(store.clone(), "one", 60),
            increments(store.clone(), "other", 60)
        );
        cluster.order("");
        let store = cluster.open();
        let count = get(&store, b"counter").await.unwrap();
        assert_eq!(
            u64::from_be_bytes(count[..].try_into().unwrap()),
            120,
            "seed {seed}"
        );
    }
}

#[tokio::test]
async fn every_outcome_of_a_commit_is_met_and_told_apart() {
    let mut met = BTreeSet::new();
    for (word, expected) in [
        ("conflict", "conflict"),
        ("unknown", "unknown"),
        ("late", "may still land"),
        ("changed", "may still land"),
    ] {
        let (cluster, _) = Cluster::with("").await;
        if cluster.folder.is_none() {
            return;
        }
        cluster.order(&format!("{word}=1000000"));
        let mut tx = cluster.open().begin(TxOptions::default());
        tx.set(b"a", "1");
        let found = match tx.commit().await {
            Err(CommitError::Conflict) => "conflict",
            Err(CommitError::Unknown) => "unknown",
            Err(CommitError::MayStillLand) => "may still land",
            other => panic!("{word}: {other:?}"),
        };
        assert_eq!(found, expected, "{word}");
        met.insert(found);
    }
    assert_eq!(met.len(), 3);
}

#[tokio::test]
async fn a_read_at_a_bad_moment_says_begin_again() {
    for word in ["too-old", "future", "behind"] {
        let (cluster, _) = Cluster::with("").await;
        if cluster.folder.is_none() {
            return;
        }
        cluster.order(&format!("{word}=1000000"));
        let tx = cluster.open().begin(TxOptions::default());
        let found = tx.get(b"a", Read::Snapshot).await;
        assert!(
            matches!(found, Err(StoreError::TooOld)),
            "{word}: {found:?}"
        );
    }
}

#[tokio::test]
async fn two_prefixes_do_not_see_each_other() {
    let (cluster, store) = Cluster::with("").await;
    let mut options = cluster.options.clone();
    options.prefix.extend_from_slice(b"inner/");
    let inner = FoundationStore::open(network(), &options).unwrap();
    put(&inner, b"a", b"1").await;
    assert_eq!(get(&inner, b"a").await.unwrap(), "1");
    assert_eq!(get(&store, b"a").await, None);
    assert_eq!(keys(&everything(&store).await), ["inner/a"]);
}

#[tokio::test]
async fn a_prefix_that_is_too_long_or_reserved_is_refused() {
    let (cluster, _) = Cluster::with("").await;
    for prefix in [vec![b'p'; limits::PREFIX_BYTES_MAX + 1], vec![0xff]] {
        let options = FoundationOptions {
            prefix,
            ..cluster.options.clone()
        };
        let refused = FoundationStore::open(network(), &options).err();
        assert!(
            matches!(refused, Some(StoreError::Prefix { .. })),
            "{refused:?}"
        );
    }
}

#[tokio::test]
async fn a_cluster_file_that_is_not_there_is_told() {
    let options = FoundationOptions {
        cluster_file: Some("/nowhere/fdb.cluster".into()),
        prefix: Vec::new(),
        timeout: Duration::from_secs(1),
    };
    // A real client notices at the first transaction.
    let error = match FoundationStore::open(network(), &options) {
        Err(error) => error,
        Ok(store) => {
            let tx = store.begin(TxOptions::default());
            tx.read_version().await.unwrap_err()
        }
    };
    assert!(matches!(error, StoreError::Cluster { .. }), "{error:?}");
    assert!(error.remedy().unwrap().contains("fdbcli"), "{error:?}");
}

#[tokio::test]
async fn a_page_is_whole_though_the_cluster_gives_it_in_pieces() {
    let (_cluster, store) = Cluster::with("seed=9 short=1000000").await;
    let mut tx = store.begin(TxOptions::default());
    for number in 0..200_u32 {
        tx.set(&number.to_be_bytes(), "");
    }
    tx.commit().await.unwrap();
    for order in [Order::Forward, Order::Reverse] {
        let tx = store.begin(TxOptions::default());
        let (all, limit) = (KeyRange::all(), Limit::rows(150));
        let page = tx.range(&all, limit, order, Read::Snapshot).await.unwrap();
        assert_eq!((page.rows.len(), page.more), (150, true));
        let rest = page.rest(&all, order).unwrap();
        let page = tx.range(&rest, limit, order, Read::Snapshot).await.unwrap();
        assert_eq!((page.rows.len(), page.more), (50, false));
    }
}

#[tokio::test]
async fn the_stamp_that_is_told_is_the_one_that_is_stored() {
    let (_cluster, store) = Cluster::with("").await;
    let mut tx = store.begin(TxOptions::default());
    tx.set_stamped_key(b"in/", b"/0", "value");
    let committed = tx.commit().await.unwrap();
    let stamp = committed.stamp.unwrap();
    let key = [b"in/".as_slice(), &stamp.0, b"/0"].concat();
    assert_eq!(get(&store, &key).await.unwrap(), "value");
    let version = u64::from_be_bytes(stamp.0[..8].try_into().unwrap());
    assert_eq!(Version(version), committed.version);
}
