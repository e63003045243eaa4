//! What domains use of the service (cluster §9), as operators and measures are shown it: the sums of table 12,
//! beside what the settings allow.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use mesh_common::account::DomainUsage;
use mesh_common::address::canonical_domain;
use serde::{Deserialize, Serialize};

use super::{Answer, DeskError, DomainDesk};
use crate::handle::BackendHandle;
use crate::partition::shared::Shared;
use crate::store::{Store, StoreError};
use crate::usage::report;

/// What one domain uses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DomainView {
    /// Its canonical name.
    pub domain: String,
    /// Accounts that there are, those on hold included.
    pub accounts: u64,
    /// Accounts that there may be; nothing where that has no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accounts_max: Option<u64>,
    /// Octets that they store, and those that were deleted and are not purged yet.
    pub octets: u64,
    /// Octets that there may be; nothing where that has no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub octets_max: Option<u64>,
    /// Messages that they sent today, by the day in UTC.
    pub messages_today: u64,
    /// Messages that they may send on a day; nothing where that has no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub messages_per_day_max: Option<u64>,
}

/// What all domains use, those that store most in front.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DomainsView {
    /// As many as were asked for.
    pub domains: Vec<DomainView>,
    /// Domains in all.
    pub total: u64,
}

impl DomainView {
    fn of<S>(shared: &Shared<S>, domain: &str, used: DomainUsage) -> Self {
        let limits = shared.config.policy_of_domain(domain).domain;
        Self {
            domain: domain.to_owned(),
            accounts: used.accounts,
            accounts_max: limits.accounts_max,
            octets: used.octets,
            octets_max: limits.octets_max,
            messages_today: used.messages,
            messages_per_day_max: limits.messages_per_day_max,
        }
    }
}

/// What all domains use: those that are served here, and those that still have accounts.
pub(crate) async fn all<S: Store>(shared: &Shared<S>) -> Result<Vec<DomainView>, StoreError> {
    let config = &shared.config;
    let policies = config.domains.values().chain([&config.policy]);
    let served = policies.flat_map(|policy| &policy.domains_served);
    let nothing = DomainUsage::default();
    let mut found: BTreeMap<String, DomainUsage> =
        served.map(|domain| (domain.clone(), nothing)).collect();
    report::each_domain(&shared.store, shared.now(), |domain, used| {
        found.insert(domain.to_owned(), used);
    })
    .await?;
    let view = |(name, used): (&String, &DomainUsage)| DomainView::of(shared, name, *used);
    let views = found.iter().map(view);
    let mut views: Vec<DomainView> = views.collect();
    views.sort_by_key(|view| Reverse(view.octets));
    Ok(views)
}

impl<S: Store> DomainDesk for BackendHandle<S> {
    fn domains(&self, max: usize) -> Answer<'_, DomainsView> {
        Box::pin(async move {
            let mut domains = all(&self.inner.shared).await?;
            let total = domains.len() as u64;
            domains.truncate(max);
            Ok(DomainsView { domains, total })
        })
    }

    fn domain<'a>(&'a self, domain: &'a str) -> Answer<'a, DomainView> {
        Box::pin(async move {
            let shared = &self.inner.shared;
            let name = canonical_domain(domain).map_err(|error| DeskError::Refused {
                why: format!("{domain:?} is no domain: {error}"),
            })?;
            let used = report::usage_of(&shared.store, &name, shared.now()).await?;
            let is_served = shared.config.policy.domains_served.contains(&name);
            if !is_served && (used.accounts, used.octets) == (0, 0) {
                return Err(DeskError::NotFound {
                    what: format!("{name} is not served here, and has no accounts"),
                });
            }
            Ok(DomainView::of(shared, &name, used))
        })
    }
}
