//! How time passes for what works on its own, and where tasks run beside it: on the runtime of the
//! process, or as a simulated world has it, in which time is virtual and nothing runs but what the
//! world lets run (cluster §20.1).
//!
//! What decides by the clock of the service asks [`crate::partition::shared::Shared::now`]; here are
//! the moments by which waiting is measured, which no clock that is set can move.

use std::time::Duration;

#[cfg(feature = "bottle")]
use std::{
    pin::Pin,
    sync::{Arc, OnceLock},
};

#[cfg(feature = "bottle")]
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;

/// Time as a simulated world has it.
#[cfg(feature = "bottle")]
pub trait Passing: Send + Sync + 'static {
    /// The time since the world began.
    fn elapsed(&self) -> Duration;

    /// Whether the node whose time this is can be sure that nobody has taken anything from it.
    fn is_awake(&self) -> bool;

    /// Passes when so much time has passed.
    fn sleep(&self, time: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>>;
}

/// How time passes, and where tasks run.
#[derive(Clone, Default)]
pub(crate) enum Pace {
    /// On the runtime of the process.
    #[default]
    Runtime,
    /// In a simulated world: tasks are part of whoever began them, and stand still with it.
    #[cfg(feature = "bottle")]
    World(Arc<dyn Passing>),
}

/// The moment at which all simulated worlds begin: only differences of moments mean anything.
#[cfg(feature = "bottle")]
fn beginning() -> Instant {
    static BEGINNING: OnceLock<Instant> = OnceLock::new();
    *BEGINNING.get_or_init(Instant::now)
}

impl Pace {
    /// Now, as far as waiting is concerned.
    pub(crate) fn moment(&self) -> Instant {
        match self {
            Self::Runtime => Instant::now(),
            #[cfg(feature = "bottle")]
            Self::World(world) => beginning() + world.elapsed(),
        }
    }

    /// Whether nobody can have taken anything from the node; on a runtime its membership says so.
    pub(crate) fn is_awake(&self) -> bool {
        match self {
            Self::Runtime => true,
            #[cfg(feature = "bottle")]
            Self::World(world) => world.is_awake(),
        }
    }

    /// Passes at `moment`.
    pub(crate) async fn until(&self, moment: Instant) {
        match self {
            Self::Runtime => tokio::time::sleep_until(moment).await,
            #[cfg(feature = "bottle")]
            Self::World(world) => {
                let wait = moment.saturating_duration_since(self.moment());
                world.sleep(wait).await;
            }
        }
    }

    /// What `work` comes to, if it does within `time`.
    pub(crate) async fn within<T>(
        &self,
        time: Duration,
        work: impl Future<Output = T>,
    ) -> Option<T> {
        match self {
            Self::Runtime => tokio::time::timeout(time, work).await.ok(),
            #[cfg(feature = "bottle")]
            Self::World(world) => {
                let (work, sleep) = (std::pin::pin!(work), world.sleep(time));
                match futures_util::future::select(work, sleep).await {
                    futures_util::future::Either::Left((done, _)) => Some(done),
                    futures_util::future::Either::Right(_) => None,
                }
            }
        }
    }

    /// What `work` comes to that takes a processor for long: on a thread made for that. `None` if it
    /// panicked, or the process ends.
    pub(crate) async fn aside<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        match self {
            Self::Runtime => tokio::task::spawn_blocking(work).await.ok(),
            #[cfg(feature = "bottle")]
            Self::World(_) => Some(work()),
        }
    }

    /// Room for tasks that run beside whoever begins them, and end with it.
    pub(crate) fn tasks<T: 'static>(&self) -> Tasks<T> {
        match self {
            Self::Runtime => Tasks::Runtime(JoinSet::new()),
            #[cfg(feature = "bottle")]
            Self::World(_) => Tasks::World(FuturesUnordered::new()),
        }
    }
}

/// Tasks that run beside whoever began them.
pub(crate) enum Tasks<T> {
    Runtime(JoinSet<T>),
    #[cfg(feature = "bottle")]
    World(FuturesUnordered<Pin<Box<dyn Future<Output = T> + Send>>>),
}

impl<T: Send + 'static> Tasks<T> {
    /// Begins one more.
    pub(crate) fn spawn(&mut self, task: impl Future<Output = T> + Send + 'static) {
        match self {
            Self::Runtime(tasks) => drop(tasks.spawn(task)),
            #[cfg(feature = "bottle")]
            Self::World(tasks) => tasks.push(Box::pin(task)),
        }
    }

    /// Whether none is running.
    pub(crate) fn is_empty(&self) -> bool {
        match self {
            Self::Runtime(tasks) => tasks.is_empty(),
            #[cfg(feature = "bottle")]
            Self::World(tasks) => tasks.is_empty(),
        }
    }

    /// What the next one that ends comes to; `None` if none is running. In a simulated world a panic
    /// passes through to whoever asks.
    pub(crate) async fn join_next(&mut self) -> Option<Result<T, JoinError>> {
        match self {
            Self::Runtime(tasks) => tasks.join_next().await,
            #[cfg(feature = "bottle")]
            Self::World(tasks) => tasks.next().await.map(Ok),
        }
    }
}
