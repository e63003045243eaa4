//! The way back when every administering device is lost: the master key, or a quorum of its shares,
//! makes a new device the account's bootstrap device again (decision Q-48), which reads the escrowed
//! keys, signs the other devices' entries anew and adds its own.
//!
//! ```text
//!  CreateAccount, Proof by KeyOfflineSignature ─▶ Download as the bootstrap device ─▶ escrowed keys
//!      (stage Recovering)                                                                 │
//!  sync as a connected device ◀── own entry, entries of the others ◀── profiles with ◀────┘
//!      (Ready)                     (stage Recovered)                   the keys there were
//! ```
//!
//! A recovery that was interrupted is repeated with the same copy and goes on with the same keys.

use std::collections::BTreeMap;
use std::time::Duration;

use mesh_common::dare::ContainerName;
use mesh_common::protocol::{Code, CreateRequest, Request, Response};
use serde::Serialize;

use super::error::AdministrationError;
use super::escrow::Escrowed;
use super::holding::DeviceStanding;
use super::master::MasterKey;
use crate::account::{AccountFacts, NewAccount};
use crate::catalogs::name_of;
use crate::changes::Decisions;
use crate::client::Client;
use crate::error::ClientError;
use crate::keystore::NewKeys;
use crate::service::ServiceFailure;
use crate::state::Stage;

/// How far ahead of our clock a profile is dated, in turn, where the service has a later one.
const AHEAD: [Duration; 3] = [
    Duration::from_secs(10),
    Duration::from_secs(10 * 60),
    Duration::from_secs(25 * 60 * 60),
];

/// What a recovery brought back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RecoveryReport {
    /// The account and this device.
    #[serde(flatten)]
    pub facts: AccountFacts,
    /// Whether there was an account under the address; otherwise it is a new one.
    pub was_there: bool,
    /// Whether its entries can be read again.
    pub readable: bool,
    /// Living entries of all catalogs but the Device catalog that were opened.
    pub entries: u64,
    /// The other devices, which stay connected and do not administer until they are granted a key.
    pub other_devices: Vec<DeviceStanding>,
}

impl Client {
    /// Takes an account back with the master key. The folder must be empty, or hold a recovery of
    /// the same account that was interrupted. The master key is not kept.
    ///
    /// # Errors
    /// [`AdministrationError::HasAccount`]; [`AdministrationError::OtherAccount`] if the service has
    /// the account under another key; [`AdministrationError::NoEscrow`] unless `without_entries`;
    /// [`AdministrationError::ForgedEscrow`]; what a synchronization can meet.
    pub async fn recover(
        &mut self,
        account: &NewAccount,
        master: &MasterKey,
        without_entries: bool,
    ) -> Result<RecoveryReport, ClientError> {
        match self.state() {
            None => self.begin_recovery(account, master).await?,
            Some(state) if state.stage.is_recovery() && state.address == account.address => {}
            Some(state) => {
                return Err(AdministrationError::HasAccount {
                    address: state.address.as_written().to_owned(),
                }
                .into());
            }
        }
        self.check_master(master)?;
        let stage = self.device()?.state.stage;
        let was_there =
            stage != Stage::Recovering || Box::pin(self.take_back(master, without_entries)).await?;
        // As the bootstrap device, and then as the connected device that it is.
        self.settle_with_service().await?;
        self.settle_with_service().await?;
        self.recovery_report(was_there)
    }

    /// Draws keys and makes profiles with the identities that follow from the master key.
    async fn begin_recovery(
        &mut self,
        account: &NewAccount,
        master: &MasterKey,
    ) -> Result<(), ClientError> {
        let keys = NewKeys::of_master(master, &account.address, self.entropy.as_mut());
        self.begin_with(account, keys, Stage::Recovering).await
    }

    /// Becomes the bootstrap device, learns what the service has, and makes what was there before
    /// this device's again. False if there was no account under the address.
    async fn take_back(
        &mut self,
        master: &MasterKey,
        without_entries: bool,
    ) -> Result<bool, ClientError> {
        self.claim_with_patience(master).await?;
        let remote = self.remote().await?;
        let mut counts = BTreeMap::new();
        // Nothing waits here, so nothing collides.
        self.catch_up(&remote, &Decisions::default(), &mut counts)
            .await?;
        if self.replica(&name_of(ContainerName::DEVICE))?.count() == 0 {
            self.set_stage(Stage::Created)?;
            return Ok(false);
        }
        match self.escrowed(master)? {
            Some(escrowed) => self.restore(master, escrowed)?,
            None if without_entries => {
                let rights = self.rights_of_nobody()?;
                let state = &mut self.device()?.state;
                state.entries_wait = Some(rights);
                state.stage = Stage::Recovered;
                self.save_state()?;
            }
            None => {
                let address = account_text(self)?;
                return Err(AdministrationError::NoEscrow { address }.into());
            }
        }
        Ok(true)
    }

