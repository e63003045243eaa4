//! Complete: whether a request to connect was answered (service §6.3, decisions ).
//! Reads only; the answer is the newest entry of Local under the ResponseID.

use super::pending::{PendingConnection, Stage};
use crate::account::access;
use crate::account::decide::{Decision, Scene};
use crate::account::needs::Needs;
use crate::account::refusal;
use crate::account::state::{AccountState, AccountStatus, Head};
use crate::address::AccountAddress;
use crate::cluster::AccountRequest;
use crate::dare::{ContainerKind, Envelope};
use crate::error::ServiceError;
use crate::protocol::{Code, CompleteRequest, CompleteResponse, Response};
use crate::session::{Caller, Mode};
use crate::udf::Udf;

/// The answer has to be read if the device asking may have one.
pub(in crate::account) fn add_needs(
    state: &AccountState,
    request: &AccountRequest,
    complete: &CompleteRequest,
    needs: &mut Needs,
) {
    let (Some(local), Some(response_id)) = (local(state), response_id(complete)) else {
        return;
    };
    let rows = state.connections.iter().map(|(_, row)| row);
    for row in rows.filter(|row| is_asked_for(row, &request.caller, &response_id)) {
        let ids = row.response_ids.iter();
        needs
            .newest
            .extend(ids.map(|id| (local.number, id.as_str().to_owned())));
    }
}

fn is_asked_for(row: &PendingConnection, caller: &Caller, response_id: &Udf) -> bool {
    row.answered_at.is_some()
        && row.is_answered_by(response_id)
        && (caller.mode == Mode::Interop || caller.profile_udf.as_ref() == Some(&row.device))
}

/// Decides a Complete.
///
/// # Errors
/// 401/2 for a mode or an account that may not; 400/100 without a ResponseID; 404/6 if there is no
/// such account or no such request of this device; 403/5 if the account is on hold or blocked;
/// 350/110 while nobody has answered; 410/111 once the request or its answer is too old.
pub(in crate::account) fn decide(
    scene: &Scene<'_>,
    state: Option<&AccountState>,
    request: &CompleteRequest,
) -> Result<Decision, ServiceError> {
    check(scene, request)?;
    let response_id = response_id(request).ok_or_else(|| {
        ServiceError::new(Code::Malformed, "a Complete names the ResponseID it is for")
    })?;
    let state = state.ok_or_else(refusal::nothing_here)?;
    let caller = &scene.request.caller;
    let device = (caller.mode != Mode::Interop).then_some(caller.profile_udf.as_ref());
    let row = match device {
        // A device that says nothing of itself has asked for nothing.
        Some(None) => None,
        Some(device) => state.connections.find(device, &response_id, scene.now),
        None => state.connections.find(None, &response_id, scene.now),
    };
    let row = row.ok_or_else(refusal::nothing_here)?;
    if state.record.status != AccountStatus::Connected {
        return Err(refusal::suspended());
    }
    match row.stage(scene.now) {
        Stage::Waiting => Err(refusal::not_answered()),
        Stage::Answered => {
            let answer = answer(scene, state, row).ok_or_else(expired)?;
            let response = CompleteResponse {
                outcome: refusal::ok(scene.request),
                signed_response: Some(answer),
            };
            Ok(scene.answer(Response::Complete(Box::new(response))))
        }
        Stage::Over | Stage::Forgotten => Err(expired()),
    }
}

/// In Device mode, for the account of the session (service §4.8, decision Q-25).
fn check(scene: &Scene<'_>, request: &CompleteRequest) -> Result<(), ServiceError> {
    access::check_matrix(scene.request)?;
    if scene.request.caller.mode == Mode::Profile {
        return Err(refusal::not_permitted());
    }
    let named = request.service_id.as_deref().map(AccountAddress::parse);
    if named.is_some_and(|named| named.as_ref() != Ok(&scene.request.account)) {
        return Err(refusal::another_account());
    }
    scene.check_id()
}

fn response_id(request: &CompleteRequest) -> Option<Udf> {
    Udf::parse(request.response_id.as_deref()?).ok()
}

fn local(state: &AccountState) -> Option<&Head> {
    state.head(&ContainerKind::Local.name()?)
}

/// The newest entry of Local under either form of the ResponseID. None if its payload is no
/// longer kept.
fn answer(scene: &Scene<'_>, state: &AccountState, row: &PendingConnection) -> Option<Envelope> {
    let local = local(state)?.number;
    row.response_ids
        .iter()
        .filter_map(|id| scene.lookups.newest(local, id.as_str()))
        .max_by_key(|frame| frame.index)
        .filter(|frame| !frame.record.redacted)
        .map(crate::account::StoredFrame::into_envelope)
}

fn expired() -> ServiceError {
    ServiceError::new(
        Code::Expired,
        "the request to connect has expired, make a new one",
    )
}
