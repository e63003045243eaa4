//! The digests that the reference implementation has written since August 2018, in which every
//! left input is 64 zero octets (containers §5.4). They bind nothing to earlier frames; they are
//! told from damage, and accepted where `interop.legacy_digests` is on (containers D7).

use super::merkle::{Digest64, NO_DIGEST, join};

/// The chain digest of every frame.
#[must_use]
pub fn chain_digest(payload_digest: &Digest64) -> Digest64 {
    join(&NO_DIGEST, payload_digest)
}

/// The tree digest of frame `index` when it was prepared by the path of catalogs and
/// transactions, which counts from 0.
#[must_use]
pub fn tree_digest_deferred(index: u64, payload_digest: &Digest64) -> Digest64 {
    joins_with_nothing(index, payload_digest)
}

/// The tree digest of frame `index` when it was appended as a stream, as spools and files are;
/// that path counts from 1.
#[must_use]
pub fn tree_digest_stream(index: u64, payload_digest: &Digest64) -> Digest64 {
    joins_with_nothing(index.saturating_add(1), payload_digest)
}

/// Whether `found` is a tree digest that the reference implementation writes for frame `index`.
#[must_use]
pub fn is_tree_digest(index: u64, payload_digest: &Digest64, found: &[u8]) -> bool {
    found == tree_digest_deferred(index, payload_digest)
        || found == tree_digest_stream(index, payload_digest)
}

/// k joins with zeros, where k − 1 is the number of trailing zero bits of `counter` + 1.
fn joins_with_nothing(counter: u64, payload_digest: &Digest64) -> Digest64 {
    let joins = 1 + (!counter).trailing_zeros();
    (0..joins).fold(*payload_digest, |digest, _| join(&NO_DIGEST, &digest))
}
