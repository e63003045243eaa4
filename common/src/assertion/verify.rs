//! From what was received to what is believed: the only place where an assertion becomes
//! [`Signed`] (crypto §5.3 and §5.4, service §4.4 and §5.2).
//!
//! The rule for signatures is decision Q-32: those by unknown keys are ignored, those by known keys
//! must verify, and a required signer must be among them. Keys are fingerprinted anew; what a `UDF`
//! member or a `kid` says is only ever compared.

use std::ops::Deref;

use super::profile::key_of;
use super::{
    AccountEntry, Assertion, AssertionError, CatalogedDevice, Connection, ConnectionAccount,
    ConnectionDevice, Profile, ProfileAccount, ProfileDevice, ProfileGroup, ProfileHost,
    ProfileMesh, ProfileService, is_administrator,
};
use crate::address::AccountAddress;
use crate::cluster::{DeviceFacts, SigningKeys};
use crate::crypto::{Curve, KeyData, KeyError, PublicKey};
use crate::dare::Envelope;
use crate::dare::sign::DIGEST_NAMES;
use crate::limits::{
    ACCOUNTS_PER_DEVICE_ENTRY_MAX, KEYS_PER_PROFILE_MAX, SIGNATURES_PER_ENVELOPE_MAX,
};
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

impl CatalogedDevice {
    /// Every envelope inside verifies, and the identifiers agree (decision Q-9): gives what a
    /// service needs to know of the device.
    ///
    /// # Errors
    /// [`AssertionError`].
    pub fn verify(
        &self,
        unique_id: &str,
        mesh: &Authority,
        account: &Authority,
        address: &AccountAddress,
    ) -> Result<DeviceFacts, AssertionError> {
        let tag = Self::TAG;
        if self.accounts.len() > ACCOUNTS_PER_DEVICE_ENTRY_MAX {
            return Err(AssertionError::TooMany {
                tag,
                member: "Accounts",
            });
        }
        let profile = ProfileDevice::verify(required(
            tag,
            "EnvelopedProfileDevice",
            &self.enveloped_profile_device,
        )?)?;
        matches_udf(tag, "DeviceUDF", self.device_udf.as_deref(), profile.udf())?;
        matches_udf(tag, "UniqueID", Some(unique_id), profile.udf())?;
        if let Some(envelope) = &self.enveloped_profile_mesh {
            let enclosed = ProfileMesh::verify(envelope)?;
            if enclosed.udf() != &mesh.udf {
                return Err(AssertionError::Mismatch {
                    tag,
                    member: "EnvelopedProfileMesh",
                });
            }
        }
        let connection = ConnectionDevice::verify(
            required(
                tag,
                "EnvelopedConnectionDevice",
                &self.enveloped_connection_device,
            )?,
            mesh,
        )?;
        if self.udf.is_some() {
            matches_udf(tag, "UDF", self.udf.as_deref(), connection.udf())?;
        }
        if let Some(envelope) = &self.enveloped_activation_device {
            opaque(envelope, "ActivationDevice", &mesh.keys)?;
        }
        let mut facts = facts_of(&profile, &connection)?;
        for entry in &self.accounts {
            if let Some(connection) = entry.verify(mesh, account, address)? {
                note_connection(&mut facts, &connection)?;
            }
        }
        Ok(facts)
    }
}

