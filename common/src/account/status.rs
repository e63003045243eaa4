//! Status (service §5.4 and §6.3, containers §8.2, decision Q-23): where the containers stand, and
//! what of profile and device entry the device has not seen. Reads only, and creates nothing.

use super::access::{self, Access};
use super::decide::{Decision, Scene};
use super::devices::DeviceEntry;
use super::needs::Needs;
use super::refusal;
use super::state::{AccountState, AccountStatus, ContainerNumber, Head};
use crate::cluster::AccountRequest;
use crate::cluster::handle::DeviceFacts;
use crate::dare::{ContainerKind, ContainerName, Envelope};
use crate::error::ServiceError;
use crate::protocol::{Code, ContainerStatus, Response, StatusRequest, StatusResponse, StatusRows};
use crate::session::{Caller, Mode};
use crate::udf::Udf;

/// The device's own entry has to be read if it will be sent.
pub(super) fn add_needs(state: &AccountState, request: &AccountRequest, needs: &mut Needs) {
    let Some(container) = device_catalog(state).map(|head| head.number) else {
        return;
    };
    if let Some(index) = entry_to_send(state, request).map(|entry| entry.frame) {
        needs.records.push((container, index, index + 1));
        needs.payloads.push((container, index));
    }
}

/// The entry that the answer will carry: to an unconnected device its own, to a connected one its
/// own if it says something else than the credential in use.
fn entry_to_send<'a>(state: &'a AccountState, request: &AccountRequest) -> Option<&'a DeviceEntry> {
    if request.caller.mode == Mode::Device {
        return own_entry(state, &request.caller).map(|(entry, _)| entry);
    }
    let access = access::admit(state, request).ok()?;
    changed_entry(access, &request.caller)
}

fn changed_entry<'a>(access: Access<'a>, caller: &Caller) -> Option<&'a DeviceEntry> {
    let (entry, facts) = access.device?;
    (!facts.connection_digests.contains(&caller.credential_digest)).then_some(entry)
}

fn own_entry<'a>(
    state: &'a AccountState,
    caller: &Caller,
) -> Option<(&'a DeviceEntry, &'a DeviceFacts)> {
    state
        .devices
        .by_device_key(&caller.key_udf)
        .filter(|(_, facts)| caller.profile_udf.as_ref() == Some(&facts.device_udf))
}

/// Decides the Status of a device in Device mode that is not the bootstrap device: its own entry
/// or nothing. `None` for everybody else.
///
/// # Errors
/// 350/110 without an entry while its request to connect waits for an answer; 404/6 without either,
/// as for an unknown account; 403/5 if the account is on hold or blocked.
pub(super) fn decide_unconnected(
    scene: &Scene<'_>,
    state: &AccountState,
    request: &StatusRequest,
) -> Result<Option<Decision>, ServiceError> {
    let caller = &scene.request.caller;
    if caller.mode != Mode::Device || access::is_bootstrap(state, caller) {
        return Ok(None);
    }
    let names_another = request.device_udf.as_deref().is_some_and(|udf| {
        caller.profile_udf.is_none() || Udf::parse(udf).ok() != caller.profile_udf
    });
    let entry = own_entry(state, caller).map(|(entry, _)| entry);
    if names_another || (entry.is_none() && !waits(scene, state)) {
        return Err(refusal::nothing_here());
    }
    if state.record.status != AccountStatus::Connected {
        return Err(refusal::suspended());
    }
    let entry = entry.ok_or_else(refusal::not_answered)?;
    let response = StatusResponse {
        outcome: refusal::ok(scene.request),
        enveloped_profile_master: profile_to_send(state, request),
        enveloped_catalog_entry_device: envelope_of(scene, state, entry),
        container_status: StatusRows::default(),
    };
    Ok(Some(scene.answer(Response::Status(Box::new(response)))))
}

/// Whether a request of the caller to be connected waits for its answer.
fn waits(scene: &Scene<'_>, state: &AccountState) -> bool {
    let device = scene.request.caller.profile_udf.as_ref();
    device.is_some_and(|device| {
        let mut waiting = state.connections.waiting(scene.now);
        waiting.any(|row| row.device == *device)
    })
}

/// Decides the Status of an admitted device.
///
/// # Errors
/// 400/119 for a name that no container can have.
pub(super) fn decide(
    scene: &Scene<'_>,
    state: &AccountState,
    access: Access<'_>,
    request: &StatusRequest,
) -> Result<Decision, ServiceError> {
    let entry = changed_entry(access, &scene.request.caller);
    let response = StatusResponse {
        outcome: refusal::ok(scene.request),
        enveloped_profile_master: profile_to_send(state, request),
        enveloped_catalog_entry_device: entry.and_then(|entry| envelope_of(scene, state, entry)),
        container_status: rows(scene, state, request)?,
    };
    Ok(scene.answer(Response::Status(Box::new(response))))
}

fn rows(
    scene: &Scene<'_>,
    state: &AccountState,
    request: &StatusRequest,
) -> Result<StatusRows, ServiceError> {
    let mut asked = request.spools.iter().chain(&request.catalogs).peekable();
    if asked.peek().is_none() {
        return Ok(state.heads.rows(scene.policy.name_style));
    }
    asked
        .map(|text| {
            let head = state.head(&container_name(text)?);
            Ok(head.map_or_else(|| no_row(text), |head| head.row(text.clone())))
        })
        .collect()
}

/// The row of a container that there is not.
fn no_row(name: &str) -> ContainerStatus {
    ContainerStatus {
        container: Some(name.to_owned()),
        index: Some(0),
        digest: None,
    }
}

/// Reads a container's name in any spelling.
///
/// # Errors
/// 400/119 for a name that no container can have.
pub(super) fn container_name(text: &str) -> Result<ContainerName, ServiceError> {
    ContainerName::parse(text)
        .map_err(|error| ServiceError::new(Code::UnknownStore, error.to_string()))
}

fn profile_to_send(state: &AccountState, request: &StatusRequest) -> Option<Envelope> {
    let known = request
        .profile_master_digest
        .as_ref()
        .is_some_and(|digest| digest.as_slice() == state.record.mesh.digest);
    (!known).then(|| state.record.profile_mesh.clone())
}

fn envelope_of(scene: &Scene<'_>, state: &AccountState, entry: &DeviceEntry) -> Option<Envelope> {
    let place: (ContainerNumber, u64) = (device_catalog(state)?.number, entry.frame);
    let record = scene.lookups.records.get(&place)?;
    let payload = scene.lookups.payloads.get(&place)?;
    Some(record.envelope(entry.frame, payload.clone()))
}

fn device_catalog(state: &AccountState) -> Option<&Head> {
    state.head(&ContainerKind::Device.name()?)
}
