//! What a Mesh task says of an event, a to-do or a journal entry. RFC 5545 §3.8, schema draft
//! §7.3.7.

use calcard::common::PartialDateTime;
use calcard::common::timezone::Tz;
use calcard::icalendar::timezone::TzResolver;
use calcard::icalendar::{
    ICalendar, ICalendarComponent, ICalendarDuration, ICalendarEntry, ICalendarProperty,
    ICalendarTransparency, ICalendarValue,
};
use mesh_common::catalog::entry::Task;
use mesh_common::time::Timestamp;

use super::content_line::{ContentLine, content_lines};
use super::moment::timestamp_of;

/// Why most properties stay in the original only.
const NO_MEMBER: &str = "a Mesh task has no member for it";

/// A component, read.
pub(super) struct Reading {
    /// What a Mesh task can say.
    pub(super) task: Task,
    /// What identifies the component in every import.
    pub(super) uid: String,
    /// What the task cannot say, and why.
    pub(super) notes: Vec<(String, &'static str)>,
}

/// Reads the one component of `kind` in a calendar whose text is `text`; `None` when there is
/// none.
pub(super) fn read_task(calendar: &ICalendar, kind: &str, text: &str) -> Option<Reading> {
    let component = calendar
        .components
        .iter()
        .find(|component| component.component_type.as_str().eq_ignore_ascii_case(kind))?;
    let zones = calendar.build_tz_resolver();
    let mut reading = Reading {
        task: Task::default(),
        uid: String::new(),
        notes: Vec::new(),
    };
    for property in &component.entries {
        reading.property(property, component, &zones);
    }
    reading.lines_of(text, kind);
    reading.alarms(calendar, component);
    reading.uid = import_id(component, &reading.task);
    Some(reading)
}

/// The UID, and which recurrence it is about; without a UID the title and the start.
fn import_id(component: &ICalendarComponent, task: &Task) -> String {
    let recurrence = component
        .property(&ICalendarProperty::RecurrenceId)
        .and_then(|property| property.values.first())
        .and_then(|value| value.clone().into_text())
        .map_or_else(String::new, |moment| format!(" {moment}"));
    match component.uid() {
        Some(uid) => format!("ical:{uid}{recurrence}"),
        None => format!(
            "ical: {} {}{recurrence}",
            task.title.as_deref().unwrap_or_default(),
            task.start.map(Timestamp::to_text).unwrap_or_default()
        ),
    }
}

impl Reading {
    fn property(
        &mut self,
        property: &ICalendarEntry,
        component: &ICalendarComponent,
        zones: &TzResolver<&str>,
    ) {
        let task = &mut self.task;
        let represented = match &property.name {
            // Read from the text in `lines_of`, or part of the import id.
            ICalendarProperty::Rrule
            | ICalendarProperty::Rdate
            | ICalendarProperty::Exdate
            | ICalendarProperty::Exrule
            | ICalendarProperty::Uid => true,
            ICalendarProperty::Summary => put(&mut task.title, property),
            ICalendarProperty::Description => put(&mut task.description, property),
            ICalendarProperty::Location => put(&mut task.location, property),
            ICalendarProperty::Transp => {
                task.busy =
                    transparency(property).map(|busy| busy == ICalendarTransparency::Opaque);
                task.busy.is_some()
            }
            ICalendarProperty::Dtstart => {
                self.task.start = self.moment(property, zones);
                moment_of(property).is_some()
            }
            ICalendarProperty::Dtend | ICalendarProperty::Due => {
                self.task.finish = self.moment(property, zones);
                moment_of(property).is_some()
            }
            ICalendarProperty::Duration => {
                self.task.finish = finish_of(component, property, zones).or(self.task.finish);
                self.task.finish.is_some()
            }
            ICalendarProperty::Conference => conference(task, property),
            ICalendarProperty::Other(name) if name.eq_ignore_ascii_case("X-GOOGLE-CONFERENCE") => {
                conference(task, property)
            }
            _ => false,
        };
        if !represented {
            self.notes
                .push((property.name.as_str().to_ascii_uppercase(), NO_MEMBER));
        }
    }

    /// The moment of DTSTART, DTEND or DUE, and the zone it is given in.
    fn moment(&mut self, property: &ICalendarEntry, zones: &TzResolver<&str>) -> Option<Timestamp> {
        let moment = moment_of(property)?;
        if let Some(zone) = property.tz_id() {
            self.task.time_zone.get_or_insert_with(|| zone.to_owned());
        }
        let name = property.name.as_str();
        if !moment.has_time() {
            self.note(
                name,
                "a whole day: a Mesh task starts and ends at midnight UTC",
            );
        } else if !moment.has_zone() && property.tz_id().is_none() {
            self.note(name, "a time of no zone: taken for UTC");
        }
        let Some(zone) = zone_of(property, zones) else {
            self.note(
                name,
                "its time zone is not known, so the moment is not either",
            );
            return None;
        };
        let resolved = in_utc(moment, zone);
        if resolved.is_none() {
            self.note(
                name,
                "there is no such moment, or it is there twice, in that zone",
            );
        }
        resolved
    }

    fn note(&mut self, what: &str, why: &'static str) {
        self.notes.push((what.to_owned(), why));
    }

