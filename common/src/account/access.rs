//! Who may do what: the matrix of service §4.8 with decisions, the
//! revocation index (§4.6) and the administrator rule.

use super::devices::DeviceEntry;
use super::refusal;
use super::state::{AccountState, AccountStatus, BootstrapPhase};
use crate::cluster::AccountRequest;
use crate::cluster::handle::DeviceFacts;
use crate::error::ServiceError;
use crate::protocol::{Code, Request};
use crate::session::{Caller, Mode, Via};

/// What an admitted caller is to the account.
#[derive(Debug, Clone, Copy)]
pub(super) struct Access<'a> {
    /// Whether it may write the Device catalog and delete the account.
    pub administrator: bool,
    /// Its live entry in the Device catalog, if it acts by that.
    pub device: Option<(&'a DeviceEntry, &'a DeviceFacts)>,
}

/// Checks what needs no account: mode and transaction (service §4.8), and that every account named
/// is the same (service §4.4 check 7).
///
/// # Errors
/// 401/109 for DeleteAccount on an exchange; 401/2 for a mode that may not, and for accounts that
/// differ (decision Q-25).
pub(super) fn check_matrix(request: &AccountRequest) -> Result<(), ServiceError> {
    let caller = &request.caller;
    if caller.mode == Mode::Service {
        return Err(refusal::not_permitted());
    }
    if matches!(request.request, Request::DeleteAccount(_)) && caller.via == Via::Exchange {
        return Err(ServiceError::new(
            Code::TicketRequired,
            "an account is deleted on a ticket only: make an exchange first",
        ));
    }
    let named = request.request.account();
    let request_agrees = named.is_none_or(|text| request.account.is_written(text));
    let caller_agrees =
        caller.mode == Mode::Interop || caller.account.as_ref() == Some(&request.account);
    if request_agrees && caller_agrees {
        Ok(())
    } else {
        Err(refusal::another_account())
    }
}

/// Whether `caller` is the bootstrap device, and that still means something.
pub(super) fn is_bootstrap(state: &AccountState, caller: &Caller) -> bool {
    let bootstrap = &state.record.bootstrap;
    bootstrap.phase != BootstrapPhase::Closed
        && matches!(caller.mode, Mode::Device | Mode::Profile)
        && bootstrap.keys.contains(&caller.key_udf)
}

/// Admits a caller to Status, Download, Upload and DeleteAccount, or refuses it.
///
/// # Errors
/// 401/2 for a device that is not connected; 401/4 for one that is no longer (check 8a, decision
/// Q-56); 403/5 if the account is on hold or blocked.
pub(super) fn admit<'a>(
    state: &'a AccountState,
    request: &AccountRequest,
) -> Result<Access<'a>, ServiceError> {
    let access = access_of(state, &request.caller)?;
    let is_deletion = matches!(request.request, Request::DeleteAccount(_));
    match state.record.status {
        AccountStatus::Connected => Ok(access),
        AccountStatus::Pending if is_deletion => Ok(access),
        AccountStatus::Pending | AccountStatus::Blocked => Err(refusal::suspended()),
        AccountStatus::Deleted { .. } => Err(refusal::unknown_account(request)),
    }
}

fn access_of<'a>(state: &'a AccountState, caller: &Caller) -> Result<Access<'a>, ServiceError> {
    let administrator = Access {
        administrator: true,
        device: None,
    };
    if caller.mode == Mode::Interop || is_bootstrap(state, caller) {
        return Ok(administrator);
    }
    if caller.mode != Mode::Profile {
        return Err(refusal::not_permitted());
    }
    match state.record.bootstrap.phase {
        BootstrapPhase::Importing => Err(refusal::not_permitted()),
        // No entry carries a Permission, since there is none: the third case of X-32.
        BootstrapPhase::Open => Ok(administrator),
        BootstrapPhase::Recovering | BootstrapPhase::Closed => {
            let device = state
                .devices
                .connected(&caller.key_udf)
                .ok_or_else(revoked)?;
            Ok(Access {
                administrator: device.1.is_administrator || !state.devices.lists_permissions(),
                device: Some(device),
            })
        }
    }
}

fn revoked() -> ServiceError {
    ServiceError::new(
        Code::DeviceRevoked,
        "this device is no longer connected to the account",
    )
}

impl Access<'_> {
    /// Insists on an administrator.
    ///
    /// # Errors
    /// 401/3.
    pub(super) fn require_administrator(&self) -> Result<(), ServiceError> {
        if self.administrator {
            Ok(())
        } else {
            Err(ServiceError::new(
                Code::NotAdministrator,
                "only an administrator's device may do that",
            ))
        }
    }
}
