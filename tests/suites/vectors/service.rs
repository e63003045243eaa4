//! `service-vectors.json`: signed profiles, Hello, CreateAccount, Connect, the witness, the PIN, one
//! key exchange and one ticket request, all of them octet by octet (service §2 to §6).

mod sessions;

use std::collections::BTreeMap;

use mesh_common::address::AccountAddress;
use mesh_common::assertion::{
    Assertion, Authority, ProfileAccount, ProfileDevice, ProfileHost, ProfileMesh, ProfileService,
};
use mesh_common::crypto::derive::hmac512;
use mesh_common::crypto::digest::sha512;
use mesh_common::crypto::{KeyData, PublicKey, SecretKey};
use mesh_common::dare::{ContentMeta, Envelope, Header};
use mesh_common::encoding::base64url::Binary;
use mesh_common::encoding::{base32, json};
use mesh_common::message::{
    ConnectionRequest, Message, Nonce, Pin, RequestConnection, envelope_id_later, response_id_2020,
    response_id_later, witness,
};
use mesh_common::protocol::{
    ConnectRequest, ConnectResponse, CreateRequest, CreateResponse, Encoding, HelloRequest,
    HelloResponse, Outcome, Request, Response, Version,
};
use mesh_common::session::client::ServiceIdentity;
use mesh_common::session::{Leniency, create_evidence};
use mesh_common::udf::Udf;
use serde::Deserialize;
use serde_json::Value;

use self::sessions::{ExchangeCase, TicketCase};
use crate::count::Tally;
use crate::json_of;

/// The account of all examples.
const ALICE: &str = "alice@example.com";

// X-43/45
#[test]
fn every_entry_of_the_file_holds() {
    let mut tally = Tally::of(json_of("service-vectors.json"));
    tally.whole("/Note", |note: String| assert!(note.contains("test-only")));
    tally.whole("/DraftCheck", DraftKey::check);
    tally.whole("/DraftCheckWitness", DraftWitness::check);
    let mut keys = BTreeMap::new();
    tally.whole("/Keys", |cases: BTreeMap<String, KeyCase>| {
        keys = cases
            .into_iter()
            .map(|(name, case)| (name, case.checked()))
            .collect();
    });
    let world = World::of(keys);
    tally.whole("/Envelopes", |made: BTreeMap<String, Value>| {
        world.check_envelopes(made);
    });
    tally.whole("/Hello", |case: RoundCase| world.check_hello(case));
    tally.whole("/CreateAccount", |case: RoundCase| world.check_create(case));
    tally.whole("/Witness", |case: WitnessCase| world.check_witness(case));
    tally.whole("/ResponseID", ResponseIdCase::check);
    tally.whole("/Connect", |case: RoundCase| world.check_connect(case));
    tally.whole("/PIN", |case: PinCase| world.check_pin(case));
    tally.whole("/KeyExchange", |case: ExchangeCase| {
        world.check_exchange(case)
    });
    tally.whole("/Ticket", TicketCase::check);
    assert_eq!(tally.finish(), 165);
}

pub(crate) fn hex(text: &str) -> Vec<u8> {
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).expect("the file has hex here"))
        .collect()
}

/// What `value` is as the JSON that we write.
pub(crate) fn text_of(value: &Value) -> String {
    serde_json::to_string(value).unwrap()
}

pub(crate) fn written<T: serde::Serialize>(value: &T) -> String {
    String::from_utf8(json::write(value)).unwrap()
}

pub(crate) fn envelope_of(value: &Value) -> Envelope {
    serde_json::from_value(value.clone()).unwrap()
}

// ---- Keys and fingerprints ----

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct DraftKey {
    source: String,
    public: Binary,
    #[serde(rename = "SubjectPublicKeyInfoDER")]
    der: String,
    #[serde(rename = "UDF")]
    udf: String,
}

