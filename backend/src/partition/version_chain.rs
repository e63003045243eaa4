//! The version chain: the fence without a read (cluster §4.4, §7.2).
//!
//! A commit of ours proved at its version that the partition is ours. The next one reads at that version
//! and depends on the ownership record, so that the store's own check for conflicts covers everything
//! since: no read of the record, and no round trip for a version. A link of the chain is used once, within
//! some seconds; after anything but an answered commit the record is read again.
//!
//! Off unless the setting `backend.version_chain` says otherwise.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use mesh_common::cluster::{Fence, PartitionId};
use mesh_common::time::Timestamp;

use crate::store::Version;

/// A link that is older is not used: FoundationDB forgets after 5 s what was written since.
const LINK_LIFE: Duration = Duration::from_secs(4);

/// The last link of each partition's chain.
pub(crate) struct VersionChains {
    is_used: bool,
    links: Vec<Mutex<Option<Link>>>,
}

/// A commit that was answered.
#[derive(Debug, Clone, Copy)]
struct Link {
    fence: Fence,
    version: Version,
    at: Timestamp,
}

impl VersionChains {
    /// No links yet; none ever, unless chains are to be used.
    pub(crate) fn new(is_used: bool) -> Self {
        Self {
            is_used,
            links: PartitionId::all().map(|_| Mutex::default()).collect(),
        }
    }

    /// A commit under `fence` has its place at `version`.
    pub(crate) fn remember(
        &self,
        partition: PartitionId,
        fence: Fence,
        version: Version,
        at: Timestamp,
    ) {
        if self.is_used {
            self.replace(partition, Some(Link { fence, version, at }));
        }
    }

    /// The version to read at, if the last commit under `fence` is young enough. It is given once: whoever
    /// comes back without having committed reads the record.
    pub(crate) fn take(
        &self,
        partition: PartitionId,
        fence: Fence,
        now: Timestamp,
    ) -> Option<Version> {
        if !self.is_used {
            return None;
        }
        let link = self.replace(partition, None)?;
        (link.fence == fence && now.since(link.at) < LINK_LIFE).then_some(link.version)
    }

    fn replace(&self, PartitionId(partition): PartitionId, link: Option<Link>) -> Option<Link> {
        let known = self.links.get(usize::from(partition))?;
        // A link is one assignment: whoever panicked left a whole one.
        let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut known, link)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);
    const HERE: PartitionId = PartitionId(7);

    const fn fence(epoch: u64) -> Fence {
        Fence {
            generation: 1,
            epoch,
        }
    }

    fn linked() -> VersionChains {
        let chains = VersionChains::new(true);
        chains.remember(HERE, fence(3), Version(40), NOW);
        chains
    }

    #[test]
    fn a_link_is_used_once_by_its_own_claim_while_it_is_young() {
        let chains = linked();
        assert_eq!(chains.take(PartitionId(8), fence(3), NOW), None);
        assert_eq!(chains.take(HERE, fence(3), NOW), Some(Version(40)));
        assert_eq!(chains.take(HERE, fence(3), NOW), None);
        assert_eq!(linked().take(HERE, fence(4), NOW), None);
        let just = NOW + LINK_LIFE - Duration::from_millis(1);
        assert_eq!(linked().take(HERE, fence(3), just), Some(Version(40)));
        assert_eq!(linked().take(HERE, fence(3), NOW + LINK_LIFE), None);
    }

    #[test]
    fn without_the_setting_there_is_no_chain() {
        let chains = VersionChains::new(false);
        chains.remember(HERE, fence(3), Version(40), NOW);
        assert_eq!(chains.take(HERE, fence(3), NOW), None);
    }
}
