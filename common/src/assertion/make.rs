//! Making assertions: what a person's devices and a service's operator do with their secret keys.
//! Everything made here is accepted by [`verify`](super::verify).
//!
//! A device is connected by drawing three overlays: their public halves, added to the device's
//! keys, become the keys in the connection; the overlays themselves travel to the device in the
//! activation (crypto §7).

use super::{
    AccountEntry, ActivationAccount, ActivationDevice, Assertion, AssertionError, CatalogedDevice,
    ConnectionAccount, ConnectionDevice, KeyComposite, Permission, ProfileAccount, ProfileDevice,
    ProfileHost, ProfileMesh, ProfileService, Signed,
};
use crate::crypto::{KeyData, KeyOverlay, PublicKey, SecretKey};
use crate::dare::{Envelope, Header};
use crate::entropy::Entropy;
use crate::time::Timestamp;
use crate::udf::Udf;

/// The secret keys of a device, as it was made.
#[derive(Debug, Clone)]
pub struct DeviceKeys {
    /// KeyOfflineSignature.
    pub signature: SecretKey,
    /// KeyEncryption.
    pub encryption: SecretKey,
    /// KeyAuthentication.
    pub authentication: SecretKey,
}

impl DeviceKeys {
    /// Draws three keys.
    pub fn generate(entropy: &mut dyn Entropy) -> Self {
        Self {
            signature: SecretKey::generate(entropy),
            encryption: SecretKey::generate(entropy),
            authentication: SecretKey::generate(entropy),
        }
    }

    /// The signed ProfileDevice.
    #[must_use]
    pub fn profile(&self, description: Option<String>) -> Envelope {
        let profile = ProfileDevice {
            key_offline_signature: Some(data(&self.signature)),
            description,
            key_encryption: Some(data(&self.encryption)),
            key_authentication: Some(data(&self.authentication)),
            ..ProfileDevice::default()
        };
        signed(&profile, &[&self.signature])
    }
}

/// The secret keys of a personal mesh.
#[derive(Debug, Clone)]
pub struct MeshKeys {
    /// KeyOfflineSignature.
    pub offline: SecretKey,
    /// The one of KeysOnlineSignature: the administration key.
    pub online: SecretKey,
    /// KeyEncryption.
    pub encryption: SecretKey,
}

impl MeshKeys {
    /// Draws three keys.
    pub fn generate(entropy: &mut dyn Entropy) -> Self {
        Self {
            offline: SecretKey::generate(entropy),
            online: SecretKey::generate(entropy),
            encryption: SecretKey::generate(entropy),
        }
    }

    /// The signed ProfileMesh.
    #[must_use]
    pub fn profile(&self, updated: Timestamp) -> Envelope {
        let profile = ProfileMesh {
            updated: Some(updated),
            key_offline_signature: Some(data(&self.offline)),
            keys_online_signature: vec![data(&self.online)],
            key_encryption: Some(data(&self.encryption)),
            ..ProfileMesh::default()
        };
        signed(&profile, &[&self.offline])
    }
}

/// The secret keys of an account.
#[derive(Debug, Clone)]
pub struct AccountKeys {
    /// KeyOfflineSignature.
    pub offline: SecretKey,
    /// The one of KeysOnlineSignature.
    pub online: SecretKey,
    /// KeyEncryption.
    pub encryption: SecretKey,
}

impl AccountKeys {
    /// Draws three keys.
    pub fn generate(entropy: &mut dyn Entropy) -> Self {
        Self {
            offline: SecretKey::generate(entropy),
            online: SecretKey::generate(entropy),
            encryption: SecretKey::generate(entropy),
        }
    }

