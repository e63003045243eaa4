//! The program `store-server`, as somebody who tries a cluster on one machine uses it.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Stdio};
use std::time::Duration;

use mesh_backend::store::remote::{RemoteOptions, RemoteStore};
use mesh_backend::store::{CommitError, Read, Store as _, Tx as _, TxOptions};
use mesh_tests::golden;

fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_store-server"));
    command.env("COLUMNS", "100");
    command
}

/// Posts `orders`: the status line of the answer, and its body.
fn ordered(address: SocketAddr, orders: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("it listens");
    write!(
        stream,
        "POST /orders HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{orders}",
        orders.len()
    )
    .expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers");
    answer
}

#[test]
fn the_help_text_is_the_manual() {
    let output = program().arg("--help").stdin(Stdio::null()).output();
    let output = output.expect("it can be run");
    assert!(output.status.success());
    golden::check(
        "store-server-help",
        &String::from_utf8_lossy(&output.stdout),
    );
}

#[tokio::test]
async fn processes_share_what_it_serves_and_it_has_troubles_on_request() {
    let mut child = program()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it can be run");
    let mut line = String::new();
    let output = child.stdout.take().expect("it is piped");
    BufReader::new(output)
        .read_line(&mut line)
        .expect("it says where it is");
    let address = line
        .trim()
        .rsplit(' ')
        .next()
        .expect("a line has a last word");
    let address: SocketAddr = address.parse().expect("it is an address");

    let timeout = Duration::from_secs(30);
    let [one, other] = [(); 2].map(|()| {
        RemoteStore::open(&RemoteOptions { address, timeout }).expect("there are threads")
    });
    let set = async || {
        let mut tx = one.begin(TxOptions::default());
        tx.set(b"a", "1");
        tx.commit().await
    };
    set().await.expect("nothing is wrong");
    assert!(ordered(address, "full").starts_with("HTTP/1.1 200"));
    assert!(matches!(set().await, Err(CommitError::Full)));
    let tx = other.begin(TxOptions::default());
    let found = tx.get(b"a", Read::Snapshot).await.expect("it is read");
    assert_eq!(found.as_deref(), Some(&b"1"[..]));
    assert!(ordered(address, "").starts_with("HTTP/1.1 200"));
    set().await.expect("nothing is wrong any more");
    let refused = ordered(address, "loud");
    assert!(refused.starts_with("HTTP/1.1 400"), "{refused}");
    assert!(refused.ends_with("there is no order \"loud\""), "{refused}");

    drop(child.stdin.take());
    assert!(child.wait().expect("it ends").success());
}
