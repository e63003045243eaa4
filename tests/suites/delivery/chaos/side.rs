//! One of the two services: its place, its process while it lives, and the people who have accounts
//! there. The other finds it at an address that stays the same.

use std::path::Path;

use mesh_tests::peer::Authority;
use mesh_tests::people::Person;
use mesh_tests::process::{Place, Process};
use mesh_tests::relay::Relay;
use mesh_tests::service::DOMAIN;
use mesh_tests::wire::{Connection, Tls};
use tempfile::TempDir;

use super::account::Account;
use super::sender::Sender;

/// People of each service.
const PEOPLE: usize = 2;

/// A service.
pub(crate) struct Side {
    pub(crate) domain: String,
    pub(crate) process: Option<Process>,
    pub(crate) senders: Vec<Sender>,
    place: Place,
    relay: Relay,
    tls: Tls,
    _folder: TempDir,
}

impl Side {
    /// Two services that know where the other is, with people who write to those of the other.
    pub(crate) fn pair(domains: [&str; 2]) -> [Self; 2] {
        let authority = Authority::new();
        let relays = [(); 2].map(|()| Relay::new().expect("there are ports"));
        let [a, b] = domains;
        let at = relays.each_ref().map(Relay::address);
        let [of_a, of_b] = relays;
        let mut sides = [
            Self::new(
                a,
                of_a,
                &format!("discovery.domains.{b:?} = \"{}\"\n", at[1]),
                &authority,
            ),
            Self::new(
                b,
                of_b,
                &format!("discovery.domains.{a:?} = \"{}\"\n", at[0]),
                &authority,
            ),
        ];
        for (number, side) in sides.iter_mut().enumerate() {
            side.start();
            let partners = people(domains[1 - number]);
            for (person, address) in people(&side.domain).into_iter().enumerate() {
                let connection = side.connect();
                let account = Account::new(Person::at(&address, &address), connection);
                let seed = (10 * number + person) as u64;
                side.senders
                    .push(Sender::new(account, partners.clone(), seed));
            }
        }
        sides
    }

    fn new(domain: &str, relay: Relay, other: &str, authority: &Authority) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let fallback = format!("mmm.{domain}");
        let made = authority.certify(&[domain, &fallback]);
        let path = |name: &str| folder.path().join(name);
        let (certificate, key, peers) = (path("tls.pem"), path("tls.key"), path("peers.pem"));
        write(&certificate, &made.certificate_pem);
        write(&key, &made.key_pem);
        write(&peers, authority.pem());
        // Whoever connects here speaks of the domain that all tests speak of.
        let settings = format!(
            "frontend.domains = [{domain:?}]\n\
             frontend.host_names = [{DOMAIN:?}]\n\
             frontend.workers = 1\n\
             limits.rate.enabled = false\n\
             backend.policy.inbound.stranger_per_sender_day = 1000000\n\
             backend.policy.inbound.stranger_per_recipient_day = 1000000\n\
             backend.policy.inbound.per_recipient_day = 1000000\n\
             tls.certificate = {certificate:?}\n\
             tls.key = {key:?}\n\
             discovery.authorities = [{peers:?}]\n\
             {other}"
        );
        Self {
            domain: domain.to_owned(),
            process: None,
            senders: Vec::new(),
            place: Place::new(&settings),
            relay,
            tls: Tls::trusting(authority.pem()),
            _folder: folder,
        }
    }

    /// Starts the service, and gives everybody a new connection.
    pub(crate) fn start(&mut self) {
        self.relay.lead_to(None);
        let process = self.place.start();
        self.relay.lead_to(Some(process.https()));
        self.process = Some(process);
        for number in 0..self.senders.len() {
            self.senders[number].account.client.connection = self.connect();
        }
    }

    /// Panics that were contained since its last start.
    pub(crate) fn panics(&self) -> f64 {
        self.measured("mesh_panics_contained_total")
    }

    /// Messages that wait for the other service.
    pub(crate) fn queued(&self) -> f64 {
        self.measured("mesh_outq_items")
    }

    fn measured(&self, name: &str) -> f64 {
        let process = self.process.as_ref().expect("it runs");
        process.measured(name, "")
    }

    fn connect(&self) -> Connection {
        let process = self.process.as_ref().expect("it runs");
        self.tls.connect(process.https(), &self.domain)
    }
}

fn people(domain: &str) -> Vec<String> {
    let names = (0..PEOPLE).map(|number| format!("person{number}@{domain}"));
    names.collect()
}

fn write(path: &Path, text: &str) {
    std::fs::write(path, text).expect("a temporary file can be written");
}