    /// Recurrences as the text has them, and lines no reader of calendars understands.
    fn lines_of(&mut self, text: &str, kind: &str) {
        let mut open: Vec<String> = Vec::new();
        let mut repeat: Vec<String> = Vec::new();
        for line in content_lines(text) {
            let value = line.value.as_deref().map(str::trim).unwrap_or_default();
            match line.name.as_str() {
                "BEGIN" => open.push(value.to_ascii_uppercase()),
                "END" => drop(open.pop()),
                "RRULE" | "RDATE" | "EXDATE" | "EXRULE"
                    if open.last().is_some_and(|innermost| innermost == kind) =>
                {
                    repeat.push(format!("{}{}:{value}", line.name, line.parameters));
                }
                "TRIGGER" if open.last().is_some_and(|innermost| innermost == "VALARM") => {
                    self.task.trigger.push(trigger_text(&line));
                }
                _ if line.value.is_none() => {
                    self.notes.push((line.name, "a line without a value"));
                }
                _ => {}
            }
        }
        self.task.repeat = Some(repeat.join("\n")).filter(|lines| !lines.is_empty());
    }

    /// What alarms do besides going off at a time.
    fn alarms(&mut self, calendar: &ICalendar, component: &ICalendarComponent) {
        for id in &component.component_ids {
            let Some(inner) = calendar.component_by_id(*id) else {
                continue;
            };
            let kind = inner.component_type.as_str().to_ascii_uppercase();
            for property in &inner.entries {
                if property.name != ICalendarProperty::Trigger {
                    let what = format!("{kind}.{}", property.name.as_str().to_ascii_uppercase());
                    self.notes.push((what, NO_MEMBER));
                }
            }
        }
    }
}

/// `-PT15M`, or with its parameters `RELATED=END:-PT5M`.
fn trigger_text(line: &ContentLine) -> String {
    let value = line.value.as_deref().unwrap_or_default().trim();
    match line.parameters.trim_start_matches(';') {
        "" | "VALUE=DURATION" => value.to_owned(),
        parameters => format!("{parameters}:{value}"),
    }
}

fn put(member: &mut Option<String>, property: &ICalendarEntry) -> bool {
    let texts: Vec<&str> = property
        .values
        .iter()
        .filter_map(ICalendarValue::as_text)
        .collect();
    let free = member.is_none() && !texts.is_empty();
    if free {
        *member = Some(texts.join(","));
    }
    free
}

fn transparency(property: &ICalendarEntry) -> Option<ICalendarTransparency> {
    match property.values.first()? {
        ICalendarValue::Transparency(transparency) => Some(transparency.clone()),
        _ => None,
    }
}

fn conference(task: &mut Task, property: &ICalendarEntry) -> bool {
    let address = property.values.first().and_then(ICalendarValue::as_text);
    task.conference.extend(address.map(str::to_owned));
    address.is_some()
}

fn moment_of(property: &ICalendarEntry) -> Option<&PartialDateTime> {
    property
        .values
        .first()
        .and_then(ICalendarValue::as_partial_date_time)
}

/// The zone a property is given in: UTC for times of no zone, `None` for a zone nobody knows.
fn zone_of(property: &ICalendarEntry, zones: &TzResolver<&str>) -> Option<Tz> {
    match property.tz_id() {
        Some(name) => zones.resolve(name).filter(|zone| !zone.is_floating()),
        None => Some(Tz::UTC),
    }
}

/// A day is taken for its midnight in UTC, whatever the zone.
fn in_utc(moment: &PartialDateTime, zone: Tz) -> Option<Timestamp> {
    let mut moment = moment.clone();
    let zone = if moment.has_time() { zone } else { Tz::UTC };
    if !moment.has_time() {
        (moment.hour, moment.minute, moment.second) = (Some(0), Some(0), Some(0));
    }
    let seconds = moment.to_date_time_with_tz(zone)?.timestamp();
    timestamp_of(seconds)
}

/// DTSTART and DURATION: days are days of the calendar, hours are hours (RFC 5545 §3.3.6).
fn finish_of(
    component: &ICalendarComponent,
    property: &ICalendarEntry,
    zones: &TzResolver<&str>,
) -> Option<Timestamp> {
    let ICalendarValue::Duration(duration) = property.values.first()? else {
        return None;
    };
    let start = component.property(&ICalendarProperty::Dtstart)?;
    let zone = zone_of(start, zones)?;
    let days_later = days_after(moment_of(start)?, duration)?;
    let hours = i64::from(duration.hours) * 3_600;
    let seconds = hours + i64::from(duration.minutes) * 60 + i64::from(duration.seconds);
    let signed = if duration.neg { -seconds } else { seconds };
    timestamp_of(in_utc(&days_later, zone)?.as_secs().checked_add(signed)?)
}

/// The same time of day, the duration's weeks and days later.
fn days_after(moment: &PartialDateTime, duration: &ICalendarDuration) -> Option<PartialDateTime> {
    let days = i64::from(duration.weeks)
        .checked_mul(7)?
        .checked_add(i64::from(duration.days))?;
    let signed = if duration.neg { -days } else { days };
    let date = jiff::civil::Date::new(
        i16::try_from(moment.year?).ok()?,
        i8::try_from(moment.month?).ok()?,
        i8::try_from(moment.day?).ok()?,
    );
    let span = jiff::Span::new().try_days(signed).ok()?;
    let date = date.ok()?.checked_add(span).ok()?;
    let mut later = moment.clone();
    later.year = Some(u16::try_from(date.year()).ok()?);
    later.month = Some(u8::try_from(date.month()).ok()?);
    later.day = Some(u8::try_from(date.day()).ok()?);
    Some(later)
}
