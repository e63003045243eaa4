//! Alice and her devices.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use mesh_client::Client;
use mesh_client::account::{AccountFacts, NewAccount};
use mesh_client::connect::{NewRequest, Terms};
use mesh_client::transport::Transport;
use mesh_common::account::testing::NOON;
use mesh_common::address::AccountAddress;
use mesh_common::catalog::entry::{
    CatalogEntry, CatalogedBookmark, CatalogedContact, CatalogedCredential, Contact,
};
use mesh_common::entropy::SeededEntropy;
use mesh_common::time::{Clock, Timestamp};

use crate::service::{LocalService, URL};

/// Alice's address.
pub(crate) const ALICE: &str = "alice@example.com";

/// A clock that moves when it is told to.
#[derive(Debug)]
pub(crate) struct StoryClock(AtomicI64);

impl StoryClock {
    pub(crate) fn set(&self, now: Timestamp) {
        self.0.store(now.as_millis(), Ordering::SeqCst);
    }
}

impl Clock for StoryClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }
}

/// Connects `new` to the account of `first`, by a PIN; afterwards it knows everything.
pub(crate) async fn connect_by_pin(
    first: &mut Client,
    new: &mut Client,
    name: &str,
    terms: &Terms,
) -> AccountFacts {
    let day = Duration::from_secs(86_400);
    let made = first.make_pin(day, terms).await.unwrap();
    let request = NewRequest {
        pin: Some(made.uri.pin),
        service_url: Some(URL.into()),
        device: Some(name.into()),
        ..NewRequest::to(made.uri.account)
    };
    new.request_connection(Some(&request)).await.unwrap();
    let report = first.sync(None).await.unwrap();
    assert!(report.devices[0].connected, "{:?}", report.devices);
    let facts = new.poll_connection().await.unwrap().unwrap();
    new.sync(None).await.unwrap();
    facts
}

/// A service, a clock, and folders for devices.
pub(crate) struct Scene {
    pub(crate) service: Arc<LocalService>,
    pub(crate) clock: Arc<StoryClock>,
    place: tempfile::TempDir,
}

impl Scene {
    /// A service without accounts, at noon.
    pub(crate) fn new() -> Self {
        Self {
            service: LocalService::new(1, NOON),
            clock: Arc::new(StoryClock(AtomicI64::new(NOON.as_millis()))),
            place: tempfile::tempdir().unwrap(),
        }
    }

    /// A scene in which Alice has an account and one device.
    pub(crate) async fn with_alice() -> (Self, Client) {
        let scene = Self::new();
        let mut laptop = scene.device("laptop");
        laptop.create_account(&alice()).await.unwrap();
        scene.service.log();
        (scene, laptop)
    }

    /// A scene in which Alice has an account and two devices that both know everything.
    pub(crate) async fn with_two_devices() -> (Self, Client, Client) {
        let (scene, mut laptop) = Self::with_alice().await;
        let mut phone = scene.device("phone");
        connect_by_pin(&mut laptop, &mut phone, "phone", &Terms::default()).await;
        laptop.sync(None).await.unwrap();
        scene.service.log();
        (scene, laptop, phone)
    }

    /// Time passes for everybody.
    pub(crate) fn advance(&self, duration: Duration) {
        let now = self.clock.now() + duration;
        self.clock.set(now);
        self.service.set_time(now);
    }

    /// Where the device `name` keeps everything.
    pub(crate) fn folder(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }

    /// The device `name`, as it is on the disk.
    pub(crate) fn device(&self, name: &str) -> Client {
        self.device_with_seed(name, name.bytes().map(u64::from).sum())
    }

    /// The device `name` with another sequence of chance.
    pub(crate) fn device_with_seed(&self, name: &str, seed: u64) -> Client {
        self.open(name, seed, Arc::clone(&self.service) as Arc<dyn Transport>)
    }

    /// The device `name`, closed and opened again with another way to the service.
    pub(crate) fn device_over(
        &self,
        name: &str,
        device: Client,
        transport: Arc<impl Transport + 'static>,
    ) -> Client {
        drop(device);
        self.open(name, 5_150, transport)
    }

    fn open(&self, name: &str, seed: u64, transport: Arc<dyn Transport>) -> Client {
        Client::builder(self.folder(name))
            .clock(Arc::clone(&self.clock) as Arc<dyn Clock>)
            .entropy(SeededEntropy::new(seed))
            .transport(transport)
            .patience(PATIENCE)
            .open()
            .unwrap()
    }
}

/// How long a folder is waited for. A test beside this one that starts a program shares every lock
/// with it until the program runs.
const PATIENCE: Duration = Duration::from_secs(30);

/// The account Alice wants.
pub(crate) fn alice() -> NewAccount {
    NewAccount {
        service_url: Some(URL.into()),
        device: Some("laptop".into()),
        ..NewAccount::at(AccountAddress::parse(ALICE).unwrap())
    }
}

/// A bookmark.
pub(crate) fn bookmark(path: &str, uri: &str) -> CatalogEntry {
    CatalogEntry::CatalogedBookmark(CatalogedBookmark {
        path: Some(path.into()),
        uri: Some(uri.into()),
        ..CatalogedBookmark::default()
    })
}

/// A contact.
pub(crate) fn contact(key: &str, name: &str) -> CatalogEntry {
    let mut entry = CatalogedContact {
        key: Some(key.into()),
        ..CatalogedContact::default()
    };
    entry.enclose(&Contact {
        full_name: Some(name.into()),
        ..Contact::default()
    });
    CatalogEntry::CatalogedContact(entry)
}

/// A password.
pub(crate) fn password(service: &str, password: &str) -> CatalogEntry {
    CatalogEntry::CatalogedCredential(CatalogedCredential {
        service: Some(service.into()),
        password: Some(password.into()),
        ..CatalogedCredential::default()
    })
}
