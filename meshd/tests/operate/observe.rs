//! What is answered at the address for those who only watch: the measures and the two questions of an
//! orchestrator, and nothing else.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use crate::Office;
use crate::desks::Desks;

/// The status line and the body of an answer to `GET path`, with the office's token shown.
fn get(address: SocketAddr, path: &str, token: &str) -> (String, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (
        head.lines().next().unwrap().to_owned(),
        body.trim_end().to_owned(),
    )
}

#[test]
fn who_only_watches_is_told_whether_it_lives_and_is_ready_and_what_is_measured() {
    let office = Office::open(Desks::empty());
    let (watched, token) = (office.observed_at(), office.token());
    let ok = "HTTP/1.1 200 OK".to_owned();
    assert_eq!(get(watched, "/livez", &token), (ok.clone(), "alive".into()));
    assert_eq!(
        get(watched, "/readyz", &token),
        (ok.clone(), "ready".into())
    );
    assert_eq!(get(watched, "/metrics", &token).0, ok);
}

#[test]
fn who_only_watches_has_no_api_even_with_the_token() {
    let office = Office::open(Desks::empty());
    let token = office.token();
    let path = "/v1/incidents";
    assert_eq!(
        get(office.address(), path, &token).0,
        "HTTP/1.1 200 OK",
        "the same is answered to operators"
    );
    let answer = get(office.observed_at(), path, &token);
    assert_eq!(answer.0, "HTTP/1.1 404 Not Found");
}
