//! Errors, options, and what is linked but not offered.

use std::ffi::{c_char, c_int, c_void};

use crate::future::{FDBFuture, Value};
use crate::transaction::{FDBDatabase, FDBTransaction};
use crate::{
    CLUSTER_VERSION_CHANGED, COMMIT_UNKNOWN_RESULT, Code, FUTURE_VERSION, NO_CLUSTER_FILE,
    NOT_COMMITTED, OPERATION_CANCELLED, PROCESS_BEHIND, SUCCESS, TRANSACTION_CANCELLED,
    TRANSACTION_TIMED_OUT, TRANSACTION_TOO_OLD, UNSUPPORTED_OPERATION,
};

const API_VERSION: c_int = 730;
const API_VERSION_NOT_SUPPORTED: Code = 2203;
const DATABASE_LOCKED: Code = 1038;
/// `FDBErrorPredicate`.
const RETRYABLE: c_int = 50_000;
const MAYBE_COMMITTED: c_int = 50_001;
const RETRYABLE_NOT_COMMITTED: c_int = 50_002;

#[unsafe(no_mangle)]
pub extern "C" fn fdb_get_max_api_version() -> c_int {
    API_VERSION
}

#[unsafe(no_mangle)]
pub extern "C" fn fdb_select_api_version_impl(runtime: c_int, header: c_int) -> Code {
    if runtime == API_VERSION && header == API_VERSION {
        SUCCESS
    } else {
        API_VERSION_NOT_SUPPORTED
    }
}

#[unsafe(no_mangle)]
pub extern "C" fn fdb_get_error(code: Code) -> *const c_char {
    let text = match code {
        SUCCESS => c"Success",
        TRANSACTION_TOO_OLD => c"Transaction is too old to perform reads or be committed",
        FUTURE_VERSION => c"Request for future version",
        NOT_COMMITTED => c"Transaction not committed due to conflict with another transaction",
        COMMIT_UNKNOWN_RESULT => c"Transaction may or may not have committed",
        TRANSACTION_CANCELLED => c"Operation aborted because the transaction was cancelled",
        TRANSACTION_TIMED_OUT => c"Operation aborted because the transaction timed out",
        PROCESS_BEHIND => c"Storage process does not have recent mutations",
        DATABASE_LOCKED => c"Database is locked",
        CLUSTER_VERSION_CHANGED => c"The protocol version of the cluster has changed",
        OPERATION_CANCELLED => c"Asynchronous operation cancelled",
        NO_CLUSTER_FILE => c"No cluster file found in current directory or default location",
        UNSUPPORTED_OPERATION => c"Operation is not supported",
        _ => c"An error of the stand-in",
    };
    text.as_ptr()
}

#[unsafe(no_mangle)]
pub extern "C" fn fdb_error_predicate(predicate: c_int, code: Code) -> c_int {
    let is_maybe_committed = matches!(code, COMMIT_UNKNOWN_RESULT | CLUSTER_VERSION_CHANGED);
    let is_not_committed = matches!(
        code,
        TRANSACTION_TOO_OLD | FUTURE_VERSION | NOT_COMMITTED | PROCESS_BEHIND | DATABASE_LOCKED
    );
    c_int::from(match predicate {
        RETRYABLE => is_maybe_committed || is_not_committed,
        MAYBE_COMMITTED => is_maybe_committed,
        RETRYABLE_NOT_COMMITTED => is_not_committed,
        _ => false,
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn fdb_network_set_option(_: c_int, _: *const u8, _: c_int) -> Code {
    SUCCESS
}

#[unsafe(no_mangle)]
pub extern "C" fn fdb_database_set_option(
    _: *mut FDBDatabase,
    _: c_int,
    _: *const u8,
    _: c_int,
) -> Code {
    SUCCESS
}

#[unsafe(no_mangle)]
pub extern "C" fn fdb_database_get_main_thread_busyness(_: *mut FDBDatabase) -> f64 {
    0.0
}

#[unsafe(no_mangle)]
pub extern "C" fn fdb_database_get_client_status(_: *mut FDBDatabase) -> *mut FDBFuture {
    FDBFuture::of(Value::Key(b"{\"Healthy\":true}".to_vec()))
}

/// What is linked and never called by our adapter.
macro_rules! unsupported {
    (futures: $($future:ident),*; codes: $($code:ident),*; nothing: $($nothing:ident),*) => {
        $(
            #[unsafe(no_mangle)]
            pub extern "C" fn $future(_: *mut FDBTransaction) -> *mut FDBFuture {
                FDBFuture::of(Value::Failed(UNSUPPORTED_OPERATION))
            }
        )*
        $(
            #[unsafe(no_mangle)]
            pub extern "C" fn $code(_: *mut c_void) -> Code {
                UNSUPPORTED_OPERATION
            }
        )*
        $(
            #[unsafe(no_mangle)]
            pub extern "C" fn $nothing(_: *mut c_void) {}
        )*
    };
}

unsupported! {
    futures: fdb_transaction_get_key, fdb_transaction_get_addresses_for_key,
        fdb_transaction_get_estimated_range_size_bytes, fdb_transaction_get_range_split_points,
        fdb_transaction_get_mapped_range;
    codes: fdb_database_open_tenant, fdb_tenant_create_transaction;
    nothing: fdb_tenant_destroy
}
