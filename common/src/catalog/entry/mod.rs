//! What the entries of the catalogs say: contacts, credentials, bookmarks, tasks, networks,
//! applications and members of groups, as JSON with a type tag.
//!
//! A device makes these entries, encrypts them and uploads them; a service reads contacts only,
//! and only when they are encrypted to it too (schema draft §5). The entry of a device is an
//! assertion and lives with the assertions. Schema draft §7.3 and §7.4, crypto §1, containers §6.2.

mod application;
mod bookmark;
mod contact;
mod credential;
mod enclosed;
mod member;
mod network;
mod original;
mod secret;
mod task;

use serde::{Deserialize, Serialize};

use crate::encoding::json::{self, JsonError};

pub use self::application::{
    CatalogedApplication, CatalogedApplicationMail, CatalogedApplicationNetwork,
    CatalogedApplicationSSH, CatalogedGroup, MailKey, MailServer,
};
pub use self::bookmark::CatalogedBookmark;
pub use self::contact::{
    Address, CatalogedContact, CatalogedContactRecryption, Contact, Location, Permission, Role,
};
pub use self::credential::CatalogedCredential;
pub use self::member::CatalogedMember;
pub use self::network::CatalogedNetwork;
pub use self::original::{Members, Original, OriginalText};
pub use self::secret::SecretText;
pub use self::task::{CatalogedTask, Task};

/// The catalog of [`CatalogedContact`], by its canonical name (containers §6.1).
pub const CATALOG_CONTACT: &str = "mmm_Contact";
/// The catalog of [`CatalogedCredential`], by its canonical name.
pub const CATALOG_CREDENTIAL: &str = "mmm_Credential";
/// The catalog of [`CatalogedBookmark`], by its canonical name.
pub const CATALOG_BOOKMARK: &str = "mmm_Bookmark";
/// The catalog of [`CatalogedTask`], by its canonical name.
pub const CATALOG_TASK: &str = "mmm_Task";
/// The catalog of [`CatalogedNetwork`], by its canonical name.
pub const CATALOG_NETWORK: &str = "mmm_Network";
/// The catalog of [`CatalogedApplication`] and its kinds, by its canonical name.
pub const CATALOG_APPLICATION: &str = "mmm_Application";
/// The catalog of [`CatalogedMember`], by its canonical name.
pub const CATALOG_MEMBER: &str = "mmm_Member";

/// An entry that cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum EntryError {
    /// The text is no JSON, has an unknown tag, or a member of another type than the schema's.
    #[error("the catalog entry cannot be read")]
    Unreadable(#[source] JsonError),
    /// The structure inside the envelope of an entry cannot be read.
    #[error("the {tag} inside the catalog entry cannot be read")]
    Enclosed {
        /// The tag the enclosed structure should have.
        tag: &'static str,
        /// What the reader says.
        #[source]
        source: JsonError,
    },
    /// The envelope inside the entry is encrypted; it has to be opened before it is read.
    #[error("the {tag} inside the catalog entry is encrypted")]
    Encrypted {
        /// The tag the enclosed structure should have.
        tag: &'static str,
    },
}

/// One entry of any catalog but the Device catalog, in its tagged form
/// `{"CatalogedContact":{…}}`. An unknown tag and a second member are errors (crypto §1.2).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum CatalogEntry {
    /// A person or an organization.
    CatalogedContact(CatalogedContact),
    /// A contact whose data is encrypted for recryption.
    CatalogedContactRecryption(CatalogedContactRecryption),
    /// A username and password.
    CatalogedCredential(CatalogedCredential),
    /// A Web bookmark.
    CatalogedBookmark(CatalogedBookmark),
    /// An event, a to-do or a note in the calendar.
    CatalogedTask(CatalogedTask),
    /// Settings of a network.
    CatalogedNetwork(CatalogedNetwork),
    /// An application of no particular kind.
    CatalogedApplication(CatalogedApplication),
    /// A group of accounts.
    CatalogedGroup(CatalogedGroup),
    /// An SSH profile.
    CatalogedApplicationSSH(CatalogedApplicationSSH),
    /// A mail account.
    CatalogedApplicationMail(CatalogedApplicationMail),
    /// A network application.
    CatalogedApplicationNetwork(CatalogedApplicationNetwork),
    /// A member of a group.
    CatalogedMember(CatalogedMember),
}

/// Runs one expression on the structure inside whichever kind of entry it is.
macro_rules! each_kind {
    ($entry:expr, $inner:ident => $result:expr) => {
        match $entry {
            CatalogEntry::CatalogedContact($inner) => $result,
            CatalogEntry::CatalogedContactRecryption($inner) => $result,
            CatalogEntry::CatalogedCredential($inner) => $result,
            CatalogEntry::CatalogedBookmark($inner) => $result,
            CatalogEntry::CatalogedTask($inner) => $result,
            CatalogEntry::CatalogedNetwork($inner) => $result,
            CatalogEntry::CatalogedApplication($inner) => $result,
            CatalogEntry::CatalogedGroup($inner) => $result,
            CatalogEntry::CatalogedApplicationSSH($inner) => $result,
            CatalogEntry::CatalogedApplicationMail($inner) => $result,
            CatalogEntry::CatalogedApplicationNetwork($inner) => $result,
            CatalogEntry::CatalogedMember($inner) => $result,
        }
    };
}

