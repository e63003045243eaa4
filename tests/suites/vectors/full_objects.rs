//! `full_objects.json`: every complete example of the two drafts is read, written again to the same
//! value, and its keys and envelopes hold (crypto §1, §2.4, §4, §7).

use mesh_common::assertion::{
    ActivationAccount, ActivationDevice, Assertion, CatalogedDevice, ConnectionAccount,
    ConnectionDevice, ProfileAccount, ProfileDevice, ProfileHost, ProfileMesh, ProfileService,
};
use mesh_common::catalog::entry::CatalogEntry;
use mesh_common::crypto::key::{KeyData, KeyOverlay, PublicKey};
use mesh_common::dare::Envelope;
use mesh_common::encoding::json;
use mesh_common::message::Message;
use mesh_common::protocol::{Request, Response};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::count::Tally;
use crate::envelopes::{EnvelopeCase, cases, unfolded};
use crate::json_of;

// I-P-5-a (parsing and signatures of the Hello examples), I-S-7.2.4-a (fingerprints).
#[test]
fn every_entry_of_the_file_holds() {
    let mut tally = Tally::of(json_of("full_objects.json"));
    let envelopes = cases();
    let mut met = Met::default();
    tally.each("/objects", |_, case: ObjectCase| {
        case.check(&envelopes, &mut met)
    });
    assert_eq!(tally.finish(), 18);
    assert_eq!(met.envelopes, 12, "all envelopes of both drafts");
    assert_eq!(met.overlays, 12, "six, each printed twice");
    assert_eq!(met.keys, 38);
}

/// How much was met in all objects together.
#[derive(Debug, Default)]
struct Met {
    envelopes: usize,
    keys: usize,
    overlays: usize,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ObjectCase {
    id: String,
    #[serde(rename = "source")]
    _source: String,
    #[serde(rename = "type")]
    tag: String,
    object: Value,
    payloads: Vec<PayloadCase>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PayloadCase {
    path: String,
    text: String,
    object: Value,
}

impl ObjectCase {
    fn check(&self, envelopes: &[EnvelopeCase], met: &mut Met) {
        let tags: Vec<&String> = self.object.as_object().unwrap().keys().collect();
        assert_eq!(tags, [&self.tag], "{}", self.id);
        check_type(&self.tag, &self.object);
        walk(&self.object, met);
        for payload in &self.payloads {
            let envelope = self.object.pointer(&payload.path).unwrap();
            let case = envelopes
                .iter()
                .find(|case| case.envelope == *envelope)
                .unwrap_or_else(|| panic!("{}{} is no vector", self.id, payload.path));
            let envelope = same::<Envelope>(envelope);
            case.check_verdicts(&envelope);
            assert_eq!(envelope.payload.0, payload.text.as_bytes());
            let read: Value = json::parse(&envelope.payload.0).unwrap();
            assert_eq!(unfolded(&read), payload.object);
            let tag = payload.object.as_object().unwrap().keys().next().unwrap();
            check_type(tag, &payload.object);
            walk(&payload.object, met);
            met.envelopes += 1;
        }
    }
}

/// Reads `value` as a `T`, and checks that it is written to the same value.
fn same<T: DeserializeOwned + Serialize>(value: &Value) -> T {
    let read: T = json::parse(&json::write(value)).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(serde_json::to_value(&read).unwrap(), *value);
    read
}

/// Reads the object as its type, and checks that it is written to the same value.
pub(crate) fn check_type(tag: &str, object: &Value) {
    match tag {
        "Hello" | "CreateAccount" => drop(same::<Request>(object)),
        "MeshHelloResponse" | "CreateResponse" => drop(same::<Response>(object)),
        "RequestConnection" | "AcknowledgeConnection" => drop(same::<Message>(object)),
        "CatalogedCredential" | "CatalogedBookmark" | "CatalogedTask" => {
            let entry = CatalogEntry::from_json(&json::write(object)).unwrap();
            let written: Value = json::parse(&entry.to_json()).unwrap();
            assert_eq!(written, *object);
        }
        ProfileMesh::TAG => check_assertion::<ProfileMesh>(object),
        ProfileDevice::TAG => check_assertion::<ProfileDevice>(object),
        ProfileAccount::TAG => check_assertion::<ProfileAccount>(object),
        ProfileService::TAG => check_assertion::<ProfileService>(object),
        ProfileHost::TAG => check_assertion::<ProfileHost>(object),
        ConnectionDevice::TAG => check_assertion::<ConnectionDevice>(object),
        ConnectionAccount::TAG => check_assertion::<ConnectionAccount>(object),
        ActivationDevice::TAG => check_assertion::<ActivationDevice>(object),
        ActivationAccount::TAG => check_assertion::<ActivationAccount>(object),
        CatalogedDevice::TAG => check_assertion::<CatalogedDevice>(object),
        other => panic!("no type is known for {other}"),
    }
}

fn check_assertion<A: Assertion>(object: &Value) {
    let assertion = A::from_json(&json::write(object)).unwrap();
    let written: Value = json::parse(&assertion.to_json()).unwrap();
    assert_eq!(written, *object);
}

/// Checks every key and overlay inside `value`: fingerprints are recomputed (architecture A-11).
fn walk(value: &Value, met: &mut Met) {
    match value {
        Value::Array(elements) => elements.iter().for_each(|element| walk(element, met)),
        Value::Object(members) => {
            if members.contains_key("PublicParameters") {
                let key = same::<KeyData>(value).public_key().unwrap();
                assert_eq!(members["UDF"], key.udf().as_str());
                met.keys += 1;
            }
            if members.contains_key("PublicKeyECDH") {
                same::<PublicKey>(value);
            }
            if members.contains_key("Overlay") {
                let overlay = same::<KeyOverlay>(value);
                assert!(overlay.overlay.unwrap().secret_key().is_ok());
                met.overlays += 1;
            }
            members.values().for_each(|member| walk(member, met));
        }
        _ => {}
    }
}
