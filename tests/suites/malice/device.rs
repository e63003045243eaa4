//! A device asks to be connected, and the service answers with something else: another device,
//! another mesh, another witness, an acknowledgement that is not its own (service §6.2 steps 5 and 6).

use mesh_client::connect::{ConnectError, NewRequest, Requested, Terms};
use mesh_client::{Client, ClientError};
use mesh_common::assertion::make::{AccountKeys, DeviceKeys, MeshKeys};
use mesh_common::assertion::{ProfileMesh, Signed};
use mesh_common::cluster::Evidence;
use mesh_common::crypto::{PublicKey, SecretKey};
use mesh_common::dare::Envelope;
use mesh_common::entropy::SeededEntropy;
use mesh_common::message::{Acknowledgement, ConnectionRequest, Message, Nonce};
use mesh_common::protocol::{Request, Response};
use mesh_common::time::Timestamp;
use mesh_common::udf;

use crate::people::{ALICE, Scene};
use crate::service::URL;
use crate::told::told;

/// The request of somebody's device of the same name.
pub(crate) fn request(name: &str) -> NewRequest {
    NewRequest {
        service_url: Some(URL.into()),
        device: Some(name.into()),
        ..NewRequest::to(ALICE.parse().unwrap())
    }
}

pub(crate) async fn ask(device: &mut Client, name: &str) -> Result<Requested, ClientError> {
    device.request_connection(Some(&request(name))).await
}

/// Mallet, who runs the service, and has a mesh and a device of his own.
pub(crate) struct Mallet {
    pub(crate) mesh: MeshKeys,
    pub(crate) account: AccountKeys,
    pub(crate) device: DeviceKeys,
    pub(crate) entropy: SeededEntropy,
}

impl Mallet {
    pub(crate) fn new() -> Self {
        let mut entropy = SeededEntropy::new(666);
        Self {
            mesh: MeshKeys::generate(&mut entropy),
            account: AccountKeys::generate(&mut entropy),
            device: DeviceKeys::generate(&mut entropy),
            entropy,
        }
    }

    /// His mesh under Alice's address.
    pub(crate) fn profiles(&self) -> (Envelope, Envelope, Signed<ProfileMesh>) {
        let now = Timestamp::from_secs(1_583_841_600);
        let enveloped = self.mesh.profile(now);
        let mesh = ProfileMesh::verify(&enveloped).unwrap();
        let addresses = [ALICE.to_owned()];
        let account = self
            .account
            .profile(mesh.udf(), &addresses, now, &self.mesh.online);
        (enveloped, account, mesh)
    }

    /// A request of his device, in Alice's phone's name.
    pub(crate) fn request(&mut self, pin_udf: Option<String>) -> Envelope {
        ConnectionRequest::make(
            &ALICE.parse().unwrap(),
            &self.device.profile(Some("phone".into())),
            &self.device.authentication,
            &udf::nonce(&mut self.entropy),
            &Nonce::draw(&mut self.entropy),
            pin_udf,
        )
    }
}

/// The acknowledgement that a service with the key `signer` makes of `request` for `mesh`.
pub(crate) fn acknowledge(
    request: &Envelope,
    mesh: &PublicKey,
    signer: &SecretKey,
) -> Acknowledgement {
    let mut entropy = SeededEntropy::new(667);
    let asked = ConnectionRequest::verify(request, false).unwrap();
    let id = udf::nonce(&mut entropy);
    asked.acknowledge(request, mesh, &id, &Nonce::draw(&mut entropy), signer)
}

/// The request inside an acknowledgement.
pub(crate) fn request_in(acknowledgement: &Envelope) -> Envelope {
    match Message::from_envelope(acknowledgement).unwrap() {
        Message::AcknowledgeConnection(message) => message.enveloped_request_connection.unwrap(),
        other => panic!("{other:?}"),
    }
}

/// The offline key of Alice's mesh.
pub(crate) fn offline_key(client: &Client) -> PublicKey {
    client
        .identity()
        .unwrap()
        .mesh
        .keys()
        .last()
        .unwrap()
        .clone()
}

#[tokio::test]
async fn the_request_of_another_device_in_the_acknowledgement_is_found_by_the_device() {
    let (scene, laptop) = Scene::with_alice().await;
    let mut mallet = Mallet::new();
    let (theirs, mesh) = (mallet.request(None), offline_key(&laptop));
    let online = scene.service.online_key();
    scene.service.lie(move |_, response| {
        if let Response::Connect(answer) = response {
            let exchanged = acknowledge(&theirs, &mesh, &online);
            answer.enveloped_connection_response = Some(exchanged.envelope);
        }
    });
    let error = ask(&mut scene.device("phone"), "phone").await.unwrap_err();
    told("device/exchanged-request", &error);
}

