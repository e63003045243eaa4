//! Integrity by digest chain: each frame's chain digest is taken over the one before it
//! (containers §5.2).

use super::merkle::{Digest64, NO_DIGEST, join};

/// The chain digest of the last frame, which is all that appending needs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChainState {
    last: Option<Digest64>,
}

impl ChainState {
    /// The state of a container without frames.
    #[must_use]
    pub const fn new() -> Self {
        Self { last: None }
    }

    /// Appends a frame by its payload digest and returns its chain digest.
    // Draft: dare-07 §4.2.1 takes H(H("")) on the left of frame 0 and joins payload digests after
    // it; all data that was found follows containers §5.2.
    pub fn append(&mut self, payload_digest: &Digest64) -> Digest64 {
        let digest = join(&self.last.unwrap_or(NO_DIGEST), payload_digest);
        self.last = Some(digest);
        digest
    }

    /// The chain digest of the last frame; none without frames.
    #[must_use]
    pub const fn last(&self) -> Option<&Digest64> {
        self.last.as_ref()
    }
}
