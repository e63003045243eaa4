//! What a ticketed Status costs the server, measured against a bare HTTPS echo of the same sizes.
//!
//! `cargo bench -p mesh-tests --bench status` runs three processes: this one is the load generator,
//! and it starts itself twice more, as the echo (A) and as the whole service (B). Rounds alternate
//! A B A B … A, and a round of B is compared with the mean of the two rounds of A beside it, so that
//! what disturbs the machine disturbs both; only the ratio is worth quoting. Every answer of every
//! round is opened and checked after its round; a wrong one ends the bench with an error.
//!
//! Options behind `--`: `--rounds N`, `--requests N` (per round), `--connections N`, `--pin CORE`
//! (both servers on one core, by `taskset`), `--at-most RATIO` (a higher median is an error).

use std::error::Error;
use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use std::time::Duration;

use actix_web::web::Bytes;
use actix_web::{App, HttpResponse, HttpServer, web};
use mesh_client::transport::WELL_KNOWN_PATH;
use mesh_common::session::client::Pending;
use mesh_frontend::tls::{CertificateSlot, server_config};
use mesh_tests::load::{Answer, Fleet};
use mesh_tests::measured::{MeasuredServer, announce};
use mesh_tests::options;
use mesh_tests::ticketed::{Outcome, TicketedDevice};
use meshd::config::MeshdConfig;
use meshd::service::Service;

/// The daemon's, for both sides.
#[global_allocator]
static ALLOCATOR: meshd::Allocator = meshd::Allocator;

const ROLE_ECHO: &str = "serve-echo";
const ROLE_SERVICE: &str = "serve-service";
/// Both servers answer on as many threads.
const WORKERS: usize = 1;
/// As the service's.
const KEEP_ALIVE: Duration = Duration::from_secs(75);
/// Rates as no device has them: counting stays on, refusing does not happen.
const RATE_UNREACHED: u32 = 1_000_000;
/// What must hold, and what shall hold one day.
const RATIO_MUST: f64 = 2.5;
const RATIO_GOAL: f64 = 1.5;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match words.as_slice() {
        [ROLE_ECHO, folder, octets] => serve_echo(Path::new(folder), octets),
        [ROLE_SERVICE, folder] => serve_service(Path::new(folder)),
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
    pin: Option<String>,
    at_most: Option<f64>,
}

impl Options {
    fn read(words: &[&str]) -> Outcome<Self> {
        let mut told = Self {
            rounds: 25,
            requests: 2_000,
            connections: 16,
            pin: None,
            at_most: None,
        };
        options::read(words, &[], |name, value| {
            match name {
                "--rounds" => told.rounds = value.parse()?,
                "--requests" => told.requests = value.parse()?,
                "--connections" => told.connections = value.parse()?,
                "--at-most" => told.at_most = Some(value.parse()?),
                "--pin" => told.pin = Some(value.to_owned()),
                _ => return Ok(false),
            }
            Ok::<_, Box<dyn Error>>(true)
        })?;
        if told.rounds * told.requests * told.connections == 0 {
            return Err("rounds, requests and connections are at least 1".into());
        }
        Ok(told)
    }

    fn pin(&self, server: &MeasuredServer) -> Outcome<()> {
        let Some(core) = &self.pin else {
            return Ok(());
        };
        let process = server.id().to_string();
        let taskset = Command::new("taskset")
            .args(["--all-tasks", "--pid", "--cpu-list", core, &process])
            .stdout(Stdio::null())
            .status()?;
        taskset
            .success()
            .then_some(())
            .ok_or_else(|| format!("taskset cannot pin to core {core}").into())
    }
}

/// One server under load.
struct Side {
    name: &'static str,
    server: MeasuredServer,
    fleet: Fleet,
}

/// One round on one side.
struct Round {
    cpu_per_request: f64,
    /// How often the server slept for want of requests, per request: a busy server takes several per
    /// wake-up, and sides are comparable only if both are busy.
    sleeps_per_request: f64,
    rate: f64,
    median: Duration,
    answers: Vec<Answer>,
}

