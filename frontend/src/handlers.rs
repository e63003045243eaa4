//! One HTTP request: its rules, its body, its answer, its line in the log.

use std::net::{IpAddr, Ipv4Addr};

use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::HeaderMap;
use actix_web::web::{Data, Payload};
use actix_web::{Error, HttpRequest, HttpResponse};
use mesh_common::error::ServiceError;
use mesh_common::protocol::Transaction;
use tracing::Instrument;

use crate::TRACE_TARGET;
use crate::admission::Source;
use crate::body::{self, Unread};
use crate::edge::{Arrival, Edge, Poll, Reached, Told};
use crate::http_rules::announced_length;
use crate::prefer;

/// The test header of interop mode (decision Q-39).
const ACCOUNT_HEADER: &str = "X-Mesh-Account";

/// Answers whatever comes in.
///
/// # Errors
/// None: a refusal is an answer.
pub(crate) async fn answer(
    mut request: ServiceRequest,
    edge: Data<Edge>,
) -> Result<ServiceResponse, Error> {
    let payload = request.extract::<Payload>().await?;
    // A box of its own for the way to the answer: it is large, and gone while a request waits.
    let response = match Box::pin(reach(request.request(), payload, &edge)).await {
        Ok(response) => response,
        Err(poll) => {
            // The values are slices of the buffer that was read into: eight kilobytes.
            *request.headers_mut() = HeaderMap::new();
            Box::pin(wait(poll, &edge)).await
        }
    };
    Ok(request.into_response(response))
}

/// Answers, unless the request is to wait.
async fn reach(
    request: &HttpRequest,
    mut payload: Payload,
    edge: &Edge,
) -> Result<HttpResponse, Box<Poll>> {
    let measured = edge.metrics.begin();
    let span = tracing::info_span!(
        target: TRACE_TARGET,
        "mesh.request",
        transaction = tracing::field::Empty,
        status = tracing::field::Empty,
    );
    let reached = respond(request, &mut payload, edge)
        .instrument(span.clone())
        .await;
    // Before its body was read: what is left of it is not waited for.
    let unread = reached.is_err().then_some(payload);
    let told = match reached {
        Ok(Reached::Answer(told)) => told,
        Ok(Reached::Wait(poll)) => return Err(poll),
        Err(error) => edge.told_refusal(None, error),
    };
    span.record(
        "transaction",
        told.transaction.map_or("unknown", Transaction::request_tag),
    );
    span.record("status", told.outcome.status);
    log(&told);
    measured.end(
        told.transaction,
        told.outcome.status.unwrap_or_default(),
        told.outcome.status_extended,
    );
    let response = told.reply.into_http(&edge.entropy);
    Ok(match unread {
        Some(unread) => Unread::close_after(response, unread),
        None => response,
    })
}

/// Answers a request that waits. It counts as answered, not as slow.
async fn wait(poll: Box<Poll>, edge: &Edge) -> HttpResponse {
    let told = edge.wait(poll).await;
    log(&told);
    edge.metrics.count(
        told.transaction,
        told.outcome.status.unwrap_or_default(),
        told.outcome.status_extended,
    );
    told.reply.into_http(&edge.entropy)
}

async fn respond(
    request: &HttpRequest,
    payload: &mut Payload,
    edge: &Edge,
) -> Result<Reached, ServiceError> {
    let domain = edge.rules.check(request)?;
    let _in_flight = edge.admission.enter()?;
    let mut room = edge.admission.room();
    let announced = announced_length(request);
    let body = body::read(payload, announced, edge.body_bounds, &mut room).await?;
    let named_account = request
        .headers()
        .get(ACCOUNT_HEADER)
        .and_then(|text| text.to_str().ok());
    let arrival = Arrival {
        wait: prefer::wait(request.headers()),
        ..edge.arrival(domain, source_of(request))
    };
    Ok(edge.answer(&body, arrival, named_account).await)
}

pub(crate) fn source_of(request: &HttpRequest) -> Source {
    let address = request.peer_addr().map(|peer| peer.ip());
    address.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)).into()
}

/// Once per request, with the same field names everywhere. Never a body, a key or a session.
fn log(told: &Told) {
    let transaction = told
        .transaction
        .map_or("unknown", |known| known.request_tag());
    let account = told.account.as_ref().map(|account| account.canonical());
    let status = told.outcome.status.unwrap_or_default();
    let extended = told.outcome.status_extended;
    let http = told.reply.http();
    let context = told.context.as_deref();
    if status >= 500 {
        tracing::error!(
            transaction,
            account,
            status,
            extended,
            http,
            context,
            "failed"
        );
    } else if told.context.is_some() {
        tracing::info!(
            transaction,
            account,
            status,
            extended,
            http,
            context,
            "refused"
        );
    } else {
        tracing::debug!(transaction, account, status, extended, http, "answered");
    }
}
