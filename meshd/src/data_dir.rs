//! What lies in the data folder, private to the user the service runs as.
//!
//! ```text
//!  meshd-data/
//!    store/                 accounts, containers: the embedded engine's own files
//!    identity/              the service's profiles and keys
//!      profile-service.json profile-host.json
//!      service-offline.key  needed only to rotate keys and add hosts: keep it elsewhere
//!      service-online.key service-authentication.key host.key
//!      ticket-keys.json     what tickets are sealed under, by epoch
//!    admin/
//!      token                what the operators' commands show; admin/address: where they ask
//!      audit.jsonl          who ordered what
//!    tls/                   the development CA and certificate, unless [tls] names others
//! ```

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// The folder and the names in it.
#[derive(Debug, Clone)]
pub struct DataDir {
    root: PathBuf,
}

/// Something in the data folder cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {}: {}", path.display(), advice(cause))]
pub struct DataDirError {
    action: &'static str,
    path: PathBuf,
    #[source]
    cause: io::Error,
}

fn advice(cause: &io::Error) -> &'static str {
    match cause.kind() {
        io::ErrorKind::PermissionDenied => {
            "this user may not; give it the folder, or set data_dir to one it owns"
        }
        io::ErrorKind::ReadOnlyFilesystem => "the disk is read-only; set data_dir to another",
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "the disk is full; free space or set data_dir to another disk"
        }
        io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => {
            "something on the way is a file; set data_dir to a folder"
        }
        io::ErrorKind::NotFound => "it is not there; restore it from your backup",
        _ => "the system refused",
    }
}

impl DataDir {
    /// Opens the folder, making it and what is in it if they are not there yet.
    ///
    /// # Errors
    /// [`DataDirError`] with what to do about it.
    pub fn open(root: &Path) -> Result<Self, DataDirError> {
        let folder = Self {
            root: root.to_owned(),
        };
        for path in [
            folder.root.clone(),
            folder.store(),
            folder.identity(),
            folder.tls(),
            folder.admin(),
        ] {
            make_folder(&path)?;
        }
        Ok(folder)
    }

    /// The folder itself.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The embedded engine's folder.
    #[must_use]
    pub fn store(&self) -> PathBuf {
        self.root.join("store")
    }

    /// The folder of profiles and keys.
    #[must_use]
    pub fn identity(&self) -> PathBuf {
        identity_of(&self.root)
    }

    /// The folder of the development certificates.
    #[must_use]
    pub fn tls(&self) -> PathBuf {
        self.root.join("tls")
    }

    /// The folder of operators: their token, where they ask, what they ordered.
    #[must_use]
    pub fn admin(&self) -> PathBuf {
        admin_of(&self.root)
    }
}

/// The folder of profiles and keys in the data folder `root`.
#[must_use]
pub fn identity_of(root: &Path) -> PathBuf {
    root.join("identity")
}

/// The folder of operators in the data folder `root`.
#[must_use]
pub fn admin_of(root: &Path) -> PathBuf {
    root.join("admin")
}

/// Makes the folder `path`, private to this user, if it is not there.
///
/// # Errors
/// [`DataDirError`] with what to do about it.
pub fn make_folder(path: &Path) -> Result<(), DataDirError> {
    make_private(path).map_err(|cause| DataDirError {
        action: "make",
        path: path.to_owned(),
        cause,
    })
}

fn make_private(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    let is_new = !path.exists();
    builder.create(path)?;
    if is_new {
        // Else a crash could take the folder away, with everything in it that was made durable.
        sync_folder(path.parent().unwrap_or(path))?;
    }
    Ok(())
}

fn sync_folder(path: &Path) -> io::Result<()> {
    let here = Path::new(".");
    fs::File::open(if path.as_os_str().is_empty() {
        here
    } else {
        path
    })?
    .sync_all()
}

/// Reads a file; `None` if there is none.
///
/// # Errors
/// It is there but cannot be read.
pub fn read(path: &Path) -> Result<Option<Vec<u8>>, DataDirError> {
    match fs::read(path) {
        Ok(octets) => Ok(Some(octets)),
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(cause) => Err(DataDirError {
            action: "read",
            path: path.to_owned(),
            cause,
        }),
    }
}

/// The files of a folder whose names end in `suffix`, in their order; none if it is not there.
///
/// # Errors
/// It cannot be listed.
pub fn list(folder: &Path, suffix: &str) -> Result<Vec<PathBuf>, DataDirError> {
    let refused = |cause| DataDirError {
        action: "list",
        path: folder.to_owned(),
        cause,
    };
    let listing = match fs::read_dir(folder) {
        Ok(listing) => listing,
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(cause) => return Err(refused(cause)),
    };
    let mut found = Vec::new();
    for entry in listing {
        let path = entry.map_err(refused)?.path();
        let name = path.file_name().unwrap_or_default();
        if name.to_string_lossy().ends_with(suffix) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// Writes a file that only this user can read: after a crash it holds the old octets or the new.
///
/// # Errors
/// It cannot be written; the old octets are still there.
pub fn write(path: &Path, octets: &[u8]) -> Result<(), DataDirError> {
    write_whole(path, octets).map_err(|cause| DataDirError {
        action: "write",
        path: path.to_owned(),
        cause,
    })
}

fn write_whole(path: &Path, octets: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or_else(|| Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(octets)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    sync_folder(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_written_file_is_private_and_whole() {
        let folder = tempfile::tempdir().unwrap();
        let data = DataDir::open(&folder.path().join("data")).unwrap();
        let path = data.identity().join("x.key");
        assert_eq!(read(&path).unwrap(), None);
        write(&path, b"one").unwrap();
        write(&path, b"two").unwrap();
        assert_eq!(read(&path).unwrap().unwrap(), b"two");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
            assert_eq!(mode(&path), 0o600);
            assert_eq!(mode(&data.identity()), 0o700);
        }
    }

    #[test]
    fn a_file_where_the_folder_should_be_is_a_sentence() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data");
        fs::write(&path, b"").unwrap();
        let error = DataDir::open(&path).unwrap_err().to_string();
        assert!(error.starts_with("cannot make "), "{error}");
    }
}
