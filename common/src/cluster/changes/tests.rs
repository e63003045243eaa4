use std::pin::pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::Wake;
use std::thread::{self, Thread};

use proptest::prelude::*;

use super::*;

/// Counts how often it is woken.
#[derive(Default)]
struct Bell(AtomicUsize);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// Wakes a thread that is parked.
struct Alarm(Thread);

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn address(number: usize) -> AccountAddress {
    AccountAddress::parse(&format!("a{number}@example.com")).unwrap()
}

fn has_changed(watch: &mut Watch, bell: &Arc<Bell>) -> bool {
    let waker = Waker::from(Arc::clone(bell));
    pin!(watch.changed())
        .poll(&mut Context::from_waker(&waker))
        .is_ready()
}

fn rings(bell: &Bell) -> usize {
    bell.0.load(Ordering::SeqCst)
}

#[test]
fn a_change_wakes_who_watches_the_account_and_nobody_else() {
    let (changes, bell) = (Arc::<Changes>::default(), Arc::<Bell>::default());
    let mut one = changes.watch(&address(1)).unwrap();
    let mut same = changes.watch(&address(1)).unwrap();
    let mut other = changes.watch(&address(2)).unwrap();
    for watch in [&mut one, &mut same, &mut other] {
        assert!(!has_changed(watch, &bell));
    }
    changes.tell(&address(1));
    assert_eq!(rings(&bell), 2);
    assert!(has_changed(&mut one, &bell) && has_changed(&mut same, &bell));
    assert!(!has_changed(&mut one, &bell), "once is once");
    assert!(!has_changed(&mut other, &bell));
    changes.tell_all();
    assert!(has_changed(&mut other, &bell));
}

#[test]
fn a_change_that_comes_before_anybody_awaits_it_is_kept() {
    let (changes, bell) = (Arc::<Changes>::default(), Arc::<Bell>::default());
    let mut watch = changes.watch(&address(1)).unwrap();
    changes.tell(&address(1));
    changes.tell(&address(1));
    assert!(has_changed(&mut watch, &bell));
    assert!(!has_changed(&mut watch, &bell), "both were one");
    assert_eq!(rings(&bell), 0);
}

#[test]
fn who_awaits_again_is_woken_by_the_newest_waker() {
    let changes = Arc::<Changes>::default();
    let (old, new) = (Arc::<Bell>::default(), Arc::<Bell>::default());
    let mut watch = changes.watch(&address(1)).unwrap();
    assert!(!has_changed(&mut watch, &old));
    assert!(!has_changed(&mut watch, &new));
    changes.tell(&address(1));
    assert_eq!((rings(&old), rings(&new)), (0, 1));
}

#[test]
fn an_account_has_a_bounded_number_of_watches() {
    let changes = Arc::<Changes>::default();
    let mut watches: Vec<_> = (0..POLLS_PER_ACCOUNT_MAX)
        .map(|_| changes.watch(&address(1)).unwrap())
        .collect();
    assert!(changes.watch(&address(1)).is_none());
    assert!(changes.watch(&address(2)).is_some());
    watches.pop();
    watches.extend(changes.watch(&address(1)));
    assert_eq!(changes.watches(), POLLS_PER_ACCOUNT_MAX);
    watches.clear();
    assert_eq!(changes.watches(), 0);
    assert!(lock(&changes.watched).is_empty(), "nothing is left behind");
}

/// Waits for a change; false if none comes in the time that only a lost wake-up takes.
fn await_on_this_thread(watch: &mut Watch) -> bool {
    let waker = Waker::from(Arc::new(Alarm(thread::current())));
    let mut changed = pin!(watch.changed());
    for _ in 0..2 {
        if changed
            .as_mut()
            .poll(&mut Context::from_waker(&waker))
            .is_ready()
        {
            return true;
        }
        thread::park_timeout(std::time::Duration::from_secs(20));
    }
    false
}

/// An owner that commits, shows and tells; waiters that watch and look. Without a lost wake-up every
/// waiter sees the last commit, however the threads run.
#[test]
fn no_change_is_lost_between_a_look_and_the_wait_behind_it() {
    const COMMITS: u64 = 20_000;
    let (changes, shown) = (Arc::<Changes>::default(), AtomicU64::new(0));
    thread::scope(|scope| {
        let waiters: Vec<_> = (0..3)
            .map(|_| {
                scope.spawn(|| {
                    let mut seen = 0;
                    while seen < COMMITS {
                        // As a poll does: a new watch, a look, then waiting for something newer.
                        let mut watch = changes.watch(&address(1)).unwrap();
                        while shown.load(Ordering::SeqCst) == seen {
                            assert!(await_on_this_thread(&mut watch), "not woken behind {seen}");
                        }
                        seen = shown.load(Ordering::SeqCst);
                    }
                    seen
                })
            })
            .collect();
        for commit in 1..=COMMITS {
            shown.store(commit, Ordering::SeqCst);
            changes.tell(&address(1));
        }
        for waiter in waiters {
            assert_eq!(waiter.join().unwrap(), COMMITS);
        }
    });
    assert_eq!(changes.watches(), 0);
}

#[derive(Debug, Clone)]
enum Step {
    Watch(usize),
    End(usize),
    Look(usize),
    Commit(usize),
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0..3_usize).prop_map(Step::Watch),
        (0..6_usize).prop_map(Step::End),
        (0..6_usize).prop_map(Step::Look),
        (0..3_usize).prop_map(Step::Commit),
        Just(Step::Restart),
    ]
}

proptest! {
    /// Against the plainest model: a watch that has not looked since the last commit of its account is
    /// ready.
    #[test]
    fn a_watch_is_ready_whenever_something_came_after_its_last_look(
        steps in proptest::collection::vec(step(), 1..60)
    ) {
        let (changes, bell) = (Arc::<Changes>::default(), Arc::<Bell>::default());
        let mut watches: Vec<(usize, Watch, bool)> = Vec::new();
        for step in steps {
            match step {
                Step::Watch(account) => {
                    if let Some(watch) = changes.watch(&address(account)) {
                        watches.push((account, watch, false));
                    }
                }
                Step::End(place) => {
                    if place < watches.len() {
                        watches.remove(place);
                    }
                }
                Step::Look(place) => {
                    if let Some((_, watch, is_due)) = watches.get_mut(place) {
                        prop_assert_eq!(has_changed(watch, &bell), *is_due);
                        *is_due = false;
                    }
                }
                Step::Commit(account) => {
                    changes.tell(&address(account));
                    for (watched, _, is_due) in &mut watches {
                        *is_due |= *watched == account;
                    }
                }
                Step::Restart => {
                    changes.tell_all();
                    watches.iter_mut().for_each(|(_, _, is_due)| *is_due = true);
                }
            }
            prop_assert_eq!(changes.watches(), watches.len());
        }
    }
}
