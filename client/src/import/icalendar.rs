//! Calendars: the events, to-dos and journal entries of iCalendar (RFC 5545) become tasks. Each
//! keeps a calendar of its own as its original: the properties of the file's calendar, the time
//! zones it refers to, and the component itself, verbatim.

use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};

use calcard::icalendar::ICalendar;
use mesh_common::catalog::entry::{CatalogEntry, CatalogedTask};

use super::calendar_pieces::{Calendar, Component, Piece, pieces};
use super::collector::{Collector, Record};
use super::content_line::content_lines;
use super::ical_task::{Reading, read_task};
use super::report::{ImportReport, quote};
use super::source::{Source, legible};
use super::vcard::with_line_feeds;

/// Reads an iCalendar file.
pub(super) fn import(source: &Source<'_>, keys: &mut dyn FnMut() -> String) -> ImportReport {
    let mut collector = Collector::new("text/calendar", keys);
    for piece in pieces(source) {
        match piece {
            Piece::Calendar(calendar) => add_calendar(&mut collector, source, &calendar),
            Piece::Stray { line, range } => {
                let octets = &source.octets()[range];
                add_unread(&mut collector, line, octets, "not part of a calendar");
            }
        }
    }
    collector.finish()
}

fn add_unread(collector: &mut Collector<'_>, line: usize, octets: &[u8], why: &str) {
    let kind = CatalogEntry::CatalogedTask(CatalogedTask::default());
    collector.add_unread(kind, line, octets, why);
}

fn add_calendar(collector: &mut Collector<'_>, source: &Source<'_>, calendar: &Calendar) {
    if !calendar.complete {
        collector.kept(
            calendar.line,
            "END",
            "the calendar ends before its last component does",
        );
    }
    let zones: Vec<Zone<'_>> = calendar
        .components
        .iter()
        .filter(|component| component.kind == "VTIMEZONE")
        .map(|component| Zone::of(&source.octets()[component.range.clone()]))
        .collect();
    let mut first = true;
    for component in &calendar.components {
        if component.kind == "VTIMEZONE" {
            continue;
        }
        let octets = source.octets();
        let text = legible(&octets[component.range.clone()]);
        // What no component refers to is kept with the first.
        let needed = |zone: &&Zone<'_>| {
            zone.is_named_in(&text)
                || first
                    && !calendar.components.iter().any(|other| {
                        other.kind != "VTIMEZONE"
                            && zone.is_named_in(&legible(&octets[other.range.clone()]))
                    })
        };
        let zones: Vec<&[u8]> = zones
            .iter()
            .filter(needed)
            .map(|zone| zone.octets)
            .collect();
        let alone = calendar.with_one(octets, &zones, Some(component));
        first = false;
        add_component(collector, component, &alone);
    }
    if first {
        let zones: Vec<&[u8]> = zones.iter().map(|zone| zone.octets).collect();
        let alone = calendar.with_one(source.octets(), &zones, None);
        collector.kept(
            calendar.line,
            quote(&alone),
            "a calendar without events and tasks",
        );
        add_verbatim(collector, calendar.line, &alone);
    }
}

/// A time zone and its name.
struct Zone<'a> {
    octets: &'a [u8],
    name: Option<String>,
}

impl<'a> Zone<'a> {
    fn of(octets: &'a [u8]) -> Self {
        let lines = content_lines(&legible(octets));
        let name = lines
            .into_iter()
            .find(|line| line.name == "TZID")
            .and_then(|line| line.value);
        Self {
            octets,
            name: name.filter(|name| !name.is_empty()),
        }
    }

    /// Whether a component's text has the name. A fold inside the name hides it; such a zone is
    /// kept with the first component.
    fn is_named_in(&self, text: &str) -> bool {
        self.name.as_deref().is_some_and(|name| text.contains(name))
    }
}

/// A component that is no task, kept whole.
fn add_verbatim(collector: &mut Collector<'_>, line: usize, octets: &[u8]) {
    let digest = content_lines(&legible(octets))
        .into_iter()
        .find(|line| line.name == "UID")
        .and_then(|line| line.value)
        .unwrap_or_else(|| quote(octets));
    collector.add(Record {
        entry: CatalogEntry::CatalogedTask(CatalogedTask::default()),
        line,
        octets: Cow::Borrowed(octets),
        source: "iCalendar".to_owned(),
        import_id: format!("ical-other:{digest}"),
    });
}

fn add_component(collector: &mut Collector<'_>, component: &Component, octets: &[u8]) {
    let line = component.line;
    if !component.complete {
        collector.kept(line, component.kind.as_str(), "the component has no END");
    }
    if !matches!(component.kind.as_str(), "VEVENT" | "VTODO" | "VJOURNAL") {
        collector.kept(line, component.kind.as_str(), "a Mesh task cannot say it");
        return add_verbatim(collector, line, octets);
    }
    let text = legible(octets);
    if matches!(text, Cow::Owned(_)) {
        let what = quote(octets);
        collector.kept(line, what, "not UTF-8: read as Windows-1252, octets kept");
    }
    let text = with_line_feeds(&text);
    // A parser's panic over one strange component must not cost the others.
    let read = || {
        ICalendar::parse(text.as_ref())
            .ok()
            .and_then(|calendar| read_task(&calendar, &component.kind, &text))
    };
    let Ok(Some(Reading { task, uid, notes })) = catch_unwind(AssertUnwindSafe(read)) else {
        return add_unread(collector, line, octets, "the component cannot be read");
    };
    for (what, why) in notes {
        collector.kept(line, what, why);
    }
    let mut entry = CatalogedTask::default();
    entry.enclose(&task);
    collector.add(Record {
        entry: CatalogEntry::CatalogedTask(entry),
        line,
        octets: Cow::Borrowed(octets),
        source: "iCalendar".to_owned(),
        import_id: uid,
    });
}
