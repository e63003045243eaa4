//! What one call over the link costs, in processor time of both ends together.
//!
//! `cargo bench -p mesh-link --bench hop` has one process be both ends, over loopback, with and without
//! certificates: a small call, and one with a payload of 4 KiB. What the node does is nothing. The figures
//! are of this machine; what they are compared with is the bound of 45 µs per hop. Option behind `--`:
//! `--calls N`.

use std::error::Error;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use mesh_common::account::connect::Publication;
use mesh_common::address::AccountAddress;
use mesh_common::cluster::handle::BoxFuture;
use mesh_common::cluster::{
    AccountRequest, Answer, Backend, CallFailure, Evidence, NodeService, Nudge, PassFailure, Route,
    SigningKeys, Told, Verified, Watch, wire,
};
use mesh_common::dare::Envelope;
use mesh_common::discovery::Pinned;
use mesh_common::entropy::SeededEntropy;
use mesh_common::error::ServiceError;
use mesh_common::protocol::{
    ContainerUpdate, Outcome, Request, Response, StatusRequest, StatusResponse, UploadRequest,
};
use mesh_common::session::{Caller, Mode, RequestId, Via};
use mesh_common::time::{Clock, Timestamp};
use mesh_common::udf::{Udf, content_digest};
use mesh_link::ca::{self, AUTHORITY_LIFE, NODE_LIFE};
use mesh_link::{
    ClusterName, LinkClient, LinkConnector, LinkFiles, LinkRole, LinkSecurity, LinkServer,
    LinkService, LinkTls, NodeLink,
};
use tokio::time::Instant;

type Outcomes<T> = Result<T, Box<dyn Error>>;

/// Calls that are under way at once.
const UNDER_WAY: [usize; 2] = [1, 16];

struct Idle;

impl Backend for Idle {
    fn signing_keys<'a>(
        &'a self,
        _account: &'a AccountAddress,
        _deadline: Timestamp,
    ) -> BoxFuture<'a, Result<Option<SigningKeys>, ServiceError>> {
        Box::pin(std::future::ready(Ok(None)))
    }

    fn perform(
        &self,
        request: Verified<AccountRequest>,
    ) -> BoxFuture<'_, Result<Answer, CallFailure>> {
        let answer = Answer {
            response: Response::Status(Box::new(StatusResponse {
                outcome: Outcome {
                    id: request.request.id().map(Into::into),
                    ..Outcome::ok()
                },
                ..StatusResponse::default()
            })),
            context: None,
            retry_after: None,
        };
        Box::pin(std::future::ready(Ok(answer)))
    }

    fn receive(
        &self,
        request: Verified<AccountRequest>,
    ) -> BoxFuture<'_, Result<Answer, CallFailure>> {
        self.perform(request)
    }

    fn heard_from(&self, _domain: &str) {}

    fn watch<'a>(&'a self, _account: &'a AccountAddress) -> BoxFuture<'a, Option<Watch>> {
        Box::pin(std::future::ready(None))
    }

    fn published<'a>(
        &'a self,
        _account: &'a AccountAddress,
        _id: &'a Udf,
        _deadline: Timestamp,
    ) -> BoxFuture<'a, Result<Option<Publication>, ServiceError>> {
        Box::pin(std::future::ready(Ok(None)))
    }
}

impl NodeService for Idle {
    fn told(&self) -> Told {
        Told::default()
    }

    fn told_anew(&self, _seen: u64) -> BoxFuture<'_, Told> {
        Box::pin(std::future::pending())
    }

    fn nudged(&self, _nudge: Nudge) {}

    fn pinned<'a>(
        &'a self,
        _domain: &'a str,
        _seen: Option<&'a Pinned>,
        _deadline: Timestamp,
    ) -> BoxFuture<'a, Result<Option<Pinned>, ServiceError>> {
        Box::pin(std::future::ready(Ok(None)))
    }

    fn watch_on<'a>(&'a self, _: Route, _: &'a AccountAddress) -> BoxFuture<'a, Option<Watch>> {
        Box::pin(std::future::ready(None))
    }

    fn pass_on(
        &self,
        _route: Route,
        request: Verified<AccountRequest>,
    ) -> BoxFuture<'_, Result<Answer, PassFailure>> {
        Box::pin(async move { Ok(self.perform(request).await?) })
    }
}

struct Now;

impl Clock for Now {
    fn now(&self) -> Timestamp {
        let since = std::time::SystemTime::UNIX_EPOCH
            .elapsed()
            .unwrap_or_default();
        Timestamp::from_millis(since.as_millis() as i64)
    }
}

fn main() -> Outcomes<()> {
    let arguments: Vec<String> = std::env::args().collect();
    let position = arguments.iter().position(|argument| argument == "--calls");
    let calls = position
        .and_then(|position| arguments.get(position + 1)?.parse().ok())
        .unwrap_or(20_000);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(measure(calls))
}