impl AccountEntry {
    /// Every envelope inside verifies. Gives the connection if the entry is for `account`; a
    /// device may be connected to further accounts of the same mesh.
    fn verify(
        &self,
        mesh: &Authority,
        account: &Authority,
        address: &AccountAddress,
    ) -> Result<Option<Signed<ConnectionAccount>>, AssertionError> {
        let tag = "AccountEntry";
        let profile = self
            .enveloped_profile_account
            .as_ref()
            .map(|envelope| ProfileAccount::verify(envelope, Some(mesh)))
            .transpose()?;
        let is_ours = match (&self.account_udf, &profile) {
            (Some(text), Some(profile)) => {
                matches_udf(tag, "AccountUDF", Some(text), profile.udf())?;
                profile.udf() == &account.udf
            }
            (None, Some(profile)) => profile.udf() == &account.udf,
            (Some(text), None) => {
                matches_udf(tag, "AccountUDF", Some(text), &account.udf)?;
                true
            }
            (None, None) => {
                return Err(AssertionError::Missing {
                    tag,
                    member: "AccountUDF",
                });
            }
        };
        let foreign = profile.as_ref().filter(|_| !is_ours).map(Authority::from);
        let authority = foreign.as_ref().unwrap_or(account);
        if let Some(envelope) = &self.enveloped_activation_account {
            opaque(envelope, "ActivationAccount", &authority.keys)?;
        }
        let connection = self
            .enveloped_connection_account
            .as_ref()
            .map(|envelope| {
                ConnectionAccount::verify(envelope, authority, is_ours.then_some(address))
            })
            .transpose()?;
        Ok(connection.filter(|_| is_ours))
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

/// Checks digest and known signatures of an envelope that is for others to read.
fn opaque(
    envelope: &Envelope,
    tag: &'static str,
    keys: &[PublicKey],
) -> Result<(), AssertionError> {
    let digest = digest_of(tag, envelope)?;
    signers_of(tag, envelope, &digest, keys.iter()).map(drop)
}

/// What the profile and the connection to the mesh say.
fn facts_of(
    profile: &Signed<ProfileDevice>,
    connection: &Signed<ConnectionDevice>,
) -> Result<DeviceFacts, AssertionError> {
    let device_key = match profile.key_authentication {
        Some(_) => Some(profile.authentication_key()?.udf()),
        None => None,
    };
    let mut facts = DeviceFacts {
        device_udf: profile.udf().clone(),
        profile_keys: Vec::new(),
        device_key,
        connection_digests: Vec::new(),
        lists_permissions: false,
        is_administrator: false,
    };
    note_connection(&mut facts, connection)?;
    Ok(facts)
}

/// Adds what one connection says.
fn note_connection<T: Connection>(
    facts: &mut DeviceFacts,
    connection: &Signed<T>,
) -> Result<(), AssertionError> {
    let member = connection.key_authentication();
    if member.is_some() {
        let key = key_of(T::TAG, "KeyAuthentication", member)?.udf();
        if !facts.profile_keys.contains(&key) {
            facts.profile_keys.push(key);
        }
    }
    facts
        .connection_digests
        .push(connection.credential_digest());
    facts.lists_permissions |= !connection.permissions().is_empty();
    facts.is_administrator |= is_administrator(connection.permissions());
    Ok(())
}

/// The keys of a profile that sign: online, then offline.
struct ProfileKeys {
    all: Vec<PublicKey>,
}

impl ProfileKeys {
    /// Reads and fingerprints every key the profile names.
    fn of<T: Profile>(profile: &T) -> Result<Self, AssertionError> {
        let online = profile.keys_online_signature();
        let others = profile.other_keys();
        if online.len() + others.len() > KEYS_PER_PROFILE_MAX {
            return Err(AssertionError::TooMany {
                tag: T::TAG,
                member: "keys",
            });
        }
        for (name, key) in others {
            key_of(T::TAG, name, Some(key))?;
        }
        let signing = |name: &'static str, key: Option<&KeyData>| {
            ed448(T::TAG, name, key_of(T::TAG, name, key)?)
        };
        let mut all = online
            .iter()
            .map(|key| signing("KeysOnlineSignature", Some(key)))
            .collect::<Result<Vec<_>, _>>()?;
        all.push(signing(
            "KeyOfflineSignature",
            profile.key_offline_signature(),
        )?);
        Ok(Self { all })
    }

    fn offline(&self) -> &PublicKey {
        &self.all[self.all.len() - 1]
    }
}

/// An assertion that was read and whose payload has the digest it states.
struct Opened<'a, T> {
    assertion: T,
    digest: [u8; 64],
    envelope: &'a Envelope,
}

