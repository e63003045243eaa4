//! What engine and server say to each other: octets, since keys and values are. One request is one
//! [`Ask`], its answer one [`Answer`]; lengths and numbers are big-endian.

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};

use crate::store::conflict::Footprint;
use crate::store::pending::Operation;
use crate::store::{
    CommitError, Committed, KeyRange, Limit, Order, Page, Row, StoreError, Version, Versionstamp,
    limits,
};

/// What is asked of the server.
#[derive(Debug)]
pub(super) enum Ask {
    /// The newest version.
    ReadVersion,
    /// One key at a version.
    Get(Version, Bytes),
    /// One page at a version.
    Range(Version, KeyRange, Limit, Order),
    /// A commit of what was read at a version; at the newest if nothing was read.
    Commit(Option<Version>, Footprint, Vec<Operation>),
    /// Registers a watch: of a stream, under a number, of a key.
    Watch(u64, u64, Bytes),
    /// Ends a watch of a stream.
    Unwatch(u64, u64),
}

/// What the server answers.
#[derive(Debug)]
pub(super) enum Answer {
    Version(Version),
    Value(Option<Bytes>),
    Page(Page),
    Committed(Committed),
    Done,
    Refused(Refusal),
}

/// Why the server does not do what it was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    TooOld,
    TooManyWatches,
    /// There is no such stream of watches.
    NoStream,
    Conflict,
    Unknown,
    MayStillLand,
    /// Keys of cleared ranges.
    TooLarge(usize),
    ReadOnly,
    Full,
    /// What was asked cannot be read, or the memory engine said what it never says.
    Malformed,
}

impl Refusal {
    /// What it means of a read or a watch.
    pub(super) const fn of_read(self) -> StoreError {
        match self {
            Self::TooOld => StoreError::TooOld,
            Self::TooManyWatches => StoreError::TooManyWatches {
                max: limits::WATCHES_MAX,
            },
            _ => StoreError::Away,
        }
    }

    /// What it means of a commit.
    pub(super) const fn of_commit(self) -> CommitError {
        match self {
            Self::TooOld => CommitError::TooOld,
            Self::Conflict => CommitError::Conflict,
            Self::Unknown => CommitError::Unknown,
            Self::MayStillLand => CommitError::MayStillLand,
            Self::TooLarge(bytes) => CommitError::TooLarge {
                what: "keys of cleared ranges",
                bytes,
                max: limits::CLEAR_KEYS_MAX,
            },
            Self::ReadOnly => CommitError::ReadOnly,
            Self::Full => CommitError::Full,
            Self::TooManyWatches | Self::NoStream | Self::Malformed => {
                CommitError::Fatal(StoreError::Closed)
            }
        }
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::TooOld => Self::TooOld,
            StoreError::TooManyWatches { .. } => Self::TooManyWatches,
            _ => Self::Malformed,
        }
    }
}

impl From<CommitError> for Refusal {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::Conflict => Self::Conflict,
            CommitError::TooOld => Self::TooOld,
            CommitError::Unknown => Self::Unknown,
            CommitError::MayStillLand => Self::MayStillLand,
            CommitError::TooLarge { bytes, .. } => Self::TooLarge(bytes),
            CommitError::ReadOnly => Self::ReadOnly,
            CommitError::Full => Self::Full,
            CommitError::Fatal(_) => Self::Malformed,
        }
    }
}

/// Octets that are no message.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Malformed;

// ---- Writing ----

fn octets(out: &mut BytesMut, octets: &[u8]) {
    out.put_u32(u32::try_from(octets.len()).unwrap_or(u32::MAX));
    out.put_slice(octets);
}

fn many<T>(out: &mut BytesMut, items: &[T], each: impl Fn(&mut BytesMut, &T)) {
    out.put_u32(u32::try_from(items.len()).unwrap_or(u32::MAX));
    items.iter().for_each(|item| each(out, item));
}

fn range(out: &mut BytesMut, range: &KeyRange) {
    octets(out, &range.begin);
    octets(out, &range.end);
}

fn size(out: &mut BytesMut, size: usize) {
    out.put_u64(u64::try_from(size).unwrap_or(u64::MAX));
}

