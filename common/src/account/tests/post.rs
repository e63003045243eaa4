//! Post by a device: the checks of service §7.2 in their order, what one commit writes, what comes
//! again, and how much may be sent (decisions,
//!

mod conduct;
mod rates;
mod remote;

use std::time::Duration;

use super::devices::alice_with_laptop;
use super::*;
use crate::account::intake::{ExchangeKey, ExchangeKind, IntakeBody, IntakeMessage};
use crate::account::testing::{badly_signed, completion, message, rows_of, signed, signed_online};
use crate::account::{Decision, IntakeEntry};
use crate::cluster::Evidence;
use crate::dare::Envelope;
use crate::limits::{MESSAGE_PAYLOAD_BYTES_MAX, POST_MESSAGES_MAX, POST_RECIPIENTS_MAX};
use crate::protocol::{PostRequest, Request};
use crate::session::{Mode, RequestId, Via};
use crate::spool::MessageState;

const BOB: &str = "bob@example.com";
const CAROL: &str = "carol@example.com";
const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 3_600);

/// Alice's account and her connected device; rates are not limited.
fn unlimited() -> (Shell, Device) {
    let (mut shell, laptop) = alice_with_laptop();
    shell.policy.outbound_rates = None;
    (shell, laptop)
}

fn post_all(
    device: &mut Device,
    accounts: &[&str],
    messages: Vec<Envelope>,
    self_messages: Vec<Envelope>,
) -> AccountRequest {
    let request = Request::Post(PostRequest {
        accounts: accounts.iter().map(|one| (*one).to_owned()).collect(),
        messages,
        self_messages,
        ..PostRequest::default()
    });
    device.ask(request, Evidence::Nothing)
}

fn post(device: &mut Device, accounts: &[&str], messages: Vec<Envelope>) -> AccountRequest {
    post_all(device, accounts, messages, Vec::new())
}

/// A message that the laptop signed.
fn from_laptop(tag: &str, id: &str) -> Envelope {
    signed(message(tag, id, "{}"), "laptop", &[])
}

/// What one device posts to Bob comes to.
fn sent(shell: &mut Shell, device: &mut Device, message: Envelope) -> Code {
    told(shell, post(device, &[BOB], vec![message]))
}

/// The messages left in intakes.
fn left(shell: &Shell, device: &Device) -> Vec<IntakeEntry> {
    let entries = shell.left_by(state(shell, device).record.id).iter();
    let is_message = |entry: &&IntakeEntry| matches!(entry.body, IntakeBody::Message(_));
    entries.filter(is_message).cloned().collect()
}

/// What is told of the account's own messages: which, to whom, how far.
fn told_of(shell: &Shell, device: &Device) -> Vec<(String, String, MessageState)> {
    let entries = shell.left_by(state(shell, device).record.id).iter();
    let outcome = |entry: &IntakeEntry| match &entry.body {
        IntakeBody::Message(_) => None,
        IntakeBody::Outcome(one) => {
            assert_eq!(entry.account, state(shell, device).record.address);
            let recipient = one.recipient.canonical().to_owned();
            Some((one.unique_id.clone(), recipient, one.state))
        }
    };
    entries.filter_map(outcome).collect()
}

/// For whom something was left, and which message.
fn names(entries: &[IntakeEntry]) -> Vec<(&str, &str)> {
    entries
        .iter()
        .map(|entry| {
            (
                entry.account.canonical(),
                message_of(entry).unique_id.as_str(),
            )
        })
        .collect()
}

fn message_of(entry: &IntakeEntry) -> &IntakeMessage {
    match &entry.body {
        IntakeBody::Message(message) => message,
        IntakeBody::Outcome(_) => panic!("a Post leaves messages"),
    }
}

