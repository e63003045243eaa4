//! One frame of a container file: its length stands at both ends, so a file can be read forwards
//! and backwards (containers §2; JSON-BCD draft, "JBCD Frames and Records").
//!
//! ```text
//!  F5 01 63 | F0 8D header | F0 00 payload | F0 D0 trailer | 63 01 F5
//!  tag        records, each with a tag of its own            the tag reversed
//! ```
//!
//! Nothing here trusts a length: all of them are compared with the octets that are there, and a
//! body above [`FRAME_BODY_BYTES_MAX`] is refused before anything waits for it.

mod stream;

use std::iter::FusedIterator;

pub use self::stream::FrameReader;
use crate::limits::FRAME_BODY_BYTES_MAX;

/// The code of a record with a length of one octet; the next three have 2, 4 and 8.
const RECORD_CODE: u8 = 0xf0;
/// The code of a frame with a length of one octet; the next three have 2, 4 and 8.
const FRAME_CODE: u8 = 0xf4;
/// Records of a frame: header, payload, trailer.
const RECORDS_MAX: usize = 3;

/// What a tag begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TagKind {
    /// A record: one part of a frame.
    Record,
    /// A frame.
    Frame,
}

/// Octets that are no frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The octets end before the frame that starts at `position` does: a torn write, or a length
    /// that is not true.
    #[error("the octets end inside the frame at octet {position}")]
    Torn {
        /// Where the frame starts.
        position: u64,
    },
    /// A code that does not begin what has to stand here, reserved codes included.
    #[error("code {code:#04x} at octet {position} begins no {}", match expected {
        TagKind::Record => "record",
        TagKind::Frame => "frame",
    })]
    Code {
        /// The code.
        code: u8,
        /// Where it stands.
        position: u64,
        /// What has to stand here.
        expected: TagKind,
    },
    /// The body is longer than [`FRAME_BODY_BYTES_MAX`].
    #[error("the frame at octet {position} claims {length} octets")]
    TooLong {
        /// Where the frame starts.
        position: u64,
        /// Octets its tag claims.
        length: u64,
    },
    /// The records do not fill the body exactly, or there are more than three.
    #[error("the records of the frame at octet {position} do not fill it exactly")]
    Records {
        /// Where the frame starts.
        position: u64,
    },
    /// What stands behind the body is not the reversed tag.
    #[error("the frame at octet {position} does not end in its own tag")]
    Tail {
        /// Where the frame starts; where it ends, if it was read backwards.
        position: u64,
    },
}

/// One frame, borrowed from the octets it was read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    /// Offset of its first octet in the file.
    pub start: u64,
    /// Offset of the octet behind its last one.
    pub end: u64,
    records: [&'a [u8]; RECORDS_MAX],
    count: usize,
}

impl<'a> Frame<'a> {
    /// The records that are there, none to three; [`Frame::header`] and the others read a missing
    /// one as an empty one (containers §2.2).
    #[must_use]
    pub fn records(&self) -> &[&'a [u8]] {
        &self.records[..self.count]
    }

