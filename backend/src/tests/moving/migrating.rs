//! `meshd migrate`: what is served from the other store afterwards is what was there, whatever happened meanwhile.

use mesh_common::cluster::handle::BoxFuture;
use mesh_common::entropy::SeededEntropy;
use mesh_common::pace::Pace;

use super::*;
use crate::SystemEntropy;
use crate::moving::migrate::{Copied, Heartbeats, MigrateError, Migration};
use crate::moving::pacing::{Pacer, Timer};
use crate::node::StartError;
use crate::store::keys::AccountKeys;
use crate::store::{EmbeddedOptions, EmbeddedStore, Fault, keys};

const PLACE: &str = "another store";

async fn begin<T: Store>(scene: &Scene<MemoryStore>, to: &T) -> Migration<MemoryStore, T> {
    let (from, to) = (scene.store.clone(), to.clone());
    try_begin(from, to).await.unwrap()
}

async fn try_begin<T: Store>(
    from: MemoryStore,
    to: T,
) -> Result<Migration<MemoryStore, T>, MigrateError> {
    let (options, mut entropy) = (TxOptions::default(), SystemEntropy);
    Migration::begin(from, to, PLACE, options, &mut entropy).await
}

fn unpaced() -> Pacer {
    Pacer::new(Pace::FULL)
}

/// A timer by which every look takes a tenth of a second, and nobody waits.
#[derive(Default)]
struct StoryTimer {
    micros: AtomicU64,
    rested: AtomicU64,
}

impl Timer for StoryTimer {
    fn elapsed(&self) -> Duration {
        Duration::from_micros(self.micros.fetch_add(100_000, Ordering::SeqCst))
    }

    fn rest(&self, time: Duration) -> BoxFuture<'_, ()> {
        let micros = u64::try_from(time.as_micros()).unwrap();
        self.micros.fetch_add(micros, Ordering::SeqCst);
        self.rested.fetch_add(micros, Ordering::SeqCst);
        Box::pin(std::future::ready(()))
    }
}

#[actix::test]
async fn copying_rests_in_proportion_to_its_work_and_asks_for_no_more_than_a_page_of_time() {
    let scene = Scene::new().await;
    two_people(&scene).await;
    let mut entropy = SeededEntropy::new(1);
    let mut rested = Vec::new();
    for share in [100, 50, 25] {
        let migration = begin(&scene, &MemoryStore::new()).await;
        let timer = Arc::<StoryTimer>::default();
        let pacer = Pacer::by(
            Pace::new(share, None).unwrap(),
            Arc::<StoryTimer>::clone(&timer),
        );
        let all = Listing::default();
        let page = migration.page(&all, 9, &pacer, &mut entropy).await;
        assert_eq!(page.unwrap().accounts, 2);
        rested.push(timer.rested.load(Ordering::SeqCst));
    }
    assert_eq!(rested[0], 0);
    assert!(rested[1] > 0 && rested[2] == rested[1] * 3, "{rested:?}");

    // So slow that one account takes longer than a page may.
    let migration = begin(&scene, &MemoryStore::new()).await;
    let timer = Arc::<StoryTimer>::default();
    let pacer = Pacer::by(Pace::new(1, None).unwrap(), timer);
    let all = Listing::default();
    let first = migration.page(&all, 9, &pacer, &mut entropy).await.unwrap();
    assert_eq!(first.accounts, 1, "{first:?}");
    let rest = Listing {
        after: first
            .last
            .and_then(|last| AccountAddress::parse(&last).ok()),
        ..all
    };
    let second = migration
        .page(&rest, 9, &pacer, &mut entropy)
        .await
        .unwrap();
    assert_eq!((second.accounts, second.same), (1, 0));
}

/// One pass over all accounts while the service runs.
async fn pass<T: Store>(migration: &Migration<MemoryStore, T>) -> Copied {
    let (mut listing, mut total) = (Listing::default(), Copied::default());
    let (mut entropy, pacer) = (SeededEntropy::new(1), unpaced());
    loop {
        let page = migration.page(&listing, 2, &pacer, &mut entropy);
        let page = page.await.unwrap();
        total.accounts += page.accounts;
        total.same += page.same;
        total.synced += page.synced;
        let Some(last) = page.last else { return total };
        listing.after = Some(AccountAddress::parse(&last).unwrap());
    }
}

async fn finish<T: Store>(migration: &Migration<MemoryStore, T>) -> Result<u64, MigrateError> {
    let (mut entropy, none) = (SeededEntropy::new(2), Heartbeats::default());
    let finished = migration.finish(&none, &mut entropy, |_| {}).await?;
    Ok(finished.changed)
}

async fn two_people(scene: &Scene<MemoryStore>) -> [Person; 2] {
    let people = ["alice", "bob"].map(Person::new);
    for person in &people {
        scene.settle(person).await;
        let long = vec![7; 150_000];
        let upload = person.upload(scene.now(), 1, &[b"one", &long]);
        assert_eq!(scene.ask(upload).await.0, Code::Ok);
    }
    people
}

