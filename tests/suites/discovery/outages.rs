//! DNS fails: what was known goes on to hold for a day, what was not known is a failed lookup, and that within the
//! time of a transfer (delivery §11).

use std::time::Duration;

use futures_util::future::join_all;
use mesh_common::delivery::Unreachable;
use meshd::authority::Trouble;

use crate::sender::{PEER, Sender, assert_delivered, good, unreachable_because};

const SERVICE: &str = "_mmm._tcp.peer.test";
const TROUBLES: [Trouble; 5] = [
    Trouble::Failure,
    Trouble::Refusal,
    Trouble::Lame,
    Trouble::Unfounded,
    Trouble::Silence,
];

#[test]
fn a_domain_that_cannot_be_looked_up_is_not_said_to_be_gone() {
    for trouble in TROUBLES {
        let sender = Sender::published(good());
        sender.names.fail(PEER, trouble);
        let told = sender.trouble("M-1");
        assert!(
            matches!(told, Unreachable::Lookup(_)),
            "{trouble:?}: {told:?}"
        );
        assert_eq!(sender.peer().seen().connections, 0);
        sender.names.recover(PEER);
        sender.clock.pass(Duration::from_secs(3));
        // A lookup that nobody waits for any more may still be under way, and ends by itself.
        assert!(
            (0..4).any(|_| matches!(sender.post("M-2"), mesh_common::delivery::End::Answered(_)))
        );
    }
}

#[test]
fn what_was_known_holds_while_dns_fails() {
    for trouble in TROUBLES {
        let sender = Sender::published(good());
        sender.deliver("M-1");
        sender.names.fail(PEER, trouble);
        sender.clock.pass(Duration::from_secs(61));
        let asked = sender.names.asked(SERVICE);
        sender.deliver("M-2");
        assert!(sender.names.asked(SERVICE) > asked, "{trouble:?}");
    }
}

#[test]
fn a_domain_that_is_taken_out_of_dns_is_gone() {
    let sender = Sender::published(good());
    sender.deliver("M-1");
    sender.names.unsay(SERVICE);
    sender.names.unsay("mmm.peer.test");
    sender.clock.pass(Duration::from_secs(61));
    assert_eq!(sender.trouble("M-2"), Unreachable::NoDomain);
}

#[test]
fn many_transfers_share_one_lookup_one_hello_and_one_exchange() {
    let sender = Sender::published(good());
    let ids: Vec<String> = (0..20).map(|number| format!("M-{number}")).collect();
    let all = ids.iter().map(|id| sender.posting(PEER, id));
    for attempt in sender.runtime.block_on(join_all(all)) {
        assert_delivered(&attempt.end);
    }
    let seen = sender.peer().seen();
    assert_eq!((seen.hellos, seen.exchanges, seen.posts), (1, 1, 20));
    assert_eq!(sender.names.asked(SERVICE), 2, "SRV and TXT, once");
}

#[test]
fn dead_name_servers_do_not_keep_others_from_their_turn() {
    // Their lookups failed once; from then on they have no more than their share of the turns.
    let sender = Sender::with(good());
    let domains: Vec<String> = (0..60)
        .map(|number| format!("dead-{number}.test"))
        .collect();
    for domain in &domains {
        sender.names.fail(domain, Trouble::Silence);
    }
    let time = Duration::from_secs(5);
    let dead = |domain| sender.posting_within(time, domain, "M-0");
    let all_dead = || join_all(domains.iter().map(|domain| dead(domain)));
    for attempt in sender.runtime.block_on(all_dead()) {
        let trouble = unreachable_because(attempt.end);
        assert!(matches!(trouble, Unreachable::Lookup(_)), "{trouble:?}");
    }
    // What their lookups came to is known once nobody is told "in time" any more.
    sender.publish(PEER);
    sender.clock.pass(time);
    let both = async {
        let dead = all_dead();
        let good = sender.posting(PEER, "M-1");
        futures_util::future::join(dead, good).await.1
    };
    assert_delivered(&sender.runtime.block_on(both).end);
}