    /// The first record.
    #[must_use]
    pub const fn header(&self) -> &'a [u8] {
        self.records[0]
    }

    /// The second record.
    #[must_use]
    pub const fn payload(&self) -> &'a [u8] {
        self.records[1]
    }

    /// The third record.
    #[must_use]
    pub const fn trailer(&self) -> &'a [u8] {
        self.records[2]
    }

    /// Reads the frame that starts at `start`; none at the end of the octets.
    ///
    /// # Errors
    /// [`FrameError`] for whatever containers §2.3 has a reader check.
    pub fn read(octets: &'a [u8], start: usize) -> Result<Option<Self>, FrameError> {
        if start >= octets.len() {
            return Ok(None);
        }
        let position = start as u64;
        let torn = FrameError::Torn { position };
        let tag = Tag::read(&octets[start..], TagKind::Frame, position)?.ok_or(torn)?;
        if tag.length > FRAME_BODY_BYTES_MAX {
            return Err(FrameError::TooLong {
                position,
                length: tag.length,
            });
        }
        let body_start = start + tag.width;
        let whole = usize::try_from(tag.length)
            .ok()
            .and_then(|length| body_start.checked_add(length))
            .and_then(|body_end| octets.get(body_start..body_end))
            .map(|body| (body, body_start + body.len()));
        let (body, body_end) = whole.ok_or(torn)?;
        let tail = octets.get(body_end..body_end + tag.width).ok_or(torn)?;
        if !tail.iter().rev().eq(&octets[start..body_start]) {
            return Err(FrameError::Tail { position });
        }
        let (records, count) = read_records(body, position, tag.width)?;
        Ok(Some(Self {
            start: position,
            end: (body_end + tag.width) as u64,
            records,
            count,
        }))
    }

    /// Reads the frame that ends at `end`; none at the start of the octets.
    ///
    /// # Errors
    /// [`FrameError`] for whatever containers §2.3 has a reader check.
    pub fn read_back(octets: &'a [u8], end: usize) -> Result<Option<Self>, FrameError> {
        let end = end.min(octets.len());
        if end == 0 {
            return Ok(None);
        }
        let position = end as u64;
        let mut reversed = [0_u8; Tag::WIDTH_MAX];
        for (to, from) in reversed.iter_mut().zip(octets[..end].iter().rev()) {
            *to = *from;
        }
        let there = &reversed[..end.min(Tag::WIDTH_MAX)];
        let misfit = FrameError::Tail { position };
        let tag = Tag::read(there, TagKind::Frame, position - 1)?.ok_or(misfit)?;
        let start = usize::try_from(tag.length)
            .ok()
            .and_then(|length| length.checked_add(2 * tag.width))
            .and_then(|whole| end.checked_sub(whole))
            .ok_or(misfit)?;
        match Self::read(&octets[..end], start)? {
            Some(frame) if frame.end == position => Ok(Some(frame)),
            _ => Err(misfit),
        }
    }

    /// The same frame, counted from an octet that is `base` octets further back.
    const fn shifted(self, base: u64) -> Self {
        Self {
            start: self.start + base,
            end: self.end + base,
            ..self
        }
    }
}

impl FrameError {
    /// The same error, counted from an octet that is `base` octets further back.
    fn shifted(mut self, base: u64) -> Self {
        match &mut self {
            Self::Torn { position }
            | Self::Code { position, .. }
            | Self::TooLong { position, .. }
            | Self::Records { position }
            | Self::Tail { position } => *position += base,
        }
        self
    }
}

/// A code and the length behind it.
struct Tag {
    length: u64,
    /// Octets of the tag itself: 2, 3, 5 or 9.
    width: usize,
}

impl Tag {
    const WIDTH_MAX: usize = 9;

    /// Reads the tag at the start of `octets`, in any width (containers D1); none if they are too
    /// few. Errors name `position`, the place of the code.
    fn read(octets: &[u8], expected: TagKind, position: u64) -> Result<Option<Self>, FrameError> {
        let Some((&code, rest)) = octets.split_first() else {
            return Ok(None);
        };
        let base = match expected {
            TagKind::Record => RECORD_CODE,
            TagKind::Frame => FRAME_CODE,
        };
        let step = code.wrapping_sub(base);
        if step > 3 {
            return Err(FrameError::Code {
                code,
                position,
                expected,
            });
        }
        let length_bytes = 1_usize << step;
        Ok(rest.get(..length_bytes).map(|length| Self {
            length: length
                .iter()
                .fold(0, |value, octet| value << 8 | u64::from(*octet)),
            width: 1 + length_bytes,
        }))
    }
}

/// Writes the shortest tag for `length` octets (containers §2.1).
pub fn write_tag(kind: TagKind, length: u64, out: &mut Vec<u8>) {
    let (step, length_bytes) = match length {
        0..=0xff => (0, 1),
        0x100..=0xffff => (1, 2),
        0x1_0000..=0xffff_ffff => (2, 4),
        _ => (3, 8),
    };
    let base = match kind {
        TagKind::Record => RECORD_CODE,
        TagKind::Frame => FRAME_CODE,
    };
    out.push(base + step);
    out.extend_from_slice(&length.to_be_bytes()[8 - length_bytes..]);
}

/// Reads a tag at the start of `octets` and returns the length it gives and the octets it takes;
/// none if they are too few.
///
/// # Errors
/// [`FrameError::Code`] for a code of another kind, reserved ones included.
pub fn read_tag(kind: TagKind, octets: &[u8]) -> Result<Option<(u64, usize)>, FrameError> {
    Ok(Tag::read(octets, kind, 0)?.map(|tag| (tag.length, tag.width)))
}

/// Octets of the shortest tag for `length` octets.
const fn tag_width(length: u64) -> u64 {
    match length {
        0..=0xff => 2,
        0x100..=0xffff => 3,
        0x1_0000..=0xffff_ffff => 5,
        _ => 9,
    }
}

