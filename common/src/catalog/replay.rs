//! Blind replay: the life of each object, (Add Update* Delete)*, read from frame headers without
//! decrypting anything (dare-07 §7.1, containers §6.3). A service checks an upload by the same rule
//! with which a device reads its replica.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::dare::{ContentMeta, Header};
use crate::encoding::json::JsonError;
use crate::limits::UNIQUE_ID_BYTES_MAX;

/// The frames that speak for a living object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntryFrames {
    /// Index of the frame that created this instance of the object.
    pub first: u64,
    /// Index of the frame that holds it now: the live frame.
    pub last: u64,
}

/// What an event does to its object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// The object lives from this frame on: `New`, or `Update` of an object that is not there.
    Create,
    /// The frame replaces the live one.
    Replace,
    /// The object is gone.
    Remove,
}

/// A frame that is no event of its catalog.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EventError {
    /// The content metadata is not readable.
    #[error("the content metadata cannot be read")]
    Unreadable(#[source] JsonError),
    /// Neither `New` nor `Update` nor `Delete`.
    #[error(
        "an entry of a catalog needs the event New, Update or Delete, found {}",
        found.as_deref().unwrap_or("none")
    )]
    BadEvent {
        /// What stands there.
        found: Option<String>,
    },
    /// There is no UniqueID, or an empty one.
    #[error("an entry of a catalog needs a UniqueID")]
    NoUniqueId,
    /// The UniqueID is longer than [`UNIQUE_ID_BYTES_MAX`].
    #[error("the UniqueID has {length} octets, at most {UNIQUE_ID_BYTES_MAX} are allowed")]
    UniqueIdTooLong {
        /// Octets it has.
        length: usize,
    },
    /// The UniqueID holds a control character (decision Q-16).
    #[error("the UniqueID holds a control character")]
    UniqueIdControl,
    /// `New` of an object that is there.
    #[error("the object is there already, in frame {live}")]
    NewExists {
        /// Its live frame.
        live: u64,
    },
    /// `Delete` of an object that is not there.
    #[error("there is no object to delete")]
    DeleteMissing,
    /// `Previous` names another frame than the live one.
    #[error(
        "frame {claimed} is not the live frame of the object, {}",
        live.map_or_else(|| "which is not there".to_owned(), |live| format!("which is {live}"))
    )]
    PreviousDiffers {
        /// The frame that `Previous` names.
        claimed: u64,
        /// The live frame, if the object is there.
        live: Option<u64>,
    },
}

impl EventError {
    /// Whether the frame would be right in another state of the catalog: the sender resynchronizes
    /// and repeats. Otherwise it is refused as it stands (containers §8.4 step 6).
    #[must_use]
    pub const fn is_conflict(&self) -> bool {
        matches!(
            self,
            Self::NewExists { .. } | Self::DeleteMissing | Self::PreviousDiffers { .. }
        )
    }

    /// The short name of the error, as the test vectors have it.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Unreadable(_) => "unreadable",
            Self::BadEvent { .. } => "bad-event",
            Self::NoUniqueId => "no-unique-id",
            Self::UniqueIdTooLong { .. } => "unique-id-too-long",
            Self::UniqueIdControl => "unique-id-control",
            Self::NewExists { .. } => "new-exists",
            Self::DeleteMissing => "delete-missing",
            Self::PreviousDiffers { .. } => "previous-differs",
        }
    }
}

/// Checks one event against the object it is about, `live` if the object is there
/// (containers §6.3, §8.4 step 6). Frame 0 and IsMeta frames are no events and are not asked about
/// (decision Q-38).
///
/// # Errors
/// [`EventError`]; [`EventError::is_conflict`] tells which kind of refusal it is.
pub fn check_event(meta: &ContentMeta, live: Option<EntryFrames>) -> Result<Effect, EventError> {
    unique_id_of(meta)?;
    let effect = match (meta.event.as_deref(), live) {
        (Some("New"), None) | (Some("Update"), None) => Effect::Create,
        (Some("New"), Some(live)) => return Err(EventError::NewExists { live: live.last }),
        (Some("Update"), Some(_)) => Effect::Replace,
        (Some("Delete"), Some(_)) => Effect::Remove,
        (Some("Delete"), None) => return Err(EventError::DeleteMissing),
        (other, _) => {
            return Err(EventError::BadEvent {
                found: other.map(str::to_owned),
            });
        }
    };
    let live = live.map(|frames| frames.last);
    match meta.previous {
        Some(claimed) if Some(claimed) != live => {
            Err(EventError::PreviousDiffers { claimed, live })
        }
        _ => Ok(effect),
    }
}

