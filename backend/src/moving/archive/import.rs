//! An account out of its files: its rows first, where nobody looks for them; then every digest of them recomputed and
//! compared with the manifest; at last, in one commit, its address. That commit also takes the partition from its owner
//! for a moment, by raising the epoch: whoever had found that nobody lives at the address, and was about to write so,
//! is fenced off and looks again.

use std::fs::{self, File};
use std::io::BufReader;
use std::path::Path;

use bytes::Bytes;
use mesh_common::account::usage::used_by;
use mesh_common::account::{AccountId, AccountState, DirectoryEntry, DomainUsage};
use mesh_common::address::AccountAddress;
use mesh_common::cluster::PartitionId;
use mesh_common::dare::manifest::Manifest;
use mesh_common::encoding::json;
use mesh_common::entropy::Entropy;
use serde::{Deserialize, Serialize};

use super::intake;
use super::{ArchiveError, MANIFEST, ROWS, file_error};
use crate::moving::rows::{self, RowsError, RowsReader};
use crate::moving::sync::Sync;
use crate::moving::verify::verify_state;
use crate::node::Meta;
use crate::partition::{
    RowError, decode_ownership, encode_ownership, reading, records, without_owner,
};
use crate::store::keys::{self, AccountKeys, Due};
use crate::store::{
    KeyRange, Plan, PlanError, ProbeError, Read, Row, Store, StoreError, Tx, TxOptions,
    commit_with_probe,
};
use crate::usage::rows::UsageRow;

/// Octets of rows that one commit writes.
const COMMIT_BYTES: usize = 512 * 1_024;

/// What was read back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Imported {
    /// The account's address.
    pub address: String,
    /// Its containers.
    pub containers: u64,
    /// Frames whose digests were recomputed.
    pub frames: u64,
    /// Rows.
    pub rows: u64,
    /// Entries that are to be received now.
    #[serde(default)]
    pub waiting: u64,
}

/// Reads the account in `folder` into `store`, whether a service runs over it or not.
///
/// # Errors
/// [`ArchiveError`]: no address leads to what was written then; the import may be repeated.
pub async fn import_account<S: Store>(
    store: &S,
    folder: &Path,
    options: TxOptions,
    entropy: &mut (dyn Entropy + Send),
) -> Result<Imported, ArchiveError> {
    let manifest = manifest_of(folder)?;
    let path = folder.join(ROWS);
    let account = account_of(&path)?;
    let import = Import {
        store,
        path: &path,
        account,
        options,
    };
    let address = address_of(&manifest, folder)?;
    let waiting = intake::read(folder, &address)?;
    import.refuse_taken(&address).await?;
    import.refuse_living().await?;
    let written = import.write(entropy).await?;
    let state = import.state().await?;
    match import.check(&state, &manifest).await {
        Ok(frames) => {
            let entries = waiting.len() as u64;
            import.settle(&state, waiting).await?;
            Ok(Imported {
                address: state.record.address.canonical().to_owned(),
                containers: state.heads.len() as u64,
                frames,
                rows: written,
                waiting: entries,
            })
        }
        Err(error) => {
            import.take_back(entropy).await?;
            Err(error)
        }
    }
}

fn manifest_of(folder: &Path) -> Result<Manifest, ArchiveError> {
    let path = folder.join(MANIFEST);
    let octets = fs::read(&path).map_err(file_error(&path))?;
    let manifest: Manifest = json::parse(&octets).map_err(|error| ArchiveError::Foreign {
        path: path.clone(),
        what: error.to_string(),
    })?;
    manifest.check().map_err(|error| ArchiveError::Foreign {
        path,
        what: error.to_string(),
    })?;
    Ok(manifest)
}

fn address_of(manifest: &Manifest, folder: &Path) -> Result<AccountAddress, ArchiveError> {
    AccountAddress::parse(&manifest.account).map_err(|error| ArchiveError::Foreign {
        path: folder.join(MANIFEST),
        what: error.to_string(),
    })
}

