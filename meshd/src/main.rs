//! `meshd`: parse, dispatch, exit code. 0: done. 1: the answer is no. 2: it could not be asked.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "this is the command line"
)]

use std::error::Error;
use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser;
use mesh_backend::SystemClock;
use mesh_common::time::Clock as _;
use meshd::args::{Arguments, Command, ConfigArguments, DnsRecordsArguments, RunArguments};
use meshd::config::{ConfigError, MeshdConfig};
use meshd::operate::moving::Moving;
use meshd::{cluster_files, demo, dns_records, operate, run};

#[global_allocator]
static ALLOCATOR: meshd::Allocator = meshd::Allocator;

fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Run(arguments) => run_service(&arguments),
        Command::CheckConfig(arguments) => check_config(&arguments),
        Command::DnsRecords(arguments) => dns_records(&arguments),
        Command::Ca(arguments) => cluster_files::ca(&arguments.command, say),
        Command::Identity(arguments) => cluster_files::identity(&arguments.command, say),
        Command::Demo(arguments) => return demo::main(&arguments, say),
        Command::Cluster(one) => return operate(&operate::Command::Cluster(one)),
        Command::Queue(queue) => return operate(&operate::Command::Queue(queue)),
        Command::Explain(explain) => return operate(&operate::Command::Explain(explain)),
        Command::Quarantine(one) => return operate(&operate::Command::Quarantine(one)),
        Command::Aside(aside) => return operate(&operate::Command::Aside(aside)),
        Command::Incidents(one) => return operate(&operate::Command::Incidents(one)),
        Command::Domain(one) => return operate(&operate::Command::Domain(one)),
        Command::Peer(peer) => return operate(&operate::Command::Peer(peer)),
        Command::Health(one) => return operate(&operate::Command::Health(one)),
        Command::Verify(one) => return moving(Moving::Verify(one)),
        Command::Export(one) => return moving(Moving::Export(one)),
        Command::Import(one) => return moving(Moving::Import(one)),
        Command::Migrate(one) => return moving(Moving::Migrate(one)),
        Command::RestoreCheck(one) => return moving(Moving::RestoreCheck(one)),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tell(error.as_ref());
            ExitCode::from(2)
        }
    }
}

/// A command about accounts as a whole.
fn moving(command: Moving) -> ExitCode {
    operate(&operate::Command::Moving(command))
}

/// A command of operators: what is printed was made before, for people or for programs.
fn operate(command: &operate::Command) -> ExitCode {
    let printed = command.run(SystemClock.now());
    // A reader that went away (`meshd queue list | head`) has seen enough: that is no failure.
    let _unread = std::io::stdout().write_all(printed.out.as_bytes());
    let _unread = std::io::stderr().write_all(printed.err.as_bytes());
    ExitCode::from(printed.exit_code)
}

fn run_service(arguments: &RunArguments) -> Result<(), Box<dyn Error>> {
    let config = MeshdConfig::load_with(arguments.config.config.as_deref(), |config| {
        if let Some(folder) = &arguments.data_dir {
            config.data_dir.clone_from(folder);
        }
        if !arguments.roles.is_empty() {
            config.cluster.roles.clone_from(&arguments.roles);
        }
    })?;
    meshd::install_provider();
    let _telemetry = config.telemetry.start()?;
    let system = actix_rt::System::new();
    system.block_on(run::run(&config, say))?;
    Ok(())
}

fn check_config(arguments: &ConfigArguments) -> Result<(), Box<dyn Error>> {
    let config = load(arguments)?;
    let source = arguments.config.as_ref().map_or_else(
        || "the defaults".to_owned(),
        |path| path.display().to_string(),
    );
    println!("{source}: every setting is usable");
    println!("  serves    {}", config.frontend.domains.join(", "));
    for address in &config.frontend.listen {
        println!("  HTTPS     {address}");
    }
    for address in &config.frontend.listen_plain {
        println!("  HTTP      {address}");
    }
    println!("  admin     {}", config.admin.listen);
    println!("  data      {}", config.data_dir.display());
    Ok(())
}

fn dns_records(arguments: &DnsRecordsArguments) -> Result<(), Box<dyn Error>> {
    let records = dns_records::print(arguments)?;
    // A reader that went away has seen enough.
    let _unread = std::io::stdout().write_all(records.as_bytes());
    Ok(())
}

fn load(arguments: &ConfigArguments) -> Result<MeshdConfig, ConfigError> {
    MeshdConfig::load(arguments.config.as_deref())
}

/// A line for the person at the terminal. A reader that went away has seen enough: that ends nothing.
fn say(line: &str) {
    let _unread = std::io::stdout().write_all(format!("{line}\n").as_bytes());
}

/// The error, then what caused it; a cause that says the same again is left out. Where standard
/// error cannot be written (its disk may be what is full), the exit code says it alone.
fn tell(error: &(dyn Error + 'static)) {
    let mut said = error.to_string();
    let mut lines = format!("error: {said}\n");
    let mut cause = error.source();
    while let Some(source) = cause {
        let sentence = source.to_string();
        if sentence != said {
            lines.push_str(&format!("caused by: {sentence}\n"));
            said = sentence;
        }
        cause = source.source();
    }
    let _unwritten = std::io::stderr().write_all(lines.as_bytes());
}
