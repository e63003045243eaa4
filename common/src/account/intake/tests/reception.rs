//! What becomes of entries: taken once, repeated without a second copy, refused in one way only, and
//! told in Outbound until it is final (service §7.4; architecture A-13, A-16; decisions Q-6, Q-26,
//! Q-59).

use std::time::Duration;

use sha2::{Digest, Sha512};

use super::{address, bob, peer};
use crate::account::intake::control::Reason;
use crate::account::intake::{
    ContactIndex, ExchangeKey, ExchangeKind, ExchangeRow, IntakeBody, IntakeEntry, IntakeId,
    IntakeMessage, MessageOutcome, Reception, ReceptionResult, Setting, needs, receive,
};
use crate::account::testing::{Device, NOON, Person, Shell, message};
use crate::account::{AccountStatus, Change, Lookups, Standing};
use crate::conduct::Subject;
use crate::crypto::SecretKey;
use crate::dare::Envelope;
use crate::entropy::SeededEntropy;
use crate::limits::{
    INCIDENT_WEIGHT, INCIDENT_WEIGHT_PEER, INCIDENTS_PER_RECIPIENT_DAY, INTAKE_ID_REMEMBERED,
    MESSAGE_ID_REMEMBERED,
};
use crate::spool::{MessageState, SpoolItem};

const ALICE: &str = "alice@example.com";
const INBOUND: &str = "mmm_Inbound";
const OUTBOUND: &str = "mmm_Outbound";

/// An account of Alice.
fn alice() -> (Shell, Device) {
    let mut shell = Shell::default();
    let mut laptop = Device::of(ALICE, "laptop");
    shell.perform(laptop.create(&Person::named("alice")));
    (shell, laptop)
}

fn left(id: u8, envelope: Envelope, unique_id: &str, tag: &str) -> IntakeEntry {
    IntakeEntry {
        id: IntakeId([id; 16]),
        account: address(ALICE),
        left_at: NOON,
        body: IntakeBody::Message(Box::new(IntakeMessage {
            sender: bob(),
            service: None,
            unique_id: unique_id.to_owned(),
            message_type: Some(tag.to_owned()),
            payload_digest: Sha512::digest(&envelope.payload.0).into(),
            envelope,
            block_bytes: 0,
        })),
    }
}

/// A message from Bob.
fn from_bob(id: u8, tag: &str, unique_id: &str, body: &str) -> IntakeEntry {
    left(id, message(tag, unique_id, body), unique_id, tag)
}

fn introduction(id: u8, unique_id: &str) -> IntakeEntry {
    from_bob(id, "RequestContact", unique_id, "{}")
}

fn told_state(reception: &Reception) -> Option<MessageState> {
    let told = reception.told.as_deref()?;
    match &told.body {
        IntakeBody::Outcome(outcome) => Some(outcome.state),
        IntakeBody::Message(_) => None,
    }
}

fn count(shell: &Shell, spool: &str) -> usize {
    shell.frames(&address(ALICE), spool).len()
}

// I-P-9.1.2-a I-P-9.1.3-a
#[test]
fn a_message_stands_in_inbound_as_it_was_sent() {
    let (mut shell, _) = alice();
    let mut entry = introduction(1, "N1");
    let IntakeBody::Message(message) = &mut entry.body else {
        unreachable!()
    };
    let signer = SecretKey::generate(&mut SeededEntropy::new(1));
    message.envelope.add_signature(&signer);
    message
        .envelope
        .header
        .extra
        .insert("Odd".into(), true.into());
    let sent = message.envelope.clone();
    let reception = shell.receive(&entry, None, None);
    shell.check();
    assert_eq!(reception.result, ReceptionResult::Taken);
    assert_eq!(told_state(&reception), Some(MessageState::Received));
    let told = reception.told.unwrap();
    assert_eq!(told.account, bob().address);
    assert_ne!(told.id, entry.id);
    let frames = shell.frames(&address(ALICE), INBOUND);
    assert_eq!(frames.len(), 2);
    let stored = frames[1].envelope(1, sent.payload.0.clone());
    assert_eq!(stored.payload, sent.payload);
    assert_eq!(
        stored.header.content_meta_data,
        sent.header.content_meta_data
    );
    assert_eq!(stored.header.extra, sent.header.extra);
    assert_eq!(stored.signatures(), sent.signatures());
    assert_eq!(stored.verify_by(signer.public()), Ok(()));
    assert_eq!(stored.index(), Some(1));
    assert_eq!(frames[1].message_type.as_deref(), Some("RequestContact"));
}

