//! What the internal hop costs: a ticketed Status of a service in one process (A), and of the same service
//! as a front-end and a back-end with mutual TLS between them (B).
//!
//! `cargo bench -p mesh-tests --bench hop` runs four processes: this one is the load generator, and starts
//! itself as the whole service, as the back-end, and as the front-end. Rounds alternate A B A B … A, and
//! a round of B is compared with the mean of the two rounds of A beside it, so that what disturbs the
//! machine disturbs both. The hop is what B costs more, in processor time of all its processes. Every
//! answer is opened and checked after its round; a wrong one ends the bench with an error.
//!
//! The back-end of B keeps its accounts in the memory engine: a Status of a polling device reads nothing
//! from a store.
//!
//! Options behind `--`: `--rounds N`, `--requests N` (per round), `--connections N`, `--at-most MICROS`
//! (a dearer hop at the median is an error).

use std::error::Error;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use mesh_backend::store::MemoryStore;
use mesh_backend::{
    BackendHandle, ClusterConfig, NoNeighbours, ServiceKeys, ServiceSecrets, SystemClock,
    SystemEntropy,
};
use mesh_client::transport::WELL_KNOWN_PATH;
use mesh_common::cluster::{Roles, TicketSecret};
use mesh_common::crypto::SecretKey;
use mesh_common::entropy::draw;
use mesh_common::limits::PARTITIONS;
use mesh_common::session::Epoch;
use mesh_common::session::client::Pending;
use mesh_common::time::Clock as _;
use mesh_link::ca::{self, AUTHORITY_LIFE, NODE_LIFE};
use mesh_link::{ClusterName, LinkRole, LinkSecurity, LinkServer, LinkService, LinkTls};
use mesh_tests::load::{Answer, Fleet};
use mesh_tests::measured::{MeasuredServer, announce};
use mesh_tests::options;
use mesh_tests::ticketed::{Outcome, TicketedDevice};
use meshd::config::{LinkFiles, MeshdConfig, Role};
use meshd::service::Service;
use zeroize::Zeroizing;

/// The daemon's, for all sides.
#[global_allocator]
static ALLOCATOR: meshd::Allocator = meshd::Allocator;