    /// The ProfileAccount, signed by itself and by the mesh's `administration` key, so that both
    /// readings of the drafts accept it.
    #[must_use]
    pub fn profile(
        &self,
        mesh_udf: &Udf,
        service_ids: &[String],
        updated: Timestamp,
        administration: &SecretKey,
    ) -> Envelope {
        let profile = ProfileAccount {
            updated: Some(updated),
            key_offline_signature: Some(data(&self.offline)),
            keys_online_signature: vec![data(&self.online)],
            service_ids: service_ids.to_vec(),
            mesh_profile_udf: Some(mesh_udf.to_string()),
            key_encryption: Some(data(&self.encryption)),
            ..ProfileAccount::default()
        };
        signed(&profile, &[&self.offline, administration])
    }
}

/// The secret keys of a service's profile. The offline key makes the profile and new hosts; a
/// running service does without it (decision Q-7).
#[derive(Debug, Clone)]
pub struct ServiceKeys {
    /// KeyOfflineSignature: the service's identity, which never changes.
    pub offline: SecretKey,
    /// The one of KeysOnlineSignature: signs acknowledgements and completions.
    pub online: SecretKey,
    /// KeyAuthentication, shared by all hosts.
    pub authentication: SecretKey,
}

impl ServiceKeys {
    /// Draws three keys.
    pub fn generate(entropy: &mut dyn Entropy) -> Self {
        Self {
            offline: SecretKey::generate(entropy),
            online: SecretKey::generate(entropy),
            authentication: SecretKey::generate(entropy),
        }
    }

    /// The signed ProfileService; `updated` is required (decision Q-52).
    #[must_use]
    pub fn profile(&self, updated: Timestamp) -> Envelope {
        let profile = ProfileService {
            updated: Some(updated),
            key_offline_signature: Some(data(&self.offline)),
            keys_online_signature: vec![data(&self.online)],
            key_authentication: Some(data(&self.authentication)),
            ..ProfileService::default()
        };
        signed(&profile, &[&self.offline])
    }
}

/// The secret keys of one host of a service.
#[derive(Debug, Clone)]
pub struct HostProfileKeys {
    /// KeyOfflineSignature.
    pub offline: SecretKey,
    /// KeyAuthentication.
    pub authentication: SecretKey,
}

impl HostProfileKeys {
    /// Draws two keys.
    pub fn generate(entropy: &mut dyn Entropy) -> Self {
        Self {
            offline: SecretKey::generate(entropy),
            authentication: SecretKey::generate(entropy),
        }
    }

    /// The ProfileHost, signed by itself and countersigned by the service's offline key.
    #[must_use]
    pub fn profile(&self, service_offline: &SecretKey) -> Envelope {
        let profile = ProfileHost {
            key_offline_signature: Some(data(&self.offline)),
            key_authentication: Some(data(&self.authentication)),
            ..ProfileHost::default()
        };
        signed(&profile, &[&self.offline, service_offline])
    }
}

/// A device's place in a mesh or an account: the connection for everybody to read, the activation
/// for the device alone.
#[derive(Debug, Clone, PartialEq)]
pub struct Place {
    /// The signed connection.
    pub connection: Envelope,
    /// The signed activation, encrypted to the device.
    pub activation: Envelope,
}

/// What an activation hands to the device besides the overlays.
#[derive(Debug, Clone, Copy, Default)]
pub struct Grants<'a> {
    /// An online key, to a device that is to administer the mesh or account.
    pub administration: Option<&'a SecretKey>,
    /// The key that the account's entries are encrypted to; nothing to a connection to a mesh.
    pub decryption: Option<&'a SecretKey>,
}

/// Gives `device` a place in a mesh. `administration` is an online key of the mesh.
///
/// # Errors
/// A key of the device's profile is missing or of no use.
pub fn connect_to_mesh(
    device: &Signed<ProfileDevice>,
    mesh_udf: &Udf,
    administration: &SecretKey,
    permissions: &[Permission],
    entropy: &mut dyn Entropy,
) -> Result<Place, AssertionError> {
    let nothing = Grants::default();
    connect_to_mesh_granting(
        device,
        mesh_udf,
        administration,
        permissions,
        nothing,
        entropy,
    )
}

