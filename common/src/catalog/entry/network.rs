//! Settings of networks: access points, virtual private networks. Schema draft §5.7 and §7.4.5.

use serde::{Deserialize, Serialize};

use super::credential::protocol_and_service;
use super::{Members, Original, SecretText};

/// How to join a network.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct CatalogedNetwork {
    /// The kind of network, such as `wifi` or `ipsec`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protocol: Option<String>,
    /// The name of the network.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// The name to log in with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// The password or shared key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<SecretText>,
    /// The data the entry was imported from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub original: Option<Original>,
    /// Members no schema names.
    #[serde(flatten)]
    pub extra: Members,
}

impl CatalogedNetwork {
    /// `Protocol:Service`, with nothing in the place of what is missing (containers §6.2).
    #[must_use]
    pub fn unique_id(&self) -> String {
        protocol_and_service(self.protocol.as_deref(), self.service.as_deref())
    }
}
