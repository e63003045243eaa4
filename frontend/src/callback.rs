//! Whether a service that authenticates is the one of the domain it names: the domain itself is asked,
//! over TLS (service §7.3; decisions Q-8, Q-52 and Q-60).
//!
//! ```text
//!  exchange in Service mode ─▶ checks 5 and 6 ─▶ known and fresh? ─▶ same service, same key: 201 …
//!                                                    │ no                 │ no: asked once more
//!                                                    └─▶ call back ◀──────┘
//! ```
//!
//! Anybody can make this service call somebody: so it does that for one new domain per second and
//! source, for sixteen domains at once, for two seconds each, and not again for a minute where it
//! failed.

use std::sync::Arc;
use std::time::Duration;

use mesh_common::cluster::handle::BoxFuture;
use mesh_common::crypto::PublicKey;
use mesh_common::delivery::Unreachable;
use mesh_common::error::ServiceError;
use mesh_common::limits::{
    CALL_BACK_DOMAINS_MAX, CALL_BACK_FAILED_LIFE, CALL_BACK_TIME_MAX, CALL_BACKS_MAX,
};
use mesh_common::protocol::Code;
use mesh_common::session::authentication_failed;
use mesh_common::time::Timestamp;
use mesh_common::udf::Udf;
use mesh_peer::{Greeting, GreetingError, Peers};
use moka::sync::Cache;
use tokio::sync::Semaphore;

/// Asks a domain who its service is.
pub trait CallBack: Send + Sync + 'static {
    /// The service of `domain` (canonical), as its Hello tells it: the answer that is known, or with
    /// `anew` one that is newer than what is known.
    fn greet<'a>(
        &'a self,
        domain: &'a str,
        anew: bool,
        time_max: Duration,
    ) -> BoxFuture<'a, Result<Arc<Greeting>, GreetingError>>;
}

impl CallBack for Peers {
    fn greet<'a>(
        &'a self,
        domain: &'a str,
        anew: bool,
        time_max: Duration,
    ) -> BoxFuture<'a, Result<Arc<Greeting>, GreetingError>> {
        Box::pin(async move {
            if anew {
                Self::greet_anew(self, domain, time_max).await
            } else {
                Self::greet(self, domain, time_max).await
            }
        })
    }
}

/// Whom a credential in Service mode claims to be from. Its sender knows the secret of `key`.
#[derive(Debug, Clone)]
pub(crate) struct Claim {
    /// The domain it speaks for, canonical.
    pub(crate) domain: String,
    /// UDF of the ProfileService it shows.
    pub(crate) service_udf: Udf,
    /// S_c.
    pub(crate) key: PublicKey,
}

/// When somebody asks, and how long there is to answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment {
    pub(crate) now: Timestamp,
    pub(crate) left: Duration,
}

/// The call-backs of one front-end.
pub(crate) struct CallBacks {
    call_back: Arc<dyn CallBack>,
    known: Cache<String, Arc<Greeting>>,
    /// Domains whose service could not be learned, with the refusal.
    failed: Cache<String, Failure>,
    at_once: Semaphore,
}

/// Why a domain's service could not be learned.
#[derive(Debug, Clone)]
enum Failure {
    /// It may be learned later.
    Away(String),
    /// There is no such service, or it is not the one it was.
    Wrong(String),
}

impl CallBacks {
    pub(crate) fn new(call_back: Arc<dyn CallBack>) -> Self {
        let domains = || Cache::builder().max_capacity(CALL_BACK_DOMAINS_MAX);
        Self {
            call_back,
            known: Cache::new(CALL_BACK_DOMAINS_MAX),
            failed: domains().time_to_live(CALL_BACK_FAILED_LIFE).build(),
            at_once: Semaphore::new(CALL_BACKS_MAX),
        }
    }

