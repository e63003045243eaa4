//! JSON as the Mesh reads it: unescaped LF, CR and TAB inside strings are tolerated; other control
//! octets, duplicate members and a second member in a tagged object are refused (decision Q-16,
//! crypto §1.3). What is written is strict JSON without white space.
//!
//! Reading is two passes: [`check`] walks the octets once and finds what `serde_json` would accept
//! silently (duplicates) or refuse needlessly (raw line breaks); then `serde_json` builds the type.

use std::borrow::Cow;
use std::collections::HashSet;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::limits::{JSON_DEPTH_MAX, JSON_MEMBERS_SCANNED_MAX};

/// Characters of a reason: one line of a log.
const REASON_CHARACTERS_MAX: usize = 200;

/// Why a text is not the JSON that was expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    /// A control octet other than LF, CR and TAB inside a string.
    #[error("control octet {octet:#04x} inside a string at octet {position}")]
    ControlOctet {
        /// The octet.
        octet: u8,
        /// Where it stands.
        position: usize,
    },
    /// One object has the same member twice.
    #[error("member {name:?} stands twice in one object")]
    DuplicateMember {
        /// The first 40 characters of the member's name.
        name: String,
    },
    /// Arrays and objects are nested deeper than [`JSON_DEPTH_MAX`].
    #[error("nested deeper than {JSON_DEPTH_MAX} levels")]
    TooDeep,
    /// Not JSON, or not of the type that was expected here.
    #[error("{reason}")]
    Unreadable {
        /// What the reader found, and where.
        reason: String,
    },
}

/// Reads a value from `octets`.
///
/// # Errors
/// [`JsonError`], for what the module page lists and for any text that is not a `T`.
pub fn parse<T: DeserializeOwned>(octets: &[u8]) -> Result<T, JsonError> {
    let clean = check(octets)?;
    serde_json::from_slice(&clean).map_err(|error| JsonError::Unreadable {
        reason: without_values(&error.to_string()),
    })
}

/// What the reader says, without the text it quotes from a message, which may be secret, and within
/// a line of a log.
fn without_values(reason: &str) -> String {
    let reason = match (reason.find('"'), reason.rfind('"')) {
        (Some(first), Some(last)) if first < last => {
            [&reason[..=first], "…", &reason[last..]].concat()
        }
        _ => reason.to_owned(),
    };
    reason.chars().take(REASON_CHARACTERS_MAX).collect()
}

/// Writes strict JSON without white space.
///
/// # Panics
/// Never for Mesh types: their maps have text keys and their `Serialize` does not fail.
#[must_use]
pub fn write<T: Serialize + ?Sized>(value: &T) -> Vec<u8> {
    serde_json::to_vec(value).expect("Mesh types have text keys and always serialize")
}

/// Writes strict JSON behind what stands in `text`.
///
/// # Panics
/// As [`write()`]: never for Mesh types.
pub fn append<T: Serialize + ?Sized>(value: &T, text: &mut Vec<u8>) {
    serde_json::to_writer(text, value).expect("Mesh types have text keys and always serialize");
}

/// Refuses what is never acceptable and returns text that a strict parser can read: the same
/// octets, or a copy in which raw LF, CR and TAB inside strings are escaped.
///
/// # Errors
/// [`JsonError::ControlOctet`], [`JsonError::DuplicateMember`], [`JsonError::TooDeep`].
pub fn check(octets: &[u8]) -> Result<Cow<'_, [u8]>, JsonError> {
    let mut scan = Scan::new();
    let mut position = 0;
    while position < octets.len() {
        position = match octets[position] {
            b'"' => scan.string(octets, position)?,
            b'{' | b'[' => scan.open(octets[position] == b'{', position)?,
            b'}' | b']' => scan.close(position),
            b',' => scan.next_member(position),
            _ => position + 1,
        };
    }
    Ok(scan.finish(octets))
}

/// One open array or object.
enum Level<'a> {
    Array,
    Object {
        expects_name: bool,
        /// Where the names of its members begin, among all names.
        names_from: usize,
        /// The names beyond the first [`JSON_MEMBERS_SCANNED_MAX`]: a short list is searched, a long
        /// one hashed.
        more_names: Option<HashSet<Cow<'a, [u8]>>>,
    },
}

/// As deep as a request usually is, and as many names: room is made for them once.
const LEVELS_USUAL: usize = 8;
const NAMES_USUAL: usize = 16;

struct Scan<'a> {
    levels: Vec<Level<'a>>,
    /// Names of members by value, escapes decoded: of all open objects, those of the innermost last.
    names: Vec<Cow<'a, [u8]>>,
    raw_breaks: Vec<usize>,
}

