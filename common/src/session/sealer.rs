//! The answer to a sealed request: every response has its own key, also a repeated one
//! (service §4.2).

use std::fmt;
use std::sync::Arc;

use super::caller::{Caller, Mode, RequestId};
use super::form::{ENCRYPTION, ResponseForm, SessionForm, VERSION};
use super::schedule::{Handshake, SALT_BYTES, SessionSecret};
use super::ticket::{Ticket, TicketKeys};
use crate::crypto::{PublicKey, SecretKey};
use crate::dare::{Envelope, Header};
use crate::encoding::base64url::Binary;
use crate::encoding::json;
use crate::entropy::{Entropy, draw};
use crate::error::ServiceError;
use crate::protocol::{Code, Response, Transaction};
use crate::time::Timestamp;

/// Seals the answers to one request.
pub struct Sealer {
    request_id: RequestId,
    kind: Kind,
}

enum Kind {
    Exchange(Box<ExchangeSealer>),
    Ticket {
        ticket: Arc<Ticket>,
        salt: [u8; SALT_BYTES],
    },
}

struct ExchangeSealer {
    handshake: Handshake,
    client: PublicKey,
    ephemeral: PublicKey,
    caller: Caller,
    vouched_by: VouchedBy,
}

/// By what it is known that the sender is what its credential says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum VouchedBy {
    /// The credential itself, or the keys of the account at its home.
    ItselfOrAccount,
    /// Profiles that came in the same request, which anybody can make: they speak for the account
    /// only once the request has been granted.
    Presented,
}

/// Whether an answer carries a ticket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TicketGrant {
    /// An answer to an exchange carries one; an answer by ticket carries one when the old one is
    /// past half its life.
    Grant,
    /// It carries none.
    Withhold,
}

impl Sealer {
    pub(super) fn for_exchange(
        handshake: Handshake,
        client: PublicKey,
        ephemeral: PublicKey,
        caller: Caller,
        request_id: RequestId,
        vouched_by: VouchedBy,
    ) -> Self {
        Self {
            request_id,
            kind: Kind::Exchange(Box::new(ExchangeSealer {
                handshake,
                client,
                ephemeral,
                caller,
                vouched_by,
            })),
        }
    }

    pub(super) fn for_ticket(
        ticket: Arc<Ticket>,
        salt: [u8; SALT_BYTES],
        request_id: RequestId,
    ) -> Self {
        Self {
            request_id,
            kind: Kind::Ticket { ticket, salt },
        }
    }

    /// Whether an answer with `code` to a request of `transaction` carries a ticket: never to a
    /// revoked device (decision Q-56), nor to a service that has one, which is called back for the
    /// next (decision Q-52); in a Device-mode exchange after Hello, CreateAccount and
    /// Connect only; else always, also when it refuses (decision Q-1). The exception to the last is a
    /// connection that only the profiles of a CreateAccount vouch for, once that is refused: its
    /// ticket would be one of somebody else's account.
    #[must_use]
    pub fn grant(&self, transaction: Option<Transaction>, code: Option<Code>) -> TicketGrant {
        if code == Some(Code::DeviceRevoked) {
            return TicketGrant::Withhold;
        }
        let withholds = match &self.kind {
            Kind::Ticket { ticket, .. } => ticket.caller.mode == Mode::Service,
            Kind::Exchange(exchange) if exchange.vouched_by == VouchedBy::Presented => {
                !matches!(code, Some(Code::Ok | Code::Pending))
            }
            Kind::Exchange(exchange) => {
                exchange.caller.mode == Mode::Device
                    && !matches!(
                        transaction,
                        Some(
                            Transaction::Hello | Transaction::CreateAccount | Transaction::Connect
                        )
                    )
            }
        };
        if withholds {
            TicketGrant::Withhold
        } else {
            TicketGrant::Grant
        }
    }

    /// Seals `response` to a request of `transaction`, with a ticket by the rule of
    /// [`grant`](Self::grant).
    ///
    /// # Errors
    /// None that a peer can cause: an agreement that succeeded when the request was opened fails
    /// now.
    pub fn seal_response(
        &self,
        transaction: Option<Transaction>,
        response: &Response,
        tickets: &TicketKeys,
        now: Timestamp,
        entropy: &mut dyn Entropy,
    ) -> Result<Envelope, ServiceError> {
        let grant = self.grant(transaction, response.outcome().code());
        self.seal(&json::write(response), grant, tickets, now, entropy)
    }

