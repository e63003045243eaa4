//! One request to a peer: told its form, authenticated as a service would, and answered as the peer's
//! conduct says (service §4.4, §7.3).

use std::io;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HOST, HeaderValue, RETRY_AFTER};
use hyper::{Method, Request as HttpRequest, Response as HttpResponse, StatusCode};
use mesh_backend::{SystemClock, SystemEntropy};
use mesh_common::address::AccountAddress;
use mesh_common::dare::Envelope;
use mesh_common::encoding::json;
use mesh_common::error::ServiceError;
use mesh_common::limits::BODY_SEALED_BYTES_MAX;
use mesh_common::message::Accreditation;
use mesh_common::protocol::{
    Code, EntryResponse, EntryResult, HelloResponse, Outcome, PostRequest, PostResponse, Request,
    Response, Version,
};
use mesh_common::session::{
    Authenticated, Body, Mode, Opened, open_request, parse_request, read_body,
};
use mesh_common::time::Clock as _;

use super::conduct::{Deed, Door};
use super::identity::Identity;
use super::simulated::Peer;
use crate::wire::PATH;

/// An HTTP response whose body is known.
type Http = HttpResponse<Full<Bytes>>;

/// The status of what is taken for later (decision Q-5).
const ACCEPTED: u16 = 202;

/// What a request is answered with.
struct Reply {
    response: Response,
    retry_after: Option<Duration>,
    /// Whether the answer is sealed under a key that the sender does not share.
    is_garbled: bool,
}

impl Reply {
    const fn of(response: Response) -> Self {
        Self {
            response,
            retry_after: None,
            is_garbled: false,
        }
    }

    fn refusal(request: &Request, error: &ServiceError) -> Self {
        Self {
            retry_after: error.retry_after,
            ..Self::of(Response::refusal(Some(request.transaction()), error))
        }
    }
}

/// Answers one HTTP request.
///
/// # Errors
/// The connection is to end without an answer.
pub(super) async fn answer(peer: Arc<Peer>, http: HttpRequest<Incoming>) -> io::Result<Http> {
    if peer.door() == Door::Reset {
        return Err(io::ErrorKind::ConnectionReset.into());
    }
    if let Err(status) = check(&peer, &http) {
        peer.note(|seen| seen.refused += 1);
        return Ok(bare_status(status));
    }
    let body = Limited::new(http.into_body(), BODY_SEALED_BYTES_MAX);
    let octets = body.collect().await.map_err(io::Error::other)?.to_bytes();
    match read_body(&octets) {
        Ok(Body::Bare(bare) | Body::Plain(bare)) => Ok(bare_answer(&peer, bare.request())),
        Ok(Body::Sealed(envelope)) => Ok(sealed_answer(&peer, *envelope).await),
        Err(error) => Ok(bare_refusal(&peer, &error)),
    }
}

/// Method, path and host.
fn check(peer: &Peer, http: &HttpRequest<Incoming>) -> Result<(), StatusCode> {
    if http.uri().path() != PATH {
        return Err(StatusCode::NOT_FOUND);
    }
    if http.method() != Method::POST {
        return Err(StatusCode::METHOD_NOT_ALLOWED);
    }
    let host = http.headers().get(HOST).and_then(|host| host.to_str().ok());
    let host = host.map(|host| host.rsplit_once(':').map_or(host, |(name, _)| name));
    match host {
        Some(host) if host.eq_ignore_ascii_case(peer.domain()) => Ok(()),
        _ => Err(StatusCode::MISDIRECTED_REQUEST),
    }
}

/// Only Hello is answered to whoever does not say who it is.
fn bare_answer(peer: &Peer, request: Result<Request, ServiceError>) -> Http {
    match request {
        Ok(Request::Hello(_)) => {
            let reply = Reply::of(hello(peer));
            http(json::write(&reply.response), &reply)
        }
        Ok(_) => {
            let sentence = "only Hello may come unauthenticated";
            let error = ServiceError::new(Code::AuthenticationRequired, sentence);
            bare_refusal(peer, &error)
        }
        Err(error) => bare_refusal(peer, &error),
    }
}

