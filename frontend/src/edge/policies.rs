//! What holds for the accounts of each domain, as the front-end has to know it.

use std::collections::BTreeMap;

use mesh_common::account::AccountPolicy;

use crate::config::FrontendConfig;

/// What holds for the accounts of each domain.
pub(super) struct Policies {
    default: AccountPolicy,
    by_domain: BTreeMap<String, AccountPolicy>,
}

impl Policies {
    pub(super) fn new(config: &FrontendConfig) -> Self {
        Self {
            default: config.policy.clone(),
            by_domain: config.domain_policies.clone(),
        }
    }

    pub(super) fn of(&self, domain: &str) -> &AccountPolicy {
        self.by_domain.get(domain).unwrap_or(&self.default)
    }
}
