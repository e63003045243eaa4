//! Proof that one frame precedes an apex, without the frames between them (containers §5.6).
//!
//! A step opens one tree digest that is already trusted: its payload digest and left inputs must
//! join to it. The smallest left input that is not before the frame sought is then trusted too.

use serde::{Deserialize, Serialize};

use super::merkle::{Digest64, NO_DIGEST, fold_lefts, previous_apex, siblings};
use crate::encoding::base64url::Binary;

/// A path of tree digests from an apex to a frame.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InclusionProof {
    /// Index of the frame whose place is proved.
    pub frame: u64,
    /// Index of the frame whose tree digest is the apex.
    pub apex_frame: u64,
    /// From the apex to the frame, at most two per bit of the index on the way.
    pub steps: Vec<ProofStep>,
}

/// One tree digest, opened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProofStep {
    /// Index of the frame the digest belongs to.
    pub frame: u64,
    /// Its payload digest.
    pub payload_digest: Binary,
    /// Its left inputs: siblings nearest first, then the previous apex.
    pub lefts: Vec<Binary>,
}

/// A proof that proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// The frame sought is behind the apex.
    #[error("frame {frame} is not before frame {apex_frame}")]
    Order {
        /// The frame sought.
        frame: u64,
        /// The frame of the apex.
        apex_frame: u64,
    },
    /// A step is not the one that has to come next, or has other left inputs than its frame, or
    /// a digest that has not 64 octets.
    #[error("step {step} of the proof is not of the form it must have")]
    Form {
        /// Number of the step, from 0; that of a missing one if the proof ends too early.
        step: usize,
    },
    /// A step does not join to the digest that the one before it gave.
    #[error("the digests of frame {frame} do not join to the one that is trusted")]
    Digest {
        /// The frame whose digest was opened.
        frame: u64,
    },
    /// The log lacks a digest that the proof needs.
    #[error("the digests of frame {frame} are not known")]
    Unknown {
        /// The frame whose digests were asked for.
        frame: u64,
    },
}

/// Payload digest and tree digest of a frame.
pub type FrameDigests = (Digest64, Digest64);

impl InclusionProof {
    /// Proves that `frame` precedes the apex of `apex_frame`; `digests` is asked for the digests of
    /// frames up to `apex_frame`.
    ///
    /// # Errors
    /// [`ProofError::Order`], and [`ProofError::Unknown`] if `digests` knows too little.
    pub fn make(
        frame: u64,
        apex_frame: u64,
        digests: impl Fn(u64) -> Option<FrameDigests>,
    ) -> Result<Self, ProofError> {
        if frame > apex_frame {
            return Err(ProofError::Order { frame, apex_frame });
        }
        let known = |frame| digests(frame).ok_or(ProofError::Unknown { frame });
        let mut steps = Vec::new();
        let mut at = apex_frame;
        loop {
            let mut lefts = Vec::new();
            for left in left_inputs(at) {
                lefts.push(match left {
                    Some(frame) => known(frame)?.1.into(),
                    None => NO_DIGEST.into(),
                });
            }
            steps.push(ProofStep {
                frame: at,
                payload_digest: known(at)?.0.into(),
                lefts,
            });
            if at == frame {
                return Ok(Self {
                    frame,
                    apex_frame,
                    steps,
                });
            }
            (at, _) = next_frame(at, frame).ok_or(ProofError::Unknown { frame: at })?;
        }
    }

    /// Checks the proof against an `apex` that is trusted, and returns the payload digest that
    /// the frame must have.
    ///
    /// # Errors
    /// [`ProofError`], whatever is wrong first on the way from the apex.
    pub fn check(&self, apex: &Digest64) -> Result<Digest64, ProofError> {
        if self.frame > self.apex_frame {
            return Err(ProofError::Order {
                frame: self.frame,
                apex_frame: self.apex_frame,
            });
        }
        let mut at = self.apex_frame;
        let mut trusted = *apex;
        for (number, step) in self.steps.iter().enumerate() {
            let misfit = ProofError::Form { step: number };
            let (payload_digest, lefts) = step.opened(at).ok_or(misfit)?;
            if fold_lefts(&payload_digest, &lefts) != trusted {
                return Err(ProofError::Digest { frame: at });
            }
            if at == self.frame {
                let is_last = number + 1 == self.steps.len();
                return is_last
                    .then_some(payload_digest)
                    .ok_or(ProofError::Form { step: number + 1 });
            }
            let (next, place) = next_frame(at, self.frame).ok_or(misfit)?;
            at = next;
            trusted = lefts[place];
        }
        Err(ProofError::Form {
            step: self.steps.len(),
        })
    }
}

