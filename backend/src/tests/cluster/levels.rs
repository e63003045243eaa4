//! Two releases side by side: the store is raised when every node reads what comes, and no node is ever in a store whose
//! rows it does not read (cluster §15, §18 row 13).
//!
//! There is one level today, so what a release reads is said by the story: `OLD` stands for this one, `NEW` for the one
//! that brings the next level, `LATER` for the one after that.

use mesh_common::cluster::{NodeId, NodeRecord};
use mesh_common::limits::FEATURE_LEVEL_RAISED_AFTER;

use super::super::gated::GatedStore;
use super::*;
use crate::cluster::ClusterDesk as _;
use crate::cluster::Raised;
use crate::cluster::claims::{self, Beat};
use crate::cluster::level::{self, Alone, NotRaised};
use crate::node::{Meta, StartError};
use crate::operator::NotReady;
use crate::store::{ProbeError, Read, Tx as _, TxOptions, keys};

const OLD: (u16, u16) = (1, 1);
const NEW: (u16, u16) = (1, 2);
const LATER: (u16, u16) = (2, 3);

/// The level of the store.
async fn stored<S: Store>(store: &S) -> u16 {
    let tx = store.begin(TxOptions::default());
    let row = tx.get(&keys::meta(), Read::Snapshot).await.unwrap();
    Meta::decode(&row.unwrap()).unwrap().level
}

/// What an operator who raises the store at this node is told.
async fn raised<S: Store>(city: &City<S>, number: u8) -> Result<Raised, String> {
    let raised = city.scene(number).backend.raise().await;
    raised.map_err(|error| error.to_string())
}

fn measured<S: Store>(city: &City<S>, number: u8) -> i64 {
    let metrics = city.scene(number).backend.metrics();
    metrics.cluster.feature_level.get()
}

#[actix::test]
async fn a_release_replaces_another_and_the_store_is_raised_when_the_last_old_node_is_gone() {
    let mut city = City::of(1).await;
    city.join_reading(2, NEW).await.unwrap();
    city.pass(Duration::from_secs(30)).await;
    let alice = city.somebody_at(1).await;
    let old = city.scene(1).backend.node().unwrap();
    let view = city.scene(2).backend.view().await.unwrap();
    assert_eq!((view.level, view.level_next), (1, Some(2)));
    assert_eq!(view.held_back_by, [old.to_string()]);
    let refused = format!("feature level 2 is not read by {old}: replace them first");
    assert_eq!(raised(&city, 2).await, Err(refused.clone()));
    assert_eq!(raised(&city, 1).await, Err(refused), "whoever is asked");

    city.scene(1).backend.begin_to_leave();
    city.pass(Duration::from_secs(3)).await;
    assert_eq!(raised(&city, 2).await, Ok(Raised { from: 1, to: 2 }));
    assert_eq!((stored(&city.store).await, measured(&city, 2)), (2, 2));
    let upload = city.upload(2, &alice, 1, b"on").await;
    assert_eq!(code_of(&upload), Code::Ok);
    city.join_reading(3, NEW).await.unwrap();
    city.pass(Duration::from_secs(1)).await;
    assert_eq!(measured(&city, 3), 2);
    let again = "the store is at feature level 2, and no node reads the next one";
    assert_eq!(raised(&city, 3).await, Err(again.to_owned()));
}

#[actix::test]
async fn no_release_joins_a_store_whose_level_it_does_not_read() {
    let mut city = City::of(0).await;
    city.join_reading(1, NEW).await.unwrap();
    city.pass(Duration::from_secs(3)).await;
    let error = city.join_reading(2, LATER).await.unwrap_err();
    assert!(matches!(error, StartError::Level(_)), "{error}");
    assert!(error.to_string().contains("meshd cluster raise"), "{error}");
    raised(&city, 1).await.unwrap();
    let error = city.join_reading(2, OLD).await.unwrap_err();
    assert!(
        error.to_string().ends_with("use a later release"),
        "{error}"
    );
    city.join_reading(2, LATER).await.unwrap();
    city.pass(Duration::from_secs(3)).await;
    assert!(city.scene(2).backend.ready().await.is_ok());
}

#[actix::test]
async fn the_store_is_raised_by_itself_after_an_hour_of_able_nodes() {
    let mut city = City::of(0).await;
    city.join_reading(1, NEW).await.unwrap();
    city.pass(Duration::from_secs(3)).await;
    let minute = Duration::from_secs(60);
    let watch = Arc::clone(&city.nodes[&1].watch);
    watch.advance(FEATURE_LEVEL_RAISED_AFTER.checked_sub(minute).unwrap());
    city.pass(Duration::from_secs(3)).await;
    assert_eq!((stored(&city.store).await, measured(&city, 1)), (1, 1));
    watch.advance(minute);
    city.pass(Duration::from_secs(3)).await;
    assert_eq!((stored(&city.store).await, measured(&city, 1)), (2, 2));
}

