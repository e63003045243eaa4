//! `mesh message`, `mesh confirm`, and what `mesh contact` and `mesh task` do besides their catalogs.

use clap::{Args, Subcommand};
use mesh_common::address::AccountAddress;

use super::entry::{ContactFields, TaskFields, Verb};

/// What is to be done with contacts: the catalog's verbs, and what goes on between people.
#[derive(Debug, Subcommand)]
#[command(after_help = "\
Examples:
  mesh contact add \"Ada Lovelace\" --email ada@example.org --phone +44207946000
  mesh contact request ada@example.org --message \"We met in Turin\"
  mesh contact pending
  mesh contact accept ada@example.org --allow Confirm
  mesh contact block mallory@example.net")]
pub(crate) enum ContactCommand {
    /// The verbs of every catalog.
    #[command(flatten)]
    Entry(Verb<ContactFields>),
    Request(ContactRequest),
    /// See which requests are open, in both directions
    Pending,
    Accept(ContactAccept),
    /// Refuse a request; its sender is not told
    Reject(OpenRequest),
    Block(Block),
}

impl ContactCommand {
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Entry(verb) => verb.name(),
            Self::Request(_) => "request",
            Self::Pending => "pending",
            Self::Accept(_) => "accept",
            Self::Reject(_) => "reject",
            Self::Block(_) => "block",
        }
    }
}

/// Ask somebody for their contact data, and give them yours
///
/// What they get is the contact you marked with `mesh contact add NAME --self`, or your address
/// alone, with the public profile of your account, signed by this device. A first request cannot be
/// encrypted: the services that carry it can read it.
///
/// Their answer is taken into your contacts by `mesh sync`, if it proves that it is theirs.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  mesh contact request bob@example.net --message \"Alice from the choir\"
  mesh contact request bob@example.net --allow Confirm")]
pub(crate) struct ContactRequest {
    /// Their address, user@domain
    pub(crate) address: AccountAddress,
    /// What to tell them; they see it with the request
    #[arg(long, value_name = "TEXT")]
    pub(crate) message: Option<String>,
    /// What they may send you besides contact data: `Confirm`, `Task`, `Group` or `*`; repeat for more
    #[arg(long, value_name = "WHAT")]
    pub(crate) allow: Vec<String>,
}

/// Take the sender of a request into your contacts, and give them your contact data
///
/// The request must prove whom it is from: its signature leads to the account it names, and the
/// contact data in it is about that account and no other. Compare the name with what you know; a
/// proof says which account asks, not which person.
#[derive(Debug, Args)]
pub(crate) struct ContactAccept {
    /// The request: its id, the start of it, or the address of its sender
    #[arg(value_name = "ID")]
    pub(crate) id: String,
    /// What they may send you besides contact data: `Confirm`, `Task`, `Group` or `*`; repeat for more
    #[arg(long, value_name = "WHAT")]
    pub(crate) allow: Vec<String>,
}

/// Refuse everything somebody sends
///
/// Your service reads it in your contacts and refuses their messages from now on. They are not told
/// why. `mesh contact update NAME --allow Contact` or `mesh contact delete NAME` undoes it.
#[derive(Debug, Args)]
pub(crate) struct Block {
    /// Their address, user@domain
    pub(crate) address: AccountAddress,
}

/// Names a request that waits for an answer.
#[derive(Debug, Args)]
pub(crate) struct OpenRequest {
    /// Which one: its id, the start of it, or the address of its sender
    #[arg(value_name = "ID")]
    pub(crate) id: String,
}

/// Names one message.
#[derive(Debug, Args)]
pub(crate) struct Message {
    /// Which one: its id, or the start of it
    #[arg(value_name = "ID")]
    pub(crate) id: String,
}

/// What is to be done with tasks: the catalog's verbs, and tasks for others.
#[derive(Debug, Subcommand)]
#[command(after_help = "\
Examples:
  mesh task add \"Water the ferns\" --finish 2026-07-01T18:00:00Z --repeat RRULE:FREQ=WEEKLY
  mesh task list ferns
  mesh task send bob@example.net \"Water the ferns\" --finish 2026-07-01T18:00:00Z")]
pub(crate) enum TaskCommand {
    /// The verbs of every catalog.
    #[command(flatten)]
    Entry(Verb<TaskFields>),
    Send(TaskSend),
    /// Take a task that a contact sent into your tasks
    Accept(OpenRequest),
}

