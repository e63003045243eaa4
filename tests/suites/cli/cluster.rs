//! The cluster of the README, typed: a store, two nodes and a front-end on one machine, each started by
//! its line with the shipped configuration. Only the ports are chosen by the system.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use mesh_backend::store::remote::StoreServer;
use mesh_tests::admin;
use mesh_tests::process::{mesh_program, program};
use mesh_tests::service::loopback;

use crate::desk::words;
use crate::tour::{typed_below, workspace};

/// For so long a version stays readable, as at FoundationDB.
const KEPT: Duration = Duration::from_secs(5);

/// How often a process is asked whether it is ready; each answer takes about a millisecond.
const LOOKS_MAX: usize = 100_000;

/// A process that was started by a line, with what it said of itself. Dropping it kills it.
struct Running {
    child: Child,
    /// Read no further, and not closed.
    _stdout: Option<BufReader<ChildStdout>>,
    said: BTreeMap<String, String>,
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts `meshd run` and reads its greeting up to the line that names the data folder.
fn run(folder: &Path, words: &[String], ports: &[(&str, String)]) -> Running {
    let mut child = Command::new(program())
        .args(&words[1..])
        .current_dir(folder)
        .env_clear()
        .envs(ports.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program can be started");
    let stdout = child.stdout.take().expect("standard output is piped");
    let mut stdout = BufReader::new(stdout);
    let mut running = Running {
        child,
        _stdout: None,
        said: BTreeMap::new(),
    };
    let mut line = String::new();
    while stdout.read_line(&mut line).is_ok_and(|octets| octets > 0) {
        let mut words = line.split_whitespace();
        let (name, value) = (words.next().unwrap_or_default(), words.next());
        let said = value.unwrap_or_default().to_owned();
        running.said.insert(name.to_owned(), said);
        if name == "data" {
            running._stdout = Some(stdout);
            return running;
        }
        line.clear();
    }
    panic!("{words:?} ended before it served");
}

/// The cluster as far as it was typed.
struct Typed {
    folder: tempfile::TempDir,
    store: StoreServer,
    nodes: Vec<Running>,
    frontend: Option<Running>,
    shown: String,
}

impl Typed {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        std::os::unix::fs::symlink(workspace().join("deploy"), folder.path().join("deploy"))
            .expect("a link can be made");
        Self {
            folder,
            store: StoreServer::start(loopback(), KEPT).expect("there are ports and threads"),
            nodes: Vec::new(),
            frontend: None,
            shown: String::new(),
        }
    }

    fn start(&mut self, words: &[String]) {
        let any = "127.0.0.1:0".to_owned();
        let links: Vec<&String> = self.nodes.iter().map(|node| &node.said["link"]).collect();
        let mut ports = vec![
            ("MESHD_ADMIN__LISTEN", any.clone()),
            (
                "MESHD_STORE__TEST__ADDRESS",
                self.store.address().to_string(),
            ),
        ];
        let is_node = words[3].contains("node-");
        if is_node {
            ports.push(("MESHD_CLUSTER__LISTEN", any));
        } else {
            ports.push(("MESHD_FRONTEND__LISTEN", format!("[{any:?}]")));
            ports.push(("MESHD_CLUSTER__BACKENDS", format!("{links:?}")));
        }
        let running = run(self.folder.path(), words, &ports);
        match is_node {
            true => self.nodes.push(running),
            false => self.frontend = Some(running),
        }
    }

    /// Waits until every process is ready: a person types slower than that.
    fn settle(&self) {
        for running in self.nodes.iter().chain(&self.frontend) {
            let address = running.said["admin"].replace("http://", "");
            let address = address.trim_end_matches("/readyz").parse();
            let address = address.expect("the greeting names an address");
            let is_ready = (0..LOOKS_MAX).any(|_| admin::get(address, "/readyz").0 == 200);
            assert!(is_ready, "{}", admin::get(address, "/readyz").1);
        }
    }

    /// A line that ends by itself, and what it printed.
    fn done(&self, program: &Path, words: &[String]) -> String {
        let output = Command::new(program)
            .args(&words[1..])
            .current_dir(self.folder.path())
            .env_clear()
            .env("HOME", self.folder.path())
            .stdin(Stdio::null())
            .output()
            .expect("the program can be started");
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{words:?}: {error}");
        String::from_utf8(output.stdout).expect("the command prints text")
    }

    fn type_line(&mut self, line: &str) {
        let words = words(line);
        match (words[0].as_str(), words[1].as_str()) {
            // Built by what calls this test; the store is in this process.
            ("cargo" | "store-server", _) => {}
            ("meshd", "run") => self.start(&words),
            ("meshd", "cluster") if words[4].starts_with("/etc") => {}
            ("meshd", "cluster") => self.shown = self.done(program(), &words),
            ("meshd", "ca" | "identity") => drop(self.done(program(), &words)),
            ("mesh", _) => {
                self.settle();
                let frontend = self.frontend.as_ref().expect("a front-end runs");
                let port = frontend.said["HTTPS"].replace("https://127.0.0.1:", "");
                let port = port.split('/').next().expect("the greeting has a port");
                let line = line.replace("localhost:8443", &format!("localhost:{port}"));
                self.done(mesh_program(), &crate::desk::words(&line));
            }
            _ => panic!("nobody knows whether this works: {line}"),
        }
    }
}

#[test]
fn the_cluster_of_the_readme_runs_on_one_machine() {
    let mut typed = Typed::new();
    for line in typed_below("A cluster") {
        typed.type_line(&line);
    }
    let lines: Vec<&str> = typed.shown.lines().collect();
    assert!(lines[0].starts_with("NODE  "), "{}", typed.shown);
    assert_eq!(
        lines.iter().filter(|line| line.contains(" alive ")).count(),
        2,
        "{}",
        typed.shown
    );
    assert!(typed.shown.contains("backend+outbound"), "{}", typed.shown);
    assert!(
        typed
            .shown
            .contains("2 nodes; others write for one that died within 8 s"),
        "{}",
        typed.shown
    );
}
