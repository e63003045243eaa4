//! The daemon over FoundationDB's client library: the stand-in, or with `MESH_FDB_CLUSTER_FILE` a real
//! cluster. One process with every role joins, owns everything, answers, and stops as it should.
#![cfg(feature = "foundationdb")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// How often it is asked; each answer takes some time of its own.
const LOOKS_MAX: usize = 100_000;
/// The same, of the cluster: each time by a process of its own.
const SHOWN_MAX: usize = 100;

fn meshd(folder: &Path, line: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_meshd"));
    command
        .args(line.split(' '))
        .current_dir(folder)
        .stdin(Stdio::null());
    command
}

/// Settings of one process with every role.
fn settings(folder: &Path) -> String {
    let file = match std::env::var("MESH_FDB_CLUSTER_FILE") {
        Ok(file) => file,
        Err(_) => {
            let file = folder.join("fdb.cluster");
            std::fs::write(&file, "stand-in seed=3 unknown=20000 conflict=20000").unwrap();
            file.to_str().unwrap().to_owned()
        }
    };
    format!(
        "data_dir = \"data\"\nfrontend.listen = [\"127.0.0.1:0\"]\nadmin.listen = \"127.0.0.1:0\"\n\
         backend.version_chain = true\nstore.engine = \"foundationdb\"\n\
         store.foundationdb.cluster_file = {file:?}\n\
         store.foundationdb.prefix = \"mesh-test/meshd/{}/\"\ncluster.listen = \"127.0.0.1:0\"\n\
         cluster.secret_file = \"link/cluster.secret\"\ncluster.stop_delay_ms = 0\n",
        std::process::id()
    )
}

/// The addresses behind `HTTPS` and `admin` in the greeting.
fn greeting(child: &mut Child) -> (SocketAddr, SocketAddr) {
    let stdout = BufReader::new(child.stdout.take().unwrap());
    let mut lines: Vec<String> = Vec::new();
    for line in stdout.lines().map_while(Result::ok) {
        let is_last = line.trim_start().starts_with("data ");
        lines.push(line);
        if is_last {
            break;
        }
    }
    let named = |name: &str| {
        let mut words = lines.iter().map(|line| line.split_whitespace());
        let url = words.find_map(|mut words| (words.next() == Some(name)).then(|| words.next()));
        let (_, place) = url.flatten().unwrap().split_once("://").unwrap();
        place.split('/').next().unwrap().parse().unwrap()
    };
    (named("HTTPS"), named("admin"))
}

fn get(address: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn a_process_with_every_role_runs_over_foundationdb() {
    let folder = tempfile::tempdir().unwrap();
    for line in ["ca init link", "identity init --data-dir data"] {
        assert!(
            meshd(folder.path(), line)
                .output()
                .unwrap()
                .status
                .success()
        );
    }
    std::fs::write(folder.path().join("meshd.toml"), settings(folder.path())).unwrap();
    let mut child = meshd(folder.path(), "run --config meshd.toml")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (_, admin) = greeting(&mut child);
    let is_ready = (0..LOOKS_MAX).any(|_| get(admin, "/readyz").starts_with("HTTP/1.1 200"));
    assert!(is_ready, "{}", get(admin, "/readyz"));
    let owns_all =
        (0..LOOKS_MAX).any(|_| get(admin, "/metrics").contains("\nmesh_partitions_owned 1024\n"));
    assert!(owns_all, "it does not own every partition");
    // What it reads may be too old: in the stand-in time passes by what is begun, and much is, to begin with.
    let show = |_| {
        let shown = meshd(folder.path(), "cluster show --config meshd.toml").output();
        String::from_utf8(shown.unwrap().stdout).unwrap()
    };
    let mut shown = (0..SHOWN_MAX).map(show);
    let is_shown =
        shown.any(|shown| shown.contains("  backend+outbound  -     alive  1024        256"));
    assert!(is_shown, "{}", show(0));
    let told = Command::new("kill").arg(child.id().to_string()).status();
    assert!(told.unwrap().success());
    assert!(child.wait().unwrap().success());
}
