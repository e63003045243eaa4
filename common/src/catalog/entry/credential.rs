//! Usernames and passwords. Schema draft §5.4 and §7.4.4, containers §6.2.

use serde::{Deserialize, Serialize};

use super::{Members, Original, SecretText};

/// A username and password for one service.
///
/// Two users of one service have the same unique id unless their `Service` texts differ
/// (containers §6.2); an import makes them differ, see the importers of the client.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct CatalogedCredential {
    /// The protocol the service speaks, such as `https`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protocol: Option<String>,
    /// The service, such as `ftp.example.com`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// The name to log in with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// The password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<SecretText>,
    /// The data the entry was imported from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub original: Option<Original>,
    /// Members no schema names.
    #[serde(flatten)]
    pub extra: Members,
}

impl CatalogedCredential {
    /// `Protocol:Service`, with nothing in the place of what is missing: `:ftp.example.com`.
    #[must_use]
    pub fn unique_id(&self) -> String {
        protocol_and_service(self.protocol.as_deref(), self.service.as_deref())
    }
}

/// The unique id of credentials and networks.
pub(super) fn protocol_and_service(protocol: Option<&str>, service: Option<&str>) -> String {
    format!(
        "{}:{}",
        protocol.unwrap_or_default(),
        service.unwrap_or_default()
    )
}
