//! What of containers is not kept for good, a bounded piece at a time (containers §10, D28, D29; X-57):
//! payloads of replaced catalog entries, messages that are deleted, or read and old, and the
//! beginning of spools that are gone through.
//!
//! ```text
//!  due row ─▶ Step ─┬─ catalog: rows 'o' ──▶ redact
//!     ▲             └─ spool:   fold completions into marks 'a' ─▶ redact ─▶ purge the beginning
//!     └── the same container from where this step ended, or from its beginning when something of it
//!         may go next; in the same commit
//! ```
//!
//! The due row says where a step begins, so a restart loses nothing and repeats nothing. A round of
//! upkeep has at most one step for an account, and never runs beside a batch of the partition. Nothing
//! that a device can see changes but payloads that are empty and a Salt that is gone: indices, headers
//! and digests stay, and so does the change sequence.

mod catalog;
mod spool;

use mesh_common::account::retention::{Reason, Retention};
use mesh_common::account::{AccountStatus, ContainerNumber, FrameRecord, Head, Tip};
use mesh_common::address::AccountAddress;
use mesh_common::dare::ContainerKind;
use mesh_common::limits::{RETENTION_FRAMES_MAX, RETENTION_IDLE_INTERVALS};
use mesh_common::time::Timestamp;

use super::reading::ReadError;
use super::records::marks::{Place, next_look};
use super::records::{self, BatchId, FrameRow, Rows};
use crate::config::BackendConfig;
use crate::store::keys::{AccountKeys, Due};
use crate::store::{KeyRange, Limit, Order, Page, Read, Row, StoreError, Tx};

/// What one step did, once it is committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Retained {
    pub(crate) address: AccountAddress,
    pub(crate) container: String,
    /// Frames by what let them go.
    pub(crate) gone: Vec<Reason>,
    /// Octets that the account has back. The Malt of a short payload may take more than it gives.
    pub(crate) octets: i64,
}

/// The outcome of one step.
#[derive(Default)]
pub(crate) struct Stepped {
    pub(crate) rows: Rows,
    /// Nothing if no frame went.
    pub(crate) retained: Option<Retained>,
    /// Whether there is more to be done at once.
    pub(crate) more: bool,
}

/// One step over one container in the making.
struct Step<'a, T> {
    tx: &'a T,
    keys: AccountKeys,
    retention: Retention,
    now: Timestamp,
    head: Head,
    rows: Rows,
    gone: Vec<Reason>,
    octets: i64,
    /// When the first thing that stays for now may go.
    earliest: u64,
}

/// Where a step ended.
enum Ended {
    /// There is more from this index on.
    At(u64),
    /// At the end of the container.
    Whole,
}

/// Takes the step that `due` asks for. Its row is the caller's to clear.
pub(crate) async fn step<T: Tx>(
    tx: &T,
    config: &BackendConfig,
    due: &Due,
    now: Timestamp,
) -> Result<Stepped, ReadError> {
    let keys = AccountKeys::of(due.account);
    let Some(place) = Place::decode(&due.rest) else {
        return Ok(Stepped::default());
    };
    let Some(account) = tx.get(&keys.record(), Read::Snapshot).await? else {
        return Ok(Stepped::default());
    };
    let account = records::account(&account)?;
    let Some(head) = tx.get(&keys.head(place.container), Read::Snapshot).await? else {
        return Ok(Stepped::default());
    };
    let head = records::head(&head)?;
    // The keys of devices that were replaced or removed prove what those signed: they are kept.
    let is_kept_whole = head.name.kind() == ContainerKind::Device;
    if is_kept_whole || matches!(account.status, AccountStatus::Deleted { .. }) {
        return Ok(Stepped::default());
    }
    let Some(tip) = tx.get(&keys.tip(), Read::Snapshot).await? else {
        return Ok(Stepped::default());
    };
    let mut step = Step {
        tx,
        keys,
        retention: config.policy_of(&account.address).retention,
        now,
        head,
        rows: Rows::default(),
        gone: Vec::new(),
        octets: 0,
        earliest: place.earliest,
    };
    let ended = if step.head.name.is_spool() {
        step.spool(place.from).await?
    } else {
        step.catalog(place.from).await?
    };
    Ok(step.conclude(config, due, &ended, account.address, records::tip(&tip)?))
}

