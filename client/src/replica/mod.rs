//! The local replica of one container: its frames in file form, the digests that prove them, and
//! which entries live. Frames that the service has come first, frames that wait for it behind.
//!
//! ```text
//!  containers/mmm_Contact.dare
//!   0 1 2 3 4 │ 5 6          the service has 5 frames; two changes made here wait
//!   ◀ synced ▶ ◀waiting▶
//! ```
//!
//! Loading recomputes every digest. A file that was torn by a crash is cut to its last whole
//! frame; a digest that does not match is never repaired, only told (containers §2.4, §5).

mod file;

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use mesh_common::catalog::{CatalogIndex, EventError};
use mesh_common::dare::container::{CONTENT_TYPE_CATALOG, ContainerType, frame_zero};
use mesh_common::dare::frame::{FrameError, Frames, frames, recover};
use mesh_common::dare::merkle::{EMPTY_PAYLOAD_DIGEST, frontier, payload_digest};
use mesh_common::dare::{ContainerInfo, ContainerName, Digest64, DigestStack, Envelope, Trailer};
use mesh_common::encoding::base64url::Binary;

use crate::home::{HomeError, make_private, private_options, write_whole};

/// A replica that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ReplicaError {
    /// The folder or the file cannot be used.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// Octets in the middle of the file are no frame; what follows may still be whole.
    #[error("the replica of {name} is damaged")]
    Damaged {
        /// The container.
        name: ContainerName,
        /// Where and how.
        #[source]
        source: FrameError,
    },
    /// Header or trailer of a frame is not what a frame has.
    #[error("frame {index} of {name} cannot be read")]
    Unreadable {
        /// The container.
        name: ContainerName,
        /// The frame.
        index: u64,
    },
    /// A frame says it is another one.
    #[error("frame {index} of {name} says it is frame {found}")]
    Index {
        /// The container.
        name: ContainerName,
        /// Where it stands.
        index: u64,
        /// What it says.
        found: u64,
    },
    /// The payload is not what its digest says.
    #[error("the payload of frame {index} of {name} does not match its digest")]
    Payload {
        /// The container.
        name: ContainerName,
        /// The frame.
        index: u64,
    },
    /// The frames up to here are not those the tree digest was taken over.
    #[error("the tree digest of frame {index} of {name} does not match the frames before it")]
    Tree {
        /// The container.
        name: ContainerName,
        /// The frame.
        index: u64,
    },
    /// The frame is no event of this catalog at this point.
    #[error("frame {index} does not fit into the catalog {name}")]
    Event {
        /// The container.
        name: ContainerName,
        /// The frame.
        index: u64,
        /// Why not.
        #[source]
        source: EventError,
    },
}

impl ReplicaError {
    /// What to do about it.
    #[must_use]
    pub fn advice(&self) -> String {
        match self {
            Self::Home(error) => error.advice(),
            Self::Event { .. } => "report this; the container was not changed".into(),
            Self::Damaged { name, .. }
            | Self::Unreadable { name, .. }
            | Self::Index { name, .. }
            | Self::Payload { name, .. }
            | Self::Tree { name, .. } => format!(
                "move {} out of the folder `containers` and run `mesh sync`, which brings it back \
                 from the service",
                name.file_name()
            ),
        }
    }
}

/// The replica of one container.
#[derive(Debug)]
pub struct Replica {
    name: ContainerName,
    path: PathBuf,
    frames: Vec<Envelope>,
    /// Offset of each frame in the file, and of the end.
    starts: Vec<u64>,
    end: u64,
    trees: Vec<Digest64>,
    stack: DigestStack,
    index: CatalogIndex,
}

impl Replica {
    /// A replica without frames; its file appears with the first.
    #[must_use]
    pub fn new(folder: &Path, name: ContainerName) -> Self {
        Self {
            path: folder.join(name.file_name()),
            name,
            frames: Vec::new(),
            starts: Vec::new(),
            end: 0,
            trees: Vec::new(),
            stack: DigestStack::new(),
            index: CatalogIndex::new(),
        }
    }