async fn measure(calls: usize) -> Outcomes<()> {
    let mut out = std::io::stdout();
    let folder = tempfile::tempdir()?;
    let (node, front) = certificates(folder.path())?;
    let pairs = [
        (
            "plain",
            LinkSecurity::PlainOnLoopback,
            LinkSecurity::PlainOnLoopback,
        ),
        (
            "secured",
            LinkSecurity::Mutual(node),
            LinkSecurity::Mutual(front),
        ),
    ];
    for (name, request) in [("small", request(0)), ("4 KiB", request(4_096))] {
        writeln!(out, "codec    {name:8} {:6.1} µs", codec(&request, calls)?)?;
        for (security, of_node, of_front) in &pairs {
            let (server, link) = both(of_node.clone(), of_front.clone())?;
            for under_way in UNDER_WAY {
                many(&link, &request, under_way, calls / 10).await?;
                let (cpu, began) = (processor_time()?, Instant::now());
                many(&link, &request, under_way, calls).await?;
                let cpu = micros(processor_time()?.saturating_sub(cpu)) / calls as f64;
                let wall = micros(began.elapsed()) * under_way as f64 / calls as f64;
                writeln!(
                    out,
                    "{security:8} {name:8} {cpu:6.1} µs of processor, {wall:7.1} µs each, {under_way} at once"
                )?;
            }
            drop(link);
            server.stop().await;
        }
    }
    Ok(())
}

/// Writing and reading a request and its answer, per call.
fn codec(request: &Verified<AccountRequest>, calls: usize) -> Outcomes<f64> {
    let began = processor_time()?;
    for _ in 0..calls {
        let octets = wire::write(request);
        let read: Verified<AccountRequest> = wire::read(&octets)?;
        std::hint::black_box(read);
    }
    Ok(micros(processor_time()?.saturating_sub(began)) / calls as f64)
}

async fn many(
    link: &Arc<LinkClient>,
    request: &Verified<AccountRequest>,
    under_way: usize,
    calls: usize,
) -> Outcomes<()> {
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..under_way {
        let (link, request) = (Arc::clone(link), request.clone());
        tasks.spawn(async move {
            for _ in 0..calls / under_way {
                link.perform(&request).await?;
            }
            Ok::<_, mesh_link::LinkFailure>(())
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended??;
    }
    Ok(())
}

fn both(node: LinkSecurity, front: LinkSecurity) -> Outcomes<(LinkServer, Arc<LinkClient>)> {
    let link = LinkService {
        service: Arc::new(Idle),
        security: node,
        clock: Arc::new(Now),
        traces: None,
    };
    let listen = "127.0.0.1:0".parse()?;
    let server = LinkServer::start(listen, 1, link, &mut SeededEntropy::new(1))?;
    let connector = LinkConnector::new(front, Arc::new(Now), None, &mut SeededEntropy::new(2));
    let link = connector.silent_link(&server.address().to_string());
    Ok((server, Arc::new(link)))
}

fn certificates(folder: &std::path::Path) -> Outcomes<(Arc<LinkTls>, Arc<LinkTls>)> {
    let cluster: ClusterName = "bench".parse()?;
    let by = ca::authority(&cluster, Now.now(), AUTHORITY_LIFE)?;
    let tls = |role: LinkRole| -> Outcomes<Arc<LinkTls>> {
        let roles = [role].into_iter().collect();
        let issued = ca::node(&by, &cluster, roles, &[], Now.now(), NODE_LIFE)?;
        let file = |ending: &str, text: &str| {
            let path = folder.join(format!("{role}.{ending}"));
            std::fs::write(&path, text).map(|()| path)
        };
        let files = LinkFiles {
            authorities: file("ca", &by.certificate)?,
            certificate: file("crt", &issued.certificate)?,
            key: file("key", &issued.key)?,
        };
        Ok(Arc::new(LinkTls::from_files(cluster.clone(), files)?))
    };
    Ok((tls(LinkRole::Backend)?, tls(LinkRole::Frontend)?))
}

fn request(octets: usize) -> Verified<AccountRequest> {
    let account = AccountAddress::parse("alice@example.com").expect("the address is one");
    let udf = content_digest("text/plain", b"key", 140);
    let request = match octets {
        0 => Request::Status(StatusRequest::default()),
        octets => Request::Upload(UploadRequest {
            updates: vec![ContainerUpdate {
                container: Some("mmm_Inbound".into()),
                index: Some(7),
                digest: Some([1; 64].into()),
                envelopes: vec![Envelope::plain(vec![7; octets])],
            }],
            ..UploadRequest::default()
        }),
    };
    Verified::declare(AccountRequest {
        account: account.clone(),
        caller: Caller {
            mode: Mode::Profile,
            via: Via::Ticket,
            account: Some(account),
            profile_udf: Some(udf.clone()),
            key_udf: udf,
            credential_digest: [5; 32],
            domain: None,
        },
        request_id: RequestId([6; 16]),
        request_digest: [7; 64],
        received_at: Now.now(),
        deadline: Now.now() + Duration::from_secs(600),
        request,
        evidence: Evidence::Nothing,
    })
}

/// Time that all threads of this process have spent on a processor.
fn processor_time() -> Outcomes<Duration> {
    let mut nanoseconds = 0;
    for task in std::fs::read_dir("/proc/self/task")? {
        let text = std::fs::read_to_string(task?.path().join("schedstat"))?;
        let first = text.split_whitespace().next().unwrap_or_default();
        nanoseconds += first.parse::<u64>()?;
    }
    Ok(Duration::from_nanos(nanoseconds))
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}
