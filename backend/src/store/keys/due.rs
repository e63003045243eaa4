//! The keys of work that is to be done some day: table 23. One range read finds what is due, however
//! many accounts there are.

use mesh_common::account::AccountId;
use mesh_common::account::state::ACCOUNT_ID_BYTES;
use mesh_common::cluster::PartitionId;
use mesh_common::time::Timestamp;

use super::{DUE, concat};
use crate::store::KeyRange;

/// What a row of table 23 asks to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum DueKind {
    /// Forget a replay row; `rest` is its hash.
    Replay = b'r',
    /// Forget a duplicate-recognition row; `rest` is container and hash.
    Message = b'm',
    /// Forget that an entry of the intake was drained; `rest` is its id.
    Seen = b'i',
    /// Forget how far a delivery is; `rest` is its hash.
    Delivery = b's',
    /// Forget an exchange; `rest` is its hash.
    Exchange = b'x',
    /// Forget a request to be connected; `rest` is its hash.
    Connection = b'c',
    /// Forget to whom a message was sent; `rest` is its hash.
    Sending = b't',
    /// Forget that a recipient was written to; `rest` is its hash.
    Recipient = b'w',
    /// Look what of a container is not to be kept any longer (containers §10); `rest` says which, and
    /// from where on.
    Retention = b'k',
    /// Remove the data of a deleted account (architecture A-15).
    Purge = b'p',
    /// Release the address of a deleted account (architecture A-15); `rest` is the canonical address.
    Release = b'n',
}

impl DueKind {
    const ALL: [Self; 11] = [
        Self::Retention,
        Self::Replay,
        Self::Message,
        Self::Seen,
        Self::Delivery,
        Self::Exchange,
        Self::Connection,
        Self::Sending,
        Self::Recipient,
        Self::Purge,
        Self::Release,
    ];
}

/// One row of table 23.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// When it is due, in milliseconds since 1970.
    pub at: Timestamp,
    /// What is to be done.
    pub kind: DueKind,
    /// For which account.
    pub account: AccountId,
    /// For what of it; see [`DueKind`].
    pub rest: Vec<u8>,
}

impl Due {
    /// Its key, in the account's partition.
    #[must_use]
    pub fn key(&self) -> Vec<u8> {
        concat(&[
            &due_until(self.account.partition(), self.at),
            &[self.kind as u8],
            self.account.octets(),
            &self.rest,
        ])
    }

    /// What `key` says.
    #[must_use]
    pub fn parse(key: &[u8]) -> Option<Self> {
        let (&DUE, rest) = key.split_first()? else {
            return None;
        };
        let (_, rest) = rest.split_at_checked(2)?;
        let (at, rest) = rest.split_at_checked(8)?;
        let (kind, rest) = rest.split_first()?;
        let (account, rest) = rest.split_at_checked(ACCOUNT_ID_BYTES)?;
        let millis = u64::from_be_bytes(at.try_into().ok()?);
        Some(Self {
            at: Timestamp::from_millis(i64::try_from(millis).ok()?),
            kind: DueKind::ALL.into_iter().find(|one| *one as u8 == *kind)?,
            account: AccountId::from_octets(account.try_into().ok()?),
            rest: rest.to_vec(),
        })
    }
}

/// The rows of a partition that are due at `now`.
#[must_use]
pub fn due(partition: PartitionId, now: Timestamp) -> KeyRange {
    KeyRange::new(
        &due_until(partition, Timestamp::from_millis(0)),
        &due_until(partition, now + std::time::Duration::from_millis(1)),
    )
}

/// The rows of a partition that are due some day.
#[must_use]
pub fn all_due(partition: PartitionId) -> KeyRange {
    KeyRange::prefix(&concat(&[&[DUE], &partition.0.to_be_bytes()]))
}

fn due_until(partition: PartitionId, at: Timestamp) -> Vec<u8> {
    let millis = u64::try_from(at.as_millis()).unwrap_or(0);
    concat(&[&[DUE], &partition.0.to_be_bytes(), &millis.to_be_bytes()])
}
