//! What an envelope says of itself, checked against nothing but bounds and its own digest
//! (containers §8.4 steps 3 and 4, decisions Q-16, Q-19, Q-25, Q-38).

use super::verdict::Verdict;
use crate::account::frame::{FrameRecord, octets_of};
use crate::account::policy::AccountPolicy;
use crate::dare::merkle::{EMPTY_PAYLOAD_DIGEST, payload_digest};
use crate::dare::{ContainerInfo, ContainerKind, ContentMeta, Digest64, Envelope, Header};
use crate::encoding::base64url::{self, Binary};
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
    /// Octets of header and trailer as they came, counted once.
    octets: PartOctets,
}

/// Octets of the parts of an envelope beside its payload.
#[derive(Debug, Clone, Copy)]
struct PartOctets {
    header: u64,
    /// Nothing where there is no trailer.
    trailer: u64,
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
        let octets = check_sizes(envelope, kind, policy)?;
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
                octets,
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

    /// Octets of header and trailer.
    pub(in crate::account) fn block_octets(&self) -> usize {
        let octets = self.octets.header + self.octets.trailer;
        usize::try_from(octets).unwrap_or(usize::MAX)
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
        let mut trailer = self.envelope.trailer.clone().unwrap_or_default();
        let mut header_octets = ObjectOctets(self.octets.header);
        let mut trailer_octets = match self.envelope.trailer {
            Some(_) => ObjectOctets(self.octets.trailer),
            None => ObjectOctets::EMPTY,
        };
        let info = header.container_info.take();
        header_octets.without("ContainerInfo", info.as_ref().map(octets_of));
        let info = kept_info(info, index);
        if kind.is_spool() {
            header_octets.without_digest("TreeDigest", header.tree_digest.take());
            header_octets.without_digest("ChainDigest", header.chain_digest.take());
            trailer_octets.without_digest("TreeDigest", trailer.tree_digest.take());
            trailer_octets.without_digest("ChainDigest", trailer.chain_digest.take());
        }
        let is_ours = |digest: &Binary, ours: &Digest64| digest.as_slice() == ours;
        let ours = &mut trailer.payload_digest;
        let ours = ours.take_if(|digest| is_ours(digest, &self.payload_digest));
        trailer_octets.without_digest("PayloadDigest", ours);
        let ours = &mut trailer.tree_digest;
        let ours = ours.take_if(|digest| is_ours(digest, &tree_digest));
        trailer_octets.without_digest("TreeDigest", ours);
        FrameRecord {
            committed_at,
            event: self.meta.event.clone(),
            unique_id: self.meta.unique_id.clone(),
            message_type: self.meta.message_type.clone(),
            payload_digest: self.payload_digest,
            tree_digest,
            payload_octets: self.envelope.payload.0.len() as u64,
            envelope_octets: header_octets.0 + octets_of(&info) + trailer_octets.0,
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

/// Octets of a JSON object from which members are taken, without writing it again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct ObjectOctets(u64);

impl ObjectOctets {
    const EMPTY: Self = Self(2);

    /// The member `name` is taken out, whose value had so many octets; nothing if there was none.
    fn without(&mut self, name: &str, value_octets: Option<u64>) {
        let Some(value_octets) = value_octets else {
            return;
        };
        let member = name.len() as u64 + value_octets + r#""":,"#.len() as u64;
        // There is one comma less than members.
        *self = Self(self.0.saturating_sub(member)).max(Self::EMPTY);
    }

    /// The same for a digest.
    fn without_digest(&mut self, name: &str, digest: Option<Binary>) {
        let octets = digest.map(|digest| base64url::characters(digest.as_slice()) as u64 + 2);
        self.without(name, octets);
    }

    fn max(self, other: Self) -> Self {
        Self(self.0.max(other.0))
    }
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
) -> Result<PartOctets, Verdict> {
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
    let octets = PartOctets {
        header: octets_of(&envelope.header),
        trailer: envelope.trailer.as_ref().map_or(0, octets_of),
    };
    let envelope_max = FRAME_HEADER_BYTES_MAX as u64;
    if octets.header > envelope_max || octets.trailer > envelope_max {
        return Err(Verdict::reject(
            Code::Malformed,
            format!("header and trailer of a frame each have at most {envelope_max} octets"),
        ));
    }
    Ok(octets)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::SecretKey;
    use crate::dare::Trailer;
    use crate::entropy::SeededEntropy;

    fn infos() -> [Option<ContainerInfo>; 3] {
        let placed = ContainerInfo {
            index: Some(7),
            tree_position: Some(1_234),
            is_meta: Some(false),
            ..ContainerInfo::default()
        };
        [None, Some(ContainerInfo::default()), Some(placed)]
    }

    /// Envelopes with every part that a record leaves out, and without.
    fn envelopes() -> Vec<Envelope> {
        let key = SecretKey::generate(&mut SeededEntropy::new(1));
        let digest = |octet: u8, length| Some(Binary(vec![octet; length]));
        let signed = Envelope::signed(*b"payload", Header::default(), &[&key]);
        let mut all = Vec::new();
        for info in infos() {
            for (tree, chain) in [
                (None, None),
                (digest(1, 64), None),
                (digest(1, 63), digest(2, 1)),
            ] {
                let mut one = signed.clone();
                one.header.container_info.clone_from(&info);
                one.header.tree_digest.clone_from(&tree);
                one.header.chain_digest.clone_from(&chain);
                all.push(one.clone());
                let trailer = one.trailer.as_mut().unwrap();
                trailer.tree_digest = tree;
                trailer.chain_digest = chain;
                all.push(one.clone());
                one.trailer.as_mut().unwrap().signatures.clear();
                all.push(one.clone());
                one.trailer = Some(Trailer::default());
                all.push(one.clone());
                one.trailer = None;
                all.push(one);
            }
        }
        all
    }

    #[test]
    fn what_a_record_counts_is_what_its_parts_are_written_as() {
        let policy = AccountPolicy::default();
        for envelope in envelopes() {
            for kind in [ContainerKind::Inbound, ContainerKind::Contact] {
                let one = Prepared::of(&envelope, kind, &policy).unwrap();
                let whole =
                    octets_of(&envelope.header) + envelope.trailer.as_ref().map_or(0, octets_of);
                assert_eq!(one.block_octets() as u64, whole);
                for tree_digest in [[1; 64], [9; 64]] {
                    let record = one.record(3, kind, tree_digest, Timestamp::from_millis(0));
                    let parts = octets_of(&record.header)
                        + octets_of(&record.info)
                        + octets_of(&record.trailer);
                    assert_eq!(record.envelope_octets, parts, "{kind:?} {envelope:?}");
                }
            }
        }
    }
}
