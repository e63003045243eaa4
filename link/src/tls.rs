//! TLS 1.3 between the processes of a cluster: both ends show a certificate of the cluster's authority,
//! and what counts is the cluster and the roles it names, not the host (decision Q-61).
//!
//! Processes come and go under any address, so an address proves nothing. Certificates are read from
//! files, and again on [`LinkTls::reload`]: new connections have the new ones, and those that were made
//! before are closed as soon as nothing is under way on them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use mesh_common::time::Timestamp;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::{NoServerSessionStorage, ParsedCertificate, WebPkiClientVerifier};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, ServerConfig,
    SignatureScheme, version::TLS13,
};
use tokio::sync::watch;

use crate::certificate;
use crate::identity::{ClusterName, LinkRoles};

/// Where the certificates of a process are, all PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkFiles {
    /// The authorities that are trusted: one, or two while one replaces the other.
    pub authorities: PathBuf,
    /// The certificate of this process, and those between it and the authority.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// Why certificates cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LinkTlsError {
    /// A file that cannot be read.
    #[error("cannot read {}: check the path and that this user may read it", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: rustls::pki_types::pem::Error,
    },
    /// A file without a certificate.
    #[error("{} holds no certificate: it must be PEM", path.display())]
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
        cause: Error,
    },
    /// The certificate is for another cluster, or for none.
    #[error(
        "the certificate in {} names no role in the cluster {cluster}: issue one with `meshd ca node`",
        path.display()
    )]
    NoRole {
        /// The certificate's file.
        path: PathBuf,
        /// The cluster.
        cluster: ClusterName,
    },
    /// The library refuses.
    #[error("TLS cannot be set up")]
    Setup(#[source] Error),
}

/// The certificates in use by one process, replaceable at any time.
#[derive(Debug)]
pub struct LinkTls {
    cluster: ClusterName,
    files: LinkFiles,
    current: ArcSwap<Certificates>,
    reloads: watch::Sender<u64>,
}

/// What follows from the files, as they were read once.
#[derive(Debug)]
struct Certificates {
    server: Arc<ServerConfig>,
    client: Arc<ClientConfig>,
    roles: LinkRoles,
    not_after: Option<Timestamp>,
}

impl LinkTls {
    /// Starts with what the files hold.
    ///
    /// # Errors
    /// [`LinkTlsError`]: which file, and what is wrong with it.
    pub fn from_files(cluster: ClusterName, files: LinkFiles) -> Result<Self, LinkTlsError> {
        let certificates = read(&cluster, &files)?;
        Ok(Self {
            cluster,
            files,
            current: ArcSwap::from_pointee(certificates),
            reloads: watch::Sender::new(0),
        })
    }

    /// When the present certificate ends, if it says so.
    #[must_use]
    pub fn not_after(&self) -> Option<Timestamp> {
        self.current.load().not_after
    }

    /// Takes up what the files hold now. On an error the present certificates stay in use.
    ///
    /// # Errors
    /// As [`Self::from_files`].
    pub fn reload(&self) -> Result<(), LinkTlsError> {
        let certificates = read(&self.cluster, &self.files)?;
        self.current.store(Arc::new(certificates));
        self.reloads.send_modify(|count| *count += 1);
        Ok(())
    }

    /// The cluster.
    #[must_use]
    pub const fn cluster(&self) -> &ClusterName {
        &self.cluster
    }

    /// The roles that this process can show to have.
    #[must_use]
    pub fn roles(&self) -> LinkRoles {
        self.current.load().roles
    }

    pub(crate) fn server(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.current.load().server)
    }

    pub(crate) fn client(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.current.load().client)
    }

    /// Counts the reloads.
    pub(crate) fn reloads(&self) -> watch::Receiver<u64> {
        self.reloads.subscribe()
    }

    /// The roles of whoever showed `chain` in a handshake that ended well.
    pub(crate) fn roles_of(&self, chain: Option<&[CertificateDer<'_>]>) -> LinkRoles {
        chain
            .and_then(<[_]>::first)
            .map_or_else(LinkRoles::default, |certificate| {
                LinkRoles::of(certificate, &self.cluster)
            })
    }
}