#[actix::test]
async fn a_process_that_is_alone_raises_its_store_after_an_hour_of_its_own() {
    let scene = Scene::new().await;
    let shared = &scene.backend.inner.shared;
    for (levels, expected) in [(OLD, 1), (NEW, 2)] {
        let watch = Arc::<StoryWatch>::default();
        let mut alone = Alone::new(Walking(Arc::clone(&watch)), levels);
        alone.look(shared).await;
        assert_eq!(stored(&scene.store).await, 1, "not at its start");
        watch.advance(FEATURE_LEVEL_RAISED_AFTER);
        alone.look(shared).await;
        assert_eq!(stored(&scene.store).await, expected);
    }
}

/// The stopwatch of a process, kept by the story.
struct Walking(Arc<StoryWatch>);

impl Stopwatch for Walking {
    fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}

#[actix::test]
async fn a_silent_node_of_the_former_release_holds_the_store_back_until_it_is_forgotten() {
    let mut city = City::of(2).await;
    city.join_reading(3, NEW).await.unwrap();
    city.pass(Duration::from_secs(3)).await;
    city.scene(2).backend.begin_to_leave();
    city.pass(Duration::from_secs(10)).await;
    city.nodes.get_mut(&1).unwrap().is_asleep = true;
    city.pass(bound() * 2).await;
    let refused = raised(&city, 3).await.unwrap_err();
    assert!(refused.contains("is not read by"), "{refused}");
    city.pass(Duration::from_secs(90)).await;
    assert!(raised(&city, 3).await.is_ok(), "its record is gone");
    // It wakes, finds that it was raised, and writes nothing.
    city.nodes.get_mut(&1).unwrap().is_asleep = false;
    city.pass(Duration::from_secs(3)).await;
    let refused = city.scene(1).backend.ready().await;
    assert!(matches!(refused, Err(NotReady::Outdated(_))), "{refused:?}");
    let view = city.scene(3).backend.view().await.unwrap();
    let three = city.scene(3).backend.node().unwrap().to_string();
    let nodes: Vec<&str> = view.nodes.iter().map(|node| node.node.as_str()).collect();
    assert_eq!(nodes, [three]);
}

/// What becomes of a raise and of the first record of a node that does not read what comes, when each has read what it
/// reads before the other lands.
async fn at_the_same_moment(is_raise_first: bool) -> (Result<Raised, NotRaised>, Beat, u16, Beat) {
    let store = GatedStore::new();
    let mut city = City::over(store.clone(), 0).await;
    city.join_reading(1, NEW).await.unwrap();
    city.pass(Duration::from_secs(3)).await;
    let own = (city.scene(1).backend.node().unwrap(), NEW);
    let (options, record) = (TxOptions::default(), joining());
    store.close();
    let spawn_raise = || {
        let store = store.clone();
        actix::spawn(async move { level::raise(&store, options, own, None).await })
    };
    let spawn_beat = || {
        let (store, record) = (store.clone(), record.clone());
        actix::spawn(async move { claims::beat(&store, options, &record).await })
    };
    let (raise, beat);
    if is_raise_first {
        raise = spawn_raise();
        store.arrived().await;
        beat = spawn_beat();
    } else {
        beat = spawn_beat();
        store.arrived().await;
        raise = spawn_raise();
    }
    store.arrived().await;
    store.open();
    let raised = raise.await.unwrap().map_err(|error| match error {
        ProbeError::Refused(refusal) => refusal,
        other => panic!("{other}"),
    });
    let beaten = beat.await.unwrap();
    let again = claims::beat(&store, options, &record).await;
    (raised, beaten, stored(&store).await, again)
}

fn joining() -> NodeRecord {
    NodeRecord {
        id: NodeId([7; 16]),
        seq: 1,
        lease: Duration::from_secs(5),
        roles: Roles::default(),
        address: String::new(),
        zone: String::new(),
        weight: 100,
        draining: false,
        build: String::new(),
        levels: OLD,
    }
}

#[actix::test]
async fn a_raise_does_not_pass_a_node_that_has_just_joined() {
    let (raised, beaten, level, again) = at_the_same_moment(false).await;
    let behind = vec![joining().id];
    assert_eq!(raised, Err(NotRaised::Behind { next: 2, behind }));
    assert_eq!(
        (beaten, level, again),
        (Beat::Committed, 1, Beat::Committed)
    );
}

#[actix::test]
async fn a_node_does_not_join_behind_a_raise_that_it_cannot_follow() {
    let (raised, beaten, level, again) = at_the_same_moment(true).await;
    assert_eq!(raised, Ok(Raised { from: 1, to: 2 }));
    assert_eq!((beaten, level, again), (Beat::Failed, 2, Beat::Outdated(2)));
}