// P-9.1.1-a
#[test]
fn one_commit_records_the_message_and_leaves_it_for_every_recipient() {
    let (mut shell, mut laptop) = unlimited();
    let commits = shell.commits;
    let messages = vec![
        from_laptop("RequestTask", "T1"),
        from_laptop("RequestTask", "T2"),
    ];
    let request = post(
        &mut laptop,
        &[BOB, CAROL, "BOB@Example.com"],
        messages.clone(),
    );
    let answer = shell.perform(request);
    shell.check();
    assert_eq!(code(&answer), Code::Ok);
    assert_eq!(rows_of(&answer), [(ACCEPT, Some(1)), (ACCEPT, Some(2))]);
    assert_eq!(shell.commits, commits + 1);
    assert_eq!(count(&shell, &laptop, "mmm_Outbound"), 3);
    let entries = left(&shell, &laptop);
    assert_eq!(
        names(&entries),
        [(BOB, "T1"), (CAROL, "T1"), (BOB, "T2"), (CAROL, "T2")]
    );
    let first = message_of(&entries[0]);
    assert_eq!(first.envelope, messages[0]);
    assert_eq!(first.message_type.as_deref(), Some("RequestTask"));
    assert_eq!(first.sender.address.canonical(), ALICE);
    let record = state(&shell, &laptop).record;
    assert_eq!(first.sender.account_udf, record.keys.account_udf);
    assert_eq!(
        first.sender.signed_by,
        Some(crate::account::testing::udf("laptop signature"))
    );
    let ids: std::collections::BTreeSet<_> = entries.iter().map(|entry| entry.id).collect();
    assert_eq!(ids.len(), 4, "every entry has an id of its own");
    // what is left for somebody here is on its way, and the sender is told.
    let sent = |id: &str, to: &str| (id.to_owned(), to.to_owned(), MessageState::Sent);
    assert_eq!(
        told_of(&shell, &laptop),
        [
            sent("T1", BOB),
            sent("T1", CAROL),
            sent("T2", BOB),
            sent("T2", CAROL)
        ]
    );
}

// Q-53 rule 4 needs what was asked
#[test]
fn requests_are_remembered_until_they_are_answered() {
    let (mut shell, mut laptop) = unlimited();
    let messages = vec![
        from_laptop("RequestContact", "C1"),
        from_laptop("RequestConfirmation", "O1"),
        from_laptop("RequestTask", "T1"),
    ];
    assert_eq!(
        told(&mut shell, post(&mut laptop, &[BOB], messages)),
        Code::Ok
    );
    let mut awaited = shell.awaited_by(state(&shell, &laptop).record.id);
    awaited.sort();
    let (contact, confirmation) = (ExchangeKind::Contact, ExchangeKind::Confirmation);
    let mut expected = vec![
        ExchangeKey::Recipient(contact, BOB.into()),
        ExchangeKey::Message(contact, "C1".into()),
        ExchangeKey::Recipient(confirmation, BOB.into()),
        ExchangeKey::Message(confirmation, "O1".into()),
    ];
    expected.sort();
    assert_eq!(awaited, expected);
}

