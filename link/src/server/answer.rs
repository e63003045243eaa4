//! One request: who may ask it, whether there is still time and room for it, and its answer.

use std::sync::Arc;

use bytes::Bytes;
use hyper::body::{Body, Incoming};
use hyper::header::{HeaderMap, HeaderName};
use hyper::{Method, Request, Response, StatusCode};
use mesh_common::cluster::wire::{
    self, KeysQuestion, PassOnOrder, PinQuestion, PublishedQuestion, WatchOnOrder, Wire, WireError,
};
use mesh_common::cluster::{AccountRequest, CallFailure, Nudge, PassFailure, Verified};
use mesh_common::error::ServiceError;
use mesh_common::limits::{LINK_BUSY_PAUSE, LINK_CALL_BYTES_MAX, TRANSACTION_TIME_MAX};
use mesh_common::time::Timestamp;
use tracing::Instrument as _;

use super::body::{self, AnswerBody};
use super::bounds::Pair;
use super::connection::Connection;
use crate::calls::{
    Call, DEADLINE, EVENTS_PATH, LATE, NO_LENGTH, NOT_PASSED_ON, PROCESS, TOO_LARGE, TRACEPARENT,
    UNKNOWN, UNREADABLE, WRONG_ROLE,
};

/// Target of the spans that make up a trace, as in the other crates.
const TRACE_TARGET: &str = "mesh_trace";

/// Why a request has no answer of the node.
pub(super) enum Refusal {
    /// It is not taken at all.
    Status(StatusCode, String),
    /// Too much is under way.
    Busy,
}

impl Refusal {
    pub(super) fn status(status: StatusCode, why: impl Into<String>) -> Self {
        Self::Status(status, why.into())
    }

    fn into_answer(self) -> Response<AnswerBody> {
        match self {
            Self::Status(status, why) => response(status, why.into_bytes().into()),
            Self::Busy => {
                let busy: Result<(), _> = Err(CallFailure::Busy(LINK_BUSY_PAUSE));
                response(StatusCode::OK, wire::write(&busy).into())
            }
        }
    }
}

impl From<WireError> for Refusal {
    fn from(error: WireError) -> Self {
        Self::status(UNREADABLE, error.to_string())
    }
}

pub(super) fn response(status: StatusCode, octets: Bytes) -> Response<AnswerBody> {
    let mut response = Response::new(AnswerBody::Whole(octets));
    *response.status_mut() = status;
    response
}

impl Connection {
    /// The answer, whatever it is.
    pub(super) async fn answer(&self, request: Request<Incoming>) -> Response<AnswerBody> {
        let path = request.uri().path();
        let answered = match (request.method(), Call::of_path(path)) {
            (&Method::POST, Some(call)) => self.call(call, request).await,
            (&Method::GET, None) if path == EVENTS_PATH => self.events(&request),
            _ => Err(Refusal::status(
                UNKNOWN,
                "nothing of this name and version is answered here",
            )),
        };
        answered.unwrap_or_else(|refusal| {
            if let Refusal::Status(status, why) = &refusal {
                tracing::warn!(%status, why, roles = %self.roles, "a call was refused");
            }
            refusal.into_answer()
        })
    }

    async fn call(
        &self,
        call: Call,
        request: Request<Incoming>,
    ) -> Result<Response<AnswerBody>, Refusal> {
        if !call.is_for(self.roles) {
            return Err(Refusal::status(
                WRONG_ROLE,
                format!("a process that is {} may not ask this", self.roles),
            ));
        }
        let (head, incoming) = request.into_parts();
        let deadline = self.deadline(&head.headers)?;
        let pair = self.pair(&head.headers)?;
        let _place = pair.place().ok_or(Refusal::Busy)?;
        let length = length_of(&incoming)?;
        let _room = self.shared.bounds.room(length).ok_or(Refusal::Busy)?;
        let octets = self.read(incoming, length, deadline).await?;
        self.check_time(deadline)?;
        let carried_out = self.carry_out(call, &octets);
        let answer = match self.span(call, &head.headers) {
            Some(span) => carried_out.instrument(span).await,
            None => carried_out.await,
        }?;
        Ok(response(StatusCode::OK, answer.into()))
    }

