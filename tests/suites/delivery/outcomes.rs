//! One message to a peer of each kind, and what its sender is told (delivery §13, decisions ).

use std::collections::BTreeMap;

use mesh_tests::peer::kind::KINDS;
use mesh_tests::peer::{Conduct, Kind, Settings, Simulator};

use super::stage::{PATIENCE, Stage};

/// What is told at once; nothing while there is hope.
const fn told_of(kind: Kind) -> Option<&'static str> {
    match kind {
        // Of the lie that a message was kept nobody can know.
        Kind::Healthy | Kind::Slow | Kind::Tiny | Kind::Flapping | Kind::Forgetful => {
            Some("Received")
        }
        Kind::Later => Some("Sent"),
        Kind::Unwilling => Some("Refused"),
        Kind::Deserted => Some("Failed"),
        Kind::BlackHole
        | Kind::Silent
        | Kind::Refused
        | Kind::Reset
        | Kind::Impostor
        | Kind::OverQuota
        | Kind::Busy
        | Kind::Redirecting
        | Kind::Expired
        | Kind::Misnamed
        | Kind::Untrusted => None,
    }
}

#[test]
fn what_is_decided_is_told_at_once_and_what_is_not_waits() {
    let domain = |kind: Kind| format!("{kind}.test");
    let kinds: Vec<Kind> = KINDS.iter().map(|row| row.0).collect();
    let peers = kinds.iter().map(|kind| (domain(*kind), kind.conduct()));
    let settings = Settings {
        checks: true,
        ..Settings::default()
    };
    let simulator = Simulator::start(peers.collect(), settings).expect("there are ports");
    let mut stage = Stage::new(simulator, "");
    let domains: Vec<String> = kinds.iter().map(|kind| domain(*kind)).collect();
    stage.post_to(&domains);

    let decided = kinds.iter().filter(|kind| told_of(**kind).is_some());
    let mut told = BTreeMap::new();
    for (_, recipient, state) in stage.wait_until_told(decided.count()) {
        let before = told.insert(recipient, state);
        assert!(before.is_none(), "told twice: {told:?}");
    }
    for kind in kinds {
        let recipient = format!("bob@{}", domain(kind));
        let state = told.get(&recipient).map(String::as_str);
        assert_eq!(state, told_of(kind), "{kind}");
    }

    // What hope rests on: they are tried.
    for kind in [Kind::BlackHole, Kind::OverQuota, Kind::Busy, Kind::Impostor] {
        let peer = stage.simulator.peer(&domain(kind));
        assert!(peer.wait_until(PATIENCE, |seen| seen.posts > 0), "{kind}");
        assert_eq!(peer.kept(), 0);
    }
}

#[test]
fn a_peer_that_became_another_service_gets_nothing_more_and_is_reported() {
    let domain = "changed.test".to_owned();
    let peers = vec![(domain.clone(), Conduct::default())];
    let simulator = Simulator::start(peers, Settings::default()).expect("there are ports");
    let mut stage = Stage::new(simulator, "");
    let peer = stage.simulator.peer(&domain).clone();
    stage.post_to(std::slice::from_ref(&domain));
    assert!(peer.wait_until(PATIENCE, |seen| seen.messages.len() == 1));
    peer.become_another_service();
    // What was pinned outlives the process; that the peer was greeted a moment ago does not.
    stage.restart();
    stage.post_to(&[domain]);
    assert!(stage.wait_until_logged("a peer is not who it was"));
    assert_eq!(peer.kept(), 1);
    let told = stage.wait_until_told(1);
    assert_eq!(told.len(), 1, "the second one waits: {told:?}");
}