// P-10.12-a
#[test]
fn whatever_is_wrong_with_a_message_undoes_the_whole_post() {
    let mut enormous = message("RequestTask", "T1", "{}");
    enormous.payload.0 = vec![b' '; MESSAGE_PAYLOAD_BYTES_MAX + 1];
    let unreadable = signed(
        Envelope {
            payload: b"no JSON".to_vec().into(),
            ..message("RequestTask", "T1", "{}")
        },
        "laptop",
        &[],
    );
    let sender = |text: &str| {
        let body = format!("{{\"Sender\":\"{text}\"}}");
        signed(message("RequestTask", "T1", &body), "laptop", &[])
    };
    let mut heavy = message("RequestTask", "T1", "{}");
    let weight = "x".repeat(16_000);
    heavy
        .header
        .extra
        .insert("Weight".into(), weight.clone().into());
    let heavy = signed(heavy, "laptop", &[]);
    let mut heavier = heavy.clone();
    let trailer = heavier.trailer.as_mut().unwrap();
    trailer.extra.insert("Weight".into(), weight.into());
    let two_ids = message("RequestTask", "T1", "{\"MessageID\":\"T2\"}");
    let confirmation = message("ResponseConfirmation", "R1", "{}");
    let cases = [
        (signed(enormous, "laptop", &[]), Code::TooLarge),
        (heavy, Code::Ok),
        (heavier, Code::TooLarge),
        (unreadable, Code::Malformed),
        (from_laptop("RequestTask", ""), Code::Malformed),
        (signed(two_ids, "laptop", &[]), Code::Malformed),
        (message("RequestTask", "T1", "{}"), Code::InvalidSignature),
        (
            signed_online(message("RequestTask", "T1", "{}")),
            Code::InvalidSignature,
        ),
        (
            badly_signed(message("RequestTask", "T1", "{}")),
            Code::InvalidSignature,
        ),
        (
            signed(message("RequestTask", "T1", "{}"), "phone", &[]),
            Code::InvalidProfile,
        ),
        (sender("mallet@example.com"), Code::NotAuthorized),
        (sender("no address"), Code::NotAuthorized),
        (sender("Alice@EXAMPLE.com"), Code::Ok),
        (from_laptop("MessagePIN", "P1"), Code::Refused),
        (from_laptop("RequestConnection", "Q1"), Code::Refused),
        (from_laptop("Unheard", "U1"), Code::Refused),
        (
            signed(completion("C1", "T1", "Read"), "laptop", &[]),
            Code::Refused,
        ),
        (
            signed(confirmation.clone(), "laptop", &["Admin"]),
            Code::NotAuthorized,
        ),
        (
            signed(confirmation.clone(), "laptop", &["Admin", "Confirm"]),
            Code::Ok,
        ),
        (signed(confirmation, "laptop", &[]), Code::Ok),
        (
            signed(message("RequestTask", "T1", "{}"), "laptop", &["Contact"]),
            Code::NotAuthorized,
        ),
    ];
    for (case, expected) in cases {
        let (mut shell, mut laptop) = unlimited();
        let good = from_laptop("RequestTask", "good");
        let own = signed(message("Notice", "N1", "{}"), "laptop", &[]);
        let request = post_all(&mut laptop, &[BOB], vec![good, case.clone()], vec![own]);
        let answer = shell.perform(request);
        shell.check();
        assert_eq!(code(&answer), expected, "{case:?}");
        if expected != Code::Ok {
            let rows = rows_of(&answer);
            assert_eq!(rows[0], (CONFLICT, Some(1)), "{case:?}");
            assert_eq!(rows[1], (REJECT, None), "{case:?}");
            assert_eq!(rows[2], (CONFLICT, Some(1)), "{case:?}");
            assert!(left(&shell, &laptop).is_empty());
            assert_eq!(count(&shell, &laptop, "mmm_Outbound"), 1);
        }
    }
}

#[test]
fn an_encrypted_message_is_known_by_its_content_metadata() {
    let (mut shell, mut laptop) = unlimited();
    let encrypted = |tag: &str| {
        let mut envelope = from_laptop(tag, "E1");
        envelope.header.enc = Some("A256CBC".into());
        envelope.payload.0 = vec![7; 64];
        envelope
    };
    let mut nameless = encrypted("RequestTask");
    let meta = crate::dare::ContentMeta {
        message_type: None,
        ..nameless.header.content_meta().unwrap()
    };
    nameless.header = nameless.header.with_content_meta(&meta);
    assert_eq!(sent(&mut shell, &mut laptop, nameless), Code::Malformed);
    assert_eq!(
        sent(&mut shell, &mut laptop, encrypted("MessagePIN")),
        Code::Refused
    );
    assert_eq!(
        sent(&mut shell, &mut laptop, encrypted("RequestTask")),
        Code::Ok
    );
    assert_eq!(names(&left(&shell, &laptop)), [(BOB, "E1")]);
}

//
#[test]
fn recipients_are_accounts_here_or_elsewhere() {
    let many: Vec<String> = (0..=POST_RECIPIENTS_MAX)
        .map(|number| format!("user{number}@example.com"))
        .collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let cases: [(&[&str], Code); 7] = [
        (&["nobody"], Code::InvalidName),
        (&[BOB, "bob@ex\u{1}ample.com"], Code::InvalidName),
        (&[BOB, "dave@elsewhere.example"], Code::Ok),
        (&many, Code::TooLarge),
        (&many[1..], Code::Ok),
        (&["not.there@example.com"], Code::Ok),
        (&["bob@other.example"], Code::Ok),
    ];
    for (accounts, expected) in cases {
        let (mut shell, mut laptop) = unlimited();
        shell.policy.domains_served.insert("other.example".into());
        let request = post(
            &mut laptop,
            accounts,
            vec![from_laptop("RequestTask", "T1")],
        );
        assert_eq!(told(&mut shell, request), expected, "{accounts:?}");
        let account = state(&shell, &laptop).record.id;
        let recipients = left(&shell, &laptop).len() + shell.queued_by(account).len();
        let expected = if expected == Code::Ok {
            accounts.len()
        } else {
            0
        };
        assert_eq!(recipients, expected);
    }
}

