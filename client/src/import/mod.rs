//! Imports: files of other programs become entries of catalogs.
//!
//! ```text
//! octets ─▶ source ─▶ vcard │ icalendar │ bookmarks │ logins ─▶ collector ─▶ ImportReport
//!           UTF-8,     records of one format, read              entries with originals, notes
//!           lines                                                    │
//!                              entries already in the catalog ─▶ reconcile ─▶ what to upload
//! ```
//!
//! Three promises: nothing of the input is lost (what the members of an entry cannot say is in
//! its [`Original`](mesh_common::catalog::entry::Original) and in a note); the same input and the
//! same keys give the same entries; and no input can make an import panic. Schema draft §5:
//! entries are "a superset of the data representation capabilities of the legacy formats".

mod bookmark_pieces;
mod bookmarks;
mod calendar_pieces;
mod collector;
mod content_line;
mod ical_task;
mod icalendar;
mod identity;
pub mod limits;
mod login_dialects;
mod logins;
mod moment;
mod reconcile;
mod report;
mod source;
mod vcard;
mod vcard_contact;
mod web_origin;

pub use self::collector::original_octets;
use self::limits::FILE_BYTES_MAX;
pub use self::reconcile::{Change, reconcile};
pub use self::report::{ImportReport, ImportedEntry, Note, Tally};
use self::source::Source;

/// The formats that can be imported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// vCard 3.0 and 4.0, and 2.1 as far as it goes: contacts.
    VCard,
    /// iCalendar: tasks.
    ICalendar,
    /// The Netscape bookmark file: bookmarks.
    Bookmarks,
    /// CSV exports of browsers and password managers: credentials.
    Logins,
}

/// A file that is not imported at all.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The file is larger than an address book can be; split it and import the pieces.
    #[error("the file has {found_bytes} octets and at most {FILE_BYTES_MAX} are imported at once")]
    TooLarge {
        /// Its size.
        found_bytes: usize,
    },
    /// Nobody said what the file is, and it does not show it.
    #[error(
        "the file is no vCard, iCalendar or bookmark file, and no CSV file with a known header; \
         known headers: {recognized}"
    )]
    UnknownFormat {
        /// The headers that are recognized.
        recognized: String,
    },
    /// The first row of a CSV file names no columns of any program we know.
    #[error("the header row is not of a program we know; known headers: {recognized}")]
    UnknownHeader {
        /// The headers that are recognized.
        recognized: String,
    },
}

/// Reads a file. `format` is `None` where the file should show it itself; `keys` gives the random
/// nonce UDFs that contacts and tasks are called by, a new one at each call.
///
/// # Errors
/// [`ImportError`]: the file as a whole cannot be imported, and nothing was read.
pub fn import(
    file: &[u8],
    format: Option<Format>,
    keys: &mut dyn FnMut() -> String,
) -> Result<ImportReport, ImportError> {
    if file.len() > FILE_BYTES_MAX {
        return Err(ImportError::TooLarge {
            found_bytes: file.len(),
        });
    }
    let source = Source::new(file);
    if source.is_blank() {
        return Ok(ImportReport::default());
    }
    let unknown = || ImportError::UnknownFormat {
        recognized: login_dialects::recognized_list(),
    };
    match format.or_else(|| recognize(&source)).ok_or_else(unknown)? {
        Format::VCard => Ok(vcard::import(&source, keys)),
        Format::ICalendar => Ok(icalendar::import(&source, keys)),
        Format::Bookmarks => Ok(bookmarks::import(&source, keys)),
        Format::Logins => logins::import(&source, keys),
    }
}

/// The format a file shows itself to have.
#[must_use]
pub fn recognize_format(file: &[u8]) -> Option<Format> {
    recognize(&Source::new(file))
}

fn recognize(source: &Source<'_>) -> Option<Format> {
    /// Lines that are looked at before a file counts as unknown.
    const LINES_MAX: usize = 100;
    let by_line = source.lines().take(LINES_MAX).find_map(|line| {
        let component = content_line::marked(line.trimmed(), "BEGIN")?.to_ascii_uppercase();
        match component.as_str() {
            "VCARD" => Some(Format::VCard),
            "VCALENDAR" | "VEVENT" | "VTODO" | "VJOURNAL" => Some(Format::ICalendar),
            _ => None,
        }
    });
    let start = source.octets().trim_ascii_start();
    let start = start[..start.len().min(1_024)].to_ascii_lowercase();
    let has = |tag: &[u8]| start.windows(tag.len()).any(|window| window == tag);
    let is_html = start.starts_with(b"<");
    by_line
        .or_else(|| logins::is_recognized(source))
        .or_else(|| {
            (is_html && (has(b"netscape-bookmark-file") || has(b"<dl") || has(b"<dt")))
                .then_some(Format::Bookmarks)
        })
}

#[cfg(test)]
mod tests;
