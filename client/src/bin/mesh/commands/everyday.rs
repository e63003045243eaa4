//! `mesh import`, `export`, `verify`.

use std::fmt::Write as _;

use mesh_client::import::{Format, Tally};
use mesh_client::importing::Imported;
use mesh_client::verify::{VerifyReport, verify_export};
use serde_json::json;

use super::open;
use crate::args::{Export, Global, Import, Kind, Verify};
use crate::failure::Failure;
use crate::input;
use crate::output::{Done, columns, counted, plain};

/// Lines of one list in a report for people; the JSON object has them all.
const LINES_MAX: usize = 20;

pub(super) fn import(global: &Global, import: &Import) -> Result<Done, Failure> {
    let mut client = open(global)?;
    let format = import.kind.map(|kind| match kind {
        Kind::Vcard => Format::VCard,
        Kind::Icalendar => Format::ICalendar,
        Kind::Bookmarks => Format::Bookmarks,
        Kind::Passwords => Format::Logins,
    });
    let mut files = Vec::new();
    for path in &import.files {
        files.push((path, input::octets_of(path)?));
    }
    // All files are read before anything is changed: one that cannot be imported stops them all.
    for (path, octets) in &files {
        client.import(&path.display().to_string(), octets, format, true)?;
    }
    let mut reports = Vec::new();
    let mut text = String::new();
    for (path, octets) in files {
        let name = path.display().to_string();
        let report = client.import(&name, &octets, format, import.dry_run)?;
        text.push_str(&import_text(&report, import.dry_run));
        reports.push(report);
    }
    let changes: u64 = reports
        .iter()
        .flat_map(|report: &Imported| &report.kinds)
        .map(|kind| kind.added + kind.updated)
        .sum();
    match (import.dry_run, changes) {
        (true, _) => {}
        (false, 0) => text.push_str("\nnothing changed\n"),
        (false, _) => text.push_str("\nthe changes wait for `mesh sync`\n"),
    }
    Ok(Done::new(
        text,
        &json!({"dry_run": import.dry_run, "files": reports}),
    ))
}

fn import_text(report: &Imported, dry_run: bool) -> String {
    let mut text = format!("{} ({})\n", report.file, report.format);
    if report.kinds.is_empty() {
        text.push_str("  nothing in it\n");
    }
    for kind in &report.kinds {
        let added = counted(kind.added, kind.kind.word());
        let would = if dry_run { "would be " } else { "" };
        let _ = write!(text, "  {added} {would}added");
        if kind.updated > 0 {
            let _ = write!(text, ", {} {would}updated", kind.updated);
        }
        if kind.unchanged > 0 {
            let _ = write!(text, ", {} unchanged", kind.unchanged);
        }
        text.push('\n');
    }
    tallies(&mut text, "kept verbatim", &report.kept_verbatim);
    tallies(&mut text, "kept as text only", &report.skipped);
    tallies(&mut text, "repeated", &report.repeated);
    text
}

fn tallies(text: &mut String, heading: &str, tallies: &[Tally]) {
    if tallies.is_empty() {
        return;
    }
    let _ = writeln!(text, "  {heading}:");
    for tally in tallies.iter().take(LINES_MAX) {
        let _ = writeln!(
            text,
            "    {} × {}: {} (first in line {})",
            tally.count,
            plain(&tally.what),
            plain(&tally.why),
            tally.first_line
        );
    }
    if tallies.len() > LINES_MAX {
        let _ = writeln!(
            text,
            "    and {} more kinds; --json has them",
            tallies.len() - LINES_MAX
        );
    }
}

pub(super) fn export(global: &Global, export: &Export) -> Result<Done, Failure> {
    let mut client = open(global)?;
    let report = client.export(&export.dir)?;
    let mut text = format!("exported {} to {}\n", report.account, report.folder);
    let rows: Vec<Vec<String>> = report
        .containers
        .iter()
        .map(|one| {
            vec![
                format!("  {}", plain(&one.container)),
                counted(one.frames, "frame"),
                counted(one.bytes, "octet"),
                short(&one.apex),
            ]
        })
        .collect();
    text.push_str(&columns(&rows));
    let waiting: u64 = report.containers.iter().map(|one| one.waiting).sum();
    if waiting > 0 {
        let verb = if waiting == 1 { "is" } else { "are" };
        let _ = writeln!(
            text,
            "\n{waiting} of these frames {verb} not at the service yet: mesh sync"
        );
    }
    let _ = writeln!(
        text,
        "\ncheck it anywhere with: mesh verify {}",
        report.folder
    );
    Ok(Done::new(text, &report))
}

pub(super) fn verify(global: &Global, verify: &Verify) -> Result<Done, Failure> {
    let report = match &verify.dir {
        Some(dir) => verify_export(dir)?,
        None => open(global)?.verify()?,
    };
    let done = Done::new(verify_text(&report), &report);
    Ok(if report.sound { done } else { done.refused() })
}

fn verify_text(report: &VerifyReport) -> String {
    let mut rows = vec![
        ["CONTAINER", "FRAMES", "APEX", "SIGNATURES", "ENTRIES"]
            .map(str::to_owned)
            .to_vec(),
    ];
    rows.extend(report.containers.iter().map(|one| {
        let mut signatures = one.signatures.to_string();
        if one.foreign_signatures > 0 {
            let _ = write!(signatures, " (+{} of others)", one.foreign_signatures);
        }
        if one.unsigned > 0 {
            let _ = write!(signatures, " ({} unsigned)", one.unsigned);
        }
        vec![
            plain(&one.container),
            one.frames.to_string(),
            one.apex.as_deref().map_or_else(|| "-".to_owned(), short),
            signatures,
            one.entries.to_string(),
        ]
    }));
    let mut text = columns(&rows);
    for problem in report.problems.iter().take(LINES_MAX) {
        let frame = problem
            .frame
            .map_or_else(String::new, |frame| format!(", frame {frame}"));
        let _ = writeln!(
            text,
            "PROBLEM {}{frame}: {}",
            plain(&problem.place),
            plain(&problem.what)
        );
    }
    if report.problems.len() > LINES_MAX {
        let _ = writeln!(
            text,
            "and {} more; --json has them",
            report.problems.len() - LINES_MAX
        );
    }
    let _ = writeln!(
        text,
        "\n{}: {}",
        report.account,
        if report.sound {
            "every digest and signature is as it should be".to_owned()
        } else {
            format!("{} found", counted(report.problems.len() as u64, "problem"))
        }
    );
    text
}

/// The start of a digest, enough to compare by eye.
fn short(digest: &str) -> String {
    digest.chars().take(16).chain(['…']).collect()
}
