//! The keys of one account: table 20.

use mesh_common::account::{AccountId, ContainerNumber};

use super::{ACCT, hash16};
use crate::store::KeyRange;

/// What a row of kind `'k'` finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum LookupKind {
    /// A catalog's entry or a spool's newest frame, by its unique id.
    UniqueId = b'u',
    /// A message, by its sender and id, while duplicates are recognized (decision Q-26).
    Message = b'm',
}

/// The keys of one account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AccountKeys {
    account: AccountId,
}

impl AccountKeys {
    /// The keys of `account`.
    #[must_use]
    pub const fn of(account: AccountId) -> Self {
        Self { account }
    }

    /// The account.
    #[must_use]
    pub const fn account(&self) -> AccountId {
        self.account
    }

    /// Everything of the account.
    #[must_use]
    pub fn all(&self) -> KeyRange {
        KeyRange::prefix(&self.key(&[]))
    }

    /// Every row but those of frames and their payloads.
    #[must_use]
    pub fn all_but_frames(&self) -> [KeyRange; 3] {
        let (all, chunks, frames) = (
            self.all(),
            KeyRange::prefix(&self.key(&[b"b"])),
            KeyRange::prefix(&self.key(&[b"f"])),
        );
        [
            KeyRange {
                begin: all.begin,
                end: chunks.begin,
            },
            KeyRange {
                begin: chunks.end,
                end: frames.begin,
            },
            KeyRange {
                begin: frames.end,
                end: all.end,
            },
        ]
    }

    /// The account record.
    #[must_use]
    pub fn record(&self) -> Vec<u8> {
        self.key(&[b"m"])
    }

    /// The tip.
    #[must_use]
    pub fn tip(&self) -> Vec<u8> {
        self.key(&[b"t"])
    }

    /// The head of a container.
    #[must_use]
    pub fn head(&self, container: ContainerNumber) -> Vec<u8> {
        self.key(&[b"h", &container.to_be_bytes()])
    }

    /// The heads of all containers.
    #[must_use]
    pub fn heads(&self) -> KeyRange {
        KeyRange::prefix(&self.key(&[b"h"]))
    }

    /// The container whose head `key` is.
    #[must_use]
    pub fn container_of_head(&self, key: &[u8]) -> Option<ContainerNumber> {
        let rest = key.strip_prefix(self.key(&[b"h"]).as_slice())?;
        Some(u16::from_be_bytes(rest.try_into().ok()?))
    }

    /// The record of one frame.
    #[must_use]
    pub fn frame(&self, container: ContainerNumber, index: u64) -> Vec<u8> {
        self.key(&[b"f", &container.to_be_bytes(), &index.to_be_bytes()])
    }

    /// The records of the frames from index `first` up to but without `end`.
    #[must_use]
    pub fn frames(&self, container: ContainerNumber, first: u64, end: u64) -> KeyRange {
        KeyRange::new(&self.frame(container, first), &self.frame(container, end))
    }

    /// The index of the frame of `container` whose record `key` is.
    #[must_use]
    pub fn index_of_frame(&self, container: ContainerNumber, key: &[u8]) -> Option<u64> {
        let prefix = self.key(&[b"f", &container.to_be_bytes()]);
        let rest = key.strip_prefix(prefix.as_slice())?;
        Some(u64::from_be_bytes(rest.try_into().ok()?))
    }

    /// One chunk of a frame's payload.
    #[must_use]
    pub fn chunk(&self, container: ContainerNumber, index: u64, chunk: u16) -> Vec<u8> {
        self.key(&[
            b"b",
            &container.to_be_bytes(),
            &index.to_be_bytes(),
            &chunk.to_be_bytes(),
        ])
    }

    /// All chunks of the payloads of the frames from index `first` up to but without `end`.
    #[must_use]
    pub fn chunks(&self, container: ContainerNumber, first: u64, end: u64) -> KeyRange {
        KeyRange::new(
            &self.chunk(container, first, 0),
            &self.chunk(container, end, 0),
        )
    }

    /// Index of the frame and number of the chunk of `container` that `key` holds.
    #[must_use]
    pub fn place_of_chunk(&self, container: ContainerNumber, key: &[u8]) -> Option<(u64, u16)> {
        let prefix = self.key(&[b"b", &container.to_be_bytes()]);
        let rest = key.strip_prefix(prefix.as_slice())?;
        let (index, chunk) = rest.split_at_checked(8)?;
        Some((
            u64::from_be_bytes(index.try_into().ok()?),
            u16::from_be_bytes(chunk.try_into().ok()?),
        ))
    }

    /// What is known under a text, within a container.
    #[must_use]
    pub fn lookup(&self, kind: LookupKind, container: ContainerNumber, hash: [u8; 16]) -> Vec<u8> {
        self.key(&[b"k", &[kind as u8], &container.to_be_bytes(), &hash])
    }

