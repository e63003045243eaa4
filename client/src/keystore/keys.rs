//! The secret keys of a device, and the text they are kept as.

use mesh_common::address::AccountAddress;
use mesh_common::assertion::make::{AccountKeys, DeviceKeys, MeshKeys};
use mesh_common::crypto::SecretKey;
use mesh_common::encoding::{base64url, json};
use mesh_common::entropy::{Entropy, draw};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use zeroize::Zeroizing;

use super::KeystoreError;
use crate::administration::master::{MASTER_BYTES, MasterKey};

/// Everything secret that a device holds. Every key is wiped when dropped, none is ever printed.
#[derive(Debug, Clone)]
pub struct Keys {
    /// The device's own keys.
    pub device: DeviceKeys,
    /// The key that the entries of the account are encrypted to.
    pub account_encryption: SecretKey,
    /// The keys of the personal mesh and of the account, on devices of which one may connect
    /// others.
    pub owner: Option<OwnerKeys>,
    /// What both KeyOfflineSignature follow from, unless it was taken offline.
    pub master: Option<MasterKey>,
    /// Seals what is kept of a session.
    pub session: SessionSeal,
}

/// The keys a person's mesh and account are made of, as far as this device holds them.
#[derive(Debug, Clone)]
pub struct OwnerKeys {
    /// The keys of the personal mesh.
    pub mesh: OwnedKeys,
    /// The keys of the account.
    pub account: OwnedKeys,
}

/// The keys of a mesh or an account: an online key, and the one that only the device has that made
/// them.
#[derive(Debug, Clone)]
pub struct OwnedKeys {
    /// One of KeysOnlineSignature: signs connections, activations and answers.
    pub online: SecretKey,
    /// KeyEncryption.
    pub encryption: Option<SecretKey>,
}

impl OwnedKeys {
    /// The online key alone: what an administrator's device is given when it is connected.
    #[must_use]
    pub const fn administering(online: SecretKey) -> Self {
        Self {
            online,
            encryption: None,
        }
    }
}

impl From<MeshKeys> for OwnedKeys {
    fn from(keys: MeshKeys) -> Self {
        Self {
            online: keys.online,
            encryption: Some(keys.encryption),
        }
    }
}

impl From<AccountKeys> for OwnedKeys {
    fn from(keys: AccountKeys) -> Self {
        Self {
            online: keys.online,
            encryption: Some(keys.encryption),
        }
    }
}

/// The key under which the last session is sealed.
#[derive(Clone)]
pub struct SessionSeal(pub(crate) Zeroizing<[u8; 32]>);

impl std::fmt::Debug for SessionSeal {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("SessionSeal")
    }
}

/// What a new mesh and its first account are made of: the profiles follow from these keys.
#[derive(Debug)]
pub struct NewKeys {
    /// The keys of the personal mesh.
    pub mesh: MeshKeys,
    /// The keys of the account.
    pub account: AccountKeys,
    /// The keys of the device.
    pub device: DeviceKeys,
    /// What the offline keys of mesh and account follow from, if the device is to keep it.
    pub master: Option<MasterKey>,
}

impl NewKeys {
    /// Draws the keys of a new mesh, its first account under `address`, and its first device.
    pub fn generate(address: &AccountAddress, entropy: &mut dyn Entropy) -> Self {
        let master = MasterKey::generate(entropy);
        Self {
            master: Some(master.clone()),
            ..Self::of_master(&master, address, entropy)
        }
    }

    /// The same for a mesh and an account whose identities follow from `master`, which is not kept.
    pub fn of_master(
        master: &MasterKey,
        address: &AccountAddress,
        entropy: &mut dyn Entropy,
    ) -> Self {
        Self {
            account: AccountKeys {
                offline: master.account_key(address),
                ..AccountKeys::generate(entropy)
            },
            device: DeviceKeys::generate(entropy),
            mesh: MeshKeys {
                offline: master.mesh_key(),
                ..MeshKeys::generate(entropy)
            },
            master: None,
        }
    }

    /// The same keys, as a device keeps them.
    pub fn into_keys(self, entropy: &mut dyn Entropy) -> Keys {
        Keys {
            device: self.device,
            account_encryption: self.account.encryption.clone(),
            owner: Some(OwnerKeys {
                mesh: self.mesh.into(),
                account: self.account.into(),
            }),
            master: self.master,
            session: SessionSeal::draw(entropy),
        }
    }
}

impl SessionSeal {
    /// Draws a key.
    pub fn draw(entropy: &mut dyn Entropy) -> Self {
        Self(Zeroizing::new(draw(entropy)))
    }
}

