//! The API of operators, `/v1/…` on the admin listener: what `meshd queue`, `explain`, `aside`,
//! `quarantine` and `incidents` ask. JSON both ways; members may be added, none is renamed or removed.
//!
//! | method and path | asks |
//! | --- | --- |
//! | `GET queue` | all destinations with something queued, held or away |
//! | `GET queue/destinations/{domain}` | one of them |
//! | `GET queue/items?destination&tenant&message&max` | what waits |
//! | `POST queue/{hold,resume,route,unroute,retry,fail}` | orders for a selection |
//! | `GET explain/{message}?sender` | where a message is |
//! | `GET quarantine`, `POST quarantine/{requeue,drop}` | items that cannot be handled |
//! | `GET aside`, `POST aside/{requeue,drop}` | entries that could not be received |
//! | `GET incidents?subject`, `POST incidents` | complaints, listed and filed |
//! | `POST accounts/{verify,list,copy}` | the next accounts: checked, listed, copied into another store |
//! | `POST accounts/{export,import}` | one account into its folder, or out of it |
//! | `GET peers/{domain}`, `POST peers/forget` | the service of a domain |
//! | `GET cluster`, `POST cluster/{drain,drained}` | the nodes, telling one to leave, and how far it is |
//! | `POST cluster/raise` | the store to the next feature level |
//! | `POST accounts/count` | the next partitions: what domains are said to use compared with their accounts |
//! | `GET domains?max`, `GET domains/{domain}` | what domains use |
//! | `GET conduct`, `GET conduct/{subject}`, `POST conduct/forgive` | what follows from them |

use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, WWW_AUTHENTICATE};
use actix_web::middleware::from_fn;
use actix_web::{HttpRequest, HttpResponse, web};
use mesh_backend::cluster::{ClusterDesk, Draining};
use mesh_backend::desk::{
    AsideDesk, ConductDesk, DeskError, DomainDesk, NewIncident, QueueDesk, Route, Scope, Selection,
    StandingOrder, What,
};
use mesh_common::time::Clock;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::audit::{Audit, Entry, Operator};
use super::door::{Door, Open};
use super::guard::admit;
use super::health;
use super::moving::{self, MovingDesk};
use super::peers::{self, PeerDesk};
use super::token::Token;

/// Octets of a request.
const REQUEST_BYTES_MAX: usize = 16 * 1024;
/// Rows of a listing, unless the request says otherwise; and at most.
const ROWS_DEFAULT: usize = 100;
const ROWS_MAX: usize = 10_000;
/// Characters of a reason.
const REASON_CHARACTERS_MAX: usize = 200;
/// The header by which an operator says who they are.
pub const OPERATOR: &str = "mesh-operator";

/// What the API is made of.
pub struct Api {
    /// What operators show.
    pub token: Token,
    /// The queue to other services.
    pub queue: Arc<dyn QueueDesk>,
    /// Entries that could not be received.
    pub aside: Arc<dyn AsideDesk>,
    /// Complaints and what follows.
    pub conduct: Arc<dyn ConductDesk>,
    /// What domains use.
    pub domains: Arc<dyn DomainDesk>,
    /// The nodes of the cluster.
    pub cluster: Arc<dyn ClusterDesk>,
    /// Other services.
    pub peers: Arc<dyn PeerDesk>,
    /// Accounts as a whole.
    pub moving: Arc<dyn MovingDesk>,
    /// The record of orders.
    pub audit: Audit,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

/// Adds the API below `/v1`.
pub(super) fn routes(door: web::Data<Door>, config: &mut web::ServiceConfig) {
    let scope = web::scope("/v1")
        .app_data(
            web::JsonConfig::default()
                .limit(REQUEST_BYTES_MAX)
                .error_handler(|error, _| unreadable(&error)),
        )
        .app_data(web::QueryConfig::default().error_handler(|error, _| unreadable(&error)))
        .wrap(from_fn(admit))
        .route("/health", web::get().to(health))
        .route("/queue", web::get().to(overview))
        .route("/queue/destinations/{domain}", web::get().to(destination))
        .route("/queue/items", web::get().to(items))
        .route("/queue/hold", web::post().to(hold))
        .route("/queue/resume", web::post().to(resume))
        .route("/queue/route", web::post().to(route))
        .route("/queue/unroute", web::post().to(unroute))
        .route("/queue/retry", web::post().to(retry))
        .route("/queue/fail", web::post().to(fail))
        .route("/explain/{message}", web::get().to(explain))
        .route("/quarantine", web::get().to(quarantine))
        .route("/quarantine/requeue", web::post().to(quarantine_requeue))
        .route("/quarantine/drop", web::post().to(quarantine_drop))
        .route("/aside", web::get().to(aside))
        .route("/aside/requeue", web::post().to(aside_requeue))
        .route("/aside/drop", web::post().to(aside_drop))
        .route("/cluster", web::get().to(cluster))
        .route("/cluster/drain", web::post().to(cluster_drain))
        .route("/cluster/drained", web::post().to(cluster_drained))
        .route("/cluster/raise", web::post().to(cluster_raise))
        .route("/accounts/verify", web::post().to(moving::verify))
        .route("/accounts/count", web::post().to(moving::count))
        .route("/accounts/list", web::post().to(moving::list))
        .route("/accounts/copy", web::post().to(moving::copy))
        .route("/accounts/export", web::post().to(moving::export))
        .route("/accounts/import", web::post().to(moving::import))
        .route("/domains", web::get().to(domains))
        .route("/domains/{domain}", web::get().to(domain))
        .route("/peers/forget", web::post().to(peers::forget))
        .route("/peers/{domain}", web::get().to(peers::standing))
        .route("/incidents", web::get().to(incidents))
        .route("/incidents", web::post().to(file))
        .route("/conduct", web::get().to(conspicuous))
        .route("/conduct/forgive", web::post().to(forgive))
        .route("/conduct/{subject}", web::get().to(conduct))
        .default_service(web::to(nowhere));
    config.app_data(door).service(scope);
}

/// An order, with whatever it takes.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ordered {
    /// For which messages.
    pub selection: Selection,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Where to, for `route`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route: Option<Route>,
}

