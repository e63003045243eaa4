//! Cuts an iCalendar file into calendars and their components, whatever is missing at the end of
//! either. RFC 5545 §3.4 and §3.6.

use std::ops::Range;

use super::content_line::{line_end_of, marked};
use super::source::{Source, is_blank};

/// A stretch of the file.
#[derive(Debug)]
pub(super) enum Piece {
    /// A VCALENDAR, or a component that stands alone.
    Calendar(Calendar),
    /// Anything else that is not blank.
    Stray {
        /// Where it starts.
        line: usize,
        /// Its octets.
        range: Range<usize>,
    },
}

/// One VCALENDAR.
#[derive(Debug, Default)]
pub(super) struct Calendar {
    /// Where it starts.
    pub(super) line: usize,
    /// Its own properties: each a range of lines.
    pub(super) properties: Vec<Range<usize>>,
    /// Its components.
    pub(super) components: Vec<Component>,
    /// Whether it ends with END:VCALENDAR, all components ended before.
    pub(super) complete: bool,
    /// Whether it has a BEGIN:VCALENDAR at all.
    wrapped: bool,
}

/// One component of a calendar, sub-components included.
#[derive(Debug)]
pub(super) struct Component {
    /// Its name in upper case.
    pub(super) kind: String,
    /// Where it starts.
    pub(super) line: usize,
    /// Its octets.
    pub(super) range: Range<usize>,
    /// Whether it has an END of its own.
    pub(super) complete: bool,
}

/// Components that never stand inside another one.
const OUTERMOST: [&str; 6] = [
    "VEVENT",
    "VTODO",
    "VJOURNAL",
    "VFREEBUSY",
    "VTIMEZONE",
    "VAVAILABILITY",
];

impl Calendar {
    /// A calendar with one component and what it needs around it, as octets that can be read
    /// alone.
    pub(super) fn with_one(
        &self,
        octets: &[u8],
        around: &[&[u8]],
        component: Option<&Component>,
    ) -> Vec<u8> {
        let mut alone = Vec::new();
        let first = component.map_or(0, |component| component.range.start);
        let line_end = line_end_of(&octets[first..]);
        let mut add = |text: &[u8]| {
            alone.extend_from_slice(text);
            if !text.ends_with(b"\n") && !text.ends_with(b"\r") {
                alone.extend_from_slice(line_end);
            }
        };
        add(b"BEGIN:VCALENDAR");
        for piece in around {
            add(piece);
        }
        if let Some(component) = component {
            add(&octets[component.range.clone()]);
            if !component.complete {
                add(format!("END:{}", component.kind).as_bytes());
            }
        }
        add(b"END:VCALENDAR");
        alone
    }
}

/// The cutter: what is open at the present line.
#[derive(Default)]
struct Cutter {
    pieces: Vec<Piece>,
    calendar: Option<Calendar>,
    /// Names of the open components, the outermost first.
    open: Vec<String>,
}

/// Cuts a file.
pub(super) fn pieces(source: &Source<'_>) -> Vec<Piece> {
    let mut cutter = Cutter::default();
    for line in source.lines() {
        let (text, range) = (line.trimmed(), line.start..line.end());
        if let Some(kind) = marked(text, "BEGIN") {
            cutter.begin(kind.to_ascii_uppercase(), line.number, range);
        } else if let Some(kind) = marked(text, "END") {
            cutter.end(&kind.to_ascii_uppercase(), line.number, range);
        } else {
            cutter.property(is_blank(text), line.number, range);
        }
    }
    cutter.close_calendar(false);
    cutter.pieces
}

impl Cutter {
    fn begin(&mut self, kind: String, line: usize, range: Range<usize>) {
        if kind == "VCALENDAR" {
            self.close_calendar(false);
            self.calendar = Some(Calendar {
                line,
                wrapped: true,
                ..Calendar::default()
            });
            return;
        }
        if OUTERMOST.contains(&kind.as_str()) {
            // The component before this one was cut off.
            self.open.clear();
        }
        let calendar = self.calendar.get_or_insert_with(|| Calendar {
            line,
            ..Calendar::default()
        });
        if self.open.is_empty() {
            let complete = false;
            calendar.components.push(Component {
                kind: kind.clone(),
                line,
                range,
                complete,
            });
        } else {
            extend(calendar, &range);
        }
        self.open.push(kind);
    }

    fn end(&mut self, kind: &str, line: usize, range: Range<usize>) {
        if kind == "VCALENDAR" && self.calendar.as_ref().is_some_and(|one| one.wrapped) {
            let complete = self.open.is_empty();
            return self.close_calendar(complete);
        }
        let Some(depth) = self.open.iter().rposition(|open| open == kind) else {
            return self.property(false, line, range);
        };
        self.open.truncate(depth);
        let Some(calendar) = &mut self.calendar else {
            return;
        };
        extend(calendar, &range);
        if depth == 0 {
            if let Some(component) = calendar.components.last_mut() {
                component.complete = true;
            }
            if !calendar.wrapped {
                self.close_calendar(true);
            }
        }
    }

    fn property(&mut self, blank: bool, line: usize, range: Range<usize>) {
        match &mut self.calendar {
            Some(calendar) if !self.open.is_empty() => extend(calendar, &range),
            _ if blank => {}
            Some(calendar) => match calendar.properties.last_mut() {
                Some(last) if last.end == range.start => last.end = range.end,
                _ => calendar.properties.push(range),
            },
            None => match self.pieces.last_mut() {
                Some(Piece::Stray { range: last, .. }) => last.end = range.end,
                _ => self.pieces.push(Piece::Stray { line, range }),
            },
        }
    }

    fn close_calendar(&mut self, complete: bool) {
        self.open.clear();
        if let Some(mut calendar) = self.calendar.take() {
            calendar.complete = complete;
            self.pieces.push(Piece::Calendar(calendar));
        }
    }
}

/// Lets the last component reach to the end of the line.
fn extend(calendar: &mut Calendar, range: &Range<usize>) {
    if let Some(component) = calendar.components.last_mut() {
        component.range.end = range.end;
    }
}
