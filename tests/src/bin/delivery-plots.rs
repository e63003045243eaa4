//! `delivery-plots`: what the window of a destination does over time, for each row of the table in
//! `docs/0006`, as SVG files and as that table.
#![allow(clippy::print_stdout, reason = "this is a command line")]

use std::error::Error;
use std::fs;
use std::path::PathBuf;

use clap::Parser;
use mesh_common::delivery::testing::SCENARIOS;
use mesh_tests::plots;

/// Simulate a saturating sender towards seven kinds of destination, and draw what its window does.
///
/// Writes one drawing per destination: limit and transfers in flight, successes, and time-outs, over 180
/// simulated seconds. The same seed gives the same drawing. Prints the table of what came of it.
#[derive(Debug, Parser)]
#[command(name = "delivery-plots", version, max_term_width = 100)]
struct Arguments {
    /// Folder for the drawings; made if it is not there.
    folder: PathBuf,
    /// The seed of the run that is drawn. The table is the mean of this one and the next two.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    fs::create_dir_all(&arguments.folder)?;
    println!(
        "| destination | delivered per second | time-outs | median | first success after 120 s |"
    );
    println!("| --- | --- | --- | --- | --- |");
    for scenario in SCENARIOS {
        let seeds = arguments.seed..arguments.seed + 3;
        let outcomes: Vec<_> = seeds.map(|seed| scenario.run(seed)).collect();
        let path = arguments.folder.join(format!("{}.svg", scenario.slug));
        fs::write(&path, plots::drawn(scenario.title, &outcomes[0]))?;
        let mean = |figure: &dyn Fn(&_) -> f64| outcomes.iter().map(figure).sum::<f64>() / 3.0;
        println!(
            "| {} | {:.1} | {:.0} | {:.2} s | {:.1} s |",
            scenario.title,
            mean(&|outcome| outcome.per_second()),
            mean(&|outcome| outcome.timeouts()),
            mean(&|outcome| outcome.median_s()),
            mean(&|outcome| outcome.first_success_after(120).unwrap_or(f64::NAN)),
        );
    }
    Ok(())
}
