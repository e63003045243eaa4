//! The back-end as its callers meet it: transactions through the handle, over engines that behave and
//! engines that do not. The scene is set here; the stories are in the files beside it.

mod batches;
mod cluster;
mod connections;
mod containment;
mod desk;
mod faults;
mod gated;
mod intake;
mod main_job;
mod moving;
mod outbound;
mod pins;
mod posting;
mod quotas;
mod retention;
mod sending;
mod upkeep;
mod usage;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use mesh_common::address::AccountAddress;
use mesh_common::cluster::handle::CreateEvidence;
use mesh_common::cluster::{
    AccountRequest, Answer, Backend as _, CallFailure, Evidence, PartitionId, SigningKeys, Verified,
};
use mesh_common::crypto::SecretKey;
use mesh_common::dare::merkle::payload_digest;
use mesh_common::dare::{ContainerInfo, ContentMeta, DigestStack, Envelope};
use mesh_common::encoding::base64url::Binary;
use mesh_common::entropy::SeededEntropy;
use mesh_common::protocol::{
    Code, ConstraintsSelect, ContainerStatus, ContainerUpdate, CreateRequest, DeleteRequest,
    DownloadRequest, EntryResult, Request, Response, StatusRequest, UploadRequest,
};
use mesh_common::session::{Caller, Mode, RequestId, Via};
use mesh_common::time::{Clock, Timestamp};
use mesh_common::udf::Udf;

pub(crate) use self::intake::left as left_entry;
use crate::config::BackendConfig;
use crate::handle::BackendHandle;
use crate::service_keys::{ServiceKeys, ServiceSecrets};
use crate::store::{MemoryStore, Store};

/// The catalog most stories write to.
const BOOKMARKS: &str = "mmm_Bookmark";

/// A clock that moves when it is told to.
struct StoryClock(AtomicI64);

impl StoryClock {
    fn advance(&self, time: Duration) {
        let millis = i64::try_from(time.as_millis()).unwrap();
        self.0.fetch_add(millis, Ordering::SeqCst);
    }
}

impl Clock for StoryClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }
}

/// How long a story waits for what threads do at their own pace. Time on its clock says nothing of theirs.
struct Patience(tokio::time::Instant);

impl Patience {
    /// The busiest machine needs a small part of it.
    const MAX: Duration = Duration::from_secs(300);

    fn begin() -> Self {
        Self(tokio::time::Instant::now())
    }

    /// Fails the test, for want of `what`, once it has waited for too long.
    fn check(&self, what: &str) {
        assert!(
            self.0.elapsed() < Self::MAX,
            "it never comes to this: {what}"
        );
    }
}

/// A back-end, with its clock and its store.
struct Scene<S: Store> {
    backend: BackendHandle<S>,
    clock: Arc<StoryClock>,
    store: S,
}

impl Scene<MemoryStore> {
    async fn new() -> Self {
        Self::over(MemoryStore::new(), BackendConfig::default()).await
    }
}

impl<S: Store> Scene<S> {
    async fn over(store: S, config: BackendConfig) -> Self {
        let noon = "2026-02-03T12:00:00Z".parse::<Timestamp>().unwrap();
        let clock = Arc::new(StoryClock(AtomicI64::new(noon.as_millis())));
        let backend = start(&store, config, &clock).await;
        Self {
            backend,
            clock,
            store,
        }
    }

