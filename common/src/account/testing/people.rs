//! People and their devices, whose keys are names.

use std::time::Duration;

use sha2::{Digest, Sha512};

use super::{NOON, message, update};
use crate::address::AccountAddress;
use crate::cluster::handle::{ConnectEvidence, CreateEvidence, DeviceEvidence, DeviceFacts};
use crate::cluster::{AccountRequest, ContentEvidence, Evidence, SigningKeys};
use crate::dare::{ContainerName, Envelope};
use crate::encoding::json;
use crate::protocol::{
    CompleteRequest, ConnectRequest, ContainerUpdate, CreateRequest, DeleteRequest, Request,
    UploadRequest,
};
use crate::session::{Caller, Mode, RequestId, Via};
use crate::time::Timestamp;
use crate::udf::{self, Udf};

/// A fingerprint for tests: the same name gives the same one.
#[must_use]
pub fn udf(name: &str) -> Udf {
    let mut octets = vec![0x60];
    octets.extend_from_slice(&Sha512::digest(name.as_bytes()));
    Udf::present(&octets, udf::BITS_DEFAULT)
}

/// A device of somebody, as it authenticates.
#[derive(Debug, Clone)]
pub struct Device {
    /// Whose it is.
    pub address: AccountAddress,
    /// Its name.
    pub name: String,
    /// What it proves in the next request.
    pub caller: Caller,
    requests: u64,
}

impl Device {
    /// A device of the account `address`, connected, with a ticket.
    ///
    /// # Panics
    /// If `address` is no account address.
    #[must_use]
    pub fn of(address: &str, name: &str) -> Self {
        let address = AccountAddress::parse(address).expect("tests use account addresses");
        let caller = Caller {
            mode: Mode::Profile,
            via: Via::Ticket,
            account: Some(address.clone()),
            profile_udf: Some(udf(name)),
            key_udf: connection_key(name),
            credential_digest: connection_digest(name),
            domain: None,
        };
        Self {
            address,
            name: name.to_owned(),
            caller,
            requests: 0,
        }
    }

    /// The same device in another mode and by another way.
    #[must_use]
    pub fn authenticating(mut self, mode: Mode, via: Via) -> Self {
        self.caller.mode = mode;
        self.caller.via = via;
        if mode == Mode::Device {
            self.caller.key_udf = device_key(&self.name);
        }
        self
    }

    /// The next request of this device. Without other evidence there is that of its signed messages.
    pub fn ask(&mut self, request: Request, evidence: Evidence) -> AccountRequest {
        let evidence = match evidence {
            Evidence::Nothing => super::envelopes::evidence_of(&request),
            evidence => evidence,
        };
        self.requests += 1;
        let text = json::write(&request);
        let mut id = [0; 16];
        let drawn = Sha512::digest([&self.requests.to_be_bytes()[..], &text].concat());
        id.copy_from_slice(&drawn[..16]);
        AccountRequest {
            account: self.address.clone(),
            caller: self.caller.clone(),
            request_id: RequestId(id),
            request_digest: Sha512::digest(&text).into(),
            received_at: NOON,
            deadline: NOON + Duration::from_secs(5),
            request,
            evidence,
        }
    }

    /// CreateAccount with the profiles of `person` in their first version.
    pub fn create(&mut self, person: &Person) -> AccountRequest {
        let request = Request::CreateAccount(Box::new(CreateRequest {
            service_id: Some(self.address.as_written().to_owned()),
            signed_profile_mesh: Some(person.profile("mesh")),
            signed_assertion_account: Some(person.profile("account")),
            ..CreateRequest::default()
        }));
        let evidence = Evidence::Create(Box::new(person.evidence(self)));
        self.on_exchange(request, evidence)
    }

    fn on_exchange(&mut self, request: Request, evidence: Evidence) -> AccountRequest {
        let mut asked = self.ask(request, evidence);
        if asked.caller.mode != Mode::Interop {
            asked.caller.via = Via::Exchange;
        }
        asked
    }

    /// DeleteAccount.
    pub fn delete(&mut self) -> AccountRequest {
        self.ask(
            Request::DeleteAccount(DeleteRequest::default()),
            Evidence::Nothing,
        )
    }

    /// Upload of one update.
    pub fn upload(&mut self, container: &str, envelopes: Vec<Envelope>) -> AccountRequest {
        self.upload_all(vec![update(container, envelopes)], Vec::new())
    }

