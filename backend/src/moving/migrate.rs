//! `meshd migrate`: everything of one store into another, of whatever engine (cluster §16, §19).
//!
//! Most of it is copied while the service runs, account by account, and any number of times: an account whose tip is
//! the same at both ends is there already. Its tip is written last, so an account that was half copied when the copying
//! ended is none yet. Only the rest needs the service to be stopped: [`Migration::finish`] copies what changed since,
//! then what belongs to no account, and checks each account by its digests.
//!
//! At most one of the two is ever served from. A store that is copied into has a row `arriving`, which names the
//! migration, and no service is begun in it. When everything is there, the store it came from gets a row `left` with the
//! same name, and is not served from any more; then the other one gets its row `meta`, with a higher generation (so that
//! nothing from before ever sorts behind what comes, or holds a fence), and loses `arriving`. A migration that ended
//! anywhere, between these two as well, begins again and finds what is done.
//!
//! Ownership records, nodes and routes stay where they are: they are of one store's processes.

use bytes::Bytes;
use mesh_common::account::AccountId;
use mesh_common::entropy::{self, Entropy};
use mesh_common::limits::COPY_PAGE_TIME_MAX;
use serde::{Deserialize, Serialize};

use super::listing::{Listed, Listing};
use super::pacing::Pacer;
use super::sync::{Sync, SyncError, Synced};
use super::verify::{Verified, verify_account};
use crate::node::{LEVELS, LevelError, Meta};
use crate::partition::RowError;
use crate::partition::reading::ReadError;
use crate::store::keys::{self, AccountKeys};
use crate::store::{KeyRange, Limit, Order, Read, Row, Store, StoreError, Tx, TxOptions};

/// Why nothing moved, or not everything.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// Nothing can come of a store without `meta`.
    #[error("the store that is to be copied holds no service")]
    Empty,
    /// It was left before, for another store than this.
    #[error("the store that is to be copied was left before: everything went to {place}")]
    Left {
        /// Where to.
        place: String,
    },
    /// Somebody else began to copy into the same store meanwhile.
    #[error("another migration into the same store began meanwhile")]
    Overtaken,
    /// The other end is somebody else's, or in use.
    #[error(
        "the store that is to be written to holds a service already: name an empty one, or another prefix"
    )]
    Occupied,
    /// Processes still work over it.
    #[error(
        "{count} processes still serve from the store that is to be copied: stop them, and try again"
    )]
    Served {
        /// How many.
        count: usize,
    },
    /// A row that says what everything else is does not read.
    #[error("the store that is to be copied cannot be read")]
    Row(#[from] RowError),
    /// There are rows that this release does not read.
    #[error("the store that is to be copied is of another release")]
    Level(#[from] LevelError),
    /// A page could not be copied.
    #[error(transparent)]
    Sync(#[from] SyncError),
    /// An account is not what it was.
    #[error("{address} is not the same at the other end: {what}")]
    Differs {
        /// The account.
        address: String,
        /// The first thing that is wrong.
        what: String,
    },
}

/// What was done to a page of accounts.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Copied {
    /// Accounts that were copied.
    pub accounts: u64,
    /// Accounts that were there already.
    pub same: u64,
    /// Rows and octets.
    pub synced: Synced,
    /// The last address; none if there was none left.
    pub last: Option<String>,
}

/// What a finished migration moved and checked.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Finished {
    /// Accounts, those included whose addresses are reserved.
    pub accounts: u64,
    /// Accounts that had changed since they were copied.
    pub changed: u64,
    /// Frames whose digests were recomputed at the other end.
    pub frames: u64,
    /// Rows and octets of this last step.
    pub synced: Synced,
}

/// The records of nodes at one moment. One that has not changed for longer than its lease is that of a process
/// that ended without taking it away.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Heartbeats(Vec<Row>);

impl Heartbeats {
    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// From one store into another.
pub struct Migration<F, T> {
    from: F,
    to: T,
    options: TxOptions,
    /// What `arriving` and `left` say.
    name: Bytes,
}

impl<F: Store, T: Store> Migration<F, T> {
    /// Looks at both ends, and says in the store that is copied into that it is. `place` is what the store that is
    /// left will say of where everything went, unless a migration into the same store was begun before.
    ///
    /// # Errors
    /// [`MigrateError::Empty`], [`MigrateError::Left`], [`MigrateError::Occupied`], or that an end
    /// cannot be read, or the other one not written.
    pub async fn begin(
        from: F,
        to: T,
        place: &str,
        options: TxOptions,
        entropy: &mut (dyn Entropy + Send),
    ) -> Result<Self, MigrateError> {
        let mut migration = Self {
            from,
            to,
            options,
            name: Bytes::new(),
        };
        let arriving = get(&migration.to, &keys::arriving()).await;
        let arriving = arriving.map_err(SyncError::To)?;
        migration.name = arriving.clone().unwrap_or_else(|| name(place, entropy));
        migration.meta().await?;
        let occupied = get(&migration.to, &keys::meta()).await;
        if occupied.map_err(SyncError::To)?.is_some() {
            return Err(MigrateError::Occupied);
        }
        if arriving.is_none() {
            let row = Row {
                key: keys::arriving().into(),
                value: migration.name.clone(),
            };
            migration.sync().set(vec![row], entropy).await?;
        }
        Ok(migration)
    }

