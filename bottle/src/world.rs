//! Time, chance and turns: a single-threaded executor whose clock moves only when nothing else can.
//!
//! Tasks run one at a time, in the order in which they were woken; whoever sleeps is woken in the order
//! of the moments, then of falling asleep. So one seed gives one story.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use futures_util::future::{Either, select};
use mesh_common::account::testing::NOON;
use mesh_common::entropy::{self, SeededEntropy};
use mesh_common::time::{Clock, Timestamp};

/// Whose task it is: it stands still while its owner is paused, and ends with it. What has no owner is
/// on its way, or outside.
pub type Owner = Option<usize>;

type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A handle on the world.
#[derive(Clone)]
pub struct World {
    state: Arc<Mutex<State>>,
    ready: Arc<Mutex<VecDeque<u64>>>,
}

struct State {
    now: Duration,
    turn: u64,
    chance: SeededEntropy,
    tasks: BTreeMap<u64, (Owner, Option<Task>)>,
    sleepers: BTreeMap<(Duration, u64), Waker>,
    paused: BTreeMap<usize, Duration>,
    killed: BTreeSet<usize>,
    /// Woken while their owners were paused.
    stalled: BTreeMap<usize, Vec<u64>>,
}

struct TaskWaker {
    task: u64,
    ready: Arc<Mutex<VecDeque<u64>>>,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        lock(&self.ready).push_back(self.task);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl World {
    /// The world that belongs to `seed`, before anything happened.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            state: Arc::new(Mutex::new(State {
                now: Duration::ZERO,
                turn: 0,
                chance: SeededEntropy::new(seed),
                tasks: BTreeMap::new(),
                sleepers: BTreeMap::new(),
                paused: BTreeMap::new(),
                killed: BTreeSet::new(),
                stalled: BTreeMap::new(),
            })),
            ready: Arc::default(),
        }
    }

    /// The time since the beginning.
    #[must_use]
    pub fn now(&self) -> Duration {
        lock(&self.state).now
    }

    /// A number below `below`, which is at least 1.
    #[must_use]
    pub fn roll(&self, below: u64) -> u64 {
        let mut state = lock(&self.state);
        u64::from_be_bytes(entropy::draw(&mut state.chance)) % below
    }

    /// True in so many of a thousand cases.
    #[must_use]
    pub fn chance(&self, thousandths: u64) -> bool {
        thousandths > 0 && self.roll(1_000) < thousandths
    }

    /// A time between the two, in steps of microseconds.
    #[must_use]
    pub fn between(&self, least: Duration, most: Duration) -> Duration {
        let width = u64::try_from((most - least).as_micros()).unwrap_or(u64::MAX - 1);
        least + Duration::from_micros(self.roll(width + 1))
    }

    /// Lets a task run beside the others.
    pub fn spawn(&self, owner: Owner, task: impl Future<Output = ()> + Send + 'static) {
        let mut state = lock(&self.state);
        if owner.is_some_and(|owner| state.killed.contains(&owner)) {
            return;
        }
        state.turn += 1;
        let id = state.turn;
        state.tasks.insert(id, (owner, Some(Box::pin(task))));
        lock(&self.ready).push_back(id);
    }

    /// Passes when so much time has passed.
    pub fn sleep(&self, time: Duration) -> Sleep {
        Sleep {
            until: self.now() + time,
            place: None,
            world: self.clone(),
        }
    }

    /// What `future` comes to, if it does within `time`.
    pub async fn within<T>(&self, time: Duration, future: impl Future<Output = T>) -> Option<T> {
        let (future, sleep) = (std::pin::pin!(future), std::pin::pin!(self.sleep(time)));
        match select(future, sleep).await {
            Either::Left((value, _)) => Some(value),
            Either::Right(_) => None,
        }
    }

    /// Ends everything that `owner` does, at once and for ever.
    pub fn kill(&self, owner: usize) {
        let mut state = lock(&self.state);
        state.killed.insert(owner);
        let (dead, alive) = std::mem::take(&mut state.tasks)
            .into_iter()
            .partition(|(_, (task_owner, _))| *task_owner == Some(owner));
        state.tasks = alive;
        drop(state);
        // Dropping a task may wake others, who look at the state.
        let dead: BTreeMap<u64, (Owner, Option<Task>)> = dead;
        drop(dead);
    }

    /// Nothing of `owner` runs for so long; what would have, runs then.
    pub fn pause(&self, owner: usize, time: Duration) {
        let until = self.now() + time;
        lock(&self.state).paused.insert(owner, until);
        let (world, end) = (self.clone(), time);
        self.spawn(None, async move {
            world.sleep(end).await;
            let mut state = lock(&world.state);
            if state.paused.get(&owner) == Some(&until) {
                state.paused.remove(&owner);
                let stalled = state.stalled.remove(&owner).unwrap_or_default();
                lock(&world.ready).extend(stalled);
            }
        });
    }

    /// Lets everything run until this moment.
    pub fn run_until(&self, end: Duration) {
        loop {
            let next = lock(&self.ready).pop_front();
            if let Some(id) = next {
                self.run(id);
                continue;
            }
            let mut state = lock(&self.state);
            let Some(entry) = state.sleepers.first_entry() else {
                state.now = end;
                return;
            };
            let (moment, _) = *entry.key();
            if moment > end {
                state.now = end;
                return;
            }
            let waker = entry.remove();
            state.now = state.now.max(moment);
            drop(state);
            waker.wake();
        }
    }

    /// Gives one task its turn.
    fn run(&self, id: u64) {
        let mut state = lock(&self.state);
        let Some((owner, _)) = state.tasks.get(&id) else {
            return;
        };
        let owner = *owner;
        if let Some(paused) = owner.filter(|owner| state.paused.contains_key(owner)) {
            return state.stalled.entry(paused).or_default().push(id);
        }
        let Some(mut task) = state.tasks.get_mut(&id).and_then(|(_, task)| task.take()) else {
            return;
        };
        drop(state);
        let waker = Waker::from(Arc::new(TaskWaker {
            task: id,
            ready: Arc::clone(&self.ready),
        }));
        let is_done = task
            .as_mut()
            .poll(&mut Context::from_waker(&waker))
            .is_ready();
        let mut state = lock(&self.state);
        if is_done {
            state.tasks.remove(&id);
        } else if let Some((_, place)) = state.tasks.get_mut(&id) {
            *place = Some(task);
        }
    }
}

/// Passes at its moment; see [`World::sleep`].
pub struct Sleep {
    world: World,
    until: Duration,
    /// Where it waits, once it does.
    place: Option<(Duration, u64)>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let until = self.until;
        let mut state = lock(&self.world.state);
        if state.now >= until {
            drop(state);
            self.place = None;
            return Poll::Ready(());
        }
        let place = self.place.unwrap_or_else(|| {
            state.turn += 1;
            (until, state.turn)
        });
        match state.sleepers.get_mut(&place) {
            Some(waker) => waker.clone_from(context.waker()),
            None => drop(state.sleepers.insert(place, context.waker().clone())),
        }
        drop(state);
        self.place = Some(place);
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        // Nobody is to be woken any more.
        if let Some(place) = self.place {
            lock(&self.world.state).sleepers.remove(&place);
        }
    }
}

impl Clock for World {
    fn now(&self) -> Timestamp {
        NOON + Self::now(self)
    }
}
