//! The folder of an embedded store: whose it is, which format it has, and what was acknowledged.
//!
//! ```text
//! DIR/FORMAT         "mesh-store 1": read before anything else is touched
//! DIR/lock           held by the one process that has the store open
//! DIR/acknowledged   the version of the last commit that anybody was told of
//! DIR/engine/        the engine's own files; see `journal` for how they are checked
//! ```

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{StoreError, Version};

/// The newest format this release reads, and the one it writes.
pub(super) const FORMAT: u8 = 1;

const FORMAT_WORD: &str = "mesh-store";

/// An embedded store's folder, held for this process until dropped.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    /// Dropping it releases the folder.
    _lock: File,
}

impl Folder {
    /// Makes the folder if there is none, and takes it.
    ///
    /// # Errors
    /// [`StoreError::InUse`], [`StoreError::NewerFormat`], [`StoreError::NotAStore`],
    /// [`StoreError::Unwritable`], or what the system says.
    pub(super) fn open(path: &Path) -> Result<Self, StoreError> {
        let attempt = |action| move |error| io_error(path, action, error);
        std::fs::create_dir_all(path).map_err(attempt("make its folder"))?;
        let format = path.join("FORMAT");
        let is_new = !format
            .try_exists()
            .map_err(attempt("look into its folder"))?;
        if is_new {
            refuse_strangers(path)?;
        }
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path.join("lock"))
            .map_err(attempt("open its lock"))?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => StoreError::InUse {
                folder: path.to_owned(),
            },
            TryLockError::Error(error) => io_error(path, "take its lock", error),
        })?;
        let folder = Self {
            path: path.to_owned(),
            _lock: lock,
        };
        if is_new {
            folder.write_format().map_err(attempt("write its format"))?;
        } else {
            check_format(path, &format)?;
        }
        Ok(folder)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Where the engine keeps its files.
    pub(super) fn engine(&self) -> PathBuf {
        self.path.join("engine")
    }

    /// Removes what is left of an engine that was never completed: the process died while it made
    /// the folder. The engine writes its version marker last.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when the marker is gone from a store that has acknowledged something.
    pub(super) fn clear_unfinished_engine(&self, acknowledged: Version) -> Result<(), StoreError> {
        let (engine, attempt) = (self.engine(), |error| {
            io_error(&self.path, "clear a half-made engine", error)
        });
        let marker = engine.join("version");
        if marker.try_exists().map_err(attempt)? {
            return Ok(());
        }
        if acknowledged > Version::default() {
            let detail = "it is missing, but the store has acknowledged commits".to_owned();
            return Err(StoreError::Corrupt {
                file: marker,
                detail,
            });
        }
        if engine.try_exists().map_err(attempt)? {
            std::fs::remove_dir_all(&engine).map_err(attempt)?;
        }
        Ok(())
    }

    /// Writes the format under another name first, so that it is there whole or not at all.
    fn write_format(&self) -> std::io::Result<()> {
        let draft = self.path.join("FORMAT.new");
        let mut file = File::create(&draft)?;
        writeln!(file, "{FORMAT_WORD} {FORMAT}")?;
        file.sync_all()?;
        std::fs::rename(&draft, self.path.join("FORMAT"))?;
        sync_folder(&self.path)?;
        self.path.parent().map_or(Ok(()), sync_folder)
    }
}

/// The version of the last commit that was acknowledged.
///
/// Written after the commit is durable and before anybody is told, without a sync of its own: after
/// `kill -9` it is exact, after a power cut it may be behind, never ahead of what the disk holds.
/// It tells a tail that was never finished from a commit that was acknowledged and is gone.
#[derive(Debug)]
pub(super) struct Acknowledged {
    file: File,
    path: PathBuf,
}

impl Acknowledged {
    const BYTES: usize = 12;

