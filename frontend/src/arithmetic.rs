//! Where curve arithmetic is done: on threads that serve no connection, on as many as there are
//! cores, and with a bounded number of requests waiting for them (service §4.9, "Exhaustion by
//! forced DH and signature checks").
//!
//! Opening an exchange costs milliseconds, and anybody may send one. What comes when all places are
//! taken is shed with 503, so that a flood of exchanges delays tickets by nothing but its share of
//! the cores.

use std::num::NonZero;
use std::sync::Arc;

use mesh_common::error::ServiceError;
use mesh_common::limits::ARITHMETIC_WAITING_PER_CORE_MAX;
use tokio::sync::Semaphore;

/// The threads of one front-end that agree keys and verify signatures.
pub(crate) struct Arithmetic {
    places: Semaphore,
    cores: Arc<Semaphore>,
}

impl Arithmetic {
    /// As large as this machine.
    pub(crate) fn of_this_machine() -> Self {
        Self::new(std::thread::available_parallelism().map_or(1, NonZero::get))
    }

    fn new(cores: usize) -> Self {
        Self {
            places: Semaphore::new(cores + cores * ARITHMETIC_WAITING_PER_CORE_MAX),
            cores: Arc::new(Semaphore::new(cores)),
        }
    }

    /// Does `work` once a core is free.
    ///
    /// A core is held until the work is done, also when nobody waits for its outcome any more.
    ///
    /// # Errors
    /// 503 when as many wait as may; 500 if `work` panics.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, ServiceError> {
        let _place = self
            .places
            .try_acquire()
            .map_err(|_| ServiceError::unavailable("shed: too many signatures to verify"))?;
        let core = Arc::clone(&self.cores)
            .acquire_owned()
            .await
            .map_err(ServiceError::internal)?;
        tokio::task::spawn_blocking(move || {
            let done = work();
            drop(core);
            done
        })
        .await
        .map_err(|error| ServiceError::internal(format!("verification ended early: {error}")))
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
}
