//! TLS 1.3 and nothing older, post-quantum key exchange preferred, no client certificates
//! (P 4.2.1). Certificates are replaced while connections stay open: each handshake asks the
//! [`CertificateSlot`] for the present one.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use mesh_common::time::Timestamp;
use mesh_link::certificate;
use rustls::crypto::CryptoProvider;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{ServerConfig, version::TLS13};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

/// Why a certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file that cannot be read.
    #[error("cannot read {}: check the path and that this user may read it", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: rustls_pki_types::pem::Error,
    },
    /// A file without a certificate.
    #[error("{} holds no certificate: it must be PEM, the host's certificate first", path.display())]
    NoCertificate {
        /// The file.
        path: PathBuf,
    },
    /// Certificate and key are no pair, or of an unknown kind.
    #[error("the certificate in {} and its key cannot be used together", path.display())]
    Unusable {
        /// The certificate's file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: rustls::Error,
    },
    /// The library refuses the configuration.
    #[error("TLS cannot be set up")]
    Setup(#[source] rustls::Error),
}

/// The certificate in use, replaceable at any time.
#[derive(Debug)]
pub struct CertificateSlot {
    current: ArcSwap<CertifiedKey>,
}

impl CertificateSlot {
    /// Starts with what the two PEM files hold.
    ///
    /// # Errors
    /// [`TlsError`]: which file, and what is wrong with it.
    pub fn from_files(chain: &Path, key: &Path) -> Result<Self, TlsError> {
        Ok(Self {
            current: ArcSwap::from_pointee(certified_key(chain, key)?),
        })
    }

    /// Takes up what the files hold now. On an error the present certificate stays in use.
    ///
    /// # Errors
    /// As [`Self::from_files`].
    pub fn reload(&self, chain: &Path, key: &Path) -> Result<(), TlsError> {
        self.current.store(Arc::new(certified_key(chain, key)?));
        Ok(())
    }
}

impl CertificateSlot {
    /// When the present certificate ends, if it says so.
    #[must_use]
    pub fn not_after(&self) -> Option<Timestamp> {
        let current = self.current.load();
        current.cert.first().and_then(certificate::not_after)
    }
}

impl ResolvesServerCert for CertificateSlot {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current.load_full())
    }
}

/// The configuration of every TLS listener. The HTTP library adds the protocols it speaks: HTTP/1.1,
/// and HTTP/2 with the feature `http2` (architecture A-5).
///
/// # Errors
/// [`TlsError::Setup`] if the provider lacks TLS 1.3, which ours does not.
pub fn server_config(slot: Arc<CertificateSlot>) -> Result<ServerConfig, TlsError> {
    Ok(ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])
        .map_err(TlsError::Setup)?
        .with_no_client_auth()
        .with_cert_resolver(slot))
}

/// The one cryptographic provider of the process: aws-lc-rs, whose first key exchange is
/// X25519MLKEM768.
#[must_use]
pub fn provider() -> Arc<CryptoProvider> {
    CryptoProvider::get_default().map_or_else(
        || Arc::new(rustls::crypto::aws_lc_rs::default_provider()),
        Arc::clone,
    )
}

fn certified_key(chain: &Path, key: &Path) -> Result<CertifiedKey, TlsError> {
    let unreadable = |path: &Path| {
        let path = path.to_owned();
        move |cause| TlsError::Unreadable { path, cause }
    };
    let certificates: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(chain)
        .and_then(Iterator::collect)
        .map_err(unreadable(chain))?;
    if certificates.is_empty() {
        return Err(TlsError::NoCertificate {
            path: chain.to_owned(),
        });
    }
    let key = PrivateKeyDer::from_pem_file(key).map_err(unreadable(key))?;
    CertifiedKey::from_der(certificates, key, &provider()).map_err(|cause| TlsError::Unusable {
        path: chain.to_owned(),
        cause,
    })
}