    /// Whether `claim` is from the service of its domain. `may_ask` is asked before a domain is that
    /// is not known.
    ///
    /// # Errors
    /// 401/104 if it is not; 503 with Retry-After if that could not be learned in time; what
    /// `may_ask` refuses with. All to be sent bare.
    pub(crate) async fn check(
        &self,
        claim: &Claim,
        moment: Moment,
        may_ask: impl FnOnce() -> Result<(), ServiceError>,
    ) -> Result<(), ServiceError> {
        let fresh = |known: &Arc<Greeting>| known.is_fresh(moment.now);
        let known = self.known.get(&claim.domain).filter(fresh);
        if known.is_none() {
            if let Some(failure) = self.failed.get(&claim.domain) {
                return Err(failure.refusal());
            }
            may_ask()?;
            let greeting = self.ask(claim, false, moment).await?;
            if vouches(&greeting, claim, moment.now) {
                return Ok(());
            }
        } else if known.is_some_and(|known| vouches(&known, claim, moment.now)) {
            return Ok(());
        }
        // Another key, or another service, than the answer names that is known: that may be old.
        let greeting = self.ask(claim, true, moment).await?;
        if vouches(&greeting, claim, moment.now) {
            return Ok(());
        }
        Err(impostor(claim, &greeting))
    }

    /// Asks the domain, and remembers what came of it.
    async fn ask(
        &self,
        claim: &Claim,
        anew: bool,
        moment: Moment,
    ) -> Result<Arc<Greeting>, ServiceError> {
        let time_max = CALL_BACK_TIME_MAX.min(moment.left);
        // That others take all turns says nothing of this domain, and is not remembered.
        let turn = tokio::time::timeout(time_max, self.at_once.acquire()).await;
        let Ok(Ok(_turn)) = turn else {
            return Err(ServiceError::unavailable("all call-backs are taken"));
        };
        let greeting = self.call_back.greet(&claim.domain, anew, time_max);
        let asked = tokio::time::timeout(time_max, greeting).await;
        let failure = match asked.unwrap_or(Err(GreetingError::TimedOut)) {
            Ok(greeting) => {
                self.failed.invalidate(&claim.domain);
                self.known
                    .insert(claim.domain.clone(), Arc::clone(&greeting));
                return Ok(greeting);
            }
            Err(error) => {
                // That a domain has another service than before is for the operator to know.
                if let GreetingError::Unreachable(Unreachable::Identity(incident)) = &error {
                    tracing::warn!(domain = claim.domain, incident, "incident");
                }
                Failure::of(&error)
            }
        };
        self.failed.insert(claim.domain.clone(), failure.clone());
        Err(failure.refusal())
    }
}

/// Whether the service that the domain shows is the one that sent the claim (decision Q-52).
fn vouches(greeting: &Greeting, claim: &Claim, now: Timestamp) -> bool {
    greeting.domain == claim.domain
        && *greeting.service_udf() == claim.service_udf
        && greeting.accepts(&claim.key, now)
}

fn impostor(claim: &Claim, greeting: &Greeting) -> ServiceError {
    let found = greeting.service_udf();
    let reason = if *found == claim.service_udf {
        format!("{found} came with another key than its profile names")
    } else {
        format!("{} came, and the service is {found}", claim.service_udf)
    };
    tracing::warn!(domain = claim.domain, incident = reason, "incident");
    authentication_failed(format!("the call-back to {}: {reason}", claim.domain))
}

impl Failure {
    fn of(error: &GreetingError) -> Self {
        let reason = error.to_string();
        match error {
            GreetingError::Unreachable(
                Unreachable::NoDomain
                | Unreachable::NoService
                | Unreachable::Forbidden
                | Unreachable::Certificate(_)
                | Unreachable::Identity(_),
            )
            | GreetingError::Foreign { .. } => Self::Wrong(reason),
            GreetingError::Unreachable(
                Unreachable::Lookup(_) | Unreachable::Connect(_) | Unreachable::Tls(_),
            )
            | GreetingError::TimedOut
            | GreetingError::Store(_) => Self::Away(reason),
        }
    }

    fn refusal(&self) -> ServiceError {
        match self {
            Self::Away(reason) => ServiceError::new(
                Code::Overload,
                "the service of your domain does not answer, try again later",
            )
            .with_context(format!("the call-back failed: {reason}"))
            .retry_after(CALL_BACK_FAILED_LIFE),
            Self::Wrong(reason) => authentication_failed(format!("the call-back failed: {reason}")),
        }
    }
}

#[cfg(test)]
mod tests;
