//! Post of another service: each refusal of service §7.4 with its own status and body, and what a
//! service must be before anything it says is believed (decisions Q-5, Q-8, Q-14, Q-46, Q-52, Q-57 and
//! Q-60; X-50 to X-53).

use std::sync::Arc;

use mesh_common::dare::Envelope;
use mesh_common::limits::MESSAGE_PAYLOAD_BYTES_MAX;
use mesh_common::message::accredit;
use mesh_common::protocol::{Code, EntryResult, HelloRequest, Request, Transaction};
use mesh_common::session::client::ClientIdentity;
use mesh_peer::GreetingError;
use mesh_tests::client::Circumstances;
use mesh_tests::{
    Client, Device, Domains, ELSEWHERE, ForeignService, Person, TestService, alice, bob, frames,
};
use meshd::config::MeshdConfig;

use crate::domains::fill_up;
use crate::{bare, sealed};

const POST: Transaction = Transaction::Post;
const ALICE: &str = "alice@example.com";
const CAROL: &str = "carol@example.org";
const INBOUND: &str = "mmm_Inbound";

/// Alice's service, and the service elsewhere that carol is at.
struct Scene {
    service: TestService,
    domains: Arc<Domains>,
    alice: Client,
    carol: Person,
    /// Carol's service, which posts.
    peer: Client,
}

impl Scene {
    fn new() -> Self {
        Self::with(|_| {})
    }

    fn with(adjust: impl FnOnce(&mut MeshdConfig)) -> Self {
        let domains = Domains::elsewhere();
        let service = TestService::with_domains(&domains, adjust);
        let alice = Client::of_new_account_with_device(&service, &alice());
        let peer = ForeignService::of(ELSEWHERE).client(&service);
        Self {
            alice,
            carol: Person::at("carol", CAROL),
            peer,
            domains,
            service,
        }
    }

    /// A message of carol's.
    fn of_carol(&self, message: Envelope) -> Envelope {
        self.carol.device.signed(message)
    }

    /// What strangers may send.
    fn introduction(&self, id: &str) -> Envelope {
        self.of_carol(frames::message(
            "RequestContact",
            id,
            r#"{"Subject":"we met"}"#,
        ))
    }

    /// What posting one message for alice comes to, in its golden file.
    #[track_caller]
    fn comes_to(&mut self, code: Code, slug: &str, message: Envelope) {
        let answer = self.peer.ask(&frames::post(&[ALICE], vec![message]));
        sealed(POST, code, slug, &answer);
    }

    /// Messages in alice's Inbound, frame 0 not counted.
    fn inbound(&mut self) -> u64 {
        let status = self.alice.ask(&frames::status_of(INBOUND));
        status
            .count_of(INBOUND)
            .map_or(0, |count| count.saturating_sub(1))
    }
}

fn hello() -> Request {
    Request::Hello(HelloRequest::default())
}

