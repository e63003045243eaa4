//! A container checked against its own claims: every index, position and digest is recomputed, and
//! every difference is named (containers §5, vectors `negative`).

use std::fmt;

use super::StoredFrame;
use super::kind::ContainerType;
use super::offsets::Offsets;
use super::redact::claims_redaction;
use crate::dare::chain::ChainState;
use crate::dare::frame::{FrameError, frames};
use crate::dare::legacy;
use crate::dare::merkle::{Digest64, DigestStack, payload_digest};
use crate::dare::{Envelope, Header};

/// What is wrong with a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DamageKind {
    /// Header or trailer are no JSON of their kind.
    Header,
    /// Frame 0 names no type that exists.
    ContainerType,
    /// The index is not the position of the frame.
    Index,
    /// `TreePosition` is not the offset of the previous apex.
    TreePosition,
    /// The payload digest is not that of the payload.
    PayloadDigest,
    /// The tree digest belongs to another history, or is missing.
    TreeDigest,
    /// The tree digest is one that the reference implementation writes: it protects nothing.
    TreeDigestLegacy,
    /// The chain digest belongs to another history, or is missing.
    ChainDigest,
    /// The chain digest is one that the reference implementation writes.
    ChainDigestLegacy,
}

impl DamageKind {
    /// The short name, as the test vectors have it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Header => "header",
            Self::ContainerType => "container-type",
            Self::Index => "index",
            Self::TreePosition => "tree-position",
            Self::PayloadDigest => "payload-digest",
            Self::TreeDigest => "tree-digest",
            Self::TreeDigestLegacy => "tree-digest-legacy",
            Self::ChainDigest => "chain-digest",
            Self::ChainDigestLegacy => "chain-digest-legacy",
        }
    }

    /// Whether it is what the reference implementation writes rather than damage (containers D7).
    #[must_use]
    pub const fn is_legacy(self) -> bool {
        matches!(self, Self::TreeDigestLegacy | Self::ChainDigestLegacy)
    }
}

impl fmt::Display for DamageKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// One thing that is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Damage {
    /// Position of the frame, from 0.
    pub frame: u64,
    /// What is wrong with it.
    pub kind: DamageKind,
}

/// What a container is, and everything that is wrong with it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Its type, if frame 0 names one.
    pub container_type: Option<ContainerType>,
    /// Whole frames.
    pub frames: u64,
    /// The canonical apex over their payloads; none without frames.
    pub apex: Option<Digest64>,
    /// Everything wrong with whole frames, by frame.
    pub damages: Vec<Damage>,
    /// Frames whose payload was redacted; their payload digest stands in its place
    /// (containers §10.2).
    pub redacted: Vec<u64>,
    /// Why the octets behind the last whole frame are no frame.
    pub format: Option<FrameError>,
}

impl Report {
    /// Whether nothing at all is wrong.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.format.is_none() && self.damages.is_empty() && self.frames > 0
    }

    /// Whether nothing is wrong but digests of the reference implementation (containers D7).
    #[must_use]
    pub fn is_sound_or_legacy(&self) -> bool {
        self.format.is_none()
            && self.frames > 0
            && self.damages.iter().all(|damage| damage.kind.is_legacy())
    }
}

/// Checks a file that is there as a whole.
#[must_use]
pub fn verify(octets: &[u8]) -> Report {
    let mut verifier = Verifier::new();
    for (position, frame) in (0..).zip(frames(octets)) {
        match frame {
            Ok(frame) => match StoredFrame::read(position, &frame) {
                Ok(stored) => verifier.frame(&stored.envelope, Some(stored.start)),
                Err(_) => verifier.unreadable(frame.payload(), Some(frame.start)),
            },
            Err(error) => verifier.broken(error),
        }
    }
    verifier.finish()
}

/// Checks frames in wire form, whose positions belong to the sender's file and say nothing here.
#[must_use]
pub fn verify_envelopes<'a>(envelopes: impl IntoIterator<Item = &'a Envelope>) -> Report {
    let mut verifier = Verifier::new();
    for envelope in envelopes {
        verifier.frame(envelope, None);
    }
    verifier.finish()
}

/// Checks frames one by one.
#[derive(Debug, Clone, Default)]
pub struct Verifier {
    tree: DigestStack,
    chain: ChainState,
    offsets: Offsets,
    report: Report,
}

impl Verifier {
    /// A verifier before frame 0.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Checks the next frame; `start` is its offset in a file, none in wire form.
    pub fn frame(&mut self, envelope: &Envelope, start: Option<u64>) {
        let index = self.tree.count();
        if index == 0 {
            self.container_type(&envelope.header);
        }
        self.place(index, &envelope.header, start);
        let claims = Claims::of(envelope);
        let digest = self.payload(index, envelope, &claims);
        let tree = self.tree.append(&digest);
        let kind = match self.report.container_type {
            Some(ContainerType::Merkle) => tree_damage(index, &digest, &tree, claims.tree_digest()),
            Some(ContainerType::Chain) => {
                let chain = self.chain.append(&digest);
                chain_damage(&digest, &chain, claims.chain_digest())
            }
            _ => None,
        };
        if let Some(kind) = kind {
            self.damage(index, kind);
        }
    }