    /// Reads the replica of `name` in `folder`, cutting off what a crash left unfinished, and
    /// recomputes its digests. Without a file it has no frames.
    ///
    /// # Errors
    /// [`ReplicaError`]: its variants say when.
    pub fn load(folder: &Path, name: ContainerName) -> Result<Self, ReplicaError> {
        let mut replica = Self::new(folder, name);
        let octets = match fs::read(&replica.path) {
            Ok(octets) => octets,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(replica),
            Err(source) => return Err(HomeError::reading(&replica.path, source).into()),
        };
        let recovered = recover(&octets, 0);
        match recovered.damage {
            None => {}
            Some(FrameError::Torn { .. }) => {
                tracing::warn!(
                    container = %replica.name,
                    octets = octets.len() as u64 - recovered.octets,
                    "an unfinished write was cut off"
                );
                cut(&replica.path, recovered.octets)?;
            }
            Some(source) => {
                return Err(ReplicaError::Damaged {
                    name: replica.name,
                    source,
                });
            }
        }
        let whole = usize::try_from(recovered.octets).unwrap_or(octets.len());
        replica.take_in(frames(&octets[..whole]))?;
        Ok(replica)
    }

    fn take_in(&mut self, frames: Frames<'_>) -> Result<(), ReplicaError> {
        for frame in frames {
            let index = self.count();
            let frame = frame.map_err(|source| ReplicaError::Damaged {
                name: self.name.clone(),
                source,
            })?;
            let envelope = file::read(&frame).ok_or_else(|| ReplicaError::Unreadable {
                name: self.name.clone(),
                index,
            })?;
            let payload = check(&self.name, &self.stack, &envelope)?;
            self.starts.push(frame.start);
            self.end = frame.end;
            self.keep(envelope, &payload);
        }
        Ok(())
    }

    /// The container's name.
    #[must_use]
    pub const fn name(&self) -> &ContainerName {
        &self.name
    }

