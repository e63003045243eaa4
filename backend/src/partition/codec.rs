//! Octets of stored values: fixed numbers in big-endian order, octets behind their length.
//!
//! Every value begins with a format octet, so that a later release can tell what it reads. Rows
//! that are rewritten with every batch are written this way; see `records` for what they hold.

/// A stored value that does not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RowError {
    /// It ends too early, or goes on behind its end.
    #[error("a stored {what} has the wrong length")]
    Length {
        /// Which row.
        what: &'static str,
    },
    /// It was written by a release with another format.
    #[error("a stored {what} has format {found}, this release reads {known}")]
    Format {
        /// Which row.
        what: &'static str,
        /// The format octet.
        found: u8,
        /// What this release reads.
        known: u8,
    },
    /// A field holds what it cannot hold.
    #[error("a stored {what} holds an impossible {field}")]
    Field {
        /// Which row.
        what: &'static str,
        /// Which field.
        field: &'static str,
    },
    /// The checksum of a payload does not match its octets.
    #[error("the payload of a stored frame has checksum {found:08x}, expected {expected:08x}")]
    Checksum {
        /// From the frame record.
        expected: u32,
        /// Of the octets found.
        found: u32,
    },
    /// A row that another row says exists is not there.
    #[error("a stored {what} is missing")]
    Missing {
        /// Which row.
        what: &'static str,
    },
}

/// Writes one value.
#[derive(Debug)]
pub(crate) struct Writer(Vec<u8>);

impl Writer {
    pub(crate) fn new(format: u8) -> Self {
        Self(vec![format])
    }

    pub(crate) fn u8(mut self, value: u8) -> Self {
        self.0.push(value);
        self
    }

    pub(crate) fn u16(mut self, value: u16) -> Self {
        self.0.extend_from_slice(&value.to_be_bytes());
        self
    }

    pub(crate) fn u32(mut self, value: u32) -> Self {
        self.0.extend_from_slice(&value.to_be_bytes());
        self
    }

    pub(crate) fn u64(mut self, value: u64) -> Self {
        self.0.extend_from_slice(&value.to_be_bytes());
        self
    }

    pub(crate) fn i64(mut self, value: i64) -> Self {
        self.0.extend_from_slice(&value.to_be_bytes());
        self
    }

    /// Octets of a length the reader knows.
    pub(crate) fn fixed(mut self, octets: &[u8]) -> Self {
        self.0.extend_from_slice(octets);
        self
    }

    /// Octets behind their length, at most 4 GiB.
    pub(crate) fn octets(self, octets: &[u8]) -> Self {
        let length = u32::try_from(octets.len()).expect("limits bound every field far below 4 GiB");
        self.u32(length).fixed(octets)
    }

    pub(crate) fn finish(self) -> Vec<u8> {
        self.0
    }
}

/// Reads one value.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    what: &'static str,
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Begins with a value that must have format `known`.
    pub(crate) fn new(what: &'static str, value: &'a [u8], known: u8) -> Result<Self, RowError> {
        let mut reader = Self { what, rest: value };
        match reader.u8()? {
            found if found == known => Ok(reader),
            found => Err(RowError::Format { what, found, known }),
        }
    }

    pub(crate) fn u8(&mut self) -> Result<u8, RowError> {
        Ok(self.array::<1>()?[0])
    }

    pub(crate) fn u16(&mut self) -> Result<u16, RowError> {
        self.array().map(u16::from_be_bytes)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, RowError> {
        self.array().map(u32::from_be_bytes)
    }

    pub(crate) fn u64(&mut self) -> Result<u64, RowError> {
        self.array().map(u64::from_be_bytes)
    }

    pub(crate) fn i64(&mut self) -> Result<i64, RowError> {
        self.array().map(i64::from_be_bytes)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], RowError> {
        let length = RowError::Length { what: self.what };
        let (octets, rest) = self.rest.split_at_checked(N).ok_or(length)?;
        self.rest = rest;
        octets.try_into().map_err(|_| length)
    }

    pub(crate) fn octets(&mut self) -> Result<&'a [u8], RowError> {
        let length = self.u32()? as usize;
        let (octets, rest) = self
            .rest
            .split_at_checked(length)
            .ok_or(RowError::Length { what: self.what })?;
        self.rest = rest;
        Ok(octets)
    }

    pub(crate) const fn impossible(&self, field: &'static str) -> RowError {
        RowError::Field {
            what: self.what,
            field,
        }
    }

    /// Everything must have been read.
    pub(crate) const fn finish(self) -> Result<(), RowError> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(RowError::Length { what: self.what })
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_written_is_read(
            number in any::<u64>(),
            signed in any::<i64>(),
            small in any::<u16>(),
            octets in proptest::collection::vec(any::<u8>(), 0..100),
        ) {
            let value = Writer::new(7).u64(number).i64(signed).u16(small).octets(&octets).finish();
            let mut reader = Reader::new("row", &value, 7).unwrap();
            prop_assert_eq!(reader.u64().unwrap(), number);
            prop_assert_eq!(reader.i64().unwrap(), signed);
            prop_assert_eq!(reader.u16().unwrap(), small);
            prop_assert_eq!(reader.octets().unwrap(), octets.as_slice());
            prop_assert!(reader.finish().is_ok());
        }
    }

    #[test]
    fn a_cut_a_longer_and_a_foreign_value_are_refused() {
        let value = Writer::new(1).u32(5).finish();
        let length = RowError::Length { what: "row" };
        let mut cut = Reader::new("row", &value[..3], 1).unwrap();
        assert_eq!(cut.u32(), Err(length));
        let mut longer = Reader::new("row", &value, 1).unwrap();
        assert_eq!(longer.u16(), Ok(0));
        assert_eq!(longer.finish(), Err(length));
        assert_eq!(
            Reader::new("row", &value, 2).unwrap_err(),
            RowError::Format {
                what: "row",
                found: 1,
                known: 2
            }
        );
        assert_eq!(Reader::new("row", &[], 1).unwrap_err(), length);
    }
}
