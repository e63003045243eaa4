//! Why a device is not connected, and what to do about it.

use mesh_common::address::AccountAddress;
use mesh_common::assertion::AssertionError;
use mesh_common::dare::EnvelopeError;
use mesh_common::error::ServiceError;
use mesh_common::message::{AnswerError, EarlError};

use super::PinStanding;

/// Why a device is not connected.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The folder has no request under way.
    #[error("this device has not asked to be connected")]
    NothingAsked,
    /// A request for another account is under way.
    #[error("this device has asked to be connected to {address}")]
    OtherAsked {
        /// The account that was asked.
        address: AccountAddress,
    },
    /// An administrator said no.
    #[error("an administrator of {address} rejected this device")]
    Rejected {
        /// The account that was asked.
        address: AccountAddress,
    },
    /// Nobody answered in time.
    #[error("the request to connect to {address} has expired")]
    Expired {
        /// The account that was asked.
        address: AccountAddress,
    },
    /// The service connected the device before this device knew under which witness.
    #[error("{address} has this device already, under a request whose acknowledgement was lost")]
    Unwitnessed {
        /// The account that was asked.
        address: AccountAddress,
    },
    /// The service's acknowledgement is not believed.
    #[error("the acknowledgement of the service is not believed")]
    Acknowledgement(#[source] ServiceError),
    /// The administrator's answer is not believed.
    #[error("the answer to the request is not believed")]
    Answer(#[source] AnswerError),
    /// What the answer brings does not fit this device.
    #[error("what this device was given does not fit it")]
    Activation(#[source] AssertionError),
    /// The answer lacks what a device needs to take part.
    #[error("the answer has no {what}")]
    Incomplete {
        /// What is missing.
        what: &'static str,
    },
    /// Only administrators may.
    #[error("this device does not administer the account")]
    NotAdministrator,
    /// No request goes by what was typed.
    #[error("no request to connect goes by {wanted:?}")]
    NoRequest {
        /// What was typed.
        wanted: String,
    },
    /// More than one request goes by what was typed.
    #[error("{} requests to connect go by {wanted:?}: {}", .found.len(), .found.join(", "))]
    AmbiguousRequest {
        /// What was typed.
        wanted: String,
        /// Their ids.
        found: Vec<String>,
    },
    /// The request was answered with something else.
    #[error("the request {id} was {answered} already")]
    AnsweredOtherwise {
        /// The request.
        id: String,
        /// How.
        answered: &'static str,
    },
    /// The PIN of a request is not good.
    #[error("the request {id} was made with {}", .standing.sentence())]
    PinStanding {
        /// The request.
        id: String,
        /// How it stands.
        standing: PinStanding,
    },
    /// No device goes by what was typed.
    #[error("no device goes by {wanted:?}")]
    NoDevice {
        /// What was typed.
        wanted: String,
    },
    /// More than one device goes by what was typed.
    #[error("{} devices go by {wanted:?}: {}", .found.len(), .found.join(", "))]
    AmbiguousDevice {
        /// What was typed.
        wanted: String,
        /// Their UDFs.
        found: Vec<String>,
    },
    /// A device does not remove itself.
    #[error("this is the device that you are working on")]
    OwnDevice,
    /// The mesh has no such account on this device.
    #[error("this device has no account {address}")]
    NoSuchAccount {
        /// The account.
        address: AccountAddress,
    },
    /// The EARL, or what it names, is of no use.
    #[error("the EARL cannot be used")]
    Earl(#[source] EarlError),
    /// Nothing is published under the EARL.
    #[error("{domain} publishes nothing under this EARL (HTTP {http_status})")]
    NotPublished {
        /// Where it was looked for.
        domain: String,
        /// What HTTP says.
        http_status: u16,
    },
    /// What is published is not a request of that device by that maker.
    #[error("what is published is no request that can be believed")]
    Published(#[source] ServiceError),
    /// The published request was not made with the key of the EARL.
    #[error("what is published was not made by who printed the EARL")]
    PublishedByOther,
    /// A PIN cannot be encrypted to the administrators.
    #[error("the PIN cannot be left for the administrators")]
    Pin(#[source] EnvelopeError),
}

impl ConnectError {
    /// What to do about it, if that can be said.
    #[must_use]
    pub fn advice(&self) -> Option<String> {
        Some(match self {
            Self::NothingAsked => "mesh device request ADDRESS".into(),
            Self::OtherAsked { .. } => {
                "mesh device request goes on with that; --again forgets it".into()
            }
            Self::Rejected { address } | Self::Expired { address } => {
                format!("mesh device request {address} asks again")
            }
            Self::Unwitnessed { address } => format!(
                "delete the device there with mesh device delete, then mesh device request \
                 {address} --again"
            ),
            Self::Acknowledgement(_)
            | Self::Answer(_)
            | Self::Activation(_)
            | Self::Published(_)
            | Self::PublishedByOther => {
                "do not go on: somebody between the two devices may be changing what they say"
                    .into()
            }
            Self::NotAdministrator => "repeat this on a device that administers the account".into(),
            Self::NoRequest { .. } | Self::AmbiguousRequest { .. } => "mesh device pending".into(),
            Self::PinStanding { .. } => {
                "mesh device pin makes a new one; mesh device reject ID ends this request".into()
            }
            Self::NoDevice { .. } | Self::AmbiguousDevice { .. } => "mesh device list".into(),
            Self::OwnDevice => {
                "repeat this on another device of the account, or mesh account delete".into()
            }
            Self::NoSuchAccount { .. } => "mesh account list".into(),
            Self::Earl(_) => "scan or type the udf:// URI again, all of it".into(),
            Self::NotPublished { .. } => {
                "check that the URI is whole; its maker may publish elsewhere: --service URL".into()
            }
            Self::AnsweredOtherwise { .. } | Self::Incomplete { .. } | Self::Pin(_) => return None,
        })
    }
}
