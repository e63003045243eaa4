//! A certificate authority and a certificate for `localhost`, for first steps on one host.
//!
//! A service for others needs a certificate that others trust: settings `tls.certificate` and
//! `tls.key`.

use mesh_common::time::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};

/// Years the development certificates are valid.
const VALID_YEARS: i32 = 10;

/// A CA and one host certificate, all PEM.
#[derive(Debug)]
pub struct DevelopmentCertificates {
    /// The CA's certificate: what clients are told to trust.
    pub ca: String,
    /// The host's certificate.
    pub certificate: String,
    /// The host's private key.
    pub key: String,
}

/// Makes a CA, signs one certificate for `names` with it, and forgets the CA's key.
///
/// # Errors
/// A name that no certificate can carry.
pub fn make(names: &[String], now: Timestamp) -> Result<DevelopmentCertificates, rcgen::Error> {
    let ca_key = KeyPair::generate()?;
    let mut ca_params = dated(CertificateParams::new(Vec::<String>::new())?, now);
    ca_params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    ca_params
        .distinguished_name
        .push(DnType::CommonName, "meshd development CA");
    ca_params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let ca = ca_params.self_signed(&ca_key)?;
    let issuer = Issuer::new(ca_params, ca_key);

    let key = KeyPair::generate()?;
    let mut params = dated(CertificateParams::new(names.to_vec())?, now);
    params
        .distinguished_name
        .push(DnType::CommonName, "meshd development host");
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let certificate = params.signed_by(&key, &issuer)?;
    Ok(DevelopmentCertificates {
        ca: ca.pem(),
        certificate: certificate.pem(),
        key: key.serialize_pem(),
    })
}

/// Valid from a day ago, so that a slow clock does no harm.
fn dated(mut params: CertificateParams, now: Timestamp) -> CertificateParams {
    let (year, month, day) = date_of(now - std::time::Duration::from_secs(86_400));
    params.not_before = date_time_ymd(year, month, day);
    // The 28th exists in every month of every year.
    params.not_after = date_time_ymd(year + VALID_YEARS, month, day.min(28));
    params
}

fn date_of(time: Timestamp) -> (i32, u8, u8) {
    let text = time.to_text();
    let number = |range: std::ops::Range<usize>| text[range].parse::<u16>().unwrap_or(1);
    (
        i32::from(number(0..4)),
        number(5..7) as u8,
        number(8..10) as u8,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_certificates_are_pem_and_the_key_is_private() {
        let now = Timestamp::from_secs(1_900_000_000);
        let made = make(&["localhost".into(), "127.0.0.1".into()], now).unwrap();
        assert!(made.ca.starts_with("-----BEGIN CERTIFICATE-----"));
        assert!(made.certificate.starts_with("-----BEGIN CERTIFICATE-----"));
        assert!(made.key.contains("PRIVATE KEY"));
    }

    #[test]
    fn the_date_is_read_from_the_moment() {
        assert_eq!(
            date_of("2028-02-29T10:00:00Z".parse().unwrap()),
            (2028, 2, 29)
        );
    }
}
