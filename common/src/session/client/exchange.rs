//! One sealed request and its answer: the client's half of the formulas in service §4.2.

use std::fmt;

use zeroize::Zeroizing;

use super::attempt::ClientError;
use super::identity::{ClientIdentity, ServiceIdentity, StoredTicket};
use crate::crypto::{PublicKey, SecretKey};
use crate::dare::{Envelope, Signature};
use crate::encoding::base64url::Binary;
use crate::encoding::json;
use crate::protocol::Response;
use crate::session::RequestId;
use crate::session::form::{
    ENCRYPTION, ExchangeForm, ResponseForm, SessionForm, TicketForm, VERSION,
};
use crate::session::schedule::{CipherKey, Handshake, SALT_BYTES, SessionSecret, creation_digest};
use crate::session::sealer::sealed;
use crate::time::Timestamp;

/// Everything an exchange request depends on; what is random is given.
#[derive(Debug)]
pub struct ExchangeRequest<'a> {
    /// The service.
    pub service: &'a ServiceIdentity,
    /// The client.
    pub client: &'a ClientIdentity,
    /// The client's clock.
    pub time: Timestamp,
    /// The request's id.
    pub request_id: RequestId,
    /// e_c.
    pub ephemeral: SecretKey,
    /// For CreateAccount: the key of the mesh that makes the Proof, and the canonical ServiceID
    /// (decision Q-10).
    pub proof: Option<(&'a SecretKey, &'a str)>,
}

impl ExchangeRequest<'_> {
    /// Seals `plaintext`.
    ///
    /// # Errors
    /// [`ClientError::Key`]: the service's key cannot be agreed with.
    pub fn seal(self, plaintext: &[u8]) -> Result<(Envelope, Pending), ClientError> {
        let host = &self.service.host_key;
        let client = self.client.secret.public();
        let es = self
            .ephemeral
            .agree_cofactor(host)
            .map_err(ClientError::Key)?;
        let ss = self
            .client
            .secret
            .agree_cofactor(host)
            .map_err(ClientError::Key)?;
        let handshake = Handshake::new(host, client, self.ephemeral.public(), &es, &ss);
        let mut credential = self.client.credential.clone();
        credential.proof = self.proof.map(|(signer, service_id)| {
            let digest = creation_digest(handshake.transcript(), service_id);
            Signature {
                alg: Some("S512".to_owned()),
                kid: Some(signer.udf().to_string()),
                signature: Some(Binary(signer.sign(&digest))),
                ..Signature::default()
            }
        });
        let session = SessionForm::SessionExchange(Box::new(ExchangeForm {
            version: VERSION.to_owned(),
            mode: self.client.mode,
            host_key: host.udf().to_string(),
            account: self.client.account.clone(),
            time: self.time,
            request_id: Binary::from(self.request_id.0),
            ephemeral: Binary::from(self.ephemeral.public().octets()),
            credential,
        }))
        .to_octets();
        let payload = handshake.request_key().seal(&session, plaintext);
        let pending = Pending {
            request_id: self.request_id,
            kind: Kind::Exchange {
                handshake,
                ephemeral: Box::new(self.ephemeral),
                client: Box::new(self.client.secret.clone()),
            },
        };
        Ok((sealed(None, session, payload), pending))
    }
}

/// Everything a ticket request depends on; what is random is given.
#[derive(Debug)]
pub struct TicketRequest<'a> {
    /// The ticket.
    pub ticket: &'a StoredTicket,
    /// The client's clock.
    pub time: Timestamp,
    /// The request's id.
    pub request_id: RequestId,
    /// The request's salt.
    pub salt: [u8; SALT_BYTES],
}

impl TicketRequest<'_> {
    /// Seals `plaintext`.
    #[must_use]
    pub fn seal(self, plaintext: &[u8]) -> (Envelope, Pending) {
        let session = SessionForm::SessionTicket(TicketForm {
            version: VERSION.to_owned(),
            ticket: Binary(self.ticket.ticket.clone()),
            time: self.time,
            request_id: Binary::from(self.request_id.0),
        })
        .to_octets();
        let payload = self
            .ticket
            .secret
            .request_key(&self.salt)
            .seal(&session, plaintext);
        let pending = Pending {
            request_id: self.request_id,
            kind: Kind::Ticket {
                secret: self.ticket.secret.clone(),
                salt: self.salt,
            },
        };
        (sealed(Some(self.salt), session, payload), pending)
    }
}

