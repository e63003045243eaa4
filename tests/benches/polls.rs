//! What devices cost that wait for news, and how soon news reach them (design note 0004).
//!
//! `cargo bench -p mesh-tests --bench polls` runs two processes: this one is all the devices, and it
//! starts itself once more as the whole service. It opens as many TLS connections as `--polls` says or
//! the limit of open files allows, asks for one Status on each, and looks at the memory of the service;
//! then each connection begins to wait, and it looks again. The difference, by the number of
//! connections, is what waiting costs beyond an idle connection. Then one account after the other is
//! changed, and what counts is when its waiting device has the answer. Every answer is opened and
//! checked.
//!
//! Options behind `--`: `--polls N`, `--changes N`.

use std::error::Error;
use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use mesh_common::limits::POLLS_PER_ACCOUNT_MAX;
use mesh_common::protocol::{Code, KnownState};
use mesh_tests::measured::{MeasuredServer, announce};
use mesh_tests::options;
use mesh_tests::polling::{Begun, measure, prefer, status};
use mesh_tests::service::DOMAIN;
use mesh_tests::wire::Tls;
use mesh_tests::{Client, Person, frames};
use meshd::config::MeshdConfig;
use meshd::service::Service;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

type Outcome<T> = Result<T, Box<dyn Error>>;

const ROLE_SERVICE: &str = "serve-polls";
/// Where the service leaves the address of its admin listener.
const ADMIN_FILE: &str = "admin";
/// Files of either process that are no connections of the measurement.
const FILES_KEPT: u64 = 1_200;
/// Seconds of a wait: all there are.
const WAIT: u64 = 60;
/// Longest silence on a connection while others are opened.
const SILENCE_MAX: Duration = Duration::from_secs(25);
/// Rates as no device has them: counting stays on, refusing does not happen.
const RATE_UNREACHED: u32 = 1_000_000;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match words.as_slice() {
        [ROLE_SERVICE, folder] => serve(Path::new(folder)),
        options => Options::read(options).and_then(|options| bench(&options)),
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

struct Options {
    polls: usize,
    changes: usize,
}

impl Options {
    fn read(words: &[&str]) -> Outcome<Self> {
        let mut told = Self {
            polls: 50_000,
            changes: 200,
        };
        options::read(words, &[], |name, value| {
            match name {
                "--polls" => told.polls = value.parse()?,
                "--changes" => told.changes = value.parse()?,
                _ => return Ok(false),
            }
            Ok::<_, Box<dyn Error>>(true)
        })?;
        let files = usize::try_from(raised_limit().saturating_sub(FILES_KEPT))?;
        told.polls = told.polls.min(files);
        if told.polls == 0 {
            return Err("the limit of open files leaves room for no connection".into());
        }
        Ok(told)
    }
}

/// The soft limit of open files becomes the hard one.
fn raised_limit() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    let in_force = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(_) => limit.current,
    };
    in_force.unwrap_or(u64::MAX)
}

/// One device and its connection.
struct Waiting {
    person: Person,
    client: Client,
    known: KnownState,
    begun: Option<Begun>,
}

fn bench(options: &Options) -> Outcome<()> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().to_string_lossy().into_owned();
    let server = MeasuredServer::start(&[ROLE_SERVICE, &path])?;
    let admin: SocketAddr = std::fs::read_to_string(folder.path().join(ADMIN_FILE))?.parse()?;
    let authority = std::fs::read_to_string(folder.path().join(server.certificate()))?;
    let tls = Tls::trusting(&authority);
    let mut devices = connect(options.polls, &tls, server.address())?;
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "{} connections, {} accounts",
        devices.len(),
        accounts_for(devices.len())
    )?;
    // Once more on each: what a connection needs for its second request is there before it counts.
    for device in &mut devices {
        device.look()?;
    }
    let idle = server.memory()?;
    writeln!(out, "idle:    {} KiB", idle / 1_024)?;
    for device in &mut devices {
        device.begin();
    }
    let count = devices.len() as u64;
    while measure(admin, "mesh_frontend_polls_waiting") < count {
        std::thread::yield_now();
    }
    let waiting = server.memory()?;
    let each = waiting.saturating_sub(idle) / count;
    writeln!(out, "waiting: {} KiB", waiting / 1_024)?;
    writeln!(out, "each poll beyond its connection: {each} octets")?;
    let mut times = Vec::new();
    for number in 0..options.changes {
        let place = number * POLLS_PER_ACCOUNT_MAX % devices.len();
        times.push(change(&mut devices[place], &tls, server.address())?);
    }
    tell(
        &mut out,
        "upload sent to poll answered:    ",
        times.iter().map(|time| time.0),
    )?;
    tell(
        &mut out,
        "upload answered to poll answered:",
        times.iter().map(|time| time.1),
    )?;
    Ok(())
}

fn tell(out: &mut impl Write, what: &str, times: impl Iterator<Item = Duration>) -> Outcome<()> {
    let mut times: Vec<Duration> = times.collect();
    times.sort_unstable();
    let at = |percent: usize| times[(times.len() - 1) * percent / 100];
    let (median, most) = (at(50), at(99));
    writeln!(out, "{what} median {median:.1?}, 99 % {most:.1?}")?;
    Ok(())
}

