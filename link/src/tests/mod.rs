//! Both ends of the link over loopback: a node that is simple, and what goes wrong between processes.

mod bounds;
mod calls;
mod events;
mod passing;
mod security;
mod trouble;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mesh_common::account::connect::Publication;
use mesh_common::address::AccountAddress;
use mesh_common::cluster::handle::BoxFuture;
use mesh_common::cluster::{
    AccountRequest, Answer, Backend, CallFailure, Changes, Evidence, NodeService, Nudge,
    PassFailure, Route, SigningKeys, Told, Verified, Watch,
};
use mesh_common::discovery::Pinned;
use mesh_common::entropy::SeededEntropy;
use mesh_common::error::ServiceError;
use mesh_common::protocol::{
    Outcome, Request, Response, StatusRequest, StatusResponse, UploadRequest,
};
use mesh_common::session::{Caller, Mode, RequestId, Via};
use mesh_common::time::{Clock, Timestamp};
use mesh_common::udf::{Udf, content_digest};
use tokio::sync::{Semaphore, watch};

use crate::{
    Heard, LinkClient, LinkConnector, LinkSecurity, LinkServer, LinkService, LinkStartError,
};

/// Time for what should take no time.
const PATIENCE: Duration = Duration::from_secs(20);

/// The time that all ends of a test agree on, unless it says otherwise.
const NOW: Timestamp = Timestamp::from_secs(1_900_000_000);

/// A clock that stands.
struct Standing(AtomicI64);

impl Standing {
    fn at(time: Timestamp) -> Arc<Self> {
        Arc::new(Self(AtomicI64::new(time.as_millis())))
    }
}

impl Clock for Standing {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::Relaxed))
    }
}

/// How a node answers.
#[derive(Debug, Clone)]
enum Manner {
    Well,
    With(CallFailure),
    /// Once a permit is there for each call.
    Slowly(Arc<Semaphore>),
    /// Well, but it reaches no other node.
    Lonely,
}

/// A node that answers as it is told to, and remembers what it was asked.
struct SimpleNode {
    manner: Mutex<Manner>,
    told: watch::Sender<Told>,
    changes: Arc<Changes>,
    /// What it watches at others.
    others: Arc<Changes>,
    nudges: watch::Sender<Vec<Nudge>>,
    asked: AtomicUsize,
    last: Mutex<Option<AccountRequest>>,
    /// What it was to pass on, and to whom.
    passed_on: Mutex<Vec<Route>>,
    pins: Mutex<BTreeMap<String, Pinned>>,
}

impl SimpleNode {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            manner: Mutex::new(Manner::Well),
            told: watch::Sender::new(Told {
                revision: 1,
                ..Told::default()
            }),
            changes: Arc::default(),
            others: Arc::default(),
            nudges: watch::Sender::default(),
            asked: AtomicUsize::new(0),
            last: Mutex::default(),
            passed_on: Mutex::default(),
            pins: Mutex::default(),
        })
    }

    fn behave(&self, manner: Manner) {
        *self.manner.lock().unwrap() = manner;
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    async fn act(&self) -> Result<(), CallFailure> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let manner = self.manner.lock().unwrap().clone();
        match manner {
            Manner::Well | Manner::Lonely => Ok(()),
            Manner::With(failure) => Err(failure),
            Manner::Slowly(permits) => {
                permits.acquire().await.unwrap().forget();
                Ok(())
            }
        }
    }
}

fn refused(failure: CallFailure) -> ServiceError {
    failure.into_refusal().unwrap()
}

impl Backend for SimpleNode {
    fn signing_keys<'a>(
        &'a self,
        account: &'a AccountAddress,
        _deadline: Timestamp,
    ) -> BoxFuture<'a, Result<Option<SigningKeys>, ServiceError>> {
        Box::pin(async move {
            self.act().await.map_err(refused)?;
            Ok((account.user() == "alice").then(keys))
        })
    }

    fn perform(
        &self,
        request: Verified<AccountRequest>,
    ) -> BoxFuture<'_, Result<Answer, CallFailure>> {
        Box::pin(async move {
            let answer = answer(&request);
            *self.last.lock().unwrap() = Some(request.into_inner());
            self.act().await.map(|()| answer)
        })
    }

    fn receive(
        &self,
        request: Verified<AccountRequest>,
    ) -> BoxFuture<'_, Result<Answer, CallFailure>> {
        self.perform(request)
    }

    fn heard_from(&self, _domain: &str) {}

    fn watch<'a>(&'a self, account: &'a AccountAddress) -> BoxFuture<'a, Option<Watch>> {
        Box::pin(std::future::ready(self.changes.watch(account)))
    }

    fn published<'a>(
        &'a self,
        _account: &'a AccountAddress,
        _id: &'a Udf,
        _deadline: Timestamp,
    ) -> BoxFuture<'a, Result<Option<Publication>, ServiceError>> {
        Box::pin(async move {
            self.act().await.map_err(refused)?;
            Ok(Some(publication()))
        })
    }
}

impl NodeService for SimpleNode {
    fn told(&self) -> Told {
        self.told.borrow().clone()
    }

