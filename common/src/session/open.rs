//! Checks 1, 2, 3 and 5 of a sealed request, in this order (service §4.4): form, clock, ticket or
//! host key, then the cipher. Check 4, the rate limit, is the front-end's, between
//! [`examine`] and [`Examined::open`].

use std::sync::Arc;

use zeroize::Zeroizing;

use super::authentication_failed;
use super::caller::RequestId;
use super::credential::{Authenticated, OpenedExchange};
use super::form::{ENCRYPTION, ExchangeForm, SessionForm, TicketForm, VERSION};
use super::host_keys::HostKeys;
use super::schedule::{Handshake, SALT_BYTES};
use super::sealer::Sealer;
use super::ticket::{Ticket, TicketKeys};
use crate::crypto::{PublicKey, SecretKey};
use crate::dare::Envelope;
use crate::encoding::base64url::Binary;
use crate::encoding::json;
use crate::error::ServiceError;
use crate::limits::{CLOCK_SKEW_MAX, SESSION_BYTES_MAX};
use crate::protocol::Code;
use crate::time::Timestamp;

/// A sealed request that passed checks 1 to 3. Nothing in it is authenticated yet.
#[derive(Debug)]
pub struct Examined {
    envelope: Box<Envelope>,
    request_id: RequestId,
    kind: Kind,
}

/// How the request authenticates.
#[derive(Debug)]
enum Kind {
    Exchange {
        form: Box<ExchangeForm>,
        host: Arc<SecretKey>,
    },
    Ticket {
        ticket: Arc<Ticket>,
        salt: [u8; SALT_BYTES],
    },
}

/// A sealed request whose cipher text opened.
#[derive(Debug)]
pub enum Opened {
    /// The sender knows the secret of the key in its credential; whose key that is is not
    /// verified yet.
    Exchange(Box<OpenedExchange>),
    /// The sender is the one the ticket was issued to.
    Ticket(Box<Authenticated>),
}

/// [`examine`], then [`Examined::open`].
///
/// # Errors
/// A refusal to be sent bare (decision Q-1).
pub fn open_request(
    envelope: Envelope,
    hosts: &HostKeys,
    tickets: &TicketKeys,
    now: Timestamp,
) -> Result<Opened, ServiceError> {
    examine(Box::new(envelope), hosts, tickets, now)?.open()
}

/// Checks 1 to 3: form and version, clock, ticket or host key.
///
/// # Errors
/// A refusal to be sent bare: 400/100, 400/102, 413/8, 401/107, 401/105, 401/106.
pub fn examine(
    envelope: Box<Envelope>,
    hosts: &HostKeys,
    tickets: &TicketKeys,
    now: Timestamp,
) -> Result<Examined, ServiceError> {
    let (request_id, kind) = match read_session(&envelope)? {
        SessionForm::SessionExchange(form) => {
            let request_id = check_form(&form.version, &form.request_id)?;
            check_clock(form.time, now)?;
            let host = hosts.find(&form.host_key, now).ok_or_else(|| {
                ServiceError::new(
                    Code::HostKeyUnknown,
                    "the host key is not ours, repeat Hello",
                )
            })?;
            (request_id, Kind::Exchange { form, host })
        }
        SessionForm::SessionTicket(form) => {
            let request_id = check_form(&form.version, &form.request_id)?;
            let salt = read_salt(&envelope)?;
            check_clock(form.time, now)?;
            let ticket = open_ticket(&form, tickets, now)?;
            (request_id, Kind::Ticket { ticket, salt })
        }
        SessionForm::SessionResponse(_) => {
            return Err(malformed("a request cannot have the session of a response"));
        }
    };
    Ok(Examined {
        envelope,
        request_id,
        kind,
    })
}

impl Examined {
    /// Whether opening it takes curve arithmetic: a matter of milliseconds.
    #[must_use]
    pub const fn is_exchange(&self) -> bool {
        matches!(self.kind, Kind::Exchange { .. })
    }

    /// The client's id for the request, unauthenticated.
    #[must_use]
    pub const fn request_id(&self) -> RequestId {
        self.request_id
    }

