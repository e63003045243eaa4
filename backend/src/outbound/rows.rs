//! The values of tables 30, 31 and 34: items as they wait, their messages, what is remembered of
//! destinations and of the owners of shards. A message stands as its parts, the payload raw: as
//! base64url the largest ones would not fit into one value.

use mesh_common::dare::Envelope;
use mesh_common::delivery::QueueItem;
use mesh_common::delivery::pool::Remembered;
use mesh_common::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::partition::{Reader, RowError, Writer};

/// Format of an item.
const ITEM: u8 = 1;
/// Format of a message.
const BODY: u8 = 1;
/// Format of a destination's record.
const DESTINATION: u8 = 1;
/// Format of what is known of a shard's owners.
const OWNERS: u8 = 1;

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

pub(crate) fn encode_destination(remembered: &Remembered) -> Vec<u8> {
    let json = serde_json::to_vec(remembered).expect("a destination's record holds no maps");
    Writer::new(DESTINATION).octets(&json).finish()
}

/// What is remembered of a destination.
///
/// # Errors
/// The row does not read.
pub(crate) fn destination(value: &[u8]) -> Result<Remembered, RowError> {
    let mut row = Reader::new("destination", value, DESTINATION)?;
    let remembered = serde_json::from_slice(row.octets()?).map_err(|_| row.impossible("text"))?;
    row.finish()?;
    Ok(remembered)
}

/// How the owners of a shard ended lately (delivery §13, "poison").
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Owners {
    /// When the shard was taken over from owners that had not let go of it, in milliseconds since 1970.
    pub(crate) unclean: Vec<i64>,
    /// Key of the item that was being handled, where one is handled at a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) suspect: Option<Vec<u8>>,
}

impl Owners {
    /// Notes that the shard was taken over at `now` from an owner that had not let go of it.
    pub(crate) fn note_unclean(&mut self, now: Timestamp, since: Timestamp) {
        self.unclean.push(now.as_millis());
        self.unclean.retain(|at| *at >= since.as_millis());
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let json = serde_json::to_vec(self).expect("what is known of owners holds no maps");
        Writer::new(OWNERS).octets(&json).finish()
    }

    /// # Errors
    /// The row does not read.
    pub(crate) fn decode(value: &[u8]) -> Result<Self, RowError> {
        let mut row = Reader::new("owners of a shard", value, OWNERS)?;
        let owners = serde_json::from_slice(row.octets()?).map_err(|_| row.impossible("text"))?;
        row.finish()?;
        Ok(owners)
    }
}
