//! `service-vectors.json`: signed profiles, Hello, CreateAccount, Connect, the witness, the PIN, one
//! key exchange and one ticket request, all of them octet by octet (service §2 to §6).

use std::collections::BTreeMap;

use mesh_common::address::AccountAddress;
use mesh_common::assertion::{
    Assertion, Authority, ProfileAccount, ProfileDevice, ProfileHost, ProfileMesh, ProfileService,
};
use mesh_common::crypto::derive::{hkdf512_extract, hmac512};
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
use mesh_common::session::client::{
    ClientIdentity, ExchangeRequest, ServiceIdentity, StoredTicket, TicketRequest,
};
use mesh_common::session::form::{ResponseForm, SessionForm, VERSION};
use mesh_common::session::schedule::Handshake;
use mesh_common::session::{
    HostKeys, Leniency, Opened, RequestId, SessionSecret, TicketKeys, create_evidence, open_request,
};
use mesh_common::time::Timestamp;
use mesh_common::udf::Udf;
use serde::Deserialize;
use serde_json::Value;

use crate::count::Tally;
use crate::json_of;

/// The account of all examples.
const ALICE: &str = "alice@example.com";

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

fn sized<const N: usize>(octets: &[u8]) -> [u8; N] {
    octets.try_into().unwrap()
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
        let request = Request::Connect(ConnectRequest {
            message_connection_request_client: Some(envelope.clone()),
            ..ConnectRequest::default()
        });
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

// ---- Sessions ----

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct ExchangeCase {
    client: String,
    host: String,
    #[serde(rename = "es")]
    es: String,
    #[serde(rename = "ss")]
    ss: String,
    #[serde(rename = "T1")]
    t1: String,
    #[serde(rename = "PRK1")]
    prk1: String,
    request_key: String,
    request_nonce: String,
    request_session_info: String,
    request_plaintext: String,
    request_body: Value,
    #[serde(rename = "ee")]
    ee: String,
    #[serde(rename = "se")]
    se: String,
    #[serde(rename = "T2")]
    t2: String,
    #[serde(rename = "PRK2")]
    prk2: String,
    response_key: String,
    response_nonce: String,
    session_secret: String,
    response_session_info: String,
    response_body: Value,
}

/// 2020-03-10T12:00:00Z.
const NOW: Timestamp = Timestamp::from_secs(1_583_841_600);

impl World {
    /// The keys `static/ephemeral`.
    fn pair(&self, names: &str) -> (&SecretKey, &SecretKey) {
        let (fixed, ephemeral) = names.split_once('/').unwrap();
        (&self.keys[fixed], &self.keys[ephemeral])
    }

    ///
    fn check_exchange(&self, case: ExchangeCase) {
        let (client, client_ephemeral) = self.pair(&case.client);
        let (host, host_ephemeral) = self.pair(&case.host);
        let agree = |secret: &SecretKey, public: &SecretKey, expected: &str| {
            let agreed = secret.agree_cofactor(public.public()).unwrap();
            assert_eq!(*agreed, hex(expected));
            let other = public.agree_cofactor(secret.public()).unwrap();
            assert_eq!(agreed, other);
            agreed
        };
        let es = agree(client_ephemeral, host, &case.es);
        let ss = agree(client, host, &case.ss);
        let ee = agree(host_ephemeral, client_ephemeral, &case.ee);
        let se = agree(host_ephemeral, client, &case.se);
        let handshake = Handshake::new(
            host.public(),
            client.public(),
            client_ephemeral.public(),
            &es,
            &ss,
        );
        assert_eq!(handshake.transcript().as_slice(), hex(&case.t1));
        assert_eq!(handshake.request_prk().as_slice(), hex(&case.prk1));
        assert_eq!(
            handshake.request_key().key().as_slice(),
            hex(&case.request_key)
        );
        assert_eq!(
            handshake.request_key().nonce().as_slice(),
            hex(&case.request_nonce)
        );
        let t2 = sha512(&[
            b"mmm-kx-1 response",
            handshake.transcript(),
            host_ephemeral.public().octets(),
        ]);
        assert_eq!(t2.as_slice(), hex(&case.t2));
        let all = [&*es, &*ss, &*ee, &*se].map(Vec::as_slice).concat();
        assert_eq!(*hkdf512_extract(&t2, &all), sized(&hex(&case.prk2)));
        let (key, secret) = handshake.response_keys(host_ephemeral.public(), &ee, &se);
        assert_eq!(key.key().as_slice(), hex(&case.response_key));
        assert_eq!(key.nonce().as_slice(), hex(&case.response_nonce));
        assert_eq!(secret.reveal().as_slice(), hex(&case.session_secret));
        self.exchange(&case, client, client_ephemeral, host_ephemeral);
    }

    /// The same messages by both ends.
    fn exchange(
        &self,
        case: &ExchangeCase,
        client: &SecretKey,
        client_ephemeral: &SecretKey,
        host_ephemeral: &SecretKey,
    ) {
        let service = ServiceIdentity {
            service_udf: self.keys["ServiceSign"].udf(),
            host_key: self.keys["ServiceAuth"].public().clone(),
            updated: None,
            signing_keys: Vec::new(),
        };
        let identity =
            ClientIdentity::device(self.device.clone(), client.clone(), Some(ALICE.into()));
        let (request, pending) = ExchangeRequest {
            service: &service,
            client: &identity,
            time: NOW,
            request_id: RequestId(sized(&(0x20..0x30).collect::<Vec<u8>>())),
            ephemeral: client_ephemeral.clone(),
            proof: None,
        }
        .seal(case.request_plaintext.as_bytes())
        .unwrap();
        let session = |envelope: &Envelope| envelope.header.session.clone().unwrap().0;
        assert_eq!(session(&request), case.request_session_info.as_bytes());
        assert_eq!(written(&request), text_of(&case.request_body));

        let hosts = HostKeys::new(
            self.keys["ServiceSign"].udf(),
            self.keys["ServiceAuth"].clone(),
        )
        .unwrap();
        let tickets = TicketKeys::new(self.keys["ServiceSign"].udf());
        let Opened::Exchange(opened) = open_request(request, &hosts, &tickets, NOW).unwrap() else {
            panic!("not opened as an exchange");
        };
        let authenticated = opened.verify_alone().unwrap();
        assert_eq!(
            authenticated.plaintext.as_slice(),
            case.request_plaintext.as_bytes()
        );
        assert_eq!(authenticated.caller.key_udf, client.udf());

        let expected = envelope_of(&case.response_body);
        assert_eq!(session(&expected), case.response_session_info.as_bytes());
        let received = pending.open_sealed(&expected).unwrap();
        let ticket = received.ticket.unwrap();
        assert_eq!(ticket.secret.reveal().as_slice(), hex(&case.session_secret));
        let (answer, secret) = authenticated
            .sealer
            .seal_exchange_with(
                &received.plaintext,
                host_ephemeral,
                Some((ticket.ticket, ticket.expires)),
            )
            .unwrap()
            .unwrap();
        assert_eq!(secret, ticket.secret);
        assert_eq!(written(&answer), text_of(&case.response_body));
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct TicketCase {
    session_secret: String,
    request_salt: Binary,
    request_key: String,
    request_nonce: String,
    request_plaintext: String,
    request_body: Value,
    response_salt: Binary,
    response_key: String,
    response_nonce: String,
    response_plaintext: String,
    response_body: Value,
}

impl TicketCase {
    fn check(self) {
        let case = self;
        let secret = SessionSecret::from_octets(sized(&hex(&case.session_secret)).into());
        let salt: [u8; 32] = sized(case.request_salt.as_slice());
        let answer_salt: [u8; 32] = sized(case.response_salt.as_slice());
        let request_key = secret.request_key(&salt);
        assert_eq!(request_key.key().as_slice(), hex(&case.request_key));
        assert_eq!(request_key.nonce().as_slice(), hex(&case.request_nonce));
        let response_key = secret.response_key(&salt, &answer_salt);
        assert_eq!(response_key.key().as_slice(), hex(&case.response_key));
        assert_eq!(response_key.nonce().as_slice(), hex(&case.response_nonce));

        let request_id = RequestId(sized(&(0x30..0x40).collect::<Vec<u8>>()));
        let ticket = StoredTicket {
            ticket: (0x40..0x70).collect(),
            secret: secret.clone(),
            expires: Timestamp::from_secs(1_583_928_000),
        };
        let (request, pending) = TicketRequest {
            ticket: &ticket,
            time: Timestamp::from_secs(1_583_841_605),
            request_id,
            salt,
        }
        .seal(case.request_plaintext.as_bytes());
        assert_eq!(written(&request), text_of(&case.request_body));

        let answer = envelope_of(&case.response_body);
        let received = pending.open_sealed(&answer).unwrap();
        assert_eq!(
            received.plaintext.as_slice(),
            case.response_plaintext.as_bytes()
        );
        assert_eq!(received.ticket, None);
        let session = SessionForm::SessionResponse(ResponseForm {
            version: VERSION.into(),
            request_id: Binary::from(request_id.0),
            ephemeral: None,
            ticket: None,
            expires: None,
        })
        .to_octets();
        let sealed = response_key.seal(&session, case.response_plaintext.as_bytes());
        assert_eq!(answer.header.session.unwrap().0, session);
        assert_eq!(answer.header.salt.unwrap().0, answer_salt);
        assert_eq!(answer.payload.0, sealed);
    }
}
