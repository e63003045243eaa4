//! Post beyond what a message says of itself: to other services, as far as there is room; what the
//! sender's own contacts refuse; and what complaints lead to (service §7.2 and §8, cluster §14; X-61).

use mesh_common::catalog::entry::{Address, CatalogEntry, CatalogedContact, Contact, Permission};
use mesh_common::limits::QUEUE_FULL_PAUSE;
use mesh_common::protocol::{Code, Transaction};
use mesh_tests::people::{Person, permission};
use mesh_tests::{Answer, Client, Device, TestService, alice, bob, frames};

use crate::sealed;

const POST: Transaction = Transaction::Post;
const CONTACTS: &str = "mmm_Contact";
const BOB: &str = "bob@example.com";
const ALICE: &str = "alice@example.com";

/// Somebody with an account, and a device that may send everything.
struct Sender {
    phone: Device,
    client: Client,
}

impl Sender {
    fn new(service: &TestService, person: &Person) -> Self {
        let mut client = Client::of_new_account_with_device(service, person);
        let phone = person.another_device("phone", &permission("*"));
        let added = frames::upload(frames::DEVICES, vec![phone.frame(2, "New")]);
        client.ask(&added).must_be(Code::Ok);
        let client = Client::of_device(service, &phone);
        Self { phone, client }
    }

    fn posts(&mut self, tag: &str, id: &str, accounts: &[&str]) -> Answer {
        let message = self.phone.signed(frames::message(tag, id, "{}"));
        self.client.ask(&frames::post(accounts, vec![message]))
    }

    /// Says in a readable contact what comes from `address`, and goes there.
    fn says_of(&mut self, address: &str, name: &str, role: &str) {
        let mut entry = CatalogedContact {
            permissions: vec![Permission {
                name: Some(name.to_owned()),
                role: Some(role.to_owned()),
                ..Permission::default()
            }],
            ..CatalogedContact::default()
        };
        entry.enclose(&Contact {
            addresses: vec![Address {
                uri: Some(format!("mmm:{address}")),
                ..Address::default()
            }],
            ..Contact::default()
        });
        let payload = CatalogEntry::CatalogedContact(entry).to_json();
        let frames = vec![frames::first(), frames::event(1, "New", address, &payload)];
        let said = frames::upload(CONTACTS, frames);
        self.client.ask(&said).must_be(Code::Ok);
    }
}

// P-9.1.2-a
#[test]
fn what_is_for_others_is_taken_while_there_is_room() {
    let service = TestService::with(|config| {
        config.backend.policy.queue.per_destination_max = 2;
        config.backend.policy.queue.per_tenant_max = 3;
        config.backend.policy.queue.tenant_share = 1;
    });
    let mut alice = Sender::new(&service, &alice());
    let dave = "dave@elsewhere.invalid";
    let both = &[dave, BOB];
    alice.posts("RequestTask", "task-1", both).must_be(Code::Ok);
    alice
        .posts("RequestTask", "task-2", &[dave])
        .must_be(Code::Ok);
    let full = alice.posts("RequestTask", "task-3", both);
    sealed(
        POST,
        Code::QueueFull,
        "to-a-domain-for-which-much-waits",
        &full,
    );
    let wait: u64 = full.http.header("retry-after").unwrap().parse().unwrap();
    let pause = QUEUE_FULL_PAUSE.as_secs();
    assert!((pause..=pause + pause / 2).contains(&wait), "{wait}");
    let erin = &["erin@third.invalid"];
    alice.posts("RequestTask", "task-4", erin).must_be(Code::Ok);
    let full = alice.posts("RequestTask", "task-5", &["frank@fourth.invalid"]);
    sealed(
        POST,
        Code::QueueFull,
        "from-a-domain-of-which-much-waits",
        &full,
    );
    // What is there comes again without being counted; what stays here is not hindered.
    alice.posts("RequestTask", "task-1", both).must_be(Code::Ok);
    alice
        .posts("RequestTask", "task-6", &[BOB])
        .must_be(Code::Ok);
}

// I-S-4.4-c I-S-5-a
#[test]
fn what_the_own_contacts_refuse_is_not_sent() {
    let service = TestService::start();
    let mut alice = Sender::new(&service, &alice());
    alice.says_of(BOB, "Task", "Reject");
    let refused = alice.posts("RequestTask", "task-1", &[BOB]);
    sealed(
        POST,
        Code::Refused,
        "what-the-own-contacts-refuse",
        &refused,
    );
    alice
        .posts("RequestContact", "contact-1", &[BOB])
        .must_be(Code::Ok);
    alice
        .posts("RequestTask", "task-2", &["carol@example.com"])
        .must_be(Code::Ok);
}

// S-4.4-b
#[test]
fn complaints_restrict_an_account_and_then_suspend_it() {
    let restricted = TestService::with(|config| {
        config.backend.policy.conduct.throttled_from = 1;
        config.backend.policy.conduct.restricted_from = 1;
    });
    let mut sender = complained_about(&restricted);
    let carol = &["carol@example.com"];
    let refused = sender.posts("RequestContact", "contact-9", carol);
    sealed(
        POST,
        Code::Refused,
        "to-a-stranger-while-restricted",
        &refused,
    );
    sender.says_of("carol@example.com", "Contact", "Accept");
    sender
        .posts("RequestContact", "contact-9", carol)
        .must_be(Code::Ok);

    let suspended = TestService::with(|config| {
        config.backend.policy.conduct.suspended_from = 1;
    });
    let mut sender = complained_about(&suspended);
    let refused = sender.posts("RequestContact", "contact-9", carol);
    sealed(POST, Code::Refused, "while-suspended", &refused);
    // Synchronization goes on.
    sender.client.ask(&frames::status()).must_be(Code::Ok);
    sender.says_of("carol@example.com", "Contact", "Accept");
}

/// Alice, who wrote to Bob and his spouse although both had blocked her. The second complaint makes up
/// for the time that has passed since the first.
fn complained_about(service: &TestService) -> Sender {
    let mut sender = Sender::new(service, &alice());
    for name in ["bob", "ben"] {
        let person = match name {
            "bob" => bob(),
            other => Person::named(other),
        };
        let mut annoyed = Sender::new(service, &person);
        annoyed.says_of(ALICE, "*", "Reject");
        let sent = sender.posts("RequestContact", name, &[&person.address]);
        sent.must_be(Code::Ok);
    }
    while service.measured("mesh_intake_entries_total", "rejected") < 2.0 {
        std::thread::yield_now();
    }
    sender
}
