//! The desk for accounts as a whole: what `meshd verify`, `export`, `import` and `migrate` ask of a service that runs.
//! Each request does a bounded piece of work and says where the next one goes on, so that nothing is kept here between
//! them but the store that is being copied into.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse, web};
use futures_util::future::BoxFuture;
use mesh_backend::SystemEntropy;
use mesh_backend::desk::DeskError;
use mesh_backend::moving::archive::{
    ArchiveError, Exported, Imported, export_account, import_account,
};
use mesh_backend::moving::listing::Listing;
use mesh_backend::moving::migrate::{Copied, MigrateError, Migration};
use mesh_backend::moving::pacing::Pacer;
use mesh_backend::moving::verify::{Scope, VerifiedPage, verify_page};
use mesh_backend::store::{AnyStore, Store, TxOptions};
use mesh_backend::usage::recount::{CountPlace, Counted, recount};
use mesh_common::address::AccountAddress;
use mesh_common::limits::PACE_SHARE_DEFAULT;
use mesh_common::pace::Pace;
use mesh_common::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::Mutex;

use super::api::{answer, ordered};
use super::door::Open;
use crate::stores::{OpenStore, WRITE_TIME_MAX};

/// Addresses that one request looks at. Their containers may be long.
pub const PAGE_ADDRESSES: usize = 8;

/// Where a pass goes on, and whom it is about.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Place {
    /// Accounts of this domain alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub domain: Option<String>,
    /// Behind this address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// One account in so many.
    pub one_in: u64,
    /// The configuration of the store that is copied into.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<PathBuf>,
    /// Hundredths of the time that the copying takes at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub share: Option<u8>,
    /// Octets that are copied in a second at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate: Option<u64>,
}

impl Place {
    /// How fast it is copied.
    fn pacer(&self) -> Result<Pacer, DeskError> {
        let pace = Pace::new(self.share.unwrap_or(PACE_SHARE_DEFAULT), self.rate);
        let pace = pace.map_err(|error| DeskError::Refused {
            why: error.to_string(),
        })?;
        Ok(Pacer::new(pace))
    }
}

/// One account and its folder, on the host of the service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Archive {
    /// Which account; nothing where the folder says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// Its folder.
    pub folder: PathBuf,
}

/// A page of addresses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Addresses {
    /// In the order of the directory; those whose accounts were deleted are not among them.
    pub addresses: Vec<String>,
    /// The last one looked at; none at the end.
    pub last: Option<String>,
}

/// Accounts as a whole.
pub trait MovingDesk: Send + Sync + 'static {
    /// Verifies the next accounts.
    fn verify(&self, place: Place) -> BoxFuture<'_, Result<VerifiedPage, DeskError>>;

    /// Compares what domains are said to use with what their accounts do, in the next partitions.
    fn count(&self, place: CountPlace) -> BoxFuture<'_, Result<Counted, DeskError>>;

    /// Lists the next accounts.
    fn list(&self, place: Place) -> BoxFuture<'_, Result<Addresses, DeskError>>;

    /// Writes an account into its folder.
    fn export(
        &self,
        archive: Archive,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<Exported, DeskError>>;

    /// Reads an account out of its folder.
    fn import(&self, archive: Archive) -> BoxFuture<'_, Result<Imported, DeskError>>;

    /// Copies the next accounts into another store.
    fn copy(&self, place: Place) -> BoxFuture<'_, Result<Copied, DeskError>>;
}

/// A store that is copied into, by the configuration that names it.
struct Target<S> {
    config: PathBuf,
    migration: Arc<Migration<S, AnyStore>>,
    /// What must outlive the store.
    _open: OpenStore,
}

/// The desk over a store that is served from.
pub struct Moving<S> {
    store: S,
    target: Mutex<Option<Target<S>>>,
}

impl<S: Store> Moving<S> {
    /// The desk over `store`.
    pub fn over(store: S) -> Self {
        Self {
            store,
            target: Mutex::default(),
        }
    }

    async fn migration(&self, config: &Path) -> Result<Arc<Migration<S, AnyStore>>, DeskError> {
        let mut target = self.target.lock().await;
        if let Some(known) = target.as_ref().filter(|known| known.config == config) {
            return Ok(Arc::clone(&known.migration));
        }
        *target = None;
        let refused =
            |error: &(dyn std::error::Error + 'static)| DeskError::Refused { why: chain(error) };
        let open = OpenStore::of_file(config).map_err(|error| refused(&*error))?;
        let (place, mut entropy) = (place_of(config), SystemEntropy);
        let (from, to) = (self.store.clone(), open.store());
        let begun = Migration::begin(from, to, &place, options(), &mut entropy).await;
        let migration = Arc::new(begun.map_err(|error| refused(&error))?);
        *target = Some(Target {
            config: config.to_owned(),
            migration: Arc::clone(&migration),
            _open: open,
        });
        Ok(migration)
    }
}

impl<S: Store> MovingDesk for Moving<S> {
    fn verify(&self, place: Place) -> BoxFuture<'_, Result<VerifiedPage, DeskError>> {
        Box::pin(async move {
            let scope = Scope {
                one_in: place.one_in,
                listing: listing(&place)?,
            };
            verify_page(&self.store, &scope, PAGE_ADDRESSES)
                .await
                .map_err(|error| unavailable(&error))
        })
    }