/// One thing by its name: an item, an entry, a subject.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Named {
    /// The name.
    pub id: String,
}

/// Which node is meant.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Meant {
    /// Its name, or how its name begins; absent: the one that is asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
}

/// How a listing is bounded, and about whom it is.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Listing {
    destination: Option<String>,
    tenant: Option<String>,
    message: Option<String>,
    subject: Option<String>,
    sender: Option<String>,
    max: Option<usize>,
}

impl Listing {
    fn rows(&self) -> usize {
        self.max.unwrap_or(ROWS_DEFAULT).clamp(1, ROWS_MAX)
    }

    fn selection(&self) -> Result<Selection, DeskError> {
        let scope = Scope {
            destination: self.destination.clone(),
            tenant: self.tenant.clone(),
            message: self.message.clone(),
        };
        Selection::try_from(scope).map_err(|error| DeskError::Refused {
            why: error.to_string(),
        })
    }
}

type State = Open;
type Query = web::Query<Listing>;

async fn overview(api: State) -> HttpResponse {
    answer(api.queue.overview().await, QUEUE)
}

async fn destination(api: State, domain: web::Path<String>) -> HttpResponse {
    let found = match Selection::of_destination(&domain) {
        Ok(selection) => {
            let domain = selection.destination().unwrap_or_default();
            let found = api.queue.destination(domain).await;
            found.and_then(|found| {
                found.ok_or_else(|| DeskError::NotFound {
                    what: format!("nothing is known of {domain}: no message waits for it"),
                })
            })
        }
        Err(error) => Err(DeskError::Refused {
            why: error.to_string(),
        }),
    };
    answer(found, QUEUE)
}

async fn items(api: State, listing: Query) -> HttpResponse {
    let found = match listing.selection() {
        Ok(selection) => api.queue.items(&selection, listing.rows()).await,
        Err(error) => Err(error),
    };
    answer(found.map(|items| json!({ "items": items })), QUEUE)
}

async fn explain(api: State, message: web::Path<String>, listing: Query) -> HttpResponse {
    let sender = listing.sender.as_deref();
    answer(api.queue.explain(&message, sender).await, QUEUE)
}

async fn hold(api: State, request: HttpRequest, order: web::Json<Ordered>) -> HttpResponse {
    stand(api, &request, order.into_inner(), What::Hold).await
}

async fn route(api: State, request: HttpRequest, order: web::Json<Ordered>) -> HttpResponse {
    if order.route.is_none() {
        return answer::<Value>(
            Err(DeskError::Refused {
                why: "a route needs a host and a port".to_owned(),
            }),
            QUEUE,
        );
    }
    stand(api, &request, order.into_inner(), What::Route).await
}