    /// Stops the back-end and starts another one over the same store.
    async fn restart(&mut self) {
        self.backend.stop().await;
        self.backend = start(&self.store, BackendConfig::default(), &self.clock).await;
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    async fn perform(&self, request: AccountRequest) -> Result<Answer, CallFailure> {
        self.backend.perform(Verified::declare(request)).await
    }

    /// Performs a request that must be answered in its own class, and gives code and response.
    async fn ask(&self, request: AccountRequest) -> (Code, Response) {
        let response = self.perform(request).await.unwrap().response;
        (response.outcome().code().unwrap(), response)
    }

    async fn create(&self, person: &Person) {
        let (code, _) = self.ask(person.create(self.now())).await;
        assert_eq!(code, Code::Ok);
    }

    /// Creates the account, and the catalog of bookmarks with nothing in it.
    async fn settle(&self, person: &Person) {
        self.create(person).await;
        let (code, _) = self.ask(person.upload(self.now(), 0, &[])).await;
        assert_eq!(code, Code::Ok);
    }

    /// Commands are taken in order: what was sent before waits now, or is being committed.
    async fn commands_taken(&self, person: &Person) {
        self.backend.commands_taken(&person.address).await;
    }

    async fn status(&self, person: &Person) -> Vec<ContainerStatus> {
        match self.ask(person.status(self.now())).await {
            (Code::Ok, Response::Status(status)) => status.container_status.to_vec(),
            other => panic!("a Status was answered with {other:?}"),
        }
    }

    /// Number of frames and apex of the bookmarks.
    async fn bookmarks(&self, person: &Person) -> (u64, Option<Binary>) {
        self.status(person)
            .await
            .into_iter()
            .find(|row| row.container.as_deref() == Some(BOOKMARKS))
            .map_or((0, None), |row| (row.index.unwrap(), row.digest))
    }

    /// All payloads of the bookmarks, read back in as many Downloads as it takes, after checking that
    /// their digests give the apex.
    async fn payloads(&self, person: &Person) -> Vec<Vec<u8>> {
        let (count, apex) = self.bookmarks(person).await;
        let (mut payloads, mut digests) = (Vec::new(), DigestStack::new());
        while (payloads.len() as u64) < count {
            let (code, response) = self
                .ask(person.download(self.now(), payloads.len() as u64))
                .await;
            let (Code::Ok, Response::Download(download)) = (code, response) else {
                panic!("a Download was refused with {code:?}");
            };
            let update = &download.updates[0];
            assert!(
                !update.envelopes.is_empty(),
                "a page has at least one frame"
            );
            for envelope in &update.envelopes {
                assert_eq!(envelope.index(), Some(payloads.len() as u64));
                digests.append(&payload_digest(envelope.payload.as_slice()));
                payloads.push(envelope.payload.0.clone());
            }
        }
        assert_eq!(digests.apex().map(Binary::from), apex);
        payloads
    }

    /// How many batches were committed.
    fn batches(&self) -> u64 {
        self.backend.metrics().batch_operations.get_sample_count()
    }
}

async fn start<S: Store>(
    store: &S,
    config: BackendConfig,
    clock: &Arc<StoryClock>,
) -> BackendHandle<S> {
    let clock: Arc<dyn Clock> = Arc::<StoryClock>::clone(clock);
    BackendHandle::start(
        config,
        store.clone(),
        clock,
        SeededEntropy::new(4),
        service_keys(),
    )
    .await
    .unwrap()
}

/// The secrets of the service.
fn service_keys() -> ServiceKeys {
    let key = |seed| Arc::new(SecretKey::generate(&mut SeededEntropy::new(seed)));
    ServiceKeys::single(ServiceSecrets {
        online: key(101),
        reading: vec![key(102), key(103)],
    })
}

/// A person with one device and one account.
pub(crate) struct Person {
    address: AccountAddress,
    key: Udf,
    requests: AtomicU64,
}

impl Person {
    pub(crate) fn new(name: &str) -> Self {
        Self {
            address: AccountAddress::parse(&format!("{name}@example.com")).unwrap(),
            key: Udf::present(name.as_bytes(), 140),
            requests: AtomicU64::new(0),
        }
    }

    /// People whose accounts lie in the partition of the first of them.
    fn neighbours(count: usize) -> Vec<Self> {
        let first = Self::new("n0");
        let home = PartitionId::of(&first.address);
        let others = (1..)
            .map(|number| Self::new(&format!("n{number}")))
            .filter(move |person| PartitionId::of(&person.address) == home);
        std::iter::once(first).chain(others).take(count).collect()
    }

    fn request(&self, now: Timestamp, via: Via, request: Request) -> AccountRequest {
        let number = self.requests.fetch_add(1, Ordering::SeqCst);
        let mut request_id = [0; 16];
        request_id[..8].copy_from_slice(&number.to_be_bytes());
        request_id[8..].copy_from_slice(&payload_digest(self.address.canonical().as_bytes())[..8]);
        let mut request_digest = [0; 64];
        request_digest[..8].copy_from_slice(&number.to_be_bytes());
        AccountRequest {
            account: self.address.clone(),
            caller: Caller {
                mode: Mode::Device,
                via,
                account: Some(self.address.clone()),
                profile_udf: None,
                key_udf: self.key.clone(),
                credential_digest: [0; 32],
                domain: None,
            },
            request_id: RequestId(request_id),
            request_digest,
            received_at: now,
            deadline: now + Duration::from_secs(60),
            request,
            evidence: Evidence::Nothing,
        }
    }

    /// A CreateAccount. The front-end has checked the profiles, so here they are any envelopes.
    fn create(&self, now: Timestamp) -> AccountRequest {
        let request = Request::CreateAccount(Box::new(CreateRequest {
            service_id: Some(self.address.to_string()),
            signed_profile_mesh: Some(Envelope::plain(b"mesh".as_slice())),
            signed_assertion_account: Some(Envelope::plain(b"account".as_slice())),
            ..CreateRequest::default()
        }));
        AccountRequest {
            evidence: Evidence::Create(Box::new(CreateEvidence {
                keys: self.signing_keys(),
                mesh_updated: Some(Timestamp::from_secs(1)),
                account_updated: Some(Timestamp::from_secs(1)),
                mesh_digest: payload_digest(b"mesh"),
                account_digest: payload_digest(b"account"),
                by_offline_key: false,
                device_keys: vec![self.key.clone()],
            })),
            ..self.request(now, Via::Exchange, request)
        }
    }

