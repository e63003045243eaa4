//! Why an administrative operation is not done, and what a device says of a service that shows it
//! other profiles than those of its mesh.

use mesh_common::assertion::AssertionError;
use mesh_common::time::Timestamp;
use mesh_common::udf::Udf;
use mesh_common::udf::shamir::ShareError;

use super::copies::CopyError;

/// Why the administration of the mesh does not go on.
#[derive(Debug, thiserror::Error)]
pub enum AdministrationError {
    /// The operation needs the master key, and it was taken offline.
    #[error("the master key is not on this device")]
    MasterAway,
    /// A further account is made with the master key, from which its identity follows.
    #[error("a further account is made with the master key, which is not on this device")]
    MasterNeeded,
    /// There is no master key to take offline or to copy.
    #[error("there is no master key on this device: it was taken offline, or never was here")]
    NoMaster,
    /// A copy that gives no key.
    #[error("the copy of the master key cannot be used")]
    Copy(#[from] CopyError),
    /// A copy that gives the key of another mesh.
    #[error("this is the master key of another mesh: {found}, not {expected}")]
    OtherMaster {
        /// The mesh of this device.
        expected: Udf,
        /// The mesh of the key.
        found: Udf,
    },
    /// The key is the mesh's, and its account was not made with it.
    #[error("the account {address} was not made with this master key")]
    OtherAccount {
        /// The account's address.
        address: String,
    },
    /// The service shows a profile of somebody else's mesh.
    #[error("the service shows the profile of another mesh: {found}, ours is {known}")]
    OtherMesh {
        /// Ours.
        known: Udf,
        /// What it shows.
        found: Udf,
    },
    /// The service shows a profile that was replaced (decision Q-58).
    #[error(
        "the service shows an older profile of the mesh: {}, we know the one {}",
        of(*.found),
        of(*.known)
    )]
    Rollback {
        /// `Updated` of the one we know.
        known: Option<Timestamp>,
        /// `Updated` of the one it shows.
        found: Option<Timestamp>,
    },
    /// The service shows another profile of the same moment (decision Q-58).
    #[error("the service shows another profile of the mesh than before, {}", of(*.updated))]
    Forked {
        /// `Updated` of both.
        updated: Option<Timestamp>,
    },
    /// The profile that the service shows is not signed by its mesh.
    #[error("the profile of the mesh that the service shows does not verify")]
    Forged(#[source] AssertionError),
    /// This device's entry in the Device catalog does not fit its keys or its mesh.
    #[error("the entry of this device that the service has does not verify")]
    ForgedEntry(#[source] AssertionError),
    /// No device goes by what was typed.
    #[error("no device goes by {wanted:?}")]
    NoSuchDevice {
        /// What was typed.
        wanted: String,
    },
    /// More than one device goes by what was typed.
    #[error("{} devices go by {wanted:?}: {}", .found.len(), .found.join(", "))]
    Ambiguous {
        /// What was typed.
        wanted: String,
        /// Their UDFs.
        found: Vec<String>,
    },
    /// It does administer already.
    #[error("{device} has an online key already")]
    HasKey {
        /// The device.
        device: String,
    },
    /// It has no online key of its own to be withdrawn.
    #[error("{device} has no online key of its own")]
    HasNoKey {
        /// The device.
        device: String,
    },
    /// An entry of the Device catalog that cannot be used.
    #[error("the entry of the device {device} cannot be used")]
    Entry {
        /// The device's UDF.
        device: String,
        /// Why not.
        #[source]
        source: AssertionError,
    },
    /// The numbers are no division.
    #[error("the master key cannot be divided so")]
    Division(#[source] ShareError),
    /// A recovery was interrupted.
    #[error("the recovery of this account is not finished")]
    Unfinished,
    /// There is a device here, and recovery makes a new one.
    #[error("this folder has the account {address} already")]
    HasAccount {
        /// Its address.
        address: String,
    },
    /// The escrowed keys do not belong to the account.
    #[error("the escrowed keys that the service has do not belong to the account: {problem}")]
    ForgedEscrow {
        /// What is wrong with them.
        problem: String,
    },
    /// Nothing was escrowed, so that nothing old can be read.
    #[error("no encryption keys were escrowed for {address}: its entries can never be read again")]
    NoEscrow {
        /// The account's address.
        address: String,
    },
}

fn of(updated: Option<Timestamp>) -> String {
    updated.map_or_else(
        || "without a date".into(),
        |updated| format!("of {}", updated.to_text()),
    )
}

impl AdministrationError {
    /// What to do about it.
    #[must_use]
    pub fn advice(&self) -> Option<String> {
        Some(match self {
            Self::MasterAway => "name a copy of it with --master FILE".into(),
            Self::MasterNeeded => "mesh key import FILE, then repeat".into(),
            Self::NoMaster => "mesh key status".into(),
            Self::Copy(error) => error.advice(),
            Self::OtherMaster { .. } | Self::OtherAccount { .. } => {
                "use the copy that was made of this mesh's key".into()
            }
            Self::OtherMesh { .. }
            | Self::Rollback { .. }
            | Self::Forked { .. }
            | Self::Forged(_)
            | Self::ForgedEntry(_)
            | Self::ForgedEscrow { .. } => {
                "do not go on; ask the operator of the service what happened".into()
            }
            Self::NoSuchDevice { .. } | Self::Ambiguous { .. } | Self::HasNoKey { .. } => {
                "mesh key status".into()
            }
            Self::HasKey { .. } => return None,
            Self::Entry { .. } => "mesh verify".into(),
            Self::Division(_) => {
                "choose 2 to 15 for --quorum, and for --shares as many or more, 16 at most".into()
            }
            Self::Unfinished => "repeat `mesh key recover` with the same copy".into(),
            Self::HasAccount { .. } => "name an empty folder with --home".into(),
            Self::NoEscrow { .. } => {
                "add --without-entries to have the address back all the same".into()
            }
        })
    }

    /// Whether the question was understood and the answer is no; otherwise it could not be asked.
    #[must_use]
    pub const fn is_refusal(&self) -> bool {
        match self {
            Self::MasterAway
            | Self::MasterNeeded
            | Self::Copy(_)
            | Self::Division(_)
            | Self::Unfinished
            | Self::HasAccount { .. } => false,
            Self::NoMaster
            | Self::OtherMaster { .. }
            | Self::OtherAccount { .. }
            | Self::OtherMesh { .. }
            | Self::Rollback { .. }
            | Self::Forked { .. }
            | Self::Forged(_)
            | Self::ForgedEntry(_)
            | Self::NoSuchDevice { .. }
            | Self::Ambiguous { .. }
            | Self::HasKey { .. }
            | Self::HasNoKey { .. }
            | Self::Entry { .. }
            | Self::ForgedEscrow { .. }
            | Self::NoEscrow { .. } => true,
        }
    }
}
