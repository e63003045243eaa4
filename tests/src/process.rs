//! `meshd` as an operator runs it: the real program, started from a configuration file in a folder of
//! its own, killed, started again in the same folder. What it prints is what the tests know of it:
//! its addresses come from its greeting, its log from its standard error.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::Duration;

use meshd::service::STILL_READ;
use tempfile::TempDir;

use crate::admin;

/// How long a start may take on the slowest machine the tests run on; only a hang takes longer.
pub const START_TIME_MAX: Duration = Duration::from_secs(120);

/// The daemon: what `MESHD_PROGRAM` names, or else built if it is not there or older than its
/// sources, with the features of the whole workspace, so that what the tests were built from is used
/// again.
///
/// # Panics
/// If it does not build.
#[must_use]
pub fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| named_or_built("MESHD_PROGRAM", "meshd"))
}

/// The command of a person's device: what `MESH_PROGRAM` names, or else built as [`program`] is.
///
/// # Panics
/// If it does not build.
#[must_use]
pub fn mesh_program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| named_or_built("MESH_PROGRAM", "mesh"))
}

fn named_or_built(variable: &str, name: &str) -> PathBuf {
    if let Some(program) = std::env::var_os(variable) {
        return program.into();
    }
    let test = std::env::current_exe().expect("a running test has a path");
    let profile = test
        .ancestors()
        .nth(2)
        .expect("cargo puts tests into target/PROFILE/deps");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut build = Command::new(cargo);
    build.args(["build", "--quiet", "--workspace", "--bin", name]);
    if profile.file_name().is_some_and(|name| name == "release") {
        build.arg("--release");
    }
    if std::env::var_os("MESH_FDB_CLUSTER_FILE").is_some() {
        build.args(["--features", "mesh-tests/foundationdb"]);
    }
    if let Some(target) = profile.parent() {
        build.arg("--target-dir").arg(target);
    }
    let status = build
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status()
        .expect("cargo can be run where cargo ran the test");
    assert!(status.success(), "{name} does not build");
    profile.join(name)
}

/// A data folder and a configuration, in which services run one after the other.
#[derive(Debug)]
pub struct Place {
    folder: TempDir,
    data: PathBuf,
    /// The data folder as the tests see it.
    seen: PathBuf,
    config: PathBuf,
    starts: AtomicU32,
    wrapper: Vec<String>,
    typed: Option<Typed>,
}

/// What a person types instead of the configuration that tests write.
#[derive(Debug)]
struct Typed {
    folder: PathBuf,
    config: Option<PathBuf>,
}

/// A service that did not start.
#[derive(Debug)]
pub struct Failed {
    /// Its exit status.
    pub status: ExitStatus,
    /// What it wrote to standard error.
    pub stderr: String,
}

impl Place {
    /// A place with a data folder of its own. `settings` are lines of TOML with dotted keys, read
    /// after the ports, which the system chooses.
    #[must_use]
    pub fn new(settings: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let data = folder.path().join("data");
        Self::over(folder, data, settings)
    }

    /// A place whose data folder lies elsewhere.
    #[must_use]
    pub fn with_data(data: &Path, settings: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        Self::over(folder, data.to_owned(), settings)
    }

    /// A place without a configuration: `meshd run`, typed in the folder `typed_in`. Only the ports
    /// are chosen by the system, through the environment.
    #[must_use]
    pub fn without_configuration(typed_in: &Path) -> Self {
        Self::typing(typed_in, None)
    }

    /// A place with the configuration `config`, used as it is, in the folder `typed_in`. Only the
    /// ports are chosen by the system, through the environment.
    #[must_use]
    pub fn with_configuration(typed_in: &Path, config: &Path) -> Self {
        Self::typing(typed_in, Some(config.to_owned()))
    }