    /// Check 5: the agreement, where there is one, and the cipher.
    ///
    /// # Errors
    /// 401/104, to be sent bare; 422/116 for a client key that `mmm-kx-1` cannot use.
    pub fn open(self) -> Result<Opened, ServiceError> {
        let Self {
            envelope,
            request_id,
            kind,
        } = self;
        let aad = session_octets(&envelope);
        match kind {
            Kind::Ticket { ticket, salt } => {
                let plaintext = ticket
                    .secret
                    .request_key(&salt)
                    .open(aad, envelope.payload.as_slice())
                    .map_err(authentication_failed)?;
                Ok(Opened::Ticket(Box::new(by_ticket(
                    ticket, salt, request_id, plaintext,
                ))))
            }
            Kind::Exchange { form, host } => {
                let client = form.client_key()?;
                let ephemeral =
                    PublicKey::ed448(form.ephemeral.as_slice()).map_err(authentication_failed)?;
                let es = host
                    .agree_cofactor(&ephemeral)
                    .map_err(authentication_failed)?;
                let ss = host
                    .agree_cofactor(&client)
                    .map_err(authentication_failed)?;
                let handshake = Handshake::new(host.public(), &client, &ephemeral, &es, &ss);
                let plaintext = handshake
                    .request_key()
                    .open(aad, envelope.payload.as_slice())
                    .map_err(authentication_failed)?;
                Ok(Opened::Exchange(Box::new(OpenedExchange::new(
                    *form, request_id, client, ephemeral, handshake, plaintext,
                ))))
            }
        }
    }
}

/// What a ticket says of the sender, now that the cipher text opened.
fn by_ticket(
    ticket: Arc<Ticket>,
    salt: [u8; SALT_BYTES],
    request_id: RequestId,
    plaintext: Zeroizing<Vec<u8>>,
) -> Authenticated {
    Authenticated {
        caller: ticket.caller.clone(),
        request_id,
        plaintext,
        sealer: Sealer::for_ticket(ticket, salt, request_id),
        creation: None,
        account_is_readable: true,
    }
}

fn read_session(envelope: &Envelope) -> Result<SessionForm, ServiceError> {
    if envelope.header.enc.as_deref() != Some(ENCRYPTION) {
        return Err(ServiceError::new(
            Code::Encoding,
            "a sealed request is encrypted with A256GCM",
        ));
    }
    let octets = session_octets(envelope);
    if octets.len() > SESSION_BYTES_MAX {
        return Err(ServiceError::new(
            Code::TooLarge,
            "the session is too large",
        ));
    }
    json::parse(octets).map_err(|error| malformed("the session cannot be read").with_context(error))
}

/// The octets that are the cipher's associated data.
fn session_octets(envelope: &Envelope) -> &[u8] {
    envelope
        .header
        .session
        .as_ref()
        .map_or(&[], Binary::as_slice)
}

fn check_form(version: &str, request_id: &Binary) -> Result<RequestId, ServiceError> {
    if version != VERSION {
        return Err(malformed("the version of the session is unknown"));
    }
    request_id
        .as_slice()
        .try_into()
        .map(RequestId)
        .map_err(|_| malformed("a RequestID has 16 octets"))
}

/// Within the window, both ends included (decision Q-38).
fn check_clock(time: Timestamp, now: Timestamp) -> Result<(), ServiceError> {
    if time.distance(now) <= CLOCK_SKEW_MAX {
        Ok(())
    } else {
        Err(ServiceError::new(
            Code::ClockSkew,
            "the time of the request is too far from ours",
        ))
    }
}

fn read_salt(envelope: &Envelope) -> Result<[u8; SALT_BYTES], ServiceError> {
    envelope
        .header
        .salt
        .as_ref()
        .and_then(|salt| salt.as_slice().try_into().ok())
        .ok_or_else(|| malformed("a ticket request has a salt of 32 octets"))
}

fn open_ticket(
    form: &TicketForm,
    tickets: &TicketKeys,
    now: Timestamp,
) -> Result<Arc<Ticket>, ServiceError> {
    tickets.open(form.ticket.as_slice(), now).map_err(|error| {
        ServiceError::new(
            Code::TicketInvalid,
            "the ticket is not good any more, make a new exchange",
        )
        .with_context(error)
    })
}

fn malformed(message: &str) -> ServiceError {
    ServiceError::new(Code::Malformed, message)
}
