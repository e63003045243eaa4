//! The engine's journal, read before the engine reads it.
//!
//! fjall recovers a journal by cutting it at the first entry it cannot read. That is right for a batch
//! whose write was interrupted, and wrong for one that was acknowledged and then damaged: it and all
//! behind it would silently be gone. So we look first, without writing:
//!
//! - an unreadable batch with a whole batch behind it is damage, because a batch is only begun when
//!   the one before it is on disk: refused, naming the file and the place;
//! - an unreadable tail is cut, unless the last whole batch is older than what was acknowledged.
//!
//! The journal's form (fjall 3): entries `01 count:u32 seqno:u64` (start), `02 type compression
//! keyspace:u64 keylen:u16 vallen:u32 disklen:u32 key value` (item), `04 keyspace:u64` (clear),
//! `03 xxh3:u64 "FJL\x03"` (end), numbers little-endian, the checksum over the items between.

use std::fs::{File, OpenOptions};
use std::hash::Hasher;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::Xxh3;

use super::folder::io_error;
use super::{StoreError, Version, limits};

const START: u8 = 1;
const ITEM: u8 = 2;
const END: u8 = 3;
const CLEAR: u8 = 4;
const TRAILER: [u8; 4] = *b"FJL\x03";

/// Octets of the fixed part of an item behind its tag.
const ITEM_HEAD: usize = 20;

/// Largest item: a key and a value at their bounds.
const ITEM_BYTES_MAX: usize = limits::KEY_BYTES_MAX + limits::VALUE_BYTES_MAX;

/// Numbers the engine may take for its own purposes between two batches; far more than it ever does.
const SEQNO_STEP_MAX: u64 = 1 << 32;

/// Octets looked at in one step behind the end of a journal.
const STEP: usize = 1 << 20;

/// What the journals of an engine hold.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// The newest commit in them; nothing when all were moved into tables, or there are none.
    pub(super) newest: Option<Version>,
    /// The journal that was written last.
    pub(super) active: Option<PathBuf>,
    /// The unfinished tails: file, and the length to which it is to be cut.
    tails: Vec<(PathBuf, u64)>,
}

impl Found {
    /// Cuts the tails off. What is cut was never acknowledged.
    ///
    /// # Errors
    /// What the system says.
    pub(super) fn cut_tails(&self, folder: &Path) -> Result<(), StoreError> {
        for (path, length) in &self.tails {
            let attempt = |error| io_error(folder, "cut the unfinished end of its journal", error);
            let file = OpenOptions::new().write(true).open(path).map_err(attempt)?;
            file.set_len(*length)
                .and_then(|()| file.sync_all())
                .map_err(attempt)?;
            tracing::info!(file = %path.display(), length, "cut the unfinished end of the journal");
        }
        Ok(())
    }
}

/// Reads every journal in `engine`. `version_key` is the key under which each commit keeps its version.
///
/// # Errors
/// [`StoreError::Corrupt`], naming the journal, when something that was acknowledged is damaged.
pub(super) fn inspect(
    folder: &Path,
    engine: &Path,
    version_key: &[u8],
) -> Result<Found, StoreError> {
    let attempt = |error| io_error(folder, "read its journal", error);
    let mut found = Found::default();
    let mut last_seqno = None;
    let journals = journals(engine).map_err(attempt)?;
    for (place, (_, path)) in journals.iter().enumerate() {
        let file = File::open(path).map_err(attempt)?;
        let length = file.metadata().map_err(attempt)?.len();
        let mut reader = Reader {
            file: BufReader::with_capacity(1 << 16, file),
            version_key,
            last_seqno,
        };
        let damaged = |at: u64| StoreError::Corrupt {
            file: path.clone(),
            detail: format!("the commit at octet {at} is unreadable, and whole ones follow it"),
        };
        let mut end = 0;
        while let Some(batch) = reader.batch(end).map_err(attempt)? {
            end = batch.end;
            reader.last_seqno = Some(batch.seqno);
            found.newest = batch.version.or(found.newest);
        }
        let tail = reader.tail(end, length).map_err(attempt)?;
        // Only the journal written last can end in a batch that was interrupted.
        let is_last = place + 1 == journals.len();
        if tail == Tail::HasBatch || (tail == Tail::Unfinished && !is_last) {
            return Err(damaged(end));
        }
        last_seqno = reader.last_seqno;
        if tail == Tail::Unfinished {
            found.tails.push((path.clone(), end));
        }
        found.active = Some(path.clone());
    }
    Ok(found)
}

/// The journals, oldest first.
fn journals(engine: &Path) -> std::io::Result<Vec<(u64, PathBuf)>> {
    let mut journals = Vec::new();
    if engine.try_exists()? {
        for entry in std::fs::read_dir(engine)? {
            let path = entry?.path();
            let is_journal = path.extension().is_some_and(|extension| extension == "jnl");
            let number = path
                .file_stem()
                .and_then(|stem| stem.to_str()?.parse().ok());
            if let (true, Some(number)) = (is_journal, number) {
                journals.push((number, path));
            }
        }
    }
    journals.sort();
    Ok(journals)
}

/// What lies behind the last whole batch.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Tail {
    /// Nothing, or the zeros of space taken in advance.
    Empty,
    /// Octets that are no whole batch.
    Unfinished,
    /// A whole batch, behind octets that are none.
    HasBatch,
}