/// Writes a frame of `records`, at most three.
///
/// # Errors
/// [`FrameError::Records`] for more than three, [`FrameError::TooLong`] for a body that no reader
/// would accept. Nothing is written then.
pub fn write_frame(records: &[&[u8]], out: &mut Vec<u8>) -> Result<(), FrameError> {
    let position = out.len() as u64;
    if records.len() > RECORDS_MAX {
        return Err(FrameError::Records { position });
    }
    let length = records
        .iter()
        .map(|record| tag_width(record.len() as u64) + record.len() as u64)
        .sum();
    if length > FRAME_BODY_BYTES_MAX {
        return Err(FrameError::TooLong { position, length });
    }
    let start = out.len();
    write_tag(TagKind::Frame, length, out);
    let tail: Vec<u8> = out[start..].iter().rev().copied().collect();
    for record in records {
        write_tag(TagKind::Record, record.len() as u64, out);
        out.extend_from_slice(record);
    }
    out.extend_from_slice(&tail);
    Ok(())
}

/// The records of `body`, and how many there are. `position` is that of the frame, `width` that of
/// its tag.
fn read_records(
    body: &[u8],
    position: u64,
    width: usize,
) -> Result<([&[u8]; RECORDS_MAX], usize), FrameError> {
    let misfit = FrameError::Records { position };
    let mut records: [&[u8]; RECORDS_MAX] = [&[]; RECORDS_MAX];
    let mut count = 0;
    let mut rest = body;
    while !rest.is_empty() {
        let place = position + (width + body.len() - rest.len()) as u64;
        let tag = Tag::read(rest, TagKind::Record, place)?.ok_or(misfit)?;
        let length = usize::try_from(tag.length).map_err(|_| misfit)?;
        let (record, behind) = rest[tag.width..].split_at_checked(length).ok_or(misfit)?;
        *records.get_mut(count).ok_or(misfit)? = record;
        count += 1;
        rest = behind;
    }
    Ok((records, count))
}

/// The frames of `octets`, in order; from the back with [`Iterator::rev`]. Ends after an error.
#[must_use]
pub const fn frames(octets: &[u8]) -> Frames<'_> {
    Frames {
        octets,
        front: 0,
        back: octets.len(),
    }
}

/// Iterator of [`frames`].
#[derive(Debug, Clone)]
pub struct Frames<'a> {
    octets: &'a [u8],
    front: usize,
    back: usize,
}

impl<'a> Frames<'a> {
    /// Ends the iteration after an error.
    fn settle(
        &mut self,
        outcome: Result<Option<Frame<'a>>, FrameError>,
    ) -> Option<Result<Frame<'a>, FrameError>> {
        if outcome.is_err() {
            self.front = self.back;
        }
        outcome.transpose()
    }
}

impl<'a> Iterator for Frames<'a> {
    type Item = Result<Frame<'a>, FrameError>;

    fn next(&mut self) -> Option<Self::Item> {
        let outcome = Frame::read(&self.octets[..self.back], self.front);
        if let Ok(Some(frame)) = &outcome {
            self.front += (frame.end - frame.start) as usize;
        }
        self.settle(outcome)
    }
}

impl DoubleEndedIterator for Frames<'_> {
    fn next_back(&mut self) -> Option<Self::Item> {
        let base = self.front as u64;
        let outcome = Frame::read_back(&self.octets[self.front..self.back], self.back - self.front)
            .map(|frame| frame.map(|frame| frame.shifted(base)))
            .map_err(|error| error.shifted(base));
        if let Ok(Some(frame)) = &outcome {
            self.back -= (frame.end - frame.start) as usize;
        }
        self.settle(outcome)
    }
}

impl FusedIterator for Frames<'_> {}

/// What of a file is whole (containers §2.4, D3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recovered {
    /// Octets up to the end of the last whole frame; the rest is to be dropped.
    pub octets: u64,
    /// Whole frames behind the offset that recovery started from.
    pub frames: u64,
    /// Why the rest is no frame; none if there is no rest.
    pub damage: Option<FrameError>,
}

/// Finds the whole frames of a file after a torn write: from the start, or from an offset that is
/// known to be the end of a whole frame.
#[must_use]
pub fn recover(octets: &[u8], known_good: usize) -> Recovered {
    let mut recovered = Recovered {
        octets: known_good.min(octets.len()) as u64,
        frames: 0,
        damage: None,
    };
    let rest = Frames {
        octets,
        front: known_good.min(octets.len()),
        back: octets.len(),
    };
    for outcome in rest {
        match outcome {
            Ok(frame) => {
                recovered.octets = frame.end;
                recovered.frames += 1;
            }
            Err(error) => recovered.damage = Some(error),
        }
    }
    recovered
}

#[cfg(test)]
mod tests;
