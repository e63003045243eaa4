//! Who the service is: the profiles Hello shows, the authentication keys requests are made to, and the
//! key that signs what the service says
//! (service §4.6 and §9.1, decisions ).

use std::collections::HashMap;
use std::sync::Arc;

use mesh_common::crypto::SecretKey;
use mesh_common::dare::Envelope;
use mesh_common::session::HostKeys;
use mesh_common::udf::Udf;

/// One service: what it shows, and the secret it authenticates with.
#[derive(Debug)]
pub struct ServiceIdentity {
    /// UDF of the ProfileService: the service's permanent name.
    pub service_udf: Udf,
    /// The signed ProfileService.
    pub profile_service: Envelope,
    /// The signed ProfileHost, countersigned by the service.
    pub profile_host: Envelope,
    /// The present KeyAuthentication, and replaced ones within their grace.
    pub host_keys: HostKeys,
    /// A key of `KeysOnlineSignature`: what the service itself says is signed by it (decision Q-7).
    pub online: Arc<SecretKey>,
}

/// The identity of each domain: one for all, unless a domain has its own (decision Q-12).
#[derive(Debug, Clone)]
pub struct Identities {
    default: Arc<ServiceIdentity>,
    by_domain: HashMap<String, Arc<ServiceIdentity>>,
}

impl Identities {
    /// One identity for every domain.
    #[must_use]
    pub fn single(identity: ServiceIdentity) -> Self {
        Self {
            default: Arc::new(identity),
            by_domain: HashMap::new(),
        }
    }

    /// Gives `domain` (canonical) an identity of its own.
    #[must_use]
    pub fn with_domain(mut self, domain: String, identity: ServiceIdentity) -> Self {
        self.by_domain.insert(domain, Arc::new(identity));
        self
    }

    /// The identity that answers for `domain` (canonical).
    #[must_use]
    pub fn of(&self, domain: &str) -> &Arc<ServiceIdentity> {
        self.by_domain.get(domain).unwrap_or(&self.default)
    }
}
