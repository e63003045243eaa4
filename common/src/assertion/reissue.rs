//! Assertions made anew: a profile with other members, and the entry of a device whose connections
//! another key signs from now on. Keys and identities stay what they are (decisions ).

use super::{
    Assertion, AssertionError, CatalogedDevice, ConnectionAccount, ConnectionDevice, Permission,
    Profile,
};
use crate::crypto::SecretKey;
use crate::dare::{Envelope, Header};
use crate::udf::Udf;

/// A changed profile, signed by all of `signers`: its own KeyOfflineSignature first.
#[must_use]
pub fn signed_profile<T: Profile>(profile: &T, signers: &[&SecretKey]) -> Envelope {
    Envelope::signed(profile.to_json(), Header::default(), signers)
}

/// What the entries of an account's devices are made anew with.
#[derive(Debug, Clone, Copy)]
pub struct Reissue<'a> {
    /// An online key of the mesh.
    pub mesh: &'a SecretKey,
    /// An online key of the account.
    pub account: &'a SecretKey,
    /// UDF of the account.
    pub account_udf: &'a Udf,
    /// The ProfileAccount as it is now.
    pub profile_account: &'a Envelope,
}

impl Reissue<'_> {
    /// `entry` with the account's present profile, its connections and activations signed by the
    /// present keys. With `permissions` these take the place of those it has. What is about other
    /// accounts stays as it is.
    ///
    /// The activations are not opened: they are for the device alone, and a signature covers what
    /// is encrypted.
    ///
    /// # Errors
    /// A connection is missing or cannot be read.
    pub fn entry(
        &self,
        entry: &CatalogedDevice,
        permissions: Option<&[Permission]>,
    ) -> Result<CatalogedDevice, AssertionError> {
        let mut entry = entry.clone();
        let connection = missing(
            "EnvelopedConnectionDevice",
            entry.enveloped_connection_device.as_mut(),
        )?;
        *connection = match permissions {
            Some(permissions) => {
                let mut changed = ConnectionDevice::from_envelope(connection)?;
                changed.permissions = permissions.to_vec();
                plain(changed.to_json(), self.mesh)
            }
            None => signed_again(connection, self.mesh),
        };
        if let Some(activation) = &mut entry.enveloped_activation_device {
            *activation = signed_again(activation, self.mesh);
        }
        let ours = self.account_udf.as_str();
        for part in &mut entry.accounts {
            if part.account_udf.as_deref() != Some(ours) {
                continue;
            }
            part.enveloped_profile_account = Some(self.profile_account.clone());
            if let Some(connection) = &mut part.enveloped_connection_account {
                *connection = match permissions {
                    Some(permissions) => {
                        let mut changed = ConnectionAccount::from_envelope(connection)?;
                        changed.permissions = permissions.to_vec();
                        plain(changed.to_json(), self.account)
                    }
                    None => signed_again(connection, self.account),
                };
            }
            if let Some(activation) = &mut part.enveloped_activation_account {
                *activation = signed_again(activation, self.account);
            }
        }
        Ok(entry)
    }
}

fn missing<'a>(
    member: &'static str,
    envelope: Option<&'a mut Envelope>,
) -> Result<&'a mut Envelope, AssertionError> {
    let tag = CatalogedDevice::TAG;
    envelope.ok_or(AssertionError::Missing { tag, member })
}

fn plain(payload: Vec<u8>, signer: &SecretKey) -> Envelope {
    Envelope::signed(payload, Header::default(), &[signer])
}

/// The same payload, signed by `signer` alone.
fn signed_again(envelope: &Envelope, signer: &SecretKey) -> Envelope {
    let mut again = envelope.clone();
    again.header.signatures.clear();
    if let Some(trailer) = &mut again.trailer {
        trailer.signatures.clear();
    }
    again.add_signature(signer);
    again
}

#[cfg(test)]
mod tests {
    use super::super::make::{
        AccountKeys, DeviceKeys, MeshKeys, account_entry, cataloged_device, connect_to_account,
        connect_to_mesh,
    };
    use super::super::{
        Authority, ProfileAccount, ProfileDevice, ProfileMesh, activate_account, activate_device,
        is_administrator,
    };
    use super::*;
    use crate::address::AccountAddress;
    use crate::crypto::KeyData;
    use crate::entropy::SeededEntropy;
    use crate::time::Timestamp;

    #[test]
    fn a_device_keeps_its_keys_when_another_key_signs_its_place() {
        let entropy = &mut SeededEntropy::new(1);
        let (mesh, account) = (MeshKeys::generate(entropy), AccountKeys::generate(entropy));
        let device = DeviceKeys::generate(entropy);
        let now = Timestamp::from_secs(1);
        let first = ProfileMesh::verify(&mesh.profile(now)).unwrap();
        let addresses = ["alice@example.com".to_owned()];
        let profile = account.profile(first.udf(), &addresses, now, &mesh.online);
        let profile = ProfileAccount::verify(&profile, None).unwrap();
        let enveloped = device.profile(None);
        let described = ProfileDevice::verify(&enveloped).unwrap();
        let in_mesh = connect_to_mesh(&described, first.udf(), &mesh.online, &[], entropy).unwrap();
        let in_account =
            connect_to_account(&described, &profile, &account.online, &[], entropy).unwrap();
        let old_profile = account.profile(first.udf(), &addresses, now, &mesh.online);
        let accounts = vec![account_entry(profile.udf(), &old_profile, in_account)];
        let entry = cataloged_device(&enveloped, in_mesh, accounts).unwrap();
        let (_, before) = activate_device(&device, &entry, &Authority::from(&first)).unwrap();

        let online = [SecretKey::generate(entropy), SecretKey::generate(entropy)];
        let mut changed = first.clone().into_inner();
        changed.keys_online_signature = vec![KeyData::of(online[0].public())];
        changed.updated = Some(Timestamp::from_secs(2));
        let second = signed_profile(&changed, &[&mesh.offline]);
        let second = Authority::from(&ProfileMesh::verify(&second).unwrap());
        let mut changed = profile.clone().into_inner();
        changed.keys_online_signature = vec![KeyData::of(online[1].public())];
        let profile_account = signed_profile(&changed, &[&account.offline, &online[0]]);
        assert!(activate_device(&device, &entry, &second).is_err());

        let admin = [Permission {
            name: Some("Admin".into()),
            ..Permission::default()
        }];
        let reissue = Reissue {
            mesh: &online[0],
            account: &online[1],
            account_udf: profile.udf(),
            profile_account: &profile_account,
        };
        for permissions in [None, Some(&admin[..])] {
            let again = reissue.entry(&entry, permissions).unwrap();
            let (connection, keys) = activate_device(&device, &again, &second).unwrap();
            assert_eq!(keys.authentication.udf(), before.authentication.udf());
            assert_eq!(
                is_administrator(&connection.permissions),
                permissions.is_some()
            );
            let (profile, connection, _) =
                activate_account(&device, &again.accounts[0], &second).unwrap();
            assert_eq!(profile.keys()[0], *online[1].public());
            let authority = Authority::from(&profile);
            let address = AccountAddress::parse("alice@example.com").unwrap();
            let udf = described.udf().as_str();
            let facts = again.verify(udf, &second, &authority, &address).unwrap();
            assert_eq!(facts.is_administrator, permissions.is_some());
            assert_eq!(
                is_administrator(&connection.permissions),
                permissions.is_some()
            );
        }
    }
}
