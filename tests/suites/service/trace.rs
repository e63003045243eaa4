//! `service-trace.json`: requests that the reference implementation of April 2020 sent against this
//! service in interop mode (service §11, decision Q-39). They are sent as they were recorded but for
//! one thing: what a request says of the answer to an earlier one, it says of our answer. What comes
//! back has the recorded structure and class of status.

use std::fs;
use std::path::PathBuf;

use mesh_common::dare::ContainerName;
use mesh_common::encoding::{base64url, json};
use mesh_common::message::{Message, response_id_2020};
use mesh_common::protocol::{Code, Transaction};
use mesh_frontend::config::BareJson;
use mesh_tests::wire::{Connection, HttpRequest};
use mesh_tests::{Answer, Client, Form, TestService, bob};
use serde::Deserialize;
use serde_json::Value;

/// The step whose recorded status we do not repeat: that nobody has answered yet is no error (service
/// §6.3).
const NOT_ANSWERED: &str = "Complete: nothing there yet";

/// What the recorded rejection is called. It was one of another request than the one recorded before
/// it, whose answer it is here.
const REJECTION: &str = "MATF-4YUR-NI6X-DX26-L66Q-MJDN-YQ";

/// One recorded request and its answer.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Step {
    step: String,
    account: String,
    transaction: String,
    request: String,
    response: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Trace {
    steps: Vec<Step>,
    reject: Vec<Step>,
}

