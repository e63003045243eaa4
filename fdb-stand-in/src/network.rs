//! The client's thread: it delivers what is delayed, in the order in which it is due.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use crate::future::{Promise, Value};
use crate::{Code, SUCCESS, held};

/// The longest that an answer is delayed.
pub(crate) const DELAY_MAX: Duration = Duration::from_millis(5);

struct Queue {
    /// By moment, then by the order of asking.
    due: BTreeMap<(Instant, u64), (Arc<Promise>, Value)>,
    asked: u64,
    is_stopping: bool,
}

static QUEUE: Mutex<Queue> = Mutex::new(Queue {
    due: BTreeMap::new(),
    asked: 0,
    is_stopping: false,
});
static CHANGED: Condvar = Condvar::new();

#[expect(
    clippy::disallowed_methods,
    reason = "the one place that measures time, for answers that come late"
)]
fn now() -> Instant {
    Instant::now()
}

/// Keeps `promise` after `delay`.
pub(crate) fn keep_later(promise: Arc<Promise>, value: Value, delay: Duration) {
    let mut queue = held(&QUEUE);
    queue.asked += 1;
    let place = (now() + delay, queue.asked);
    queue.due.insert(place, (promise, value));
    CHANGED.notify_all();
}

#[unsafe(no_mangle)]
pub extern "C" fn fdb_setup_network() -> Code {
    SUCCESS
}

#[unsafe(no_mangle)]
pub extern "C" fn fdb_run_network() -> Code {
    let mut queue = held(&QUEUE);
    while !queue.is_stopping {
        let moment = now();
        let next = queue.due.first_key_value().map(|((at, _), _)| *at);
        match next {
            Some(at) if at <= moment => {
                if let Some((_, (promise, value))) = queue.due.pop_first() {
                    drop(queue);
                    promise.keep(value);
                    queue = held(&QUEUE);
                }
            }
            next => {
                let pause = next.map_or(Duration::from_secs(1), |at| at - moment);
                let waited = CHANGED.wait_timeout(queue, pause);
                queue = waited.unwrap_or_else(std::sync::PoisonError::into_inner).0;
            }
        }
    }
    SUCCESS
}

#[unsafe(no_mangle)]
pub extern "C" fn fdb_stop_network() -> Code {
    held(&QUEUE).is_stopping = true;
    CHANGED.notify_all();
    SUCCESS
}
