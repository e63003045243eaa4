//! Writing an account to files while the service runs: as of one tip. If the tip is another one at the end, some rows
//! may be older than others, and the files are written once more.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;

use mesh_common::account::state::Head;
use mesh_common::account::{AccountState, Standing};
use mesh_common::address::AccountAddress;
use mesh_common::cluster::PartitionId;
use mesh_common::dare::container::{ContainerType, ContainerWriter};
use mesh_common::dare::manifest::{Manifest, ManifestEntry};
use mesh_common::encoding::json;
use mesh_common::time::Timestamp;
use serde::Serialize;
use sha2::{Digest as _, Sha512};

use super::intake;
use super::{ArchiveError, INTAKE, MANIFEST, PROFILES, Profiles, ROWS, file_error};
use crate::moving::rows::{RowsError, RowsWriter};
use crate::partition::reading;
use crate::store::keys::{self, AccountKeys, Due};
use crate::store::{KeyRange, Limit, Order, Read, Store, Tx, TxOptions};

/// How often an account is read that changes meanwhile.
const ATTEMPTS_MAX: usize = 5;

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, serde::Deserialize)]
pub struct Exported {
    /// The account's address.
    pub address: String,
    /// Containers that have a file.
    pub containers: u64,
    /// Containers that have none, since a prefix of them was purged.
    pub purged: Vec<String>,
    /// Rows.
    pub rows: u64,
    /// Entries that wait to be received.
    #[serde(default)]
    pub waiting: u64,
    /// Octets of all files.
    pub octets: u64,
}

/// Writes the account at `address` into `folder`, which must not exist or be empty.
///
/// # Errors
/// [`ArchiveError`]: what the folder holds then is no archive.
pub async fn export_account<S: Store>(
    store: &S,
    address: &AccountAddress,
    folder: &Path,
    now: Timestamp,
) -> Result<Exported, ArchiveError> {
    prepare(folder)?;
    for _ in 0..ATTEMPTS_MAX {
        let tx = store.begin(TxOptions::default());
        let Standing::Account(state) = reading::standing(&tx, address).await? else {
            return Err(ArchiveError::NoAccount {
                address: address.canonical().to_owned(),
            });
        };
        drop(tx);
        let export = Export {
            store,
            folder,
            state: &state,
            keys: AccountKeys::of(state.record.id),
        };
        export.forget_intake()?;
        let before = export.tip().await?;
        let exported = export.write(now).await?;
        if export.tip().await? == before {
            return Ok(exported);
        }
    }
    Err(ArchiveError::Busy)
}

fn prepare(folder: &Path) -> Result<(), ArchiveError> {
    fs::create_dir_all(folder).map_err(file_error(folder))?;
    let mut found = fs::read_dir(folder).map_err(file_error(folder))?;
    match found.next() {
        None => Ok(()),
        Some(_) => Err(ArchiveError::NotEmpty {
            folder: folder.to_owned(),
        }),
    }
}

/// An account on its way into a folder.
struct Export<'a, S> {
    store: &'a S,
    folder: &'a Path,
    state: &'a AccountState,
    keys: AccountKeys,
}