    /// What the store that is to be copied is, unless it was left by another migration.
    async fn meta(&self) -> Result<Meta, MigrateError> {
        let found = get(&self.from, &keys::meta()).await;
        let row = found.map_err(SyncError::From)?.ok_or(MigrateError::Empty)?;
        let left = get(&self.from, &keys::left()).await;
        if let Some(place) = left.map_err(SyncError::From)?
            && place != self.name
        {
            return Err(MigrateError::Left {
                place: String::from_utf8_lossy(&place).into_owned(),
            });
        }
        let meta = Meta::decode(&row)?;
        // Tables that only a later release knows would stay behind.
        meta.check_level(LEVELS)?;
        Ok(meta)
    }

    const fn sync(&self) -> Sync<'_, F, T> {
        Sync {
            from: &self.from,
            to: &self.to,
            options: self.options,
            pacer: None,
        }
    }

    /// The same beside a service that is to stay quick.
    const fn beside<'a>(&'a self, pacer: &'a Pacer) -> Sync<'a, F, T> {
        let options = TxOptions {
            is_background: true,
            ..self.options
        };
        Sync {
            from: &self.from,
            to: &self.to,
            options,
            pacer: Some(pacer),
        }
    }

    /// Copies the next `max` accounts behind those that `listing` says, or fewer if that takes long. May be called
    /// while the service runs, which stays as quick as `pacer` leaves it.
    ///
    /// # Errors
    /// [`MigrateError`]: the same page may be copied again.
    pub async fn page(
        &self,
        listing: &Listing,
        max: usize,
        pacer: &Pacer,
        entropy: &mut (dyn Entropy + Send),
    ) -> Result<Copied, MigrateError> {
        let (sync, begun) = (self.beside(pacer), pacer.now());
        let listed = self.listed(listing, max).await?;
        let mut copied = Copied::default();
        for one in listed {
            let account_begun = pacer.now();
            if copied.last.is_some() && account_begun >= begun + COPY_PAGE_TIME_MAX {
                break;
            }
            match self.account(one.account, &sync, entropy).await? {
                Some(synced) => {
                    copied.accounts += 1;
                    copied.synced += synced;
                }
                None => {
                    copied.same += 1;
                    pacer.rest(account_begun, 0).await;
                }
            }
            copied.last = Some(one.address.canonical().to_owned());
        }
        Ok(copied)
    }

    async fn listed(&self, listing: &Listing, max: usize) -> Result<Vec<Listed>, MigrateError> {
        listing
            .page(&self.from, max)
            .await
            .map_err(|error| match error {
                ReadError::Store(error) => SyncError::From(error).into(),
                ReadError::Row(error) => error.into(),
            })
    }

    /// Copies an account unless it is there already; its tip last.
    async fn account(
        &self,
        account: AccountId,
        sync: &Sync<'_, F, T>,
        entropy: &mut (dyn Entropy + Send),
    ) -> Result<Option<Synced>, MigrateError> {
        let keys = AccountKeys::of(account);
        let tip = keys.tip();
        let ours = self.from.begin(TxOptions::default());
        let ours = ours.get(&tip, Read::Snapshot).await;
        let ours = ours.map_err(SyncError::From)?;
        let theirs = self.to.begin(TxOptions::default());
        let theirs = theirs.get(&tip, Read::Snapshot).await;
        if ours.is_some() && ours == theirs.map_err(SyncError::To)? {
            return Ok(None);
        }
        let mut synced = Synced::default();
        for range in around(&keys.all(), &tip) {
            synced += sync.range(range, entropy).await?;
        }
        if let Some(value) = ours {
            // As it was before: who changed the account meanwhile has another one.
            let row = Row {
                key: tip.into(),
                value,
            };
            synced += sync.set(vec![row], entropy).await?;
        }
        Ok(Some(synced))
    }

    /// The records of those who serve from the store that is to be copied.
    ///
    /// # Errors
    /// [`MigrateError::Sync`]: it cannot be read.
    pub async fn heartbeats(&self) -> Result<Heartbeats, MigrateError> {
        let tx = self.from.begin(TxOptions::default());
        let nodes = keys::nodes();
        let page = tx
            .range(&nodes, Limit::default(), Order::Forward, Read::Snapshot)
            .await
            .map_err(SyncError::From)?;
        Ok(Heartbeats(page.rows))
    }

