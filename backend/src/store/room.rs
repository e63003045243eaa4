//! Room on the disk: writing stops while there is still enough of it for the engine to finish what
//! it does beside (tables from journals, merged tables), and goes on by itself once there is again.
//!
//! A commit that meets a full disk ends all writing until the next start, because nobody knows what
//! of it the disk holds. A commit that is refused before it is written costs nothing but a repeat.

use std::path::PathBuf;
use std::sync::Arc;

use super::StoreError;

/// The disk that holds a folder, and how much of it is not for commits.
#[derive(Debug)]
pub(super) struct Room {
    folder: PathBuf,
    reserve_bytes: u64,
    is_short: bool,
}

impl Room {
    pub(super) const fn new(folder: PathBuf, reserve_bytes: u64) -> Self {
        Self {
            folder,
            reserve_bytes,
            is_short: false,
        }
    }

    /// Whether a commit may be written. Says in the log when that changes.
    pub(super) fn suffices(&mut self) -> bool {
        let left = self.left_bytes();
        let is_short = left.is_some_and(|left| left < self.reserve_bytes);
        if is_short != self.is_short {
            self.is_short = is_short;
            let folder = self.folder.display();
            if is_short {
                tracing::error!(
                    %folder, left, reserve = self.reserve_bytes,
                    "the disk is nearly full: nothing is written until there is more room; free space"
                );
            } else {
                tracing::info!(%folder, left, "there is room on the disk again");
            }
        }
        !is_short
    }

    /// Refuses a start on a disk that is nearly full.
    ///
    /// # Errors
    /// [`StoreError::DiskFull`].
    pub(super) fn check(&self) -> Result<(), StoreError> {
        match self.left_bytes() {
            Some(left) if left < self.reserve_bytes => Err(StoreError::DiskFull {
                folder: self.folder.clone(),
                source: Arc::new(std::io::Error::other(format!(
                    "{left} octets are left, {} are kept free",
                    self.reserve_bytes
                ))),
            }),
            _ => Ok(()),
        }
    }

    /// Octets left for this user; `None` where the system does not say.
    fn left_bytes(&self) -> Option<u64> {
        let disk = rustix::fs::statvfs(&self.folder).ok()?;
        disk.f_bavail.checked_mul(disk.f_frsize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_is_short_of_room_below_the_reserve_and_only_then() {
        let folder = tempfile::tempdir().unwrap();
        let room = |reserve| Room::new(folder.path().to_owned(), reserve);
        assert!(room(0).suffices());
        assert!(room(1).check().is_ok());
        assert!(!room(u64::MAX).suffices());
        let refusal = room(u64::MAX).check().unwrap_err();
        assert!(matches!(refusal, StoreError::DiskFull { .. }), "{refusal}");
    }

    #[test]
    fn a_disk_that_cannot_be_asked_is_written_to() {
        assert!(Room::new("/nonexistent/folder".into(), u64::MAX).suffices());
    }
}
