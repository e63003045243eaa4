//! Web bookmarks. Schema draft §5.5 and §7.4.8.

use serde::{Deserialize, Serialize};

use super::{Members, Original};

/// A page worth finding again. Its unique id is [`path`](Self::path), not its address
/// (containers §6.2), so two bookmarks in one folder have different paths.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct CatalogedBookmark {
    /// The address of the page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uri: Option<String>,
    /// The title shown for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// The folders it lies in and its own name there, separated by `/`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The data the entry was imported from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub original: Option<Original>,
    /// Members no schema names.
    #[serde(flatten)]
    pub extra: Members,
}
