//! What checks 1 to 6 refuse, with which code (service §4.4, decisions Q-1 and Q-25).

use serde_json::{Value, json};

use super::exchange::{authenticate, status};
use super::world::{ALICE, NOW, World};
use crate::assertion::make::{MeshKeys, ServiceKeys};
use crate::assertion::{
    Assertion, ConnectionAccount, ProfileDevice, ProfileMesh, ProfileService, Signed,
};
use crate::crypto::cipher::gcm_seal;
use crate::crypto::curve::POINT_BYTES;
use crate::crypto::derive::{hkdf512_expand, hkdf512_extract};
use crate::crypto::digest::sha512;
use crate::crypto::{Curve, KeyData, PublicKey, SecretKey};
use crate::dare::{Envelope, Header};
use crate::encoding::base64url::{self, Binary};
use crate::encoding::json as mesh_json;
use crate::error::ServiceError;
use crate::limits::{CLOCK_SKEW_MAX, SESSION_BYTES_MAX};
use crate::protocol::{Code, HelloRequest, Request};
use crate::session::client::ClientIdentity;
use crate::session::evidence::signing_keys;
use crate::session::sealer::sealed;
use crate::session::{HostKeys, Opened, open_request};
use crate::time::Timestamp;

/// A good exchange request as `client`.
fn request_as(world: &mut World, client: ClientIdentity) -> Envelope {
    let session = world.session(client);
    let mut entropy = world.entropy.clone();
    let (envelope, _) = session.request(NOW, &mut entropy, &status()).unwrap();
    world.entropy = entropy;
    envelope
}

/// The code with which `envelope` is refused, up to check 6; `None` if it is not.
fn refusal_at(world: &World, envelope: Envelope, now: Timestamp) -> Option<Code> {
    fn verified(world: &World, opened: Opened) -> Result<(), ServiceError> {
        match opened {
            Opened::Ticket(_) => Ok(()),
            Opened::Exchange(exchange) => match exchange.mode() {
                crate::session::Mode::Profile => exchange.verify_by(Some(&world.keys())),
                _ => exchange.verify_alone(),
            }
            .map(drop),
        }
    }
    open_request(envelope, &world.hosts, &world.tickets, now)
        .and_then(|opened| verified(world, opened))
        .err()
        .map(|error| error.code)
}

fn refusal(world: &World, envelope: Envelope) -> Option<Code> {
    refusal_at(world, envelope, NOW)
}

/// `envelope` with its session changed as JSON; the cipher text stays.
fn with_session(mut envelope: Envelope, change: impl FnOnce(&mut Value)) -> Envelope {
    let octets = envelope.header.session.as_ref().unwrap().as_slice();
    let mut session: Value = mesh_json::parse(octets).unwrap();
    change(
        session
            .as_object_mut()
            .unwrap()
            .values_mut()
            .next()
            .unwrap(),
    );
    envelope.header.session = Some(Binary(mesh_json::write(&session)));
    envelope
}

#[test]
fn a_good_request_is_not_refused() {
    let mut world = World::new();
    for client in [
        world.as_device(),
        world.as_connected(),
        world.as_connected_to_mesh(),
    ] {
        let envelope = request_as(&mut world, client);
        assert_eq!(refusal(&world, envelope), None);
    }
}

// X-20
#[test]
fn every_bit_of_a_session_is_authenticated() {
    let mut world = World::new();
    let client = world.as_connected();
    let envelope = request_as(&mut world, client);
    let octets = envelope.header.session.clone().unwrap().0;
    for position in 0..octets.len() {
        let mut changed = envelope.clone();
        let session = &mut changed.header.session.as_mut().unwrap().0;
        session[position] ^= 1 << (position % 7);
        assert!(refusal(&world, changed).is_some(), "octet {position}");
    }
    for position in 0..envelope.payload.0.len() {
        let mut changed = envelope.clone();
        changed.payload.0[position] ^= 1 << (position % 8);
        assert_eq!(
            refusal(&world, changed),
            Some(Code::AuthenticationFailed),
            "payload octet {position}"
        );
    }
}

