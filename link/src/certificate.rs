//! What a certificate says of its own life (RFC 5280 §4.1.2.5), for measures (cluster §17): TLS itself judges
//! certificates in handshakes.

use std::time::Duration;

use mesh_common::time::Timestamp;
use rustls::pki_types::{CertificateDer, UnixTime};
use webpki::{EndEntityCert, Error, KeyUsage};

/// The last moment at which `certificate` is good; `None` if it is none that TLS would take.
///
/// The library that judges certificates tells a date in one place only: it refuses what has ended, and says
/// when that was. So it is asked to judge for the end of time, when every certificate has ended. It looks at
/// dates before it looks for an authority, of which it is given none.
#[must_use]
pub fn not_after(certificate: &CertificateDer<'_>) -> Option<Timestamp> {
    let read = EndEntityCert::try_from(certificate).ok()?;
    let end_of_time = UnixTime::since_unix_epoch(Duration::from_secs(u64::MAX));
    let usage = KeyUsage::server_auth();
    let judged = read.verify_for_usage(&[], &[], &[], end_of_time, usage, None, None);
    match judged.err()? {
        Error::CertExpired { not_after, .. } => {
            let seconds = i64::try_from(not_after.as_secs()).ok()?;
            Some(Timestamp::from_secs(seconds))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use proptest::prelude::*;
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;

    static WHOLE: LazyLock<Vec<u8>> = LazyLock::new(|| until(2026, 12, 31).to_vec());

    /// A certificate that is good up to the beginning of a day.
    fn until(year: i32, month: u8, day: u8) -> CertificateDer<'static> {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(["a.example".to_owned()]).unwrap();
        params.not_before = date_time_ymd(1999, 1, 1);
        params.not_after = date_time_ymd(year, month, day);
        params.self_signed(&key).unwrap().der().clone()
    }

    // Years before 2050 are written with two digits, later ones with four.
    #[test]
    fn the_end_of_a_certificate_is_read_in_both_forms() {
        for (year, month, day, end) in [
            (2001, 2, 3, "2001-02-03T00:00:00Z"),
            (2026, 12, 31, "2026-12-31T00:00:00Z"),
            (2049, 12, 31, "2049-12-31T00:00:00Z"),
            (2050, 1, 1, "2050-01-01T00:00:00Z"),
            (9998, 12, 31, "9998-12-31T00:00:00Z"),
        ] {
            let read = not_after(&until(year, month, day));
            assert_eq!(read, Some(end.parse().unwrap()), "{end}");
        }
    }

    #[test]
    fn what_is_no_certificate_has_no_end() {
        for octets in [&b""[..], b"0", &[0x30, 0x03, 2, 1, 0]] {
            assert_eq!(not_after(&CertificateDer::from(octets)), None);
        }
        for length in 0..WHOLE.len() {
            let cut = CertificateDer::from(&WHOLE[..length]);
            assert_eq!(not_after(&cut), None, "of {length} octets");
        }
    }

    proptest! {
        #[test]
        fn whatever_octets_there_are_nothing_breaks(
            octets in prop::collection::vec(any::<u8>(), 0..300),
            at in 0_usize..200,
            octet in any::<u8>(),
        ) {
            let _ = not_after(&CertificateDer::from(&octets[..]));
            let mut damaged = WHOLE.to_vec();
            damaged[at] = octet;
            let _ = not_after(&CertificateDer::from(damaged));
        }
    }
}