const fn accounts_for(polls: usize) -> usize {
    polls.div_ceil(POLLS_PER_ACCOUNT_MAX)
}

/// The connections, as many to an account as may wait for it.
fn connect(polls: usize, tls: &Tls, address: SocketAddr) -> Outcome<Vec<Waiting>> {
    let mut devices: Vec<Waiting> = Vec::with_capacity(polls);
    let mut looked_at = moment();
    for number in 0..accounts_for(polls) {
        // A connection on which nothing comes is closed after a while.
        if looked_at.elapsed() > SILENCE_MAX {
            looked_at = moment();
            devices.iter_mut().try_for_each(Waiting::look)?;
        }
        let person = Person::at("alice", &format!("a{number}@{DOMAIN}"));
        let mut first = Client::on(tls.connect(address, DOMAIN), person.device.as_connected());
        if first.create_account(&person).code() != Some(Code::Ok) {
            return Err("an account was refused".into());
        }
        let (ticket, identity) = (first.ticket.clone(), first.identity.clone());
        let mut clients = vec![first];
        while clients.len() < POLLS_PER_ACCOUNT_MAX && devices.len() + clients.len() < polls {
            let mut other = Client::on(tls.connect(address, DOMAIN), identity.clone());
            other.ticket.clone_from(&ticket);
            clients.push(other);
        }
        for mut client in clients {
            let answer = client.by_ticket(&status(&person));
            devices.push(Waiting {
                known: answer.status().known_state(),
                person: person.clone(),
                client,
                begun: None,
            });
        }
    }
    Ok(devices)
}

impl Waiting {
    /// Asks for the state: it must be the one that is known.
    fn look(&mut self) -> Outcome<()> {
        let answer = self.client.by_ticket(&status(&self.person));
        let is_known = answer.status().known_state() == self.known;
        is_known
            .then_some(())
            .ok_or_else(|| "an account changed by itself".into())
    }

    fn begin(&mut self) {
        let prefer = prefer(WAIT, &self.known);
        self.begun = Some(self.client.begin(&status(&self.person), &prefer));
    }
}

/// Changes the account of a device that waits: times from the upload's first octet, and from its
/// answer, to the last octet of what the device gets.
fn change(device: &mut Waiting, tls: &Tls, address: SocketAddr) -> Outcome<(Duration, Duration)> {
    if device.begun.is_none() {
        device.begin();
    }
    let begun = device.begun.take().ok_or("nobody waits")?;
    let mut writer = Client::on(tls.connect(address, DOMAIN), device.client.identity.clone());
    writer.ticket.clone_from(&device.client.ticket);
    let bookmarks = device.known;
    let before = writer.by_ticket(&status(&device.person));
    let next = before.count_of(frames::BOOKMARKS).unwrap_or(0);
    let entries = match next {
        0 => frames::catalog(1),
        next => vec![frames::event(
            next,
            "New",
            &format!("entry-{next}"),
            b"news",
        )],
    };
    let upload = frames::upload(frames::BOOKMARKS, entries);
    let client = &mut device.client;
    let (sent, answered, woken, answer) = std::thread::scope(|scope| {
        let reader = scope.spawn(move || {
            let answer = client.finish(begun);
            (moment(), answer)
        });
        let sent = moment();
        let uploaded = writer.by_ticket(&upload);
        let answered = moment();
        uploaded.must_be(Code::Ok);
        let (woken, answer) = reader.join().expect("who reads does not panic");
        (sent, answered, woken, answer)
    });
    device.known = answer.status().known_state();
    if answer.code() != Some(Code::Ok) || device.known == bookmarks {
        return Err(format!("a wait ended without news: {}", answer.told()).into());
    }
    Ok((woken - sent, woken.saturating_duration_since(answered)))
}

#[expect(clippy::disallowed_methods, reason = "a bench measures durations")]
fn moment() -> Instant {
    Instant::now()
}

/// The service, as it runs in production but for its rates.
fn serve(folder: &Path) -> Outcome<()> {
    raised_limit();
    let mut config = MeshdConfig {
        data_dir: folder.join("data"),
        ..MeshdConfig::default()
    };
    config.frontend.listen = vec![SocketAddr::from(([127, 0, 0, 1], 0))];
    config.frontend.domains = vec![DOMAIN.to_owned()];
    config.frontend.connections_max = 60_000;
    config.admin.listen = SocketAddr::from(([127, 0, 0, 1], 0));
    config.limits.rate.create_per_hour = RATE_UNREACHED;
    config.limits.rate.device_per_second = RATE_UNREACHED;
    config.limits.rate.device_burst = RATE_UNREACHED;
    meshd::install_provider();
    actix_rt::System::new().block_on(async {
        let service = Service::start(&config).await?;
        let address = *service
            .addresses()
            .first()
            .ok_or("the service listens nowhere")?;
        std::fs::write(
            folder.join(ADMIN_FILE),
            service.admin().address().to_string(),
        )?;
        let waits = tokio::task::spawn_blocking(move || announce(address, "data/tls/ca.pem"));
        waits.await??;
        service.stop().await;
        Ok(())
    })
}
