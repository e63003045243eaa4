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
        ("help-peer.txt", &["help", "peer"]),
        ("help-peer-forget.txt", &["help", "peer", "forget"]),
        ("help-incidents-file.txt", &["help", "incidents", "file"]),
        ("help-ca.txt", &["help", "ca"]),
        ("help-ca-init.txt", &["help", "ca", "init"]),
        ("help-ca-node.txt", &["help", "ca", "node"]),
        ("help-identity.txt", &["help", "identity"]),
        ("help-identity-copy.txt", &["help", "identity", "copy"]),
        ("help-cluster.txt", &["help", "cluster"]),
        ("help-cluster-drain.txt", &["help", "cluster", "drain"]),
        ("help-incidents-level.txt", &["help", "incidents", "level"]),
    ] {
        let output = meshd(arguments).output().unwrap();
        assert!(output.status.success());
        assert_golden(name, &String::from_utf8(output.stdout).unwrap());
    }
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
