//! Post by a device: each refusal of service §7.2 with its own status and body, for every type of
//! message; and the same for messages that stay within the account (service §5.7, decisions Q-19,
//! Q-26, Q-27, Q-55, Q-69; X-40, X-50, X-54).

use mesh_common::account::policy::Creation;
use mesh_common::dare::{ContentMeta, Envelope};
use mesh_common::limits::{MESSAGE_PAYLOAD_BYTES_MAX, POST_MESSAGES_MAX, POST_RECIPIENTS_MAX};
use mesh_common::message::accredit;
use mesh_common::protocol::{Code, DeleteRequest, Request, Transaction};
use mesh_tests::client::Circumstances;
use mesh_tests::people::permission;
use mesh_tests::{Client, Device, TestService, alice, bob, frames};
use meshd::config::MeshdConfig;

use crate::load::unfinished;
use crate::{alices_service, sealed};

const POST: Transaction = Transaction::Post;
const BOB: &str = "bob@example.com";

/// Every message that goes from one account to another.
const FOR_OTHERS: [&str; 7] = [
    "RequestContact",
    "ReplyContact",
    "RequestConfirmation",
    "ResponseConfirmation",
    "RequestTask",
    "OfferGroup",
    "GroupInvitation",
];

/// Alice's service with a device of hers that may send everything.
struct Scene {
    service: TestService,
    phone: Device,
    client: Client,
}

impl Scene {
    fn new() -> Self {
        Self::with(|_| {})
    }

    fn with(adjust: impl FnOnce(&mut MeshdConfig)) -> Self {
        let service = TestService::with(adjust);
        let mut client = Client::of_new_account_with_device(&service, &alice());
        let phone = alice().another_device("phone", &permission("*"));
        let added = frames::upload(frames::DEVICES, vec![phone.frame(2, "New")]);
        client.ask(&added).must_be(Code::Ok);
        let client = Client::of_device(&service, &phone);
        Self {
            service,
            phone,
            client,
        }
    }

    fn task(&self, id: &str) -> Envelope {
        self.phone.signed(frames::message("RequestTask", id, "{}"))
    }

    /// What posting one message to Bob comes to, in its golden file.
    #[track_caller]
    fn refused(&mut self, code: Code, slug: &str, message: Envelope) {
        let answer = self.client.ask(&frames::post(&[BOB], vec![message]));
        sealed(POST, code, slug, &answer);
    }

    /// What posting one message to Bob comes to.
    #[track_caller]
    fn comes_to(&mut self, code: Code, message: Envelope) {
        let answer = self.client.ask(&frames::post(&[BOB], vec![message]));
        answer.must_be(code);
    }
}