/// A request under way: opens the answer to it.
pub struct Pending {
    request_id: RequestId,
    kind: Kind,
}

enum Kind {
    Exchange {
        handshake: Handshake,
        ephemeral: Box<SecretKey>,
        client: Box<SecretKey>,
    },
    Ticket {
        secret: SessionSecret,
        salt: [u8; SALT_BYTES],
    },
}

/// An answer that opened, with the ticket it brought.
#[derive(Clone, PartialEq)]
pub struct OpenedResponse {
    /// The response's JSON.
    pub plaintext: Zeroizing<Vec<u8>>,
    /// A ticket for further requests.
    pub ticket: Option<StoredTicket>,
}

impl Pending {
    /// The request's id.
    #[must_use]
    pub const fn request_id(&self) -> RequestId {
        self.request_id
    }

    /// Whether the request was an exchange.
    #[must_use]
    pub const fn is_exchange(&self) -> bool {
        matches!(self.kind, Kind::Exchange { .. })
    }

    /// Opens the answer and reads the response in it.
    ///
    /// # Errors
    /// [`ClientError`]: the answer is not to this request or not from this service.
    pub fn open(&self, answer: &Envelope) -> Result<Response, ClientError> {
        let opened = self.open_sealed(answer)?;
        json::parse(&opened.plaintext).map_err(ClientError::Response)
    }

    /// Opens the answer.
    ///
    /// # Errors
    /// As for [`open`](Self::open).
    pub fn open_sealed(&self, answer: &Envelope) -> Result<OpenedResponse, ClientError> {
        let session = answer.header.session.as_ref().map(Binary::as_slice);
        let aad = session
            .filter(|_| answer.header.enc.as_deref() == Some(ENCRYPTION))
            .ok_or(ClientError::NotSealed)?;
        let SessionForm::SessionResponse(form) = json::parse(aad).map_err(ClientError::Session)?
        else {
            return Err(ClientError::NotSealed);
        };
        if form.version != VERSION || form.request_id.as_slice() != self.request_id.0 {
            return Err(ClientError::OtherRequest);
        }
        let (key, secret) = self.answer_key(answer, &form)?;
        let plaintext = key
            .open(aad, answer.payload.as_slice())
            .map_err(|_| ClientError::NotFromService)?;
        let ticket = form
            .ticket
            .zip(form.expires)
            .map(|(ticket, expires)| StoredTicket {
                ticket: ticket.0,
                secret,
                expires,
            });
        Ok(OpenedResponse { plaintext, ticket })
    }

    fn answer_key(
        &self,
        answer: &Envelope,
        form: &ResponseForm,
    ) -> Result<(CipherKey, SessionSecret), ClientError> {
        match &self.kind {
            Kind::Exchange {
                handshake,
                ephemeral,
                client,
            } => {
                let octets = form.ephemeral.as_ref().ok_or(ClientError::NotSealed)?;
                let host = PublicKey::ed448(octets.as_slice()).map_err(ClientError::Key)?;
                let ee = ephemeral.agree_cofactor(&host).map_err(ClientError::Key)?;
                let se = client.agree_cofactor(&host).map_err(ClientError::Key)?;
                Ok(handshake.response_keys(&host, &ee, &se))
            }
            Kind::Ticket { secret, salt } => {
                let answer_salt: [u8; SALT_BYTES] = answer
                    .header
                    .salt
                    .as_ref()
                    .and_then(|octets| octets.as_slice().try_into().ok())
                    .ok_or(ClientError::NotSealed)?;
                Ok((secret.response_key(salt, &answer_salt), secret.clone()))
            }
        }
    }
}

impl fmt::Debug for OpenedResponse {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("OpenedResponse")
            .field("octets", &self.plaintext.len())
            .field("ticket", &self.ticket)
            .finish()
    }
}

impl fmt::Debug for Pending {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Pending")
            .field("request_id", &self.request_id)
            .field("is_exchange", &self.is_exchange())
            .finish_non_exhaustive()
    }
}