    /// Notes a frame of which only the payload can be read.
    pub fn unreadable(&mut self, payload: &[u8], start: Option<u64>) {
        let index = self.tree.count();
        if let Some(start) = start {
            self.offsets.append(index, start);
        }
        self.damage(index, DamageKind::Header);
        let digest = payload_digest(payload);
        self.tree.append(&digest);
        self.chain.append(&digest);
    }

    /// Notes that what follows the frames so far is no frame.
    pub const fn broken(&mut self, error: FrameError) {
        self.report.format = Some(error);
    }

    /// The report over all frames so far.
    #[must_use]
    pub fn finish(self) -> Report {
        Report {
            frames: self.tree.count(),
            apex: self.tree.apex(),
            ..self.report
        }
    }

    fn damage(&mut self, frame: u64, kind: DamageKind) {
        self.report.damages.push(Damage { frame, kind });
    }

    fn container_type(&mut self, header: &Header) {
        match ContainerType::of_frame_zero(header) {
            Ok(found) => self.report.container_type = Some(found),
            Err(_) => self.damage(0, DamageKind::ContainerType),
        }
    }

    fn place(&mut self, index: u64, header: &Header, start: Option<u64>) {
        if header.index() != Some(index) {
            self.damage(index, DamageKind::Index);
        }
        let Some(start) = start else { return };
        let expected = self.offsets.append(index, start);
        let claimed = header
            .container_info
            .as_ref()
            .and_then(|info| info.tree_position);
        if claimed.is_some_and(|claimed| claimed != expected.unwrap_or(0)) {
            self.damage(index, DamageKind::TreePosition);
        }
    }

    /// The payload digest that goes into the tree: the claimed one of a redacted frame, else ours.
    fn payload(&mut self, index: u64, envelope: &Envelope, claims: &Claims<'_>) -> Digest64 {
        if claims_redaction(index, envelope) {
            self.report.redacted.push(index);
        }
        let digest = claims.effective_digest(index);
        let claimed = claims.payload_digest();
        if claimed.is_some_and(|claimed| claimed != digest) || claims.has_odd_payload_digest() {
            self.damage(index, DamageKind::PayloadDigest);
        }
        digest
    }
}

fn tree_damage(
    index: u64,
    digest: &Digest64,
    tree: &Digest64,
    claimed: Option<&[u8]>,
) -> Option<DamageKind> {
    match claimed {
        Some(claimed) if claimed == tree => None,
        Some(claimed) if legacy::is_tree_digest(index, digest, claimed) => {
            Some(DamageKind::TreeDigestLegacy)
        }
        _ => Some(DamageKind::TreeDigest),
    }
}

fn chain_damage(digest: &Digest64, chain: &Digest64, claimed: Option<&[u8]>) -> Option<DamageKind> {
    match claimed {
        Some(claimed) if claimed == chain => None,
        Some(claimed) if claimed == legacy::chain_digest(digest) => {
            Some(DamageKind::ChainDigestLegacy)
        }
        _ => Some(DamageKind::ChainDigest),
    }
}

/// The digests an envelope claims: those of the trailer, else those of the header
/// (dare-07 §5.2.2, containers §3.1).
pub(super) struct Claims<'a> {
    envelope: &'a Envelope,
}

impl<'a> Claims<'a> {
    pub(super) const fn of(envelope: &'a Envelope) -> Self {
        Self { envelope }
    }

    /// Whether the payload digest is one of SHA-512. Under another algorithm it belongs to the
    /// signatures alone (containers D10).
    fn is_sha512(&self) -> bool {
        let named = self.envelope.header.dig.as_deref();
        matches!(named, None | Some("S512" | "SHA2" | "SHA512"))
    }

    /// The claimed payload digest, if it is one of SHA-512.
    pub(super) fn payload_digest(&self) -> Option<Digest64> {
        if !self.is_sha512() {
            return None;
        }
        self.envelope.payload_digest()?.as_slice().try_into().ok()
    }

    /// Whether it claims to be of SHA-512 and cannot be, by its length.
    fn has_odd_payload_digest(&self) -> bool {
        self.is_sha512()
            && self
                .envelope
                .payload_digest()
                .is_some_and(|claimed| claimed.as_slice().len() != size_of::<Digest64>())
    }

    /// The digest that stands for the payload in chain and tree.
    pub(super) fn effective_digest(&self, index: u64) -> Digest64 {
        match self.payload_digest() {
            Some(claimed) if claims_redaction(index, self.envelope) => claimed,
            _ => payload_digest(self.envelope.payload.as_slice()),
        }
    }

    pub(super) fn tree_digest(&self) -> Option<&'a [u8]> {
        self.envelope.tree_digest().map(AsRef::as_ref)
    }

    pub(super) fn chain_digest(&self) -> Option<&'a [u8]> {
        self.envelope
            .trailer
            .as_ref()
            .and_then(|trailer| trailer.chain_digest.as_ref())
            .or(self.envelope.header.chain_digest.as_ref())
            .map(AsRef::as_ref)
    }
}