#[test]
fn the_same_message_again_is_a_success_without_a_second_copy() {
    // Architecture A-13
    let (mut shell, _) = alice();
    shell.receive(&introduction(1, "N1"), None, None);
    let again = shell.receive(&introduction(2, "N1"), None, None);
    assert_eq!(again.result, ReceptionResult::Repeated);
    assert_eq!(told_state(&again), Some(MessageState::Received));
    let other = from_bob(3, "RequestContact", "N1", "{\"Subject\":\"other\"}");
    let reused = shell.receive(&other, None, None);
    assert_eq!(reused.result, ReceptionResult::IdReused);
    assert_eq!(told_state(&reused), Some(MessageState::Refused));
    assert_eq!(shell.incidents.len(), 1, "{:?}", shell.incidents);
    assert_eq!(count(&shell, INBOUND), 2);
    shell.advance(MESSAGE_ID_REMEMBERED - Duration::from_millis(1));
    let late = shell.receive(&introduction(4, "N1"), None, None);
    assert_eq!(late.result, ReceptionResult::Repeated);
    shell.advance(Duration::from_millis(1));
    let new = shell.receive(&introduction(5, "N1"), None, None);
    assert_eq!(new.result, ReceptionResult::Taken);
    shell.check();
}

// S-6.3-a
#[test]
fn an_introduction_may_be_encrypted_and_is_known_by_its_header() {
    let (mut shell, _) = alice();
    let reader = SecretKey::generate(&mut SeededEntropy::new(2));
    for (id, octets, expected) in [
        (1, 100, ReceptionResult::Taken),
        (2, 17 * 1024, ReceptionResult::Ruled(Reason::TooLong)),
    ] {
        let unique_id = format!("N{id}");
        let plain = message("RequestContact", &unique_id, "{}");
        let text = "x".repeat(octets);
        let mut entropy = SeededEntropy::new(3);
        let recipients = [reader.public()];
        let sealed =
            Envelope::encrypted(text.as_bytes(), plain.header, &recipients, &mut entropy).unwrap();
        let entry = left(id, sealed, &unique_id, "RequestContact");
        assert_eq!(shell.receive(&entry, None, None).result, expected);
    }
    assert_eq!(count(&shell, INBOUND), 2);
}

#[test]
fn two_senders_may_use_one_id() {
    let (mut shell, _) = alice();
    shell.receive(&introduction(1, "N1"), None, None);
    let mut carols = introduction(2, "N1");
    if let IntakeBody::Message(message) = &mut carols.body {
        message.sender.address = address("carol@example.com");
    }
    let second = shell.receive(&carols, None, None);
    assert_eq!(second.result, ReceptionResult::Taken);
    assert_eq!(count(&shell, INBOUND), 3);
}

#[test]
fn an_entry_that_was_drained_does_nothing_for_30_days() {
    // Decision Q-59
    let (mut shell, _) = alice();
    let entry = introduction(1, "N1");
    shell.receive(&entry, None, None);
    let again = shell.receive(&entry, None, None);
    assert_eq!(again.result, ReceptionResult::Seen);
    assert!(again.changes.is_empty() && again.told.is_none());
    let refused = from_bob(2, "RequestTask", "N2", "{}");
    shell.receive(&refused, None, None);
    assert_eq!(
        shell.receive(&refused, None, None).result,
        ReceptionResult::Seen
    );
    shell.advance(INTAKE_ID_REMEMBERED);
    assert_eq!(
        shell.receive(&refused, None, None).result,
        ReceptionResult::Ruled(Reason::NotPermitted)
    );
}

