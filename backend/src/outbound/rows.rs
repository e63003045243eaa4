//! The values of tables 30 and 31: items as they wait, and their messages. A message stands as its
//! parts, the payload raw: as base64url the largest ones would not fit into one value.

use mesh_common::dare::Envelope;
use mesh_common::delivery::QueueItem;

use crate::partition::{Reader, RowError, Writer};

/// Format of an item.
const ITEM: u8 = 1;
/// Format of a message.
const BODY: u8 = 1;

pub(crate) fn encode_item(item: &QueueItem) -> Vec<u8> {
    let json = serde_json::to_vec(item).expect("items hold no maps with other keys than text");
    Writer::new(ITEM).octets(&json).finish()
}

/// The item that `value` is.
///
/// # Errors
/// The row does not read.
pub(crate) fn item(value: &[u8]) -> Result<QueueItem, RowError> {
    let mut row = Reader::new("queue item", value, ITEM)?;
    let item = serde_json::from_slice(row.octets()?).map_err(|_| row.impossible("text"))?;
    row.finish()?;
    Ok(item)
}

pub(crate) fn encode_body(envelope: &Envelope) -> Vec<u8> {
    let mut rest = envelope.clone();
    let payload = std::mem::take(&mut rest.payload.0);
    let json = serde_json::to_vec(&rest).expect("envelopes hold no maps with other keys than text");
    Writer::new(BODY).octets(&json).octets(&payload).finish()
}

/// The message that `value` is.
///
/// # Errors
/// The row does not read.
pub(crate) fn body(value: &[u8]) -> Result<Envelope, RowError> {
    let mut row = Reader::new("queued message", value, BODY)?;
    let (json, payload) = (row.octets()?, row.octets()?);
    let mut envelope: Envelope =
        serde_json::from_slice(json).map_err(|_| row.impossible("text"))?;
    row.finish()?;
    envelope.payload.0 = payload.to_vec();
    Ok(envelope)
}
