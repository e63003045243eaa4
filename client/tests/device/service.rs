//! A Mesh service in the same process: the service's half of `mmm-kx-1` over the account machine in
//! memory. What it does next can be disturbed.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mesh_client::Client;
use mesh_client::transport::{Posting, Reply, Transport, TransportError};
use mesh_common::account::AccountPolicy;
use mesh_common::account::testing::{Shell, at, udf, update};
use mesh_common::address::AccountAddress;
use mesh_common::assertion::ProfileService;
use mesh_common::assertion::make::{HostProfileKeys, ServiceKeys};
use mesh_common::cluster::{AccountRequest, Evidence, SigningKeys};
use mesh_common::crypto::SecretKey;
use mesh_common::crypto::digest::sha512;
use mesh_common::dare::{ContentMeta, Digest64, Envelope};
use mesh_common::encoding::json;
use mesh_common::entropy::SeededEntropy;
use mesh_common::error::ServiceError;
use mesh_common::protocol::{
    Code, HelloResponse, Outcome, Request, Response, Transaction, UploadRequest,
};
use mesh_common::session::{
    Authenticated, Body, Caller, HostKeys, Leniency, Mode, Opened, RequestId, TicketKeys, Via,
    account_for, check_mode, connect_evidence, content_evidence, create_evidence,
    has_signed_content, open_request, parse_request, read_body,
};
use mesh_common::time::Timestamp;

/// Where the service is said to be.
pub(crate) const URL: &str = "https://mmm.example.com";

/// What goes wrong with one request.
#[derive(Debug, Clone)]
pub(crate) enum Disturbance {
    /// It does not reach the service.
    Lost,
    /// It is carried out, and its answer is lost.
    AnswerLost,
    /// Somebody answers in the service's name.
    Hint(Code, Option<Duration>),
    /// The service answers, and HTTP says something else.
    HttpStatus(u16),
    /// One bit of the sealed answer is another on its way.
    Altered,
    /// What answers is no Mesh service.
    NotMesh(&'static str),
}

/// What a service that lies does to its answers.
pub(crate) type Lie = Box<dyn FnMut(&Request, &mut Response) + Send>;
/// What it does to what it establishes about a request, with the key it signs with.
pub(crate) type Bend = Box<dyn FnMut(&mut Evidence, &SecretKey) + Send>;

/// The service.
pub(crate) struct LocalService(Mutex<Inner>);

struct Inner {
    shell: Shell,
    hosts: HostKeys,
    tickets: TicketKeys,
    online: SecretKey,
    profile_service: Envelope,
    profile_host: Envelope,
    entropy: SeededEntropy,
    disturbances: VecDeque<Disturbance>,
    /// What the service keeps once so many more requests were answered.
    behind: Option<(usize, Shell)>,
    lie: Option<Lie>,
    bend: Option<Bend>,
    log: Vec<Transaction>,
}

impl LocalService {
    /// A service without accounts, whose keys follow from `seed`.
    pub(crate) fn new(seed: u64, now: Timestamp) -> Arc<Self> {
        Arc::new(Self(Mutex::new(Inner::new(seed, now))))
    }

    /// What goes wrong with the next requests, in order.
    pub(crate) fn disturb(&self, disturbances: impl IntoIterator<Item = Disturbance>) {
        self.0.lock().unwrap().disturbances.extend(disturbances);
    }

