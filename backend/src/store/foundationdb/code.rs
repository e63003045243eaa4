//! What FoundationDB's error codes mean: for a read, and for a commit (cluster §7.3).

use foundationdb::FdbError;

use crate::store::{CommitError, StoreError, limits};

/// The transaction's version is too old to be read or checked.
const TRANSACTION_TOO_OLD: i32 = 1007;
/// The version is not known yet where it is read.
const FUTURE_VERSION: i32 = 1009;
const NOT_COMMITTED: i32 = 1020;
const COMMIT_UNKNOWN_RESULT: i32 = 1021;
const TRANSACTION_CANCELLED: i32 = 1025;
const TRANSACTION_TIMED_OUT: i32 = 1031;
const TOO_MANY_WATCHES: i32 = 1032;
const PROCESS_BEHIND: i32 = 1037;
const DATABASE_LOCKED: i32 = 1038;
const CLUSTER_VERSION_CHANGED: i32 = 1039;
const OPERATION_CANCELLED: i32 = 1101;
const TRANSACTION_TOO_LARGE: i32 = 2101;

/// What a failed read, watch or start means.
pub(super) fn store_error(error: FdbError) -> StoreError {
    match error.code() {
        TRANSACTION_TOO_OLD | FUTURE_VERSION | PROCESS_BEHIND => StoreError::TooOld,
        TOO_MANY_WATCHES => StoreError::TooManyWatches {
            max: limits::WATCHES_MAX,
        },
        TRANSACTION_TIMED_OUT => StoreError::Away,
        code => StoreError::Cluster {
            code,
            detail: error.message(),
        },
    }
}

/// What a failed commit means: whether anything was, or may still be, applied.
pub(super) fn commit_error(error: FdbError) -> CommitError {
    match error.code() {
        NOT_COMMITTED => CommitError::Conflict,
        TRANSACTION_TOO_OLD | FUTURE_VERSION | PROCESS_BEHIND => CommitError::TooOld,
        COMMIT_UNKNOWN_RESULT => CommitError::Unknown,
        TRANSACTION_TIMED_OUT
        | CLUSTER_VERSION_CHANGED
        | TRANSACTION_CANCELLED
        | OPERATION_CANCELLED => CommitError::MayStillLand,
        DATABASE_LOCKED => CommitError::ReadOnly,
        TRANSACTION_TOO_LARGE => CommitError::TooLarge {
            what: "the transaction, as FoundationDB counts it",
            bytes: limits::TX_BYTES_MAX,
            max: limits::TX_BYTES_MAX,
        },
        _ if error.is_maybe_committed() => CommitError::MayStillLand,
        _ if error.is_retryable_not_committed() => CommitError::Conflict,
        _ => CommitError::Fatal(store_error(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_outcome_of_a_commit_has_its_row() {
        let outcome = |code| commit_error(FdbError::from_code(code));
        assert!(matches!(outcome(1020), CommitError::Conflict));
        assert!(matches!(outcome(1007), CommitError::TooOld));
        assert!(matches!(outcome(1009), CommitError::TooOld));
        assert!(matches!(outcome(1021), CommitError::Unknown));
        assert!(matches!(outcome(1031), CommitError::MayStillLand));
        assert!(matches!(outcome(1039), CommitError::MayStillLand));
        assert!(matches!(outcome(1038), CommitError::ReadOnly));
        assert!(matches!(outcome(2101), CommitError::TooLarge { .. }));
        assert!(matches!(outcome(1511), CommitError::Fatal(_)));
    }
}
