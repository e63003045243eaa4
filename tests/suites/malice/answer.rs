//! An administrator has answered, and the service gives the device another answer (service §6.3).

use mesh_client::connect::Terms;
use mesh_common::dare::Envelope;
use mesh_common::message::ConnectionAnswer;
use mesh_common::protocol::{CompleteResponse, Outcome, Response};

use crate::device::{Mallet, ask};
use crate::people::Scene;
use crate::told::told;

/// The answer to every Complete is `answer` from now on.
fn answer_with(scene: &Scene, answer: impl Fn(&Option<Envelope>) -> Envelope + Send + 'static) {
    scene.service.lie(move |_, response| {
        if let Response::Complete(honest) = response {
            let honest = honest.signed_response.clone();
            *response = Response::Complete(Box::new(CompleteResponse {
                outcome: Outcome::ok(),
                signed_response: Some(answer(&honest)),
            }));
        }
    });
}

#[tokio::test]
async fn an_answer_to_another_device_is_found_by_the_device() {
    let (scene, mut laptop) = Scene::with_alice().await;
    let mut tablet = scene.device("tablet");
    let witness = ask(&mut tablet, "tablet").await.unwrap().witness.unwrap();
    laptop
        .accept_connection(&witness, &Terms::default())
        .await
        .unwrap();
    let (give, take) = std::sync::mpsc::sync_channel(8);
    scene.service.lie(move |_, response| {
        if let Response::Complete(honest) = response {
            let _ = give.try_send(honest.signed_response.clone().unwrap());
        }
    });
    tablet.poll_connection().await.unwrap().unwrap();
    let of_tablet = take.recv().unwrap();
    scene.service.repent();
    let mut phone = scene.device("phone");
    ask(&mut phone, "phone").await.unwrap();
    answer_with(&scene, move |_| of_tablet.clone());
    let error = phone.poll_connection().await.unwrap_err();
    told("answer/of-another-device", &error);
}

#[tokio::test]
async fn a_refusal_that_no_administrator_made_is_found_by_the_device() {
    let (scene, _laptop) = Scene::with_alice().await;
    let mut phone = scene.device("phone");
    ask(&mut phone, "phone").await.unwrap();
    let (give, take) = std::sync::mpsc::sync_channel(8);
    scene.service.lie(move |asked, _| {
        if let mesh_common::protocol::Request::Complete(asked) = asked {
            let _ = give.try_send(asked.response_id.clone().unwrap());
        }
    });
    assert_eq!(phone.poll_connection().await.unwrap(), None);
    let id = take.recv().unwrap();
    for (name, signer) in [
        ("answer/refusal-of-the-service", scene.service.online_key()),
        ("answer/refusal-of-another-mesh", Mallet::new().mesh.online),
    ] {
        let id = id.clone();
        answer_with(&scene, move |_| {
            ConnectionAnswer::make(&id, None, None, None, &signer)
        });
        let error = phone.poll_connection().await.unwrap_err();
        told(name, &error);
    }
    // It still waits for the true answer.
    scene.service.repent();
    assert_eq!(phone.poll_connection().await.unwrap(), None);
}

// I-P-8-a
#[tokio::test]
async fn an_answer_that_was_changed_on_its_way_is_found_by_the_device() {
    let (scene, mut laptop) = Scene::with_alice().await;
    let mut phone = scene.device("phone");
    let witness = ask(&mut phone, "phone").await.unwrap().witness.unwrap();
    laptop
        .accept_connection(&witness, &Terms::default())
        .await
        .unwrap();
    answer_with(&scene, |honest| {
        let honest = honest.clone().unwrap();
        let text = String::from_utf8(honest.payload.0.clone()).unwrap();
        let changed = text.replace("\"Accept\"", "\"Reject\"");
        assert_ne!(changed, text);
        let mut answer = Envelope {
            payload: changed.into_bytes().into(),
            ..honest
        };
        // Whoever changes the payload has its digest right: only the signature is out of reach.
        let digest = mesh_common::crypto::digest::sha512(&[answer.payload.as_slice()]);
        answer.header.payload_digest = None;
        if let Some(trailer) = &mut answer.trailer {
            trailer.payload_digest = Some(digest.into());
        }
        answer
    });
    let error = phone.poll_connection().await.unwrap_err();
    told("answer/changed", &error);
    scene.service.repent();
    phone.poll_connection().await.unwrap().unwrap();
}