impl Side {
    fn start(
        name: &'static str,
        arguments: &[&str],
        connections: usize,
        folder: &Path,
    ) -> Outcome<Self> {
        let server = MeasuredServer::start(arguments)?;
        let authority = std::fs::read_to_string(folder.join(server.certificate()))?;
        let fleet = Fleet::new(server.address(), &authority, connections)?;
        Ok(Self {
            name,
            server,
            fleet,
        })
    }

    fn round(&mut self, bodies: &[Vec<u8>]) -> Outcome<Round> {
        let before = self.server.usage_at_rest()?;
        let volley = self.fleet.fire(WELL_KNOWN_PATH, bodies)?;
        let used = self.server.usage_at_rest()?.since(before);
        let (rate, median) = (volley.rate(), volley.percentile(50));
        let count = bodies.len() as f64;
        Ok(Round {
            cpu_per_request: micros(used.cpu) / count,
            sleeps_per_request: used.sleeps as f64 / count,
            rate,
            median,
            answers: volley.answers,
        })
    }
}

fn measure(options: &Options) -> Outcome<()> {
    meshd::install_provider();
    let folder = tempfile::tempdir()?;
    let path = folder.path().to_str().ok_or("a strange temporary folder")?;
    let mut service = Side::start(
        "service",
        &[ROLE_SERVICE, path],
        options.connections,
        folder.path(),
    )?;
    let device = join(folder.path(), &mut service)?;
    let (request, pending) = device.sealed()?;
    let first = service.round(std::slice::from_ref(&request))?;
    let answer = first.answers.first().ok_or("no answer")?;
    device.check(&pending, answer)?;
    let octets = answer.body.len().to_string();
    let mut echo = Side::start(
        "echo",
        &[ROLE_ECHO, path, &octets],
        options.connections,
        folder.path(),
    )?;
    options.pin(&service.server)?;
    options.pin(&echo.server)?;
    say(&format!(
        "Status of {} containers: {} octets there, {octets} back; {} connections, {} rounds of {} requests",
        device.containers(),
        request.len(),
        options.connections,
        options.rounds,
        options.requests,
    ))?;
    let ratios = alternate(options, &device, &mut echo, &mut service)?;
    judge(ratios, options.at_most)
}

fn join(folder: &Path, service: &mut Side) -> Outcome<TicketedDevice> {
    let authority = std::fs::read_to_string(folder.join(service.server.certificate()))?;
    let url = format!("https://localhost:{}", service.server.address().port());
    actix_rt::System::new().block_on(TicketedDevice::join(
        &folder.join("alice"),
        &mut service.fleet,
        url,
        &authority,
    ))
}

/// A B A B … A, after one round of each that does not count: handshakes, caches, allocations.
fn alternate(
    options: &Options,
    device: &TicketedDevice,
    echo: &mut Side,
    service: &mut Side,
) -> Outcome<Vec<f64>> {
    say("CPU time, sleeps, rate and latency per request")?;
    let mut bare = None;
    let mut ratios = Vec::with_capacity(options.rounds);
    for number in 0..=options.rounds {
        let sealed: Vec<(Vec<u8>, Pending)> = (0..options.requests)
            .map(|_| device.sealed())
            .collect::<Outcome<_>>()?;
        let (bodies, pending): (Vec<_>, Vec<_>) = sealed.into_iter().unzip();
        let whole = service.round(&bodies)?;
        let after = echo.round(&bodies)?;
        check(device, &pending, &after, &whole)?;
        let before = bare.replace(after.cpu_per_request);
        let beside = before.map(|before| f64::midpoint(before, after.cpu_per_request));
        let ratio = beside.map(|beside| whole.cpu_per_request / beside);
        say(&format!(
            "{number:>4}   {}   {}   {}",
            shown(service, &whole),
            shown(echo, &after),
            ratio.map_or_else(|| "warm".to_owned(), |ratio| format!("{ratio:.2}")),
        ))?;
        ratios.extend(ratio);
    }
    Ok(ratios)
}

