//! From envelopes to frames. Header and trailer are kept as they came; the index, the positions and
//! missing digests are made here, because they belong to this file (containers §1, §5).

use super::kind::ContainerType;
use super::offsets::Offsets;
use super::redact::claims_redaction;
use super::verify::Claims;
use super::{CONTENT_TYPE_CATALOG, ContainerError, StoredFrame};
use crate::dare::chain::ChainState;
use crate::dare::frame::{frames, write_frame};
use crate::dare::legacy;
use crate::dare::merkle::{Digest64, DigestStack, payload_digest};
use crate::dare::{ContainerInfo, ContentMeta, Envelope, Header, Trailer};
use crate::encoding::base64url::Binary;
use crate::encoding::json;

/// Frame 0 of a container (containers §3.5), without digests: who appends it adds those.
#[must_use]
pub fn frame_zero(container_type: ContainerType, content_type: &str) -> Envelope {
    let meta = ContentMeta {
        cty: Some(content_type.to_owned()),
        ..ContentMeta::default()
    };
    let info = ContainerInfo {
        data_encoding: Some("JSON".to_owned()),
        index: Some(0),
        container_type: Some(container_type.name().to_owned()),
        ..ContainerInfo::default()
    };
    Envelope {
        header: Header {
            container_info: Some(info),
            ..Header::default().with_content_meta(&meta)
        },
        ..Envelope::default()
    }
}

/// Where an envelope was written, and its canonical digests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Appended {
    /// Index of the frame.
    pub index: u64,
    /// Offset of its first octet in the file.
    pub start: u64,
    /// Its payload digest.
    pub payload_digest: Digest64,
    /// The canonical apex after it, also in containers that store none.
    pub tree_digest: Digest64,
}

/// Writes the frames of one file in order.
#[derive(Debug, Clone)]
pub struct ContainerWriter {
    container_type: ContainerType,
    tree: DigestStack,
    chain: ChainState,
    offsets: Offsets,
    /// Octets of the file so far.
    length: u64,
}

impl ContainerWriter {
    /// A writer of a new file. The first envelope appended has to be frame 0 of this type.
    #[must_use]
    pub fn new(container_type: ContainerType) -> Self {
        Self {
            container_type,
            tree: DigestStack::new(),
            chain: ChainState::new(),
            offsets: Offsets::default(),
            length: 0,
        }
    }

    /// A writer of a new store of an account, with its frame 0 written to `out`.
    ///
    /// # Errors
    /// As [`ContainerWriter::append`].
    pub fn create_store(out: &mut Vec<u8>) -> Result<Self, ContainerError> {
        let mut writer = Self::new(ContainerType::Merkle);
        writer.append(
            &frame_zero(ContainerType::Merkle, CONTENT_TYPE_CATALOG),
            out,
        )?;
        Ok(writer)
    }

    /// A writer that goes on behind the frames of an existing file. Their digests are recomputed,
    /// not believed; what damage they have stays theirs ([`super::verify()`] tells it).
    ///
    /// # Errors
    /// [`ContainerError`] if the file cannot be read to its end, or names no type.
    pub fn resume(octets: &[u8]) -> Result<Self, ContainerError> {
        let mut writer: Option<Self> = None;
        for (position, frame) in (0..).zip(frames(octets)) {
            let stored = StoredFrame::read(position, &frame?)?;
            let writer = match &mut writer {
                Some(writer) => writer,
                none => none.insert(Self::new(ContainerType::of_frame_zero(
                    &stored.envelope.header,
                )?)),
            };
            let digest = Claims::of(&stored.envelope).effective_digest(position);
            writer.advance(&digest, stored.end - stored.start);
        }
        writer.ok_or(ContainerError::Type { found: None })
    }

    /// Appends an envelope: its frame is added to `out`, which the caller may have emptied since the
    /// last call.
    ///
    /// An absent index is filled in; `TreePosition` becomes the offset in this file, and
    /// `IndexPosition` and `ExchangePosition`, which are offsets in another one, are left out. Digests
    /// that the container type asks for are added where they are missing and kept where they are,
    /// legacy ones included (containers D7).
    ///
    /// # Errors
    /// [`ContainerError::Type`]: frame 0 of another type. [`ContainerError::Index`],
    /// [`ContainerError::PayloadDigest`], [`ContainerError::History`]: the envelope belongs
    /// elsewhere. [`ContainerError::Frame`]: too large. Nothing is written then.
    pub fn append(
        &mut self,
        envelope: &Envelope,
        out: &mut Vec<u8>,
    ) -> Result<Appended, ContainerError> {
        let index = self.tree.count();
        self.check_place(index, &envelope.header)?;
        let claims = Claims::of(envelope);
        let digest = match claims.payload_digest() {
            Some(claimed) if claims_redaction(index, envelope) => claimed,
            claimed => {
                let digest = payload_digest(envelope.payload.as_slice());
                if claimed.is_some_and(|claimed| claimed != digest) {
                    return Err(ContainerError::PayloadDigest { frame: index });
                }
                digest
            }
        };
        let mut next = self.clone();
        let (tree_digest, position) = next.advance(&digest, 0);
        self.check_history(index, &digest, &claims, &next)?;

        let header = next.header(index, position, &envelope.header);
        let trailer = next.trailer(&digest, &tree_digest, envelope);
        let header = json::write(&header);
        let trailer = trailer.map(|trailer| json::write(&trailer));
        let records: Vec<&[u8]> = [header.as_slice(), envelope.payload.as_slice()]
            .into_iter()
            .chain(trailer.as_deref())
            .collect();
        let before = out.len();
        write_frame(&records, out)?;
        next.length += (out.len() - before) as u64;
        let start = self.length;
        *self = next;
        Ok(Appended {
            index,
            start,
            payload_digest: digest,
            tree_digest,
        })
    }

