//! The commands of operators as they are typed, over the real API, against desks that are written down in
//! [`desks`]. What is printed is kept as transcripts below `tests/golden/operate`; `GOLDEN=write` writes
//! them anew.
//!
//! | module | tells |
//! | --- | --- |
//! | [`cluster`] | nodes, written down, and what is shown of them |
//! | [`desks`] | what stands on the desks |
//! | [`pages`] | what people read, and what goes wrong |
//! | [`guard`] | who may use the API |
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod cluster;
mod desks;
mod guard;
mod observe;
mod pages;
mod peers;
mod usage;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;

use clap::Parser;
use futures_util::future::BoxFuture;
use mesh_backend::SystemEntropy;
use mesh_backend::store::MemoryStore;
use mesh_common::time::{Clock, Timestamp};
use meshd::admin::api::Api;
use meshd::admin::audit::Audit;
use meshd::admin::door::Door;
use meshd::admin::moving::Moving;
use meshd::admin::token::{self, Token};
use meshd::admin::{Admin, Readiness};
use meshd::args::{self, Arguments};
use meshd::config::AdminConfig;
use meshd::operate::{self, Command};
use prometheus::Registry;
use tempfile::TempDir;
use tokio::sync::oneshot;

use self::cluster::Nodes;
use self::desks::{Desks, noon};
use self::peers::PeerBook;

/// An admin listener over desks, with the folder that commands find it by.
pub(crate) struct Office {
    folder: TempDir,
    address: SocketAddr,
    observed: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// What was typed and what came of it.
#[derive(Default)]
pub(crate) struct Transcript(String);

struct Noon;

impl Clock for Noon {
    fn now(&self) -> Timestamp {
        noon()
    }
}

/// Not ready for these reasons, whenever it is asked.
struct Always(Vec<String>);

impl Readiness for Always {
    fn obstacles(&self) -> BoxFuture<'_, Vec<String>> {
        Box::pin(std::future::ready(self.0.clone()))
    }

    fn refresh_measures(&self) -> BoxFuture<'_, ()> {
        Box::pin(std::future::ready(()))
    }
}

impl Office {
    /// Opens an office over these desks.
    pub(crate) fn open(desks: Desks) -> Self {
        Self::open_with(desks, Vec::new())
    }

    /// Opens one of a service that is not ready for these reasons.
    pub(crate) fn open_with(desks: Desks, obstacles: Vec<String>) -> Self {
        Self::open_over(MemoryStore::new(), desks, obstacles)
    }

    /// Opens one of a service over `store`.
    pub(crate) fn open_over(store: MemoryStore, desks: Desks, obstacles: Vec<String>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let admin = folder.path().join("admin");
        std::fs::create_dir(&admin).unwrap();
        let desks = Arc::new(desks);
        let api = Api {
            token: Token::load_or_make(&admin, &mut SystemEntropy).unwrap(),
            queue: Arc::<Desks>::clone(&desks),
            aside: Arc::<Desks>::clone(&desks),
            conduct: Arc::<Desks>::clone(&desks),
            domains: desks,
            cluster: Arc::<Nodes>::default(),
            peers: Arc::<PeerBook>::default(),
            moving: Arc::new(Moving::over(store)),
            audit: Audit::open(&admin).unwrap(),
            clock: Arc::new(Noon),
        };
        let (told, address) = mpsc::sync_channel(1);
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            actix_rt::System::new().block_on(async move {
                let config = AdminConfig {
                    listen: "127.0.0.1:0".parse().unwrap(),
                    observe: Some("127.0.0.1:0".parse().unwrap()),
                };
                let readiness = Arc::new(Always(obstacles));
                let door = Arc::new(Door::opened(api));
                let listener = Admin::start(&config, Registry::new(), readiness, door).unwrap();
                let observed = listener.observed_at().unwrap();
                told.send((listener.address(), observed)).unwrap();
                stopped.await.unwrap();
                listener.stop().await;
            });
        });
        let (address, observed) = address.recv().unwrap();
        token::write_address(&admin, address).unwrap();
        Self {
            folder,
            address,
            observed,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    /// Types a line, and gives what is printed.
    pub(crate) fn run(&self, line: &str) -> operate::Printed {
        let folder = self.folder.path().to_str().unwrap();
        let words = words(line);
        let typed = words
            .iter()
            .map(String::as_str)
            .chain(["--data-dir", folder]);
        let arguments = Arguments::try_parse_from(typed).unwrap();
        command(arguments.command).run(noon())
    }

    /// Types lines, one after the other.
    pub(crate) fn transcript(&self, lines: &[&str]) -> Transcript {
        let mut transcript = Transcript::default();
        for line in lines {
            let printed = self.run(line);
            transcript.add(line, &printed);
        }
        transcript
    }

    /// The lines of the record of orders.
    pub(crate) fn audit(&self) -> Vec<serde_json::Value> {
        let text = std::fs::read_to_string(self.folder.path().join("admin/audit.jsonl")).unwrap();
        let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
        lines.collect()
    }

    /// Where operators are answered.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where those who only watch are.
    pub(crate) fn observed_at(&self) -> SocketAddr {
        self.observed
    }

    /// What an operator shows, as it stands in the file.
    pub(crate) fn token(&self) -> String {
        let text = std::fs::read_to_string(self.folder.path().join("admin/token")).unwrap();
        text.trim().to_owned()
    }
}

impl Drop for Office {
    fn drop(&mut self) {
        let stop = self.stop.take().unwrap();
        let is_running = stop.send(()).is_ok();
        let ended = self.thread.take().unwrap().join();
        assert!(is_running && ended.is_ok() || std::thread::panicking());
    }
}

/// Words as a shell takes them apart: at blanks, unless quoted.
fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut is_quoted = false;
    for letter in line.chars() {
        match letter {
            '"' => is_quoted = !is_quoted,
            ' ' if !is_quoted => words.push(String::new()),
            letter => words.last_mut().unwrap().push(letter),
        }
    }
    words
}

fn command(command: args::Command) -> Command {
    match command {
        args::Command::Queue(one) => Command::Queue(one),
        args::Command::Explain(one) => Command::Explain(one),
        args::Command::Quarantine(one) => Command::Quarantine(one),
        args::Command::Aside(one) => Command::Aside(one),
        args::Command::Incidents(one) => Command::Incidents(one),
        args::Command::Domain(one) => Command::Domain(one),
        args::Command::Verify(one) => Command::Moving(operate::moving::Moving::Verify(one)),
        args::Command::Peer(one) => Command::Peer(one),
        args::Command::Cluster(one) => Command::Cluster(one),
        args::Command::Health(one) => Command::Health(one),
        other => panic!("{other:?} is no command of operators"),
    }
}

impl Transcript {
    fn add(&mut self, line: &str, printed: &operate::Printed) {
        let Self(text) = self;
        text.push_str(&format!("$ {line}\n{}{}", printed.out, printed.err));
        if printed.exit_code != 0 {
            text.push_str(&format!("[exit code {}]\n", printed.exit_code));
        }
        text.push('\n');
    }

    /// Compares with a golden file; `GOLDEN=write` rewrites it.
    #[track_caller]
    pub(crate) fn check(&self, name: &str) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/golden/operate")
            .join(format!("{name}.txt"));
        if std::env::var_os("GOLDEN").is_some_and(|mode| mode == "write") {
            std::fs::write(&path, &self.0).unwrap();
        }
        let expected = std::fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(self.0, expected, "differs from {}", path.display());
    }
}