    async fn carry_out(&self, call: Call, octets: &[u8]) -> Result<Vec<u8>, Refusal> {
        let service = &self.shared.service;
        Ok(match call {
            // Whoever is not the owner says so, and brings it to nobody else.
            Call::Perform | Call::PassedOn => {
                let request: Verified<AccountRequest> = wire::read(octets)?;
                answer(service.perform(request).await)
            }
            Call::Receive => {
                let request: Verified<AccountRequest> = wire::read(octets)?;
                answer(service.receive(request).await)
            }
            Call::SigningKeys => {
                let KeysQuestion { account, deadline } = wire::read(octets)?;
                refusable(service.signing_keys(&account, deadline).await)
            }
            Call::Published => {
                let PublishedQuestion {
                    account,
                    id,
                    deadline,
                } = wire::read(octets)?;
                refusable(service.published(&account, &id, deadline).await)
            }
            Call::PassOn => {
                let PassOnOrder { route, request } = wire::read(octets)?;
                answer(match service.pass_on(route, request).await {
                    Ok(got) => Ok(got),
                    Err(PassFailure::Call(failure)) => Err(failure),
                    Err(PassFailure::Unreached(why)) => {
                        return Err(Refusal::status(NOT_PASSED_ON, why));
                    }
                })
            }
            Call::Pin => {
                let PinQuestion {
                    domain,
                    seen,
                    deadline,
                } = wire::read(octets)?;
                refusable(service.pinned(&domain, seen.as_ref(), deadline).await)
            }
            Call::Watch => answer(Ok(self.watch(wire::read(octets)?, None).await?)),
            Call::WatchOn => {
                let WatchOnOrder { route, order } = wire::read(octets)?;
                answer(Ok(self.watch(order, Some(route)).await?))
            }
            Call::Nudge => answer(Ok(self.nudge(wire::read(octets)?)?)),
        })
    }

    /// Front-ends say whose services spoke, and nothing else (decision Q-61).
    fn nudge(&self, nudge: Nudge) -> Result<(), Refusal> {
        let is_of_nodes =
            !(nudge.intakes.is_empty() && nudge.queues.is_empty() && nudge.released.is_empty());
        if is_of_nodes && !self.roles.is_node() {
            return Err(Refusal::status(
                WRONG_ROLE,
                "only nodes may speak of queues and owners",
            ));
        }
        self.shared.service.nudged(nudge);
        Ok(())
    }

    async fn read(
        &self,
        incoming: Incoming,
        length: usize,
        deadline: Timestamp,
    ) -> Result<Bytes, Refusal> {
        let time = deadline
            .since(self.shared.clock.now())
            .min(TRANSACTION_TIME_MAX);
        let octets = tokio::time::timeout(time, body::read(incoming, length)).await;
        let octets = octets.map_err(|_| late())?;
        octets.map_err(|error| Refusal::status(UNREADABLE, error.to_string()))
    }

    fn deadline(&self, headers: &HeaderMap) -> Result<Timestamp, Refusal> {
        let deadline = text(headers, &DEADLINE)
            .and_then(|text| text.parse().ok())
            .map(Timestamp::from_millis)
            .ok_or_else(|| Refusal::status(UNREADABLE, "the call has no deadline"))?;
        self.check_time(deadline)?;
        Ok(deadline)
    }

    /// Whoever waits no longer needs no work done.
    fn check_time(&self, deadline: Timestamp) -> Result<(), Refusal> {
        if self.shared.clock.now() >= deadline {
            return Err(late());
        }
        Ok(())
    }

    /// The process on the other end; one connection is of one process.
    pub(super) fn pair(&self, headers: &HeaderMap) -> Result<&Arc<Pair>, Refusal> {
        let process = text(headers, &PROCESS)
            .filter(|text| text.len() == 32)
            .and_then(|text| u128::from_str_radix(text, 16).ok())
            .map(u128::to_be_bytes)
            .ok_or_else(|| Refusal::status(UNREADABLE, "the call does not say who asks"))?;
        let pair = self.pair.get_or_init(|| self.shared.bounds.pair(process));
        if pair.process != process {
            return Err(Refusal::status(
                UNREADABLE,
                "the connection is another process's",
            ));
        }
        Ok(pair)
    }

    /// The span of a call that belongs to a trace.
    fn span(&self, call: Call, headers: &HeaderMap) -> Option<tracing::Span> {
        let traces = self.shared.traces.as_ref()?;
        let context = text(headers, &TRACEPARENT)?;
        let span = tracing::info_span!(target: TRACE_TARGET, "link.answer", op = call.path());
        traces.adopt(&span, context);
        Some(span)
    }
}

fn late() -> Refusal {
    Refusal::status(LATE, "the deadline passed")
}

fn length_of(incoming: &Incoming) -> Result<usize, Refusal> {
    let length = incoming.size_hint().exact();
    let length = length.and_then(|length| usize::try_from(length).ok());
    let length =
        length.ok_or_else(|| Refusal::status(NO_LENGTH, "the call does not say how long it is"))?;
    if length > LINK_CALL_BYTES_MAX {
        return Err(Refusal::status(
            TOO_LARGE,
            format!("a call has at most {LINK_CALL_BYTES_MAX} octets"),
        ));
    }
    Ok(length)
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

fn answer<T: Wire>(answer: Result<T, CallFailure>) -> Vec<u8> {
    wire::write(&answer)
}

fn refusable<T: Wire>(outcome: Result<T, ServiceError>) -> Vec<u8> {
    answer(outcome.map_err(CallFailure::Refused))
}
