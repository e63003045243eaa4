//! Rests between pieces of work: carries out what [`Pace`] decides.

use std::sync::Arc;
use std::time::Duration;

use mesh_common::cluster::handle::BoxFuture;
use mesh_common::pace::Pace;

use crate::cluster::Stopwatch as _;
use crate::cluster::join::MachineTime;

/// By what work is measured, and how it rests.
pub trait Timer: Send + Sync + 'static {
    /// Time since a beginning of its own choice.
    fn elapsed(&self) -> Duration;

    /// Does nothing for so long.
    fn rest(&self, time: Duration) -> BoxFuture<'_, ()>;
}

/// The machine's own monotonic clock.
struct MachineTimer(MachineTime);

impl Timer for MachineTimer {
    fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }

    fn rest(&self, time: Duration) -> BoxFuture<'_, ()> {
        Box::pin(tokio::time::sleep(time))
    }
}

/// A pace, and by what it is kept.
#[derive(Clone)]
pub struct Pacer {
    pace: Pace,
    timer: Arc<dyn Timer>,
}

impl Pacer {
    /// Keeps this pace by the machine's own clock.
    #[must_use]
    pub fn new(pace: Pace) -> Self {
        Self::by(pace, Arc::new(MachineTimer(MachineTime::begin())))
    }

    /// Keeps this pace by that timer.
    pub fn by(pace: Pace, timer: Arc<dyn Timer>) -> Self {
        Self { pace, timer }
    }

    /// Time since the beginning of its timer.
    pub(super) fn now(&self) -> Duration {
        self.timer.elapsed()
    }

    /// Rests after a piece of so many octets that was begun at `begun`.
    pub(super) async fn rest(&self, begun: Duration, octets: u64) {
        let time = self.now().saturating_sub(begun);
        let rest = self.pace.rest(time, octets);
        if !rest.is_zero() {
            self.timer.rest(rest).await;
        }
    }
}
