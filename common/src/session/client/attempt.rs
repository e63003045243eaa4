//! A client's session with one service, and one request's way through it: what to send, and what
//! to do with what comes back. Every kind of second try happens at most once per request.

use std::sync::Arc;
use std::time::Duration;

use zeroize::Zeroizing;

use super::exchange::{ExchangeRequest, Pending, TicketRequest};
use super::identity::{ClientIdentity, ServiceIdentity, StoredTicket};
use crate::address::AccountAddress;
use crate::crypto::{KeyError, SecretKey};
use crate::dare::Envelope;
use crate::encoding::json::{self, JsonError};
use crate::entropy::{Entropy, draw};
use crate::protocol::{Code, HelloRequest, Request, Response, Transaction};
use crate::session::{Body, RequestId, read_body};
use crate::time::Timestamp;

/// Why a client cannot go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    /// A key of the service, or the one in its answer, cannot be agreed with.
    #[error("the key of the service cannot be used")]
    Key(#[source] KeyError),
    /// The answer is not sealed where it must be.
    #[error("the answer is not sealed")]
    NotSealed,
    /// The session of the answer cannot be read.
    #[error("the session of the answer cannot be read")]
    Session(#[source] JsonError),
    /// The response cannot be read.
    #[error("the response cannot be read")]
    Response(#[source] JsonError),
    /// The answer has another RequestID.
    #[error("the answer is to another request")]
    OtherRequest,
    /// The answer does not open: it is not from the service that the request was for.
    #[error("the answer is not from the service")]
    NotFromService,
    /// There is no request under way.
    #[error("no request is under way")]
    NoRequest,
    /// The profile is of another service than the one that is pinned.
    #[error("another service answers than before")]
    OtherService,
    /// The profile is older than the one that is known (decision Q-52).
    #[error("the profile of the service is older than the one known")]
    OlderProfile,
    /// The request needs a ticket, and the service gives none.
    #[error("the service gives no ticket")]
    NoTicket,
}

/// One client's dealings with one service. Cheap to clone, for who makes several requests at once.
#[derive(Debug, Clone)]
pub struct ClientSession {
    service: Arc<ServiceIdentity>,
    client: Arc<ClientIdentity>,
    ticket: Option<StoredTicket>,
    /// What to add to our clock to have the service's, in milliseconds.
    clock_offset: i64,
}

/// One request on its way.
#[derive(Debug)]
pub struct Attempt<'a> {
    transaction: Transaction,
    plaintext: Zeroizing<Vec<u8>>,
    request_id: RequestId,
    proof: Option<(&'a SecretKey, String)>,
    under_way: Option<Pending>,
    /// What is under way is a Hello that fetches a ticket for the request proper.
    fetches_ticket: bool,
    tried: Tried,
}

/// The second tries that were made.
#[derive(Debug, Default)]
struct Tried {
    exchange: bool,
    hello: bool,
    clock: bool,
    request_id: bool,
    ticket: bool,
}

/// What to do after an answer.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// The service answered, and it was the service.
    Done(Box<Response>),
    /// Seal and send once more.
    SendAgain,
    /// The service has another key: make a Hello, give the result to
    /// [`ClientSession::set_host`], then seal and send once more.
    HelloFirst,
    /// Somebody refused in the service's name: a hint, not a fact.
    Refused(Box<Response>),
}

/// An expiring ticket is not used this shortly before its end.
const TICKET_MARGIN: Duration = Duration::from_secs(30);

impl ClientSession {
    /// A session without a ticket.
    #[must_use]
    pub fn new(service: ServiceIdentity, client: ClientIdentity) -> Self {
        Self {
            service: Arc::new(service),
            client: Arc::new(client),
            ticket: None,
            clock_offset: 0,
        }
    }

    /// Goes on with a ticket from before.
    #[must_use]
    pub fn with_ticket(mut self, ticket: Option<StoredTicket>) -> Self {
        self.ticket = ticket;
        self
    }

    /// Whether the next request goes by ticket.
    #[must_use]
    pub fn has_ticket(&self, now: Timestamp) -> bool {
        self.usable_ticket(now).is_some()
    }

    /// The ticket, to be kept for later.
    #[must_use]
    pub const fn ticket(&self) -> Option<&StoredTicket> {
        self.ticket.as_ref()
    }

    /// The service.
    #[must_use]
    pub fn service(&self) -> &ServiceIdentity {
        &self.service
    }

    /// The client.
    #[must_use]
    pub fn client(&self) -> &ClientIdentity {
        &self.client
    }

    /// Takes what a Hello says of the service: the same service, not an older profile.
    ///
    /// # Errors
    /// [`ClientError::OtherService`], [`ClientError::OlderProfile`].
    pub fn set_host(&mut self, service: ServiceIdentity) -> Result<(), ClientError> {
        if service.service_udf != self.service.service_udf {
            return Err(ClientError::OtherService);
        }
        if service.updated < self.service.updated {
            return Err(ClientError::OlderProfile);
        }
        self.service = Arc::new(service);
        Ok(())
    }

    /// The octets of a bare Hello, for who does not know the service yet.
    #[must_use]
    pub fn bare_hello() -> Vec<u8> {
        json::write(&Request::Hello(HelloRequest::default()))
    }

    /// Seals one request, by ticket if there is one, with what opens its answer. For who makes no
    /// second tries; [`begin`](Self::begin) is for the others.
    ///
    /// # Errors
    /// [`ClientError::Key`].
    pub fn request(
        &self,
        now: Timestamp,
        entropy: &mut dyn Entropy,
        request: &Request,
    ) -> Result<(Envelope, Pending), ClientError> {
        let request_id = RequestId(draw(entropy));
        let by_exchange = request.transaction() == Transaction::CreateAccount;
        let plaintext = Zeroizing::new(json::write(request));
        self.seal_once(now, entropy, &plaintext, request_id, by_exchange, None)
    }

    /// Begins a request.
    pub fn begin<'a>(&self, request: &Request, entropy: &mut dyn Entropy) -> Attempt<'a> {
        Attempt {
            transaction: request.transaction(),
            plaintext: Zeroizing::new(json::write(request)),
            request_id: RequestId(draw(entropy)),
            proof: None,
            under_way: None,
            fetches_ticket: false,
            tried: Tried::default(),
        }
    }

    /// Begins a CreateAccount; `signer` is an online key of the mesh, or its offline key for
    /// recovery (decisions ).
    pub fn begin_creating<'a>(
        &self,
        request: &Request,
        signer: &'a SecretKey,
        entropy: &mut dyn Entropy,
    ) -> Attempt<'a> {
        let service_id = request
            .account()
            .and_then(|text| AccountAddress::parse(text).ok())
            .map_or_else(String::new, |address| address.canonical().to_owned());
        Attempt {
            proof: Some((signer, service_id)),
            ..self.begin(request, entropy)
        }
    }

    /// The envelope to send next.
    ///
    /// # Errors
    /// [`ClientError::Key`].
    pub fn seal(
        &self,
        attempt: &mut Attempt<'_>,
        now: Timestamp,
        entropy: &mut dyn Entropy,
    ) -> Result<Envelope, ClientError> {
        let needs_ticket =
            attempt.transaction == Transaction::DeleteAccount || attempt.tried.ticket;
        attempt.fetches_ticket = needs_ticket && self.usable_ticket(now).is_none();
        let (envelope, pending) = if attempt.fetches_ticket {
            let hello = Self::bare_hello();
            let request_id = RequestId(draw(entropy));
            self.seal_once(now, entropy, &hello, request_id, true, None)?
        } else {
            let by_exchange = attempt.transaction == Transaction::CreateAccount;
            let proof = attempt
                .proof
                .as_ref()
                .map(|(signer, service_id)| (*signer, service_id.as_str()));
            self.seal_once(
                now,
                entropy,
                &attempt.plaintext,
                attempt.request_id,
                by_exchange,
                proof,
            )?
        };
        attempt.under_way = Some(pending);
        Ok(envelope)
    }

    fn seal_once(
        &self,
        now: Timestamp,
        entropy: &mut dyn Entropy,
        plaintext: &[u8],
        request_id: RequestId,
        by_exchange: bool,
        proof: Option<(&SecretKey, &str)>,
    ) -> Result<(Envelope, Pending), ClientError> {
        let time = self.service_time(now);
        match self.usable_ticket(now).filter(|_| !by_exchange) {
            Some(ticket) => Ok(TicketRequest {
                ticket,
                time,
                request_id,
                salt: draw(entropy),
            }
            .seal(plaintext)),
            None => ExchangeRequest {
                service: &self.service,
                client: &self.client,
                time,
                request_id,
                ephemeral: SecretKey::generate(entropy),
                proof,
            }
            .seal(plaintext),
        }
    }

    /// What to do with the body that came back. `date` is HTTP's `Date`, by which a wrong clock is
    /// corrected.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn receive(
        &mut self,
        attempt: &mut Attempt<'_>,
        body: &[u8],
        date: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<Step, ClientError> {
        let pending = attempt.under_way.take().ok_or(ClientError::NoRequest)?;
        match read_body(body) {
            Ok(Body::Sealed(answer)) => {
                let opened = pending.open_sealed(&answer)?;
                let response: Response =
                    json::parse(&opened.plaintext).map_err(ClientError::Response)?;
                if opened.ticket.is_some() {
                    self.ticket = opened.ticket;
                }
                self.after_response(attempt, response, &pending, now)
            }
            Ok(Body::Bare(bare)) => {
                let response: Response = json::parse(&bare.text).map_err(ClientError::Response)?;
                Ok(self.after_hint(attempt, response, &pending, date, now))
            }
            Ok(Body::Plain(_)) | Err(_) => Err(ClientError::NotSealed),
        }
    }

    /// After an answer that is the service's.
    fn after_response(
        &mut self,
        attempt: &mut Attempt<'_>,
        response: Response,
        pending: &Pending,
        now: Timestamp,
    ) -> Result<Step, ClientError> {
        if attempt.fetches_ticket {
            return match self.usable_ticket(now) {
                Some(_) => Ok(Step::SendAgain),
                None => Err(ClientError::NoTicket),
            };
        }
        let again = match response.outcome().code() {
            Some(Code::Replay) if !attempt.tried.request_id => {
                // Another request of ours went under this id: ask under a new one, once.
                attempt.tried.request_id = true;
                let next: [u8; 16] = attempt.next_id();
                attempt.request_id = RequestId(next);
                true
            }
            Some(Code::TicketRequired) if pending.is_exchange() && !attempt.tried.ticket => {
                attempt.tried.ticket = true;
                true
            }
            Some(Code::DeviceRevoked) => {
                self.ticket = None;
                false
            }
            _ => false,
        };
        Ok(if again {
            Step::SendAgain
        } else {
            Step::Done(Box::new(response))
        })
    }

    /// After a bare answer, which anybody could have made.
    fn after_hint(
        &mut self,
        attempt: &mut Attempt<'_>,
        response: Response,
        pending: &Pending,
        date: Option<Timestamp>,
        now: Timestamp,
    ) -> Step {
        let tried = &mut attempt.tried;
        match (response.outcome().code(), date) {
            (Some(Code::TicketInvalid | Code::AuthenticationFailed), _)
                if !pending.is_exchange() && !tried.exchange =>
            {
                tried.exchange = true;
                self.ticket = None;
                Step::SendAgain
            }
            (Some(Code::HostKeyUnknown), _) if !tried.hello => {
                tried.hello = true;
                Step::HelloFirst
            }
            (Some(Code::ClockSkew), Some(date)) if !tried.clock => {
                tried.clock = true;
                self.clock_offset = date.as_millis().saturating_sub(now.as_millis());
                Step::SendAgain
            }
            _ => Step::Refused(Box::new(response)),
        }
    }

    fn service_time(&self, now: Timestamp) -> Timestamp {
        Timestamp::from_millis(now.as_millis().saturating_add(self.clock_offset))
    }

    fn usable_ticket(&self, now: Timestamp) -> Option<&StoredTicket> {
        let soon = self.service_time(now) + TICKET_MARGIN;
        self.ticket.as_ref().filter(|ticket| soon < ticket.expires)
    }
}

impl Attempt<'_> {
    /// The request's id.
    #[must_use]
    pub const fn request_id(&self) -> RequestId {
        self.request_id
    }

    /// An id that follows from the present one and the request, and from nothing else.
    fn next_id(&self) -> [u8; 16] {
        let digest = crate::crypto::digest::sha512(&[&self.request_id.0, &self.plaintext]);
        let mut id = [0; 16];
        id.copy_from_slice(&digest[..16]);
        id
    }
}