fn two_ids(tag: &str) -> Envelope {
    frames::message(tag, "message-1", r#"{"MessageID":"message-2"}"#)
}

fn from_sender(tag: &str, sender: &str) -> Envelope {
    frames::message(tag, "message-1", &format!(r#"{{"Sender":"{sender}"}}"#))
}

fn of_octets(tag: &str, id: &str, octets: usize) -> Envelope {
    let empty = frames::message(tag, id, r#"{"Text":""}"#).payload.0.len();
    let text = "x".repeat(octets - empty);
    frames::message(tag, id, &format!(r#"{{"Text":"{text}"}}"#))
}

fn with_bad_signature(mut message: Envelope) -> Envelope {
    let block = &mut message.trailer.as_mut().unwrap().signatures[0];
    block.signature.as_mut().unwrap().0[7] ^= 1;
    message
}

/// Signed by alice's device, under the chain of bob's.
fn under_a_foreign_chain(message: &Envelope) -> Envelope {
    let mut message = message.clone();
    let theirs = bob().device;
    let account = &theirs.entry.accounts[0];
    accredit(
        &mut message,
        &alice().device.in_account.signature,
        account.enveloped_connection_account.as_ref().unwrap(),
        account.enveloped_profile_account.as_ref().unwrap(),
        None,
    );
    message
}

// P-9.1.1-a
#[test]
fn messages_are_accepted_for_delivery() {
    let mut scene = Scene::new();
    let contact =
        r#"{"MessageID":"contact-1","Sender":"alice@example.com","Recipient":"bob@example.com"}"#;
    let contact = scene
        .phone
        .signed(frames::message("RequestContact", "contact-1", contact));
    let task = scene.task("task-1");
    let own = scene
        .phone
        .signed(frames::message("MessageNotice", "notice-1", "{}"));
    let recipients = [BOB, "carol@example.net"];
    let asked = frames::post_all(&recipients, vec![contact, task], vec![own]);
    let answer = scene.client.ask(&asked);
    sealed(POST, Code::Ok, "two-messages-to-two-accounts", &answer);
    let again = scene.client.ask(&asked);
    sealed(POST, Code::Ok, "the-same-messages-again", &again);
}

// Q-26
#[test]
fn a_message_for_others_has_an_identifier() {
    let mut scene = Scene::new();
    let nameless = scene.phone.signed(frames::message("RequestTask", "", "{}"));
    scene.refused(Code::Malformed, "a-message-without-id", nameless);
    let two = scene.phone.signed(two_ids("RequestTask"));
    scene.refused(Code::Malformed, "a-message-with-two-ids", two);
    let mut bare = scene.task("task-1");
    bare.header = bare.header.with_content_meta(&ContentMeta::default());
    scene.comes_to(Code::Malformed, bare);
    for tag in FOR_OTHERS {
        let nameless = scene.phone.signed(frames::message(tag, "", "{}"));
        scene.comes_to(Code::Malformed, nameless);
        let two = scene.phone.signed(two_ids(tag));
        scene.comes_to(Code::Malformed, two);
    }
}

// I-P-7-a
#[test]
fn a_message_for_others_has_its_bounds() {
    let mut scene = Scene::new();
    let of = |octets| of_octets("RequestTask", &format!("of-{octets}"), octets);
    for octets in [MESSAGE_PAYLOAD_BYTES_MAX - 1, MESSAGE_PAYLOAD_BYTES_MAX] {
        let message = scene.phone.signed(of(octets));
        scene.comes_to(Code::Ok, message);
    }
    let above = scene.phone.signed(of(MESSAGE_PAYLOAD_BYTES_MAX + 1));
    scene.refused(Code::TooLarge, "a-message-above-64-kib", above);
    for tag in FOR_OTHERS {
        let above = of_octets(tag, "above", MESSAGE_PAYLOAD_BYTES_MAX + 1);
        let above = scene.phone.signed(above);
        scene.comes_to(Code::TooLarge, above);
    }
    let mut sealed_by_another = scene.task("task-1");
    sealed_by_another.header.enc = Some("A256GCM".into());
    scene.refused(
        Code::Encoding,
        "a-message-of-another-cipher",
        sealed_by_another,
    );
}

// I-P-1-c, P-9.1.1-a, P-9.1.1-b, I-S-4.4-a, X-50..53
#[test]
fn a_message_for_others_is_signed_by_a_connected_device() {
    let mut scene = Scene::new();
    let (alice, bob) = (alice(), bob());
    let task = frames::message("RequestTask", "task-1", "{}");
    scene.refused(Code::InvalidSignature, "an-unsigned-message", task.clone());
    let bad = with_bad_signature(scene.task("task-1"));
    scene.refused(
        Code::InvalidSignature,
        "a-message-with-a-bad-signature",
        bad,
    );
    let mut changed = scene.task("task-1");
    changed.payload.0.push(b' ');
    scene.refused(
        Code::InvalidSignature,
        "a-message-that-was-changed",
        changed,
    );
    let foreign = bob.device.signed(task.clone());
    scene.refused(
        Code::InvalidProfile,
        "a-message-of-a-foreign-connection",
        foreign,
    );
    let borrowed = under_a_foreign_chain(&task);
    scene.refused(
        Code::InvalidProfile,
        "a-message-by-another-key-than-its-connection",
        borrowed,
    );
    let stranger = alice.another_device("tablet", &[]).signed(task);
    scene.refused(
        Code::InvalidProfile,
        "a-message-of-a-device-that-is-not-connected",
        stranger,
    );
    let mut without_profile = scene.task("task-1");
    let block = &mut without_profile.trailer.as_mut().unwrap().signatures[0];
    block.enveloped_profile = None;
    scene.refused(
        Code::InvalidProfile,
        "a-message-without-the-profile",
        without_profile,
    );
    for tag in FOR_OTHERS {
        let message = frames::message(tag, "message-1", "{}");
        scene.comes_to(Code::InvalidSignature, message.clone());
        let signed = scene.phone.signed(message.clone());
        scene.comes_to(Code::InvalidSignature, with_bad_signature(signed));
        scene.comes_to(Code::InvalidProfile, bob.device.signed(message.clone()));
        scene.comes_to(Code::InvalidProfile, under_a_foreign_chain(&message));
        let signed = scene.phone.signed(message);
        scene.comes_to(Code::Ok, renamed(signed, &format!("good-{tag}")));
    }
}

/// The same message under another id, which no signature covers.
fn renamed(mut message: Envelope, id: &str) -> Envelope {
    let meta = message.header.content_meta().unwrap();
    message.header = message.header.with_content_meta(&ContentMeta {
        unique_id: Some(id.to_owned()),
        ..meta
    });
    message
}

#[test]
fn a_message_says_who_sends_it() {
    let mut scene = Scene::new();
    let wrong = scene.phone.signed(from_sender("RequestTask", BOB));
    scene.refused(Code::NotAuthorized, "a-message-of-another-sender", wrong);
    for tag in FOR_OTHERS {
        let wrong = scene.phone.signed(from_sender(tag, BOB));
        scene.comes_to(Code::NotAuthorized, wrong);
    }
}

/// A message of this type with each fault that one can have, and what the fault is called.
fn faulty(scene: &Scene, tag: &str) -> [(&'static str, Envelope); 8] {
    let bob = bob();
    let plain = frames::message(tag, "message-1", "{}");
    let above = of_octets(tag, "above", MESSAGE_PAYLOAD_BYTES_MAX + 1);
    let signed = |message| scene.phone.signed(message);
    [
        ("without an id", signed(frames::message(tag, "", "{}"))),
        ("with two ids", signed(two_ids(tag))),
        ("above 64 KiB", signed(above)),
        ("unsigned", plain.clone()),
        ("badly signed", with_bad_signature(signed(plain.clone()))),
        ("of a foreign connection", bob.device.signed(plain.clone())),
        ("by another key", under_a_foreign_chain(&plain)),
        ("of another sender", signed(from_sender(tag, BOB))),
    ]
}

// P-9.1.1-a, I-S-4.4-a
#[test]
fn every_type_of_message_is_refused_for_each_fault_in_its_words() {
    let mut scene = Scene::new();
    let mut told = String::new();
    for tag in FOR_OTHERS {
        for (fault, message) in faulty(&scene, tag) {
            let answer = scene.client.ask(&frames::post(&[BOB], vec![message]));
            told.push_str(&format!("{tag}, {fault}\n{}\n", answer.told()));
        }
    }
    mesh_tests::golden::check("messages/faults-of-every-type", &told);
}

// Q-14, Q-55
#[test]
fn recipients_are_few_accounts() {
    let mut scene = Scene::new();
    let mut refused = |code, slug: &str, accounts: &[&str], messages: Vec<Envelope>| {
        let answer = scene.client.ask(&frames::post(accounts, messages));
        sealed(POST, code, slug, &answer);
    };
    let task = || {
        alice()
            .another_device("phone", &permission("*"))
            .signed(frames::message("RequestTask", "task-1", "{}"))
    };
    refused(
        Code::InvalidName,
        "to-no-account",
        &["nobody"],
        vec![task()],
    );
    let many: Vec<String> = (0..=POST_RECIPIENTS_MAX)
        .map(|number| format!("user{number}@example.com"))
        .collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    refused(Code::TooLarge, "to-33-accounts", &many, vec![task()]);
    let unsigned = |id: String| frames::message("RequestTask", &id, "{}");
    let messages = (0..=POST_MESSAGES_MAX).map(|number| unsigned(format!("task-{number}")));
    refused(Code::TooLarge, "of-33-messages", &[BOB], messages.collect());
    let phone = alice().another_device("phone", &permission("*"));
    let large = ["large-1", "large-2"]
        .map(|id| phone.signed(of_octets("RequestTask", id, MESSAGE_PAYLOAD_BYTES_MAX)));
    let half: Vec<&str> = many[..POST_RECIPIENTS_MAX / 2 + 1].to_vec();
    refused(
        Code::TooLarge,
        "of-2-mib-for-all-recipients",
        &half,
        large.to_vec(),
    );
    scene
        .client
        .ask(&frames::post(&half[1..], large.to_vec()))
        .must_be(Code::Ok);
}

// S-6.4-a, I-S-4.4-c
#[test]
fn site_and_device_permit_what_is_sent() {
    let mut scene = Scene::with(|config| {
        config
            .backend
            .policy
            .outbound_types
            .retain(|name| name != "Task");
    });
    let task = scene.task("task-1");
    scene.refused(Code::Refused, "a-type-that-the-site-does-not-send", task);
    for tag in [
        "MessagePIN",
        "MessageComplete",
        "RequestConnection",
        "AcknowledgeConnection",
    ] {
        let message = scene.phone.signed(frames::message(tag, "message-1", "{}"));
        scene.comes_to(Code::Refused, message);
    }
    // Alice's first device is an administrator, and nothing else.
    let mut laptop = Client::of_device(&scene.service, &alice().device);
    let confirmation = frames::message("ResponseConfirmation", "response-1", "{}");
    let by_laptop = alice().device.signed(confirmation.clone());
    let answer = laptop.ask(&frames::post(&[BOB], vec![by_laptop]));
    let slug = "a-confirmation-without-the-privilege";
    sealed(POST, Code::NotAuthorized, slug, &answer);
    let by_phone = scene.phone.signed(confirmation);
    scene.comes_to(Code::Ok, by_phone);
}

// A-13
#[test]
fn a_message_id_stands_for_one_message() {
    let mut scene = Scene::new();
    let first = scene.task("task-1");
    scene.comes_to(Code::Ok, first.clone());
    scene.comes_to(Code::Ok, first);
    let other = frames::message("RequestTask", "task-1", r#"{"Later":1}"#);
    let other = scene.phone.signed(other);
    scene.refused(Code::IdReused, "the-id-of-another-message", other);
}

// X-60
#[test]
fn an_account_sends_so_much_and_not_more() {
    let mut scene = Scene::with(|config| {
        config.limits.rate.enabled = true;
        config.limits.rate.outbound_per_minute = 20;
        config.limits.rate.new_account_share = 10;
        config.limits.rate.create_per_hour = 100;
    });
    for id in ["task-1", "task-2"] {
        let task = scene.task(id);
        scene.comes_to(Code::Ok, task);
    }
    let third = scene.task("task-3");
    let answer = scene.client.ask(&frames::post(&[BOB], vec![third]));
    sealed(
        POST,
        Code::RateLimited,
        "a-third-message-of-a-new-account",
        &answer,
    );
    let wait: u64 = answer.http.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=100).contains(&wait), "{wait}");
    let mut scene = Scene::with(|config| {
        config.limits.rate.enabled = true;
        config.limits.rate.new_recipients_per_day = 1;
    });
    let task = scene.task("task-1");
    let answer = scene
        .client
        .ask(&frames::post(&[BOB, "carol@example.com"], vec![task]));
    sealed(
        POST,
        Code::RateLimited,
        "to-more-new-recipients-than-a-day-allows",
        &answer,
    );
}

// X-40
#[test]
fn notices_to_oneself_are_signed_by_whom_they_must_be() {
    let (service, mut client) = alices_service();
    let alice = alice();
    let own = |message: Envelope| frames::post_all(&[], Vec::new(), vec![message]);
    let pin = frames::message("MessagePIN", "pin-1", "{}");
    let respond = frames::message("RespondConnection", "respond-1", "{}");
    let mut by_online_key = respond.clone();
    by_online_key.add_signature(&alice.account.online);
    let answer = client.ask(&frames::post_all(
        &[],
        vec![by_online_key.clone()],
        vec![alice.device.signed(pin.clone())],
    ));
    sealed(POST, Code::Ok, "notices-to-oneself", &answer);
    let code = Code::InvalidSignature;
    sealed(
        POST,
        code,
        "an-unsigned-pin",
        &client.ask(&own(pin.clone())),
    );
    let bad = with_bad_signature(alice.device.signed(pin.clone()));
    sealed(
        POST,
        code,
        "a-pin-with-a-bad-signature",
        &client.ask(&own(bad.clone())),
    );
    let by_device = alice.device.signed(respond);
    let answer = client.ask(&own(by_device.clone()));
    sealed(POST, code, "an-answer-signed-by-no-online-key", &answer);
    let nameless = alice.device.signed(frames::message("MessagePIN", "", "{}"));
    sealed(
        POST,
        Code::Malformed,
        "a-notice-without-id",
        &client.ask(&own(nameless)),
    );
    // An upload asks the same of them.
    let upload = |message: Envelope| frames::upload("mmm_Local", vec![message]);
    let upload_own = |message: Envelope| frames::upload_all(Vec::new(), vec![message]);
    for request in [
        upload(pin.clone()),
        upload_own(pin),
        upload(bad),
        upload(by_device),
    ] {
        client.ask(&request).must_be(Code::InvalidSignature);
    }
    let completion = alice
        .device
        .signed(frames::completion("complete-1", "pin-1", "Read"));
    let answer = client.ask(&upload_own(with_bad_signature(completion)));
    sealed(
        Transaction::Upload,
        code,
        "a-completion-with-a-bad-signature",
        &answer,
    );
    let phone = alice.another_device("phone", &[]);
    let added = frames::upload(frames::DEVICES, vec![phone.frame(2, "New")]);
    client.ask(&added).must_be(Code::Ok);
    let mut on_phone = Client::of_device(&service, &phone);
    let answer = on_phone.ask(&frames::post(&[], vec![by_online_key]));
    let slug = "an-answer-by-no-administrator";
    sealed(POST, Code::NotAdministrator, slug, &answer);
}

#[test]
fn who_is_not_connected_posts_nothing() {
    let mut scene = Scene::new();
    let task = frames::post(&[BOB], vec![scene.task("task-1")]);
    let tablet = alice().another_device("tablet", &[]);
    let mut strange = Client::new(&scene.service, tablet.as_device());
    sealed(
        POST,
        Code::NotAuthorized,
        "as-a-strange-device",
        &strange.exchange(&task),
    );
    let deleted = frames::event(3, "Delete", &scene.phone.udf(), b"");
    scene.comes_to(Code::Ok, scene.task("task-0"));
    let mut laptop = Client::of_device(&scene.service, &alice().device);
    laptop
        .ask(&frames::upload(frames::DEVICES, vec![deleted]))
        .must_be(Code::Ok);
    let answer = scene.client.by_ticket(&task);
    sealed(POST, Code::DeviceRevoked, "as-a-deleted-device", &answer);
    let deletion = Request::DeleteAccount(DeleteRequest::default());
    laptop.by_ticket(&deletion).must_be(Code::Ok);
    sealed(
        POST,
        Code::NotFound,
        "of-a-deleted-account",
        &laptop.by_ticket(&task),
    );
}

#[test]
fn an_account_that_cannot_be_used_posts_nothing() {
    let service = TestService::with(|config| {
        config.backend.policy.creation = Creation::Approval;
    });
    let mut client = Client::new(&service, alice().device.as_connected());
    client.create_account(&alice());
    let task = alice()
        .device
        .signed(frames::message("RequestTask", "task-1", "{}"));
    let task = frames::post(&[BOB], vec![task]);
    sealed(
        POST,
        Code::Refused,
        "of-an-account-on-hold",
        &client.ask(&task),
    );
}

// X-23
#[test]
fn a_request_id_stands_for_one_post() {
    let mut scene = Scene::new();
    let how = Circumstances {
        request_id: Some([8; 16]),
        ..Circumstances::default()
    };
    let first = frames::post(&[BOB], vec![scene.task("task-1")]);
    let stored = scene.client.exchange_as(&first, how.clone());
    stored.must_be(Code::Ok);
    let again = scene.client.by_ticket_as(&first, &how);
    assert_eq!(again.text, stored.text, "the stored answer, newly sealed");
    let other = frames::post(&[BOB], vec![scene.task("task-2")]);
    let answer = scene.client.by_ticket_as(&other, &how);
    sealed(
        POST,
        Code::Replay,
        "the-request-id-of-another-request",
        &answer,
    );
}

// X-60
#[test]
fn a_sent_message_counts_against_the_quota() {
    let mut scene = Scene::with(|config| config.backend.policy.account_bytes_max = 256 * 1024);
    let mut answers = (1..).map(|number| {
        let message = of_octets("RequestTask", &format!("large-{number}"), 64 * 1024);
        let message = scene.phone.signed(message);
        scene.client.ask(&frames::post(&[BOB], vec![message]))
    });
    let refusal = answers
        .by_ref()
        .take(8)
        .find(|answer| answer.code() != Some(Code::Ok));
    sealed(
        POST,
        Code::QuotaExceeded,
        "octets-above-the-quota",
        &refusal.unwrap(),
    );
}

// X-60
#[test]
fn a_sent_message_counts_against_the_quota_of_the_domain() {
    let octets_max = 48 * 1024;
    let mut scene =
        Scene::with(|config| config.backend.policy.domain.octets_max = Some(octets_max));
    let large = of_octets("RequestTask", "large", 64 * 1024);
    let large = scene.phone.signed(large);
    scene.refused(
        Code::QuotaExceeded,
        "octets-above-the-quota-of-the-domain",
        large,
    );
    let task = scene.task("task-1");
    scene.comes_to(Code::Ok, task);
}

// X-60
#[test]
fn the_accounts_of_a_domain_send_so_much_on_a_day_and_not_more() {
    // None at all: midnight may come between one message and the next.
    let mut scene = Scene::with(|config| {
        config.backend.policy.domain.messages_per_day_max = Some(0);
    });
    let task = scene.task("task-1");
    let answer = scene.client.ask(&frames::post(&[BOB], vec![task]));
    let slug = "messages-above-those-of-the-domain";
    sealed(POST, Code::RateLimited, slug, &answer);
    let wait = answer.http.header("retry-after").unwrap();
    let wait: u64 = wait.parse().unwrap();
    // By chance up to half a minute more.
    assert!(
        (0..=24 * 3_600 + 30).contains(&wait),
        "until midnight: {wait}"
    );
    // What stays within the account is no message to others.
    let notice = frames::message("MessageNotice", "notice-1", "{}");
    let notice = scene.phone.signed(notice);
    let own = frames::post(&[], vec![notice]);
    scene.client.ask(&own).must_be(Code::Ok);
}

// P-9.1.2.1-a, X-60
#[test]
fn a_post_is_shed_before_reading() {
    let mut scene = Scene::with(|config| config.frontend.in_flight_max = 2);
    scene.client.ask(&frames::status()).must_be(Code::Ok);
    let _held = unfinished(&scene.service);
    let task = frames::post(&[BOB], vec![scene.task("task-1")]);
    let refusal = (0..10_000)
        .map(|_| scene.client.by_ticket(&task))
        .find(|answer| answer.code() != Some(Code::Ok));
    let slug = "half-of-the-places-taken";
    sealed(POST, Code::Overload, slug, &refusal.unwrap());
    scene.client.by_ticket(&frames::status()).must_be(Code::Ok);
}
