//! Posts of a device that is connected, whose session is good and whose signatures verify, and whose content is not as
//! it should be: each is refused with a sentence that says why, and nothing of it is stored (service §5.7).

use std::collections::BTreeSet;
use std::fmt::Write as _;

use mesh_common::dare::{ContentMeta, Envelope, Header};
use mesh_common::encoding::json;
use mesh_common::limits::{
    MESSAGE_PAYLOAD_BYTES_MAX, POST_MESSAGES_MAX, POST_RECIPIENTS_MAX, UNIQUE_ID_BYTES_MAX,
};
use mesh_common::message::identify;
use mesh_common::protocol::{Code, EntryResult, PostRequest, Request};
use mesh_tests::client::{Answer, Circumstances, Form};
use mesh_tests::people::Device;
use mesh_tests::{Client, TestService, alice, bob, frames, golden};

use super::mutate::{self, Dice};
use super::number_of;

const BOB: &str = "bob@example.com";
const KIND: &str = "RequestContact";

/// Alice and Bob, each with a connected device.
fn alice_and_bob() -> (TestService, Client, Client) {
    let service = TestService::with(|config| config.limits.rate.enabled = false);
    let alices = Client::of_new_account_with_device(&service, &alice());
    let bobs = Client::of_new_account_with_device(&service, &bob());
    (service, alices, bobs)
}

/// What stands where in the account.
fn stored(client: &mut Client) -> String {
    let answer = client.ask(&frames::status());
    let rows = answer.status().container_status.iter();
    let rows = rows.map(|row| (row.container.clone(), row.index, row.digest.clone()));
    format!("{:?}", rows.collect::<Vec<_>>())
}

/// A message with this id, content and kind, not signed.
fn message(id: &str, payload: &[u8]) -> Envelope {
    let meta = ContentMeta {
        unique_id: Some(id.to_owned()),
        message_type: Some(KIND.to_owned()),
        ..ContentMeta::default()
    };
    enclosed(&meta, payload)
}

fn enclosed(meta: &ContentMeta, payload: &[u8]) -> Envelope {
    Envelope {
        header: Header::default().with_content_meta(meta),
        ..Envelope::plain(payload.to_vec())
    }
}

