//! Where a front-end finds the back-ends of its own service (architecture A-4).

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use mesh_peer::DiscoverySettings;
use mesh_peer::back_ends::{BackEnds, NotFound};
use meshd::authority::{NameServer, Said};

const NAME: &str = "back-ends.test";
const RECORD: &str = "_mmm._tcp.back-ends.test";

fn address(last: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(10, 0, 0, last))
}

fn say(names: &NameServer, priority: u16, host: &str, last: u8) {
    let service = Said::Service {
        priority,
        weight: 0,
        port: 7_100,
        host: host.to_owned(),
    };
    names.say(RECORD, service);
    names.say(host, Said::Address(address(last)));
}

fn look(names: &NameServer) -> Result<Vec<SocketAddr>, NotFound> {
    let settings = DiscoverySettings {
        resolver: Some(names.address()),
        ..DiscoverySettings::default()
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async { BackEnds::of(NAME, &settings).look().await })
}

#[test]
fn back_ends_are_found_by_their_srv_records_in_private_networks_too() {
    let names = NameServer::start().unwrap();
    say(&names, 20, "b.back-ends.test", 2);
    say(&names, 10, "a.back-ends.test", 1);
    let found = look(&names).unwrap();
    let expected = [1, 2].map(|last| SocketAddr::new(address(last), 7_100));
    assert_eq!(found, expected, "the most wanted first");
    say(&names, 10, "c.back-ends.test", 3);
    assert_eq!(look(&names).unwrap().len(), 3, "nothing is remembered");
}

#[test]
fn back_ends_that_are_not_there_are_said_to_be_looked_for_where() {
    let names = NameServer::start().unwrap();
    let missing = look(&names).unwrap_err();
    let sentence = missing.to_string();
    let expected = "no back-end is found at _mmm._tcp.back-ends.test: there is no such name";
    assert_eq!(sentence, expected);
    // There is no host that stands in for a missing record.
    names.say("mmm.back-ends.test", Said::Address(address(1)));
    names.say(NAME, Said::Address(address(1)));
    assert!(look(&names).is_err());
    assert_eq!(names.asked("mmm.back-ends.test"), 0);
    names.say(
        RECORD,
        Said::Service {
            priority: 0,
            weight: 0,
            port: 7_100,
            host: "nowhere.test".into(),
        },
    );
    let missing = look(&names).unwrap_err();
    assert_eq!(missing.why, "no address of them is there");
}
