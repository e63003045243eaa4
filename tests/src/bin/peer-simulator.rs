//! `peer-simulator`: services that yours delivers to, good and bad ones, on loopback. Its help text is
//! the manual; [`mesh_tests::peer`] is the same as a library.
#![allow(clippy::print_stdout, reason = "this is a command line")]

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;
use std::time::Duration;

use clap::Parser;
use mesh_tests::peer::kind::KINDS;
use mesh_tests::peer::simulator::several;
use mesh_tests::peer::{Kind, Listeners, Peer, Settings, Simulator};
use tokio::signal::unix::{SignalKind, signal};

/// Simulate the services that a Mathematical Mesh service delivers messages to (protocol draft 9.1.2).
///
/// Each peer has a domain (`healthy-1.test`), a ProfileService and a certificate of its own. It answers
/// Hello, Service-mode exchanges and Posts at /.well-known/mmm, by HTTPS on loopback, until the program
/// is interrupted; then it prints what each peer saw. Your service finds the peers by the file
/// `peers.toml` (domain and address of each) and trusts `ca.pem`, both written to the folder.
#[derive(Debug, Parser)]
#[command(name = "peer-simulator", version, max_term_width = 100, after_help = kinds())]
struct Arguments {
    /// How many peers of which kind, for example `healthy=100 black-hole=900`.
    #[arg(required = true, value_name = "KIND=COUNT")]
    peers: Vec<Several>,
    /// Folder for `ca.pem` and `peers.toml`; made if it is not there.
    #[arg(long, value_name = "DIR", default_value = ".")]
    folder: PathBuf,
    /// Give each peer an address of its own, in place of one address for all that refuse nobody.
    #[arg(long)]
    each: bool,
    /// Verify the three signatures of each message before it is kept; what does not verify: 422/115.
    #[arg(long)]
    check: bool,
    /// Threads that answer.
    #[arg(long, value_name = "COUNT", default_value_t = 1)]
    threads: usize,
    /// Print sums as often as this.
    #[arg(long, value_name = "SECONDS", default_value_t = 5)]
    every: u64,
}

/// So many of a kind.
#[derive(Debug, Clone, Copy)]
struct Several {
    kind: Kind,
    count: usize,
}

impl FromStr for Several {
    type Err = Box<dyn Error + Send + Sync>;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (kind, count) = text.split_once('=').unwrap_or((text, "1"));
        Ok(Self {
            kind: kind.parse()?,
            count: count.parse()?,
        })
    }
}

fn kinds() -> String {
    let rows: Vec<_> = KINDS
        .iter()
        .map(|(_, name, sentence)| format!("  {name:<12} {sentence}"))
        .collect();
    format!("Kinds:\n{}", rows.join("\n"))
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("peer-simulator: {error}");
            ExitCode::from(2)
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let peers = arguments
        .peers
        .iter()
        .flat_map(|several_of| several(several_of.kind, several_of.count))
        .collect();
    let settings = Settings {
        listeners: if arguments.each {
            Listeners::Each
        } else {
            Listeners::One
        },
        threads: arguments.threads,
        checks: arguments.check,
    };
    let simulator = Simulator::start(peers, settings)?;
    simulator.prepare(arguments.threads);
    std::fs::create_dir_all(&arguments.folder)?;
    std::fs::write(arguments.folder.join("ca.pem"), simulator.authority().pem())?;
    let map = format!("[discovery.domains]\n{}", simulator.map_as_toml());
    std::fs::write(arguments.folder.join("peers.toml"), map)?;
    println!(
        "{} peers answer; ca.pem and peers.toml are in {}",
        simulator.peers().len(),
        arguments.folder.display()
    );
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(until_interrupted(&simulator, arguments.every))?;
    print_what_was_seen(simulator.peers());
    Ok(())
}

/// Prints sums now and then, until SIGINT or SIGTERM.
async fn until_interrupted(simulator: &Simulator, every: u64) -> std::io::Result<()> {
    let mut interrupted = signal(SignalKind::interrupt())?;
    let mut terminated = signal(SignalKind::terminate())?;
    let mut ticks = tokio::time::interval(Duration::from_secs(every.max(1)));
    ticks.tick().await;
    loop {
        tokio::select! {
            _ = interrupted.recv() => return Ok(()),
            _ = terminated.recv() => return Ok(()),
            _ = ticks.tick() => print_sums(simulator),
        }
    }
}

fn print_sums(simulator: &Simulator) {
    let totals = simulator.totals();
    println!(
        "{} posts, {} messages kept, {} connections open (at most {})",
        totals.posts(),
        totals.kept(),
        totals.connections_open(),
        totals.connections_peak()
    );
}

fn print_what_was_seen(peers: &[std::sync::Arc<Peer>]) {
    println!(
        "{:<24} {:>11} {:>6} {:>9} {:>7} {:>7} {:>7} {:>9}",
        "peer", "connections", "hellos", "exchanges", "posts", "at once", "kept", "repeated"
    );
    for peer in peers {
        let seen = peer.seen();
        let copies: u64 = seen
            .messages
            .values()
            .map(|arrival| u64::from(arrival.copies) - 1)
            .sum();
        println!(
            "{:<24} {:>11} {:>6} {:>9} {:>7} {:>7} {:>7} {:>9}",
            peer.domain(),
            seen.connections,
            seen.hellos,
            seen.exchanges,
            seen.posts,
            seen.in_flight_peak,
            seen.messages.len(),
            copies
        );
    }
}