    /// Number of frames; the index of the next one.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.stack.count()
    }

    /// All frames, as they travel.
    #[must_use]
    pub fn frames(&self) -> &[Envelope] {
        &self.frames
    }

    /// The frame of index `index`.
    #[must_use]
    pub fn frame(&self, index: u64) -> Option<&Envelope> {
        self.frames.get(usize::try_from(index).ok()?)
    }

    /// Tree digest of the last frame.
    #[must_use]
    pub fn apex(&self) -> Option<Digest64> {
        self.stack.apex()
    }

    /// Tree digest of the last of the first `count` frames.
    #[must_use]
    pub fn apex_at(&self, count: u64) -> Option<Digest64> {
        let last = usize::try_from(count.checked_sub(1)?).ok()?;
        self.trees.get(last).copied()
    }

    /// Which entries live in which frames. Empty for spools.
    #[must_use]
    pub const fn index(&self) -> &CatalogIndex {
        &self.index
    }

    /// Octets of all payloads.
    #[must_use]
    pub fn payload_bytes(&self) -> u64 {
        self.frames
            .iter()
            .map(|frame| frame.payload.as_slice().len() as u64)
            .sum()
    }

    /// Tree digest of the last frame if `received` stood behind the first `count` frames; none if
    /// there were no frames at all.
    ///
    /// # Errors
    /// [`ReplicaError`]: an index or a digest among them that does not fit.
    pub fn apex_behind(
        &self,
        count: u64,
        received: &[Envelope],
    ) -> Result<Option<Digest64>, ReplicaError> {
        let mut stack = self.stack_at(count);
        for envelope in received {
            let payload = check(&self.name, &stack, envelope)?;
            stack.append(&payload);
        }
        Ok(stack.apex())
    }

    /// Which entries would live if `received` stood behind the first `count` frames, and the index
    /// of the next frame.
    #[must_use]
    pub fn index_behind(&self, count: u64, received: &[Envelope]) -> (CatalogIndex, u64) {
        let kept = usize::try_from(count).unwrap_or(usize::MAX);
        let mut index = CatalogIndex::new();
        let mut next = 0;
        for frame in self.frames.iter().take(kept).chain(received) {
            // A reader goes on behind a frame that makes no sense; `verify` reports it.
            let _ = index.replay(next, &frame.header);
            next += 1;
        }
        (index, next)
    }

    /// The digest state behind the first `count` frames, from the tree digests that are kept.
    fn stack_at(&self, count: u64) -> DigestStack {
        let kept: Vec<Digest64> = count
            .checked_sub(1)
            .map(|last| {
                frontier(last)
                    .filter_map(|index| self.apex_at(index + 1))
                    .collect()
            })
            .unwrap_or_default();
        let mut octets = count.to_be_bytes().to_vec();
        octets.extend(kept.iter().rev().flatten());
        DigestStack::from_octets(&octets).unwrap_or_else(|_| self.stack.clone())
    }

    /// Puts frames behind the last one, giving them their index and digests, and makes them
    /// durable. All of them are there afterwards, or none.
    ///
    /// # Errors
    /// [`ReplicaError::Event`] if one does not fit; [`ReplicaError::Home`].
    pub fn append(&mut self, envelopes: Vec<Envelope>) -> Result<(), ReplicaError> {
        let placed = self.place(envelopes);
        self.receive(placed)
    }

    /// Puts frames that the service sent behind the last one: they are checked, not changed.
    ///
    /// # Errors
    /// [`ReplicaError`]: an index, a digest or an event that does not fit, and
    /// [`ReplicaError::Home`]. Nothing has changed then.
    pub fn receive(&mut self, envelopes: Vec<Envelope>) -> Result<(), ReplicaError> {
        let before = self.mark();
        let outcome = self
            .add(envelopes)
            .and_then(|octets| Ok(extend(&self.path, before.end, &octets)?));
        if outcome.is_err() {
            self.back_to(before);
        }
        outcome
    }

    /// Replaces everything behind the first `keep` frames by `envelopes`, which get their index
    /// and digests. The file is replaced whole, so that a crash leaves the old one or the new one.
    ///
    /// # Errors
    /// As [`Self::receive`].
    pub fn replace_behind(
        &mut self,
        keep: u64,
        received: Vec<Envelope>,
        own: Vec<Envelope>,
    ) -> Result<(), ReplicaError> {
        let kept = usize::try_from(keep).unwrap_or(usize::MAX);
        let mut next = Self {
            name: self.name.clone(),
            path: self.path.clone(),
            ..Self::new(Path::new(""), self.name.clone())
        };
        let mut octets = next.add(self.frames.iter().take(kept).cloned().collect())?;
        octets.extend(next.add(received)?);
        let placed = next.place(own);
        octets.extend(next.add(placed)?);
        if let Some(folder) = self.path.parent() {
            make_private(folder)?;
        }
        write_whole(&self.path, &octets)?;
        *self = next;
        Ok(())
    }

    /// Frame 0 of every store of an account (containers §3.5, D5).
    #[must_use]
    pub fn frame_zero() -> Envelope {
        frame_zero(ContainerType::Merkle, CONTENT_TYPE_CATALOG)
    }

    /// Frames as they would stand behind the last one, and the tree digest of the last of them.
    ///
    /// # Errors
    /// [`ReplicaError`]: never, for frames that were just placed.
    pub(crate) fn placed(
        &self,
        envelopes: Vec<Envelope>,
    ) -> Result<(Vec<Envelope>, Option<Digest64>), ReplicaError> {
        let placed = self.place(envelopes);
        let apex = self.apex_behind(self.count(), &placed)?;
        Ok((placed, apex))
    }

    /// Gives frames the index and digests they have behind the last one.
    fn place(&self, envelopes: Vec<Envelope>) -> Vec<Envelope> {
        let mut stack = self.stack.clone();
        envelopes
            .into_iter()
            .map(|mut envelope| {
                let info = envelope
                    .header
                    .container_info
                    .get_or_insert_with(ContainerInfo::default);
                info.index = Some(stack.count());
                let payload = payload_digest(envelope.payload.as_slice());
                let tree = stack.append(&payload);
                let trailer = envelope.trailer.get_or_insert_with(Trailer::default);
                trailer.payload_digest = Some(Binary::from(payload));
                trailer.tree_digest = Some(Binary::from(tree));
                envelope
            })
            .collect()
    }

    /// Checks and keeps frames, and returns them in file form.
    fn add(&mut self, envelopes: Vec<Envelope>) -> Result<Vec<u8>, ReplicaError> {
        let mut octets = Vec::new();
        for envelope in envelopes {
            let index = self.count();
            let payload = check(&self.name, &self.stack, &envelope)?;
            let start = octets.len();
            file::write(&envelope, index, &self.starts, &mut octets).map_err(|source| {
                ReplicaError::Damaged {
                    name: self.name.clone(),
                    source,
                }
            })?;
            self.starts.push(self.end);
            self.end += (octets.len() - start) as u64;
            self.keep(envelope, &payload);
        }
        Ok(octets)
    }

    fn keep(&mut self, envelope: Envelope, payload: &Digest64) {
        let index = self.stack.count();
        let tree = self.stack.append(payload);
        self.trees.push(tree);
        if !self.name.is_spool()
            && let Err(error) = self.index.replay(index, &envelope.header)
        {
            // A reader goes on behind a frame that makes no sense; `verify` reports it.
            tracing::warn!(container = %self.name, index, %error, "a frame is no event");
        }
        self.frames.push(envelope);
    }

    fn mark(&self) -> Mark {
        Mark {
            count: self.frames.len(),
            end: self.end,
            stack: self.stack.clone(),
            index: self.index.clone(),
        }
    }

    fn back_to(&mut self, mark: Mark) {
        self.frames.truncate(mark.count);
        self.starts.truncate(mark.count);
        self.trees.truncate(mark.count);
        self.end = mark.end;
        self.stack = mark.stack;
        self.index = mark.index;
    }
}