fn trace() -> Trace {
    let path: PathBuf = [
        env!("CARGO_MANIFEST_DIR"),
        "data",
        "vectors",
        "service-trace.json",
    ]
    .iter()
    .collect();
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// A service as reference code needs it.
fn lenient_service() -> TestService {
    TestService::with(|config| {
        config.interop.bare_json = Some(BareJson::Loopback);
        config.interop.unsigned_profile_mesh = true;
        config.interop.legacy_digests = true;
    })
}

fn send(connection: &mut Connection, step: &Step) -> Answer {
    send_text(connection, step, step.request.as_bytes().to_vec())
}

fn send_text(connection: &mut Connection, step: &Step, text: Vec<u8>) -> Answer {
    let request = HttpRequest::post(text.clone()).header("X-Mesh-Account", &step.account);
    let http = connection.send(&request);
    Answer::bare(Form::Bare, text, http)
}

/// What answers to requests to connect were called when they were recorded, and what ours are.
#[derive(Default)]
struct Renamed(Vec<(String, String)>);

impl Renamed {
    /// Notes the answer to a Connect.
    fn note(&mut self, recorded: &Value, found: &Value) {
        let id = |response: &Value| {
            let envelope = response["EnvelopedConnectionResponse"].clone();
            let envelope = serde_json::from_value(envelope).unwrap();
            let message = Message::from_envelope(&envelope).unwrap();
            response_id_2020(message.message_id().unwrap()).to_string()
        };
        self.0.push((id(recorded), id(found)));
    }

    /// A request with our names in place of the recorded ones.
    fn request(&self, step: &Step) -> Vec<u8> {
        let mut request: Value = json::parse(step.request.as_bytes()).unwrap();
        self.rename(&mut request);
        json::write(&request)
    }

    fn rename(&self, value: &mut Value) {
        match value {
            Value::String(text) => self.rename_text(text),
            Value::Array(elements) => elements.iter_mut().for_each(|one| self.rename(one)),
            Value::Object(members) => members.values_mut().for_each(|one| self.rename(one)),
            _ => {}
        }
    }

    /// As it stands, or within what is encoded in it.
    fn rename_text(&self, text: &mut String) {
        let compact: String = text.split_ascii_whitespace().collect();
        let inner = base64url::decode(&compact).ok();
        let inner = inner.and_then(|octets| String::from_utf8(octets).ok());
        for (recorded, ours) in &self.0 {
            match &inner {
                Some(inner) if inner.contains(recorded) => {
                    *text = base64url::encode(inner.replace(recorded, ours).as_bytes());
                }
                _ if text == recorded => ours.clone_into(text),
                _ => {}
            }
        }
    }
}

// trace, I-P-4.3.2-b, X-40
#[test]
fn recorded_requests_get_answers_of_the_recorded_structure() {
    let service = lenient_service();
    // Bob's account was there when his messages were recorded; how it was made was not.
    drop(Client::of_new_account(&service, &bob()));
    let mut connection = service.connect();
    let trace = trace();
    let mut renamed = Renamed::default();
    for step in trace.steps.iter().chain(&trace.reject) {
        let answer = send_text(&mut connection, step, renamed.request(step));
        let transaction = Transaction::from_tag(&step.transaction).unwrap();
        let tag = transaction.response_tag();
        assert_eq!(answer.response.tag(), tag, "{}", step.step);
        if step.step == NOT_ANSWERED {
            answer.must_be(Code::Pending);
            continue;
        }
        let recorded: Value = json::parse(step.response.as_bytes()).unwrap();
        let found: Value = json::parse(&answer.text).unwrap();
        let (recorded, found) = (&recorded[tag], &found[tag]);
        let class = |value: &Value| value["Status"].as_u64().unwrap() / 100;
        assert_eq!(
            class(found),
            class(recorded),
            "{}: {}",
            step.step,
            answer.told()
        );
        has_structure(&step.step, "", found, recorded);
        if transaction == Transaction::Connect {
            renamed.note(recorded, found);
            if trace
                .reject
                .iter()
                .any(|other| other.request == step.request)
            {
                let ours = renamed.0[renamed.0.len() - 1].1.clone();
                renamed.0.push((REJECTION.to_owned(), ours));
            }
        }
    }
    assert_eq!(trace.steps.len() + trace.reject.len(), 19);
    assert_eq!(renamed.0.len(), 4, "three requests, and the rejection");
}

/// Members that the reference implementation writes and this service does not (architecture A-9).
const NOT_WRITTEN: [&str; 1] = ["TreePosition"];

/// Insists that `found` has every member that was recorded. Elements of arrays are compared in pairs,
/// as many as both have: what arrived by a Post or a Connect is not here.
fn has_structure(step: &str, place: &str, found: &Value, recorded: &Value) {
    match (found, recorded) {
        (Value::Object(found), Value::Object(recorded)) => {
            for (name, value) in recorded {
                if NOT_WRITTEN.contains(&name.as_str()) {
                    continue;
                }
                let place = format!("{place}/{name}");
                let member = found
                    .get(name)
                    .unwrap_or_else(|| panic!("{step}: {place} is missing"));
                has_structure(step, &place, member, value);
            }
        }
        (Value::Array(found), Value::Array(recorded)) => {
            for (position, (found, recorded)) in found.iter().zip(recorded).enumerate() {
                has_structure(step, &format!("{place}/{position}"), found, recorded);
            }
        }
        _ => assert_eq!(
            std::mem::discriminant(found),
            std::mem::discriminant(recorded),
            "{step}: {place} is of another kind"
        ),
    }
}

// trace
#[test]
fn after_the_recorded_uploads_the_containers_stand_where_they_were_recorded() {
    let service = lenient_service();
    let mut connection = service.connect();
    let trace = trace();
    let step = |name: &str| {
        trace
            .steps
            .iter()
            .find(|step| step.step.starts_with(name))
            .unwrap()
    };
    for name in ["CreateAccount", "first Upload"] {
        send(&mut connection, step(name)).must_be(Code::Ok);
    }
    let recorded: Value = json::parse(step("Status").response.as_bytes()).unwrap();
    let status = send(&mut connection, step("Status"));
    let rows = recorded["StatusResponse"]["ContainerStatus"]
        .as_array()
        .unwrap();
    for row in rows {
        // What was mmm_Calendar is mmm_Task (service §1.1).
        let name = ContainerName::parse(row["Container"].as_str().unwrap()).unwrap();
        let count = row["Index"].as_u64();
        assert_eq!(
            status.count_of(name.canonical()),
            count,
            "{}",
            name.canonical()
        );
    }
    assert_eq!(rows.len(), 9);
}

// trace
#[test]
fn without_the_switch_recorded_requests_are_unauthenticated() {
    let service = TestService::start();
    let mut connection = service.connect();
    for step in trace().steps {
        let answer = send(&mut connection, &step);
        match step.transaction.as_str() {
            "Hello" => answer.must_be(Code::Ok),
            _ => answer.must_be(Code::AuthenticationRequired),
        };
    }
}
