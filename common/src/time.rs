//! Moments, as the Mesh writes them. Nothing here asks what time it is: that is [`Clock`]'s
//! business, and only shells have one (architecture A-6).

use std::fmt;
use std::ops::{Add, Sub};
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A moment in UTC, in milliseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(i64);

/// What a shell provides in order to know the time.
pub trait Clock: Send + Sync {
    /// The present moment.
    fn now(&self) -> Timestamp;
}

/// A text that is no `YYYY-MM-DDThh:mm:ss[.fraction]Z` (decision Q-3).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a time is written YYYY-MM-DDThh:mm:ssZ, found {found:?}")]
pub struct TimestampError {
    found: String,
}

impl Timestamp {
    /// The moment `milliseconds` after the start of 1970.
    #[must_use]
    pub const fn from_millis(milliseconds: i64) -> Self {
        Self(milliseconds)
    }

    /// The moment `seconds` after the start of 1970.
    #[must_use]
    pub const fn from_secs(seconds: i64) -> Self {
        Self(seconds * 1_000)
    }

    /// Milliseconds since the start of 1970.
    #[must_use]
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// Whole seconds since the start of 1970, rounded towards the past.
    #[must_use]
    pub const fn as_secs(self) -> i64 {
        self.0.div_euclid(1_000)
    }

    /// How far apart two moments are, whichever is earlier.
    #[must_use]
    pub fn distance(self, other: Self) -> Duration {
        Duration::from_millis(self.0.abs_diff(other.0))
    }

    /// The time from `earlier` to this moment, zero if `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// The text with whole seconds, as Mesh objects carry it (decision Q-3).
    #[must_use]
    pub fn to_text(self) -> String {
        self.civil().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
    }

    /// The text with milliseconds, as a session carries it (decision Q-3).
    #[must_use]
    pub fn to_text_millis(self) -> String {
        let millis = self.0.rem_euclid(1_000);
        format!(
            "{}.{millis:03}Z",
            self.civil().strftime("%Y-%m-%dT%H:%M:%S")
        )
    }

    fn civil(self) -> jiff::civil::DateTime {
        jiff::Timestamp::from_second(self.as_secs())
            .unwrap_or(jiff::Timestamp::MAX)
            .to_zoned(jiff::tz::TimeZone::UTC)
            .datetime()
    }
}

impl Add<Duration> for Timestamp {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self(
            self.0
                .saturating_add(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)),
        )
    }
}

impl Sub<Duration> for Timestamp {
    type Output = Self;

    fn sub(self, duration: Duration) -> Self {
        Self(
            self.0
                .saturating_sub(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)),
        )
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.to_text())
    }
}

impl FromStr for Timestamp {
    type Err = TimestampError;

    /// Reads 0 to 9 fraction digits and `Z`, nothing else (decision Q-3). Fractions below a
    /// millisecond are cut off.
    fn from_str(text: &str) -> Result<Self, TimestampError> {
        let refusal = || TimestampError {
            found: text.chars().take(40).collect(),
        };
        let octets = text.as_bytes();
        let shape_holds = octets.len() >= 20
            && octets
                .iter()
                .zip(b"dddd-dd-ddTdd:dd:dd")
                .all(|(found, want)| match want {
                    b'd' => found.is_ascii_digit(),
                    other => found == other,
                });
        if !shape_holds {
            return Err(refusal());
        }
        let fraction_millis = fraction_of(&text[19..]).ok_or_else(refusal)?;
        let civil: jiff::civil::DateTime = text[..19].parse().map_err(|_| refusal())?;
        let moment = jiff::tz::TimeZone::UTC
            .to_timestamp(civil)
            .map_err(|_| refusal())?;
        Ok(Self(moment.as_second() * 1_000 + fraction_millis))
    }
}

/// Milliseconds in `Z`, `.5Z`, `.123456789Z`; `None` for any other text.
fn fraction_of(rest: &str) -> Option<i64> {
    let digits = match rest.strip_suffix('Z')? {
        "" => return Some(0),
        fraction => fraction.strip_prefix('.')?,
    };
    let well_formed =
        (0..=9).contains(&digits.len()) && digits.bytes().all(|octet| octet.is_ascii_digit());
    if !well_formed {
        return None;
    }
    format!("{digits:0<3}")[..3].parse().ok()
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.to_text())
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

/// Writes a [`Timestamp`] with milliseconds: `#[serde(with = "time::millis")]`.
pub mod millis {
    use serde::{Deserialize, Deserializer, Serializer};

    use super::Timestamp;

    /// Writes milliseconds (decision Q-3, `Session`).
    ///
    /// # Errors
    /// What the serializer says.
    pub fn serialize<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&time.to_text_millis())
    }

    /// Reads what [`Timestamp`] reads.
    ///
    /// # Errors
    /// What the deserializer says, and a text that is no time.
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Timestamp, D::Error> {
        Timestamp::deserialize(from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_seconds_and_fractions_are_read() {
        let noon: Timestamp = "2020-03-10T12:00:00Z".parse().unwrap();
        assert_eq!(noon.to_text(), "2020-03-10T12:00:00Z");
        let later: Timestamp = "2020-03-10T12:00:00.25Z".parse().unwrap();
        assert_eq!(later.since(noon), Duration::from_millis(250));
        assert_eq!(later.to_text_millis(), "2020-03-10T12:00:00.250Z");
        assert_eq!(
            "2020-03-10T12:00:00.123456789Z"
                .parse::<Timestamp>()
                .unwrap()
                .as_millis()
                % 1000,
            123
        );
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "",
            "2020-03-10",
            "2020-03-10T12:00:00",
            "2020-03-10T12:00:00+00:00",
            "2020-03-10 12:00:00Z",
            "2020-02-30T12:00:00Z",
            "2020-03-10T12:00:00.1234567890Z",
            "2020-03-10T12:00:00,5Z",
            "2020-03-10T25:00:00Z",
            "２020-03-10T12:00:00Z",
        ] {
            assert!(text.parse::<Timestamp>().is_err(), "{text}");
        }
    }
}
