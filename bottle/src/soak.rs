//! Many stories, on several threads: each seed is a story of its own, in which nobody knows of the others
//! (cluster §20.7).

use std::collections::BTreeMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::store::Sabotage;
use crate::story::{self, Blow, Failure, Report};

/// What came of one story.
pub type Told = Result<Report, Failure>;

/// Tells the stories of `count` seeds from `first` on, with so many threads. `told` is given each when it ends,
/// one at a time, in no certain order, and says whether to go on.
pub fn tell(
    (first, count): (u64, u64),
    jobs: usize,
    sabotage: Sabotage,
    told: impl FnMut(u64, Told) -> bool + Send,
) {
    let told = Mutex::new(told);
    let (begun, is_over) = (AtomicU64::new(0), AtomicBool::new(false));
    let work = || {
        while !is_over.load(Ordering::Relaxed) {
            let place = begun.fetch_add(1, Ordering::Relaxed);
            if place >= count {
                return;
            }
            let seed = first.saturating_add(place);
            let story = one(seed, sabotage);
            let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
            if !told(seed, story) {
                is_over.store(true, Ordering::Relaxed);
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..jobs.max(1) {
            scope.spawn(work);
        }
    });
}

/// A story in which something panicked has failed as well.
fn one(seed: u64, sabotage: Sabotage) -> Told {
    // Nothing of a story is seen once it is over.
    let story = catch_unwind(AssertUnwindSafe(|| story::run(seed, sabotage)));
    story.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
        let what = vec![format!("panicked: {}", text.unwrap_or("without a word"))];
        Err(Failure { seed, what })
    })
}

/// What happened in many stories.
#[derive(Debug, Clone, Default)]
pub struct Sum {
    /// Stories that were told.
    pub seeds: u64,
    /// Those in which something did not hold.
    pub failed: Vec<u64>,
    counts: BTreeMap<&'static str, u64>,
    blows: BTreeMap<Blow, u64>,
    seconds: f64,
}

impl Sum {
    /// One more story.
    pub fn add(&mut self, seed: u64, told: &Told) {
        self.seeds += 1;
        let Ok(report) = told else {
            return self.failed.push(seed);
        };
        for (what, count) in report.counts() {
            *self.counts.entry(what).or_default() += u64::try_from(count).unwrap_or(u64::MAX);
        }
        for blow in &report.blows {
            *self.blows.entry(*blow).or_default() += 1;
        }
        self.seconds += report.time.as_secs_f64();
    }

    /// How much of `what` there was, as [`Report::counts`] calls it.
    #[must_use]
    pub fn of(&self, what: &str) -> u64 {
        self.counts.get(what).copied().unwrap_or_default()
    }
}

impl fmt::Display for Sum {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (failed, hours) = (self.failed.len(), self.seconds / 3_600.0);
        writeln!(
            formatter,
            "{} seeds, {failed} failed; {hours:.0} hours as the bottle tells time",
            self.seeds
        )?;
        for (what, count) in &self.counts {
            writeln!(formatter, "{count:>12} {what}")?;
        }
        for (blow, count) in &self.blows {
            writeln!(formatter, "{count:>12} times {blow:?}")?;
        }
        Ok(())
    }
}
