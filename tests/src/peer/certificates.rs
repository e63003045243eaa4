//! The authority of a test, and the certificates it gives: good ones, and each kind of bad one.

use std::fmt;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::conduct::Flaw;

/// The first and the last year of a certificate that is good.
const VALID: (i32, i32) = (2020, 2090);
/// Those of one whose time is over.
const OVER: (i32, i32) = (2020, 2021);

/// A certificate authority that only this process knows.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

/// A certificate and its key.
#[derive(Debug)]
pub struct Certificate {
    /// The certificate.
    pub certificate: CertificateDer<'static>,
    /// Its private key.
    pub key: PrivateKeyDer<'static>,
    /// The certificate as PEM.
    pub certificate_pem: String,
    /// The key as PEM.
    pub key_pem: String,
}

impl Authority {
    /// A new authority.
    ///
    /// # Panics
    /// If the cryptographic provider fails.
    #[must_use]
    pub fn new() -> Self {
        let why = "an authority can be made of constants";
        let key = KeyPair::generate().expect(why);
        let mut params = CertificateParams::new(Vec::<String>::new()).expect(why);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params
            .distinguished_name
            .push(DnType::CommonName, "peer simulator CA");
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.not_before = date_time_ymd(VALID.0, 1, 1);
        params.not_after = date_time_ymd(VALID.1, 1, 1);
        let pem = params.self_signed(&key).expect(why).pem();
        Self {
            issuer: Issuer::new(params, key),
            pem,
        }
    }

    /// Its certificate as PEM: what the service under test must trust.
    #[must_use]
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// A good certificate for `names`.
    ///
    /// # Panics
    /// If a name is none.
    #[must_use]
    pub fn certify(&self, names: &[&str]) -> Certificate {
        self.certify_for(names, VALID)
    }

    /// A certificate for `names` with `flaw`.
    ///
    /// # Panics
    /// If a name is none.
    #[must_use]
    pub fn certify_badly(&self, names: &[&str], flaw: Flaw) -> Certificate {
        match flaw {
            Flaw::Expired => self.certify_for(names, OVER),
            Flaw::OtherName => self.certify(&["somebody-else.invalid"]),
            Flaw::OtherAuthority => Self::new().certify(names),
        }
    }

    fn certify_for(&self, names: &[&str], valid: (i32, i32)) -> Certificate {
        let why = "tests use names of servers";
        let key = KeyPair::generate().expect("the provider makes keys");
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let mut params = CertificateParams::new(names).expect(why);
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.not_before = date_time_ymd(valid.0, 1, 1);
        params.not_after = date_time_ymd(valid.1, 1, 1);
        let signed = params.signed_by(&key, &self.issuer).expect(why);
        Certificate {
            certificate: signed.der().clone(),
            certificate_pem: signed.pem(),
            key_pem: key.serialize_pem(),
            key: PrivateKeyDer::Pkcs8(key.serialize_der().into()),
        }
    }
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Authority").finish_non_exhaustive()
    }
}