    /// The service itself puts an entry in the place of the one it has under this id.
    pub(crate) fn forge_entry(&self, address: &str, name: &str, id: &str, entry: Envelope) {
        let account = AccountAddress::parse(address).unwrap();
        let mut inner = self.0.lock().unwrap();
        let shell = &mut inner.shell;
        let next = shell.frames(&account, name).len() as u64;
        let meta = ContentMeta {
            unique_id: Some(id.into()),
            event: Some("Update".into()),
            first: Some(1),
            previous: Some(next - 1),
            ..ContentMeta::default()
        };
        let header = entry.header.clone().with_content_meta(&meta);
        let entry = at(next, Envelope { header, ..entry });
        let received_at = shell.now;
        let answer = shell.perform(AccountRequest {
            caller: Caller {
                mode: Mode::Interop,
                via: Via::Bare,
                account: None,
                profile_udf: None,
                key_udf: udf("the service itself"),
                credential_digest: [0; 32],
                domain: None,
            },
            request_id: RequestId([9; 16]),
            request_digest: [9; 64],
            received_at,
            deadline: received_at,
            request: Request::Upload(UploadRequest {
                updates: vec![update(name, vec![entry])],
                ..UploadRequest::default()
            }),
            evidence: Evidence::Nothing,
            account,
        });
        let outcome = answer.response.outcome();
        assert!(outcome.is_success(), "{outcome:?}");
    }

    /// Time passes at the service.
    pub(crate) fn set_time(&self, now: Timestamp) {
        self.0.lock().unwrap().shell.now = now;
    }

    /// Nothing more goes wrong.
    pub(crate) fn undisturbed(&self) {
        self.0.lock().unwrap().disturbances.clear();
    }

    /// Another key for sessions; the old one is not known any more.
    pub(crate) fn change_host_key(&self) {
        let mut inner = self.0.lock().unwrap();
        let mut keys = ServiceKeys::generate(&mut SeededEntropy::new(1));
        keys.authentication = ServiceKeys::generate(&mut SeededEntropy::new(99)).authentication;
        let updated = inner.shell.now + Duration::from_secs(1);
        inner.take_keys(&keys, updated);
    }

    /// Settings of the service.
    pub(crate) fn set_policy(&self, policy: AccountPolicy) {
        self.0.lock().unwrap().shell.policy = policy;
    }

    /// Everything the service keeps.
    pub(crate) fn snapshot(&self) -> Shell {
        self.0.lock().unwrap().shell.clone()
    }

    /// Puts back what the service kept.
    pub(crate) fn restore(&self, shell: Shell) {
        self.0.lock().unwrap().shell = shell;
    }

    /// Puts back what the service kept once `requests` more were answered, as if another device
    /// had been there meanwhile.
    pub(crate) fn swap_behind(&self, requests: usize, shell: Shell) {
        self.0.lock().unwrap().behind = Some((requests, shell));
    }

    /// The transactions that were carried out since this was last asked.
    pub(crate) fn log(&self) -> Vec<Transaction> {
        std::mem::take(&mut self.0.lock().unwrap().log)
    }

    /// The payloads of a container, as they are stored.
    pub(crate) fn frames(&self, address: &str, name: &str) -> Vec<Digest64> {
        let address = AccountAddress::parse(address).unwrap();
        let inner = self.0.lock().unwrap();
        inner.shell.check();
        let frames = inner.shell.frames(&address, name);
        frames.iter().map(|frame| frame.payload_digest).collect()
    }
}

#[allow(
    dead_code,
    reason = "the suite that plays a service that lies has this scene too"
)]
impl LocalService {
    /// From now on the service lies.
    pub(crate) fn lie(&self, lie: impl FnMut(&Request, &mut Response) + Send + 'static) {
        self.0.lock().unwrap().lie = Some(Box::new(lie));
    }

    /// From now on the service finds what it wants to find.
    pub(crate) fn bend(&self, bend: impl FnMut(&mut Evidence, &SecretKey) + Send + 'static) {
        self.0.lock().unwrap().bend = Some(Box::new(bend));
    }

    /// From now on the service is honest.
    pub(crate) fn repent(&self) {
        let mut inner = self.0.lock().unwrap();
        (inner.lie, inner.bend) = (None, None);
    }

    /// The key it signs acknowledgements with.
    pub(crate) fn online_key(&self) -> SecretKey {
        self.0.lock().unwrap().online.clone()
    }
}

impl Transport for LocalService {
    fn post<'a>(&'a self, url: &'a str, body: Vec<u8>) -> Posting<'a> {
        assert_eq!(url, URL);
        let answer = self.0.lock().unwrap().post(&body);
        Box::pin(async move { answer })
    }
}

