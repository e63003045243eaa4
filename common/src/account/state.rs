//! What must be known of an account in order to decide: its record, the head of each container,
//! the device index and the tip. All of it is small and stays in memory while the account is in
//! use; frames and lookup rows stay in the store (architecture A-20, containers §12.2).
//!
//! Large parts are behind [`Arc`], so that planning a batch may copy a state freely.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::change::Tombstone;
use super::compact;
use super::connect::Connections;
use super::devices::DeviceIndex;
use super::heads::Heads;
use crate::address::AccountAddress;
use crate::cluster::{PartitionId, SigningKeys};
use crate::dare::{ContainerName, Digest64, DigestStack, Envelope};
use crate::entropy::{self, Entropy};
use crate::time::Timestamp;
use crate::udf::Udf;

/// Octets of an account id.
pub const ACCOUNT_ID_BYTES: usize = 16;

/// Where the rows of one account lie: its partition in two octets, then fourteen that are random.
///
/// Everything of an account is stored under its id, never under its address, so that an address
/// given again opens nobody's old containers (containers D26).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct AccountId([u8; ACCOUNT_ID_BYTES]);

impl AccountId {
    /// Draws an id for a new account of `partition`.
    pub fn draw(partition: PartitionId, entropy: &mut dyn Entropy) -> Self {
        let mut octets: [u8; ACCOUNT_ID_BYTES] = entropy::draw(entropy);
        octets[..2].copy_from_slice(&partition.0.to_be_bytes());
        Self(octets)
    }

    /// An id read from the store.
    #[must_use]
    pub const fn from_octets(octets: [u8; ACCOUNT_ID_BYTES]) -> Self {
        Self(octets)
    }

    /// The octets.
    #[must_use]
    pub const fn octets(&self) -> &[u8; ACCOUNT_ID_BYTES] {
        &self.0
    }

    /// The partition in whose range its rows lie.
    #[must_use]
    pub const fn partition(&self) -> PartitionId {
        PartitionId(u16::from_be_bytes([self.0[0], self.0[1]]))
    }
}

impl fmt::Debug for AccountId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .iter()
            .try_for_each(|octet| write!(formatter, "{octet:02x}"))
    }
}

/// Number of a container within its account, given in the order of creation, never again.
pub type ContainerNumber = u16;

/// Whether an account may be used (service §1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum AccountStatus {
    /// On hold until the operator approves: everything but DeleteAccount is refused.
    Pending,
    /// In use.
    Connected,
    /// Suspended by the operator: everything is refused.
    Blocked,
    /// Deleted; its data is kept for a while (architecture A-15).
    Deleted {
        /// When.
        #[serde(with = "compact::millis")]
        at: Timestamp,
    },
}

/// The device that created the account, and whether that still means something (decisions Q-11,
///
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bootstrap {
    /// UDFs of its keys: of the KeyAuthentication it used, and of that of its ProfileDevice.
    pub keys: Vec<Udf>,
    /// What they are good for.
    pub phase: BootstrapPhase,
}

/// How far the Device catalog has taken over from the bootstrap device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum BootstrapPhase {
    /// The Device catalog never had an entry: the bootstrap device is an administrator.
    Open,
    /// The Device catalog is being imported: only the bootstrap device is admitted (decision Q-50).
    Importing,
    /// The account was recovered with the offline key: the bootstrap device is an administrator
    /// next to those of the catalog, until its own entry is there (decision Q-48).
    Recovering,
    /// The Device catalog alone decides, also when it is empty again.
    Closed,
}

/// A profile's place in its history (decisions ).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProfileVersion {
    /// `Updated` as the profile states it, fractions of a second included: profiles are compared by
    /// it.
    #[serde(default, with = "compact::optional_millis")]
    pub updated: Option<Timestamp>,
    /// SHA-512 of its payload.
    #[serde(with = "compact::digest")]
    pub digest: Digest64,
}

/// The account record: what changes rarely.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AccountRecord {
    /// Where its rows lie.
    pub id: AccountId,
    /// Its address as first written.
    pub address: AccountAddress,
    /// Whether it may be used.
    pub status: AccountStatus,
    /// When it was created.
    #[serde(with = "compact::millis")]
    pub created_at: Timestamp,
    /// The ProfileMesh, verbatim.
    pub profile_mesh: Envelope,
    /// The ProfileAccount, verbatim.
    pub profile_account: Envelope,
    /// The keys both name; `profile_version` counts their changes.
    pub keys: SigningKeys,
    /// Which ProfileMesh it is.
    pub mesh: ProfileVersion,
    /// Which ProfileAccount it is.
    pub account: ProfileVersion,
    /// The device that created it.
    pub bootstrap: Bootstrap,
    /// Octets it may store, where the operator set another bound than the domain's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes_max: Option<u64>,
}

