//! Bounds of a node, made so small that they are met.

use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;

use super::*;
use crate::NodeLink as _;
use crate::client::Lost;
use crate::link::LinkFailure;
use crate::server::Allowance;

fn within(allowance: Allowance) -> (Arc<SimpleNode>, LinkServer) {
    let node = SimpleNode::new();
    let link = LinkService {
        service: Arc::clone(&node) as Arc<dyn NodeService>,
        security: LinkSecurity::PlainOnLoopback,
        clock: Standing::at(NOW),
        traces: None,
    };
    let listen = "127.0.0.1:0".parse().unwrap();
    let entropy = &mut SeededEntropy::new(1);
    let server = LinkServer::start_within(allowance, listen, 2, link, entropy).unwrap();
    (node, server)
}

/// Links of one process; of another one for each seed.
fn process(seed: u64) -> LinkConnector {
    connector(LinkSecurity::PlainOnLoopback, Standing::at(NOW), seed)
}

#[tokio::test]
async fn a_connection_on_which_nothing_comes_is_closed_and_a_stream_of_events_is_not() {
    let (node, server) = within(Allowance {
        silence: Duration::from_secs(1),
        ..Allowance::default()
    });
    let address = server.address();
    let listening = process(2).listening_link(&address.to_string());
    let mut told = listening.heard();
    heard(&mut told, |heard| heard.is_open).await;
    // Opened later, and over sooner: only the node may end it.
    let mut silent = TcpStream::connect(address).await.unwrap();
    let mut nothing = [0; 1];
    let ended = tokio::time::timeout(PATIENCE, silent.read(&mut nothing)).await;
    assert!(matches!(ended.unwrap(), Ok(0) | Err(_)));
    // Nothing was sent on the stream's connection either, since it was opened.
    node.told.send_modify(|told| told.revision = 2);
    let now = heard(&mut told, |heard| heard.told.revision == 2).await;
    assert_eq!(now.opened, 1, "it is the same stream");
    server.stop().await;
}

/// What becomes of one stream more.
async fn refused_stream(links: &LinkConnector, server: &LinkServer) {
    let link = links.silent_link(&server.address().to_string());
    let core = Arc::clone(&link.core);
    let lost = tokio::time::timeout(PATIENCE, core.hear()).await.unwrap();
    let Err(Lost::Link(LinkFailure::Refused(why))) = lost else {
        panic!("it is heard");
    };
    assert!(why.contains("429"), "{why}");
    assert!(link.perform(&request()).await.is_ok(), "calls are answered");
}

/// A link that is heard.
async fn listener(links: &LinkConnector, server: &LinkServer) -> LinkClient {
    let link = links.listening_link(&server.address().to_string());
    heard(&mut link.heard(), |heard| heard.is_open).await;
    link
}

#[tokio::test]
async fn so_many_streams_are_sent_at_once() {
    let (_node, server) = within(Allowance {
        streams: 2,
        ..Allowance::default()
    });
    let processes: Vec<_> = (2..5).map(process).collect();
    let first = listener(&processes[0], &server).await;
    let _second = listener(&processes[1], &server).await;
    refused_stream(&processes[2], &server).await;
    drop(first);
    // As soon as the node knows: whoever was refused asks again.
    let _third = listener(&processes[2], &server).await;
    server.stop().await;
}

#[tokio::test]
async fn one_process_cannot_take_all_streams() {
    let (_node, server) = within(Allowance {
        streams_per_process: 2,
        ..Allowance::default()
    });
    let (greedy, modest) = (process(2), process(3));
    let first = listener(&greedy, &server).await;
    let _second = listener(&greedy, &server).await;
    refused_stream(&greedy, &server).await;
    let _other = listener(&modest, &server).await;
    drop(first);
    let _third = listener(&greedy, &server).await;
    server.stop().await;
}
