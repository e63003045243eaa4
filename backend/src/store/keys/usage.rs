//! The keys of what domains use: table 12, and the turns of those who add to it, table 11 (cluster §9). The rows
//! of one domain are one range.

use mesh_common::cluster::PartitionId;
use mesh_common::limits::PARTITIONS;

use super::concat;
use crate::store::KeyRange;

const DOMAIN: u8 = 0x11;
const USAGE: u8 = 0x12;

/// Written by whoever adds accounts to a canonical domain that may have so many and no more, or takes of what else
/// it may use.
#[must_use]
pub fn domain_turn(domain: &str) -> Vec<u8> {
    concat(&[&[DOMAIN], domain.as_bytes(), &[0], b"a"])
}

/// Written by whoever takes back something that was granted to a partition of the limits of a domain.
#[must_use]
pub fn recalls(partition: PartitionId) -> Vec<u8> {
    concat(&[&[DOMAIN], &[0], b"r", &partition.0.to_be_bytes()])
}

/// What the accounts of a canonical domain use in a partition.
#[must_use]
pub fn usage(domain: &str, partition: PartitionId) -> Vec<u8> {
    let partition = partition.0.to_be_bytes();
    concat(&[&[USAGE], domain.as_bytes(), &[0], &partition])
}

/// The same in all partitions.
#[must_use]
pub fn usage_of_domain(domain: &str) -> KeyRange {
    KeyRange::prefix(&concat(&[&[USAGE], domain.as_bytes(), &[0]]))
}

/// The same of all domains.
#[must_use]
pub fn all_usage() -> KeyRange {
    KeyRange::prefix(&[USAGE])
}

/// The canonical domain and the partition that the row under `key` is about.
#[must_use]
pub fn parse_usage(key: &[u8]) -> Option<(&str, PartitionId)> {
    let (rest, partition) = key.strip_prefix(&[USAGE])?.split_last_chunk()?;
    let (&0, domain) = rest.split_last()? else {
        return None;
    };
    let partition = u16::from_be_bytes(*partition);
    let domain = std::str::from_utf8(domain).ok()?;
    (partition < PARTITIONS).then_some((domain, PartitionId(partition)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_keys_of_what_domains_use_are_as_they_were_promised() {
        for partition in [PartitionId(0), PartitionId(0x0100), PartitionId(1_023)] {
            let key = usage("b.example", partition);
            let expected = [b"\x12b.example\0".as_slice(), &partition.0.to_be_bytes()];
            assert_eq!(key, expected.concat());
            assert_eq!(parse_usage(&key), Some(("b.example", partition)));
            assert!(usage_of_domain("b.example").contains(&key));
            assert!(all_usage().contains(&key));
        }
        assert_eq!(domain_turn("b.example"), b"\x11b.example\0a");
        assert_eq!(recalls(PartitionId(0x0102)), b"\x11\0r\x01\x02");
        let key = usage("b.example", PartitionId(1));
        assert!(!usage_of_domain("b.exampl").contains(&key));
        assert!(!usage_of_domain("b.example.net").contains(&key));
        assert_eq!(parse_usage(&usage("b.example", PartitionId(1_024))), None);
        assert_eq!(parse_usage(&key[..key.len() - 1]), None);
    }
}