//
#[test]
fn the_largest_message_goes_to_the_most_recipients_and_not_more_at_once() {
    let recipients: Vec<String> = (0..POST_RECIPIENTS_MAX)
        .map(|number| format!("user{number}@example.com"))
        .collect();
    let recipients: Vec<&str> = recipients.iter().map(String::as_str).collect();
    let of_payload = |id: &str, octets: usize| {
        let mut envelope = from_laptop("RequestTask", id);
        envelope.header.enc = Some("A256CBC".into());
        envelope.payload.0 = vec![7; octets];
        envelope
    };
    let (mut shell, mut laptop) = unlimited();
    let largest = of_payload("T1", MESSAGE_PAYLOAD_BYTES_MAX);
    let fits = post(&mut laptop, &recipients, vec![largest]);
    assert_eq!(told(&mut shell, fits), Code::Ok);
    let next = of_payload("T2", MESSAGE_PAYLOAD_BYTES_MAX);
    let beyond = post(&mut laptop, &recipients, vec![next, of_payload("T3", 1)]);
    assert_eq!(told(&mut shell, beyond), Code::TooLarge);
    // Signature blocks alone are bounded as well.
    let mut heavy = from_laptop("RequestTask", "H");
    heavy
        .header
        .extra
        .insert("Weight".into(), "x".repeat(12_000).into());
    let heavy = (0..12).map(|number| {
        let meta = crate::dare::ContentMeta {
            unique_id: Some(format!("H{number}")),
            ..heavy.header.content_meta().unwrap()
        };
        Envelope {
            header: heavy.header.clone().with_content_meta(&meta),
            ..heavy.clone()
        }
    });
    let beyond = post(&mut laptop, &recipients, heavy.collect());
    assert_eq!(told(&mut shell, beyond), Code::TooLarge);
}

#[test]
fn a_post_has_so_many_messages_and_not_one_more() {
    let (mut shell, mut laptop) = unlimited();
    let of = |count: usize| -> Vec<Envelope> {
        (0..count)
            .map(|number| from_laptop("RequestTask", &format!("T{number}")))
            .collect()
    };
    let own = signed(message("Notice", "N1", "{}"), "laptop", &[]);
    let beyond = post_all(&mut laptop, &[BOB], of(POST_MESSAGES_MAX), vec![own]);
    assert_eq!(told(&mut shell, beyond), Code::TooLarge);
    let fits = post(&mut laptop, &[BOB], of(POST_MESSAGES_MAX));
    assert_eq!(told(&mut shell, fits), Code::Ok);
}

//
#[test]
fn notices_go_to_local_and_completions_to_what_they_refer_to() {
    let (mut shell, mut laptop) = unlimited();
    let pin = signed(message("MessagePIN", "P1", "{}"), "laptop", &[]);
    let respond = signed_online(message("RespondConnection", "R1", "{}"));
    let answer = shell.perform(post(&mut laptop, &[], vec![respond]));
    assert_eq!(rows_of(&answer), [(ACCEPT, Some(1))]);
    let answer = shell.perform(post_all(
        &mut laptop,
        &[BOB],
        vec![from_laptop("RequestTask", "T1")],
        vec![
            pin,
            completion("C1", "P1", "Deleted"),
            completion("C2", "T1", "Read"),
            completion("C3", "nobody knows", "Read"),
        ],
    ));
    shell.check();
    assert_eq!(code(&answer), Code::Ok);
    let accepted = [1, 2, 3, 2, 1].map(|index| (ACCEPT, Some(index)));
    assert_eq!(rows_of(&answer), accepted);
    assert_eq!(count(&shell, &laptop, "mmm_Local"), 4);
    assert_eq!(count(&shell, &laptop, "mmm_Outbound"), 3);
    assert_eq!(count(&shell, &laptop, "mmm_Inbound"), 2);
    assert_eq!(left(&shell, &laptop).len(), 1);
}

