//! Mutations of valid requests against a running service (issue "What must hold"; P 4.5, service §2
//! and §8): no panic, no answer of status 500, no hang, and Hello is answered after each thousand.
//!
//! | file | holds |
//! | --- | --- |
//! | `corpus.rs` | the valid requests, bare and sealed, and the accounts they are for |
//! | `mutate.rs` | what is done to octets, to JSON, to HTTP heads |
//! | `posts.rs` | Posts of a connected device that are signed and sealed as they should be, and wrong inside |
//! | `wire.rs` | HTTP/1.1 by hand, with a deadline for each answer |
//!
//! `MESH_MUTATIONS` sets how many are made (5,000 unless set; 100,000 is the long form), `MESH_SEED`
//! which. A failure names the seed and the number of the mutation.

mod corpus;
mod mutate;
mod posts;
mod wire;

use std::collections::BTreeMap;
use std::path::Path;

use mesh_tests::peer::{Kind, Settings as PeerSettings, Simulator};
use mesh_tests::process::Place;

use self::corpus::{Class, Corpus};
use self::mutate::Dice;
use self::wire::{Answer, Wire};

const THREADS: u64 = 2;
const HELLO_EVERY: u64 = 1_000;
const SETTINGS: &str = "limits.rate.enabled = false\n\
    frontend.listen_plain = [\"127.0.0.1:0\"]\n\
    frontend.workers = 2\n\
    telemetry.filter = \"warn\"\n";

/// Another service, whose well-signed messages are mutated on their way in.
fn elsewhere() -> Simulator {
    let peers = vec![("elsewhere.test".to_owned(), Kind::Healthy.conduct())];
    Simulator::start(peers, PeerSettings::default()).expect("there is a port for a peer")
}

/// The settings of a service that finds `peer`, whose authority is written to `folder`.
fn settings(peer: &Simulator, folder: &Path) -> String {
    let authority = folder.join("authority.pem");
    std::fs::write(&authority, peer.authority().pem()).expect("a file can be written");
    let (domain, address) = &peer.map()[0];
    format!(
        "{SETTINGS}discovery.authorities = [{authority:?}]\n\
         discovery.domains.{domain:?} = \"{address}\"\n"
    )
}

fn number_of(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable).map_or(otherwise, |text| {
        text.parse()
            .unwrap_or_else(|_| panic!("{variable} is not a number: {text}"))
    })
}

/// How often each class of mutation was answered with each HTTP status; 0 for a closed connection.
type Tally = BTreeMap<(Class, u16), u64>;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_mutated_request_makes_the_service_panic_fail_or_hang() {
    let mutations = number_of("MESH_MUTATIONS", 5_000);
    let seed = number_of("MESH_SEED", 1);
    let peer = elsewhere();
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let place = Place::new(&settings(&peer, folder.path()));
    let mut process = place.start();
    let mut threads = Vec::new();
    for thread in 0..THREADS {
        let elsewhere = &peer.peers()[0];
        let corpus = Corpus::make(&process, elsewhere, thread).await;
        let wire = Wire::to(process.plain());
        let dice = Dice::new(seed * THREADS + thread);
        let count = mutations.div_ceil(THREADS);
        threads.push(tokio::task::spawn_blocking(move || {
            attack(corpus, wire, dice, count)
        }));
    }
    let mut tally = Tally::new();
    for thread in threads {
        let counted = thread
            .await
            .expect("every mutation was met as it should be");
        for (key, number) in counted {
            *tally.entry(key).or_default() += number;
        }
    }
    assert!(process.is_running(), "{}", process.logged());
    assert_eq!(process.measured("mesh_panics_contained_total", ""), 0.0);
    let log = process.logged();
    assert!(!log.contains("panicked"), "{log}");
    check_that_all_depths_were_reached(&tally);
    println!("{mutations} mutations, seed {seed}: {tally:?}");
    assert!(process.stop().success());
}

/// One thread's share of the mutations.
fn attack(mut corpus: Corpus, mut wire: Wire, mut dice: Dice, count: u64) -> Tally {
    let mut tally = Tally::new();
    for number in 0..count {
        let (class, request) = corpus.mutated(&mut dice);
        let answer = wire.send(&request).unwrap_or_else(|problem| {
            panic!(
                "mutation {number}, {class:?}: {problem}: {}",
                shown(&request.octets)
            )
        });
        let status = match &answer {
            Answer::Http { status, body } => {
                let is_json = serde_json::from_slice::<serde_json::Value>(body).is_ok();
                assert!(
                    is_json || class == Class::Head,
                    "mutation {number}, {class:?} was answered with {status} and no JSON"
                );
                *status
            }
            Answer::Closed => {
                assert!(
                    class == Class::Head,
                    "mutation {number}, {class:?} was not answered: {}",
                    shown(&request.octets)
                );
                0
            }
        };
        assert!(
            status < 500 || status == 501,
            "mutation {number}, {class:?} was answered with {answer:?}: {}",
            shown(&request.octets)
        );
        corpus.learn(&answer);
        *tally.entry((class, status)).or_default() += 1;
        if (number + 1) % HELLO_EVERY == 0 {
            let hello = wire.send(&corpus.hello());
            let is_fine = matches!(hello, Ok(Answer::Http { status: 201, .. }));
            assert!(is_fine, "after mutation {number}: {hello:?}");
        }
    }
    tally
}

fn shown(octets: &[u8]) -> String {
    String::from_utf8_lossy(octets)
        .chars()
        .take(4_000)
        .collect()
}

/// A run in which the decoder behind the ticket refuses everything tests nothing behind it.
fn check_that_all_depths_were_reached(tally: &Tally) {
    let met = |class: Class, wanted: &dyn Fn(u16) -> bool| -> u64 {
        let rows = tally
            .iter()
            .filter(|((one, status), _)| *one == class && wanted(*status));
        rows.map(|(_, number)| number).sum()
    };
    assert!(met(Class::Bare, &|status| status == 400) > 0, "{tally:?}");
    assert!(met(Class::Bare, &|status| status == 201) > 0, "{tally:?}");
    assert!(met(Class::Sealed, &|status| status == 401) > 0, "{tally:?}");
    assert!(
        met(Class::Resealed, &|status| status == 201) > 0,
        "{tally:?}"
    );
    assert!(
        met(Class::Resealed, &|status| status == 400) > 0,
        "{tally:?}"
    );
    assert!(
        met(Class::Resealed, &|status| status == 409) > 0,
        "{tally:?}"
    );
    assert!(
        met(Class::Resealed, &|status| status == 422) > 0,
        "{tally:?}"
    );
    for wanted in [201, 400, 404, 422, 429] {
        assert!(
            met(Class::Asking, &|status| status == wanted) > 0,
            "{tally:?}"
        );
    }
    for wanted in [201, 400, 404, 422] {
        assert!(
            met(Class::Forwarded, &|status| status == wanted) > 0,
            "{tally:?}"
        );
    }
    assert!(
        met(Class::Exchanged, &|status| status < 500) > 0,
        "{tally:?}"
    );
    assert!(met(Class::Head, &|status| status >= 400) > 0, "{tally:?}");
}