async fn sealed_answer(peer: &Arc<Peer>, envelope: Envelope) -> Http {
    let identity = peer.identity();
    let authenticated = match authenticate(peer, &identity, envelope) {
        Ok(authenticated) => authenticated,
        Err(error) => return bare_refusal(peer, &error),
    };
    let request = match parse_request(&authenticated.plaintext) {
        Ok(request) => request,
        Err(error) => return bare_refusal(peer, &error),
    };
    let reply = match &request {
        Request::Hello(_) => Reply::of(hello(peer)),
        Request::Post(post) => match posted(peer, &authenticated, post).await {
            Ok(reply) => reply,
            Err(error) => {
                peer.note(|seen| seen.refused += 1);
                Reply::refusal(&request, &error)
            }
        },
        _ => Reply::refusal(&request, &not_offered()),
    };
    let now = SystemClock.now();
    let sealed = identity.with_tickets(now, |tickets| {
        let transaction = Some(request.transaction());
        let sealer = &authenticated.sealer;
        sealer.seal_response(
            transaction,
            &reply.response,
            tickets,
            now,
            &mut SystemEntropy,
        )
    });
    match sealed {
        Ok(mut envelope) => {
            if reply.is_garbled {
                garble(&mut envelope);
            }
            http(envelope.to_json(), &reply)
        }
        Err(error) => bare_refusal(peer, &error),
    }
}

/// Checks 1 to 3, 5 and 6 of service §4.4. That the sender is the service of the domain it names is
/// not looked up: a simulated peer has no call-back to make.
fn authenticate(
    peer: &Peer,
    identity: &Identity,
    envelope: Envelope,
) -> Result<Authenticated, ServiceError> {
    let now = SystemClock.now();
    let opened = identity.with_tickets(now, |tickets| {
        open_request(envelope, &identity.host_keys, tickets, now)
    })?;
    match opened {
        Opened::Ticket(authenticated) => Ok(*authenticated),
        Opened::Exchange(exchange) => {
            peer.note(|seen| seen.exchanges += 1);
            exchange.verify_alone()
        }
    }
}

/// What becomes of a Post: a turn in a slot, then the deed. The work goes on if the sender goes.
async fn posted(
    peer: &Arc<Peer>,
    authenticated: &Authenticated,
    post: &PostRequest,
) -> Result<Reply, ServiceError> {
    let in_flight = peer.posted();
    let message = Message::of(peer, authenticated, post)?;
    let (slots, conduct) = peer.work();
    if conduct.deed == Deed::Never {
        std::future::pending::<()>().await;
    }
    let worker = Arc::clone(peer);
    let worked = tokio::spawn(async move {
        let _slot = slots.acquire_owned().await;
        tokio::time::sleep(conduct.latency).await;
        done(&worker, &conduct.deed, &message)
    });
    let reply = worked.await.map_err(ServiceError::internal)?;
    drop(in_flight);
    reply
}

/// What a Post carries.
struct Message {
    recipient: String,
    id: String,
    envelope: Envelope,
}

impl Message {
    /// Exactly one message to one account of this peer, from a service (X-51, decision Q-46).
    fn of(
        peer: &Peer,
        authenticated: &Authenticated,
        post: &PostRequest,
    ) -> Result<Self, ServiceError> {
        if authenticated.caller.mode != Mode::Service {
            let sentence = "messages from elsewhere are taken from services";
            return Err(ServiceError::new(Code::NotAuthorized, sentence));
        }
        let ([recipient], [envelope]) = (post.accounts.as_slice(), post.messages.as_slice()) else {
            return Err(malformed("a service posts one message to one account"));
        };
        let address = AccountAddress::parse(recipient)
            .map_err(|_| malformed("the recipient is no account address"))?;
        if address.domain() != peer.domain() {
            let sentence = "there is no such account here";
            return Err(ServiceError::new(Code::NotFound, sentence));
        }
        let id = envelope
            .header
            .content_meta()
            .ok()
            .and_then(|meta| meta.unique_id)
            .ok_or_else(|| malformed("a message has an identifier"))?;
        Ok(Self {
            recipient: address.canonical().to_owned(),
            id,
            envelope: envelope.clone(),
        })
    }
}

