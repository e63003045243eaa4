//! What a front-end asks of a back-end, and what it hands over with the question.
//!
//! Front-ends do everything that needs no state: TLS, decryption, decoding, and all signature
//! mathematics. What they established travels as [`Verified`]; the back-end checks what needs state
//! and computes no signature (architecture A-2, decision Q-51).

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::changes::Watch;
use super::routes::Route;
use crate::account::IntakeMessage;
use crate::account::connect::Publication;
use crate::address::AccountAddress;
use crate::assertion::Permission;
use crate::dare::Envelope;
use crate::error::ServiceError;
use crate::protocol::{Request, Response};
use crate::session::{Caller, RequestId};
use crate::time::Timestamp;
use crate::udf::Udf;

/// A future that may cross threads.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The back-end as a front-end sees it: in the same process, or behind links to others.
pub trait Backend: Send + Sync + 'static {
    /// The keys that may sign for `account`, with the version of the profiles they stand in;
    /// `None` if there is no such account.
    ///
    /// # Errors
    /// The account's partition is away or too busy.
    fn signing_keys<'a>(
        &'a self,
        account: &'a AccountAddress,
        deadline: Timestamp,
    ) -> BoxFuture<'a, Result<Option<SigningKeys>, ServiceError>>;

    /// Carries out one transaction. Dropping the future does not undo what was begun: the client
    /// repeats the request under its RequestID and gets the stored answer.
    ///
    /// # Errors
    /// [`CallFailure`]: a refusal, or stale evidence.
    fn perform(
        &self,
        request: Verified<AccountRequest>,
    ) -> BoxFuture<'_, Result<Answer, CallFailure>>;

    /// Takes in the Post of another service: directly if the recipient's owner is there, which then
    /// checks everything and answers 201 or the refusal; else into its intake, which is 202
    /// (decision Q-5). The request has [`Evidence::Forwarded`].
    ///
    /// # Errors
    /// [`CallFailure`]: a refusal; 503 when neither was possible.
    fn receive(
        &self,
        request: Verified<AccountRequest>,
    ) -> BoxFuture<'_, Result<Answer, CallFailure>>;

    /// The service of `domain` (canonical) spoke, authenticated: if nothing could be delivered there,
    /// it may be tried again sooner (delivery §12.2).
    fn heard_from(&self, domain: &str);

    /// Begins to watch `account`: whatever is committed for it after this is ready wakes the watch.
    /// `None` if as many watch it as may, or if its home cannot be watched at present. Costs the home
    /// nothing while nothing happens.
    fn watch<'a>(&'a self, account: &'a AccountAddress) -> BoxFuture<'a, Option<Watch>>;

    /// What the hailing account `account` publishes under the name `id` (service §6.5). `None` if it
    /// is no hailing account, or publishes nothing of that name.
    ///
    /// # Errors
    /// The account's partition is away or too busy.
    fn published<'a>(
        &'a self,
        account: &'a AccountAddress,
        id: &'a Udf,
        deadline: Timestamp,
    ) -> BoxFuture<'a, Result<Option<Publication>, ServiceError>>;
}

/// A value that the only code able to check it has checked.
///
/// Whoever acts takes the verified form, so that skipping a check does not compile. Over a network
/// link it is believed because the link is authenticated as a front-end's (decision Q-61).
#[derive(Debug, Clone, PartialEq)]
pub struct Verified<T>(T);

impl<T> Verified<T> {
    /// Declares `value` checked. For the front-end's checks, for the internal link, and for tests.
    #[must_use]
    pub const fn declare(value: T) -> Self {
        Self(value)
    }

