//! The seven kinds of entries a person handles, by the words of the command line, and the catalogs
//! they live in (containers §6.1). SSH profiles and mail accounts share the catalog of
//! applications.

use mesh_common::catalog::entry::{
    CATALOG_APPLICATION, CATALOG_BOOKMARK, CATALOG_CONTACT, CATALOG_CREDENTIAL, CATALOG_NETWORK,
    CATALOG_TASK, CatalogEntry,
};
use serde::Serialize;

/// A kind of entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum EntryKind {
    /// People and organizations.
    Contact,
    /// Usernames and passwords.
    Password,
    /// Pages.
    Bookmark,
    /// Events and things to be done.
    Task,
    /// Access to networks.
    Network,
    /// SSH profiles.
    Ssh,
    /// Mail accounts.
    Mail,
}

impl EntryKind {
    /// All of them, in the order of the command line.
    pub const ALL: [Self; 7] = [
        Self::Contact,
        Self::Password,
        Self::Bookmark,
        Self::Task,
        Self::Network,
        Self::Ssh,
        Self::Mail,
    ];

    /// The canonical name of the catalog.
    #[must_use]
    pub const fn catalog(self) -> &'static str {
        match self {
            Self::Contact => CATALOG_CONTACT,
            Self::Password => CATALOG_CREDENTIAL,
            Self::Bookmark => CATALOG_BOOKMARK,
            Self::Task => CATALOG_TASK,
            Self::Network => CATALOG_NETWORK,
            Self::Ssh | Self::Mail => CATALOG_APPLICATION,
        }
    }

    /// The kind of `entry`; none for applications, groups and members that no command handles.
    #[must_use]
    pub const fn of(entry: &CatalogEntry) -> Option<Self> {
        match entry {
            CatalogEntry::CatalogedContact(_) | CatalogEntry::CatalogedContactRecryption(_) => {
                Some(Self::Contact)
            }
            CatalogEntry::CatalogedCredential(_) => Some(Self::Password),
            CatalogEntry::CatalogedBookmark(_) => Some(Self::Bookmark),
            CatalogEntry::CatalogedTask(_) => Some(Self::Task),
            CatalogEntry::CatalogedNetwork(_) => Some(Self::Network),
            CatalogEntry::CatalogedApplicationSSH(_) => Some(Self::Ssh),
            CatalogEntry::CatalogedApplicationMail(_) => Some(Self::Mail),
            CatalogEntry::CatalogedApplication(_)
            | CatalogEntry::CatalogedGroup(_)
            | CatalogEntry::CatalogedApplicationNetwork(_)
            | CatalogEntry::CatalogedMember(_) => None,
        }
    }

    /// The word of the command line.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Contact => "contact",
            Self::Password => "password",
            Self::Bookmark => "bookmark",
            Self::Task => "task",
            Self::Network => "network",
            Self::Ssh => "ssh",
            Self::Mail => "mail",
        }
    }
}

impl std::fmt::Display for EntryKind {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.word())
    }
}
