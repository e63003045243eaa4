//! Every bound of the store in one place: what one key, value, transaction and queue may hold.
//!
//! The sizes of keys, values and transactions are FoundationDB's (cluster §3), so that what one engine
//! takes every engine takes; the rest bounds memory and waiting of the local engines.

/// Longest key, in octets: FoundationDB's 10,000 without the longest prefix. Keys of accounts stay below 64
/// octets (cluster §3); directory keys are longer.
pub const KEY_BYTES_MAX: usize = 10_000 - PREFIX_BYTES_MAX;

/// Longest prefix that all keys of a store share in a FoundationDB cluster, in octets.
pub const PREFIX_BYTES_MAX: usize = 100;

/// Longest value, in octets. A payload is kept in chunks of 65,536 octets (decision Q-62).
pub const VALUE_BYTES_MAX: usize = 100_000;

/// Most octets one transaction may hold: keys and values written, and keys it depends on. Half of what
/// FoundationDB takes, since it counts a key again for the range that others conflict with.
pub const TX_BYTES_MAX: usize = 5_000_000;

/// Rows of one page when the caller names no bound.
pub const PAGE_ROWS_DEFAULT: usize = 1_024;

/// Octets of one page when the caller names no bound; a single larger row still makes a page.
pub const PAGE_BYTES_DEFAULT: usize = 2 * 1_024 * 1_024;

/// Watches one engine keeps at once: one per partition, shard and routing table (cluster §10).
pub const WATCHES_MAX: usize = 10_000;

/// Versions behind the newest for which a read version is still honoured by a commit without any
/// transaction holding it open (cluster §7.2, the version chain).
pub const CHAIN_VERSIONS: u64 = 1_024;

/// The same for FoundationDB: some five seconds at a million versions a second.
pub const FOUNDATION_CHAIN_VERSIONS: u64 = 5_000_000;

/// Key ranges the conflict history may hold, about 200 octets each. Beyond it the oldest versions are forgotten and
/// transactions that began before them are too old, however long they stay open.
pub const HISTORY_RANGES_MAX: usize = 65_536;

/// Keys that the cleared ranges of one transaction may hold. A range is larger than that only when
/// an account is erased, which goes on page by page.
pub const CLEAR_KEYS_MAX: usize = 100_000;

/// Newest versions of the embedded engine that can be read by [`super::Tx::set_read_version`].
pub const SNAPSHOTS_MAX: usize = 256;

/// Octets written since the oldest version that is kept readable. A version that is kept also keeps
/// the engine's memory of what was written after it.
pub const SNAPSHOTS_BYTES_MAX: usize = 4 * 1_024 * 1_024;

/// Transactions that wait for the committer of the embedded engine; further ones wait before it.
pub const COMMIT_QUEUE_MAX: usize = 1_024;

/// Transactions of one group commit: one write and one fsync for all of them.
pub const GROUP_TXS_MAX: usize = 512;

/// Octets of one group commit; a single larger transaction is a group of its own.
pub const GROUP_BYTES_MAX: usize = 8 * 1_024 * 1_024;

/// Rows of a page that are read on the thread that asks; a longer page goes on elsewhere.
pub const INLINE_ROWS_MAX: usize = 64;

/// Octets of a page that are read on the thread that asks; a larger page goes on elsewhere.
pub const INLINE_BYTES_MAX: usize = 128 * 1_024;
