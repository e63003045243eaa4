//! `meshd quarantine` and `meshd aside`: what can be handled in no way, sent or received, and waits for an
//! operator.

use mesh_backend::desk::{Aside, Quarantined};
use mesh_common::time::Timestamp;
use serde_json::{Value, json};

use super::args::{AsideCommand, QuarantineCommand};
use super::failure::Failure;
use super::link::{Ask, value_of, with_query};
use super::page::{ago, columns, counted, facts, heads, plain, size};
use super::{Done, read_member};
use crate::admin::api::Named;

/// Rows among which one is looked for.
const ROWS_MAX: usize = 10_000;

/// Carries out one of the commands about the quarantine.
///
/// # Errors
/// [`Failure`].
pub fn ask_quarantine(
    command: &QuarantineCommand,
    link: &dyn Ask,
    now: Timestamp,
) -> Result<Done, Failure> {
    match command {
        QuarantineCommand::List(list) => {
            let (items, answer) = quarantine(link, list.max)?;
            let text = quarantine_page(&items, now);
            Ok(Done::new("quarantine list", text, answer))
        }
        QuarantineCommand::Show(one) => {
            let (items, _) = quarantine(link, ROWS_MAX)?;
            let found = items.into_iter().find(|item| item.id == one.id);
            let found = found.ok_or_else(|| {
                Failure::refused(
                    format!("no item {} is in quarantine", plain(&one.id)),
                    "meshd quarantine list shows what is",
                )
            })?;
            let text = quarantined_page(&found, now);
            Ok(Done::new("quarantine show", text, value_of(&found)?))
        }
        QuarantineCommand::Requeue(one) => {
            let answer = name(link, "quarantine/requeue", &one.id)?;
            let text = format!(
                "it is in the queue again, due now; see what comes of it: meshd explain {}\n",
                plain(&one.id)
            );
            Ok(Done::new("quarantine requeue", text, answer))
        }
        QuarantineCommand::Drop(one) => {
            let answer = name(link, "quarantine/drop", &one.id)?;
            let text = "it is gone; its sender is told that it failed\n".to_owned();
            Ok(Done::new("quarantine drop", text, answer))
        }
    }
}

/// Carries out one of the commands about what was set aside.
///
/// # Errors
/// [`Failure`].
pub fn ask_aside(command: &AsideCommand, link: &dyn Ask, now: Timestamp) -> Result<Done, Failure> {
    match command {
        AsideCommand::List(list) => {
            let (entries, answer) = aside(link, list.max)?;
            Ok(Done::new("aside list", aside_page(&entries, now), answer))
        }
        AsideCommand::Show(one) => {
            let (entries, _) = aside(link, ROWS_MAX)?;
            let found = entries.into_iter().find(|entry| entry.id == one.id);
            let found = found.ok_or_else(|| {
                Failure::refused(
                    format!("no entry {} is set aside", plain(&one.id)),
                    "meshd aside list shows what is",
                )
            })?;
            let text = entry_page(&found, now);
            Ok(Done::new("aside show", text, value_of(&found)?))
        }
        AsideCommand::Requeue(one) => {
            let answer = name(link, "aside/requeue", &one.id)?;
            let text = "it is in its intake again and is received within seconds; \
                        if it cannot be, it comes back: meshd aside list\n"
                .to_owned();
            Ok(Done::new("aside requeue", text, answer))
        }
        AsideCommand::Drop(one) => {
            let answer = name(link, "aside/drop", &one.id)?;
            let text = "it is gone; its sender was told that it failed when it was set aside\n";
            Ok(Done::new("aside drop", text.to_owned(), answer))
        }
    }
}

fn name(link: &dyn Ask, path: &str, id: &str) -> Result<Value, Failure> {
    link.post(path, &json!(Named { id: id.to_owned() }))
}

fn quarantine(link: &dyn Ask, max: usize) -> Result<(Vec<Quarantined>, Value), Failure> {
    let max = max.to_string();
    let answer = link.get(&with_query("quarantine", &[("max", Some(&max))]))?;
    Ok((read_member(&answer, "items")?, answer))
}

