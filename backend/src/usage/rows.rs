//! The values of table 12.

use mesh_common::account::DomainUsage;

use crate::partition::{Reader, RowError, Writer};

/// Format of a row.
const USAGE: u8 = 1;

/// What the accounts of a domain use in a partition, as it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct UsageRow {
    /// Counts the commits that wrote it: by it whoever counts anew sees that nothing changed meanwhile.
    pub(crate) change: u64,
    /// The value.
    pub(crate) used: DomainUsage,
}

impl UsageRow {
    /// The row that follows this one, with another value.
    pub(crate) const fn next(self, used: DomainUsage) -> Self {
        Self {
            change: self.change + 1,
            used,
        }
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        Writer::new(USAGE)
            .u64(self.change)
            .u64(self.used.octets)
            .u64(self.used.accounts)
            .i64(self.used.day)
            .u64(self.used.messages)
            .finish()
    }

    /// # Errors
    /// The row does not read.
    pub(crate) fn decode(value: &[u8]) -> Result<Self, RowError> {
        let mut row = Reader::new("usage of a domain", value, USAGE)?;
        let read = Self {
            change: row.u64()?,
            used: DomainUsage {
                octets: row.u64()?,
                accounts: row.u64()?,
                day: row.i64()?,
                messages: row.u64()?,
            },
        };
        row.finish()?;
        Ok(read)
    }

    /// The row as it was found; nothing was used where there is none.
    ///
    /// # Errors
    /// The row does not read.
    pub(crate) fn of(found: Option<&[u8]>) -> Result<Self, RowError> {
        found.map_or_else(|| Ok(Self::default()), Self::decode)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_written_as_it_was_promised() {
        let row = UsageRow {
            change: 2,
            used: DomainUsage {
                octets: 3,
                accounts: 4,
                day: 5,
                messages: 6,
            },
        };
        let mut expected = vec![1];
        for number in [2_u64, 3, 4, 5, 6] {
            expected.extend_from_slice(&number.to_be_bytes());
        }
        assert_eq!(row.encode(), expected);
        assert_eq!(UsageRow::of(Some(&expected)), Ok(row));
        assert!(UsageRow::decode(&expected[..40]).is_err());
        assert!(UsageRow::decode(&[expected, vec![0]].concat()).is_err());
        assert_eq!(UsageRow::of(None), Ok(UsageRow::default()));
        assert_eq!(row.next(DomainUsage::default()).change, 3);
    }
}
