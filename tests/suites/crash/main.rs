//! `kill -9` at random moments while several devices of several accounts upload, the start after it,
//! and what must then hold (issue "What must hold"; cluster §7.3, architecture A-22):
//!
//! | test | holds |
//! | --- | --- |
//! | `nothing_acknowledged_is_lost…` | every acknowledged frame is there, none twice, digests verify, a repeated request has one effect |
//!
//! `MESH_KILLS` sets how often the service is killed (20 unless set; 200 is the long form), and
//! `MESH_SEED` when.

mod writer;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use mesh_common::entropy::{SeededEntropy, draw};
use mesh_tests::device::{Account, Device, Reach};
use mesh_tests::ledger;
use mesh_tests::process::{Place, Process};
use tokio::sync::watch;

use self::writer::{CATALOG, Moments, Writer};

const ACCOUNTS: u64 = 3;
const DEVICES_PER_ACCOUNT: u64 = 2;
/// Kills in one place: with more of them, reading everything back takes most of the time.
const KILLS_PER_STORE: u64 = 10;
/// Moments (a request sent, an answer received) that pass at most before the next kill.
const MOMENTS_MAX: u64 = 60;

const SETTINGS: &str = "limits.rate.enabled = false\nfrontend.workers = 2\n";

fn number_of(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable).map_or(otherwise, |text| {
        text.parse()
            .unwrap_or_else(|_| panic!("{variable} is not a number: {text}"))
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_and_nothing_is_there_twice_after_kill_9() {
    let kills = number_of("MESH_KILLS", 20);
    let mut chance = SeededEntropy::new(number_of("MESH_SEED", 1));
    let mut totals = Totals::default();
    let mut left = kills;
    while left > 0 {
        let of_this_store = left.min(KILLS_PER_STORE);
        let frames = kill_over_and_over(of_this_store, &mut chance, &mut totals).await;
        assert!(frames > of_this_store, "hardly anything was uploaded");
        totals.frames += frames;
        left -= of_this_store;
    }
    assert!(totals.repeated > 0, "no kill ever met a request in work");
    println!(
        "{kills} kills: {} frames, {} requests repeated after a kill",
        totals.frames, totals.repeated
    );
}

/// So many kills of services in one place; the frames there in the end.
async fn kill_over_and_over(kills: u64, chance: &mut SeededEntropy, totals: &mut Totals) -> u64 {
    let place = Place::new(SETTINGS);
    let mut process = place.start();
    let (mut writers, mut readers) = settle(&process).await;
    let mut count = 0;
    for kill in 0..kills {
        let moments = 1 + u64::from_be_bytes(draw(chance)) % MOMENTS_MAX;
        writers = run_until_killed(process, writers, moments).await;
        process = place.start();
        let reach = Reach::of(&process);
        for device in writers
            .iter_mut()
            .map(Writer::device)
            .chain(readers.values_mut())
        {
            device.reach = reach.clone();
        }
        for writer in &mut writers {
            totals.repeated += u64::from(writer.settle_what_was_not_answered().await);
        }
        count = 0;
        for (address, reader) in &mut readers {
            let frames = reader.frames(CATALOG).await;
            let ledgers = writers
                .iter()
                .filter(|writer| writer.address() == address)
                .map(Writer::ledger);
            ledger::check(&frames, ledgers)
                .unwrap_or_else(|problem| panic!("after kill {kill}: {address}: {problem}"));
            count += frames.len() as u64;
        }
    }
    assert_eq!(process.measured("mesh_panics_contained_total", ""), 0.0);
    count
}

#[derive(Default)]
struct Totals {
    frames: u64,
    repeated: u64,
}

/// Makes the accounts: writers with their devices, and one reading device for each account.
async fn settle(process: &Process) -> (Vec<Writer>, BTreeMap<String, Device>) {
    let reach = Reach::of(process);
    let (mut writers, mut readers) = (Vec::new(), BTreeMap::new());
    for number in 0..ACCOUNTS {
        let address = format!("person{number}@localhost");
        let seed = 100 * (number + 1);
        let (account, mut first) = Account::create(&reach, &address, seed).await;
        writer::begin_catalog(&mut first).await;
        for device in 1..=DEVICES_PER_ACCOUNT {
            let connected = account.connect(&mut first, seed + device).await;
            writers.push(Writer::new(connected, seed + device));
        }
        readers.insert(address, first);
    }
    (writers, readers)
}

/// Lets all writers upload until so many moments have passed, kills the service in the midst of it,
/// and gives the writers back once each has noticed.
async fn run_until_killed(process: Process, writers: Vec<Writer>, moments: u64) -> Vec<Writer> {
    let (sender, mut passed) = watch::channel(0_u64);
    let clock = Moments::new(sender);
    let stop = Arc::new(AtomicBool::new(false));
    let running: Vec<_> = writers
        .into_iter()
        .map(|writer| tokio::spawn(writer.upload_until_gone(clock.clone(), Arc::clone(&stop))))
        .collect();
    passed
        .wait_for(|&passed| passed >= moments)
        .await
        .expect("writers stop only when the service is gone");
    tokio::task::spawn_blocking(move || process.kill())
        .await
        .expect("killing does not panic");
    stop.store(true, Ordering::SeqCst);
    let mut back = Vec::new();
    for writer in running {
        back.push(writer.await.expect("a writer does not panic"));
    }
    back
}
