//! From what was received to what is believed: the only place where an assertion becomes
//! [`Signed`] (crypto §5.3 and §5.4, service §4.4 and §5.2).
//!
//! The rule for signatures is decision Q-32: those by unknown keys are ignored, those by known keys
//! must verify, and a required signer must be among them. Keys are fingerprinted anew; what a `UDF`
//! member or a `kid` says is only ever compared.

mod entry;
mod signatures;

use std::ops::Deref;

use self::signatures::{Opened, ProfileKeys, digest_of, ed448, matches_udf, signers_of};
use super::profile::key_of;
use super::{
    Assertion, AssertionError, Connection, ConnectionAccount, ConnectionDevice, Profile,
    ProfileAccount, ProfileDevice, ProfileGroup, ProfileHost, ProfileMesh, ProfileService,
};
use crate::address::AccountAddress;
use crate::cluster::SigningKeys;
use crate::crypto::{KeyError, PublicKey};
use crate::dare::Envelope;
use crate::udf::Udf;

/// An assertion whose signatures were checked. There is no other way to get one than the
/// functions of this file.
#[derive(Debug, Clone, PartialEq)]
pub struct Signed<T> {
    assertion: T,
    digest: [u8; 64],
    udf: Udf,
    keys: Vec<PublicKey>,
}

impl<T> Signed<T> {
    /// The fingerprint of the one it describes: of KeyOfflineSignature in a profile, of
    /// KeySignature in a connection.
    #[must_use]
    pub const fn udf(&self) -> &Udf {
        &self.udf
    }

    /// The keys that may sign for the one it describes: the online keys, then the offline key of a
    /// profile; KeySignature of a connection.
    #[must_use]
    pub fn keys(&self) -> &[PublicKey] {
        &self.keys
    }

    /// SHA-512 of its payload.
    #[must_use]
    pub const fn digest(&self) -> &[u8; 64] {
        &self.digest
    }

    /// The first 32 octets of [`digest`](Self::digest): how tickets and the device index know a
    /// credential.
    #[must_use]
    pub fn credential_digest(&self) -> [u8; 32] {
        credential_digest(&self.digest)
    }

    /// The assertion alone.
    #[must_use]
    pub fn into_inner(self) -> T {
        self.assertion
    }
}

impl<T> Deref for Signed<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.assertion
    }
}

/// The first 32 octets of a payload digest.
#[must_use]
pub fn credential_digest(digest: &[u8; 64]) -> [u8; 32] {
    let mut short = [0; 32];
    short.copy_from_slice(&digest[..32]);
    short
}

impl Signed<ConnectionAccount> {
    /// Insists that `ServiceID` contains `address`, if it is present (decision Q-42): what
    /// [`ConnectionAccount::verify`] checks beside the signature.
    ///
    /// # Errors
    /// [`AssertionError::Mismatch`].
    pub fn check_address(&self, address: &AccountAddress) -> Result<(), AssertionError> {
        contains_address(ConnectionAccount::TAG, self.service_ids(), address)
    }
}

/// Whose signature makes a connection valid: a mesh, or an account.
#[derive(Debug, Clone, PartialEq)]
pub struct Authority {
    udf: Udf,
    keys: Vec<PublicKey>,
}

impl Authority {
    /// The mesh of an account (decision Q-51).
    ///
    /// # Errors
    /// A key that is no point of Ed448: it cannot have come from a verified profile.
    pub fn mesh(keys: &SigningKeys) -> Result<Self, KeyError> {
        Self::from_octets(&keys.mesh_udf, &keys.mesh_keys)
    }

    /// An account.
    ///
    /// # Errors
    /// As for [`mesh`](Self::mesh).
    pub fn account(keys: &SigningKeys) -> Result<Self, KeyError> {
        Self::from_octets(&keys.account_udf, &keys.account_keys)
    }

    fn from_octets(udf: &Udf, keys: &[Vec<u8>]) -> Result<Self, KeyError> {
        Ok(Self {
            udf: udf.clone(),
            keys: keys
                .iter()
                .map(|octets| PublicKey::ed448(octets))
                .collect::<Result<_, _>>()?,
        })
    }

    /// UDF of the profile.
    #[must_use]
    pub const fn udf(&self) -> &Udf {
        &self.udf
    }

    /// The keys that may sign.
    #[must_use]
    pub fn keys(&self) -> &[PublicKey] {
        &self.keys
    }
}