//
#[test]
fn pins_and_connection_answers_are_signed() {
    let (mut shell, mut laptop) = unlimited();
    let (pin, respond) = (
        message("MessagePIN", "P", "{}"),
        message("RespondConnection", "R", "{}"),
    );
    for (own, expected) in [
        (pin.clone(), Code::InvalidSignature),
        (badly_signed(pin.clone()), Code::InvalidSignature),
        (signed(pin.clone(), "stranger", &[]), Code::InvalidProfile),
        (signed_online(pin.clone()), Code::Ok),
        (respond.clone(), Code::InvalidSignature),
        (
            signed(respond.clone(), "laptop", &[]),
            Code::InvalidSignature,
        ),
        (signed_online(respond), Code::Ok),
        (
            badly_signed(completion("C1", "P", "Read")),
            Code::InvalidSignature,
        ),
        (completion("C1", "P", "Read"), Code::Ok),
    ] {
        let in_post = post(&mut laptop, &[], vec![own.clone()]);
        assert_eq!(told(&mut shell, in_post), expected, "{own:?}");
        let in_self = post_all(&mut laptop, &[], Vec::new(), vec![own.clone()]);
        assert_eq!(told(&mut shell, in_self), expected, "{own:?}");
        let in_upload = laptop.upload_all(Vec::new(), vec![own.clone()]);
        assert_eq!(told(&mut shell, in_upload), expected, "{own:?}");
        if own.header.content_meta().unwrap().message_type.as_deref() != Some("MessageComplete") {
            let in_update = laptop.upload("mmm_Local", vec![own.clone()]);
            assert_eq!(told(&mut shell, in_update), expected, "{own:?}");
        }
    }
    // In interop mode nobody signs.
    let mut reference = Device::of(ALICE, "laptop").authenticating(Mode::Interop, Via::Bare);
    assert_eq!(
        told(&mut shell, post(&mut reference, &[], vec![pin])),
        Code::Ok
    );
}

//
#[test]
fn the_answer_to_a_hailing_account_is_an_administrators() {
    let (mut shell, mut laptop) = unlimited();
    let respond = message("RespondConnection", "R1", "{}");
    assert_eq!(
        sent(&mut shell, &mut laptop, respond.clone()),
        Code::InvalidSignature
    );
    let by_device = signed(respond.clone(), "laptop", &[]);
    assert_eq!(
        sent(&mut shell, &mut laptop, by_device),
        Code::InvalidSignature
    );
    assert_eq!(
        sent(&mut shell, &mut laptop, signed_online(respond)),
        Code::Ok
    );
    let entries = left(&shell, &laptop);
    assert_eq!(
        message_of(&entries[0]).sender.signed_by,
        Some(crate::account::testing::udf("online"))
    );
}

//
#[test]
fn a_message_that_comes_again_goes_to_nobody_twice() {
    let (mut shell, mut laptop) = unlimited();
    let task = from_laptop("RequestTask", "T1");
    let request = post(&mut laptop, &[BOB], vec![task.clone()]);
    let first = shell.perform(request.clone());
    // Under the same RequestID: the stored answer.
    assert_eq!(shell.perform(request), first);
    // Under another one.
    let again = shell.perform(post(&mut laptop, &[BOB], vec![task.clone()]));
    assert_eq!(rows_of(&again), rows_of(&first));
    // Twice in one request.
    let twice = shell.perform(post(&mut laptop, &[BOB], vec![task.clone(), task.clone()]));
    assert_eq!(rows_of(&twice), [(ACCEPT, Some(1)), (ACCEPT, Some(1))]);
    assert_eq!(names(&left(&shell, &laptop)), [(BOB, "T1")]);
    // To others as well: to them alone, and without a second frame.
    let more = shell.perform(post(&mut laptop, &[CAROL, BOB], vec![task]));
    assert_eq!(rows_of(&more), [(ACCEPT, Some(1))]);
    assert_eq!(names(&left(&shell, &laptop)), [(BOB, "T1"), (CAROL, "T1")]);
    assert_eq!(count(&shell, &laptop, "mmm_Outbound"), 2);
    let other = signed(message("RequestTask", "T1", "{\"x\":1}"), "laptop", &[]);
    assert_eq!(sent(&mut shell, &mut laptop, other.clone()), Code::IdReused);
    shell.advance(DAY * 31);
    assert_eq!(
        sent(&mut shell, &mut laptop, other),
        Code::Ok,
        "ids are remembered for 30 days"
    );
}