// X-43/45
#[tokio::test]
async fn another_mesh_beside_the_acknowledgement_is_found_by_the_device() {
    let (scene, _laptop) = Scene::with_alice().await;
    let (mesh, account, _) = Mallet::new().profiles();
    scene.service.lie(move |_, response| {
        if let Response::Connect(answer) = response {
            answer.enveloped_profile_master = Some(mesh.clone());
            answer.enveloped_account_assertion = Some(account.clone());
        }
    });
    let error = ask(&mut scene.device("phone"), "phone").await.unwrap_err();
    told("device/exchanged-mesh", &error);
}

// I-P-8.1-a
#[tokio::test]
async fn another_mesh_in_everything_the_device_sees_gives_users_different_witnesses() {
    let (scene, mut laptop) = Scene::with_alice().await;
    let (mesh, account, verified) = Mallet::new().profiles();
    let online = scene.service.online_key();
    scene.service.lie(move |asked, response| {
        if let (Request::Connect(asked), Response::Connect(answer)) = (asked, response) {
            let request = asked.message_connection_request_client.as_ref().unwrap();
            let consistent = acknowledge(request, verified.keys().last().unwrap(), &online);
            answer.enveloped_connection_response = Some(consistent.envelope);
            answer.enveloped_profile_master = Some(mesh.clone());
            answer.enveloped_account_assertion = Some(account.clone());
        }
    });
    let shown = ask(&mut scene.device("phone"), "phone").await.unwrap();
    let shown = shown.witness.unwrap();
    scene.service.repent();
    laptop.sync(None).await.unwrap();
    let inbox = laptop.connection_requests().unwrap();
    assert_eq!(inbox.requests.len(), 1);
    assert_ne!(inbox.requests[0].witness, shown);
    let refusal = laptop.accept_connection(&shown, &Terms::default()).await;
    told("device/witness-of-another-mesh", &refusal.unwrap_err());
    assert_eq!(laptop.devices().unwrap().len(), 1);
}

#[tokio::test]
async fn another_device_in_the_place_of_the_one_at_hand_gives_users_different_witnesses() {
    let (scene, mut laptop) = Scene::with_alice().await;
    let before = scene.service.snapshot();
    let shown = ask(&mut scene.device("phone"), "phone").await.unwrap();
    // The service forgets the phone, and lets its own device ask under the same name.
    scene.service.restore(before);
    let theirs = ask(&mut scene.device("mallet"), "phone").await.unwrap();
    assert_ne!(shown.witness, theirs.witness);
    laptop.sync(None).await.unwrap();
    let inbox = laptop.connection_requests().unwrap();
    assert_eq!(inbox.requests.len(), 1);
    assert_eq!(inbox.requests[0].device.as_deref(), Some("phone"));
    let shown = shown.witness.unwrap();
    let refusal = laptop.accept_connection(&shown, &Terms::default()).await;
    told("device/exchanged-device", &refusal.unwrap_err());
    assert_eq!(laptop.devices().unwrap().len(), 1);
}

/// Bends every acknowledgement into what `make` makes of the request in it.
fn bend_acknowledgement(
    scene: &Scene,
    mut make: impl FnMut(Envelope, &SecretKey) -> Envelope + Send + 'static,
) {
    scene.service.bend(move |evidence, online| {
        if let Evidence::Connection(found) = evidence {
            let request = request_in(&found.acknowledgement);
            found.acknowledgement = make(request, online);
        }
    });
}

#[tokio::test]
async fn a_witness_that_is_not_the_requests_is_found_by_both_sides() {
    let (scene, mut laptop) = Scene::with_alice().await;
    bend_acknowledgement(&scene, |request, online| {
        // The witness of another mesh, with everything else as it should be.
        let (_, _, mesh) = Mallet::new().profiles();
        acknowledge(&request, mesh.keys().last().unwrap(), online).envelope
    });
    let error = ask(&mut scene.device("phone"), "phone").await.unwrap_err();
    told("device/exchanged-witness", &error);
    laptop.sync(None).await.unwrap();
    let inbox = laptop.connection_requests().unwrap();
    assert!(inbox.requests.is_empty());
    assert_eq!(inbox.refused.len(), 1, "{inbox:?}");
}

// I-P-8-a
#[tokio::test]
async fn an_acknowledgement_of_somebody_else_is_found_by_both_sides() {
    let (scene, mut laptop) = Scene::with_alice().await;
    let mesh = offline_key(&laptop);
    bend_acknowledgement(&scene, move |request, _| {
        acknowledge(&request, &mesh, &Mallet::new().mesh.online).envelope
    });
    let error = ask(&mut scene.device("phone"), "phone").await.unwrap_err();
    assert!(matches!(
        error,
        ClientError::Connect(ConnectError::Acknowledgement(_))
    ));
    told("device/acknowledgement-of-somebody-else", &error);
    laptop.sync(None).await.unwrap();
    let inbox = laptop.connection_requests().unwrap();
    assert!(inbox.requests.is_empty());
    assert_eq!(inbox.refused.len(), 1, "{inbox:?}");
}
