//! Logins: the CSV exports of browsers and password managers become credentials. Schema draft
//! §5.4, containers §6.2. Each login keeps the header row and its own row as its original.
//!
//! The unique id of a credential is `Protocol:Service` and names no user, so a second login at a
//! service is filed under `user@service`; see [`Taken::settle`](super::identity::Taken::settle).

use std::borrow::Cow;
use std::collections::HashSet;

use csv::{ByteRecord, ReaderBuilder};
use mesh_common::catalog::entry::{CatalogEntry, CatalogedCredential};

use super::collector::{Collector, Record};
use super::login_dialects::{Dialect, recognize, recognized_list};
use super::report::ImportReport;
use super::source::{Source, is_blank, legible};
use super::web_origin::Origin;
use super::{Format, ImportError};

/// Why most columns stay in the original only.
const NO_MEMBER: &str = "a Mesh credential has no member for it";

/// A file whose header row was recognized.
struct Table {
    dialect: &'static Dialect,
    delimiter: u8,
    /// Names of the columns as they stand in the file.
    columns: Vec<String>,
    /// The same, trimmed and in lower case.
    keys: Vec<String>,
    /// The header row.
    header: Vec<u8>,
}

/// Reads a CSV file of logins.
pub(super) fn import(
    source: &Source<'_>,
    keys: &mut dyn FnMut() -> String,
) -> Result<ImportReport, ImportError> {
    let mut collector = Collector::new("text/csv", keys);
    let table = Table::of(source.octets()).ok_or_else(|| ImportError::UnknownHeader {
        recognized: recognized_list(),
    })?;
    let rows = rows(source.octets(), table.delimiter);
    for (index, row) in rows.iter().enumerate().skip(1) {
        let end = rows
            .get(index + 1)
            .map_or_else(|| source.octets().len(), |next| next.start);
        let octets = source.octets().get(row.start..end).unwrap_or_default();
        if !is_blank(octets) {
            table.add(&mut collector, row, octets);
        }
    }
    Ok(collector.finish())
}

/// Whether a file looks like logins.
pub(super) fn is_recognized(source: &Source<'_>) -> Option<Format> {
    Table::of(source.octets()).map(|_| Format::Logins)
}

/// One row and where it starts.
struct Row {
    fields: ByteRecord,
    line: usize,
    start: usize,
}

/// All rows, the header first. Reading from memory does not fail, and rows of any length are read.
fn rows(octets: &[u8], delimiter: u8) -> Vec<Row> {
    let mut builder = ReaderBuilder::new();
    builder
        .has_headers(false)
        .flexible(true)
        .delimiter(delimiter);
    let mut reader = builder.from_reader(octets);
    let mut rows = Vec::new();
    let mut fields = ByteRecord::new();
    while let Ok(true) = reader.read_byte_record(&mut fields) {
        let position = fields.position();
        let start = position.map_or(0, |position| position.byte());
        let line = position.map_or(1, |position| position.line());
        rows.push(Row {
            fields: fields.clone(),
            line: usize::try_from(line).unwrap_or(usize::MAX),
            start: usize::try_from(start).unwrap_or(usize::MAX),
        });
    }
    rows
}

impl Table {
    /// Recognizes the header row, with commas, semicolons or tabs between columns.
    fn of(octets: &[u8]) -> Option<Self> {
        let skipped = octets.len() - octets.trim_ascii_start().len();
        let end = octets[skipped..]
            .iter()
            .position(|octet| b"\r\n".contains(octet));
        let header = &octets[..end.map_or(octets.len(), |end| skipped + end)];
        b",;\t".iter().find_map(|delimiter| {
            let rows = rows(header, *delimiter);
            let columns: Vec<String> = rows
                .first()?
                .fields
                .iter()
                .map(|field| legible(field).into_owned())
                .collect();
            let keys: Vec<String> = columns
                .iter()
                .map(|column| column.trim().to_lowercase())
                .collect();
            let dialect = recognize(&keys)?;
            let header = header.trim_ascii().to_vec();
            Some(Self {
                dialect,
                delimiter: *delimiter,
                columns,
                keys,
                header,
            })
        })
    }

    /// Whether the row is the first of the file, whose original always has the header.
    fn is_first(&self, row: &Row) -> bool {
        row.fields
            .position()
            .is_some_and(|position| position.record() == 1)
    }

