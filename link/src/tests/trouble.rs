//! Ends that break, stand still, or send what nobody sends.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};

use mesh_common::cluster::wire::StreamId;
use mesh_common::cluster::wire::event::{Event, Greeting, News};
use mesh_common::limits::{LINK_CALL_BYTES_MAX, LINK_HEADERS_BYTES_MAX};

use super::*;
use crate::{LinkFailure, NodeLink};

/// Somebody who listens, takes a request, answers `octets`, and closes.
fn impostor(octets: &'static [u8]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = [0; 4_096];
            let read = stream.read(&mut request).unwrap();
            assert!(read > 0, "a request comes");
            drop(stream.write_all(octets));
        }
    });
    address
}

fn link_to(address: SocketAddr) -> LinkClient {
    let connector = connector(LinkSecurity::PlainOnLoopback, Standing::at(NOW), 10);
    connector.silent_link(&address.to_string())
}

async fn ended(octets: &'static [u8]) -> LinkFailure {
    link_to(impostor(octets))
        .perform(&request())
        .await
        .unwrap_err()
}

#[tokio::test]
async fn nobody_there_means_not_sent() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let ended = link_to(address).perform(&request()).await;
    assert!(matches!(ended, Err(LinkFailure::NotSent(_))), "{ended:?}");
}

#[tokio::test]
async fn a_connection_that_breaks_under_a_call_means_lost() {
    for octets in [
        &b""[..],
        b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nnone",
        b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n",
        b"HTTP/1.1 500 Broken\r\ncontent-length: 0\r\n\r\n",
        b"no HTTP at all\r\n\r\n",
    ] {
        let failure = ended(octets).await;
        assert!(matches!(failure, LinkFailure::Lost(_)), "{failure:?}");
    }
}

/// Somebody who answers the first request with `octets`, and then stands still.
fn petrified(octets: Vec<u8>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = [0; 4_096];
        assert!(stream.read(&mut request).unwrap() > 0, "a request comes");
        stream.write_all(&octets).unwrap();
        // Until the other end has had enough; further connections are never accepted.
        while stream.read(&mut request).is_ok_and(|read| read > 0) {}
    });
    address
}

#[tokio::test]
async fn a_node_that_stands_still_is_heard_no_more() {
    let greeting = Event::greeting(StreamId([1; 16])).to_line();
    let told = Event::Told(Box::new(News::between(&Told::default(), &Told::default())));
    let lines = [greeting, told.to_line()].concat();
    let head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    let chunk = format!("{:x}\r\n", lines.len());
    let address = petrified([head.as_slice(), chunk.as_bytes(), &lines, b"\r\n"].concat());
    let connector = connector(LinkSecurity::PlainOnLoopback, Standing::at(NOW), 12);
    let link = connector.listening_link(&address.to_string());
    let mut told = link.heard();
    heard(&mut told, |heard| heard.is_open).await;
    heard(&mut told, |heard| !heard.is_open).await;
    assert!(link.watch(&alice()).await.is_none());
}

#[tokio::test]
async fn a_node_that_speaks_no_version_of_ours_is_not_heard() {
    let greeting = Event::Greeting(Greeting {
        versions: (2, 3),
        stream: StreamId([1; 16]),
    })
    .to_line();
    let ours = Event::greeting(StreamId([1; 16])).to_line();
    let twice = ours.repeat(2);
    for lines in [
        greeting.as_slice(),
        &ours,
        &twice,
        b"{\"Alive\":{}}\n",
        b"nonsense\n",
    ] {
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", lines.len());
        let address = petrified([head.as_bytes(), lines].concat());
        let connector = connector(LinkSecurity::PlainOnLoopback, Standing::at(NOW), 13);
        let core = connector.silent_link(&address.to_string()).core.clone();
        let lost = tokio::time::timeout(PATIENCE, core.hear()).await;
        assert!(lost.unwrap().is_err());
        assert_eq!(core.heard.borrow().opened, 0);
    }
}

#[tokio::test]
async fn a_node_that_does_not_take_calls_refuses() {
    let octets = b"HTTP/1.1 404 Not Found\r\ncontent-length: 13\r\n\r\nother version";
    assert_eq!(
        ended(octets).await,
        LinkFailure::Unknown("HTTP 404 Not Found: other version".into())
    );
}

#[tokio::test]
async fn a_connection_that_the_node_closed_meanwhile_is_not_used() {
    let (node, server, link) = plain();
    let address = server.address();
    assert!(link.perform(&request()).await.is_ok());
    server.stop().await;
    let service = LinkService {
        service: Arc::clone(&node) as Arc<dyn NodeService>,
        security: LinkSecurity::PlainOnLoopback,
        clock: Standing::at(NOW),
        traces: None,
    };
    let server = LinkServer::start(address, 1, service, &mut SeededEntropy::new(11)).unwrap();
    assert!(link.perform(&request()).await.is_ok());
    server.stop().await;
}

