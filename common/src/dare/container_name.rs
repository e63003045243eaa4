//! Names of an account's containers: every spelling the sources use, one canonical form to store
//! under, and the spelling of the request to answer in (service §1.1, containers §6.1 and §7.1,
//! decision Q-29).
//!
//! ```text
//!  mmm/CatalogCalendar  ->  canonical mmm_Task, written mmm/CatalogCalendar, kind Task
//! ```

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::limits::{CONTAINER_NAME_BYTES_MAX, CONTAINER_PREFIX_BYTES_MAX};

/// The prefix of all names that the drafts define.
const MESH_PREFIX: &str = "mmm";
/// What some revisions write before the name of a catalog.
const CATALOG_WORD: &str = "Catalog";

/// A container's name: compared, ordered and hashed by its canonical form alone.
#[derive(Debug, Clone)]
pub struct ContainerName {
    canonical: String,
    /// Only where it differs from the canonical form.
    written: Option<String>,
}

/// What a container is for, as far as its name tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ContainerKind {
    /// The spool of messages received.
    Inbound,
    /// The spool of messages sent.
    Outbound,
    /// The spool of the account's own notices; read by Complete.
    Local,
    /// The spool of messages a person put away.
    Archive,
    /// The catalog of the account's devices.
    Device,
    /// The catalog of contacts.
    Contact,
    /// The catalog of applications.
    Application,
    /// The catalog of credentials.
    Credential,
    /// The catalog of bookmarks.
    Bookmark,
    /// The catalog of tasks, the calendar.
    Task,
    /// The catalog of networks.
    Network,
    /// The catalog of a group's members.
    Member,
    /// Any other name: catalog rules apply to those of its frames that carry an Event (decision
    /// Q-29).
    Unknown,
}

/// How names are written in a list that nobody asked for by name (`names.style`, service §11).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NameStyle {
    /// `mmm_Task`, the canonical form.
    #[default]
    Underscore,
    /// `mmm/Calendar`, as in February and March 2020.
    Slash,
    /// `MMM_Task`, as from October 2020 on.
    Upper,
}

/// A text that names no container: 400/119.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no container can have the name {found:?}")]
pub struct ContainerNameError {
    found: String,
}

/// Every kind with a name of its own, in the order in which a Status lists them (decision Q-23).
const KNOWN: [(ContainerKind, &str); 12] = [
    (ContainerKind::Inbound, "Inbound"),
    (ContainerKind::Outbound, "Outbound"),
    (ContainerKind::Local, "Local"),
    (ContainerKind::Archive, "Archive"),
    (ContainerKind::Device, "Device"),
    (ContainerKind::Contact, "Contact"),
    (ContainerKind::Application, "Application"),
    (ContainerKind::Credential, "Credential"),
    (ContainerKind::Bookmark, "Bookmark"),
    (ContainerKind::Task, "Task"),
    (ContainerKind::Network, "Network"),
    (ContainerKind::Member, "Member"),
];

impl ContainerKind {
    /// Whether the container is read as messages.
    #[must_use]
    pub const fn is_spool(self) -> bool {
        matches!(
            self,
            Self::Inbound | Self::Outbound | Self::Local | Self::Archive
        )
    }

    /// Whether the container is read as objects and every frame needs an Event. False for
    /// [`ContainerKind::Unknown`], whose frames decide one by one (decision Q-29).
    #[must_use]
    pub const fn is_catalog(self) -> bool {
        !self.is_spool() && !matches!(self, Self::Unknown)
    }

    /// The canonical name of this kind, none for [`ContainerKind::Unknown`].
    #[must_use]
    pub fn name(self) -> Option<ContainerName> {
        let (_, word) = KNOWN.iter().find(|(kind, _)| *kind == self)?;
        Some(ContainerName {
            canonical: format!("{MESH_PREFIX}_{word}"),
            written: None,
        })
    }
}