async fn stand(api: State, request: &HttpRequest, order: Ordered, what: What) -> HttpResponse {
    let standing = StandingOrder {
        selection: order.selection,
        what,
        route: order.route.filter(|_| what == What::Route),
        since: api.clock.now(),
        by: operator(request).name().to_owned(),
        reason: plain(order.reason.as_deref().unwrap_or_default()),
    };
    let action = match what {
        What::Hold => "hold",
        What::Route => "route",
    };
    let work = async {
        api.queue.order(standing.clone()).await?;
        Ok(json!({ "order": standing }))
    };
    ordered(&api, request, (action, &standing), QUEUE, work).await
}

async fn resume(api: State, request: HttpRequest, order: web::Json<Ordered>) -> HttpResponse {
    revoke(api, &request, &order, What::Hold, "resume").await
}

async fn unroute(api: State, request: HttpRequest, order: web::Json<Ordered>) -> HttpResponse {
    revoke(api, &request, &order, What::Route, "unroute").await
}

async fn revoke(
    api: State,
    request: &HttpRequest,
    order: &Ordered,
    what: What,
    action: &'static str,
) -> HttpResponse {
    let work = async {
        let revoked = api.queue.revoke(&order.selection, what).await?;
        if revoked == 0 {
            return Err(DeskError::NotFound {
                what: format!("no such order is in force for {}", order.selection),
            });
        }
        Ok(json!({ "revoked": revoked }))
    };
    ordered(&api, request, (action, &order), QUEUE, work).await
}

async fn retry(api: State, request: HttpRequest, order: web::Json<Ordered>) -> HttpResponse {
    let work = async {
        let items = api.queue.retry(&order.selection).await?;
        Ok(json!({ "items": items }))
    };
    ordered(&api, &request, ("retry", &order), QUEUE, work).await
}

async fn fail(api: State, request: HttpRequest, order: web::Json<Ordered>) -> HttpResponse {
    let reason = plain(order.reason.as_deref().unwrap_or("ended by the operator"));
    let work = async {
        let items = api.queue.fail(&order.selection, &reason).await?;
        Ok(json!({ "items": items }))
    };
    ordered(&api, &request, ("fail", &order), QUEUE, work).await
}

async fn quarantine(api: State, listing: Query) -> HttpResponse {
    let found = api.queue.quarantined(listing.rows()).await;
    answer(found.map(|items| json!({ "items": items })), QUARANTINE)
}

async fn quarantine_requeue(
    api: State,
    request: HttpRequest,
    named: web::Json<Named>,
) -> HttpResponse {
    let work = async { api.queue.requeue(&named.id).await.map(|()| &named) };
    let action = "requeue from quarantine";
    ordered(&api, &request, (action, &named), QUARANTINE, work).await
}

async fn quarantine_drop(
    api: State,
    request: HttpRequest,
    named: web::Json<Named>,
) -> HttpResponse {
    let work = async {
        let dropped = api.queue.drop_quarantined(&named.id).await;
        dropped.map(|()| &named)
    };
    let action = "drop from quarantine";
    ordered(&api, &request, (action, &named), QUARANTINE, work).await
}

async fn aside(api: State, listing: Query) -> HttpResponse {
    let found = api.aside.aside(listing.rows()).await;
    answer(found.map(|entries| json!({ "entries": entries })), ASIDE)
}

async fn aside_requeue(api: State, request: HttpRequest, named: web::Json<Named>) -> HttpResponse {
    let work = async { api.aside.requeue(&named.id).await.map(|()| &named) };
    let action = "requeue what was set aside";
    ordered(&api, &request, (action, &named), ASIDE, work).await
}

async fn aside_drop(api: State, request: HttpRequest, named: web::Json<Named>) -> HttpResponse {
    let work = async {
        let dropped = api.aside.drop_aside(&named.id).await;
        dropped.map(|()| &named)
    };
    let action = "drop what was set aside";
    ordered(&api, &request, (action, &named), ASIDE, work).await
}

async fn incidents(api: State, listing: Query) -> HttpResponse {
    let subject = listing.subject.as_deref();
    let found = api.conduct.incidents(subject, listing.rows()).await;
    answer(
        found.map(|incidents| json!({ "incidents": incidents })),
        CONDUCT,
    )
}

async fn file(api: State, request: HttpRequest, incident: web::Json<NewIncident>) -> HttpResponse {
    let work = api.conduct.file(&incident);
    let action = "file an incident";
    ordered(&api, &request, (action, &incident), CONDUCT, work).await
}

async fn conspicuous(api: State, listing: Query) -> HttpResponse {
    let found = api.conduct.conspicuous(listing.rows()).await;
    answer(
        found.map(|subjects| json!({ "subjects": subjects })),
        CONDUCT,
    )
}

async fn conduct(api: State, subject: web::Path<String>) -> HttpResponse {
    answer(api.conduct.conduct(&subject).await, CONDUCT)
}

