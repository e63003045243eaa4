//! Connections: kept, lost, refused, or never answered (delivery §11).

use std::time::Duration;

use futures_util::future::join_all;
use mesh_common::delivery::{End, Unreachable};
use mesh_common::protocol::Code;
use mesh_tests::peer::{Conduct, Deed, Door};
use meshd::authority::Said;

use crate::sender::{PEER, Sender, assert_delivered, doing, good};

#[test]
fn a_peer_that_takes_no_connection_is_not_reached() {
    for door in [Door::Refused, Door::Reset] {
        let sender = Sender::published(Conduct { door, ..good() });
        let trouble = sender.trouble("M-1");
        let told = matches!(trouble, Unreachable::Connect(_) | Unreachable::Tls(_));
        assert!(told, "{door:?}: {trouble:?}");
    }
}

#[test]
fn a_black_hole_costs_the_time_of_a_connection_and_no_more() {
    let sender = Sender::published(Conduct {
        door: Door::Silent,
        ..good()
    });
    let trouble = sender.trouble("M-1");
    assert!(matches!(trouble, Unreachable::Tls(_)), "{trouble:?}");
    assert_eq!(sender.post_to(PEER, "M-2").exchange, Duration::ZERO);
}

#[test]
fn a_warm_connection_that_is_gone_is_replaced_without_a_word() {
    let sender = Sender::published(good());
    sender.deliver("M-1");
    sender.peer().behave(Conduct {
        door: Door::Reset,
        ..good()
    });
    assert!(matches!(sender.post("M-2"), End::Unreachable(_)));
    sender.peer().behave(good());
    sender.deliver("M-3");
}

#[test]
fn connections_of_many_transfers_are_kept() {
    let sender = Sender::published(good());
    let ids: Vec<String> = (0..64).map(|number| format!("M-{number}")).collect();
    let all = ids.iter().map(|id| sender.posting(PEER, id));
    for attempt in sender.runtime.block_on(join_all(all)) {
        assert_delivered(&attempt.end);
    }
    let kept = sender.peers.idle_connections();
    assert!((1..=ids.len()).contains(&kept), "{kept}");
}

#[test]
fn a_target_that_has_no_time_sends_us_to_the_next() {
    // Service §9.2
    let busy = doing(Deed::Refuse(Code::Overload, None));
    let sender = Sender::published(busy);
    let said = |priority, host: &str| Said::Service {
        priority,
        weight: 0,
        port: sender.peer().address().port(),
        host: host.to_owned(),
    };
    let name = "_mmm._tcp.peer.test";
    sender.names.unsay(name);
    for (priority, host) in [(1, "a.test"), (2, "b.test")] {
        sender.names.say(name, said(priority, host));
        let address = Said::Address(sender.peer().address().ip());
        sender.names.say(host, address);
    }
    sender.post("M-1");
    assert_eq!(sender.peer().seen().posts, 2, "once at each target");
}

#[test]
fn a_target_that_has_no_time_says_more_than_one_that_is_not_there() {
    let wait = Duration::from_secs(60);
    let busy = doing(Deed::Refuse(Code::Overload, Some(wait)));
    let refused = Conduct::behind(Door::Refused);
    let sender = Sender::to(&[(PEER, busy), ("other.test", refused)], |_, _| {});
    for (priority, domain) in [(1, PEER), (2, "other.test")] {
        let address = sender.simulator.peer(domain).address();
        let said = Said::Service {
            priority,
            weight: 0,
            port: address.port(),
            host: format!("host.{domain}"),
        };
        sender.names.say("_mmm._tcp.peer.test", said);
        let host = format!("host.{domain}");
        sender.names.say(&host, Said::Address(address.ip()));
    }
    let end = sender.post("M-1");
    let told = End::Foreign {
        http: 503,
        retry_after: Some(wait),
    };
    assert_eq!(end, told);
}
