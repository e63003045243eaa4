//! Accounts and their devices over HTTPS, at the level of single transactions: a test decides what
//! is sent, keeps what was not answered, and repeats it when it likes. The whole client, which does
//! all that by itself, is `mesh_client`.

use std::sync::Arc;

use mesh_client::ambient::SystemClock;
use mesh_client::transport::{Https, Transport as _, TransportError};
use mesh_common::assertion::make::DeviceKeys;
use mesh_common::assertion::{ActivatedKeys, Assertion as _};
use mesh_common::dare::container::{CONTENT_TYPE_CATALOG, ContainerType, frame_zero};
use mesh_common::dare::merkle::payload_digest;
use mesh_common::dare::{ContentMeta, DigestStack, Envelope, Header};
use mesh_common::encoding::base64url::Binary;
use mesh_common::encoding::json;
use mesh_common::entropy::SeededEntropy;
use mesh_common::protocol::{
    Code, ConstraintsSelect, ContainerStatus, ContainerUpdate, DownloadRequest, HelloRequest,
    HelloResponse, Request, Response, StatusRequest, UploadRequest,
};
use mesh_common::session::client::{
    Attempt, ClientIdentity, ClientSession, ServiceIdentity, Step, StoredTicket,
};
use mesh_common::time::{Clock as _, Timestamp};

use crate::people::{self, Person, administrator};
use crate::process::Process;

/// A way to a running service.
#[derive(Debug, Clone)]
pub struct Reach {
    https: Arc<Https>,
    url: String,
}

impl Reach {
    /// The way to `process`.
    ///
    /// # Panics
    /// If its certificate authority is none.
    #[must_use]
    pub fn of(process: &Process) -> Self {
        let https = Https::trusting(Some(process.ca())).expect("its CA is a certificate");
        Self {
            https: Arc::new(https),
            url: process.url(),
        }
    }

    /// The way to a service at `https://localhost:` and this port, whose certificate `authority`
    /// vouches for.
    ///
    /// # Panics
    /// If `authority` is no PEM text with a certificate.
    #[must_use]
    pub fn to(port: u16, authority: &str) -> Self {
        let https = Https::trusting(Some(authority)).expect("the authority is a certificate");
        Self {
            https: Arc::new(https),
            url: format!("https://localhost:{port}"),
        }
    }

    /// A bare Hello.
    ///
    /// # Errors
    /// The service cannot be reached.
    ///
    /// # Panics
    /// If the answer is none to a Hello.
    pub async fn hello(&self) -> Result<HelloResponse, TransportError> {
        let reply = self.https.post(&self.url, ClientSession::bare_hello());
        let reply = reply.await?;
        match json::parse(&reply.body) {
            Ok(Response::Hello(hello)) => Ok(*hello),
            other => panic!("a Hello was answered with {other:?}"),
        }
    }
}

/// An account with its owner, who has the keys.
#[derive(Debug)]
pub struct Account {
    owner: Person,
    service: ServiceIdentity,
}

/// A device of an account, with its session.
#[derive(Debug)]
pub struct Device {
    /// Where the service is; another one after a restart.
    pub reach: Reach,
    /// The account's address.
    pub address: String,
    session: ClientSession,
    keys: ActivatedKeys,
    encryption: mesh_common::crypto::SecretKey,
    entropy: SeededEntropy,
}

fn now() -> Timestamp {
    SystemClock.now()
}

impl Account {
    /// Makes an account at the service, with its first device and an empty Device catalog but for
    /// that device. The same `seed` gives the same keys.
    ///
    /// # Panics
    /// If the service refuses or cannot be reached.
    pub async fn create(reach: &Reach, address: &str, seed: u64) -> (Self, Device) {
        let hello = reach.hello().await.expect("the service says hello");
        let mut entropy = SeededEntropy::new(seed);
        let owner = Person::drawn(address, now(), &mut entropy);
        let account = Self {
            service: ServiceIdentity::from_hello(&hello).expect("the service proves who it is"),
            owner,
        };
        account.register(reach, &mut entropy).await;
        let (mut device, entry) = account.place(reach, &account.owner.device, &entropy);
        let response = device
            .upload("mmm_Device", Some(0), vec![first_frame(), entry])
            .await;
        assert_eq!(response.code(), Some(Code::Ok), "{response:?}");
        (account, device)
    }

    /// Connects a further device: `by` uploads its entry.
    ///
    /// # Panics
    /// If the service refuses or cannot be reached.
    pub async fn connect(&self, by: &mut Device, seed: u64) -> Device {
        let mut entropy = SeededEntropy::new(seed);
        let further = self.owner.device_drawn(&administrator(), &mut entropy);
        let (device, entry) = self.place(&by.reach, &further, &entropy);
        let response = by.upload("mmm_Device", None, vec![entry]).await;
        assert_eq!(response.code(), Some(Code::Ok), "{response:?}");
        device
    }

