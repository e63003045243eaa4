//! The account: made, looked at, deleted. Making one can be interrupted anywhere; the same call
//! goes on with the same keys (service §5.2 and §5.3, decisions Q-10 and Q-11).
//!
//! ```text
//!  Hello ─▶ keys and profiles drawn and kept ─▶ CreateAccount ─▶ sync: frame 0 of every catalog
//!           (stage Begun)                       (Created)        and this device's entry (Ready)
//! ```

use mesh_common::address::AccountAddress;
use mesh_common::assertion::make::{
    account_entry, cataloged_device, connect_to_account, connect_to_mesh,
};
use mesh_common::assertion::{Assertion, Permission, ProfileAccount, ProfileDevice, ProfileMesh};
use mesh_common::dare::{ContainerName, Envelope, Header};
use mesh_common::entropy::Entropy;
use mesh_common::protocol::{Code, CreateRequest, DeleteRequest, Request, Response};
use mesh_common::time::Timestamp;
use serde::Serialize;

use crate::administration::AdministrationError;
use crate::catalogs::{CATALOGS, name_of};
use crate::changes::Change;
use crate::client::Client;
use crate::error::ClientError;
use crate::keystore::{self, NewKeys};
use crate::service::{ServiceFailure, hello};
use crate::state::{Beginning, Stage, State};
use crate::sync::{Remote, SyncReport};
use crate::transport::{check_url, default_url};

/// What a new account is to be.
#[derive(Debug, Clone)]
pub struct NewAccount {
    /// Its address.
    pub address: AccountAddress,
    /// Where the service is; none for the default place of the address's domain.
    pub service_url: Option<String>,
    /// Certificate authorities to trust besides the system's, in PEM form.
    pub authorities: Option<String>,
    /// What to call this device.
    pub device: Option<String>,
}

impl NewAccount {
    /// An account at the default place of its domain.
    #[must_use]
    pub const fn at(address: AccountAddress) -> Self {
        Self {
            address,
            service_url: None,
            authorities: None,
            device: None,
        }
    }
}

/// An account and this device in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AccountFacts {
    /// The account's address.
    pub address: String,
    /// Where the service is.
    pub service: String,
    /// UDF of the service's profile, pinned.
    pub service_udf: Option<String>,
    /// UDF of the personal mesh.
    pub mesh_udf: String,
    /// UDF of the account.
    pub account_udf: String,
    /// UDF of this device.
    pub device_udf: String,
    /// What this device is called.
    pub device: Option<String>,
    /// Whether the service has the account and all its catalogs.
    pub ready: bool,
    /// Whether the account was deleted.
    pub deleted: bool,
    /// When the last synchronization ended.
    pub synced_at: Option<String>,
}

/// How an account stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AccountStatus {
    /// The account and this device.
    #[serde(flatten)]
    pub facts: AccountFacts,
    /// Its containers, here and at the service.
    pub containers: Vec<ContainerStanding>,
}

/// One container, here and at the service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ContainerStanding {
    /// Its canonical name.
    pub container: String,
    /// Frames here.
    pub here: u64,
    /// Frames here that the service does not have.
    pub waiting: u64,
    /// Frames at the service.
    pub there: u64,
    /// Whether what both sides have is provably the same, where that can be said.
    pub agrees: Option<bool>,
}

impl Client {
    /// Makes an account at a service, with this device as its first, and uploads its catalogs.
    ///
    /// # Errors
    /// [`ClientError::AccountExists`] if this device has one; [`ClientError::Service`] and
    /// [`ClientError::Transport`] from the service; what keeps the folder from being written.
    pub async fn create_account(&mut self, new: &NewAccount) -> Result<SyncReport, ClientError> {
        if let Some(state) = self.state() {
            if state.address != new.address || state.stage == Stage::Ready {
                return Err(ClientError::AccountExists {
                    address: state.address.clone(),
                });
            }
            if state.stage == Stage::Deleted {
                return Err(ClientError::AccountDeleted {
                    address: state.address.clone(),
                });
            }
        } else {
            self.begin_account(new).await?;
        }
        self.sync(None).await
    }

    /// Draws keys and makes profiles, and keeps them.
    async fn begin_account(&mut self, new: &NewAccount) -> Result<(), ClientError> {
        let keys = NewKeys::generate(&new.address, self.entropy.as_mut());
        self.begin_with(new, keys, Stage::Begun).await
    }