    /// [`Self::claim`], with later and later dates: whoever dated the profile that the service has
    /// may have had a clock ahead of ours.
    async fn claim_with_patience(&mut self, master: &MasterKey) -> Result<(), ClientError> {
        for ahead in AHEAD {
            match self.claim(master).await {
                Err(ClientError::Service(error)) if error.code() == Some(Code::Conflict) => {}
                outcome => return outcome,
            }
            let updated = self.next_update()? + ahead;
            let mut draft = self.draft(self.owner()?)?;
            draft.state.replaced = None;
            self.sign(draft, master, updated)?;
        }
        self.claim(master).await
    }

    /// CreateAccount for the existing name, with proof by the offline key (decision Q-48).
    async fn claim(&mut self, master: &MasterKey) -> Result<(), ClientError> {
        let state = self.state().ok_or(ClientError::NoAccount)?;
        let request = CreateRequest {
            service_id: Some(state.address.as_written().to_owned()),
            signed_profile_mesh: Some(state.profile_mesh.clone()),
            signed_assertion_account: Some(state.profile_account.clone()),
            ..CreateRequest::default()
        };
        let request = Request::CreateAccount(Box::new(request));
        match self.ask_to_create_by(request, &master.mesh_key()).await? {
            Response::CreateAccount(response) if response.outcome.is_success() => Ok(()),
            Response::CreateAccount(response) => {
                let code = response.outcome.code();
                let address = account_text(self)?;
                if matches!(code, Some(Code::AccountRegistered | Code::InvalidName)) {
                    self.forget_beginning()?;
                }
                if code == Some(Code::AccountRegistered) {
                    return Err(AdministrationError::OtherAccount { address }.into());
                }
                let refusal = ServiceFailure::refusal(&response.outcome);
                Err(refusal.about(address).into())
            }
            other => Err(ServiceFailure::other_class(&other).into()),
        }
    }

    /// Takes over the escrowed keys and the profiles that name them, with this device's online keys
    /// in them and nobody else's.
    fn restore(&mut self, master: &MasterKey, escrowed: Escrowed) -> Result<(), ClientError> {
        let rights = self.rights_of_nobody()?;
        let updated = self.next_update()?;
        let mut draft = self.draft(self.owner()?)?;
        let online = draft.mesh.keys_online_signature;
        draft.mesh = escrowed.mesh.into_inner();
        draft.mesh.keys_online_signature = online;
        let online = draft.account.keys_online_signature;
        draft.account = escrowed.account.into_inner();
        draft.account.keys_online_signature = online;
        draft.state.entries_wait = Some(rights);
        draft.state.stage = Stage::Recovered;
        let owner = draft.keys.owner.as_mut().ok_or(ClientError::NotOwner)?;
        owner.mesh.encryption = escrowed.mesh_encryption;
        owner.account.encryption = Some(escrowed.account_encryption.clone());
        draft.keys.account_encryption = escrowed.account_encryption;
        self.sign(draft, master, updated)
    }

    /// No device that was there administers: the keys it did that with are withdrawn.
    fn rights_of_nobody(&mut self) -> Result<BTreeMap<String, bool>, ClientError> {
        let entries = self.device_entries()?;
        Ok(entries.into_iter().map(|(id, _)| (id, false)).collect())
    }

    fn recovery_report(&mut self, was_there: bool) -> Result<RecoveryReport, ClientError> {
        let (mut entries, mut unreadable) = (0, 0);
        for name in self.containers()? {
            let kind = name.kind();
            if kind.is_catalog() && kind != mesh_common::dare::ContainerKind::Device {
                let listing = self.listing(&name)?;
                entries += listing.entries.len() as u64;
                unreadable += listing.unreadable.len();
            }
        }
        let devices = self.key_status()?.devices;
        Ok(RecoveryReport {
            facts: self.account_facts()?,
            was_there,
            readable: unreadable == 0,
            entries,
            other_devices: devices.into_iter().filter(|device| !device.this).collect(),
        })
    }
}

fn account_text(client: &Client) -> Result<String, ClientError> {
    let state = client.state().ok_or(ClientError::NoAccount)?;
    Ok(state.address.as_written().to_owned())
}
