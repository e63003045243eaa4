//! A whole cluster on this machine: real front-end, back-end and outbound processes over one store, each of
//! which can be killed, paused, stopped, started again, or cut off.
//!
//! ```text
//!  test ─▶ door ─▶ front-end ═▶ door ─▶ back-end ─▶ way ─▶ store
//! ```
//!
//! Doors and ways are [`Proxy`](crate::proxy::Proxy)s: addresses that stay the same though processes come back elsewhere, and
//! networks that can be bad. The store is the test-only server of decision Q-67 in this process or, with
//! `MESH_FDB_CLUSTER_FILE` set, that FoundationDB cluster under a prefix of its own.

mod ground;
mod member;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

pub use self::ground::{Ground, REAL_CLUSTER};
pub use self::member::{Member, Role};
use crate::peer::Authority;
use crate::process;
use crate::service::DOMAIN;
use crate::wire::{Connection, Tls};

/// How the cluster keeps time, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// Between two heartbeats.
    pub heartbeat: u64,
    /// Between two looks at the tables.
    pub poll: u64,
    /// Silence after which others take what a node owns.
    pub lease: u64,
    /// What a takeover may take.
    pub takeover: u64,
}

impl Pace {
    /// As a cluster is shipped.
    pub const SHIPPED: Self = Self {
        heartbeat: 1_000,
        poll: 1_000,
        lease: 5_000,
        takeover: 1_000,
    };
    /// Two and a half times as fast.
    pub const BRISK: Self = Self {
        heartbeat: 400,
        poll: 400,
        lease: 2_000,
        takeover: 400,
    };

    /// The failover bound (cluster §4.5).
    #[must_use]
    pub const fn bound(self) -> Duration {
        Duration::from_millis(2 * self.poll + self.lease + self.takeover)
    }

    fn settings(self) -> String {
        let Self {
            heartbeat,
            poll,
            lease,
            takeover,
        } = self;
        format!(
            "cluster.heartbeat_ms = {heartbeat}\ncluster.poll_ms = {poll}\n\
             cluster.lease_ms = {lease}\ncluster.takeover_ms = {takeover}\n"
        )
    }
}

/// What a cluster begins with.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Processes that answer devices.
    pub frontends: usize,
    /// Processes that own accounts.
    pub backends: usize,
    /// Processes that own queues.
    pub outbound: usize,
    /// How it keeps time.
    pub pace: Pace,
    /// Further settings of every process, lines of TOML with dotted keys.
    pub settings: String,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            frontends: 2,
            backends: 2,
            outbound: 1,
            pace: Pace::BRISK,
            settings: String::new(),
        }
    }
}

/// A running cluster. Its processes end with it.
#[derive(Debug)]
pub struct Cluster {
    members: Vec<Member>,
    ground: Ground,
    authority: Authority,
    plan: Plan,
    folder: TempDir,
}

impl Cluster {
    /// Starts a cluster over an empty store, and waits until every process says that it serves.
    ///
    /// # Panics
    /// If a process does not start.
    #[must_use]
    pub fn start(plan: Plan) -> Self {
        let mut cluster = Self::laid(plan);
        cluster.start_first(cluster.members.len());
        cluster
    }

    /// Starts the first `count` members, all at once, and waits until each says that it serves.
    ///
    /// # Panics
    /// If one does not.
    pub fn start_first(&mut self, count: usize) {
        std::thread::scope(|scope| {
            for member in &mut self.members[..count] {
                scope.spawn(|| member.start());
            }
        });
    }

    /// The same, and no process is started yet.
    ///
    /// # Panics
    /// If there are no folders, threads or ports.
    #[must_use]
    pub fn laid(plan: Plan) -> Self {
        let settings = plan.settings.clone();
        Self::laid_with(plan, |_| settings)
    }

