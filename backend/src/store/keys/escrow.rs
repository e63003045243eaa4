//! The keys of limits that nodes share: table 13 (cluster §9).

use mesh_common::delivery::QueueScope;
use mesh_common::escrow::HolderId;

use super::{concat, hash16};
use crate::store::KeyRange;

const ESCROW: u8 = 0x13;

/// Says that a holder spends, or that it is closed: the fence of everything that is charged to it.
#[must_use]
pub fn holder(holder: HolderId) -> Vec<u8> {
    concat(&[&[ESCROW], b"h", &holder.0])
}

/// All holders.
#[must_use]
pub fn holders() -> KeyRange {
    KeyRange::prefix(&[ESCROW, b'h'])
}

/// The holder whose row `key` is.
#[must_use]
pub fn parse_holder(key: &[u8]) -> Option<HolderId> {
    let id = key.strip_prefix(&[ESCROW, b'h'])?;
    Some(HolderId(id.try_into().ok()?))
}

/// To whom how much of a limit is granted.
#[must_use]
pub fn ledger(scope: &QueueScope) -> Vec<u8> {
    concat(&[&[ESCROW], b"g", &hash_of(scope)])
}

/// The ledgers of all limits.
#[must_use]
pub fn ledgers() -> KeyRange {
    KeyRange::prefix(&[ESCROW, b'g'])
}

/// Written by whoever met a limit: others give back what they do not need.
#[must_use]
pub fn wanted(scope: &QueueScope) -> Vec<u8> {
    concat(&[&[ESCROW], b"w", &hash_of(scope)])
}

/// The limits that somebody met.
#[must_use]
pub fn all_wanted() -> KeyRange {
    KeyRange::prefix(&[ESCROW, b'w'])
}

fn hash_of(scope: &QueueScope) -> [u8; 16] {
    match scope {
        QueueScope::Destination(domain) => hash16(&[b"destination", domain.as_bytes()]),
        QueueScope::Tenant(domain) => hash16(&[b"tenant", domain.as_bytes()]),
        QueueScope::Share {
            tenant,
            destination,
        } => hash16(&[b"share", tenant.as_bytes(), destination.as_bytes()]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_keys_of_limits_are_as_they_were_promised() {
        let id = HolderId([0xab; 16]);
        assert_eq!(holder(id), [b"\x13h".as_slice(), &[0xab; 16]].concat());
        assert_eq!(parse_holder(&holder(id)), Some(id));
        let scopes = QueueScope::of("a.example", "b.example");
        for scope in &scopes {
            assert!(ledgers().contains(&ledger(scope)) && all_wanted().contains(&wanted(scope)));
            assert_eq!(parse_holder(&ledger(scope)), None);
        }
        assert_ne!(
            ledger(&scopes[0]),
            ledger(&QueueScope::Tenant("b.example".into()))
        );
        let [destination, ..] = scopes;
        let hash = hash16(&[b"destination", b"b.example"]);
        assert_eq!(ledger(&destination), [b"\x13g".as_slice(), &hash].concat());
        assert_eq!(wanted(&destination), [b"\x13w".as_slice(), &hash].concat());
    }
}