/// What is kept of the service but who owns what, and what copying leaves for itself.
async fn content<S: Store>(store: &S) -> Vec<Row> {
    let mut found = rows(store, keys::accounts()).await;
    for table in keys::tables_of_everybody() {
        found.extend(rows(store, table).await);
    }
    found
}

#[actix::test]
async fn what_was_moved_is_served_as_it_was_and_goes_on() {
    let scene = Scene::new().await;
    let [alice, bob] = two_people(&scene).await;
    let folder = tempfile::tempdir().unwrap();
    let to = EmbeddedStore::open(folder.path().join("store"), EmbeddedOptions::default()).unwrap();
    let migration = begin(&scene, &to).await;
    let copied = pass(&migration).await;
    assert_eq!((copied.accounts, copied.same), (2, 0));

    // Bob writes on while he is copied; Alice does not.
    let upload = bob.upload(scene.now(), 3, &[b"later"]);
    assert_eq!(scene.ask(upload).await.0, Code::Ok);
    let before = [scene.payloads(&alice).await, scene.payloads(&bob).await];
    scene.backend.stop().await;
    assert_eq!(finish(&migration).await.unwrap(), 1, "only Bob had changed");
    assert_eq!(content(&to).await, content(&scene.store).await);

    let moved = Scene {
        backend: start(&to, BackendConfig::default(), &scene.clock).await,
        clock: Arc::clone(&scene.clock),
        store: to,
    };
    let after = [moved.payloads(&alice).await, moved.payloads(&bob).await];
    assert_eq!(after, before);
    let upload = alice.upload(moved.now(), 3, &[b"at the other end"]);
    assert_eq!(moved.ask(upload).await.0, Code::Ok);
    moved.backend.stop().await;
}

#[actix::test]
async fn what_was_copied_is_not_copied_again() {
    let scene = Scene::new().await;
    two_people(&scene).await;
    let to = MemoryStore::new();
    let migration = begin(&scene, &to).await;
    pass(&migration).await;
    let again = pass(&migration).await;
    assert_eq!((again.accounts, again.same, again.synced.set), (0, 2, 0));
}

#[actix::test]
async fn a_copy_that_ended_halfway_goes_on_where_it_was() {
    let scene = Scene::new().await;
    two_people(&scene).await;
    let to = MemoryStore::new();
    let migration = begin(&scene, &to).await;
    to.inject(Fault::ReadOnly);
    let mut entropy = SeededEntropy::new(1);
    let (all, pacer) = (Listing::default(), unpaced());
    let ended = migration.page(&all, 9, &pacer, &mut entropy).await;
    assert!(matches!(ended, Err(MigrateError::Sync(_))), "{ended:?}");
    pass(&migration).await;
    // As it would have been left between the frames of an account and its tip.
    let listed = scene
        .backend
        .accounts("example.com", None, 1)
        .await
        .unwrap();
    let account = AccountKeys::of(listed[0].account);
    let there = rows(&to, account.all()).await;
    for key in [&there[there.len() / 2].key[..], &account.tip()] {
        overwrite(&to, key, None).await;
    }
    let copied = pass(&migration).await;
    assert_eq!((copied.accounts, copied.same), (1, 1));
    assert_eq!(copied.synced.set, 2);
    scene.backend.stop().await;
    finish(&migration).await.unwrap();
    assert_eq!(content(&to).await, content(&scene.store).await);
}

#[actix::test]
async fn lost_and_late_answers_of_the_other_store_change_nothing() {
    let scene = Scene::new().await;
    two_people(&scene).await;
    let to = MemoryStore::new();
    let migration = begin(&scene, &to).await;
    for fault in [
        Fault::UnknownApplied,
        Fault::UnknownLost,
        Fault::LandsAfter(1),
        Fault::NeverLands,
        Fault::Conflict,
    ] {
        to.inject(fault);
        pass(&migration).await;
    }
    scene.backend.stop().await;
    to.inject(Fault::UnknownApplied);
    finish(&migration).await.unwrap();
    assert_eq!(content(&to).await, content(&scene.store).await);
}

#[actix::test]
async fn what_was_purged_after_it_was_copied_is_not_moved() {
    let scene = Scene::new().await;
    let [alice, _] = two_people(&scene).await;
    let to = MemoryStore::new();
    let migration = begin(&scene, &to).await;
    pass(&migration).await;
    scene.ask(alice.delete(scene.now())).await;
    scene.clock.advance(Duration::from_secs(31 * 86_400));
    scene.backend.tend().await;
    scene.backend.stop().await;
    finish(&migration).await.unwrap();
    assert_eq!(content(&to).await, content(&scene.store).await);
}

