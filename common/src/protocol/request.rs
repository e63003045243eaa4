//! A request of any transaction, and the names transactions go by.

use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};

use super::{
    CompleteRequest, ConnectRequest, CreateRequest, DeleteRequest, DownloadRequest, HelloRequest,
    PostRequest, StatusRequest, UploadRequest,
};

/// The nine transactions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Transaction {
    /// What the service speaks, and who it is.
    Hello,
    /// Bind an account to a service address.
    CreateAccount,
    /// End that binding.
    DeleteAccount,
    /// Whether a pending connection has been answered.
    Complete,
    /// Where the account's containers stand.
    Status,
    /// Frames of some containers.
    Download,
    /// Frames appended to the account's containers.
    Upload,
    /// Messages to others, or to oneself.
    Post,
    /// A device asks to be connected.
    Connect,
}

impl Transaction {
    /// All of them, in the order of the draft.
    pub const ALL: [Self; 9] = [
        Self::Hello,
        Self::CreateAccount,
        Self::DeleteAccount,
        Self::Complete,
        Self::Status,
        Self::Download,
        Self::Upload,
        Self::Post,
        Self::Connect,
    ];

    /// The tag of a request.
    #[must_use]
    pub const fn request_tag(self) -> &'static str {
        match self {
            Self::Hello => "Hello",
            Self::CreateAccount => "CreateAccount",
            Self::DeleteAccount => "DeleteAccount",
            Self::Complete => "Complete",
            Self::Status => "Status",
            Self::Download => "Download",
            Self::Upload => "Upload",
            Self::Post => "Post",
            Self::Connect => "Connect",
        }
    }

    /// The request's class name, accepted as a tag as well.
    #[must_use]
    pub const fn request_class(self) -> &'static str {
        match self {
            Self::Hello => "HelloRequest",
            Self::CreateAccount => "CreateRequest",
            Self::DeleteAccount => "DeleteRequest",
            Self::Complete => "CompleteRequest",
            Self::Status => "StatusRequest",
            Self::Download => "DownloadRequest",
            Self::Upload => "UploadRequest",
            Self::Post => "PostRequest",
            Self::Connect => "ConnectRequest",
        }
    }

    /// The tag of a response, whether it refuses or not.
    #[must_use]
    pub const fn response_tag(self) -> &'static str {
        match self {
            Self::Hello => "MeshHelloResponse",
            Self::CreateAccount => "CreateResponse",
            Self::DeleteAccount => "DeleteResponse",
            Self::Complete => "CompleteResponse",
            Self::Status => "StatusResponse",
            Self::Download => "DownloadResponse",
            Self::Upload => "UploadResponse",
            Self::Post => "PostResponse",
            Self::Connect => "ConnectResponse",
        }
    }

    /// The transaction a request tag names, case-sensitively.
    #[must_use]
    pub fn from_tag(tag: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|transaction| {
            tag == transaction.request_tag() || tag == transaction.request_class()
        })
    }
}

/// A request of any transaction: `{"Tag":{…}}` with exactly one member.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub enum Request {
    /// Hello.
    #[serde(alias = "HelloRequest")]
    Hello(HelloRequest),
    /// CreateAccount.
    #[serde(alias = "CreateRequest")]
    CreateAccount(Box<CreateRequest>),
    /// DeleteAccount.
    #[serde(alias = "DeleteRequest")]
    DeleteAccount(DeleteRequest),
    /// Complete.
    #[serde(alias = "CompleteRequest")]
    Complete(CompleteRequest),
    /// Status.
    #[serde(alias = "StatusRequest")]
    Status(StatusRequest),
    /// Download.
    #[serde(alias = "DownloadRequest")]
    Download(DownloadRequest),
    /// Upload.
    #[serde(alias = "UploadRequest")]
    Upload(UploadRequest),
    /// Post.
    #[serde(alias = "PostRequest")]
    Post(PostRequest),
    /// Connect.
    #[serde(alias = "ConnectRequest")]
    Connect(Box<ConnectRequest>),
}

/// Runs `$body` with `$inner` bound to whatever the variant holds.
macro_rules! for_any {
    ($value:expr, $enum:ident, $inner:ident => $body:expr) => {
        match $value {
            $enum::Hello($inner) => $body,
            $enum::CreateAccount($inner) => $body,
            $enum::DeleteAccount($inner) => $body,
            $enum::Complete($inner) => $body,
            $enum::Status($inner) => $body,
            $enum::Download($inner) => $body,
            $enum::Upload($inner) => $body,
            $enum::Post($inner) => $body,
            $enum::Connect($inner) => $body,
        }
    };
}

impl Request {
    /// Which transaction this is a request of.
    #[must_use]
    pub const fn transaction(&self) -> Transaction {
        match self {
            Self::Hello(_) => Transaction::Hello,
            Self::CreateAccount(_) => Transaction::CreateAccount,
            Self::DeleteAccount(_) => Transaction::DeleteAccount,
            Self::Complete(_) => Transaction::Complete,
            Self::Status(_) => Transaction::Status,
            Self::Download(_) => Transaction::Download,
            Self::Upload(_) => Transaction::Upload,
            Self::Post(_) => Transaction::Post,
            Self::Connect(_) => Transaction::Connect,
        }
    }

    /// The transaction id, if the request states one.
    #[must_use]
    pub fn id(&self) -> Option<&[u8]> {
        for_any!(self, Self, request => request.id.as_ref().map(|id| id.as_slice()))
    }

    /// The account the request names: `Account`, or `ServiceID` where the class has that instead.
    #[must_use]
    pub fn account(&self) -> Option<&str> {
        match self {
            Self::Hello(_) | Self::Post(_) | Self::Connect(_) => None,
            Self::CreateAccount(request) => request.service_id.as_deref(),
            Self::DeleteAccount(request) => request.account.as_deref(),
            Self::Complete(request) => request.account.as_deref().or(request.service_id.as_deref()),
            Self::Status(request) => request.account.as_deref(),
            Self::Download(request) => request.account.as_deref(),
            Self::Upload(request) => request.account.as_deref(),
        }
    }
}

impl Serialize for Request {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(1))?;
        let tag = self.transaction().request_tag();
        for_any!(self, Self, request => map.serialize_entry(tag, request)?);
        map.end()
    }
}