impl TaskCommand {
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Entry(verb) => verb.name(),
            Self::Send(_) => "send",
            Self::Accept(_) => "accept",
        }
    }
}

/// Ask a contact to do something
///
/// The task is encrypted to their account. It reaches them if they allow you to send tasks.
#[derive(Debug, Args)]
pub(crate) struct TaskSend {
    /// Their address, user@domain
    pub(crate) address: AccountAddress,
    /// What it is
    #[arg(value_name = "TITLE")]
    pub(crate) title: String,
    /// When, where and how.
    #[command(flatten)]
    pub(crate) fields: TaskFields,
}

/// Messages received and sent
#[derive(Debug, Args)]
pub(crate) struct Messages {
    /// What is to be done with messages.
    #[command(subcommand)]
    pub(crate) command: MessageCommand,
}

/// What is to be done with messages.
#[derive(Debug, Subcommand)]
pub(crate) enum MessageCommand {
    List(MessageList),
    Status(MessageStatus),
    /// Read a message; it counts as read from then on
    Read(Message),
    /// Mark a message as deleted; the service may erase it then
    Delete(Message),
    /// Mark a message as unread, which also brings back a deleted one
    Unread(Message),
}

impl MessageCommand {
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::List(_) => "list",
            Self::Status(_) => "status",
            Self::Read(_) => "read",
            Self::Delete(_) => "delete",
            Self::Unread(_) => "unread",
        }
    }
}

/// List messages, and how far they are proven and delivered
///
/// PROOF says how far this device could prove who a message is from:
///   verified  signed by the account in your contacts
///   stranger  signed by an account that is not in your contacts
///   service   signed by your service
///   own       signed by a device of yours
///   unsigned  signed by nobody
///   FORGED    not what it says; `mesh message read ID` tells why
///
/// STATE of a message that was sent: waiting (on this device), pending, sent, delayed, received,
/// refused, failed; per recipient.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct MessageList {
    /// Also those that were read or deleted
    #[arg(long)]
    pub(crate) all: bool,
    /// Those that were sent
    #[arg(long)]
    pub(crate) outbound: bool,
}

/// See how far sent messages are, for each recipient
///
/// STATE is what your service told last:
///   waiting   still on this device: `mesh sync` sends it
///   pending   your service has it
///   sent      handed to the recipient's service, or to their account
///   delayed   not delivered for four hours; your service goes on trying
///   received  in the recipient's account
///   refused   the recipient's service does not take it
///   failed    given up
///
/// Nothing follows on received, refused and failed. WHY is told of other services only: your own
/// service gives no reasons for what its accounts refuse.
#[derive(Debug, Args)]
#[command(
    verbatim_doc_comment,
    after_help = "\
Examples:
  mesh message status
  mesh message status NCQJ-6O3R"
)]
pub(crate) struct MessageStatus {
    /// Which message: its id, or the start of it; all that were sent if left out
    #[arg(value_name = "ID")]
    pub(crate) id: Option<String>,
    /// Also deliveries that were received
    #[arg(long, conflicts_with = "id")]
    pub(crate) all: bool,
}

/// Ask somebody to say yes or no, and answer such questions
#[derive(Debug, Args)]
pub(crate) struct Confirm {
    /// What is to be done with confirmations.
    #[command(subcommand)]
    pub(crate) command: ConfirmCommand,
}

/// What is to be done with confirmations.
#[derive(Debug, Subcommand)]
#[command(after_help = "\
Examples:
  mesh confirm ask bob@example.net \"Transfer 100 to the choir?\"
  mesh confirm pending
  mesh confirm accept bob@example.net")]
pub(crate) enum ConfirmCommand {
    Ask(ConfirmAsk),
    /// See what you are asked, and how others answered you
    Pending,
    /// Say yes
    Accept(OpenRequest),
    /// Say no
    Reject(OpenRequest),
}

impl ConfirmCommand {
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Ask(_) => "ask",
            Self::Pending => "pending",
            Self::Accept(_) => "accept",
            Self::Reject(_) => "reject",
        }
    }
}

/// Ask a contact to confirm something
///
/// The question is encrypted to their account; it reaches them if they allow you to ask (`Confirm`).
/// An answer counts only if it is signed by a device of theirs that may confirm, and answers just
/// what you asked.
#[derive(Debug, Args)]
pub(crate) struct ConfirmAsk {
    /// Their address, user@domain
    pub(crate) address: AccountAddress,
    /// The question
    #[arg(value_name = "TEXT")]
    pub(crate) text: String,
}
