//! Identifiers of messages, the PIN, and a device's way into an account.

use super::*;
use crate::address::AccountAddress;
use crate::assertion::make::{DeviceKeys, MeshKeys, ServiceKeys};
use crate::assertion::{Assertion, ProfileDevice, ProfileMesh, ProfileService, Signed};
use crate::entropy::SeededEntropy;
use crate::time::Timestamp;

const NOW: Timestamp = Timestamp::from_secs(1_583_841_600);

// Decision Q-26
#[test]
fn a_message_needs_one_identifier() {
    let message = Message::RequestTask(RequestTask {
        message_id: Some("NAAA".into()),
        ..RequestTask::default()
    });
    let identified = identify(&message.to_envelope("NAAA", &[])).unwrap();
    assert_eq!(identified.unique_id, "NAAA");
    assert_eq!(identified.message_type.as_deref(), Some("RequestTask"));
    let long = "N".repeat(crate::limits::UNIQUE_ID_BYTES_MAX + 1);
    for (unique_id, refusal) in [
        ("NBBB", MessageError::IdentifiersDiffer),
        ("", MessageError::Identifier),
        ("N\u{7}", MessageError::Identifier),
        (long.as_str(), MessageError::Identifier),
    ] {
        assert_eq!(identify(&message.to_envelope(unique_id, &[])), Err(refusal));
    }
    let mut bare = message.to_envelope("NAAA", &[]);
    bare.header.content_meta_data = None;
    assert_eq!(identify(&bare), Err(MessageError::NoIdentifier));
    let other = Message::OfferGroup(OfferGroup::default());
    let mut mislabelled = message.to_envelope("NAAA", &[]);
    mislabelled.header = other.header("NAAA");
    assert_eq!(identify(&mislabelled), Err(MessageError::TypeDiffers));
    // A message without a MessageID is called by its UniqueID (service §7.1).
    let unnamed = identify(&other.to_envelope("NCCC", &[])).unwrap();
    assert_eq!(unnamed.message.unwrap().message_id(), None);
    assert_eq!(unnamed.unique_id, "NCCC");
}

#[test]
fn an_encrypted_message_is_known_by_its_envelope_alone() {
    let mut envelope = Message::OfferGroup(OfferGroup::default()).to_envelope("NAAA", &[]);
    envelope.header.enc = Some("A256CBC".into());
    envelope.payload.0 = vec![1, 2, 3];
    let identified = identify(&envelope).unwrap();
    assert_eq!(identified.message_type.as_deref(), Some("OfferGroup"));
    assert_eq!(identified.message, None);
}

#[test]
fn unknown_words_and_members_are_kept() {
    let text = r#"{"MessageComplete":{"References":[{"MessageID":"N","Relationship":"Forwarded","Later":1}],"Also":[]}}"#;
    let message = Message::from_json(text.as_bytes()).unwrap();
    assert_eq!(
        message.references()[0].relationship,
        Some(Relationship::Other("Forwarded".into()))
    );
    assert_eq!(String::from_utf8(json::write(&message)).unwrap(), text);
    for text in [r#"{"Unknown":{}}"#, r#"{"OfferGroup":{},"RequestTask":{}}"#] {
        assert!(Message::from_json(text.as_bytes()).is_err(), "{text}");
    }
}

#[test]
fn a_pin_does_not_print_and_is_read_in_any_grouping() {
    let pin = Pin::draw(&mut SeededEntropy::new(1));
    assert!(pin.reveal().starts_with('N'));
    assert_eq!(format!("{pin:?}"), "Pin(…)");
    let typed = pin.reveal().to_lowercase().replace('-', " ");
    assert_eq!(Pin::parse(&typed), Ok(pin));
    assert!(Pin::parse("NA").is_err());
}

/// Everybody who takes part in connecting a device.
struct Scene {
    entropy: SeededEntropy,
    service: ServiceKeys,
    signed_service: Signed<ProfileService>,
    mesh: Signed<ProfileMesh>,
    device: DeviceKeys,
    profile: Envelope,
}

impl Scene {
    fn new() -> Self {
        let mut entropy = SeededEntropy::new(2);
        let service = ServiceKeys::generate(&mut entropy);
        let device = DeviceKeys::generate(&mut entropy);
        let mesh = MeshKeys::generate(&mut entropy).profile(NOW);
        Self {
            signed_service: ProfileService::verify(&service.profile(NOW)).unwrap(),
            mesh: ProfileMesh::verify(&mesh).unwrap(),
            profile: device.profile(None),
            entropy,
            service,
            device,
        }
    }

    fn account() -> AccountAddress {
        AccountAddress::parse("Alice@Example.com").unwrap()
    }