fn operation(out: &mut BytesMut, operation: &Operation) {
    let (tag, parts): (u8, [&[u8]; 3]) = match operation {
        Operation::ClearRange(range) => (0, [&range.begin, &range.end, b""]),
        Operation::Clear(key) => (1, [key, b"", b""]),
        Operation::Set(key, value) => (2, [key, value, b""]),
        Operation::StampedValue(key, prefix, suffix) => (3, [key, prefix, suffix]),
        Operation::StampedKey(prefix, suffix, value) => (4, [prefix, suffix, value]),
    };
    out.put_u8(tag);
    parts.iter().for_each(|part| octets(out, part));
}

impl Ask {
    pub(super) fn write(&self) -> Bytes {
        let mut out = BytesMut::new();
        match self {
            Self::ReadVersion => out.put_u8(0),
            Self::Get(version, key) => {
                out.put_u8(1);
                out.put_u64(version.0);
                octets(&mut out, key);
            }
            Self::Range(version, keys, limit, order) => {
                out.put_u8(2);
                out.put_u64(version.0);
                range(&mut out, keys);
                size(&mut out, limit.rows);
                size(&mut out, limit.bytes);
                out.put_u8(u8::from(*order == Order::Reverse));
            }
            Self::Commit(version, reads, operations) => {
                out.put_u8(3);
                out.put_u8(u8::from(version.is_some()));
                out.put_u64(version.unwrap_or_default().0);
                many(&mut out, &reads.keys, |out, key| octets(out, key));
                many(&mut out, &reads.ranges, range);
                many(&mut out, operations, operation);
            }
            Self::Watch(stream, number, key) => {
                out.put_u8(4);
                out.put_u64(*stream);
                out.put_u64(*number);
                octets(&mut out, key);
            }
            Self::Unwatch(stream, number) => {
                out.put_u8(5);
                out.put_u64(*stream);
                out.put_u64(*number);
            }
        }
        out.freeze()
    }
}

impl Answer {
    pub(super) fn write(&self) -> Bytes {
        let mut out = BytesMut::new();
        match self {
            Self::Version(version) => {
                out.put_u8(0);
                out.put_u64(version.0);
            }
            Self::Value(None) => out.put_u8(1),
            Self::Value(Some(value)) => {
                out.put_u8(2);
                octets(&mut out, value);
            }
            Self::Page(page) => {
                out.put_u8(3);
                out.put_u8(u8::from(page.more));
                many(&mut out, &page.rows, |out, row| {
                    octets(out, &row.key);
                    octets(out, &row.value);
                });
            }
            Self::Committed(committed) => {
                out.put_u8(4);
                out.put_u64(committed.version.0);
                let stamp = committed.stamp.as_ref().map(|stamp| &stamp.0[..]);
                octets(&mut out, stamp.unwrap_or_default());
            }
            Self::Done => out.put_u8(5),
            Self::Refused(refusal) => {
                out.put_u8(6);
                let (tag, number) = match refusal {
                    Refusal::TooOld => (0, 0),
                    Refusal::TooManyWatches => (1, 0),
                    Refusal::NoStream => (2, 0),
                    Refusal::Conflict => (3, 0),
                    Refusal::Unknown => (4, 0),
                    Refusal::MayStillLand => (5, 0),
                    Refusal::TooLarge(bytes) => (6, *bytes),
                    Refusal::ReadOnly => (7, 0),
                    Refusal::Full => (8, 0),
                    Refusal::Malformed => (9, 0),
                };
                out.put_u8(tag);
                size(&mut out, number);
            }
        }
        out.freeze()
    }
}

// ---- Reading ----

/// What is left to be read.
struct Rest(Bytes);

impl Rest {
    fn number(&mut self) -> Result<u64, Malformed> {
        self.0.try_get_u64().map_err(|_| Malformed)
    }

    fn size(&mut self) -> Result<usize, Malformed> {
        usize::try_from(self.number()?).map_err(|_| Malformed)
    }

    fn tag(&mut self) -> Result<u8, Malformed> {
        self.0.try_get_u8().map_err(|_| Malformed)
    }

