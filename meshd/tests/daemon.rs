//! The daemon as a process: its help texts, its configuration check, its traces.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use mesh_client::transport::{Https, Transport};

/// Longer than anything here takes; reached only when something hangs.
const PATIENCE: Duration = Duration::from_secs(60);

fn meshd(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_meshd"));
    command
        .args(arguments)
        .env("COLUMNS", "100")
        .stdin(Stdio::null());
    command
}

/// Compares with a golden file; `GOLDEN=write` rewrites it.
fn assert_golden(name: &str, found: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(name);
    if std::env::var_os("GOLDEN").is_some_and(|mode| mode == "write") {
        std::fs::write(&path, found).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(found, expected, "differs from {}", path.display());
}

#[test]
fn help_texts_are_the_manual() {
    for (name, arguments) in [
        ("help.txt", &["help"][..]),
        ("help-run.txt", &["help", "run"]),
        ("help-check-config.txt", &["help", "check-config"]),
        ("help-demo.txt", &["help", "demo"]),
        ("help-dns-records.txt", &["help", "dns-records"]),
        ("help-queue.txt", &["help", "queue"]),
        ("help-queue-list.txt", &["help", "queue", "list"]),
        ("help-queue-show.txt", &["help", "queue", "show"]),
        ("help-queue-hold.txt", &["help", "queue", "hold"]),
        ("help-queue-resume.txt", &["help", "queue", "resume"]),
        ("help-queue-retry.txt", &["help", "queue", "retry"]),
        ("help-queue-fail.txt", &["help", "queue", "fail"]),
        ("help-queue-reroute.txt", &["help", "queue", "reroute"]),
        ("help-explain.txt", &["help", "explain"]),
        ("help-quarantine.txt", &["help", "quarantine"]),
        ("help-aside.txt", &["help", "aside"]),
        ("help-incidents.txt", &["help", "incidents"]),
        ("help-domain.txt", &["help", "domain"]),
        ("help-domain-usage.txt", &["help", "domain", "usage"]),
        ("help-peer.txt", &["help", "peer"]),
        ("help-peer-forget.txt", &["help", "peer", "forget"]),
        ("help-incidents-file.txt", &["help", "incidents", "file"]),
        ("help-health.txt", &["help", "health"]),
        ("help-verify.txt", &["help", "verify"]),
        ("help-export.txt", &["help", "export"]),
        ("help-import.txt", &["help", "import"]),
        ("help-migrate.txt", &["help", "migrate"]),
        ("help-restore-check.txt", &["help", "restore-check"]),
        ("help-ca.txt", &["help", "ca"]),
        ("help-ca-init.txt", &["help", "ca", "init"]),
        ("help-ca-node.txt", &["help", "ca", "node"]),
        ("help-identity.txt", &["help", "identity"]),
        ("help-identity-copy.txt", &["help", "identity", "copy"]),
        ("help-cluster.txt", &["help", "cluster"]),
        ("help-cluster-drain.txt", &["help", "cluster", "drain"]),
        ("help-cluster-raise.txt", &["help", "cluster", "raise"]),
        ("help-incidents-level.txt", &["help", "incidents", "level"]),
    ] {
        let output = meshd(arguments).output().unwrap();
        assert!(output.status.success());
        assert_golden(name, &String::from_utf8(output.stdout).unwrap());
    }
}

/// What `meshd` says that does not start with these settings; the folder's name is left out.
fn refusal(settings: &str, arguments: &[&str]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("meshd.toml");
    let data = folder.path().join("data");
    let listen = "frontend.listen = [\"127.0.0.1:0\"]\nadmin.listen = \"127.0.0.1:0\"";
    std::fs::write(
        &path,
        format!("data_dir = {data:?}\n{listen}\n{settings}\n"),
    )
    .unwrap();
    let output = meshd(&["run", "--config", path.to_str().unwrap()])
        .args(arguments)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2), "{settings}");
    let text = String::from_utf8(output.stderr).unwrap();
    text.lines()
        .filter(|line| !line.contains(" WARN "))
        .map(|line| line.replace(folder.path().to_str().unwrap(), "DIR") + "\n")
        .collect()
}

#[test]
fn a_process_of_a_cluster_that_cannot_start_says_what_to_do() {
    const FRONTEND: &[&str] = &["--role", "frontend"];
    const BACKEND: &[&str] = &["--role", "backend"];
    let shared = "store.engine = \"foundationdb\"";
    let mut text = String::new();
    for (what, settings, arguments) in [
        ("a store for one process", "", BACKEND),
        ("nowhere to ask", "", FRONTEND),
        (
            "a place without a port",
            "cluster.backends = [\"backend-1.internal\"]",
            FRONTEND,
        ),
        (
            "no identity",
            "cluster.backends = [\"127.0.0.1:1\"]",
            FRONTEND,
        ),
        ("no secret", shared, BACKEND),
        (
            "open to others without certificates",
            &format!("{shared}\ncluster.secret_file = \"s\"\ncluster.listen = \"10.0.0.1:8445\""),
            BACKEND,
        ),
        (
            "no way back",
            &format!(
                "{shared}\n[cluster]\nsecret_file = \"s\"\nlisten = \"0.0.0.0:8445\"\n[cluster.tls]\n\
                 authority = \"a\"\ncertificate = \"c\"\nkey = \"k\""
            ),
            BACKEND,
        ),
        (
            "times that do not fit",
            &format!("{shared}\ncluster.secret_file = \"s\"\ncluster.lease_ms = 1500"),
            BACKEND,
        ),
        (
            "a transaction longer than FoundationDB lets it be",
            "store.foundationdb.timeout_ms = 6000",
            &[],
        ),
        ("a server that is not named", "store.engine = \"test\"", &[]),
        ("a role that is none", "", &["--role", "queue"]),
    ] {
        text.push_str(&format!("# {what}\n{}\n", refusal(settings, arguments)));
    }
    assert_golden("cluster-refusals.txt", &text);
}

