//! The desk for other services: who a domain's service is, where it is found, whether it answers, and
//! forgetting one that has become another (decision Q-52).

use std::time::Duration;

use actix_web::{HttpRequest, HttpResponse, web};
use futures_util::future::BoxFuture;
use mesh_backend::desk::DeskError;
use mesh_common::address::canonical_domain;
use mesh_common::delivery::Unreachable;
use mesh_common::discovery::Target;
use mesh_common::time::Timestamp;
use mesh_peer::{GreetingError, Peers, Standing};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::api::{Named, answer, ordered};
use super::door::Open;

/// Time a domain has to be found and to answer a Hello.
const LOOK_TIME_MAX: Duration = Duration::from_secs(5);
/// Where an operator finds what there is.
const PEERS: &str = "meshd queue list shows the domains that something waits for";

/// What operators ask about other services.
pub trait PeerDesk: Send + Sync + 'static {
    /// What is known of the service of `domain` (canonical), and what it says now.
    fn standing<'a>(&'a self, domain: &'a str) -> BoxFuture<'a, Result<PeerView, DeskError>>;

    /// Forgets which service `domain` (canonical) had: the next one that answers there is believed.
    fn forget<'a>(&'a self, domain: &'a str) -> BoxFuture<'a, Result<(), DeskError>>;
}

/// The service of a domain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerView {
    /// The domain.
    pub domain: String,
    /// The service it had so far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub known: Option<KnownView>,
    /// Where it is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<HostView>,
    /// Why it is not found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_found: Option<String>,
    /// Why it does not answer, or is not believed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub no_answer: Option<String>,
    /// Whether it answers, and is not the service that is known.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_another: bool,
}

/// The service a domain had so far.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownView {
    /// UDF of its ProfileService.
    pub service: String,
    /// Since when it is known.
    pub since: Timestamp,
    /// `Updated` of its newest profile.
    pub updated: Timestamp,
}

/// One of its hosts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostView {
    /// Its name.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Its addresses that may be connected to.
    pub addresses: Vec<String>,
}

impl HostView {
    fn of(target: &Target) -> Self {
        Self {
            host: target.host.clone(),
            port: target.port,
            addresses: target.addresses.iter().map(ToString::to_string).collect(),
        }
    }
}

impl PeerView {
    fn of(domain: &str, standing: Standing) -> Self {
        let located = standing.located.as_ref();
        Self {
            domain: domain.to_owned(),
            known: standing.pinned.map(|pinned| KnownView {
                service: pinned.service_udf.to_string(),
                since: pinned.since,
                updated: pinned.updated,
            }),
            hosts: located.map_or_else(
                |_| Vec::new(),
                |located| located.targets.iter().map(HostView::of).collect(),
            ),
            not_found: located.err().map(ToString::to_string),
            is_another: matches!(
                standing.greeting,
                Err(GreetingError::Unreachable(Unreachable::Identity(_)))
            ),
            no_answer: standing.greeting.err().map(|error| error.to_string()),
        }
    }
}

impl PeerDesk for Peers {
    fn standing<'a>(&'a self, domain: &'a str) -> BoxFuture<'a, Result<PeerView, DeskError>> {
        Box::pin(async move {
            let standing = self.look_at(domain, LOOK_TIME_MAX).await;
            let standing = standing.map_err(|error| DeskError::Unavailable {
                cause: error.to_string(),
            })?;
            Ok(PeerView::of(domain, standing))
        })
    }

    fn forget<'a>(&'a self, domain: &'a str) -> BoxFuture<'a, Result<(), DeskError>> {
        Box::pin(async move {
            let forgotten = Self::forget(self, domain).await;
            forgotten.map_err(|error| DeskError::Unavailable {
                cause: error.to_string(),
            })
        })
    }
}

/// `GET peers/{domain}`.
pub(super) async fn standing(api: Open, domain: web::Path<String>) -> HttpResponse {
    let found = match canonical(&domain) {
        Ok(domain) => api.peers.standing(&domain).await,
        Err(error) => Err(error),
    };
    answer(found, PEERS)
}

/// `POST peers/forget`.
pub(super) async fn forget(
    api: Open,
    request: HttpRequest,
    named: web::Json<Named>,
) -> HttpResponse {
    let work = async {
        let domain = canonical(&named.id)?;
        api.peers.forget(&domain).await?;
        Ok(json!({ "domain": domain }))
    };
    let order = ("forget a service", &named);
    ordered(&api, &request, order, PEERS, work).await
}

fn canonical(domain: &str) -> Result<String, DeskError> {
    canonical_domain(domain).map_err(|_| DeskError::Refused {
        why: format!("{domain:?} is not the name of a domain"),
    })
}