    fn flag(&mut self) -> Result<bool, Malformed> {
        match self.tag()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Malformed),
        }
    }

    fn length(&mut self) -> Result<usize, Malformed> {
        let length = self.0.try_get_u32().map_err(|_| Malformed)?;
        usize::try_from(length).map_err(|_| Malformed)
    }

    fn octets(&mut self) -> Result<Bytes, Malformed> {
        let length = self.length()?;
        if length > self.0.len() {
            return Err(Malformed);
        }
        Ok(self.0.split_to(length))
    }

    fn many<T>(
        &mut self,
        each: impl Fn(&mut Self) -> Result<T, Malformed>,
    ) -> Result<Vec<T>, Malformed> {
        let count = self.length()?;
        (0..count).map(|_| each(self)).collect()
    }

    fn range(&mut self) -> Result<KeyRange, Malformed> {
        Ok(KeyRange {
            begin: self.octets()?,
            end: self.octets()?,
        })
    }

    fn operation(&mut self) -> Result<Operation, Malformed> {
        let tag = self.tag()?;
        let (one, two, three) = (self.octets()?, self.octets()?, self.octets()?);
        Ok(match tag {
            0 => Operation::ClearRange(KeyRange {
                begin: one,
                end: two,
            }),
            1 => Operation::Clear(one),
            2 => Operation::Set(one, two),
            3 => Operation::StampedValue(one, two, three),
            4 => Operation::StampedKey(one, two, three),
            _ => return Err(Malformed),
        })
    }

    fn end<T>(self, whole: T) -> Result<T, Malformed> {
        if self.0.is_empty() {
            Ok(whole)
        } else {
            Err(Malformed)
        }
    }
}

impl Ask {
    pub(super) fn read(octets: Bytes) -> Result<Self, Malformed> {
        let mut rest = Rest(octets);
        let ask = match rest.tag()? {
            0 => Self::ReadVersion,
            1 => Self::Get(Version(rest.number()?), rest.octets()?),
            2 => Self::Range(
                Version(rest.number()?),
                rest.range()?,
                Limit {
                    rows: rest.size()?,
                    bytes: rest.size()?,
                },
                if rest.flag()? {
                    Order::Reverse
                } else {
                    Order::Forward
                },
            ),
            3 => {
                let (is_read, version) = (rest.flag()?, Version(rest.number()?));
                let reads = Footprint {
                    keys: rest.many(Rest::octets)?,
                    ranges: rest.many(Rest::range)?,
                };
                Self::Commit(
                    is_read.then_some(version),
                    reads,
                    rest.many(Rest::operation)?,
                )
            }
            4 => Self::Watch(rest.number()?, rest.number()?, rest.octets()?),
            5 => Self::Unwatch(rest.number()?, rest.number()?),
            _ => return Err(Malformed),
        };
        rest.end(ask)
    }
}

impl Answer {
    pub(super) fn read(octets: Bytes) -> Result<Self, Malformed> {
        let mut rest = Rest(octets);
        let answer = match rest.tag()? {
            0 => Self::Version(Version(rest.number()?)),
            1 => Self::Value(None),
            2 => Self::Value(Some(rest.octets()?)),
            3 => Self::Page(Page {
                more: rest.flag()?,
                rows: rest.many(|rest| {
                    Ok(Row {
                        key: rest.octets()?,
                        value: rest.octets()?,
                    })
                })?,
            }),
            4 => Self::Committed(Committed {
                version: Version(rest.number()?),
                stamp: match rest.octets()?.as_ref() {
                    [] => None,
                    stamp => Some(Versionstamp(stamp.try_into().map_err(|_| Malformed)?)),
                },
            }),
            5 => Self::Done,
            6 => Self::Refused(rest.refusal()?),
            _ => return Err(Malformed),
        };
        rest.end(answer)
    }
}