impl<'a, T: Assertion> Opened<'a, T> {
    fn read(envelope: &'a Envelope) -> Result<Self, AssertionError> {
        let assertion = T::from_envelope(envelope)?;
        let digest = digest_of(T::TAG, envelope)?;
        Ok(Self {
            assertion,
            digest,
            envelope,
        })
    }

    fn signers<'k>(
        &self,
        known: impl Iterator<Item = &'k PublicKey>,
    ) -> Result<Signers, AssertionError> {
        signers_of(T::TAG, self.envelope, &self.digest, known)
    }

    fn believed(self, keys: ProfileKeys) -> Signed<T> {
        Signed {
            digest: self.digest,
            udf: keys.offline().udf(),
            assertion: self.assertion,
            keys: keys.all,
        }
    }
}

/// The known keys whose signatures verified.
struct Signers {
    tag: &'static str,
    udfs: Vec<Udf>,
}

impl Signers {
    fn include_one_of(&self, keys: &[PublicKey]) -> Result<(), AssertionError> {
        if keys.iter().any(|key| self.udfs.contains(&key.udf())) {
            Ok(())
        } else {
            Err(AssertionError::Unsigned { tag: self.tag })
        }
    }
}

/// SHA-512 of the payload, which is what the envelope states, if it states any.
fn digest_of(tag: &'static str, envelope: &Envelope) -> Result<[u8; 64], AssertionError> {
    envelope
        .check_digest()
        .map_err(|source| AssertionError::Digest { tag, source })
}

/// Checks every signature made by one of `known` and gives the keys that made them.
fn signers_of<'k>(
    tag: &'static str,
    envelope: &Envelope,
    digest: &[u8; 64],
    known: impl Iterator<Item = &'k PublicKey>,
) -> Result<Signers, AssertionError> {
    let signatures = envelope.signatures();
    if signatures.len() > SIGNATURES_PER_ENVELOPE_MAX {
        return Err(AssertionError::TooMany {
            tag,
            member: "signatures",
        });
    }
    let known: Vec<(Udf, &PublicKey)> = known.map(|key| (key.udf(), key)).collect();
    let mut udfs = Vec::new();
    for signature in signatures {
        let kid = signature.kid.as_deref().unwrap_or_default();
        let Some((udf, key)) = Udf::parse(kid)
            .ok()
            .and_then(|kid| known.iter().find(|(udf, _)| udf == &kid))
        else {
            continue;
        };
        let value = signature.signature.as_ref().map(AsRef::as_ref);
        let names_sha512 = signature
            .alg
            .as_deref()
            .is_none_or(|name| DIGEST_NAMES.contains(&name));
        if !names_sha512 || key.verify(digest, value.unwrap_or_default()).is_err() {
            return Err(AssertionError::Signature {
                tag,
                kid: udf.to_string(),
            });
        }
        udfs.push(udf.clone());
    }
    Ok(Signers { tag, udfs })
}

/// The envelope in a member that must be there.
fn required<'a>(
    tag: &'static str,
    member: &'static str,
    envelope: &'a Option<Envelope>,
) -> Result<&'a Envelope, AssertionError> {
    envelope
        .as_ref()
        .ok_or(AssertionError::Missing { tag, member })
}

/// `text` names `udf`, whole (decision Q-18).
fn matches_udf(
    tag: &'static str,
    member: &'static str,
    text: Option<&str>,
    udf: &Udf,
) -> Result<(), AssertionError> {
    let text = text.ok_or(AssertionError::Missing { tag, member })?;
    match Udf::parse(text) {
        Ok(parsed) if &parsed == udf => Ok(()),
        _ => Err(AssertionError::Mismatch { tag, member }),
    }
}

/// `key`, if it is one that signs.
fn ed448(
    tag: &'static str,
    member: &'static str,
    key: PublicKey,
) -> Result<PublicKey, AssertionError> {
    if key.curve() == Curve::Ed448 {
        Ok(key)
    } else {
        Err(AssertionError::Curve { tag, member })
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