#[actix::test]
async fn a_store_that_was_left_says_where_everything_went() {
    let scene = Scene::new().await;
    let to = MemoryStore::new();
    let migration = begin(&scene, &to).await;
    scene.backend.stop().await;
    finish(&migration).await.unwrap();
    let Some(StartError::Left { place }) = refused(&scene, &scene.store).await else {
        panic!("the store is served from");
    };
    assert!(place.starts_with("another store (migration "), "{place}");
    for other in [to, MemoryStore::new()] {
        let again = try_begin(scene.store.clone(), other).await;
        assert!(matches!(again.err(), Some(MigrateError::Left { .. })));
    }
}

/// Why no service is begun over `store`; nothing if one is.
async fn refused<S: Store>(scene: &Scene<MemoryStore>, store: &S) -> Option<StartError> {
    let clock: Arc<dyn Clock> = Arc::<StoryClock>::clone(&scene.clock);
    let (config, entropy) = (BackendConfig::default(), SeededEntropy::new(4));
    let started = BackendHandle::start(config, store.clone(), clock, entropy, service_keys()).await;
    match started {
        Ok(backend) => {
            backend.stop().await;
            None
        }
        Err(error) => Some(error),
    }
}

#[actix::test]
async fn at_no_moment_are_both_stores_served_from() {
    let scene = Scene::new().await;
    let [alice, _] = two_people(&scene).await;
    let before = scene.payloads(&alice).await;
    scene.backend.stop().await;
    let to = MemoryStore::new();
    let migration = begin(&scene, &to).await;
    let arriving = |error: &_| matches!(error, Some(StartError::Arriving { .. }));
    let left = |error: &_| matches!(error, Some(StartError::Left { .. }));

    // It ends when everything is there, and before the store it came from was left.
    scene.store.inject(Fault::ReadOnly);
    assert!(finish(&migration).await.is_err());
    assert!(refused(&scene, &scene.store).await.is_none());
    assert!(arriving(&refused(&scene, &to).await));

    // It ends after that store was left, and before the other one was opened.
    pass(&migration).await;
    to.inject(Fault::ReadOnly);
    assert!(finish(&migration).await.is_err());
    assert!(left(&refused(&scene, &scene.store).await));
    assert!(arriving(&refused(&scene, &to).await));
    let elsewhere = try_begin(scene.store.clone(), MemoryStore::new()).await;
    assert!(matches!(elsewhere.err(), Some(MigrateError::Left { .. })));

    // Another process ends it.
    finish(&begin(&scene, &to).await).await.unwrap();
    assert!(left(&refused(&scene, &scene.store).await));
    let moved = Scene {
        backend: start(&to, BackendConfig::default(), &scene.clock).await,
        clock: Arc::clone(&scene.clock),
        store: to,
    };
    assert_eq!(moved.payloads(&alice).await, before);
    moved.backend.stop().await;
}

#[actix::test]
async fn a_store_with_a_service_is_not_written_over() {
    let (scene, other) = (Scene::new().await, Scene::new().await);
    let begun = try_begin(scene.store.clone(), other.store.clone()).await;
    assert!(matches!(begun.err(), Some(MigrateError::Occupied)));
    let begun = try_begin(MemoryStore::new(), MemoryStore::new()).await;
    assert!(matches!(begun.err(), Some(MigrateError::Empty)));
}

#[actix::test]
async fn a_store_that_others_serve_from_is_not_left() {
    let scene = Scene::new().await;
    let node = keys::nodes().begin;
    overwrite(
        &scene.store,
        &[&node[..], b"somebody"].concat(),
        Some(vec![1]),
    )
    .await;
    let migration = begin(&scene, &MemoryStore::new()).await;
    scene.backend.stop().await;
    let served = finish(&migration).await;
    assert!(matches!(served, Err(MigrateError::Served { count: 1 })));
    // It did not change for longer than any lease: whoever wrote it has ended.
    let ended = migration.heartbeats().await.unwrap();
    let mut entropy = SeededEntropy::new(2);
    let finished = migration.finish(&ended, &mut entropy, |_| {});
    assert!(finished.await.is_ok());
}

#[actix::test]
async fn an_account_that_is_damaged_is_not_handed_over() {
    let scene = Scene::new().await;
    let [alice, _] = two_people(&scene).await;
    let listed = scene
        .backend
        .accounts("example.com", None, 1)
        .await
        .unwrap();
    let account = AccountKeys::of(listed[0].account);
    let frames = rows(&scene.store, account.all()).await;
    let chunk = frames.iter().find(|row| row.key[17] == b'b').unwrap();
    overwrite(&scene.store, &chunk.key, Some(b"other".to_vec())).await;
    let to = MemoryStore::new();
    let migration = begin(&scene, &to).await;
    scene.backend.stop().await;
    let ended = finish(&migration).await;
    let Err(MigrateError::Differs { address, .. }) = ended else {
        panic!("{ended:?}");
    };
    assert_eq!(address, alice.address.canonical());
    let moved = to.begin(TxOptions::default());
    assert_eq!(
        moved.get(&keys::meta(), Read::Snapshot).await.unwrap(),
        None
    );
}