/// Reads the rows once to their end, and says whose they are: those of one account, and nothing else.
fn account_of(path: &Path) -> Result<AccountId, ArchiveError> {
    let foreign = |what: &str| ArchiveError::Foreign {
        path: path.to_owned(),
        what: what.to_owned(),
    };
    let failed = |cause: RowsError| ArchiveError::Rows {
        path: path.to_owned(),
        cause,
    };
    let open = || {
        File::open(path)
            .map(BufReader::new)
            .map_err(file_error(path))
    };
    rows::check(open()?).map_err(failed)?;
    let mut reader = RowsReader::begin(open()?).map_err(failed)?;
    let mut account = None;
    while let Some(row) = reader.next_row().map_err(failed)? {
        let of = keys::account_of(&row.key).or_else(|| Due::parse(&row.key).map(|due| due.account));
        let of = of.ok_or_else(|| foreign("it has rows that are of no account"))?;
        // The account's own rows begin with its id, what is due with its partition.
        if row.key.get(1..3) != Some(&of.octets()[..2]) {
            return Err(foreign("it has rows of another partition"));
        }
        if *account.get_or_insert(of) != of {
            return Err(foreign("it has rows of several accounts"));
        }
    }
    account.ok_or_else(|| foreign("it has no rows"))
}

/// An account on its way into the store.
struct Import<'a, S> {
    store: &'a S,
    path: &'a Path,
    account: AccountId,
    options: TxOptions,
}

impl<S: Store> Import<'_, S> {
    async fn refuse_taken(&self, address: &AccountAddress) -> Result<(), ArchiveError> {
        let tx = self.store.begin(TxOptions::default());
        match tx.get(&keys::dir(address), Read::Snapshot).await? {
            None => Ok(()),
            Some(_) => Err(ArchiveError::Taken {
                address: address.canonical().to_owned(),
            }),
        }
    }

    /// Rows are written before they are checked: none may be of an account that is here, whatever address the
    /// manifest has. What an import left that was broken off is of none.
    async fn refuse_living(&self) -> Result<(), ArchiveError> {
        let tx = self.store.begin(TxOptions::default());
        let record = AccountKeys::of(self.account).record();
        let Some(found) = tx.get(&record, Read::Snapshot).await? else {
            return Ok(());
        };
        let address = records::account(&found)?.address;
        let Some(entry) = tx.get(&keys::dir(&address), Read::Snapshot).await? else {
            return Ok(());
        };
        let living = match records::directory(&entry)? {
            DirectoryEntry::Account(account) => account,
            DirectoryEntry::Reserved(tombstone) => tombstone.account,
        };
        if living == self.account {
            return Err(ArchiveError::Taken {
                address: address.canonical().to_owned(),
            });
        }
        Ok(())
    }

    const fn sync(&self) -> Sync<'_, S, S> {
        Sync {
            from: self.store,
            to: self.store,
            options: self.options,
            pacer: None,
        }
    }

    /// Writes the rows, in commits of bounded size.
    async fn write(&self, entropy: &mut (dyn Entropy + Send)) -> Result<u64, ArchiveError> {
        let failed = |cause: RowsError| ArchiveError::Rows {
            path: self.path.to_owned(),
            cause,
        };
        let file = File::open(self.path).map_err(file_error(self.path))?;
        let mut reader = RowsReader::begin(BufReader::new(file)).map_err(failed)?;
        let (mut count, mut octets, mut waiting) = (0, 0, Vec::<Row>::new());
        while let Some(row) = reader.next_row().map_err(failed)? {
            count += 1;
            octets += row.key.len() + row.value.len();
            waiting.push(row);
            if octets >= COMMIT_BYTES {
                self.sync()
                    .set(std::mem::take(&mut waiting), entropy)
                    .await?;
                octets = 0;
            }
        }
        self.sync().set(waiting, entropy).await?;
        Ok(count)
    }

    async fn state(&self) -> Result<AccountState, ArchiveError> {
        let tx = self.store.begin(TxOptions::default());
        Ok(reading::state(&tx, self.account).await?)
    }

    /// Recomputes all digests; they must be those of the manifest, and the rows those of its account.
    async fn check(&self, state: &AccountState, manifest: &Manifest) -> Result<u64, ArchiveError> {
        let address = &state.record.address;
        let differs = |what: String| ArchiveError::Differs {
            address: address.canonical().to_owned(),
            what,
        };
        let is_it = address.as_written() == manifest.account
            && state.record.id == self.account
            && self.account.octets()[..2] == PartitionId::of(address).0.to_be_bytes();
        if !is_it {
            return Err(differs(format!(
                "the manifest is that of {}",
                manifest.account
            )));
        }
        let verified = verify_state(self.store, state).await?;
        if let Some(problem) = verified.problems.into_iter().next() {
            return Err(differs(problem.what));
        }
        for entry in &manifest.containers {
            let head = state.heads.get(&entry.container);
            let is_same = head.is_some_and(|head| {
                let apex = head.digests.apex();
                head.digests.count() == entry.frames
                    && apex.is_some_and(|apex| entry.apex.as_slice() == apex)
            });
            if !is_same {
                let name = &entry.container;
                return Err(differs(format!("{name} has not the apex of the manifest")));
            }
        }
        Ok(verified.frames)
    }

    /// Gives the account its address, unless somebody has it by now, and leaves for it what waited.
    async fn settle(&self, state: &AccountState, waiting: Vec<Bytes>) -> Result<(), ArchiveError> {
        let address = &state.record.address;
        let partition = PartitionId::of(address);
        let plan = SettlePlan {
            place: keys::dir(address),
            partition,
            part: keys::part(partition),
            usage: keys::usage(address.domain(), partition),
            used: used_by(state.record.status, state.tip.bytes_used, true),
            waiting,
            entry: records::live_entry(self.account),
        };
        match commit_with_probe(self.store, self.options, &plan).await {
            Ok(_) => Ok(()),
            Err(ProbeError::Refused(Unsettled::Taken)) => Err(ArchiveError::Taken {
                address: address.canonical().to_owned(),
            }),
            Err(ProbeError::Refused(Unsettled::Row(error))) => Err(error.into()),
            Err(error) => Err(ArchiveError::Settle(Box::new(error))),
        }
    }

    /// Removes what was written.
    async fn take_back(&self, entropy: &mut (dyn Entropy + Send)) -> Result<(), ArchiveError> {
        let all: KeyRange = AccountKeys::of(self.account).all();
        self.sync().clear(all, entropy).await?;
        Ok(())
    }
}

