//! What partitions are granted of the limits of a domain (cluster §9): how much the others use and hold, and what
//! a commit that needs more takes, of what nobody holds or of what others do not use.

use std::collections::BTreeMap;

use mesh_common::cluster::PartitionId;
use mesh_common::escrow::{Chunks, Share, Short, Want, take};
use mesh_common::limits::{DOMAIN_MESSAGES, DOMAIN_OCTETS};

use super::rows::{Grant, Grants, UsageRow};
use crate::store::{Read, StoreError, Tx, keys, walk};

const OCTETS: Chunks = Chunks {
    min: DOMAIN_OCTETS.0,
    max: DOMAIN_OCTETS.1,
};
const MESSAGES: Chunks = Chunks {
    min: DOMAIN_MESSAGES.0,
    max: DOMAIN_MESSAGES.1,
};

/// The rows of a domain in all partitions but one.
#[derive(Debug)]
pub(super) struct Others(BTreeMap<PartitionId, UsageRow>);

/// What all of them use together.
#[derive(Debug, Clone, Copy)]
pub(super) struct Elsewhere {
    pub(super) accounts: u64,
    pub(super) octets: u64,
    /// The day by which messages count: that of whoever asks, or a later one that another one is at.
    pub(super) day: i64,
    pub(super) messages: u64,
}

/// What a commit wants of the limits of a domain: all that the partition will use.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Wanted {
    /// Octets, of a limit of so many.
    pub(super) octets: Option<(Want, u64)>,
    /// Messages on this day, of a limit of so many.
    pub(super) messages: Option<(i64, Want, u64)>,
}

impl Wanted {
    /// Whether anything is wanted.
    pub(super) const fn is_any(&self) -> bool {
        self.octets.is_some() || self.messages.is_some()
    }
}

/// What it takes.
#[derive(Debug)]
pub(super) struct Took {
    /// What the partition is granted then.
    pub(super) grants: Grants,
    /// The rows from which something is taken back, as they are then.
    pub(super) recalled: BTreeMap<PartitionId, UsageRow>,
}

impl Others {
    /// The rows as `tx` sees them, and what stands in the row of `here`.
    ///
    /// # Errors
    /// The rows cannot be read.
    pub(super) async fn read<T: Tx>(
        tx: &T,
        domain: &str,
        here: PartitionId,
    ) -> Result<(UsageRow, Self), StoreError> {
        let found = walk::rows(tx, keys::usage_of_domain(domain), Read::Snapshot).await?;
        // One that does not read is told of by whoever verifies, and counts nothing.
        let mut rows: BTreeMap<PartitionId, UsageRow> = found
            .iter()
            .filter_map(|row| {
                let (_, partition) = keys::parse_usage(&row.key)?;
                Some((partition, UsageRow::decode(&row.value).ok()?))
            })
            .collect();
        let own = rows.remove(&here).unwrap_or_default();
        Ok((own, Self(rows)))
    }

    /// What they use on `day`, or the latest day that one of them is at.
    pub(super) fn used(&self, day: i64) -> Elsewhere {
        let days = self.0.values().map(|row| row.used.day.max(row.grants.day));
        let day = days.fold(day, i64::max);
        let nothing = Elsewhere {
            accounts: 0,
            octets: 0,
            day,
            messages: 0,
        };
        self.0.values().fold(nothing, |sum, row| Elsewhere {
            accounts: sum.accounts.saturating_add(row.used.accounts),
            octets: sum.octets.saturating_add(row.used.octets),
            messages: sum.messages.saturating_add(row.used.on(day).messages),
            ..sum
        })
    }

