//! TLS 1.3 towards other services: the certificate must name the domain, or `mmm.` and the domain
//! (decision Q-17).

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};
use tokio_rustls::TlsConnector;

use crate::peers::PeersError;

/// What connections are secured by: the authorities that the system trusts, and those in the files
/// `authorities`. All are read now.
pub(crate) fn connector(authorities: &[PathBuf]) -> Result<TlsConnector, PeersError> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    for path in authorities {
        trust(&mut roots, path)?;
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    if roots.is_empty() {
        tracing::warn!("no certificate authority is trusted here: no other service can be reached");
    }
    // Without any authority nothing can be trusted, which is no reason not to run.
    let of_authorities =
        WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider)).build();
    let verifier = DomainVerifier {
        of_authorities: of_authorities.ok(),
        provider: Arc::clone(&provider),
    };
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsConnector::from(Arc::new(config)))
}

fn trust(roots: &mut RootCertStore, path: &Path) -> Result<(), PeersError> {
    let wrong = |cause: Box<dyn std::error::Error + Send + Sync>| PeersError::Authorities {
        path: path.to_owned(),
        cause,
    };
    let certificates = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| wrong(error.into()))?;
    if certificates.is_empty() {
        return Err(wrong("the file holds no certificate".into()));
    }
    for certificate in certificates {
        roots
            .add(certificate)
            .map_err(|error| wrong(error.into()))?;
    }
    Ok(())
}

/// Accepts what the usual rules accept for the domain, or for `mmm.` and the domain.
#[derive(Debug)]
struct DomainVerifier {
    of_authorities: Option<Arc<WebPkiServerVerifier>>,
    provider: Arc<CryptoProvider>,
}

impl DomainVerifier {
    fn of_authorities(&self) -> Result<&WebPkiServerVerifier, Error> {
        let unknown = || Error::InvalidCertificate(CertificateError::UnknownIssuer);
        self.of_authorities.as_deref().ok_or_else(unknown)
    }
}

impl ServerCertVerifier for DomainVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verify = |name: &ServerName<'_>| {
            self.of_authorities()?.verify_server_cert(
                end_entity,
                intermediates,
                name,
                ocsp_response,
                now,
            )
        };
        let refusal = match verify(server_name) {
            Err(refusal) if is_about_the_name(&refusal) => refusal,
            verdict => return verdict,
        };
        match mesh_name(server_name) {
            Some(name) => verify(&name).map_err(|_| refusal),
            None => Err(refusal),
        }
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("TLS 1.2 is not spoken".into()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let verifier = self.of_authorities()?;
        verifier.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let algorithms = &self.provider.signature_verification_algorithms;
        algorithms.supported_schemes()
    }
}

const fn is_about_the_name(error: &Error) -> bool {
    matches!(
        error,
        Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. }
        )
    )
}

/// `mmm.` and the domain.
fn mesh_name(domain: &ServerName<'_>) -> Option<ServerName<'static>> {
    let ServerName::DnsName(domain) = domain else {
        return None;
    };
    ServerName::try_from(format!("mmm.{}", domain.as_ref())).ok()
}
