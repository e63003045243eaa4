//! What follows for a sender from complaints, and from its own contacts (service §7.2).

use std::sync::Arc;

use super::*;
use crate::account::OutboundRates;
use crate::account::intake::ContactIndex;
use crate::account::intake::tests::contacts::contacts_of;
use crate::conduct::{Conduct, ConductPolicy, Incident, IncidentId, Reporter, Subject};

const DAVE: &str = "dave@elsewhere.example";

/// So many people complained about Alice just now.
fn complain(shell: &mut Shell, times: u32) {
    let address = alice();
    for number in 0..times {
        shell.complaints.push(Incident {
            id: IncidentId::of(&[&number.to_be_bytes()]),
            at: shell.now,
            subject: Subject::Account(address.clone()),
            what: "unwanted".into(),
            weight: 1_000,
            reporter: Reporter::Operator("carol".into()),
            message: None,
        });
    }
}

fn alice() -> crate::address::AccountAddress {
    crate::address::AccountAddress::parse(ALICE).unwrap()
}

fn posting(shell: &mut Shell, device: &mut Device, to: &str, id: &str) -> Code {
    let request = post(device, &[to], vec![from_laptop("RequestTask", id)]);
    told(shell, request)
}

// S-4.4-b
#[test]
fn an_account_that_draws_complaints_sends_less_then_to_contacts_then_nothing() {
    let (mut shell, mut laptop) = alice_with_laptop();
    shell.advance(DAY * 30);
    shell.policy.outbound_rates = Some(OutboundRates {
        messages_per_minute: 20,
        ..OutboundRates::default()
    });
    shell.senders_contacts = Some(Arc::new(contacts_of(&[(BOB, &[])])));
    let ConductPolicy {
        throttled_from,
        restricted_from,
        suspended_from,
    } = shell.policy.conduct;
    complain(&mut shell, throttled_from - 1);
    for id in ["A1", "A2", "A3"] {
        assert_eq!(posting(&mut shell, &mut laptop, DAVE, id), Code::Ok);
    }
    // Throttled: a tenth of twenty in a minute.
    shell.advance(MINUTE * 2);
    complain(&mut shell, 2);
    for (id, expected) in [
        ("B1", Code::Ok),
        ("B2", Code::Ok),
        ("B3", Code::RateLimited),
    ] {
        assert_eq!(posting(&mut shell, &mut laptop, DAVE, id), expected, "{id}");
    }
    // Restricted: contacts only, and only so often.
    shell.advance(MINUTE * 2);
    complain(&mut shell, restricted_from - throttled_from);
    assert_eq!(posting(&mut shell, &mut laptop, DAVE, "C1"), Code::Refused);
    assert_eq!(posting(&mut shell, &mut laptop, BOB, "C2"), Code::Ok);
    // Suspended: nothing goes out; what stays within the account does.
    shell.advance(MINUTE * 2);
    complain(&mut shell, suspended_from - restricted_from);
    assert_eq!(posting(&mut shell, &mut laptop, BOB, "D1"), Code::Refused);
    let own = signed(message("Notice", "N1", "{}"), "laptop", &[]);
    let own = post_all(&mut laptop, &[], Vec::new(), vec![own]);
    assert_eq!(told(&mut shell, own), Code::Ok);
    // Time leads back: half of it is gone after a week.
    shell.advance(DAY * 7);
    assert_eq!(posting(&mut shell, &mut laptop, DAVE, "E1"), Code::Refused);
    assert_eq!(posting(&mut shell, &mut laptop, BOB, "E2"), Code::Ok);
    shell.advance(DAY * 21);
    for id in ["F1", "F2", "F3"] {
        assert_eq!(posting(&mut shell, &mut laptop, DAVE, id), Code::Ok, "{id}");
    }
}

#[test]
fn complaints_about_others_are_not_held_against_the_account() {
    let (mut shell, mut laptop) = unlimited();
    complain(&mut shell, 100);
    for incident in &mut shell.complaints {
        incident.subject = Subject::Service("example.com".into());
    }
    assert_eq!(posting(&mut shell, &mut laptop, DAVE, "T1"), Code::Ok);
    assert!(Conduct::default().score(shell.now) < 0.1);
}

// I-S-4.4-c
#[test]
fn nobody_sends_what_the_own_contacts_refuse() {
    let (mut shell, mut laptop) = unlimited();
    let contacts: ContactIndex = contacts_of(&[
        (BOB, &[("Task", "Reject")]),
        (CAROL, &[("*", "Reject"), ("Task", "Accept")]),
    ]);
    shell.senders_contacts = Some(Arc::new(contacts));
    let cases = [
        (BOB, "RequestTask", Code::Refused),
        (BOB, "RequestContact", Code::Ok),
        (CAROL, "RequestTask", Code::Ok),
        (CAROL, "RequestContact", Code::Refused),
        (DAVE, "RequestTask", Code::Ok),
        (ALICE, "RequestTask", Code::Ok),
    ];
    for (number, (to, tag, expected)) in cases.into_iter().enumerate() {
        let message = from_laptop(tag, &format!("M{number}"));
        let request = post(&mut laptop, &[to], vec![message]);
        assert_eq!(told(&mut shell, request), expected, "{tag} to {to}");
    }
    // One of several is enough to refuse the Post as a whole.
    let both = post(
        &mut laptop,
        &[BOB, DAVE],
        vec![from_laptop("RequestTask", "X")],
    );
    assert_eq!(told(&mut shell, both), Code::Refused);
}
