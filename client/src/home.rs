//! The folder in which a device keeps everything: private to the user, locked while in use, and
//! written so that a crash leaves either the old file or the new one.
//!
//! ```text
//!  home/ 0700
//!    lock                 held while one command works here
//!    keys.json            secrets, sealed by a passphrase when one was given  (keystore)
//!    account.json         addresses, profiles, the pinned service             (state)
//!    request.json         a request to be connected that waits, its keys       (connect)
//!    session.sealed       the ticket of the last exchange                     (service)
//!    containers/*.dare    one replica per container, in file form             (replica)
//!    accounts/ADDRESS/    the same for a further account of the same person
//! ```

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

const LOCK: &str = "lock";
const MARKS: [&str; 4] = [LOCK, "keys.json", "account.json", "request.json"];

/// A folder or file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum HomeError {
    /// Another command works in the folder.
    #[error("another mesh command is working in {}", folder.display())]
    InUse {
        /// The folder.
        folder: PathBuf,
    },
    /// Others could read the folder, and it holds things that are not ours, so we do not close it.
    #[error("{} can be read by other users and holds other files", folder.display())]
    Open {
        /// The folder.
        folder: PathBuf,
    },
    /// There is a file where the folder should be.
    #[error("{} is not a folder", folder.display())]
    NotAFolder {
        /// The path.
        folder: PathBuf,
    },
    /// The operating system does not let us write.
    #[error("{} cannot be written", path.display())]
    Unwritable {
        /// The file or folder.
        path: PathBuf,
        /// What it says.
        #[source]
        source: io::Error,
    },
    /// The operating system does not let us read.
    #[error("{} cannot be read", path.display())]
    Unreadable {
        /// The file or folder.
        path: PathBuf,
        /// What it says.
        #[source]
        source: io::Error,
    },
    /// No space is left, or the user's share of it is used up.
    #[error("the disk is full: {} was not written", path.display())]
    Full {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        #[source]
        source: io::Error,
    },
}

impl HomeError {
    /// What to do about it.
    #[must_use]
    pub fn advice(&self) -> String {
        match self {
            Self::InUse { .. } => "wait until the other command has ended, then repeat".into(),
            Self::Open { .. } => {
                "name a folder of its own with --home, one that does not exist yet is best".into()
            }
            Self::NotAFolder { .. } => "name another folder with --home".into(),
            Self::Unwritable { path, .. } => {
                format!("make {} writable, or use --home", path.display())
            }
            Self::Unreadable { path, .. } => {
                format!("check who owns {}, or use --home", path.display())
            }
            Self::Full { .. } => {
                "free some space and repeat; nothing that was there before is lost".into()
            }
        }
    }

    pub(crate) fn writing(path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::StorageFull
            | io::ErrorKind::QuotaExceeded
            | io::ErrorKind::FileTooLarge => Self::Full { path, source },
            _ => Self::Unwritable { path, source },
        }
    }

    pub(crate) fn reading(path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        Self::Unreadable { path, source }
    }
}

/// The folder, locked for as long as this lives or until it is freed.
#[derive(Debug)]
pub struct Home {
    folder: PathBuf,
    lock: Option<File>,
}

impl Home {
    /// Opens `folder`, making it if it is not there, and locks it. Another command that holds the
    /// lock is waited for, `patience` at most.
    ///
    /// # Errors
    /// [`HomeError`]: its variants say when.
    pub fn open(folder: &Path, patience: Duration) -> Result<Self, HomeError> {
        make_private(folder)?;
        let path = folder.join(LOCK);
        let file = private_options()
            .truncate(false)
            .open(&path)
            .map_err(|source| HomeError::writing(&path, source))?;
        let lock = take_lock(file, patience)
            .map_err(|source| HomeError::writing(&path, source))?
            .ok_or_else(|| HomeError::InUse {
                folder: folder.to_owned(),
            })?;
        Ok(Self {
            folder: folder.to_owned(),
            lock: Some(lock),
        })
    }

    /// Lets other commands work in the folder. Nothing is written from here any more: what would be
    /// is theirs to write.
    pub(crate) fn free(&mut self) {
        self.lock = None;
    }

