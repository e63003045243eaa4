//! Two devices' keystores racing uploads at one index (issue "What must hold"; containers §8.4,
//! architecture ):
//!
//! | test | holds |
//! | --- | --- |
//! | `one_of_two_devices_wins_each_round…` | per round one 201 and one 409/112; the loser's answer says where to go on, and it succeeds there |
//! | `two_sessions_of_one_device…` | the same where both sessions are of one device |

use mesh_common::dare::Envelope;
use mesh_common::protocol::{Code, EntryResult, Response};
use mesh_tests::device::{Account, Answered as _, Device, Reach, first_frame, upload};
use mesh_tests::process::{Place, Process};
use tokio::sync::Barrier;

const CATALOG: &str = "mmm_Bookmark";
const ROUNDS: u64 = 60;
const SETTINGS: &str = "limits.rate.enabled = false\nfrontend.workers = 2\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_two_devices_wins_each_round_and_the_other_is_told_where_to_go_on() {
    let process = Place::new(SETTINGS).start();
    let (account, mut one) = account_on(&process).await;
    let other = account.connect(&mut one, 8).await;
    let wins = race(one, other).await;
    println!("{ROUNDS} rounds, {wins} won by the first");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_sessions_of_one_device_race_as_two_devices_do() {
    let process = Place::new(SETTINGS).start();
    let (_, one) = account_on(&process).await;
    let other = one.in_another_session(9);
    let wins = race(one, other).await;
    println!("{ROUNDS} rounds, {wins} won by the first");
}

async fn account_on(process: &Process) -> (Account, Device) {
    let reach = Reach::of(process);
    let (account, mut device) = Account::create(&reach, "racer@localhost", 7).await;
    let response = device.upload(CATALOG, Some(0), vec![first_frame()]).await;
    assert_eq!(response.code(), Some(Code::Ok), "{response:?}");
    (account, device)
}

/// Races two devices for [`ROUNDS`] rounds over a catalog of one frame; how many `one` wins.
async fn race(mut one: Device, mut other: Device) -> u64 {
    let (mut wins_of_one, start) = (0, Barrier::new(2));
    for round in 0..ROUNDS {
        let place = 1 + 2 * round;
        let mine = one.entry("New", &format!("one/{round}"), b"one");
        let theirs = other.entry("New", &format!("other/{round}"), b"other");
        let (first, second) = tokio::join!(
            attempt(&mut one, place, &mine, &start),
            attempt(&mut other, place, &theirs, &start),
        );
        let one_won = first.code() == Some(Code::Ok);
        wins_of_one += u64::from(one_won);
        let (winner, won, loser, lost) = match one_won {
            true => (&first, &mine, &second, &theirs),
            false => (&second, &theirs, &first, &mine),
        };
        assert_eq!(row(winner), (EntryResult::Accept, Some(place)), "{round}");
        assert_eq!(
            loser.code(),
            Some(Code::Conflict),
            "round {round}: {loser:?}"
        );
        // What the loser needs: how many frames there are now, so where the next one goes.
        let next = place + 1;
        assert_eq!(row(loser), (EntryResult::Conflict, Some(next)), "{round}");
        let again = if one_won { &mut other } else { &mut one };
        let rebased = again.upload(CATALOG, Some(next), vec![lost.clone()]).await;
        assert_eq!(row(&rebased), (EntryResult::Accept, Some(next)), "{round}");
        let frames = again.frames(CATALOG).await;
        assert_eq!(frames.len() as u64, next + 1);
        assert_eq!(frames[frames.len() - 2].payload, won.payload);
        assert_eq!(frames[frames.len() - 1].payload, lost.payload);
    }
    wins_of_one
}

async fn attempt(device: &mut Device, place: u64, frame: &Envelope, start: &Barrier) -> Response {
    let request = upload(CATALOG, Some(place), vec![frame.clone()]);
    let mut attempt = device.begin(&request);
    start.wait().await;
    let sent = device.carry(&mut attempt).await;
    sent.expect("the service is reached")
}

/// The one row of an Upload's answer.
fn row(response: &Response) -> (EntryResult, Option<u64>) {
    let Response::Upload(upload) = response else {
        panic!("an Upload was answered with {response:?}");
    };
    assert_eq!(upload.entries.len(), 1, "{response:?}");
    let row = &upload.entries[0];
    (row.result.expect("a row has a result"), row.index_container)
}