async fn forgive(api: State, request: HttpRequest, named: web::Json<Named>) -> HttpResponse {
    let work = api.conduct.forgive(&named.id);
    ordered(&api, &request, ("forgive", &named), CONDUCT, work).await
}

async fn domains(api: State, listing: Query) -> HttpResponse {
    answer(api.domains.domains(listing.rows()).await, DOMAINS)
}

async fn domain(api: State, domain: web::Path<String>) -> HttpResponse {
    answer(api.domains.domain(&domain).await, DOMAINS)
}

async fn cluster(api: State) -> HttpResponse {
    answer(api.cluster.view().await, CLUSTER)
}

async fn cluster_drain(api: State, request: HttpRequest, meant: web::Json<Meant>) -> HttpResponse {
    let work = api.cluster.drain(meant.node.as_deref());
    ordered(&api, &request, ("drain", &meant), CLUSTER, work).await
}

async fn cluster_drained(api: State, seen: web::Json<Draining>) -> HttpResponse {
    answer(api.cluster.drained(&seen).await, CLUSTER)
}

async fn cluster_raise(api: State, request: HttpRequest) -> HttpResponse {
    let work = api.cluster.raise();
    let about = ("raise the feature level", &json!({}));
    ordered(&api, &request, about, CLUSTER, work).await
}

async fn nowhere() -> HttpResponse {
    refusal(
        StatusCode::NOT_FOUND,
        "the operators' API has nothing there",
        "meshd help lists what can be asked",
    )
}

fn operator(request: &HttpRequest) -> Operator {
    let name = request.headers().get(OPERATOR);
    Operator::named(name.and_then(|name| name.to_str().ok()))
}

/// A reason on one line, as long as a reason may be.
fn plain(reason: &str) -> String {
    let kept = reason.chars().filter(|letter| !letter.is_control());
    kept.take(REASON_CHARACTERS_MAX).collect()
}

/// Carries out an order, recorded before and after.
pub(super) async fn ordered<T: Serialize>(
    api: &Api,
    request: &HttpRequest,
    (action, about): (&'static str, &impl Serialize),
    list: &str,
    work: impl Future<Output = Result<T, DeskError>>,
) -> HttpResponse {
    let entry = Entry {
        operator: &operator(request),
        action,
        about: json!(about),
    };
    api.audit.asked(api.clock.now(), &entry);
    let outcome = work.await.map(|done| json!(done));
    let recorded = outcome.clone().map_err(|error| error.to_string());
    api.audit.done(api.clock.now(), &entry, &recorded);
    answer(outcome, list)
}

/// Where an operator finds what there is, of each kind.
const CLUSTER: &str = "meshd cluster show lists the nodes";
const QUEUE: &str = "meshd queue list shows what there is";
const QUARANTINE: &str = "meshd quarantine list shows what there is";
const ASIDE: &str = "meshd aside list shows what there is";
const DOMAINS: &str = "meshd domain usage lists the domains";
const CONDUCT: &str = "meshd incidents list shows what there is";

pub(super) fn answer<T: Serialize>(outcome: Result<T, DeskError>, list: &str) -> HttpResponse {
    match outcome {
        Ok(found) => HttpResponse::Ok()
            .insert_header((CACHE_CONTROL, "no-store"))
            .json(found),
        Err(error) => {
            let (status, advice) = match &error {
                DeskError::NotFound { .. } => (StatusCode::NOT_FOUND, list),
                DeskError::Refused { .. } => (StatusCode::CONFLICT, list),
                DeskError::Unavailable { .. } => (
                    StatusCode::SERVICE_UNAVAILABLE,
                    "the same again in a moment; /readyz says what is away",
                ),
            };
            refusal(status, &error.to_string(), advice)
        }
    }
}

/// A refusal as every path of the API writes it.
pub(super) fn refusal(status: StatusCode, message: &str, advice: &str) -> HttpResponse {
    let mut response = HttpResponse::build(status);
    if status == StatusCode::UNAUTHORIZED {
        response.insert_header((WWW_AUTHENTICATE, "Bearer"));
    }
    response
        .insert_header((CACHE_CONTROL, "no-store"))
        .json(json!({"error": {"message": message, "try": advice}}))
}

fn unreadable(error: &dyn std::error::Error) -> actix_web::Error {
    let message = format!("the request does not read: {error}");
    let advice = "send JSON with Content-Type: application/json, as meshd does";
    let response = refusal(StatusCode::BAD_REQUEST, &message, advice);
    actix_web::error::InternalError::from_response(message, response).into()
}
