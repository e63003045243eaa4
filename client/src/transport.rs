//! How a request reaches a service: one POST, one answer. [`Https`] is the way over the network;
//! tests and the demonstration plug in others. Service §2, decision Q-17, architecture.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use mesh_common::protocol::KnownState;
use mesh_common::time::Timestamp;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use crate::limits::{CONNECT_TIME_MAX, EXCHANGE_TIME_MAX, RESPONSE_BYTES_MAX};

/// Where every transaction is posted to (protocol draft §4.1).
pub const WELL_KNOWN_PATH: &str = "/.well-known/mmm";

/// What came back.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reply {
    /// HTTP's status code; what the payload says rules over it (P 10.2).
    pub http_status: u16,
    /// The body.
    pub body: Vec<u8>,
    /// The service's clock, from `Date`.
    pub date: Option<Timestamp>,
    /// How long to wait before trying again, from `Retry-After`.
    pub retry_after: Option<Duration>,
    /// Whether the service waited as it was asked to, or would have: `Preference-Applied`.
    pub has_waited: bool,
}

/// How long the service may wait with its answer, and for something else than what (RFC 7240,
/// architecture A-14). Written as the value of `Prefer`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Preference {
    /// For how long, in whole seconds.
    pub time: Duration,
    /// What is no news.
    pub known: KnownState,
}

impl fmt::Display for Preference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.time.as_secs();
        write!(formatter, "wait={seconds}; known=\"{}\"", self.known)
    }
}

/// The future of a [`Reply`].
pub type Posting<'a> = Pin<Box<dyn Future<Output = Result<Reply, TransportError>> + Send + 'a>>;

/// A way to reach services.
pub trait Transport: Send + Sync {
    /// Posts `body` to the service at `url`, which names scheme, host and port only.
    fn post<'a>(&'a self, url: &'a str, body: Vec<u8>) -> Posting<'a>;

    /// The same, with a preference. A way that knows none is answered at once, which every service may
    /// do.
    fn post_preferring<'a>(
        &'a self,
        url: &'a str,
        body: Vec<u8>,
        _preference: Preference,
    ) -> Posting<'a> {
        self.post(url, body)
    }

    /// Fetches what everybody may have: `path` of the host that `url` names.
    fn get<'a>(&'a self, url: &'a str, path: &'a str) -> Posting<'a> {
        let url = url.to_owned();
        let source = format!("nothing but requests goes this way, {path} does not").into();
        Box::pin(async move { Err(TransportError::Unreachable { url, source }) })
    }
}

