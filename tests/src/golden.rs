//! Transcripts under `tests/data/golden`: what a peer sees, kept as files. With `GOLDEN=write` in the
//! environment the files are written anew instead of compared; what changed is then for a person to
//! read.
//!
//! What differs by nature is masked, so that everything else can be compared:
//!
//! | what | is written as |
//! | --- | --- |
//! | a text of 40 or more characters of base64url: keys, digests, signatures, payloads | `<binary>` |
//! | a UDF | `<UDF>` |
//! | a moment | `<time>` |
//! | `ContentMetaData` | what is encoded in it, masked in turn |
//! | elements of an array behind the third | how many they are |
//! | `Date`, `Content-Length` and `Retry-After` among the headers | `<…>` |

use std::fs;
use std::path::PathBuf;

use mesh_common::encoding::base64url::Binary;
use mesh_common::encoding::json;
use serde_json::{Map, Value};

use crate::client::{Answer, Form};
use crate::wire::{Framing, HttpReply, HttpRequest};

/// Elements of an array that are shown.
const ELEMENTS_SHOWN: usize = 3;
/// Characters from which on a text of base64url is masked.
const BINARY_CHARACTERS: usize = 40;
/// Octets of a body that is no JSON that are shown.
const OCTETS_SHOWN: usize = 160;

/// The folder of the golden files.
#[must_use]
pub fn folder() -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "data", "golden"]
        .iter()
        .collect()
}

/// Compares a request and its answer with the file `name`, or writes it.
///
/// # Panics
/// If the file holds something else, or nothing.
#[track_caller]
pub fn check_answer(name: &str, answer: &Answer) {
    let form = match answer.form {
        Form::Bare => "bare",
        Form::Exchange => "sealed by exchange",
        Form::Ticket => "sealed by ticket",
    };
    let mut text = format!("> POST, {form}\n{}\n\n", body(&answer.asked));
    text.push_str(&reply_head(&answer.http));
    text.push_str(if answer.is_sealed {
        "< sealed\n"
    } else {
        "< bare\n"
    });
    text.push_str(&body(&answer.text));
    check(name, &text);
}

/// Compares an HTTP request and its response with the file `name`, or writes it.
///
/// # Panics
/// If the file holds something else, or nothing.
#[track_caller]
pub fn check_http(name: &str, request: &HttpRequest, reply: &HttpReply) {
    let mut text = format!("> {} {}\n", request.method, request.target);
    for (header, value) in &request.headers {
        text.push_str(&format!("> {header}: {}\n", shortened(value.as_bytes())));
    }
    match request.framing {
        Framing::Length => {}
        Framing::Announce(length) => text.push_str(&format!("> announces {length} octets\n")),
        Framing::Chunked(_) => text.push_str("> in chunks\n"),
        Framing::None => text.push_str("> without a body\n"),
    }
    text.push_str(&body(&request.body));
    text.push_str("\n\n");
    text.push_str(&reply_head(reply));
    text.push_str(&body(&reply.body));
    check(name, &text);
}

/// Compares a text with the file `name`, or writes it.
///
/// # Panics
/// If the file holds something else, or nothing.
#[track_caller]
pub fn check(name: &str, text: &str) {
    let path = folder().join(format!("{name}.txt"));
    let text = format!("{}\n", text.trim_end());
    if std::env::var_os("GOLDEN").is_some_and(|value| value == "write") {
        let parent = path.parent().expect("every file has a folder");
        fs::create_dir_all(parent).expect("the folder of golden files can be made");
        fs::write(&path, &text).expect("a golden file can be written");
        return;
    }
    let expected = fs::read_to_string(&path).unwrap_or_else(|error| {
        panic!(
            "{}: {error}; GOLDEN=write makes it, found:\n{text}",
            path.display()
        )
    });
    assert_eq!(
        text,
        expected,
        "{} differs; GOLDEN=write takes what was found",
        path.display()
    );
}

fn reply_head(reply: &HttpReply) -> String {
    let mut lines: Vec<String> = reply
        .headers
        .iter()
        .map(|(name, value)| match name.as_str() {
            "date" | "content-length" | "retry-after" => format!("< {name}: <…>\n"),
            _ => format!("< {name}: {value}\n"),
        })
        .collect();
    lines.sort();
    format!("< {}\n{}", reply.status, lines.concat())
}

