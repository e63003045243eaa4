//! Further accounts of one personal mesh: each in a folder below the first one's, with the same mesh and
//! the same device behind it (schema draft §4.2, service §6.2 step 7).

use std::path::PathBuf;

use mesh_common::address::AccountAddress;
use mesh_common::assertion::make::{AccountKeys, account_entry, connect_to_account};
use mesh_common::assertion::{CatalogedDevice, ProfileAccount};

use super::{ConnectError, Terms};
use crate::account::NewAccount;
use crate::administration::AdministrationError;
use crate::client::{ACCOUNTS, Client, further_folder};
use crate::error::ClientError;
use crate::home::HomeError;
use crate::keystore::{self, Keys, OwnerKeys, SessionSeal};
use crate::service::hello;
use crate::state::{Beginning, State};
use crate::transport::{check_url, default_url};

impl Client {
    /// Makes another account of this mesh at a service, with this device as its first, in a folder
    /// below this one's, and returns the device in it. An interrupted call goes on.
    ///
    /// # Errors
    /// [`ConnectError::NotAdministrator`]; [`ClientError::AccountExists`] for the address of this
    /// account; as [`Client::create_account`].
    pub async fn create_further_account(&mut self, new: &NewAccount) -> Result<Self, ClientError> {
        self.check_administrator()?;
        let own = &self.device()?.state.address;
        if *own == new.address {
            return Err(ClientError::AccountExists {
                address: own.clone(),
            });
        }
        let mut other = self.further(&new.address)?;
        if other.state().is_none() {
            Box::pin(self.begin_further(&mut other, new)).await?;
        }
        Box::pin(other.sync(None)).await?;
        Ok(other)
    }

    /// Opens another account of this mesh that this device has.
    ///
    /// # Errors
    /// [`ConnectError::NoSuchAccount`]; what keeps its folder from being used.
    pub fn open_further(&self, address: &AccountAddress) -> Result<Self, ClientError> {
        let missing = || ConnectError::NoSuchAccount {
            address: address.clone(),
        };
        if !further_folder(self.folder(), address).is_dir() {
            return Err(missing().into());
        }
        let other = self.further(address)?;
        let mesh_of = |client: &Self| client.identity().map(|one| one.mesh.udf().clone());
        if other.state().is_none() || mesh_of(&other) != mesh_of(self) {
            return Err(missing().into());
        }
        Ok(other)
    }

    /// The accounts of this device: this one, then the further ones by address, each with its folder.
    ///
    /// # Errors
    /// [`ClientError::NoAccount`], [`ClientError::Home`].
    pub fn accounts(&self) -> Result<Vec<(AccountAddress, PathBuf)>, ClientError> {
        let own = &self.state().ok_or(ClientError::NoAccount)?.address;
        let folder = self.folder().join(ACCOUNTS);
        let files = match std::fs::read_dir(&folder) {
            Ok(files) => files,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(vec![(own.clone(), self.folder().to_owned())]);
            }
            Err(source) => return Err(HomeError::reading(&folder, source).into()),
        };
        let mut accounts: Vec<_> = files
            .filter_map(|file| {
                let path = file.ok()?.path();
                let address = AccountAddress::parse(path.file_name()?.to_str()?).ok()?;
                path.join("account.json")
                    .is_file()
                    .then_some((address, path))
            })
            .collect();
        accounts.sort();
        accounts.insert(0, (own.clone(), self.folder().to_owned()));
        Ok(accounts)
    }

    /// Draws the account's keys, and keeps them with what this device has of its mesh.
    async fn begin_further(
        &mut self,
        other: &mut Self,
        new: &NewAccount,
    ) -> Result<(), ClientError> {
        let own = &self.device()?.state;
        let is_near = own.address.domain() == new.address.domain();
        let url = match &new.service_url {
            Some(url) => url.clone(),
            None if is_near => own.service_url.clone(),
            None => default_url(new.address.domain()),
        };
        let authorities = new.authorities.clone().or_else(|| own.authorities.clone());
        check_url(&url)?;
        let greeted = hello(self.way()?.as_ref(), &url).await?;
        let (beginning, keys) = self.further_beginning(new, url, authorities)?;
        let mut state = State::new(beginning);
        state.service = Some(greeted.pinned);
        let passphrase = self.passphrase.clone();
        let seal = passphrase.as_ref().map(|words| (words, self.cost));
        state.save(&other.home)?;
        keystore::save(&other.home, &keys, seal, self.entropy.as_mut())?;
        other.unlock(state)
    }

    fn further_beginning(
        &mut self,
        new: &NewAccount,
        service_url: String,
        authorities: Option<String>,
    ) -> Result<(Beginning, Keys), ClientError> {
        let owner = self.owner()?;
        let now = self.clock.now();
        let entropy = self.entropy.as_mut();
        let device = self.device.as_ref().ok_or(ClientError::NoAccount)?;
        let (identity, state) = (&device.identity, &device.state);
        let master = identity.keys.master.as_ref();
        let master = master.ok_or(AdministrationError::MasterNeeded)?;
        let account = AccountKeys {
            offline: master.account_key(&new.address),
            ..AccountKeys::generate(entropy)
        };
        let addresses = [new.address.as_written().to_owned()];
        let profile_account =
            account.profile(identity.mesh.udf(), &addresses, now, &owner.mesh.online);
        let profile =
            ProfileAccount::verify(&profile_account, None).map_err(ClientError::Making)?;
        let administrator = Terms {
            administrator: true,
            ..Terms::default()
        };
        let place = connect_to_account(
            &identity.device,
            &profile,
            &account.online,
            &administrator.rights(),
            entropy,
        )
        .map_err(ClientError::Making)?;
        let part = account_entry(profile.udf(), &profile_account, place);
        let keys = Keys {
            device: identity.keys.device.clone(),
            account_encryption: account.encryption.clone(),
            owner: Some(OwnerKeys {
                mesh: owner.mesh,
                account: account.into(),
            }),
            master: identity.keys.master.clone(),
            session: SessionSeal::draw(entropy),
        };
        let beginning = Beginning {
            address: new.address.clone(),
            service_url,
            authorities,
            profile_mesh: state.profile_mesh.clone(),
            profile_account,
            profile_device: state.profile_device.clone(),
            device_entry: CatalogedDevice {
                accounts: vec![part],
                ..state.device_entry.clone()
            },
        };
        Ok((beginning, keys))
    }
}
