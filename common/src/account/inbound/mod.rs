//! A message that another service posts: the recipient's owner checks everything at once, appends it
//! to the spool, and says so (service §7.3 and §7.4, decision Q-5).
//!
//! ```text
//!  front-end: evidence ── what can be told without the account: size, identifier, signatures, sender
//!  owner:     decide ──── whether it is there already, whether the account takes it, whether there is
//!                         room ─▶ 201 and a frame in Inbound, or the refusal and nothing
//! ```
//!
//! A reply that is lost costs nothing. The same request again, under its RequestID, gets its stored
//! answer; the same message under another RequestID, which is how a sender tries again after hours or
//! a restart, is recognized by sender, UniqueID and payload for 30 days (architecture A-13). A refusal
//! is not remembered: whoever is let in tomorrow is let in.

mod evidence;
#[cfg(test)]
mod tests;

pub use evidence::evidence;

use super::change::Transition;
use super::decide::{Decision, Scene};
use super::intake::IntakeMessage;
use super::intake::checks::{self, Check, Fate};
use super::intake::complaint;
use super::intake::reception::{ReceptionResult, Setting};
use super::needs::Needs;
use super::policy::AccountPolicy;
use super::refusal;
use super::state::{AccountState, Standing};
use crate::cluster::AccountRequest;
use crate::error::ServiceError;
use crate::protocol::{Code, EntryResponse, EntryResult, Outcome, PostResponse, Response};

/// What must be looked up before the Post of a service can be decided.
pub(super) fn add_needs(state: &AccountState, request: &AccountRequest, needs: &mut Needs) {
    if let Some(message) = request.evidence.forwarded() {
        checks::add_needs(state, message, needs);
    }
}

/// Decides the Post of a service.
///
/// # Errors
/// 404/6 for an account that is not here: a service needs to know, to tell its sender (decision
/// Q-57). 401/2 for a request that is no message of another service.
pub(super) fn decide(scene: &Scene<'_>, standing: &Standing) -> Result<Decision, ServiceError> {
    let message = scene
        .request
        .evidence
        .forwarded()
        .filter(|message| message.service.is_some())
        .ok_or_else(refusal::not_permitted)?;
    scene.check_id()?;
    if let Some(repeated) = scene.repeated()? {
        return Ok(repeated);
    }
    let Some(state) = standing.account() else {
        return Err(refusal::no_such_account());
    };
    let setting = Setting {
        policy: scene.policy,
        contacts: scene.lookups.contacts.as_deref(),
        completion: None,
        service_level: scene.lookups.service_level,
        now: scene.now,
    };
    let check = Check {
        state,
        recipient: &scene.request.account,
        message,
        lookups: scene.lookups,
        setting: &setting,
    };
    Ok(match check.decide() {
        Ok(Fate::Taken { tip, changes }) => {
            let response = received(scene.request);
            Decision::Commit(Box::new(scene.commit(
                state.record.id,
                tip,
                changes,
                response,
            )))
        }
        Ok(Fate::Repeated) => scene.answer(received(scene.request)),
        Err(result) => turned_away(scene, state, message, result),
    })
}

/// 201: the message stands in the spool. Where in it is nobody's business.
fn received(request: &AccountRequest) -> Response {
    answer(refusal::ok(request))
}

/// 202: the message is left for an owner who is away (decision Q-5).
#[must_use]
pub fn left(request: &AccountRequest) -> Response {
    let text = "accepted; the message is left for the account until its home is back";
    answer(Outcome {
        status: Some(Code::Accepted.status()),
        status_description: Some(text.to_owned()),
        ..refusal::ok(request)
    })
}

fn answer(outcome: Outcome) -> Response {
    Response::Post(PostResponse {
        outcome,
        entries: vec![EntryResponse {
            index_request: Some(0),
            result: Some(EntryResult::Accept),
            ..EntryResponse::default()
        }],
        constraints_data: None,
    })
}

/// The refusal for `result`, what it counts against the service, and what the operator learns of it
/// (X-61). What is written is no answer to be given again: the request may come again and be let in
/// (decision Q-33).
fn turned_away(
    scene: &Scene<'_>,
    state: &AccountState,
    message: &IntakeMessage,
    result: ReceptionResult,
) -> Decision {
    let request = scene.request;
    let incident = checks::incident(message, result);
    let answer = refusal::answer(request, refusal_of(result).with_context(&incident));
    let incidents = Vec::from_iter(result.is_incident().then_some(incident));
    let recipient = &request.account;
    let changes = complaint::of_refusal(message, recipient, scene.lookups, result, scene.now);
    if !changes.is_empty() {
        return Decision::Commit(Box::new(Transition {
            account: state.record.id,
            address: recipient.clone(),
            changes,
            answer,
            incidents,
        }));
    }
    let answer = Box::new(answer);
    if incidents.is_empty() {
        Decision::Answer(answer)
    } else {
        Decision::Report { answer, incidents }
    }
}

/// What a service is told. Policy of user, site and type is one refusal (X-52); the quota of one
/// account is no matter of the service's rate, which would hold up everybody else's messages.
fn refusal_of(result: ReceptionResult) -> ServiceError {
    match result {
        ReceptionResult::NoRecipient | ReceptionResult::NobodyThere => refusal::no_such_account(),
        ReceptionResult::IdReused => ServiceError::new(
            Code::IdReused,
            "another message of this sender came under the same identifier",
        ),
        ReceptionResult::Unacceptable => {
            ServiceError::new(Code::Malformed, "the message is not acceptable in a spool")
        }
        ReceptionResult::Quota => ServiceError::new(
            Code::QuotaExceeded,
            "the account has no room for more messages at present",
        ),
        // The rest are no refusals of messages; none of them comes from the checks.
        ReceptionResult::Ruled(_)
        | ReceptionResult::Misaddressed
        | ReceptionResult::Taken
        | ReceptionResult::Repeated
        | ReceptionResult::Told
        | ReceptionResult::Stale
        | ReceptionResult::Seen => refused(),
    }
}

/// The one refusal that does not say why (X-52).
#[must_use]
pub fn refused() -> ServiceError {
    ServiceError::new(Code::Refused, "the account does not take this message")
}

/// Whether the site takes nothing from the sender or its service, whoever the recipient is (rule 1).
#[must_use]
pub fn is_blocked(message: &IntakeMessage, policy: &AccountPolicy) -> bool {
    policy
        .inbound
        .blocks(&message.sender, message.service.as_ref())
}
