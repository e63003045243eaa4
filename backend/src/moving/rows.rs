//! Rows of a store as a stream of octets: what an archive keeps of an account besides its containers.
//!
//! ```text
//!  "MESHROWS" ‖ format ‖ { key length ‖ value length ‖ key ‖ value }* ‖ ff ff ff ff ‖ number of rows ‖ SHA-512
//! ```
//!
//! Lengths have four octets and the number has eight, big-endian; the digest is that of everything before it. Nothing
//! of a stream is used before its digest was found to be right.

use std::io::{self, Read, Write};

use bytes::Bytes;
use sha2::{Digest as _, Sha512};

use crate::store::Row;
use crate::store::limits::{KEY_BYTES_MAX, VALUE_BYTES_MAX};

const MAGIC: &[u8; 8] = b"MESHROWS";
const FORMAT: u8 = 1;
const END: u32 = u32::MAX;

/// A stream that is not one of rows, or not all of one.
#[derive(Debug, thiserror::Error)]
pub enum RowsError {
    /// It cannot be read or written.
    #[error("the rows cannot be read or written")]
    Io(#[from] io::Error),
    /// It begins otherwise.
    #[error("this is no stream of rows that this release reads")]
    Format,
    /// A key or value is longer than any may be.
    #[error("row {number} is longer than a row may be")]
    TooLong {
        /// Which one, from 0.
        number: u64,
    },
    /// Its rows are not those that were written.
    #[error("the rows are not those that were written: their number or digest differs")]
    Damaged,
}

/// Writes a stream.
pub struct RowsWriter<W> {
    out: W,
    digest: Sha512,
    count: u64,
}

impl<W: Write> RowsWriter<W> {
    /// Begins one.
    ///
    /// # Errors
    /// [`RowsError::Io`].
    pub fn begin(out: W) -> Result<Self, RowsError> {
        let mut writer = Self {
            out,
            digest: Sha512::new(),
            count: 0,
        };
        writer.put(MAGIC)?;
        writer.put(&[FORMAT])?;
        Ok(writer)
    }

    /// Adds a row.
    ///
    /// # Errors
    /// [`RowsError::Io`].
    pub fn row(&mut self, key: &[u8], value: &[u8]) -> Result<(), RowsError> {
        for part in [key, value] {
            let length = u32::try_from(part.len()).map_err(|_| self.too_long())?;
            self.put(&length.to_be_bytes())?;
        }
        self.put(key)?;
        self.put(value)?;
        self.count += 1;
        Ok(())
    }

    /// Ends it; gives back where it was written.
    ///
    /// # Errors
    /// [`RowsError::Io`].
    pub fn finish(mut self) -> Result<W, RowsError> {
        self.put(&END.to_be_bytes())?;
        let count = self.count.to_be_bytes();
        self.put(&count)?;
        let digest = self.digest.finalize();
        self.out.write_all(&digest)?;
        self.out.flush()?;
        Ok(self.out)
    }

    const fn too_long(&self) -> RowsError {
        RowsError::TooLong { number: self.count }
    }

    fn put(&mut self, octets: &[u8]) -> Result<(), RowsError> {
        self.digest.update(octets);
        Ok(self.out.write_all(octets)?)
    }
}

/// Reads a stream row by row. Its digest is known to be right only when it has ended: see [`check`].
pub struct RowsReader<R> {
    from: R,
    digest: Sha512,
    count: u64,
}

impl<R: Read> RowsReader<R> {
    /// Begins to read one.
    ///
    /// # Errors
    /// [`RowsError::Format`], [`RowsError::Io`].
    pub fn begin(from: R) -> Result<Self, RowsError> {
        let mut reader = Self {
            from,
            digest: Sha512::new(),
            count: 0,
        };
        let mut start = [0; 9];
        reader.take(&mut start)?;
        if start[..8] != *MAGIC || start[8] != FORMAT {
            return Err(RowsError::Format);
        }
        Ok(reader)
    }

