//! What a delivered message costs two services, measured against two mail hosts in the same run: a
//! signed message of 4 KiB from a device of one domain to an account of another, durable at every step,
//! over TLS (docs/0006, goal G-6).
//!
//! `cargo bench -p mesh-tests --bench delivery` alternates rounds of both and compares the processor
//! time per message: of both services, and of all processes of both mail hosts (Postfix, OpenDKIM
//! signing and verifying, Dovecot). The clients' share is in neither.
//!
//! The mail hosts are Debian's packages, and need root: `apt-get install postfix dovecot-lmtpd opendkim
//! opendkim-tools`. Options behind `--`: `--rounds N`, `--messages N` (per round), `--sessions N`
//! (clients at once), `--mesh-only` (no mail), `--at-most RATIO` (a higher median is an error).

mod mail;
mod mesh;
mod usage;

use std::error::Error;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use mesh_tests::options;

use self::mail::Mail;
use self::mesh::Mesh;

/// The daemon's, for the services.
#[global_allocator]
static ALLOCATOR: meshd::Allocator = meshd::Allocator;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// Octets of a message.
const OCTETS: usize = 4_096;
/// What must hold, and what shall hold one day (G-6).
const RATIO_MUST: f64 = 0.1;
const RATIO_GOAL: f64 = 0.04;

/// Messages that went from device to mailbox, and what that cost.
pub(crate) struct Delivered {
    messages: usize,
    elapsed: Duration,
    cpu: Duration,
}

impl Delivered {
    fn cpu_millis(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e3 / self.messages as f64
    }

    fn rate(&self) -> f64 {
        self.messages as f64 / self.elapsed.as_secs_f64()
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match words.as_slice() {
        [mesh::ROLE, folder] => mesh::serve(Path::new(folder)),
        options => Options::read(options).and_then(|options| measure(&options)),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            drop(writeln!(std::io::stderr().lock(), "error: {error}"));
            ExitCode::FAILURE
        }
    }
}

struct Options {
    rounds: usize,
    messages: usize,
    sessions: usize,
    mesh_only: bool,
    at_most: Option<f64>,
}

impl Options {
    fn read(words: &[&str]) -> Outcome<Self> {
        let mut told = Self {
            rounds: 5,
            messages: 1_000,
            sessions: 50,
            mesh_only: false,
            at_most: None,
        };
        options::read(words, &["--mesh-only"], |name, value| {
            match name {
                "--mesh-only" => told.mesh_only = true,
                "--rounds" => told.rounds = value.parse()?,
                "--messages" => told.messages = value.parse()?,
                "--sessions" => told.sessions = value.parse()?,
                "--at-most" => told.at_most = Some(value.parse()?),
                _ => return Ok(false),
            }
            Ok::<_, Box<dyn Error>>(true)
        })?;
        if told.rounds * told.messages * told.sessions == 0 {
            return Err("rounds, messages and sessions are at least 1".into());
        }
        Ok(told)
    }
}

fn measure(options: &Options) -> Outcome<()> {
    let folder = tempfile::tempdir()?;
    // The mail hosts look into their folders as other users.
    open_to_all(folder.path())?;
    let mut mail = if options.mesh_only {
        None
    } else {
        Some(Mail::start(&folder.path().join("mail"))?)
    };
    let mut mesh = Mesh::start(folder.path(), options.sessions)?;
    say("round  mail: ms CPU, messages/s   mesh: ms CPU, messages/s   ratio")?;
    let mut ratios = Vec::with_capacity(options.rounds);
    for round in 1..=options.rounds {
        let theirs = match &mut mail {
            Some(mail) => Some(mail.deliver(options.messages, options.sessions, OCTETS)?),
            None => None,
        };
        let ours = mesh.deliver(options.messages, OCTETS)?;
        let (cpu, rate) = (ours.cpu_millis(), ours.rate());
        let Some(theirs) = theirs else {
            say(&format!("{round:5}  {:>26}   {cpu:12.3} {rate:12.0}", "-"))?;
            continue;
        };
        let ratio = cpu / theirs.cpu_millis();
        say(&format!(
            "{round:5}  {:12.3} {:12.0}   {cpu:12.3} {rate:12.0}   {ratio:5.3}",
            theirs.cpu_millis(),
            theirs.rate(),
        ))?;
        ratios.push(ratio);
    }
    ratios.sort_by(f64::total_cmp);
    let Some(median) = ratios.get(ratios.len() / 2) else {
        return Ok(());
    };
    say(&format!(
        "median ratio {median:.3}; must be at most {RATIO_MUST}, goal {RATIO_GOAL}"
    ))?;
    match options.at_most {
        Some(most) if *median > most => {
            Err(format!("the ratio {median:.3} is above {most}").into())
        }
        _ => Ok(()),
    }
}

/// The moment, for what takes time.
#[expect(clippy::disallowed_methods, reason = "a bench measures")]
fn moment() -> Instant {
    Instant::now()
}

fn open_to_all(folder: &Path) -> Outcome<()> {
    use std::os::unix::fs::PermissionsExt;
    let permissions = std::fs::Permissions::from_mode(0o755);
    Ok(std::fs::set_permissions(folder, permissions)?)
}

fn say(line: &str) -> Outcome<()> {
    Ok(writeln!(std::io::stdout().lock(), "{line}")?)
}
