//! What an envelope says of itself, checked against nothing but bounds and its own digest
//! (containers §8.4 steps 3 and 4, decisions ).

use super::verdict::Verdict;
use crate::account::frame::{FrameRecord, octets_of};
use crate::account::policy::AccountPolicy;
use crate::dare::merkle::{EMPTY_PAYLOAD_DIGEST, payload_digest};
use crate::dare::{ContainerInfo, ContainerKind, ContentMeta, Digest64, Envelope, Header, Trailer};
use crate::limits::FRAME_HEADER_BYTES_MAX;
use crate::protocol::Code;
use crate::time::Timestamp;

/// An envelope that is acceptable in itself.
#[derive(Debug)]
pub(in crate::account) struct Prepared<'a> {
    pub(in crate::account) envelope: &'a Envelope,
    pub(in crate::account) meta: ContentMeta,
    pub(in crate::account) payload_digest: Digest64,
    /// Whether only the digest was sent, to ask whether the payload would be welcome
    /// (containers D23).
    pub(in crate::account) is_offer: bool,
}

impl<'a> Prepared<'a> {
    /// Checks an envelope for a container of `kind`.
    ///
    /// # Errors
    /// The Reject: 413/8 for the payload's size, 400/100 for header, trailer and content metadata,
    /// 400/102 for the encryption, 422/115 for a payload digest that does not match.
    pub(in crate::account) fn of(
        envelope: &'a Envelope,
        kind: ContainerKind,
        policy: &AccountPolicy,
    ) -> Result<Self, Verdict> {
        check_sizes(envelope, kind, policy)?;
        check_encryption(&envelope.header)?;
        let meta = envelope.header.content_meta().map_err(|error| {
            Verdict::reject(
                Code::Malformed,
                format!("the content metadata cannot be read: {error}"),
            )
        })?;
        let computed = payload_digest(envelope.payload.as_slice());
        let claimed = claimed_digest(envelope);
        let is_offer = envelope.payload.0.is_empty()
            && claimed.is_some_and(|claimed| claimed != EMPTY_PAYLOAD_DIGEST);
        match claimed {
            Some(claimed) if claimed != computed && !is_offer => Err(digest_differs()),
            _ => Ok(Self {
                envelope,
                meta,
                payload_digest: claimed.unwrap_or(computed),
                is_offer,
            }),
        }
    }

    /// Checks an envelope that must come with its payload.
    ///
    /// # Errors
    /// As [`of`](Self::of); 422/115 for an offer.
    pub(in crate::account) fn whole(
        envelope: &'a Envelope,
        kind: ContainerKind,
        policy: &AccountPolicy,
    ) -> Result<Self, Verdict> {
        let one = Self::of(envelope, kind, policy)?;
        if one.is_offer {
            return Err(digest_differs());
        }
        Ok(one)
    }

    /// Whether the frame carries no application payload and is exempt from event rules.
    pub(in crate::account) fn is_meta(&self) -> bool {
        let info = self.envelope.header.container_info.as_ref();
        info.is_some_and(|info| info.is_meta == Some(true))
    }

    /// The record of this frame, with the client's own digests where they differ from ours.
    pub(in crate::account) fn record(
        &self,
        index: u64,
        kind: ContainerKind,
        tree_digest: Digest64,
        committed_at: Timestamp,
    ) -> FrameRecord {
        let mut header = self.envelope.header.clone();
        let info = kept_info(header.container_info.take(), index);
        let mut trailer = self.envelope.trailer.clone().unwrap_or_default();
        if kind.is_spool() {
            forget_place(&mut header, &mut trailer);
        }
        let is_ours = |digest: &[u8], ours: &Digest64| digest == ours;
        trailer
            .payload_digest
            .take_if(|digest| is_ours(digest.as_slice(), &self.payload_digest));
        trailer
            .tree_digest
            .take_if(|digest| is_ours(digest.as_slice(), &tree_digest));
        FrameRecord {
            committed_at,
            event: self.meta.event.clone(),
            unique_id: self.meta.unique_id.clone(),
            message_type: self.meta.message_type.clone(),
            payload_digest: self.payload_digest,
            tree_digest,
            payload_octets: self.envelope.payload.0.len() as u64,
            envelope_octets: octets_of(&header) + octets_of(&info) + octets_of(&trailer),
            redacted: false,
            header,
            info,
            trailer,
        }
    }
}

/// What of ContainerInfo still means something here: offsets were those of the sender's file, and
/// the type belongs to frame 0.
fn kept_info(info: Option<ContainerInfo>, index: u64) -> ContainerInfo {
    let info = info.unwrap_or_default();
    let described = |text: Option<String>| text.filter(|_| index == 0);
    ContainerInfo {
        data_encoding: described(info.data_encoding),
        index: None,
        container_type: described(info.container_type),
        is_meta: info.is_meta,
        default: info.default,
        tree_position: None,
        index_position: None,
        exchange_position: None,
        extra: info.extra,
    }
}

/// In spools the service says where a message stands (decision Q-28).
fn forget_place(header: &mut Header, trailer: &mut Trailer) {
    header.tree_digest = None;
    header.chain_digest = None;
    trailer.tree_digest = None;
    trailer.chain_digest = None;
}

/// The payload digest that the envelope states, if it is one of SHA-512. One of another algorithm
/// belongs to the envelope's signatures and is kept, not compared (containers D10).
fn claimed_digest(envelope: &Envelope) -> Option<Digest64> {
    let name = envelope.header.dig.as_deref().unwrap_or("S512");
    if !matches!(name, "S512" | "SHA2" | "SHA512") {
        return None;
    }
    let digest = envelope.payload_digest()?;
    // Another length is no SHA-512 digest, so it matches no payload.
    Some(digest.as_slice().try_into().unwrap_or([0; 64]))
}

fn digest_differs() -> Verdict {
    Verdict::reject(
        Code::InvalidSignature,
        "the PayloadDigest is not that of the payload",
    )
}

fn check_sizes(
    envelope: &Envelope,
    kind: ContainerKind,
    policy: &AccountPolicy,
) -> Result<(), Verdict> {
    let (what, max) = if kind.is_spool() {
        ("a message", policy.message_payload_bytes_max)
    } else {
        ("an entry", policy.entry_payload_bytes_max)
    };
    let octets = envelope.payload.0.len();
    if octets > max {
        return Err(Verdict::beyond(
            Code::TooLarge,
            format!("{what} has at most {max} octets of payload, this one has {octets}"),
            max as u64,
        ));
    }
    let header_octets = octets_of(&envelope.header);
    let trailer_octets = envelope.trailer.as_ref().map_or(0, octets_of);
    let envelope_max = FRAME_HEADER_BYTES_MAX as u64;
    if header_octets > envelope_max || trailer_octets > envelope_max {
        return Err(Verdict::reject(
            Code::Malformed,
            format!("header and trailer of a frame each have at most {envelope_max} octets"),
        ));
    }
    Ok(())
}

/// Stored envelopes are plain or `A256CBC` (architecture A-10, decision Q-19).
fn check_encryption(header: &Header) -> Result<(), Verdict> {
    match header.enc.as_deref() {
        None | Some("none" | "A256CBC") => Ok(()),
        Some(other) => Err(Verdict::reject(
            Code::Encoding,
            format!("stored envelopes are not encrypted, or with A256CBC, not with {other:?}"),
        )),
    }
}
