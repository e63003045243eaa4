//! The entry of a device: every envelope inside it must verify (decision Q-9).

use super::super::profile::key_of;
use super::super::{
    AccountEntry, Assertion, AssertionError, CatalogedDevice, Connection, ConnectionAccount,
    ConnectionDevice, ProfileAccount, ProfileDevice, ProfileMesh, is_administrator,
};
use super::signatures::{digest_of, matches_udf, signers_of};
use super::{Authority, Signed};
use crate::address::AccountAddress;
use crate::cluster::DeviceFacts;
use crate::crypto::PublicKey;
use crate::dare::Envelope;
use crate::limits::ACCOUNTS_PER_DEVICE_ENTRY_MAX;

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

/// Checks digest and known signatures of an envelope that is for others to read.
fn opaque(
    envelope: &Envelope,
    tag: &'static str,
    keys: &[PublicKey],
) -> Result<(), AssertionError> {
    let digest = digest_of(tag, envelope)?;
    signers_of(tag, envelope, &digest, keys.iter()).map(drop)
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
