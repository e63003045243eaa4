//! What DNS says of a domain, and what a transfer there comes to.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use mesh_common::address::AccountAddress;
use mesh_common::delivery::{End, Unreachable};
use mesh_tests::frames;
use mesh_tests::peer::{Conduct, Door};
use meshd::authority::Said;

use crate::sender::{FROM, PEER, Sender, TIME_MAX, assert_delivered, good};

const SERVICE: &str = "_mmm._tcp.peer.test";
const LOOPBACK: Said = Said::Address(IpAddr::V4(Ipv4Addr::LOCALHOST));

fn service(priority: u16, port: u16, host: &str) -> Said {
    Said::Service {
        priority,
        weight: 0,
        port,
        host: host.to_owned(),
    }
}

// I-P-4.1-b, P-9.1.2-c
#[test]
fn a_service_is_found_by_its_srv_record() {
    let sender = Sender::published(good());
    sender.deliver("M-1");
    sender.deliver("M-2");
    let seen = sender.peer().seen();
    assert_eq!((seen.hellos, seen.exchanges, seen.posts), (1, 1, 2));
    assert_eq!(seen.connections, 1, "the connection is kept warm");
    assert_eq!(sender.names.asked(SERVICE), 2, "SRV and TXT, once");
}

#[test]
fn the_next_target_is_tried_when_the_first_takes_no_connection() {
    let refused = Conduct::behind(Door::Refused);
    let sender = Sender::to(&[(PEER, good()), ("other.test", refused)], |_, _| {});
    let (good, bad) = (
        sender.peer().address().port(),
        sender.simulator.peer("other.test").address().port(),
    );
    sender.names.say(SERVICE, service(20, good, "b.hosts.test"));
    sender.names.say(SERVICE, service(10, bad, "a.hosts.test"));
    for host in ["a.hosts.test", "b.hosts.test"] {
        sender.names.say(host, LOOPBACK);
    }
    sender.deliver("M-1");
}

/// A sender that expects services without SRV at the port of its peer.
fn with_fallback() -> Sender {
    Sender::to(&[(PEER, good())], |simulator, settings| {
        settings.fallback_port = simulator.peer(PEER).address().port();
    })
}

// I-P-4.1-b
#[test]
fn without_srv_the_fallback_host_is_the_service() {
    // Decisions
    let sender = with_fallback();
    sender.names.say("mmm.peer.test", LOOPBACK);
    sender.deliver("M-1");
}

#[test]
fn the_fallback_host_may_be_an_alias() {
    let sender = with_fallback();
    let alias = Said::Alias("host.peer.test".into());
    sender.names.say("mmm.peer.test", alias);
    sender.names.say("host.peer.test", LOOPBACK);
    sender.deliver("M-1");
}

#[test]
fn without_srv_no_other_host_is_tried() {
    // Decision Q-17
    let sender = with_fallback();
    sender.names.say(PEER, LOOPBACK);
    let Unreachable::Lookup(why) = sender.trouble("M-1") else {
        panic!("found where nothing is");
    };
    assert!(why.contains("names no host"), "{why}");
    assert_eq!(sender.peer().seen().connections, 0);
}

#[test]
fn a_domain_that_says_it_has_no_service_has_none() {
    let sender = Sender::with(good());
    sender.names.say(SERVICE, service(0, 0, "."));
    sender.names.say("mmm.peer.test", LOOPBACK);
    assert_eq!(sender.trouble("M-1"), Unreachable::NoService);
    assert_eq!(sender.names.asked("mmm.peer.test"), 0);
}

#[test]
fn a_domain_that_does_not_exist_is_told_and_not_asked_about_for_a_minute() {
    let sender = Sender::with(good());
    assert_eq!(sender.trouble("M-1"), Unreachable::NoDomain);
    let asked = sender.names.asked(SERVICE);
    assert_eq!(sender.trouble("M-2"), Unreachable::NoDomain);
    assert_eq!(sender.names.asked(SERVICE), asked);
    sender.publish(PEER);
    sender.clock.pass(Duration::from_secs(61));
    sender.deliver("M-3");
}

#[test]
fn a_loop_of_aliases_is_a_failed_lookup() {
    let sender = Sender::with(good());
    let loops = [("mmm.peer.test", "a.test"), ("a.test", "mmm.peer.test")];
    for (name, target) in loops {
        sender.names.say(name, Said::Alias(target.into()));
    }
    let trouble = sender.trouble("M-1");
    assert!(matches!(trouble, Unreachable::Lookup(_)), "{trouble:?}");
}

#[test]
fn addresses_of_this_host_are_refused_unless_the_settings_allow_them() {
    let sender = Sender::to(&[(PEER, good())], |_, settings| {
        settings.allow_loopback = false;
    });
    sender.publish(PEER);
    assert_eq!(sender.trouble("M-1"), Unreachable::Forbidden);
    assert_eq!(sender.peer().seen().connections, 0);
}

#[test]
fn a_private_address_beside_a_permitted_one_is_left_out() {
    let sender = Sender::published(good());
    let private = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
    sender.names.say("mmm.peer.test", Said::Address(private));
    sender.deliver("M-1");
}

#[test]
fn an_address_is_not_a_domain() {
    let sender = Sender::with(good());
    let end = sender.post_to("127.0.0.1", "M-1").end;
    assert!(
        matches!(end, End::Unreachable(Unreachable::Lookup(_))),
        "{end:?}"
    );
}

#[test]
fn requests_go_to_the_path_that_dns_names() {
    let sender = Sender::published(good());
    sender.names.say(
        SERVICE,
        Said::Text(vec!["version=3.0".into(), "path=/elsewhere".into()]),
    );
    // The simulated peer answers at the well-known path only.
    let end = sender.post("M-1");
    assert!(matches!(end, End::Foreign { http: 404, .. }), "{end:?}");
}

#[test]
fn what_the_settings_say_of_a_domain_rules_over_dns() {
    let sender = Sender::to(&[(PEER, good())], |simulator, settings| {
        let place = simulator.peer(PEER).address().to_string();
        settings.domains.insert(PEER.into(), place);
        settings.allow_loopback = false;
    });
    sender.names.say(SERVICE, service(0, 0, "."));
    sender.deliver("M-1");
    assert_eq!(sender.names.asked(SERVICE), 0);
}

#[test]
fn a_place_that_an_operator_orders_rules_over_both() {
    let sender = Sender::with(good());
    let place = sender.peer().address();
    let host = place.ip().to_string();
    let recipient = AccountAddress::parse("bob@peer.test").unwrap();
    let envelope = frames::message("RequestContact", "M-1", "{}");
    let posting = sender.peers.post(
        FROM,
        &recipient,
        envelope,
        Some((&host, place.port())),
        TIME_MAX,
    );
    assert_delivered(&sender.runtime.block_on(posting).end);
}