fn shown(side: &Side, round: &Round) -> String {
    format!(
        "{:>8} {:5.1} µs {:5.2} {:6.0}/s {:6.0} µs",
        side.name,
        round.cpu_per_request,
        round.sleeps_per_request,
        round.rate,
        micros(round.median)
    )
}

fn check(device: &TicketedDevice, pending: &[Pending], bare: &Round, whole: &Round) -> Outcome<()> {
    if bare.answers.len() != pending.len() || whole.answers.len() != pending.len() {
        return Err("answers are missing".into());
    }
    for (pending, answer) in pending.iter().zip(&whole.answers) {
        device.check(pending, answer)?;
    }
    let length = whole.answers.first().map(|answer| answer.body.len());
    let is_echo = |answer: &Answer| answer.http_status == 200 && Some(answer.body.len()) == length;
    if bare.answers.iter().all(is_echo) {
        Ok(())
    } else {
        Err("the echo's answers are not as long as the service's".into())
    }
}

fn judge(mut ratios: Vec<f64>, at_most: Option<f64>) -> Outcome<()> {
    ratios.sort_by(f64::total_cmp);
    let median = ratios[ratios.len() / 2];
    let (least, most) = (ratios[0], ratios[ratios.len() - 1]);
    say(&format!(
        "median ratio {median:.2} [{least:.2}..{most:.2}]; must be at most {RATIO_MUST}, goal {RATIO_GOAL}"
    ))?;
    match at_most {
        Some(bound) if median > bound => {
            Err(format!("a Status costs {median:.2} times an echo, not {bound}").into())
        }
        _ => Ok(()),
    }
}

/// (A) The echo: the same HTTP library, the same TLS, as many workers, no Mesh. It reads the whole
/// body and answers with as many octets as the service does.
fn serve_echo(folder: &Path, octets: &str) -> Outcome<()> {
    meshd::install_provider();
    let answer = Bytes::from(vec![b'x'; octets.parse()?]);
    let tls = folder.join("service/tls");
    let slot =
        CertificateSlot::from_files(&tls.join("development.pem"), &tls.join("development.key"))?;
    let config = server_config(Arc::new(slot))?;
    let server = HttpServer::new(move || {
        let answer = answer.clone();
        App::new().default_service(web::to(move |body: Bytes| {
            // Read to its end, as the service does.
            drop(body);
            let answer = answer.clone();
            async move {
                HttpResponse::Ok()
                    .content_type("application/json")
                    .body(answer)
            }
        }))
    })
    .workers(WORKERS)
    // Longer than the pause in which the next round is sealed.
    .keep_alive(KEEP_ALIVE)
    .tcp_nodelay(true)
    .disable_signals()
    .bind_rustls_0_23(any_port(), config)?;
    let address = *server.addrs().first().ok_or("no address")?;
    actix_rt::System::new().block_on(async move {
        let serving = actix_rt::spawn(server.run());
        until_told(address, "service/tls/ca.pem").await?;
        serving.abort();
        Ok(())
    })
}

/// (B) The whole service, as `meshd run` starts it, with its log.
fn serve_service(folder: &Path) -> Outcome<()> {
    meshd::install_provider();
    let mut config = MeshdConfig {
        data_dir: folder.join("service"),
        ..MeshdConfig::default()
    };
    config.frontend.listen = vec![any_port()];
    config.frontend.workers = WORKERS;
    config.admin.listen = any_port();
    config.limits.rate.device_per_second = RATE_UNREACHED;
    config.limits.rate.device_burst = RATE_UNREACHED;
    config.check()?;
    let _telemetry = config.telemetry.start()?;
    actix_rt::System::new().block_on(async move {
        let service = Service::start(&config).await?;
        let address = *service.addresses().first().ok_or("no address")?;
        until_told(address, "service/tls/ca.pem").await?;
        service.stop().await;
        Ok(())
    })
}

/// Waits on a thread of its own until the measuring process is done.
async fn until_told(address: SocketAddr, certificate: &'static str) -> Outcome<()> {
    Ok(actix_rt::task::spawn_blocking(move || announce(address, certificate)).await??)
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