impl<T: Tx> Step<'_, T> {
    /// As many rows of `range` as one step looks at.
    async fn page(&self, range: &KeyRange) -> Result<Page, StoreError> {
        let limit = Limit::rows(RETENTION_FRAMES_MAX);
        self.tx
            .range(range, limit, Order::Forward, Read::Snapshot)
            .await
    }

    /// Such rows with the indices at the end of their keys, and where they end, if they begin at
    /// index `from`.
    async fn indexed(
        &self,
        range: &KeyRange,
        from: u64,
    ) -> Result<(Vec<(u64, Row)>, Ended), StoreError> {
        let page = self.page(range).await?;
        let with_index = |row: Row| Some((AccountKeys::index_at_end(&row.key)?, row));
        let rows: Vec<_> = page.rows.into_iter().filter_map(with_index).collect();
        let next = rows
            .last()
            .map_or(from, |(index, _)| index.saturating_add(1));
        let ended = if page.more {
            Ended::At(next)
        } else {
            Ended::Whole
        };
        Ok((rows, ended))
    }

    fn conclude(
        mut self,
        config: &BackendConfig,
        due: &Due,
        ended: &Ended,
        address: AccountAddress,
        (batch, tip): (BatchId, Tip),
    ) -> Stepped {
        let container = self.head.number;
        let more = match *ended {
            Ended::At(from) => {
                let place = Place {
                    container,
                    from,
                    earliest: self.earliest,
                };
                self.rows.look_again(due.account, place, due.at);
                true
            }
            Ended::Whole => {
                if let Some(at) = self.next(config) {
                    let place = Place::beginning(container);
                    self.rows.look_again(due.account, place, at);
                }
                false
            }
        };
        let retained = (!self.gone.is_empty()).then(|| {
            let tip = Tip {
                bytes_used: tip.bytes_used.saturating_sub_signed(self.octets),
                ..tip
            };
            let live = &mut self.head.live_octets;
            *live = live.saturating_sub_signed(self.octets);
            self.rows.set_usage(&self.keys, &self.head, batch, tip);
            Retained {
                address,
                container: self.head.name.canonical().to_owned(),
                gone: self.gone,
                octets: self.octets,
            }
        });
        Stepped {
            rows: self.rows,
            retained,
            more,
        }
    }

    /// When to look again: as soon as something may go, and now and then in case the settings change;
    /// never if nothing is left that could.
    fn next(&self, config: &BackendConfig) -> Option<Timestamp> {
        if self.earliest == u64::MAX {
            return None;
        }
        let interval = config.retention_interval();
        let idle = u32::try_from(RETENTION_IDLE_INTERVALS).unwrap_or(u32::MAX);
        let latest = self.now + interval.saturating_mul(idle);
        let earliest = i64::try_from(self.earliest).unwrap_or(i64::MAX);
        let wanted = Timestamp::from_millis(earliest).clamp(self.now, latest);
        Some(next_look(wanted, interval))
    }

    /// Whether something goes now for `reason`; if not, when it will is kept in mind.
    fn goes(&mut self, reason: Reason, since: Timestamp) -> bool {
        match self.retention.ends(reason, since) {
            Some(end) if end <= self.now => true,
            end => {
                // Kept for good by the present settings, which may change.
                let end = end.map_or(i64::MAX, Timestamp::as_millis);
                let end = u64::try_from(end).unwrap_or(0);
                self.earliest = self.earliest.min(end);
                false
            }
        }
    }

    /// A frame's record, if the frame is kept.
    async fn frame(
        &self,
        container: ContainerNumber,
        index: u64,
    ) -> Result<Option<(FrameRow, FrameRecord)>, ReadError> {
        let key = self.keys.frame(container, index);
        let row = self.tx.get(&key, Read::Snapshot).await?;
        Ok(row.map(|row| records::frame(&row)).transpose()?)
    }

    /// Removes payload and Salt of a frame, if it has any.
    fn redact(&mut self, index: u64, row: FrameRow, mut record: FrameRecord, reason: Reason) {
        if !record.is_redactable(index) {
            return;
        }
        let before = record.live_octets();
        record.redact();
        self.octets += octets(before) - octets(record.live_octets());
        let place = (self.head.number, index);
        self.rows
            .set_redacted(&self.keys, place, &record, row.chunks);
        self.gone.push(reason);
    }
}

/// Octets of a frame, to be added up with their sign.
fn octets(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
