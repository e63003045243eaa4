//! `service-trace.json`: requests that the reference implementation of April 2020 sent, verbatim,
//! against this service in interop mode (service §11, decision Q-39). What it asked of the
//! transactions offered here is answered in the recorded structure and class of status; the others
//! are refused in their own class.

use std::fs;
use std::path::PathBuf;

use mesh_common::dare::ContainerName;
use mesh_common::encoding::json;
use mesh_common::protocol::{Code, Transaction};
use mesh_frontend::config::BareJson;
use mesh_tests::wire::{Connection, HttpRequest};
use mesh_tests::{Answer, Form, TestService};
use serde::Deserialize;
use serde_json::Value;

/// Transactions of later issues: known by their tags, and not offered.
const NOT_OFFERED: [Transaction; 1] = [Transaction::Post];

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
    let request = HttpRequest::post(step.request.as_str()).header("X-Mesh-Account", &step.account);
    let http = connection.send(&request);
    Answer::bare(Form::Bare, step.request.as_bytes().to_vec(), http)
}

// trace
#[test]
fn recorded_requests_get_answers_of_the_recorded_structure() {
    let service = lenient_service();
    let mut connection = service.connect();
    let trace = trace();
    let mut replayed = 0;
    let mut refused = 0;
    for step in trace.steps.iter().chain(&trace.reject) {
        let answer = send(&mut connection, step);
        let transaction = Transaction::from_tag(&step.transaction).unwrap();
        assert_eq!(
            answer.response.tag(),
            transaction.response_tag(),
            "{}",
            step.step
        );
        if NOT_OFFERED.contains(&transaction) {
            answer.must_be(Code::UnknownOperation);
            refused += 1;
            continue;
        }
        let recorded: Value = json::parse(step.response.as_bytes()).unwrap();
        let recorded = &recorded[transaction.response_tag()];
        let found: Value = json::parse(&answer.text).unwrap();
        let found = &found[transaction.response_tag()];
        let class = |value: &Value| value["Status"].as_u64().unwrap() / 100;
        assert_eq!(
            class(found),
            class(recorded),
            "{}: {}",
            step.step,
            answer.told()
        );
        has_structure(&step.step, "", found, recorded);
        replayed += 1;
    }
    // Hello, CreateAccount, two Uploads, Status, three Downloads; the rest is for later issues.
    assert_eq!((replayed, refused), (8, 11));
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
