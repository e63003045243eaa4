//! Post by a device: messages to other accounts, notices to itself (service §5.7, §7.2, containers
//! §8.4 D21; decisions Q-14, Q-19, Q-20, Q-26, Q-27, Q-39, Q-46, Q-55, Q-69; X-40, X-50, X-54).
//!
//! ```text
//!  Accounts named ─▶ outgoing    each message in itself: size, id, signature, sender
//!                    recipients  who they are, whether they are served here, how much it is together
//!                    outgoing    whether policy and device permit its type
//!                    conduct     whether complaints, and the account's own contacts, leave it to them
//!                    sending     what is new of it: frame, intake entries, exchanges
//!                    remote      what waits for other services, and whether there is room
//!                    counts      whether the account may send that much now
//!  no Accounts, Self ──────────▶ Local, or where a completion belongs   (upload::spool)
//! ```
//!
//! Everything is one commit: Outbound frame, intake entries, queue items and Self, or nothing.

mod conduct;
mod counts;
mod outgoing;
mod recipients;
mod remote;
mod requirements;
mod sending;

pub use counts::PostingCounts;
pub(super) use outgoing::check_block;
pub(super) use requirements::add_needs;

use self::outgoing::Outgoing;
use self::recipients::Recipients;
use self::sending::Sending;
use super::access::Access;
use super::decide::{Decision, Scene};
use super::state::AccountState;
use super::upload::{Ledger, Upload, Verdict, Verdicts};
use crate::dare::{ContainerKind, ContainerName};
use crate::error::ServiceError;
use crate::limits::POST_MESSAGES_MAX;
use crate::protocol::{Code, PostRequest};

/// Decides the Post of an admitted device.
///
/// # Errors
/// What concerns the request as a whole: 413/8 for too many messages, recipients or octets, 422/117
/// for a recipient that is no address, 403/5 while the account is suspended, 429/114 for too much in
/// too short a time, 503/120 where too much waits. Everything else is told per message, in the rows of the response.
pub(super) fn decide(
    scene: &Scene<'_>,
    state: &AccountState,
    access: Access<'_>,
    request: &PostRequest,
) -> Result<Decision, ServiceError> {
    check_count(request)?;
    if scene.is_stale(state) {
        return Ok(Decision::Stale);
    }
    let upload = Upload {
        scene,
        state,
        access,
    };
    let mut ledger = Ledger::new(state);
    let mut verdicts = Verdicts::default();
    if request.accounts.is_empty() {
        for message in &request.messages {
            upload.own_message(&mut ledger, &mut verdicts, message, ContainerKind::Local);
        }
    } else {
        send_all(&upload, &mut ledger, &mut verdicts, request)?;
    }
    for message in &request.self_messages {
        upload.own_message(&mut ledger, &mut verdicts, message, ContainerKind::Local);
    }
    Ok(verdicts.conclude(&upload, ledger))
}

/// Messages and Self count together, as the envelopes of an Upload do.
fn check_count(request: &PostRequest) -> Result<(), ServiceError> {
    let count = request.messages.len() + request.self_messages.len();
    if count <= POST_MESSAGES_MAX {
        return Ok(());
    }
    Err(ServiceError::new(
        Code::TooLarge,
        format!("a Post has at most {POST_MESSAGES_MAX} messages, this one has {count}"),
    ))
}

/// Sends every message to every recipient, or none to anybody, in the order of checks of service
/// §7.2. A step that refuses a message ends there, with a row for each.
fn send_all(
    upload: &Upload<'_>,
    ledger: &mut Ledger,
    verdicts: &mut Verdicts,
    request: &PostRequest,
) -> Result<(), ServiceError> {
    let Some(outbound) = ContainerKind::Outbound.name() else {
        return Ok(());
    };
    let level = conduct::level(upload);
    conduct::check_level(level)?;
    let messages: Vec<_> = request
        .messages
        .iter()
        .enumerate()
        .map(|(position, envelope)| Outgoing::of(upload, ledger, envelope, position))
        .collect();
    let Some(messages) = all_or_rows(verdicts, &outbound, messages) else {
        return Ok(());
    };
    let recipients = Recipients::of(request)?;
    recipients.check_size(&messages)?;
    let permitted = messages
        .into_iter()
        .map(|message| {
            message
                .permitted(upload)?
                .welcome(upload, &recipients, level)
        })
        .collect();
    let Some(messages) = all_or_rows(verdicts, &outbound, permitted) else {
        return Ok(());
    };
    let mut sending = Sending::new(upload, &outbound, &recipients);
    for message in &messages {
        let verdict = sending
            .send(ledger, message)
            .unwrap_or_else(|verdict| verdict);
        verdicts.add(&outbound, verdict);
    }
    sending.count(ledger, level)
}

/// All that is acceptable, if everything is; else the rows of a refused request.
fn all_or_rows<T>(
    verdicts: &mut Verdicts,
    outbound: &ContainerName,
    steps: Vec<Result<T, Verdict>>,
) -> Option<Vec<T>> {
    if steps.iter().all(Result::is_ok) {
        return steps.into_iter().collect::<Result<_, _>>().ok();
    }
    for step in steps {
        // Nothing is accepted in a refused request: what the index would be does not matter.
        verdicts.add(
            outbound,
            step.map_or_else(|refused| refused, |_| Verdict::Accept(0)),
        );
    }
    None
}