    /// Upload of several updates and messages.
    pub fn upload_all(
        &mut self,
        updates: Vec<ContainerUpdate>,
        self_messages: Vec<Envelope>,
    ) -> AccountRequest {
        let request = UploadRequest {
            updates,
            self_messages,
            ..UploadRequest::default()
        };
        self.ask(Request::Upload(request), Evidence::Nothing)
    }

    /// Upload to the Device catalog, with evidence for each envelope that has facts.
    pub fn upload_devices(
        &mut self,
        envelopes: Vec<Envelope>,
        facts: Vec<(usize, DeviceEvidence)>,
    ) -> AccountRequest {
        let mut request = self.upload(ContainerName::DEVICE, envelopes);
        request.evidence = Evidence::Content(Box::new(ContentEvidence {
            profile_version: 1,
            devices: facts,
            messages: Vec::new(),
        }));
        request
    }

    /// Connect, verified by the front-end, to be acknowledged under the MessageID `udf(name)`.
    pub fn connect(&mut self, name: &str) -> AccountRequest {
        let message_id = udf(name);
        let body = format!("{{\"MessageID\":\"{message_id}\"}}");
        let evidence = ConnectEvidence {
            profile_version: 1,
            device_udf: udf(&self.name),
            published_id: Some(udf(&format!("{name} published")).to_string()),
            acknowledgement: message("AcknowledgeConnection", message_id.as_str(), &body),
            message_id,
        };
        let request = Request::Connect(Box::new(ConnectRequest {
            service: Some(name.to_owned()),
            ..ConnectRequest::default()
        }));
        self.ask(request, Evidence::Connection(Box::new(evidence)))
    }

    /// Complete.
    pub fn complete(&mut self, response_id: &Udf) -> AccountRequest {
        let request = Request::Complete(CompleteRequest {
            service_id: Some(self.address.as_written().to_owned()),
            response_id: Some(response_id.to_string()),
            ..CompleteRequest::default()
        });
        self.ask(request, Evidence::Nothing)
    }

    /// What a verified entry of this device says.
    #[must_use]
    pub fn facts(&self) -> DeviceFacts {
        facts_of(&self.name)
    }

    /// UniqueID of this device's entry.
    #[must_use]
    pub fn unique_id(&self) -> String {
        udf(&self.name).as_str().to_owned()
    }
}

/// What a verified entry of the device `name` says: no Permissions.
#[must_use]
pub fn facts_of(name: &str) -> DeviceFacts {
    DeviceFacts {
        device_udf: udf(name),
        profile_keys: vec![connection_key(name)],
        device_key: Some(device_key(name)),
        connection_digests: vec![connection_digest(name)],
        lists_permissions: false,
        is_administrator: false,
    }
}

/// KeyAuthentication of a device's connection.
#[must_use]
pub fn connection_key(name: &str) -> Udf {
    udf(&format!("{name} connection"))
}

/// KeyAuthentication of a device's ProfileDevice.
#[must_use]
pub fn device_key(name: &str) -> Udf {
    udf(&format!("{name} profile"))
}

pub(super) fn connection_digest(name: &str) -> [u8; 32] {
    let digest = Sha512::digest(format!("{name} credential"));
    let mut cut = [0; 32];
    cut.copy_from_slice(&digest[..32]);
    cut
}

/// Somebody with a ProfileMesh and a ProfileAccount.
#[derive(Debug, Clone)]
pub struct Person {
    /// The name both profiles are made from.
    pub name: String,
    /// Which version they are.
    pub version: u64,
    /// `Updated` of both.
    pub updated: Option<Timestamp>,
    /// Whether the Proof is made by the offline key.
    pub by_offline_key: bool,
}

impl Person {
    /// Somebody in their first version.
    #[must_use]
    pub fn named(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            version: 1,
            updated: Some(NOON),
            by_offline_key: false,
        }
    }

    fn profile(&self, class: &str) -> Envelope {
        Envelope::plain(format!("{} {class} {}", self.name, self.version))
    }

    fn evidence(&self, device: &Device) -> CreateEvidence {
        let digest = |class| Sha512::digest(self.profile(class).payload.as_slice()).into();
        CreateEvidence {
            keys: SigningKeys {
                profile_version: 0,
                mesh_udf: udf(&format!("{} mesh", self.name)),
                mesh_keys: vec![vec![1; 57]],
                account_udf: udf(&format!("{} account", self.name)),
                account_keys: vec![vec![2; 57]],
            },
            mesh_updated: self.updated,
            account_updated: self.updated,
            mesh_digest: digest("mesh"),
            account_digest: digest("account"),
            by_offline_key: self.by_offline_key,
            device_keys: vec![device.caller.key_udf.clone(), device_key(&device.name)],
        }
    }
}
