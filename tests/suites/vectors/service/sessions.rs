//! One key exchange and one request by ticket, each by both ends and value by value.

use mesh_common::crypto::SecretKey;
use mesh_common::crypto::derive::hkdf512_extract;
use mesh_common::crypto::digest::sha512;
use mesh_common::dare::Envelope;
use mesh_common::encoding::base64url::Binary;
use mesh_common::session::client::{
    ClientIdentity, ExchangeRequest, ServiceIdentity, StoredTicket, TicketRequest,
};
use mesh_common::session::form::{ResponseForm, SessionForm, VERSION};
use mesh_common::session::schedule::Handshake;
use mesh_common::session::{HostKeys, Opened, RequestId, SessionSecret, TicketKeys, open_request};
use mesh_common::time::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use super::{ALICE, World, envelope_of, hex, text_of, written};

fn sized<const N: usize>(octets: &[u8]) -> [u8; N] {
    octets.try_into().unwrap()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
pub(super) struct ExchangeCase {
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
    pub(super) fn check_exchange(&self, case: ExchangeCase) {
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
pub(super) struct TicketCase {
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
    pub(super) fn check(self) {
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
            secret,
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