impl<'a> Scan<'a> {
    fn new() -> Self {
        Self {
            levels: Vec::with_capacity(LEVELS_USUAL),
            names: Vec::with_capacity(NAMES_USUAL),
            raw_breaks: Vec::new(),
        }
    }

    fn open(&mut self, object: bool, position: usize) -> Result<usize, JsonError> {
        if self.levels.len() == JSON_DEPTH_MAX {
            return Err(JsonError::TooDeep);
        }
        self.levels.push(if object {
            Level::Object {
                expects_name: true,
                names_from: self.names.len(),
                more_names: None,
            }
        } else {
            Level::Array
        });
        Ok(position + 1)
    }

    fn close(&mut self, position: usize) -> usize {
        if let Some(Level::Object { names_from, .. }) = self.levels.pop() {
            self.names.truncate(names_from);
        }
        position + 1
    }

    fn next_member(&mut self, position: usize) -> usize {
        if let Some(Level::Object { expects_name, .. }) = self.levels.last_mut() {
            *expects_name = true;
        }
        position + 1
    }

    /// Walks the string that starts at `start` and returns the position behind it.
    fn string(&mut self, octets: &'a [u8], start: usize) -> Result<usize, JsonError> {
        let mut position = start + 1;
        let end = loop {
            position += plain(octets.get(position..).unwrap_or_default());
            match octets.get(position) {
                None => break octets.len(),
                Some(b'"') => break position,
                Some(b'\\') => position += 2,
                Some(b'\n' | b'\r' | b'\t') => {
                    self.raw_breaks.push(position);
                    position += 1;
                }
                Some(&octet @ 0..0x20) => return Err(JsonError::ControlOctet { octet, position }),
                Some(_) => position += 1,
            }
        };
        self.name(&octets[start + 1..end.min(octets.len())])?;
        Ok(end + 1)
    }

    /// If a member name is due, `text` is it.
    fn name(&mut self, text: &'a [u8]) -> Result<(), JsonError> {
        let Some(Level::Object {
            expects_name,
            names_from,
            more_names,
        }) = self.levels.last_mut()
        else {
            return Ok(());
        };
        if !std::mem::take(expects_name) {
            return Ok(());
        }
        let name = name_value(text);
        let names = &self.names[*names_from..];
        if names.contains(&name) || more_names.as_ref().is_some_and(|more| more.contains(&name)) {
            return Err(JsonError::DuplicateMember {
                name: String::from_utf8_lossy(&name).chars().take(40).collect(),
            });
        }
        if names.len() < JSON_MEMBERS_SCANNED_MAX {
            self.names.push(name);
        } else {
            more_names.get_or_insert_default().insert(name);
        }
        Ok(())
    }

