//! Redaction: the payload of a frame is taken out, its digests stay, so that nothing that was
//! verified before stops being so (containers §10.2 and §10.3, D28).

use crate::dare::Envelope;
use crate::dare::merkle::{Digest64, EMPTY_PAYLOAD_DIGEST, payload_digest};
use crate::encoding::base64url::Binary;

/// Takes the payload out of a frame, and with it the salt, of which the digest remains in `Malt`:
/// whoever kept a copy of the payload cannot decrypt it any more. Frame 0 is never redacted: later
/// frames may depend on its key exchange (containers §3.5); whether another frame may be is its
/// catalog's or spool's business.
///
/// Returns false, and changes nothing, for frame 0 and for a payload that is empty already.
pub fn redact(index: u64, envelope: &mut Envelope) -> bool {
    if index == 0 || envelope.payload.as_slice().is_empty() {
        return false;
    }
    if envelope.payload_digest().is_none() {
        let digest = payload_digest(envelope.payload.as_slice());
        envelope.trailer.get_or_insert_default().payload_digest = Some(Binary(digest.to_vec()));
    }
    envelope.payload = Binary::default();
    if let Some(salt) = envelope.header.salt.take() {
        envelope.header.malt = Some(Binary(payload_digest(salt.as_slice()).to_vec()));
    }
    true
}

/// Whether frame `index` was redacted: it has no payload, and claims the digest of one.
#[must_use]
pub fn is_redacted(index: u64, envelope: &Envelope) -> bool {
    claims_redaction(index, envelope)
}

/// Whether the claimed payload digest stands for a payload that is not there.
pub(super) fn claims_redaction(index: u64, envelope: &Envelope) -> bool {
    index > 0
        && envelope.payload.as_slice().is_empty()
        && envelope.payload_digest().is_some_and(|claimed| {
            claimed.as_slice().len() == size_of::<Digest64>()
                && claimed.as_slice() != EMPTY_PAYLOAD_DIGEST
        })
}
