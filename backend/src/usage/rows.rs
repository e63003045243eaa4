//! The values of table 12.

use mesh_common::account::DomainUsage;

use crate::partition::{Reader, RowError, Writer};

/// Format of a row that grants nothing.
const USAGE: u8 = 1;
/// Format of a row that says what was granted, too.
const USAGE_AND_GRANTS: u8 = 2;

/// Up to which the part of a domain in a partition may go of one of the domain's limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Grant {
    /// So far.
    pub(crate) amount: u64,
    /// Of a limit of this. Another one, as it was set since, knows nothing of the grant.
    pub(crate) max: u64,
}

impl Grant {
    /// What of it holds, if the limit is `max`.
    pub(crate) const fn under(self, max: u64) -> u64 {
        if self.max == max { self.amount } else { 0 }
    }
}

/// What a partition was granted of the limits of a domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Grants {
    pub(crate) octets: Grant,
    /// The day that `messages` is for.
    pub(crate) day: i64,
    pub(crate) messages: Grant,
}

impl Grants {
    /// Messages on `day`, of a limit of `max`.
    pub(crate) const fn messages_on(&self, day: i64, max: u64) -> u64 {
        if self.day == day {
            self.messages.under(max)
        } else {
            0
        }
    }
}

/// What the accounts of a domain use in a partition, as it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct UsageRow {
    /// Counts the commits that wrote it: by it whoever counts anew sees that nothing changed meanwhile.
    pub(crate) change: u64,
    /// The value.
    pub(crate) used: DomainUsage,
    /// Up to which it may go without asking anybody.
    pub(crate) grants: Grants,
}

impl UsageRow {
    /// The row that follows this one, with another value.
    pub(crate) const fn next(self, used: DomainUsage) -> Self {
        Self {
            change: self.change + 1,
            used,
            ..self
        }
    }

    /// The same with other grants.
    pub(crate) const fn granting(self, grants: Grants) -> Self {
        Self { grants, ..self }
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let grants = self.grants;
        let grants_any = grants != Grants::default();
        let row = Writer::new(if grants_any { USAGE_AND_GRANTS } else { USAGE })
            .u64(self.change)
            .u64(self.used.octets)
            .u64(self.used.accounts)
            .i64(self.used.day)
            .u64(self.used.messages);
        if !grants_any {
            return row.finish();
        }
        row.u64(grants.octets.amount)
            .u64(grants.octets.max)
            .i64(grants.day)
            .u64(grants.messages.amount)
            .u64(grants.messages.max)
            .finish()
    }

    /// # Errors
    /// The row does not read.
    pub(crate) fn decode(value: &[u8]) -> Result<Self, RowError> {
        const WHAT: &str = "usage of a domain";
        let grants_any = value.first() == Some(&USAGE_AND_GRANTS);
        let mut row = Reader::new(
            WHAT,
            value,
            if grants_any { USAGE_AND_GRANTS } else { USAGE },
        )?;
        let read = Self {
            change: row.u64()?,
            used: DomainUsage {
                octets: row.u64()?,
                accounts: row.u64()?,
                day: row.i64()?,
                messages: row.u64()?,
            },
            grants: if grants_any {
                grants(&mut row)?
            } else {
                Grants::default()
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

fn grants(row: &mut Reader<'_>) -> Result<Grants, RowError> {
    Ok(Grants {
        octets: Grant {
            amount: row.u64()?,
            max: row.u64()?,
        },
        day: row.i64()?,
        messages: Grant {
            amount: row.u64()?,
            max: row.u64()?,
        },
    })
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
            grants: Grants::default(),
        };
        let mut expected = vec![1];
        for number in [2_u64, 3, 4, 5, 6] {
            expected.extend_from_slice(&number.to_be_bytes());
        }
        assert_eq!(row.encode(), expected);
        assert_eq!(UsageRow::of(Some(&expected)), Ok(row));
        assert!(UsageRow::decode(&expected[..40]).is_err());
        assert!(UsageRow::decode(&[expected.as_slice(), &[0]].concat()).is_err());
        assert_eq!(UsageRow::of(None), Ok(UsageRow::default()));
        assert_eq!(row.next(DomainUsage::default()).change, 3);

        let granting = row.granting(Grants {
            octets: Grant { amount: 7, max: 8 },
            day: 9,
            messages: Grant {
                amount: 10,
                max: 11,
            },
        });
        expected[0] = 2;
        for number in [7_u64, 8, 9, 10, 11] {
            expected.extend_from_slice(&number.to_be_bytes());
        }
        assert_eq!(granting.encode(), expected);
        assert_eq!(UsageRow::decode(&expected), Ok(granting));
        assert!(UsageRow::decode(&expected[..41]).is_err());
        assert_eq!(granting.next(row.used).grants, granting.grants);
    }

    #[test]
    fn a_grant_holds_under_the_limit_that_it_is_of() {
        let grant = Grant { amount: 7, max: 8 };
        assert_eq!((grant.under(8), grant.under(9), grant.under(0)), (7, 0, 0));
    }
}
