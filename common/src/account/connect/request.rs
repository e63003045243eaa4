//! Connect: a request is put before the account's administrators, and remembered (service §6.2 steps 2
//! to 4, §6.5 step 2). Everything that needs signatures is in the evidence.

use super::pending::{PendingConnection, Stage};
use crate::account::change::Change;
use crate::account::decide::{Decision, Scene};
use crate::account::intake::append::{self, AppendError, Appended};
use crate::account::refusal;
use crate::account::state::{AccountState, AccountStatus, Standing};
use crate::cluster::Evidence;
use crate::cluster::handle::ConnectEvidence;
use crate::dare::{ContainerKind, Envelope};
use crate::error::ServiceError;
use crate::limits::CONNECTIONS_REMEMBERED_FACTOR;
use crate::message::{response_id_2020, response_id_later};
use crate::protocol::{Code, ConnectResponse, Response};
use crate::session::Mode;
use crate::udf::Udf;

/// Decides a Connect.
///
/// # Errors
/// 401/2 for a mode or an account that may not; 403/5 if there is no such account or it is not in
/// use (404/6 where probing is allowed, X-16); 409/112 for a device that is connected; 400/100 for a
/// hailing account without the id of the published request; 429/114 if too many requests wait; what
/// a message in Inbound is refused for.
pub(in crate::account) fn decide(
    scene: &Scene<'_>,
    standing: &Standing,
) -> Result<Decision, ServiceError> {
    check_caller(scene)?;
    scene.check_id()?;
    if let Some(repeated) = scene.repeated()? {
        return Ok(repeated);
    }
    let state = standing.account();
    let Some(state) = state.filter(|state| state.record.status == AccountStatus::Connected) else {
        return Err(refusal::no_connection(scene.policy, state.is_some()));
    };
    let Evidence::Connection(evidence) = &scene.request.evidence else {
        // There was no such account when the request was verified.
        return Ok(Decision::Stale);
    };
    if evidence.profile_version != state.record.keys.profile_version {
        return Ok(Decision::Stale);
    }
    check_device(state, evidence)?;
    check_room(scene, state, evidence)?;
    acknowledge(scene, state, evidence)
}

/// In Device mode; the session may be bound to no account (decision Q-44).
fn check_caller(scene: &Scene<'_>) -> Result<(), ServiceError> {
    let caller = &scene.request.caller;
    if !matches!(caller.mode, Mode::Device | Mode::Interop) {
        return Err(refusal::not_permitted());
    }
    let account = caller.account.as_ref();
    if account.is_some_and(|account| account != &scene.request.account) {
        return Err(refusal::another_account());
    }
    Ok(())
}

/// A device that has its entry is connected already.
fn check_device(state: &AccountState, evidence: &ConnectEvidence) -> Result<(), ServiceError> {
    let is_connected = state.devices.live.iter().any(|(unique_id, entry)| {
        let facts = entry.facts.as_ref();
        facts.is_some_and(|facts| facts.device_udf == evidence.device_udf)
            || Udf::parse(unique_id).as_ref() == Ok(&evidence.device_udf)
    });
    if is_connected {
        return Err(ServiceError::new(
            Code::Conflict,
            "the device is connected to the account already",
        ));
    }
    Ok(())
}

/// Only so many requests wait, of all devices and of this one.
fn check_room(
    scene: &Scene<'_>,
    state: &AccountState,
    evidence: &ConnectEvidence,
) -> Result<(), ServiceError> {
    let rules = &scene.policy.connections;
    let waiting = || state.connections.waiting(scene.now);
    let own = || waiting().filter(|row| row.device == evidence.device_udf);
    let full = if own().count() >= rules.pending_per_device_max {
        Some((
            "too many requests of this device wait for an answer",
            own().map(until).min(),
        ))
    } else if waiting().count() >= rules.pending_max_of(&state.record.address) {
        let sentence = "too many requests to connect wait for an answer at this account";
        Some((sentence, waiting().map(until).min()))
    } else {
        None
    };
    let Some((sentence, first)) = full else {
        return Ok(());
    };
    let wait = first.map_or_else(|| rules.life(), |first| first.since(scene.now));
    Err(ServiceError::new(Code::RateLimited, sentence).retry_after(wait))
}

