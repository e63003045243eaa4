//! The values of table 13: holders, ledgers, and the limits that somebody met.

use mesh_common::cluster::NodeId;
use mesh_common::delivery::QueueScope;
use mesh_common::escrow::{HolderId, Ledger};

use crate::partition::{Reader, RowError, Writer};

/// Format of a holder.
const HOLDER: u8 = 1;
/// Format of a ledger.
const LEDGER: u8 = 1;
/// Format of what says that a limit was met.
const WANTED: u8 = 1;

/// What is known of a holder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Holder {
    /// Whose it is.
    pub(crate) node: NodeId,
    /// Whether it spends no more, for ever.
    pub(crate) is_closed: bool,
}

impl Holder {
    pub(crate) fn encode(&self) -> Vec<u8> {
        Writer::new(HOLDER)
            .fixed(&self.node.0)
            .u8(u8::from(self.is_closed))
            .finish()
    }

    /// # Errors
    /// The row does not read.
    pub(crate) fn decode(value: &[u8]) -> Result<Self, RowError> {
        let mut row = Reader::new("holder of grants", value, HOLDER)?;
        let holder = Self {
            node: NodeId(row.array()?),
            is_closed: match row.u8()? {
                0 => false,
                1 => true,
                _ => return Err(row.impossible("state")),
            },
        };
        row.finish()?;
        Ok(holder)
    }
}

pub(crate) fn encode_ledger(scope: &QueueScope, ledger: &Ledger) -> Vec<u8> {
    let count = u32::try_from(ledger.grants().count()).unwrap_or(u32::MAX);
    let row = write_scope(Writer::new(LEDGER), scope).u32(count);
    let row = ledger
        .grants()
        .fold(row, |row, (holder, grant)| row.fixed(&holder.0).u64(grant));
    row.finish()
}

/// The limit that a ledger is of, and the ledger.
///
/// # Errors
/// The row does not read.
pub(crate) fn ledger(value: &[u8]) -> Result<(QueueScope, Ledger), RowError> {
    let mut row = Reader::new("ledger of a limit", value, LEDGER)?;
    let scope = read_scope(&mut row)?;
    let mut ledger = Ledger::default();
    for _ in 0..row.u32()? {
        let holder = HolderId(row.array()?);
        ledger.set(holder, row.u64()?);
    }
    row.finish()?;
    Ok((scope, ledger))
}

/// What stands before the stamp in a row that says that a limit was met.
pub(crate) fn encode_wanted(scope: &QueueScope) -> Vec<u8> {
    write_scope(Writer::new(WANTED), scope).finish()
}

/// The limit that was met.
///
/// # Errors
/// The row does not read.
pub(crate) fn wanted(value: &[u8]) -> Result<QueueScope, RowError> {
    let mut row = Reader::new("limit that was met", value, WANTED)?;
    read_scope(&mut row)
}

fn write_scope(row: Writer, scope: &QueueScope) -> Writer {
    match scope {
        QueueScope::Destination(domain) => row.u8(b'd').octets(domain.as_bytes()),
        QueueScope::Tenant(domain) => row.u8(b't').octets(domain.as_bytes()),
        QueueScope::Share {
            tenant,
            destination,
        } => row
            .u8(b's')
            .octets(tenant.as_bytes())
            .octets(destination.as_bytes()),
    }
}

fn read_scope(row: &mut Reader<'_>) -> Result<QueueScope, RowError> {
    Ok(match row.u8()? {
        b'd' => QueueScope::Destination(text(row)?),
        b't' => QueueScope::Tenant(text(row)?),
        b's' => QueueScope::Share {
            tenant: text(row)?,
            destination: text(row)?,
        },
        _ => return Err(row.impossible("kind")),
    })
}

fn text(row: &mut Reader<'_>) -> Result<String, RowError> {
    let octets = row.octets()?.to_vec();
    String::from_utf8(octets).map_err(|_| row.impossible("name"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_limits_are_written_as_they_were_promised() {
        let holder = Holder {
            node: NodeId([7; 16]),
            is_closed: true,
        };
        assert_eq!(holder.encode(), [&[1][..], &[7; 16], &[1]].concat());
        assert_eq!(Holder::decode(&holder.encode()), Ok(holder));
        assert!(Holder::decode(&[&[1][..], &[7; 16], &[2]].concat()).is_err());

        let mut written = Ledger::default();
        written.set(HolderId([9; 16]), 0x0102);
        for scope in QueueScope::of("a", "b") {
            let value = encode_ledger(&scope, &written);
            assert_eq!(ledger(&value), Ok((scope.clone(), written.clone())));
            assert!(ledger(&value[..value.len() - 1]).is_err());
            let stamped = [encode_wanted(&scope), vec![0xff; 10]].concat();
            assert_eq!(wanted(&stamped), Ok(scope));
        }
        let expected = [
            b"\x01t\0\0\0\x01a\0\0\0\x01".as_slice(),
            &[9; 16],
            &[0, 0, 0, 0, 0, 0, 1, 2],
        ];
        let tenant = QueueScope::Tenant("a".to_owned());
        assert_eq!(encode_ledger(&tenant, &written), expected.concat());
    }
}
