//! Who does a piece of the work.

use mesh_backend::desk::DeskError;
use mesh_backend::moving::archive::{Exported, Imported};
use mesh_backend::moving::migrate::Copied;
use mesh_backend::moving::verify::VerifiedPage;
use mesh_backend::store::AnyStore;
use mesh_backend::usage::recount::{CountPlace, Counted};
use mesh_common::time::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::runtime::Runtime;

use crate::admin::moving::{Addresses, Archive, Moving, MovingDesk, Place};
use crate::config::MeshdConfig;
use crate::operate::args::Desk;
use crate::operate::failure::Failure;
use crate::operate::link::{Ask, Link, value_of};
use crate::operate::read;
use crate::stores::OpenStore;

/// A bounded piece of the work at a time.
pub(super) trait Hand {
    fn verify(&self, place: &Place) -> Result<VerifiedPage, Failure>;
    fn count(&self, place: &CountPlace) -> Result<Counted, Failure>;
    fn list(&self, place: &Place) -> Result<Addresses, Failure>;
    fn copy(&self, place: &Place) -> Result<Copied, Failure>;
    fn export(&self, archive: &Archive) -> Result<Exported, Failure>;
    fn import(&self, archive: &Archive) -> Result<Imported, Failure>;
}

/// The running service does it.
pub(super) struct Asked(pub(super) Link);

impl Asked {
    fn ask<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, Failure> {
        read(&self.0.post(&format!("accounts/{path}"), &value_of(body)?)?)
    }
}

impl Hand for Asked {
    fn verify(&self, place: &Place) -> Result<VerifiedPage, Failure> {
        self.ask("verify", place)
    }

    fn count(&self, place: &CountPlace) -> Result<Counted, Failure> {
        self.ask("count", place)
    }

    fn list(&self, place: &Place) -> Result<Addresses, Failure> {
        self.ask("list", place)
    }

    fn copy(&self, place: &Place) -> Result<Copied, Failure> {
        self.ask("copy", place)
    }

    fn export(&self, archive: &Archive) -> Result<Exported, Failure> {
        self.ask("export", archive)
    }

    fn import(&self, archive: &Archive) -> Result<Imported, Failure> {
        self.ask("import", archive)
    }
}

/// This process does it, over the store of a service that is stopped.
pub(super) struct Direct {
    pub(super) runtime: Runtime,
    pub(super) store: AnyStore,
    moving: Moving<AnyStore>,
    now: Timestamp,
    _open: OpenStore,
}

impl Direct {
    /// Opens the store that `desk` names.
    pub(super) fn open(desk: &Desk, now: Timestamp) -> Result<Self, Failure> {
        let mut config = MeshdConfig::load(desk.config.as_deref()).map_err(|error| {
            Failure::not_asked("the configuration is not usable", "see meshd check-config")
                .caused_by(&error)
        })?;
        if let Some(folder) = &desk.data_dir {
            config.data_dir.clone_from(folder);
        }
        let runtime = Runtime::new().map_err(|error| {
            Failure::not_asked("no threads can be started", "the same again").caused_by(&error)
        })?;
        let guard = runtime.enter();
        let open = OpenStore::of(&config).map_err(|error| {
            Failure::not_asked(
                "the store cannot be opened",
                "stop the service that has it open; what needs no --stopped and no --finish can be asked of it",
            )
            .caused_by(&*error)
        })?;
        drop(guard);
        let store = open.store();
        Ok(Self {
            runtime,
            moving: Moving::over(store.clone()),
            store,
            now,
            _open: open,
        })
    }
}

impl Hand for Direct {
    fn verify(&self, place: &Place) -> Result<VerifiedPage, Failure> {
        told(self.runtime.block_on(self.moving.verify(place.clone())))
    }

    fn count(&self, place: &CountPlace) -> Result<Counted, Failure> {
        told(self.runtime.block_on(self.moving.count(place.clone())))
    }

    fn list(&self, place: &Place) -> Result<Addresses, Failure> {
        told(self.runtime.block_on(self.moving.list(place.clone())))
    }

    fn copy(&self, place: &Place) -> Result<Copied, Failure> {
        told(self.runtime.block_on(self.moving.copy(place.clone())))
    }

    fn export(&self, archive: &Archive) -> Result<Exported, Failure> {
        let work = self.moving.export(archive.clone(), self.now);
        told(self.runtime.block_on(work))
    }

    fn import(&self, archive: &Archive) -> Result<Imported, Failure> {
        told(self.runtime.block_on(self.moving.import(archive.clone())))
    }
}

/// What the desk answers, as the API would have told it.
fn told<T>(outcome: Result<T, DeskError>) -> Result<T, Failure> {
    outcome.map_err(|error| match &error {
        DeskError::Unavailable { .. } => {
            Failure::not_asked(error.to_string(), "the same again in a moment")
        }
        DeskError::NotFound { .. } | DeskError::Refused { .. } => {
            Failure::refused(error.to_string(), "see what it says, then the same again")
        }
    })
}
