//! The engine that a configuration chose, as one type: what runs over a store is compiled once, and
//! which engine it is shows in nothing but what it does (architecture A-19, cluster §19).
//!
//! A new engine is a variant of both enums and a line of `delegate!`; everything else follows.

use bytes::Bytes;

#[cfg(feature = "foundationdb")]
use super::foundationdb::{FoundationStore, FoundationTx};
#[cfg(all(feature = "test-store", debug_assertions))]
use super::remote::{RemoteStore, RemoteTx};
use super::{
    Caps, CommitError, Committed, EmbeddedStore, EmbeddedTx, KeyRange, Limit, MemoryStore,
    MemoryTx, Order, Page, Read, Store, StoreError, Tx, TxOptions, Version, Watch,
};

/// One of the engines. A handle: cloning it names the same store.
#[derive(Clone)]
pub enum AnyStore {
    /// On the local disk, for one process.
    Embedded(EmbeddedStore),
    /// In memory, for tests and simulation.
    Memory(MemoryStore),
    /// In a FoundationDB cluster, for many processes.
    #[cfg(feature = "foundationdb")]
    Foundation(FoundationStore),
    /// In the store server of the tests, for many processes.
    #[cfg(all(feature = "test-store", debug_assertions))]
    Remote(RemoteStore),
}

/// A transaction of one of the engines.
pub enum AnyTx {
    /// Of the embedded engine.
    Embedded(EmbeddedTx),
    /// Of the memory engine.
    Memory(MemoryTx),
    /// Of FoundationDB.
    #[cfg(feature = "foundationdb")]
    Foundation(FoundationTx),
    /// Of the store server.
    #[cfg(all(feature = "test-store", debug_assertions))]
    Remote(RemoteTx),
}

/// The same expression over whichever engine it is.
macro_rules! delegate {
    ($any:ident, $self:expr, $engine:ident => $expression:expr) => {
        match $self {
            $any::Embedded($engine) => $expression,
            $any::Memory($engine) => $expression,
            #[cfg(feature = "foundationdb")]
            $any::Foundation($engine) => $expression,
            #[cfg(all(feature = "test-store", debug_assertions))]
            $any::Remote($engine) => $expression,
        }
    };
}

impl AnyStore {
    /// The engine's name, as settings and logs call it.
    #[must_use]
    pub const fn engine(&self) -> &'static str {
        match self {
            Self::Embedded(_) => "embedded",
            Self::Memory(_) => "memory",
            #[cfg(feature = "foundationdb")]
            Self::Foundation(_) => "foundationdb",
            #[cfg(all(feature = "test-store", debug_assertions))]
            Self::Remote(_) => "test",
        }
    }
}

impl std::fmt::Debug for AnyStore {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "AnyStore({})", self.engine())
    }
}

impl From<EmbeddedStore> for AnyStore {
    fn from(store: EmbeddedStore) -> Self {
        Self::Embedded(store)
    }
}

impl From<MemoryStore> for AnyStore {
    fn from(store: MemoryStore) -> Self {
        Self::Memory(store)
    }
}

#[cfg(feature = "foundationdb")]
impl From<FoundationStore> for AnyStore {
    fn from(store: FoundationStore) -> Self {
        Self::Foundation(store)
    }
}

#[cfg(all(feature = "test-store", debug_assertions))]
impl From<RemoteStore> for AnyStore {
    fn from(store: RemoteStore) -> Self {
        Self::Remote(store)
    }
}

impl Store for AnyStore {
    type Tx = AnyTx;

    fn begin(&self, options: TxOptions) -> AnyTx {
        match self {
            Self::Embedded(store) => AnyTx::Embedded(store.begin(options)),
            Self::Memory(store) => AnyTx::Memory(store.begin(options)),
            #[cfg(feature = "foundationdb")]
            Self::Foundation(store) => AnyTx::Foundation(store.begin(options)),
            #[cfg(all(feature = "test-store", debug_assertions))]
            Self::Remote(store) => AnyTx::Remote(store.begin(options)),
        }
    }

    async fn watch(&self, key: &[u8]) -> Result<Watch, StoreError> {
        delegate!(Self, self, store => store.watch(key).await)
    }

    fn caps(&self) -> Caps {
        delegate!(Self, self, store => store.caps())
    }
}

impl Tx for AnyTx {
    async fn get(&self, key: &[u8], read: Read) -> Result<Option<Bytes>, StoreError> {
        delegate!(Self, self, tx => tx.get(key, read).await)
    }

    async fn range(
        &self,
        range: &KeyRange,
        limit: Limit,
        order: Order,
        read: Read,
    ) -> Result<Page, StoreError> {
        delegate!(Self, self, tx => tx.range(range, limit, order, read).await)
    }

    async fn read_version(&self) -> Result<Version, StoreError> {
        delegate!(Self, self, tx => tx.read_version().await)
    }

    fn set_read_version(&mut self, version: Version) {
        delegate!(Self, self, tx => tx.set_read_version(version));
    }

    fn read_conflict(&mut self, key: &[u8]) {
        delegate!(Self, self, tx => tx.read_conflict(key));
    }

    fn read_conflict_range(&mut self, range: &KeyRange) {
        delegate!(Self, self, tx => tx.read_conflict_range(range));
    }

    fn set(&mut self, key: &[u8], value: impl Into<Bytes>) {
        delegate!(Self, self, tx => tx.set(key, value));
    }

    fn clear(&mut self, key: &[u8]) {
        delegate!(Self, self, tx => tx.clear(key));
    }

    fn clear_range(&mut self, range: &KeyRange) {
        delegate!(Self, self, tx => tx.clear_range(range));
    }

    fn set_stamped_key(&mut self, prefix: &[u8], suffix: &[u8], value: impl Into<Bytes>) {
        delegate!(Self, self, tx => tx.set_stamped_key(prefix, suffix, value));
    }

    fn set_stamped_value(&mut self, key: &[u8], prefix: &[u8], suffix: &[u8]) {
        delegate!(Self, self, tx => tx.set_stamped_value(key, prefix, suffix));
    }

    async fn commit(self) -> Result<Committed, CommitError> {
        delegate!(Self, self, tx => tx.commit().await)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    mod over_memory {
        use super::*;

        crate::store::battery::battery!(((), AnyStore::from(MemoryStore::new())));
    }

    #[test]
    fn an_engine_is_called_as_settings_call_it() {
        let store = AnyStore::from(MemoryStore::new());
        assert_eq!(format!("{store:?}"), "AnyStore(memory)");
    }
}
