//! FoundationDB's C API over a map in memory, for tests: see `README.md` beside this crate.
//!
//! | module | holds |
//! | --- | --- |
//! | `faults` | the dice, and what the cluster file says of them |
//! | `cluster` | versions, values, the conflict log, commits on their way, watches |
//! | `future` | `FDBFuture`: a value that comes now or later |
//! | `network` | the client's thread, which delivers what is delayed |
//! | `transaction` | `FDBTransaction`: reads, and what is to be committed |
//! | `api` | what remains of the exported functions |
//!
//! Every exported function takes pointers that the caller answers for, as in C: a handle that the
//! library gave and that was not destroyed, and octets of the length that is stated.
#![allow(
    clippy::missing_safety_doc,
    clippy::not_unsafe_ptr_arg_deref,
    reason = "said once for all of them, above"
)]

mod api;
mod cluster;
mod faults;
mod future;
mod network;
mod transaction;

/// An FDB error code.
type Code = std::ffi::c_int;

const SUCCESS: Code = 0;
const TRANSACTION_TOO_OLD: Code = 1007;
const FUTURE_VERSION: Code = 1009;
const NOT_COMMITTED: Code = 1020;
const COMMIT_UNKNOWN_RESULT: Code = 1021;
const TRANSACTION_CANCELLED: Code = 1025;
const TRANSACTION_TIMED_OUT: Code = 1031;
const PROCESS_BEHIND: Code = 1037;
const CLUSTER_VERSION_CHANGED: Code = 1039;
const OPERATION_CANCELLED: Code = 1101;
const NO_CLUSTER_FILE: Code = 1515;
const CLIENT_INVALID_OPERATION: Code = 2000;
const KEY_TOO_LARGE: Code = 2102;
const VALUE_TOO_LARGE: Code = 2103;
const TRANSACTION_TOO_LARGE: Code = 2101;
const NO_COMMIT_VERSION: Code = 2021;
const UNSUPPORTED_OPERATION: Code = 2108;

/// The octets at `from`.
unsafe fn octets(from: *const u8, length: std::ffi::c_int) -> Vec<u8> {
    match usize::try_from(length) {
        Ok(length) if length > 0 => unsafe { std::slice::from_raw_parts(from, length) }.to_vec(),
        _ => Vec::new(),
    }
}

/// The guard, whether or not somebody panicked with it.
fn held<T>(mutex: &std::sync::Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}