impl Keys {
    /// Draws the keys of a further device of the account whose entries are encrypted to
    /// `account_encryption`.
    pub fn of_further_device(account_encryption: &SecretKey, entropy: &mut dyn Entropy) -> Self {
        Self {
            device: DeviceKeys::generate(entropy),
            account_encryption: account_encryption.clone(),
            owner: None,
            master: None,
            session: SessionSeal::draw(entropy),
        }
    }

    pub(super) fn to_text(&self) -> Zeroizing<Vec<u8>> {
        let stored = Stored {
            device: StoredDevice::of(&self.device),
            account_encryption: Seed::of(&self.account_encryption),
            owner: self.owner.as_ref().map(|owner| StoredOwner {
                mesh: StoredOwned::of(&owner.mesh),
                account: StoredOwned::of(&owner.account),
            }),
            master: self
                .master
                .as_ref()
                .map(|master| Seed(Zeroizing::new(master.octets().to_vec()))),
            session: Seed(Zeroizing::new(self.session.0.to_vec())),
        };
        Zeroizing::new(json::write(&stored))
    }

    pub(super) fn from_text(text: &[u8]) -> Result<Self, KeystoreError> {
        let stored: Stored = json::parse(text).map_err(|_| KeystoreError::Content)?;
        let session: [u8; 32] = stored
            .session
            .0
            .as_slice()
            .try_into()
            .map_err(|_| KeystoreError::Content)?;
        let owner = stored.owner.map(StoredOwner::keys).transpose()?;
        let master = stored.master.map(Seed::master).transpose()?;
        Ok(Self {
            device: stored.device.keys()?,
            account_encryption: stored.account_encryption.key()?,
            owner,
            master,
            session: SessionSeal(Zeroizing::new(session)),
        })
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Stored {
    device: StoredDevice,
    account_encryption: Seed,
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<StoredOwner>,
    #[serde(skip_serializing_if = "Option::is_none")]
    master: Option<Seed>,
    session: Seed,
}

/// The seeds of a device's keys: signature, encryption, authentication.
#[derive(Serialize, Deserialize)]
pub(crate) struct StoredDevice([Seed; 3]);

impl StoredDevice {
    pub(crate) fn of(keys: &DeviceKeys) -> Self {
        Self([
            Seed::of(&keys.signature),
            Seed::of(&keys.encryption),
            Seed::of(&keys.authentication),
        ])
    }

    pub(crate) fn keys(self) -> Result<DeviceKeys, KeystoreError> {
        let [signature, encryption, authentication] = self.0;
        Ok(DeviceKeys {
            signature: signature.key()?,
            encryption: encryption.key()?,
            authentication: authentication.key()?,
        })
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct StoredOwner {
    mesh: StoredOwned,
    account: StoredOwned,
}

impl StoredOwner {
    fn keys(self) -> Result<OwnerKeys, KeystoreError> {
        Ok(OwnerKeys {
            mesh: self.mesh.keys()?,
            account: self.account.keys()?,
        })
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct StoredOwned {
    online: Seed,
    #[serde(skip_serializing_if = "Option::is_none")]
    encryption: Option<Seed>,
}

impl StoredOwned {
    fn of(keys: &OwnedKeys) -> Self {
        Self {
            online: Seed::of(&keys.online),
            encryption: keys.encryption.as_ref().map(Seed::of),
        }
    }

    fn keys(self) -> Result<OwnedKeys, KeystoreError> {
        Ok(OwnedKeys {
            online: self.online.key()?,
            encryption: self.encryption.map(Seed::key).transpose()?,
        })
    }
}

/// Octets that are wiped, as base64url.
pub(super) struct Seed(pub(super) Zeroizing<Vec<u8>>);

impl Seed {
    pub(super) fn of(key: &SecretKey) -> Self {
        let seed = key
            .seed()
            .expect("every key a device keeps was made from a seed");
        Self(Zeroizing::new(seed.to_vec()))
    }

    fn master(self) -> Result<MasterKey, KeystoreError> {
        let octets: [u8; MASTER_BYTES] = self
            .0
            .as_slice()
            .try_into()
            .map_err(|_| KeystoreError::Content)?;
        Ok(MasterKey::from_octets(Zeroizing::new(octets)))
    }

    pub(super) fn key(self) -> Result<SecretKey, KeystoreError> {
        SecretKey::from_seed(&self.0).map_err(|_| KeystoreError::Content)
    }
}

impl Serialize for Seed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&Zeroizing::new(base64url::encode(&self.0)))
    }
}

impl<'de> Deserialize<'de> for Seed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer).map(Zeroizing::new)?;
        base64url::decode(&text)
            .map(|octets| Self(Zeroizing::new(octets)))
            .map_err(de::Error::custom)
    }
}
