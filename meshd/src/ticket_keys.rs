//! The secrets tickets are sealed under: one per epoch, random, kept in a private file so that
//! tickets outlive a restart, erased after their last use (service §4.5, decision Q-54).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use mesh_common::encoding::base64url::Binary;
use mesh_common::encoding::json;
use mesh_common::entropy::{Entropy, draw};
use mesh_common::session::{Epoch, TicketKeys};
use mesh_common::time::Timestamp;
use mesh_common::udf::Udf;
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, Zeroizing};

use crate::data_dir::{self, DataDirError};

const FILE: &str = "ticket-keys.json";
/// Octets of one secret (service §4.5).
const SECRET_BYTES: usize = 32;

/// The file, and the keys in use by every front-end of this process.
#[derive(Debug)]
pub struct TicketKeyFile {
    path: PathBuf,
    service_udf: Udf,
    shared: Arc<ArcSwap<TicketKeys>>,
}

/// What stands in the file: the secret of each epoch.
#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    epochs: BTreeMap<u32, Binary>,
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.epochs
            .values_mut()
            .for_each(|secret| secret.0.zeroize());
    }
}

impl TicketKeyFile {
    /// Reads the file in `folder`, makes what is missing, and erases what has expired.
    ///
    /// A damaged file costs nothing but one exchange per client, so it is replaced with a warning.
    ///
    /// # Errors
    /// The file cannot be read or written.
    pub fn open(
        folder: &Path,
        service_udf: Udf,
        now: Timestamp,
        entropy: &mut dyn Entropy,
    ) -> Result<Self, DataDirError> {
        let keys = TicketKeys::new(service_udf.clone());
        let shared = Arc::new(ArcSwap::from_pointee(keys));
        let file = Self {
            path: folder.join(FILE),
            service_udf,
            shared,
        };
        file.rotate(now, entropy)?;
        Ok(file)
    }

    /// The keys in use; they change when [`Self::rotate`] is called.
    #[must_use]
    pub fn shared(&self) -> Arc<ArcSwap<TicketKeys>> {
        Arc::clone(&self.shared)
    }

    /// Makes the keys of epochs to come and erases those past their last use. To be called more
    /// often than epochs change.
    ///
    /// # Errors
    /// The file cannot be read or written; the keys in use stay.
    pub fn rotate(&self, now: Timestamp, entropy: &mut dyn Entropy) -> Result<(), DataDirError> {
        let mut kept = self.read()?;
        let held: Vec<u32> = Epoch::held_at(now).map(|Epoch(number)| number).collect();
        let before: Vec<u32> = kept.epochs.keys().copied().collect();
        kept.epochs
            .retain(|number, secret| held.contains(number) && secret.0.len() == SECRET_BYTES);
        let Epoch(current) = Epoch::at(now);
        for &number in held.iter().filter(|&&number| number >= current) {
            kept.epochs
                .entry(number)
                .or_insert_with(|| Binary(draw::<SECRET_BYTES>(entropy).to_vec()));
        }
        if kept.epochs.keys().copied().ne(before) {
            let octets = Zeroizing::new(json::write(&kept));
            data_dir::write(&self.path, &octets)?;
        }
        let keys = self.keys_of(&kept);
        // The same keys stay, with the tickets opened under them.
        if keys != **self.shared.load() {
            self.shared.store(Arc::new(keys));
        }
        Ok(())
    }

    fn read(&self) -> Result<Kept, DataDirError> {
        let Some(octets) = data_dir::read(&self.path)?.map(Zeroizing::new) else {
            return Ok(Kept::default());
        };
        Ok(json::parse(&octets).unwrap_or_else(|error| {
            tracing::warn!(
                file = %self.path.display(), %error,
                "the ticket keys cannot be read and are made anew; every client makes one exchange"
            );
            Kept::default()
        }))
    }

    fn keys_of(&self, kept: &Kept) -> TicketKeys {
        let mut keys = TicketKeys::new(self.service_udf.clone());
        for (&number, secret) in &kept.epochs {
            if let Ok(secret) = <[u8; SECRET_BYTES]>::try_from(secret.as_slice()) {
                keys.insert(Epoch(number), Zeroizing::new(secret));
            }
        }
        keys
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use mesh_common::entropy::SeededEntropy;
    use mesh_common::limits::TICKET_KEY_EPOCH;

    use super::*;

    fn open(folder: &Path, now: Timestamp, seed: u64) -> Vec<Epoch> {
        let udf = Udf::parse("MAAA-BBBB-CCCC-DDDD").unwrap();
        let file = TicketKeyFile::open(folder, udf, now, &mut SeededEntropy::new(seed)).unwrap();
        file.shared().load().epochs().collect()
    }

    fn secrets(folder: &Path) -> String {
        String::from_utf8(data_dir::read(&folder.join(FILE)).unwrap().unwrap()).unwrap()
    }

    #[test]
    fn keys_outlive_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let now = Timestamp::from_secs(1_800_000_000);
        let epochs = open(folder.path(), now, 1);
        let before = secrets(folder.path());
        assert_eq!(open(folder.path(), now, 2), epochs);
        assert_eq!(secrets(folder.path()), before);
    }

    #[test]
    fn expired_keys_are_erased_and_new_ones_made_ahead() {
        let folder = tempfile::tempdir().unwrap();
        let now = Timestamp::from_secs(1_800_000_000);
        open(folder.path(), now, 1);
        let before = secrets(folder.path());
        let later = now + Duration::from_secs(TICKET_KEY_EPOCH.as_secs() * 10);
        let epochs = open(folder.path(), later, 2);
        assert!(epochs.iter().all(|epoch| *epoch >= Epoch::at(later)));
        assert!(epochs.contains(&Epoch::at(later)));
        assert_ne!(secrets(folder.path()), before);
    }

    #[test]
    fn a_damaged_file_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        data_dir::write(&folder.path().join(FILE), b"{\"epochs\":{\"1\":").unwrap();
        assert!(!open(folder.path(), Timestamp::from_secs(1_800_000_000), 1).is_empty());
    }
}
