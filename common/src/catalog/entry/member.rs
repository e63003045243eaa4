//! Members of groups. Schema draft §7.4.11. Groups themselves are carried, not run (decision Q-40).

use serde::{Deserialize, Serialize};

use super::{Members, Original};

/// A member of a group. Its unique id is [`udf`](Self::udf).
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct CatalogedMember {
    /// The fingerprint of the member's profile.
    #[serde(rename = "UDF", skip_serializing_if = "Option::is_none")]
    pub udf: Option<String>,
    /// The data the entry was imported from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub original: Option<Original>,
    /// Members no schema names.
    #[serde(flatten)]
    pub extra: Members,
}