/// The UniqueID of an entry (containers D9).
///
/// # Errors
/// [`EventError::NoUniqueId`], [`EventError::UniqueIdTooLong`], [`EventError::UniqueIdControl`].
pub fn unique_id_of(meta: &ContentMeta) -> Result<&str, EventError> {
    match meta.unique_id.as_deref() {
        None | Some("") => Err(EventError::NoUniqueId),
        Some(id) if id.len() > UNIQUE_ID_BYTES_MAX => {
            Err(EventError::UniqueIdTooLong { length: id.len() })
        }
        Some(id) if id.chars().any(char::is_control) => Err(EventError::UniqueIdControl),
        Some(id) => Ok(id),
    }
}

/// Which frame speaks for which object, and which frames no longer speak for any.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CatalogIndex {
    live: BTreeMap<String, EntryFrames>,
    /// Delete frames of objects that are gone.
    deleted: BTreeMap<String, u64>,
    superseded: BTreeMap<u64, u64>,
}

impl CatalogIndex {
    /// The index of a catalog without entries.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            live: BTreeMap::new(),
            deleted: BTreeMap::new(),
            superseded: BTreeMap::new(),
        }
    }

    /// Checks the frame of an entry without changing anything.
    ///
    /// # Errors
    /// [`EventError`], as [`check_event`].
    pub fn check(&self, meta: &ContentMeta) -> Result<Effect, EventError> {
        check_event(meta, self.live(unique_id_of(meta)?))
    }

    /// Replays one frame by its header; frame 0 and IsMeta frames say nothing.
    ///
    /// # Errors
    /// [`EventError`]. The replay goes on as a reader must: an object created twice is the newer
    /// one, a stale `Previous` is overlooked, what cannot be understood changes nothing.
    pub fn replay(&mut self, index: u64, header: &Header) -> Result<(), EventError> {
        let is_meta = header
            .container_info
            .as_ref()
            .is_some_and(|info| info.is_meta == Some(true));
        if index == 0 || is_meta {
            return Ok(());
        }
        let meta = header.content_meta().map_err(EventError::Unreadable)?;
        self.replay_meta(index, &meta)
    }

    /// Replays one event by its content metadata.
    ///
    /// # Errors
    /// As [`CatalogIndex::replay`].
    pub fn replay_meta(&mut self, index: u64, meta: &ContentMeta) -> Result<(), EventError> {
        let id = unique_id_of(meta)?;
        let outcome = check_event(meta, self.live(id));
        match &outcome {
            Ok(effect) => self.apply(index, id, *effect),
            Err(EventError::NewExists { .. }) => self.apply(index, id, Effect::Create),
            Err(EventError::PreviousDiffers { .. }) => {
                let found = self.live(id);
                let stale = ContentMeta {
                    previous: None,
                    ..meta.clone()
                };
                if let Ok(effect) = check_event(&stale, found) {
                    self.apply(index, id, effect);
                }
            }
            Err(_) => {}
        }
        outcome.map(|_| ())
    }

    /// Applies an event that was checked.
    pub fn apply(&mut self, index: u64, unique_id: &str, effect: Effect) {
        let before = self
            .live
            .get(unique_id)
            .map(|frames| frames.last)
            .or_else(|| self.deleted.get(unique_id).copied());
        if let Some(before) = before {
            self.superseded.insert(before, index);
        }
        match effect {
            Effect::Create => {
                self.deleted.remove(unique_id);
                let frames = EntryFrames {
                    first: index,
                    last: index,
                };
                self.live.insert(unique_id.to_owned(), frames);
            }
            Effect::Replace => {
                if let Some(frames) = self.live.get_mut(unique_id) {
                    frames.last = index;
                }
            }
            Effect::Remove => {
                self.live.remove(unique_id);
                self.deleted.insert(unique_id.to_owned(), index);
            }
        }
    }

    /// The frames of a living object.
    #[must_use]
    pub fn live(&self, unique_id: &str) -> Option<EntryFrames> {
        self.live.get(unique_id).copied()
    }

    /// All living objects, by UniqueID.
    pub fn entries(&self) -> impl ExactSizeIterator<Item = (&str, EntryFrames)> {
        self.live.iter().map(|(id, frames)| (id.as_str(), *frames))
    }

    /// Frames that a later event of the same object replaced, each with the index of that event:
    /// their payloads may be redacted (containers §10.2).
    pub fn superseded(&self) -> impl Iterator<Item = (u64, u64)> {
        self.superseded.iter().map(|(frame, by)| (*frame, *by))
    }

    /// Number of living objects.
    #[must_use]
    pub fn len(&self) -> usize {
        self.live.len()
    }

    /// Whether no object lives.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.live.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(id: &str, event: &str, previous: Option<u64>) -> ContentMeta {
        ContentMeta {
            unique_id: Some(id.to_owned()),
            event: Some(event.to_owned()),
            previous,
            ..ContentMeta::default()
        }
    }

    #[test]
    fn an_object_is_added_changed_deleted_and_added_again() {
        let mut index = CatalogIndex::new();
        index.replay_meta(1, &event("a", "New", None)).unwrap();
        index
            .replay_meta(2, &event("a", "Update", Some(1)))
            .unwrap();
        assert_eq!(index.live("a"), Some(EntryFrames { first: 1, last: 2 }));
        index
            .replay_meta(3, &event("a", "Delete", Some(2)))
            .unwrap();
        assert_eq!(index.live("a"), None);
        assert_eq!(index.superseded().collect::<Vec<_>>(), [(1, 2), (2, 3)]);
        index.replay_meta(4, &event("a", "New", None)).unwrap();
        assert_eq!(index.live("a"), Some(EntryFrames { first: 4, last: 4 }));
        assert_eq!(
            index.superseded().collect::<Vec<_>>(),
            [(1, 2), (2, 3), (3, 4)]
        );
        assert_eq!(index.len(), 1);
    }

    #[test]
    fn what_depends_on_the_state_is_a_conflict_and_the_rest_is_not() {
        let live = Some(EntryFrames { first: 1, last: 2 });
        for (meta, live, name, conflict) in [
            (event("a", "New", None), live, "new-exists", true),
            (event("a", "Delete", None), None, "delete-missing", true),
            (
                event("a", "Update", Some(1)),
                live,
                "previous-differs",
                true,
            ),
            (
                event("a", "Update", Some(1)),
                None,
                "previous-differs",
                true,
            ),
            (event("a", "New", Some(1)), None, "previous-differs", true),
            (event("a", "Erase", None), live, "bad-event", false),
            (event("a", "new", None), None, "bad-event", false),
            (event("", "New", None), None, "no-unique-id", false),
            (ContentMeta::default(), None, "no-unique-id", false),
            (event("a\nb", "New", None), None, "unique-id-control", false),
            (
                event(&"x".repeat(1_025), "New", None),
                None,
                "unique-id-too-long",
                false,
            ),
        ] {
            let error = check_event(&meta, live).unwrap_err();
            assert_eq!((error.name(), error.is_conflict()), (name, conflict));
        }
        assert_eq!(
            check_event(&event(&"x".repeat(1_024), "Update", None), None),
            Ok(Effect::Create)
        );
        assert_eq!(
            check_event(&event("a", "Update", Some(2)), live),
            Ok(Effect::Replace)
        );
    }

    #[test]
    fn reading_goes_on_after_a_wrong_event() {
        let mut index = CatalogIndex::new();
        index.replay_meta(1, &event("a", "New", None)).unwrap();
        assert!(
            index
                .replay_meta(2, &event("a", "Update", Some(9)))
                .is_err()
        );
        assert_eq!(index.live("a"), Some(EntryFrames { first: 1, last: 2 }));
        assert!(index.replay_meta(3, &event("b", "Delete", None)).is_err());
        assert!(index.replay_meta(4, &ContentMeta::default()).is_err());
        assert!(
            index
                .replay_meta(5, &event("a", "Delete", Some(1)))
                .is_err()
        );
        assert!(index.is_empty());
    }

    #[test]
    fn frame_zero_and_meta_frames_say_nothing() {
        let mut index = CatalogIndex::new();
        let mut header = Header::default().with_content_meta(&event("a", "New", None));
        index.replay(0, &header).unwrap();
        assert!(index.is_empty());
        header.container_info = Some(crate::dare::ContainerInfo {
            is_meta: Some(true),
            ..crate::dare::ContainerInfo::default()
        });
        index.replay(1, &header).unwrap();
        assert!(index.is_empty());
        header.container_info = None;
        index.replay(2, &header).unwrap();
        assert_eq!(index.len(), 1);
        header.content_meta_data = Some(b"{"[..].into());
        assert_eq!(index.replay(3, &header).unwrap_err().name(), "unreadable");
    }
}
