//! The other services, as this one reaches them: to post, and to call back whoever posts here (service
//! §7.3, decisions ).

use std::collections::BTreeSet;
use std::sync::Arc;

use mesh_backend::{SystemClock, SystemEntropy};
use mesh_common::address::canonical_domain;
use mesh_common::entropy::Entropy;
use mesh_common::session::client::ClientIdentity;
use mesh_frontend::identity::Identities;
use mesh_peer::{Components, Peers, PeersError, Pins, Speaker};

use crate::config::MeshdConfig;

/// As whom this service speaks: for each domain served here, as the service that answers for it.
struct OwnVoice {
    identities: Identities,
    domains: BTreeSet<String>,
}

impl Speaker for OwnVoice {
    fn identity_of(&self, domain: &str) -> Option<ClientIdentity> {
        if !self.domains.contains(domain) {
            return None;
        }
        let identity = self.identities.of(domain);
        Some(ClientIdentity::service(
            identity.profile_service.clone(),
            Some(identity.profile_host.clone()),
            domain.to_owned(),
            identity.host_keys.current().clone(),
        ))
    }
}

/// Prepares to reach the other services that `config` lets us find.
///
/// # Errors
/// [`PeersError`], with the setting's name.
pub fn peers(
    config: &MeshdConfig,
    identities: Identities,
    pins: Arc<dyn Pins>,
) -> Result<Peers, PeersError> {
    let domains = &config.frontend.domains;
    let domains = domains
        .iter()
        .filter_map(|domain| canonical_domain(domain).ok());
    let speaker = OwnVoice {
        identities,
        domains: domains.collect(),
    };
    let components = Components {
        speaker: Arc::new(speaker),
        pins,
        clock: Arc::new(SystemClock),
        entropy: Arc::new(|| -> Box<dyn Entropy + Send> { Box::new(SystemEntropy) }),
    };
    Peers::new(&config.discovery, components)
}