impl CatalogEntry {
    /// Reads an entry from its JSON octets.
    ///
    /// # Errors
    /// [`EntryError::Unreadable`]: no JSON, an unknown tag, a second member, a member twice or of
    /// the wrong type.
    pub fn from_json(octets: &[u8]) -> Result<Self, EntryError> {
        json::parse(octets).map_err(EntryError::Unreadable)
    }

    /// Writes the entry as JSON octets: lists omitted when empty, absent members omitted, unknown
    /// members as they were read.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        json::write(self)
    }

    /// The identifier of the object in its catalog (containers §6.2); `None` when the entry lacks
    /// the member that identifies it. Texts compare as exact octets.
    #[must_use]
    pub fn unique_id(&self) -> Option<String> {
        match self {
            Self::CatalogedContact(contact) | Self::CatalogedContactRecryption(contact) => {
                contact.key.clone()
            }
            Self::CatalogedCredential(credential) => Some(credential.unique_id()),
            Self::CatalogedNetwork(network) => Some(network.unique_id()),
            Self::CatalogedBookmark(bookmark) => bookmark.path.clone(),
            Self::CatalogedTask(task) => task.key.clone(),
            Self::CatalogedApplication(application) => application.key.clone(),
            Self::CatalogedGroup(group) => group.key.clone(),
            Self::CatalogedApplicationSSH(ssh) => ssh.key.clone(),
            Self::CatalogedApplicationMail(mail) => mail.key.clone(),
            Self::CatalogedApplicationNetwork(network) => network.key.clone(),
            Self::CatalogedMember(member) => member.udf.clone(),
        }
    }

    /// The type tag the entry is written under.
    #[must_use]
    pub const fn tag(&self) -> &'static str {
        match self {
            Self::CatalogedContact(_) => "CatalogedContact",
            Self::CatalogedContactRecryption(_) => "CatalogedContactRecryption",
            Self::CatalogedCredential(_) => "CatalogedCredential",
            Self::CatalogedBookmark(_) => "CatalogedBookmark",
            Self::CatalogedTask(_) => "CatalogedTask",
            Self::CatalogedNetwork(_) => "CatalogedNetwork",
            Self::CatalogedApplication(_) => "CatalogedApplication",
            Self::CatalogedGroup(_) => "CatalogedGroup",
            Self::CatalogedApplicationSSH(_) => "CatalogedApplicationSSH",
            Self::CatalogedApplicationMail(_) => "CatalogedApplicationMail",
            Self::CatalogedApplicationNetwork(_) => "CatalogedApplicationNetwork",
            Self::CatalogedMember(_) => "CatalogedMember",
        }
    }

    /// The canonical name of the catalog the entry belongs to (containers §6.1).
    #[must_use]
    pub const fn catalog(&self) -> &'static str {
        match self {
            Self::CatalogedContact(_) | Self::CatalogedContactRecryption(_) => CATALOG_CONTACT,
            Self::CatalogedCredential(_) => CATALOG_CREDENTIAL,
            Self::CatalogedBookmark(_) => CATALOG_BOOKMARK,
            Self::CatalogedTask(_) => CATALOG_TASK,
            Self::CatalogedNetwork(_) => CATALOG_NETWORK,
            Self::CatalogedApplication(_)
            | Self::CatalogedGroup(_)
            | Self::CatalogedApplicationSSH(_)
            | Self::CatalogedApplicationMail(_)
            | Self::CatalogedApplicationNetwork(_) => CATALOG_APPLICATION,
            Self::CatalogedMember(_) => CATALOG_MEMBER,
        }
    }

    /// The data the entry was imported from, where it was.
    #[must_use]
    pub fn original(&self) -> Option<&Original> {
        each_kind!(self, inner => inner.original.as_ref())
    }

    /// The place of the data the entry was imported from.
    #[must_use]
    pub fn original_mut(&mut self) -> &mut Option<Original> {
        each_kind!(self, inner => &mut inner.original)
    }

    /// The members no schema names, kept as they were read.
    #[must_use]
    pub fn extra(&self) -> &Members {
        each_kind!(self, inner => &inner.extra)
    }

    /// The place of the members no schema names.
    #[must_use]
    pub fn extra_mut(&mut self) -> &mut Members {
        each_kind!(self, inner => &mut inner.extra)
    }

    /// Whether the entry holds only a further part of the original of another entry
    /// ([`Original::continues`]). Lists shown to people leave such entries out.
    #[must_use]
    pub fn is_continuation(&self) -> bool {
        self.original()
            .is_some_and(|original| original.continues.is_some())
    }
}

#[cfg(test)]
mod tests;
