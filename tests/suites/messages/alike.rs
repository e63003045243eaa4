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

// X-16 X-50..53
#[test]
fn an_unknown_account_and_one_that_refuses_are_alike_to_a_sender() {
    let service = TestService::start();
    let (alice, bob) = (alice(), bob());
    let _alices = Client::of_new_account_with_device(&service, &alice);
    let mut bobs = Client::of_new_account_with_device(&service, &bob);
    let nobody = format!("nobody@{DOMAIN}");
    let (mut answers, mut times) = ([Vec::new(), Vec::new()], [Vec::new(), Vec::new()]);
    for round in 0..ROUNDS {
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
    assert_eq!(answers[0], answers[1]);
    let told = ended(&mut bobs, 2 * ROUNDS);
    assert_eq!(told.len(), 2 * ROUNDS);
    assert!(told.iter().all(|one| one.2 == "Refused"), "{told:?}");
    // Of one class: neither waits for something that the other does not wait for.
    let [refused, unknown] = times.map(median);
    println!("{refused:?} where the account refuses, {unknown:?} where there is none");
    assert!(
        refused < 4 * unknown && unknown < 4 * refused,
        "{refused:?} and {unknown:?} are not of one class"
    );
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
