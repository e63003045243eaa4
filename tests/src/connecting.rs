//! Devices that ask to be connected, and administrators who answer (service §6).

use mesh_common::address::AccountAddress;
use mesh_common::assertion::{ProfileMesh, ProfileService};
use mesh_common::crypto::PublicKey;
use mesh_common::dare::Envelope;
use mesh_common::message::{Acknowledgement, ConnectionAnswer, ConnectionRequest, Nonce};
use mesh_common::protocol::{CompleteRequest, ConnectRequest, Request};
use mesh_common::udf::{self, Udf};

use crate::client::{self, Answer};
use crate::frames;
use crate::people::{Device, Person, entropy_of};
use crate::service::TestService;

/// The request of `device` to be connected to the account `address`, the same for the same `name`.
///
/// # Panics
/// If `address` is none.
#[must_use]
pub fn request(device: &Device, address: &str, name: &str) -> Envelope {
    let mut entropy = entropy_of(name);
    ConnectionRequest::make(
        &AccountAddress::parse(address).expect("tests ask for account addresses"),
        &device.profile,
        &device.keys.authentication,
        &udf::nonce(&mut entropy),
        &Nonce::draw(&mut entropy),
        None,
    )
}

/// A Connect with this message.
#[must_use]
pub fn connect(message: Envelope) -> Request {
    Request::Connect(Box::new(ConnectRequest {
        message_connection_request_client: Some(message),
        ..ConnectRequest::default()
    }))
}

/// A Complete.
#[must_use]
pub fn complete(address: &str, response_id: &Udf) -> Request {
    Request::Complete(CompleteRequest {
        service_id: Some(address.to_owned()),
        response_id: Some(response_id.to_string()),
        ..CompleteRequest::default()
    })
}

/// The keys by which a service signs what it says itself.
///
/// # Panics
/// If its profile does not verify.
#[must_use]
pub fn service_keys(service: &TestService) -> Vec<PublicKey> {
    let hello = client::hello(&mut service.connect());
    let profile = hello.enveloped_profile_service;
    let profile = ProfileService::verify(&profile.expect("a service shows its profile"));
    profile.expect("it verifies").keys().to_vec()
}

/// The acknowledgement that a Connect was answered with, checked as the device checks it.
///
/// # Panics
/// If it is none, or does not verify.
#[must_use]
#[track_caller]
pub fn acknowledged(
    answer: &Answer,
    asked: &Envelope,
    of: &Person,
    service_keys: &[PublicKey],
) -> Acknowledgement {
    let response = answer.connect();
    let mesh = response.enveloped_profile_master.as_ref();
    assert_eq!(mesh, Some(&of.profile_mesh), "the profile of the account");
    let account = response.enveloped_account_assertion.as_ref();
    assert_eq!(account, Some(&of.profile_account));
    let envelope = response
        .enveloped_connection_response
        .as_ref()
        .expect("a Connect is acknowledged");
    let mesh = ProfileMesh::verify(&of.profile_mesh).expect("profiles of tests verify");
    Acknowledgement::verify(envelope, service_keys, &mesh, Some(asked))
        .expect("the acknowledgement verifies")
        .0
}

/// The Upload of an administrator's answer to the request that was acknowledged: yes with the
/// device's entry, no without.
#[must_use]
pub fn answer(by: &Person, response_id: &Udf, accepted: Option<&Device>) -> Request {
    frames::upload("mmm_Local", vec![respond(by, response_id, accepted)])
}

/// The RespondConnection of an administrator.
#[must_use]
pub fn respond(by: &Person, response_id: &Udf, accepted: Option<&Device>) -> Envelope {
    ConnectionAnswer::make(
        response_id.as_str(),
        accepted.map(|device| device.entry.clone()),
        None,
        None,
        &by.mesh.online,
    )
}
