//! One process of a cluster: its place, its door, its way to the store, and what is done to it.

use std::net::{SocketAddr, TcpListener};
use std::process::ExitStatus;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::Ground;
use crate::admin;
use crate::process::{Failed, Place, Process};
use crate::proxy::Proxy;
use crate::service::loopback;

/// What a process is there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// It answers devices and other services.
    Frontend,
    /// It owns accounts.
    Backend,
    /// It owns queues to other services.
    Outbound,
}

impl Role {
    /// As settings say it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Frontend => "frontend",
            Self::Backend => "backend",
            Self::Outbound => "outbound",
        }
    }
}

/// A process of a cluster, running or not.
#[derive(Debug)]
pub struct Member {
    role: Role,
    number: usize,
    place: Place,
    process: Option<Process>,
    is_paused: bool,
    /// Where a node answers the others; what it says of itself is its door.
    link: SocketAddr,
    /// In front of what it answers: HTTPS of a front-end, the internal link of a node.
    door: Proxy,
    /// Between a node and the store server.
    way: Option<Proxy>,
}

impl Member {
    pub(super) fn new(role: Role, number: usize, settings: &str, ground: Option<&Ground>) -> Self {
        let door = Proxy::new().expect("there are ports");
        let way = ground.and_then(Ground::way);
        let mut settings = settings.to_owned();
        let link = free();
        if let Some(ground) = ground {
            settings.push_str(&format!(
                "cluster.listen = \"{link}\"\ncluster.advertise = \"{}\"\n{}",
                door.address(),
                ground.settings(way.as_ref())
            ));
        }
        Self {
            place: Place::new(&settings),
            role,
            number,
            process: None,
            is_paused: false,
            link,
            door,
            way,
        }
    }

    /// What it is there for.
    #[must_use]
    pub const fn role(&self) -> Role {
        self.role
    }

    /// Role and number, for messages.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}-{}", self.role.name(), self.number)
    }

    /// Where it runs.
    #[must_use]
    pub const fn place(&self) -> &Place {
        &self.place
    }

    /// Its address for others, and the network there.
    #[must_use]
    pub const fn door(&self) -> &Proxy {
        &self.door
    }

    /// Where a node answers, behind its door.
    #[must_use]
    pub const fn link(&self) -> SocketAddr {
        self.link
    }

    /// The network between it and the store server; none over a real cluster, and none for a front-end.
    #[must_use]
    pub const fn way(&self) -> Option<&Proxy> {
        self.way.as_ref()
    }

    /// The process, if it runs.
    #[must_use]
    pub const fn process(&self) -> Option<&Process> {
        self.process.as_ref()
    }

    /// Starts it, and waits until it says that it serves.
    ///
    /// # Panics
    /// If it does not, or runs already.
    pub fn start(&mut self) {
        self.try_start().unwrap_or_else(|failed| {
            panic!(
                "{} did not start ({}): {}",
                self.name(),
                failed.status,
                failed.stderr
            )
        });
    }

    /// Starts it, and waits until it says that it serves or ends.
    ///
    /// # Errors
    /// It ended.
    ///
    /// # Panics
    /// If it runs already.
    pub fn try_start(&mut self) -> Result<(), Failed> {
        assert!(self.process.is_none(), "{} runs already", self.name());
        let process = self.place.try_start()?;
        let place = match self.role {
            Role::Frontend => process.https(),
            Role::Backend | Role::Outbound => self.link,
        };
        self.door.lead_to(Some(place));
        self.process = Some(process);
        Ok(())
    }

    /// Ends it as `kill -9` does.
    ///
    /// # Panics
    /// If it does not run.
    pub fn kill(&mut self) {
        self.taken().kill();
    }

    /// Tells it to stop (SIGTERM), and waits until it has.
    ///
    /// # Panics
    /// If it does not run, or says that it did not stop well.
    pub fn stop(&mut self) {
        let name = self.name();
        let status = self.taken().stop();
        assert!(status.success(), "{name} stopped with {status}");
    }

    /// Tells it to stop (SIGTERM), and does not wait.
    ///
    /// # Panics
    /// If it does not run.
    pub fn tell_to_stop(&self) {
        self.signal(Signal::TERM);
    }

    /// Tells it to read its files again (SIGHUP).
    ///
    /// # Panics
    /// If it does not run.
    pub fn tell_to_read_again(&self) {
        self.signal(Signal::HUP);
    }

    /// Waits until it has ended by itself.
    ///
    /// # Panics
    /// If it did not run.
    pub fn ended(&mut self) -> ExitStatus {
        self.taken().ended()
    }

    /// Stops it and starts it again, as an upgrade does.
    ///
    /// # Panics
    /// As [`Self::stop`] and [`Self::start`].
    pub fn restart(&mut self) {
        self.stop();
        self.start();
    }

    fn taken(&mut self) -> Process {
        let name = self.name();
        let process = self.process.take();
        self.is_paused = false;
        process.unwrap_or_else(|| panic!("{name} does not run"))
    }

    /// Freezes it (SIGSTOP), until [`Self::wake`].
    pub fn pause(&mut self) {
        self.signal(Signal::STOP);
        self.is_paused = true;
    }

    /// Lets it go on (SIGCONT).
    pub fn wake(&mut self) {
        self.signal(Signal::CONT);
        self.is_paused = false;
    }

    fn signal(&self, signal: Signal) {
        let process = self.process.as_ref();
        let process = process.unwrap_or_else(|| panic!("{} does not run", self.name()));
        let id = i32::try_from(process.id()).ok().and_then(Pid::from_raw);
        let id = id.expect("a process has an id");
        kill_process(id, signal).expect("a child can be sent signals");
    }

    /// Its admin listener.
    ///
    /// # Panics
    /// If it does not run.
    #[must_use]
    pub fn admin(&self) -> SocketAddr {
        let process = self.process.as_ref();
        process
            .unwrap_or_else(|| panic!("{} does not run", self.name()))
            .admin_address()
    }

    /// HTTP status and body of a path of the admin listener.
    ///
    /// # Panics
    /// If it does not run, or does not answer.
    #[must_use]
    pub fn asked(&self, path: &str) -> (u16, String) {
        admin::get(self.admin(), path)
    }

    /// Sum of the samples of a measure; nothing if it does not run, or is paused.
    #[must_use]
    pub fn measured(&self, name: &str, labels: &str) -> Option<f64> {
        let process = self.process.as_ref().filter(|_| !self.is_paused)?;
        Some(process.measured(name, labels))
    }

    /// How long the failover bound is that it exports.
    #[must_use]
    pub fn failover_bound(&self) -> Option<Duration> {
        let seconds = self.measured("mesh_failover_bound_seconds", "")?;
        Some(Duration::from_secs_f64(seconds))
    }
}

/// An address that is free now, and that nobody else is likely to be given before it is used.
fn free() -> SocketAddr {
    let listener = TcpListener::bind(loopback()).expect("there are ports");
    listener.local_addr().expect("a listener has an address")
}

impl Drop for Member {
    fn drop(&mut self) {
        if self.is_paused && self.process.is_some() {
            // So that it can end.
            self.wake();
        }
    }
}