    /// The same, with settings that name files of the cluster's folder instead of those of the plan.
    ///
    /// # Panics
    /// As [`Self::laid`].
    #[must_use]
    pub fn laid_with(mut plan: Plan, settings: impl FnOnce(&Path) -> String) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        plan.settings = settings(folder.path());
        let mut cluster = Self {
            members: Vec::new(),
            ground: Ground::lay(folder.path()),
            authority: Authority::new(),
            folder,
            plan,
        };
        cluster.ground.clear();
        cluster.write_what_is_shared();
        for _ in 0..cluster.plan.backends {
            cluster.add(Role::Backend);
        }
        for _ in 0..cluster.plan.outbound {
            cluster.add(Role::Outbound);
        }
        for _ in 0..cluster.plan.frontends {
            cluster.add(Role::Frontend);
        }
        cluster
    }

    /// A further process with this role, not started; its place among the members.
    ///
    /// # Panics
    /// If there are no folders, threads or ports.
    pub fn add(&mut self, role: Role) -> usize {
        let backends: Vec<String> = self
            .of(Role::Backend)
            .take(self.plan.backends)
            .map(|number| format!("{:?}", self.members[number].door().address().to_string()))
            .collect();
        let path = |name: &str| self.folder.path().join(name);
        let mut settings = format!(
            "cluster.roles = [{:?}]\n\
             cluster.identity = {:?}\n\
             cluster.secret_file = {:?}\n\
             frontend.domains = [{DOMAIN:?}]\n\
             frontend.workers = 1\n\
             limits.rate.enabled = false\n\
             {}{}",
            role.name(),
            path("identity"),
            path("secret"),
            self.plan.pace.settings(),
            self.plan.settings,
        );
        if role == Role::Frontend {
            settings.push_str(&format!(
                "cluster.backends = [{}]\ntls.certificate = {:?}\ntls.key = {:?}\n",
                backends.join(", "),
                path("tls.pem"),
                path("tls.key"),
            ));
        }
        let ground = (role != Role::Frontend).then_some(&self.ground);
        let number = self.of(role).count() + 1;
        self.members
            .push(Member::new(role, number, &settings, ground));
        self.members.len() - 1
    }

    /// Forgets the member that was added last, which ends if it still runs.
    pub fn forget_last(&mut self) {
        self.members.pop();
    }

    /// Puts another certificate in place of the one that front-ends show; they are not told.
    ///
    /// # Panics
    /// If it cannot be written.
    pub fn renew_certificate(&self) {
        let made = self.authority.certify(&[DOMAIN, &format!("mmm.{DOMAIN}")]);
        let write = |name: &str, octets: &[u8]| {
            std::fs::write(self.folder.path().join(name), octets)
                .expect("a temporary file can be written");
        };
        write("tls.pem", made.certificate_pem.as_bytes());
        write("tls.key", made.key_pem.as_bytes());
    }

    fn write_what_is_shared(&self) {
        self.renew_certificate();
        ground::write_secret(&self.folder.path().join("secret"));
        let home = self.folder.path().join("home");
        let identity = self.folder.path().join("identity");
        for words in [vec!["init"], vec!["copy", &identity.to_string_lossy()]] {
            let made = Command::new(process::program())
                .arg("identity")
                .args(&words)
                .arg("--data-dir")
                .arg(&home)
                .env_clear()
                .output()
                .expect("the program can be run");
            let said = String::from_utf8_lossy(&made.stderr);
            assert!(made.status.success(), "identity {words:?}: {said}");
        }
    }

    /// The members with this role, in the order in which they were added.
    pub fn of(&self, role: Role) -> impl Iterator<Item = usize> {
        let members = self.members.iter().enumerate();
        members.filter_map(move |(number, member)| (member.role() == role).then_some(number))
    }

    /// One member.
    #[must_use]
    pub fn member(&self, number: usize) -> &Member {
        &self.members[number]
    }

    /// One member, to be killed, paused, stopped or started.
    pub fn member_mut(&mut self, number: usize) -> &mut Member {
        &mut self.members[number]
    }

    /// Every member.
    #[must_use]
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// The store, and its troubles.
    #[must_use]
    pub const fn ground(&self) -> &Ground {
        &self.ground
    }

    /// How it was planned.
    #[must_use]
    pub const fn plan(&self) -> &Plan {
        &self.plan
    }

    /// How clients are secured.
    #[must_use]
    pub fn tls(&self) -> Tls {
        Tls::trusting(self.authority.pem())
    }

    /// The folder with what all processes share.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// What the processes have logged so far, each under its name.
    #[must_use]
    pub fn logs(&self) -> Vec<(String, PathBuf, String)> {
        let members = self.members.iter();
        members
            .map(|member| {
                let text = String::from_utf8_lossy(&member.place().logs()).into_owned();
                (member.name(), member.place().config().to_owned(), text)
            })
            .collect()
    }

    /// A connection to the first front-end.
    #[must_use]
    pub fn connect(&self) -> Connection {
        let first = self.of(Role::Frontend).next();
        let first = first.expect("there is a front-end");
        self.tls()
            .connect(self.members[first].door().address(), DOMAIN)
    }

    /// Sum of the samples of a measure over all running processes of a role.
    #[must_use]
    pub fn measured(&self, role: Role, name: &str, labels: &str) -> f64 {
        self.of(role)
            .filter_map(|number| self.members[number].measured(name, labels))
            .sum()
    }
}
