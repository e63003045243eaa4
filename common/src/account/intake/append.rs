//! The service's own hand on a spool: one message behind the last one, with the service's
//! ContainerInfo and digests, everything else verbatim so that signatures stay valid (service §7.4
//! check 9, containers D10).

use std::sync::Arc;

use crate::account::change::{Change, UniqueRow};
use crate::account::frame;
use crate::account::policy::AccountPolicy;
use crate::account::state::{AccountState, ContainerNumber, Import, Tip};
use crate::account::upload::Prepared;
use crate::account::usage::DomainRoom;
use crate::dare::{ContainerKind, Envelope};
use crate::limits::{ACCOUNT_RESERVE_BYTES, ACCOUNT_RESERVE_SHARE};
use crate::time::Timestamp;

/// Why a message is not appended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(in crate::account) enum AppendError {
    /// The envelope is not acceptable in itself: too large, wrongly encrypted, unreadable header.
    #[error("the envelope is not acceptable in a spool")]
    Envelope,
    /// The account has no such spool.
    #[error("the account has no such spool")]
    NoSpool,
    /// The account's quota of octets or of frames, or its domain's of octets, is used up.
    #[error("the recipient's quota is used up")]
    Quota,
}

/// What appending one message writes.
#[derive(Debug)]
pub(in crate::account) struct Appended {
    /// The spool.
    pub(in crate::account) container: ContainerNumber,
    /// Where the message stands.
    pub(in crate::account) index: u64,
    /// The tip with the octets used; its sequence is not counted on yet.
    pub(in crate::account) tip: Tip,
    /// Frame, unique id and head.
    pub(in crate::account) changes: Vec<Change>,
}

/// Appends a message of somebody else, within the account's quota and what is left to its domain.
pub(in crate::account) fn message(
    state: &AccountState,
    kind: ContainerKind,
    envelope: &Envelope,
    (policy, left): (&AccountPolicy, DomainRoom),
    now: Timestamp,
) -> Result<Appended, AppendError> {
    let max = state.record.bytes_max.unwrap_or(policy.account_bytes_max);
    let reserve = ACCOUNT_RESERVE_BYTES.min(max / ACCOUNT_RESERVE_SHARE);
    let of_domain = left
        .octets
        .map_or(u64::MAX, |left| state.tip.bytes_used.saturating_add(left));
    let room = Room {
        bytes_max: (max - reserve).min(of_domain),
        frames_max: policy.frames_per_container_max,
    };
    append(state, kind, envelope, policy, &room, now)
}

/// Appends a message of the service itself. No quota keeps a sender from learning what became of a
/// message: there are no more of these than of messages sent.
pub(in crate::account) fn own(
    state: &AccountState,
    kind: ContainerKind,
    envelope: &Envelope,
    policy: &AccountPolicy,
    now: Timestamp,
) -> Result<Appended, AppendError> {
    let room = Room {
        bytes_max: u64::MAX,
        frames_max: u64::MAX,
    };
    append(state, kind, envelope, policy, &room, now)
}

struct Room {
    bytes_max: u64,
    frames_max: u64,
}

fn append(
    state: &AccountState,
    kind: ContainerKind,
    envelope: &Envelope,
    policy: &AccountPolicy,
    room: &Room,
    now: Timestamp,
) -> Result<Appended, AppendError> {
    let one = Prepared::of(envelope, kind, policy).map_err(|_| AppendError::Envelope)?;
    if one.is_offer {
        return Err(AppendError::Envelope);
    }
    let name = kind.name().ok_or(AppendError::NoSpool)?;
    let mut head = state.head(&name).ok_or(AppendError::NoSpool)?.clone();
    let index = head.count();
    let tree_digest = head.digests.append(&one.payload_digest);
    head.committed_at = head.committed_at.max(now);
    let record = one.record(index, kind, tree_digest, head.committed_at);
    let bytes = record.live_octets();
    let tip = Tip {
        bytes_used: state.tip.bytes_used + bytes,
        ..state.tip
    };
    if index >= room.frames_max || tip.bytes_used > room.bytes_max {
        return Err(AppendError::Quota);
    }
    head.live_octets += bytes;
    head.import = Import::Closed;
    let container = head.number;
    let mut changes = Vec::with_capacity(8);
    if let Some(unique_id) = record.unique_id.clone() {
        let row = UniqueRow {
            first: index,
            last: index,
            live: true,
        };
        changes.push(Change::Unique {
            container,
            unique_id,
            row,
        });
    }
    let payload = Arc::from(envelope.payload.as_slice());
    changes.push(frame::change(container, index, record, payload));
    changes.push(Change::Head(Arc::new(head)));
    Ok(Appended {
        container,
        index,
        tip,
        changes,
    })
}