    /// The folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where the file `name` is.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// What stands in the file `name`; `None` if there is no such file.
    ///
    /// # Errors
    /// [`HomeError::Unreadable`].
    pub fn read(&self, name: &str) -> Result<Option<Vec<u8>>, HomeError> {
        let path = self.path(name);
        let mut octets = Vec::new();
        match File::open(&path).and_then(|mut file| file.read_to_end(&mut octets)) {
            Ok(_) => Ok(Some(octets)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(HomeError::reading(&path, source)),
        }
    }

    /// Puts `octets` into the file `name`: all of them, or the file stays as it was.
    ///
    /// # Errors
    /// [`HomeError::Unwritable`], [`HomeError::Full`].
    pub fn write(&self, name: &str, octets: &[u8]) -> Result<(), HomeError> {
        if self.lock.is_none() {
            return Ok(());
        }
        write_whole(&self.path(name), octets)
    }

    /// Removes the file `name`, if it is there.
    ///
    /// # Errors
    /// [`HomeError::Unwritable`].
    pub fn remove(&self, name: &str) -> Result<(), HomeError> {
        if self.lock.is_none() {
            return Ok(());
        }
        let path = self.path(name);
        match fs::remove_file(&path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                Err(HomeError::writing(&path, source))
            }
            _ => sync_folder_of(&path),
        }
    }
}

/// Writes a file that only the user can read, whole or not at all.
///
/// # Errors
/// [`HomeError::Unwritable`], [`HomeError::Full`].
pub fn write_private(path: &Path, octets: &[u8]) -> Result<(), HomeError> {
    match path.parent() {
        Some(folder) if folder.as_os_str().is_empty() => {
            write_whole(&Path::new(".").join(path), octets)
        }
        _ => write_whole(path, octets),
    }
}

/// Writes a file beside `path`, makes it durable, and puts it in the place of `path`.
pub(crate) fn write_whole(path: &Path, octets: &[u8]) -> Result<(), HomeError> {
    let fresh = path.with_extension("new");
    let written = private_options()
        .truncate(true)
        .open(&fresh)
        .and_then(|mut file| {
            file.write_all(octets)?;
            file.sync_all()
        })
        .and_then(|()| fs::rename(&fresh, path));
    if let Err(source) = written {
        // What is half written helps nobody; that it may not go away changes nothing.
        let _ = fs::remove_file(&fresh);
        return Err(HomeError::writing(path, source));
    }
    sync_folder_of(path)
}

/// Makes `folder` and those above it, private to the user; closes an open one if it is ours alone.
pub(crate) fn make_private(folder: &Path) -> Result<(), HomeError> {
    match fs::metadata(folder) {
        Ok(facts) if !facts.is_dir() => Err(HomeError::NotAFolder {
            folder: folder.to_owned(),
        }),
        Ok(facts) => close(folder, &facts),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let mut builder = fs::DirBuilder::new();
            builder.recursive(true);
            #[cfg(unix)]
            std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
            builder
                .create(folder)
                .map_err(|source| HomeError::writing(folder, source))
        }
        Err(source) => Err(HomeError::reading(folder, source)),
    }
}

#[cfg(unix)]
fn close(folder: &Path, facts: &fs::Metadata) -> Result<(), HomeError> {
    use std::os::unix::fs::PermissionsExt;
    if facts.permissions().mode() & 0o077 == 0 {
        return Ok(());
    }
    let names: Vec<_> = fs::read_dir(folder)
        .map_err(|source| HomeError::reading(folder, source))?
        .filter_map(|entry| Some(entry.ok()?.file_name()))
        .collect();
    let is_ours = names
        .iter()
        .any(|name| MARKS.iter().any(|mark| name == mark))
        || names.iter().all(|name| is_replica(Path::new(name)));
    if !is_ours {
        return Err(HomeError::Open {
            folder: folder.to_owned(),
        });
    }
    fs::set_permissions(folder, fs::Permissions::from_mode(0o700))
        .map_err(|source| HomeError::writing(folder, source))
}

/// Whether a file is one of the folder `containers`, which a copy of a device may have left open.
#[cfg(unix)]
fn is_replica(name: &Path) -> bool {
    name.extension()
        .is_some_and(|extension| extension == "dare" || extension == "new")
}

#[cfg(not(unix))]
fn close(_folder: &Path, _facts: &fs::Metadata) -> Result<(), HomeError> {
    Ok(())
}

/// Options for a file that only the user can read.
pub(crate) fn private_options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// Makes durable that a file was created, renamed or removed.
fn sync_folder_of(path: &Path) -> Result<(), HomeError> {
    let Some(folder) = path.parent().filter(|_| cfg!(unix)) else {
        return Ok(());
    };
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(|source| HomeError::writing(path, source))
}

