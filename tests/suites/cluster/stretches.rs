//! The stretches of a scene: how long what somebody did took in each of them, and how much the processes worked.
//!
//! A figure of one stretch says little on a machine that has other things to do. So a scene has a stretch
//! with which to compare: nothing happens in it, or something else of the same weight.

use std::fmt;
use std::time::{Duration, Instant};

use mesh_tests::cluster::Cluster;
use mesh_tests::process::processor_time;

use super::crowd::events::{Event, share};
use super::crowd::moment;

/// What the stretches of a scene are made of, in the order in which they began.
#[derive(Debug, Default)]
pub(crate) struct Stretches(Vec<Begun>);

#[derive(Debug)]
struct Begun {
    name: &'static str,
    at: Instant,
    /// What every process had used of the processors, and this one.
    worked: Vec<(String, Duration)>,
}

/// What was seen in one stretch.
#[derive(Debug)]
pub(crate) struct Figures {
    name: &'static str,
    lasted: Duration,
    deeds: usize,
    half: Duration,
    most: Duration,
    longest: Duration,
    /// Processors that each process kept busy.
    busy: Vec<(String, f64)>,
}

impl Stretches {
    /// A stretch begins, and the one before it ends.
    pub(crate) fn begin(&mut self, name: &'static str, cluster: &Cluster) {
        self.0.push(Begun {
            name,
            at: moment(),
            worked: worked(cluster),
        });
    }

    /// The figures of all stretches but the last, which only ends the one before it. A deed belongs to the
    /// stretch in which it ended.
    pub(crate) fn figures(&self, events: &[Event]) -> Vec<Figures> {
        self.0
            .windows(2)
            .map(|pair| Figures::between(&pair[0], &pair[1], events))
            .collect()
    }
}

impl Figures {
    fn between(begun: &Begun, next: &Begun, events: &[Event]) -> Self {
        let lasted = next.at - begun.at;
        let within = || {
            let ended = events.iter();
            ended.filter(|event| (begun.at..next.at).contains(&event.ended))
        };
        let before = |name: &String| {
            let known = begun.worked.iter().find(|(one, _)| one == name);
            known.map_or(Duration::ZERO, |(_, worked)| *worked)
        };
        let busy = next.worked.iter().map(|(name, worked)| {
            let worked = worked.saturating_sub(before(name));
            (name.clone(), worked.as_secs_f64() / lasted.as_secs_f64())
        });
        Self {
            name: begun.name,
            lasted,
            deeds: within().count(),
            half: share(within(), 50),
            most: share(within(), 99),
            longest: share(within(), 100),
            busy: busy.collect(),
        }
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{}: {:.1?}, {} deeds; half took {:.0?}, 99 in 100 {:.0?}, all {:.0?}; busy:",
            self.name, self.lasted, self.deeds, self.half, self.most, self.longest,
        )?;
        for (name, busy) in &self.busy {
            write!(formatter, " {name} {busy:.2}")?;
        }
        Ok(())
    }
}

/// What every process has used of the processors so far, this one with the store and the crowd at the end.
fn worked(cluster: &Cluster) -> Vec<(String, Duration)> {
    let running = cluster.members().iter().filter_map(|member| {
        let process = member.process()?;
        Some((member.name(), processor_time(process.id())))
    });
    let own = ("this".to_owned(), processor_time(std::process::id()));
    running.chain([own]).collect()
}