/// [`connect_to_mesh`], with keys for the device to have.
///
/// # Errors
/// As for [`connect_to_mesh`]; a granted key that has no encoding.
pub fn connect_to_mesh_granting(
    device: &Signed<ProfileDevice>,
    mesh_udf: &Udf,
    administration: &SecretKey,
    permissions: &[Permission],
    grants: Grants<'_>,
    entropy: &mut dyn Entropy,
) -> Result<Place, AssertionError> {
    let keys = Overlays::draw(device, entropy)?;
    let connection = ConnectionDevice {
        subject_udf: Some(keys.signature.1.udf().to_string()),
        authority_udf: Some(mesh_udf.to_string()),
        permissions: permissions.to_vec(),
        key_signature: Some(KeyData::of(&keys.signature.1)),
        key_encryption: Some(KeyData::of(&keys.encryption.1)),
        key_authentication: Some(KeyData::of(&keys.authentication.1)),
        ..ConnectionDevice::default()
    };
    let connection = signed(&connection, &[administration]);
    let activation = ActivationDevice {
        enveloped_assertion_device_connection: Some(connection.clone()),
        key_signature: Some(keys.signature.0),
        key_encryption: Some(keys.encryption.0),
        key_authentication: Some(keys.authentication.0),
        key_administration: granted::<ActivationDevice>(
            "KeyAdministration",
            grants.administration,
        )?,
        ..ActivationDevice::default()
    };
    let activation = sealed(
        &activation,
        &device.encryption_key()?,
        administration,
        entropy,
    )?;
    Ok(Place {
        connection,
        activation,
    })
}

/// Gives `device` a place in an account. `online` is an online key of the account.
///
/// # Errors
/// As for [`connect_to_mesh`].
pub fn connect_to_account(
    device: &Signed<ProfileDevice>,
    account: &Signed<ProfileAccount>,
    online: &SecretKey,
    permissions: &[Permission],
    entropy: &mut dyn Entropy,
) -> Result<Place, AssertionError> {
    let nothing = Grants::default();
    connect_to_account_granting(device, account, online, permissions, nothing, entropy)
}

/// [`connect_to_account`], with keys for the device to have.
///
/// # Errors
/// As for [`connect_to_mesh_granting`].
pub fn connect_to_account_granting(
    device: &Signed<ProfileDevice>,
    account: &Signed<ProfileAccount>,
    online: &SecretKey,
    permissions: &[Permission],
    grants: Grants<'_>,
    entropy: &mut dyn Entropy,
) -> Result<Place, AssertionError> {
    let keys = Overlays::draw(device, entropy)?;
    let connection = ConnectionAccount {
        subject_udf: Some(keys.signature.1.udf().to_string()),
        authority_udf: Some(account.udf().to_string()),
        service_id: account.service_ids.clone(),
        permissions: permissions.to_vec(),
        key_signature: Some(KeyData::of(&keys.signature.1)),
        key_encryption: Some(KeyData::of(&keys.encryption.1)),
        key_authentication: Some(KeyData::of(&keys.authentication.1)),
        ..ConnectionAccount::default()
    };
    let connection = signed(&connection, &[online]);
    let activation = ActivationAccount {
        account_udf: Some(account.udf().to_string()),
        key_encryption: Some(keys.encryption.0),
        key_authentication: Some(keys.authentication.0),
        key_signature: Some(keys.signature.0),
        key_group: granted::<ActivationAccount>("KeyGroup", grants.decryption)?,
        key_administration: granted::<ActivationAccount>(
            "KeyAdministration",
            grants.administration,
        )?,
        ..ActivationAccount::default()
    };
    let activation = sealed(&activation, &device.encryption_key()?, online, entropy)?;
    Ok(Place {
        connection,
        activation,
    })
}

