//! How services that forward messages stand (service §8, X-61): computed from what is on record, and
//! believed for a moment, so that a service that posts much costs one read now and then.

use mesh_common::conduct::{ConductPolicy, Level, Subject};
use mesh_common::limits::{CONDUCT_BELIEVED, RATE_KEYS_MAX};

use super::reading::{self, ReadError};
use super::shared::Shared;
use crate::store::{Store, TxOptions};

/// The scores of services, by their domains.
pub(crate) type ConductCache = moka::sync::Cache<String, f64>;

/// A cache that forgets within [`CONDUCT_BELIEVED`].
pub(crate) fn cache() -> ConductCache {
    moka::sync::Cache::builder()
        .max_capacity(RATE_KEYS_MAX)
        .time_to_live(CONDUCT_BELIEVED)
        .build()
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
    if let Some(score) = shared.conduct.get(domain) {
        return Ok(policy.level(score));
    }
    let tx = shared.store.begin(TxOptions::default());
    let subject = Subject::Service(domain.to_owned());
    let score = reading::conduct(&tx, &subject, now).await?.score(now);
    shared.conduct.insert(domain.to_owned(), score);
    Ok(policy.level(score))
}
