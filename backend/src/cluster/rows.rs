//! What nodes say of themselves, as rows of table 01 (cluster §4.2).

use std::time::Duration;

use mesh_common::cluster::{NodeId, NodeRecord, Roles};

use crate::partition::{Reader, RowError, Writer};

/// Format of a node's record.
const NODE: u8 = 1;

/// Format of an order to a node.
const ORDER: u8 = 1;

const BACKEND: u8 = 1;
const OUTBOUND: u8 = 2;

/// The value of a node's record; its key has the name.
pub(crate) fn encode(record: &NodeRecord) -> Vec<u8> {
    let roles = &record.roles;
    Writer::new(NODE)
        .u64(record.seq)
        .u64(u64::try_from(record.lease.as_millis()).unwrap_or(u64::MAX))
        .u8((u8::from(roles.backend) * BACKEND) | (u8::from(roles.outbound) * OUTBOUND))
        .u32(record.weight)
        .u8(u8::from(record.draining))
        .u16(record.levels.0)
        .u16(record.levels.1)
        .octets(record.address.as_bytes())
        .octets(record.zone.as_bytes())
        .octets(record.build.as_bytes())
        .finish()
}

/// What the node `id` says of itself.
///
/// # Errors
/// The row does not read.
pub(crate) fn decode(id: NodeId, value: &[u8]) -> Result<NodeRecord, RowError> {
    let mut row = Reader::new("node record", value, NODE)?;
    let (seq, lease) = (row.u64()?, Duration::from_millis(row.u64()?));
    let roles = row.u8()?;
    if roles & !(BACKEND | OUTBOUND) != 0 {
        return Err(row.impossible("role"));
    }
    let record = NodeRecord {
        id,
        seq,
        lease,
        roles: Roles {
            backend: roles & BACKEND != 0,
            outbound: roles & OUTBOUND != 0,
        },
        weight: row.u32()?,
        draining: row.u8()? != 0,
        levels: (row.u16()?, row.u16()?),
        address: text(&mut row, "address")?,
        zone: text(&mut row, "zone")?,
        build: text(&mut row, "build")?,
    };
    row.finish()?;
    Ok(record)
}

fn text(row: &mut Reader<'_>, field: &'static str) -> Result<String, RowError> {
    let octets = row.octets()?.to_vec();
    String::from_utf8(octets).map_err(|_| row.impossible(field))
}

/// The value of an order that was given at the node `by`.
pub(crate) fn encode_order(by: NodeId) -> Vec<u8> {
    Writer::new(ORDER).fixed(&by.0).finish()
}

/// At which node the order was given.
///
/// # Errors
/// The row does not read.
pub(crate) fn decode_order(value: &[u8]) -> Result<NodeId, RowError> {
    let mut row = Reader::new("order to a node", value, ORDER)?;
    let by = NodeId(row.array()?);
    row.finish()?;
    Ok(by)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> NodeRecord {
        NodeRecord {
            id: NodeId([0xaa; 16]),
            seq: 7,
            lease: Duration::from_secs(5),
            roles: Roles {
                backend: true,
                outbound: true,
            },
            address: "h:1".to_owned(),
            zone: "z".to_owned(),
            weight: 100,
            draining: false,
            build: "1".to_owned(),
            levels: (1, 2),
        }
    }

    #[test]
    fn the_record_of_a_node_is_written_as_it_always_was() {
        let mut expected = vec![1, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0x13, 0x88, 3];
        expected.extend_from_slice(&[0, 0, 0, 100, 0, 0, 1, 0, 2]);
        expected.extend_from_slice(b"\0\0\0\x03h:1\0\0\0\x01z\0\0\0\x011");
        assert_eq!(encode(&record()), expected);
        assert_eq!(decode(NodeId([0xaa; 16]), &expected), Ok(record()));
    }

    #[test]
    fn an_order_to_a_node_says_where_it_was_given() {
        let mut expected = vec![1];
        expected.extend_from_slice(&[0xaa; 16]);
        assert_eq!(encode_order(NodeId([0xaa; 16])), expected);
        assert_eq!(decode_order(&expected), Ok(NodeId([0xaa; 16])));
        assert!(decode_order(&expected[..16]).is_err());
    }

    #[test]
    fn a_record_with_an_unknown_role_or_of_another_length_does_not_read() {
        let mut value = encode(&record());
        value[17] = 4;
        assert!(decode(record().id, &value).is_err());
        let value = encode(&record());
        assert!(decode(record().id, &value[..value.len() - 1]).is_err());
    }
}