impl ContainerName {
    /// The canonical name of the spool of messages received.
    pub const INBOUND: &'static str = "mmm_Inbound";
    /// The canonical name of the spool of messages sent.
    pub const OUTBOUND: &'static str = "mmm_Outbound";
    /// The canonical name of the spool of own notices.
    pub const LOCAL: &'static str = "mmm_Local";
    /// The canonical name of the spool of messages put away.
    pub const ARCHIVE: &'static str = "mmm_Archive";
    /// The name of the catalog whose entries anybody may fetch who knows where, of hailing accounts.
    pub const PUBLICATION: &'static str = "mmm_Publication";
    /// The canonical name of the catalog of devices.
    pub const DEVICE: &'static str = "mmm_Device";
    /// The canonical name of the catalog of contacts.
    pub const CONTACT: &'static str = "mmm_Contact";

    /// Reads a name in any accepted spelling.
    ///
    /// # Errors
    /// [`ContainerNameError`] for a text that is neither an alias of the tables nor of the form
    /// `[A-Za-z0-9]{1,32}[_/][A-Za-z0-9.-]{1,64}` (decision Q-29), or that holds `..`
    /// (service §1.1).
    pub fn parse(text: &str) -> Result<Self, ContainerNameError> {
        let canonical = canonical_form(text).ok_or_else(|| ContainerNameError {
            found: text.chars().take(100).collect(),
        })?;
        let written = (canonical != text).then(|| text.to_owned());
        Ok(Self { canonical, written })
    }

    /// The name to store under and to compare by.
    #[must_use]
    pub fn canonical(&self) -> &str {
        &self.canonical
    }

    /// The name as it was read, for the answer to who wrote it.
    #[must_use]
    pub fn as_written(&self) -> &str {
        self.written.as_deref().unwrap_or(&self.canonical)
    }

    /// The same name in its canonical spelling, for keeping.
    #[must_use]
    pub fn to_canonical(&self) -> Self {
        Self {
            canonical: self.canonical.clone(),
            written: None,
        }
    }

    /// The name in the spelling of `style`; names outside the Mesh's own are always canonical.
    #[must_use]
    pub fn spelled(&self, style: NameStyle) -> String {
        let word = self.canonical.strip_prefix("mmm_");
        match (style, word) {
            (NameStyle::Slash, Some("Task")) => "mmm/Calendar".to_owned(),
            (NameStyle::Slash, Some(word)) => format!("mmm/{word}"),
            (NameStyle::Upper, Some(word)) => format!("MMM_{word}"),
            _ => self.canonical.clone(),
        }
    }

    /// What the container is for.
    #[must_use]
    pub fn kind(&self) -> ContainerKind {
        self.canonical
            .strip_prefix("mmm_")
            .and_then(kind_of_word)
            .unwrap_or(ContainerKind::Unknown)
    }

    /// Whether the container is read as messages.
    #[must_use]
    pub fn is_spool(&self) -> bool {
        self.kind().is_spool()
    }

    /// A name for the container's file: a letter or digit first, then letters, digits, `.`, `-`
    /// and `_`, so that it stays inside the folder it is put in. Where letters of both cases are
    /// one, the files of two containers still differ: names of unknown kind are written small, with
    /// a number that tells which letters were large.
    #[must_use]
    pub fn file_name(&self) -> String {
        if self.kind() != ContainerKind::Unknown {
            return format!("{}.dare", self.canonical);
        }
        let large = self
            .canonical
            .bytes()
            .enumerate()
            .filter(|(_, octet)| octet.is_ascii_uppercase())
            .fold(0_u128, |mask, (place, _)| mask | 1 << place);
        format!("{}_{large:x}.dare", self.canonical.to_ascii_lowercase())
    }
}