struct Batch {
    seqno: u64,
    end: u64,
    version: Option<Version>,
}

struct Reader<'a> {
    file: BufReader<File>,
    version_key: &'a [u8],
    last_seqno: Option<u64>,
}

impl Reader<'_> {
    /// The batch that begins at `start`; nothing when there is no whole one.
    fn batch(&mut self, start: u64) -> std::io::Result<Option<Batch>> {
        self.file.seek(SeekFrom::Start(start))?;
        match self.read_batch(start) {
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Ok(None),
            other => other,
        }
    }

    fn read_batch(&mut self, start: u64) -> std::io::Result<Option<Batch>> {
        let head: [u8; 13] = self.octets()?;
        let count = number(&head[1..5]);
        let seqno = number(&head[5..13]);
        // Batches are numbered upwards; a number out of order is one that was damaged.
        let is_in_order = self
            .last_seqno
            .is_none_or(|last| seqno > last && seqno - last < SEQNO_STEP_MAX);
        if head[0] != START || !is_in_order {
            return Ok(None);
        }
        let mut end = start + head.len() as u64;
        let mut checksum = Xxh3::new();
        let mut version = None;
        for _ in 0..count {
            let [tag] = self.octets()?;
            checksum.update(&[tag]);
            end += match tag {
                CLEAR => {
                    let keyspace: [u8; 8] = self.octets()?;
                    checksum.update(&keyspace);
                    9
                }
                ITEM => match self.read_item(&mut checksum, &mut version)? {
                    Some(length) => 1 + length,
                    None => return Ok(None),
                },
                _ => return Ok(None),
            };
        }
        let tail: [u8; 13] = self.octets()?;
        end += tail.len() as u64;
        let is_whole =
            tail[0] == END && number(&tail[1..9]) == checksum.finish() && tail[9..] == TRAILER;
        Ok(is_whole.then_some(Batch {
            seqno,
            end,
            version,
        }))
    }

    /// The length of the item behind its tag; nothing when it cannot be one of ours.
    fn read_item(
        &mut self,
        checksum: &mut Xxh3,
        version: &mut Option<Version>,
    ) -> std::io::Result<Option<u64>> {
        let head: [u8; ITEM_HEAD] = self.octets()?;
        checksum.update(&head);
        let key_bytes = number(&head[10..12]) as usize;
        let (value_bytes, disk_bytes) = (number(&head[12..16]), number(&head[16..20]));
        // We write without compression, so the two lengths agree.
        if value_bytes != disk_bytes || head[1] != 0 || disk_bytes as usize > ITEM_BYTES_MAX {
            return Ok(None);
        }
        let mut body = vec![0; key_bytes + disk_bytes as usize];
        self.file.read_exact(&mut body)?;
        checksum.update(&body);
        let (key, value) = body.split_at(key_bytes);
        if key == self.version_key {
            *version = value
                .try_into()
                .ok()
                .map(|octets| Version(u64::from_be_bytes(octets)));
        }
        Ok(Some((ITEM_HEAD + body.len()) as u64))
    }

    /// What lies between `from` and the end of the file at `length`.
    fn tail(&mut self, from: u64, length: u64) -> std::io::Result<Tail> {
        // Whatever made the batch at `from` unreadable, those behind it count on their own.
        let in_order = self.last_seqno.take();
        let tail = self.look_behind(from, length);
        self.last_seqno = in_order;
        tail
    }

    fn look_behind(&mut self, from: u64, length: u64) -> std::io::Result<Tail> {
        let mut tail = Tail::Empty;
        let zeros = vec![0; STEP];
        let mut chunk = vec![0; STEP];
        let mut at = from;
        while at < length {
            let step = usize::try_from(length - at).unwrap_or(STEP).min(STEP);
            self.file.seek(SeekFrom::Start(at))?;
            self.file.read_exact(&mut chunk[..step])?;
            if chunk[..step] != zeros[..step] {
                tail = Tail::Unfinished;
                if self.holds_batch(at, &chunk[..step])? {
                    return Ok(Tail::HasBatch);
                }
            }
            at += step as u64;
        }
        Ok(tail)
    }

    /// Whether a whole batch begins in `chunk`, which lies at `at`.
    fn holds_batch(&mut self, at: u64, chunk: &[u8]) -> std::io::Result<bool> {
        let starts: Vec<u64> = chunk
            .windows(2)
            .enumerate()
            // Behind the tag follows the count; its upper octet is zero in any batch we write.
            .filter(|(place, pair)| {
                pair[0] == START && chunk.get(place + 4).is_none_or(|octet| *octet == 0)
            })
            .map(|(place, _)| at + place as u64)
            .collect();
        for start in starts {
            if self
                .batch(start)?
                .is_some_and(|batch| batch.version.is_some())
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn octets<const N: usize>(&mut self) -> std::io::Result<[u8; N]> {
        let mut octets = [0; N];
        self.file.read_exact(&mut octets)?;
        Ok(octets)
    }
}

fn number(octets: &[u8]) -> u64 {
    octets
        .iter()
        .rev()
        .fold(0, |number, octet| number << 8 | u64::from(*octet))
}