    /// Makes profiles for `keys`, and keeps both.
    pub(crate) async fn begin_with(
        &mut self,
        new: &NewAccount,
        keys: NewKeys,
        stage: Stage,
    ) -> Result<(), ClientError> {
        let url = new
            .service_url
            .clone()
            .unwrap_or_else(|| default_url(new.address.domain()));
        check_url(&url)?;
        if keystore::exists(&self.home)? {
            return Err(ClientError::KeysWithoutAccount {
                folder: self.home.folder().to_owned(),
            });
        }
        if self.transport.is_none() {
            let https = crate::transport::Https::trusting(new.authorities.as_deref())?;
            self.transport = Some(std::sync::Arc::new(https));
        }
        let transport = self.way()?;
        let greeted = hello(transport.as_ref(), &url).await?;
        let now = self.clock.now();
        let beginning = beginning(new, url, &keys, now, self.entropy.as_mut())?;
        let keys = keys.into_keys(self.entropy.as_mut());
        let mut state = State::new(beginning);
        state.stage = stage;
        state.service = Some(greeted.pinned);
        let passphrase = self.passphrase.clone();
        // State first: keys that nothing tells the purpose of are never overwritten.
        state.save(&self.home)?;
        keystore::save(
            &self.home,
            &keys,
            passphrase
                .as_ref()
                .map(|passphrase| (passphrase, self.cost)),
            self.entropy.as_mut(),
        )?;
        self.unlock(state)
    }

    /// Goes on with making the account, if that is not done.
    pub(crate) async fn finish_creation(&mut self) -> Result<(), ClientError> {
        let stage = self.state().ok_or(ClientError::NoAccount)?.stage;
        if stage == Stage::Begun {
            self.create_at_service().await?;
            self.set_stage(Stage::Created)?;
        }
        match stage {
            Stage::Begun | Stage::Created => self.fill_catalogs(),
            Stage::Recovering => Err(AdministrationError::Unfinished.into()),
            Stage::Recovered | Stage::Ready | Stage::Deleted => Ok(()),
        }
    }

    async fn create_at_service(&mut self) -> Result<(), ClientError> {
        let device = self.device.as_ref().ok_or(ClientError::NoAccount)?;
        let owner = device.identity.owner.as_ref();
        let signer = owner.ok_or(ClientError::NotOwner)?.mesh.online.clone();
        let state = &device.state;
        let request = CreateRequest {
            service_id: Some(state.address.as_written().to_owned()),
            signed_profile_mesh: Some(state.profile_mesh.clone()),
            signed_assertion_account: Some(state.profile_account.clone()),
            ..CreateRequest::default()
        };
        let response = self
            .ask_to_create_by(Request::CreateAccount(Box::new(request)), &signer)
            .await?;
        match response {
            Response::CreateAccount(response) if response.outcome.is_success() => Ok(()),
            Response::CreateAccount(response) => {
                if is_final(response.outcome.code()) {
                    self.forget_beginning()?;
                }
                let refusal = ServiceFailure::refusal(&response.outcome);
                let more: Vec<_> = [response.reason, response.url]
                    .into_iter()
                    .flatten()
                    .collect();
                Err(if more.is_empty() {
                    refusal.into()
                } else {
                    refusal.about(more.join(", ")).into()
                })
            }
            other => Err(ServiceFailure::other_class(&other).into()),
        }
    }

    /// Forgets keys and profiles of an account that the service will never have, so that the folder
    /// can be used for another. What was added meanwhile keeps them.
    pub(crate) fn forget_beginning(&mut self) -> Result<(), ClientError> {
        if self.containers()?.is_empty() {
            self.device = None;
            keystore::remove(&self.home)?;
            State::remove(&self.home)?;
        }
        Ok(())
    }

    /// Begins every catalog, and the Device catalog with this device's entry: the first upload, and
    /// the first entry, of an account (decision Q-11).
    fn fill_catalogs(&mut self) -> Result<(), ClientError> {
        for catalog in CATALOGS {
            let name = name_of(catalog);
            if self.replica(&name)?.count() > 0 {
                continue;
            }
            let mut changes = Vec::new();
            if catalog == ContainerName::DEVICE {
                changes.push(self.own_entry()?);
            }
            self.change(&name, changes)?;
        }
        Ok(())
    }

    /// This device's entry: readable by the service, signed by the device.
    fn own_entry(&mut self) -> Result<Change, ClientError> {
        let device = self.device()?;
        Ok(Change {
            unique_id: device.identity.device.udf().to_string(),
            content: Some(Envelope::signed(
                device.state.device_entry.to_json(),
                Header::default(),
                &[&device.identity.in_account.signature],
            )),
        })
    }

    pub(crate) fn set_stage(&mut self, stage: Stage) -> Result<(), ClientError> {
        self.device()?.state.stage = stage;
        self.save_state()
    }

