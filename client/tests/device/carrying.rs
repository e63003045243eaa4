//! The post, carried by hand: people with accounts, what their devices want to send, and messages that
//! were changed on their way.

use mesh_client::Client;
use mesh_client::ClientError;
use mesh_client::account::NewAccount;
use mesh_client::messages::{Direction, MessageFailure, Trust};
use mesh_common::address::AccountAddress;
use mesh_common::crypto::PublicKey;
use mesh_common::dare::{ContainerName, Envelope};
use mesh_common::encoding::json;
use mesh_common::message::{Message, RequestConfirmation, accredit, attach_chain};
use serde_json::Value;

use crate::people::Scene;
use crate::service::URL;

pub(crate) fn address(text: &str) -> AccountAddress {
    AccountAddress::parse(text).unwrap()
}

/// Somebody with an account and one device.
pub(crate) async fn person(scene: &Scene, name: &str) -> Client {
    let mut device = scene.device(name);
    let account = NewAccount {
        service_url: Some(URL.into()),
        ..NewAccount::at(address(&format!("{name}@example.com")))
    };
    device.create_account(&account).await.unwrap();
    device
}

/// What a device wants to send: a message, and what it says to itself.
pub(crate) struct Parcel {
    pub(crate) message: Option<Envelope>,
    pub(crate) own: Vec<Envelope>,
}

/// Takes everything out of a device's outbox.
pub(crate) fn collect(device: &Client) -> Vec<Parcel> {
    let path = device.folder().join("outbox.json");
    let Ok(text) = std::fs::read(&path) else {
        return Vec::new();
    };
    std::fs::remove_file(path).unwrap();
    let list: Vec<Value> = serde_json::from_slice(&text).unwrap();
    let envelopes = |value: &Value| serde_json::from_value(value.clone()).unwrap_or_default();
    list.iter()
        .map(|parcel| Parcel {
            message: serde_json::from_value(parcel["Message"].clone()).unwrap(),
            own: envelopes(&parcel["Own"]),
        })
        .collect()
}

/// Puts a message into a spool, as the service does.
pub(crate) fn put(device: &mut Client, spool: &str, envelope: Envelope) {
    let spool = device.replica(&spool.parse().unwrap()).unwrap();
    if spool.count() == 0 {
        spool
            .append(vec![mesh_client::replica::Replica::frame_zero()])
            .unwrap();
    }
    spool.append(vec![envelope]).unwrap();
}

/// Carries everything from one device to another, and gives back the messages.
pub(crate) fn carry(from: &mut Client, to: &mut Client) -> Vec<Envelope> {
    let mut carried = Vec::new();
    for parcel in collect(from) {
        for own in parcel.own {
            put(from, ContainerName::INBOUND, own);
        }
        if let Some(message) = parcel.message {
            put(from, ContainerName::OUTBOUND, message.clone());
            put(to, ContainerName::INBOUND, message.clone());
            carried.push(message);
        }
    }
    carried
}

pub(crate) fn received(device: &mut Client) -> Vec<mesh_client::messages::MessageFacts> {
    device.messages(Direction::Inbound).unwrap()
}

pub(crate) fn trust_of_last(device: &mut Client) -> (Trust, Option<String>) {
    let facts = received(device).pop().unwrap();
    let origin = facts.origin.unwrap();
    (origin.trust, origin.why)
}

/// Alice and Bob, who know each other and let each other ask for confirmations and tasks.
pub(crate) async fn friends() -> (Scene, Client, Client) {
    let scene = Scene::new();
    let mut alice = person(&scene, "alice").await;
    let mut bob = person(&scene, "bob").await;
    let allow = ["Confirm".to_owned(), "Task".to_owned()];
    alice
        .request_contact(
            &address("bob@example.com"),
            Some("the choir".into()),
            &allow,
        )
        .unwrap();
    carry(&mut alice, &mut bob);
    let id = bob.pending_contacts().unwrap().received[0].id.clone();
    bob.accept_contact(&id, &allow).unwrap();
    carry(&mut bob, &mut alice);
    let reply = alice.pending_contacts().unwrap().received[0].id.clone();
    alice.accept_contact(&reply, &allow).unwrap();
    carry(&mut alice, &mut bob);
    (scene, alice, bob)
}

/// A message by the device of `author`, encrypted to `key` if there is one.
pub(crate) fn written(author: &Client, message: &Message, key: Option<&PublicKey>) -> Envelope {
    let identity = author.identity().unwrap();
    let state = author.state().unwrap();
    let signer = &identity.in_account.signature;
    let id = message.message_id().unwrap_or("NONE").to_owned();
    let connection = &identity.enveloped_connection_account;
    let Some(key) = key else {
        let mut envelope = message.to_envelope(&id, &[]);
        accredit(
            &mut envelope,
            signer,
            connection,
            &state.profile_account,
            None,
        );
        return envelope;
    };
    let mut entropy = mesh_common::entropy::SeededEntropy::new(77);
    let mut envelope = Envelope::encrypted_and_signed(
        &json::write(message),
        message.header(&id),
        &[key],
        &[signer],
        &mut entropy,
    )
    .unwrap();
    let signer = signer.udf();
    attach_chain(
        &mut envelope,
        &signer,
        connection,
        &state.profile_account,
        None,
    );
    envelope
}

pub(crate) fn question(id: &str, sender: &str, recipient: &str) -> Message {
    Message::RequestConfirmation(RequestConfirmation {
        message_id: Some(id.into()),
        sender: Some(sender.into()),
        recipient: Some(recipient.into()),
        text: Some("Pay?".into()),
        ..RequestConfirmation::default()
    })
}

pub(crate) fn failure(error: &ClientError) -> &MessageFailure {
    match error {
        ClientError::Message(failure) => failure,
        other => panic!("{other:?}"),
    }
}
