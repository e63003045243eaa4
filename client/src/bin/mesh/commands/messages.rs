//! `mesh message list`, `status`, `read`, `delete`, `unread`.

use std::fmt::Write as _;

use mesh_client::messages::{Direction, MessageFacts, Trust};
use serde_json::json;

use super::open;
use crate::args::{Global, MessageCommand, MessageList, MessageStatus, Messages};
use crate::failure::Failure;
use crate::output::{Done, columns, counted, plain};

pub(super) fn run(global: &Global, messages: Messages) -> Result<Done, Failure> {
    let mut client = open(global)?;
    let (facts, verb) = match messages.command {
        MessageCommand::List(list) => return self::list(&mut client, &list),
        MessageCommand::Status(status) => return self::status(&mut client, &status),
        MessageCommand::Read(message) => {
            let facts = client.read_message(&message.id)?;
            return Ok(Done::new(whole(&facts), &facts));
        }
        MessageCommand::Delete(message) => (client.delete_message(&message.id)?, "deleted"),
        MessageCommand::Unread(message) => (client.keep_message_unread(&message.id)?, "unread"),
    };
    let text = format!(
        "marked {} as {verb}\n\nthe change waits for `mesh sync`\n",
        plain(&facts.id)
    );
    Ok(Done::new(text, &facts))
}

fn list(client: &mut mesh_client::Client, list: &MessageList) -> Result<Done, Failure> {
    let direction = match list.outbound {
        true => Direction::Outbound,
        false => Direction::Inbound,
    };
    let mut messages = client.messages(direction)?;
    let total = messages.len();
    if !list.all {
        messages.retain(|facts| match direction {
            Direction::Inbound => facts.state == "unread",
            Direction::Outbound => facts.state != "deleted",
        });
    }
    let mut text = table(&messages, direction);
    let _ = writeln!(text, "{}", counted(messages.len() as u64, "message"));
    let hidden = total - messages.len();
    if hidden > 0 {
        let _ = writeln!(text, "{hidden} more with --all");
    }
    Ok(Done::new(text, &json!({"messages": messages})))
}

fn status(client: &mut mesh_client::Client, status: &MessageStatus) -> Result<Done, Failure> {
    let mut ways = client.deliveries(status.id.as_deref())?;
    let total = ways.len();
    if status.id.is_none() && !status.all {
        ways.retain(|way| way.state != "received");
    }
    let mut text = String::new();
    if !ways.is_empty() {
        let heading = ["ID", "TO", "KIND", "STATE", "WHY"];
        let mut rows = vec![heading.map(str::to_owned).to_vec()];
        rows.extend(ways.iter().map(|way| {
            vec![
                plain(&way.id),
                plain(way.to.as_deref().unwrap_or("-")),
                plain(way.kind.as_deref().unwrap_or("unknown")),
                way.state.clone(),
                plain(way.why.as_deref().unwrap_or_default()),
            ]
        }));
        text = columns(&rows);
    }
    if status.id.is_none() {
        let counted = match ways.len() {
            1 => "1 delivery".to_owned(),
            count => format!("{count} deliveries"),
        };
        let _ = writeln!(text, "{counted}");
    }
    let hidden = total - ways.len();
    if hidden > 0 {
        let _ = writeln!(text, "{hidden} received, shown with --all");
    }
    Ok(Done::new(text, &json!({"deliveries": ways})))
}

/// Messages as columns; nothing if there are none.
pub(super) fn table(messages: &[MessageFacts], direction: Direction) -> String {
    if messages.is_empty() {
        return String::new();
    }
    let heading = match direction {
        Direction::Inbound => ["ID", "FROM", "PROOF", "KIND", "STATE", "SAYS"],
        Direction::Outbound => ["ID", "TO", "", "KIND", "STATE", "SAYS"],
    };
    let mut rows = vec![heading.map(str::to_owned).to_vec()];
    rows.extend(messages.iter().map(|facts| {
        vec![
            plain(&facts.id),
            match direction {
                Direction::Inbound => sender(facts),
                Direction::Outbound => plain(facts.to.as_deref().unwrap_or("-")),
            },
            proof(facts).to_owned(),
            plain(facts.kind.as_deref().unwrap_or("unknown")),
            state(facts),
            plain(&facts.summary),
        ]
    }));
    if direction == Direction::Outbound {
        for row in &mut rows {
            row.remove(2);
        }
    }
    columns(&rows)
}

