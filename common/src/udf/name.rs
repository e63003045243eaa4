//! Fingerprints in names: URIs, the DNS label of a strong internet name, and the beginnings that
//! people type (crypto §2.4, §2.9).

use std::fmt;
use std::str::FromStr;

use super::{Udf, UdfError};

/// Bits that a person has to type before a beginning counts (crypto §2.4).
pub const BITS_TYPED_MIN: usize = 100;

/// What a DNS label of a strong internet name starts with.
const LABEL_PREFIX: &str = "mm--";

/// Why a text names nothing by its fingerprint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// It does not start as such a name does.
    #[error("not a {expected}")]
    Form {
        /// What was expected.
        expected: &'static str,
    },
    /// The fingerprint in it is none.
    #[error("no fingerprint in the name")]
    Udf(#[from] UdfError),
}

/// A fingerprint as a URI: `udf:<UDF>`, or `udf://<domain>/<UDF>` with a place to ask.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct UdfUri {
    /// Where to ask.
    pub domain: Option<String>,
    /// For what.
    pub udf: Udf,
}

impl fmt::Display for UdfUri {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.domain {
            Some(domain) => write!(formatter, "udf://{domain}/{}", self.udf),
            None => write!(formatter, "udf:{}", self.udf),
        }
    }
}

impl FromStr for UdfUri {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let expected = "udf: URI";
        let rest = strip_prefix(text, "udf:").ok_or(NameError::Form { expected })?;
        let Some(locator) = rest.strip_prefix("//") else {
            return Ok(Self {
                domain: None,
                udf: strict(rest, expected)?,
            });
        };
        match locator.split_once('/') {
            Some((domain, udf)) if !domain.is_empty() => Ok(Self {
                domain: Some(domain.to_ascii_lowercase()),
                udf: strict(udf, expected)?,
            }),
            _ => Err(NameError::Form { expected }),
        }
    }
}

impl Udf {
    /// The DNS label of a strong internet name.
    #[must_use]
    pub fn to_label(&self) -> String {
        format!("{LABEL_PREFIX}{}", self.as_str().to_ascii_lowercase())
    }

    /// The fingerprint in a DNS label, or in the last label of a strong internet name.
    ///
    /// # Errors
    /// [`NameError`].
    pub fn from_label(name: &str) -> Result<Self, NameError> {
        let expected = "strong name";
        let label = name.rsplit('.').next().unwrap_or(name);
        strict(
            strip_prefix(label, LABEL_PREFIX).ok_or(NameError::Form { expected })?,
            expected,
        )
    }

    /// Whether this fingerprint is where `longer` begins, or all of it.
    #[must_use]
    pub fn is_prefix_of(&self, longer: &Self) -> bool {
        longer.as_str().starts_with(self.as_str())
    }

    /// Whether what a person typed means this fingerprint: at least [`BITS_TYPED_MIN`] bits of its
    /// beginning. For people only; programs compare whole fingerprints (decision Q-18).
    #[must_use]
    pub fn is_meant_by(&self, typed: &str) -> bool {
        Self::parse(typed).is_ok_and(|typed| {
            let letters = typed
                .as_str()
                .bytes()
                .filter(|octet| *octet != b'-')
                .count();
            letters * 5 >= BITS_TYPED_MIN && typed.is_prefix_of(self)
        })
    }
}

/// A fingerprint without anything else in it: names are made by programs.
fn strict(text: &str, expected: &'static str) -> Result<Udf, NameError> {
    let udf = Udf::parse(text)?;
    if text.eq_ignore_ascii_case(udf.as_str()) {
        Ok(udf)
    } else {
        Err(NameError::Form { expected })
    }
}

fn strip_prefix<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let (start, rest) = text.split_at_checked(prefix.len())?;
    start.eq_ignore_ascii_case(prefix).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "MB5S-R4AJ-3FBT-7NHO-T26Z-2E6Y-WFH4";

    #[test]
    fn uris_are_read_as_they_are_written() {
        for text in [format!("udf:{TEXT}"), format!("udf://example.com/{TEXT}")] {
            assert_eq!(text.parse::<UdfUri>().unwrap().to_string(), text);
        }
        let shouted: UdfUri = format!("UDF://Example.COM/{}", TEXT.to_lowercase())
            .parse()
            .unwrap();
        assert_eq!(shouted.to_string(), format!("udf://example.com/{TEXT}"));
        for text in [
            "",
            "udf:",
            "udf:M",
            "urn:MB5S-R4AJ",
            "udf:///MB5S-R4AJ",
            "udf://example.com",
            "udf:MB5S-R4AJ/x",
        ] {
            assert!(text.parse::<UdfUri>().is_err(), "{text}");
        }
    }

    #[test]
    fn strong_names_carry_their_fingerprint() {
        let udf = Udf::parse(TEXT).unwrap();
        assert_eq!(udf.to_label(), format!("mm--{}", TEXT.to_lowercase()));
        assert!(udf.to_label().len() <= 63, "a DNS label");
        assert_eq!(Udf::from_label(&udf.to_label()), Ok(udf.clone()));
        assert_eq!(
            Udf::from_label(&format!("example.com.{}", udf.to_label())),
            Ok(udf)
        );
        for name in ["example.com", "mm--", "xn--mb5s-r4aj", "mm--mb5s_r4aj"] {
            assert!(Udf::from_label(name).is_err(), "{name}");
        }
    }

    #[test]
    fn people_may_type_a_beginning_of_100_bits() {
        let udf = Udf::parse(TEXT).unwrap();
        assert!(udf.is_meant_by("mb5s r4aj 3fbt 7nho t26z"));
        assert!(udf.is_meant_by(TEXT));
        assert!(!udf.is_meant_by("mb5s r4aj 3fbt 7nho t26"), "95 bits");
        assert!(!udf.is_meant_by("mb5s r4aj 3fbt 7nho t26a"));
        assert!(!udf.is_meant_by(&format!("{TEXT}-AAAA")));
    }
}