/// Why an address was not given.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unsettled {
    /// Somebody has it.
    #[error("the address is taken")]
    Taken,
    /// The ownership record, or what says the generation, does not read.
    #[error("the store does not read")]
    Row(#[source] RowError),
}

/// The address with what waits for it, and the fence of whoever knew before that nobody has it.
struct SettlePlan {
    place: Vec<u8>,
    partition: PartitionId,
    part: Vec<u8>,
    /// What its domain uses in the partition, and what the account does.
    usage: Vec<u8>,
    used: DomainUsage,
    waiting: Vec<Bytes>,
    entry: Vec<u8>,
}

impl<S: Store> Plan<S> for SettlePlan {
    type Refusal = Unsettled;

    fn fence_key(&self) -> &[u8] {
        &self.part
    }

    async fn fill(&self, tx: &mut S::Tx) -> Result<(), PlanError<Unsettled>> {
        if tx.get(&self.place, Read::Serializable).await?.is_some() {
            return Err(PlanError::Refused(Unsettled::Taken));
        }
        tx.set(&self.place, self.entry.clone());
        if let Some(record) = tx.get(&self.part, Read::Serializable).await? {
            let record = decode_ownership(&record);
            let record = record.map_err(|error| PlanError::Refused(Unsettled::Row(error)))?;
            tx.set(&self.part, encode_ownership(&without_owner(record)));
        }
        let usage = tx.get(&self.usage, Read::Serializable).await?;
        let usage = UsageRow::of(usage.as_deref());
        let usage = usage.map_err(|error| PlanError::Refused(Unsettled::Row(error)))?;
        let used = usage.used.and(self.used, usage.used.day);
        tx.set(&self.usage, usage.next(used).encode());
        if self.waiting.is_empty() {
            return Ok(());
        }
        let meta = tx.get(&keys::meta(), Read::Serializable).await?;
        let meta = meta.map(|meta| Meta::decode(&meta)).transpose();
        let meta = meta.map_err(|error| PlanError::Refused(Unsettled::Row(error)))?;
        // A store that is new is begun with the first generation.
        let prefix = keys::intake_prefix(self.partition, meta.map_or(1, |meta| meta.generation));
        for (place, entry) in (0_u32..).zip(&self.waiting) {
            tx.set_stamped_key(&prefix, &place.to_be_bytes(), entry.clone());
        }
        Ok(())
    }

    async fn has_landed(&self, tx: &S::Tx) -> Result<bool, StoreError> {
        let found = tx.get(&self.place, Read::Snapshot).await?;
        Ok(found.as_deref() == Some(self.entry.as_slice()))
    }
}
