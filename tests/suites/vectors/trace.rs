//! `service-trace.json`: what the reference implementation of April 2020 sent and answered. Here
//! every message in it is read, every signature in it is verified, and the values that follow from
//! it are computed again; replaying it against a service is another suite's business.

use std::collections::BTreeMap;

use mesh_common::assertion::{
    AccountEntry, Assertion, Authority, CatalogedDevice, ConnectionAccount, ConnectionDevice,
    ProfileAccount, ProfileDevice, ProfileMesh, ProfileService,
};
use mesh_common::crypto::{Curve, PublicKey};
use mesh_common::dare::Envelope;
use mesh_common::encoding::base64url::Binary;
use mesh_common::encoding::json;
use mesh_common::message::{Message, MessageError, identify, response_id_2020, witness};
use mesh_common::protocol::{Request, Response, Transaction};
use mesh_common::session::{BareRequest, Leniency, create_evidence, parse_request};
use mesh_common::udf::Udf;
use serde::Deserialize;

use crate::count::Tally;
use crate::json_of;

#[test]
fn every_entry_of_the_file_holds() {
    let mut tally = Tally::of(json_of("service-trace.json"));
    tally.whole("/Note", |note: String| assert!(note.contains("verbatim")));
    let mut trace = Trace::default();
    tally.each("/Steps", |_, step: Step| trace.check(&step));
    tally.each("/Reject", |_, step: Step| trace.check(&step));
    let mut acknowledged = Vec::new();
    tally.each("/Derived", |_, case: Derived| {
        acknowledged.push(case.checked())
    });
    assert_eq!(tally.finish(), 1 + 16 + 3 + 3);
    // Each Connect of the trace has its row of derived values.
    acknowledged.sort();
    trace.acknowledged.sort();
    assert_eq!(trace.acknowledged, acknowledged);
    // What was verified, so that a reader that stops early is noticed.
    assert_eq!(trace.signatures, SIGNATURES);
}

/// Signatures in the trace that were verified, each as often as it stands there.
const SIGNATURES: usize = 53;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct Step {
    step: String,
    account: String,
    transaction: String,
    request: String,
    response: String,
}

/// What was seen so far.
#[derive(Default)]
struct Trace {
    /// Meshes by UDF.
    meshes: BTreeMap<Udf, Authority>,
    signatures: usize,
    /// MessageID and witness of each acknowledgement.
    acknowledged: Vec<(String, String)>,
}

impl Trace {
    fn check(&mut self, step: &Step) {
        assert!(step.account.ends_with("@example.com"), "{}", step.step);
        let transaction = Transaction::from_tag(&step.transaction).unwrap();
        let bare = BareRequest::of(step.request.as_bytes());
        assert_eq!(bare.transaction, Some(transaction));
        let request = parse_request(step.request.as_bytes()).unwrap();
        assert_eq!(request.transaction(), transaction);
        self.request(&request);
        let response: Response = json::parse(step.response.as_bytes()).unwrap();
        self.response(&response);
        let again: Response = json::parse(&json::write(&response)).unwrap();
        assert_eq!(again, response);
    }

    fn request(&mut self, request: &Request) {
        match request {
            Request::CreateAccount(request) => {
                let evidence = create_evidence(request, None, Leniency::default()).unwrap();
                let mesh = self.mesh(request.signed_profile_mesh.as_ref().unwrap());
                assert_eq!(mesh.udf(), &evidence.keys.mesh_udf);
                self.signatures += 1;
            }
            Request::Upload(request) => {
                for update in &request.updates {
                    let is_device = update.container.as_deref() == Some("mmm_Device");
                    for envelope in update.envelopes.iter().filter(|_| is_device) {
                        if !envelope.payload.0.is_empty() {
                            self.entry(&CatalogedDevice::from_envelope(envelope).unwrap());
                        }
                    }
                }
                self.messages(&request.self_messages);
            }
            Request::Post(request) => {
                self.messages(&request.messages);
                self.messages(&request.self_messages);
            }
            Request::Connect(request) => {
                let envelope = request.message_connection_request_client.as_ref().unwrap();
                self.message(&Message::from_envelope(envelope).unwrap());
            }
            Request::Hello(_)
            | Request::Status(_)
            | Request::Download(_)
            | Request::Complete(_)
            | Request::DeleteAccount(_) => {}
        }
    }

    fn response(&mut self, response: &Response) {
        match response {
            Response::Hello(hello) => {
                // The reference's host is not countersigned; each profile signs itself (P 4.2.4).
                let service = hello.enveloped_profile_service.as_ref().unwrap();
                assert!(ProfileService::verify(service).is_ok());
                let host = hello.enveloped_profile_host.as_ref().unwrap();
                let profile = mesh_common::assertion::ProfileHost::from_envelope(host).unwrap();
                let key = profile.key_offline_signature.unwrap().public_key().unwrap();
                host.verify_by(&key).unwrap();
                self.signatures += 2;
            }
            Response::Status(status) => {
                if let Some(envelope) = &status.enveloped_profile_master {
                    self.mesh(envelope);
                }
            }
            Response::Download(download) => {
                for update in &download.updates {
                    let carriers: Vec<Envelope> = update
                        .envelopes
                        .iter()
                        .filter(|envelope| !envelope.payload.0.is_empty())
                        .cloned()
                        .collect();
                    self.messages(&carriers);
                }
            }
            Response::Complete(complete) => {
                if let Some(envelope) = &complete.signed_response {
                    self.messages(std::slice::from_ref(envelope));
                }
            }
            Response::Connect(connect) => {
                let mesh = self.mesh(connect.enveloped_profile_master.as_ref().unwrap());
                let account = connect.enveloped_account_assertion.as_ref().unwrap();
                assert!(ProfileAccount::verify(account, Some(&mesh)).is_ok());
                self.signatures += 1;
                let envelope = connect.enveloped_connection_response.as_ref().unwrap();
                let message = Message::from_envelope(envelope).unwrap();
                let Message::AcknowledgeConnection(acknowledgement) = &message else {
                    panic!("not an acknowledgement");
                };
                self.acknowledged.push((
                    acknowledgement.message_id.clone().unwrap(),
                    acknowledgement.witness.clone().unwrap(),
                ));
                self.message(&message);
            }
            _ => {}
        }
    }