    /// The account and this device, without asking anybody.
    ///
    /// # Errors
    /// [`ClientError::NoAccount`].
    pub fn account_facts(&self) -> Result<AccountFacts, ClientError> {
        let device = self.device.as_ref().ok_or(ClientError::NoAccount)?;
        let (state, identity) = (&device.state, &device.identity);
        Ok(AccountFacts {
            address: state.address.as_written().to_owned(),
            service: state.service_url.clone(),
            service_udf: state.service.as_ref().map(|pinned| pinned.udf.to_string()),
            mesh_udf: identity.mesh.udf().to_string(),
            account_udf: identity.account.udf().to_string(),
            device_udf: identity.device.udf().to_string(),
            device: identity.device.description.clone(),
            ready: state.stage == Stage::Ready,
            deleted: state.stage == Stage::Deleted,
            synced_at: state.synced_at.map(Timestamp::to_text),
        })
    }

    /// How the account stands, here and at the service.
    ///
    /// # Errors
    /// [`ClientError::NoAccount`], and what keeps the service from answering.
    pub async fn account_status(&mut self) -> Result<AccountStatus, ClientError> {
        let remote = self.remote().await?;
        let mut names = self.containers()?;
        names.extend(remote.iter().map(|container| container.name.clone()));
        names.sort();
        names.dedup();
        let containers = names
            .into_iter()
            .map(|name| {
                let there = remote.iter().find(|container| container.name == name);
                self.standing(&name, there)
            })
            .collect::<Result<_, _>>()?;
        Ok(AccountStatus {
            facts: self.account_facts()?,
            containers,
        })
    }

    fn standing(
        &mut self,
        name: &ContainerName,
        there: Option<&Remote>,
    ) -> Result<ContainerStanding, ClientError> {
        let synced = self.synced(name);
        let replica = self.replica(name)?;
        let agrees = there.and_then(|there| {
            let apex = replica.apex_at(there.count)?;
            (there.count <= synced).then_some(there.apex.as_deref()? == apex)
        });
        Ok(ContainerStanding {
            container: name.canonical().to_owned(),
            here: replica.count(),
            waiting: replica.count().saturating_sub(synced),
            there: there.map_or(0, |there| there.count),
            agrees,
        })
    }

    /// Deletes the account at the service. What is on this device stays.
    ///
    /// # Errors
    /// [`ClientError::AccountDeleted`] if it was; what the service refuses.
    pub async fn delete_account(&mut self) -> Result<AccountFacts, ClientError> {
        let request = DeleteRequest {
            account: Some(self.account_name()?),
            ..DeleteRequest::default()
        };
        match self.ask(Request::DeleteAccount(request)).await? {
            Response::DeleteAccount(response) if response.outcome.is_success() => {}
            // The answer to an earlier try was lost (service §5.3).
            Response::DeleteAccount(response)
                if response.outcome.code() == Some(Code::NotFound) => {}
            Response::DeleteAccount(response) => {
                return Err(ServiceFailure::refusal(&response.outcome).into());
            }
            other => return Err(ServiceFailure::other_class(&other).into()),
        }
        self.set_stage(Stage::Deleted)?;
        self.account_facts()
    }
}

/// Whether the service refused to make the account, and will refuse again. It answers a repeated
/// CreateAccount of an account that exists with success, so there is none under these keys.
const fn is_final(code: Option<Code>) -> bool {
    matches!(
        code,
        Some(Code::AccountRegistered | Code::InvalidName | Code::Refused)
    )
}

/// The profiles, the device's place and its entry, for keys that were just drawn.
fn beginning(
    new: &NewAccount,
    service_url: String,
    keys: &NewKeys,
    now: Timestamp,
    entropy: &mut dyn Entropy,
) -> Result<Beginning, ClientError> {
    let making = ClientError::Making;
    let profile_mesh = keys.mesh.profile(now);
    let mesh = ProfileMesh::verify(&profile_mesh).map_err(making)?;
    let addresses = [new.address.as_written().to_owned()];
    let profile_account = keys
        .account
        .profile(mesh.udf(), &addresses, now, &keys.mesh.online);
    let account = ProfileAccount::verify(&profile_account, None).map_err(making)?;
    let profile_device = keys.device.profile(new.device.clone());
    let device = ProfileDevice::verify(&profile_device).map_err(making)?;
    let rights = administrator();
    let in_mesh = connect_to_mesh(&device, mesh.udf(), &keys.mesh.online, &rights, entropy)
        .map_err(making)?;
    let in_account = connect_to_account(&device, &account, &keys.account.online, &rights, entropy)
        .map_err(making)?;
    let accounts = vec![account_entry(account.udf(), &profile_account, in_account)];
    let device_entry = cataloged_device(&profile_device, in_mesh, accounts).map_err(making)?;
    Ok(Beginning {
        address: new.address.clone(),
        service_url,
        authorities: new.authorities.clone(),
        profile_mesh,
        profile_account,
        profile_device,
        device_entry,
    })
}

/// What the first device may do: everything (X-32).
fn administrator() -> Vec<Permission> {
    ["Admin", "Confirm"]
        .into_iter()
        .map(|name| Permission {
            name: Some(name.into()),
            ..Permission::default()
        })
        .collect()
}
