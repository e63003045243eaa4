//! A real service, published as `meshd dns-records` prints it: found, greeted, posted to, and calling back
//! (service §7.3, decisions ).

use std::sync::Arc;

use mesh_backend::{SystemClock, SystemEntropy};
use mesh_common::address::AccountAddress;
use mesh_common::delivery::End;
use mesh_common::session::client::ClientIdentity;
use mesh_peer::{Components, DiscoverySettings, MemoryPins, Peers, Speaker};
use mesh_tests::frames;
use mesh_tests::peer::{Settings, Simulator};
use mesh_tests::service::{DOMAIN, HOST_NAME, OTHER_DOMAIN, TestService};
use meshd::authority::{NameServer, Said};
use meshd::config::MeshdConfig;
use meshd::dns_records::DnsRecords;
use tokio::runtime::Runtime;

use crate::sender::{PEER, TIME_MAX, answered, good};

/// Speaks as a simulated peer, whom the real service can call back.
struct Simulated(ClientIdentity);

impl Speaker for Simulated {
    fn identity_of(&self, domain: &str) -> Option<ClientIdentity> {
        (domain == PEER).then(|| self.0.clone())
    }
}

struct Scene {
    runtime: Runtime,
    peers: Peers,
    simulator: Simulator,
    _service: TestService,
    _names: NameServer,
}

fn scene() -> Scene {
    let peers = vec![(PEER.to_owned(), good())];
    let simulator = Simulator::start(peers, Settings::default()).unwrap();
    let names = NameServer::start().unwrap();
    names.publish(PEER, simulator.peer(PEER).address());
    let folder = tempfile::tempdir().unwrap();
    let authority = folder.path().join("peers.pem");
    std::fs::write(&authority, simulator.authority().pem()).unwrap();
    let discovery = DiscoverySettings {
        resolver: Some(names.address()),
        allow_loopback: true,
        ..DiscoverySettings::default()
    };
    let mut config = MeshdConfig::default();
    let service = TestService::with(|settings| {
        settings.discovery = DiscoverySettings {
            authorities: vec![authority],
            ..discovery.clone()
        };
        config = settings.clone();
    });
    for domain in [DOMAIN, OTHER_DOMAIN] {
        let port = service.address().port();
        let records = DnsRecords::of(domain, &config, None, Some(port)).unwrap();
        for (name, said) in records.records() {
            names.say(name, said.clone());
        }
    }
    names.say(HOST_NAME, Said::Address(service.address().ip()));
    let components = Components {
        speaker: Arc::new(Simulated(simulator.peer(PEER).as_client())),
        pins: Arc::new(MemoryPins::default()),
        clock: Arc::new(SystemClock),
        entropy: Arc::new(|| Box::new(SystemEntropy)),
    };
    let discovery = DiscoverySettings {
        authorities: vec![service.data_dir().join("tls/ca.pem")],
        ..discovery
    };
    Scene {
        runtime: Runtime::new().unwrap(),
        peers: Peers::new(&discovery, components).unwrap(),
        _service: service,
        simulator,
        _names: names,
    }
}

impl Scene {
    fn post(&self, recipient: &str, id: &str) -> End {
        let recipient = AccountAddress::parse(recipient).unwrap();
        let envelope = frames::message("RequestContact", id, "{}");
        let posting = self.peers.post(PEER, &recipient, envelope, None, TIME_MAX);
        self.runtime.block_on(posting).end
    }
}

#[test]
fn a_real_service_is_found_by_what_it_publishes_for_each_of_its_domains() {
    let scene = scene();
    let udfs: Vec<_> = [DOMAIN, OTHER_DOMAIN]
        .map(|domain| {
            let greeting = scene.peers.greet(domain, TIME_MAX);
            let greeting = scene.runtime.block_on(greeting).unwrap();
            greeting.service_udf().to_string()
        })
        .into();
    assert_eq!(udfs[0], udfs[1], "one service for all domains");
}

#[test]
fn a_real_service_calls_back_once() {
    let scene = scene();
    for id in ["M-1", "M-2", "M-3"] {
        // The message is nobody's, which is found out only by whom the exchange has let in.
        let end = scene.post(&format!("nobody@{DOMAIN}"), id);
        assert_eq!(answered(&end).status / 100, 4, "{end:?}");
    }
    let peer = scene.simulator.peer(PEER).seen();
    assert_eq!(peer.hellos, 1, "one call-back");
}