    fn mesh(&mut self, envelope: &Envelope) -> Authority {
        let mesh = ProfileMesh::verify(envelope).unwrap();
        self.signatures += 1;
        let authority = Authority::from(&mesh);
        self.meshes.insert(mesh.udf().clone(), authority.clone());
        authority
    }

    fn entry(&mut self, entry: &CatalogedDevice) {
        let mesh = self.mesh(entry.enveloped_profile_mesh.as_ref().unwrap());
        let device =
            ProfileDevice::verify(entry.enveloped_profile_device.as_ref().unwrap()).unwrap();
        assert_eq!(Some(device.udf().as_str()), entry.device_udf.as_deref());
        let connection = entry.enveloped_connection_device.as_ref().unwrap();
        let connection = ConnectionDevice::verify(connection, &mesh).unwrap();
        assert_eq!(Some(connection.udf().as_str()), entry.udf.as_deref());
        // Decision Q-39: carried, though nobody could make an exchange with it.
        let key = device.authentication_key().unwrap();
        assert_eq!(key.curve(), Curve::X448);
        signed_by_one_of(
            entry.enveloped_activation_device.as_ref().unwrap(),
            mesh.keys(),
        );
        self.signatures += 3;
        for account in &entry.accounts {
            self.account(account, &mesh);
        }
    }

    fn account(&mut self, entry: &AccountEntry, mesh: &Authority) {
        let profile = entry.enveloped_profile_account.as_ref().unwrap();
        let profile = ProfileAccount::verify(profile, Some(mesh)).unwrap();
        assert_eq!(Some(profile.udf().as_str()), entry.account_udf.as_deref());
        let account = Authority::from(&profile);
        let connection = entry.enveloped_connection_account.as_ref().unwrap();
        assert!(ConnectionAccount::verify(connection, &account, None).is_ok());
        signed_by_one_of(
            entry.enveloped_activation_account.as_ref().unwrap(),
            account.keys(),
        );
        self.signatures += 3;
    }

    fn messages(&mut self, envelopes: &[Envelope]) {
        for envelope in envelopes {
            match identify(envelope) {
                Ok(identified) => self.message(&identified.message.unwrap()),
                // The reference's MessagePIN and acknowledgements have two identifiers
                // (service §6.2 and §7.1); decision Q-26 refuses them on input.
                Err(error) => {
                    assert_eq!(error, MessageError::IdentifiersDiffer);
                    self.message(&Message::from_envelope(envelope).unwrap());
                }
            }
        }
    }

    fn message(&mut self, message: &Message) {
        match message {
            Message::RequestConnection(request) => {
                let profile = request.enveloped_profile_device.as_ref().unwrap();
                assert!(ProfileDevice::verify(profile).is_ok());
                self.signatures += 1;
            }
            Message::AcknowledgeConnection(acknowledgement) => {
                let enclosed = acknowledgement.enveloped_request_connection.as_ref();
                self.message(&Message::from_envelope(enclosed.unwrap()).unwrap());
            }
            Message::RespondConnection(respond) => {
                if let Some(entry) = &respond.cataloged_device {
                    self.entry(entry);
                }
            }
            _ => {}
        }
    }
}

fn signed_by_one_of(envelope: &Envelope, keys: &[PublicKey]) {
    assert!(keys.iter().any(|key| envelope.verify_by(key).is_ok()));
}

// ---- Derived values ----

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "PascalCase")]
struct Derived {
    mesh_key: KeyCase,
    device_key: KeyCase,
    device_authentication_key: KeyCase,
    client_nonce: Binary,
    server_nonce: Binary,
    witness: String,
    #[serde(rename = "MessageID")]
    message_id: String,
    #[serde(rename = "ResponseID")]
    response_id: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyCase {
    crv: String,
    #[serde(rename = "Public")]
    public: Binary,
    #[serde(rename = "UDF")]
    udf: String,
}

impl KeyCase {
    fn checked(&self) -> PublicKey {
        let curve = Curve::named(&self.crv).unwrap();
        let key = PublicKey::from_octets(curve, self.public.as_slice()).unwrap();
        assert_eq!(key.udf().as_str(), self.udf);
        key
    }
}

impl Derived {
    fn checked(self) -> (String, String) {
        let mesh = self.mesh_key.checked();
        let device = self.device_key.checked();
        assert_eq!(
            self.device_authentication_key.checked().curve(),
            Curve::X448
        );
        assert_eq!(
            witness(
                &mesh,
                self.server_nonce.as_slice(),
                &device,
                self.client_nonce.as_slice()
            ),
            self.witness
        );
        assert_eq!(
            response_id_2020(&self.message_id).as_str(),
            self.response_id
        );
        (self.message_id, self.witness)
    }
}