    fn signing_keys(&self) -> SigningKeys {
        SigningKeys {
            profile_version: 1,
            mesh_udf: Udf::present(format!("mesh of {}", self.address).as_bytes(), 140),
            mesh_keys: vec![vec![1; 57]],
            account_udf: Udf::present(format!("account of {}", self.address).as_bytes(), 140),
            account_keys: vec![vec![2; 57]],
        }
    }

    fn delete(&self, now: Timestamp) -> AccountRequest {
        let request = Request::DeleteAccount(DeleteRequest::default());
        self.request(now, Via::Ticket, request)
    }

    fn status(&self, now: Timestamp) -> AccountRequest {
        self.request(now, Via::Ticket, Request::Status(StatusRequest::default()))
    }

    fn download(&self, now: Timestamp, first: u64) -> AccountRequest {
        let select = ConstraintsSelect {
            container: Some(BOOKMARKS.into()),
            index_min: Some(i64::try_from(first).unwrap()),
            ..ConstraintsSelect::default()
        };
        let download = DownloadRequest {
            select: vec![select],
            ..DownloadRequest::default()
        };
        self.request(now, Via::Ticket, Request::Download(download))
    }

    /// An Upload of bookmarks from index `base` on: frame 0 itself where `base` is 0.
    pub(crate) fn upload(&self, now: Timestamp, base: u64, payloads: &[&[u8]]) -> AccountRequest {
        let mut envelopes = Vec::new();
        if base == 0 {
            envelopes.push(first_frame());
        }
        let next = base + envelopes.len() as u64;
        envelopes.extend(
            (next..)
                .zip(payloads)
                .map(|(index, payload)| entry(index, payload)),
        );
        let update = ContainerUpdate {
            container: Some(BOOKMARKS.into()),
            index: Some(base),
            digest: None,
            envelopes,
        };
        let upload = UploadRequest {
            updates: vec![update],
            ..UploadRequest::default()
        };
        self.request(now, Via::Ticket, Request::Upload(upload))
    }
}

impl Person {
    /// An Upload of the deletion, at index `base`, of the bookmark with `payload`.
    fn remove(&self, now: Timestamp, base: u64, payload: &[u8]) -> AccountRequest {
        let mut envelope = entry(base, payload);
        let mut meta = envelope.header.content_meta().unwrap();
        meta.event = Some("Delete".into());
        envelope.header = envelope.header.with_content_meta(&meta);
        envelope.payload = Vec::new().into();
        let update = ContainerUpdate {
            container: Some(BOOKMARKS.into()),
            index: Some(base),
            digest: None,
            envelopes: vec![envelope],
        };
        let upload = UploadRequest {
            updates: vec![update],
            ..UploadRequest::default()
        };
        self.request(now, Via::Ticket, Request::Upload(upload))
    }
}

fn first_frame() -> Envelope {
    let mut envelope = Envelope::default();
    envelope.header.container_info = Some(ContainerInfo {
        data_encoding: Some("JSON".into()),
        index: Some(0),
        container_type: Some("Merkle".into()),
        ..ContainerInfo::default()
    });
    envelope
}

/// An entry that is new; its id follows from its payload.
fn entry(index: u64, payload: &[u8]) -> Envelope {
    let mut envelope = Envelope::plain(payload);
    let meta = ContentMeta {
        unique_id: Some(Udf::present(&payload_digest(payload), 140).to_string()),
        event: Some("New".into()),
        ..ContentMeta::default()
    };
    envelope.header = envelope.header.with_content_meta(&meta);
    envelope.header.container_info = Some(ContainerInfo {
        index: Some(index),
        ..ContainerInfo::default()
    });
    envelope
}

/// What became of the first envelope of an Upload, and where it is or what the container's count is.
fn first_result(response: &Response) -> (EntryResult, Option<u64>) {
    let Response::Upload(upload) = response else {
        panic!("an Upload was answered with {response:?}");
    };
    let entry = &upload.entries[0];
    (entry.result.unwrap(), entry.index_container)
}

/// The code a call failed with.
fn code_of(outcome: &Result<Answer, CallFailure>) -> Code {
    match outcome {
        Ok(answer) => answer.response.outcome().code().unwrap(),
        Err(failure) => match failure.clone().into_refusal() {
            Some(error) => error.code,
            None => panic!("no code: {failure:?}"),
        },
    }
}
