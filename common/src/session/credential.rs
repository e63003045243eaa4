//! Check 6: whose key the client used (service §4.4, decisions ). The result is
//! a [`Caller`], which is all that the rest of the service knows of the sender.

use std::fmt;

use zeroize::Zeroizing;

use super::authentication_failed;
use super::caller::{Caller, Mode, RequestId, Via};
use super::form::{CredentialForm, ExchangeForm, ExchangeMode};
use super::schedule::Handshake;
use super::sealer::{Sealer, VouchedBy};
use crate::address::{AccountAddress, canonical_domain};
use crate::assertion::{
    Assertion, AssertionError, Authority, Connection, ConnectionAccount, ConnectionDevice,
    ProfileAccount, ProfileDevice, ProfileHost, ProfileMesh, ProfileService, Signed, verify,
};
use crate::cluster::SigningKeys;
use crate::crypto::{Curve, PublicKey};
use crate::dare::{Envelope, Signature};
use crate::error::ServiceError;
use crate::protocol::{Code, CreateRequest};
use crate::udf::Udf;

/// A request whose sender is known.
pub struct Authenticated {
    /// The sender.
    pub caller: Caller,
    /// The client's id for the request.
    pub request_id: RequestId,
    /// The request's JSON.
    pub plaintext: Zeroizing<Vec<u8>>,
    /// Seals the answer.
    pub sealer: Sealer,
    /// What the sender may prove about a mesh it creates an account for; exchanges only.
    pub creation: Option<CreationProof>,
    /// False if `Session.Account` is there but no address: then nothing that needs an account can
    /// be asked, see [`super::account_for`].
    pub account_is_readable: bool,
}

/// What a CreateAccount is checked against (decision Q-10).
#[derive(Debug, Clone, PartialEq)]
pub struct CreationProof {
    /// T1 of the exchange.
    pub transcript: [u8; 64],
    /// The credential's `Proof`.
    pub proof: Option<Signature>,
    /// KeyAuthentication of the ProfileDevice presented, if one was.
    pub device_key: Option<Udf>,
}

/// An exchange request that opened: the sender knows the secret of the key in its credential.
pub struct OpenedExchange {
    form: ExchangeForm,
    request_id: RequestId,
    client: PublicKey,
    ephemeral: PublicKey,
    handshake: Handshake,
    plaintext: Zeroizing<Vec<u8>>,
    account: Option<AccountAddress>,
}

/// What a credential establishes.
struct Established {
    profile_udf: Option<Udf>,
    credential_digest: [u8; 32],
    domain: Option<String>,
    device_key: Option<Udf>,
}

impl OpenedExchange {
    pub(super) fn new(
        form: ExchangeForm,
        request_id: RequestId,
        client: PublicKey,
        ephemeral: PublicKey,
        handshake: Handshake,
        plaintext: Zeroizing<Vec<u8>>,
    ) -> Self {
        let account = form
            .account
            .as_deref()
            .and_then(|text| AccountAddress::parse(text).ok());
        Self {
            form,
            request_id,
            client,
            ephemeral,
            handshake,
            plaintext,
            account,
        }
    }

    /// As what the sender authenticates.
    #[must_use]
    pub const fn mode(&self) -> Mode {
        match self.form.mode {
            ExchangeMode::Device => Mode::Device,
            ExchangeMode::Profile => Mode::Profile,
            ExchangeMode::Service => Mode::Service,
        }
    }

    /// The account the session names.
    #[must_use]
    pub const fn account(&self) -> Option<&AccountAddress> {
        self.account.as_ref()
    }

    /// S_c: the key whose secret the sender knows. Whose it is is not verified yet.
    #[must_use]
    pub const fn client_key(&self) -> &PublicKey {
        &self.client
    }

    /// The request's JSON. Its sender is not verified yet.
    #[must_use]
    pub fn plaintext(&self) -> &[u8] {
        &self.plaintext
    }

    /// Device and Service mode: the credential is verified by itself. That a service is the one of
    /// the domain it names is for the call-back to find out (decision Q-60).
    ///
    /// # Errors
    /// 401/104, to be sent bare.
    pub fn verify_alone(self) -> Result<Authenticated, ServiceError> {
        let established = match self.form.mode {
            ExchangeMode::Device => self.established_device(),
            ExchangeMode::Service => self.established_service(),
            ExchangeMode::Profile => {
                return Err(authentication_failed(
                    "a connection is verified by the account's keys",
                ));
            }
        };
        self.authenticated(established, VouchedBy::ItselfOrAccount)
    }

