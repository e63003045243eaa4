//! What the log is told of messages and of the store.

use mesh_common::delivery::QueueItem;

use crate::partition::shared::{Shared, chain};
use crate::store::{Store, StoreError};

/// One line for each change of a message's state (cluster §17). Neither bodies nor accounts are named.
pub(super) fn report<S: Store>(
    shared: &Shared<S>,
    item: &QueueItem,
    state: &'static str,
    reason: Option<&str>,
) {
    tracing::info!(
        message = item.unique_id,
        item = %item.id,
        tenant = item.tenant(),
        destination = item.destination(),
        attempts = item.attempts,
        age_s = shared.now().since(item.enqueued_at).as_secs(),
        reason,
        state,
        "delivery"
    );
}

/// Says that the store could not be read.
pub(super) fn complain(error: &StoreError, what: &'static str) {
    tracing::warn!(cause = chain(error), what, "the queue cannot be read");
}
