//! The program `peer-simulator`, as somebody who tests another implementation uses it.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Command, Stdio};

use mesh_common::protocol::Response;
use mesh_common::session::ClientSession;
use mesh_common::session::client::ServiceIdentity;
use mesh_tests::client::{Answer, Form};
use mesh_tests::golden;
use mesh_tests::wire::{HttpRequest, Tls};

fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_peer-simulator"));
    command.env("COLUMNS", "100").stdin(Stdio::null());
    command
}

#[test]
fn the_help_text_is_the_manual() {
    let output = program().arg("--help").output().expect("it can be run");
    assert!(output.status.success());
    golden::check(
        "peer-simulator-help",
        &String::from_utf8_lossy(&output.stdout),
    );
}

#[test]
fn a_kind_that_does_not_exist_is_refused() {
    let output = program().arg("friendly=1").output().expect("it can be run");
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("no kind \"friendly\""), "{said}");
}

#[test]
fn peers_answer_where_the_files_say_and_what_they_saw_is_printed() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let mut child = program()
        .args(["healthy=2", "refused", "--folder"])
        .arg(folder.path())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it can be run");
    let mut stdout = BufReader::new(child.stdout.take().expect("it is piped"));
    let mut greeting = String::new();
    stdout.read_line(&mut greeting).expect("it says something");
    assert!(greeting.starts_with("3 peers answer"), "{greeting}");

    let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).expect("it is there");
    let map = read("peers.toml");
    assert!(map.starts_with("[discovery.domains]\n"), "{map}");
    let place = map
        .lines()
        .find_map(|line| line.strip_prefix("\"healthy-2.test\" = "))
        .expect("it is in the map");
    let address = place.trim_matches('"').parse().expect("it is an address");
    let mut connection = Tls::trusting(&read("ca.pem")).connect(address, "healthy-2.test");
    let hello = HttpRequest::post(ClientSession::bare_hello()).header("Host", "healthy-2.test");
    let answer = Answer::bare(Form::Bare, hello.body.clone(), connection.send(&hello));
    let Response::Hello(hello) = &answer.response else {
        panic!("not a Hello: {}", answer.told());
    };
    ServiceIdentity::from_hello(hello).expect("the peer proves who it is");

    terminate(child.id());
    let mut printed = String::new();
    stdout.read_to_string(&mut printed).expect("it is text");
    assert!(child.wait().expect("it ends").success());
    let row = |name: &str| {
        let line = printed.lines().find(|line| line.starts_with(name));
        let line = line.unwrap_or_else(|| panic!("no row of {name}: {printed}"));
        line.split_whitespace()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert_eq!(
        row("healthy-2.test")[1..3],
        ["1", "1"],
        "connections, hellos"
    );
    assert_eq!(row("refused-1.test")[1..3], ["0", "0"]);
    assert!(Path::new(folder.path()).join("ca.pem").is_file());
}

fn terminate(id: u32) {
    let told = Command::new("kill").arg(id.to_string()).status();
    assert!(told.expect("`kill` can be run").success());
}
