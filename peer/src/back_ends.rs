//! Where the back-ends of our own service are: the SRV records at `_mmm._tcp.<name>`, as a headless
//! service of a container platform publishes them (architecture A-4).
//!
//! Nothing is remembered and there is no fallback: whoever asks does so again until somebody is found,
//! and what is found is only where to begin.

use std::net::SocketAddr;

use mesh_common::limits::DISCOVERY_LOOKUP_TIME_MAX;

use crate::dns::Dns;
use crate::settings::DiscoverySettings;

/// Asks DNS for the back-ends of one name.
pub struct BackEnds {
    dns: Dns,
    name: String,
}

/// No back-end was found, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no back-end is found at _mmm._tcp.{name}: {why}")]
pub struct NotFound {
    /// Where it was looked.
    pub name: String,
    /// What DNS said.
    pub why: String,
}

impl BackEnds {
    /// Asks for `name`, by the resolver of `settings`. Addresses of private networks and of this host
    /// are what is expected here.
    #[must_use]
    pub fn of(name: &str, settings: &DiscoverySettings) -> Self {
        let settings = DiscoverySettings {
            allow_loopback: true,
            allow_private: true,
            ..settings.clone()
        };
        Self {
            dns: Dns::new(&settings),
            name: name.to_owned(),
        }
    }

    /// Where some of them are, as DNS says now; the most wanted first.
    ///
    /// # Errors
    /// [`NotFound`], if there is none or DNS does not say.
    pub async fn look(&self) -> Result<Vec<SocketAddr>, NotFound> {
        let asked = self.dns.listed(&self.name);
        let listed = tokio::time::timeout(DISCOVERY_LOOKUP_TIME_MAX, asked).await;
        let found = match listed {
            Ok(Ok(found)) if found.is_empty() => Err("no address of them is there".to_owned()),
            Ok(listed) => listed,
            Err(_) => Err("no answer from DNS in time".to_owned()),
        };
        found.map_err(|why| NotFound {
            name: self.name.clone(),
            why,
        })
    }
}

impl std::fmt::Debug for BackEnds {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("BackEnds")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
