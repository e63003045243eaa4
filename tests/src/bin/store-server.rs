//! `store-server`: the store of a cluster for tests, and for trying a cluster on one machine (decision Q-67).
#![allow(clippy::print_stdout, reason = "this is a command line")]

use std::error::Error;
use std::net::SocketAddr;

use clap::Parser;

/// Serve a store in memory to the processes of a cluster on this machine.
///
/// Processes use it with `store.engine = "test"` and `store.test.address`, in builds with debug assertions and the
/// feature `test-store`. Everything is forgotten when it ends, which it does when its standard input
/// closes.
///
/// It has troubles on request: `curl --data 'slow=200 lost=20' http://ADDRESS/orders`. Milliseconds: slow, late
/// (commits are done, and answered later). Alone: silent, read-only, full. In thousandths, decided by seed=N:
/// conflict, too-old, applied and lost (unknown results), stray (with stray-commits=N), short, watch-lost,
/// watch-spurious. An empty order ends them.
#[derive(Debug, Parser)]
#[command(name = "store-server", version, max_term_width = 100)]
struct Arguments {
    /// Where it listens, on loopback.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Seconds for which a version stays readable.
    #[arg(long, default_value_t = 5)]
    kept: u64,
    /// Troubles to begin with.
    #[arg(long, default_value = "")]
    orders: String,
}

#[cfg(debug_assertions)]
fn main() -> Result<(), Box<dyn Error>> {
    use std::io::Read as _;
    use std::time::Duration;

    use mesh_backend::store::remote::StoreServer;

    let arguments = Arguments::parse();
    let server = StoreServer::start(arguments.listen, Duration::from_secs(arguments.kept))?;
    server.order(arguments.orders.parse()?);
    println!("the store serves at {}", server.address());
    std::io::stdin().lock().read_to_end(&mut Vec::new())?;
    Ok(())
}

#[cfg(not(debug_assertions))]
fn main() -> Result<(), Box<dyn Error>> {
    drop(Arguments::parse());
    Err("the store server is for tests: build it with debug assertions".into())
}
