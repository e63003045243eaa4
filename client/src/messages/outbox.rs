//! What waits to be sent: kept on the disk before it is posted, so that a command that dies sends
//! every message once. The service knows a message it has by its identifier (architecture A-13).

use mesh_common::dare::Envelope;
use mesh_common::encoding::json;
use mesh_common::message::{Message, MessageComplete, Reference, Relationship};
use mesh_common::protocol::{Code, PostRequest, Request, Response, UploadRequest};
use mesh_common::udf;
use serde::{Deserialize, Serialize};

use crate::client::Client;
use crate::error::ClientError;
use crate::service::ServiceFailure;

const FILE: &str = "outbox.json";

/// One request that waits: a message to others with what it changes here, or changes alone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Parcel {
    /// Identifier of the message, or of the first change.
    pub(crate) id: String,
    /// Addresses of the recipients; none if there is no message.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) to: Vec<String>,
    /// The message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) message: Option<Envelope>,
    /// Messages for the account itself.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) own: Vec<Envelope>,
}

/// A message that was handed to the service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Posted {
    /// Its identifier.
    pub id: String,
    /// Its recipients.
    pub to: Vec<String>,
}

/// A request that the service refused for good.
#[derive(Debug, Serialize)]
pub struct Rejected {
    /// Identifier of the message, or of the change.
    pub id: String,
    /// Its recipients; none if it was a change of the account's own messages.
    pub to: Vec<String>,
    /// What the service says.
    pub why: String,
    #[serde(skip)]
    pub(crate) failure: Option<Box<ServiceFailure>>,
}

/// What became of what waited.
#[derive(Debug, Default)]
pub(crate) struct Flushed {
    /// Messages the service has now.
    pub(crate) posted: Vec<Posted>,
    /// What it does not want.
    pub(crate) rejected: Vec<Rejected>,
    /// Changes of states that were recorded.
    pub(crate) changes: u64,
}

impl Client {
    /// What waits.
    pub(crate) fn outbox(&self) -> Result<Vec<Parcel>, ClientError> {
        let Some(file) = self.home.read(FILE)? else {
            return Ok(Vec::new());
        };
        json::parse(&file).map_err(|source| {
            crate::state::StateError::Damaged {
                path: self.home.path(FILE),
                source,
            }
            .into()
        })
    }

    fn keep_outbox(&self, parcels: &[Parcel]) -> Result<(), ClientError> {
        if parcels.is_empty() {
            return Ok(self.home.remove(FILE)?);
        }
        Ok(self.home.write(FILE, &json::write(&parcels))?)
    }

    /// Puts a request behind those that wait.
    pub(crate) fn enqueue(&mut self, parcel: Parcel) -> Result<(), ClientError> {
        let mut parcels = self.outbox()?;
        parcels.push(parcel);
        self.keep_outbox(&parcels)
    }

    /// Records what became of messages, with the next synchronization.
    pub(crate) fn mark(&mut self, references: Vec<Reference>) -> Result<(), ClientError> {
        let (id, envelope) = self.completion(references)?;
        self.enqueue(Parcel {
            id,
            to: Vec::new(),
            message: None,
            own: vec![envelope],
        })
    }

    /// A MessageComplete signed by this device, readable by the service, which prefers to erase what
    /// nobody needs any more (containers §7.3).
    pub(crate) fn completion(
        &mut self,
        references: Vec<Reference>,
    ) -> Result<(String, Envelope), ClientError> {
        let id = udf::nonce(self.entropy.as_mut()).to_string();
        let message = Message::MessageComplete(MessageComplete {
            message_id: Some(id.clone()),
            references,
            ..MessageComplete::default()
        });
        let signer = &self.device()?.identity.in_account.signature;
        let envelope = message.to_envelope(&id, &[signer]);
        Ok((id, envelope))
    }

    /// How many requests wait.
    ///
    /// # Errors
    /// [`ClientError::Home`], [`ClientError::State`].
    pub fn outbox_len(&self) -> Result<usize, ClientError> {
        Ok(self.outbox()?.len())
    }

    /// Sends what waits, in order. What the service refuses for good is dropped and told.
    ///
    /// # Errors
    /// What keeps the service from being asked, or makes it ask for patience; the rest waits on.
    pub(crate) async fn flush_outbox(&mut self) -> Result<Flushed, ClientError> {
        let mut flushed = Flushed::default();
        loop {
            let mut parcels = self.outbox()?;
            if parcels.is_empty() {
                return Ok(flushed);
            }
            let parcel = parcels.remove(0);
            match self.call(self.request_of(&parcel)?).await {
                Ok(Response::Post(_) | Response::Upload(_)) => {
                    flushed.changes += parcel.own.len() as u64;
                    if parcel.message.is_some() {
                        flushed.posted.push(Posted {
                            id: parcel.id,
                            to: parcel.to,
                        });
                    }
                }
                Ok(other) => return Err(ServiceFailure::other_class(&other).into()),
                Err(ClientError::Service(failure)) if is_final(&failure) => {
                    flushed.rejected.push(Rejected {
                        id: parcel.id,
                        to: parcel.to,
                        why: failure.to_string(),
                        failure: Some(Box::new(failure)),
                    });
                }
                Err(error) => return Err(error),
            }
            self.keep_outbox(&parcels)?;
        }
    }

    fn request_of(&self, parcel: &Parcel) -> Result<Request, ClientError> {
        Ok(match &parcel.message {
            Some(message) => Request::Post(PostRequest {
                accounts: parcel.to.clone(),
                messages: vec![message.clone()],
                self_messages: parcel.own.clone(),
                ..PostRequest::default()
            }),
            None => Request::Upload(UploadRequest {
                account: Some(self.account_name()?),
                self_messages: parcel.own.clone(),
                ..UploadRequest::default()
            }),
        })
    }
}

/// A reference to the message `id` that says what became of it.
pub(crate) fn reference(
    id: &str,
    relationship: Relationship,
    response_id: Option<&str>,
) -> Reference {
    Reference {
        message_id: Some(id.to_owned()),
        response_id: response_id.map(str::to_owned),
        relationship: Some(relationship),
        ..Reference::default()
    }
}

/// Whether the same request will be refused whenever it is sent again.
const fn is_final(failure: &ServiceFailure) -> bool {
    let ServiceFailure::Refused { code, .. } = failure else {
        return false;
    };
    !matches!(
        code,
        Some(
            Code::RateLimited
                | Code::Overload
                | Code::QueueFull
                | Code::Timeout
                | Code::Internal
                | Code::Pending
                | Code::DeviceRevoked
                | Code::NotAuthorized
                | Code::QuotaExceeded
                | Code::RedirectPermanent
                | Code::RedirectTemporary
        )
    )
}
