//! Refusals that a sender cannot tell apart: an account that does not exist and one that is closed to
//! the sender, in what is answered, in what is told, and in how long it takes.

use std::time::{Duration, Instant};

use mesh_common::protocol::Code;
use mesh_tests::client::Client;
use mesh_tests::frames;
use mesh_tests::people::{alice, bob};
use mesh_tests::service::{DOMAIN, TestService};

use super::{ended, signed};

/// Messages to each, one after the other.
const ROUNDS: usize = 12;
/// A machine that does other things may slow one of the two; what one waits for in principle it waits for each time.
const TRIES: usize = 4;

// X-16 X-50..53
#[test]
fn an_unknown_account_and_one_that_refuses_are_alike_to_a_sender() {
    let service = TestService::start();
    let (alice, bob) = (alice(), bob());
    let _alices = Client::of_new_account_with_device(&service, &alice);
    let mut bobs = Client::of_new_account_with_device(&service, &bob);
    let nobody = format!("nobody@{DOMAIN}");
    let mut answers = [Vec::new(), Vec::new()];
    let is_alike = (0..TRIES).any(|attempt| {
        let mut times = [Vec::new(), Vec::new()];
        for round in attempt * ROUNDS..(attempt + 1) * ROUNDS {
            for (which, recipient) in [&alice.address, &nobody].into_iter().enumerate() {
                let id = format!("N{round}-{which}");
                // Strangers send no tasks.
                let message = signed(&bob, "RequestTask", &id, "{}");
                let begun = moment();
                let posted = bobs.ask(&frames::post(&[recipient], vec![message]));
                posted.must_be(Code::Ok);
                ended(&mut bobs, 2 * round + which + 1);
                times[which].push(begun.elapsed());
                let said = posted.outcome();
                answers[which].push((
                    said.status,
                    said.status_description.clone(),
                    posted.http.status,
                ));
            }
        }
        // Of one class: neither waits for something that the other does not wait for.
        let [refused, unknown] = times.map(median);
        println!("{refused:?} where the account refuses, {unknown:?} where there is none");
        refused < 4 * unknown && unknown < 4 * refused
    });
    assert!(is_alike, "the two are not of one class, see above");
    assert_eq!(answers[0], answers[1]);
    let count = 2 * answers[0].len();
    let told = ended(&mut bobs, count);
    assert_eq!(told.len(), count);
    assert!(told.iter().all(|one| one.2 == "Refused"), "{told:?}");
}

#[expect(
    clippy::disallowed_methods,
    reason = "how long a refusal takes is what is compared"
)]
fn moment() -> Instant {
    Instant::now()
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}
