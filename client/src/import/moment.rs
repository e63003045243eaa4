//! Moments of the imported formats as moments of the Mesh.

use mesh_common::time::Timestamp;

/// First and last second that a Mesh time can write: from the year 1 to the last days of 9999.
const SECONDS: std::ops::RangeInclusive<i64> = -62_135_596_800..=253_402_207_200;

/// A moment in seconds since 1970, if its year has four digits.
pub(super) fn timestamp_of(seconds: i64) -> Option<Timestamp> {
    SECONDS
        .contains(&seconds)
        .then(|| Timestamp::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_years_of_four_digits_are_moments() {
        assert_eq!(
            timestamp_of(*SECONDS.start()).unwrap().to_text(),
            "0001-01-01T00:00:00Z"
        );
        assert_eq!(
            timestamp_of(*SECONDS.end()).unwrap().to_text(),
            "9999-12-30T22:00:00Z"
        );
        assert_eq!(timestamp_of(SECONDS.start() - 1), None);
        assert_eq!(timestamp_of(SECONDS.end() + 1), None);
    }
}