impl ProofStep {
    /// The digests of the step, if it is of the form of frame `frame`.
    fn opened(&self, frame: u64) -> Option<(Digest64, Vec<Digest64>)> {
        if self.frame != frame || self.lefts.len() != left_inputs(frame).count() {
            return None;
        }
        let lefts: Option<Vec<Digest64>> = self.lefts.iter().map(digest_of).collect();
        Some((digest_of(&self.payload_digest)?, lefts?))
    }
}

fn digest_of(octets: &Binary) -> Option<Digest64> {
    octets.as_slice().try_into().ok()
}

/// The frames whose tree digests are joined into that of `frame`; none where zeros are.
fn left_inputs(frame: u64) -> impl Iterator<Item = Option<u64>> {
    siblings(frame).map(Some).chain([previous_apex(frame)])
}

/// The smallest left input of `at` that is not before `sought`, and its place among them.
fn next_frame(at: u64, sought: u64) -> Option<(u64, usize)> {
    left_inputs(at)
        .enumerate()
        .filter_map(|(place, left)| left.map(|frame| (frame, place)))
        .filter(|(frame, _)| *frame >= sought)
        .min()
}

#[cfg(test)]
mod tests {
    use super::super::merkle::{DigestStack, payload_digest};
    use super::*;
    use proptest::prelude::*;

    fn log(count: u64) -> Vec<FrameDigests> {
        let mut stack = DigestStack::new();
        (0..count)
            .map(|index| {
                let digest = payload_digest(index.to_string().as_bytes());
                (digest, stack.append(&digest))
            })
            .collect()
    }

    fn proof(log: &[FrameDigests], frame: u64, apex: u64) -> Result<InclusionProof, ProofError> {
        InclusionProof::make(frame, apex, |index| {
            log.get(usize::try_from(index).unwrap()).copied()
        })
    }

    #[test]
    fn what_is_not_in_order_or_not_known_has_no_proof() {
        let log = log(4);
        assert_eq!(
            proof(&log, 3, 2),
            Err(ProofError::Order {
                frame: 3,
                apex_frame: 2
            })
        );
        assert_eq!(proof(&log, 0, 4), Err(ProofError::Unknown { frame: 4 }));
    }

    proptest! {
        #[test]
        fn every_frame_is_proved_and_no_changed_proof_holds(
            apex in 0_u64..300,
            frame in any::<prop::sample::Index>(),
            step in any::<prop::sample::Index>(),
            left in any::<prop::sample::Index>(),
        ) {
            let log = log(apex + 1);
            let frame = frame.index(usize::try_from(apex).unwrap() + 1);
            let sound = proof(&log, frame as u64, apex).unwrap();
            let trusted = log[usize::try_from(apex).unwrap()].1;
            prop_assert_eq!(sound.check(&trusted), Ok(log[frame].0));

            let mut other = sound.clone();
            let step = step.index(other.steps.len());
            let lefts = &mut other.steps[step].lefts;
            let left = left.index(lefts.len());
            lefts[left].0[0] ^= 1;
            prop_assert!(other.check(&trusted).is_err());
            lefts_restored_but_short(&sound, &trusted)?;
        }
    }

    fn lefts_restored_but_short(
        sound: &InclusionProof,
        trusted: &Digest64,
    ) -> Result<(), TestCaseError> {
        let mut short = sound.clone();
        let last = short.steps.pop().expect("a proof has a step");
        prop_assert!(short.check(trusted).is_err());
        short.steps.extend([last.clone(), last]);
        prop_assert!(short.check(trusted).is_err());
        Ok(())
    }
}
