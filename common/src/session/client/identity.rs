//! Whom a client talks to, as whom it talks, and the ticket it holds.

use std::fmt;

use zeroize::Zeroizing;

use crate::assertion::{AssertionError, ProfileHost, ProfileService, Signed};
use crate::crypto::{PublicKey, SecretKey};
use crate::dare::Envelope;
use crate::protocol::HelloResponse;
use crate::session::form::{CredentialForm, ExchangeMode};
use crate::session::schedule::{SECRET_BYTES, SessionSecret};
use crate::time::Timestamp;
use crate::udf::Udf;

/// The service: its profile's UDF, which is pinned, and the key it authenticates with now.
#[derive(Debug, Clone, PartialEq)]
pub struct ServiceIdentity {
    /// UDF of the ProfileService: never changes (service §4.6).
    pub service_udf: Udf,
    /// S_h.
    pub host_key: PublicKey,
    /// `Updated` of the profile; an older one is refused (decision Q-52).
    pub updated: Option<Timestamp>,
    /// The keys that sign acknowledgements and completions: the online keys and the offline key of
    /// the ProfileService, and the offline key of a countersigned ProfileHost (decision Q-7).
    pub signing_keys: Vec<PublicKey>,
}

impl ServiceIdentity {
    /// Reads and checks the profiles in the answer to a Hello (service §4.3): the service's is
    /// signed by itself, the host's by itself and by the service; `HostKey` is the service's
    /// KeyAuthentication, or the host's where the service has none. That the UDF is the pinned one
    /// is [`super::ClientSession::set_host`]'s business.
    ///
    /// # Errors
    /// [`AssertionError`].
    pub fn from_hello(hello: &HelloResponse) -> Result<Self, AssertionError> {
        let missing = |member| AssertionError::Missing {
            tag: "MeshHelloResponse",
            member,
        };
        let service = ProfileService::verify(
            hello
                .enveloped_profile_service
                .as_ref()
                .ok_or_else(|| missing("EnvelopedProfileService"))?,
        )?;
        let host: Option<Signed<ProfileHost>> = match &hello.enveloped_profile_host {
            // Where the service has a key of its own, an odd host profile only loses its say.
            Some(envelope) if service.key_authentication.is_some() => {
                ProfileHost::verify(envelope, &service).ok()
            }
            Some(envelope) => Some(ProfileHost::verify(envelope, &service)?),
            None => None,
        };
        let host_key = match (&host, service.key_authentication.is_some()) {
            (_, true) => service.authentication_key()?,
            (Some(host), false) => host.authentication_key()?,
            (None, false) => return Err(missing("EnvelopedProfileHost")),
        };
        let mut signing_keys = service.keys().to_vec();
        signing_keys.extend(host.iter().flat_map(|host| host.keys().last().cloned()));
        Ok(Self {
            service_udf: service.udf().clone(),
            host_key,
            updated: service.updated,
            signing_keys,
        })
    }
}

/// As whom a client authenticates.
#[derive(Clone)]
pub struct ClientIdentity {
    pub(super) mode: ExchangeMode,
    pub(super) credential: CredentialForm,
    pub(super) secret: SecretKey,
    pub(super) account: Option<String>,
}

impl ClientIdentity {
    /// A device by its own profile; `secret` is its KeyAuthentication.
    #[must_use]
    pub fn device(profile: Envelope, secret: SecretKey, account: Option<String>) -> Self {
        Self {
            mode: ExchangeMode::Device,
            credential: CredentialForm {
                enveloped_profile_device: Some(profile),
                ..CredentialForm::default()
            },
            secret,
            account,
        }
    }

    /// A connected device by its ConnectionAccount; `secret` is KeyAuthentication of the
    /// connection. The device's own profile goes along if it is given.
    #[must_use]
    pub fn connected_to_account(
        connection: Envelope,
        profile: Option<Envelope>,
        secret: SecretKey,
        account: String,
    ) -> Self {
        Self {
            mode: ExchangeMode::Profile,
            credential: CredentialForm {
                enveloped_connection_account: Some(connection),
                enveloped_profile_device: profile,
                ..CredentialForm::default()
            },
            secret,
            account: Some(account),
        }
    }

    /// A connected device by its ConnectionDevice; `secret` is KeyAuthentication of the
    /// connection. The device's own profile goes along if it is given.
    #[must_use]
    pub fn connected_to_mesh(
        connection: Envelope,
        profile: Option<Envelope>,
        secret: SecretKey,
        account: String,
    ) -> Self {
        Self {
            mode: ExchangeMode::Profile,
            credential: CredentialForm {
                enveloped_connection_device: Some(connection),
                enveloped_profile_device: profile,
                ..CredentialForm::default()
            },
            secret,
            account: Some(account),
        }
    }

    /// A service that speaks for `domain`; `secret` is the KeyAuthentication that its profile, or
    /// else its host's, names.
    #[must_use]
    pub fn service(
        profile: Envelope,
        host: Option<Envelope>,
        domain: String,
        secret: SecretKey,
    ) -> Self {
        Self {
            mode: ExchangeMode::Service,
            credential: CredentialForm {
                enveloped_profile_service: Some(profile),
                enveloped_profile_host: host,
                domain: Some(domain),
                ..CredentialForm::default()
            },
            secret,
            account: None,
        }
    }

    /// As what it authenticates.
    #[must_use]
    pub const fn mode(&self) -> ExchangeMode {
        self.mode
    }

    /// UDF of its KeyAuthentication.
    #[must_use]
    pub fn key_udf(&self) -> Udf {
        self.secret.udf()
    }

    /// The account it speaks for.
    #[must_use]
    pub fn account(&self) -> Option<&str> {
        self.account.as_deref()
    }
}

impl fmt::Debug for ClientIdentity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("ClientIdentity")
            .field("mode", &self.mode)
            .field("account", &self.account)
            .field("key", &self.secret.udf())
            .finish_non_exhaustive()
    }
}

/// A ticket and the secret that goes with it, as a client keeps them between requests.
#[derive(Clone, PartialEq, Eq)]
pub struct StoredTicket {
    /// The ticket, opaque.
    pub ticket: Vec<u8>,
    /// SK.
    pub secret: SessionSecret,
    /// From when on it is not good any more, by the service's clock.
    pub expires: Timestamp,
}

impl StoredTicket {
    /// The octets for a file that only its owner can read: secret, expiry, ticket.
    #[must_use]
    pub fn to_octets(&self) -> Zeroizing<Vec<u8>> {
        let mut octets = Zeroizing::new(Vec::with_capacity(SECRET_BYTES + 8 + self.ticket.len()));
        octets.extend_from_slice(self.secret.reveal());
        octets.extend_from_slice(&self.expires.as_millis().to_be_bytes());
        octets.extend_from_slice(&self.ticket);
        octets
    }

    /// Reads what [`to_octets`](Self::to_octets) wrote; `None` for anything shorter.
    #[must_use]
    pub fn from_octets(octets: &[u8]) -> Option<Self> {
        let (secret, rest) = octets.split_first_chunk::<SECRET_BYTES>()?;
        let (expires, ticket) = rest.split_first_chunk::<8>()?;
        Some(Self {
            ticket: ticket.to_vec(),
            secret: SessionSecret::from_octets(Zeroizing::new(*secret)),
            expires: Timestamp::from_millis(i64::from_be_bytes(*expires)),
        })
    }
}

impl fmt::Debug for StoredTicket {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("StoredTicket")
            .field("expires", &self.expires)
            .finish_non_exhaustive()
    }
}