    /// The checked value.
    #[must_use]
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T> std::ops::Deref for Verified<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

/// One authenticated request on its way to the account's owner.
#[derive(Debug, Clone, PartialEq)]
pub struct AccountRequest {
    /// The account it is for, in the form the request gave.
    pub account: AccountAddress,
    /// Who sent it.
    pub caller: Caller,
    /// The client's id for it.
    pub request_id: RequestId,
    /// SHA-512 of its plaintext: tells a retry from a reuse of the id (service §4.7). Of a request
    /// whose retry is not [recognized](crate::account::is_recognized) it is never read.
    pub request_digest: [u8; 64],
    /// When the front-end received it.
    pub received_at: Timestamp,
    /// When an answer is of no use any more.
    pub deadline: Timestamp,
    /// The request.
    pub request: Request,
    /// What the front-end established about its content.
    pub evidence: Evidence,
}

/// What was established about the content of a request.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Evidence {
    /// Nothing that needs signatures.
    #[default]
    Nothing,
    /// CreateAccount: the profiles verify, and the Proof was made by the named key.
    Create(Box<CreateEvidence>),
    /// Upload or Post with content that is signed: entries for the Device catalog, messages.
    Content(Box<ContentEvidence>),
    /// Connect: the RequestConnection verifies, and this is its acknowledgement.
    Connection(Box<ConnectEvidence>),
    /// Post of another service: the message, its signatures and its sender verified. The request
    /// itself no longer holds it.
    Forwarded(Box<IntakeMessage>),
}

impl Evidence {
    /// What was established about signed content, if anything was.
    #[must_use]
    pub fn content(&self) -> Option<&ContentEvidence> {
        match self {
            Self::Content(content) => Some(content),
            Self::Nothing | Self::Create(_) | Self::Connection(_) | Self::Forwarded(_) => None,
        }
    }

    /// The message that another service posts, if it is that.
    #[must_use]
    pub fn forwarded(&self) -> Option<&IntakeMessage> {
        match self {
            Self::Forwarded(message) => Some(message),
            Self::Nothing | Self::Create(_) | Self::Content(_) | Self::Connection(_) => None,
        }
    }
}

/// What was established about the signed envelopes of an Upload or Post. Positions count all
/// envelopes of the request: those of all Updates or the Messages, then Self.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ContentEvidence {
    /// Version of the profiles whose keys were used; another one means [`CallFailure::Stale`].
    pub profile_version: u64,
    /// Entries for the Device catalog, by position.
    pub devices: Vec<(usize, DeviceEvidence)>,
    /// Messages that carry signatures, by position.
    pub messages: Vec<(usize, MessageEvidence)>,
}

/// The signatures of one message, checked against the account that sends or keeps it (service §7.2,
/// decisions ).
#[derive(Debug, Clone, PartialEq)]
pub enum MessageEvidence {
    /// Every signature by a known key verifies.
    Valid(MessageSigners),
    /// One does not, or the chain to the account is not that of this account; the code and sentence
    /// for the peer.
    Invalid(ServiceError),
}

/// Who of an account signed a message. Nobody, if its signatures are all by unknown keys.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct MessageSigners {
    /// The device that signed, with the chain to the account in the signature block.
    pub device: Option<SigningDevice>,
    /// The online key of the account or of its mesh that signed, if one did (decision Q-19).
    pub online_key: Option<Udf>,
}

/// A device whose accreditation a message carries.
#[derive(Debug, Clone, PartialEq)]
pub struct SigningDevice {
    /// UDF of its KeySignature: the key that signed.
    pub key_udf: Udf,
    /// `SHA-512` cut to 32 octets of its ConnectionAccount's payload: as in [`DeviceFacts`].
    pub connection_digest: [u8; 32],
    /// What its connection permits.
    pub permissions: Vec<Permission>,
}

/// A RequestConnection, checked, and the acknowledgement that is ready for it (service §6.2).
#[derive(Debug, Clone, PartialEq)]
pub struct ConnectEvidence {
    /// Version of the profiles whose mesh entered the witness; another one means
    /// [`CallFailure::Stale`].
    pub profile_version: u64,
    /// UDF of the ProfileDevice that asks.
    pub device_udf: Udf,
    /// MessageID of the RequestConnection, which a hailing account files it by (decision Q-49).
    pub published_id: Option<String>,
    /// MessageID of the acknowledgement.
    pub message_id: Udf,
    /// The AcknowledgeConnection, signed by an online key of the service (decision Q-7).
    pub acknowledgement: Envelope,
}

