//! Refusals, hints, wrong clocks, changed keys: what the device makes of an answer.

use std::time::Duration;

use mesh_client::ClientError;
use mesh_client::service::ServiceFailure;
use mesh_common::account::testing::NOON;
use mesh_common::protocol::{Code, Transaction};

use crate::people::Scene;
use crate::service::Disturbance;

fn failure(error: &ClientError) -> &ServiceFailure {
    match error {
        ClientError::Service(failure) => failure,
        other => panic!("{other:?}"),
    }
}

// P-4.5-b, P-10.2-b
#[tokio::test]
async fn what_the_payload_says_rules_over_what_http_says() {
    let (scene, mut laptop) = Scene::with_alice().await;
    for status in [200, 404, 500, 503] {
        scene.service.disturb([Disturbance::HttpStatus(status)]);
        laptop.account_status().await.unwrap();
    }
    let mut stranger = scene.device_with_seed("stranger", 5);
    scene
        .service
        .disturb([Disturbance::HttpStatus(200), Disturbance::HttpStatus(201)]);
    let error = stranger
        .create_account(&crate::people::alice())
        .await
        .unwrap_err();
    assert_eq!(failure(&error).code(), Some(Code::AccountRegistered));
}

#[tokio::test]
async fn a_ticket_that_is_not_taken_is_replaced_by_one_exchange() {
    let (scene, mut laptop) = Scene::with_alice().await;
    scene
        .service
        .disturb([Disturbance::Hint(Code::TicketInvalid, None)]);
    laptop.account_status().await.unwrap();
    assert_eq!(scene.service.log(), [Transaction::Status]);
}

// P-4.3-b
#[tokio::test]
async fn an_altered_answer_is_not_believed() {
    let (scene, mut laptop) = Scene::with_alice().await;
    scene.service.disturb([Disturbance::Altered]);
    let error = laptop.account_status().await.unwrap_err();
    assert!(
        matches!(failure(&error), ServiceFailure::Session(_)),
        "{error:?}"
    );
    laptop.account_status().await.unwrap();
}

// P-4.3-b: what no key of the service made is a hint.
#[tokio::test]
async fn hints_are_followed_once_and_then_told_as_hints() {
    let (scene, mut laptop) = Scene::with_alice().await;
    let never = std::iter::repeat_n(Disturbance::Hint(Code::TicketInvalid, None), 2);
    scene.service.disturb(never);
    let error = laptop.account_status().await.unwrap_err();
    assert!(matches!(failure(&error), ServiceFailure::Hint { .. }));
    assert!(!error.is_refusal());
    assert!(
        error
            .to_string()
            .starts_with("something on the way to the service says no")
    );
}

#[tokio::test]
async fn a_wrong_clock_is_corrected_by_the_service_s_date() {
    let (scene, mut laptop) = Scene::with_alice().await;
    scene.clock.set(NOON - Duration::from_secs(3_600));
    laptop.account_status().await.unwrap();
    scene.clock.set(NOON + Duration::from_secs(7_200));
    laptop.account_status().await.unwrap();
}

#[tokio::test]
async fn a_new_key_of_the_same_service_is_learned_and_kept() {
    let (scene, mut laptop) = Scene::with_alice().await;
    let before = laptop.state().unwrap().service.clone().unwrap();
    scene.service.change_host_key();
    // The ticket is still good; an exchange needs the new key.
    scene
        .service
        .disturb([Disturbance::Hint(Code::TicketInvalid, None)]);
    laptop.account_status().await.unwrap();
    let after = laptop.state().unwrap().service.clone().unwrap();
    assert_eq!(before.udf, after.udf);
    assert_ne!(before.profile_service, after.profile_service);
    drop(laptop);
    let mut laptop = scene.device("laptop");
    assert_eq!(laptop.state().unwrap().service.as_ref(), Some(&after));
    laptop.account_status().await.unwrap();
}

#[tokio::test]
async fn a_busy_service_is_asked_again_when_it_says_so_and_it_is_soon() {
    let (scene, mut laptop) = Scene::with_alice().await;
    let busy = |wait| Disturbance::Hint(Code::Overload, Some(Duration::from_secs(wait)));
    scene.service.disturb([busy(0), busy(0)]);
    laptop.account_status().await.unwrap();
    scene.service.disturb([busy(600)]);
    let error = laptop.account_status().await.unwrap_err();
    assert_eq!(error.advice().as_deref(), Some("wait a while and repeat"));
    scene.service.disturb(std::iter::repeat_n(busy(0), 4));
    assert!(laptop.account_status().await.is_err());
}

#[tokio::test]
async fn the_ticket_of_one_command_serves_the_next() {
    let (scene, laptop) = Scene::with_alice().await;
    drop(laptop);
    let mut laptop = scene.device_with_seed("laptop", 12);
    laptop.account_status().await.unwrap();
    drop(laptop);
    // Without a ticket the wrong host key would be noticed.
    scene.service.change_host_key();
    let before = scene.device_with_seed("laptop", 13);
    let pinned = before.state().unwrap().service.clone();
    drop(before);
    let mut laptop = scene.device_with_seed("laptop", 14);
    laptop.account_status().await.unwrap();
    assert_eq!(laptop.state().unwrap().service, pinned);
}

#[tokio::test]
async fn a_damaged_ticket_is_thrown_away() {
    let (scene, laptop) = Scene::with_alice().await;
    drop(laptop);
    let path = scene.folder("laptop").join("session.sealed");
    let mut octets = std::fs::read(&path).unwrap();
    octets[20] ^= 1;
    std::fs::write(&path, octets).unwrap();
    let mut laptop = scene.device_with_seed("laptop", 9);
    laptop.account_status().await.unwrap();
}

#[tokio::test]
async fn what_is_no_mesh_service_is_told_as_such() {
    let (scene, mut laptop) = Scene::with_alice().await;
    scene
        .service
        .disturb([Disturbance::NotMesh("<html>Welcome</html>")]);
    let error = laptop.account_status().await.unwrap_err();
    assert!(matches!(
        failure(&error),
        ServiceFailure::NotMesh {
            http_status: 200,
            ..
        }
    ));
}