#[test]
fn a_request_id_stands_for_one_post() {
    let (mut shell, mut laptop) = unlimited();
    let mut first = post(&mut laptop, &[BOB], vec![from_laptop("RequestTask", "T1")]);
    let mut second = post(&mut laptop, &[BOB], vec![from_laptop("RequestTask", "T2")]);
    first.request_id = RequestId([1; 16]);
    second.request_id = RequestId([1; 16]);
    assert_eq!(told(&mut shell, first), Code::Ok);
    assert_eq!(told(&mut shell, second), Code::Replay);
}

// service §7.2: caller connected and not suspended
#[test]
fn only_a_connected_device_posts() {
    let (mut shell, _) = unlimited();
    let task = || vec![from_laptop("RequestTask", "T1")];
    let mut stranger = Device::of(ALICE, "stranger");
    assert_eq!(
        told(&mut shell, post(&mut stranger, &[BOB], task())),
        Code::DeviceRevoked
    );
    let mut service = Device::of(ALICE, "laptop").authenticating(Mode::Service, Via::Ticket);
    assert_eq!(
        told(&mut shell, post(&mut service, &[BOB], task())),
        Code::NotAuthorized
    );
    let mut device = Device::of(ALICE, "laptop").authenticating(Mode::Device, Via::Ticket);
    assert_eq!(
        told(&mut shell, post(&mut device, &[BOB], task())),
        Code::NotAuthorized
    );
}

//
#[test]
fn evidence_of_other_profiles_is_stale() {
    let (mut shell, mut laptop) = unlimited();
    let mut request = post(&mut laptop, &[BOB], vec![from_laptop("RequestTask", "T1")]);
    if let Evidence::Content(content) = &mut request.evidence {
        content.profile_version = 2;
    }
    assert_eq!(shell.decide(&request), Decision::Stale);
}

#[test]
fn what_nobody_verified_is_refused() {
    let (mut shell, mut laptop) = unlimited();
    let mut request = post(&mut laptop, &[BOB], vec![from_laptop("RequestTask", "T1")]);
    request.evidence = Evidence::Nothing;
    assert_eq!(told(&mut shell, request), Code::InvalidSignature);
}

#[test]
fn a_site_says_what_is_sent() {
    let (mut shell, mut laptop) = unlimited();
    shell.policy.outbound_types = vec!["Contact".into(), "RequestTask".into()];
    for (tag, expected) in [
        ("RequestContact", Code::Ok),
        ("ReplyContact", Code::Ok),
        ("RequestTask", Code::Ok),
        ("RequestConfirmation", Code::Refused),
        ("OfferGroup", Code::Refused),
    ] {
        assert_eq!(
            sent(&mut shell, &mut laptop, from_laptop(tag, tag)),
            expected,
            "{tag}"
        );
    }
    shell.policy.outbound_types = vec!["*".into()];
    assert_eq!(
        sent(&mut shell, &mut laptop, from_laptop("Unheard", "U1")),
        Code::Ok
    );
    assert_eq!(
        sent(&mut shell, &mut laptop, from_laptop("MessagePIN", "P1")),
        Code::Refused
    );
}

#[test]
fn a_post_of_nothing_changes_nothing() {
    let (mut shell, mut laptop) = unlimited();
    let commits = shell.commits;
    assert_eq!(
        told(&mut shell, post(&mut laptop, &[], Vec::new())),
        Code::Ok
    );
    assert_eq!(
        told(&mut shell, post(&mut laptop, &[BOB], Vec::new())),
        Code::Ok
    );
    assert_eq!(shell.commits, commits);
}
