//! `FDBFuture`: a value that is there, or will be.

use std::ffi::{c_char, c_int, c_void};
use std::sync::{Arc, Condvar, Mutex};

use crate::cluster::Octets;
use crate::{Code, OPERATION_CANCELLED, SUCCESS, UNSUPPORTED_OPERATION, held};

/// What a future can hold.
pub(crate) enum Value {
    Nothing,
    Number(i64),
    Key(Octets),
    Held(Option<Octets>),
    Rows(Rows),
    Failed(Code),
}

/// Rows as C reads them; `raw` points into `rows`, which does not move.
pub(crate) struct Rows {
    _rows: Vec<(Octets, Octets)>,
    raw: Vec<FDBKeyValue>,
    more: bool,
}

// SAFETY: the pointers in `raw` are into `_rows`, which goes along and is never changed.
unsafe impl Send for Rows {}

impl Rows {
    pub(crate) fn new(rows: Vec<(Octets, Octets)>, more: bool) -> Self {
        let raw = rows.iter().map(|(key, value)| FDBKeyValue {
            key: key.as_ptr(),
            key_length: length(key),
            value: value.as_ptr(),
            value_length: length(value),
        });
        Self {
            raw: raw.collect(),
            _rows: rows,
            more,
        }
    }
}

fn length(octets: &[u8]) -> c_int {
    c_int::try_from(octets.len()).unwrap_or(c_int::MAX)
}

/// One row, as the C API lays it out.
#[repr(C, packed(4))]
pub struct FDBKeyValue {
    key: *const u8,
    key_length: c_int,
    value: *const u8,
    value_length: c_int,
}

/// Who is to be called when the value is there.
type Callback = extern "C" fn(*mut FDBFuture, *mut c_void);

#[derive(Default)]
struct State {
    value: Option<Value>,
    /// With the future and the parameter, both as numbers: they are the caller's business.
    callback: Option<(Callback, usize, usize)>,
}

/// The side of a future that is kept.
#[derive(Default)]
pub(crate) struct Promise {
    state: Mutex<State>,
    kept: Condvar,
}

impl Promise {
    /// Keeps it, unless it was kept or given up before.
    pub(crate) fn keep(&self, value: Value) {
        let callback = {
            let mut state = held(&self.state);
            if state.value.is_some() {
                return;
            }
            state.value = Some(value);
            state.callback.take()
        };
        self.kept.notify_all();
        if let Some((callback, future, parameter)) = callback {
            callback(future as *mut FDBFuture, parameter as *mut c_void);
        }
    }

    /// Whether it was kept or given up.
    pub(crate) fn is_over(&self) -> bool {
        held(&self.state).value.is_some()
    }
}

/// The side of a future that waits.
pub struct FDBFuture(Arc<Promise>);

impl FDBFuture {
    /// A future and its promise.
    pub(crate) fn pending() -> (*mut Self, Arc<Promise>) {
        let promise = Arc::new(Promise::default());
        let future = Box::into_raw(Box::new(Self(Arc::clone(&promise))));
        (future, promise)
    }

    /// A future that is kept already.
    pub(crate) fn of(value: Value) -> *mut Self {
        let (future, promise) = Self::pending();
        promise.keep(value);
        future
    }
}

unsafe fn read(future: *mut FDBFuture, take: impl FnOnce(&Value) -> Option<()>) -> Code {
    let state = held(&unsafe { &*future }.0.state);
    match &state.value {
        Some(Value::Failed(code)) => *code,
        Some(value) if take(value).is_some() => SUCCESS,
        _ => UNSUPPORTED_OPERATION,
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdb_future_destroy(future: *mut FDBFuture) {
    let future = unsafe { Box::from_raw(future) };
    future.0.keep(Value::Failed(OPERATION_CANCELLED));
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdb_future_cancel(future: *mut FDBFuture) {
    unsafe { &*future }
        .0
        .keep(Value::Failed(OPERATION_CANCELLED));
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdb_future_is_ready(future: *mut FDBFuture) -> c_int {
    c_int::from(unsafe { &*future }.0.is_over())
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdb_future_block_until_ready(future: *mut FDBFuture) -> Code {
    let promise = Arc::clone(unsafe { &(*future).0 });
    let state = held(&promise.state);
    drop(
        promise
            .kept
            .wait_while(state, |state| state.value.is_none()),
    );
    SUCCESS
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdb_future_set_callback(
    future: *mut FDBFuture,
    callback: Callback,
    parameter: *mut c_void,
) -> Code {
    let is_over = {
        let mut state = held(&unsafe { &*future }.0.state);
        if state.value.is_none() {
            state.callback = Some((callback, future as usize, parameter as usize));
        }
        state.value.is_some()
    };
    if is_over {
        callback(future, parameter);
    }
    SUCCESS
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdb_future_get_error(future: *mut FDBFuture) -> Code {
    unsafe { read(future, |_| Some(())) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdb_future_get_int64(future: *mut FDBFuture, out: *mut i64) -> Code {
    let take = |value: &Value| match value {
        Value::Number(number) => {
            unsafe { *out = *number };
            Some(())
        }
        _ => None,
    };
    unsafe { read(future, take) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdb_future_get_key(
    future: *mut FDBFuture,
    out: *mut *const u8,
    out_length: *mut c_int,
) -> Code {
    let take = |value: &Value| match value {
        Value::Key(key) => {
            unsafe {
                *out = key.as_ptr();
                *out_length = length(key);
            }
            Some(())
        }
        _ => None,
    };
    unsafe { read(future, take) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdb_future_get_value(
    future: *mut FDBFuture,
    is_present: *mut c_int,
    out: *mut *const u8,
    out_length: *mut c_int,
) -> Code {
    let take = |value: &Value| match value {
        Value::Held(held) => {
            unsafe { *is_present = c_int::from(held.is_some()) };
            if let Some(octets) = held {
                unsafe {
                    *out = octets.as_ptr();
                    *out_length = length(octets);
                }
            }
            Some(())
        }
        _ => None,
    };
    unsafe { read(future, take) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdb_future_get_keyvalue_array(
    future: *mut FDBFuture,
    out: *mut *const FDBKeyValue,
    out_count: *mut c_int,
    out_more: *mut c_int,
) -> Code {
    let take = |value: &Value| match value {
        Value::Rows(rows) => {
            unsafe {
                *out = rows.raw.as_ptr();
                *out_count = c_int::try_from(rows.raw.len()).unwrap_or(c_int::MAX);
                *out_more = c_int::from(rows.more);
            }
            Some(())
        }
        _ => None,
    };
    unsafe { read(future, take) }
}

#[unsafe(no_mangle)]
pub extern "C" fn fdb_future_get_key_array(
    _: *mut FDBFuture,
    _: *mut *const c_void,
    _: *mut c_int,
) -> Code {
    UNSUPPORTED_OPERATION
}

#[unsafe(no_mangle)]
pub extern "C" fn fdb_future_get_string_array(
    _: *mut FDBFuture,
    _: *mut *mut *const c_char,
    _: *mut c_int,
) -> Code {
    UNSUPPORTED_OPERATION
}

#[unsafe(no_mangle)]
pub extern "C" fn fdb_future_get_mappedkeyvalue_array(
    _: *mut FDBFuture,
    _: *mut *const c_void,
    _: *mut c_int,
    _: *mut c_int,
) -> Code {
    UNSUPPORTED_OPERATION
}

/// Values live as long as their future.
#[unsafe(no_mangle)]
pub extern "C" fn fdb_future_release_memory(_: *mut FDBFuture) {}