/// Every way to be refused looks the same to the sender, but for what an entry says by itself.
// X-16 X-50..53
#[test]
fn every_refusal_looks_the_same_to_the_sender() {
    let (mut shell, _) = alice();
    shell.policy.inbound.types_denied = ["RequestTask".to_owned()].into();
    let nobody = IntakeEntry {
        account: address("nobody@example.com"),
        ..introduction(1, "N1")
    };
    let mut misaddressed = from_bob(
        1,
        "RequestContact",
        "N1",
        "{\"Recipient\":\"c@example.com\"}",
    );
    let mut impostor = from_bob(1, "RequestContact", "N1", "{\"Sender\":\"c@example.com\"}");
    for entry in [&mut misaddressed, &mut impostor] {
        entry.left_at = NOON;
    }
    let long = format!("{{\"Subject\":\"{}\"}}", "x".repeat(16 * 1024 + 1));
    let cases = [
        (nobody, ReceptionResult::NoRecipient),
        (misaddressed, ReceptionResult::Misaddressed),
        (impostor, ReceptionResult::Misaddressed),
        (
            from_bob(1, "RequestTask", "N1", "{}"),
            ReceptionResult::Ruled(Reason::TypeNotTaken),
        ),
        (
            from_bob(1, "RequestConfirmation", "N1", "{}"),
            ReceptionResult::Ruled(Reason::NotPermitted),
        ),
        (
            from_bob(1, "RequestContact", "N1", &long),
            ReceptionResult::Ruled(Reason::TooLong),
        ),
        (
            left(
                1,
                message("RequestContact", "N2", "{}"),
                "N1",
                "RequestContact",
            ),
            ReceptionResult::Unacceptable,
        ),
    ];
    let mut seen = Vec::new();
    for (entry, expected) in cases {
        let mut fresh = shell.clone();
        let reception = fresh.receive(&entry, None, None);
        assert_eq!(reception.result, expected);
        assert!(reception.result.is_refusal(), "{expected:?}");
        assert_eq!(count(&fresh, INBOUND), 1);
        let mut told = *reception.told.expect("the sender learns of it");
        if let IntakeBody::Outcome(outcome) = &mut told.body {
            // The one difference is whom it was sent to, which the sender knows.
            outcome.recipient = address(ALICE);
        }
        seen.push(told);
    }
    assert!(seen.windows(2).all(|two| two[0] == two[1]), "{seen:?}");
}

#[test]
fn an_account_that_may_not_be_used_refuses_like_one_that_is_not_here() {
    let (shell, mut laptop) = alice();
    for status in [AccountStatus::Pending, AccountStatus::Blocked] {
        let mut closed = shell.clone();
        let known = closed.standings.get_mut(&laptop.address).unwrap();
        let Standing::Account(state) = known else {
            unreachable!()
        };
        std::sync::Arc::make_mut(&mut state.record).status = status;
        let reception = closed.receive(&introduction(1, "N1"), None, None);
        assert_eq!(reception.result, ReceptionResult::NoRecipient);
        assert_eq!(told_state(&reception), Some(MessageState::Refused));
    }
    let mut gone = shell;
    gone.perform(laptop.delete());
    let reception = gone.receive(&introduction(1, "N1"), None, None);
    assert_eq!(reception.result, ReceptionResult::NoRecipient);
    assert_eq!(told_state(&reception), Some(MessageState::Refused));
}

// I-P-9.1.2.2-a X-50..53
#[test]
fn a_service_speaks_for_its_own_accounts_only_and_is_told_nothing_later() {
    let (mut shell, _) = alice();
    let forwarded = |id: u8, sender: &str| {
        let mut entry = introduction(id, "N1");
        if let IntakeBody::Message(message) = &mut entry.body {
            message.service = Some(peer());
            message.sender.address = address(sender);
        }
        entry
    };
    let foreign = shell.receive(&forwarded(1, "bob@example.org"), None, None);
    assert_eq!(foreign.result, ReceptionResult::Misaddressed);
    assert!(foreign.told.is_none() && shell.incidents.len() == 1);
    let own = shell.receive(&forwarded(2, "bob@example.net"), None, None);
    assert_eq!(own.result, ReceptionResult::Taken);
    assert!(own.told.is_none());
}