/// A body, masked and indented if it is JSON, else its beginning.
fn body(octets: &[u8]) -> String {
    match json::parse::<Value>(octets) {
        Ok(value) => {
            serde_json::to_string_pretty(&masked(value)).expect("a JSON value can be written")
        }
        Err(_) => shortened(octets),
    }
}

fn shortened(octets: &[u8]) -> String {
    let shown = &octets[..octets.len().min(OCTETS_SHOWN)];
    let text = shown.escape_ascii().to_string();
    if shown.len() < octets.len() {
        format!("{text}… ({} octets)", octets.len())
    } else {
        text
    }
}

/// The same value with everything masked that differs by nature.
#[must_use]
pub fn masked(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(masked_text(text)),
        Value::Array(elements) => {
            let hidden = elements.len().saturating_sub(ELEMENTS_SHOWN);
            let mut shown: Vec<Value> = elements
                .into_iter()
                .take(ELEMENTS_SHOWN)
                .map(masked)
                .collect();
            if hidden > 0 {
                shown.push(Value::String(format!("<{hidden} more>")));
            }
            Value::Array(shown)
        }
        Value::Object(members) => Value::Object(
            members
                .into_iter()
                .map(|(name, value)| {
                    let value = content_meta(&name, &value).unwrap_or(value);
                    (name, masked(value))
                })
                .collect(),
        ),
        other => other,
    }
}

/// What is encoded in `ContentMetaData`.
fn content_meta(name: &str, value: &Value) -> Option<Value> {
    let text = value.as_str().filter(|_| name == "ContentMetaData")?;
    let octets: Binary = serde_json::from_value(Value::String(text.to_owned())).ok()?;
    let members: Map<String, Value> = json::parse(octets.as_slice()).ok()?;
    Some(Value::Object(members))
}

/// The same word, or what stands for it if it differs by nature.
#[must_use]
pub fn masked_text(text: String) -> String {
    if is_udf(&text) {
        "<UDF>".into()
    } else if is_time(&text) {
        "<time>".into()
    } else if text.len() >= BINARY_CHARACTERS && text.bytes().all(is_base64url) {
        "<binary>".into()
    } else {
        text
    }
}

fn is_base64url(octet: u8) -> bool {
    octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_')
}

/// Groups of four characters of Base32, at least three of them.
fn is_udf(text: &str) -> bool {
    let groups: Vec<&str> = text.split('-').collect();
    groups.len() >= 3
        && groups.iter().enumerate().all(|(position, group)| {
            let is_last = position + 1 == groups.len();
            (group.len() == 4 || (is_last && (1..=4).contains(&group.len())))
                && group
                    .bytes()
                    .all(|octet| octet.is_ascii_uppercase() || (b'2'..=b'7').contains(&octet))
        })
}

fn is_time(text: &str) -> bool {
    text.len() >= 20 && text.ends_with('Z') && text.parse::<mesh_common::time::Timestamp>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_differs_by_nature_is_masked_and_nothing_else() {
        let found = masked(json!({
            "Digest": "z4PhNX7vuL3xVChQ1m2AB9Yg5AULVxXcg_SpIdNs6c5H0NE8XYXysP",
            "kid": "MBSC-YIGU-GPCJ-YQGJ-763A-X6Y4-DDZN",
            "Expires": "2020-03-10T12:00:00.000Z",
            "ContentMetaData": "eyJFdmVudCI6Ik5ldyJ9",
            "Entries": [1, 2, 3, 4, 5],
            "StatusDescription": "a sentence that is longer than forty characters",
            "Container": "mmm_Device",
            "Status": 201,
        }));
        let expected = json!({
            "Digest": "<binary>",
            "kid": "<UDF>",
            "Expires": "<time>",
            "ContentMetaData": {"Event": "New"},
            "Entries": [1, 2, 3, "<2 more>"],
            "StatusDescription": "a sentence that is longer than forty characters",
            "Container": "mmm_Device",
            "Status": 201,
        });
        assert_eq!(found, expected);
    }
}