impl DraftKey {
    fn check(self) {
        assert!(self.source.contains("protocol-05"));
        let key = PublicKey::ed448(self.public.as_slice()).unwrap();
        assert_eq!(mesh_common::udf::digest::key_info(&key), hex(&self.der));
        assert_eq!(key.udf().as_str(), self.udf);
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct DraftWitness {
    source: String,
    #[serde(rename = "MeshUDFBytes")]
    mesh: String,
    #[serde(rename = "DeviceUDFBytes")]
    device: String,
    server_nonce: Binary,
    client_nonce: Binary,
    witness: String,
}

impl DraftWitness {
    /// The published fingerprints are of another revision's keys, so the formula is checked on its
    /// own; that `witness` computes it is checked by the entry `Witness`.
    fn check(self) {
        assert!(self.source.contains("protocol-09"));
        let mesh = sha512(&[&hex(&self.mesh), self.server_nonce.as_slice()]);
        let device = sha512(&[&hex(&self.device), self.client_nonce.as_slice()]);
        assert_eq!(
            base32::present(&sha512(&[&mesh, &device]), 140),
            self.witness
        );
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct KeyCase {
    seed: String,
    public: Binary,
    #[serde(rename = "UDF")]
    udf: String,
}

impl KeyCase {
    fn checked(self) -> SecretKey {
        let key = SecretKey::from_seed(&hex(&self.seed)).unwrap();
        assert_eq!(key.public().octets(), self.public.as_slice());
        assert_eq!(key.udf().as_str(), self.udf);
        key
    }
}

// ---- Profiles and transactions ----

/// The keys of the file, and the profiles made of them.
struct World {
    keys: BTreeMap<String, SecretKey>,
    service: Envelope,
    host: Envelope,
    mesh: Envelope,
    account: Envelope,
    device: Envelope,
}

/// One transaction.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct RoundCase {
    request: Value,
    response: Value,
}

impl World {
    fn of(keys: BTreeMap<String, SecretKey>) -> Self {
        let data = |name: &str| Some(KeyData::of(keys[name].public()));
        let service = ProfileService {
            key_offline_signature: data("ServiceSign"),
            key_authentication: data("ServiceAuth"),
            ..ProfileService::default()
        };
        let host = ProfileHost {
            key_offline_signature: data("HostSign"),
            key_authentication: data("HostAuth"),
            ..ProfileHost::default()
        };
        let mesh = ProfileMesh {
            key_offline_signature: data("MeshOffline"),
            keys_online_signature: data("MeshOnline").into_iter().collect(),
            key_encryption: data("MeshEncrypt"),
            ..ProfileMesh::default()
        };
        let account = ProfileAccount {
            key_offline_signature: data("AccountOffline"),
            keys_online_signature: data("AccountOnline").into_iter().collect(),
            service_ids: vec![ALICE.into()],
            mesh_profile_udf: Some(keys["MeshOffline"].udf().to_string()),
            key_encryption: data("AccountEncrypt"),
            ..ProfileAccount::default()
        };
        let device = ProfileDevice {
            key_offline_signature: data("DeviceSign"),
            key_encryption: data("DeviceEncrypt"),
            key_authentication: data("DeviceAuth"),
            ..ProfileDevice::default()
        };
        let signed = |payload: Vec<u8>, signers: &[&str]| {
            let signers: Vec<&SecretKey> = signers.iter().map(|name| &keys[*name]).collect();
            Envelope::signed(payload, Header::default(), &signers)
        };
        Self {
            service: signed(service.to_json(), &["ServiceSign"]),
            host: signed(host.to_json(), &["HostSign", "ServiceSign"]),
            mesh: signed(mesh.to_json(), &["MeshOffline"]),
            account: signed(account.to_json(), &["AccountOffline", "MeshOnline"]),
            device: signed(device.to_json(), &["DeviceSign"]),
            keys,
        }
    }

    fn check_envelopes(&self, mut made: BTreeMap<String, Value>) {
        let mut take = |name: &str| made.remove(name).unwrap();
        let service = ProfileService::verify(&self.service).unwrap();
        assert_eq!(
            written(&self.service),
            text_of(&take("EnvelopedProfileService"))
        );
        assert!(ProfileHost::verify(&self.host, &service).is_ok());
        assert_eq!(written(&self.host), text_of(&take("EnvelopedProfileHost")));
        let mesh = ProfileMesh::verify(&self.mesh).unwrap();
        assert_eq!(written(&self.mesh), text_of(&take("SignedProfileMesh")));
        let mesh = Authority::from(&mesh);
        assert!(ProfileAccount::verify(&self.account, Some(&mesh)).is_ok());
        assert!(ProfileAccount::verify(&self.account, None).is_ok());
        assert_eq!(
            written(&self.account),
            text_of(&take("SignedAssertionAccount"))
        );
        assert!(ProfileDevice::verify(&self.device).is_ok());
        assert_eq!(
            written(&self.device),
            text_of(&take("EnvelopedProfileDevice"))
        );
        assert!(made.is_empty());
    }

    fn check_hello(&self, case: RoundCase) {
        let request = Request::Hello(HelloRequest::default());
        assert_eq!(written(&request), text_of(&case.request));
        let hello = HelloResponse {
            outcome: Outcome {
                status: Some(201),
                ..Outcome::default()
            },
            version: Some(Version {
                major: 3,
                minor: 0,
                encodings: vec![Encoding {
                    id: vec!["application/json".into()],
                    ..Encoding::default()
                }],
                ..Version::default()
            }),
            enveloped_profile_service: Some(self.service.clone()),
            enveloped_profile_host: Some(self.host.clone()),
            ..HelloResponse::default()
        };
        let identity = ServiceIdentity::from_hello(&hello).unwrap();
        assert_eq!(identity.service_udf, self.keys["ServiceSign"].udf());
        assert_eq!(&identity.host_key, self.keys["ServiceAuth"].public());
        let response = Response::Hello(Box::new(hello));
        assert_eq!(written(&response), text_of(&case.response));
    }

    fn check_create(&self, case: RoundCase) {
        let create = CreateRequest {
            service_id: Some(ALICE.into()),
            signed_profile_mesh: Some(self.mesh.clone()),
            signed_assertion_account: Some(self.account.clone()),
            ..CreateRequest::default()
        };
        let evidence = create_evidence(&create, None, Leniency::default()).unwrap();
        assert_eq!(evidence.keys.mesh_udf, self.keys["MeshOffline"].udf());
        assert_eq!(evidence.keys.account_udf, self.keys["AccountOffline"].udf());
        let request = Request::CreateAccount(Box::new(create));
        assert_eq!(written(&request), text_of(&case.request));
        let response = Response::CreateAccount(CreateResponse {
            outcome: Outcome::ok(),
            ..CreateResponse::default()
        });
        assert_eq!(written(&response), text_of(&case.response));
    }

    fn check_connect(&self, case: RoundCase) {
        let message = Message::RequestConnection(Box::new(RequestConnection {
            service_id: Some(ALICE.into()),
            enveloped_profile_device: Some(self.device.clone()),
            client_nonce: Some(Binary((0..16).collect())),
            ..RequestConnection::default()
        }));
        let header = Header::default().with_content_meta(&ContentMeta {
            message_type: Some("RequestConnection".into()),
            ..ContentMeta::default()
        });
        let envelope = Envelope::signed(json::write(&message), header, &[&self.keys["DeviceAuth"]]);
        let request = Request::Connect(Box::new(ConnectRequest {
            message_connection_request_client: Some(envelope.clone()),
            ..ConnectRequest::default()
        }));
        assert_eq!(written(&request), text_of(&case.request));
        let checked = ConnectionRequest::verify(&envelope, false).unwrap();
        let message_id = Udf::parse("NATF-KI7C-IACY-D6N7-V6QV-IDTL-Q266").unwrap();
        let acknowledgement = checked.acknowledge(
            &envelope,
            self.keys["MeshOffline"].public(),
            &message_id,
            &Nonce::from_octets(&(16..32).collect::<Vec<u8>>()).unwrap(),
            &self.keys["ServiceSign"],
        );
        let response = Response::Connect(Box::new(ConnectResponse {
            outcome: Outcome::ok(),
            enveloped_connection_response: Some(acknowledgement.envelope),
            enveloped_profile_master: Some(self.mesh.clone()),
            enveloped_account_assertion: Some(self.account.clone()),
        }));
        assert_eq!(written(&response), text_of(&case.response));
    }
}

// ---- Witness, identifiers, PIN ----

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct WitnessCase {
    #[serde(rename = "MeshUDFBytes")]
    mesh: String,
    #[serde(rename = "DeviceUDFBytes")]
    device: String,
    client_nonce: Binary,
    server_nonce: Binary,
    inner_mesh: String,
    inner_device: String,
    witness: String,
}

impl World {
    fn check_witness(&self, case: WitnessCase) {
        let mesh = self.keys["MeshOffline"].public();
        let device = self.keys["DeviceSign"].public();
        let (server_nonce, client_nonce) =
            (case.server_nonce.as_slice(), case.client_nonce.as_slice());
        assert_eq!(mesh.udf_binary(), hex(&case.mesh).as_slice());
        assert_eq!(device.udf_binary(), hex(&case.device).as_slice());
        assert_eq!(
            sha512(&[&mesh.udf_binary(), server_nonce]),
            hex(&case.inner_mesh).as_slice()
        );
        assert_eq!(
            sha512(&[&device.udf_binary(), client_nonce]),
            hex(&case.inner_device).as_slice()
        );
        assert_eq!(
            witness(mesh, server_nonce, device, client_nonce),
            case.witness
        );
    }

    fn check_pin(&self, case: PinCase) {
        let pin = Pin::parse(&case.pin).unwrap();
        let account = AccountAddress::parse(&case.account).unwrap();
        let mesh = self.keys["MeshOffline"].public();
        let device = self.keys["DeviceSign"].public();
        assert_eq!(base32::read(pin.reveal())[1..], hex(&case.pin_octets));
        assert_eq!(device.udf_binary(), hex(&case.device).as_slice());
        assert_eq!(mesh.udf_binary(), hex(&case.mesh).as_slice());
        let (server_nonce, client_nonce) =
            (case.server_nonce.as_slice(), case.client_nonce.as_slice());
        assert_eq!(
            pin.request_udf(&account, client_nonce, device),
            case.request_pin_udf
        );
        assert_eq!(
            pin.respond_witness(&account, client_nonce, server_nonce, device, mesh),
            case.respond_witness
        );
        // What the reference implementation of May 2020 sent; nobody makes these here.
        let key = case.pin.as_bytes();
        assert_eq!(
            base32::present(&hmac512(key, &[case.account.as_bytes()]), 140),
            case.legacy_pin_udf
        );
        let legacy_witness = hmac512(
            key,
            &[
                case.account.as_bytes(),
                client_nonce,
                device.udf().as_str().as_bytes(),
            ],
        );
        assert_eq!(legacy_witness, case.legacy_pin_witness.as_slice());
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ResponseIdCase {
    #[serde(rename = "MessageID")]
    message_id: String,
    #[serde(rename = "ResponseID")]
    response_id: String,
    #[serde(rename = "LaterResponseID")]
    later_response_id: String,
    #[serde(rename = "LaterEnvelopeID")]
    later_envelope_id: String,
    #[serde(rename = "PublishedCheck")]
    published: PublishedId,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PublishedId {
    #[serde(rename = "Source")]
    source: String,
    #[serde(rename = "MessageID")]
    message_id: String,
    #[serde(rename = "LaterResponseID")]
    later_response_id: String,
    #[serde(rename = "LaterEnvelopeID")]
    later_envelope_id: String,
}

impl ResponseIdCase {
    fn check(self) {
        let later = |id: &str| {
            (
                response_id_later(id).unwrap().to_string(),
                envelope_id_later(id).unwrap().to_string(),
            )
        };
        assert_eq!(
            response_id_2020(&self.message_id).as_str(),
            self.response_id
        );
        assert_eq!(
            later(&self.message_id),
            (self.later_response_id, self.later_envelope_id)
        );
        let published = self.published;
        assert!(published.source.contains("schema-08"));
        assert_eq!(
            later(&published.message_id),
            (published.later_response_id, published.later_envelope_id)
        );
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct PinCase {
    #[serde(rename = "PIN")]
    pin: String,
    pin_octets: String,
    account: String,
    client_nonce: Binary,
    server_nonce: Binary,
    #[serde(rename = "DeviceUDFBytes")]
    device: String,
    #[serde(rename = "MeshUDFBytes")]
    mesh: String,
    #[serde(rename = "RequestPinUDF")]
    request_pin_udf: String,
    respond_witness: String,
    #[serde(rename = "LegacyPinUDF_May2020")]
    legacy_pin_udf: String,
    #[serde(rename = "LegacyPinWitness_May2020")]
    legacy_pin_witness: Binary,
}
