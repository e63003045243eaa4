//! The battery over a store server, and what only a network and a server in trouble do.

use super::*;
use crate::store::battery::{battery, get, is_resolved, pass_the_chain, put, resolves};
use crate::store::{
    CommitError, Fault, Plan, PlanError, Read, Tx, commit_with_probe, keys as table,
};

const PATIENCE: Duration = Duration::from_secs(30);

fn server(kept: Duration) -> StoreServer {
    StoreServer::start(SocketAddr::from(([127, 0, 0, 1], 0)), kept).unwrap()
}

fn client(server: &StoreServer, timeout: Duration) -> RemoteStore {
    let address = server.address();
    RemoteStore::open(&RemoteOptions { address, timeout }).unwrap()
}

/// A server that keeps no version beyond the chain, with one client.
fn pair() -> (StoreServer, RemoteStore) {
    let server = server(Duration::ZERO);
    let client = client(&server, PATIENCE);
    (server, client)
}

mod standard {
    use super::*;
    battery!(pair());
}

/// Pages that end early, watches that resolve without cause, commits that take a moment.
mod disturbed {
    use super::*;
    battery!({
        let (server, client) = pair();
        server.order("seed=5 short=500".parse().unwrap());
        (server, client)
    });
}

/// Asks until `holds`; only what never happens takes so long.
async fn eventually(holds: impl Fn() -> bool) {
    let asked = async {
        while !holds() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, asked).await.unwrap();
}

async fn set_a(store: &RemoteStore) -> Result<crate::store::Committed, CommitError> {
    let mut tx = store.begin(TxOptions::default());
    tx.set(b"a", "1");
    tx.commit().await
}

#[tokio::test]
async fn a_version_stays_readable_for_as_long_as_the_server_keeps_it() {
    for (kept, is_readable) in [(PATIENCE, true), (Duration::ZERO, false)] {
        let server = server(kept);
        let store = client(&server, PATIENCE);
        put(&store, b"a", b"1").await;
        let tx = store.begin(TxOptions::default());
        tx.read_version().await.unwrap();
        pass_the_chain(&store).await;
        put(&store, b"a", b"2").await;
        match tx.get(b"a", Read::Snapshot).await {
            Ok(value) => assert!(is_readable && value.unwrap() == "1"),
            Err(error) => assert!(!is_readable && matches!(error, StoreError::TooOld)),
        }
    }
}

#[tokio::test]
async fn a_client_that_dies_leaves_nothing_open() {
    let (server, store) = pair();
    let survivor = client(&server, PATIENCE);
    let mut kept = survivor.watch(b"a").await.unwrap();
    let mut watches = Vec::new();
    for _ in 0..3 {
        watches.push(store.watch(b"a").await.unwrap());
    }
    let tx = store.begin(TxOptions::default());
    tx.get(b"a", Read::Serializable).await.unwrap();
    assert_eq!((server.watches(), server.versions()), (4, 0));
    // Nobody says goodbye: the connections break.
    drop((tx, store));
    eventually(|| server.watches() == 1).await;
    put(&survivor, b"a", b"1").await;
    assert!(resolves(&mut kept).await);
}

#[tokio::test]
async fn a_watch_that_is_dropped_is_ended_at_the_server() {
    let (server, store) = pair();
    let watch = store.watch(b"a").await.unwrap();
    assert_eq!(server.watches(), 1);
    drop(watch);
    eventually(|| server.watches() == 0).await;
}

#[tokio::test]
async fn watches_end_when_the_server_is_gone_and_others_can_be_made_when_it_is_back() {
    let (first, store) = pair();
    let watch = store.watch(b"a").await.unwrap();
    let address = first.address();
    drop(first);
    assert!(matches!(watch.await, Err(StoreError::Away)));
    let second = StoreServer::start(address, Duration::ZERO).unwrap();
    let mut watch = store.watch(b"a").await.unwrap();
    put(&store, b"a", b"1").await;
    assert!(resolves(&mut watch).await);
    assert_eq!(second.address(), address);
}

#[tokio::test]
async fn a_server_that_is_silent_is_away_and_what_was_sent_to_it_may_still_land() {
    let (server, store) = pair();
    let hasty = client(&server, Duration::from_secs(1));
    put(&store, b"b", b"1").await;
    server.order("silent".parse().unwrap());
    let tx = hasty.begin(TxOptions::default());
    let found = tx.get(b"a", Read::Snapshot).await;
    assert!(matches!(found, Err(StoreError::Away)), "{found:?}");
    let sent = set_a(&hasty).await;
    assert!(matches!(sent, Err(CommitError::MayStillLand)), "{sent:?}");
    let mut landed = server.store().watch(b"a").await.unwrap();
    assert!(!is_resolved(&mut landed));
    server.order(Orders::default());
    assert!(resolves(&mut landed).await);
}

