//! The secrets of the service that the back-end needs, by domain: the online key that signs what it
//! writes itself, and the keys that read contacts (decisions; X-55).
//!
//! They are used beside the partitions, never inside one: no signature is computed in an actor.

use std::collections::HashMap;
use std::sync::Arc;

use mesh_common::crypto::SecretKey;

/// The secrets of one service.
#[derive(Debug, Clone)]
pub struct ServiceSecrets {
    /// One of `KeysOnlineSignature` of the ProfileService.
    pub online: Arc<SecretKey>,
    /// The KeyAuthentication of the ProfileService, then retired ones: contacts are encrypted to
    /// whichever was in use when they were written.
    pub reading: Vec<Arc<SecretKey>>,
}

/// The secrets of all services of this back-end: one for every domain, unless a domain has its own.
#[derive(Debug, Clone)]
pub struct ServiceKeys {
    default: ServiceSecrets,
    by_domain: HashMap<String, ServiceSecrets>,
}

impl ServiceKeys {
    /// One service for every domain.
    #[must_use]
    pub fn single(secrets: ServiceSecrets) -> Self {
        Self {
            default: secrets,
            by_domain: HashMap::new(),
        }
    }

    /// Gives `domain` (canonical) a service of its own.
    #[must_use]
    pub fn with_domain(mut self, domain: String, secrets: ServiceSecrets) -> Self {
        self.by_domain.insert(domain, secrets);
        self
    }

    /// The secrets of the service of `domain` (canonical).
    #[must_use]
    pub fn of(&self, domain: &str) -> &ServiceSecrets {
        self.by_domain.get(domain).unwrap_or(&self.default)
    }
}
