//! Time as one node has it, and until when it believes its memory: the service's own [`Belief`] is told of
//! heartbeats and looks. Else a node that stood still would answer from what it remembers (cluster §4.3).

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mesh_backend::bottled::Passing;
use mesh_common::cluster::Times;
use mesh_common::cluster::belief::{Belief, Confirmed};

use crate::world::World;

/// Time as one node has it.
#[derive(Clone)]
pub struct NodeTime {
    world: World,
    belief: Arc<Mutex<Belief>>,
}

impl NodeTime {
    /// Of a node that believes nothing yet.
    #[must_use]
    pub fn new(world: World) -> Self {
        Self {
            world,
            belief: Arc::new(Mutex::new(Belief::new(Times::default()))),
        }
    }

    /// A heartbeat is committed that was begun at `begun`, and has just ended. Whether memory is believed again.
    pub(super) fn beaten(&self, begun: Duration) -> bool {
        let ended = self.world.now();
        self.wakes(|belief| belief.beaten(begun, ended))
    }

    /// A look begins.
    pub(super) fn look_begins(&self) {
        self.lock().look_begins();
    }

    /// The look on its way is over; the next may begin before what it showed is taken.
    pub(super) fn look_ends(&self) -> Confirmed {
        self.lock().look_ends()
    }

    /// What a look showed is taken. Whether memory is believed again.
    pub(super) fn looked(&self, confirmed: Confirmed) -> bool {
        self.wakes(|belief| belief.confirm(confirmed))
    }

    fn wakes(&self, change: impl FnOnce(&mut Belief)) -> bool {
        let was_awake = self.is_awake();
        change(&mut self.lock());
        !was_awake && self.is_awake()
    }

    fn lock(&self) -> MutexGuard<'_, Belief> {
        self.belief.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Passing for NodeTime {
    fn elapsed(&self) -> Duration {
        self.world.now()
    }

    fn is_awake(&self) -> bool {
        let until = self.lock().until();
        until.is_some_and(|until| self.world.now() < until)
    }

    fn sleep(&self, time: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(self.world.sleep(time))
    }
}
