//! Escrow: the keys that entries are encrypted to, kept at the service under a key that follows from
//! the master key, so that whoever brings that (or a quorum of its shares) reads everything again
//! (schema draft §4.1.1, §7.1.5).
//!
//! Only encryption keys are escrowed, never those that sign or authenticate: the draft forbids that.
//!
//! Draft: EscrowedKeySet has no fields in the schema draft, and no place; these fields and the
//! container `mmm_Escrow` are ours. The set is signed by the mesh's KeyOfflineSignature: the service
//! knows the escrow key's public half and could make a set of its own.

use mesh_common::assertion::{
    Assertion, AssertionError, Authority, ProfileAccount, ProfileMesh, Signed,
};
use mesh_common::crypto::{KeyData, PrivateParameters, PublicKey, SecretKey};
use mesh_common::dare::{ContainerName, Envelope, Header};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::error::AdministrationError;
use super::master::MasterKey;
use super::share::Share;
use crate::catalogs::name_of;
use crate::changes::Change;
use crate::client::Client;
use crate::error::ClientError;

/// The container of escrowed keys.
pub const CONTAINER: &str = "mmm_Escrow";

/// The keys and profiles of one mesh and one of its accounts.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct EscrowedKeySet {
    /// KeyEncryption of the ProfileMesh.
    mesh_encryption: Option<PrivateParameters>,
    /// KeyEncryption of the ProfileAccount.
    account_encryption: Option<PrivateParameters>,
    /// The mesh as it was.
    enveloped_profile_mesh: Option<Envelope>,
    /// The account as it was.
    enveloped_profile_account: Option<Envelope>,
}

impl Assertion for EscrowedKeySet {
    const TAG: &'static str = "EscrowedKeySet";
}

/// What was escrowed, checked.
pub(super) struct Escrowed {
    pub(super) mesh: Signed<ProfileMesh>,
    pub(super) account: Signed<ProfileAccount>,
    pub(super) mesh_encryption: Option<SecretKey>,
    pub(super) account_encryption: SecretKey,
}

/// The name of the container of escrowed keys.
pub(super) fn container() -> ContainerName {
    name_of(CONTAINER)
}

impl Client {
    /// Divides the master key into `count` shares, any `quorum` of which give it back, and escrows
    /// the encryption keys under it, so that these shares alone bring everything back
    /// ([`Self::recover`]). Shares that were made before stay good.
    ///
    /// # Errors
    /// [`AdministrationError::Division`]; [`AdministrationError::MasterAway`] and its siblings;
    /// [`ClientError::NotOwner`]; what a synchronization can meet.
    pub async fn escrow(
        &mut self,
        quorum: usize,
        count: usize,
        brought: Option<&MasterKey>,
    ) -> Result<Vec<Share>, ClientError> {
        let master = self.master_for_now(brought)?;
        let shares = master.divide(quorum, count, self.entropy.as_mut());
        let shares = shares.map_err(AdministrationError::Division)?;
        let master = self.prepare(Some(&master)).await?;
        let escrow_key = master.escrow_key();
        let mut listed = self.listed()?;
        let public = KeyData::of(escrow_key.public());
        if !listed.escrow.iter().any(|key| key.udf == public.udf) {
            listed.escrow.push(public);
            self.list_anew(&master, listed, None)?;
        }
        self.put_key_set(&master, &escrow_key)?;
        self.settle_with_service().await?;
        Ok(shares)
    }

