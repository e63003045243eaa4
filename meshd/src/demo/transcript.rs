//! The demo's transcript: numbered steps, what each showed, and how long it took.

use std::error::Error;
use std::time::Instant;

/// Characters of a digest that are shown.
const DIGEST_SHOWN: usize = 16;

/// What has been told so far.
#[derive(Debug)]
pub(super) struct Transcript {
    print: fn(&str),
    begun: Instant,
    step_begun: Instant,
    steps: usize,
    checks: usize,
}

impl Transcript {
    pub(super) fn new(print: fn(&str)) -> Self {
        print("meshd demo: two services, three people, their devices, real files\n");
        let now = moment();
        Self {
            print,
            begun: now,
            step_begun: now,
            steps: 0,
            checks: 0,
        }
    }

    /// Begins a step.
    pub(super) fn step(&mut self, title: &str) {
        self.steps += 1;
        self.step_begun = moment();
        (self.print)(&format!("{:2}  {title}", self.steps));
    }

    /// Something the step shows.
    pub(super) fn show(&self, name: &str, value: impl std::fmt::Display) {
        (self.print)(&format!("      {name:<14} {value}"));
    }

    /// Something that was checked, and held.
    pub(super) fn held(&mut self, what: impl std::fmt::Display) {
        self.checks += 1;
        (self.print)(&format!("      checked        {what}"));
    }

    /// The step is done.
    pub(super) fn done(&self) {
        let elapsed = self.step_begun.elapsed();
        (self.print)(&format!(
            "      took           {:.3} s\n",
            elapsed.as_secs_f64()
        ));
    }

    /// Everything was as it should be.
    pub(super) fn end(&self) {
        let (steps, checks) = (self.steps, self.checks);
        let elapsed = self.begun.elapsed().as_secs_f64();
        (self.print)(&format!(
            "{steps} steps, {checks} checks, all held, in {elapsed:.1} s"
        ));
    }

    /// Something was not.
    pub(super) fn failed(&self, error: &dyn Error) {
        (self.print)(&format!("\nFAILED in step {}: {error}", self.steps));
        let mut cause = error.source();
        while let Some(source) = cause {
            (self.print)(&format!("  caused by: {source}"));
            cause = source.source();
        }
    }
}

/// The beginning of a digest: enough to compare by eye.
pub(super) fn digest(text: Option<&str>) -> String {
    text.map_or_else(
        || "none".to_owned(),
        |text| text.chars().take(DIGEST_SHOWN).collect(),
    )
}

#[expect(
    clippy::disallowed_methods,
    reason = "a transcript tells how long its steps took"
)]
fn moment() -> Instant {
    Instant::now()
}