#[tokio::test]
async fn what_was_begun_is_finished_when_a_node_stops() {
    let (node, server, link) = plain();
    let permits = Arc::new(Semaphore::new(0));
    node.behave(Manner::Slowly(Arc::clone(&permits)));
    let call = tokio::spawn(async move { link.perform(&request()).await });
    until(|| node.asked() > 0).await;
    let stopped = tokio::spawn(server.stop());
    permits.add_permits(1);
    assert!(call.await.unwrap().is_ok());
    assert!(tokio::time::timeout(PATIENCE, stopped).await.is_ok());
}

/// Sends octets, and returns what comes back until the node closes or has answered.
fn raw(address: SocketAddr, octets: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(octets).unwrap();
    let mut answer = Vec::new();
    let mut piece = [0; 1_024];
    while !answer.windows(4).any(|four| four == b"\r\n\r\n") {
        match stream.read(&mut piece).unwrap() {
            0 => break,
            read => answer.extend_from_slice(&piece[..read]),
        }
    }
    String::from_utf8_lossy(&answer)
        .lines()
        .next()
        .unwrap_or_default()
        .to_owned()
}

fn head(line: &str, more: &str) -> Vec<u8> {
    let process = "00000000000000000000000000000001";
    let deadline = (NOW + PATIENCE).as_millis();
    format!(
        "{line} HTTP/1.1\r\nhost: x\r\nmesh-process: {process}\r\nmesh-deadline: {deadline}\r\n{more}\r\n"
    )
    .into_bytes()
}

#[tokio::test]
async fn what_nobody_sends_is_refused_before_it_is_read() {
    let (node, server, _link) = plain();
    let address = server.address();
    let perform = "POST /mesh-link/1/perform";
    let too_long = format!("content-length: {}\r\n", LINK_CALL_BYTES_MAX + 1);
    let many = "x-more: 1\r\n".repeat(40);
    let long = format!("x-long: {}\r\n", "1".repeat(LINK_HEADERS_BYTES_MAX));
    let garbage = [head(perform, "content-length: 3\r\n"), b"abc".to_vec()].concat();
    let without = b"POST /mesh-link/1/perform HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n";
    for (octets, expected) in [
        (
            head("POST /mesh-link/2/perform", "content-length: 0\r\n"),
            "404",
        ),
        (head("GET /mesh-link/1/perform", ""), "404"),
        (head("GET /", ""), "404"),
        (head(perform, "transfer-encoding: chunked\r\n"), "411"),
        (head(perform, &too_long), "413"),
        (head(perform, &many), "431"),
        (head(perform, &long), "431"),
        (garbage, "400"),
        (without.to_vec(), "400"),
        (b"\x16\x03\x01 no HTTP\r\n\r\n".to_vec(), "400"),
    ] {
        let line = raw(address, &octets);
        assert!(
            line.starts_with(&format!("HTTP/1.1 {expected}")),
            "{expected}: {line}"
        );
    }
    assert_eq!(node.asked(), 0);
    server.stop().await;
}

#[tokio::test]
async fn a_peer_that_sends_half_a_call_is_answered_when_its_time_is_over() {
    let (node, server, link) = plain();
    let process = "00000000000000000000000000000001";
    let deadline = (NOW + Duration::from_millis(200)).as_millis();
    let half = format!(
        "POST /mesh-link/1/perform HTTP/1.1\r\nhost: x\r\nmesh-process: {process}\r\n\
         mesh-deadline: {deadline}\r\ncontent-length: 100\r\n\r\nhalf"
    );
    assert!(raw(server.address(), half.as_bytes()).starts_with("HTTP/1.1 408"));
    assert_eq!(node.asked(), 0);
    assert!(link.perform(&request()).await.is_ok(), "others are served");
    server.stop().await;
}

#[tokio::test]
async fn one_connection_is_of_one_process() {
    let (_node, server, _link) = plain();
    let mut stream = TcpStream::connect(server.address()).unwrap();
    let nudge = mesh_common::cluster::wire::write(&Nudge::default());
    let call = |process: u8| {
        let deadline = (NOW + PATIENCE).as_millis();
        let head = format!(
            "POST /mesh-link/1/nudge HTTP/1.1\r\nhost: x\r\nmesh-process: {process:032x}\r\n\
             mesh-deadline: {deadline}\r\ncontent-length: {}\r\n\r\n",
            nudge.len()
        );
        [head.as_bytes(), nudge.as_slice()].concat()
    };
    let mut answer = [0; 1_024];
    for (process, expected) in [
        (1, "HTTP/1.1 200"),
        (1, "HTTP/1.1 200"),
        (2, "HTTP/1.1 400"),
    ] {
        stream.write_all(&call(process)).unwrap();
        let read = stream.read(&mut answer).unwrap();
        let text = String::from_utf8_lossy(&answer[..read]).into_owned();
        assert!(text.starts_with(expected), "{text}");
    }
    drop(stream);
    server.stop().await;
}
