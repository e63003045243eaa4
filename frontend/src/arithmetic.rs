//! Where curve arithmetic is done: on threads that serve no connection, on as many as there are
//! cores, and with a bounded number of requests waiting for them (service §4.9, "Exhaustion by
//! forced DH and signature checks").
//!
//! Opening an exchange costs milliseconds, and anybody may send one. What comes when all places are
//! taken is shed with 503, so that a flood of exchanges delays tickets by nothing but its share of
//! the cores.

use std::collections::VecDeque;
use std::num::NonZero;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use mesh_common::error::ServiceError;
use mesh_common::limits::ARITHMETIC_WAITING_PER_CORE_MAX;
use tokio::sync::{Semaphore, oneshot};

/// The threads of one front-end that agree keys and verify signatures.
///
/// They are its own, and take what waits one after the other: only a thread that has nothing to do is woken.
/// They end with the last handle.
pub(crate) struct Arithmetic {
    places: Arc<Semaphore>,
    queue: Arc<Queue>,
    threads_max: usize,
}

/// A piece of work, with whom to tell.
type Work = Box<dyn FnOnce() + Send>;

/// What waits for a thread.
#[derive(Default)]
struct Queue {
    state: Mutex<State>,
    wake: Condvar,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Work>,
    /// Threads there are, and those of them that wait for work.
    threads: usize,
    idle: usize,
    is_closed: bool,
}

impl Arithmetic {
    /// As large as this machine.
    pub(crate) fn of_this_machine() -> Self {
        Self::new(std::thread::available_parallelism().map_or(1, NonZero::get))
    }

    fn new(cores: usize) -> Self {
        let places = cores + cores * ARITHMETIC_WAITING_PER_CORE_MAX;
        Self {
            places: Arc::new(Semaphore::new(places)),
            queue: Arc::default(),
            threads_max: cores,
        }
    }

    /// Does `work` once a thread is free. What nobody waits for any more by then is left out.
    ///
    /// # Errors
    /// 503 when as many wait as may; 500 if `work` panics, or there is no thread to be had.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, ServiceError> {
        let place = Arc::clone(&self.places)
            .try_acquire_owned()
            .map_err(|_| ServiceError::unavailable("shed: too many signatures to verify"))?;
        let (reply, done) = oneshot::channel();
        self.begin(Box::new(move || {
            let outcome = (!reply.is_closed()).then(|| catch_unwind(AssertUnwindSafe(work)));
            drop(place);
            if let Some(Ok(outcome)) = outcome {
                let _gone = reply.send(outcome);
            }
        }))?;
        done.await
            .map_err(|_| ServiceError::internal("the arithmetic ended early: it panicked"))
    }

    /// Lets `work` wait for a thread; makes one if all are busy, and there may be more.
    fn begin(&self, work: Work) -> Result<(), ServiceError> {
        let mut state = self.queue.lock();
        if state.waiting.len() >= state.idle && state.threads < self.threads_max {
            let queue = Arc::clone(&self.queue);
            let thread = std::thread::Builder::new().name("arithmetic".to_owned());
            match thread.spawn(move || queue.work()) {
                Ok(_) => state.threads += 1,
                Err(error) if state.threads == 0 => return Err(ServiceError::internal(error)),
                Err(error) => tracing::warn!(%error, "no further thread for arithmetic"),
            }
        }
        state.waiting.push_back(work);
        let is_awaited = state.idle > 0;
        drop(state);
        if is_awaited {
            self.queue.wake.notify_one();
        }
        Ok(())
    }
}

impl Drop for Arithmetic {
    fn drop(&mut self) {
        self.queue.lock().is_closed = true;
        self.queue.wake.notify_all();
    }
}

impl Queue {
    /// Does what waits, until the front-end is gone.
    fn work(&self) {
        while let Some(work) = self.next() {
            work();
        }
    }

    fn next(&self) -> Option<Work> {
        let mut state = self.lock();
        loop {
            if let Some(work) = state.waiting.pop_front() {
                return Some(work);
            }
            if state.is_closed {
                return None;
            }
            state.idle += 1;
            state = self
                .wake
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
            state.idle -= 1;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::sync_channel;

    use futures_util::FutureExt;
    use futures_util::future::join_all;
    use mesh_common::protocol::Code;

    use super::*;

    #[tokio::test]
    async fn what_comes_when_all_places_are_taken_is_shed() {
        let arithmetic = Arithmetic::new(1);
        let (release, wait) = sync_channel::<()>(0);
        let mut running = Box::pin(arithmetic.run(move || wait.recv().is_ok()));
        assert_eq!((&mut running).now_or_never(), None);
        let mut waiting = Box::pin(join_all(
            (0..ARITHMETIC_WAITING_PER_CORE_MAX).map(|number| arithmetic.run(move || number)),
        ));
        assert!(
            (&mut waiting).now_or_never().is_none(),
            "as many as may wait"
        );
        let shed = arithmetic.run(|| ()).now_or_never().unwrap().unwrap_err();
        assert_eq!(shed.code, Code::Overload);
        assert!(shed.retry_after.is_some());
        release.send(()).unwrap();
        assert_eq!(running.await, Ok(true));
        let numbers: Result<Vec<_>, _> = waiting.await.into_iter().collect();
        assert_eq!(
            numbers,
            Ok((0..ARITHMETIC_WAITING_PER_CORE_MAX).collect()),
            "whoever waited is served"
        );
        assert_eq!(arithmetic.run(|| 7).await, Ok(7));
    }

    #[tokio::test]
    async fn a_panic_takes_no_core_away() {
        let arithmetic = Arithmetic::new(1);
        let failed = arithmetic.run(|| panic!("on purpose")).await;
        assert_eq!(
            failed.map_err(|error| error.code),
            Err::<(), _>(Code::Internal)
        );
        assert_eq!(arithmetic.run(|| 7).await, Ok(7));
    }

    #[tokio::test]
    async fn what_nobody_waits_for_any_more_is_left_out() {
        let arithmetic = Arithmetic::new(1);
        let (release, wait) = sync_channel::<()>(0);
        let (tell, told) = sync_channel::<()>(1);
        let mut running = Box::pin(arithmetic.run(move || wait.recv().is_ok()));
        assert_eq!((&mut running).now_or_never(), None);
        let mut given_up = Box::pin(arithmetic.run(move || tell.send(())));
        assert!((&mut given_up).now_or_never().is_none());
        drop(given_up);
        release.send(()).unwrap();
        assert_eq!(running.await, Ok(true));
        assert_eq!(arithmetic.run(|| 7).await, Ok(7));
        assert!(told.try_recv().is_err(), "it was not done");
    }
}
