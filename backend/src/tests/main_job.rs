//! Accounts are created, filled, asked, read back, deleted; and all of it again after a restart.

use futures_util::future::join;
use mesh_common::cluster::{Backend as _, ContentEvidence};
use mesh_common::protocol::EntryResult;

use super::*;
use crate::store::{EmbeddedOptions, EmbeddedStore};

#[actix::test]
async fn an_account_is_created_filled_and_read_back() {
    let (scene, alice) = (Scene::new().await, Person::new("alice"));
    scene.create(&alice).await;
    let (code, response) = scene
        .ask(alice.upload(scene.now(), 0, &[b"one", b"two"]))
        .await;
    assert_eq!(code, Code::Ok);
    assert_eq!(first_result(&response), (EntryResult::Accept, Some(0)));
    assert_eq!(scene.bookmarks(&alice).await.0, 3);
    let payloads = scene.payloads(&alice).await;
    assert_eq!(payloads, [b"".to_vec(), b"one".to_vec(), b"two".to_vec()]);
}

#[actix::test]
async fn payloads_of_every_size_come_back_as_they_went() {
    let (scene, alice) = (Scene::new().await, Person::new("alice"));
    scene.settle(&alice).await;
    let sizes = [1, 65_535, 65_536, 65_537, 131_072, 262_144];
    let sent: Vec<Vec<u8>> = (0_u8..)
        .zip(sizes)
        .map(|(number, size)| vec![number; size])
        .collect();
    for (index, payload) in (1..).zip(&sent) {
        let (code, _) = scene
            .ask(alice.upload(scene.now(), index, &[payload]))
            .await;
        assert_eq!(code, Code::Ok, "{} octets", payload.len());
    }
    assert_eq!(scene.payloads(&alice).await[1..], sent);
}

#[actix::test]
async fn a_long_container_is_read_in_several_downloads() {
    let (scene, alice) = (Scene::new().await, Person::new("alice"));
    scene.settle(&alice).await;
    let mut index = 1;
    for round in 0..5 {
        let sent: Vec<Vec<u8>> = (0..300)
            .map(|one| format!("{round}/{one}").into())
            .collect();
        let payloads: Vec<&[u8]> = sent.iter().map(Vec::as_slice).collect();
        let (code, _) = scene.ask(alice.upload(scene.now(), index, &payloads)).await;
        assert_eq!(code, Code::Ok);
        index += 300;
        scene.clock.advance(Duration::from_secs(10));
    }
    let payloads = scene.payloads(&alice).await;
    assert_eq!(payloads.len(), 1_501);
    assert_eq!(payloads[1_500], b"4/299");

    let mut late = alice.download(scene.now(), 0);
    let Request::Download(download) = &mut late.request else {
        panic!("a Download is a Download");
    };
    // The last round was committed ten seconds before now, the one before it twenty.
    download.select[0].not_before = Some(scene.now() - Duration::from_secs(20));
    download.select[0].before = Some(scene.now() - Duration::from_secs(10));
    let (_, response) = scene.ask(late).await;
    let Response::Download(download) = response else {
        panic!("a Download is answered as one");
    };
    let envelopes = &download.updates[0].envelopes;
    assert_eq!(envelopes.len(), 300);
    assert_eq!(envelopes[0].payload.as_slice(), b"3/0");
}

#[actix::test]
async fn two_writers_at_one_index_have_one_winner() {
    let (scene, alice) = (Scene::new().await, Person::new("alice"));
    scene.settle(&alice).await;
    for round in 0..10_u64 {
        let index = round + 1;
        let (left, right) = (format!("left {round}"), format!("right {round}"));
        let (one, other) = join(
            scene.ask(alice.upload(scene.now(), index, &[left.as_bytes()])),
            scene.ask(alice.upload(scene.now(), index, &[right.as_bytes()])),
        )
        .await;
        let mut codes = [one.0, other.0];
        codes.sort_by_key(|code| code.status());
        assert_eq!(codes, [Code::Ok, Code::Conflict]);
        let loser = if one.0 == Code::Conflict {
            one.1
        } else {
            other.1
        };
        // What the loser needs in order to go on: the count of the container.
        assert_eq!(
            first_result(&loser),
            (EntryResult::Conflict, Some(index + 1))
        );
        assert_eq!(scene.bookmarks(&alice).await.0, index + 1);
    }
    scene.payloads(&alice).await;
}

