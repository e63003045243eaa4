//! The rows that retention works with (containers §10): which messages are read or deleted, how far
//! that is known, and when to look at a container again.

use std::time::Duration;

use mesh_common::account::retention::Reason;
use mesh_common::account::{
    AccountId, Change, ContainerNumber, FrameRecord, Head, Tip, Transition,
};
use mesh_common::time::Timestamp;

use super::{BatchId, FrameRow, RowError, Rows, encode, encode_tip};
use crate::partition::codec::{Reader, Writer};
use crate::store::keys::{AccountKeys, Due, DueKind};

/// Format of the rows of this file.
const MARK: u8 = 1;
/// The tag of the messages that change states.
const COMPLETION: &str = "MessageComplete";

/// That a message is read or deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark {
    /// [`Reason::Read`] or [`Reason::Deleted`].
    pub(crate) reason: Reason,
    /// When the MessageComplete that says so was committed.
    pub(crate) since: Timestamp,
}

impl Mark {
    fn encode(self) -> Vec<u8> {
        Writer::new(MARK)
            .u8(u8::from(self.reason == Reason::Deleted))
            .i64(self.since.as_millis())
            .finish()
    }

    pub(crate) fn decode(value: &[u8]) -> Result<Self, RowError> {
        let mut row = Reader::new("mark", value, MARK)?;
        let mark = Self {
            reason: match row.u8()? {
                0 => Reason::Read,
                1 => Reason::Deleted,
                _ => return Err(row.impossible("reason")),
            },
            since: Timestamp::from_millis(row.i64()?),
        };
        row.finish()?;
        Ok(mark)
    }
}

/// Index of the first frame of a spool whose completion is not folded yet.
pub(crate) fn folded(value: &[u8]) -> Result<u64, RowError> {
    let mut row = Reader::new("fold position", value, MARK)?;
    let index = row.u64()?;
    row.finish()?;
    Ok(index)
}

/// The older frame's successor: index of the frame that replaced or deleted it.
pub(crate) fn superseded_by(value: &[u8]) -> Result<u64, RowError> {
    let mut row = Reader::new("superseded", value, super::JSON)?;
    let index = row.u64()?;
    row.finish()?;
    Ok(index)
}

/// Where retention goes on in a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) container: ContainerNumber,
    /// Everything before this index was looked at in this round.
    pub(crate) from: u64,
    /// The earliest moment, in milliseconds, at which something that was looked at may go; `u64::MAX`
    /// if nothing of it ever does.
    pub(crate) earliest: u64,
}

impl Place {
    /// The beginning of a container.
    pub(crate) const fn beginning(container: ContainerNumber) -> Self {
        Self {
            container,
            from: 0,
            earliest: u64::MAX,
        }
    }

    fn encode(self) -> Vec<u8> {
        [
            &self.container.to_be_bytes()[..],
            &self.from.to_be_bytes(),
            &self.earliest.to_be_bytes(),
        ]
        .concat()
    }

    pub(crate) fn decode(rest: &[u8]) -> Option<Self> {
        let (container, rest) = rest.split_first_chunk()?;
        let (from, rest) = rest.split_first_chunk()?;
        Some(Self {
            container: u16::from_be_bytes(*container),
            from: u64::from_be_bytes(*from),
            earliest: u64::from_be_bytes(rest.try_into().ok()?),
        })
    }
}

/// The first moment after `time` at which retention looks at containers: they all come at the same
/// ones, so that many reasons to look at one container are one row.
pub(crate) fn next_look(time: Timestamp, interval: Duration) -> Timestamp {
    let interval = i64::try_from(interval.as_millis())
        .unwrap_or(i64::MAX)
        .max(1);
    let number = time.as_millis().div_euclid(interval).saturating_add(1);
    Timestamp::from_millis(number.saturating_mul(interval))
}

impl Rows {
    /// Lets retention look at the containers in which `transition` leaves something that may go one
    /// day: entries that are replaced, and completions.
    pub(crate) fn arm_retention(&mut self, transition: &Transition, interval: Duration) {
        for change in &transition.changes {
            let Change::Head(head) = change else {
                continue;
            };
            let leaves = |change: &Change| match change {
                Change::Superseded { container, .. } => *container == head.number,
                Change::Frame {
                    container,
                    index,
                    record,
                    ..
                } => {
                    let is_of_spool = *container == head.number && head.name.is_spool();
                    is_of_spool && *index > 0 && may_complete(record)
                }
                _ => false,
            };
            if transition.changes.iter().any(leaves) {
                let place = Place::beginning(head.number);
                self.look_again(
                    transition.account,
                    place,
                    next_look(head.committed_at, interval),
                );
            }
        }
    }

