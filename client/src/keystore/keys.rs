//! The secret keys of a device, and the text they are kept as.

use mesh_common::assertion::make::{AccountKeys, DeviceKeys, MeshKeys};
use mesh_common::crypto::SecretKey;
use mesh_common::encoding::{base64url, json};
use mesh_common::entropy::{Entropy, draw};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use zeroize::Zeroizing;

use super::KeystoreError;

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
    /// Seals what is kept of a session.
    pub session: SessionSeal,
}

/// The keys a person's mesh and account are made of.
#[derive(Debug, Clone)]
pub struct OwnerKeys {
    /// The keys of the personal mesh.
    pub mesh: MeshKeys,
    /// The keys of the account.
    pub account: AccountKeys,
}

/// The key under which the last session is sealed.
#[derive(Clone)]
pub struct SessionSeal(pub(crate) Zeroizing<[u8; 32]>);

impl std::fmt::Debug for SessionSeal {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("SessionSeal")
    }
}

impl Keys {
    /// Draws the keys of a new mesh, its first account and its first device.
    pub fn generate(entropy: &mut dyn Entropy) -> Self {
        let account = AccountKeys::generate(entropy);
        Self {
            device: DeviceKeys::generate(entropy),
            account_encryption: account.encryption.clone(),
            owner: Some(OwnerKeys {
                mesh: MeshKeys::generate(entropy),
                account,
            }),
            session: SessionSeal(Zeroizing::new(draw(entropy))),
        }
    }

    /// Draws the keys of a further device of the account whose entries are encrypted to
    /// `account_encryption`.
    pub fn of_further_device(account_encryption: &SecretKey, entropy: &mut dyn Entropy) -> Self {
        Self {
            device: DeviceKeys::generate(entropy),
            account_encryption: account_encryption.clone(),
            owner: None,
            session: SessionSeal(Zeroizing::new(draw(entropy))),
        }
    }

    pub(super) fn to_text(&self) -> Zeroizing<Vec<u8>> {
        let stored = Stored {
            device: [
                Seed::of(&self.device.signature),
                Seed::of(&self.device.encryption),
                Seed::of(&self.device.authentication),
            ],
            account_encryption: Seed::of(&self.account_encryption),
            owner: self.owner.as_ref().map(|owner| StoredOwner {
                mesh: [
                    Seed::of(&owner.mesh.offline),
                    Seed::of(&owner.mesh.online),
                    Seed::of(&owner.mesh.encryption),
                ],
                account: [
                    Seed::of(&owner.account.offline),
                    Seed::of(&owner.account.online),
                    Seed::of(&owner.account.encryption),
                ],
            }),
            session: Seed(Zeroizing::new(self.session.0.to_vec())),
        };
        Zeroizing::new(json::write(&stored))
    }

    pub(super) fn from_text(text: &[u8]) -> Result<Self, KeystoreError> {
        let stored: Stored = json::parse(text).map_err(|_| KeystoreError::Content)?;
        let [signature, encryption, authentication] = stored.device;
        let owner = stored
            .owner
            .map(
                |StoredOwner { mesh, account }| -> Result<_, KeystoreError> {
                    let [mesh_offline, mesh_online, mesh_encryption] = mesh;
                    let [account_offline, account_online, account_encryption] = account;
                    Ok(OwnerKeys {
                        mesh: MeshKeys {
                            offline: mesh_offline.key()?,
                            online: mesh_online.key()?,
                            encryption: mesh_encryption.key()?,
                        },
                        account: AccountKeys {
                            offline: account_offline.key()?,
                            online: account_online.key()?,
                            encryption: account_encryption.key()?,
                        },
                    })
                },
            )
            .transpose()?;
        let session: [u8; 32] = stored
            .session
            .0
            .as_slice()
            .try_into()
            .map_err(|_| KeystoreError::Content)?;
        Ok(Self {
            device: DeviceKeys {
                signature: signature.key()?,
                encryption: encryption.key()?,
                authentication: authentication.key()?,
            },
            account_encryption: stored.account_encryption.key()?,
            owner,
            session: SessionSeal(Zeroizing::new(session)),
        })
    }
}

/// Triples stand in the order signature (or offline), encryption (or online), authentication (or
/// encryption), as the structures they are read into name them.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Stored {
    device: [Seed; 3],
    account_encryption: Seed,
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<StoredOwner>,
    session: Seed,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct StoredOwner {
    mesh: [Seed; 3],
    account: [Seed; 3],
}

/// Octets that are wiped, as base64url.
struct Seed(Zeroizing<Vec<u8>>);

impl Seed {
    fn of(key: &SecretKey) -> Self {
        let seed = key
            .seed()
            .expect("every key a device keeps was made from a seed");
        Self(Zeroizing::new(seed.to_vec()))
    }

    fn key(self) -> Result<SecretKey, KeystoreError> {
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
