//! What was set aside, on the desk of the operator.

use super::*;
use crate::desk::{AsideDesk as _, DeskError};

/// Two people, and a message from bob to alice that was set aside since receiving it panicked.
async fn scene() -> (Scene<MemoryStore>, Person, Person) {
    let (scene, alice, bob) = (Scene::new().await, Person::new("alice"), Person::new("bob"));
    scene.create(&alice).await;
    scene.create(&bob).await;
    let poisoned = left(&bob, &alice, 1);
    scene.backend.poison_intake(poisoned.id);
    scene.leave(&[poisoned]).await;
    scene.drain().await;
    // What made it poison is mended.
    scene.backend.poison_intake(left(&bob, &alice, 99).id);
    (scene, alice, bob)
}

#[actix::test]
async fn an_entry_that_was_set_aside_is_shown_put_back_and_received() {
    let (scene, alice, bob) = scene().await;
    let aside = scene.backend.aside(10).await.unwrap();
    assert_eq!(aside.len(), 1);
    assert_eq!(aside[0].reason, "receiving it panicked");
    assert_eq!(aside[0].kind.as_deref(), Some("message"));
    assert_eq!(aside[0].account, Some(alice.address.clone()));
    assert_eq!(aside[0].other, Some(bob.address.clone()));
    assert_eq!(aside[0].message.as_deref(), Some("bob-1"));
    scene.backend.requeue(&aside[0].id).await.unwrap();
    assert!(scene.backend.aside(10).await.unwrap().is_empty());
    scene.drain().await;
    assert_eq!(scene.inbound(&alice).await, ["bob-1"]);
    // What bob was told stays final (decision Q-59).
    let told: Vec<_> = scene
        .told(&bob)
        .await
        .into_iter()
        .map(|one| one.2)
        .collect();
    assert_eq!(told, ["Failed"]);
    let again = scene.backend.requeue(&aside[0].id).await;
    assert!(matches!(again, Err(DeskError::NotFound { .. })));
}

#[actix::test]
async fn an_entry_that_was_dropped_is_gone() {
    let (scene, alice, _) = scene().await;
    let id = scene.backend.aside(10).await.unwrap()[0].id.clone();
    scene.backend.drop_aside(&id).await.unwrap();
    scene.drain().await;
    assert!(scene.inbound(&alice).await.is_empty());
    assert!(scene.rows(keys::all_set_aside()).await.is_empty());
    for id in [id.as_str(), "", "zz", "21", "0102030405"] {
        let refused = scene.backend.drop_aside(id).await;
        assert!(matches!(refused, Err(DeskError::NotFound { .. })), "{id}");
    }
}

#[actix::test]
async fn what_does_not_read_is_never_put_back() {
    let (scene, alice, _) = scene().await;
    let mut tx = scene.store.begin(TxOptions::default());
    let prefix = keys::intake_prefix(PartitionId::of(&alice.address), 1);
    tx.set_stamped_key(&prefix, b"odd", "this is no entry");
    tx.commit().await.unwrap();
    scene.drain().await;
    let aside = scene.backend.aside(10).await.unwrap();
    let odd = aside.iter().find(|one| one.kind.is_none()).unwrap();
    assert_eq!(odd.reason, "the entry does not read");
    assert_eq!(odd.bytes, 16);
    let refused = scene.backend.requeue(&odd.id).await;
    assert!(matches!(refused, Err(DeskError::Refused { .. })));
    assert_eq!(scene.backend.aside(1).await.unwrap().len(), 1);
    assert_eq!(scene.backend.aside(10).await.unwrap().len(), 2);
}