    fn request(&mut self, signer: &SecretKey) -> Envelope {
        ConnectionRequest::make(
            &Self::account(),
            &self.profile,
            signer,
            &crate::udf::nonce(&mut self.entropy),
            &Nonce::draw(&mut self.entropy),
            None,
        )
    }

    fn acknowledge(&mut self, request: &Envelope, signer: &SecretKey) -> Acknowledgement {
        let checked = ConnectionRequest::verify(request, false).unwrap();
        checked.acknowledge(
            request,
            self.mesh.keys().last().unwrap(),
            &crate::udf::nonce(&mut self.entropy),
            &Nonce::draw(&mut self.entropy),
            signer,
        )
    }
}

// Service §6.2
#[test]
fn a_request_to_connect_is_signed_by_its_device() {
    let mut scene = Scene::new();
    let device = scene.device.clone();
    for signer in [&device.authentication, &device.signature] {
        let request = scene.request(signer);
        let checked = ConnectionRequest::verify(&request, false).unwrap();
        assert_eq!(checked.account, Scene::account());
        assert_eq!(checked.device_key(), device.signature.public());
    }
    let by_other = scene.request(&device.encryption);
    let code = |envelope: &Envelope, unsigned_accepted| {
        ConnectionRequest::verify(envelope, unsigned_accepted)
            .map(drop)
            .map_err(|error| error.code)
    };
    assert_eq!(code(&by_other, false), Err(Code::InvalidSignature));
    // Decision Q-39
    let mut unsigned = by_other.clone();
    unsigned.trailer = None;
    assert_eq!(code(&unsigned, false), Err(Code::InvalidSignature));
    assert_eq!(code(&unsigned, true), Ok(()));
    assert_eq!(code(&by_other, true), Err(Code::InvalidSignature));
}

#[test]
fn a_request_to_connect_that_lacks_something_is_refused() {
    let mut scene = Scene::new();
    let signer = scene.device.authentication.clone();
    let good = scene.request(&signer);
    let Message::RequestConnection(good) = Message::from_envelope(&good).unwrap() else {
        panic!("not a RequestConnection");
    };
    let code = |change: fn(&mut RequestConnection)| {
        let mut request = good.clone();
        change(&mut request);
        let envelope = Message::RequestConnection(request).to_envelope("N", &[&signer]);
        ConnectionRequest::verify(&envelope, false)
            .unwrap_err()
            .code
    };
    assert_eq!(code(|it| it.service_id = None), Code::InvalidName);
    assert_eq!(
        code(|it| it.service_id = Some("alice".into())),
        Code::InvalidName
    );
    assert_eq!(code(|it| it.client_nonce = None), Code::Malformed);
    assert_eq!(
        code(|it| it.client_nonce = Some(vec![0; 15].into())),
        Code::Malformed
    );
    assert_eq!(
        code(|it| it.client_nonce = Some(vec![0; 65].into())),
        Code::Malformed
    );
    assert_eq!(
        code(|it| it.enveloped_profile_device = None),
        Code::InvalidProfile
    );
    let other = Message::OfferGroup(OfferGroup::default()).to_envelope("N", &[&signer]);
    let error = ConnectionRequest::verify(&other, false).unwrap_err();
    assert_eq!(error.code, Code::Malformed);
}

// Service §6.1 and §6.2, decision Q-7
#[test]
fn both_sides_see_one_witness_and_notice_a_changed_one() {
    let mut scene = Scene::new();
    let device = scene.device.clone();
    let request = scene.request(&device.authentication);
    let online = scene.service.online.clone();
    let made = scene.acknowledge(&request, &online);
    let other_request = scene.request(&device.authentication);
    let verify = |envelope: &Envelope, request: Option<&Envelope>| {
        let keys = scene.signed_service.keys();
        Acknowledgement::verify(envelope, keys, &scene.mesh, request)
            .map(|(acknowledgement, _)| acknowledgement)
            .map_err(|error| error.code)
    };
    assert_eq!(verify(&made.envelope, Some(&request)), Ok(made.clone()));
    assert_eq!(verify(&made.envelope, None), Ok(made.clone()));
    assert_eq!(made.response_id, response_id_2020(&made.message_id));
    assert_eq!(
        verify(&made.envelope, Some(&other_request)),
        Err(Code::InvalidProfile)
    );
    let Message::AcknowledgeConnection(message) = Message::from_envelope(&made.envelope).unwrap()
    else {
        panic!("not an acknowledgement");
    };
    for change in [
        |it: &mut AcknowledgeConnection| it.witness = Some("AAAA".into()),
        |it: &mut AcknowledgeConnection| it.server_nonce = Some(vec![0; 16].into()),
        |it: &mut AcknowledgeConnection| it.enveloped_request_connection = None,
    ] {
        let mut changed = message.clone();
        change(&mut changed);
        let envelope = Message::AcknowledgeConnection(changed).to_envelope("N", &[&online]);
        assert_eq!(verify(&envelope, None), Err(Code::InvalidProfile));
    }
    let by_stranger = message_signed_by(&message, &device.signature);
    assert_eq!(verify(&by_stranger, None), Err(Code::InvalidSignature));
}