    /// The next row; none at the end of a stream that is whole.
    ///
    /// # Errors
    /// [`RowsError`].
    pub fn next_row(&mut self) -> Result<Option<Row>, RowsError> {
        let key = self.length()?;
        if key == END {
            self.end()?;
            return Ok(None);
        }
        let value = self.length()?;
        let (key, value) = (key as usize, value as usize);
        if key > KEY_BYTES_MAX || value > VALUE_BYTES_MAX {
            return Err(RowsError::TooLong { number: self.count });
        }
        let row = Row {
            key: self.octets(key)?,
            value: self.octets(value)?,
        };
        self.count += 1;
        Ok(Some(row))
    }

    fn end(&mut self) -> Result<(), RowsError> {
        let mut count = [0; 8];
        self.take(&mut count)?;
        let expected = self.digest.clone().finalize();
        let mut digest = [0; 64];
        self.exactly(&mut digest)?;
        let is_whole = u64::from_be_bytes(count) == self.count && digest[..] == expected[..];
        let is_all = self.from.read(&mut [0])? == 0;
        if is_whole && is_all {
            Ok(())
        } else {
            Err(RowsError::Damaged)
        }
    }

    fn length(&mut self) -> Result<u32, RowsError> {
        let mut length = [0; 4];
        self.take(&mut length)?;
        Ok(u32::from_be_bytes(length))
    }

    fn octets(&mut self, length: usize) -> Result<Bytes, RowsError> {
        let mut octets = vec![0; length];
        self.take(&mut octets)?;
        Ok(octets.into())
    }

    fn take(&mut self, octets: &mut [u8]) -> Result<(), RowsError> {
        self.exactly(octets)?;
        self.digest.update(&*octets);
        Ok(())
    }

    fn exactly(&mut self, octets: &mut [u8]) -> Result<(), RowsError> {
        self.from
            .read_exact(octets)
            .map_err(|error| match error.kind() {
                io::ErrorKind::UnexpectedEof => RowsError::Damaged,
                _ => RowsError::Io(error),
            })
    }
}

/// Reads a stream to its end, and says how many rows it has.
///
/// # Errors
/// [`RowsError`]: none of its rows may be used.
pub fn check(from: impl Read) -> Result<u64, RowsError> {
    let mut reader = RowsReader::begin(from)?;
    while reader.next_row()?.is_some() {}
    Ok(reader.count)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(rows: &[(&[u8], &[u8])]) -> Vec<u8> {
        let mut writer = RowsWriter::begin(Vec::new()).unwrap();
        for (key, value) in rows {
            writer.row(key, value).unwrap();
        }
        writer.finish().unwrap()
    }

    #[test]
    fn rows_are_read_as_they_were_written() {
        let octets = stream(&[(b"a", b"1"), (b"b", b"")]);
        assert_eq!(check(octets.as_slice()).unwrap(), 2);
        let mut reader = RowsReader::begin(octets.as_slice()).unwrap();
        let first = reader.next_row().unwrap().unwrap();
        assert_eq!((&first.key[..], &first.value[..]), (&b"a"[..], &b"1"[..]));
        assert!(reader.next_row().unwrap().unwrap().value.is_empty());
        assert!(reader.next_row().unwrap().is_none());
        assert_eq!(check(stream(&[]).as_slice()).unwrap(), 0);
    }

    #[test]
    fn no_octet_can_be_changed_left_out_or_added() {
        let octets = stream(&[(b"key", b"value")]);
        for place in 0..octets.len() {
            let mut changed = octets.clone();
            changed[place] ^= 1;
            assert!(check(changed.as_slice()).is_err(), "octet {place}");
            assert!(check(&octets[..place]).is_err(), "cut at {place}");
        }
        assert!(check([octets.as_slice(), b"x"].concat().as_slice()).is_err());
    }

    #[test]
    fn a_length_that_cannot_be_is_refused_before_memory_is_taken() {
        let mut octets = stream(&[(b"key", b"value")]);
        octets[13..17].copy_from_slice(&0x7fff_ffff_u32.to_be_bytes());
        let refused = check(octets.as_slice());
        assert!(matches!(refused, Err(RowsError::TooLong { number: 0 })));
    }
}