#[test]
fn an_answer_comes_in_for_30_days_by_reference_or_by_sender() {
    let (shell, laptop) = alice();
    let reply = from_bob(1, "ReplyContact", "N1", "{}");
    let naming = from_bob(
        1,
        "ResponseConfirmation",
        "N1",
        "{\"References\":[{\"MessageID\":\"asked\"}]}",
    );
    let by_sender = ExchangeKey::Recipient(ExchangeKind::Contact, "bob@example.com".to_owned());
    let by_message = ExchangeKey::Message(ExchangeKind::Confirmation, "asked".to_owned());
    let account = shell.standing(&laptop.address).account_id().unwrap();
    for (entry, key) in [(&reply, by_sender), (&naming, by_message)] {
        for (age, taken) in [
            (Duration::from_secs(30 * 86_400 - 1), true),
            (Duration::from_secs(30 * 86_400), false),
        ] {
            let mut shell = shell.clone();
            let row = ExchangeRow { begun_at: NOON };
            shell.write(
                account,
                &[Change::Exchange {
                    key: key.clone(),
                    row,
                }],
            );
            shell.advance(age);
            let result = shell.receive(entry, None, None).result;
            assert_eq!(result == ReceptionResult::Taken, taken, "{key:?} {age:?}");
        }
    }
}

#[test]
fn strangers_are_counted_across_entries_and_days() {
    let (mut shell, _) = alice();
    for number in 1..=5 {
        let entry = introduction(number, &format!("N{number}"));
        assert_eq!(
            shell.receive(&entry, None, None).result,
            ReceptionResult::Taken
        );
    }
    let sixth = shell.receive(&introduction(6, "N6"), None, None);
    assert_eq!(sixth.result, ReceptionResult::Ruled(Reason::SenderQuota));
    shell.advance(Duration::from_secs(12 * 3_600));
    let tomorrow = shell.receive(&introduction(7, "N7"), None, None);
    assert_eq!(tomorrow.result, ReceptionResult::Taken);
}

#[test]
fn a_recipient_takes_so_many_messages_a_day_and_so_many_octets() {
    let (mut shell, laptop) = alice();
    shell.policy.inbound.per_recipient_day = 1;
    shell.receive(&introduction(1, "N1"), None, None);
    let second = shell.receive(&introduction(2, "N2"), None, None);
    assert_eq!(second.result, ReceptionResult::Quota);
    shell.policy.inbound.per_recipient_day = 2;
    let standing = shell.standing(&laptop.address);
    shell.policy.account_bytes_max = standing.account().unwrap().tip.bytes_used;
    let third = shell.receive(&introduction(3, "N3"), None, None);
    assert_eq!(third.result, ReceptionResult::Quota);
    assert_eq!(told_state(&third), Some(MessageState::Refused));
    shell.check();
}

// S-6.4-a
#[test]
fn a_device_without_the_privilege_does_not_confirm() {
    let (mut shell, laptop) = alice();
    let account = shell.standing(&laptop.address).account_id().unwrap();
    let key = ExchangeKey::Recipient(ExchangeKind::Confirmation, "bob@example.com".to_owned());
    let row = ExchangeRow { begun_at: NOON };
    shell.write(account, &[Change::Exchange { key, row }]);
    for (id, permission, expected) in [
        (1, "Contact", ReceptionResult::Ruled(Reason::NotPermitted)),
        (2, "Confirm", ReceptionResult::Taken),
    ] {
        let tag = "ResponseConfirmation";
        let mut entry = from_bob(id, tag, &format!("N{id}"), "{}");
        if let IntakeBody::Message(message) = &mut entry.body {
            let signer = SecretKey::generate(&mut SeededEntropy::new(1));
            message.envelope.add_signature(&signer);
            let connection = format!(
                "{{\"ConnectionAccount\":{{\"Permissions\":[{{\"Name\":\"{permission}\"}}]}}}}"
            );
            let trailer = message.envelope.trailer.as_mut().unwrap();
            trailer.signatures[0].enveloped_connection =
                Some(Box::new(Envelope::plain(connection.as_str())));
        }
        assert_eq!(shell.receive(&entry, None, None).result, expected);
    }
}

// ---- Outcomes ----

fn outcome(id: u8, state: MessageState) -> IntakeEntry {
    IntakeEntry {
        id: IntakeId([id; 16]),
        account: address(ALICE),
        left_at: NOON,
        body: IntakeBody::Outcome(MessageOutcome {
            reason: None,
            unique_id: "M1".to_owned(),
            recipient: address("Bob@example.com"),
            state,
        }),
    }
}

