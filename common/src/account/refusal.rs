//! Refusals that several transactions share, in the response class of the request, and the one
//! answer for accounts that are not here.

use super::policy::AccountPolicy;
use crate::cluster::{AccountRequest, Answer};
use crate::encoding::base64url::Binary;
use crate::error::ServiceError;
use crate::protocol::{Code, Outcome, Request, Response};
use crate::session::{Mode, Via};

/// The refusal of `request` for the reason `error`.
pub(super) fn answer(request: &AccountRequest, error: ServiceError) -> Answer {
    let mut response = Response::refusal(Some(request.request.transaction()), &error);
    response.outcome_mut().id = echoed_id(request);
    Answer {
        response,
        context: error.context,
        retry_after: error.retry_after,
    }
}

/// Success, with the request's transaction id.
pub(super) fn ok(request: &AccountRequest) -> Outcome {
    Outcome {
        id: echoed_id(request),
        ..Outcome::ok()
    }
}

/// The request's transaction id, to be echoed if it was stated (decision Q-38).
pub(super) fn echoed_id(request: &AccountRequest) -> Option<Binary> {
    request.request.id().map(Binary::from)
}

/// What is not offered for accounts: Hello, which is answered by the front-end and never comes here.
pub(super) fn not_offered(request: &AccountRequest) -> Answer {
    let tag = request.request.transaction().request_tag();
    answer(
        request,
        ServiceError::new(
            Code::UnknownOperation,
            format!("this service does not offer the transaction {tag}"),
        ),
    )
}

/// Authenticated, but not one of the account's devices: what the caller gets for an account that
/// exists and for one that does not, in the same words.
pub(super) fn not_permitted() -> ServiceError {
    ServiceError::new(
        Code::NotAuthorized,
        "this device is not permitted to do that for the account",
    )
}

/// A Status or a Complete of a device that has nothing here, or of an account that is not here
/// (service §6.3).
pub(super) fn nothing_here() -> ServiceError {
    ServiceError::new(
        Code::NotFound,
        "there is no such account, or nothing in it for this device",
    )
}

/// A device asks whether it was answered, and was not (service §6.3).
pub(super) fn not_answered() -> ServiceError {
    ServiceError::new(
        Code::Pending,
        "the request to connect has not been answered yet, ask again later",
    )
}

/// A Connect to an account that does not take any: 403/5, whether there is such an account or not,
/// unless the operator lets anybody find out (X-16, decision Q-36).
pub(super) fn no_connection(policy: &AccountPolicy, exists: bool) -> ServiceError {
    if policy.connections.probing && !exists {
        return no_such_account();
    }
    ServiceError::new(Code::Refused, "the account takes no requests to connect")
}

/// Session and request name different accounts (decision Q-25).
pub(super) fn another_account() -> ServiceError {
    ServiceError::new(
        Code::NotAuthorized,
        "the request names another account than its session",
    )
}

/// What a caller gets who may be told that the account is gone (decision Q-15).
pub(super) fn no_such_account() -> ServiceError {
    ServiceError::new(Code::NotFound, "there is no such account")
}

/// Pending or blocked (service §5.2).
pub(super) fn suspended() -> ServiceError {
    ServiceError::new(
        Code::Refused,
        "the account cannot be used at present, ask its provider",
    )
}

/// What the sender of `request` gets if the account is not here: the same as a stranger gets if
/// it is (X-16, decisions ).
pub(super) fn unknown_account(request: &AccountRequest) -> ServiceError {
    let caller = &request.caller;
    match (caller.mode, caller.via) {
        // The holder of such a ticket proved its connection while there was an account.
        (Mode::Profile, Via::Ticket | Via::Bare) | (Mode::Interop, _) => no_such_account(),
        (Mode::Profile, Via::Exchange) => ServiceError::new(
            Code::AuthenticationFailed,
            "the request could not be authenticated",
        ),
        (Mode::Device, _)
            if matches!(request.request, Request::Status(_) | Request::Complete(_)) =>
        {
            nothing_here()
        }
        (Mode::Device | Mode::Service, _) => not_permitted(),
    }
}
