//! What the accounts of each domain use (cluster §9): one row per domain and partition, table 12, an absolute
//! value that the owner of the partition writes in the commit that changes it.
//!
//! ```text
//!  batch, drain, upkeep ──add──▶ UsageDraft ──one row per domain──▶ the same commit ──settle──▶ Usages: what is known
//!                                    ▲                                                            │
//!                                    └── base: known under this fence, or one read ◀──────────────┘
//! ```
//!
//! | module | holds |
//! | --- | --- |
//! | `draft` | what one commit makes of it |
//! | `granting` | what partitions are granted of the limits of a domain |
//! | `known` | the rows that owners here have in memory |
//! | `rows` | how table 12 is written |
//! | [`recount`] | the same counted anew from the accounts, and set right |
//! | [`report`] | the sums by domain, for operators and measures |
//!
//! Because the row lands with what it counts, it is right after a crash at any point and after any takeover: whoever
//! owns the partition next reads it, and nothing else. No account is read for it, and no counter is shared by two
//! partitions. The sum of a domain is the rows of one range, one for each partition that has accounts of it.
//!
//! How many accounts a domain may have is held by whoever adds one: it takes turns with others at one row, and adds the
//! domain's rows up in the commit itself (docs/0011). Accounts are made so seldom that nothing has to be granted.
//!
//! How much they may store, and send on a day, is granted to partitions in these rows: within what it was granted an
//! owner asks nobody, beyond it its commit takes more, of what nobody holds or others do not use.
//!
//! Draft: cluster §9 has the owner write the row at most every 5 s. Then an owner that dies leaves a row that is
//! 5 s old, and who takes over would have to read all accounts of the partition to know what is missing. Here it
//! costs one small row more in a commit that happens anyway, and no commit of its own.

mod draft;
mod granting;
mod known;
pub mod recount;
pub mod report;
pub(crate) mod rows;

pub(crate) use draft::{Met, UsageDraft};
pub(crate) use known::Usages;