impl<S: Store> Export<'_, S> {
    async fn tip(&self) -> Result<Option<bytes::Bytes>, ArchiveError> {
        let tx = self.store.begin(TxOptions::default());
        Ok(tx.get(&self.keys.tip(), Read::Snapshot).await?)
    }

    /// Removes what an attempt before this one found waiting.
    fn forget_intake(&self) -> Result<(), ArchiveError> {
        let path = self.folder.join(INTAKE);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(file_error(&path)(error)),
            _ => Ok(()),
        }
    }

    async fn write(&self, now: Timestamp) -> Result<Exported, ArchiveError> {
        let record = &self.state.record;
        let mut exported = Exported {
            address: record.address.canonical().to_owned(),
            containers: 0,
            purged: Vec::new(),
            rows: 0,
            waiting: 0,
            octets: 0,
        };
        // First: what is drained from now on is among the rows.
        let waiting = intake::waiting(self.store, &record.address).await?;
        exported.waiting = waiting.len() as u64;
        let mut manifest = Manifest::new(record.address.as_written(), now);
        for head in self.state.heads.values() {
            if head.floor_digests.is_some() {
                exported.purged.push(head.name.to_string());
            } else if let Some(entry) = self.container(head).await? {
                exported.containers += 1;
                exported.octets += entry.bytes;
                manifest.containers.push(entry);
            }
        }
        let profiles = Profiles {
            profile_mesh: record.profile_mesh.clone(),
            profile_account: record.profile_account.clone(),
        };
        exported.octets += self.json(PROFILES, &profiles)?;
        let (rows, octets) = self.rows().await?;
        exported.rows = rows;
        exported.octets += octets;
        exported.octets += intake::write(self.folder, &waiting)?;
        exported.octets += self.json(MANIFEST, &manifest)?;
        Ok(exported)
    }

    fn json<T: Serialize>(&self, name: &str, value: &T) -> Result<u64, ArchiveError> {
        let (path, octets) = (self.folder.join(name), json::write(value));
        fs::write(&path, &octets).map_err(file_error(&path))?;
        Ok(octets.len() as u64)
    }

    /// Writes one container; none if it has no frame.
    async fn container(&self, head: &Head) -> Result<Option<ManifestEntry>, ArchiveError> {
        let Some(apex) = head.digests.apex() else {
            return Ok(None);
        };
        let name = head.name.to_canonical();
        let path = self.folder.join(name.file_name());
        let file = File::create(&path).map_err(file_error(&path))?;
        let mut out = Digesting::new(BufWriter::new(file));
        let mut writer = ContainerWriter::new(ContainerType::Merkle);
        let (mut next, end) = (0, head.digests.count());
        while next < end {
            let tx = self.store.begin(TxOptions::default());
            let run = reading::Run {
                container: head.number,
                first: next,
                end,
            };
            let frames = reading::run_of_frames(&tx, &self.keys, &run).await?;
            if frames.is_empty() {
                // Purged since the head was read.
                return Err(ArchiveError::Busy);
            }
            let mut octets = Vec::new();
            for frame in frames {
                let appended = writer.append(&frame.into_envelope(), &mut octets);
                appended.map_err(|cause| ArchiveError::Container {
                    container: name.to_string(),
                    cause,
                })?;
                next += 1;
            }
            out.write_all(&octets).map_err(file_error(&path))?;
        }
        let (bytes, digest) = out.finish().map_err(file_error(&path))?;
        Ok(Some(ManifestEntry {
            file: name.file_name(),
            container: name,
            frames: end,
            apex: apex.into(),
            bytes,
            digest: digest.into(),
        }))
    }

    /// Writes the rows of the account, then what is due of it; how many, and their octets.
    async fn rows(&self) -> Result<(u64, u64), ArchiveError> {
        let path = self.folder.join(ROWS);
        let file = File::create(&path).map_err(file_error(&path))?;
        let failed = |cause: RowsError| ArchiveError::Rows {
            path: path.clone(),
            cause,
        };
        let mut writer = RowsWriter::begin(BufWriter::new(file)).map_err(failed)?;
        let account = self.state.record.id;
        let due = keys::all_due(PartitionId::of(&self.state.record.address));
        let mut rows = 0;
        for range in [self.keys.all(), due] {
            let mut rest: Option<KeyRange> = Some(range);
            while let Some(range) = rest {
                let tx = self.store.begin(TxOptions::default());
                let page = tx
                    .range(&range, Limit::default(), Order::Forward, Read::Snapshot)
                    .await?;
                for row in &page.rows {
                    let is_ours = keys::account_of(&row.key).is_some()
                        || Due::parse(&row.key).is_some_and(|due| due.account == account);
                    if is_ours {
                        writer.row(&row.key, &row.value).map_err(failed)?;
                        rows += 1;
                    }
                }
                rest = page.rest(&range, Order::Forward);
            }
        }
        let out = writer.finish().map_err(failed)?;
        let file = out.into_inner().map_err(|error| error.into_error());
        let file = file.and_then(|file| file.sync_all().map(|()| file));
        let length = file.and_then(|file| file.metadata()).map(|file| file.len());
        Ok((rows, length.map_err(file_error(&path))?))
    }
}

/// What is written, counted and digested on its way.
struct Digesting {
    out: BufWriter<File>,
    digest: Sha512,
    bytes: u64,
}

impl Digesting {
    fn new(out: BufWriter<File>) -> Self {
        Self {
            out,
            digest: Sha512::new(),
            bytes: 0,
        }
    }

    fn write_all(&mut self, octets: &[u8]) -> io::Result<()> {
        self.digest.update(octets);
        self.bytes += octets.len() as u64;
        self.out.write_all(octets)
    }

    fn finish(mut self) -> io::Result<(u64, [u8; 64])> {
        self.out.flush()?;
        self.out.get_ref().sync_all()?;
        Ok((self.bytes, self.digest.finalize().into()))
    }
}
