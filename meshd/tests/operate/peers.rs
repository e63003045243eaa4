//! Other services, written down; and what is shown of them.

use std::sync::Mutex;
use std::time::Duration;

use mesh_backend::desk::{Answer, DeskError};
use meshd::admin::peers::{HostView, KnownView, PeerDesk, PeerView};

use super::Office;
use super::desks::{Desks, noon};

/// Domains that were forgotten.
#[derive(Debug, Default)]
pub(crate) struct PeerBook(Mutex<Vec<String>>);

const OTHER: &str = "the peer is not who it was: the service is \
                     MCMX-CZZZ-5SIF-BCDX-A4K4-OVT3-VNSN, and was MD4C-ADLM-DWLB-DD2V-N7JA-7MD3-IKL6 before";

impl PeerDesk for PeerBook {
    fn standing<'a>(&'a self, domain: &'a str) -> Answer<'a, PeerView> {
        let is_forgotten = self.0.lock().unwrap().iter().any(|one| one == domain);
        let is_changed = domain == "moved.example" && !is_forgotten;
        let exists = domain != "gone.example";
        let view = PeerView {
            domain: domain.to_owned(),
            known: (!is_forgotten).then(|| KnownView {
                service: "MD4C-ADLM-DWLB-DD2V-N7JA-7MD3-IKL6".to_owned(),
                since: noon() - Duration::from_secs(7 * 24 * 3_600),
                updated: noon() - Duration::from_secs(30 * 24 * 3_600),
            }),
            hosts: exists
                .then(|| HostView {
                    host: format!("mmm.{domain}"),
                    port: 443,
                    addresses: vec!["2001:db8::7".to_owned(), "192.0.2.7".to_owned()],
                })
                .into_iter()
                .collect(),
            not_found: (!exists).then(|| "the domain does not exist".to_owned()),
            is_another: is_changed,
            no_answer: match (exists, is_changed) {
                (true, true) => Some(OTHER.to_owned()),
                (false, _) => Some("the domain does not exist".to_owned()),
                (true, false) => None,
            },
        };
        Box::pin(std::future::ready(Ok(view)))
    }

    fn forget<'a>(&'a self, domain: &'a str) -> Answer<'a, ()> {
        let outcome = if domain == "away.example" {
            Err(DeskError::Unavailable {
                cause: "the store does not answer".to_owned(),
            })
        } else {
            self.0.lock().unwrap().push(domain.to_owned());
            Ok(())
        };
        Box::pin(std::future::ready(outcome))
    }
}

#[test]
fn a_service_that_became_another_is_shown_and_forgotten() {
    let office = Office::open(Desks::empty());
    let shown = office.transcript(&[
        "meshd peer show example.net",
        "meshd peer show Moved.Example",
        "meshd peer forget moved.example",
        "meshd peer show moved.example",
        "meshd peer show gone.example",
        "meshd peer show \"not a domain\"",
        "meshd peer forget away.example",
        "meshd peer show moved.example --json",
    ]);
    shown.check("peer");
    let orders = office.audit();
    assert_eq!(orders[0]["action"], "forget a service");
    assert_eq!(orders[0]["about"]["id"], "moved.example");
}
