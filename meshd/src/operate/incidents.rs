//! `meshd incidents`: complaints about accounts and services, and what follows from them (service §8, X-61).

use mesh_backend::desk::{ConductLevel, ConductView, IncidentView, NewIncident};
use mesh_common::time::Timestamp;
use serde_json::json;

use super::args::{File, Forgive, IncidentsCommand, IncidentsList, Level};
use super::failure::Failure;
use super::link::{Ask, escaped, value_of, with_query};
use super::page::{ago, columns, counted, facts, heads, plain};
use super::{Done, read, read_member};
use crate::admin::api::Named;

/// Carries out one of the commands.
///
/// # Errors
/// [`Failure`].
pub fn ask(command: &IncidentsCommand, link: &dyn Ask, now: Timestamp) -> Result<Done, Failure> {
    match command {
        IncidentsCommand::List(asked) => list(asked, link, now),
        IncidentsCommand::File(asked) => file(asked, link, now),
        IncidentsCommand::Level(Level {
            subject: Some(subject),
        }) => level(subject, link, now),
        IncidentsCommand::Level(Level { subject: None }) => levels(link, now),
        IncidentsCommand::Forgive(asked) => forgive(asked, link, now),
    }
}

fn list(asked: &IncidentsList, link: &dyn Ask, now: Timestamp) -> Result<Done, Failure> {
    let max = asked.max.to_string();
    let members = [
        ("subject", asked.subject.as_deref()),
        ("max", Some(max.as_str())),
    ];
    let answer = link.get(&with_query("incidents", &members))?;
    let incidents: Vec<IncidentView> = read_member(&answer, "incidents")?;
    let text = if incidents.is_empty() {
        "no incident is on record\n".to_owned()
    } else {
        let mut rows = vec![heads(&["WHEN", "ABOUT", "WEIGHT", "REPORTER", "WHAT"])];
        rows.extend(incidents.iter().map(|one| {
            vec![
                ago(now, one.at),
                plain(&one.subject),
                score(one.weight),
                plain(&one.reporter),
                plain(&one.what),
            ]
        }));
        columns(&rows)
    };
    Ok(Done::new("incidents list", text, answer))
}

fn file(asked: &File, link: &dyn Ask, now: Timestamp) -> Result<Done, Failure> {
    let incident = NewIncident {
        subject: asked.subject.clone(),
        what: asked.what.clone(),
        reporter: asked.reporter.clone(),
        message: asked.message.clone(),
    };
    let answer = link.post("incidents", &value_of(&incident)?)?;
    let text = format!("it is on record\n{}", subject_page(&read(&answer)?, now));
    Ok(Done::new("incidents file", text, answer))
}

fn level(subject: &str, link: &dyn Ask, now: Timestamp) -> Result<Done, Failure> {
    let answer = link.get(&format!("conduct/{}", escaped(subject)))?;
    let text = subject_page(&read(&answer)?, now);
    Ok(Done::new("incidents level", text, answer))
}

fn levels(link: &dyn Ask, now: Timestamp) -> Result<Done, Failure> {
    let answer = link.get("conduct")?;
    let subjects: Vec<ConductView> = read_member(&answer, "subjects")?;
    let text = if subjects.is_empty() {
        "everybody stands as normal\n".to_owned()
    } else {
        let mut rows = vec![heads(&["SUBJECT", "LEVEL", "SCORE", "INCIDENTS", "LAST"])];
        rows.extend(subjects.iter().map(|one| {
            vec![
                plain(&one.subject),
                name(one.level).to_owned(),
                score(one.score),
                one.incidents.to_string(),
                one.last_at.map(|at| ago(now, at)).unwrap_or_default(),
            ]
        }));
        columns(&rows)
    };
    Ok(Done::new("incidents level", text, answer))
}

fn forgive(asked: &Forgive, link: &dyn Ask, now: Timestamp) -> Result<Done, Failure> {
    let id = asked.subject.clone();
    let answer = link.post("conduct/forgive", &json!(Named { id }))?;
    let text = subject_page(&read(&answer)?, now);
    Ok(Done::new("incidents forgive", text, answer))
}

const fn name(level: ConductLevel) -> &'static str {
    match level {
        ConductLevel::Normal => "normal",
        ConductLevel::Throttled => "throttled",
        ConductLevel::Restricted => "restricted",
        ConductLevel::Suspended => "suspended",
    }
}

/// What follows for an account that lives here, or for a service elsewhere.
const fn consequence(level: ConductLevel, is_account: bool) -> &'static str {
    match (level, is_account) {
        (ConductLevel::Normal, _) => "nothing follows",
        (ConductLevel::Throttled, true) => "it sends a tenth of its rates",
        (ConductLevel::Throttled, false) => {
            "a warning; at the next level strangers there are refused"
        }
        (ConductLevel::Restricted, true) => "it writes to contacts only",
        (ConductLevel::Restricted, false) => "strangers there are refused",
        (ConductLevel::Suspended, true) => "it sends nothing",
        (ConductLevel::Suspended, false) => "nothing is taken from it",
    }
}

/// A score with one digit; a nothing has no sign.
fn score(score: f64) -> String {
    format!("{:.1}", score + 0.0)
}

/// How a subject stands.
fn subject_page(view: &ConductView, now: Timestamp) -> String {
    let last = view
        .last_at
        .map(|at| format!(", the last {}", ago(now, at)));
    let known = [
        (
            "level",
            format!(
                "{}: {}",
                name(view.level),
                consequence(view.level, view.subject.contains('@'))
            ),
        ),
        ("score", format!("{}, halves in 7 days", score(view.score))),
        (
            "incidents",
            counted(view.incidents, "incident") + &last.unwrap_or_default(),
        ),
    ];
    let subject = plain(&view.subject);
    let next = match view.level {
        ConductLevel::Normal => String::new(),
        _ => format!("try: meshd incidents forgive {subject}    if it was wronged\n"),
    };
    format!("{subject}\n{}{next}", facts(&known))
}
