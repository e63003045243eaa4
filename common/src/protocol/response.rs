//! A response of any transaction, with the outcome every class begins with.

use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};

use super::status_code::Code;
use super::{
    CompleteResponse, ConnectResponse, CreateResponse, DeleteResponse, DownloadResponse,
    HelloResponse, PostResponse, StatusResponse, Transaction, UploadResponse,
};
use crate::encoding::base64url::Binary;
use crate::error::ServiceError;

/// The members every response class has (service §2.4).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Outcome {
    /// Major code; authoritative over HTTP's (P 10.2).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Application code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status_extended: Option<u16>,
    /// A sentence for logs; a URI for 303 and 307.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status_description: Option<String>,
    /// The request's transaction id, if it stated one (decision Q-38).
    #[serde(rename = "ID", skip_serializing_if = "Option::is_none")]
    pub id: Option<Binary>,
}

impl Outcome {
    /// Success, in the reference implementation's words.
    #[must_use]
    pub fn ok() -> Self {
        Self {
            status: Some(Code::Ok.status()),
            status_description: Some("Operation completed successfully".into()),
            ..Self::default()
        }
    }

    /// The outcome that `error` is for its peer.
    #[must_use]
    pub fn refusal(error: &ServiceError) -> Self {
        Self {
            status: Some(error.code.status()),
            status_extended: error.code.status_extended(),
            status_description: Some(error.message.clone()),
            id: None,
        }
    }

    /// The code, if the numbers stand in our table.
    #[must_use]
    pub fn code(&self) -> Option<Code> {
        Code::from_status(self.status?, self.status_extended)
    }

    /// Whether the class of the status says that it was done.
    #[must_use]
    pub fn is_success(&self) -> bool {
        self.status.is_some_and(|status| status / 100 == 2)
    }
}

/// The answer when the transaction could not be told.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MeshResponse {
    /// How it went.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// A response of any transaction: `{"Tag":{…}}`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub enum Response {
    /// Hello.
    #[serde(rename = "MeshHelloResponse")]
    Hello(Box<HelloResponse>),
    /// CreateAccount.
    #[serde(rename = "CreateResponse")]
    CreateAccount(CreateResponse),
    /// DeleteAccount.
    #[serde(rename = "DeleteResponse")]
    DeleteAccount(DeleteResponse),
    /// Complete.
    #[serde(rename = "CompleteResponse")]
    Complete(Box<CompleteResponse>),
    /// Status.
    #[serde(rename = "StatusResponse")]
    Status(Box<StatusResponse>),
    /// Download.
    #[serde(rename = "DownloadResponse")]
    Download(DownloadResponse),
    /// Upload.
    #[serde(rename = "UploadResponse")]
    Upload(UploadResponse),
    /// Post.
    #[serde(rename = "PostResponse")]
    Post(PostResponse),
    /// Connect.
    #[serde(rename = "ConnectResponse")]
    Connect(Box<ConnectResponse>),
    /// Of no known transaction.
    #[serde(rename = "MeshResponse")]
    Unknown(MeshResponse),
}

impl Response {
    /// The refusal of a request of `transaction`, or of one that could not be told.
    #[must_use]
    pub fn refusal(transaction: Option<Transaction>, error: &ServiceError) -> Self {
        Self::with_outcome(transaction, Outcome::refusal(error))
    }

    /// A response of the class of `transaction` that says nothing but `outcome`.
    #[must_use]
    pub fn with_outcome(transaction: Option<Transaction>, outcome: Outcome) -> Self {
        let mut response = match transaction {
            Some(Transaction::Hello) => Self::Hello(Box::default()),
            Some(Transaction::CreateAccount) => Self::CreateAccount(CreateResponse::default()),
            Some(Transaction::DeleteAccount) => Self::DeleteAccount(DeleteResponse::default()),
            Some(Transaction::Complete) => Self::Complete(Box::default()),
            Some(Transaction::Status) => Self::Status(Box::default()),
            Some(Transaction::Download) => Self::Download(DownloadResponse::default()),
            Some(Transaction::Upload) => Self::Upload(UploadResponse::default()),
            Some(Transaction::Post) => Self::Post(PostResponse::default()),
            Some(Transaction::Connect) => Self::Connect(Box::default()),
            None => Self::Unknown(MeshResponse::default()),
        };
        *response.outcome_mut() = outcome;
        response
    }

    /// The tag of this response.
    #[must_use]
    pub const fn tag(&self) -> &'static str {
        match self {
            Self::Hello(_) => Transaction::Hello.response_tag(),
            Self::CreateAccount(_) => Transaction::CreateAccount.response_tag(),
            Self::DeleteAccount(_) => Transaction::DeleteAccount.response_tag(),
            Self::Complete(_) => Transaction::Complete.response_tag(),
            Self::Status(_) => Transaction::Status.response_tag(),
            Self::Download(_) => Transaction::Download.response_tag(),
            Self::Upload(_) => Transaction::Upload.response_tag(),
            Self::Post(_) => Transaction::Post.response_tag(),
            Self::Connect(_) => Transaction::Connect.response_tag(),
            Self::Unknown(_) => "MeshResponse",
        }
    }

    /// How it went.
    #[must_use]
    pub fn outcome(&self) -> &Outcome {
        match self {
            Self::Hello(response) => &response.outcome,
            Self::CreateAccount(response) => &response.outcome,
            Self::DeleteAccount(response) => &response.outcome,
            Self::Complete(response) => &response.outcome,
            Self::Status(response) => &response.outcome,
            Self::Download(response) => &response.outcome,
            Self::Upload(response) => &response.outcome,
            Self::Post(response) => &response.outcome,
            Self::Connect(response) => &response.outcome,
            Self::Unknown(response) => &response.outcome,
        }
    }

    /// How it went, to be changed.
    pub fn outcome_mut(&mut self) -> &mut Outcome {
        match self {
            Self::Hello(response) => &mut response.outcome,
            Self::CreateAccount(response) => &mut response.outcome,
            Self::DeleteAccount(response) => &mut response.outcome,
            Self::Complete(response) => &mut response.outcome,
            Self::Status(response) => &mut response.outcome,
            Self::Download(response) => &mut response.outcome,
            Self::Upload(response) => &mut response.outcome,
            Self::Post(response) => &mut response.outcome,
            Self::Connect(response) => &mut response.outcome,
            Self::Unknown(response) => &mut response.outcome,
        }
    }
}

impl Serialize for Response {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(1))?;
        let tag = self.tag();
        match self {
            Self::Hello(response) => map.serialize_entry(tag, response)?,
            Self::CreateAccount(response) => map.serialize_entry(tag, response)?,
            Self::DeleteAccount(response) => map.serialize_entry(tag, response)?,
            Self::Complete(response) => map.serialize_entry(tag, response)?,
            Self::Status(response) => map.serialize_entry(tag, response)?,
            Self::Download(response) => map.serialize_entry(tag, response)?,
            Self::Upload(response) => map.serialize_entry(tag, response)?,
            Self::Post(response) => map.serialize_entry(tag, response)?,
            Self::Connect(response) => map.serialize_entry(tag, response)?,
            Self::Unknown(response) => map.serialize_entry(tag, response)?,
        }
        map.end()
    }
}