    /// Opens the record of `folder`, and reads it. Nothing legible counts as version 0.
    ///
    /// # Errors
    /// What the system says.
    pub(super) fn open(folder: &Folder) -> Result<(Self, Version), StoreError> {
        let path = folder.path().join("acknowledged");
        let attempt = |error| {
            io_error(
                folder.path(),
                "open its record of acknowledged commits",
                error,
            )
        };
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&path)
            .map_err(attempt)?;
        let mut record = [0; Self::BYTES];
        let version = match file.read_exact_at(&mut record, 0) {
            Ok(()) => Self::decode(record).unwrap_or_default(),
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => Version::default(),
            Err(error) => return Err(attempt(error)),
        };
        Ok((Self { file, path }, version))
    }

    /// Notes that `version` is about to be acknowledged.
    ///
    /// # Errors
    /// What the system says.
    pub(super) fn note(&self, version: Version) -> std::io::Result<()> {
        let octets = version.0.to_be_bytes();
        let mut record = [0; Self::BYTES];
        record[..8].copy_from_slice(&octets);
        record[8..].copy_from_slice(&crc32fast::hash(&octets).to_be_bytes());
        self.file.write_all_at(&record, 0)
    }

    /// Asserts that the store holds everything that was acknowledged.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`], naming `file`, in which the missing commits should be.
    pub(super) fn check(
        &self,
        acknowledged: Version,
        found: Version,
        file: &Path,
    ) -> Result<(), StoreError> {
        if found >= acknowledged {
            return Ok(());
        }
        let detail = format!(
            "it ends at commit {}, but commit {} was acknowledged; to go on without what is missing, remove {}",
            found.0,
            acknowledged.0,
            self.path.display()
        );
        Err(StoreError::Corrupt {
            file: file.to_owned(),
            detail,
        })
    }

    fn decode(record: [u8; Self::BYTES]) -> Option<Version> {
        let version = record.first_chunk::<8>()?;
        let check = record.last_chunk::<4>()?;
        (crc32fast::hash(version) == u32::from_be_bytes(*check))
            .then(|| Version(u64::from_be_bytes(*version)))
    }
}

/// Sorts what the system says into what the operator can do.
pub(super) fn io_error(folder: &Path, action: &'static str, error: std::io::Error) -> StoreError {
    let (folder, source) = (folder.to_owned(), Arc::new(error));
    match source.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
            StoreError::DiskFull { folder, source }
        }
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem | ErrorKind::NotADirectory => {
            StoreError::Unwritable { folder, source }
        }
        _ => StoreError::Io {
            folder,
            action,
            source,
        },
    }
}

/// A new store begins in an empty folder; the lock, and a format half written, may be left from an
/// attempt that died.
fn refuse_strangers(path: &Path) -> Result<(), StoreError> {
    let attempt = |error| io_error(path, "look into its folder", error);
    for entry in std::fs::read_dir(path).map_err(attempt)? {
        let name = entry.map_err(attempt)?.file_name();
        if name != "lock" && name != "FORMAT.new" {
            let detail = format!("there is no file FORMAT, but {}", name.display());
            return Err(StoreError::NotAStore {
                folder: path.to_owned(),
                detail,
            });
        }
    }
    Ok(())
}

fn check_format(path: &Path, file: &Path) -> Result<(), StoreError> {
    let text =
        std::fs::read_to_string(file).map_err(|error| io_error(path, "read its format", error))?;
    let found = text
        .trim_end()
        .strip_prefix(FORMAT_WORD)
        .and_then(|number| number.trim_start().parse::<u8>().ok())
        .ok_or_else(|| StoreError::Corrupt {
            file: file.to_owned(),
            detail: format!("expected \"{FORMAT_WORD} {FORMAT}\""),
        })?;
    if found > FORMAT {
        return Err(StoreError::NewerFormat {
            folder: path.to_owned(),
            found,
            known: FORMAT,
        });
    }
    Ok(())
}

fn sync_folder(path: &Path) -> std::io::Result<()> {
    // The parent of a relative path of one name is the empty path: the current folder.
    let path = if path.as_os_str().is_empty() {
        Path::new(".")
    } else {
        path
    };
    File::open(path)?.sync_all()
}