/// The same service, at which another device synchronizes before a certain request arrives.
pub(crate) struct Overtaking {
    service: Arc<LocalService>,
    other: tokio::sync::Mutex<Option<Client>>,
    requests: AtomicUsize,
    overtaken: usize,
}

impl Overtaking {
    /// The other device is faster than the request with the number `overtaken`, from 0.
    pub(crate) fn new(service: &Arc<LocalService>, other: Client, overtaken: usize) -> Self {
        Self {
            service: Arc::clone(service),
            other: tokio::sync::Mutex::new(Some(other)),
            requests: AtomicUsize::new(0),
            overtaken,
        }
    }
}

#[allow(
    dead_code,
    reason = "the suite that plays a service that lies has this scene too"
)]
impl Overtaking {
    /// How many requests arrived.
    pub(crate) fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

impl Transport for Overtaking {
    fn post<'a>(&'a self, url: &'a str, body: Vec<u8>) -> Posting<'a> {
        Box::pin(async move {
            if self.requests.fetch_add(1, Ordering::SeqCst) == self.overtaken
                && let Some(mut other) = self.other.lock().await.take()
            {
                other.sync(None).await.unwrap();
            }
            self.service.post(url, body).await
        })
    }
}

fn lost() -> TransportError {
    TransportError::Unreachable {
        url: URL.into(),
        source: "the line is down".into(),
    }
}

impl Inner {
    fn new(seed: u64, now: Timestamp) -> Self {
        let mut entropy = SeededEntropy::new(seed);
        let keys = ServiceKeys::generate(&mut entropy);
        let profile = keys.profile(now);
        let udf = ProfileService::verify(&profile).unwrap().udf().clone();
        let mut tickets = TicketKeys::new(udf.clone());
        tickets.rotate(now, &mut entropy);
        let host = HostProfileKeys::generate(&mut entropy);
        let mut shell = Shell::default();
        shell.now = now;
        Self {
            shell,
            hosts: HostKeys::new(udf, keys.authentication.clone()).unwrap(),
            tickets,
            online: keys.online.clone(),
            profile_service: profile,
            profile_host: host.profile(&keys.offline),
            entropy,
            disturbances: VecDeque::new(),
            behind: None,
            lie: None,
            bend: None,
            log: Vec::new(),
        }
    }

    fn take_keys(&mut self, keys: &ServiceKeys, updated: Timestamp) {
        let host = HostProfileKeys::generate(&mut self.entropy);
        self.online = keys.online.clone();
        self.profile_service = keys.profile(updated);
        self.profile_host = host.profile(&keys.offline);
        let udf = ProfileService::verify(&self.profile_service).unwrap();
        self.hosts = HostKeys::new(udf.udf().clone(), keys.authentication.clone()).unwrap();
    }

    fn post(&mut self, body: &[u8]) -> Result<Reply, TransportError> {
        match self.behind.take() {
            Some((0, shell)) => self.shell = shell,
            Some((more, shell)) => self.behind = Some((more - 1, shell)),
            None => {}
        }
        let mut reply = Reply {
            http_status: 200,
            date: Some(self.shell.now),
            ..Reply::default()
        };
        match self.disturbances.pop_front() {
            None => reply.body = self.answer(body),
            Some(Disturbance::Lost) => return Err(lost()),
            Some(Disturbance::AnswerLost) => {
                self.answer(body);
                return Err(lost());
            }
            Some(Disturbance::HttpStatus(status)) => {
                reply.body = self.answer(body);
                reply.http_status = status;
            }
            Some(Disturbance::Altered) => {
                let mut envelope: Envelope = json::parse(&self.answer(body)).unwrap();
                *envelope.payload.0.last_mut().unwrap() ^= 1;
                reply.body = json::write(&envelope);
            }
            Some(Disturbance::NotMesh(text)) => reply.body = text.into(),
            Some(Disturbance::Hint(code, wait)) => {
                reply.body = bare(&ServiceError::new(code, "not now"));
                reply.http_status = code.http();
                reply.retry_after = wait;
            }
        }
        Ok(reply)
    }