/// What strangers take.
fn sound(id: &str) -> Envelope {
    let body = format!(r#"{{"MessageID":"{id}","Sender":"alice@example.com"}}"#);
    frames::message(KIND, id, &body)
}

/// A message of so many octets.
fn of_size(octets: usize) -> Envelope {
    let frame = r#"{"RequestContact":{"Subject":""}}"#;
    let subject = "x".repeat(octets - frame.len());
    let payload = frame.replace("\"\"", &format!("\"{subject}\""));
    message("large", payload.as_bytes())
}

fn post(accounts: &[&str], messages: Vec<Envelope>) -> PostRequest {
    PostRequest {
        accounts: accounts.iter().map(|one| (*one).to_owned()).collect(),
        messages,
        ..PostRequest::default()
    }
}

/// Messages whose content is not what a message has, each signed as it is.
fn malformed() -> Vec<(&'static str, Envelope)> {
    let nameless = ContentMeta {
        message_type: Some(KIND.to_owned()),
        ..ContentMeta::default()
    };
    let body = br#"{"RequestContact":{}}"#;
    let deep = format!(
        "{{\"RequestContact\":{{\"Subject\":{}{}}}}}",
        "[".repeat(5_000),
        "]".repeat(5_000)
    );
    let deep = deep.into_bytes();
    let elsewhere = br#"{"RequestContact":{"MessageID":"another","Sender":"alice@example.com"}}"#;
    let not_hers = br#"{"RequestContact":{"MessageID":"id","Sender":"bob@example.com"}}"#;
    let several = br#"{"RequestContact":{"Sender":["bob@example.com","alice@example.com"]}}"#;
    let several_ids = br#"{"RequestContact":{"MessageID":["another","id"]}}"#;
    let twice = br#"{"RequestContact":{"Sender":"alice@example.com","Sender":"bob@example.com"}}"#;
    vec![
        ("content that is no JSON", message("id", b"no JSON")),
        ("content that is no text", message("id", b"\xff\xfe{}")),
        ("no content", message("id", b"")),
        ("content that is nested too deeply", message("id", &deep)),
        ("content with a member twice", message("id", twice)),
        (
            "content of two messages",
            message("id", br#"{"RequestContact":{},"MessageComplete":{}}"#),
        ),
        (
            "content of another kind",
            message("id", br#"{"RequestConfirmation":{}}"#),
        ),
        (
            "a kind that nobody knows",
            frames::message("RequestMoney", "id", "{}"),
        ),
        ("another id inside", message("id", elsewhere)),
        ("another sender inside", message("id", not_hers)),
        ("several ids inside", message("id", several_ids)),
        ("several senders inside", message("id", several)),
        ("no id", enclosed(&nameless, body)),
        ("an empty id", message("", body)),
        (
            "an id that is too long",
            message(&"x".repeat(UNIQUE_ID_BYTES_MAX + 1), body),
        ),
        ("an id with a line's end", message("i\nd", body)),
        (
            "a completion of what is not there",
            frames::completion("id", "nothing", "Read"),
        ),
        (
            "more than is received",
            of_size(MESSAGE_PAYLOAD_BYTES_MAX + 1),
        ),
    ]
}

/// Messages whose signatures are not those that they need.
fn falsely_signed(device: &Device) -> Vec<(&'static str, Envelope)> {
    let mut changed = device.signed(sound("id"));
    changed.payload = sound("other").payload;
    let mut stripped = device.signed(sound("id"));
    stripped.trailer = None;
    let own = &device.in_account.signature;
    let alone = Envelope::signed(
        sound("id").payload.as_slice().to_vec(),
        sound("id").header,
        &[own],
    );
    vec![
        ("content that was changed since it was signed", changed),
        ("no signature", stripped),
        ("a signature without its chain", alone),
        (
            "a signature of somebody else",
            bob().device.signed(sound("id")),
        ),
    ]
}

/// Requests that contradict themselves, or ask for more than there is.
fn contradictory(device: &Device) -> Vec<(&'static str, PostRequest)> {
    let signed = |id: &str| device.signed(sound(id));
    let many: Vec<String> = (0..=POST_RECIPIENTS_MAX)
        .map(|one| format!("p{one}@example.com"))
        .collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let other = device.signed(frames::message(KIND, "id", r#"{"Subject":"another"}"#));
    let messages = (0..=POST_MESSAGES_MAX).map(|one| signed(&one.to_string()));
    vec![
        ("who is no address", post(&["bob"], vec![signed("id")])),
        (
            "a domain that is none",
            post(&["bob@.."], vec![signed("id")]),
        ),
        ("one recipient too many", post(&many, vec![signed("id")])),
        ("one message too many", post(&[BOB], messages.collect())),
        (
            "two messages of one id",
            post(&[BOB], vec![signed("id"), other]),
        ),
    ]
}

/// Texts that no value of a request can hold.
fn bent(device: &Device) -> Vec<(&'static str, Vec<u8>)> {
    let text = json::write(&Request::Post(post(
        &[BOB],
        vec![device.signed(sound("id"))],
    )));
    let text = String::from_utf8(text).expect("JSON is text");
    let members = format!("\"Accounts\":[\"{BOB}\"]");
    let replaced = |with: &str| text.replacen(&members, with, 1).into_bytes();
    let cut = text.len() / 2;
    vec![
        (
            "a member twice",
            replaced(&format!("{members},\"Accounts\":[\"alice@example.com\"]")),
        ),
        (
            "a text for a list",
            replaced(&format!("\"Accounts\":\"{BOB}\"")),
        ),
        ("a number for a name", replaced("\"Accounts\":[7]")),
        ("half of it", text.as_bytes()[..cut].to_vec()),
        ("something behind it", format!("{text}{{}}").into_bytes()),
        (
            "two transactions",
            text.replacen("{\"Post\"", "{\"Status\":{},\"Post\"", 1)
                .into_bytes(),
        ),
        (
            "another transaction",
            text.replacen("{\"Post\"", "{\"Posts\"", 1).into_bytes(),
        ),
    ]
}

/// Sends a text by ticket.
fn sealed(client: &mut Client, text: Vec<u8>) -> Answer {
    if client.ticket.is_none() {
        client.ask(&frames::status()).must_be(Code::Ok);
    }
    let (envelope, pending) = client.seal_ticket(&text, &Circumstances::default());
    client.send(Form::Ticket, text, &envelope, &pending)
}

/// What was said, in one line, and whether anything was taken.
fn said(name: &str, answer: &Answer) -> (String, bool) {
    let outcome = answer.outcome();
    let mut line = format!("{name}: HTTP {}", answer.http.status);
    if let Some(sentence) = &outcome.status_description {
        write!(line, ", {sentence}").expect("into memory");
    }
    let is_done = answer.code() == Some(Code::Ok);
    let entries = match is_done {
        true => answer
            .post()
            .entries
            .iter()
            .map(|entry| entry.result)
            .collect(),
        false => Vec::new(),
    };
    for entry in &entries {
        write!(line, ", {entry:?}").expect("into memory");
    }
    let is_taken = is_done
        && entries
            .iter()
            .all(|result| *result == Some(EntryResult::Accept));
    (line, is_taken)
}

#[test]
fn what_a_device_signs_and_seals_is_refused_with_its_reason_and_leaves_nothing_behind() {
    let (service, mut alices, mut bobs) = alice_and_bob();
    let device = alice().device;
    let text_of = |request: PostRequest| json::write(&Request::Post(request));
    let signed = malformed()
        .into_iter()
        .map(|(name, one)| (name, device.signed(one)));
    let messages = signed.chain(falsely_signed(&device));
    let cases = messages.map(|(name, one)| (name, text_of(post(&[BOB], vec![one]))));
    let requests = contradictory(&device).into_iter();
    let cases = cases.chain(requests.map(|(name, one)| (name, text_of(one))));
    let before = (stored(&mut alices), stored(&mut bobs));
    let mut all = String::new();
    for (name, text) in cases.chain(bent(&device)) {
        let answer = sealed(&mut alices, text);
        let (line, is_taken) = said(name, &answer);
        writeln!(all, "{line}").expect("into memory");
        assert!(!is_taken, "{line}");
        let is_refusal = (400..500).contains(&answer.http.status) || answer.http.status == 501;
        assert!(is_refusal, "{line}");
        assert!(answer.is_sealed, "{line}");
        let after = (stored(&mut alices), stored(&mut bobs));
        assert_eq!(after, before, "{line}");
    }
    golden::check("hostile/posts", &all);
    // The same device, the same session: nothing was held against them.
    let good = post(&[BOB], vec![device.signed(sound("good"))]);
    let (line, is_taken) = said("good", &sealed(&mut alices, text_of(good)));
    assert!(is_taken, "{line}");
    let other = frames::message(KIND, "good", r#"{"Subject":"another"}"#);
    let again = post(&[BOB], vec![device.signed(other)]);
    let (line, is_taken) = said("another of its id", &sealed(&mut alices, text_of(again)));
    assert!(!is_taken, "{line}");
    assert_eq!(service.measured("mesh_panics_contained_total", ""), 0.0);
}

/// Ids of the messages in Outbound that this file made.
fn sent(client: &mut Client) -> BTreeSet<String> {
    let answer = client.ask(&frames::download("mmm_Outbound"));
    let frames = answer
        .download()
        .updates
        .iter()
        .flat_map(|update| &update.envelopes);
    let ids = frames.filter_map(|frame| identify(frame).ok());
    ids.map(|identity| identity.unique_id)
        .filter(|id| id.starts_with("hostile-"))
        .collect()
}

#[test]
fn posts_that_are_damaged_before_they_are_signed_are_stored_whole_or_not_at_all() {
    let (service, mut alices, _bobs) = alice_and_bob();
    let device = alice().device;
    // As many as one page of Outbound shows.
    let count = (number_of("MESH_MUTATIONS", 5_000) / 25).min(200);
    let seed = number_of("MESH_SEED", 1);
    let mut dice = Dice::new(seed);
    let mut taken = BTreeSet::new();
    for number in 0..count {
        let id = format!("hostile-{number}");
        let mut message = sound(&id);
        // Every fifth is as it should be.
        if number % 5 > 0 {
            let damaged = mutate::json(&mut dice, message.payload.as_slice());
            message.payload = damaged.into();
        }
        let request = Request::Post(post(&[BOB], vec![device.signed(message)]));
        let answer = sealed(&mut alices, json::write(&request));
        let (line, is_taken) = said(&id, &answer);
        assert!(answer.http.status < 500, "seed {seed}: {line}");
        assert!(is_taken || number % 5 > 0, "seed {seed}: {line}");
        if is_taken {
            taken.insert(id);
        }
    }
    assert!((taken.len() as u64) < count, "everything was taken");
    assert_eq!(sent(&mut alices), taken, "seed {seed}");
    assert_eq!(service.measured("mesh_panics_contained_total", ""), 0.0);
}
