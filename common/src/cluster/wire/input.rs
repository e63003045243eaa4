//! Octets that are being read, and why they cannot be.

use crate::limits::JSON_DEPTH_MAX;

/// Why octets are not what was expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// They end too early, or state a length that is not there.
    #[error("{missing} octets are missing")]
    Ended {
        /// How many more were needed.
        missing: usize,
    },
    /// They go on behind the value.
    #[error("{left} octets are left over")]
    LeftOver {
        /// How many.
        left: usize,
    },
    /// No variant has this number.
    #[error("{of} has no variant {number}")]
    Choice {
        /// The type.
        of: &'static str,
        /// The number.
        number: u8,
    },
    /// A number that is too large for its type, or written in more octets than it needs.
    #[error("a number is out of its range or written too long")]
    Number,
    /// A text that is not UTF-8.
    #[error("a text is not UTF-8")]
    Text,
    /// Values inside values, deeper than [`JSON_DEPTH_MAX`].
    #[error("nested deeper than {JSON_DEPTH_MAX} levels")]
    TooDeep,
    /// A text or number that is no value of its type.
    #[error("this is no {what}")]
    Value {
        /// What it was to be.
        what: &'static str,
    },
}

/// What is left to be read.
#[derive(Debug)]
pub struct Input<'a> {
    rest: &'a [u8],
    depth: usize,
}

impl<'a> Input<'a> {
    /// Begins with `octets`.
    #[must_use]
    pub const fn new(octets: &'a [u8]) -> Self {
        Self {
            rest: octets,
            depth: 0,
        }
    }

    /// Octets that are left.
    #[must_use]
    pub const fn left(&self) -> usize {
        self.rest.len()
    }

    /// The next `count` octets.
    ///
    /// # Errors
    /// [`WireError::Ended`].
    pub fn octets(&mut self, count: usize) -> Result<&'a [u8], WireError> {
        match self.rest.split_at_checked(count) {
            Some((taken, rest)) => {
                self.rest = rest;
                Ok(taken)
            }
            None => Err(WireError::Ended {
                missing: count - self.rest.len(),
            }),
        }
    }

    /// The next octet.
    ///
    /// # Errors
    /// [`WireError::Ended`].
    pub fn octet(&mut self) -> Result<u8, WireError> {
        Ok(self.octets(1)?[0])
    }

    /// A number: seven bits an octet, the lowest first, the eighth bit set on all but the last octet.
    ///
    /// # Errors
    /// [`WireError::Ended`], [`WireError::Number`].
    pub fn number(&mut self) -> Result<u64, WireError> {
        let mut number = 0;
        for shift in (0..u64::BITS).step_by(7) {
            let octet = self.octet()?;
            let bits = u64::from(octet & 0x7f);
            let is_last = octet < 0x80;
            let is_too_long = is_last && octet == 0 && shift > 0;
            if is_too_long || (bits << shift) >> shift != bits {
                return Err(WireError::Number);
            }
            number |= bits << shift;
            if is_last {
                return Ok(number);
            }
        }
        Err(WireError::Number)
    }

    /// A length: a number of things that take at least one octet each, and are still to come.
    ///
    /// # Errors
    /// [`WireError::Ended`] if they cannot be there; [`WireError::Number`].
    pub fn length(&mut self) -> Result<usize, WireError> {
        let length = usize::try_from(self.number()?).map_err(|_| WireError::Number)?;
        match length.checked_sub(self.left()) {
            Some(missing) if missing > 0 => Err(WireError::Ended { missing }),
            _ => Ok(length),
        }
    }

    /// Reads what is one level deeper.
    ///
    /// # Errors
    /// [`WireError::TooDeep`], and what `inside` says.
    pub fn deeper<T>(
        &mut self,
        inside: impl FnOnce(&mut Self) -> Result<T, WireError>,
    ) -> Result<T, WireError> {
        if self.depth == JSON_DEPTH_MAX {
            return Err(WireError::TooDeep);
        }
        self.depth += 1;
        let value = inside(self)?;
        self.depth -= 1;
        Ok(value)
    }

    /// Makes sure that nothing is left.
    ///
    /// # Errors
    /// [`WireError::LeftOver`].
    pub const fn end(&self) -> Result<(), WireError> {
        match self.rest.len() {
            0 => Ok(()),
            left => Err(WireError::LeftOver { left }),
        }
    }
}