/// Who may sign for an account: its mesh and itself, with their keys decoded.
#[derive(Debug, Clone, PartialEq)]
pub struct Authorities {
    /// Version of the profiles that the keys stand in (decision Q-51).
    pub profile_version: u64,
    /// The mesh.
    pub mesh: Authority,
    /// The account.
    pub account: Authority,
}

impl Authorities {
    /// Those in `keys`.
    ///
    /// # Errors
    /// As for [`Authority::mesh`].
    pub fn of(keys: &SigningKeys) -> Result<Self, KeyError> {
        Ok(Self {
            profile_version: keys.profile_version,
            mesh: Authority::mesh(keys)?,
            account: Authority::account(keys)?,
        })
    }
}

impl<T: Profile> From<&Signed<T>> for Authority {
    fn from(profile: &Signed<T>) -> Self {
        Self {
            udf: profile.udf.clone(),
            keys: profile.keys.clone(),
        }
    }
}

// ---- One function per kind ----

impl ProfileMesh {
    /// Signed by itself (S 3.2).
    ///
    /// # Errors
    /// [`AssertionError`].
    pub fn verify(envelope: &Envelope) -> Result<Signed<Self>, AssertionError> {
        self_signed(envelope)
    }

    /// Signed by itself, or by nobody as in the example of the protocol draft: for
    /// `interop.unsigned_profile_mesh` alone (service §11).
    ///
    /// # Errors
    /// [`AssertionError`].
    pub fn verify_or_unsigned(envelope: &Envelope) -> Result<Signed<Self>, AssertionError> {
        if !envelope.signatures().is_empty() {
            return Self::verify(envelope);
        }
        let opened = Opened::<Self>::read(envelope)?;
        let keys = ProfileKeys::of(&opened.assertion)?;
        Ok(opened.believed(keys))
    }
}

impl ProfileDevice {
    /// Signed by itself.
    ///
    /// # Errors
    /// [`AssertionError`].
    pub fn verify(envelope: &Envelope) -> Result<Signed<Self>, AssertionError> {
        self_signed(envelope)
    }
}

impl ProfileService {
    /// Signed by itself.
    ///
    /// # Errors
    /// [`AssertionError`].
    pub fn verify(envelope: &Envelope) -> Result<Signed<Self>, AssertionError> {
        self_signed(envelope)
    }
}

impl ProfileGroup {
    /// Signed by itself.
    ///
    /// # Errors
    /// [`AssertionError`].
    pub fn verify(envelope: &Envelope) -> Result<Signed<Self>, AssertionError> {
        self_signed(envelope)
    }
}

impl ProfileHost {
    /// Signed by itself and by the service's KeyOfflineSignature (X-70, decision Q-8).
    ///
    /// # Errors
    /// [`AssertionError`]; `Unsigned` also where only the countersignature is missing.
    pub fn verify(
        envelope: &Envelope,
        service: &Signed<ProfileService>,
    ) -> Result<Signed<Self>, AssertionError> {
        let opened = Opened::<Self>::read(envelope)?;
        let keys = ProfileKeys::of(&opened.assertion)?;
        let service_key = &service.keys[service.keys.len() - 1..];
        let signers = opened.signers(keys.all.iter().chain(service_key))?;
        signers.include_one_of(std::slice::from_ref(keys.offline()))?;
        signers.include_one_of(service_key)?;
        Ok(opened.believed(keys))
    }
}

impl ProfileAccount {
    /// Signed by itself, or by a key of its mesh where that is known (X-30.4, decision Q-13). With
    /// `mesh`, `MeshProfileUDF` must name it.
    ///
    /// # Errors
    /// [`AssertionError`].
    pub fn verify(
        envelope: &Envelope,
        mesh: Option<&Authority>,
    ) -> Result<Signed<Self>, AssertionError> {
        let opened = Opened::<Self>::read(envelope)?;
        let keys = ProfileKeys::of(&opened.assertion)?;
        let mesh_keys: &[PublicKey] = match mesh {
            Some(mesh) => {
                matches_udf(
                    Self::TAG,
                    "MeshProfileUDF",
                    opened.assertion.mesh_profile_udf.as_deref(),
                    &mesh.udf,
                )?;
                &mesh.keys
            }
            None => &[],
        };
        let signers = opened.signers(keys.all.iter().chain(mesh_keys))?;
        signers
            .include_one_of(std::slice::from_ref(keys.offline()))
            .or_else(|refusal| signers.include_one_of(mesh_keys).map_err(|_| refusal))?;
        Ok(opened.believed(keys))
    }
}

