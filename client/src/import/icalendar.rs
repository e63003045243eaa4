//! Calendars: the events, to-dos and journal entries of iCalendar (RFC 5545) become tasks. Each
//! keeps a calendar of its own as its original: the properties of the file's calendar, the time
//! zones it refers to, and the component itself, verbatim.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
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
    let octets = source.octets();
    if !calendar.complete {
        let why = "the calendar ends before its last component does";
        collector.kept(calendar.line, "END", why);
    }
    let (zones, tasks): (Vec<&Component>, Vec<&Component>) = calendar
        .components
        .iter()
        .partition(|component| component.kind == "VTIMEZONE");
    let mut frame = Frame::new(octets, calendar, &zones);
    let names: Vec<HashSet<String>> = tasks
        .iter()
        .map(|task| zones_named_in(&octets[task.range.clone()]))
        .collect();
    let unnamed = frame.zones_without(&names);
    for (index, (task, names)) in tasks.iter().zip(&names).enumerate() {
        // What no component refers to is kept with the first.
        let others: &[usize] = if index == 0 { &unnamed } else { &[] };
        let around = frame.around(collector, names, others);
        add_component(
            collector,
            task,
            &calendar.with_one(octets, &around, Some(task)),
        );
    }
    let rest = frame.rest();
    if !rest.is_empty() {
        let alone = calendar.with_one(octets, &rest, None);
        collector.kept(
            calendar.line,
            quote(&rest.concat()),
            "kept in an entry of its own",
        );
        add_verbatim(collector, calendar.line, &alone);
    }
}

/// What stands around the components of a calendar: its own properties, and its time zones.
struct Frame<'a> {
    /// Properties first, then time zones; and whether an original has the piece.
    pieces: Vec<(&'a [u8], bool)>,
    /// How many of the pieces are properties.
    properties: usize,
    /// Time zones by name.
    zones: HashMap<String, Vec<usize>>,
}

impl<'a> Frame<'a> {
    fn new(octets: &'a [u8], calendar: &Calendar, zones: &[&Component]) -> Self {
        let mut frame = Self {
            pieces: Vec::new(),
            properties: 0,
            zones: HashMap::new(),
        };
        let properties = calendar
            .properties
            .iter()
            .map(|range| &octets[range.clone()]);
        frame.pieces.extend(properties.map(|piece| (piece, false)));
        frame.properties = frame.pieces.len();
        for zone in zones {
            let piece = &octets[zone.range.clone()];
            let lines = content_lines(&legible(piece));
            let name = lines.into_iter().find(|line| line.name == "TZID");
            let name = name.and_then(|line| line.value).unwrap_or_default();
            frame
                .zones
                .entry(name)
                .or_default()
                .push(frame.pieces.len());
            frame.pieces.push((piece, false));
        }
        frame
    }

    /// The time zones that no component names, in the order of the file.
    fn zones_without(&self, names: &[HashSet<String>]) -> Vec<usize> {
        let named: HashSet<&String> = names.iter().flatten().collect();
        let zones = self.zones.iter().filter(|(name, _)| !named.contains(name));
        let mut without: Vec<usize> = zones.flat_map(|(_, places)| places).copied().collect();
        without.sort_unstable();
        without
    }

    /// What the original of a component needs to be read alone; nothing, once originals repeat
    /// too much.
    fn around(
        &mut self,
        collector: &mut Collector<'_>,
        names: &HashSet<String>,
        others: &[usize],
    ) -> Vec<&'a [u8]> {
        let named = names
            .iter()
            .filter_map(|name| self.zones.get(name))
            .flatten();
        let mut places: Vec<usize> = (0..self.properties)
            .chain(named.copied())
            .chain(others.iter().copied())
            .collect();
        places.sort_unstable();
        let bytes = places.iter().map(|place| self.pieces[*place].0.len()).sum();
        if !collector.may_repeat(bytes) {
            return Vec::new();
        }
        places
            .into_iter()
            .map(|place| {
                self.pieces[place].1 = true;
                self.pieces[place].0
            })
            .collect()
    }

    /// The pieces that no original has.
    fn rest(&self) -> Vec<&'a [u8]> {
        let rest = self.pieces.iter().filter(|(_, kept)| !kept);
        rest.map(|(piece, _)| *piece).collect()
    }
}

/// The time zones that the properties of a component name.
fn zones_named_in(component: &[u8]) -> HashSet<String> {
    let lines = content_lines(&legible(component));
    lines
        .iter()
        .flat_map(|line| line.parameters.split(';'))
        .filter_map(|parameter| parameter.split_once('='))
        .filter(|(name, _)| name.trim().eq_ignore_ascii_case("TZID"))
        .map(|(_, zone)| zone.trim().trim_matches('"').to_owned())
        .collect()
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