    /// Number of frames written; the index of the next one.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.tree.count()
    }

    /// Octets written.
    #[must_use]
    pub const fn length(&self) -> u64 {
        self.length
    }

    /// The canonical apex of what was written.
    #[must_use]
    pub fn apex(&self) -> Option<Digest64> {
        self.tree.apex()
    }

    /// Notes a frame of `length` octets; its tree digest and the offset of its previous apex.
    fn advance(&mut self, digest: &Digest64, length: u64) -> (Digest64, Option<u64>) {
        let position = self.offsets.append(self.tree.count(), self.length);
        if self.container_type == ContainerType::Chain {
            self.chain.append(digest);
        }
        self.length += length;
        (self.tree.append(digest), position)
    }

    fn check_place(&self, index: u64, header: &Header) -> Result<(), ContainerError> {
        if index == 0 {
            let found = ContainerType::of_frame_zero(header)?;
            if found != self.container_type {
                return Err(ContainerError::Type {
                    found: Some(found.name().to_owned()),
                });
            }
        }
        match header.index() {
            Some(claimed) if claimed != index => Err(ContainerError::Index {
                claimed,
                expected: index,
            }),
            _ => Ok(()),
        }
    }

    /// Compares the tree or chain digest that an envelope brings with ours.
    fn check_history(
        &self,
        index: u64,
        digest: &Digest64,
        claims: &Claims<'_>,
        next: &Self,
    ) -> Result<(), ContainerError> {
        let known = match self.container_type {
            ContainerType::Merkle => claims.tree_digest().is_none_or(|claimed| {
                next.tree.apex().is_some_and(|tree| claimed == tree)
                    || legacy::is_tree_digest(index, digest, claimed)
            }),
            ContainerType::Chain => claims.chain_digest().is_none_or(|claimed| {
                next.chain.last().is_some_and(|chain| claimed == chain)
                    || claimed == legacy::chain_digest(digest)
            }),
            _ => true,
        };
        known
            .then_some(())
            .ok_or(ContainerError::History { frame: index })
    }

    fn header(&self, index: u64, position: Option<u64>, header: &Header) -> Header {
        let mut header = header.clone();
        let info = header.container_info.get_or_insert_default();
        info.index = Some(index);
        info.tree_position = position.filter(|_| self.container_type.has_positions());
        info.index_position = None;
        info.exchange_position = None;
        header
    }

    /// The trailer with the digests that are missing; none if there is nothing to put into it.
    fn trailer(&self, digest: &Digest64, tree: &Digest64, envelope: &Envelope) -> Option<Trailer> {
        let claims = Claims::of(envelope);
        let mut trailer = envelope.trailer.clone();
        let kind = self.container_type;
        if kind.has_payload_digests() && envelope.payload_digest().is_none() {
            trailer.get_or_insert_default().payload_digest = Some(Binary(digest.to_vec()));
        }
        if kind == ContainerType::Merkle && claims.tree_digest().is_none() {
            trailer.get_or_insert_default().tree_digest = Some(Binary(tree.to_vec()));
        }
        if kind == ContainerType::Chain && claims.chain_digest().is_none() {
            trailer.get_or_insert_default().chain_digest =
                self.chain.last().map(|chain| Binary(chain.to_vec()));
        }
        trailer
    }
}

/// Writes envelopes in wire form as one file.
///
/// # Errors
/// As [`ContainerWriter::append`]; [`ContainerError::Type`] if there is no frame 0.
pub fn to_file<'a>(
    envelopes: impl IntoIterator<Item = &'a Envelope>,
) -> Result<Vec<u8>, ContainerError> {
    let mut octets = Vec::new();
    let mut writer: Option<ContainerWriter> = None;
    for envelope in envelopes {
        let writer = match &mut writer {
            Some(writer) => writer,
            none => none.insert(ContainerWriter::new(ContainerType::of_frame_zero(
                &envelope.header,
            )?)),
        };
        writer.append(envelope, &mut octets)?;
    }
    writer
        .map(|_| octets)
        .ok_or(ContainerError::Type { found: None })
}
