//! How a node of a cluster learns how much waits: other nodes queue too, and messages leave from others.
//! It looks through the whole queue every now and then, page by page, and at once where a bound is met
//! ([`super::depths`] says what that keeps).

use std::sync::{Arc, Weak};
use std::time::Duration;

use mesh_common::limits::{OUTBOUND_POLL_INTERVAL, OUTBOUND_ROUND_INTERVAL};

use super::load::{Found, found};
use crate::handle::Inner;
use crate::partition::shared::{Shared, chain};
use crate::store::{KeyRange, Limit, Order, Read, Store, StoreError, Tx, TxOptions, keys};

/// Rows of one page.
const PAGE_ROWS: usize = 256;
/// Time between two pages.
const PACE: Duration = Duration::from_millis(20);

/// Counts what waits, again and again, until the back-end is gone.
pub(crate) async fn run<S: Store>(home: Weak<Inner<S>>) {
    loop {
        let Some(shared) = shared_of(&home) else {
            return;
        };
        let is_hurried = wait(&shared).await;
        if let Err(error) = look_through(&shared, is_hurried).await {
            tracing::warn!(cause = chain(&error), "the queue cannot be counted");
        }
        drop(shared);
        // However full it is: nobody counts all the time.
        tokio::time::sleep(OUTBOUND_POLL_INTERVAL).await;
    }
}

fn shared_of<S: Store>(home: &Weak<Inner<S>>) -> Option<Arc<Shared<S>>> {
    let inner = home.upgrade().filter(|inner| !inner.is_stopping())?;
    Some(Arc::clone(&inner.shared))
}

/// Waits until it is time; whether since a bound is met.
async fn wait<S: Store>(shared: &Shared<S>) -> bool {
    tokio::select! {
        () = shared.depths.full() => true,
        () = tokio::time::sleep(OUTBOUND_ROUND_INTERVAL) => false,
    }
}

/// Counts what waits, once.
///
/// # Errors
/// The store cannot be read: what was counted before stands.
pub(crate) async fn look_through<S: Store>(
    shared: &Shared<S>,
    is_hurried: bool,
) -> Result<(), StoreError> {
    let mut survey = shared.depths.begin_survey();
    let mut rest: Option<KeyRange> = Some(keys::all_queues());
    while let Some(range) = rest {
        let tx = shared.store.begin(TxOptions::default());
        let limit = Limit::rows(PAGE_ROWS);
        let page = tx
            .range(&range, limit, Order::Forward, Read::Snapshot)
            .await?;
        rest = page.rest(&range, Order::Forward);
        for row in page.rows {
            if let Found::Item(item) = found(row) {
                survey.count(&item);
            }
        }
        if rest.is_some() && !is_hurried {
            tokio::time::sleep(PACE).await;
        }
    }
    shared.depths.end_survey(survey);
    Ok(())
}