fn large(tag: &str, id: &str, octets: usize) -> Envelope {
    let text = "x".repeat(octets);
    frames::message(tag, id, &format!(r#"{{"Subject":"{text}"}}"#))
}

fn with_bad_signature(mut message: Envelope) -> Envelope {
    let block = &mut message.trailer.as_mut().unwrap().signatures[0];
    block.signature.as_mut().unwrap().0[7] ^= 1;
    message
}

/// Signed by a device of `signer`, under the chain of `shown`.
fn under_the_chain_of(shown: &Device, signer: &Device, mut message: Envelope) -> Envelope {
    let account = &shown.entry.accounts[0];
    accredit(
        &mut message,
        &signer.in_account.signature,
        account.enveloped_connection_account.as_ref().unwrap(),
        account.enveloped_profile_account.as_ref().unwrap(),
        None,
    );
    message
}

// I-P-9.1.2-b, P-9.1.2-c, I-P-9.1-a
#[test]
fn a_message_of_another_service_is_in_inbound_when_it_is_answered() {
    let mut scene = Scene::new();
    let message = scene.introduction("from-carol-1");
    scene.comes_to(Code::Ok, "forwarded", message.clone());
    assert_eq!(scene.inbound(), 1);
    let answer = scene.alice.ask(&frames::download(INBOUND));
    let frame = &answer.download().updates[0].envelopes[1];
    assert_eq!(frame.payload, message.payload);
    assert_eq!(frame.signatures(), message.signatures());
    assert_eq!(
        frame.header.content_meta_data,
        message.header.content_meta_data
    );
    // By exchange as well as by ticket.
    scene.peer.ticket = None;
    let second = scene.introduction("from-carol-2");
    let answer = scene.peer.exchange(&frames::post(&[ALICE], vec![second]));
    assert_eq!(
        answer.must_be(Code::Ok).post().entries[0].result,
        Some(EntryResult::Accept)
    );
    assert_eq!(scene.inbound(), 2);
}

// X-23
#[test]
fn a_reply_that_is_lost_makes_no_second_copy() {
    let mut scene = Scene::new();
    let message = scene.introduction("from-carol-1");
    let post = frames::post(&[ALICE], vec![message]);
    let how = Circumstances {
        request_id: Some([9; 16]),
        ..Circumstances::default()
    };
    scene.peer.exchange(&hello()).must_be(Code::Ok);
    let first = scene.peer.by_ticket_as(&post, &how);
    let again = scene.peer.by_ticket_as(&post, &how);
    assert_eq!(first.must_be(Code::Ok).text, again.must_be(Code::Ok).text);
    scene.peer.ask(&post).must_be(Code::Ok);
    scene.peer.exchange(&post).must_be(Code::Ok);
    assert_eq!(scene.inbound(), 1);
    let other = scene.introduction("from-carol-2");
    let answer = scene
        .peer
        .by_ticket_as(&frames::post(&[ALICE], vec![other]), &how);
    sealed(
        POST,
        Code::Replay,
        "forwarded-another-request-of-that-id",
        &answer,
    );
    assert_eq!(scene.inbound(), 1);
}

#[test]
fn another_message_under_a_known_id_is_refused() {
    let mut scene = Scene::new();
    let message = scene.introduction("from-carol-1");
    scene
        .peer
        .ask(&frames::post(&[ALICE], vec![message]))
        .must_be(Code::Ok);
    let other = frames::message("RequestContact", "from-carol-1", r#"{"Subject":"other"}"#);
    let other = scene.of_carol(other);
    scene.comes_to(
        Code::IdReused,
        "forwarded-another-message-of-that-id",
        other,
    );
    assert_eq!(scene.inbound(), 1);
}

#[test]
fn a_service_posts_one_message_for_one_recipient() {
    let mut scene = Scene::new();
    let one = scene.introduction("from-carol-1");
    let two = scene.introduction("from-carol-2");
    for (slug, post) in [
        (
            "forwarded-for-two",
            frames::post(&[ALICE, "bob@example.com"], vec![one.clone()]),
        ),
        ("forwarded-for-nobody", frames::post(&[], vec![one.clone()])),
        (
            "forwarded-two-messages",
            frames::post(&[ALICE], vec![one.clone(), two.clone()]),
        ),
        ("forwarded-no-message", frames::post(&[ALICE], vec![])),
        (
            "forwarded-with-self",
            frames::post_all(&[ALICE], vec![one.clone()], vec![two]),
        ),
    ] {
        let answer = scene.peer.ask(&post);
        sealed(POST, Code::Malformed, slug, &answer);
    }
    let answer = scene.peer.ask(&frames::post(&["alice"], vec![one]));
    sealed(POST, Code::InvalidName, "forwarded-to-no-address", &answer);
    assert_eq!(scene.inbound(), 0);
}

// X-16: services are exempt, since their senders need to know (decision Q-57).
#[test]
fn an_account_that_is_not_here_is_told_apart_from_one_that_refuses() {
    let mut scene = Scene::new();
    for (slug, recipient) in [
        ("forwarded-to-an-unknown-account", "nobody@example.com"),
        ("forwarded-to-a-domain-elsewhere", "alice@example.info"),
    ] {
        let message = scene.introduction(slug);
        let answer = scene.peer.ask(&frames::post(&[recipient], vec![message]));
        sealed(POST, Code::NotFound, slug, &answer);
    }
    let task = scene.of_carol(frames::message("RequestTask", "task-1", "{}"));
    scene.comes_to(Code::Refused, "forwarded-and-not-permitted", task);
    assert_eq!(scene.inbound(), 0);
}

// X-50..53
#[test]
fn what_is_wrong_with_a_message_itself_is_said() {
    let mut scene = Scene::new();
    let whole = scene.introduction("from-carol-1");
    let cases = [
        (
            Code::InvalidSignature,
            "forwarded-bad-signature",
            with_bad_signature(whole),
        ),
        (
            Code::InvalidSignature,
            "forwarded-unsigned",
            frames::message("RequestContact", "unsigned-1", "{}"),
        ),
        (
            Code::InvalidProfile,
            "forwarded-under-a-chain-it-was-not-signed-by",
            under_the_chain_of(
                &scene.carol.device,
                &bob().device,
                frames::message("RequestContact", "chain-1", "{}"),
            ),
        ),
        (
            Code::Malformed,
            "forwarded-without-an-identifier",
            scene.of_carol(frames::message("RequestContact", "", "{}")),
        ),
        (
            Code::Malformed,
            "forwarded-with-two-identifiers",
            scene.of_carol(frames::message(
                "RequestContact",
                "id-1",
                r#"{"MessageID":"id-2"}"#,
            )),
        ),
        (Code::Encoding, "forwarded-in-another-cipher", {
            let mut message = frames::message("RequestContact", "cipher-1", "{}");
            message.header.enc = Some("A128GCM".to_owned());
            scene.of_carol(message)
        }),
    ];
    for (code, slug, message) in cases {
        scene.comes_to(code, slug, message);
    }
    let too_large = large("RequestContact", "large-1", MESSAGE_PAYLOAD_BYTES_MAX);
    let too_large = scene.of_carol(too_large);
    scene.comes_to(Code::TooLarge, "forwarded-above-64-kib", too_large);
    assert_eq!(scene.inbound(), 0);
}

// I-P-9.1.2.2-a: a service speaks for its own accounts only.
#[test]
fn a_service_speaks_for_its_own_accounts_only() {
    let mut scene = Scene::new();
    // Bob is here, and dave is at a third service: carol's service vouches for neither.
    let dave = Person::at("dave", "dave@example.info");
    let introduction = |id: &str| frames::message("RequestContact", id, "{}");
    let of_bob = bob().device.signed(introduction("bob-1"));
    scene.comes_to(Code::Refused, "forwarded-for-an-account-of-ours", of_bob);
    let of_dave = dave.device.signed(introduction("dave-1"));
    scene.comes_to(Code::Refused, "forwarded-for-a-third-service", of_dave);
    let said = |member: &str, address: &str| {
        frames::message(
            "RequestContact",
            &format!("{member}-1"),
            &format!(r#"{{"{member}":"{address}"}}"#),
        )
    };
    let sender = scene.of_carol(said("Sender", "dave@example.info"));
    scene.comes_to(Code::Refused, "forwarded-with-another-sender", sender);
    let recipient = scene.of_carol(said("Recipient", "bob@example.com"));
    scene.comes_to(Code::Refused, "forwarded-with-another-recipient", recipient);
    assert_eq!(scene.inbound(), 0);
}

// I-P-9.1.2.2-a
#[test]
fn site_policy_blocks_services() {
    let mut scene = Scene::with(|config| {
        let blocked = &mut config.backend.policy.inbound.blocked_services;
        blocked.insert(ELSEWHERE.to_owned());
    });
    let message = scene.introduction("from-carol-1");
    scene.comes_to(Code::Refused, "forwarded-by-a-blocked-service", message);
    assert_eq!(scene.inbound(), 0);
}

#[test]
fn a_recipient_without_room_says_so_and_holds_up_nobody_else() {
    let mut scene = Scene::with(|config| {
        config.backend.policy.inbound.per_recipient_day = 1;
    });
    let first = scene.introduction("from-carol-1");
    scene
        .peer
        .ask(&frames::post(&[ALICE], vec![first]))
        .must_be(Code::Ok);
    let second = scene.introduction("from-carol-2");
    scene.comes_to(Code::QuotaExceeded, "forwarded-beyond-the-quota", second);
    assert_eq!(scene.inbound(), 1);
}

// X-60
#[test]
fn a_recipient_of_a_domain_without_room_says_so() {
    let mut scene = Scene::with(|config| {
        config.backend.policy.domain.octets_max = Some(64 * 1024);
    });
    fill_up(&mut scene.alice);
    let message = scene.introduction("from-carol-1");
    let slug = "forwarded-beyond-the-quota-of-the-domain";
    scene.comes_to(Code::QuotaExceeded, slug, message);
    assert_eq!(scene.inbound(), 0);
}

fn rates(config: &mut MeshdConfig) {
    config.limits.rate.enabled = true;
    config.limits.rate.forwarding_burst = 4;
    config.limits.rate.forwarding_per_second = 1;
}

// P-9.1.2.1-a
#[test]
fn a_service_posts_so_many_messages_a_second() {
    let mut scene = Scene::with(rates);
    scene.peer.exchange(&hello()).must_be(Code::Ok);
    let message = scene.introduction("from-carol-1");
    let post = frames::post(&[ALICE], vec![message]);
    let refusal = (0..8)
        .map(|_| scene.peer.by_ticket(&post))
        .find(|answer| answer.code() != Some(Code::Ok))
        .expect("eight requests are more than a burst of four");
    sealed(POST, Code::RateLimited, "forwarded-too-often", &refusal);
}

#[test]
fn a_throttled_service_has_a_rate_of_its_own() {
    let mut scene = Scene::with(|config| {
        config.limits.rate.enabled = true;
        let throttled = &mut config.limits.rate.throttled_services;
        throttled.insert(ELSEWHERE.to_owned(), 1);
    });
    scene.peer.exchange(&hello()).must_be(Code::Ok);
    let is_throttled = |_| scene.peer.by_ticket(&hello()).code() == Some(Code::RateLimited);
    assert!((0..40).any(is_throttled), "forty requests in a second");
}

// Decision Q-57
#[test]
fn a_service_that_tries_addresses_pauses() {
    let mut scene = Scene::with(|config| {
        config.limits.rate.enabled = true;
        config.limits.rate.forwarding_unknown_per_minute = 2;
    });
    let post = |scene: &Scene, number: usize| {
        let message = scene.introduction(&format!("probe-{number}"));
        frames::post(&[&format!("n{number}@example.com")], vec![message])
    };
    for number in 0..3 {
        let probe = post(&scene, number);
        scene.peer.ask(&probe).must_be(Code::NotFound);
    }
    let message = scene.introduction("from-carol-1");
    scene.comes_to(Code::RateLimited, "forwarded-to-too-many-unknown", message);
}

// ---- Who may speak at all ----

// I-S-4.4-b, decisions Q-8 and Q-60
#[test]
fn a_domain_is_asked_before_its_service_is_believed() {
    let scene = Scene::new();
    let elsewhere = ForeignService::of(ELSEWHERE);
    let impostor = ForeignService::named("an impostor", ELSEWHERE);
    let ours = ForeignService::named("an impostor", "example.com");
    let nowhere = ForeignService::of("nowhere.example");
    // Somebody's public profiles, with the key of another.
    let borrowed = ClientIdentity::service(
        elsewhere.profile.clone(),
        Some(impostor.host.clone()),
        ELSEWHERE.to_owned(),
        impostor.keys.authentication.clone(),
    );
    let borrowed_host = ClientIdentity::service(
        elsewhere.profile.clone(),
        Some(impostor.host.clone()),
        ELSEWHERE.to_owned(),
        elsewhere.keys.authentication,
    );
    for (slug, identity) in [
        ("a-service-of-another-domain", impostor.identity()),
        ("a-service-of-a-domain-of-ours", ours.identity()),
        ("a-service-of-a-domain-that-has-none", nowhere.identity()),
        ("a-public-profile-with-another-key", borrowed),
        ("a-public-profile-with-a-foreign-host", borrowed_host),
    ] {
        let mut client = Client::new(&scene.service, identity);
        let answer = client.exchange(&hello());
        bare(None, Code::AuthenticationFailed, slug, &answer);
        assert!(answer.ticket.is_none());
    }
}

// Decision Q-52
#[test]
fn a_key_that_changed_without_the_profile_is_refused() {
    let scene = Scene::new();
    let elsewhere = ForeignService::of(ELSEWHERE);
    elsewhere
        .client(&scene.service)
        .exchange(&hello())
        .must_be(Code::Ok);
    let mut changed = elsewhere;
    changed.keys.authentication = ForeignService::of("other").keys.authentication;
    changed.profile = changed.keys.profile(mesh_tests::client::now());
    let answer = changed.client(&scene.service).exchange(&hello());
    let slug = "a-key-that-the-domain-does-not-show";
    bare(None, Code::AuthenticationFailed, slug, &answer);
    // Once the domain shows it, it is believed.
    scene.domains.know(&changed);
    changed
        .client(&scene.service)
        .exchange(&hello())
        .must_be(Code::Ok);
}

#[test]
fn a_domain_that_does_not_answer_is_to_try_again() {
    let scene = Scene::new();
    let silent = ForeignService::of("silent.example");
    scene.domains.fail(&silent.domain, GreetingError::TimedOut);
    let answer = silent.client(&scene.service).exchange(&hello());
    let slug = "a-domain-that-does-not-answer";
    bare(None, Code::Overload, slug, &answer);
}

#[test]
fn one_source_makes_us_call_one_new_domain_a_second() {
    let scene = Scene::with(|config| config.limits.rate.enabled = true);
    let refusal = (0..4)
        .map(|number| ForeignService::of(&format!("d{number}.example")))
        .map(|service| service.client(&scene.service).exchange(&hello()))
        .find(|answer| answer.code() != Some(Code::AuthenticationFailed))
        .expect("four domains are more than one a second");
    let slug = "too-many-domains-from-one-source";
    bare(None, Code::RateLimited, slug, &refusal);
}