    /// Copies what is left, checks each account, and hands the service over to the other store. The
    /// service must be stopped: nodes whose records differ from those in `ended`, which were read
    /// longer ago than any lease, are at work. `told` is called with the accounts checked so far.
    ///
    /// # Errors
    /// [`MigrateError`]: this may be tried again, or the service go on where it was if that does not say
    /// that it was left.
    pub async fn finish(
        &self,
        ended: &Heartbeats,
        entropy: &mut (dyn Entropy + Send),
        mut told: impl FnMut(u64),
    ) -> Result<Finished, MigrateError> {
        let Heartbeats(now) = self.heartbeats().await?;
        match now.iter().filter(|row| !ended.0.contains(row)).count() {
            0 => {}
            count => return Err(MigrateError::Served { count }),
        }
        let mut meta = self.meta().await?;
        let mut finished = Finished::default();
        self.forget_purged(entropy, &mut finished).await?;
        for table in keys::tables_of_everybody() {
            finished.synced += self.sync().range(table, entropy).await?;
        }
        let mut listing = Listing::default();
        loop {
            let listed = self.listed(&listing, 64).await?;
            let Some(last) = listed.last() else { break };
            listing.after = Some(last.address.clone());
            for one in &listed {
                self.finish_account(one, entropy, &mut finished).await?;
            }
            told(finished.accounts);
        }
        meta.generation += 1;
        self.hand_over(meta, entropy).await?;
        Ok(finished)
    }

    /// Says in the store that is left where everything went, and only then lets the other one be served from.
    async fn hand_over(
        &self,
        meta: Meta,
        entropy: &mut (dyn Entropy + Send),
    ) -> Result<(), MigrateError> {
        let arriving = get(&self.to, &keys::arriving()).await;
        if arriving.map_err(SyncError::To)?.as_ref() != Some(&self.name) {
            return Err(MigrateError::Overtaken);
        }
        let back = Sync {
            from: &self.to,
            to: &self.from,
            options: self.options,
            pacer: None,
        };
        let left = Row {
            key: keys::left().into(),
            value: self.name.clone(),
        };
        back.set(vec![left], entropy).await?;
        let meta = Row {
            key: keys::meta().into(),
            value: meta.encode().into(),
        };
        let opened = self.sync();
        opened
            .set_and_clear(meta, keys::arriving(), entropy)
            .await?;
        Ok(())
    }

    /// Everything of an account that may differ under the same tip, then its digests.
    async fn finish_account(
        &self,
        one: &Listed,
        entropy: &mut (dyn Entropy + Send),
        finished: &mut Finished,
    ) -> Result<(), MigrateError> {
        let keys = AccountKeys::of(one.account);
        match self.account(one.account, &self.sync(), entropy).await? {
            Some(synced) => {
                finished.changed += 1;
                finished.synced += synced;
            }
            None => {
                // What retention notes for itself moves no tip; frames do not change without it.
                for range in keys.all_but_frames() {
                    finished.synced += self.sync().range(range, entropy).await?;
                }
            }
        }
        finished.accounts += 1;
        if one.is_reserved {
            return Ok(());
        }
        let Verified {
            problems, frames, ..
        } = verify_account(&self.to, &one.address)
            .await
            .map_err(SyncError::To)?;
        finished.frames += frames;
        match problems.into_iter().next() {
            None => Ok(()),
            Some(problem) => Err(MigrateError::Differs {
                address: one.address.canonical().to_owned(),
                what: problem.what,
            }),
        }
    }

    /// Removes accounts at the other end that were purged here after they had been copied.
    async fn forget_purged(
        &self,
        entropy: &mut (dyn Entropy + Send),
        finished: &mut Finished,
    ) -> Result<(), MigrateError> {
        let mut rest = keys::accounts();
        while let Some(account) = first_account(&self.to, &rest)
            .await
            .map_err(SyncError::To)?
        {
            let all = AccountKeys::of(account).all();
            let is_here = first_account(&self.from, &all)
                .await
                .map_err(SyncError::From)?;
            if is_here.is_none() {
                finished.synced += self.sync().range(all.clone(), entropy).await?;
            }
            rest.begin = all.end;
        }
        Ok(())
    }
}

/// What a migration is called: where to, and which of those that may have gone there.
fn name(place: &str, entropy: &mut (dyn Entropy + Send)) -> Bytes {
    let drawn: [u8; 8] = entropy::draw(entropy);
    format!("{place} (migration {:016x})", u64::from_be_bytes(drawn)).into()
}

async fn get<S: Store>(store: &S, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
    let tx = store.begin(TxOptions::default());
    tx.get(key, Read::Snapshot).await
}

/// `range` without `key`.
fn around(range: &KeyRange, key: &[u8]) -> [KeyRange; 2] {
    let hole = KeyRange::key(key);
    [
        KeyRange {
            begin: range.begin.clone(),
            end: hole.begin,
        },
        KeyRange {
            begin: hole.end,
            end: range.end.clone(),
        },
    ]
}

/// The account of the first row of `range`.
async fn first_account<S: Store>(
    store: &S,
    range: &KeyRange,
) -> Result<Option<AccountId>, StoreError> {
    let tx = store.begin(TxOptions::default());
    let page = tx
        .range(range, Limit::rows(1), Order::Forward, Read::Snapshot)
        .await?;
    Ok(page.rows.first().and_then(|row| keys::account_of(&row.key)))
}
