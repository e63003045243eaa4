//! The device: its folder opened and locked, its keys at hand, its replicas loaded as they are
//! needed. What it can do stands in the files named after it: `account`, `catalogs`, `importing`,
//! `sync`, `export`, `verify`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use mesh_common::address::AccountAddress;
use mesh_common::dare::{ContainerName, Envelope};
use mesh_common::entropy::Entropy;
use mesh_common::time::Clock;

use crate::ambient::{SystemClock, SystemEntropy};
use crate::connect::kept::Kept;
use crate::error::ClientError;
use crate::home::{Home, HomeError};
use crate::identity::Identity;
use crate::keystore::{self, Cost, Passphrase};
use crate::limits::LOCK_TIME_MAX;
use crate::replica::Replica;
use crate::service::Service;
use crate::state::{Stage, State};
use crate::transport::Transport;
use crate::waiting::Told;

/// The folder of the replicas, below the device's.
pub(crate) const CONTAINERS: &str = "containers";

/// The folder of the accounts besides the first, below the device's.
pub(crate) const ACCOUNTS: &str = "accounts";

/// The folder of another account of the person whose device keeps everything in `home`.
#[must_use]
pub fn further_folder(home: &Path, address: &AccountAddress) -> PathBuf {
    home.join(ACCOUNTS).join(address.canonical())
}

/// How far a long piece of work has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// What is being done, as a short phrase.
    pub what: &'static str,
    /// How much of it is done.
    pub done: u64,
    /// How much there is.
    pub total: u64,
}

/// Is told of [`Progress`].
pub type Watch = Arc<dyn Fn(Progress) + Send + Sync>;

/// What a device needs besides its folder.
pub struct Builder {
    folder: PathBuf,
    passphrase: Option<Passphrase>,
    cost: Cost,
    patience: Duration,
    clock: Arc<dyn Clock>,
    entropy: Box<dyn Entropy + Send>,
    transport: Option<Arc<dyn Transport>>,
    watch: Option<Watch>,
}

impl Builder {
    /// The passphrase that opens the keys, and that new keys are sealed with.
    #[must_use]
    pub fn passphrase(mut self, passphrase: Option<Passphrase>) -> Self {
        self.passphrase = passphrase;
        self
    }

    /// How much work it is to try a passphrase on new keys.
    #[must_use]
    pub const fn cost(mut self, cost: Cost) -> Self {
        self.cost = cost;
        self
    }

    /// How long to wait for another command that works in the folder.
    #[must_use]
    pub const fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Another clock than the system's.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Another source of chance than the system's.
    #[must_use]
    pub fn entropy(mut self, entropy: impl Entropy + Send + 'static) -> Self {
        self.entropy = Box::new(entropy);
        self
    }

    /// Another way to services than HTTPS.
    #[must_use]
    pub fn transport(mut self, transport: Arc<dyn Transport>) -> Self {
        self.transport = Some(transport);
        self
    }

    /// Who is told how far long work has come.
    #[must_use]
    pub fn watch(mut self, watch: Watch) -> Self {
        self.watch = Some(watch);
        self
    }

    /// Opens the folder, and the keys in it if there are any.
    ///
    /// # Errors
    /// [`ClientError::Home`], [`ClientError::Keystore`], [`ClientError::State`],
    /// [`ClientError::Identity`].
    pub fn open(self) -> Result<Client, ClientError> {
        let home = Home::open(&self.folder, self.patience)?;
        let mut client = Client {
            device: None,
            request: None,
            told: None,
            home,
            passphrase: self.passphrase,
            cost: self.cost,
            clock: self.clock,
            entropy: self.entropy,
            transport: self.transport,
            watch: self.watch,
        };
        match State::load(&client.home)? {
            // The keys are written behind the state: without them nothing was asked for yet, and the
            // account can be begun anew.
            Some(state)
                if !matches!(state.stage, Stage::Begun | Stage::Recovering)
                    || keystore::exists(&client.home)? =>
            {
                client.unlock(state)?;
            }
            Some(_) => {}
            None => {
                client.request =
                    Kept::load(&client.home, client.passphrase.as_ref())?.map(Box::new);
            }
        }
        Ok(client)
    }
}

/// A person's device.
pub struct Client {
    pub(crate) home: Home,
    pub(crate) passphrase: Option<Passphrase>,
    pub(crate) cost: Cost,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Box<dyn Entropy + Send>,
    pub(crate) transport: Option<Arc<dyn Transport>>,
    pub(crate) watch: Option<Watch>,
    pub(crate) device: Option<Box<Device>>,
    /// What this device has asked, before it has an account.
    pub(crate) request: Option<Box<Kept>>,
    pub(crate) told: Option<Told>,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Client({})", self.home.folder().display())
    }
}

/// What a device has once there is an account.
pub(crate) struct Device {
    pub(crate) identity: Identity,
    pub(crate) state: State,
    pub(crate) replicas: BTreeMap<ContainerName, Replica>,
    pub(crate) service: Option<Service>,
    /// A newer profile of the mesh that the service showed.
    pub(crate) offered: Option<Envelope>,
}