// X-20
#[test]
fn every_bit_of_a_ticket_request_is_authenticated() {
    let mut world = World::new();
    let ticket = super::tickets::ticket_of(&mut world);
    let client = world.as_connected();
    let session = world.session(client).with_ticket(Some(ticket));
    let mut entropy = world.entropy.clone();
    let (envelope, _) = session.request(NOW, &mut entropy, &status()).unwrap();
    assert_eq!(refusal(&world, envelope.clone()), None);
    let bits = |octets: &[u8]| 8 * octets.len();
    let session_bits = bits(envelope.header.session.as_ref().unwrap().as_slice());
    for bit in 0..session_bits {
        let mut changed = envelope.clone();
        changed.header.session.as_mut().unwrap().0[bit / 8] ^= 1 << (bit % 8);
        assert!(refusal(&world, changed).is_some(), "session bit {bit}");
    }
    for bit in 0..256 {
        let mut changed = envelope.clone();
        changed.header.salt.as_mut().unwrap().0[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(
            refusal(&world, changed),
            Some(Code::AuthenticationFailed),
            "salt bit {bit}"
        );
    }
}

/// Seals a request with any octets as E_c, as a client would to whom es is `es`.
fn sealed_with_ephemeral(world: &World, ephemeral: &[u8], es: &[u8]) -> Envelope {
    let host = &world.service.authentication;
    let client = &world.device.authentication;
    let ss = client.agree_cofactor(host.public()).unwrap();
    let t1 = sha512(&[
        b"mmm-kx-1 request",
        host.public().octets(),
        client.public().octets(),
        ephemeral,
    ]);
    let prk = hkdf512_extract(&t1, &[es, &ss].concat());
    let session = mesh_json::write(&json!({"SessionExchange": {
        "Version": "mmm-kx-1",
        "Mode": "Device",
        "HostKey": host.udf(),
        "Account": ALICE,
        "Time": NOW.to_text_millis(),
        "RequestID": base64url::encode(&[5; 16]),
        "Ephemeral": base64url::encode(ephemeral),
        "Credential": {"EnvelopedProfileDevice": world.profile_device},
    }}));
    let payload = gcm_seal(
        &hkdf512_expand(&prk, b"ClientToServerEncrypt"),
        &hkdf512_expand(&prk, b"ClientToServerNonce"),
        &session,
        br#"{"Hello":{}}"#,
    );
    sealed(None, session, payload)
}

// X-20
#[test]
fn points_that_are_none_or_of_low_order_are_refused() {
    let world = World::new();
    let good = SecretKey::from_seed(&[9; 57]).unwrap();
    let es = good
        .agree_cofactor(world.service.authentication.public())
        .unwrap();
    let octets = good.public().octets().to_vec();
    assert_eq!(
        refusal(&world, sealed_with_ephemeral(&world, &octets, &es)),
        None
    );
    let mut identity = vec![0; POINT_BYTES];
    identity[0] = 1;
    // p = 2^448 - 2^224 - 1, little endian.
    let mut prime = vec![0xff; POINT_BYTES];
    prime[28] = 0xfe;
    prime[56] = 0;
    let mut order_two = prime.clone();
    order_two[0] = 0xfe;
    let mut order_four = vec![0; POINT_BYTES];
    let mut other_order_four = order_four.clone();
    other_order_four[56] = 0x80;
    let mut non_canonical_identity = prime.clone();
    non_canonical_identity[..29].fill(0);
    non_canonical_identity[28] = 0xff;
    let mut stray_bits = octets.clone();
    stray_bits[56] |= 0x01;
    let mut off_curve = order_four.split_off(0);
    off_curve[0] = 2;
    let order_four = vec![0; POINT_BYTES];
    for (name, point) in [
        ("identity", identity.clone()),
        ("order 2", order_two),
        ("order 4", order_four),
        ("order 4, other sign", other_order_four),
        ("y = p", prime),
        ("identity as p + 1", non_canonical_identity),
        ("stray bits", stray_bits),
        ("off the curve", off_curve),
        ("56 octets", octets[..56].to_vec()),
        ("58 octets", [&octets[..], &[0]].concat()),
        ("nothing", Vec::new()),
    ] {
        // To whoever accepted a point of low order, es would be the identity.
        let envelope = sealed_with_ephemeral(&world, &point, &identity);
        assert_eq!(
            refusal(&world, envelope),
            Some(Code::AuthenticationFailed),
            "{name}"
        );
    }
}

// X-20
#[test]
fn a_host_key_that_is_not_ours_or_not_any_more_is_refused() {
    let mut world = World::new();
    let client = world.as_device();
    let envelope = request_as(&mut world, client);
    let new_key = SecretKey::from_seed(&[8; 57]).unwrap();
    let replaced_at = NOW - crate::limits::HOST_KEY_GRACE;
    let udf = world.service.offline.udf();
    world.hosts = HostKeys::new(udf.clone(), new_key.clone()).unwrap();
    assert_eq!(
        refusal(&world, envelope.clone()),
        Some(Code::HostKeyUnknown)
    );
    let previous = world.service.authentication.clone();
    let in_grace = HostKeys::new(udf, new_key).unwrap();
    world.hosts = in_grace
        .clone()
        .with_previous(
            previous.clone(),
            replaced_at + std::time::Duration::from_millis(1),
        )
        .unwrap();
    assert_eq!(refusal(&world, envelope.clone()), None);
    world.hosts = in_grace.with_previous(previous, replaced_at).unwrap();
    assert_eq!(refusal(&world, envelope), Some(Code::HostKeyUnknown));
}

// Decision Q-38
#[test]
fn the_clock_window_includes_both_ends() {
    let mut world = World::new();
    let client = world.as_device();
    let envelope = request_as(&mut world, client);
    let second = std::time::Duration::from_secs(1);
    for (now, expected) in [
        (NOW - CLOCK_SKEW_MAX - second, Some(Code::ClockSkew)),
        (NOW - CLOCK_SKEW_MAX, None),
        (NOW + CLOCK_SKEW_MAX, None),
        (NOW + CLOCK_SKEW_MAX + second, Some(Code::ClockSkew)),
    ] {
        assert_eq!(refusal_at(&world, envelope.clone(), now), expected, "{now}");
    }
}

#[test]
fn a_misshapen_session_is_malformed() {
    let mut world = World::new();
    let client = world.as_device();
    let envelope = request_as(&mut world, client);
    let short = base64url::encode(&[1; 15]);
    let long = base64url::encode(&[1; 17]);
    for (member, value) in [
        ("RequestID", json!(short)),
        ("RequestID", json!(long)),
        ("RequestID", Value::Null),
        ("Version", json!("mmm-kx-2")),
        ("Mode", json!("Null")),
        ("Time", json!("2020-03-10T12:00:00+01:00")),
        ("Credential", json!({})),
        (
            "Credential",
            json!({"EnvelopedConnectionAccount": [{}, ""]}),
        ),
    ] {
        let changed = with_session(envelope.clone(), |form| form[member] = value.clone());
        assert_eq!(
            refusal(&world, changed),
            Some(Code::Malformed),
            "{member}: {value}"
        );
    }
    let mut response = envelope.clone();
    response.header.session = Some(Binary(
        br#"{"SessionResponse":{"Version":"mmm-kx-1","RequestID":"AQEBAQEBAQEBAQEBAQEBAQ"}}"#
            .to_vec(),
    ));
    assert_eq!(refusal(&world, response), Some(Code::Malformed));
    let mut large = envelope.clone();
    large.header.session = Some(Binary(vec![b' '; SESSION_BYTES_MAX + 1]));
    assert_eq!(refusal(&world, large), Some(Code::TooLarge));
    for enc in [None, Some("none"), Some("A256CBC")] {
        let mut other = envelope.clone();
        other.header.enc = enc.map(Into::into);
        assert_eq!(refusal(&world, other), Some(Code::Encoding), "{enc:?}");
    }
}

// Decision Q-25
#[test]
fn an_undecodable_client_key_fails_and_an_x448_key_is_named() {
    let mut world = World::new();
    let client = world.as_device();
    let envelope = request_as(&mut world, client);
    let with_key = |key: Value| {
        let mut profile = ProfileDevice::from_envelope(&world.profile_device).unwrap();
        profile.key_authentication = serde_json::from_value(key).unwrap();
        let signed = Envelope::signed(
            profile.to_json(),
            Header::default(),
            &[&world.device.signature],
        );
        with_session(envelope.clone(), |form| {
            form["Credential"]["EnvelopedProfileDevice"] = json!(signed);
        })
    };
    let mut octets = [5; POINT_BYTES];
    octets[56] = 0x80;
    let x448 = PublicKey::from_octets(Curve::X448, &octets).unwrap();
    assert_eq!(
        refusal(&world, with_key(json!(KeyData::of(&x448)))),
        Some(Code::InvalidProfile)
    );
    let mut off_curve = [0; POINT_BYTES];
    off_curve[0] = 2;
    let parameters = json!({"PublicParameters": {"PublicKeyECDH": {
        "crv": "Ed448", "Public": base64url::encode(&off_curve)}}});
    for key in [parameters, json!({}), Value::Null] {
        assert_eq!(
            refusal(&world, with_key(key)),
            Some(Code::AuthenticationFailed)
        );
    }
}

// Decisions Q-1 and Q-56
#[test]
fn whoever_fails_check_six_learns_nothing() {
    let mut world = World::new();
    let client = world.as_connected();
    let envelope = request_as(&mut world, client);
    let mut entropy = world.entropy.clone();
    let stranger = MeshKeys::generate(&mut entropy).profile(NOW);
    let stranger: Signed<ProfileMesh> = ProfileMesh::verify(&stranger).unwrap();
    let mut other_account = signing_keys(&stranger, &world.signed_account);
    other_account.account_keys = other_account.mesh_keys.clone();
    let mut refusals = Vec::new();
    for keys in [None, Some(other_account)] {
        let opened = open_request(envelope.clone(), &world.hosts, &world.tickets, NOW).unwrap();
        let Opened::Exchange(opened) = opened else {
            panic!("not an exchange");
        };
        let error = opened.verify_by(keys.as_ref()).unwrap_err();
        refusals.push((error.code, error.message));
    }
    let mut unsealed = envelope;
    unsealed.payload.0[0] ^= 1;
    let error = open_request(unsealed, &world.hosts, &world.tickets, NOW).unwrap_err();
    refusals.push((error.code, error.message));
    assert!(refusals.iter().all(|refusal| refusal == &refusals[0]));
    assert_eq!(refusals[0].0, Code::AuthenticationFailed);
}

// Decision Q-42
#[test]
fn a_connection_of_another_account_is_no_credential() {
    let mut world = World::new();
    let connection = world.entry.accounts[0].enveloped_connection_account.clone();
    let client = ClientIdentity::connected_to_account(
        connection.unwrap(),
        None,
        world.in_account.authentication.clone(),
        "bob@example.com".into(),
    );
    let envelope = request_as(&mut world, client);
    assert_eq!(refusal(&world, envelope), Some(Code::AuthenticationFailed));
}

#[test]
fn a_credential_needs_the_secret_of_its_key() {
    let mut world = World::new();
    let client = ClientIdentity::device(
        world.profile_device.clone(),
        world.device.signature.clone(),
        Some(ALICE.into()),
    );
    let envelope = request_as(&mut world, client);
    assert_eq!(refusal(&world, envelope), Some(Code::AuthenticationFailed));
}

/// A Hello in Service mode.
fn as_service(
    world: &mut World,
    profile: Envelope,
    host: Option<Envelope>,
    secret: SecretKey,
    domain: &str,
) -> Option<Code> {
    let client = ClientIdentity::service(profile, host, domain.into(), secret);
    let session = world.session(client);
    let mut entropy = world.entropy.clone();
    let hello = Request::Hello(HelloRequest::default());
    let (envelope, _) = session.request(NOW, &mut entropy, &hello).unwrap();
    refusal(world, envelope)
}

// Decision Q-8
#[test]
fn a_foreign_host_cannot_speak_for_a_public_service() {
    let mut world = World::new();
    let mut entropy = world.entropy.clone();
    let victim = ServiceKeys::generate(&mut entropy);
    let attacker = ServiceKeys::generate(&mut entropy);
    let host = crate::assertion::make::HostProfileKeys::generate(&mut entropy);
    let public = victim.profile(NOW);
    let foreign = host.profile(&attacker.offline);
    let own = host.profile(&victim.offline);
    let failed = Some(Code::AuthenticationFailed);
    let mut knock = |profile: &Envelope, host_profile: &Envelope, secret: &SecretKey| {
        as_service(
            &mut world,
            profile.clone(),
            Some(host_profile.clone()),
            secret.clone(),
            "example.net",
        )
    };
    assert_eq!(knock(&public, &own, &victim.authentication), None);
    // The host's key does not count where the service has one.
    assert_eq!(knock(&public, &foreign, &host.authentication), failed);
    assert_eq!(knock(&public, &own, &host.authentication), failed);
    // Where it has none, the host has to be countersigned.
    let mut without_key = ProfileService::from_envelope(&public).unwrap();
    without_key.key_authentication = None;
    let without_key =
        Envelope::signed(without_key.to_json(), Header::default(), &[&victim.offline]);
    assert_eq!(knock(&without_key, &foreign, &host.authentication), failed);
    assert_eq!(knock(&without_key, &own, &host.authentication), None);
}

// Decision Q-52
#[test]
fn a_service_says_its_domain_and_when_its_profile_was_updated() {
    let mut world = World::new();
    let (profile, secret) = (
        world.profile_service.clone(),
        world.service.authentication.clone(),
    );
    let failed = Some(Code::AuthenticationFailed);
    let good = as_service(
        &mut world,
        profile.clone(),
        None,
        secret.clone(),
        "example.net",
    );
    assert_eq!(good, None);
    let bad_domain = as_service(&mut world, profile.clone(), None, secret.clone(), "a b");
    assert_eq!(bad_domain, failed);
    let mut undated = ProfileService::from_envelope(&profile).unwrap();
    undated.updated = None;
    let undated = Envelope::signed(
        undated.to_json(),
        Header::default(),
        &[&world.service.offline],
    );
    assert_eq!(
        as_service(&mut world, undated, None, secret, "example.net"),
        failed
    );
}

#[test]
fn an_address_that_is_none_is_noticed_behind_the_seal() {
    let mut world = World::new();
    let client = ClientIdentity::device(
        world.profile_device.clone(),
        world.device.authentication.clone(),
        Some("no address".into()),
    );
    let envelope = request_as(&mut world, client);
    let opened = open_request(envelope, &world.hosts, &world.tickets, NOW).unwrap();
    let authenticated = authenticate(&world, opened);
    assert!(!authenticated.account_is_readable);
    assert_eq!(authenticated.caller.account, None);
    let error = crate::session::account_for(&authenticated, &status()).unwrap_err();
    assert_eq!(error.code, Code::NotAuthorized);
}

// Decision Q-56: the keys that stand in for those of no account vouch for nobody.
#[test]
fn a_connection_by_its_own_key_is_no_account() {
    let mut world = World::new();
    let key = world.in_account.authentication.clone();
    let connection = world.entry.accounts[0].enveloped_connection_account.clone();
    let mut connection = ConnectionAccount::from_envelope(&connection.unwrap()).unwrap();
    connection.authority_udf = Some(key.udf().to_string());
    let forged = Envelope::signed(connection.to_json(), Header::default(), &[&key]);
    let client = ClientIdentity::connected_to_account(forged, None, key, ALICE.into());
    let envelope = request_as(&mut world, client);
    for keys in [None, Some(world.keys())] {
        let opened = open_request(envelope.clone(), &world.hosts, &world.tickets, NOW).unwrap();
        let Opened::Exchange(opened) = opened else {
            panic!("not an exchange");
        };
        let error = opened.verify_by(keys.as_ref()).unwrap_err();
        assert_eq!(error.code, Code::AuthenticationFailed);
    }
}
