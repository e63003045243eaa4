//! Contact indexes of accounts, kept in memory while they fit: built beside the actors from the
//! Contact catalog, and brought up to date from the first frame that is new (service §7.6, decision
//!

use std::sync::Arc;

use mesh_common::account::intake::{ContactIndex, Opened};
use mesh_common::account::{AccountId, AccountState, Head};
use mesh_common::crypto::SecretKey;
use mesh_common::dare::{ContainerKind, Envelope};
use mesh_common::limits::{CONTACT_INDEXES_BYTES_MAX, READ_TX_BYTES_MAX, READ_TX_FRAMES_MAX};

use super::commands::contained;
use super::reading::{self, ReadError};
use super::shared::Shared;
use crate::store::keys::AccountKeys;
use crate::store::{Store, TxOptions};

/// Indexes of contacts, by account.
pub(crate) type ContactCache = moka::sync::Cache<AccountId, Arc<ContactIndex>>;

/// An empty cache within its bound of octets.
pub(crate) fn cache() -> ContactCache {
    /// Octets counted for an index beside its entries.
    const INDEX_BYTES: usize = 512;
    moka::sync::Cache::builder()
        .weigher(|_, index: &Arc<ContactIndex>| {
            u32::try_from(INDEX_BYTES + index.bytes()).unwrap_or(u32::MAX)
        })
        .max_capacity(CONTACT_INDEXES_BYTES_MAX)
        .build()
}

/// What the account's contacts say, as its catalog stands or later.
///
/// # Errors
/// The store cannot be read.
pub(crate) async fn index_of<S: Store>(
    shared: &Shared<S>,
    state: &AccountState,
) -> Result<Arc<ContactIndex>, ReadError> {
    let name = ContainerKind::Contact.name();
    let Some(head) = name.and_then(|name| state.head(&name)) else {
        return Ok(Arc::default());
    };
    let account = state.record.id;
    let known = shared.contacts.get(&account).unwrap_or_default();
    if known.is_at(head.count(), head.apex()) {
        return Ok(known);
    }
    // A catalog only grows: what is known of its beginning stays true.
    let mut index = if known.next_frame() <= head.count() {
        ContactIndex::clone(&known)
    } else {
        ContactIndex::default()
    };
    let keys = AccountKeys::of(account);
    follow(shared, &keys, head, &mut index).await?;
    let reading = shared
        .keys
        .of(state.record.address.domain())
        .reading
        .clone();
    open_all(shared, &keys, head, &mut index, &reading).await?;
    let index = Arc::new(index);
    shared.contacts.insert(account, Arc::clone(&index));
    Ok(index)
}

/// Follows the catalog by its headers up to `head`.
async fn follow<S: Store>(
    shared: &Shared<S>,
    keys: &AccountKeys,
    head: &Head,
    index: &mut ContactIndex,
) -> Result<(), ReadError> {
    while index.next_frame() < head.count() {
        let first = index.next_frame();
        let end = head.count().min(first + READ_TX_FRAMES_MAX as u64);
        let tx = shared.store.begin(TxOptions::default());
        let records = reading::frame_records(&tx, keys, head.number, first, end).await?;
        if records.is_empty() {
            // A purge came between: nothing is left to be followed.
            break;
        }
        for (number, record) in &records {
            index.follow(*number, record);
        }
    }
    Ok(())
}

/// Opens what is not open, a bounded piece at a time.
async fn open_all<S: Store>(
    shared: &Shared<S>,
    keys: &AccountKeys,
    head: &Head,
    index: &mut ContactIndex,
    reading: &[Arc<SecretKey>],
) -> Result<(), ReadError> {
    let closed: Vec<(String, u64)> = index
        .closed()
        .map(|(unique_id, frame)| (unique_id.to_owned(), frame))
        .collect();
    let mut closed = closed.into_iter().peekable();
    while closed.peek().is_some() {
        let tx = shared.store.begin(TxOptions::default());
        let (mut piece, mut bytes) = (Vec::new(), 0);
        while bytes < READ_TX_BYTES_MAX && piece.len() < READ_TX_FRAMES_MAX {
            let Some((unique_id, frame)) = closed.next() else {
                break;
            };
            let found = reading::one_frame(&tx, keys, head.number, frame).await?;
            let envelope = found
                .filter(|(record, _)| !record.redacted)
                .map(|(record, payload)| record.envelope(frame, payload));
            bytes += envelope.as_ref().map_or(0, |one| one.payload.0.len());
            piece.push((unique_id, envelope));
        }
        drop(tx);
        for (unique_id, opened) in open_piece(shared, piece, reading.to_vec()).await {
            index.open(&unique_id, opened);
        }
    }
    Ok(())
}

/// Opens frames on threads made for work that takes long. One that makes the reader panic counts as
/// unreadable.
async fn open_piece<S: Store>(
    shared: &Shared<S>,
    piece: Vec<(String, Option<Envelope>)>,
    reading: Vec<Arc<SecretKey>>,
) -> Vec<(String, Opened)> {
    let ids: Vec<String> = piece.iter().map(|(id, _)| id.clone()).collect();
    let panics = shared.metrics.panics.with_label_values(&["contacts"]);
    let work = move || {
        let keys: Vec<&SecretKey> = reading.iter().map(AsRef::as_ref).collect();
        let open = |envelope: Option<Envelope>| {
            let envelope = envelope?;
            let opened = contained(|| Opened::read(&envelope, &keys));
            if opened.is_none() {
                panics.inc();
            }
            opened
        };
        piece
            .into_iter()
            .map(|(id, envelope)| (id, open(envelope).unwrap_or_else(Opened::unreadable)))
            .collect()
    };
    shared.pace.aside(work).await.unwrap_or_else(|| {
        let unreadable = |id| (id, Opened::unreadable());
        ids.into_iter().map(unreadable).collect()
    })
}
