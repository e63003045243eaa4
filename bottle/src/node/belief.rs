//! What a node believes of its memory: nobody can have taken anything from it within patience of a heartbeat
//! that is committed, if there was none such a gap before; after a gap only a look tells. Else a node that
//! stood still would answer from what it remembers (cluster §4.3).

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mesh_backend::bottled::Passing;
use mesh_common::cluster::Times;

use crate::world::World;

#[derive(Default)]
struct Belief {
    /// When the last heartbeat began that is committed.
    beaten_at: Duration,
    /// Set while memory is not believed: a look that begins after this shows what is ours still.
    confirmed_after: Option<Duration>,
    served_until: Duration,
}

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
            belief: Arc::default(),
        }
    }

    /// A heartbeat is committed that was begun at `begun`.
    pub(super) fn beaten(&self, begun: Duration) {
        let (now, patience) = (self.world.now(), Times::default().patience());
        let mut belief = self.lock();
        let before = std::mem::replace(&mut belief.beaten_at, begun);
        if now < belief.served_until {
            belief.served_until = belief.served_until.max(begun + patience);
        } else if belief.confirmed_after.is_none() || now >= before + patience {
            belief.confirmed_after = Some(now);
        }
    }

    /// A look is over that was begun at `begun`. Whether memory is believed again.
    pub(super) fn looked(&self, begun: Duration) -> bool {
        let mut belief = self.lock();
        let is_confirmed = belief.confirmed_after.is_some_and(|after| after <= begun);
        if is_confirmed {
            belief.confirmed_after = None;
            belief.served_until = belief
                .served_until
                .max(belief.beaten_at + Times::default().patience());
        }
        is_confirmed
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
        self.world.now() < self.lock().served_until
    }

    fn sleep(&self, time: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(self.world.sleep(time))
    }
}
