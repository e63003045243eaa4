//! A private certificate authority for the processes of one cluster, for those who have none
//! (architecture A-5, decision Q-61).
//!
//! The authority signs nothing but certificates of this cluster's processes. Each is for both ends of a
//! link, and names the roles of its process. A new certificate, or a second authority beside the first,
//! is taken up by a reload ([`LinkTls::reload`](crate::tls::LinkTls::reload)).

use std::time::Duration;

use mesh_common::time::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, SanType, date_time_ymd,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, UnixTime};
use zeroize::Zeroizing;

use crate::identity::{ClusterName, LinkRole, LinkRoles};

/// How long an authority is valid unless told otherwise.
pub const AUTHORITY_LIFE: Duration = Duration::from_secs(10 * 365 * 86_400);
/// How long the certificate of a process is valid unless told otherwise.
pub const NODE_LIFE: Duration = Duration::from_secs(365 * 86_400);
/// Certificates are valid from this long before they were made, so that a slow clock does no harm.
const BEFORE: Duration = Duration::from_secs(86_400);

/// A certificate and its private key, both PEM.
pub struct Issued {
    /// The certificate.
    pub certificate: String,
    /// The private key; wiped, and never printed.
    pub key: Zeroizing<String>,
}

impl std::fmt::Debug for Issued {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("a certificate and its key")
    }
}

/// Why nothing was issued.
#[derive(Debug, thiserror::Error)]
pub enum CaError {
    /// The authority's certificate and key are no pair, or of another cluster.
    #[error("the certificate and key are not those of this cluster's authority")]
    Authority,
    /// A process needs a role.
    #[error("a node's certificate names at least one role")]
    NoRole,
    /// A host name that no certificate can carry.
    #[error("{name:?} is no name that a certificate can carry")]
    Name {
        /// The name.
        name: String,
        /// Why.
        #[source]
        cause: rcgen::Error,
    },
    /// The library failed.
    #[error("the certificate cannot be made")]
    Make(#[source] rcgen::Error),
}

/// Makes an authority for `cluster`, valid from now for `life`.
///
/// # Errors
/// [`CaError::Make`].
pub fn authority(cluster: &ClusterName, now: Timestamp, life: Duration) -> Result<Issued, CaError> {
    let key = KeyPair::generate().map_err(CaError::Make)?;
    let mut params = authority_params(cluster)?;
    set_dates(&mut params, now, life);
    let certificate = params.self_signed(&key).map_err(CaError::Make)?;
    Ok(Issued {
        certificate: certificate.pem(),
        key: Zeroizing::new(key.serialize_pem()),
    })
}

/// Issues a certificate for a process of `cluster` that has `roles`, signed by `by`, valid from now for
/// `life`. `hosts` are names and addresses for other programs to check; the link itself does not look
/// at them, since processes come and go under any address.
///
/// # Errors
/// [`CaError`].
pub fn node(
    by: &Issued,
    cluster: &ClusterName,
    roles: LinkRoles,
    hosts: &[String],
    now: Timestamp,
    life: Duration,
) -> Result<Issued, CaError> {
    if !roles.any() {
        return Err(CaError::NoRole);
    }
    let authority_key = KeyPair::from_pem(&by.key).map_err(|_| CaError::Authority)?;
    let issuer = Issuer::new(authority_params(cluster)?, authority_key);
    let key = KeyPair::generate().map_err(CaError::Make)?;
    let mut params = CertificateParams::default();
    set_dates(&mut params, now, life);
    for host in hosts {
        params.subject_alt_names.push(name_of_host(host)?);
    }
    for role in LinkRole::ALL.into_iter().filter(|role| roles.has(*role)) {
        let uri = role.uri(cluster).try_into().map_err(CaError::Make)?;
        params.subject_alt_names.push(SanType::URI(uri));
    }
    params.distinguished_name = named(format!("Mesh node of {cluster} ({roles})"));
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::ServerAuth,
        ExtendedKeyUsagePurpose::ClientAuth,
    ];
    let certificate = params.signed_by(&key, &issuer).map_err(CaError::Make)?;
    check_issuer(&by.certificate, certificate.der(), now)?;
    Ok(Issued {
        certificate: certificate.pem(),
        key: Zeroizing::new(key.serialize_pem()),
    })
}

/// What the certificate of `cluster`'s authority says, its dates apart. What it issues is signed in this
/// name.
fn authority_params(cluster: &ClusterName) -> Result<CertificateParams, CaError> {
    let mut params = CertificateParams::new(Vec::<String>::new()).map_err(CaError::Make)?;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.distinguished_name = named(format!("Mesh cluster {cluster}"));
    Ok(params)
}