    fn count(&self, place: CountPlace) -> BoxFuture<'_, Result<Counted, DeskError>> {
        Box::pin(async move {
            let counted = recount(&self.store, &place, options()).await;
            counted.map_err(|error| unavailable(&error))
        })
    }

    fn list(&self, place: Place) -> BoxFuture<'_, Result<Addresses, DeskError>> {
        Box::pin(async move {
            let listing = listing(&place)?;
            let listed = listing.addresses(&self.store, PAGE_ADDRESSES * 16).await;
            let listed = listed.map_err(|error| unavailable(&*error))?;
            Ok(Addresses {
                last: listed.last().map(|one| one.address.canonical().to_owned()),
                addresses: listed
                    .iter()
                    .filter(|one| !one.is_reserved)
                    .map(|one| one.address.canonical().to_owned())
                    .collect(),
            })
        })
    }

    fn export(
        &self,
        archive: Archive,
        now: Timestamp,
    ) -> BoxFuture<'_, Result<Exported, DeskError>> {
        Box::pin(async move {
            let address = address(archive.account.as_deref().unwrap_or_default())?;
            export_account(&self.store, &address, &archive.folder, now)
                .await
                .map_err(|error| of_archive(&error))
        })
    }

    fn import(&self, archive: Archive) -> BoxFuture<'_, Result<Imported, DeskError>> {
        Box::pin(async move {
            import_account(&self.store, &archive.folder, options(), &mut SystemEntropy)
                .await
                .map_err(|error| of_archive(&error))
        })
    }

    fn copy(&self, place: Place) -> BoxFuture<'_, Result<Copied, DeskError>> {
        Box::pin(async move {
            let pacer = place.pacer()?;
            let config = place.to.clone().ok_or_else(|| DeskError::Refused {
                why: "no configuration is named whose store is to be copied into".to_owned(),
            })?;
            let migration = self.migration(&config).await?;
            let (listing, mut entropy) = (listing(&place)?, SystemEntropy);
            let page = migration.page(&listing, PAGE_ADDRESSES, &pacer, &mut entropy);
            page.await.map_err(|error| match error {
                MigrateError::Sync(error) => unavailable(&error),
                other => DeskError::Refused { why: chain(&other) },
            })
        })
    }
}

/// What a store that was left says of where everything went: to that of the configuration `config`.
pub(crate) fn place_of(config: &Path) -> String {
    format!("the store of {}", config.display())
}

/// How what is written here is written.
pub(crate) fn options() -> TxOptions {
    TxOptions {
        timeout: Some(WRITE_TIME_MAX),
        ..TxOptions::default()
    }
}

/// What a place says, or that it says nothing that can be.
pub(crate) fn listing(place: &Place) -> Result<Listing, DeskError> {
    Ok(Listing {
        domain: place.domain.clone(),
        after: place.after.as_deref().map(address).transpose()?,
    })
}

fn address(text: &str) -> Result<AccountAddress, DeskError> {
    AccountAddress::parse(text).map_err(|error| DeskError::Refused {
        why: format!("{text:?} is no address of an account: {error}"),
    })
}

fn of_archive(error: &ArchiveError) -> DeskError {
    match error {
        ArchiveError::NoAccount { .. } => DeskError::NotFound {
            what: error.to_string(),
        },
        ArchiveError::Store(_)
        | ArchiveError::Sync(_)
        | ArchiveError::Settle(_)
        | ArchiveError::MuchWaits { .. }
        | ArchiveError::Busy => unavailable(error),
        _ => DeskError::Refused { why: chain(error) },
    }
}

fn unavailable(error: &(dyn std::error::Error + 'static)) -> DeskError {
    DeskError::Unavailable {
        cause: chain(error),
    }
}

/// An error with its causes.
pub(crate) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let (mut text, mut cause) = (error.to_string(), error.source());
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

/// What an operator may type instead.
const ACCOUNTS: &str = "the same again, once what it says is done";
const EXPORT: &str = "name a whole address of an account here, and a folder that is not there yet";
const IMPORT: &str = "name a folder that meshd export wrote, of an account that is not here";

pub(super) async fn verify(open: Open, place: web::Json<Place>) -> HttpResponse {
    answer(open.moving.verify(place.into_inner()).await, ACCOUNTS)
}

pub(super) async fn count(
    open: Open,
    request: HttpRequest,
    place: web::Json<CountPlace>,
) -> HttpResponse {
    let place = place.into_inner();
    if !place.mend {
        return answer(open.moving.count(place).await, ACCOUNTS);
    }
    let about = ("set right what domains use", &json!(place));
    let work = open.moving.count(place);
    ordered(&open, &request, about, ACCOUNTS, work).await
}

pub(super) async fn list(open: Open, place: web::Json<Place>) -> HttpResponse {
    answer(open.moving.list(place.into_inner()).await, ACCOUNTS)
}

pub(super) async fn copy(open: Open, place: web::Json<Place>) -> HttpResponse {
    answer(open.moving.copy(place.into_inner()).await, ACCOUNTS)
}

pub(super) async fn export(
    open: Open,
    request: HttpRequest,
    archive: web::Json<Archive>,
) -> HttpResponse {
    let archive = archive.into_inner();
    let about = ("export", &about(&archive));
    let work = async {
        let exported = open.moving.export(archive, open.clock.now()).await?;
        Ok(json!(exported))
    };
    ordered(&open, &request, about, EXPORT, work).await
}

pub(super) async fn import(
    open: Open,
    request: HttpRequest,
    archive: web::Json<Archive>,
) -> HttpResponse {
    let archive = archive.into_inner();
    let about = ("import", &about(&archive));
    let work = async { Ok(json!(open.moving.import(archive).await?)) };
    ordered(&open, &request, about, IMPORT, work).await
}

fn about(archive: &Archive) -> Value {
    json!(archive)
}
