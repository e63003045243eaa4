//! Structures inside an entry that have their own envelope: the contact, the task.
//! Schema draft §7.4.6 and §7.4.9, crypto §4.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::EntryError;
use crate::dare::Envelope;
use crate::encoding::json::{self, JsonError};

/// The unsigned, unencrypted envelope `[{}, payload]` of a tagged structure.
pub(super) fn enclose<T: Serialize>(tag: &'static str, content: &T) -> Envelope {
    #[derive(Serialize)]
    #[serde(transparent)]
    struct Tagged<'a, T>(std::collections::BTreeMap<&'static str, &'a T>);
    Envelope::plain(json::write(&Tagged([(tag, content)].into())))
}

/// The tagged structure in an unencrypted envelope. Signatures are not looked at here.
pub(super) fn disclose<T: DeserializeOwned>(
    tag: &'static str,
    envelope: &Envelope,
) -> Result<T, EntryError> {
    if envelope
        .header
        .enc
        .as_deref()
        .is_some_and(|enc| enc != "none")
    {
        return Err(EntryError::Encrypted { tag });
    }
    let damaged = |source| EntryError::Enclosed { tag, source };
    let mut tagged: Map<String, Value> =
        json::parse(envelope.payload.as_slice()).map_err(damaged)?;
    let content = if tagged.len() == 1 {
        tagged.remove(tag)
    } else {
        None
    };
    let unreadable = |reason| damaged(JsonError::Unreadable { reason });
    let content = content.ok_or_else(|| unreadable(format!("the one member is not {tag}")))?;
    serde_json::from_value(content).map_err(|error| unreadable(error.to_string()))
}