/// Profiles of a CreateAccount, checked (service §5.2, decision Q-10).
#[derive(Debug, Clone, PartialEq)]
pub struct CreateEvidence {
    /// The keys both profiles name.
    pub keys: SigningKeys,
    /// `Updated` of the ProfileMesh.
    pub mesh_updated: Option<Timestamp>,
    /// `Updated` of the ProfileAccount.
    pub account_updated: Option<Timestamp>,
    /// SHA-512 of the ProfileMesh payload.
    pub mesh_digest: [u8; 64],
    /// SHA-512 of the ProfileAccount payload.
    pub account_digest: [u8; 64],
    /// Whether the Proof was made by the ProfileMesh's KeyOfflineSignature (decision Q-48).
    pub by_offline_key: bool,
    /// UDFs of the creating device's keys: KeyAuthentication used now, and that of its ProfileDevice.
    pub device_keys: Vec<Udf>,
}

/// One entry for the Device catalog, checked against the account's signing keys (decision Q-9).
#[derive(Debug, Clone, PartialEq)]
pub enum DeviceEvidence {
    /// Every envelope inside verifies.
    Valid(DeviceFacts),
    /// Something inside does not; the code and sentence for the peer.
    Invalid(ServiceError),
}

/// What a verified CatalogedDevice says, as far as a service cares.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceFacts {
    /// UDF of its ProfileDevice: the entry's UniqueID.
    pub device_udf: Udf,
    /// UDFs of KeyAuthentication in ConnectionDevice and in each ConnectionAccount of this account.
    pub profile_keys: Vec<Udf>,
    /// UDF of KeyAuthentication in ProfileDevice.
    pub device_key: Option<Udf>,
    /// `SHA-512` cut to 32 octets of each connection's payload, to compare with the credential in use.
    pub connection_digests: Vec<[u8; 32]>,
    /// Whether a Permission is listed at all.
    pub lists_permissions: bool,
    /// Whether a Permission named or with the role `Admin` is listed.
    pub is_administrator: bool,
}

/// The keys that may sign for an account, and which profiles they come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SigningKeys {
    /// Counts the changes of the account's stored profiles.
    pub profile_version: u64,
    /// UDF of the ProfileMesh.
    pub mesh_udf: Udf,
    /// Ed448 keys of `KeysOnlineSignature` of the ProfileMesh, then its KeyOfflineSignature.
    pub mesh_keys: Vec<Vec<u8>>,
    /// UDF of the ProfileAccount.
    pub account_udf: Udf,
    /// Ed448 keys of `KeysOnlineSignature` of the ProfileAccount, then its KeyOfflineSignature.
    pub account_keys: Vec<Vec<u8>>,
}

/// The answer to a transaction, a refusal by the account machine included.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// What the client gets.
    pub response: Response,
    /// For the log: what the refusal does not tell the peer.
    pub context: Option<String>,
    /// How long to wait before trying again, where that is known (HTTP `Retry-After`).
    pub retry_after: Option<Duration>,
}

/// Why a transaction has no answer of its own class.
#[derive(Debug, Clone, PartialEq)]
pub enum CallFailure {
    /// Refused before the account machine could answer.
    Refused(ServiceError),
    /// The account's owner is away, or ended over the request: whether it was carried out is not
    /// known. To a client the same as a refusal.
    Away(ServiceError),
    /// Nothing was carried out: this node does not own the account's partition. Who does, if that is
    /// known (cluster §4.6).
    Moved(Option<Route>),
    /// Nothing was carried out: the owner has too much to do, and may be asked again after this time
    /// (cluster §14).
    Busy(Duration),
    /// The account's profiles changed since the evidence was made: verify again and repeat once
    /// (decision Q-51).
    Stale,
}

impl CallFailure {
    /// What a client is told that cannot be served elsewhere; `None` if the request is to be verified
    /// and made once more.
    #[must_use]
    pub fn into_refusal(self) -> Option<ServiceError> {
        match self {
            Self::Refused(error) | Self::Away(error) => Some(error),
            Self::Moved(_) => Some(ServiceError::unavailable(
                "the account's partition is changing its owner",
            )),
            Self::Busy(wait) => {
                let busy = ServiceError::unavailable("the account's partition is busy");
                Some(busy.retry_after(wait))
            }
            Self::Stale => None,
        }
    }
}

impl From<ServiceError> for CallFailure {
    fn from(error: ServiceError) -> Self {
        Self::Refused(error)
    }
}
