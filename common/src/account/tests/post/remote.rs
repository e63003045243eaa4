//! Recipients at other services: what one commit puts into queues, what comes again, and how much may
//! wait (decisions; cluster §14).

use super::*;
use crate::account::QueuePolicy;
use crate::delivery::{Class, QueueItem, QueueScope};
use crate::limits::{EXPIRY, EXPIRY_CONFIRMATION, QUEUE_FULL_PAUSE};

const DAVE: &str = "dave@elsewhere.example";
const ERIN: &str = "erin@elsewhere.example";
const FRANK: &str = "frank@third.example";

fn queued(shell: &Shell, device: &Device) -> Vec<QueueItem> {
    shell.queued_by(state(shell, device).record.id).to_vec()
}

// I-P-9.1-a
#[test]
fn a_post_that_goes_here_and_elsewhere_is_one_commit() {
    let (mut shell, mut laptop) = unlimited();
    let commits = shell.commits;
    let message = from_laptop("RequestTask", "T1");
    let request = post(&mut laptop, &[DAVE, BOB, FRANK], vec![message]);
    assert_eq!(told(&mut shell, request), Code::Ok);
    assert_eq!(shell.commits, commits + 1);
    assert_eq!(count(&shell, &laptop, "mmm_Outbound"), 2);
    assert_eq!(names(&left(&shell, &laptop)), [(BOB, "T1")]);
    let items = queued(&shell, &laptop);
    let recipients: Vec<&str> = items.iter().map(|one| one.recipient.canonical()).collect();
    assert_eq!(recipients, [DAVE, FRANK]);
    let item = &items[0];
    assert_eq!(item.sender.canonical(), ALICE);
    assert_eq!(
        (item.destination(), item.tenant()),
        ("elsewhere.example", "example.com")
    );
    assert_eq!((item.unique_id.as_str(), item.class), ("T1", Class::Bulk));
    assert_eq!((item.enqueued_at, item.due_at), (shell.now, shell.now));
    assert_eq!(item.expires_at, shell.now + EXPIRY);
    assert_ne!(items[0].id, items[1].id);
    // Whoever lives elsewhere is not told of as sent before its service has it.
    assert!(told_of(&shell, &laptop).iter().all(|(_, to, _)| to == BOB));
}

#[test]
fn what_people_wait_for_is_interactive_and_given_up_sooner() {
    let (mut shell, mut laptop) = unlimited();
    let tags = ["RequestContact", "RequestConfirmation", "RequestTask"];
    for tag in tags {
        let request = post(&mut laptop, &[DAVE], vec![from_laptop(tag, tag)]);
        assert_eq!(told(&mut shell, request), Code::Ok);
    }
    let items = queued(&shell, &laptop);
    let facts: Vec<_> = items
        .iter()
        .map(|one| (one.class, one.expires_at))
        .collect();
    assert_eq!(
        facts,
        [
            (Class::Interactive, shell.now + EXPIRY),
            (Class::Interactive, shell.now + EXPIRY_CONFIRMATION),
            (Class::Bulk, shell.now + EXPIRY),
        ]
    );
    shell.policy.queue.lifetime_h = Some(2);
    let request = post(&mut laptop, &[DAVE], vec![from_laptop("RequestTask", "T2")]);
    assert_eq!(told(&mut shell, request), Code::Ok);
    let last = queued(&shell, &laptop).pop().unwrap();
    assert_eq!(last.expires_at, shell.now + Duration::from_secs(7_200));
}

//
#[test]
fn a_message_that_comes_again_is_queued_for_those_who_have_not_got_it() {
    let (mut shell, mut laptop) = unlimited();
    let message = from_laptop("RequestTask", "T1");
    for accounts in [&[DAVE][..], &[DAVE, ERIN, BOB]] {
        let request = post(&mut laptop, accounts, vec![message.clone()]);
        assert_eq!(told(&mut shell, request), Code::Ok);
    }
    let items = queued(&shell, &laptop);
    let recipients: Vec<&str> = items.iter().map(|one| one.recipient.canonical()).collect();
    assert_eq!(recipients, [DAVE, ERIN]);
    assert_eq!(names(&left(&shell, &laptop)), [(BOB, "T1")]);
}

/// Bounds on what may wait, no others.
fn bounded(per_destination_max: u64, per_tenant_max: u64) -> (Shell, Device) {
    let (mut shell, laptop) = unlimited();
    shell.policy.queue = QueuePolicy {
        per_destination_max,
        per_tenant_max,
        ..QueuePolicy::default()
    };
    (shell, laptop)
}

fn posting(shell: &mut Shell, device: &mut Device, accounts: &[&str], id: &str) -> Code {
    let request = post(device, accounts, vec![from_laptop("RequestTask", id)]);
    told(shell, request)
}

#[test]
fn so_much_waits_for_a_destination_and_not_one_message_more() {
    let (mut shell, mut laptop) = bounded(3, 100);
    assert_eq!(posting(&mut shell, &mut laptop, &[DAVE], "T1"), Code::Ok);
    // Two more fit; three are refused before anything is stored, whoever else is to get them.
    let recipients = &[DAVE, ERIN, "gail@elsewhere.example", BOB];
    let request = post(
        &mut laptop,
        recipients,
        vec![from_laptop("RequestTask", "T2")],
    );
    let answer = shell.perform(request);
    assert_eq!(code(&answer), Code::QueueFull);
    assert_eq!(answer.retry_after, Some(QUEUE_FULL_PAUSE));
    assert_eq!(count(&shell, &laptop, "mmm_Outbound"), 2);
    assert!(left(&shell, &laptop).is_empty());
    let request = &[DAVE, ERIN];
    assert_eq!(posting(&mut shell, &mut laptop, request, "T3"), Code::Ok);
    let full = posting(&mut shell, &mut laptop, &[DAVE], "T4");
    assert_eq!(full, Code::QueueFull);
    // Others are not hindered, and what is there already comes again without being counted.
    assert_eq!(posting(&mut shell, &mut laptop, &[FRANK], "T5"), Code::Ok);
    assert_eq!(posting(&mut shell, &mut laptop, request, "T3"), Code::Ok);
    for scope in QueueScope::of("example.com", "elsewhere.example") {
        shell.waiting.insert(scope, 2);
    }
    assert_eq!(posting(&mut shell, &mut laptop, &[DAVE], "T6"), Code::Ok);
}

#[test]
fn so_much_waits_for_a_tenant_wherever_it_goes() {
    let (mut shell, mut laptop) = bounded(100, 2);
    let two = &[DAVE, FRANK];
    assert_eq!(posting(&mut shell, &mut laptop, two, "T1"), Code::Ok);
    let full = posting(&mut shell, &mut laptop, &["h@fourth.example"], "T2");
    assert_eq!(full, Code::QueueFull);
    assert_eq!(posting(&mut shell, &mut laptop, &[BOB], "T3"), Code::Ok);
}

#[test]
fn one_of_several_tenants_has_a_share_of_a_destination() {
    let (mut shell, mut laptop) = bounded(8, 100);
    shell.policy.domains_served.insert("second.example".into());
    let two = &[DAVE, ERIN];
    assert_eq!(posting(&mut shell, &mut laptop, two, "T1"), Code::Ok);
    assert_eq!(
        posting(&mut shell, &mut laptop, &[DAVE], "T2"),
        Code::QueueFull
    );
    shell.policy.domains_served.remove("second.example");
    assert_eq!(posting(&mut shell, &mut laptop, &[DAVE], "T3"), Code::Ok);
}
