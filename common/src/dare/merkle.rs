//! Integrity by tree: each frame's tree digest commits to every earlier payload, and the few
//! digests that are needed to append stay in a [`DigestStack`] (containers §5.1, §5.3).
//!
//! ```text
//!  frame number n     1   2   3   4   5   6   7   8
//!  kept after it      1   2   3   4   5   6   7   8
//!                             2       4   4   6
//!                                             4
//! ```

use std::fmt;
use std::iter;

use sha2::{Digest, Sha512};

/// A SHA-512 value.
pub type Digest64 = [u8; 64];

/// Octets of a digest.
const DIGEST_BYTES: usize = 64;
/// Octets of the frame count before the digests in [`DigestStack::to_octets`].
const COUNT_BYTES: usize = 8;

/// What stands to the left where there is nothing: 64 zero octets.
pub const NO_DIGEST: Digest64 = [0; DIGEST_BYTES];

/// The payload digest of an empty payload: SHA-512 of nothing.
pub const EMPTY_PAYLOAD_DIGEST: Digest64 = [
    0xcf, 0x83, 0xe1, 0x35, 0x7e, 0xef, 0xb8, 0xbd, 0xf1, 0x54, 0x28, 0x50, 0xd6, 0x6d, 0x80, 0x07,
    0xd6, 0x20, 0xe4, 0x05, 0x0b, 0x57, 0x15, 0xdc, 0x83, 0xf4, 0xa9, 0x21, 0xd3, 0x6c, 0xe9, 0xce,
    0x47, 0xd0, 0xd1, 0x3c, 0x5d, 0x85, 0xf2, 0xb0, 0xff, 0x83, 0x18, 0xd2, 0x87, 0x7e, 0xec, 0x2f,
    0x63, 0xb9, 0x31, 0xbd, 0x47, 0x41, 0x7a, 0x81, 0xa5, 0x38, 0x32, 0x7a, 0xf9, 0x27, 0xda, 0x3e,
];

/// SHA-512 of the payload octets as they are stored: after encryption, before base64url, without
/// header (containers §5.1).
#[must_use]
pub fn payload_digest(payload: &[u8]) -> Digest64 {
    Sha512::digest(payload).into()
}

/// H(left ‖ right): the one inner step of chains and trees.
#[must_use]
pub fn join(left: &Digest64, right: &Digest64) -> Digest64 {
    let mut hash = Sha512::new();
    hash.update(left);
    hash.update(right);
    hash.finalize().into()
}

/// Trailing zero bits of the frame number (index + 1): how many earlier frames are siblings.
fn level(index: u64) -> u32 {
    (!index).trailing_zeros()
}

/// Indices of the frames whose tree digests are joined under frame `index`, nearest first
/// (containers §5.3).
pub fn siblings(index: u64) -> impl Iterator<Item = u64> {
    (0..level(index)).map(move |bit| index - (1 << bit))
}

/// Index of the frame whose tree digest is the last left input of frame `index`, and whose offset
/// is its `TreePosition`; none for frame 0.
#[must_use]
pub fn previous_apex(index: u64) -> Option<u64> {
    let number = u128::from(index) + 1;
    let low = 1_u128 << level(index);
    let rest = number ^ low;
    let previous = if rest != 0 { rest } else { low / 2 };
    previous
        .checked_sub(1)
        .and_then(|index| u64::try_from(index).ok())
}

/// Indices of the frames whose tree digests must be known after frame `index` in order to append,
/// newest first (containers §5.3).
pub fn frontier(index: u64) -> impl Iterator<Item = u64> {
    let mut number = u128::from(index) + 1;
    iter::from_fn(move || {
        let top = u64::try_from(number.checked_sub(1)?).ok()?;
        number &= number - 1;
        Some(top)
    })
}

/// The tree digest of frame 0, or of frame `index` from those of its siblings, nearest first, and
/// of its previous apex.
pub(super) fn fold_lefts<'a>(
    payload_digest: &Digest64,
    lefts: impl IntoIterator<Item = &'a Digest64>,
) -> Digest64 {
    lefts
        .into_iter()
        .fold(*payload_digest, |right, left| join(left, &right))
}

/// A container's digest state: what must be kept of its frames to append the next one
/// (containers §5.3). At most 64 octets per bit of the frame count, two joins per append on average.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct DigestStack {
    count: u64,
    /// Tree digests of the frontier, newest last.
    digests: Vec<Digest64>,
}

/// Octets that are no digest state.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a digest state of {count} frames has {expected} octets, found {found}")]
pub struct DigestStackError {
    count: u64,
    expected: usize,
    found: usize,
}

