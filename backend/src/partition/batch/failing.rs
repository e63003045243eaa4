//! What the failure of a commit says of a batch, and what its operations are answered then (cluster §7.3).

use mesh_common::error::ServiceError;
use mesh_common::protocol::Code;

use super::super::ownership::Fenced;
use super::super::shared::chain;
use crate::store::{CommitError, Landing, ProbeError};

/// Whether the failure says something of this batch alone, and nothing of the store.
pub(super) fn is_about_the_batch(error: &ProbeError<Fenced>) -> bool {
    matches!(
        error,
        ProbeError::NotCommitted(
            CommitError::TooLarge { .. } | CommitError::Conflict | CommitError::TooOld
        )
    )
}

/// Whether nothing landed because others wrote what the commit depends on.
pub(crate) const fn is_conflict(landing: &Result<Landing, ProbeError<Fenced>>) -> bool {
    matches!(
        landing,
        Err(ProbeError::NotCommitted(CommitError::Conflict))
    )
}

/// Whether the batch was refused for its size: a smaller one may pass.
pub(crate) fn is_too_large(error: &ProbeError<Fenced>) -> bool {
    matches!(
        error,
        ProbeError::NotCommitted(CommitError::TooLarge { .. })
    )
}

/// The answer for the operations of a batch that failed.
pub(crate) fn refusal_of(error: &ProbeError<Fenced>) -> ServiceError {
    match error {
        ProbeError::NotCommitted(CommitError::TooLarge { bytes, max, .. }) => ServiceError::new(
            Code::TooLarge,
            "the request is larger than what can be stored at once",
        )
        .with_context(format!("{bytes} octets of at most {max}")),
        other => ServiceError::unavailable(chain(other)),
    }
}
