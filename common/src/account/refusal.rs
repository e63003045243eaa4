//! Refusals that several transactions share, in the response class of the request.

use crate::cluster::{AccountRequest, Answer};
use crate::encoding::base64url::Binary;
use crate::error::ServiceError;
use crate::protocol::{Code, Outcome, Response};

/// The refusal of `request` for the reason `error`.
pub(super) fn answer(request: &AccountRequest, error: ServiceError) -> Answer {
    let mut response = Response::refusal(Some(request.request.transaction()), &error);
    response.outcome_mut().id = echoed_id(request);
    Answer {
        response,
        context: error.context,
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
fn echoed_id(request: &AccountRequest) -> Option<Binary> {
    request.request.id().map(Binary::from)
}

/// The transactions this service does not offer for accounts: Complete, Post and Connect; Hello is
/// answered by the front-end and never comes here.
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
