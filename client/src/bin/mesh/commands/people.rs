//! `mesh contact request`, `pending`, `accept`, `reject`, `block`; `mesh confirm`; `mesh task send`
//! and `accept`: what goes on between people. What is to be sent is sent at once; if the service
//! cannot be reached, it waits for `mesh sync`.

use std::fmt::Write as _;

use mesh_client::Client;
use mesh_client::entries::EntryKind;
use mesh_client::messages::{Asked, Direction, Exchange, MessageFacts, Queued};
use mesh_common::catalog::entry::{CatalogEntry, Task};
use serde_json::json;

use super::messages::{named, sender, table};
use super::{entries, open};
use crate::args::{
    Confirm, ConfirmCommand, ContactAccept, ContactCommand, ContactFields, ContactRequest, Global,
    TaskCommand, TaskFields, TaskSend, Verb,
};
use crate::failure::Failure;
use crate::fields::Members;
use crate::output::{Done, columns, counted, plain};

pub(super) async fn contact(global: &Global, command: ContactCommand) -> Result<Done, Failure> {
    match command {
        ContactCommand::Entry(Verb::List(list)) => {
            let mut client = open(global)?;
            let done = entries::list_in::<ContactFields>(&mut client, &list)?;
            with_open_requests(&mut client, done)
        }
        ContactCommand::Entry(verb) => entries::run(global, verb),
        ContactCommand::Request(request) => self::request(global, request).await,
        ContactCommand::Pending => pending(global),
        ContactCommand::Accept(accept) => self::accept(global, accept).await,
        ContactCommand::Reject(message) => reject(global, &message.id),
        ContactCommand::Block(block) => {
            let mut client = open(global)?;
            let place = client.block(&block.address)?;
            client.exchange(&Default::default()).await?;
            let text = format!(
                "blocked {}\n  id {}\n\nyour service refuses what they send from now on\n",
                block.address,
                plain(&place.id)
            );
            Ok(Done::new(text, &json!({"entry": place})))
        }
    }
}

/// Adds to a list of contacts how many requests are open.
fn with_open_requests(client: &mut Client, mut done: Done) -> Result<Done, Failure> {
    let pending = client.pending_contacts()?;
    let received = pending.received.len();
    if received > 0 {
        let requests = counted(received as u64, "request");
        let verb = if received == 1 { "waits" } else { "wait" };
        let _ = writeln!(
            done.text,
            "{requests} {verb} for your answer: mesh contact pending"
        );
    }
    if let Some(result) = done.result.as_object_mut() {
        result.insert("requests_waiting".into(), json!(received));
    }
    Ok(done)
}

async fn request(global: &Global, request: ContactRequest) -> Result<Done, Failure> {
    let mut client = open(global)?;
    let queued = client.request_contact(&request.address, request.message, &request.allow)?;
    let exchange = client.deliver(&queued.id).await?;
    let mut text = sent("asked", &queued);
    text.push_str("\ntheir answer comes with `mesh sync`\n");
    Ok(Done::new(text, &result(&queued, &exchange)))
}

fn pending(global: &Global) -> Result<Done, Failure> {
    let pending = open(global)?.pending_contacts()?;
    let mut text = String::new();
    if !pending.received.is_empty() {
        text.push_str("they ask you:\n");
        text.push_str(&table(&pending.received, Direction::Inbound));
    }
    if !pending.sent.is_empty() {
        text.push_str("you asked them:\n");
        text.push_str(&table(&pending.sent, Direction::Outbound));
    }
    if text.is_empty() {
        text.push_str("no request is open\n");
    }
    Ok(Done::new(text, &pending))
}

async fn accept(global: &Global, accept: ContactAccept) -> Result<Done, Failure> {
    let mut client = open(global)?;
    let accepted = client.accept_contact(&accept.id, &accept.allow)?;
    let contact = &accepted.contact;
    let mut text = format!(
        "{} is in your contacts\n  id       {}\n  account  {}\n",
        named(&contact.name, &contact.address),
        plain(&contact.id),
        contact.account
    );
    match &accepted.reply {
        Some(reply) => {
            client.deliver(&reply.id).await?;
            text.push_str("\nthey get your contact data\n");
        }
        None => drop(client.exchange(&Default::default()).await?),
    }
    Ok(Done::new(text, &accepted))
}

fn reject(global: &Global, id: &str) -> Result<Done, Failure> {
    let facts = open(global)?.reject_contact(id)?;
    let text = format!(
        "rejected the request of {}\n\nthey are not told; the change waits for `mesh sync`\n",
        sender(&facts)
    );
    Ok(Done::new(text, &facts))
}