fn done(peer: &Peer, deed: &Deed, message: &Message) -> Result<Reply, ServiceError> {
    if peer.checks {
        Accreditation::verify(&message.envelope).map_err(|error| {
            ServiceError::new(Code::InvalidSignature, "the message does not verify")
                .with_context(error)
        })?;
    }
    let keep = || peer.keep(&message.recipient, &message.id);
    match deed {
        Deed::Keep => keep(),
        Deed::KeepForLater => {
            keep();
            return Ok(Reply::of(taken(Outcome {
                status: Some(ACCEPTED),
                ..Outcome::ok()
            })));
        }
        Deed::Forget | Deed::Never => {}
        Deed::Garble => {
            return Ok(Reply {
                is_garbled: true,
                ..Reply::of(taken(Outcome::ok()))
            });
        }
        Deed::Refuse(code, retry_after) => {
            let mut error = ServiceError::new(*code, "this peer refuses on purpose");
            error.retry_after = *retry_after;
            return Ok(Reply {
                retry_after: *retry_after,
                ..Reply::of(taken(Outcome::refusal(&error)))
            });
        }
        Deed::Redirect(place) => {
            let error = ServiceError::new(Code::RedirectTemporary, place.clone());
            return Ok(Reply::of(taken(Outcome::refusal(&error))));
        }
    }
    Ok(Reply::of(taken(Outcome::ok())))
}

/// The answer to a Post of one message.
fn taken(outcome: Outcome) -> Response {
    let result = if outcome.is_success() {
        EntryResult::Accept
    } else {
        EntryResult::Reject
    };
    Response::Post(PostResponse {
        outcome,
        entries: vec![EntryResponse {
            index_request: Some(0),
            result: Some(result),
            ..EntryResponse::default()
        }],
        ..PostResponse::default()
    })
}

fn hello(peer: &Peer) -> Response {
    peer.note(|seen| seen.hellos += 1);
    let identity = peer.identity();
    Response::Hello(Box::new(HelloResponse {
        outcome: Outcome::ok(),
        version: Some(Version {
            major: 3,
            minor: 0,
            ..Version::default()
        }),
        enveloped_profile_service: Some(identity.profile_service.clone()),
        enveloped_profile_host: Some(identity.profile_host.clone()),
        ..HelloResponse::default()
    }))
}

/// Makes of a sealed answer what somebody without the key would have sent.
fn garble(envelope: &mut Envelope) {
    for octet in &mut envelope.payload.0 {
        *octet = !*octet;
    }
}

fn bare_refusal(peer: &Peer, error: &ServiceError) -> Http {
    peer.note(|seen| seen.refused += 1);
    let reply = Reply {
        retry_after: error.retry_after,
        ..Reply::of(Response::refusal(None, error))
    };
    http(json::write(&reply.response), &reply)
}

fn http(body: Vec<u8>, reply: &Reply) -> Http {
    let status = reply.response.outcome().status.unwrap_or_default();
    // Redirections are the payload's alone.
    let status = if status / 100 == 3 { 200 } else { status };
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut http = bare_status(status);
    *http.body_mut() = Full::new(Bytes::from(body));
    let headers = http.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(wait) = reply.retry_after {
        headers.insert(RETRY_AFTER, HeaderValue::from(wait.as_secs()));
    }
    http
}

fn bare_status(status: StatusCode) -> Http {
    let mut http = Http::default();
    *http.status_mut() = status;
    http
}

fn malformed(sentence: &str) -> ServiceError {
    ServiceError::new(Code::Malformed, sentence)
}

fn not_offered() -> ServiceError {
    ServiceError::new(
        Code::UnknownOperation,
        "a simulated peer answers Hello and Post",
    )
}
