//! A start on a store that holds many accounts (issue "What must hold"): it serves soon, and while
//! none of the accounts is active it keeps none of them in memory.
//!
//! `MESH_ACCOUNTS` sets how many accounts there are (1,000 unless set; 10,000 is the long form). Times
//! are printed, not asserted: they belong to the machine. Memory is asserted.

mod accounts;

use std::time::Instant;

use mesh_tests::device::{Account, Answered as _, Device, Reach, first_frame};
use mesh_tests::process::{Place, Process};

/// Kibibytes of memory that the service has at rest besides its code, at most: 96 MiB are asked for, code included,
/// which no test build keeps small. Here it takes about 50, with the tables that the engine fills from its journal.
const RESIDENT_KIB_MAX: u64 = 72 * 1_024;
const CATALOG: &str = "mmm_Bookmark";
const SETTINGS: &str = "limits.rate.enabled = false\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_of_many_accounts_starts_soon_and_is_small_while_none_is_active() {
    let count = std::env::var("MESH_ACCOUNTS").map_or(1_000, |text| {
        text.parse().expect("MESH_ACCOUNTS is a number")
    });
    let place = Place::new(SETTINGS);
    let mut device = one_real_account(&place).await;
    accounts::fill(&place.data().join("store"), count);

    let begun = now();
    let process = place.start();
    let serving = begun.elapsed();
    let reach = Reach::of(&process);
    assert!(reach.hello().await.expect("it serves").outcome.is_success());
    let answered = begun.elapsed();
    assert_eq!(process.admin("/readyz"), (200, "ready\n".to_owned()));
    let at_rest = rest(&process);
    assert!(at_rest <= RESIDENT_KIB_MAX, "{at_rest} KiB at rest");

    device.reach = reach;
    let frames = device.frames(CATALOG).await;
    assert_eq!(frames.len(), 2, "the account that was there is there");
    assert_eq!(process.measured("mesh_accounts_loaded", ""), 1.0);
    assert_eq!(accounts::found(place.data(), process), count + 1);
    println!(
        "{count} accounts: greeting after {serving:?}, first answer after {answered:?}, \
         {at_rest} KiB at rest"
    );
}

async fn one_real_account(place: &Place) -> Device {
    let process = place.start();
    let reach = Reach::of(&process);
    let (_, mut device) = Account::create(&reach, "real@localhost", 6).await;
    let entry = device.entry("New", "id", b"content");
    let response = device
        .upload(CATALOG, Some(0), vec![first_frame(), entry])
        .await;
    assert!(response.outcome().is_success(), "{:?}", response.code());
    assert!(process.stop().success());
    device
}

/// Memory with no account loaded.
fn rest(process: &Process) -> u64 {
    assert_eq!(process.measured("mesh_accounts_loaded", ""), 0.0);
    process.resident_kib()
}

#[expect(
    clippy::disallowed_methods,
    reason = "a figure that is printed is measured by the real clock"
)]
fn now() -> Instant {
    Instant::now()
}
