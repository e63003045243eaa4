//! The battery over a store server, and what only a network and a server in trouble do.

use super::*;
use crate::store::battery::battery;

const PATIENCE: Duration = Duration::from_secs(30);

fn server(kept: Duration) -> StoreServer {
    StoreServer::start(SocketAddr::from(([127, 0, 0, 1], 0)), kept).unwrap()
}

fn client(server: &StoreServer, timeout: Duration) -> RemoteStore {
    let address = server.address();
    RemoteStore::open(&RemoteOptions { address, timeout }).unwrap()
}

/// A server that keeps no version beyond the chain, with one client.
fn pair() -> (StoreServer, RemoteStore) {
    let server = server(Duration::ZERO);
    let client = client(&server, PATIENCE);
    (server, client)
}

mod standard {
    use super::*;
    battery!(pair());
}

/// Pages that end early, watches that resolve without cause, commits that take a moment.
mod disturbed {
    use super::*;
    battery!({
        let (server, client) = pair();
        server.order("seed=5 short=500".parse().unwrap());
        (server, client)
    });
}