/// Where a replica stood before a change.
struct Mark {
    count: usize,
    end: u64,
    stack: DigestStack,
    index: CatalogIndex,
}

/// Checks a frame against everything before it, and returns the digest of its payload.
fn check(
    name: &ContainerName,
    stack: &DigestStack,
    envelope: &Envelope,
) -> Result<Digest64, ReplicaError> {
    let index = stack.count();
    if let Some(found) = envelope.index().filter(|&found| found != index) {
        return Err(ReplicaError::Index {
            name: name.clone(),
            index,
            found,
        });
    }
    let payload = checked_payload_digest(envelope).ok_or_else(|| ReplicaError::Payload {
        name: name.clone(),
        index,
    })?;
    let tree = stack.would_be(&payload);
    let fits = envelope
        .tree_digest()
        .is_none_or(|claimed| claimed.as_slice() == tree);
    if fits {
        Ok(payload)
    } else {
        Err(ReplicaError::Tree {
            name: name.clone(),
            index,
        })
    }
}

/// The digest of the payload, if it is what the frame claims. A payload that was left out keeps the
/// digest it had (containers D28).
fn checked_payload_digest(envelope: &Envelope) -> Option<Digest64> {
    let claimed: Option<Digest64> = match envelope.payload_digest() {
        None => None,
        Some(digest) => Some(digest.as_slice().try_into().ok()?),
    };
    let found = payload_digest(envelope.payload.as_slice());
    match claimed {
        Some(claimed) if claimed == found => Some(found),
        Some(claimed) if found == EMPTY_PAYLOAD_DIGEST => Some(claimed),
        Some(_) => None,
        None => Some(found),
    }
}

/// Writes `octets` behind the first `end` octets of the file at `path`.
fn extend(path: &Path, end: u64, octets: &[u8]) -> Result<(), HomeError> {
    if octets.is_empty() {
        return Ok(());
    }
    if end == 0 {
        if let Some(folder) = path.parent() {
            make_private(folder)?;
        }
        return write_whole(path, octets);
    }
    let failed = |source| HomeError::writing(path, source);
    let mut file = private_options().append(true).open(path).map_err(failed)?;
    let outcome = file.write_all(octets).and_then(|()| file.sync_data());
    if outcome.is_err() {
        // What was half written must not stand before the next frame.
        let _ = file.set_len(end);
    }
    outcome.map_err(failed)
}

/// Makes the file at `path` end at `end`.
fn cut(path: &Path, end: u64) -> Result<(), HomeError> {
    OpenOptions::new()
        .write(true)
        .open(path)
        .and_then(|file: File| {
            file.set_len(end)?;
            file.sync_all()
        })
        .map_err(|source| HomeError::writing(path, source))
}

#[cfg(test)]
mod tests;
