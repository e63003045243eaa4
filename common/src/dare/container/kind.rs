//! The five types of container, and what each of them keeps with its frames (containers §4).

use std::fmt;
use std::str::FromStr;

use super::ContainerError;
use crate::dare::Header;

/// What a container keeps with its frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ContainerType {
    /// Nothing; dare-07's prose says "Simple".
    List,
    /// Positions of earlier frames.
    Tree,
    /// Payload digests.
    Digest,
    /// Payload digests and chain digests.
    Chain,
    /// Positions, payload digests and tree digests. The type of every store of an account
    /// (containers D5).
    Merkle,
}

impl ContainerType {
    /// The value of `ContainerType` in frame 0.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::List => "List",
            Self::Tree => "Tree",
            Self::Digest => "Digest",
            Self::Chain => "Chain",
            Self::Merkle => "Merkle",
        }
    }

    /// Whether frames carry the offset of an earlier one.
    #[must_use]
    pub const fn has_positions(self) -> bool {
        matches!(self, Self::Tree | Self::Merkle)
    }

    /// Whether frames carry the digest of their payload.
    #[must_use]
    pub const fn has_payload_digests(self) -> bool {
        matches!(self, Self::Digest | Self::Chain | Self::Merkle)
    }

    /// The type that frame 0 names.
    ///
    /// # Errors
    /// [`ContainerError::Type`] if it names none, or one that does not exist.
    pub fn of_frame_zero(header: &Header) -> Result<Self, ContainerError> {
        let named = header
            .container_info
            .as_ref()
            .and_then(|info| info.container_type.as_deref());
        named
            .ok_or(ContainerError::Type { found: None })
            .and_then(str::parse)
    }
}

impl FromStr for ContainerType {
    type Err = ContainerError;

    fn from_str(text: &str) -> Result<Self, ContainerError> {
        [
            Self::List,
            Self::Tree,
            Self::Digest,
            Self::Chain,
            Self::Merkle,
        ]
        .into_iter()
        .find(|kind| kind.name() == text)
        .ok_or_else(|| ContainerError::Type {
            found: Some(text.chars().take(40).collect()),
        })
    }
}

impl fmt::Display for ContainerType {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}