/// A key in the form in which an activation carries it.
fn granted<A: Assertion>(
    member: &'static str,
    key: Option<&SecretKey>,
) -> Result<Option<KeyComposite>, AssertionError> {
    key.map(KeyComposite::whole)
        .transpose()
        .map_err(|source| AssertionError::Key {
            tag: A::TAG,
            member,
            source,
        })
}

/// The part of a device's entry that is about one account.
#[must_use]
pub fn account_entry(account_udf: &Udf, profile_account: &Envelope, place: Place) -> AccountEntry {
    AccountEntry {
        account_udf: Some(account_udf.to_string()),
        enveloped_profile_account: Some(profile_account.clone()),
        enveloped_connection_account: Some(place.connection),
        enveloped_activation_account: Some(place.activation),
        ..AccountEntry::default()
    }
}

/// The entry of a device for the Device catalog; its UniqueID is `DeviceUDF`.
///
/// # Errors
/// The profile or the connection does not say what they are about.
pub fn cataloged_device(
    profile_device: &Envelope,
    place: Place,
    accounts: Vec<AccountEntry>,
) -> Result<CatalogedDevice, AssertionError> {
    let device = ProfileDevice::verify(profile_device)?;
    let connection = ConnectionDevice::from_envelope(&place.connection)?;
    Ok(CatalogedDevice {
        udf: Some(connection.signature_key()?.udf().to_string()),
        device_udf: Some(device.udf().to_string()),
        enveloped_profile_device: Some(profile_device.clone()),
        enveloped_connection_device: Some(place.connection),
        enveloped_activation_device: Some(place.activation),
        accounts,
        ..CatalogedDevice::default()
    })
}

/// Three overlays, each with the composite key that it makes.
struct Overlays {
    signature: (KeyOverlay, PublicKey),
    encryption: (KeyOverlay, PublicKey),
    authentication: (KeyOverlay, PublicKey),
}

impl Overlays {
    fn draw(
        device: &Signed<ProfileDevice>,
        entropy: &mut dyn Entropy,
    ) -> Result<Self, AssertionError> {
        let signature = &device.keys()[device.keys().len() - 1];
        Ok(Self {
            signature: overlay("KeyOfflineSignature", signature, entropy)?,
            encryption: overlay("KeyEncryption", &device.encryption_key()?, entropy)?,
            authentication: overlay("KeyAuthentication", &device.authentication_key()?, entropy)?,
        })
    }
}

/// A new overlay on `base`, which stands in `member` of a ProfileDevice.
fn overlay(
    member: &'static str,
    base: &PublicKey,
    entropy: &mut dyn Entropy,
) -> Result<(KeyOverlay, PublicKey), AssertionError> {
    let refusal = |source| AssertionError::Key {
        tag: ProfileDevice::TAG,
        member,
        source,
    };
    let overlay = KeyOverlay::of(base, &SecretKey::generate(entropy)).map_err(refusal)?;
    let composite = overlay.composite_public(base).map_err(refusal)?;
    Ok((overlay, composite))
}

/// `assertion` in an envelope signed by `signers`.
fn signed<T: Assertion>(assertion: &T, signers: &[&SecretKey]) -> Envelope {
    Envelope::signed(assertion.to_json(), Header::default(), signers)
}

/// `assertion` encrypted to `recipient` and signed by `signer`.
fn sealed<T: Assertion>(
    assertion: &T,
    recipient: &PublicKey,
    signer: &SecretKey,
    entropy: &mut dyn Entropy,
) -> Result<Envelope, AssertionError> {
    let plaintext = zeroize::Zeroizing::new(assertion.to_json());
    Envelope::encrypted_and_signed(
        &plaintext,
        Header::default(),
        &[recipient],
        &[signer],
        entropy,
    )
    .map_err(|source| AssertionError::Undecryptable {
        tag: T::TAG,
        source,
    })
}

fn data(key: &SecretKey) -> KeyData {
    KeyData::of(key.public())
}
