//! `soak`: many stories of the cluster in a bottle (cluster §20.7).
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "this is a command line"
)]

use std::num::NonZeroUsize;
use std::process::ExitCode;
use std::thread::available_parallelism;
use std::time::{Duration, Instant};

use clap::{Parser, ValueEnum};
use mesh_bottle::soak::{Sum, tell};
use mesh_bottle::store::Sabotage;

#[global_allocator]
static MEMORY: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Time between two words about how far it is.
const WORD_INTERVAL: Duration = Duration::from_secs(60);

/// Tell the stories of many seeds, and say which of them ended as they must not, and what happened in all.
///
/// Each seed decides everything: when nodes die, stand still or are cut off, which commits land late, which
/// messages are lost. A seed that failed fails again, with the command that is printed.
#[derive(Debug, Parser)]
#[command(name = "soak", version, max_term_width = 100)]
struct Arguments {
    /// How many seeds.
    #[arg(long, default_value_t = 1_000_000)]
    seeds: u64,
    /// The first of them.
    #[arg(long, default_value_t = 0)]
    first: u64,
    /// Threads; as many as there are processors if not given.
    #[arg(long)]
    jobs: Option<NonZeroUsize>,
    /// End after so many that failed.
    #[arg(long, default_value_t = 100)]
    failures: usize,
    /// Do something wrong, to see that it is noticed.
    #[arg(long, value_enum, default_value_t = Wrong::Nothing)]
    sabotage: Wrong,
}

/// What is done wrong on purpose.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Wrong {
    /// Nothing.
    Nothing,
    /// Writes are not fenced.
    Fence,
    /// Intakes are cleared by commits of their own.
    ClearApart,
    /// Senders are told by commits of their own.
    TellApart,
    /// Other services do not know what they have taken in before.
    PeersForget,
    /// Owners do not know what they have received before.
    OwnersForget,
    /// Commits do not depend on what they read of nodes and owners.
    BlindReads,
    /// Nodes do not find what operators have ordered elsewhere.
    OrdersUnread,
}

impl From<Wrong> for Sabotage {
    fn from(wrong: Wrong) -> Self {
        match wrong {
            Wrong::Nothing => Self::None,
            Wrong::Fence => Self::Fence,
            Wrong::ClearApart => Self::ClearApart,
            Wrong::TellApart => Self::TellApart,
            Wrong::PeersForget => Self::PeersForget,
            Wrong::OwnersForget => Self::OwnersForget,
            Wrong::BlindReads => Self::BlindReads,
            Wrong::OrdersUnread => Self::OrdersUnread,
        }
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let jobs = arguments.jobs.or_else(|| available_parallelism().ok());
    let mut sum = Sum::default();
    let mut progress = Progress::begin();
    tell(
        (arguments.first, arguments.seeds),
        jobs.map_or(1, NonZeroUsize::get),
        arguments.sabotage.into(),
        |seed, told| {
            sum.add(seed, &told);
            match &told {
                Ok(report) if arguments.seeds == 1 => println!("{report:#?}"),
                Ok(_) => {}
                Err(failure) => eprint!("{failure}"),
            }
            progress.tell(&sum, arguments.seeds);
            sum.failed.len() < arguments.failures
        },
    );
    print!("{sum}");
    if sum.failed.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// How far it is, for who waits.
struct Progress {
    begun: Instant,
    words: u32,
}

impl Progress {
    #[expect(clippy::disallowed_methods, reason = "how long it takes is said")]
    fn begin() -> Self {
        Self {
            begun: Instant::now(),
            words: 0,
        }
    }

    fn tell(&mut self, sum: &Sum, all: u64) {
        let elapsed = self.begun.elapsed();
        if elapsed < WORD_INTERVAL * (self.words + 1) {
            return;
        }
        self.words += 1;
        let (seeds, failed) = (sum.seeds, sum.failed.len());
        let rate = seeds as f64 / elapsed.as_secs_f64();
        let minutes = elapsed.as_secs() / 60;
        eprintln!("{minutes} min: {seeds} of {all} seeds, {failed} failed; {rate:.0} a second");
    }
}
