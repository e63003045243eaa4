//! Offsets of the frames that later ones may point to: the same few that the digest stack keeps
//! (containers §5.3, `TreePosition`).

use crate::dare::merkle::previous_apex;

/// Offsets of the frontier, newest last, with their indices.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Offsets {
    kept: Vec<(u64, u64)>,
}

impl Offsets {
    /// Notes that frame `index` starts at `offset`, and returns the offset of its previous apex;
    /// none for frame 0. Frames come in order.
    pub(super) fn append(&mut self, index: u64, offset: u64) -> Option<u64> {
        let apex = previous_apex(index);
        let position = apex.and_then(|apex| {
            self.kept
                .iter()
                .rev()
                .find(|(kept, _)| *kept == apex)
                .map(|(_, offset)| *offset)
        });
        let siblings = (!index).trailing_zeros() as usize;
        self.kept.truncate(self.kept.len().saturating_sub(siblings));
        self.kept.push((index, offset));
        position
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_frame_points_to_its_previous_apex() {
        let mut offsets = Offsets::default();
        for index in 0..1_000 {
            let position = offsets.append(index, index * 10);
            assert_eq!(position, previous_apex(index).map(|apex| apex * 10));
            assert_eq!(offsets.kept.len(), (index + 1).count_ones() as usize);
        }
    }
}
