//! Who a domain's service is, and that it stays the same (service §4.3, decision Q-52).

use std::time::Duration;

use mesh_common::delivery::Unreachable;
use mesh_peer::GreetingError;
use mesh_tests::peer::{Conduct, Door, Flaw};
use meshd::authority::Said;

use crate::sender::{PEER, Sender, good};

const SERVICE: &str = "_mmm._tcp.peer.test";

#[test]
fn a_greeting_tells_the_service_and_holds_for_a_day() {
    let sender = Sender::published(good());
    let greeting = sender.greet().unwrap();
    assert_eq!(greeting.service_udf().to_string(), sender.peer().udf());
    assert!(greeting.accepts(&greeting.service.host_key, greeting.fetched_at));
    sender.greet().unwrap();
    assert_eq!(sender.peer().seen().hellos, 1);
    sender.clock.pass(Duration::from_secs(24 * 3_600));
    sender.greet().unwrap();
    assert_eq!(sender.peer().seen().hellos, 2);
}

#[test]
fn a_greeting_is_repeated_for_a_key_that_is_not_known_once_a_minute() {
    let sender = Sender::published(good());
    let again = || {
        let repeated = sender.peers.greet_anew(PEER, crate::sender::TIME_MAX);
        sender.runtime.block_on(repeated).unwrap();
        sender.peer().seen().hellos
    };
    assert_eq!([again(), again()], [1, 1]);
    sender.clock.pass(Duration::from_secs(60));
    assert_eq!([again(), again()], [2, 2]);
}

#[test]
fn another_service_under_the_same_name_gets_nothing() {
    // Decision Q-52
    let sender = Sender::published(good());
    sender.deliver("M-1");
    sender.peer().become_another_service();
    sender.clock.pass(Duration::from_secs(24 * 3_600));
    let trouble = sender.trouble("M-2");
    assert!(matches!(trouble, Unreachable::Identity(_)), "{trouble:?}");
    let refused = sender.greet().unwrap_err();
    assert!(matches!(
        refused,
        GreetingError::Unreachable(Unreachable::Identity(_))
    ));
    assert_eq!(sender.peer().kept(), 1);
    let forgotten = sender.peers.forget(PEER);
    sender.runtime.block_on(forgotten).unwrap();
    assert!(
        sender.greet().is_ok(),
        "an operator said that it is another one"
    );
}

#[test]
fn another_service_is_noticed_at_the_next_message_even_with_a_ticket() {
    // Decision Q-64: the ticket is not taken, then the key is not, then Hello tells why.
    let sender = Sender::published(good());
    sender.deliver("M-1");
    sender.peer().become_another_service();
    sender.clock.pass(Duration::from_secs(6));
    let trouble = sender.trouble("M-2");
    let Unreachable::Identity(why) = trouble else {
        panic!("not told: {trouble:?}");
    };
    assert!(why.contains("was"), "{why}");
    assert_eq!(sender.peer().kept(), 1);
}

#[test]
fn an_operator_sees_who_it_was_where_it_is_and_what_it_says() {
    let sender = Sender::published(good());
    let look = || {
        let looked = sender.peers.look_at(PEER, crate::sender::TIME_MAX);
        sender.runtime.block_on(looked).unwrap()
    };
    let first = look();
    let udf = sender.peer().udf();
    assert_eq!(first.pinned.unwrap().service_udf.to_string(), udf);
    let address = first.located.unwrap().targets[0].addresses[0];
    assert_eq!(address, sender.peer().address().ip());
    assert!(first.greeting.is_ok());
    sender.peer().become_another_service();
    sender.clock.pass(Duration::from_secs(6));
    let second = look();
    assert_eq!(second.pinned.unwrap().service_udf.to_string(), udf);
    assert!(matches!(
        second.greeting,
        Err(GreetingError::Unreachable(Unreachable::Identity(_)))
    ));
}

#[test]
fn the_service_that_dns_names_is_the_only_one_at_first_sight() {
    // Decision Q-52
    let sender = Sender::published(good());
    let udf = |udf: &str| Said::Text(vec![format!("udf={udf}")]);
    sender
        .names
        .say(SERVICE, udf("MBSC-YIGU-GPCJ-YQGJ-763A-X6Y4-DDZN"));
    let trouble = sender.trouble("M-1");
    assert!(matches!(trouble, Unreachable::Identity(_)), "{trouble:?}");
    sender.names.unsay(SERVICE);
    sender.publish(PEER);
    sender.names.say(SERVICE, udf(&sender.peer().udf()));
    sender.clock.pass(Duration::from_secs(61));
    sender.deliver("M-2");
}

#[test]
fn a_certificate_with_a_flaw_is_told_as_such() {
    for flaw in [Flaw::Expired, Flaw::OtherName, Flaw::OtherAuthority] {
        let sender = Sender::published(Conduct {
            door: Door::Certificate(flaw),
            ..good()
        });
        let trouble = sender.trouble("M-1");
        assert!(
            matches!(trouble, Unreachable::Certificate(_)),
            "{flaw:?}: {trouble:?}"
        );
        assert_eq!(sender.peer().seen().hellos, 0);
    }
}