// P 10 and service §4.7: the same request under its RequestID gets the answer it had.
#[actix::test]
async fn a_repeated_request_gets_the_stored_answer_and_writes_nothing() {
    let (scene, alice) = (Scene::new().await, Person::new("alice"));
    scene.settle(&alice).await;
    let upload = alice.upload(scene.now(), 1, &[b"one"]);
    let first = scene.ask(upload.clone()).await;
    let batches = scene.batches();
    let again = scene.ask(upload.clone()).await;
    assert_eq!(first, again);
    assert_eq!(scene.batches(), batches);
    let other = AccountRequest {
        request_digest: [9; 64],
        ..upload
    };
    assert_eq!(scene.ask(other).await.0, Code::Replay);
    assert_eq!(scene.bookmarks(&alice).await.0, 2);
}

#[actix::test]
async fn two_creations_of_one_name_have_one_winner() {
    let (scene, alice) = (Scene::new().await, Person::new("alice"));
    let mut rival = Person::new("alice");
    rival.key = Udf::present(b"rival", 140);
    let mut theirs = rival.create(scene.now());
    let Evidence::Create(evidence) = &mut theirs.evidence else {
        panic!("a CreateAccount comes with evidence");
    };
    evidence.keys.mesh_udf = Udf::present(b"another mesh", 140);
    let (one, other) = join(scene.ask(alice.create(scene.now())), scene.ask(theirs)).await;
    let mut codes = [one.0, other.0];
    codes.sort_by_key(|code| code.status());
    assert_eq!(codes, [Code::Ok, Code::AccountRegistered]);
}

#[actix::test]
async fn an_unknown_account_is_refused_like_a_stranger() {
    let (scene, alice) = (Scene::new().await, Person::new("alice"));
    scene.create(&alice).await;
    let nobody = Person::new("nobody");
    let mut stranger = Person::new("alice");
    stranger.key = Udf::present(b"stranger", 140);
    let (unknown, _) = scene.ask(nobody.status(scene.now())).await;
    let (unwelcome, _) = scene.ask(stranger.status(scene.now())).await;
    assert_eq!(unknown, unwelcome);
    assert_eq!(scene.backend.metrics().accounts_loaded.get(), 1);
}

#[actix::test]
async fn a_restart_keeps_everything() {
    let (mut scene, alice) = (Scene::new().await, Person::new("alice"));
    let bob = Person::new("bob");
    scene.settle(&alice).await;
    scene.settle(&bob).await;
    let upload = alice.upload(scene.now(), 1, &[b"one", &[7; 100_000]]);
    let answer = scene.ask(upload.clone()).await;
    let status = scene.status(&alice).await;
    scene.restart().await;
    assert_eq!(scene.status(&alice).await, status);
    assert_eq!(scene.payloads(&alice).await[2], [7; 100_000]);
    assert_eq!(scene.payloads(&bob).await.len(), 1);
    assert_eq!(
        scene.ask(upload).await,
        answer,
        "the replay table is kept too"
    );
}

#[actix::test]
async fn the_embedded_store_keeps_everything_across_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let alice = Person::new("alice");
    let open = || EmbeddedStore::open(folder.path(), EmbeddedOptions::default()).unwrap();
    let status = {
        let scene = Scene::over(open(), BackendConfig::default()).await;
        scene.settle(&alice).await;
        let (code, _) = scene
            .ask(alice.upload(scene.now(), 1, &[b"one", &[7; 100_000]]))
            .await;
        assert_eq!(code, Code::Ok);
        let status = scene.status(&alice).await;
        scene.backend.stop().await;
        status
    };
    let scene = Scene::over(open(), BackendConfig::default()).await;
    assert_eq!(scene.status(&alice).await, status);
    assert_eq!(scene.payloads(&alice).await[2], [7; 100_000]);
    scene.backend.stop().await;
}