    /// Profile mode: the connection is verified by the account's keys. `None` says that there is
    /// no such account: the refusal is the same, after the same work (decision Q-56).
    ///
    /// # Errors
    /// 401/104, to be sent bare.
    pub fn verify_by(self, keys: Option<&SigningKeys>) -> Result<Authenticated, ServiceError> {
        let nobody = self.nobody();
        let known = keys.unwrap_or(&nobody);
        let mesh = Authority::mesh(known).map_err(ServiceError::internal)?;
        let account = Authority::account(known).map_err(ServiceError::internal)?;
        let established = match self.established_connection(Some(&mesh), Some(&account)) {
            Ok(established) if keys.is_some() => Ok(established),
            Ok(_) => Err(AssertionError::Unsigned { tag: TAG }),
            Err(error) => {
                if !matches!(error, AssertionError::Signature { .. }) {
                    self.work_in_vain();
                }
                Err(error)
            }
        };
        self.authenticated(established, VouchedBy::ItselfOrAccount)
    }

    /// Profile mode with CreateAccount: the connection is verified by the profiles in the request
    /// itself (decision Q-10).
    ///
    /// # Errors
    /// 401/104, to be sent bare.
    pub fn verify_creating(self, request: &CreateRequest) -> Result<Authenticated, ServiceError> {
        let mesh = request
            .signed_profile_mesh
            .as_ref()
            .map(ProfileMesh::verify)
            .transpose()
            .map_err(|error| error.credential_refusal())?
            .as_ref()
            .map(Authority::from);
        // A profile that does not verify is refused with its own code later; here it only cannot
        // vouch for a connection.
        let account = request
            .signed_assertion_account
            .as_ref()
            .and_then(|envelope| ProfileAccount::verify(envelope, mesh.as_ref()).ok())
            .as_ref()
            .map(Authority::from);
        let established = self.established_connection(mesh.as_ref(), account.as_ref());
        self.authenticated(established, VouchedBy::Presented)
    }

    fn authenticated(
        self,
        established: Result<Established, AssertionError>,
        vouched_by: VouchedBy,
    ) -> Result<Authenticated, ServiceError> {
        let established = established.map_err(|error| error.credential_refusal())?;
        let account_is_readable = self.form.account.is_none() || self.account.is_some();
        let caller = Caller {
            mode: self.mode(),
            via: Via::Exchange,
            account: match self.form.mode {
                ExchangeMode::Service => None,
                ExchangeMode::Device | ExchangeMode::Profile => self.account,
            },
            profile_udf: established.profile_udf,
            key_udf: self.client.udf(),
            credential_digest: established.credential_digest,
            domain: established.domain,
        };
        let creation = CreationProof {
            transcript: *self.handshake.transcript(),
            proof: self.form.credential.proof,
            device_key: established.device_key,
        };
        let sealer = Sealer::for_exchange(
            self.handshake,
            self.client,
            self.ephemeral,
            caller.clone(),
            self.request_id,
            vouched_by,
        );
        Ok(Authenticated {
            caller,
            request_id: self.request_id,
            plaintext: self.plaintext,
            sealer,
            creation: Some(creation),
            account_is_readable,
        })
    }

    fn established_device(&self) -> Result<Established, AssertionError> {
        let profile = ProfileDevice::verify(member(
            "EnvelopedProfileDevice",
            &self.form.credential.enveloped_profile_device,
        )?)?;
        Ok(Established {
            profile_udf: Some(profile.udf().clone()),
            credential_digest: profile.credential_digest(),
            domain: None,
            device_key: Some(self.client.udf()),
        })
    }

    fn established_service(&self) -> Result<Established, AssertionError> {
        let credential = &self.form.credential;
        let profile = ProfileService::verify(member(
            "EnvelopedProfileService",
            &credential.enveloped_profile_service,
        )?)?;
        if profile.updated.is_none() {
            // Decision Q-52.
            return Err(AssertionError::Missing {
                tag: ProfileService::TAG,
                member: "Updated",
            });
        }
        if let Some(envelope) = &credential.enveloped_profile_host {
            ProfileHost::verify(envelope, &profile)?;
        }
        let domain = credential
            .domain
            .as_deref()
            .and_then(|domain| canonical_domain(domain).ok())
            .ok_or(AssertionError::Missing {
                tag: TAG,
                member: "Domain",
            })?;
        Ok(Established {
            profile_udf: Some(profile.udf().clone()),
            credential_digest: profile.credential_digest(),
            domain: Some(domain),
            device_key: None,
        })
    }

    fn established_connection(
        &self,
        mesh: Option<&Authority>,
        account: Option<&Authority>,
    ) -> Result<Established, AssertionError> {
        let credential = &self.form.credential;
        let nobody = || AssertionError::Unsigned { tag: TAG };
        let credential_digest = if let Some(envelope) = &credential.enveloped_connection_account {
            ConnectionAccount::verify(envelope, account.ok_or_else(nobody)?, self.account.as_ref())?
                .credential_digest()
        } else {
            let envelope = member(
                "EnvelopedConnectionDevice",
                &credential.enveloped_connection_device,
            )?;
            ConnectionDevice::verify(envelope, mesh.ok_or_else(nobody)?)?.credential_digest()
        };
        let profile: Option<Signed<ProfileDevice>> = credential
            .enveloped_profile_device
            .as_ref()
            .map(ProfileDevice::verify)
            .transpose()?;
        let device_key = profile
            .as_ref()
            .filter(|profile| profile.key_authentication.is_some())
            .map(|profile| profile.authentication_key())
            .transpose()?
            .map(|key| key.udf());
        Ok(Established {
            profile_udf: profile.map(|profile| profile.udf().clone()),
            credential_digest,
            domain: None,
            device_key,
        })
    }