impl Client {
    /// Opens the device whose folder is `folder` with the clock, the chance and the network of this
    /// machine and without a passphrase.
    ///
    /// # Errors
    /// As [`Builder::open`].
    pub fn open(folder: impl AsRef<Path>) -> Result<Self, ClientError> {
        Self::builder(folder).open()
    }

    /// Begins to open the device whose folder is `folder`.
    pub fn builder(folder: impl AsRef<Path>) -> Builder {
        Builder {
            folder: folder.as_ref().to_owned(),
            passphrase: None,
            cost: Cost::default(),
            patience: LOCK_TIME_MAX,
            clock: Arc::new(SystemClock),
            entropy: Box::new(SystemEntropy),
            transport: None,
            watch: None,
        }
    }

    /// Opens the folder of another account of this person, below this one's, as this one was opened.
    pub(crate) fn further(&self, address: &AccountAddress) -> Result<Self, ClientError> {
        let mut builder = Self::builder(further_folder(self.folder(), address))
            .passphrase(self.passphrase.clone())
            .cost(self.cost)
            .clock(Arc::clone(&self.clock));
        builder.transport.clone_from(&self.transport);
        builder.open()
    }

    /// The device's folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.home.folder()
    }

    /// What is known of the account; none before there is one.
    #[must_use]
    pub fn state(&self) -> Option<&State> {
        self.device.as_ref().map(|device| &device.state)
    }

    /// Who the device is; none before there is an account.
    #[must_use]
    pub fn identity(&self) -> Option<&Identity> {
        self.device.as_ref().map(|device| &device.identity)
    }

    /// The replica of a container, loaded and checked on first use.
    ///
    /// # Errors
    /// [`ClientError::NoAccount`], [`ClientError::Replica`].
    pub fn replica(&mut self, name: &ContainerName) -> Result<&mut Replica, ClientError> {
        let folder = self.home.path(CONTAINERS);
        let device = self.device.as_mut().ok_or(ClientError::NoAccount)?;
        device.replica(&folder, name)
    }

    /// The containers that are here or were here, in the order of a Status.
    ///
    /// # Errors
    /// [`ClientError::NoAccount`], [`ClientError::Home`].
    pub fn containers(&mut self) -> Result<Vec<ContainerName>, ClientError> {
        let folder = self.home.path(CONTAINERS);
        let device = self.device.as_ref().ok_or(ClientError::NoAccount)?;
        let mut names: Vec<_> = device.state.synced.keys().cloned().collect();
        match std::fs::read_dir(&folder) {
            Ok(files) => names.extend(files.filter_map(|file| {
                let file = file.ok()?.file_name();
                let name = ContainerName::parse(file.to_str()?.strip_suffix(".dare")?).ok()?;
                // Names of unknown kind do not follow from their files; they were noted when they
                // came from the service.
                (*name.file_name() == *file).then_some(name)
            })),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(source) => return Err(HomeError::reading(&folder, source).into()),
        }
        names.sort();
        names.dedup();
        Ok(names)
    }

    /// Opens the keys that belong to `state`.
    pub(crate) fn unlock(&mut self, state: State) -> Result<(), ClientError> {
        let keys =
            keystore::load(&self.home, self.passphrase.as_ref())?.ok_or(ClientError::NoAccount)?;
        let identity = Identity::derive(keys, &state).map_err(ClientError::Identity)?;
        self.device = Some(Box::new(Device {
            identity,
            state,
            replicas: BTreeMap::new(),
            service: None,
            offered: None,
        }));
        Ok(())
    }

    /// The device, once there is an account.
    pub(crate) fn device(&mut self) -> Result<&mut Device, ClientError> {
        self.device.as_deref_mut().ok_or(ClientError::NoAccount)
    }

    /// Keeps the keys as they are now, under the passphrase they were opened with.
    pub(crate) fn save_keys(&mut self) -> Result<(), ClientError> {
        let is_sealed = keystore::needs_passphrase(&self.home)?;
        let device = self.device.as_ref().ok_or(ClientError::NoAccount)?;
        let passphrase = self.passphrase.as_ref().filter(|_| is_sealed);
        keystore::save(
            &self.home,
            &device.identity.keys,
            passphrase.map(|passphrase| (passphrase, self.cost)),
            self.entropy.as_mut(),
        )?;
        Ok(())
    }

    /// Keeps what is known of the account.
    pub(crate) fn save_state(&self) -> Result<(), ClientError> {
        let device = self.device.as_ref().ok_or(ClientError::NoAccount)?;
        Ok(device.state.save(&self.home)?)
    }

    pub(crate) fn tell(&self, what: &'static str, done: u64, total: u64) {
        if let Some(watch) = &self.watch {
            watch(Progress { what, done, total });
        }
    }
}

impl Device {
    /// The replica of a container below `folder`, loaded and checked on first use.
    pub(crate) fn replica(
        &mut self,
        folder: &Path,
        name: &ContainerName,
    ) -> Result<&mut Replica, ClientError> {
        use std::collections::btree_map::Entry;
        Ok(match self.replicas.entry(name.to_canonical()) {
            Entry::Occupied(loaded) => loaded.into_mut(),
            Entry::Vacant(place) => place.insert(Replica::load(folder, name.to_canonical())?),
        })
    }
}
