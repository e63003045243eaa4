//! What domains use: what people read, and how it is compared with their accounts and set right.

use mesh_backend::store::{MemoryStore, Store, Tx, TxOptions, keys};
use mesh_common::cluster::PartitionId;

use super::Office;
use super::desks::Desks;

#[test]
fn what_domains_use_is_shown_by_domain() {
    let office = Office::open(Desks::busy());
    let shown = office.transcript(&[
        "meshd domain usage",
        "meshd domain usage --max 1",
        "meshd domain usage small.example",
        "meshd domain usage nowhere.example",
        "meshd domain usage example.com --json",
    ]);
    shown.check("domains");
}

/// A row of table 12 that says this of a domain without accounts.
fn say(store: &MemoryStore, domain: &str, octets: u64, accounts: u64) {
    let mut row = vec![1];
    for number in [1, octets, accounts, 0, 0] {
        row.extend_from_slice(&number.to_be_bytes());
    }
    let mut tx = store.begin(TxOptions::default());
    tx.set(&keys::usage(domain, PartitionId(1_023)), row);
    let committed = actix_rt::System::new().block_on(tx.commit());
    committed.unwrap();
}

#[test]
fn what_domains_are_said_to_use_and_do_not_is_found_and_set_right() {
    let store = MemoryStore::new();
    say(&store, "gone.example", 1_000, 2);
    say(&store, "other.example", 1, 1);
    let office = Office::open_over(store, Desks::busy(), Vec::new());
    let verified = office.transcript(&[
        "meshd verify --domain other.example",
        "meshd verify",
        "meshd verify --one-in 10",
        "meshd verify --mend",
        "meshd verify",
        "meshd verify --json",
    ]);
    verified.check("verify");
    let mended = "set right what domains use";
    let is_about = |line: &serde_json::Value| line["action"] == mended;
    assert!(office.audit().iter().any(is_about), "{:?}", office.audit());
}