/// A service that could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// The service's address is none.
    #[error("{url:?} is not the address of a service")]
    Url {
        /// What was given.
        url: String,
    },
    /// The certificate authorities cannot be used.
    #[error("there is no certificate authority in what was given as one")]
    Authorities(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The TLS library cannot be set up as we need it.
    #[error("TLS 1.3 is not available")]
    Tls(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Nobody answers there, or not as the name says.
    #[error("the service at {url} cannot be reached")]
    Unreachable {
        /// The address.
        url: String,
        /// What the network says.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The certificate of the service is not trusted, or names another host.
    #[error("the certificate of the service at {url} is not trusted")]
    Untrusted {
        /// The address.
        url: String,
        /// What TLS says.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// No whole answer in [`EXCHANGE_TIME_MAX`].
    #[error("the service at {url} did not answer in time")]
    TimedOut {
        /// The address.
        url: String,
    },
    /// More than [`RESPONSE_BYTES_MAX`] came back.
    #[error("the service at {url} answers with more than {RESPONSE_BYTES_MAX} octets")]
    TooLarge {
        /// The address.
        url: String,
    },
}

impl TransportError {
    /// What to do about it.
    #[must_use]
    pub fn advice(&self) -> String {
        match self {
            Self::Url { .. } => "write it as https://host:port with --service".into(),
            Self::Authorities { .. } => "name a file of certificates in PEM form with --ca".into(),
            Self::Tls(_) => "build the program with its default features".into(),
            Self::Unreachable { .. } | Self::TimedOut { .. } => {
                "check that the service runs and can be reached from here, then repeat".into()
            }
            Self::Untrusted { .. } => {
                "name the authority that signed it with --ca, if you trust that one".into()
            }
            Self::TooLarge { .. } => "report this to the operator of the service".into(),
        }
    }

    /// Whether asking again a little later may help.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::TimedOut { .. })
    }
}

/// HTTPS with TLS 1.3 only: the certificates the system trusts, and those of one more file.
#[derive(Clone)]
pub struct Https {
    client: reqwest::Client,
}

impl fmt::Debug for Https {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Https")
    }
}

impl Https {
    /// Trusts what the system trusts, and the certificates in the PEM text `authorities`.
    ///
    /// # Errors
    /// [`TransportError::Authorities`], [`TransportError::Tls`].
    pub fn trusting(authorities: Option<&str>) -> Result<Self, TransportError> {
        let tls = |error: rustls::Error| TransportError::Tls(error.into());
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = rustls::ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(tls)?
            .with_root_certificates(trusted(authorities)?)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(config)
            .http1_only()
            .https_only(true)
            .tcp_nodelay(true)
            .connect_timeout(CONNECT_TIME_MAX)
            .timeout(EXCHANGE_TIME_MAX)
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("mesh/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| TransportError::Tls(error.into()))?;
        Ok(Self { client })
    }

    async fn exchange(
        &self,
        url: &str,
        body: Vec<u8>,
        preference: Option<Preference>,
    ) -> Result<Reply, TransportError> {
        let mut request = self
            .client
            .post(endpoint(url)?)
            .header("Content-Type", "application/json")
            .header("Cache-Control", "no-store");
        if let Some(preference) = preference {
            request = request
                .header("Prefer", preference.to_string())
                .timeout(preference.time + EXCHANGE_TIME_MAX);
        }
        Self::reply(url, request.body(body)).await
    }

    async fn fetch(&self, url: &str, path: &str) -> Result<Reply, TransportError> {
        let mut target = endpoint(url)?;
        target.set_path(path);
        Self::reply(url, self.client.get(target)).await
    }

    async fn reply(url: &str, request: reqwest::RequestBuilder) -> Result<Reply, TransportError> {
        let failed = |error| failure(url, error);
        let mut response = request.send().await.map_err(failed)?;
        let mut reply = Reply {
            http_status: response.status().as_u16(),
            body: Vec::new(),
            date: text_of(&response, "date").and_then(|text| date_of(&text)),
            retry_after: text_of(&response, "retry-after")
                .and_then(|text| text.parse().ok())
                .map(Duration::from_secs),
            has_waited: text_of(&response, "preference-applied")
                .is_some_and(|text| text.starts_with("wait")),
        };
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            if reply.body.len() + chunk.len() > RESPONSE_BYTES_MAX {
                return Err(TransportError::TooLarge { url: url.into() });
            }
            reply.body.extend_from_slice(&chunk);
        }
        Ok(reply)
    }
}

impl Transport for Https {
    fn post<'a>(&'a self, url: &'a str, body: Vec<u8>) -> Posting<'a> {
        Box::pin(self.exchange(url, body, None))
    }

    fn post_preferring<'a>(
        &'a self,
        url: &'a str,
        body: Vec<u8>,
        preference: Preference,
    ) -> Posting<'a> {
        Box::pin(self.exchange(url, body, Some(preference)))
    }

    fn get<'a>(&'a self, url: &'a str, path: &'a str) -> Posting<'a> {
        Box::pin(self.fetch(url, path))
    }
}

/// The address a service of `domain` is expected at when nobody says otherwise: `mmm.<domain>`,
/// port 443 (decision Q-17).
#[must_use]
pub fn default_url(domain: &str) -> String {
    format!("https://mmm.{domain}")
}

/// The URL that requests for the service at `url` are posted to.
fn endpoint(url: &str) -> Result<reqwest::Url, TransportError> {
    let refusal = || TransportError::Url { url: url.into() };
    let mut target = reqwest::Url::parse(url).map_err(|_| refusal())?;
    if target.scheme() != "https" || target.host_str().is_none() {
        return Err(refusal());
    }
    if matches!(target.path(), "" | "/") {
        target.set_path(WELL_KNOWN_PATH);
    }
    Ok(target)
}

