//! What a Connect proves, and its acknowledgement (service §6.2; decisions; X-16).

use super::exchange::authenticate;
use super::world::{ALICE, NOW, World};
use crate::address::AccountAddress;
use crate::cluster::{Evidence, SigningKeys};
use crate::dare::Envelope;
use crate::entropy::SeededEntropy;
use crate::error::ServiceError;
use crate::limits::MESSAGE_PAYLOAD_BYTES_MAX;
use crate::message::{Acknowledgement, ConnectionRequest, Nonce};
use crate::protocol::{Code, ConnectRequest, Request};
use crate::session::{Authenticated, connect_evidence, connection_account, open_request};
use crate::udf;

/// A Connect of the device of `world`, and the message in it.
fn asked(world: &World) -> (ConnectRequest, Envelope) {
    let message = ConnectionRequest::make(
        &AccountAddress::parse(ALICE).unwrap(),
        &world.profile_device,
        &world.device.authentication,
        &udf::nonce(&mut SeededEntropy::new(5)),
        &Nonce::draw(&mut SeededEntropy::new(6)),
        None,
    );
    (with(message.clone()), message)
}

fn with(message: Envelope) -> ConnectRequest {
    ConnectRequest {
        message_connection_request_client: Some(message),
        ..ConnectRequest::default()
    }
}

/// The device of `world`, as it authenticated with this request.
fn device(world: &mut World, request: &ConnectRequest) -> Authenticated {
    let session = world.session(world.as_device());
    let request = Request::Connect(Box::new(request.clone()));
    let (sealed, _) = session.request(NOW, &mut world.entropy, &request).unwrap();
    let opened = open_request(sealed, &world.hosts, &world.tickets, NOW).unwrap();
    authenticate(world, opened)
}

fn evidence(
    world: &World,
    request: &ConnectRequest,
    authenticated: Option<&Authenticated>,
    keys: Option<&SigningKeys>,
) -> Result<Evidence, ServiceError> {
    connect_evidence(
        request,
        authenticated,
        keys,
        MESSAGE_PAYLOAD_BYTES_MAX,
        &world.service.online,
        &mut SeededEntropy::new(7),
    )
}

// I-S-6.2-a, I-S-6.2-b
#[test]
fn what_verifies_is_acknowledged_by_an_online_key_of_the_service() {
    let mut world = World::new();
    let (request, message) = asked(&world);
    assert_eq!(
        connection_account(&request),
        Ok(AccountAddress::parse(ALICE).unwrap())
    );
    let authenticated = device(&mut world, &request);
    let keys = world.keys();
    let found = evidence(&world, &request, Some(&authenticated), Some(&keys));
    let Ok(Evidence::Connection(found)) = found else {
        panic!("{found:?}");
    };
    assert_eq!(found.profile_version, keys.profile_version);
    assert_eq!(
        Some(&found.device_udf),
        authenticated.caller.profile_udf.as_ref()
    );
    let online = [world.service.online.public().clone()];
    let (acknowledged, _) = Acknowledgement::verify(
        &found.acknowledgement,
        &online,
        &world.signed_mesh,
        Some(&message),
    )
    .unwrap();
    assert_eq!(acknowledged.message_id, found.message_id.to_string());
    assert_eq!(acknowledged.server_nonce.as_slice().len(), 16);
}

//
#[test]
fn for_an_account_that_is_not_here_the_same_is_checked_and_nothing_is_proved() {
    let mut world = World::new();
    let (request, message) = asked(&world);
    let authenticated = device(&mut world, &request);
    let keys = world.keys();
    let nobody = evidence(&world, &request, Some(&authenticated), None);
    assert_eq!(nobody, Ok(Evidence::Nothing));
    let mut unsigned = message;
    unsigned.trailer = None;
    for (request, code) in [
        (with(unsigned), Code::InvalidSignature),
        (ConnectRequest::default(), Code::Malformed),
    ] {
        let known = evidence(&world, &request, Some(&authenticated), Some(&keys));
        let unknown = evidence(&world, &request, Some(&authenticated), None);
        assert_eq!(known.as_ref().map_err(|error| error.code), Err(code));
        assert_eq!(known, unknown);
    }
}

#[test]
fn a_device_asks_for_itself() {
    let mut world = World::new();
    let (request, _) = asked(&world);
    let mut authenticated = device(&mut world, &request);
    authenticated.caller.profile_udf = Some(udf::nonce(&mut SeededEntropy::new(8)));
    let keys = world.keys();
    let refused = evidence(&world, &request, Some(&authenticated), Some(&keys)).unwrap_err();
    assert_eq!(refused.code, Code::InvalidProfile);
}

//
#[test]
fn nobody_needs_a_signature_where_nobody_authenticates() {
    let world = World::new();
    let (_, mut message) = asked(&world);
    message.trailer = None;
    message.header = crate::dare::Header::default();
    let keys = world.keys();
    let found = evidence(&world, &with(message), None, Some(&keys));
    assert!(matches!(found, Ok(Evidence::Connection(_))), "{found:?}");
}