    fn typing(folder: &Path, config: Option<PathBuf>) -> Self {
        Self {
            typed: Some(Typed {
                folder: folder.to_owned(),
                config,
            }),
            ..Self::with_data(&folder.join("meshd-data"), "")
        }
    }

    fn over(folder: TempDir, data: PathBuf, settings: &str) -> Self {
        let place = Self {
            config: folder.path().join("meshd.toml"),
            folder,
            seen: data.clone(),
            data,
            starts: AtomicU32::new(0),
            wrapper: Vec::new(),
            typed: None,
        };
        place.configure(settings);
        place
    }

    /// Writes the configuration anew, for the next start.
    pub fn configure(&self, settings: &str) {
        let has = |key: &str| settings.lines().any(|line| line.starts_with(key));
        let mut text = format!("data_dir = {:?}\n", self.data);
        if !has("frontend.listen ") {
            text.push_str("frontend.listen = [\"127.0.0.1:0\"]\n");
        }
        if !has("admin.listen ") {
            text.push_str("admin.listen = \"127.0.0.1:0\"\n");
        }
        text.push_str(settings);
        std::fs::write(&self.config, text).expect("the configuration can be written");
    }

    /// Runs the program under another one, for example `prlimit` or `setpriv` with its arguments.
    #[must_use]
    pub fn under(mut self, wrapper: &[&str]) -> Self {
        self.wrapper = wrapper.iter().map(|&word| word.to_owned()).collect();
        self
    }

    /// Says where the tests find the data folder, if the program is in a mount namespace of its own.
    #[must_use]
    pub fn seen_at(mut self, seen: &Path) -> Self {
        seen.clone_into(&mut self.seen);
        self
    }

    /// The data folder.
    #[must_use]
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// The configuration file.
    #[must_use]
    pub fn config(&self) -> &Path {
        &self.config
    }

    /// What every service of this place has logged so far.
    #[must_use]
    pub fn logs(&self) -> Vec<u8> {
        (0..self.starts.load(Ordering::SeqCst))
            .flat_map(|start| std::fs::read(self.log(start)).unwrap_or_default())
            .collect()
    }

    fn log(&self, start: u32) -> PathBuf {
        self.folder.path().join(format!("log-{start}.txt"))
    }

    /// Starts a service and waits until it says that it serves.
    ///
    /// # Panics
    /// If it ends instead, with what it said.
    #[must_use]
    pub fn start(&self) -> Process {
        self.try_start().unwrap_or_else(|failed| {
            panic!("meshd did not start ({}): {}", failed.status, failed.stderr)
        })
    }

    /// Starts a service and waits until it says that it serves, or ends.
    ///
    /// # Errors
    /// [`Failed`]: it ended.
    ///
    /// # Panics
    /// If it does neither within [`START_TIME_MAX`].
    pub fn try_start(&self) -> Result<Process, Failed> {
        let log = self.log(self.starts.fetch_add(1, Ordering::SeqCst));
        let stderr = File::create(&log).expect("the log can be written");
        let mut command = self.command();
        command.arg("run");
        let config = match &self.typed {
            Some(typed) => {
                command
                    .current_dir(&typed.folder)
                    .env("MESHD_FRONTEND__LISTEN", "[\"127.0.0.1:0\"]")
                    .env("MESHD_ADMIN__LISTEN", "127.0.0.1:0");
                typed.config.as_deref()
            }
            None => Some(self.config.as_path()),
        };
        if let Some(config) = config {
            command.arg("--config").arg(config);
        }
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(stderr)
            .spawn()
            .expect("the program can be started");
        let lines = lines_of(&mut child);
        match Greeting::read(&lines) {
            Some(greeting) => Ok(Process {
                ca: std::fs::read_to_string(self.seen.join("tls/ca.pem")).unwrap_or_default(),
                greeting,
                child,
                log: File::open(&log).expect("the log can be read"),
                lines,
            }),
            None => {
                let status = child.wait().expect("a child can be waited for");
                let stderr = std::fs::read_to_string(&log).expect("the log can be read");
                Err(Failed { status, stderr })
            }
        }
    }