/// Refuses what cannot be the address of a service, before anything else is done.
///
/// # Errors
/// [`TransportError::Url`].
pub fn check_url(url: &str) -> Result<(), TransportError> {
    endpoint(url).map(drop)
}

fn trusted(authorities: Option<&str>) -> Result<RootCertStore, TransportError> {
    let mut roots = RootCertStore::empty();
    let system = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(system.certs);
    let Some(text) = authorities else {
        return Ok(roots);
    };
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(text.as_bytes())
        .collect::<Result<_, _>>()
        .map_err(|error| TransportError::Authorities(error.into()))?;
    if certificates.is_empty() {
        return Err(TransportError::Authorities(
            "the text holds no certificate".into(),
        ));
    }
    for certificate in certificates {
        roots
            .add(certificate)
            .map_err(|error| TransportError::Authorities(error.into()))?;
    }
    Ok(roots)
}

fn text_of(response: &reqwest::Response, name: &str) -> Option<String> {
    Some(response.headers().get(name)?.to_str().ok()?.to_owned())
}

fn date_of(text: &str) -> Option<Timestamp> {
    let zoned = jiff::fmt::rfc2822::parse(text).ok()?;
    Some(Timestamp::from_millis(zoned.timestamp().as_millisecond()))
}

fn failure(url: &str, error: reqwest::Error) -> TransportError {
    let url = url.to_owned();
    if error.is_timeout() {
        return TransportError::TimedOut { url };
    }
    let source: Box<dyn std::error::Error + Send + Sync> = error.without_url().into();
    if is_about_trust(source.as_ref()) {
        TransportError::Untrusted { url, source }
    } else {
        TransportError::Unreachable { url, source }
    }
}

/// Whether a certificate is what somewhere below this error was wrong. Errors of input and output
/// hold another error without calling it their source.
fn is_about_trust(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if matches!(
            error.downcast_ref(),
            Some(rustls::Error::InvalidCertificate(_))
        ) {
            return true;
        }
        let held = error
            .downcast_ref::<std::io::Error>()
            .and_then(std::io::Error::get_ref);
        next = match held {
            Some(held) => Some(held),
            None => error.source(),
        };
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    // P-4.2.1-c
    #[test]
    fn only_https_addresses_of_hosts_are_services() {
        for url in [
            "https://localhost:8443",
            "https://localhost:8443/",
            "https://x.org",
        ] {
            assert_eq!(endpoint(url).unwrap().path(), WELL_KNOWN_PATH);
        }
        assert_eq!(endpoint("https://x.org/mesh").unwrap().path(), "/mesh");
        for url in ["", "localhost", "http://x.org", "https://", "mailto:a@b"] {
            assert!(
                matches!(check_url(url), Err(TransportError::Url { .. })),
                "{url}"
            );
        }
    }

    #[test]
    fn dates_of_http_are_read() {
        assert_eq!(
            date_of("Tue, 10 Mar 2020 12:00:00 GMT"),
            "2020-03-10T12:00:00Z".parse().ok()
        );
        assert_eq!(date_of("yesterday"), None);
    }

    #[test]
    fn a_text_without_certificates_is_no_authority() {
        for text in [
            "",
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        ] {
            let error = Https::trusting(Some(text)).unwrap_err();
            assert!(matches!(error, TransportError::Authorities(_)), "{text}");
        }
        assert!(Https::trusting(None).is_ok());
    }

    #[test]
    fn a_certificate_that_is_not_trusted_is_told_however_deep_it_lies() {
        use std::io::{Error, ErrorKind};
        let wrong = rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer);
        let error = Error::other(Error::new(ErrorKind::InvalidData, wrong));
        assert!(is_about_trust(&error));
        assert!(!is_about_trust(&Error::other("something else")));
    }

    #[tokio::test]
    async fn a_port_where_nobody_listens_is_unreachable() {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("https://{}", free.local_addr().unwrap());
        drop(free);
        let error = Https::trusting(None).unwrap().post(&url, vec![]).await;
        let error = error.unwrap_err();
        assert!(
            matches!(error, TransportError::Unreachable { .. }),
            "{error:?}"
        );
        assert!(error.is_retryable());
    }
}