    fn told_anew(&self, seen: u64) -> BoxFuture<'_, Told> {
        let mut told = self.told.subscribe();
        Box::pin(async move {
            let anew = told.wait_for(|told| told.revision != seen).await;
            anew.unwrap().clone()
        })
    }

    fn nudged(&self, nudge: Nudge) {
        self.nudges.send_modify(|all| all.push(nudge));
    }

    fn pinned<'a>(
        &'a self,
        domain: &'a str,
        seen: Option<&'a Pinned>,
        _deadline: Timestamp,
    ) -> BoxFuture<'a, Result<Option<Pinned>, ServiceError>> {
        Box::pin(async move {
            self.act().await.map_err(refused)?;
            let mut pins = self.pins.lock().unwrap();
            if let Some(seen) = seen {
                pins.insert(domain.to_owned(), seen.clone());
            }
            Ok(pins.get(domain).cloned())
        })
    }

    fn watch_on<'a>(
        &'a self,
        route: Route,
        account: &'a AccountAddress,
    ) -> BoxFuture<'a, Option<Watch>> {
        self.passed_on.lock().unwrap().push(route);
        let is_lonely = matches!(*self.manner.lock().unwrap(), Manner::Lonely);
        let watch = (!is_lonely).then(|| self.others.watch(account));
        Box::pin(std::future::ready(watch.flatten()))
    }

    fn pass_on(
        &self,
        route: Route,
        request: Verified<AccountRequest>,
    ) -> BoxFuture<'_, Result<Answer, PassFailure>> {
        Box::pin(async move {
            self.passed_on.lock().unwrap().push(route);
            if matches!(*self.manner.lock().unwrap(), Manner::Lonely) {
                return Err(PassFailure::Unreached("no way to the owner".into()));
            }
            Ok(self.perform(request).await?)
        })
    }
}

fn keys() -> SigningKeys {
    SigningKeys {
        profile_version: 7,
        mesh_udf: udf("mesh"),
        mesh_keys: vec![vec![1; 57]],
        account_udf: udf("account"),
        account_keys: vec![vec![2; 57], vec![3; 57]],
    }
}

fn publication() -> Publication {
    Publication {
        content: vec![9; 300],
        digest: [4; 64],
    }
}

fn udf(text: &str) -> Udf {
    content_digest("text/plain", text.as_bytes(), 140)
}

fn alice() -> AccountAddress {
    AccountAddress::parse("alice@example.com").unwrap()
}

fn answer(request: &AccountRequest) -> Answer {
    Answer {
        response: Response::Status(Box::new(StatusResponse {
            outcome: Outcome::ok(),
            ..StatusResponse::default()
        })),
        context: Some(request.account.as_written().to_owned()),
        retry_after: None,
    }
}

fn request() -> Verified<AccountRequest> {
    request_of(Request::Status(StatusRequest::default()), NOW + PATIENCE)
}

fn large_request(octets: usize) -> Verified<AccountRequest> {
    let upload = UploadRequest {
        self_messages: vec![mesh_common::dare::Envelope::plain(vec![0x5a; octets])],
        ..UploadRequest::default()
    };
    request_of(Request::Upload(upload), NOW + PATIENCE)
}

fn request_of(request: Request, deadline: Timestamp) -> Verified<AccountRequest> {
    Verified::declare(AccountRequest {
        account: alice(),
        caller: Caller {
            mode: Mode::Profile,
            via: Via::Ticket,
            account: Some(alice()),
            profile_udf: None,
            key_udf: udf("key"),
            credential_digest: [5; 32],
            domain: None,
        },
        request_id: RequestId([6; 16]),
        request_digest: [7; 64],
        received_at: NOW,
        deadline,
        request,
        evidence: Evidence::Nothing,
    })
}

fn serve(
    node: &Arc<SimpleNode>,
    security: LinkSecurity,
    clock: Arc<dyn Clock>,
) -> Result<LinkServer, LinkStartError> {
    let link = LinkService {
        service: Arc::clone(node) as Arc<dyn NodeService>,
        security,
        clock,
        traces: None,
    };
    let listen = "127.0.0.1:0".parse().unwrap();
    LinkServer::start(listen, 2, link, &mut SeededEntropy::new(1))
}

fn connector(security: LinkSecurity, clock: Arc<dyn Clock>, seed: u64) -> LinkConnector {
    LinkConnector::new(security, clock, None, &mut SeededEntropy::new(seed))
}

/// A node, its server and a silent link to it, without certificates.
fn plain() -> (Arc<SimpleNode>, LinkServer, LinkClient) {
    let node = SimpleNode::new();
    let server = serve(&node, LinkSecurity::PlainOnLoopback, Standing::at(NOW)).unwrap();
    let connector = connector(LinkSecurity::PlainOnLoopback, Standing::at(NOW), 2);
    let link = connector.silent_link(&server.address().to_string());
    (node, server, link)
}

/// Waits until `holds`.
async fn until(holds: impl Fn() -> bool) {
    let waiting = async {
        while !holds() {
            tokio::task::yield_now().await;
        }
    };
    let waited = tokio::time::timeout(5 * PATIENCE, waiting).await;
    waited.expect("it holds in time");
}

/// Waits until what is heard is as `wanted`.
async fn heard(heard: &mut watch::Receiver<Heard>, wanted: impl FnMut(&Heard) -> bool) -> Heard {
    let found = tokio::time::timeout(PATIENCE, heard.wait_for(wanted)).await;
    found.expect("it is heard in time").unwrap().clone()
}
