//! Structures inside an entry that have their own envelope: the contact, the task.
//! Schema draft §7.4.6 and §7.4.9, crypto §4.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::EntryError;

/// The unsigned, unencrypted envelope `[{}, payload]` of a tagged structure.
pub(super) fn enclose<T: Serialize>(tag: &'static str, content: &T) -> Value {
    let payload = serde_json::to_vec(&json!({ tag: content }))
        .expect("a structure of strings, lists and JSON values can be written");
    json!([{}, data_encoding::BASE64URL_NOPAD.encode(&payload)])
}

/// The tagged structure in an unencrypted envelope. Signatures are not looked at here.
pub(super) fn disclose<T: DeserializeOwned>(
    tag: &'static str,
    envelope: &Value,
) -> Result<T, EntryError> {
    let damaged = |source| EntryError::Enclosed { tag, source };
    let header = envelope.get(0).ok_or_else(|| damaged(None))?;
    if header.get("enc").is_some_and(|enc| enc != "none") {
        return Err(EntryError::Encrypted { tag });
    }
    let payload = envelope
        .get(1)
        .and_then(Value::as_str)
        .ok_or_else(|| damaged(None))?;
    let octets = data_encoding::BASE64URL_NOPAD
        .decode(payload.trim_end_matches('=').as_bytes())
        .map_err(|_| damaged(None))?;
    let mut tagged: Value =
        serde_json::from_slice(&octets).map_err(|error| damaged(Some(error)))?;
    let members = tagged.as_object_mut().filter(|members| members.len() == 1);
    let content = members
        .and_then(|members| members.remove(tag))
        .ok_or_else(|| damaged(None))?;
    serde_json::from_value(content).map_err(|error| damaged(Some(error)))
}
