//! The three recorded sessions, by both ends, and the Proof of a CreateAccount.

use mesh_common::assertion::activate_account;
use mesh_common::crypto::SecretKey;
use mesh_common::dare::{Envelope, Signature};
use mesh_common::encoding::base64url::Binary;
use mesh_common::encoding::json;
use mesh_common::protocol::{CreateRequest, Request};
use mesh_common::session::client::{
    ClientIdentity, ExchangeRequest, ServiceIdentity, StoredTicket, TicketRequest,
};
use mesh_common::session::evidence::signing_keys;
use mesh_common::session::form::SessionForm;
use mesh_common::session::schedule::creation_digest;
use mesh_common::session::{
    Authenticated, CreationProof, HostKeys, Leniency, Mode, Opened, RequestId, SessionSecret,
    TicketKeys, create_evidence, open_request, parse_request,
};
use serde::Deserialize;
use serde_json::Value;

use super::{ALICE, KeyCase, NOW, World};
use crate::service::{envelope_of, hex, text_of, written};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Sessions {
    profile_status: SessionCase,
    device_create: SessionCase,
    service_post: SessionCase,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SessionCase {
    client_ephemeral: KeyCase,
    service_ephemeral: KeyCase,
    request_plaintext: String,
    request: Value,
    response_plaintext: String,
    response: Value,
    session_secret: String,
    ticket: Binary,
    ticket_request: Value,
}

impl Sessions {
    /// Checks all three; gives what the CreateAccount proves.
    pub(super) fn check(self, world: &World) -> CreationProof {
        let as_device = ClientIdentity::device(
            world.profiles["ProfileDevice"].clone(),
            world.device.authentication.clone(),
            Some(ALICE.into()),
        );
        let (mesh, _) = world.authorities();
        let entry = &world.entry.accounts[0];
        let (_, _, keys) = activate_account(&world.device, entry, &mesh).unwrap();
        let as_connected = ClientIdentity::connected_to_account(
            entry.enveloped_connection_account.clone().unwrap(),
            None,
            keys.authentication,
            ALICE.into(),
        );
        let status = self.profile_status.check(world, Mode::Profile);
        assert_eq!(status.caller.account, Some(World::address()));
        self.profile_status.check_client(world, &as_connected, None);
        let create = self.device_create.check(world, Mode::Device);
        let proof = (&world.mesh.online, ALICE);
        self.device_create
            .check_client(world, &as_device, Some(proof));
        check_creation(&create);
        let post = self.service_post.check(world, Mode::Service);
        assert_eq!(post.caller.domain.as_deref(), Some("example.net"));
        create.creation.unwrap()
    }
}

impl SessionCase {
    /// The service's end: opens the request and makes the recorded answer.
    fn check(&self, world: &World, mode: Mode) -> Authenticated {
        self.client_ephemeral.check();
        self.service_ephemeral.check();
        let hosts = HostKeys::new(
            world.service.offline.udf(),
            world.service.authentication.clone(),
        )
        .unwrap();
        let tickets = TicketKeys::new(world.service.offline.udf());
        let request = envelope_of(&self.request);
        let Opened::Exchange(opened) = open_request(request, &hosts, &tickets, NOW).unwrap() else {
            panic!("not opened as an exchange");
        };
        assert_eq!(opened.mode(), mode);
        assert_eq!(opened.plaintext(), self.request_plaintext.as_bytes());
        let authenticated = match mode {
            Mode::Profile => {
                let keys = signing_keys(&world.signed_mesh, &world.signed_account);
                opened.verify_by(Some(&keys))
            }
            _ => opened.verify_alone(),
        }
        .unwrap();
        let expected = envelope_of(&self.response);
        let (answer, secret) = authenticated
            .sealer
            .seal_exchange_with(
                self.response_plaintext.as_bytes(),
                &self.service_ephemeral.secret(),
                Some((self.ticket.0.clone(), expires(&expected))),
            )
            .unwrap()
            .unwrap();
        assert_eq!(secret.reveal().as_slice(), hex(&self.session_secret));
        assert_eq!(written(&answer), text_of(&self.response));
        self.check_ticket(&secret);
        authenticated
    }

    /// The client's end: makes the recorded request and opens the recorded answer.
    fn check_client(
        &self,
        world: &World,
        client: &ClientIdentity,
        proof: Option<(&SecretKey, &str)>,
    ) {
        let expected = envelope_of(&self.request);
        let service = ServiceIdentity {
            service_udf: world.service.offline.udf(),
            host_key: world.service.authentication.public().clone(),
            updated: Some(NOW),
            signing_keys: Vec::new(),
        };
        let (request, pending) = ExchangeRequest {
            service: &service,
            client,
            time: NOW,
            request_id: request_id(&expected),
            ephemeral: self.client_ephemeral.secret(),
            proof,
        }
        .seal(self.request_plaintext.as_bytes())
        .unwrap();
        assert_eq!(written(&request), text_of(&self.request));
        let received = pending.open_sealed(&envelope_of(&self.response)).unwrap();
        assert_eq!(
            received.plaintext.as_slice(),
            self.response_plaintext.as_bytes()
        );
        let ticket = received.ticket.unwrap();
        assert_eq!(ticket.ticket, self.ticket.0);
        assert_eq!(ticket.secret.reveal().as_slice(), hex(&self.session_secret));
    }

    /// The request by ticket that follows.
    fn check_ticket(&self, secret: &SessionSecret) {
        let expected = envelope_of(&self.ticket_request);
        let salt = expected.header.salt.as_ref().unwrap().as_slice();
        let ticket = StoredTicket {
            ticket: self.ticket.0.clone(),
            secret: secret.clone(),
            expires: NOW,
        };
        let salt = salt.try_into().unwrap();
        let session = expected.header.session.as_ref().unwrap().as_slice();
        let plaintext = secret
            .request_key(&salt)
            .open(session, expected.payload.as_slice())
            .unwrap();
        let SessionForm::SessionTicket(form) = json::parse(session).unwrap() else {
            panic!("not a ticket request");
        };
        let (request, _) = TicketRequest {
            ticket: &ticket,
            time: form.time,
            request_id: RequestId(form.request_id.0.try_into().unwrap()),
            salt,
        }
        .seal(&plaintext);
        assert_eq!(written(&request), text_of(&self.ticket_request));
    }
}

fn request_id(envelope: &Envelope) -> RequestId {
    let session = envelope.header.session.as_ref().unwrap().as_slice();
    match json::parse(session).unwrap() {
        SessionForm::SessionExchange(form) => RequestId(form.request_id.0.try_into().unwrap()),
        other => panic!("{other:?}"),
    }
}

fn expires(envelope: &Envelope) -> mesh_common::time::Timestamp {
    let session = envelope.header.session.as_ref().unwrap().as_slice();
    match json::parse(session).unwrap() {
        SessionForm::SessionResponse(form) => form.expires.unwrap(),
        other => panic!("{other:?}"),
    }
}

// ---- The Proof (decision Q-10) ----

fn creation_of(authenticated: &Authenticated) -> CreateRequest {
    match parse_request(&authenticated.plaintext).unwrap() {
        Request::CreateAccount(request) => *request,
        other => panic!("{other:?}"),
    }
}

/// The recorded CreateAccount is proven by an online key of the mesh.
fn check_creation(authenticated: &Authenticated) {
    let request = creation_of(authenticated);
    let evidence = create_evidence(&request, Some(authenticated), Leniency::default()).unwrap();
    assert!(!evidence.by_offline_key);
    let key = &authenticated.caller.key_udf;
    assert_eq!(evidence.device_keys, std::slice::from_ref(key));
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ProofCase {
    #[serde(rename = "T1")]
    t1: String,
    #[serde(rename = "ServiceID")]
    service_id: String,
    signed_digest: String,
    #[serde(rename = "Proof")]
    proof: ProofMembers,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ProofMembers {
    alg: String,
    kid: String,
    signature: Binary,
}

impl ProofCase {
    pub(super) fn check(self, world: &World, creation: &CreationProof) {
        assert_eq!(creation.transcript.as_slice(), hex(&self.t1));
        let digest = creation_digest(&creation.transcript, &self.service_id);
        assert_eq!(digest.as_slice(), hex(&self.signed_digest));
        assert_eq!(self.proof.kid, world.mesh.online.udf().to_string());
        assert_eq!(world.mesh.online.sign(&digest), self.proof.signature.0);
        let recorded = Signature {
            alg: Some(self.proof.alg),
            kid: Some(self.proof.kid),
            signature: Some(self.proof.signature),
            ..Signature::default()
        };
        assert_eq!(creation.proof, Some(recorded));
        let other = creation_digest(&creation.transcript, "bob@example.com");
        let value = creation.proof.as_ref().unwrap().signature.as_ref().unwrap();
        let online = world.mesh.online.public();
        assert!(online.verify(&digest, value.as_slice()).is_ok());
        assert!(online.verify(&other, value.as_slice()).is_err());
    }
}
