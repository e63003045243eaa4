//! What can go wrong for a device: each module's own error, and the answers that are no. An error
//! says what happened, its sources say why, its advice says what to do next.

use mesh_common::address::AccountAddress;
use mesh_common::assertion::AssertionError;
use mesh_common::dare::sign::EnvelopeError;
use mesh_common::limits::ENTRY_PAYLOAD_BYTES_MAX;
use mesh_common::protocol::Code;

use crate::administration::AdministrationError;
use crate::changes::Collision;
use crate::connect::ConnectError;
use crate::entries::EntryKind;
use crate::export::ExportError;
use crate::home::HomeError;
use crate::import::ImportError;
use crate::keystore::KeystoreError;
use crate::messages::MessageFailure;
use crate::replica::ReplicaError;
use crate::service::ServiceFailure;
use crate::state::StateError;
use crate::transport::TransportError;

/// Why a device could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The folder cannot be used.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// The keys cannot be had.
    #[error(transparent)]
    Keystore(#[from] KeystoreError),
    /// What is known of the account cannot be read.
    #[error(transparent)]
    State(#[from] StateError),
    /// A container cannot be used.
    #[error(transparent)]
    Replica(#[from] ReplicaError),
    /// The service could not be asked.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// The service was asked, and refused or cannot be believed.
    #[error(transparent)]
    Service(#[from] ServiceFailure),
    /// The device is not connected, or does not connect another.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// An export could not be written or read.
    #[error(transparent)]
    Export(#[from] ExportError),
    /// The mesh is not administered as it was asked, or not as it was known.
    #[error(transparent)]
    Administration(#[from] AdministrationError),
    /// Nothing is done with a message, or nothing was sent.
    #[error(transparent)]
    Message(#[from] MessageFailure),
    /// A file is not imported.
    #[error("{name} is not imported")]
    Import {
        /// The file.
        name: String,
        /// Why not.
        #[source]
        source: ImportError,
    },
    /// Keys, profiles and connections in the folder do not belong together.
    #[error("the keys of this device do not belong to its account")]
    Identity(#[source] AssertionError),
    /// An assertion that should have been made, was not.
    #[error("the device could not be connected")]
    Making(#[source] AssertionError),
    /// An entry cannot be encrypted or decrypted.
    #[error("an entry of {container} cannot be opened or closed")]
    Sealing {
        /// The container.
        container: String,
        /// Why not.
        #[source]
        source: EnvelopeError,
    },
    /// There is no account on this device.
    #[error("there is no account on this device")]
    NoAccount,
    /// There is one already.
    #[error("this device has the account {address} already")]
    AccountExists {
        /// Its address.
        address: AccountAddress,
    },
    /// There are keys, and nothing that says what they are for: they are not overwritten.
    #[error("{} holds keys and no account", folder.display())]
    KeysWithoutAccount {
        /// The folder.
        folder: std::path::PathBuf,
    },
    /// The account was deleted.
    #[error("the account {address} was deleted at its service")]
    AccountDeleted {
        /// Its address.
        address: AccountAddress,
    },
    /// This device may not do that; another one of the person may.
    #[error("this device does not hold the keys of the personal mesh")]
    NotOwner,
    /// No entry goes by what was typed.
    #[error("no {kind} goes by {wanted:?}")]
    NotFound {
        /// The kind of entry.
        kind: EntryKind,
        /// What was typed.
        wanted: String,
    },
    /// More than one entry goes by what was typed.
    #[error("{} of kind {kind} go by {wanted:?}: {}", .found.len(), .found.join(", "))]
    Ambiguous {
        /// The kind of entry.
        kind: EntryKind,
        /// What was typed.
        wanted: String,
        /// Their ids.
        found: Vec<String>,
    },
    /// There is an entry with that id already.
    #[error("there is already an entry {id:?} in {container}")]
    Exists {
        /// The container.
        container: String,
        /// The id.
        id: String,
    },
    /// A change would give the entry another id, which makes it another entry.
    #[error("the change would give {before:?} the id {after:?}")]
    OtherId {
        /// The id it has.
        before: String,
        /// The id it would have.
        after: String,
    },
    /// The entry lacks what identifies it.
    #[error("a {tag} needs an id")]
    NoId {
        /// The entry's tag.
        tag: &'static str,
    },
    /// The entry is larger than a service accepts.
    #[error(
        "the entry {id:?} has {found_bytes} octets, at most {ENTRY_PAYLOAD_BYTES_MAX} are kept"
    )]
    EntryTooLarge {
        /// The entry.
        id: String,
        /// Its size.
        found_bytes: usize,
    },
    /// The same entries were changed here and elsewhere.
    #[error("{} changed here and on another device: {}", count(.0.len()), list(.0))]
    Collisions(Vec<Collision>),
    /// The service shows other frames than it showed before.
    #[error(
        "the first {frames} frames of {container} at the service are not those it showed before"
    )]
    Forked {
        /// The container.
        container: String,
        /// How many frames cannot be the same.
        frames: u64,
    },
    /// The service has fewer frames than it had before.
    #[error("the service has {found} frames of {container}, it had {known} before")]
    Rewound {
        /// The container.
        container: String,
        /// Frames it has.
        found: u64,
        /// Frames it had.
        known: u64,
    },
    /// Other devices were faster every time.
    #[error("other devices changed {container} faster than this one could")]
    Outrun {
        /// The container.
        container: String,
    },
}

impl ClientError {
    /// What to do next, if that can be said.
    #[must_use]
    pub fn advice(&self) -> Option<String> {
        Some(match self {
            Self::Home(error) => error.advice(),
            Self::Keystore(error) => error.advice(),
            Self::State(error) => error.advice(),
            Self::Replica(error) => error.advice(),
            Self::Transport(error) => error.advice(),
            Self::Service(error) => return error.advice(),
            Self::Connect(error) => return error.advice(),
            Self::Export(error) => error.advice(),
            Self::Administration(error) => return error.advice(),
            Self::Message(error) => return error.advice(),
            Self::Import { source, .. } => match source {
                ImportError::TooLarge { .. } => "split the file and import the pieces".into(),
                ImportError::UnknownFormat { .. } | ImportError::UnknownHeader { .. } => {
                    "say what it is with --as".into()
                }
            },
            Self::Identity(_) => "put back keys.json and account.json from one backup".into(),
            Self::NoAccount => "mesh account create ADDRESS".into(),
            Self::KeysWithoutAccount { .. } => {
                "put back account.json, or move keys.json away if nobody needs it".into()
            }
            Self::AccountExists { .. } => {
                "mesh account status, or --home DIR for another account".into()
            }
            Self::AccountDeleted { .. } => {
                "mesh export DIR for what is here, or --home DIR for another account".into()
            }
            Self::NotOwner => "repeat this on the device that made the account".into(),
            Self::NotFound { kind, .. } => format!("mesh {kind} list"),
            Self::Ambiguous { .. } => "repeat with one of these ids".into(),
            Self::Exists { .. } => "change it with `update`, or choose another name".into(),
            Self::OtherId { .. } => "add the new entry, then delete the old one".into(),
            Self::EntryTooLarge { .. } => "keep the large part somewhere else".into(),
            Self::Collisions(_) => "mesh sync --keep mine, or mesh sync --keep theirs".into(),
            Self::Forked { .. } | Self::Rewound { .. } => {
                "keep this folder, do not synchronize, and ask the operator of the service".into()
            }
            Self::Outrun { .. } => "mesh sync".into(),
            Self::Making(_) | Self::Sealing { .. } | Self::NoId { .. } => return None,
        })
    }

    /// Whether somebody in the service's name did not accept this device's connection.
    pub(crate) const fn is_about_credential(&self) -> bool {
        matches!(
            self,
            Self::Service(ServiceFailure::Hint {
                code: Some(Code::AuthenticationFailed),
                ..
            })
        )
    }

    /// Whether the question was understood and the answer is no; otherwise it could not be asked.
    #[must_use]
    pub const fn is_refusal(&self) -> bool {
        match self {
            Self::Service(error) => error.is_refusal(),
            Self::Administration(error) => error.is_refusal(),
            Self::Message(error) => error.is_refusal(),
            Self::Home(_)
            | Self::Keystore(_)
            | Self::State(_)
            | Self::Transport(_)
            | Self::Export(_)
            | Self::Import { .. }
            | Self::NoAccount
            | Self::KeysWithoutAccount { .. }
            | Self::Identity(_)
            | Self::Making(_)
            | Self::Sealing { .. } => false,
            Self::Replica(error) => !matches!(error, ReplicaError::Home(_)),
            Self::Connect(error) => !matches!(error, ConnectError::NothingAsked),
            Self::AccountExists { .. }
            | Self::AccountDeleted { .. }
            | Self::NotOwner
            | Self::NotFound { .. }
            | Self::Ambiguous { .. }
            | Self::Exists { .. }
            | Self::OtherId { .. }
            | Self::NoId { .. }
            | Self::EntryTooLarge { .. }
            | Self::Collisions(_)
            | Self::Forked { .. }
            | Self::Rewound { .. }
            | Self::Outrun { .. } => true,
        }
    }
}

fn count(number: usize) -> String {
    match number {
        1 => "one entry was".into(),
        number => format!("{number} entries were"),
    }
}

fn list(collisions: &[Collision]) -> String {
    let names: Vec<_> = collisions
        .iter()
        .map(|collision| format!("{} {:?}", collision.container, collision.id))
        .collect();
    names.join(", ")
}
