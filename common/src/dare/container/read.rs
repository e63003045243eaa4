//! From frames to envelopes (containers §3). Files of before September 2019, which have the members
//! of ContainerInfo directly in the header, are brought into today's form.

use serde_json::Value;

use super::ContainerError;
use crate::dare::frame::{Frame, FrameReader, frames};
use crate::dare::{ContainerInfo, Envelope, Header, Trailer};
use crate::encoding::base64url::Binary;
use crate::encoding::json::{self, JsonError};

/// The members that once stood directly in the header.
const OLD_MEMBERS: [&str; 8] = [
    "DataEncoding",
    "Index",
    "ContainerType",
    "IsMeta",
    "Default",
    "TreePosition",
    "IndexPosition",
    "ExchangePosition",
];

/// An envelope and its place in the file.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredFrame {
    /// Position of the frame, counted from 0; not what the header claims.
    pub position: u64,
    /// Offset of its first octet.
    pub start: u64,
    /// Offset of the octet behind its last one.
    pub end: u64,
    /// What it holds, as in wire form.
    pub envelope: Envelope,
}

impl StoredFrame {
    /// Reads the frame that is the `position`th of its file.
    ///
    /// # Errors
    /// [`ContainerError::Unreadable`]: header or trailer are not JSON of their kind.
    pub fn read(position: u64, frame: &Frame<'_>) -> Result<Self, ContainerError> {
        let envelope = envelope_of(frame).map_err(|cause| ContainerError::Unreadable {
            frame: position,
            cause,
        })?;
        Ok(Self {
            position,
            start: frame.start,
            end: frame.end,
            envelope,
        })
    }
}

/// The envelope in a frame. A missing record and an empty one mean the same (containers D2).
fn envelope_of(frame: &Frame<'_>) -> Result<Envelope, JsonError> {
    let mut header = match frame.header() {
        [] => Header::default(),
        text => json::parse(text)?,
    };
    bring_up_to_date(&mut header)?;
    let trailer: Option<Trailer> = match frame.trailer() {
        [] => None,
        text => Some(json::parse(text)?),
    };
    Ok(Envelope {
        header,
        payload: Binary(frame.payload().to_vec()),
        trailer,
    })
}

/// Moves the members of old files to where they stand today (containers §3.2).
fn bring_up_to_date(header: &mut Header) -> Result<(), JsonError> {
    if header.container_info.is_some() || !header.extra.contains_key("Index") {
        return Ok(());
    }
    let mut info = serde_json::Map::new();
    for name in OLD_MEMBERS {
        if let Some(value) = header.extra.shift_remove(name) {
            info.insert(name.to_owned(), value);
        }
    }
    let info: ContainerInfo =
        serde_json::from_value(Value::Object(info)).map_err(|error| JsonError::Unreadable {
            reason: error.to_string(),
        })?;
    header.container_info = Some(info);
    Ok(())
}

/// Reads a file that is there as a whole.
///
/// # Errors
/// [`ContainerError::Frame`], [`ContainerError::Unreadable`]: the first thing that is wrong.
pub fn read_all(octets: &[u8]) -> Result<Vec<StoredFrame>, ContainerError> {
    (0..)
        .zip(frames(octets))
        .map(|(position, frame)| StoredFrame::read(position, &frame?))
        .collect()
}

/// Reads a file whose octets arrive in pieces.
#[derive(Debug, Default)]
pub struct ContainerReader {
    frames: FrameReader,
    position: u64,
}

impl ContainerReader {
    /// A reader at the start of a file.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next octets of the file.
    pub fn push(&mut self, octets: &[u8]) {
        self.frames.push(octets);
    }

    /// The next frame; none until more octets are pushed.
    ///
    /// # Errors
    /// [`ContainerError::Frame`]: no frame follows, and none will.
    /// [`ContainerError::Unreadable`]: this frame is lost, the next ones are not.
    pub fn next_frame(&mut self) -> Result<Option<StoredFrame>, ContainerError> {
        let Some(frame) = self.frames.next_frame()? else {
            return Ok(None);
        };
        let position = self.position;
        self.position += 1;
        StoredFrame::read(position, &frame).map(Some)
    }

    /// Says that there are no more octets.
    ///
    /// # Errors
    /// [`ContainerError::Frame`] if the file ends inside a frame.
    pub fn finish(&self) -> Result<(), ContainerError> {
        Ok(self.frames.finish()?)
    }
}
