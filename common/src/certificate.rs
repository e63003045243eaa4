//! What a certificate says of its own life (RFC 5280 §4.1.2.5), for measures: TLS itself judges certificates elsewhere.
//!
//! ```text
//!  Certificate ::= SEQUENCE {
//!    TBSCertificate ::= SEQUENCE {
//!      [0] version OPTIONAL, serialNumber, signature, issuer,
//!      validity ::= SEQUENCE { notBefore, notAfter }, …
//! ```

use crate::time::Timestamp;

const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

/// The last moment at which the certificate `der` is good; `None` if it is no certificate, or says it otherwise
/// than certificates do.
#[must_use]
pub fn not_after(der: &[u8]) -> Option<Timestamp> {
    let mut certificate = Elements(Elements(der).next_of(SEQUENCE)?);
    let mut signed = Elements(certificate.next_of(SEQUENCE)?);
    let (first, _) = signed.next()?;
    if first == VERSION {
        signed.next()?;
    }
    // After the serial number: algorithm, issuer.
    signed.next_of(SEQUENCE)?;
    signed.next_of(SEQUENCE)?;
    let mut validity = Elements(signed.next_of(SEQUENCE)?);
    validity.next()?;
    let (kind, content) = validity.next()?;
    moment(kind, std::str::from_utf8(content).ok()?)
}

/// What is left of a sequence of elements in DER.
struct Elements<'a>(&'a [u8]);

impl<'a> Elements<'a> {
    /// Tag and content of the next element. Tags and lengths larger than certificates have are not read.
    fn next(&mut self) -> Option<(u8, &'a [u8])> {
        let (&[tag, first], rest) = self.0.split_first_chunk()?;
        let (length, rest) = match first {
            0..=0x7f => (usize::from(first), rest),
            0x81..=0x83 => {
                let (octets, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
                let length = octets
                    .iter()
                    .fold(0, |length, octet| length << 8 | usize::from(*octet));
                (length, rest)
            }
            _ => return None,
        };
        let (content, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((tag, content))
    }

    /// The content of the next element, if it has this tag.
    fn next_of(&mut self, wanted: u8) -> Option<&'a [u8]> {
        let (tag, content) = self.next()?;
        (tag == wanted).then_some(content)
    }
}

/// `YYMMDDHHMMSSZ`, whose years are from 1950 to 2049, or `YYYYMMDDHHMMSSZ` (RFC 5280 §4.1.2.5.1).
fn moment(kind: u8, text: &str) -> Option<Timestamp> {
    let digits = text.strip_suffix('Z')?;
    if !digits.bytes().all(|octet| octet.is_ascii_digit()) {
        return None;
    }
    let digits = match (kind, digits.len()) {
        (UTC_TIME, 12) if digits < "50" => format!("20{digits}"),
        (UTC_TIME, 12) => format!("19{digits}"),
        (GENERALIZED_TIME, 14) => digits.to_owned(),
        _ => return None,
    };
    let two = |at: usize| &digits[at..at + 2];
    let text = format!(
        "{}-{}-{}T{}:{}:{}Z",
        &digits[..4],
        two(4),
        two(6),
        two(8),
        two(10),
        two(12)
    );
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn element(tag: u8, content: &[u8]) -> Vec<u8> {
        let length = u8::try_from(content.len()).unwrap();
        let mut octets = match length {
            0..=0x7f => vec![tag, length],
            _ => vec![tag, 0x81, length],
        };
        octets.extend_from_slice(content);
        octets
    }

    fn certificate(is_versioned: bool, kind: u8, text: &str) -> Vec<u8> {
        let version = match is_versioned {
            true => element(VERSION, &element(2, &[2])),
            false => Vec::new(),
        };
        let validity = [
            element(UTC_TIME, b"250101000000Z"),
            element(kind, text.as_bytes()),
        ];
        let signed = [
            version,
            element(2, &[1; 16]),
            element(SEQUENCE, &[6, 0]),
            element(SEQUENCE, &element(0x31, &[0; 90])),
            element(SEQUENCE, &validity.concat()),
            element(SEQUENCE, &[]),
        ];
        element(SEQUENCE, &element(SEQUENCE, &signed.concat()))
    }

    fn ends(kind: u8, text: &str) -> Option<String> {
        let ends = [true, false].map(|versioned| not_after(&certificate(versioned, kind, text)));
        assert_eq!(ends[0], ends[1]);
        ends[0].map(|ends| ends.to_string())
    }

    #[test]
    fn the_end_of_a_certificate_is_read_in_both_forms() {
        let utc = |text| ends(UTC_TIME, text);
        assert_eq!(
            utc("261231235958Z").as_deref(),
            Some("2026-12-31T23:59:58Z")
        );
        assert_eq!(
            utc("490101000000Z").as_deref(),
            Some("2049-01-01T00:00:00Z")
        );
        assert_eq!(
            utc("500101000000Z").as_deref(),
            Some("1950-01-01T00:00:00Z")
        );
        let long = |text| ends(GENERALIZED_TIME, text);
        assert_eq!(
            long("20500101000000Z").as_deref(),
            Some("2050-01-01T00:00:00Z")
        );
    }

    #[test]
    fn what_is_no_moment_is_none() {
        for text in [
            "",
            "Z",
            "261231235958",
            "2612312359Z",
            "26123123595800Z",
            "261331235958Z",
            "26123123595 Z",
            "+61231235958Z",
            "é61231235958Z",
        ] {
            assert_eq!(ends(UTC_TIME, text), None, "{text}");
        }
        assert_eq!(ends(GENERALIZED_TIME, "261231235958Z"), None);
        assert_eq!(ends(4, "261231235958Z"), None);
    }

    proptest! {
        #[test]
        fn whatever_octets_there_are_nothing_breaks(
            octets in prop::collection::vec(any::<u8>(), 0..300),
            at in 0_usize..200,
            octet in any::<u8>(),
        ) {
            let _ = not_after(&octets);
            let mut damaged = certificate(true, UTC_TIME, "261231235958Z");
            let at = at % damaged.len();
            damaged[at] = octet;
            let _ = not_after(&damaged);
            damaged.truncate(at);
            prop_assert_eq!(not_after(&damaged), None);
        }
    }
}
