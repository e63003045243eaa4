//! Chains from devices to accounts that were verified lately, for messages of devices here and of
//! other services alike: the messages of a device share theirs, and a chain that holds holds for good.

use std::sync::Arc;

use mesh_common::assertion::AssertionError;
use mesh_common::dare::Signature;
use mesh_common::limits::{CHAIN_REMEMBERED, CHAINS_REMEMBERED_MAX};
use mesh_common::message::ProvenChain;
use moka::sync::Cache;

/// The chains that were verified lately; clones share them.
#[derive(Clone)]
pub(crate) struct Chains(Cache<Vec<u8>, Arc<ProvenChain>>);

impl Chains {
    pub(crate) fn new() -> Self {
        let cache = Cache::builder()
            .max_capacity(CHAINS_REMEMBERED_MAX)
            .time_to_idle(CHAIN_REMEMBERED);
        Self(cache.build())
    }

    /// The chain in `block`, which is verified unless it was lately.
    pub(crate) fn follow(&self, block: &Signature) -> Result<Arc<ProvenChain>, AssertionError> {
        let mark = ProvenChain::mark_of(block);
        let known = mark.and_then(|mark| self.0.get(mark));
        if let Some(known) = known.filter(|known| known.is_of(block)) {
            return Ok(known);
        }
        let followed = ProvenChain::follow(block)?;
        if let Some(mark) = mark {
            self.0.insert(mark.to_vec(), Arc::clone(&followed));
        }
        Ok(followed)
    }
}