/// Who a message is from, in the words of the contacts where they know.
pub(super) fn sender(facts: &MessageFacts) -> String {
    let Some(origin) = &facts.origin else {
        return "-".to_owned();
    };
    let address = origin.address.as_deref().unwrap_or("-");
    match (&origin.contact, origin.trust) {
        (_, Trust::Service) => "your service".to_owned(),
        (Some(name), Trust::Verified) => named(name, address),
        _ => plain(address),
    }
}

/// A person by name and address; by the address alone where nothing else is known.
pub(super) fn named(name: &str, address: &str) -> String {
    if name == address {
        plain(address)
    } else {
        plain(&format!("{name} <{address}>"))
    }
}

fn proof(facts: &MessageFacts) -> &'static str {
    facts
        .origin
        .as_ref()
        .map_or("", |origin| origin.trust.word())
}

/// The state and what was answered.
fn state(facts: &MessageFacts) -> String {
    match facts.answer.as_deref() {
        Some("Accept") => format!("{}, accepted", facts.state),
        Some("Reject") => format!("{}, rejected", facts.state),
        _ => facts.state.clone(),
    }
}

/// A message with everything about it.
fn whole(facts: &MessageFacts) -> String {
    let row = |label: &str, text: &str| vec![format!("  {label}"), plain(text)];
    let mut rows = vec![
        row("id", &facts.id),
        row("kind", facts.kind.as_deref().unwrap_or("unknown")),
    ];
    if let Some(origin) = &facts.origin {
        rows.push(row("from", &sender(facts)));
        rows.push(row("proof", origin.trust.word()));
        if let Some(why) = &origin.why {
            rows.push(row("because", why));
        }
        if let Some(account) = &origin.account {
            rows.push(row("account", account.as_str()));
        }
    }
    if let Some(to) = &facts.to {
        rows.push(row("to", to));
    }
    rows.push(row("state", &state(facts)));
    for (to, state) in &facts.deliveries {
        let why = facts.reasons.get(to);
        let to = if to.is_empty() { "its recipient" } else { to };
        let why = why.map(|why| format!(": {why}")).unwrap_or_default();
        rows.push(row("delivery", &format!("{state} ({to}){why}")));
    }
    if !facts.summary.is_empty() {
        rows.push(row("says", &facts.summary));
    }
    let mut text = columns(&rows);
    let is_known = matches!(
        facts.kind.as_deref(),
        Some(
            "RequestContact"
                | "ReplyContact"
                | "RequestConfirmation"
                | "ResponseConfirmation"
                | "RequestTask"
        )
    );
    match &facts.content {
        Some(content) if !is_known => {
            let content = serde_json::to_string_pretty(content).unwrap_or_default();
            let lines = content.lines().map(|line| format!("  {}\n", plain(line)));
            let _ = write!(text, "\n{}", lines.collect::<String>());
        }
        Some(_) | None => {}
    }
    text.push_str(&what_next(facts));
    text
}

/// What can be typed about an open request.
fn what_next(facts: &MessageFacts) -> String {
    let is_open = facts.direction == Direction::Inbound && facts.answer.is_none();
    if facts.kind.as_deref() == Some("AcknowledgeConnection") {
        return "\na device asks to be connected: mesh device pending\n".to_owned();
    }
    let noun = match facts.kind.as_deref() {
        Some("RequestContact" | "ReplyContact") => "contact",
        Some("RequestConfirmation") => "confirm",
        Some("RequestTask") => "task",
        _ => return String::new(),
    };
    let is_proven = facts
        .origin
        .as_ref()
        .is_some_and(|origin| matches!(origin.trust, Trust::Verified | Trust::Stranger));
    if is_open && is_proven {
        format!("\nanswer with: mesh {noun} accept {}\n", plain(&facts.id))
    } else {
        String::new()
    }
}
