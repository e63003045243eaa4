//! What waits in an account's intake, as a file of the archive: it was accepted for the account, and goes with it.
//!
//! An entry goes as it lies there, and comes back under a place of the other store, in the same commit as the account's
//! address: before, its owner would find nobody to receive it. An entry that was drained while the archive was written
//! is in the account's rows as well, with its id (decision Q-59): it is received once.

use std::fs::File;
use std::io::{BufReader, BufWriter, ErrorKind};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use mesh_common::address::AccountAddress;
use mesh_common::cluster::PartitionId;
use mesh_common::limits::ARCHIVED_INTAKE_BYTES_MAX;

use super::{ArchiveError, INTAKE, file_error};
use crate::moving::rows::{self, RowsError, RowsReader, RowsWriter};
use crate::partition::records;
use crate::store::{Order, Row, Store, keys, walk};

/// What waits for the account at `address`, in its order.
///
/// # Errors
/// The store gives no answer, or more waits than an archive takes.
pub(super) async fn waiting<S: Store>(
    store: &S,
    address: &AccountAddress,
) -> Result<Vec<Row>, ArchiveError> {
    let (mut found, mut octets) = (Vec::new(), 0);
    let range = keys::intake(PartitionId::of(address));
    walk::each_row(store, range, Order::Forward, |row| {
        if is_for(&row.value, address) {
            octets += row.value.len();
            found.push(row);
        }
        if octets > ARCHIVED_INTAKE_BYTES_MAX {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    })
    .await?;
    if octets > ARCHIVED_INTAKE_BYTES_MAX {
        return Err(ArchiveError::MuchWaits {
            address: address.canonical().to_owned(),
        });
    }
    Ok(found)
}

/// Whether `value` is an entry for the account at `address`. One that does not read is set aside where it lies.
fn is_for(value: &[u8], address: &AccountAddress) -> bool {
    let entry = records::intake(value);
    entry.is_ok_and(|entry| entry.account.canonical() == address.canonical())
}

/// Writes the file, if anything waits; its octets.
pub(super) fn write(folder: &Path, waiting: &[Row]) -> Result<u64, ArchiveError> {
    if waiting.is_empty() {
        return Ok(0);
    }
    let path = folder.join(INTAKE);
    let file = File::create(&path).map_err(file_error(&path))?;
    let failed = |cause| damaged(&path, cause);
    let mut writer = RowsWriter::begin(BufWriter::new(file)).map_err(failed)?;
    for row in waiting {
        writer.row(&row.key, &row.value).map_err(failed)?;
    }
    let out = writer.finish().map_err(failed)?;
    let file = out.into_inner().map_err(|error| error.into_error());
    let file = file.and_then(|file| file.sync_all().map(|()| file));
    let length = file.and_then(|file| file.metadata()).map(|file| file.len());
    length.map_err(file_error(&path))
}

/// The entries of the file of `folder`, in their order: none if there is no such file. All of them are for the account
/// at `address`.
pub(super) fn read(folder: &Path, address: &AccountAddress) -> Result<Vec<Bytes>, ArchiveError> {
    let path = folder.join(INTAKE);
    let Some(file) = open(&path)? else {
        return Ok(Vec::new());
    };
    let foreign = |what: &str| ArchiveError::Foreign {
        path: path.clone(),
        what: what.to_owned(),
    };
    let failed = |cause| damaged(&path, cause);
    rows::check(file).map_err(failed)?;
    let Some(file) = open(&path)? else {
        return Err(foreign("it was taken away"));
    };
    let mut reader = RowsReader::begin(file).map_err(failed)?;
    let (mut entries, mut octets) = (Vec::new(), 0);
    while let Some(row) = reader.next_row().map_err(failed)? {
        if !is_for(&row.value, address) {
            return Err(foreign("it has entries that are not for the account"));
        }
        octets += row.value.len();
        if octets > ARCHIVED_INTAKE_BYTES_MAX {
            return Err(foreign("it has more than an archive takes"));
        }
        entries.push(row.value);
    }
    Ok(entries)
}

fn open(path: &Path) -> Result<Option<BufReader<File>>, ArchiveError> {
    match File::open(path) {
        Ok(file) => Ok(Some(BufReader::new(file))),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(file_error(path)(error)),
    }
}

fn damaged(path: &Path, cause: RowsError) -> ArchiveError {
    ArchiveError::Rows {
        path: PathBuf::from(path),
        cause,
    }
}
