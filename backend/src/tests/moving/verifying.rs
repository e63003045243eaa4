//! `meshd verify`: what is sound is found sound, and each kind of damage is named.

use super::*;
use crate::store::keys::AccountKeys;

/// Alice with some bookmarks, one of which takes several chunks; and her keys.
async fn alice() -> (Scene<MemoryStore>, Person, AccountKeys) {
    let scene = Scene::new().await;
    let alice = Person::new("alice");
    scene.settle(&alice).await;
    let long = vec![7; 150_000];
    let payloads: [&[u8]; 3] = [b"one", &long, b"three"];
    let upload = alice.upload(scene.now(), 1, &payloads);
    assert_eq!(scene.ask(upload).await.0, Code::Ok);
    let listed = scene
        .backend
        .accounts("example.com", None, 1)
        .await
        .unwrap();
    (scene, alice, AccountKeys::of(listed[0].account))
}

/// Number of the container of bookmarks: the one with four frames.
async fn bookmarks(scene: &Scene<MemoryStore>, keys: &AccountKeys) -> u16 {
    let mut numbers = 0..16;
    loop {
        let number = numbers.next().unwrap();
        if rows(&scene.store, keys.frames(number, 0, u64::MAX))
            .await
            .len()
            == 4
        {
            return number;
        }
    }
}

/// What is said of the account, with the frames it is said of.
async fn said(scene: &Scene<MemoryStore>) -> Vec<(Option<u64>, String)> {
    let found = verify_all(&scene.store).await;
    let problems = found.into_iter().flat_map(|one| one.problems);
    problems.map(|one| (one.index, one.what)).collect()
}

#[actix::test]
async fn what_is_sound_is_found_sound_to_the_last_octet() {
    let (scene, _, _) = alice().await;
    let bob = Person::new("bob");
    scene.settle(&bob).await;
    let carol = Person::new("carol");
    scene.create(&carol).await;
    scene.ask(carol.delete(scene.now())).await;
    let found = verify_all(&scene.store).await;
    let addresses: Vec<_> = found.iter().map(|one| one.address.as_str()).collect();
    assert_eq!(addresses, ["alice@example.com", "bob@example.com"]);
    assert!(found.iter().all(|one| one.problems.is_empty()), "{found:?}");
    assert!(found[0].octets >= 150_000);
    assert!(found[0].frames >= 4);
}

#[actix::test]
async fn a_sample_is_the_same_accounts_each_time_and_the_rest_is_counted() {
    let scene = Scene::new().await;
    for name in ["a", "b", "c", "d", "e", "f", "g", "h"] {
        scene.create(&Person::new(name)).await;
    }
    let scope = Scope {
        one_in: 3,
        ..Scope::default()
    };
    let first = verify_page(&scene.store, &scope, 100).await.unwrap();
    let again = verify_page(&scene.store, &scope, 100).await.unwrap();
    assert_eq!(first, again);
    assert_eq!(first.passed_by + first.accounts.len() as u64, 8);
    assert!(first.passed_by > 0);
}

#[actix::test]
async fn a_lost_chunk_of_a_payload_is_found() {
    let (scene, _, keys) = alice().await;
    let number = bookmarks(&scene, &keys).await;
    overwrite(&scene.store, &keys.chunk(number, 2, 1), None).await;
    let sentence = "a stored payload has the wrong length";
    assert_eq!(said(&scene).await, [(Some(0), sentence.to_owned())]);
}

#[actix::test]
async fn a_payload_that_changed_with_its_checksum_is_found_by_its_digest() {
    let (scene, _, keys) = alice().await;
    let number = bookmarks(&scene, &keys).await;
    // "one" becomes "two", and the checksum is made to fit.
    let key = keys.frame(number, 1);
    let row = scene.store.begin(TxOptions::default());
    let mut value = row
        .get(&key, Read::Snapshot)
        .await
        .unwrap()
        .unwrap()
        .to_vec();
    let place = value
        .windows(4)
        .position(|octets| octets == crc32fast::hash(b"one").to_be_bytes())
        .unwrap();
    value[place..place + 4].copy_from_slice(&crc32fast::hash(b"two").to_be_bytes());
    overwrite(&scene.store, &key, Some(value)).await;
    overwrite(
        &scene.store,
        &keys.chunk(number, 1, 0),
        Some(b"two".to_vec()),
    )
    .await;
    let sentence = "its payload has another digest than it says";
    assert_eq!(said(&scene).await, [(Some(1), sentence.to_owned())]);
}

#[actix::test]
async fn a_lost_frame_is_found() {
    let (scene, _, keys) = alice().await;
    let number = bookmarks(&scene, &keys).await;
    overwrite(&scene.store, &keys.frame(number, 3), None).await;
    let expected = (Some(3), "the frame is missing".to_owned());
    assert_eq!(said(&scene).await, [expected]);
}

#[actix::test]
async fn a_head_from_an_older_day_is_found() {
    let (scene, alice, keys) = alice().await;
    let number = bookmarks(&scene, &keys).await;
    let before = rows(&scene.store, KeyRange::key(&keys.head(number))).await;
    let upload = alice.upload(scene.now(), 4, &[b"four"]);
    assert_eq!(scene.ask(upload).await.0, Code::Ok);
    let value = before[0].value.to_vec();
    overwrite(&scene.store, &keys.head(number), Some(value)).await;
    let found = said(&scene).await;
    let [(None, sentence)] = found.as_slice() else {
        panic!("{found:?}");
    };
    assert!(sentence.starts_with("the tip counts"), "{sentence}");
}

#[actix::test]
async fn an_entry_that_leads_to_another_is_found() {
    let (scene, _, keys) = alice().await;
    let number = bookmarks(&scene, &keys).await;
    let kind = crate::store::keys::LookupKind::UniqueId;
    let found = rows(&scene.store, keys.lookups(kind, number)).await;
    let other = found[1].value.to_vec();
    overwrite(&scene.store, &found[0].key, Some(other)).await;
    let said = said(&scene).await;
    let [(Some(_), sentence)] = said.as_slice() else {
        panic!("{said:?}");
    };
    assert_eq!(
        sentence,
        "an entry is said to be in this frame, which has another"
    );
}

#[actix::test]
async fn a_record_that_does_not_read_is_a_problem_of_its_account_alone() {
    let (scene, _, keys) = alice().await;
    scene.settle(&Person::new("bob")).await;
    overwrite(&scene.store, &keys.record(), Some(vec![9, 9])).await;
    let found = verify_all(&scene.store).await;
    assert_eq!(found.len(), 2);
    assert_eq!(found[0].problems.len(), 1, "{found:?}");
    assert_eq!(found[1].problems, []);
}
