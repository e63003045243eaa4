//! What is in each row of an account, written and read: behind a format octet, what is rewritten with every batch in
//! fixed fields, the rest as JSON.

use mesh_common::account::change::{MessageRow, ReplayRow, UniqueRow};
use mesh_common::account::intake::{DeliveryRow, ExchangeRow, SeenRow, Tally};
use mesh_common::account::{
    AccountId, AccountRecord, DeviceEntry, DirectoryEntry, FrameRecord, Head, PendingConnection,
    PostingCounts, RecipientRow, SendingRow, Tip,
};
use mesh_common::time::Timestamp;
use mesh_common::udf::Udf;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::BatchId;
use crate::partition::codec::{Reader, RowError, Writer};

/// Format of rows that are all JSON behind the format octet.
pub(super) const JSON: u8 = 1;
/// Format of a tip.
const TIP: u8 = 1;
/// Format of a frame record.
const FRAME: u8 = 1;
/// Format of rows that begin with the moment they expire.
const EXPIRING: u8 = 1;

/// A live entry of the Device catalog.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct DeviceRow {
    pub(crate) unique_id: String,
    pub(crate) entry: DeviceEntry,
}

/// A device's request to be connected.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct ConnectionRow {
    /// MessageID of its acknowledgement.
    pub(crate) message_id: String,
    #[serde(flatten)]
    pub(crate) row: PendingConnection,
}

pub(super) fn encode<T: Serialize>(row: &T) -> Vec<u8> {
    let mut value = vec![JSON];
    serde_json::to_writer(&mut value, row).expect("rows hold no maps with other keys than text");
    value
}

pub(super) fn decode<T: DeserializeOwned>(what: &'static str, value: &[u8]) -> Result<T, RowError> {
    match value.split_first() {
        Some((&JSON, json)) => serde_json::from_slice(json).map_err(|_| RowError::Field {
            what,
            field: "text",
        }),
        Some((&found, _)) => Err(RowError::Format {
            what,
            found,
            known: JSON,
        }),
        None => Err(RowError::Length { what }),
    }
}

/// The directory row of an address where `account` lives.
pub(crate) fn live_entry(account: AccountId) -> Vec<u8> {
    encode(&DirectoryEntry::Account(account))
}

pub(crate) fn directory(value: &[u8]) -> Result<DirectoryEntry, RowError> {
    decode("directory entry", value)
}

pub(crate) fn account(value: &[u8]) -> Result<AccountRecord, RowError> {
    decode("account record", value)
}

pub(crate) fn head(value: &[u8]) -> Result<Head, RowError> {
    decode("head", value)
}

pub(crate) fn device(value: &[u8]) -> Result<DeviceRow, RowError> {
    decode("device record", value)
}

pub(crate) fn retired(value: &[u8]) -> Result<Udf, RowError> {
    decode("retired key", value)
}

pub(crate) fn unique(value: &[u8]) -> Result<UniqueRow, RowError> {
    decode("unique id", value)
}

pub(super) fn encode_tip(batch: BatchId, tip: Tip) -> Vec<u8> {
    Writer::new(TIP)
        .fixed(&batch.0)
        .u64(tip.change_seq)
        .u64(tip.bytes_used)
        .finish()
}

/// The tip, and the batch that wrote it.
pub(crate) fn tip(value: &[u8]) -> Result<(BatchId, Tip), RowError> {
    let mut row = Reader::new("tip", value, TIP)?;
    let batch = BatchId(row.array()?);
    let tip = Tip {
        change_seq: row.u64()?,
        bytes_used: row.u64()?,
    };
    row.finish()?;
    Ok((batch, tip))
}

/// What a frame record says of the chunks of its payload (cluster §5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FrameRow {
    pub(crate) chunks: u16,
    pub(crate) payload_bytes: u64,
    pub(crate) checksum: u32,
}

impl FrameRow {
    pub(super) fn encode(self, record: &FrameRecord) -> Vec<u8> {
        let json = serde_json::to_vec(record).expect("a frame record has text keys only");
        Writer::new(FRAME)
            .u16(self.chunks)
            .u64(self.payload_bytes)
            .u32(self.checksum)
            .octets(&json)
            .finish()
    }

    /// Refuses a payload that is not the one that was written.
    pub(crate) fn check(&self, payload: &[u8]) -> Result<(), RowError> {
        let found = crc32fast::hash(payload);
        if payload.len() as u64 != self.payload_bytes {
            return Err(RowError::Length { what: "payload" });
        }
        if found != self.checksum {
            return Err(RowError::Checksum {
                expected: self.checksum,
                found,
            });
        }
        Ok(())
    }
}

/// A frame record, and what it says of its payload.
pub(crate) fn frame(value: &[u8]) -> Result<(FrameRow, FrameRecord), RowError> {
    let mut row = Reader::new("frame record", value, FRAME)?;
    let head = FrameRow {
        chunks: row.u16()?,
        payload_bytes: row.u64()?,
        checksum: row.u32()?,
    };
    let json = row.octets()?;
    let record = serde_json::from_slice(json).map_err(|_| row.impossible("text"))?;
    row.finish()?;
    Ok((head, record))
}

pub(super) fn encode_expiring<T: Serialize>(expires_at: Timestamp, row: &T) -> Vec<u8> {
    let json = serde_json::to_vec(row).expect("rows hold no maps with other keys than text");
    Writer::new(EXPIRING)
        .i64(expires_at.as_millis())
        .fixed(&json)
        .finish()
}

/// When an expiring row may go.
pub(crate) fn expires_at(value: &[u8]) -> Result<Timestamp, RowError> {
    let mut row = Reader::new("expiring row", value, EXPIRING)?;
    row.i64().map(Timestamp::from_millis)
}

fn decode_expiring<T: DeserializeOwned>(what: &'static str, value: &[u8]) -> Result<T, RowError> {
    expires_at(value)?;
    serde_json::from_slice(&value[9..]).map_err(|_| RowError::Field {
        what,
        field: "text",
    })
}

pub(crate) fn message(value: &[u8]) -> Result<MessageRow, RowError> {
    decode_expiring("message row", value)
}

pub(crate) fn seen(value: &[u8]) -> Result<SeenRow, RowError> {
    decode_expiring("mark of a drained entry", value)
}

pub(crate) fn delivery(value: &[u8]) -> Result<DeliveryRow, RowError> {
    decode_expiring("delivery state", value)
}

pub(crate) fn exchange(value: &[u8]) -> Result<ExchangeRow, RowError> {
    decode_expiring("outstanding exchange", value)
}

pub(crate) fn tally(value: &[u8]) -> Result<Tally, RowError> {
    decode("tally", value)
}

pub(crate) fn connection(value: &[u8]) -> Result<ConnectionRow, RowError> {
    decode_expiring("request to connect", value)
}

pub(crate) fn sending(value: &[u8]) -> Result<SendingRow, RowError> {
    decode_expiring("sending row", value)
}

pub(crate) fn recipient(value: &[u8]) -> Result<RecipientRow, RowError> {
    decode_expiring("recipient row", value)
}

pub(crate) fn posting(value: &[u8]) -> Result<PostingCounts, RowError> {
    decode("posting counts", value)
}

pub(crate) fn replay(value: &[u8]) -> Result<ReplayRow, RowError> {
    decode_expiring("replay row", value)
}