impl DigestStack {
    /// The state of a container without frames.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            count: 0,
            digests: Vec::new(),
        }
    }

    /// Appends a frame by its payload digest and returns its tree digest, the new apex.
    pub fn append(&mut self, payload_digest: &Digest64) -> Digest64 {
        let mut digest = *payload_digest;
        let mut last = None;
        for _ in 0..level(self.count) {
            let Some(sibling) = self.digests.pop() else {
                break;
            };
            digest = join(&sibling, &digest);
            last = Some(sibling);
        }
        let left = self.digests.last().copied().or(last).unwrap_or(NO_DIGEST);
        digest = join(&left, &digest);
        self.digests.push(digest);
        self.count += 1;
        digest
    }

    /// The tree digest that [`DigestStack::append`] would return, without appending.
    #[must_use]
    pub fn would_be(&self, payload_digest: &Digest64) -> Digest64 {
        let siblings = level(self.count) as usize;
        let kept = self.digests.len().saturating_sub(siblings);
        let (rest, popped) = self.digests.split_at(kept);
        let inner = fold_lefts(payload_digest, popped.iter().rev());
        let left = rest.last().or_else(|| popped.first()).unwrap_or(&NO_DIGEST);
        join(left, &inner)
    }

    /// Number of frames; the index of the next one.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// The tree digest of the last frame; none without frames.
    #[must_use]
    pub fn apex(&self) -> Option<Digest64> {
        self.digests.last().copied()
    }

    /// The tree digests that are kept, newest first: those of [`frontier`].
    pub fn digests(&self) -> impl Iterator<Item = &Digest64> {
        self.digests.iter().rev()
    }

    /// The count, 8 octets, most significant first, then the digests, oldest first.
    #[must_use]
    pub fn to_octets(&self) -> Vec<u8> {
        let mut octets = Vec::with_capacity(COUNT_BYTES + DIGEST_BYTES * self.digests.len());
        octets.extend_from_slice(&self.count.to_be_bytes());
        octets.extend_from_slice(self.digests.as_flattened());
        octets
    }

    /// Reads what [`DigestStack::to_octets`] wrote.
    ///
    /// # Errors
    /// [`DigestStackError`] if the number of octets does not belong to the count they begin with.
    pub fn from_octets(octets: &[u8]) -> Result<Self, DigestStackError> {
        let (count, rest) = octets
            .split_first_chunk::<COUNT_BYTES>()
            .map_or((0, octets), |(count, rest)| {
                (u64::from_be_bytes(*count), rest)
            });
        let expected = COUNT_BYTES + DIGEST_BYTES * count.count_ones() as usize;
        let (digests, odd) = rest.as_chunks::<DIGEST_BYTES>();
        if octets.len() != expected || !odd.is_empty() {
            return Err(DigestStackError {
                count,
                expected,
                found: octets.len(),
            });
        }
        Ok(Self {
            count,
            digests: digests.to_vec(),
        })
    }
}

impl fmt::Debug for DigestStack {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "DigestStack({} frames)", self.count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn digest_of(number: u64) -> Digest64 {
        payload_digest(number.to_string().as_bytes())
    }

    /// Straight from the definition, all tree digests kept.
    fn by_definition(count: u64) -> Vec<Digest64> {
        let mut trees: Vec<Digest64> = Vec::new();
        for index in 0..count {
            let at = |index: u64| trees[usize::try_from(index).unwrap()];
            let lefts: Vec<Digest64> = siblings(index)
                .map(at)
                .chain([previous_apex(index).map_or(NO_DIGEST, at)])
                .collect();
            trees.push(fold_lefts(&digest_of(index), &lefts));
        }
        trees
    }

    #[test]
    fn the_stack_holds_what_the_definition_says() {
        let trees = by_definition(600);
        let mut stack = DigestStack::new();
        for (index, tree) in (0..).zip(&trees) {
            assert_eq!(stack.would_be(&digest_of(index)), *tree);
            assert_eq!(stack.append(&digest_of(index)), *tree);
            let kept: Vec<Digest64> = stack.digests().copied().collect();
            let expected: Vec<Digest64> = frontier(index)
                .map(|index| trees[usize::try_from(index).unwrap()])
                .collect();
            assert_eq!(kept, expected, "after frame {index}");
        }
        assert_eq!(stack.apex(), trees.last().copied());
        assert_eq!(stack.count(), 600);
    }

    #[test]
    fn an_append_costs_two_joins_on_average() {
        let joins: usize = (0..4_096).map(|index| siblings(index).count() + 1).sum();
        assert_eq!(joins, 2 * 4_096 - 1);
    }

    #[test]
    fn the_last_indices_of_all_have_an_apex_too() {
        assert_eq!(previous_apex(u64::MAX), Some((1 << 63) - 1));
        assert_eq!(previous_apex(u64::MAX - 1), Some(u64::MAX - 2));
        assert_eq!(siblings(u64::MAX).count(), 64);
        assert_eq!(frontier(u64::MAX).count(), 1);
        assert_eq!(previous_apex(0), None);
    }

    #[test]
    fn nothing_has_the_digest_that_is_written_down() {
        assert_eq!(payload_digest(&[]), EMPTY_PAYLOAD_DIGEST);
        assert_eq!(DigestStack::new().apex(), None);
    }

    #[test]
    fn octets_that_are_no_state_are_refused() {
        let mut stack = DigestStack::new();
        for number in 0..5 {
            stack.append(&digest_of(number));
        }
        let octets = stack.to_octets();
        assert_eq!(octets.len(), 8 + 2 * 64);
        for length in 0..octets.len() {
            assert!(DigestStack::from_octets(&octets[..length]).is_err());
        }
        let mut other = octets;
        other[7] = 7;
        assert!(DigestStack::from_octets(&other).is_err());
        assert_eq!(DigestStack::from_octets(&[0; 8]), Ok(DigestStack::new()));
    }

    proptest! {
        #[test]
        fn any_pause_in_appending_gives_the_same_apex(
            pauses in prop::collection::vec(0_u64..40, 1..8),
        ) {
            let mut whole = DigestStack::new();
            let mut paused = DigestStack::new();
            for run in &pauses {
                paused = DigestStack::from_octets(&paused.to_octets()).unwrap();
                for _ in 0..*run {
                    whole.append(&digest_of(whole.count()));
                    paused.append(&digest_of(paused.count()));
                }
            }
            prop_assert_eq!(whole, paused);
        }

        #[test]
        fn random_octets_never_panic(octets in prop::collection::vec(any::<u8>(), 0..300)) {
            if let Ok(mut stack) = DigestStack::from_octets(&octets) {
                prop_assert_eq!(stack.to_octets(), octets);
                if stack.count() < u64::MAX {
                    stack.append(&NO_DIGEST);
                }
            }
        }
    }
}