fn until(row: &PendingConnection) -> crate::time::Timestamp {
    row.expires_at
}

/// The acknowledgement goes to Inbound, the request is remembered, both in one commit.
fn acknowledge(
    scene: &Scene<'_>,
    state: &AccountState,
    evidence: &ConnectEvidence,
) -> Result<Decision, ServiceError> {
    let row = PendingConnection {
        response_ids: response_ids(scene, state, evidence)?,
        device: evidence.device_udf.clone(),
        expires_at: scene.now + scene.policy.connections.life(),
        answered_at: None,
    };
    let envelope = &evidence.acknowledgement;
    let appended = append(scene, state, envelope)?;
    let mut changes = appended.changes;
    changes.extend(forget_some(scene, state));
    changes.push(Change::Connection {
        message_id: evidence.message_id.to_string(),
        row: Some(row),
    });
    let response = Response::Connect(Box::new(ConnectResponse {
        outcome: refusal::ok(scene.request),
        enveloped_connection_response: Some(envelope.clone()),
        enveloped_profile_master: Some(state.record.profile_mesh.clone()),
        enveloped_account_assertion: Some(state.record.profile_account.clone()),
    }));
    let transition = scene.commit(state.record.id, appended.tip, changes, response);
    Ok(Decision::Commit(Box::new(transition)))
}

/// Behind the last message of Inbound. What is acknowledged is verbatim in the acknowledgement, so a
/// request may be large enough in itself and too large for that.
fn append(
    scene: &Scene<'_>,
    state: &AccountState,
    envelope: &Envelope,
) -> Result<Appended, ServiceError> {
    let bytes_max = scene.policy.message_payload_bytes_max;
    if envelope.payload.as_slice().len() > bytes_max {
        return Err(ServiceError::new(
            Code::TooLarge,
            format!("the acknowledgement of a request has at most {bytes_max} octets"),
        ));
    }
    let appended = append::message(
        state,
        ContainerKind::Inbound,
        envelope,
        (scene.policy, scene.lookups.room),
        scene.now,
    );
    appended.map_err(|error| match error {
        AppendError::Quota => ServiceError::new(
            Code::QuotaExceeded,
            "the account has no room for requests to connect",
        ),
        other => ServiceError::internal(other),
    })
}

/// What the answer will be called: after the acknowledgement, at a hailing account after the request
/// that was published beforehand (decision Q-49).
fn response_ids(
    scene: &Scene<'_>,
    state: &AccountState,
    evidence: &ConnectEvidence,
) -> Result<Vec<Udf>, ServiceError> {
    let message_id = if scene.policy.connections.hails(&state.record.address) {
        evidence.published_id.as_deref().ok_or_else(|| {
            ServiceError::new(
                Code::Malformed,
                "a request to a hailing account has the MessageID it was published under",
            )
        })?
    } else {
        evidence.message_id.as_str()
    };
    let later = response_id_later(message_id);
    Ok([response_id_2020(message_id)]
        .into_iter()
        .chain(later)
        .collect())
}

/// Rows that count no longer, and beyond the bound the one that was over first.
fn forget_some(scene: &Scene<'_>, state: &AccountState) -> Vec<Change> {
    let rules = &scene.policy.connections;
    let kept_max = rules.pending_max_of(&state.record.address) * CONNECTIONS_REMEMBERED_FACTOR;
    let is_forgotten = |row: &PendingConnection| row.stage(scene.now) == Stage::Forgotten;
    let rows = || state.connections.iter();
    let mut gone: Vec<&str> = rows()
        .filter(|(_, row)| is_forgotten(row))
        .map(|(id, _)| id)
        .collect();
    if state.connections.count() - gone.len() >= kept_max {
        let kept = rows().filter(|(_, row)| !is_forgotten(row));
        let first = kept
            .filter(|(_, row)| row.stage(scene.now) != Stage::Waiting)
            .min_by_key(|(_, row)| row.over_at());
        gone.extend(first.map(|(id, _)| id));
    }
    gone.into_iter()
        .map(|message_id| Change::Connection {
            message_id: message_id.to_owned(),
            row: None,
        })
        .collect()
}
