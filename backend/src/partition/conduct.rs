//! How services that forward messages stand (service §8, X-61): computed from what is on record, and
//! believed for a moment, so that a service that posts much costs one read now and then.

use mesh_common::conduct::{ConductPolicy, Level, Subject};
use mesh_common::limits::{CONDUCT_BELIEVED, INCIDENTS_KEPT, RATE_KEYS_MAX, UPKEEP_ROWS_MAX};
use mesh_common::time::Timestamp;
use tokio::time::Instant;

use super::reading::{self, ReadError};
use super::records;
use super::shared::Shared;
use crate::store::{Limit, Order, Read, Store, Tx, TxOptions, keys};

/// The scores of services, by their domains.
pub(crate) type ConductCache = moka::sync::Cache<String, Known>;

/// A score, for as long as it is believed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Known {
    score: f64,
    /// By the pace of the node, which in a simulated world is not that of the process.
    until: Instant,
}

/// A cache of as many services as are remembered.
pub(crate) fn cache() -> ConductCache {
    moka::sync::Cache::new(RATE_KEYS_MAX)
}

/// What follows from complaints about the service of `domain` (canonical), by the settings of the
/// recipient's domain.
///
/// # Errors
/// The store cannot be read.
pub(crate) async fn of_service<S: Store>(
    shared: &Shared<S>,
    domain: &str,
    policy: &ConductPolicy,
) -> Result<Level, ReadError> {
    let now = shared.now();
    let known = shared.conduct.get(domain);
    if let Some(known) = known.filter(|known| shared.pace.moment() < known.until) {
        return Ok(policy.level(known.score));
    }
    let tx = shared.store.begin(TxOptions::default());
    let subject = Subject::Service(domain.to_owned());
    let score = reading::conduct(&tx, &subject, now).await?.score(now);
    let until = shared.pace.moment() + CONDUCT_BELIEVED;
    let known = Known { score, until };
    shared.conduct.insert(domain.to_owned(), known);
    Ok(policy.level(score))
}

/// Removes incidents that are on record for longer than [`INCIDENTS_KEPT`], a bounded number at a time.
/// Anybody may: what is removed counts no longer.
///
/// # Errors
/// The store cannot be read, or takes no writes.
pub(crate) async fn forget_old<S: Store>(
    shared: &Shared<S>,
) -> Result<usize, Box<dyn std::error::Error + Send + Sync>> {
    let kept = i64::try_from(INCIDENTS_KEPT.as_millis()).unwrap_or(i64::MAX);
    let end = Timestamp::from_millis(shared.now().as_millis().saturating_sub(kept).max(0));
    let Some(place) = shared.commits.background_place() else {
        return Ok(0);
    };
    let mut tx = shared.store.begin(shared.writing_in_background());
    let range = keys::conduct::incidents_before(end);
    let limit = Limit::rows(UPKEEP_ROWS_MAX);
    let page = tx
        .range(&range, limit, Order::Forward, Read::Snapshot)
        .await?;
    if page.rows.is_empty() {
        return Ok(0);
    }
    for row in &page.rows {
        tx.clear(&row.key);
        if let Ok(incident) = records::incident(&row.value) {
            tx.clear(&keys::conduct::counts(&incident));
        }
    }
    tx.commit().await?;
    drop(place);
    Ok(page.rows.len())
}
