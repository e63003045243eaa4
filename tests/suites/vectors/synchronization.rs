//! `containers.json`, part `synchronization`: requests to one account in their order, and what each
//! answers (containers §8 and §13). Legacy digests are accepted, payloads have at most 64 KiB, and
//! lists of containers compare as sets (decision Q-21).

use mesh_common::account::policy::AccountPolicy;
use mesh_common::account::testing::{Device, Person, Shell};
use mesh_common::cluster::Evidence;
use mesh_common::protocol::Request;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::count::Tally;
use crate::json_of;

/// One request and its answer.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    op: String,
    request: Value,
    response: Map<String, Value>,
    note: String,
}

#[test]
fn every_step_of_the_synchronization_answers_as_written() {
    let mut tally = Tally::of(json_of("containers.json"));
    let mut shell = Shell::with_policy(AccountPolicy {
        legacy_digests: true,
        entry_payload_bytes_max: 64 * 1024,
        ..AccountPolicy::default()
    });
    let mut device = Device::of("alice@example.com", "laptop");
    let created = device.create(&Person::named("alice"));
    assert!(shell.perform(created).response.outcome().is_success());

    let expected = tally
        .value("/synchronization/steps")
        .as_array()
        .map_or(0, Vec::len);
    let mut steps = 0;
    tally.each("/synchronization/steps", |place, step: Step| {
        let tagged = Value::Object(Map::from_iter([(step.op.clone(), step.request)]));
        let request: Request =
            serde_json::from_value(tagged).unwrap_or_else(|error| panic!("step {place}: {error}"));
        let answer = shell.perform(device.ask(request, Evidence::Nothing));
        let answer = serde_json::to_value(&answer.response).expect("a response is JSON");
        let body = answer
            .as_object()
            .and_then(|tagged| tagged.values().next())
            .expect("a response has one member");
        for (member, value) in step.response {
            assert_eq!(
                comparable(&member, body.get(&member).cloned().unwrap_or_default()),
                comparable(&member, value),
                "step {place}, {member}: {}",
                step.note
            );
        }
        shell.check();
        steps += 1;
    });
    assert_eq!(steps, expected);
    assert!(steps > 20, "the sequence has {steps} steps");
}

/// A value as it is compared: the containers of a Status are a set.
fn comparable(member: &str, mut value: Value) -> Value {
    if member == "ContainerStatus"
        && let Value::Array(rows) = &mut value
    {
        rows.sort_by_key(|row| row["Container"].as_str().map(str::to_owned));
    }
    value
}