const ROLE_WHOLE: &str = "serve-whole";
const ROLE_BACK: &str = "serve-back";
const ROLE_FRONT: &str = "serve-front";
/// All servers answer on as many threads.
const WORKERS: usize = 1;
/// Rates as no device has them: counting stays on, refusing does not happen.
const RATE_UNREACHED: u32 = 1_000_000;
const CLUSTER: &str = "bench";
/// What must hold (design card, G-7): microseconds of processor for each hop, and of latency.
const CPU_MUST: f64 = 45.0;
const LATENCY_MUST: f64 = 400.0;
/// How long a process may take until it is ready.
const READY_TIME_MAX: Duration = Duration::from_secs(30);

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match words.as_slice() {
        [ROLE_WHOLE, folder] => serve_whole(Path::new(folder)),
        [ROLE_BACK, folder] => serve_back(Path::new(folder)),
        [ROLE_FRONT, folder, back_end] => serve_front(Path::new(folder), back_end),
        options => Options::read(options).and_then(|options| measure(&options)),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let mut stderr = std::io::stderr().lock();
            drop(writeln!(stderr, "error: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// How much is measured.
struct Options {
    rounds: usize,
    requests: usize,
    connections: usize,
    at_most: Option<f64>,
}

impl Options {
    fn read(words: &[&str]) -> Outcome<Self> {
        let mut told = Self {
            rounds: 15,
            requests: 2_000,
            connections: 16,
            at_most: None,
        };
        options::read(words, &[], |name, value| {
            match name {
                "--rounds" => told.rounds = value.parse()?,
                "--requests" => told.requests = value.parse()?,
                "--connections" => told.connections = value.parse()?,
                "--at-most" => told.at_most = Some(value.parse()?),
                _ => return Ok(false),
            }
            Ok::<_, Box<dyn Error>>(true)
        })?;
        if told.rounds * told.requests * told.connections == 0 {
            return Err("rounds, requests and connections are at least 1".into());
        }
        Ok(told)
    }
}

/// A service under load: the process that devices speak with, and the one behind it, if there is one.
struct Side {
    name: &'static str,
    servers: Vec<MeasuredServer>,
    fleet: Fleet,
    device: TicketedDevice,
}

/// One round on one side.
struct Round {
    /// Microseconds of processor for each request, by process.
    cpu: Vec<f64>,
    /// Microseconds.
    median: f64,
    rate: f64,
}

impl Round {
    fn cpu_of_all(&self) -> f64 {
        self.cpu.iter().sum()
    }
}

impl Side {
    /// `servers`, of which the first speaks with devices, and a device with an account there.
    fn start(
        name: &'static str,
        servers: Vec<MeasuredServer>,
        connections: usize,
        folder: &Path,
    ) -> Outcome<Self> {
        let front = servers.first().ok_or("a side has a server")?;
        let authority = std::fs::read_to_string(folder.join(front.certificate()))?;
        let mut fleet = Fleet::new(front.address(), &authority, connections)?;
        let url = format!("https://localhost:{}", front.address().port());
        let device = folder.join(format!("device-{name}"));
        let joining = TicketedDevice::join(&device, &mut fleet, url, &authority);
        let device = actix_rt::System::new().block_on(joining)?;
        Ok(Self {
            name,
            servers,
            fleet,
            device,
        })
    }

    fn round(&mut self, count: usize) -> Outcome<Round> {
        let sealed = (0..count).map(|_| self.device.sealed());
        let sealed: Vec<(Vec<u8>, Pending)> = sealed.collect::<Outcome<_>>()?;
        let (bodies, pending): (Vec<_>, Vec<_>) = sealed.into_iter().unzip();
        let at_rest = |server: &MeasuredServer| server.usage_at_rest();
        let before: Vec<_> = self.servers.iter().map(at_rest).collect::<Result<_, _>>()?;
        let volley = self.fleet.fire(WELL_KNOWN_PATH, &bodies)?;
        let after: Vec<_> = self.servers.iter().map(at_rest).collect::<Result<_, _>>()?;
        self.check(&pending, &volley.answers)?;
        let used = before.iter().zip(&after);
        let used = used.map(|(before, after)| micros(after.since(*before).cpu) / count as f64);
        Ok(Round {
            cpu: used.collect(),
            median: micros(volley.percentile(50)),
            rate: volley.rate(),
        })
    }

    fn check(&self, pending: &[Pending], answers: &[Answer]) -> Outcome<()> {
        if answers.len() != pending.len() {
            return Err("answers are missing".into());
        }
        let mut both = pending.iter().zip(answers);
        both.try_for_each(|(pending, answer)| self.device.check(pending, answer))
    }

    fn shown(&self, round: &Round) -> String {
        let parts: Vec<String> = round.cpu.iter().map(|cpu| format!("{cpu:.1}")).collect();
        format!(
            "{:>5} {:>6.1} µs = {:>12} {:6.0}/s {:6.0} µs",
            self.name,
            round.cpu_of_all(),
            parts.join(" + "),
            round.rate,
            round.median
        )
    }
}

fn measure(options: &Options) -> Outcome<()> {
    meshd::install_provider();
    let folder = tempfile::tempdir()?;
    let path = folder.path().to_str().ok_or("a strange temporary folder")?;
    issue(folder.path())?;
    let whole = MeasuredServer::start(&[ROLE_WHOLE, path])?;
    let mut whole = Side::start("one", vec![whole], options.connections, folder.path())?;
    let back = MeasuredServer::start(&[ROLE_BACK, path])?;
    let address = back.address().to_string();
    let front = MeasuredServer::start(&[ROLE_FRONT, path, &address])?;
    let mut split = Side::start("two", vec![front, back], options.connections, folder.path())?;
    say(&format!(
        "Status of {} containers; {} connections, {} rounds of {} requests",
        whole.device.containers(),
        options.connections,
        options.rounds,
        options.requests,
    ))?;
    say("CPU time by process, rate and latency per request")?;
    let mut hops = Vec::with_capacity(options.rounds);
    let mut last: Option<Round> = None;
    for number in 0..=options.rounds {
        let two = split.round(options.requests)?;
        let one = whole.round(options.requests)?;
        // The first round of each does not count: handshakes, caches, allocations.
        let hop = last.as_ref().map(|before| Hop::between(before, &one, &two));
        let shown = hop.as_ref().map_or_else(|| "warm".to_owned(), Hop::shown);
        let (left, right) = (split.shown(&two), whole.shown(&one));
        say(&format!("{number:>4}   {left}   {right}   {shown}"))?;
        hops.extend(hop);
        last = Some(one);
    }
    judge(&hops, options.at_most)
}

/// What two processes cost more than one.
struct Hop {
    cpu: f64,
    latency: f64,
    ratio: f64,
}

impl Hop {
    /// `two` beside the rounds of one process before and after it.
    fn between(before: &Round, after: &Round, two: &Round) -> Self {
        let one = f64::midpoint(before.cpu_of_all(), after.cpu_of_all());
        Self {
            cpu: two.cpu_of_all() - one,
            latency: two.median - f64::midpoint(before.median, after.median),
            ratio: two.cpu_of_all() / one,
        }
    }

    fn shown(&self) -> String {
        let Self {
            cpu,
            latency,
            ratio,
        } = self;
        format!("{cpu:5.1} µs {latency:5.0} µs {ratio:.2}")
    }
}

fn judge(hops: &[Hop], at_most: Option<f64>) -> Outcome<()> {
    let median = |of: fn(&Hop) -> f64| {
        let mut all: Vec<f64> = hops.iter().map(of).collect();
        all.sort_by(f64::total_cmp);
        all[all.len() / 2]
    };
    let cpu = median(|hop| hop.cpu);
    say(&format!(
        "median of a hop: {cpu:.1} µs of processor (at most {CPU_MUST}), {:.0} µs later (at most \
         {LATENCY_MUST}), {:.2} times one process",
        median(|hop| hop.latency),
        median(|hop| hop.ratio),
    ))?;
    match at_most {
        Some(bound) if cpu > bound => Err(format!("a hop costs {cpu:.1} µs, not {bound}").into()),
        _ => Ok(()),
    }
}

// ---- The processes ----

/// (A) The whole service in one process.
fn serve_whole(folder: &Path) -> Outcome<()> {
    serve(folder, "whole", |_| {})
}

/// (B) The front-end, with the identity of the whole service.
fn serve_front(folder: &Path, back_end: &str) -> Outcome<()> {
    serve(folder, "front", |config| {
        let cluster = &mut config.cluster;
        cluster.roles = vec![Role::Frontend];
        CLUSTER.clone_into(&mut cluster.name);
        cluster.backends = vec![back_end.to_owned()];
        cluster.identity = Some(folder.join("whole/identity"));
        cluster.tls = Some(files(folder, LinkRole::Frontend));
        cluster.stop_delay_ms = 0;
    })
}

fn serve(folder: &Path, name: &str, adjust: impl FnOnce(&mut MeshdConfig)) -> Outcome<()> {
    meshd::install_provider();
    let mut config = MeshdConfig {
        data_dir: folder.join(name),
        ..MeshdConfig::default()
    };
    config.frontend.listen = vec![any_port()];
    config.frontend.workers = WORKERS;
    config.admin.listen = any_port();
    config.limits.rate.device_per_second = RATE_UNREACHED;
    config.limits.rate.device_burst = RATE_UNREACHED;
    adjust(&mut config);
    config.check()?;
    let _telemetry = config.telemetry.start()?;
    let certificate = format!("{name}/tls/ca.pem");
    actix_rt::System::new().block_on(async move {
        let service = Service::start(&config).await?;
        let address = *service.addresses().first().ok_or("no address")?;
        let admin = service.admin().address();
        actix_rt::task::spawn_blocking(move || until_ready(admin)).await??;
        until_told(address, certificate).await?;
        service.stop().await;
        Ok(())
    })
}

/// (B) The back-end.
fn serve_back(folder: &Path) -> Outcome<()> {
    meshd::install_provider();
    let files = files(folder, LinkRole::Backend);
    actix_rt::System::new().block_on(async move {
        // A port of its own, which others are told before it is listened on.
        let address = TcpListener::bind(any_port())?.local_addr()?;
        let config = ClusterConfig {
            address: address.to_string(),
            roles: Roles {
                backend: true,
                outbound: false,
            },
            ..ClusterConfig::default()
        };
        let keys = ServiceKeys::single(ServiceSecrets {
            online: Arc::new(SecretKey::generate(&mut SystemEntropy)),
            reading: Vec::new(),
        });
        let backend = BackendHandle::join(
            MeshdConfig::default().effective_backend(),
            config,
            MemoryStore::new(),
            Arc::new(SystemClock),
            SystemEntropy,
            keys,
            Arc::new(NoNeighbours),
        )
        .await?;
        let held = Epoch::held_at(SystemClock.now());
        let secret = |epoch: Epoch| TicketSecret {
            epoch: epoch.0,
            secret: Zeroizing::new(draw(&mut SystemEntropy)),
        };
        backend.tell_secrets(held.map(secret).collect());
        let files = mesh_link::LinkFiles {
            authorities: files.authority,
            certificate: files.certificate,
            key: files.key,
        };
        let tls = LinkTls::from_files(CLUSTER.parse()?, files)?;
        let link = LinkService {
            service: Arc::new(backend.clone()),
            security: LinkSecurity::Mutual(Arc::new(tls)),
            clock: Arc::new(SystemClock),
            traces: None,
        };
        let server = LinkServer::start(address, WORKERS, link, &mut SystemEntropy)?;
        let mut looks = tokio::time::interval(Duration::from_millis(20));
        while backend
            .holdings()
            .is_some_and(|held| held.partitions < usize::from(PARTITIONS))
        {
            looks.tick().await;
        }
        until_told(address, "none".to_owned()).await?;
        server.stop().await;
        Ok(())
    })
}

/// Certificates of both processes, by an authority of this bench.
fn issue(folder: &Path) -> Outcome<()> {
    let (cluster, now) = (CLUSTER.parse::<ClusterName>()?, SystemClock.now());
    let authority = ca::authority(&cluster, now, AUTHORITY_LIFE)?;
    for role in [LinkRole::Frontend, LinkRole::Backend] {
        let roles = [role].into_iter().collect();
        let made = ca::node(&authority, &cluster, roles, &[], now, NODE_LIFE)?;
        let files = files(folder, role);
        std::fs::write(files.authority, &authority.certificate)?;
        std::fs::write(files.certificate, &made.certificate)?;
        std::fs::write(files.key, made.key.as_bytes())?;
    }
    Ok(())
}

fn files(folder: &Path, role: LinkRole) -> LinkFiles {
    LinkFiles {
        authority: folder.join("link.ca"),
        certificate: folder.join(format!("{role}.crt")),
        key: folder.join(format!("{role}.key")),
    }
}

/// Asks `/readyz` until it says so.
fn until_ready(admin: SocketAddr) -> std::io::Result<()> {
    let mut said = String::new();
    for _ in 0..READY_TIME_MAX.as_millis() / 20 {
        let mut stream = TcpStream::connect(admin)?;
        stream.set_read_timeout(Some(READY_TIME_MAX))?;
        stream.write_all(
            format!("GET /readyz HTTP/1.1\r\nHost: {admin}\r\nConnection: close\r\n\r\n")
                .as_bytes(),
        )?;
        said.clear();
        stream.read_to_string(&mut said)?;
        if said.starts_with("HTTP/1.1 200") {
            return Ok(());
        }
        std::thread::park_timeout(Duration::from_millis(20));
    }
    Err(std::io::Error::other(format!("not ready: {said}")))
}

/// Waits on a thread of its own until the measuring process is done.
async fn until_told(address: SocketAddr, certificate: String) -> Outcome<()> {
    Ok(actix_rt::task::spawn_blocking(move || announce(address, &certificate)).await??)
}

fn any_port() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}

fn say(line: &str) -> Outcome<()> {
    Ok(writeln!(std::io::stdout().lock(), "{line}")?)
}
