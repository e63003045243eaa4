//! The commands of operators: they ask the running service over its admin listener, and print the answer
//! for people or, with `--json`, for programs. `error:`, `caused by:`, `try:`; exit codes: 0 done, 1 the
//! answer is no, 2 it could not be asked.
//!
//! | module | holds |
//! | --- | --- |
//! | [`args`] | what is typed |
//! | [`link`] | the line to the service |
//! | [`queue`], [`explain`] | what waits for other services, and where one message is |
//! | [`leftovers`] | quarantine, and what was set aside |
//! | [`cluster`] | the nodes of the cluster |
//! | [`peers`] | other services |
//! | [`domains`] | what domains use |
//! | [`incidents`] | complaints and what follows |
//! | [`health`] | whether it is ready |
//! | [`moving`] | accounts as a whole: verify, export, import, migrate, restore |
//! | [`page`], `progress`, [`failure`] | words and columns; how far it is; why not, and what to do |

pub mod args;
pub mod cluster;
pub mod domains;
pub mod explain;
pub mod failure;
pub mod health;
pub mod incidents;
pub mod leftovers;
pub mod link;
pub mod moving;
pub mod page;
pub mod peers;
mod progress;
pub mod queue;

use mesh_common::time::Timestamp;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use self::args::{
    Aside, Cluster, Desk, Domains, Explain, Health, Incidents, Peer, Quarantine, Queue,
};
use self::failure::{Failure, REFUSED};
use self::link::{Ask, Link};
use self::moving::Moving;

/// One of the commands.
#[derive(Debug, Clone)]
pub enum Command {
    /// `meshd queue`.
    Queue(Queue),
    /// `meshd explain`.
    Explain(Explain),
    /// `meshd quarantine`.
    Quarantine(Quarantine),
    /// `meshd aside`.
    Aside(Aside),
    /// `meshd incidents`.
    Incidents(Incidents),
    /// `meshd domain`.
    Domain(Domains),
    /// `meshd peer`.
    Peer(Peer),
    /// `meshd health`.
    Health(Health),
    /// `meshd cluster`.
    Cluster(Cluster),
    /// `meshd verify`, `export`, `import`, `migrate`, `restore-check`.
    Moving(Moving),
}

/// A command that was done.
#[derive(Debug, Clone, PartialEq)]
pub struct Done {
    /// Its name, as typed.
    pub command: &'static str,
    /// For people.
    pub text: String,
    /// For programs.
    pub result: Value,
    /// 0, or 1 where the answer is no.
    pub exit_code: u8,
}

impl Done {
    /// Done, with what to say.
    #[must_use]
    pub const fn new(command: &'static str, text: String, result: Value) -> Self {
        Self {
            command,
            text,
            result,
            exit_code: 0,
        }
    }

    /// The answer is no.
    #[must_use]
    pub const fn refused(mut self) -> Self {
        self.exit_code = REFUSED;
        self
    }
}

/// What is printed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Printed {
    /// On standard output.
    pub out: String,
    /// On standard error.
    pub err: String,
    /// The exit code.
    pub exit_code: u8,
}

impl Command {
    const fn desk(&self) -> &Desk {
        match self {
            Self::Queue(queue) => &queue.desk,
            Self::Explain(explain) => &explain.desk,
            Self::Quarantine(quarantine) => &quarantine.desk,
            Self::Aside(aside) => &aside.desk,
            Self::Incidents(incidents) => &incidents.desk,
            Self::Domain(domains) => &domains.desk,
            Self::Peer(peer) => &peer.desk,
            Self::Health(health) => &health.desk,
            Self::Cluster(cluster) => &cluster.desk,
            Self::Moving(moving) => moving.desk(),
        }
    }

    /// Finds the service, asks it, and says what to print. `now` is what ages are told from.
    #[must_use]
    pub fn run(&self, now: Timestamp) -> Printed {
        let outcome = match self {
            Self::Moving(moving) => moving::run(moving, now),
            other => Link::open(self.desk()).and_then(|link| other.ask(&link, now)),
        };
        printed(self.desk().json, &outcome)
    }

    /// Asks the service at the other end of `link`.
    ///
    /// # Errors
    /// [`Failure`].
    pub fn ask(&self, link: &dyn Ask, now: Timestamp) -> Result<Done, Failure> {
        match self {
            Self::Queue(queue) => queue::ask(&queue.command, link, now),
            Self::Explain(asked) => explain::ask(asked, link, now),
            Self::Quarantine(asked) => leftovers::ask_quarantine(&asked.command, link, now),
            Self::Aside(asked) => leftovers::ask_aside(&asked.command, link, now),
            Self::Incidents(asked) => incidents::ask(&asked.command, link, now),
            Self::Domain(asked) => domains::ask(&asked.command, link),
            Self::Peer(asked) => peers::ask(&asked.command, link, now),
            Self::Health(_) => health::ask(link),
            Self::Cluster(asked) => cluster::ask(&asked.command, link),
            Self::Moving(moving) => moving::run(moving, now),
        }
    }
}

/// What to print of `outcome`.
#[must_use]
pub fn printed(as_json: bool, outcome: &Result<Done, Failure>) -> Printed {
    let (out, err, exit_code) = match outcome {
        Ok(done) if as_json => {
            let line = json!({"command": done.command, "result": done.result});
            (format!("{line}\n"), String::new(), done.exit_code)
        }
        Ok(done) => (done.text.clone(), String::new(), done.exit_code),
        Err(failure) if as_json => {
            let line = format!("{}\n", failure.to_json());
            (line, String::new(), failure.exit_code())
        }
        Err(failure) => (String::new(), failure.to_text(), failure.exit_code()),
    };
    Printed {
        out,
        err,
        exit_code,
    }
}

/// An answer as the structure it is.
fn read<T: DeserializeOwned>(answer: &Value) -> Result<T, Failure> {
    T::deserialize(answer).map_err(|error| {
        Failure::not_asked(
            "the service answers something else than this meshd understands",
            "use the meshd of the release that runs; --json prints what it answers",
        )
        .caused_by(&error)
    })
}

/// The member of an answer as the structure it is.
fn read_member<T: DeserializeOwned>(answer: &Value, member: &str) -> Result<T, Failure> {
    read(&answer[member])
}