#[test]
fn the_files_of_a_cluster_are_made_once_and_told_about() {
    let folder = tempfile::tempdir().unwrap();
    let mut text = String::new();
    for line in [
        "ca node link backend-1 --role backend",
        "ca init link --cluster Example",
        "ca init link --cluster example",
        "ca init link",
        "ca node link backend-1 --role backend",
        "ca node link backend-1 --role backend --role outbound --cluster example --host 10.0.0.7",
        "ca node link backend-1 --role backend --cluster example",
        "ca node link ../front --role frontend --cluster example",
        "identity copy identity --data-dir keep",
        "identity init --data-dir keep",
        "identity copy identity --data-dir keep",
        "identity copy identity --data-dir keep",
    ] {
        let words: Vec<&str> = line.split(' ').collect();
        let output = meshd(&words).current_dir(folder.path()).output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8(said).unwrap();
        let code = output.status.code().unwrap();
        text.push_str(&format!("$ meshd {line}\n{said}[exit code {code}]\n\n"));
    }
    let udf = text
        .lines()
        .find_map(|line| line.strip_prefix("identity  "))
        .unwrap()
        .to_owned();
    assert_golden("cluster-files.txt", &text.replace(&udf, "UDF"));
    let names = |name: &str| {
        let entries = std::fs::read_dir(folder.path().join(name)).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.collect::<std::collections::BTreeSet<String>>()
    };
    assert!(names("keep/identity").contains("service-offline.key"));
    let copied = names("identity");
    assert!(!copied.contains("service-offline.key") && !copied.contains("host.key"));
    assert!(copied.contains("service-online.key"));
}

#[test]
fn a_configuration_is_checked_without_starting_anything() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("meshd.toml");
    std::fs::write(
        &path,
        "data_dir = \"/nonexistent\"\n[frontend]\ndomains = [\"example.com\"]\n",
    )
    .unwrap();
    let output = meshd(&["check-config", "--config", path.to_str().unwrap()])
        .output()
        .unwrap();
    assert!(output.status.success());
    let found = String::from_utf8(output.stdout)
        .unwrap()
        .replace(path.to_str().unwrap(), "FILE");
    assert_golden("check-config.txt", &found);
}

/// A running daemon; it is killed, by its own id, when the test ends.
struct Daemon {
    process: Child,
    lines: mpsc::Receiver<String>,
}

impl Daemon {
    fn start(config: &Path) -> Self {
        let mut process = meshd(&["run", "--config", config.to_str().unwrap()])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let (sender, lines) = mpsc::sync_channel(64);
        let output = BufReader::new(process.stdout.take().unwrap());
        std::thread::spawn(move || {
            output
                .lines()
                .map_while(Result::ok)
                .try_for_each(|line| sender.send(line))
        });
        Self { process, lines }
    }

    /// What the greeting says behind `name`.
    fn told(&self, name: &str) -> String {
        loop {
            let line = self
                .lines
                .recv_timeout(PATIENCE)
                .expect("the daemon says where it listens");
            if let Some(value) = line.trim().strip_prefix(name) {
                return value.trim().to_owned();
            }
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

#[test]
fn requests_reach_the_collector_as_spans() {
    let (sender, spans) = mpsc::sync_channel::<Vec<u8>>(64);
    let collector = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = collector.local_addr().unwrap();
    std::thread::spawn(move || {
        actix_rt::System::new().block_on(async move {
            actix_web::HttpServer::new(move || {
                let sender = sender.clone();
                actix_web::App::new().default_service(actix_web::web::to(
                    move |body: actix_web::web::Bytes| {
                        // The test may have ended; then nobody wants the spans.
                        let _gone = sender.try_send(body.to_vec());
                        std::future::ready(actix_web::HttpResponse::Ok().finish())
                    },
                ))
            })
            .workers(1)
            .disable_signals()
            .listen(collector)
            .unwrap()
            .run()
            .await
        })
    });
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("meshd.toml");
    let text = format!(
        "data_dir = {:?}\n[frontend]\nlisten = [\"127.0.0.1:0\"]\n[admin]\nlisten = \"127.0.0.1:0\"\n\
         [telemetry]\notlp_endpoint = \"http://{address}/v1/traces\"\n",
        folder.path().join("data")
    );
    std::fs::write(&config, text).unwrap();
    let daemon = Daemon::start(&config);
    let url = daemon
        .told("HTTPS")
        .replace("/.well-known/mmm", "")
        .replace("127.0.0.1", "localhost");
    let ca = std::fs::read_to_string(folder.path().join("data/tls/ca.pem")).unwrap();
    meshd::install_provider();
    let https = Https::trusting(Some(&ca)).unwrap();
    let reply = actix_rt::System::new()
        .block_on(https.post(&url, br#"{"Hello":{}}"#.to_vec()))
        .unwrap();
    assert_eq!(reply.http_status, 201);
    let exported = spans
        .recv_timeout(PATIENCE)
        .expect("the spans reach the collector");
    let holds = |text: &str| {
        exported
            .windows(text.len())
            .any(|window| window == text.as_bytes())
    };
    assert!(holds("mesh.request") && holds("Hello") && holds("meshd"));
}
