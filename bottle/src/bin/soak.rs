//! `soak`: many stories of the cluster in a bottle, one after the other (cluster §20.7).
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "this is a command line"
)]

use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use mesh_bottle::store::Sabotage;
use mesh_bottle::story;

/// Tell the stories of many seeds, and say which of them ended as they must not.
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
        }
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let (mut failed, mut acknowledged, mut takeovers, mut fenced) = (0_u64, 0, 0, 0);
    for seed in arguments.first..arguments.first.saturating_add(arguments.seeds) {
        match story::run(seed, arguments.sabotage.into()) {
            Ok(report) => {
                acknowledged += report.acknowledged;
                takeovers += report.takeovers;
                fenced += report.fenced;
                if arguments.seeds == 1 {
                    println!("{report:#?}");
                }
            }
            Err(failure) => {
                failed += 1;
                eprint!("{failure}");
            }
        }
    }
    println!(
        "{} seeds, {failed} failed; {acknowledged} entries acknowledged, {takeovers} partitions taken over, {fenced} batches fenced off",
        arguments.seeds
    );
    if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