    /// The keys of an account that does not exist, as many as accounts usually have.
    fn nobody(&self) -> SigningKeys {
        let keys = vec![self.client.octets().to_vec(); 2];
        SigningKeys {
            profile_version: 0,
            mesh_udf: self.client.udf(),
            mesh_keys: keys.clone(),
            account_udf: self.client.udf(),
            account_keys: keys,
        }
    }

    /// Verifies the connection against a key that did not sign it, so that every refusal costs one
    /// verification, whether or not the account exists and the signer is known (decision Q-56).
    fn work_in_vain(&self) {
        let credential = &self.form.credential;
        let envelope = credential
            .enveloped_connection_account
            .as_ref()
            .or(credential.enveloped_connection_device.as_ref());
        let signature = envelope.and_then(|envelope| envelope.signatures().first());
        let value = signature.and_then(|signature| signature.signature.as_ref());
        // The outcome is of no interest: the request is refused already.
        let _ = self.client.verify(
            self.handshake.transcript(),
            value.map_or(&[0; 114][..], AsRef::as_ref),
        );
    }
}

impl fmt::Debug for Authenticated {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Authenticated")
            .field("caller", &self.caller)
            .field("request_id", &self.request_id)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for OpenedExchange {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("OpenedExchange")
            .field("mode", &self.form.mode)
            .field("account", &self.form.account)
            .field("client", &self.client)
            .finish_non_exhaustive()
    }
}

/// What a log calls the credential.
const TAG: &str = "Credential";

impl ExchangeForm {
    /// S_c: the key the client has to know the secret of, by the credential of its mode. It is
    /// only read here; [`OpenedExchange`] verifies who vouches for it.
    ///
    /// # Errors
    /// 400/100 without the credential of the mode; 422/116 for a key that `mmm-kx-1` cannot use
    /// (service §2.5); 401/104 for one that is no key.
    pub(super) fn client_key(&self) -> Result<PublicKey, ServiceError> {
        let key = self.credential.client_key(self.mode)?;
        if key.curve() == Curve::Ed448 {
            Ok(key)
        } else {
            Err(ServiceError::new(
                Code::InvalidProfile,
                "KeyAuthentication must be an Ed448 key",
            ))
        }
    }
}

impl CredentialForm {
    fn client_key(&self, mode: ExchangeMode) -> Result<PublicKey, ServiceError> {
        let absent = || {
            ServiceError::new(
                Code::Malformed,
                "the credential lacks the assertion of its mode",
            )
        };
        match mode {
            ExchangeMode::Device => {
                let envelope = self.enveloped_profile_device.as_ref().ok_or_else(absent)?;
                ProfileDevice::from_envelope(envelope)
                    .and_then(|profile| profile.authentication_key())
            }
            ExchangeMode::Profile => match (
                &self.enveloped_connection_account,
                &self.enveloped_connection_device,
            ) {
                (Some(envelope), _) => connection_key::<ConnectionAccount>(envelope),
                (None, Some(envelope)) => connection_key::<ConnectionDevice>(envelope),
                (None, None) => return Err(absent()),
            },
            ExchangeMode::Service => {
                let envelope = self.enveloped_profile_service.as_ref().ok_or_else(absent)?;
                self.service_key(envelope)
            }
        }
        .map_err(|error| error.credential_refusal())
    }

    /// KeyAuthentication of the profile, or of the host's where the profile has none
    /// (decision Q-8).
    fn service_key(&self, envelope: &Envelope) -> Result<PublicKey, AssertionError> {
        let service = ProfileService::from_envelope(envelope)?;
        if service.key_authentication.is_some() {
            return service.authentication_key();
        }
        let envelope = member("EnvelopedProfileHost", &self.enveloped_profile_host)?;
        ProfileHost::from_envelope(envelope)?.authentication_key()
    }
}

fn connection_key<T: Connection>(envelope: &Envelope) -> Result<PublicKey, AssertionError> {
    verify::connection_authentication_key(&T::from_envelope(envelope)?)
}

fn member<'a>(
    name: &'static str,
    envelope: &'a Option<Envelope>,
) -> Result<&'a Envelope, AssertionError> {
    envelope.as_ref().ok_or(AssertionError::Missing {
        tag: TAG,
        member: name,
    })
}