fn aside(link: &dyn Ask, max: usize) -> Result<(Vec<Aside>, Value), Failure> {
    let max = max.to_string();
    let answer = link.get(&with_query("aside", &[("max", Some(&max))]))?;
    Ok((read_member(&answer, "entries")?, answer))
}

/// What to type next about one of them: what does not read can only be dropped.
fn next(command: &str, id: &str, is_readable: bool) -> String {
    if is_readable {
        format!("try: meshd {command} requeue {id}    once the cause is mended; the log names it\n")
    } else {
        format!("try: meshd {command} drop {id}\n")
    }
}

fn quarantine_page(items: &[Quarantined], now: Timestamp) -> String {
    if items.is_empty() {
        return "nothing is in quarantine\n".to_owned();
    }
    let mut rows = vec![heads(&["ITEM", "FROM", "TO", "ACCEPTED", "REASON"])];
    rows.extend(items.iter().map(|one| {
        let item = one.item.as_ref();
        let text = |text: Option<String>| text.unwrap_or_else(|| "unreadable".to_owned());
        vec![
            one.id.clone(),
            text(item.map(|item| item.sender.to_string())),
            text(item.map(|item| item.recipient.to_string())),
            item.map(|item| ago(now, item.enqueued_at))
                .unwrap_or_default(),
            plain(&one.reason),
        ]
    }));
    let try_next = "try: meshd quarantine show ITEM, then requeue ITEM or drop ITEM\n";
    format!("{}{try_next}", columns(&rows))
}

fn quarantined_page(one: &Quarantined, now: Timestamp) -> String {
    let mut known = vec![("reason", plain(&one.reason))];
    if let Some(item) = &one.item {
        known.extend([
            ("message", plain(&item.message)),
            (
                "type",
                format!("{}, {}", plain(&item.message_type), size(item.bytes)),
            ),
            ("from", item.sender.to_string()),
            ("to", item.recipient.to_string()),
            ("accepted", ago(now, item.enqueued_at)),
            ("tries", item.attempts.to_string()),
        ]);
    } else {
        known.push((
            "item",
            "it does not read, and can only be dropped".to_owned(),
        ));
    }
    let next = next("quarantine", &one.id, one.item.is_some());
    format!("item {}\n{}{next}", one.id, facts(&known))
}

fn aside_page(entries: &[Aside], now: Timestamp) -> String {
    if entries.is_empty() {
        return "nothing is set aside\n".to_owned();
    }
    let mut rows = vec![heads(&["ENTRY", "KIND", "FOR", "LEFT", "REASON"])];
    rows.extend(entries.iter().map(|entry| {
        let account = entry.account.as_ref().map(ToString::to_string);
        vec![
            entry.id.clone(),
            entry.kind.clone().unwrap_or_default(),
            account.unwrap_or_else(|| "unreadable".to_owned()),
            entry
                .left_at
                .map(|left_at| ago(now, left_at))
                .unwrap_or_default(),
            plain(&entry.reason),
        ]
    }));
    let try_next = "try: meshd aside show ENTRY, then requeue ENTRY or drop ENTRY\n";
    let sum = counted(entries.len() as u64, "entry");
    format!("{}{sum}\n{try_next}", columns(&rows))
}

fn entry_page(entry: &Aside, now: Timestamp) -> String {
    let mut known = vec![("reason", plain(&entry.reason))];
    if let Some(account) = &entry.account {
        known.push(("for", account.to_string()));
    }
    match (entry.kind.as_deref(), &entry.other) {
        (Some("message"), Some(other)) => known.push(("from", other.to_string())),
        (Some(_), Some(other)) => known.push(("about", format!("a message to {other}"))),
        _ => known.push((
            "entry",
            "it does not read, and can only be dropped".to_owned(),
        )),
    }
    if let Some(message) = &entry.message {
        known.push(("message", plain(message)));
    }
    if let Some(left_at) = entry.left_at {
        known.push(("left", ago(now, left_at)));
    }
    known.push(("size", size(entry.bytes)));
    let next = next("aside", &entry.id, entry.kind.is_some());
    format!("entry {}\n{}{next}", entry.id, facts(&known))
}