fn message_signed_by(message: &AcknowledgeConnection, signer: &SecretKey) -> Envelope {
    Message::AcknowledgeConnection(Box::new(message.clone())).to_envelope("N", &[signer])
}

/// The answer to a request with its entry, and what the device checks it by.
fn answered(
    scene: &mut Scene,
    pin: Option<&Pin>,
) -> (Envelope, Acknowledgement, ConnectionRequest, SecretKey) {
    let keys = MeshKeys::generate(&mut scene.entropy);
    let profile_mesh = keys.profile(NOW);
    scene.mesh = ProfileMesh::verify(&profile_mesh).unwrap();
    let device = scene.device.clone();
    let request = scene.request(&device.authentication);
    let online = scene.service.online.clone();
    let acknowledgement = scene.acknowledge(&request, &online);
    let request = ConnectionRequest::verify(&request, false).unwrap();
    let witness = pin.map(|pin| Proved::of(&request, &acknowledgement).witness(pin, &scene.mesh));
    let entry = crate::assertion::CatalogedDevice {
        enveloped_profile_mesh: Some(profile_mesh),
        ..Default::default()
    };
    let response_id = acknowledgement.response_id.as_str();
    let envelope = ConnectionAnswer::make(response_id, Some(entry), witness, None, &keys.online);
    (envelope, acknowledgement, request, keys.online)
}

// X-43 and X-45, I-P-8-a: a service that makes up a mesh does not know the PIN.
#[test]
fn an_answer_proves_that_its_sender_knows_the_pin() {
    let mut scene = Scene::new();
    let pin = Pin::draw(&mut SeededEntropy::new(8));
    let other = Pin::draw(&mut SeededEntropy::new(9));
    let (envelope, acknowledgement, request, _) = answered(&mut scene, Some(&pin));
    let proved = Proved::of(&request, &acknowledgement);
    let id = &acknowledgement.response_id;
    let verify = |pin, mesh| ConnectionAnswer::verify(&envelope, id, mesh, &proved, Some(pin));
    let mesh = scene.mesh.clone();
    for mesh in [Some(&mesh), None] {
        assert!(matches!(
            verify(&pin, mesh),
            Ok(ConnectionAnswer::Accepted { .. })
        ));
        assert!(matches!(verify(&other, mesh), Err(AnswerError::Unproven)));
    }
    let (unproven, acknowledgement, request, _) = answered(&mut scene, None);
    let proved = Proved::of(&request, &acknowledgement);
    let outcome = ConnectionAnswer::verify(
        &unproven,
        &acknowledgement.response_id,
        None,
        &proved,
        Some(&pin),
    );
    assert!(matches!(outcome, Err(AnswerError::Unproven)));
}

// I-P-8-a
#[test]
fn an_answer_of_another_mesh_or_to_another_request_is_refused() {
    let mut scene = Scene::new();
    let (envelope, acknowledgement, request, online) = answered(&mut scene, None);
    let proved = Proved::of(&request, &acknowledgement);
    let id = &acknowledgement.response_id;
    let mesh = scene.mesh.clone();
    let (substituted, _, _, _) = answered(&mut scene, None);
    let other_mesh = scene.mesh.clone();
    let verify = |envelope: &Envelope, mesh| {
        ConnectionAnswer::verify(envelope, id, Some(mesh), &proved, None)
    };
    assert!(verify(&envelope, &mesh).is_ok());
    assert!(matches!(
        verify(&envelope, &other_mesh),
        Err(AnswerError::Assertion(_))
    ));
    assert!(matches!(
        verify(&substituted, &mesh),
        Err(AnswerError::OtherRequest)
    ));
    let rejection = ConnectionAnswer::make(id.as_str(), None, None, None, &online);
    assert_eq!(
        verify(&rejection, &mesh).unwrap(),
        ConnectionAnswer::Rejected
    );
    let by_stranger = ConnectionAnswer::make(
        id.as_str(),
        None,
        None,
        None,
        &scene.device.signature.clone(),
    );
    assert!(matches!(
        verify(&by_stranger, &mesh),
        Err(AnswerError::Assertion(_))
    ));
}

#[test]
fn a_profile_is_no_message() {
    let device = DeviceKeys::generate(&mut SeededEntropy::new(4)).profile(None);
    assert!(ProfileDevice::from_envelope(&device).is_ok());
    assert!(matches!(identify(&device), Err(MessageError::NoIdentifier)));
    assert!(matches!(
        Message::from_envelope(&device),
        Err(MessageError::Unreadable(_))
    ));
}