/// How links are secured.
#[derive(Debug, Clone)]
pub enum LinkSecurity {
    /// By certificates on both ends.
    Mutual(Arc<LinkTls>),
    /// Not at all: on loopback only, where every process may do everything (architecture A-5).
    PlainOnLoopback,
}

fn read(cluster: &ClusterName, files: &LinkFiles) -> Result<Certificates, LinkTlsError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut roots = RootCertStore::empty();
    for authority in certificates(&files.authorities)? {
        roots.add(authority).map_err(LinkTlsError::Setup)?;
    }
    let chain = certificates(&files.certificate)?;
    let roles = chain
        .first()
        .map_or_else(LinkRoles::default, |certificate| {
            LinkRoles::of(certificate, cluster)
        });
    if !roles.any() {
        return Err(LinkTlsError::NoRole {
            path: files.certificate.clone(),
            cluster: cluster.clone(),
        });
    }
    let not_after = chain.first().and_then(certificate::not_after);
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(unreadable(&files.key))?;
    let unusable = |cause| LinkTlsError::Unusable {
        path: files.certificate.clone(),
        cause,
    };
    let roots = Arc::new(roots);
    let verifier = NodeVerifier {
        cluster: cluster.clone(),
        roots: Arc::clone(&roots),
        provider: Arc::clone(&provider),
    };
    let mut client = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&TLS13])
        .map_err(LinkTlsError::Setup)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_client_auth_cert(chain.clone(), key.clone_key())
        .map_err(unusable)?;
    client.resumption = rustls::client::Resumption::disabled();
    client.enable_sni = false;
    let server = server_config(roots, provider, chain, key).map_err(unusable)?;
    Ok(Certificates {
        server: Arc::new(server),
        client: Arc::new(client),
        roles,
        not_after,
    })
}

fn server_config(
    roots: Arc<RootCertStore>,
    provider: Arc<CryptoProvider>,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<ServerConfig, Error> {
    let of_clients =
        WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(&provider)).build();
    let of_clients = of_clients.map_err(|error| Error::General(error.to_string()))?;
    let mut server = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])?
        .with_client_cert_verifier(of_clients)
        .with_single_cert(chain, key)?;
    // A resumed session would outlive the certificate that it began with. Connections are kept, so
    // handshakes are rare.
    server.session_storage = Arc::new(NoServerSessionStorage {});
    server.send_tls13_tickets = 0;
    Ok(server)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, LinkTlsError> {
    let all: Vec<_> = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect)
        .map_err(unreadable(path))?;
    if all.is_empty() {
        return Err(LinkTlsError::NoCertificate {
            path: path.to_owned(),
        });
    }
    Ok(all)
}

fn unreadable(path: &Path) -> impl FnOnce(rustls::pki_types::pem::Error) -> LinkTlsError {
    let path = path.to_owned();
    move |cause| LinkTlsError::Unreadable { path, cause }
}

/// Accepts nodes of the cluster: a chain to its authority, and the name of a role with a store.
#[derive(Debug)]
struct NodeVerifier {
    cluster: ClusterName,
    roots: Arc<RootCertStore>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for NodeVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        verify_server_cert_signed_by_trust_anchor(
            &ParsedCertificate::try_from(end_entity)?,
            &self.roots,
            intermediates,
            now,
            self.provider.signature_verification_algorithms.all,
        )?;
        if LinkRoles::of(end_entity, &self.cluster).is_node() {
            return Ok(ServerCertVerified::assertion());
        }
        Err(Error::InvalidCertificate(CertificateError::NotValidForName))
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
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let algorithms = &self.provider.signature_verification_algorithms;
        algorithms.supported_schemes()
    }
}