/// The locked file, or `None` if somebody else kept the lock for longer than `patience`.
fn take_lock(file: File, patience: Duration) -> io::Result<Option<File>> {
    match file.try_lock() {
        Ok(()) => return Ok(Some(file)),
        Err(TryLockError::Error(error)) => return Err(error),
        Err(TryLockError::WouldBlock) if patience.is_zero() => return Ok(None),
        Err(TryLockError::WouldBlock) => {}
    }
    // The system offers no lock with a deadline: a thread waits, and we wait for the thread.
    let (give, take) = mpsc::sync_channel(1);
    std::thread::spawn(move || {
        let outcome = file.lock().map(|()| file);
        // Nobody listens any more: the file is dropped, and the lock with it.
        let _ = give.send(outcome);
    });
    match take.recv_timeout(patience) {
        Ok(outcome) => outcome.map(Some),
        Err(_) => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn here() -> tempfile::TempDir {
        tempfile::tempdir().unwrap()
    }

    #[test]
    fn what_is_written_is_read_and_replaced_whole() {
        let place = here();
        let home = Home::open(&place.path().join("a/b"), Duration::ZERO).unwrap();
        assert_eq!(home.read("account.json").unwrap(), None);
        home.write("account.json", b"one").unwrap();
        home.write("account.json", b"two").unwrap();
        assert_eq!(home.read("account.json").unwrap().unwrap(), b"two");
        home.remove("account.json").unwrap();
        home.remove("account.json").unwrap();
        assert_eq!(home.read("account.json").unwrap(), None);
    }

    #[test]
    fn a_second_command_is_told_that_the_folder_is_in_use() {
        let place = here();
        let first = Home::open(place.path(), Duration::ZERO).unwrap();
        let second = Home::open(place.path(), Duration::from_millis(20));
        assert!(matches!(second, Err(HomeError::InUse { .. })));
        drop(first);
        assert!(Home::open(place.path(), Duration::ZERO).is_ok());
    }

    #[test]
    fn a_second_command_waits_for_the_first_to_end() {
        let place = here();
        let first = Home::open(place.path(), Duration::ZERO).unwrap();
        let folder = place.path().to_owned();
        let second = std::thread::spawn(move || Home::open(&folder, Duration::from_secs(30)));
        drop(first);
        assert!(second.join().unwrap().is_ok());
    }

    #[cfg(unix)]
    #[test]
    fn folder_and_files_are_private() {
        use std::os::unix::fs::PermissionsExt;
        let place = here();
        let folder = place.path().join("home");
        fs::create_dir(&folder).unwrap();
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
        let home = Home::open(&folder, Duration::ZERO).unwrap();
        home.write("keys.json", b"{}").unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&folder), 0o700);
        assert_eq!(mode(&home.path("keys.json")), 0o600);
    }

    #[cfg(unix)]
    #[test]
    fn a_copied_folder_of_replicas_is_closed_again() {
        use std::os::unix::fs::PermissionsExt;
        let place = here();
        let folder = place.path().join("containers");
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("mmm_Contact.dare"), "").unwrap();
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
        make_private(&folder).unwrap();
        let mode = fs::metadata(&folder).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
    }

    #[cfg(unix)]
    #[test]
    fn an_open_folder_full_of_other_things_is_left_alone() {
        use std::os::unix::fs::PermissionsExt;
        let place = here();
        fs::set_permissions(place.path(), fs::Permissions::from_mode(0o755)).unwrap();
        fs::write(place.path().join("letter.txt"), "hello").unwrap();
        assert!(matches!(
            Home::open(place.path(), Duration::ZERO),
            Err(HomeError::Open { .. })
        ));
    }

    #[test]
    fn a_file_in_the_place_of_the_folder_is_named() {
        let place = here();
        let path = place.path().join("home");
        fs::write(&path, "").unwrap();
        assert!(matches!(
            Home::open(&path, Duration::ZERO),
            Err(HomeError::NotAFolder { .. })
        ));
    }

    #[test]
    fn a_full_disk_is_told_from_a_forbidden_one() {
        let path = Path::new("keys.json");
        let full = HomeError::writing(path, io::ErrorKind::StorageFull.into());
        assert!(matches!(full, HomeError::Full { .. }));
        assert_eq!(
            full.to_string(),
            "the disk is full: keys.json was not written"
        );
        let forbidden = HomeError::writing(path, io::ErrorKind::PermissionDenied.into());
        assert_eq!(forbidden.to_string(), "keys.json cannot be written");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_write_to_a_full_device_leaves_the_old_file() {
        let place = here();
        let home = Home::open(place.path(), Duration::ZERO).unwrap();
        home.write("keys.json", b"old").unwrap();
        std::os::unix::fs::symlink("/dev/full", home.path("keys.new")).unwrap();
        assert!(matches!(
            home.write("keys.json", b"new"),
            Err(HomeError::Full { .. })
        ));
        assert_eq!(home.read("keys.json").unwrap().unwrap(), b"old");
    }
}
