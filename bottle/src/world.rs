//! Time, chance and turns: a single-threaded executor whose clock moves only when nothing else can.
//!
//! Tasks run one at a time, in the order in which they were woken; whoever sleeps is woken in the order
//! of the moments, then of falling asleep. So one seed gives one story.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
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
    ready: Ready,
}

/// Those who are to have a turn.
type Ready = Arc<Mutex<VecDeque<Place>>>;

/// Where a task is kept, and which of those that are kept there one after the other it is.
#[derive(Debug, Clone, Copy)]
struct Place {
    index: usize,
    id: u64,
}

/// A task that has not ended.
struct Entry {
    id: u64,
    owner: Owner,
    /// None while it has its turn.
    task: Option<Task>,
    /// Whether it is to have a turn, or stands still before one.
    is_due: Arc<AtomicBool>,
    waker: Waker,
}

struct State {
    now: Duration,
    turn: u64,
    chance: SeededEntropy,
    tasks: Vec<Option<Entry>>,
    /// Places where no task is kept.
    free: Vec<usize>,
    is_over: bool,
    sleepers: BTreeMap<(Duration, u64), Waker>,
    paused: BTreeMap<usize, Duration>,
    killed: BTreeSet<usize>,
    /// Woken while their owners were paused.
    stalled: BTreeMap<usize, Vec<Place>>,
}

impl State {
    fn entry(&mut self, place: Place) -> Option<&mut Entry> {
        let entry = self.tasks.get_mut(place.index)?.as_mut();
        entry.filter(|entry| entry.id == place.id)
    }

    /// Takes out the tasks of which `is_it` holds, for whoever drops them: that may wake others, who look at
    /// the state.
    fn take(&mut self, is_it: impl Fn(&Entry) -> bool) -> Vec<Entry> {
        let mut taken = Vec::new();
        for (index, place) in self.tasks.iter_mut().enumerate() {
            if place.as_ref().is_some_and(&is_it) {
                taken.extend(place.take());
                self.free.push(index);
            }
        }
        taken
    }
}

struct TaskWaker {
    place: Place,
    is_due: Arc<AtomicBool>,
    ready: Ready,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.is_due.swap(true, Ordering::Relaxed) {
            lock(&self.ready).push_back(self.place);
        }
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
                tasks: Vec::new(),
                free: Vec::new(),
                is_over: false,
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
        if state.is_over || owner.is_some_and(|owner| state.killed.contains(&owner)) {
            return;
        }
        state.turn += 1;
        let id = state.turn;
        let index = state.free.pop().unwrap_or(state.tasks.len());
        let (place, is_due) = (Place { index, id }, Arc::new(AtomicBool::new(true)));
        let waker = TaskWaker {
            place,
            is_due: Arc::clone(&is_due),
            ready: Arc::clone(&self.ready),
        };
        let entry = Some(Entry {
            id,
            owner,
            task: Some(Box::pin(task)),
            is_due,
            waker: Arc::new(waker).into(),
        });
        match state.tasks.get_mut(index) {
            Some(free) => *free = entry,
            None => state.tasks.push(entry),
        }
        lock(&self.ready).push_back(place);
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
        let dead = state.take(|entry| entry.owner == Some(owner));
        drop(state);
        drop(dead);
    }

    /// Ends everything: nothing happens any more. A task keeps the world that keeps the task.
    pub fn end(&self) {
        let mut state = lock(&self.state);
        state.is_over = true;
        let rest = state.take(|_| true);
        drop(state);
        drop(rest);
        let sleepers = std::mem::take(&mut lock(&self.state).sleepers);
        drop(sleepers);
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
            if let Some(place) = next {
                self.run(place);
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
    fn run(&self, place: Place) {
        let mut state = lock(&self.state);
        let Some(owner) = state.entry(place).map(|entry| entry.owner) else {
            return;
        };
        if let Some(paused) = owner.filter(|owner| state.paused.contains_key(owner)) {
            return state.stalled.entry(paused).or_default().push(place);
        }
        let Some(entry) = state.entry(place) else {
            return;
        };
        entry.is_due.store(false, Ordering::Relaxed);
        let (waker, Some(mut task)) = (entry.waker.clone(), entry.task.take()) else {
            return;
        };
        drop(state);
        let mut context = Context::from_waker(&waker);
        let is_done = task.as_mut().poll(&mut context).is_ready();
        let mut state = lock(&self.state);
        match state.entry(place) {
            Some(entry) if !is_done => entry.task = Some(task),
            Some(_) => {
                let ended = state.tasks[place.index].take();
                state.free.push(place.index);
                drop(state);
                drop((ended, task));
            }
            // It was ended while it had its turn.
            None => {
                drop(state);
                drop(task);
            }
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

#[cfg(test)]
impl World {
    /// Says whether nobody has this world any more.
    pub(crate) fn is_forgotten(&self) -> impl Fn() -> bool + use<> {
        let state = Arc::downgrade(&self.state);
        move || state.strong_count() == 0
    }
}
