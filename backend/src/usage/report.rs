//! What domains use in all partitions together, for operators and measures: the rows of one range for one domain,
//! all of table 12 for all, page by page. What changes meanwhile is seen or not.

use std::ops::ControlFlow;

use mesh_common::account::DomainUsage;
use mesh_common::account::usage::day_of;
use mesh_common::time::Timestamp;

use super::rows::UsageRow;
use crate::partition::shared::chain;
use crate::store::{KeyRange, Order, Row, Store, StoreError, keys, walk};

/// What one domain uses, on the day of `now`.
///
/// # Errors
/// The store gives no answer.
pub async fn usage_of<S: Store>(
    store: &S,
    domain: &str,
    now: Timestamp,
) -> Result<DomainUsage, StoreError> {
    let mut sum = DomainUsage::default().on(day_of(now));
    let range = keys::usage_of_domain(domain);
    each(store, range, now, |_, used| sum = used).await?;
    Ok(sum)
}

/// Shows each domain that has a row, in their order, with what it uses on the day of `now`.
///
/// # Errors
/// The store gives no answer.
pub async fn each_domain<S: Store>(
    store: &S,
    now: Timestamp,
    look: impl FnMut(&str, DomainUsage) + Send,
) -> Result<(), StoreError> {
    each(store, keys::all_usage(), now, look).await
}

async fn each<S: Store>(
    store: &S,
    range: KeyRange,
    now: Timestamp,
    mut look: impl FnMut(&str, DomainUsage) + Send,
) -> Result<(), StoreError> {
    let today = day_of(now);
    let mut sum: Option<(String, DomainUsage)> = None;
    walk::each_row(store, range, Order::Forward, |row| {
        if let Some((domain, used)) = read(&row) {
            match &mut sum {
                Some((same, sum)) if same == domain => *sum = sum.and(used, today),
                other => {
                    let before = other.replace((domain.to_owned(), used.on(today)));
                    if let Some((domain, sum)) = before {
                        look(&domain, sum);
                    }
                }
            }
        }
        ControlFlow::Continue(())
    })
    .await?;
    if let Some((domain, sum)) = sum {
        look(&domain, sum);
    }
    Ok(())
}

/// Which domain a row is about, and what it says; a row that does not read is left out.
fn read(row: &Row) -> Option<(&str, DomainUsage)> {
    let (domain, partition) = keys::parse_usage(&row.key)?;
    match UsageRow::decode(&row.value) {
        Ok(row) => Some((domain, row.used)),
        Err(error) => {
            let (partition, cause) = (partition.0, chain(&error));
            tracing::error!(domain, partition, cause, "what a domain uses does not read");
            None
        }
    }
}