/// Whether the frames of a container may still be brought from elsewhere (containers D31,
/// decision Q-28).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Import {
    /// There is nothing but the service's own frame 0.
    Open,
    /// Frames have been imported, and the service has appended none.
    Running,
    /// The service has appended a frame, or a device created the container.
    Closed,
}

/// The head of one container (containers §12.2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// Its number within the account.
    pub number: ContainerNumber,
    /// Its canonical name.
    pub name: ContainerName,
    /// The digest state; knows the number of frames and the apex.
    #[serde(with = "compact::stack")]
    pub digests: DigestStack,
    /// First index after frame 0 that is still kept; 1 unless a prefix was purged (containers D29).
    pub floor: u64,
    /// The digest state as of the frame before the floor, where a prefix was purged: from it later
    /// digests can be computed.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        with = "compact::optional_stack"
    )]
    pub floor_digests: Option<DigestStack>,
    /// Octets of payloads, headers and trailers that count against the quota.
    pub live_octets: u64,
    /// Whether frames may be imported.
    pub import: Import,
    /// Commit time of the newest frame; commit times never decrease along a container.
    #[serde(with = "compact::millis")]
    pub committed_at: Timestamp,
}

impl Head {
    /// The head of a container without frames.
    #[must_use]
    pub fn new(number: ContainerNumber, name: &ContainerName, import: Import) -> Self {
        Self {
            number,
            name: name.to_canonical(),
            digests: DigestStack::new(),
            floor: 1,
            floor_digests: None,
            live_octets: 0,
            import,
            committed_at: Timestamp::default(),
        }
    }

    /// Number of frames; the index of the next one.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.digests.count()
    }

    /// Tree digest of the last frame.
    #[must_use]
    pub fn apex(&self) -> Option<Digest64> {
        self.digests.apex()
    }
}

/// What changes with every commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Tip {
    /// Counts the committed transitions of the account.
    pub change_seq: u64,
    /// Octets used: the sum over all heads.
    pub bytes_used: u64,
}

/// Everything small that must be known of an account in order to decide.
#[derive(Debug, Clone, PartialEq)]
pub struct AccountState {
    /// The account record.
    pub record: Arc<AccountRecord>,
    /// The heads, in the order of a Status: Inbound, Outbound, Local, Archive, catalogs.
    pub heads: Heads,
    /// What is known of its devices.
    pub devices: Arc<DeviceIndex>,
    /// The requests of devices to be connected.
    pub connections: Arc<Connections>,
    /// What changes with every commit.
    pub tip: Tip,
}

impl AccountState {
    /// The head of a container, if the container exists.
    #[must_use]
    pub fn head(&self, name: &ContainerName) -> Option<&Head> {
        self.heads.get(name).map(AsRef::as_ref)
    }

    /// The number the next container gets.
    #[must_use]
    pub fn next_number(&self) -> ContainerNumber {
        self.heads
            .values()
            .map(|head| head.number + 1)
            .max()
            .unwrap_or(0)
    }
}

/// What the service knows under an address.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Standing {
    /// Nothing.
    #[default]
    Unknown,
    /// An account was deleted here; the address is kept for its ProfileMesh.
    Reserved(Box<Tombstone>),
    /// An account.
    Account(Box<AccountState>),
}

impl Standing {
    /// The account, if there is one.
    #[must_use]
    pub fn account(&self) -> Option<&AccountState> {
        match self {
            Self::Account(state) => Some(state),
            Self::Unknown | Self::Reserved(_) => None,
        }
    }

    /// The id of the account that is or was here: under it the replay rows lie.
    #[must_use]
    pub fn account_id(&self) -> Option<AccountId> {
        match self {
            Self::Unknown => None,
            Self::Reserved(tombstone) => Some(tombstone.account),
            Self::Account(state) => Some(state.record.id),
        }
    }

    /// The keys that may sign for the account (decision Q-51).
    #[must_use]
    pub fn signing_keys(&self) -> Option<&SigningKeys> {
        self.account().map(|state| &state.record.keys)
    }
}
