//! `mesh`, the command of a person's device: parse, do, print, exit.
//!
//! ```text
//!  args ─▶ commands ─▶ mesh_client::Client ─▶ output
//!           input, fields                      failure
//! ```

mod args;
mod commands;
mod failure;
mod fields;
mod input;
mod output;

use std::process::ExitCode;

use clap::Parser;
use tracing_subscriber::EnvFilter;

use crate::args::Cli;
use crate::failure::Failure;

fn main() -> ExitCode {
    let cli = Cli::parse();
    log(cli.global.verbose);
    let (name, as_json) = (cli.command.name(), cli.global.json);
    let outcome = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::usage(format!("the program cannot start: {error}")))
        .and_then(|runtime| runtime.block_on(commands::run(cli)));
    ExitCode::from(output::print(&name, as_json, &outcome))
}

/// Logs go to standard error: warnings, with `-v` what happens, with `-vv` the libraries too.
fn log(verbose: u8) {
    let filter = match verbose {
        0 => "error",
        1 => "warn,mesh_client=debug,mesh_common=debug",
        _ => "debug",
    };
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(filter))
        .with_writer(std::io::stderr)
        .without_time()
        .init();
}