    /// Lets retention look at a container at `at`.
    pub(crate) fn look_again(&mut self, account: AccountId, place: Place, at: Timestamp) {
        let due = Due {
            at,
            kind: DueKind::Retention,
            account,
            rest: place.encode(),
        };
        self.set(due.key(), bytes::Bytes::new());
    }

    /// Marks a message, or takes its mark away.
    pub(crate) fn set_mark(
        &mut self,
        keys: &AccountKeys,
        (container, index): (ContainerNumber, u64),
        mark: Option<Mark>,
    ) {
        let key = keys.mark(container, index);
        match mark {
            Some(mark) => self.set(key, mark.encode()),
            None => self.clear(key),
        }
    }

    /// Notes how far a spool is folded.
    pub(crate) fn set_folded(&mut self, keys: &AccountKeys, container: ContainerNumber, to: u64) {
        let row = Writer::new(MARK).u64(to).finish();
        self.set(keys.folded(container), row);
    }

    /// Writes a frame's record without its payload, whose `chunks` go.
    pub(crate) fn set_redacted(
        &mut self,
        keys: &AccountKeys,
        (container, index): (ContainerNumber, u64),
        record: &FrameRecord,
        chunks: u16,
    ) {
        self.clear_chunks(keys, (container, index), chunks);
        let row = FrameRow {
            chunks: 0,
            payload_bytes: 0,
            checksum: crc32fast::hash(&[]),
        };
        self.set(keys.frame(container, index), row.encode(record));
    }

    /// Removes a frame.
    pub(crate) fn clear_frame(
        &mut self,
        keys: &AccountKeys,
        (container, index): (ContainerNumber, u64),
        chunks: u16,
    ) {
        self.clear_chunks(keys, (container, index), chunks);
        self.clear(keys.frame(container, index));
        self.clear(keys.mark(container, index));
    }

    fn clear_chunks(
        &mut self,
        keys: &AccountKeys,
        (container, index): (ContainerNumber, u64),
        chunks: u16,
    ) {
        for chunk in 0..chunks {
            self.clear(keys.chunk(container, index, chunk));
        }
    }

    /// Writes a head and a tip that is, but for the octets used, the one that `batch` wrote.
    pub(crate) fn set_usage(&mut self, keys: &AccountKeys, head: &Head, batch: BatchId, tip: Tip) {
        self.set(keys.head(head.number), encode(head));
        self.set(keys.tip(), encode_tip(batch, tip));
    }
}

/// Whether a frame of a spool changes states, as far as can be told without its payload.
pub(crate) fn may_complete(record: &FrameRecord) -> bool {
    record
        .message_type
        .as_deref()
        .is_none_or(|tag| tag == COMPLETION)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_and_places_are_written_as_they_were_promised() {
        let mark = Mark {
            reason: Reason::Deleted,
            since: Timestamp::from_millis(0x0102),
        };
        assert_eq!(mark.encode(), [1, 1, 0, 0, 0, 0, 0, 0, 1, 2]);
        let read = Mark {
            reason: Reason::Read,
            ..mark
        };
        for mark in [mark, read] {
            assert_eq!(Mark::decode(&mark.encode()), Ok(mark));
        }
        assert!(Mark::decode(&[1, 2, 0, 0, 0, 0, 0, 0, 1, 2]).is_err());
        let place = Place {
            container: 3,
            from: 77,
            earliest: 5,
        };
        let mut expected = vec![0, 3];
        expected.extend_from_slice(&77_u64.to_be_bytes());
        expected.extend_from_slice(&5_u64.to_be_bytes());
        assert_eq!(place.encode(), expected);
        assert_eq!(Place::decode(&expected), Some(place));
        assert_eq!(Place::decode(&expected[1..]), None);
    }

    #[test]
    fn looks_come_together() {
        let day = Duration::from_secs(86_400);
        let next = |millis| next_look(Timestamp::from_millis(millis), day).as_millis();
        assert_eq!(
            (next(0), next(1), next(86_399_999)),
            (86_400_000, 86_400_000, 86_400_000)
        );
        assert_eq!(next(86_400_000), 2 * 86_400_000, "always later");
        assert_eq!(next(-1), 0);
    }
}
