//! Keys of the secrets of tickets, in table 00 beside `meta` (decision Q-54).

use super::META;
use crate::store::KeyRange;

const TICKET: &[u8] = b"ticket";

/// The secret of the tickets of `epoch`, sealed.
#[must_use]
pub fn ticket_secret(epoch: u32) -> Vec<u8> {
    [&[META], TICKET, &epoch.to_be_bytes()].concat()
}

/// Those of all epochs.
#[must_use]
pub fn ticket_secrets() -> KeyRange {
    KeyRange::prefix(&[&[META], TICKET].concat())
}

/// The epoch whose secret `key` has.
#[must_use]
pub fn parse_ticket_secret(key: &[u8]) -> Option<u32> {
    let epoch = key.strip_prefix(&[META])?.strip_prefix(TICKET)?;
    epoch.try_into().ok().map(u32::from_be_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_of_an_epoch_is_as_it_was_promised() {
        let key = ticket_secret(0x0102_0304);
        assert_eq!(key, b"\0ticket\x01\x02\x03\x04");
        assert_eq!(parse_ticket_secret(&key), Some(0x0102_0304));
        assert!(ticket_secrets().contains(&key));
        for other in [super::super::meta(), key[..10].to_vec()] {
            assert_eq!(parse_ticket_secret(&other), None);
            assert!(!ticket_secrets().contains(&super::super::meta()));
        }
    }
}