    fn answer(&mut self, body: &[u8]) -> Vec<u8> {
        match read_body(body) {
            Ok(Body::Bare(_)) => json::write(&Response::Hello(Box::new(HelloResponse {
                outcome: Outcome::ok(),
                enveloped_profile_service: Some(self.profile_service.clone()),
                enveloped_profile_host: Some(self.profile_host.clone()),
                ..HelloResponse::default()
            }))),
            Ok(Body::Sealed(envelope)) => match self.authenticate(*envelope) {
                Ok(authenticated) => self.sealed(&authenticated),
                Err(error) => bare(&error),
            },
            Ok(Body::Plain(_)) | Err(_) => bare(&ServiceError::new(
                Code::Malformed,
                "the request cannot be read",
            )),
        }
    }

    fn authenticate(&self, envelope: Envelope) -> Result<Authenticated, ServiceError> {
        let opened = open_request(envelope, &self.hosts, &self.tickets, self.shell.now)?;
        let exchange = match opened {
            Opened::Ticket(authenticated) => return Ok(*authenticated),
            Opened::Exchange(exchange) => exchange,
        };
        if exchange.mode() != Mode::Profile {
            return exchange.verify_alone();
        }
        let keys = exchange.account().and_then(|account| self.keys_of(account));
        exchange.verify_by(keys.as_ref())
    }

    fn keys_of(&self, account: &AccountAddress) -> Option<SigningKeys> {
        self.shell.standing(account).signing_keys().cloned()
    }

    fn sealed(&mut self, authenticated: &Authenticated) -> Vec<u8> {
        let request = parse_request(&authenticated.plaintext);
        let transaction = request.as_ref().ok().map(Request::transaction);
        let asked = request.as_ref().ok().cloned();
        let mut response = request
            .and_then(|request| self.perform(authenticated, request))
            .unwrap_or_else(|error| Response::refusal(transaction, &error));
        if let (Some(lie), Some(asked)) = (&mut self.lie, asked) {
            lie(&asked, &mut response);
        }
        let envelope = authenticated
            .sealer
            .seal_response(
                transaction,
                &response,
                &self.tickets,
                self.shell.now,
                &mut self.entropy,
            )
            .unwrap();
        json::write(&envelope)
    }

    fn perform(
        &mut self,
        authenticated: &Authenticated,
        request: Request,
    ) -> Result<Response, ServiceError> {
        let transaction = request.transaction();
        check_mode(&authenticated.caller, transaction)?;
        let account = account_for(authenticated, &request)?;
        if transaction == Transaction::Hello {
            return Ok(Response::with_outcome(Some(transaction), Outcome::ok()));
        }
        let account = account.expect("every transaction of these tests is for an account");
        self.log.push(transaction);
        let mut evidence = match &request {
            Request::CreateAccount(create) => Evidence::Create(Box::new(create_evidence(
                create,
                Some(authenticated),
                Leniency::default(),
            )?)),
            Request::Connect(connect) => connect_evidence(
                connect,
                Some(authenticated),
                self.keys_of(&account).as_ref(),
                self.shell.policy.message_payload_bytes_max,
                &self.online,
                &mut self.entropy,
            )?,
            signed if has_signed_content(signed) => match self.keys_of(&account) {
                Some(keys) => content_evidence(signed, Some(&keys), &account)?,
                None => Evidence::Nothing,
            },
            _ => Evidence::Nothing,
        };
        if let Some(bend) = &mut self.bend {
            bend(&mut evidence, &self.online);
        }
        let answer = self.shell.perform(AccountRequest {
            account,
            caller: authenticated.caller.clone(),
            request_id: authenticated.request_id,
            request_digest: sha512(&[&authenticated.plaintext]),
            received_at: self.shell.now,
            deadline: self.shell.now + Duration::from_secs(5),
            request,
            evidence,
        });
        Ok(answer.response)
    }
}

fn bare(error: &ServiceError) -> Vec<u8> {
    json::write(&Response::refusal(None, error))
}
