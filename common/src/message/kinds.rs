//! The structures of the messages, each with the members of its base first (schema draft §7.5;
//! RespondConnection is missing there and stands in service §6).

use serde::{Deserialize, Serialize};

use super::relationship::{ConnectionResult, Relationship};
use crate::assertion::{CatalogedDevice, Permission};
use crate::dare::Envelope;
use crate::dare::header::Extra;
use crate::encoding::base64url::Binary;
use crate::time::Timestamp;

/// Declares a message: the members of Message first (schema draft §7.5.1), then its own.
macro_rules! message {
    ($(#[$doc:meta])* $name:ident { $($(#[$meta:meta])* $field:ident: $type:ty,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
        #[serde(default, rename_all = "PascalCase")]
        pub struct $name {
            /// Identifier; the envelope's UniqueID is the same (decision Q-26).
            #[serde(rename = "MessageID", skip_serializing_if = "Option::is_none")]
            pub message_id: Option<String>,
            /// Address of the sender.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub sender: Option<String>,
            /// Address of the recipient.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub recipient: Option<String>,
            /// The messages it is about.
            #[serde(skip_serializing_if = "Vec::is_empty")]
            pub references: Vec<Reference>,
            $($(#[$meta])* pub $field: $type,)*
            /// Members this revision does not know.
            #[serde(flatten)]
            pub extra: Extra,
        }
    };
}

/// What a message says of another.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct Reference {
    /// The other message.
    #[serde(rename = "MessageID", skip_serializing_if = "Option::is_none")]
    pub message_id: Option<String>,
    /// The answer to it, if there is one.
    #[serde(rename = "ResponseID", skip_serializing_if = "Option::is_none")]
    pub response_id: Option<String>,
    /// The state it is in now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub relationship: Option<Relationship>,
    /// Why, in a phrase for people: of a delivery that is late, refused or given up.
    // Draft: the schema has no such member; a sender could not learn what to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Members this revision does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

message! {
    /// The state of other messages changed (schema draft §7.5.2, service §7.8).
    MessageComplete {}
}

message! {
    /// A PIN that a device may connect with; encrypted to the administrators (schema draft §7.5.3).
    MessagePin {
        /// The account it is for.
        #[serde(skip_serializing_if = "Option::is_none")]
        account: Option<String>,
        /// Until when.
        #[serde(skip_serializing_if = "Option::is_none")]
        expires: Option<Timestamp>,
        /// The PIN.
        #[serde(rename = "PIN", skip_serializing_if = "Option::is_none")]
        pin: Option<String>,
        /// What the device that comes with it may do; none listed means what any device may.
        // Draft: the schema has no such member; whoever finishes cannot ask who began.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        permissions: Vec<Permission>,
    }
}

message! {
    /// A device asks to be connected (schema draft §7.5.4).
    RequestConnection {
        /// The account's address.
        #[serde(rename = "ServiceID", skip_serializing_if = "Option::is_none")]
        service_id: Option<String>,
        /// The ProfileDevice.
        #[serde(skip_serializing_if = "Option::is_none")]
        enveloped_profile_device: Option<Envelope>,
        /// Octets the device drew for this request.
        #[serde(skip_serializing_if = "Option::is_none")]
        client_nonce: Option<Binary>,
        /// Proof that the device's user knows the PIN; opaque to the service.
        #[serde(rename = "PinUDF", skip_serializing_if = "Option::is_none")]
        pin_udf: Option<String>,
    }
}

message! {
    /// The service put the request before the account's administrators (schema draft §7.5.5).
    AcknowledgeConnection {
        /// The RequestConnection, verbatim.
        #[serde(skip_serializing_if = "Option::is_none")]
        enveloped_request_connection: Option<Envelope>,
        /// Octets the service drew for this request.
        #[serde(skip_serializing_if = "Option::is_none")]
        server_nonce: Option<Binary>,
        /// What both users compare (service §6.1).
        #[serde(skip_serializing_if = "Option::is_none")]
        witness: Option<String>,
    }
}

message! {
    /// An administrator's answer to the device (service §6).
    RespondConnection {
        /// The answer.
        #[serde(skip_serializing_if = "Option::is_none")]
        result: Option<ConnectionResult>,
        /// The device's entry, untagged (decision Q-42); with Accept only.
        #[serde(skip_serializing_if = "Option::is_none")]
        cataloged_device: Option<CatalogedDevice>,
        /// Proof that the administrator knows the PIN.
        #[serde(skip_serializing_if = "Option::is_none")]
        witness: Option<String>,
    }
}

message! {
    /// An invitation to a group (schema draft §7.5.6); carried, not interpreted (decision Q-40).
    OfferGroup {}
}

message! {
    /// Asks for, or gives, contact data: RequestContact and ReplyContact (schema draft §7.5.7 and
    /// §7.5.8).
    RequestContact {
        /// Whether the sender wants contact data in return.
        #[serde(skip_serializing_if = "Option::is_none")]
        reply: Option<bool>,
        /// What it is about.
        #[serde(skip_serializing_if = "Option::is_none")]
        subject: Option<String>,
        /// The sender's contact data.
        #[serde(rename = "Self", skip_serializing_if = "Option::is_none")]
        self_contact: Option<Envelope>,
    }
}

message! {
    /// Asks a user to confirm something (schema draft §7.5.9).
    RequestConfirmation {
        /// What to confirm.
        #[serde(skip_serializing_if = "Option::is_none")]
        text: Option<String>,
    }
}

message! {
    /// The user's answer (schema draft §7.5.10).
    ResponseConfirmation {
        /// The request, untagged.
        #[serde(skip_serializing_if = "Option::is_none")]
        request: Option<Box<RequestConfirmation>>,
        /// Whether the user confirms.
        #[serde(skip_serializing_if = "Option::is_none")]
        accept: Option<bool>,
    }
}

message! {
    /// Asks a user to do something (schema draft §7.5.11).
    RequestTask {}
}

/// A message of any kind, under its tag.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Message {
    /// The state of other messages changed.
    MessageComplete(MessageComplete),
    /// A PIN that a device may connect with.
    #[serde(rename = "MessagePIN")]
    MessagePin(MessagePin),
    /// A device asks to be connected.
    RequestConnection(Box<RequestConnection>),
    /// The service acknowledges that.
    AcknowledgeConnection(Box<AcknowledgeConnection>),
    /// An administrator answers it.
    RespondConnection(Box<RespondConnection>),
    /// An invitation to a group.
    OfferGroup(OfferGroup),
    /// The same under its later name.
    GroupInvitation(OfferGroup),
    /// Asks for contact data.
    RequestContact(Box<RequestContact>),
    /// Gives contact data.
    ReplyContact(Box<RequestContact>),
    /// Asks for a confirmation.
    RequestConfirmation(RequestConfirmation),
    /// Gives or denies it.
    ResponseConfirmation(ResponseConfirmation),
    /// Asks a user to do something.
    RequestTask(RequestTask),
}

/// Runs `$body` with `$inner` bound to whatever the message holds.
macro_rules! for_any {
    ($message:expr, $inner:ident => $body:expr) => {
        match $message {
            Message::MessageComplete($inner) => $body,
            Message::MessagePin($inner) => $body,
            Message::RequestConnection($inner) => $body,
            Message::AcknowledgeConnection($inner) => $body,
            Message::RespondConnection($inner) => $body,
            Message::OfferGroup($inner) => $body,
            Message::GroupInvitation($inner) => $body,
            Message::RequestContact($inner) => $body,
            Message::ReplyContact($inner) => $body,
            Message::RequestConfirmation($inner) => $body,
            Message::ResponseConfirmation($inner) => $body,
            Message::RequestTask($inner) => $body,
        }
    };
}

impl Message {
    /// The tag.
    #[must_use]
    pub const fn tag(&self) -> &'static str {
        match self {
            Self::MessageComplete(_) => "MessageComplete",
            Self::MessagePin(_) => "MessagePIN",
            Self::RequestConnection(_) => "RequestConnection",
            Self::AcknowledgeConnection(_) => "AcknowledgeConnection",
            Self::RespondConnection(_) => "RespondConnection",
            Self::OfferGroup(_) => "OfferGroup",
            Self::GroupInvitation(_) => "GroupInvitation",
            Self::RequestContact(_) => "RequestContact",
            Self::ReplyContact(_) => "ReplyContact",
            Self::RequestConfirmation(_) => "RequestConfirmation",
            Self::ResponseConfirmation(_) => "ResponseConfirmation",
            Self::RequestTask(_) => "RequestTask",
        }
    }

    /// The identifier in the payload.
    #[must_use]
    pub fn message_id(&self) -> Option<&str> {
        for_any!(self, message => message.message_id.as_deref())
    }

    /// Address of the sender.
    #[must_use]
    pub fn sender(&self) -> Option<&str> {
        for_any!(self, message => message.sender.as_deref())
    }

    /// Address of the recipient.
    #[must_use]
    pub fn recipient(&self) -> Option<&str> {
        for_any!(self, message => message.recipient.as_deref())
    }

    /// The messages it is about.
    #[must_use]
    pub fn references(&self) -> &[Reference] {
        for_any!(self, message => &message.references)
    }
}