    /// Takes what is wanted by a partition that has `grants`.
    ///
    /// # Errors
    /// There is not as much.
    pub(super) fn take(&self, wanted: Wanted, mut grants: Grants) -> Result<Took, Short> {
        let mut recalled = BTreeMap::new();
        if let Some((want, max)) = wanted.octets {
            let shares = self.0.iter().map(|(one, row)| (*one, octets_of(row)));
            let taken = take(want, &shares.collect(), max, OCTETS)?;
            grants.octets = Grant {
                amount: taken.granted,
                max,
            };
            for (one, amount) in taken.recalled {
                self.row_of(one, &mut recalled).grants.octets.amount = amount;
            }
        }
        if let Some((day, want, max)) = wanted.messages {
            let shares = self
                .0
                .iter()
                .map(|(one, row)| (*one, messages_of(row, day)));
            let taken = take(want, &shares.collect(), max, MESSAGES)?;
            grants.day = day;
            grants.messages = Grant {
                amount: taken.granted,
                max,
            };
            for (one, amount) in taken.recalled {
                self.row_of(one, &mut recalled).grants.messages.amount = amount;
            }
        }
        Ok(Took { grants, recalled })
    }

    /// The row of another one, as it will follow.
    fn row_of<'a>(
        &self,
        one: PartitionId,
        recalled: &'a mut BTreeMap<PartitionId, UsageRow>,
    ) -> &'a mut UsageRow {
        recalled.entry(one).or_insert_with(|| {
            let row = self.0.get(&one).copied().unwrap_or_default();
            row.next(row.used)
        })
    }
}

const fn octets_of(row: &UsageRow) -> Share {
    Share {
        used: row.used.octets,
        granted: row.grants.octets.amount,
    }
}

const fn messages_of(row: &UsageRow, day: i64) -> Share {
    Share {
        used: row.used.on(day).messages,
        granted: if row.grants.day == day {
            row.grants.messages.amount
        } else {
            0
        },
    }
}

#[cfg(test)]
mod tests {
    use mesh_common::account::DomainUsage;

    use super::*;

    const HERE: PartitionId = PartitionId(1);
    const THERE: PartitionId = PartitionId(2);

    fn others(row: UsageRow) -> Others {
        Others(BTreeMap::from([(THERE, row)]))
    }

    fn row(octets: u64, (day, messages): (i64, u64)) -> UsageRow {
        let used = DomainUsage {
            octets,
            accounts: 1,
            day,
            messages,
        };
        UsageRow::default().next(used)
    }

    const fn wants(used: u64) -> Want {
        Want {
            before: 0,
            used,
            forced: 0,
        }
    }

    #[test]
    fn messages_of_another_day_hold_nothing_of_this_one() {
        let grants = Grants {
            day: 4,
            messages: Grant {
                amount: 10,
                max: 10,
            },
            ..Grants::default()
        };
        let others = others(row(0, (4, 10)).granting(grants));
        let wanted = |day| Wanted {
            octets: None,
            messages: Some((day, wants(1), 10)),
        };
        assert!(others.take(wanted(4), Grants::default()).is_err());
        let took = others.take(wanted(5), Grants::default()).unwrap();
        assert_eq!((took.grants.day, took.grants.messages.amount), (5, 9));
        assert!(took.recalled.is_empty());
        assert_eq!((others.used(4).messages, others.used(5).messages), (10, 0));
        assert_eq!((others.used(3).day, others.used(3).messages), (4, 10));
    }

    #[test]
    fn one_row_gives_back_of_both_limits_at_once() {
        let grants = Grants {
            octets: Grant {
                amount: 100,
                max: 100,
            },
            day: 4,
            messages: Grant {
                amount: 10,
                max: 10,
            },
        };
        let before = row(30, (4, 3)).granting(grants);
        let wanted = Wanted {
            octets: Some((wants(60), 100)),
            messages: Some((4, wants(5), 10)),
        };
        let took = others(before).take(wanted, Grants::default()).unwrap();
        let after = took.recalled[&THERE];
        assert_eq!(took.recalled.len(), 1);
        assert_eq!((after.change, after.used), (before.change + 1, before.used));
        let amounts = |grants: Grants| (grants.octets.amount, grants.messages.amount);
        assert_eq!(amounts(after.grants), (30, 3));
        assert_eq!(amounts(took.grants), (70, 7));
        assert!(!took.recalled.contains_key(&HERE));
    }
}
