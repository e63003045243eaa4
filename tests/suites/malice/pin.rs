//! A PIN in the hands of a service that sees everything that is made with it.

use std::time::Duration;

use mesh_client::connect::{ConnectError, NewRequest, PinStanding, Terms};
use mesh_client::{Client, ClientError};
use mesh_common::cluster::Evidence;
use mesh_common::message::{Message, Pin};
use mesh_common::protocol::{Request, Response};

use crate::device::{Mallet, acknowledge, ask, offline_key, request};
use crate::people::Scene;
use crate::told::told;

const DAY: Duration = Duration::from_secs(86_400);

async fn pin_of(administrator: &mut Client) -> Pin {
    let made = administrator.make_pin(DAY, &Terms::default()).await;
    made.unwrap().uri.pin
}

fn with(pin: &Pin, name: &str) -> NewRequest {
    NewRequest {
        pin: Some(pin.clone()),
        ..request(name)
    }
}

/// The request that the next device makes, as the service sees it.
async fn seen(
    scene: &Scene,
    device: &mut Client,
    asked: &NewRequest,
) -> mesh_common::dare::Envelope {
    let (give, take) = std::sync::mpsc::sync_channel(8);
    scene.service.lie(move |asked, _| {
        if let Request::Connect(asked) = asked {
            let request = asked.message_connection_request_client.clone();
            let _ = give.try_send(request.unwrap());
        }
    });
    device.request_connection(Some(asked)).await.unwrap();
    scene.service.repent();
    take.recv().unwrap()
}

// X-43/45
#[tokio::test]
async fn a_pin_that_was_moved_to_another_device_is_found_by_the_administrator() {
    let (scene, mut laptop) = Scene::with_alice().await;
    let pin = pin_of(&mut laptop).await;
    let before = scene.service.snapshot();
    let honest = seen(&scene, &mut scene.device("phone"), &with(&pin, "phone")).await;
    let Message::RequestConnection(honest) = Message::from_envelope(&honest).unwrap() else {
        panic!("another message");
    };
    // The phone's request disappears; Mallet's device asks with what the phone had made of the PIN.
    scene.service.restore(before);
    let theirs = Mallet::new().request(honest.pin_udf);
    let mesh = offline_key(&laptop);
    scene.service.bend(move |evidence, online| {
        if let Evidence::Connection(found) = evidence {
            found.acknowledgement = acknowledge(&theirs, &mesh, online).envelope;
        }
    });
    // Any device's Connect carries it in; that one finds out by itself.
    assert!(ask(&mut scene.device("carrier"), "carrier").await.is_err());
    scene.service.repent();
    let report = laptop.sync(None).await.unwrap();
    let found = report.devices.first().expect("a request is told of");
    assert_eq!((found.pin, found.connected), (PinStanding::Invalid, false));
    let refusal = laptop.accept_connection(&found.id, &Terms::default()).await;
    told("pin/moved", &refusal.unwrap_err());
    assert_eq!(laptop.devices().unwrap().len(), 1);
}

// X-43/45
#[tokio::test]
async fn a_pin_that_is_replayed_after_its_use_is_found_by_the_administrator() {
    let (scene, mut laptop) = Scene::with_alice().await;
    let pin = pin_of(&mut laptop).await;
    let mut phone = scene.device("phone");
    seen(&scene, &mut phone, &with(&pin, "phone")).await;
    laptop.sync(None).await.unwrap();
    phone.poll_connection().await.unwrap().unwrap();
    // Mallet knows the PIN by now: he looked over the user's shoulder.
    let mut second = scene.device("second");
    let asked = with(&pin, "second");
    second.request_connection(Some(&asked)).await.unwrap();
    let report = laptop.sync(None).await.unwrap();
    let found = report.devices.first().expect("a request is told of");
    assert_eq!((found.pin, found.connected), (PinStanding::Used, false));
    assert!(found.is_alert());
    let refusal = laptop.accept_connection(&found.id, &Terms::default()).await;
    told("pin/used-again", &refusal.unwrap_err());
    assert_eq!(laptop.devices().unwrap().len(), 2);
}

// X-43/45, I-P-8-a
#[tokio::test]
async fn a_service_that_plays_the_administrator_without_the_pin_is_found_by_the_device() {
    use mesh_common::assertion::make::{
        account_entry, cataloged_device, connect_to_account, connect_to_mesh,
    };
    use mesh_common::assertion::{ProfileAccount, ProfileDevice};
    use mesh_common::message::{ConnectionAnswer, ConnectionRequest};
    let (scene, mut laptop) = Scene::with_alice().await;
    let pin = pin_of(&mut laptop).await;
    let mut mallet = Mallet::new();
    let (mesh, account, verified) = mallet.profiles();
    let online = scene.service.online_key();
    let mut answer = None;
    scene
        .service
        .lie(move |asked, response| match (asked, response) {
            (Request::Connect(asked), Response::Connect(told)) => {
                // Everything the phone is shown is of Mallet's mesh.
                let request = asked.message_connection_request_client.as_ref().unwrap();
                let made = acknowledge(request, verified.keys().last().unwrap(), &online);
                let asked = ConnectionRequest::verify(request, false).unwrap();
                let profile = asked.request.enveloped_profile_device.unwrap();
                let device = ProfileDevice::verify(&profile).unwrap();
                let entropy = &mut mallet.entropy;
                let in_mesh =
                    connect_to_mesh(&device, verified.udf(), &mallet.mesh.online, &[], entropy)
                        .unwrap();
                let theirs = ProfileAccount::verify(&account, None).unwrap();
                let in_account =
                    connect_to_account(&device, &theirs, &mallet.account.online, &[], entropy)
                        .unwrap();
                let parts = vec![account_entry(theirs.udf(), &account, in_account)];
                let entry = cataloged_device(&profile, in_mesh, parts).unwrap();
                let id = made.response_id.to_string();
                answer = Some(ConnectionAnswer::make(
                    &id,
                    Some(entry),
                    None,
                    None,
                    &mallet.mesh.online,
                ));
                told.enveloped_connection_response = Some(made.envelope);
                told.enveloped_profile_master = Some(mesh.clone());
                told.enveloped_account_assertion = Some(account.clone());
            }
            (Request::Complete(_), response) => {
                *response = Response::Complete(Box::new(mesh_common::protocol::CompleteResponse {
                    outcome: mesh_common::protocol::Outcome::ok(),
                    signed_response: answer.clone(),
                }));
            }
            _ => {}
        });
    let mut phone = scene.device("phone");
    let asked = with(&pin, "phone");
    phone.request_connection(Some(&asked)).await.unwrap();
    let error = phone.poll_connection().await.unwrap_err();
    assert!(matches!(
        error,
        ClientError::Connect(ConnectError::Answer(_))
    ));
    told("pin/answer-without-it", &error);
}
