//! `meshd restore-check`: a store that came back from a backup, before its doors are opened (cluster §16).
//!
//! What a restore to a moment T means: what was accepted after T is lost here; what was sent to other services after T
//! is sent again, and known there by its id; devices whose containers are longer than ours are told so, and upload again
//! what they have. All of that is right only if nothing from before the restore can write any more, and nothing that is
//! left later sorts before what was left earlier. Both follow from the generation in `meta`, which [`open`] raises: to
//! be done once after each restore, before any process starts.

use std::ops::ControlFlow;

use serde::{Deserialize, Serialize};

use super::listing::Listing;
use super::verify::{Scope, VerifiedPage, verify_page};
use crate::node::Meta;
use crate::partition::{RowError, decode_ownership};
use crate::store::keys;
use crate::store::{
    CommitError, KeyRange, Limit, Order, Read, Row, Store, StoreError, Tx, TxOptions, walk,
};

/// Why a store cannot be checked, or opened.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// There is no service in it.
    #[error(
        "the store holds no service: was the restore finished, and is this its cluster and prefix?"
    )]
    Empty,
    /// Processes serve from it.
    #[error(
        "{count} processes have registered in the store: stop them before anything is checked or opened"
    )]
    Served {
        /// How many.
        count: usize,
    },
    /// Somebody changed `meta` at the same moment.
    #[error("the generation could not be raised: try again")]
    Commit(#[source] CommitError),
    /// `meta` does not read.
    #[error("the store was made by another release")]
    Row(#[from] RowError),
    /// The store gives no answer.
    #[error("the store cannot be read")]
    Store(#[from] StoreError),
}

/// What stands in the store besides accounts.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Standing {
    /// The generation as it was restored.
    pub generation: u32,
    /// Ownership records of a later generation than that: then `meta` is older than the rest.
    pub later_owners: u64,
    /// Records of nodes that were at work when the backup was made. They are not there any more.
    pub former_nodes: u64,
    /// Entries that wait in intakes, and will be received.
    pub intake_entries: u64,
    /// Messages that wait for other services; those that were delivered after the backup are sent again.
    pub queued_messages: u64,
    /// Rows of the queue that do not read; their owners will set them aside.
    pub unreadable_items: u64,
    /// When the newest item was queued, in milliseconds since 1970.
    pub last_queued_at: Option<i64>,
}

/// Looks at everything but accounts.
///
/// # Errors
/// [`RestoreError`].
pub async fn standing<S: Store>(store: &S) -> Result<Standing, RestoreError> {
    let meta = meta(store).await?;
    let mut standing = Standing {
        generation: meta.generation,
        ..Standing::default()
    };
    each(store, keys::parts(), |_, value| {
        let is_later =
            decode_ownership(value).is_ok_and(|record| record.fence.generation > meta.generation);
        standing.later_owners += u64::from(is_later);
    })
    .await?;
    each(store, keys::nodes(), |key, _| {
        standing.former_nodes += u64::from(keys::node_of_key(key).is_some());
    })
    .await?;
    each(store, keys::intakes(), |_, _| standing.intake_entries += 1).await?;
    each(store, keys::all_queues(), |key, value| {
        if keys::parse_queue_item(key).is_none() {
            return;
        }
        match crate::outbound::rows::item(value) {
            Ok(item) => {
                standing.queued_messages += 1;
                let at = Some(item.enqueued_at.as_millis());
                standing.last_queued_at = standing.last_queued_at.max(at);
            }
            Err(_) => standing.unreadable_items += 1,
        }
    })
    .await?;
    Ok(standing)
}

/// The next page of accounts, checked as `meshd verify` does.
///
/// # Errors
/// [`RestoreError::Store`].
pub async fn accounts<S: Store>(
    store: &S,
    listing: &Listing,
    one_in: u64,
    max: usize,
) -> Result<VerifiedPage, RestoreError> {
    let scope = Scope {
        listing: listing.clone(),
        one_in,
    };
    Ok(verify_page(store, &scope, max).await?)
}

/// Raises the generation, and forgets the nodes of before; gives the new one. Every token and every place
/// in an intake from before is older then. `seen` is what the check found: if a node has registered
/// since, or another did the same, nothing is written.
///
/// # Errors
/// [`RestoreError`].
pub async fn open<S: Store>(
    store: &S,
    seen: &Standing,
    options: TxOptions,
) -> Result<u32, RestoreError> {
    let mut tx = store.begin(options);
    let row = tx.get(&keys::meta(), Read::Serializable).await?;
    let mut meta = Meta::decode(&row.ok_or(RestoreError::Empty)?)?;
    if meta.generation != seen.generation {
        return Err(RestoreError::Commit(CommitError::Conflict));
    }
    let nodes = tx
        .range(
            &keys::nodes(),
            Limit::default(),
            Order::Forward,
            Read::Serializable,
        )
        .await?;
    let is_record = |row: &&Row| keys::node_of_key(&row.key).is_some();
    let count = nodes.rows.iter().filter(is_record).count();
    if count as u64 != seen.former_nodes {
        return Err(RestoreError::Served { count });
    }
    meta.generation += 1;
    tx.set(&keys::meta(), meta.encode());
    tx.clear_range(&keys::nodes());
    tx.commit().await.map_err(RestoreError::Commit)?;
    Ok(meta.generation)
}

async fn meta<S: Store>(store: &S) -> Result<Meta, RestoreError> {
    let tx = store.begin(TxOptions::default());
    let row = tx.get(&keys::meta(), Read::Snapshot).await?;
    Ok(Meta::decode(&row.ok_or(RestoreError::Empty)?)?)
}

async fn each<S: Store>(
    store: &S,
    range: KeyRange,
    mut look: impl FnMut(&[u8], &[u8]) + Send,
) -> Result<(), StoreError> {
    walk::each_row(store, range, Order::Forward, |row| {
        look(&row.key, &row.value);
        ControlFlow::Continue(())
    })
    .await
}