    /// Puts the keys of this device's account into the container of escrowed keys.
    fn put_key_set(
        &mut self,
        master: &MasterKey,
        escrow_key: &SecretKey,
    ) -> Result<(), ClientError> {
        let device = self.device.as_ref().ok_or(ClientError::NoAccount)?;
        let keys = &device.identity.keys;
        let in_mesh = keys
            .owner
            .as_ref()
            .and_then(|owner| owner.mesh.encryption.as_ref());
        let set = EscrowedKeySet {
            mesh_encryption: in_mesh.and_then(|key| PrivateParameters::of(key).ok()),
            account_encryption: PrivateParameters::of(&keys.account_encryption).ok(),
            enveloped_profile_mesh: Some(device.state.profile_mesh.clone()),
            enveloped_profile_account: Some(device.state.profile_account.clone()),
        };
        let plaintext = Zeroizing::new(set.to_json());
        let signer = &device.identity.in_account.signature;
        let content = Envelope::encrypted_and_signed(
            &plaintext,
            Header::default(),
            &[escrow_key.public()],
            &[&master.mesh_key(), signer],
            self.entropy.as_mut(),
        )
        .map_err(|source| ClientError::Sealing {
            container: CONTAINER.to_owned(),
            source,
        })?;
        let change = Change {
            unique_id: escrow_key.udf().to_string(),
            content: Some(content),
        };
        let container = container();
        self.change(&container, vec![change])?;
        // Its name does not follow from its file's: it has to be noted.
        self.set_synced(&container, self.synced(&container))?;
        self.save_state()
    }

    /// The escrowed keys in the replica, if there are any for this master key.
    ///
    /// # Errors
    /// [`AdministrationError::ForgedEscrow`]: somebody else made them, or they fit no profile.
    pub(super) fn escrowed(&mut self, master: &MasterKey) -> Result<Option<Escrowed>, ClientError> {
        let escrow_key = master.escrow_key();
        let replica = self.replica(&container())?;
        let live = replica.index().live(escrow_key.udf().as_str());
        let Some(frame) = live.and_then(|frames| replica.frame(frames.last)) else {
            return Ok(None);
        };
        match opened(frame, master, &escrow_key) {
            Ok(escrowed) => Ok(Some(escrowed)),
            Err(problem) => Err(AdministrationError::ForgedEscrow { problem }.into()),
        }
    }
}

/// Opens and checks a set: made with the mesh's own master key, and of keys that its profiles name.
fn opened(
    frame: &Envelope,
    master: &MasterKey,
    escrow_key: &SecretKey,
) -> Result<Escrowed, String> {
    let text = |error: &dyn std::error::Error| error.to_string();
    let offline = master.mesh_key();
    frame
        .verify_by(offline.public())
        .map_err(|error| text(&error))?;
    let plaintext = frame.decrypt(&[escrow_key]).map_err(|error| text(&error))?;
    let set = EscrowedKeySet::from_json(&plaintext).map_err(|error| text(&error))?;
    checked(&set, &offline).map_err(|error| text(&error))
}

fn checked(set: &EscrowedKeySet, offline: &SecretKey) -> Result<Escrowed, AssertionError> {
    let tag = EscrowedKeySet::TAG;
    let missing = |member| AssertionError::Missing { tag, member };
    let mesh = set.enveloped_profile_mesh.as_ref();
    let mesh = ProfileMesh::verify(mesh.ok_or_else(|| missing("EnvelopedProfileMesh"))?)?;
    if *mesh.udf() != offline.udf() {
        let member = "EnvelopedProfileMesh";
        return Err(AssertionError::Mismatch { tag, member });
    }
    let account = set.enveloped_profile_account.as_ref();
    let account = account.ok_or_else(|| missing("EnvelopedProfileAccount"))?;
    let account = ProfileAccount::verify(account, Some(&Authority::from(&mesh)))?;
    let key = set.account_encryption.as_ref();
    let key = key.ok_or_else(|| missing("AccountEncryption"))?;
    let account_encryption = key_of("AccountEncryption", key, &account.encryption_key()?)?;
    let mesh_encryption = match &set.mesh_encryption {
        Some(key) => Some(key_of("MeshEncryption", key, &mesh.encryption_key()?)?),
        None => None,
    };
    Ok(Escrowed {
        mesh,
        account,
        mesh_encryption,
        account_encryption,
    })
}

/// The secret half of `expected`.
fn key_of(
    member: &'static str,
    parameters: &PrivateParameters,
    expected: &PublicKey,
) -> Result<SecretKey, AssertionError> {
    let tag = EscrowedKeySet::TAG;
    let key = parameters
        .secret_key()
        .map_err(|source| AssertionError::Key {
            tag,
            member,
            source,
        })?;
    if key.public() == expected {
        Ok(key)
    } else {
        Err(AssertionError::Mismatch { tag, member })
    }
}