fn tell(shell: &mut Shell, entry: &IntakeEntry) -> ReceptionResult {
    let IntakeBody::Outcome(outcome) = &entry.body else {
        panic!("no outcome")
    };
    let signer = SecretKey::generate(&mut SeededEntropy::new(5));
    let completion = outcome.completion(entry.id, &signer);
    assert_eq!(completion.verify_by(signer.public()), Ok(()));
    let reception = shell.receive(entry, None, Some(&completion));
    shell.check();
    assert!(reception.told.is_none());
    reception.result
}

// S-6.1-b
#[test]
fn what_became_of_a_message_is_told_until_it_is_final() {
    let (mut shell, _) = alice();
    let told = ReceptionResult::Told;
    assert_eq!(tell(&mut shell, &outcome(1, MessageState::Delayed)), told);
    assert_eq!(
        tell(&mut shell, &outcome(2, MessageState::Delayed)),
        ReceptionResult::Stale
    );
    assert_eq!(tell(&mut shell, &outcome(3, MessageState::Sent)), told);
    assert_eq!(tell(&mut shell, &outcome(4, MessageState::Received)), told);
    assert_eq!(
        tell(&mut shell, &outcome(4, MessageState::Received)),
        ReceptionResult::Seen
    );
    for (id, late) in [
        (5, MessageState::Sent),
        (6, MessageState::Delayed),
        (7, MessageState::Refused),
    ] {
        assert_eq!(tell(&mut shell, &outcome(id, late)), ReceptionResult::Stale);
    }
    let frames = shell.frames(&address(ALICE), OUTBOUND);
    assert_eq!(frames.len(), 4);
}

#[test]
fn a_completion_is_plain_and_names_message_recipient_and_state() {
    // Decision Q-6
    let IntakeBody::Outcome(refused) = outcome(1, MessageState::Refused).body else {
        unreachable!()
    };
    let signer = SecretKey::generate(&mut SeededEntropy::new(5));
    let completion = refused.completion(IntakeId([1; 16]), &signer);
    assert_eq!(completion, refused.completion(IntakeId([1; 16]), &signer));
    assert_eq!(
        String::from_utf8_lossy(completion.payload.as_slice()),
        concat!(
            r#"{"MessageComplete":{"MessageID":"NAAQ-CAIB-AEAQ-CAIB-AEAQ-CAIB-AEAQ","#,
            r#""Recipient":"bob@example.com","References":[{"MessageID":"M1","#,
            r#""Relationship":"Refused"}]}}"#
        )
    );
    let item = SpoolItem::read(1, &completion.header, Some(completion.payload.as_slice()));
    let SpoolItem::Completion {
        recipient,
        references,
    } = item
    else {
        panic!("no completion: {item:?}")
    };
    assert_eq!(recipient.as_deref(), Some("bob@example.com"));
    assert_eq!(references[0].message_id, "M1");
    assert_eq!(references[0].relationship, "Refused");
}

#[test]
fn nobody_is_told_who_is_not_there() {
    let (mut shell, mut laptop) = alice();
    shell.perform(laptop.delete());
    let result = tell(&mut shell, &outcome(1, MessageState::Received));
    assert_eq!(result, ReceptionResult::NobodyThere);
}

#[test]
fn an_outcome_that_nobody_signed_is_unfit() {
    let (shell, laptop) = alice();
    let standing = shell.standing(&laptop.address);
    let entry = outcome(1, MessageState::Received);
    assert!(needs(&standing, &entry).intake.is_some());
    let setting = Setting {
        policy: &shell.policy,
        contacts: Some(&ContactIndex::default()),
        completion: None,
        service_level: crate::conduct::Level::Normal,
        now: NOON,
    };
    assert!(receive(&standing, &entry, &Lookups::default(), &setting).is_err());
}

/// What the rows say counts against somebody.
fn complaints(reception: &Reception) -> Vec<(Subject, u32)> {
    let incident = |change: &Change| match change {
        Change::Incident(incident) => Some((incident.subject.clone(), incident.weight)),
        _ => None,
    };
    reception.changes.iter().filter_map(incident).collect()
}