    /// The text of a column in a row; `None` when it is missing or blank.
    fn text(&self, row: &Row, column: &str) -> Option<String> {
        let place = self.keys.iter().position(|key| key == column)?;
        let text = legible(row.fields.get(place)?).into_owned();
        Some(text).filter(|text| !text.trim().is_empty())
    }

    fn add(&self, collector: &mut Collector<'_>, row: &Row, octets: &[u8]) {
        let blank_lines = octets.len() - octets.trim_ascii_start().len();
        let row_line = row.line + line_feeds(&octets[..blank_lines]);
        let dialect = self.dialect;
        let url = self.text(row, dialect.url);
        let title = self.text(row, dialect.title);
        let user = dialect
            .username
            .iter()
            .find_map(|column| Some((*column, self.text(row, column)?)));
        let origin = self.origin(row, url.as_deref(), title.as_deref());
        self.notes(
            collector,
            row,
            row_line,
            user.as_ref().map(|(column, _)| *column),
            &origin,
        );
        if std::str::from_utf8(octets).is_err() {
            let why = "not UTF-8: read as Windows-1252, octets kept";
            collector.kept(row_line, origin.service.clone(), why);
        }
        let username = user.map(|(_, name)| name);
        let import_id = format!(
            "{}: {}:{} {}",
            dialect.name,
            origin.protocol.as_deref().unwrap_or_default(),
            origin.service,
            username.as_deref().unwrap_or_default()
        );
        let mut original = Vec::new();
        if collector.may_repeat(self.header.len() + 1) || self.is_first(row) {
            original.extend_from_slice(&self.header);
            original.push(b'\n');
        }
        original.extend(octets.trim_ascii_start());
        collector.add(Record {
            entry: CatalogEntry::CatalogedCredential(CatalogedCredential {
                protocol: origin.protocol,
                service: Some(origin.service),
                username,
                password: self.text(row, dialect.password).map(Into::into),
                ..CatalogedCredential::default()
            }),
            line: row_line,
            octets: Cow::Owned(original),
            source: dialect.name.to_owned(),
            import_id,
        });
    }

    /// Where the login belongs. Items that are no logins (notes, cards) are filed under their
    /// kind and name.
    fn origin(&self, row: &Row, url: Option<&str>, title: Option<&str>) -> Origin {
        let named = |protocol: Option<String>| Origin {
            protocol,
            service: title.or(url).unwrap_or("(no name)").trim().to_owned(),
            rest: false,
        };
        let kind = self.dialect.kind.and_then(|(column, login)| {
            self.text(row, column)
                .filter(|kind| !kind.eq_ignore_ascii_case(login))
        });
        match (kind, url) {
            (Some(kind), None) => named(Some(kind.trim().to_lowercase())),
            // What LastPass writes as the address of a note.
            (_, Some("http://sn")) => named(Some("note".to_owned())),
            (_, Some(url)) => Origin::of(url),
            (None, None) => named(None),
        }
    }

    /// Notes every filled column that the credential does not say whole.
    fn notes(
        &self,
        collector: &mut Collector<'_>,
        row: &Row,
        line: usize,
        user_column: Option<&str>,
        origin: &Origin,
    ) {
        let dialect = self.dialect;
        let mut seen = HashSet::new();
        for (place, field) in row.fields.iter().enumerate() {
            let Some(key) = self.keys.get(place) else {
                let count = row.fields.len() - self.keys.len();
                collector.kept(
                    line,
                    "row",
                    format!("{count} fields more than the header has"),
                );
                break;
            };
            let first = seen.insert(key);
            let text = legible(field);
            let said = first
                && (key == dialect.password
                    || Some(key.as_str()) == user_column
                    || key == dialect.url && !origin.rest
                    || key == dialect.title && text.trim() == origin.service
                    || dialect.kind.is_some_and(|(column, _)| column == key));
            if !said && !text.trim().is_empty() {
                let why = if key == dialect.url {
                    "only the protocol and the host are in the credential"
                } else {
                    NO_MEMBER
                };
                collector.kept(line, self.columns[place].trim(), why);
            }
        }
        if row.fields.len() < self.keys.len() {
            let count = self.keys.len() - row.fields.len();
            collector.kept(
                line,
                "row",
                format!("{count} fields fewer than the header has"),
            );
        }
    }
}

fn line_feeds(octets: &[u8]) -> usize {
    octets.iter().filter(|octet| **octet == b'\n').count()
}
