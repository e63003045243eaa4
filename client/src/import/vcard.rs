//! Address books: vCard 3.0 (RFC 2426) and 4.0 (RFC 6350) become contacts. vCard 2.1 is read as
//! far as the same rules go. Every card is kept verbatim beside what its entry says of it.

use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};

use calcard::vcard::{VCard, VCardVersion};
use mesh_common::catalog::entry::{CatalogEntry, CatalogedContact};

use super::collector::{Collector, Record};
use super::content_line::{content_lines, marks};
use super::report::{ImportReport, quote};
use super::source::{Source, is_blank, legible};
use super::vcard_contact::{Reading, read_contact};

/// A stretch of the file.
enum Piece {
    /// From BEGIN:VCARD to its END, or to where the next card starts.
    Card { complete: bool },
    /// Anything else that is not blank.
    Stray,
}

/// Where a piece lies.
struct Place {
    line: usize,
    start: usize,
    end: usize,
    piece: Piece,
}

/// Reads a vCard file.
pub(super) fn import(source: &Source<'_>, keys: &mut dyn FnMut() -> String) -> ImportReport {
    let mut collector = Collector::new("text/vcard", keys);
    for place in pieces(source) {
        let octets = &source.octets()[place.start..place.end];
        match place.piece {
            Piece::Card { complete } => {
                if !complete {
                    collector.kept(place.line, quote(octets), "the card has no END:VCARD");
                }
                add_card(&mut collector, place.line, octets);
            }
            Piece::Stray => add_unread(&mut collector, place.line, octets, "not part of a card"),
        }
    }
    collector.finish()
}

/// Cuts the file into cards and what lies between them. A card inside a card is part of it when
/// an AGENT asks for it (vCard 2.1); otherwise the first card was cut off and ends there.
fn pieces(source: &Source<'_>) -> Vec<Place> {
    let mut places: Vec<Place> = Vec::new();
    let (mut depth, mut agent) = (0_usize, false);
    for line in source.lines() {
        let text = line.trimmed();
        let begins = marks(text, "BEGIN", Some("VCARD"));
        if begins && depth > 0 && agent {
            depth += 1;
        } else if begins {
            depth = 1;
            let piece = Piece::Card { complete: false };
            places.push(Place {
                line: line.number,
                start: line.start,
                end: line.end(),
                piece,
            });
            continue;
        }
        agent = if text.is_empty() {
            agent
        } else {
            is_agent(text)
        };
        match places.last_mut() {
            Some(place) if depth > 0 => {
                place.end = line.end();
                if marks(text, "END", Some("VCARD")) {
                    depth -= 1;
                    place.piece = Piece::Card {
                        complete: depth == 0,
                    };
                }
            }
            _ if is_blank(text) => {}
            Some(place) if matches!(place.piece, Piece::Stray) => place.end = line.end(),
            _ => places.push(Place {
                line: line.number,
                start: line.start,
                end: line.end(),
                piece: Piece::Stray,
            }),
        }
    }
    places
}

/// Whether the line announces a card inside the card.
fn is_agent(line: &[u8]) -> bool {
    line.len() >= 5 && line[..5].eq_ignore_ascii_case(b"AGENT") && line.ends_with(b":")
}

fn add_unread(collector: &mut Collector<'_>, line: usize, octets: &[u8], why: &str) {
    let kind = CatalogEntry::CatalogedContact(CatalogedContact::default());
    collector.add_unread(kind, line, octets, why);
}

fn add_card(collector: &mut Collector<'_>, line: usize, octets: &[u8]) {
    let text = legible(octets);
    if matches!(text, Cow::Owned(_)) {
        collector.kept(
            line,
            quote(octets),
            "not UTF-8: read as Windows-1252, octets kept",
        );
    }
    let text = with_line_feeds(&text);
    // A parser's panic over one strange card must not cost the others.
    let Ok(Ok(card)) = catch_unwind(AssertUnwindSafe(|| VCard::parse(text.as_ref()))) else {
        return add_unread(collector, line, octets, "the card cannot be read");
    };
    let Reading {
        contact,
        version,
        notes,
    } = read_contact(&card);
    if version <= VCardVersion::V2_1 {
        collector.kept(line, "VERSION:2.1", "read by the rules of vCard 3.0");
    } else {
        note_lines_without_value(collector, line, &text);
    }
    for (what, why) in notes {
        collector.kept(line, what, why);
    }
    let import_id = match (&contact.identifier, contact.addresses.first()) {
        (Some(uid), _) => format!("vcard:{uid}"),
        (None, address) => format!(
            "vcard: {} {}",
            contact.full_name.as_deref().unwrap_or_default(),
            address
                .and_then(|address| address.uri.as_deref())
                .unwrap_or_default()
        ),
    };
    let mut entry = CatalogedContact::default();
    entry.enclose(&contact);
    collector.add(Record {
        entry: CatalogEntry::CatalogedContact(entry),
        line,
        octets: Cow::Borrowed(octets),
        source: format!("vCard {}", version_text(version)),
        import_id,
    });
}

/// The parser ends lines at LF only.
pub(super) fn with_line_feeds(text: &str) -> Cow<'_, str> {
    if text.contains('\n') {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(text.replace('\r', "\n"))
    }
}

/// Lines such as `what is this`, which a reader of cards passes over.
fn note_lines_without_value(collector: &mut Collector<'_>, line: usize, text: &str) {
    for content in content_lines(text) {
        if content.value.is_none() {
            collector.kept(
                line,
                quote(content.name.as_bytes()),
                "a line without a value",
            );
        }
    }
}

const fn version_text(version: VCardVersion) -> &'static str {
    match version {
        VCardVersion::V2_0 => "2.0",
        VCardVersion::V2_1 => "2.1",
        VCardVersion::V3_0 => "3.0",
        VCardVersion::V4_0 => "4.0",
    }
}