#[actix::test]
async fn front_ends_are_told_the_keys_that_sign_for_an_account() {
    let (scene, alice) = (Scene::new().await, Person::new("alice"));
    let deadline = scene.now() + Duration::from_secs(60);
    let ask = || scene.backend.signing_keys(&alice.address, deadline);
    assert_eq!(ask().await, Ok(None));
    scene.create(&alice).await;
    assert_eq!(ask().await, Ok(Some(alice.signing_keys())));

    let mut newer = alice.create(scene.now());
    let Evidence::Create(evidence) = &mut newer.evidence else {
        panic!("a CreateAccount comes with evidence");
    };
    evidence.mesh_updated = Some(Timestamp::from_secs(2));
    evidence.mesh_digest = payload_digest(b"newer");
    evidence.keys.mesh_keys.push(vec![3; 57]);
    assert_eq!(scene.ask(newer).await.0, Code::Ok);
    let keys = ask().await.unwrap().unwrap();
    assert_eq!(
        keys.profile_version, 2,
        "the cache does not outlive a change"
    );
    assert_eq!(keys.mesh_keys.len(), 2);
}

// Decision Q-51
#[actix::test]
async fn evidence_of_older_profiles_is_stale() {
    let (scene, alice) = (Scene::new().await, Person::new("alice"));
    scene.settle(&alice).await;
    let stale = AccountRequest {
        evidence: Evidence::Content(Box::new(ContentEvidence {
            profile_version: 7,
            ..ContentEvidence::default()
        })),
        ..alice.upload(scene.now(), 1, &[b"one"])
    };
    assert_eq!(scene.perform(stale).await, Err(CallFailure::Stale));
}

#[actix::test]
async fn a_deadline_in_the_past_is_a_timeout_and_nothing_is_written() {
    let (scene, alice) = (Scene::new().await, Person::new("alice"));
    scene.settle(&alice).await;
    let batches = scene.batches();
    for deadline in [scene.now(), scene.now() - Duration::from_secs(1)] {
        let late = AccountRequest {
            deadline,
            ..alice.upload(scene.now(), 1, &[b"late"])
        };
        assert_eq!(code_of(&scene.perform(late).await), Code::Timeout);
    }
    assert_eq!(scene.batches(), batches);
    assert_eq!(scene.bookmarks(&alice).await.0, 1);
}

// I-S-11.2-a
#[actix::test]
async fn an_operator_lists_the_accounts_of_a_domain_page_by_page() {
    let scene = Scene::new().await;
    for name in ["carol", "alice", "bob"] {
        scene.create(&Person::new(name)).await;
    }
    let gone = Person::new("bob");
    gone.requests.store(100, Ordering::SeqCst);
    assert_eq!(scene.ask(gone.delete(scene.now())).await.0, Code::Ok);
    let first = scene
        .backend
        .accounts("example.com", None, 2)
        .await
        .unwrap();
    let names: Vec<(&str, bool)> = first
        .iter()
        .map(|one| (one.address.as_str(), one.is_reserved))
        .collect();
    assert_eq!(
        names,
        [("alice@example.com", false), ("bob@example.com", true)]
    );
    let after = AccountAddress::parse(&first[1].address).unwrap();
    let rest = scene
        .backend
        .accounts("example.com", Some(&after), 2)
        .await
        .unwrap();
    assert_eq!(rest.len(), 1);
    assert_eq!(rest[0].address, "carol@example.com");
    assert_eq!(
        scene.backend.accounts("example.org", None, 2).await,
        Ok(Vec::new())
    );
}

#[actix::test]
async fn a_partition_that_nobody_asks_costs_nothing() {
    let (scene, alice) = (Scene::new().await, Person::new("alice"));
    let started = || scene.backend.metrics().partitions_started.get();
    assert_eq!(started(), 0);
    scene.create(&alice).await;
    assert_eq!(started(), 1);
    assert_eq!(scene.backend.tend().await, 0);
    assert_eq!(started(), 1, "a look for work that is due starts nothing");
}