    /// Everything of a kind that is known within a container.
    #[must_use]
    pub fn lookups(&self, kind: LookupKind, container: ContainerNumber) -> KeyRange {
        KeyRange::prefix(&self.key(&[b"k", &[kind as u8], &container.to_be_bytes()]))
    }

    /// What replaced or deleted a catalog's frame.
    #[must_use]
    pub fn superseded(&self, container: ContainerNumber, index: u64) -> Vec<u8> {
        self.key(&[b"o", &container.to_be_bytes(), &index.to_be_bytes()])
    }

    /// What was replaced or deleted in a catalog, from index `first` on.
    #[must_use]
    pub fn all_superseded(&self, container: ContainerNumber, first: u64) -> KeyRange {
        KeyRange::new(
            &self.superseded(container, first),
            &self.superseded(container, u64::MAX),
        )
    }

    /// That a message is read or deleted.
    #[must_use]
    pub fn mark(&self, container: ContainerNumber, index: u64) -> Vec<u8> {
        self.key(&[b"a", &container.to_be_bytes(), &index.to_be_bytes()])
    }

    /// The marks of a spool from index `first` on.
    #[must_use]
    pub fn marks(&self, container: ContainerNumber, first: u64) -> KeyRange {
        KeyRange::new(
            &self.mark(container, first),
            &self.mark(container, u64::MAX),
        )
    }

    /// The index that ends `key`, one of [`Self::superseded`] or [`Self::mark`].
    #[must_use]
    pub fn index_at_end(key: &[u8]) -> Option<u64> {
        key.last_chunk().copied().map(u64::from_be_bytes)
    }

    /// How far the states of a spool were folded.
    #[must_use]
    pub fn folded(&self, container: ContainerNumber) -> Vec<u8> {
        self.key(&[b"z", &container.to_be_bytes()])
    }

    /// The record of a device, by its UDF.
    #[must_use]
    pub fn device(&self, udf: &str) -> Vec<u8> {
        self.key(&[b"d", &hash16(&[udf.as_bytes()])])
    }

    /// The records of all devices.
    #[must_use]
    pub fn devices(&self) -> KeyRange {
        KeyRange::prefix(&self.key(&[b"d"]))
    }

    /// The mark of a key that never lives again, by its UDF.
    #[must_use]
    pub fn retired(&self, udf: &str) -> Vec<u8> {
        self.key(&[b"v", &hash16(&[udf.as_bytes()])])
    }

    /// The marks of all keys that never live again.
    #[must_use]
    pub fn all_retired(&self) -> KeyRange {
        KeyRange::prefix(&self.key(&[b"v"]))
    }

    /// The replay row of a committed request: by the requester's key and the request's id.
    #[must_use]
    pub fn replay(&self, hash: [u8; 16]) -> Vec<u8> {
        self.key(&[b"r", &hash])
    }

    /// The mark of an entry of the intake that was drained.
    #[must_use]
    pub fn seen(&self, id: [u8; 16]) -> Vec<u8> {
        self.key(&[b"i", &id])
    }

    /// How far the delivery of a message to one recipient is.
    #[must_use]
    pub fn delivery(&self, hash: [u8; 16]) -> Vec<u8> {
        self.key(&[b"s", &hash])
    }

    /// An exchange that may be answered.
    #[must_use]
    pub fn exchange(&self, hash: [u8; 16]) -> Vec<u8> {
        self.key(&[b"x", &hash])
    }

    /// What the account has taken today.
    #[must_use]
    pub fn tally(&self) -> Vec<u8> {
        self.key(&[b"q"])
    }

    /// A request to be connected.
    #[must_use]
    pub fn connection(&self, hash: [u8; 16]) -> Vec<u8> {
        self.key(&[b"c", &hash])
    }

    /// All requests to be connected.
    #[must_use]
    pub fn connections(&self) -> KeyRange {
        KeyRange::prefix(&self.key(&[b"c"]))
    }

    /// What the account has sent lately.
    #[must_use]
    pub fn posting(&self) -> Vec<u8> {
        self.key(&[b"l"])
    }

    /// To whom a message was sent, by the hash of its UniqueID.
    #[must_use]
    pub fn sending(&self, hash: [u8; 16]) -> Vec<u8> {
        self.key(&[b"n", &hash])
    }

    /// When a recipient was written to, by the hash of its canonical address.
    #[must_use]
    pub fn recipient(&self, hash: [u8; 16]) -> Vec<u8> {
        self.key(&[b"w", &hash])
    }

    fn key(&self, parts: &[&[u8]]) -> Vec<u8> {
        let mut key = Vec::with_capacity(48);
        key.push(ACCT);
        key.extend_from_slice(self.account.octets());
        for part in parts {
            key.extend_from_slice(part);
        }
        key
    }
}