impl Rest {
    fn refusal(&mut self) -> Result<Refusal, Malformed> {
        let (tag, number) = (self.tag()?, self.size()?);
        Ok(match tag {
            0 => Refusal::TooOld,
            1 => Refusal::TooManyWatches,
            2 => Refusal::NoStream,
            3 => Refusal::Conflict,
            4 => Refusal::Unknown,
            5 => Refusal::MayStillLand,
            6 => Refusal::TooLarge(number),
            7 => Refusal::ReadOnly,
            8 => Refusal::Full,
            9 => Refusal::Malformed,
            _ => return Err(Malformed),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn octets() -> impl Strategy<Value = Bytes> {
        prop::collection::vec(any::<u8>(), 0..20).prop_map(Bytes::from)
    }

    fn range() -> impl Strategy<Value = KeyRange> {
        (octets(), octets()).prop_map(|(begin, end)| KeyRange { begin, end })
    }

    fn operation() -> impl Strategy<Value = Operation> {
        (0..5, octets(), octets(), octets()).prop_map(|(kind, one, two, three)| match kind {
            0 => Operation::ClearRange(KeyRange {
                begin: one,
                end: two,
            }),
            1 => Operation::Clear(one),
            2 => Operation::Set(one, two),
            3 => Operation::StampedValue(one, two, three),
            _ => Operation::StampedKey(one, two, three),
        })
    }

    fn ask() -> impl Strategy<Value = Ask> {
        let reads = (
            prop::collection::vec(octets(), 0..3),
            prop::collection::vec(range(), 0..3),
        );
        let reads = reads.prop_map(|(keys, ranges)| Footprint { keys, ranges });
        let operations = prop::collection::vec(operation(), 0..4);
        let version = any::<u64>().prop_map(Version);
        prop_oneof![
            Just(()).prop_map(|()| Ask::ReadVersion),
            (version.clone(), octets()).prop_map(|(version, key)| Ask::Get(version, key)),
            (version.clone(), range(), any::<[u32; 2]>(), any::<bool>()).prop_map(
                |(version, range, [rows, bytes], reverse)| {
                    let limit = Limit {
                        rows: rows as usize,
                        bytes: bytes as usize,
                    };
                    let order = [Order::Forward, Order::Reverse][usize::from(reverse)];
                    Ask::Range(version, range, limit, order)
                }
            ),
            (prop::option::of(version), reads, operations)
                .prop_map(|(version, reads, operations)| Ask::Commit(version, reads, operations)),
            (any::<[u64; 2]>(), octets())
                .prop_map(|([stream, number], key)| Ask::Watch(stream, number, key)),
            any::<[u64; 2]>().prop_map(|[stream, number]| Ask::Unwatch(stream, number)),
        ]
    }

    fn answer() -> impl Strategy<Value = Answer> {
        let row = (octets(), octets()).prop_map(|(key, value)| Row { key, value });
        let refusal = prop::sample::select(vec![
            Refusal::TooOld,
            Refusal::TooManyWatches,
            Refusal::NoStream,
            Refusal::Conflict,
            Refusal::Unknown,
            Refusal::MayStillLand,
            Refusal::TooLarge(7),
            Refusal::ReadOnly,
            Refusal::Full,
            Refusal::Malformed,
        ]);
        let version = any::<u64>().prop_map(Version);
        let stamp = prop::option::of(any::<[u8; Versionstamp::BYTES]>().prop_map(Versionstamp));
        prop_oneof![
            version.clone().prop_map(Answer::Version),
            prop::option::of(octets()).prop_map(Answer::Value),
            (prop::collection::vec(row, 0..4), any::<bool>())
                .prop_map(|(rows, more)| Answer::Page(Page { rows, more })),
            (version, stamp)
                .prop_map(|(version, stamp)| Answer::Committed(Committed { version, stamp })),
            Just(()).prop_map(|()| Answer::Done),
            refusal.prop_map(Answer::Refused),
        ]
    }

    proptest! {
        #[test]
        fn what_is_asked_is_read_as_it_was_written_and_not_in_part(ask in ask(), cut in any::<prop::sample::Index>()) {
            let octets = ask.write();
            let read = Ask::read(octets.clone()).unwrap();
            prop_assert_eq!(format!("{read:?}"), format!("{ask:?}"));
            let part = octets.slice(..cut.index(octets.len()));
            prop_assert!(Ask::read(part).is_err());
        }

        #[test]
        fn what_is_answered_is_read_as_it_was_written_and_not_in_part(answer in answer(), cut in any::<prop::sample::Index>()) {
            let octets = answer.write();
            let read = Answer::read(octets.clone()).unwrap();
            prop_assert_eq!(format!("{read:?}"), format!("{answer:?}"));
            let part = octets.slice(..cut.index(octets.len()));
            prop_assert!(Answer::read(part).is_err());
        }
    }
}
