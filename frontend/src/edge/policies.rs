//! What holds for the accounts of each domain, as the front-end has to know it.

use std::collections::BTreeMap;
use std::sync::Arc;

use mesh_common::account::AccountPolicy;

use crate::config::FrontendConfig;

/// What holds for the accounts of each domain.
pub(super) struct Policies {
    default: Arc<AccountPolicy>,
    by_domain: BTreeMap<String, Arc<AccountPolicy>>,
}

impl Policies {
    pub(super) fn new(config: &FrontendConfig) -> Self {
        Self {
            default: Arc::new(config.policy.clone()),
            by_domain: config
                .domain_policies
                .iter()
                .map(|(domain, policy)| (domain.clone(), Arc::new(policy.clone())))
                .collect(),
        }
    }

    pub(super) fn of(&self, domain: &str) -> &Arc<AccountPolicy> {
        self.by_domain.get(domain).unwrap_or(&self.default)
    }
}