fn named(name: String) -> DistinguishedName {
    let mut all = DistinguishedName::new();
    all.push(DnType::CommonName, name);
    all
}

/// Makes sure that whoever trusts `authority` trusts `issued`: the certificate and the key may be of two
/// authorities, or of another cluster's.
fn check_issuer(
    authority: &str,
    issued: &CertificateDer<'_>,
    now: Timestamp,
) -> Result<(), CaError> {
    let authority = CertificateDer::from_pem_slice(authority.as_bytes());
    let authority = authority.map_err(|_| CaError::Authority)?;
    let seconds = u64::try_from(now.as_secs()).unwrap_or_default();
    let moment = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
    let trusts = || {
        let anchor = webpki::anchor_from_trusted_cert(&authority)?;
        let issued = webpki::EndEntityCert::try_from(issued)?;
        issued
            .verify_for_usage(
                webpki::ALL_VERIFICATION_ALGS,
                &[anchor],
                &[],
                moment,
                webpki::KeyUsage::server_auth(),
                None,
                None,
            )
            .map(drop)
    };
    trusts().map_err(|_: webpki::Error| CaError::Authority)
}

fn name_of_host(host: &str) -> Result<SanType, CaError> {
    if let Ok(address) = host.parse() {
        return Ok(SanType::IpAddress(address));
    }
    let name = host.try_into().map_err(|cause| CaError::Name {
        name: host.to_owned(),
        cause,
    })?;
    Ok(SanType::DnsName(name))
}

/// Certificates begin and end with a day.
fn set_dates(params: &mut CertificateParams, now: Timestamp, life: Duration) {
    let (year, month, day) = day_of(now - BEFORE);
    params.not_before = date_time_ymd(year, month, day);
    let (year, month, day) = day_of(now + life + BEFORE);
    params.not_after = date_time_ymd(year, month, day);
}

fn day_of(time: Timestamp) -> (i32, u8, u8) {
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

    const NOW: Timestamp = Timestamp::from_secs(1_900_000_000);

    #[test]
    fn a_certificate_names_its_roles_and_is_trusted_by_its_authority() {
        let cluster: ClusterName = "example".parse().unwrap();
        let by = authority(&cluster, NOW, AUTHORITY_LIFE).unwrap();
        let roles: LinkRoles = [LinkRole::Frontend, LinkRole::Outbound]
            .into_iter()
            .collect();
        let hosts = ["10.0.0.7".to_owned(), "node.example".to_owned()];
        let issued = node(&by, &cluster, roles, &hosts, NOW, NODE_LIFE).unwrap();
        let der = CertificateDer::from_pem_slice(issued.certificate.as_bytes()).unwrap();
        assert_eq!(LinkRoles::of(&der, &cluster), roles);
        let other = "elsewhere".parse().unwrap();
        assert_eq!(LinkRoles::of(&der, &other), LinkRoles::default());
        assert_eq!(format!("{issued:?}"), "a certificate and its key");
    }

    #[test]
    fn nothing_is_issued_by_what_is_no_authority_of_the_cluster() {
        let cluster: ClusterName = "example".parse().unwrap();
        let by = authority(&cluster, NOW, AUTHORITY_LIFE).unwrap();
        let role: LinkRoles = [LinkRole::Backend].into_iter().collect();
        let issue = |by: &Issued, cluster: &ClusterName, hosts: &[&str]| {
            let hosts: Vec<String> = hosts.iter().copied().map(str::to_owned).collect();
            node(by, cluster, role, &hosts, NOW, NODE_LIFE).map(drop)
        };
        let other = authority(&cluster, NOW, AUTHORITY_LIFE).unwrap();
        let mixed = Issued {
            certificate: other.certificate,
            key: by.key.clone(),
        };
        let elsewhere = "elsewhere".parse().unwrap();
        for refused in [issue(&mixed, &cluster, &[]), issue(&by, &elsewhere, &[])] {
            assert!(matches!(refused, Err(CaError::Authority)), "{refused:?}");
        }
        let unnameable = issue(&by, &cluster, &["b\u{fc}ro"]);
        assert!(matches!(unnameable, Err(CaError::Name { .. })));
        let without = node(&by, &cluster, LinkRoles::default(), &[], NOW, NODE_LIFE);
        assert!(matches!(without, Err(CaError::NoRole)));
        assert!(issue(&by, &cluster, &["localhost"]).is_ok());
    }
}