/// The canonical form of `text`, if it is a name.
fn canonical_form(text: &str) -> Option<String> {
    match text {
        "SpoolInbound" => return Some(ContainerName::INBOUND.to_owned()),
        "SpoolOutbound" => return Some(ContainerName::OUTBOUND.to_owned()),
        _ => {}
    }
    let (prefix, word) = text.split_once(['_', '/'])?;
    let well_formed = (1..=CONTAINER_PREFIX_BYTES_MAX).contains(&prefix.len())
        && prefix.bytes().all(|octet| octet.is_ascii_alphanumeric())
        && (1..=CONTAINER_NAME_BYTES_MAX).contains(&word.len())
        && word
            .bytes()
            .all(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'.' | b'-'))
        && !word.contains("..");
    if !well_formed {
        return None;
    }
    if prefix.eq_ignore_ascii_case(MESH_PREFIX) {
        Some(format!("{MESH_PREFIX}_{}", canonical_word(word)))
    } else {
        Some(format!("{prefix}_{word}"))
    }
}

/// The second half of a Mesh name without `Catalog`, and with `Calendar` as `Task`. `Catalog` is
/// not taken from the name of a spool, which is no catalog.
fn canonical_word(word: &str) -> &str {
    let bare = match word.strip_prefix(CATALOG_WORD) {
        Some("") | None => word,
        Some(rest) if kind_of_word(rest).is_some_and(ContainerKind::is_spool) => word,
        Some(rest) => rest,
    };
    if bare == "Calendar" { "Task" } else { bare }
}

fn kind_of_word(word: &str) -> Option<ContainerKind> {
    KNOWN
        .iter()
        .find(|(_, known)| *known == word)
        .map(|(kind, _)| *kind)
}

impl PartialEq for ContainerName {
    fn eq(&self, other: &Self) -> bool {
        self.canonical == other.canonical
    }
}

impl Eq for ContainerName {}

impl PartialOrd for ContainerName {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Kinds in the order of a Status (decision Q-23): Inbound, Outbound, Local, Archive, catalogs,
/// then unknown names; within one kind by text.
impl Ord for ContainerName {
    fn cmp(&self, other: &Self) -> Ordering {
        self.kind()
            .cmp(&other.kind())
            .then_with(|| self.canonical.cmp(&other.canonical))
    }
}

impl Hash for ContainerName {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.canonical.hash(state);
    }
}

impl fmt::Display for ContainerName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.canonical)
    }
}

impl FromStr for ContainerName {
    type Err = ContainerNameError;

    fn from_str(text: &str) -> Result<Self, ContainerNameError> {
        Self::parse(text)
    }
}

/// Writes the canonical form; answers in another spelling use [`ContainerName::as_written`].
impl Serialize for ContainerName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.canonical)
    }
}