    fn command(&self) -> Command {
        let program = program();
        let mut words = self.wrapper.iter();
        let mut command = match words.next() {
            Some(wrapper) => {
                let mut command = Command::new(wrapper);
                command.args(words).arg(program);
                command
            }
            None => Command::new(program),
        };
        command.current_dir(self.folder.path()).env_clear();
        command
    }
}

/// What the service says of itself once it serves.
#[derive(Debug, Default)]
struct Greeting {
    https: Option<SocketAddr>,
    plain: Option<SocketAddr>,
    admin: Option<SocketAddr>,
}

impl Greeting {
    /// Reads up to the line that names the data folder, the last with facts; `None` if the output
    /// ends before it.
    fn read(lines: &Receiver<String>) -> Option<Self> {
        let mut greeting = Self::default();
        loop {
            let line = match lines.recv_timeout(START_TIME_MAX) {
                Ok(line) => line,
                Err(RecvTimeoutError::Disconnected) => return None,
                Err(RecvTimeoutError::Timeout) => panic!("meshd neither serves nor ends"),
            };
            let mut words = line.split_whitespace();
            let (key, value) = (words.next(), words.next().unwrap_or_default());
            match key {
                Some("HTTPS") => greeting.https = address_in(value),
                Some("HTTP") => greeting.plain = address_in(value),
                Some("admin") => greeting.admin = address_in(value),
                Some("data") => return Some(greeting),
                _ => {}
            }
        }
    }
}

/// What a process has used of the processors so far, all of its threads together: in hundredths of a second, as
/// Linux counts for people on every machine.
///
/// # Panics
/// If it does not run.
#[must_use]
pub fn processor_time(process: u32) -> Duration {
    /// Behind the name, which may hold anything and ends with the last parenthesis: in user mode, and in the
    /// kernel (fields 14 and 15 of proc(5)).
    const USED: [usize; 2] = [11, 12];
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat"))
        .expect("a running process has its numbers");
    let (_, behind) = stat.rsplit_once(')').expect("the name is in parentheses");
    let fields: Vec<&str> = behind.split_whitespace().collect();
    let ticks = USED.map(|field| {
        let ticks = fields.get(field).and_then(|text| text.parse::<u64>().ok());
        ticks.expect("the numbers say how long it ran")
    });
    Duration::from_millis(10 * ticks.iter().sum::<u64>())
}

fn address_in(url: &str) -> Option<SocketAddr> {
    url.split_once("://")?.1.split('/').next()?.parse().ok()
}

/// The lines of standard output, read as they come so that the program never waits for a reader.
fn lines_of(child: &mut Child) -> Receiver<String> {
    let stdout = child.stdout.take().expect("standard output is piped");
    let (sender, lines) = sync_channel(1_024);
    std::thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            // Whoever does not read any more has seen the greeting.
            let _ = sender.try_send(line);
        }
    });
    lines
}

/// A running service. Dropping it kills it.
#[derive(Debug)]
pub struct Process {
    child: Child,
    greeting: Greeting,
    ca: String,
    log: File,
    lines: Receiver<String>,
}

impl Process {
    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The line with which it says what to type next.
    ///
    /// # Panics
    /// If it says nothing of the kind.
    #[must_use]
    pub fn line_to_type_next(&self) -> String {
        let next = || self.lines.recv_timeout(START_TIME_MAX).ok();
        std::iter::from_fn(next)
            .find_map(|line| line.trim().starts_with("mesh ").then(|| line.trim().into()))
            .expect("the greeting ends with a line to type")
    }

    /// Where it answers HTTPS, as a client names it.
    ///
    /// # Panics
    /// If it does not answer HTTPS.
    #[must_use]
    pub fn url(&self) -> String {
        let address = self.greeting.https.expect("the service answers HTTPS");
        format!("https://localhost:{}", address.port())
    }