impl ConnectionDevice {
    /// Signed by an online key or the offline key of the mesh (service §4.4).
    ///
    /// # Errors
    /// [`AssertionError`].
    pub fn verify(envelope: &Envelope, mesh: &Authority) -> Result<Signed<Self>, AssertionError> {
        connection(envelope, mesh, None)
    }
}

impl ConnectionAccount {
    /// Signed by an online key or the offline key of the account (service §4.4). With `address`,
    /// `ServiceID` must contain it if it is present (decision Q-42).
    ///
    /// # Errors
    /// [`AssertionError`].
    pub fn verify(
        envelope: &Envelope,
        account: &Authority,
        address: Option<&AccountAddress>,
    ) -> Result<Signed<Self>, AssertionError> {
        connection(envelope, account, address)
    }
}

/// Checks that `envelope`, which is not an assertion (a message), is signed by one of `keys`, and
/// gives SHA-512 of its payload. `tag` is what a refusal calls it.
///
/// # Errors
/// [`AssertionError`].
pub fn signed_by(
    tag: &'static str,
    envelope: &Envelope,
    keys: &[PublicKey],
) -> Result<[u8; 64], AssertionError> {
    let digest = digest_of(tag, envelope)?;
    signers_of(tag, envelope, &digest, keys.iter())?.include_one_of(keys)?;
    Ok(digest)
}

/// Checks every signature of `envelope`, which is not an assertion, that is said to be made by one
/// of `keys`, and gives the keys that made them: perhaps none (decision Q-32). `tag` is what a
/// refusal calls it.
///
/// # Errors
/// [`AssertionError`].
pub fn signers(
    tag: &'static str,
    envelope: &Envelope,
    keys: &[PublicKey],
) -> Result<Vec<Udf>, AssertionError> {
    let digest = digest_of(tag, envelope)?;
    signers_of(tag, envelope, &digest, keys.iter()).map(|signers| signers.udfs)
}

// ---- What they have in common ----

/// A profile signed by its own KeyOfflineSignature.
fn self_signed<T: Profile>(envelope: &Envelope) -> Result<Signed<T>, AssertionError> {
    let opened = Opened::<T>::read(envelope)?;
    let keys = ProfileKeys::of(&opened.assertion)?;
    opened
        .signers(keys.all.iter())?
        .include_one_of(std::slice::from_ref(keys.offline()))?;
    Ok(opened.believed(keys))
}

/// A connection signed by `authority`.
fn connection<T: Connection>(
    envelope: &Envelope,
    authority: &Authority,
    address: Option<&AccountAddress>,
) -> Result<Signed<T>, AssertionError> {
    let tag = T::TAG;
    let opened = Opened::<T>::read(envelope)?;
    let assertion = &opened.assertion;
    let subject = ed448(
        tag,
        "KeySignature",
        key_of(tag, "KeySignature", assertion.key_signature())?,
    )?;
    for (name, member) in [
        ("KeyEncryption", assertion.key_encryption()),
        ("KeyAuthentication", assertion.key_authentication()),
    ] {
        if member.is_some() {
            key_of(tag, name, member)?;
        }
    }
    let subject_udf = subject.udf();
    if assertion.subject_udf().is_some() {
        matches_udf(tag, "SubjectUDF", assertion.subject_udf(), &subject_udf)?;
    }
    if assertion.authority_udf().is_some() {
        matches_udf(
            tag,
            "AuthorityUDF",
            assertion.authority_udf(),
            &authority.udf,
        )?;
    }
    if let Some(address) = address {
        contains_address(tag, assertion.service_ids(), address)?;
    }
    opened
        .signers(authority.keys.iter())?
        .include_one_of(&authority.keys)?;
    Ok(Signed {
        digest: opened.digest,
        assertion: opened.assertion,
        udf: subject_udf,
        keys: vec![subject],
    })
}

/// `service_ids` is empty or contains `address`.
fn contains_address(
    tag: &'static str,
    service_ids: &[String],
    address: &AccountAddress,
) -> Result<(), AssertionError> {
    let contains = service_ids
        .iter()
        .any(|text| AccountAddress::parse(text).is_ok_and(|parsed| &parsed == address));
    if service_ids.is_empty() || contains {
        Ok(())
    } else {
        Err(AssertionError::Mismatch {
            tag,
            member: "ServiceID",
        })
    }
}

/// KeyAuthentication of a connection, its fingerprint recomputed.
///
/// # Errors
/// There is none, or it is no usable key.
pub fn connection_authentication_key<T: Connection>(
    connection: &T,
) -> Result<PublicKey, AssertionError> {
    key_of(T::TAG, "KeyAuthentication", connection.key_authentication())
}