// S-4.4-b S-4.4-c
#[test]
fn a_refusal_by_rules_one_to_three_counts_against_whoever_sent_it_once_a_day() {
    let (mut shell, _) = alice();
    shell.policy.inbound.blocked_accounts = [bob().address].into();
    let first = shell.receive(&introduction(1, "N1"), None, None);
    let against_bob = (Subject::Account(bob().address), INCIDENT_WEIGHT);
    assert_eq!(complaints(&first), std::slice::from_ref(&against_bob));
    assert_eq!(told_state(&first), Some(MessageState::Refused));
    let second = shell.receive(&introduction(2, "N2"), None, None);
    assert!(complaints(&second).is_empty(), "one complaint in a day");
    // By way of a service it counts against the service.
    let mut forwarded = introduction(3, "N3");
    if let IntakeBody::Message(message) = &mut forwarded.body {
        message.service = Some(peer());
        message.sender.address = address("bob@example.net");
    }
    shell.policy.inbound.types_denied = ["Contact".to_owned()].into();
    let by_peer = shell.receive(&forwarded, None, None);
    let against_peer = (Subject::Service("example.net".into()), INCIDENT_WEIGHT);
    assert_eq!(complaints(&by_peer), [against_peer]);
    shell.advance(Duration::from_secs(24 * 3_600));
    let next_day = shell.receive(&introduction(4, "N4"), None, None);
    assert_eq!(complaints(&next_day), [against_bob]);
    // Rules 5 and 6 are no reproach.
    shell.policy.inbound = crate::account::intake::InboundPolicy::default();
    let stranger = shell.receive(&from_bob(5, "RequestTask", "N5", "{}"), None, None);
    assert_eq!(told_state(&stranger), Some(MessageState::Refused));
    assert!(complaints(&stranger).is_empty());
}

#[test]
fn a_peer_that_invents_senders_does_not_fill_the_record() {
    let (mut shell, _) = alice();
    shell.policy.inbound.blocked_services = ["example.net".to_owned()].into();
    let mut recorded = 0;
    for number in 0..=INCIDENTS_PER_RECIPIENT_DAY {
        let mut entry = introduction(u8::try_from(number + 1).unwrap(), &format!("N{number}"));
        if let IntakeBody::Message(message) = &mut entry.body {
            message.service = Some(peer());
            message.sender.address = address(&format!("bob{number}@example.net"));
        }
        recorded += complaints(&shell.receive(&entry, None, None)).len();
    }
    assert_eq!(recorded, INCIDENTS_PER_RECIPIENT_DAY);
}

// S-4.4-b
#[test]
fn repeated_refusals_by_other_services_count_against_the_sender() {
    let (mut shell, _) = alice();
    let completion = message("MessageComplete", "C", "{}");
    let refused = |shell: &mut Shell, number: u8, recipient: &str| {
        let outcome = MessageOutcome {
            unique_id: format!("N{number}"),
            recipient: address(recipient),
            state: MessageState::Refused,
            reason: Some("no".into()),
        };
        let entry = IntakeEntry {
            id: IntakeId([number; 16]),
            account: address(ALICE),
            left_at: NOON,
            body: IntakeBody::Outcome(outcome),
        };
        complaints(&shell.receive(&entry, None, Some(&completion)))
    };
    // What is refused here is counted where it is refused.
    for number in 1..=5 {
        assert!(refused(&mut shell, number, "carol@example.com").is_empty());
    }
    let elsewhere = "dave@elsewhere.example";
    assert!(refused(&mut shell, 6, elsewhere).is_empty());
    assert!(refused(&mut shell, 7, elsewhere).is_empty());
    let against_alice = (Subject::Account(address(ALICE)), INCIDENT_WEIGHT_PEER);
    assert_eq!(refused(&mut shell, 8, elsewhere), [against_alice]);
}

// S-4.4-a
#[test]
fn a_message_that_only_names_a_place_to_fetch_content_from_passes_unchanged() {
    let (mut shell, _) = alice();
    let place = "{\"Locator\":\"https://store.example/x\",\"Digest\":\"AAAA\"}";
    let entry = from_bob(1, "RequestContact", "N1", place);
    let IntakeBody::Message(sent) = &entry.body else {
        panic!("a message is left");
    };
    let payload = sent.envelope.payload.clone();
    let reception = shell.receive(&entry, None, None);
    assert_eq!(reception.result, ReceptionResult::Taken);
    let stored = reception.changes.iter().find_map(|change| match change {
        Change::Frame { payload, .. } => Some(payload.to_vec()),
        _ => None,
    });
    assert_eq!(stored, Some(payload.0));
}
