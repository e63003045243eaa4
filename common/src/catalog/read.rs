//! A catalog as its owner sees it: the living entries, decrypted and parsed. What cannot be read is
//! told with its reason, never dropped (containers §6.3).

use super::entry::CatalogEntry;
use super::replay::{CatalogIndex, EntryFrames, EventError};
use crate::dare::Envelope;
use crate::encoding::json::{self, JsonError};

/// The living entries of a catalog.
#[derive(Debug)]
pub struct CatalogRead<T, E> {
    /// Each living entry with its UniqueID and frames, by UniqueID.
    pub entries: Vec<(String, EntryFrames, T)>,
    /// Living entries that could not be read.
    pub unreadable: Vec<UnreadableEntry<E>>,
    /// Frames that are no events of this catalog, by index. The entries are what remains when
    /// reading goes on behind them.
    pub misfits: Vec<(u64, EventError)>,
}

/// A living entry that could not be read.
#[derive(Debug, thiserror::Error)]
pub enum UnreadableEntry<E> {
    /// The frame could not be opened.
    #[error("frame {frame} with {unique_id:?} cannot be opened")]
    Closed {
        /// UniqueID of the entry.
        unique_id: String,
        /// Index of its live frame.
        frame: u64,
        /// What the one who opens frames says.
        #[source]
        cause: E,
    },
    /// The frame is open, but it is no entry of the kind that was asked for.
    #[error("frame {frame} with {unique_id:?} is no entry of this catalog")]
    Malformed {
        /// UniqueID of the entry.
        unique_id: String,
        /// Index of its live frame.
        frame: u64,
        /// What the reader says.
        #[source]
        cause: JsonError,
    },
}

/// Reads a whole catalog, its frames from frame 0 on. `open` gives the plaintext of an envelope;
/// it is asked for live frames only. Entries are [`CatalogEntry`] or any other type with a tag,
/// such as that of the Device catalog.
pub fn read_catalog<T, P, E>(
    frames: &[Envelope],
    mut open: impl FnMut(&Envelope) -> Result<P, E>,
) -> CatalogRead<T, E>
where
    T: serde::de::DeserializeOwned,
    P: AsRef<[u8]>,
{
    let mut index = CatalogIndex::new();
    let mut misfits = Vec::new();
    for (number, frame) in (0..).zip(frames) {
        if let Err(error) = index.replay(number, &frame.header) {
            misfits.push((number, error));
        }
    }
    let mut entries = Vec::with_capacity(index.len());
    let mut unreadable = Vec::new();
    for (unique_id, of) in index.entries() {
        let unique_id = unique_id.to_owned();
        let Some(frame) = usize::try_from(of.last).ok().and_then(|at| frames.get(at)) else {
            continue;
        };
        match open(frame).map(|text| json::parse(text.as_ref())) {
            Ok(Ok(entry)) => entries.push((unique_id, of, entry)),
            Ok(Err(cause)) => unreadable.push(UnreadableEntry::Malformed {
                unique_id,
                frame: of.last,
                cause,
            }),
            Err(cause) => unreadable.push(UnreadableEntry::Closed {
                unique_id,
                frame: of.last,
                cause,
            }),
        }
    }
    CatalogRead {
        entries,
        unreadable,
        misfits,
    }
}

/// A catalog of the kinds that [`CatalogEntry`] knows.
pub type EntriesRead<E> = CatalogRead<CatalogEntry, E>;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dare::{ContentMeta, Header};

    fn frame(id: &str, event: &str, payload: &[u8]) -> Envelope {
        let meta = ContentMeta {
            unique_id: Some(id.to_owned()),
            event: Some(event.to_owned()),
            ..ContentMeta::default()
        };
        Envelope {
            header: Header::default().with_content_meta(&meta),
            payload: payload.into(),
            trailer: None,
        }
    }

    #[test]
    fn living_entries_are_read_and_the_others_are_told() {
        let bookmark = br#"{"CatalogedBookmark":{"Path":"a","Uri":"https://example.com/"}}"#;
        let frames = [
            Envelope::default(),
            frame("gone", "New", b"never opened"),
            frame("a", "New", bookmark),
            frame("locked", "New", b"locked"),
            frame("gone", "Delete", b""),
            frame("odd", "New", b"{\"Surprise\":{}}"),
            frame("odd", "Erase", b""),
        ];
        let read: EntriesRead<String> =
            read_catalog(&frames, |frame| match frame.payload.as_ref() {
                b"locked" => Err("no key".to_owned()),
                other => Ok(other.to_vec()),
            });
        assert_eq!(read.entries.len(), 1);
        let (id, of, entry) = &read.entries[0];
        assert_eq!((id.as_str(), of.last), ("a", 2));
        assert_eq!(entry.unique_id().as_deref(), Some("a"));
        assert!(matches!(
            &read.unreadable[..],
            [
                UnreadableEntry::Closed { frame: 3, .. },
                UnreadableEntry::Malformed { frame: 5, .. }
            ]
        ));
        assert!(matches!(
            read.misfits[..],
            [(6, EventError::BadEvent { .. })]
        ));
    }
}