    /// A device of the owner with its session, and its entry.
    fn place(
        &self,
        reach: &Reach,
        device: &people::Device,
        entropy: &SeededEntropy,
    ) -> (Device, Envelope) {
        let keys = device.in_account.clone();
        let text = device.entry.to_json();
        let sealed = Envelope::signed(text, Header::default(), &[&keys.signature]);
        let connected = Device {
            reach: reach.clone(),
            address: device.address.clone(),
            session: ClientSession::new(self.service.clone(), device.as_connected()),
            keys,
            encryption: self.owner.account.encryption.clone(),
            entropy: entropy.clone(),
        };
        (connected, event("New", &device.udf(), sealed))
    }

    async fn register(&self, reach: &Reach, entropy: &mut SeededEntropy) {
        let client = self.owner.device.as_device();
        let mut session = ClientSession::new(self.service.clone(), client);
        let request = self.owner.creation();
        let mut attempt = session.begin_creating(&request, &self.owner.mesh.online, entropy);
        let response = carry(reach, &mut session, &mut attempt, entropy)
            .await
            .expect("the service is reached");
        assert_eq!(response.code(), Some(Code::Ok), "{response:?}");
    }
}

/// What an answer means.
pub trait Answered {
    /// Its code.
    fn code(&self) -> Option<Code>;
}

impl Answered for Response {
    fn code(&self) -> Option<Code> {
        self.outcome().code()
    }
}

impl Device {
    /// Begins a request; its id stays the same however often it is sent.
    pub fn begin(&mut self, request: &Request) -> Attempt<'static> {
        self.session.begin(request, &mut self.entropy)
    }

    /// Sends `attempt`, and again as the service asks, until there is an answer.
    ///
    /// # Errors
    /// The service cannot be reached, or went away: whether it did what was asked is unknown.
    ///
    /// # Panics
    /// If the answer cannot be believed.
    pub async fn carry(&mut self, attempt: &mut Attempt<'_>) -> Result<Response, TransportError> {
        carry(&self.reach, &mut self.session, attempt, &mut self.entropy).await
    }

    /// Sends a request once and as often as the service asks.
    ///
    /// # Panics
    /// If the service cannot be reached.
    pub async fn ask(&mut self, request: &Request) -> Response {
        let mut attempt = self.begin(request);
        self.carry(&mut attempt)
            .await
            .expect("the service is reached")
    }

    /// The octets of `request`, sealed for one sending.
    ///
    /// # Panics
    /// If the service's key is none.
    #[must_use]
    pub fn sealed(&mut self, request: &Request) -> Envelope {
        let sealed = self.session.request(now(), &mut self.entropy, request);
        sealed.expect("the key of the service is one").0
    }

    /// The same device in a session of its own: another ticket, other chance.
    #[must_use]
    pub fn in_another_session(&self, seed: u64) -> Self {
        let (service, client) = (self.session.service(), self.session.client());
        Self {
            reach: self.reach.clone(),
            address: self.address.clone(),
            session: ClientSession::new(service.clone(), client.clone()),
            keys: self.keys.clone(),
            encryption: self.encryption.clone(),
            entropy: SeededEntropy::new(seed),
        }
    }

    /// This device's session.
    #[must_use]
    pub const fn session(&self) -> &ClientSession {
        &self.session
    }

    /// The device's keys in the account.
    #[must_use]
    pub const fn keys(&self) -> &ActivatedKeys {
        &self.keys
    }

    /// Where it draws from.
    pub const fn entropy(&mut self) -> &mut SeededEntropy {
        &mut self.entropy
    }

    /// An Upload to one container: at `index`, or behind what is there.
    ///
    /// # Panics
    /// If the service cannot be reached.
    pub async fn upload(
        &mut self,
        container: &str,
        index: Option<u64>,
        envelopes: Vec<Envelope>,
    ) -> Response {
        let request = upload(container, index, envelopes);
        self.ask(&request).await
    }

    /// An event whose content is encrypted to the account.
    ///
    /// # Panics
    /// If the account's key is none.
    pub fn entry(&mut self, kind: &str, unique_id: &str, content: &[u8]) -> Envelope {
        let recipients = [self.encryption.public()];
        let sealed =
            Envelope::encrypted(content, Header::default(), &recipients, &mut self.entropy);
        event(kind, unique_id, sealed.expect("the account has a key"))
    }

    /// Where all containers stand.
    ///
    /// # Panics
    /// If the service refuses or cannot be reached.
    pub async fn status(&mut self) -> Vec<ContainerStatus> {
        match self.ask(&Request::Status(StatusRequest::default())).await {
            Response::Status(status) if status.outcome.is_success() => {
                status.container_status.to_vec()
            }
            other => panic!("a Status was answered with {other:?}"),
        }
    }

    /// Frame count and apex of one container; none if there is no such container.
    pub async fn standing(&mut self, container: &str) -> (u64, Option<Binary>) {
        let rows = self.status().await;
        rows.into_iter()
            .find(|row| row.container.as_deref() == Some(container))
            .map_or((0, None), |row| (row.index.unwrap_or_default(), row.digest))
    }

    /// All frames of a container, after checking that each stands where it says, and that the
    /// digests of their payloads give the apex that Status tells.
    ///
    /// # Panics
    /// If they do not, or the service refuses.
    pub async fn frames(&mut self, container: &str) -> Vec<Envelope> {
        let (count, apex) = self.standing(container).await;
        let mut frames: Vec<Envelope> = Vec::new();
        let mut digests = DigestStack::new();
        while (frames.len() as u64) < count {
            let page = self.download(container, frames.len() as u64).await;
            assert!(!page.is_empty(), "a page has at least one frame");
            for envelope in page {
                assert_eq!(envelope.index(), Some(frames.len() as u64));
                let tree = digests.append(&payload_digest(envelope.payload.as_slice()));
                if let Some(claimed) = envelope.tree_digest() {
                    assert_eq!(claimed.as_slice(), tree, "frame {}", frames.len());
                }
                frames.push(envelope);
            }
        }
        assert_eq!(frames.len() as u64, count, "frames behind the last one");
        assert_eq!(digests.apex().map(Binary::from), apex, "{container}");
        frames
    }

    async fn download(&mut self, container: &str, from: u64) -> Vec<Envelope> {
        let select = ConstraintsSelect {
            container: Some(container.to_owned()),
            index_min: i64::try_from(from).ok(),
            ..ConstraintsSelect::default()
        };
        let request = Request::Download(DownloadRequest {
            select: vec![select],
            ..DownloadRequest::default()
        });
        match self.ask(&request).await {
            Response::Download(mut answer) if answer.outcome.is_success() => {
                assert_eq!(answer.updates.len(), 1);
                answer.updates.remove(0).envelopes
            }
            other => panic!("a Download was answered with {other:?}"),
        }
    }
}