    /// Seals the JSON of a response.
    ///
    /// # Errors
    /// As for [`seal_response`](Self::seal_response).
    pub fn seal(
        &self,
        body: &[u8],
        grant: TicketGrant,
        tickets: &TicketKeys,
        now: Timestamp,
        entropy: &mut dyn Entropy,
    ) -> Result<Envelope, ServiceError> {
        let grants = grant == TicketGrant::Grant;
        match &self.kind {
            Kind::Exchange(exchange) => {
                let ephemeral = SecretKey::generate(entropy);
                self.seal_exchange(exchange, &ephemeral, body, |secret| {
                    grants
                        .then(|| Ticket::new(secret.clone(), exchange.caller.clone(), now))
                        .and_then(|ticket| sealed_ticket(&ticket, tickets, now, entropy))
                })
            }
            Kind::Ticket { ticket, salt } => {
                let answer_salt = draw(entropy);
                let renewal = (grants && ticket.is_past_half(now))
                    .then(|| Ticket::new(ticket.secret.clone(), ticket.caller.clone(), now))
                    .and_then(|ticket| sealed_ticket(&ticket, tickets, now, entropy));
                Ok(self.seal_by_ticket(ticket, salt, answer_salt, body, renewal))
            }
        }
    }

    /// Seals the JSON of a response with given random values and a given ticket, for tests against
    /// vectors. `None` for a request by ticket.
    ///
    /// # Errors
    /// As for [`seal_response`](Self::seal_response).
    pub fn seal_exchange_with(
        &self,
        body: &[u8],
        ephemeral: &SecretKey,
        ticket: Option<(Vec<u8>, Timestamp)>,
    ) -> Option<Result<(Envelope, SessionSecret), ServiceError>> {
        let Kind::Exchange(exchange) = &self.kind else {
            return None;
        };
        let mut established = None;
        let sealed = self.seal_exchange(exchange, ephemeral, body, |secret| {
            established = Some(secret.clone());
            ticket
        });
        Some(sealed.and_then(|envelope| {
            established
                .map(|secret| (envelope, secret))
                .ok_or_else(|| ServiceError::internal("no session secret was established"))
        }))
    }

    fn seal_exchange(
        &self,
        exchange: &ExchangeSealer,
        ephemeral: &SecretKey,
        body: &[u8],
        ticket: impl FnOnce(&SessionSecret) -> Option<(Vec<u8>, Timestamp)>,
    ) -> Result<Envelope, ServiceError> {
        let ee = ephemeral
            .agree_cofactor(&exchange.ephemeral)
            .map_err(ServiceError::internal)?;
        let se = ephemeral
            .agree_cofactor(&exchange.client)
            .map_err(ServiceError::internal)?;
        let (key, secret) = exchange
            .handshake
            .response_keys(ephemeral.public(), &ee, &se);
        let session = self.session(Some(ephemeral.public()), ticket(&secret));
        let payload = key.seal(&session, body);
        Ok(sealed(None, session, payload))
    }

    fn seal_by_ticket(
        &self,
        ticket: &Ticket,
        salt: &[u8; SALT_BYTES],
        answer_salt: [u8; SALT_BYTES],
        body: &[u8],
        renewal: Option<(Vec<u8>, Timestamp)>,
    ) -> Envelope {
        let session = self.session(None, renewal);
        let payload = ticket
            .secret
            .response_key(salt, &answer_salt)
            .seal(&session, body);
        sealed(Some(answer_salt), session, payload)
    }

    /// The octets of the response's session.
    fn session(
        &self,
        ephemeral: Option<&PublicKey>,
        ticket: Option<(Vec<u8>, Timestamp)>,
    ) -> Vec<u8> {
        let (ticket, expires) = ticket.unzip();
        SessionForm::SessionResponse(ResponseForm {
            version: VERSION.to_owned(),
            request_id: Binary::from(self.request_id.0),
            ephemeral: ephemeral.map(|key| Binary::from(key.octets())),
            ticket: ticket.map(Binary),
            expires,
        })
        .to_octets()
    }
}

impl fmt::Debug for Sealer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Sealer")
            .field("request_id", &self.request_id)
            .finish_non_exhaustive()
    }
}

/// The sealed ticket and when it expires; `None` while there is no key to seal it with.
fn sealed_ticket(
    ticket: &Ticket,
    tickets: &TicketKeys,
    now: Timestamp,
    entropy: &mut dyn Entropy,
) -> Option<(Vec<u8>, Timestamp)> {
    tickets
        .seal(ticket, now, entropy)
        .map(|sealed| (sealed, ticket.expires))
}

/// The envelope around a sealed payload.
pub(super) fn sealed(
    salt: Option<[u8; SALT_BYTES]>,
    session: Vec<u8>,
    payload: Vec<u8>,
) -> Envelope {
    Envelope {
        header: Header {
            enc: Some(ENCRYPTION.to_owned()),
            salt: salt.map(Binary::from),
            session: Some(Binary(session)),
            ..Header::default()
        },
        payload: Binary(payload),
        trailer: None,
    }
}