    fn finish(self, octets: &'a [u8]) -> Cow<'a, [u8]> {
        if self.raw_breaks.is_empty() {
            return Cow::Borrowed(octets);
        }
        let mut clean = Vec::with_capacity(octets.len() + self.raw_breaks.len());
        let mut copied = 0;
        for position in self.raw_breaks {
            clean.extend_from_slice(&octets[copied..position]);
            clean.extend_from_slice(match octets[position] {
                b'\n' => b"\\n",
                b'\r' => b"\\r",
                _ => b"\\t",
            });
            copied = position + 1;
        }
        clean.extend_from_slice(&octets[copied..]);
        Cow::Owned(clean)
    }
}

/// How many octets stand before the first one that means something inside a string. Whole chunks are
/// compared without looking for the place: most strings are long base64url.
fn plain(octets: &[u8]) -> usize {
    const fn means_something(octet: u8) -> bool {
        octet < 0x20 || octet == b'"' || octet == b'\\'
    }
    let (chunks, _) = octets.as_chunks::<16>();
    let is_plain = |chunk: &[u8; 16]| {
        !chunk
            .iter()
            .fold(false, |any, &octet| any | means_something(octet))
    };
    let skipped = 16 * chunks.iter().take_while(|chunk| is_plain(chunk)).count();
    let rest = &octets[skipped..];
    skipped
        + rest
            .iter()
            .position(|&octet| means_something(octet))
            .unwrap_or(rest.len())
}

/// The value of a member name as it is written between its quotes. A name that cannot be decoded
/// stands for itself: the reader that follows refuses it.
fn name_value(text: &[u8]) -> Cow<'_, [u8]> {
    if !text.contains(&b'\\') {
        return Cow::Borrowed(text);
    }
    let mut quoted = Vec::with_capacity(text.len() + 2);
    quoted.push(b'"');
    for octet in text {
        match octet {
            b'\n' => quoted.extend(b"\\n"),
            b'\r' => quoted.extend(b"\\r"),
            b'\t' => quoted.extend(b"\\t"),
            octet => quoted.push(*octet),
        }
    }
    quoted.push(b'"');
    serde_json::from_slice::<String>(&quoted)
        .map_or(Cow::Borrowed(text), |name| Cow::Owned(name.into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encoding::base64url::Binary;
    use serde_json::{Value, json};

    #[test]
    fn raw_line_breaks_inside_strings_are_read() {
        let value: Value = parse(b"{\"a\":\n \"x\n  y\"}").unwrap();
        assert_eq!(value, json!({"a": "x\n  y"}));
        let binary: Binary = parse(b"\"_-\n  8\"").unwrap();
        assert_eq!(binary.0, [0xff, 0xef]);
    }

    #[test]
    fn what_means_something_is_found_wherever_it_stands() {
        for length in 0..70 {
            let text = "x".repeat(length);
            for (found, is_refused) in [("\x01", true), ("\n", false), ("\\\"", false)] {
                let octets = format!("[\"{text}{found}{text}\",1]");
                let read = parse::<Value>(octets.as_bytes());
                assert_eq!(read.is_err(), is_refused, "{octets}");
            }
            assert_eq!(plain(text.as_bytes()), length);
            assert_eq!(plain(format!("{text}\"{text}").as_bytes()), length);
        }
    }

    #[test]
    fn control_octets_and_duplicates_are_refused() {
        assert!(matches!(
            parse::<Value>(b"\"a\x01\""),
            Err(JsonError::ControlOctet { .. })
        ));
        let twice = parse::<Value>(br#"{"a":1,"b":{"a":2},"a":3}"#);
        assert_eq!(twice, Err(JsonError::DuplicateMember { name: "a".into() }));
        assert!(parse::<Value>(br#"{"a":{"x":1},"b":{"x":1}}"#).is_ok());
        assert!(parse::<Value>(br#"["a","a",{"a":"a"}]"#).is_ok());
        // The names of an object that ended are forgotten, those of the one around it are not.
        assert!(parse::<Value>(br#"[{"a":1,"b":{"c":1}},{"b":{"c":2},"a":1}]"#).is_ok());
        let after = parse::<Value>(br#"{"a":{"b":{"c":1},"d":1},"e":[{"f":1}],"a":1}"#);
        assert_eq!(after, Err(JsonError::DuplicateMember { name: "a".into() }));
    }

    #[test]
    fn what_was_read_does_not_reach_a_log() {
        let error = parse::<u32>(br#""a secret \"and\" more""#).unwrap_err();
        let sentence = error.to_string();
        assert!(sentence.starts_with("invalid type: string"), "{sentence}");
        assert!(!sentence.contains("secret") && !sentence.contains("more"));
        let long = format!("{{\"{}\":1}}", "x".repeat(10_000));
        let error = parse::<crate::time::Timestamp>(long.as_bytes()).unwrap_err();
        assert!(error.to_string().chars().count() <= REASON_CHARACTERS_MAX);
    }

    #[test]
    fn escaped_names_are_compared_by_value() {
        for text in [
            r#"{"a":1,"\u0061":2}"#,
            r#"{"\u0061":1,"a":2}"#,
            r#"{"\u00e4":1,"ä":2}"#,
            r#"{"\ud83d\ude00":1,"😀":2}"#,
            r#"{"a\/b":1,"a/b":2}"#,
            "{\"a\n\":1,\"a\\n\":2}",
            "{\"\\u0061\n\":1,\"a\\n\":2}",
        ] {
            assert!(
                matches!(
                    parse::<Value>(text.as_bytes()),
                    Err(JsonError::DuplicateMember { .. })
                ),
                "{text}"
            );
        }
        let many: Vec<String> = (0..40).map(|index| format!("\"n{index}\":0")).collect();
        let twice = format!("{{{},\"\\u006e39\":0}}", many.join(","));
        assert_eq!(
            parse::<Value>(twice.as_bytes()),
            Err(JsonError::DuplicateMember { name: "n39".into() })
        );
        let distinct = br#"{"a":1,"\\u0061":2,"\u0062":3,"\"":4}"#;
        assert_eq!(
            parse::<Value>(distinct).unwrap().as_object().unwrap().len(),
            4
        );
        assert!(parse::<Value>(br#"{"\ud800":1}"#).is_err());
    }

    #[test]
    fn deep_nesting_is_refused() {
        let deep = "[".repeat(JSON_DEPTH_MAX + 1);
        assert_eq!(parse::<Value>(deep.as_bytes()), Err(JsonError::TooDeep));
    }

    #[test]
    fn torn_texts_are_errors() {
        for text in ["", "{", "\"", "\"\\", "{\"a\":", "[1,]", "{\"a\" \"b\"}"] {
            assert!(parse::<Value>(text.as_bytes()).is_err(), "{text}");
        }
    }
}