pub(super) async fn confirm(global: &Global, confirm: Confirm) -> Result<Done, Failure> {
    let mut client = open(global)?;
    match confirm.command {
        ConfirmCommand::Ask(ask) => {
            let queued = client.ask_confirmation(&ask.address, &ask.text)?;
            let exchange = client.deliver(&queued.id).await?;
            let mut text = sent("asked", &queued);
            text.push_str("\nsee the answer with `mesh sync` and `mesh confirm pending`\n");
            Ok(Done::new(text, &result(&queued, &exchange)))
        }
        ConfirmCommand::Pending => confirmations(&mut client),
        ConfirmCommand::Accept(message) => answer(&mut client, &message.id, true).await,
        ConfirmCommand::Reject(message) => answer(&mut client, &message.id, false).await,
    }
}

async fn answer(client: &mut Client, id: &str, accept: bool) -> Result<Done, Failure> {
    let queued = client.answer_confirmation(id, accept)?;
    let exchange = client.deliver(&queued.id).await?;
    let said = if accept { "yes" } else { "no" };
    let text = sent(&format!("said {said} to"), &queued);
    Ok(Done::new(text, &result(&queued, &exchange)))
}

fn confirmations(client: &mut Client) -> Result<Done, Failure> {
    let confirmations = client.confirmations()?;
    let mut text = String::new();
    if !confirmations.received.is_empty() {
        text.push_str("they ask you:\n");
        text.push_str(&table(&confirmations.received, Direction::Inbound));
    }
    if !confirmations.asked.is_empty() {
        text.push_str("you asked them:\n");
        text.push_str(&questions(&confirmations.asked));
    }
    if text.is_empty() {
        text.push_str("nobody asks you, and you asked nobody\n");
    }
    Ok(Done::new(text, &confirmations))
}

/// What was asked, with the answers that count and those that do not.
fn questions(asked: &[Asked]) -> String {
    let mut rows = vec![
        ["ID", "TO", "STATE", "ANSWER", "SAYS"]
            .map(str::to_owned)
            .to_vec(),
    ];
    rows.extend(asked.iter().map(|one| {
        vec![
            plain(&one.request.id),
            plain(one.request.to.as_deref().unwrap_or("-")),
            one.request.state.clone(),
            match one.confirmed {
                Some(true) => "yes",
                Some(false) => "no",
                None => "-",
            }
            .to_owned(),
            plain(&one.request.summary),
        ]
    }));
    let mut text = columns(&rows);
    for (one, doubtful) in asked
        .iter()
        .flat_map(|one| one.doubtful.iter().map(move |doubtful| (one, doubtful)))
    {
        let _ = writeln!(
            text,
            "DOES NOT COUNT: {} as an answer to {}: {}",
            plain(&doubtful.id),
            plain(&one.request.id),
            plain(&doubtful.why)
        );
    }
    text
}

pub(super) async fn task(global: &Global, command: TaskCommand) -> Result<Done, Failure> {
    match command {
        TaskCommand::Entry(verb) => entries::run(global, verb),
        TaskCommand::Send(send) => self::send(global, &send).await,
        TaskCommand::Accept(message) => {
            let mut client = open(global)?;
            let place = client.accept_task(&message.id)?;
            client.exchange(&Default::default()).await?;
            let text = format!(
                "added task {}\n  id {}\n",
                plain(&place.title),
                plain(&place.id)
            );
            Ok(Done::new(text, &json!({"entry": place})))
        }
    }
}

async fn send(global: &Global, send: &TaskSend) -> Result<Done, Failure> {
    let mut entry = TaskFields::fresh(String::new());
    send.fields.apply(Some(&send.title), None, &mut entry)?;
    let task = match &entry {
        CatalogEntry::CatalogedTask(task) => task.task().map_err(Failure::entry)?,
        other => return Err(Failure::other_kind(other)),
    };
    let mut client = open(global)?;
    let queued = client.send_task(&send.address, &task.unwrap_or_else(Task::default))?;
    let exchange = client.deliver(&queued.id).await?;
    let text = sent(&format!("sent the {} to", EntryKind::Task), &queued);
    Ok(Done::new(text, &result(&queued, &exchange)))
}

/// Who was sent what, and who can read it.
fn sent(verb: &str, queued: &Queued) -> String {
    let readers = match queued.encrypted {
        true => "readable by them alone",
        false => "readable by the services that carry it",
    };
    format!(
        "{verb} {}\n  message {} ({readers})\n",
        plain(&queued.to),
        plain(&queued.id)
    )
}

fn result(queued: &Queued, exchange: &Exchange) -> serde_json::Value {
    let arrived: Vec<&MessageFacts> = exchange.arrived.iter().collect();
    json!({"message": queued, "arrived": arrived})
}
