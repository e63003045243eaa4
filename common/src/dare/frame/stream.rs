//! Frames from octets that arrive in pieces, such as a file that is read block by block.

use super::{Frame, FrameError};

/// Gives each frame as soon as all its octets are there, and keeps no more than one frame and one
/// piece.
#[derive(Debug, Default)]
pub struct FrameReader {
    /// Octets that arrived; those before `read` have been given out.
    pending: Vec<u8>,
    read: usize,
    /// Offset of `pending` in the file.
    base: u64,
}

impl FrameReader {
    /// A reader at the start of a file.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next octets of the file.
    pub fn push(&mut self, octets: &[u8]) {
        self.pending.drain(..self.read);
        self.base += self.read as u64;
        self.read = 0;
        self.pending.extend_from_slice(octets);
    }

    /// The next frame; none until more octets are pushed.
    ///
    /// # Errors
    /// [`FrameError`] for octets that are no frame, whatever follows; the reader stays there.
    pub fn next_frame(&mut self) -> Result<Option<Frame<'_>>, FrameError> {
        let frame = match Frame::read(&self.pending, self.read) {
            Ok(Some(frame)) => frame.shifted(self.base),
            Ok(None) | Err(FrameError::Torn { .. }) => return Ok(None),
            Err(error) => return Err(error.shifted(self.base)),
        };
        self.read += (frame.end - frame.start) as usize;
        Ok(Some(frame))
    }

    /// Says that there are no more octets.
    ///
    /// # Errors
    /// [`FrameError::Torn`] if the file ends inside a frame.
    pub const fn finish(&self) -> Result<(), FrameError> {
        if self.read == self.pending.len() {
            return Ok(());
        }
        Err(FrameError::Torn {
            position: self.position(),
        })
    }

    /// Offset in the file of the next frame.
    #[must_use]
    pub const fn position(&self) -> u64 {
        self.base + self.read as u64
    }
}