/// A device that is connected to nothing, with a ticket by which it may ask the account `address` to
/// connect it. The same `seed` gives the same keys.
///
/// # Panics
/// If the service refuses or cannot be reached.
pub async fn unconnected(reach: &Reach, address: &str, seed: u64) -> (DeviceKeys, StoredTicket) {
    let keys = DeviceKeys::generate(&mut SeededEntropy::new(seed));
    let client = ClientIdentity::device(
        keys.profile(None),
        keys.authentication.clone(),
        Some(address.to_owned()),
    );
    (keys, ticket_of(reach, client, seed).await)
}

/// The ticket that whoever may speak gets with a Hello.
///
/// # Panics
/// If the service refuses or cannot be reached.
pub async fn ticket_of(reach: &Reach, client: ClientIdentity, seed: u64) -> StoredTicket {
    let mut entropy = SeededEntropy::new(seed);
    let hello = reach.hello().await.expect("the service says hello");
    let service = ServiceIdentity::from_hello(&hello).expect("the service proves who it is");
    let mut session = ClientSession::new(service, client);
    let request = Request::Hello(HelloRequest::default());
    let mut attempt = session.begin(&request, &mut entropy);
    let response = carry(reach, &mut session, &mut attempt, &mut entropy)
        .await
        .expect("the service is reached");
    assert_eq!(response.code(), Some(Code::Ok), "{response:?}");
    let ticket = session.ticket().cloned();
    ticket.expect("whoever authenticates gets a ticket with its Hello")
}

async fn carry(
    reach: &Reach,
    session: &mut ClientSession,
    attempt: &mut Attempt<'_>,
    entropy: &mut SeededEntropy,
) -> Result<Response, TransportError> {
    loop {
        let envelope = session
            .seal(attempt, now(), entropy)
            .expect("the key of the service is one");
        let reply = reach.https.post(&reach.url, json::write(&envelope)).await?;
        let step = session
            .receive(attempt, &reply.body, reply.date, now())
            .expect("the answer is the service's");
        match step {
            Step::Done(response) | Step::Refused(response) => return Ok(*response),
            Step::SendAgain => {}
            Step::HelloFirst => panic!("the service has another key than before"),
        }
    }
}

/// An Upload of frames to one container.
#[must_use]
pub fn upload(container: &str, index: Option<u64>, envelopes: Vec<Envelope>) -> Request {
    Request::Upload(UploadRequest {
        updates: vec![ContainerUpdate {
            container: Some(container.to_owned()),
            index,
            digest: None,
            envelopes,
        }],
        ..UploadRequest::default()
    })
}

/// Frame 0 of a catalog.
#[must_use]
pub fn first_frame() -> Envelope {
    frame_zero(ContainerType::Merkle, CONTENT_TYPE_CATALOG)
}

/// An event of a catalog about the object `unique_id`, with `content` as it is.
#[must_use]
pub fn event(kind: &str, unique_id: &str, content: Envelope) -> Envelope {
    let meta = ContentMeta {
        unique_id: Some(unique_id.to_owned()),
        event: Some(kind.to_owned()),
        ..content.header.content_meta().unwrap_or_default()
    };
    Envelope {
        header: content.header.clone().with_content_meta(&meta),
        ..content
    }
}
