//! Services of other domains that post here, and what their domains tell whoever calls back: without
//! DNS and without another listener, so that a test decides every word.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mesh_common::assertion::make::{HostProfileKeys, ServiceKeys};
use mesh_common::cluster::handle::BoxFuture;
use mesh_common::dare::Envelope;
use mesh_common::delivery::Unreachable;
use mesh_common::discovery::Pinned;
use mesh_common::protocol::HelloResponse;
use mesh_common::session::client::{ClientIdentity, ServiceIdentity};
use mesh_frontend::callback::CallBack;
use mesh_peer::{Greeting, GreetingError};

use crate::client::now;
use crate::people::{UPDATED, entropy_of};
use crate::{Client, TestService};

/// The domain of the service that posts in most tests.
pub const ELSEWHERE: &str = "example.org";

/// A service of another domain.
#[derive(Debug, Clone)]
pub struct ForeignService {
    /// The domain it speaks for.
    pub domain: String,
    /// Its keys.
    pub keys: ServiceKeys,
    /// The signed ProfileService.
    pub profile: Envelope,
    /// The signed and countersigned ProfileHost.
    pub host: Envelope,
}

impl ForeignService {
    /// The service of `domain`, whose keys follow from that.
    #[must_use]
    pub fn of(domain: &str) -> Self {
        Self::named(domain, domain)
    }

    /// A service whose keys follow from `name`, and which says that it is that of `domain`.
    #[must_use]
    pub fn named(name: &str, domain: &str) -> Self {
        let mut entropy = entropy_of(&format!("service {name}"));
        let keys = ServiceKeys::generate(&mut entropy);
        let host = HostProfileKeys::generate(&mut entropy).profile(&keys.offline);
        Self {
            domain: domain.to_owned(),
            profile: keys.profile(UPDATED),
            host,
            keys,
        }
    }

    /// As whom it speaks.
    #[must_use]
    pub fn identity(&self) -> ClientIdentity {
        ClientIdentity::service(
            self.profile.clone(),
            Some(self.host.clone()),
            self.domain.clone(),
            self.keys.authentication.clone(),
        )
    }

    /// What a Hello to it tells.
    ///
    /// # Panics
    /// If its profiles do not verify.
    #[must_use]
    pub fn told(&self) -> ServiceIdentity {
        let hello = HelloResponse {
            enveloped_profile_service: Some(self.profile.clone()),
            enveloped_profile_host: Some(self.host.clone()),
            ..HelloResponse::default()
        };
        ServiceIdentity::from_hello(&hello).expect("its profiles verify")
    }

    /// It, speaking to `service`.
    #[must_use]
    pub fn client(&self, service: &TestService) -> Client {
        Client::new(service, self.identity())
    }
}

/// What domains tell whoever calls back. Those nobody knows do not exist.
#[derive(Debug, Default)]
pub struct Domains(Mutex<HashMap<String, Told>>);

/// What a domain tells.
#[derive(Debug, Clone)]
enum Told {
    Service(Box<ServiceIdentity>),
    Fails(GreetingError),
}

impl Domains {
    /// [`ELSEWHERE`] with its service, and nothing else.
    #[must_use]
    pub fn elsewhere() -> Arc<Self> {
        let domains = Self::default();
        domains.know(&ForeignService::of(ELSEWHERE));
        Arc::new(domains)
    }

    /// From now on the domain of `service` tells its profiles.
    pub fn know(&self, service: &ForeignService) {
        self.tell(&service.domain, Told::Service(Box::new(service.told())));
    }

    /// From now on `domain` tells nothing.
    pub fn fail(&self, domain: &str, error: GreetingError) {
        self.tell(domain, Told::Fails(error));
    }

    fn tell(&self, domain: &str, told: Told) {
        let mut domains = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        domains.insert(domain.to_owned(), told);
    }

    fn greeting(&self, domain: &str) -> Result<Arc<Greeting>, GreetingError> {
        let domains = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match domains.get(domain).cloned() {
            None => Err(Unreachable::NoDomain.into()),
            Some(Told::Fails(error)) => Err(error),
            Some(Told::Service(service)) => {
                let pinned = Pinned::after(None, &service, None, now());
                Ok(Arc::new(Greeting {
                    domain: domain.to_owned(),
                    pinned: pinned.expect("profiles of tests are dated"),
                    service: *service,
                    fetched_at: now(),
                }))
            }
        }
    }
}

impl CallBack for Domains {
    fn greet<'a>(
        &'a self,
        domain: &'a str,
        _anew: bool,
        _time_max: Duration,
    ) -> BoxFuture<'a, Result<Arc<Greeting>, GreetingError>> {
        Box::pin(std::future::ready(self.greeting(domain)))
    }
}