    /// Where it answers plain HTTP.
    ///
    /// # Panics
    /// If it does not.
    #[must_use]
    pub fn plain(&self) -> SocketAddr {
        self.greeting
            .plain
            .expect("the configuration has a plain listener")
    }

    /// Where HTTPS is answered.
    ///
    /// # Panics
    /// If it is not.
    #[must_use]
    pub fn https(&self) -> SocketAddr {
        self.greeting.https.expect("the service answers HTTPS")
    }

    /// Where operators ask.
    ///
    /// # Panics
    /// If the greeting does not say.
    #[must_use]
    pub fn admin_address(&self) -> SocketAddr {
        self.greeting.admin.expect("the greeting names it")
    }

    /// The certificate authority a client must trust, as PEM.
    #[must_use]
    pub fn ca(&self) -> &str {
        &self.ca
    }

    /// What it has logged so far.
    ///
    /// # Panics
    /// If the log cannot be read.
    #[must_use]
    pub fn logged(&self) -> String {
        // Also when its place is gone already.
        let length = self
            .log
            .metadata()
            .expect("an open file has a length")
            .len();
        let length = usize::try_from(length).expect("a log fits into memory");
        let mut octets = vec![0; length];
        self.log
            .read_exact_at(&mut octets, 0)
            .expect("a log only grows");
        String::from_utf8_lossy(&octets).into_owned()
    }

    /// Asks the admin listener: HTTP status and body.
    ///
    /// # Panics
    /// If it does not answer.
    #[must_use]
    pub fn admin(&self, path: &str) -> (u16, String) {
        let address = self.greeting.admin.expect("the greeting names it");
        admin::get(address, path)
    }

    /// Sum of the samples of a measure whose line contains `labels`; 0 if there is none.
    ///
    /// # Panics
    /// If `/metrics` is not answered.
    #[must_use]
    pub fn measured(&self, name: &str, labels: &str) -> f64 {
        let address = self.greeting.admin.expect("the greeting names it");
        admin::measured(address, name, labels)
    }

    /// Kibibytes of memory it occupies besides its code (`RssAnon`), of which a debug build has far more than
    /// a release.
    ///
    /// # Panics
    /// If it does not run any more.
    #[must_use]
    pub fn resident_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id()))
            .expect("a running process has a status");
        status
            .lines()
            .find_map(|line| line.strip_prefix("RssAnon:"))
            .and_then(|rest| rest.split_whitespace().next()?.parse().ok())
            .expect("the status says how much memory the process has")
    }

    /// Whether it still runs.
    ///
    /// # Panics
    /// If the system does not know it.
    pub fn is_running(&mut self) -> bool {
        let ended = self.child.try_wait().expect("a child can be asked for");
        ended.is_none()
    }

    /// Ends it as `kill -9` does, and waits until it is gone.
    ///
    /// # Panics
    /// If the system refuses.
    pub fn kill(mut self) {
        self.child.kill().expect("a child can be killed");
        self.child.wait().expect("a child can be waited for");
    }

    /// Tells it to stop (SIGTERM), and waits until it has.
    ///
    /// # Panics
    /// If the system refuses, and as [`Self::ended`].
    pub fn stop(self) -> ExitStatus {
        let told = Command::new("kill")
            .arg(self.id().to_string())
            .status()
            .expect("`kill` can be run");
        assert!(told.success(), "SIGTERM was not sent");
        self.ended()
    }

    /// Waits until it has ended by itself.
    ///
    /// # Panics
    /// If the system does not know it, or if something still read the store when it stopped: whoever holds a store
    /// to the end makes every stop slow.
    pub fn ended(mut self) -> ExitStatus {
        let status = self.child.wait().expect("a child can be waited for");
        let logged = self.logged();
        assert!(!logged.contains(STILL_READ), "a slow stop: {logged}");
        status
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