impl<'de> Deserialize<'de> for ContainerName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_alias_of_the_tables_has_its_canonical_name() {
        for (written, canonical, kind) in [
            ("mmm_Inbound", "mmm_Inbound", ContainerKind::Inbound),
            ("mmm/Inbound", "mmm_Inbound", ContainerKind::Inbound),
            ("MMM_Inbound", "mmm_Inbound", ContainerKind::Inbound),
            ("SpoolInbound", "mmm_Inbound", ContainerKind::Inbound),
            ("SpoolOutbound", "mmm_Outbound", ContainerKind::Outbound),
            ("mmm/Outbound", "mmm_Outbound", ContainerKind::Outbound),
            ("MMM_Local", "mmm_Local", ContainerKind::Local),
            ("mmm/Archive", "mmm_Archive", ContainerKind::Archive),
            ("mmm_CatalogDevice", "mmm_Device", ContainerKind::Device),
            ("MMM/CatalogDevice", "mmm_Device", ContainerKind::Device),
            ("mmm_CatalogContact", "mmm_Contact", ContainerKind::Contact),
            (
                "Mmm_Application",
                "mmm_Application",
                ContainerKind::Application,
            ),
            (
                "mmm/Credential",
                "mmm_Credential",
                ContainerKind::Credential,
            ),
            (
                "mmm_CatalogBookmark",
                "mmm_Bookmark",
                ContainerKind::Bookmark,
            ),
            ("mmm_CatalogNetwork", "mmm_Network", ContainerKind::Network),
            ("mmm_CatalogTask", "mmm_Task", ContainerKind::Task),
            ("mmm_Calendar", "mmm_Task", ContainerKind::Task),
            ("mmm/Calendar", "mmm_Task", ContainerKind::Task),
            ("mmm_CatalogCalendar", "mmm_Task", ContainerKind::Task),
            ("MMM_Task", "mmm_Task", ContainerKind::Task),
            ("mmm/Member", "mmm_Member", ContainerKind::Member),
            ("mmm_Later", "mmm_Later", ContainerKind::Unknown),
            ("mmm_Catalog", "mmm_Catalog", ContainerKind::Unknown),
            ("mmm_device", "mmm_device", ContainerKind::Unknown),
            (
                "mmm_CatalogInbound",
                "mmm_CatalogInbound",
                ContainerKind::Unknown,
            ),
            ("Acme/plans.2-a", "Acme_plans.2-a", ContainerKind::Unknown),
        ] {
            let name = ContainerName::parse(written).unwrap();
            assert_eq!(name.canonical(), canonical);
            assert_eq!(name.as_written(), written);
            assert_eq!(name.kind(), kind, "{written}");
            assert_eq!(name, ContainerName::parse(canonical).unwrap());
            assert_eq!(name.to_canonical().as_written(), canonical);
        }
    }

    #[test]
    fn other_texts_name_nothing() {
        let long_prefix = format!("{}_a", "a".repeat(33));
        let long_word = format!("mmm_{}", "a".repeat(65));
        for text in [
            "",
            "mmm",
            "mmm_",
            "_Device",
            "mmm__Device",
            "mmm/a/b",
            "mmm/../x",
            "mmm_..",
            "mmm_a..b",
            "mmm_a b",
            "mmm_\u{e9}",
            "m\u{e9}_a",
            "mmm.Device",
            "mmm_Device\n",
            "Spool",
            &long_prefix,
            &long_word,
        ] {
            assert!(ContainerName::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn kinds_and_names_agree_and_sort_as_a_status_lists_them() {
        let names: Vec<_> = KNOWN
            .iter()
            .map(|(kind, _)| kind.name().expect("known kinds have names"))
            .collect();
        assert!(names.is_sorted());
        for (name, (kind, _)) in names.iter().zip(KNOWN) {
            assert_eq!(name.kind(), kind);
            assert_eq!(name.is_spool(), !kind.is_catalog());
        }
        assert_eq!(ContainerKind::Unknown.name(), None);
    }

    #[test]
    fn each_style_is_read_back_as_the_same_name() {
        for (kind, _) in KNOWN {
            let name = kind.name().expect("known kinds have names");
            for style in [NameStyle::Underscore, NameStyle::Slash, NameStyle::Upper] {
                assert_eq!(ContainerName::parse(&name.spelled(style)).unwrap(), name);
            }
        }
        let task = ContainerKind::Task.name().expect("tasks have a name");
        assert_eq!(task.spelled(NameStyle::Slash), "mmm/Calendar");
        assert_eq!(task.spelled(NameStyle::Upper), "MMM_Task");
        assert_eq!(task.file_name(), "mmm_Task.dare");
    }

    #[test]
    fn files_differ_also_where_case_does_not_count() {
        let names = [
            "mmm_Device",
            "mmm_device",
            "mmm_DEVICE",
            "Acme_a",
            "ACME_a",
            "acme_A",
        ];
        let mut files: Vec<String> = names
            .iter()
            .map(|name| ContainerName::parse(name).unwrap().file_name())
            .map(|file| file.to_ascii_lowercase())
            .collect();
        assert_eq!(files[..2], ["mmm_device.dare", "mmm_device_0.dare"]);
        files.sort();
        files.dedup();
        assert_eq!(files.len(), names.len());
        let longest = format!("{}_{}", "Z".repeat(32), "Z".repeat(64));
        assert_eq!(
            ContainerName::parse(&longest).unwrap().file_name().len(),
            128
        );
    }
}