#[tokio::test]
async fn a_server_that_is_not_there_is_away_until_it_is() {
    let (server, _) = pair();
    let address = server.address();
    drop(server);
    let timeout = Duration::from_millis(200);
    let hasty = RemoteStore::open(&RemoteOptions { address, timeout }).unwrap();
    let tx = hasty.begin(TxOptions::default());
    assert!(matches!(tx.read_version().await, Err(StoreError::Away)));
    assert!(matches!(hasty.watch(b"a").await, Err(StoreError::Away)));
    let patient = RemoteOptions {
        address,
        timeout: PATIENCE,
    };
    let patient = RemoteStore::open(&patient).unwrap();
    let waiting = tokio::spawn(async move { set_a(&patient).await });
    tokio::task::yield_now().await;
    let server = StoreServer::start(address, Duration::ZERO).unwrap();
    waiting.await.unwrap().unwrap();
    assert!(get(server.store(), b"a").await.is_some());
}

#[tokio::test]
async fn a_server_that_takes_no_writes_says_why_and_is_read() {
    let (server, store) = pair();
    put(&store, b"b", b"1").await;
    server.order("read-only".parse().unwrap());
    assert!(matches!(set_a(&store).await, Err(CommitError::ReadOnly)));
    server.order("full".parse().unwrap());
    assert!(matches!(set_a(&store).await, Err(CommitError::Full)));
    assert_eq!(get(&store, b"b").await.unwrap(), "1");
    assert_eq!(get(&store, b"a").await, None);
}

#[tokio::test]
async fn a_commit_that_is_answered_late_has_landed() {
    let (server, store) = pair();
    let hasty = client(&server, Duration::from_secs(1));
    server.order("late=60000".parse().unwrap());
    let sent = set_a(&hasty).await;
    assert!(matches!(sent, Err(CommitError::MayStillLand)), "{sent:?}");
    assert_eq!(get(&store, b"a").await.unwrap(), "1");
}

#[tokio::test]
async fn a_transaction_has_its_own_time() {
    let (server, store) = pair();
    server.order("silent".parse().unwrap());
    let options = TxOptions {
        timeout: Some(Duration::from_secs(1)),
        ..TxOptions::default()
    };
    let mut tx = store.begin(options);
    tx.set(b"a", "1");
    assert!(matches!(tx.commit().await, Err(CommitError::MayStillLand)));
}

#[tokio::test]
async fn injected_faults_are_told_as_they_are() {
    let (server, store) = pair();
    for (fault, expected) in [
        (Fault::Conflict, "Conflict"),
        (Fault::TooOld, "TooOld"),
        (Fault::ReadOnly, "ReadOnly"),
        (Fault::UnknownLost, "Unknown"),
        (Fault::UnknownApplied, "Unknown"),
        (Fault::NeverLands, "MayStillLand"),
    ] {
        server.store().inject(fault);
        let error = set_a(&store).await.unwrap_err();
        assert_eq!(format!("{error:?}"), expected);
    }
}

#[test]
fn only_loopback_is_served() {
    let everywhere = SocketAddr::from(([0, 0, 0, 0], 0));
    let refused = StoreServer::start(everywhere, Duration::ZERO).unwrap_err();
    assert!(refused.to_string().contains("loopback only"));
}

/// Adds one to a counter under a fence, in a way that can be probed.
struct Increment {
    fence: Vec<u8>,
    mark: Vec<u8>,
}

impl Plan<RemoteStore> for Increment {
    type Refusal = ();

    fn fence_key(&self) -> &[u8] {
        &self.fence
    }

    async fn fill(&self, tx: &mut RemoteTx) -> Result<(), PlanError<()>> {
        tx.get(&self.fence, Read::Serializable).await?;
        let count = tx.get(b"counter", Read::Serializable).await?;
        let count = count.map_or(0, |octets| {
            u64::from_be_bytes(octets[..].try_into().unwrap())
        });
        tx.set(b"counter", (count + 1).to_be_bytes().to_vec());
        tx.set(&self.mark, "done");
        Ok(())
    }

    async fn has_landed(&self, tx: &RemoteTx) -> Result<bool, StoreError> {
        Ok(tx.get(&self.mark, Read::Snapshot).await?.is_some())
    }
}

/// Increments `times` times, each as often as it takes to know that it was done.
async fn increments(store: RemoteStore, name: &'static str, times: usize) {
    for number in 0..times {
        let plan = Increment {
            fence: table::part(mesh_common::cluster::PartitionId(7)),
            mark: format!("mark/{name}/{number}").into_bytes(),
        };
        loop {
            let tx = store.begin(TxOptions::default());
            if plan.has_landed(&tx).await.unwrap() {
                break;
            }
            let done = commit_with_probe(&store, TxOptions::default(), &plan).await;
            if done.is_ok() {
                break;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_done_twice_or_not_at_all_though_answers_are_lost_and_commits_land_late() {
    for seed in 0..4 {
        let (server, store) = pair();
        let orders = format!(
            "seed={seed} conflict=50 applied=100 lost=100 stray=50 stray-commits=3 too-old=20"
        );
        server.order(orders.parse().unwrap());
        let others = client(&server, PATIENCE);
        let both = [
            tokio::spawn(increments(store, "one", 30)),
            tokio::spawn(increments(others, "other", 30)),
        ];
        for one in both {
            one.await.unwrap();
        }
        let count = get(server.store(), b"counter").await.unwrap();
        let count = u64::from_be_bytes(count[..].try_into().unwrap());
        assert_eq!(count, 60, "seed {seed}");
    }
}
