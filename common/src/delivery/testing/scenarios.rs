//! The destinations of delivery §12.3: 180 seconds of a sender that always has more, towards peers
//! of seven kinds.

use std::time::Duration;

use super::{Dead, Peer, Point, Record, Server, Way, World};
use crate::delivery::PoolSettings;
use crate::time::Timestamp;

/// How long each of them goes on.
pub const SCENARIO_TIME: Duration = Duration::from_secs(180);
const DOMAIN: &str = "peer.example";

/// A kind of destination, and what happens to it meanwhile.
#[derive(Debug, Clone, Copy)]
pub struct Scenario {
    /// What it is called in files.
    pub slug: &'static str,
    /// What it is, in a phrase.
    pub title: &'static str,
    begins: Kind,
    changes: &'static [(u64, Kind)],
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    /// Slots, and milliseconds for each request.
    Server(usize, u32),
    /// The same queue with other numbers.
    Resized(usize, u32),
    BlackHole,
}

/// What came of it.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// Everything that happened.
    pub record: Record,
    /// When it began.
    pub began: Timestamp,
}

/// The rows of the table of delivery §12.3, in their order.
pub const SCENARIOS: [Scenario; 7] = [
    Scenario {
        slug: "fast",
        title: "50 slots × 80 ms",
        begins: Kind::Server(50, 80),
        changes: &[],
    },
    Scenario {
        slug: "small",
        title: "4 slots × 200 ms",
        begins: Kind::Server(4, 200),
        changes: &[],
    },
    Scenario {
        slug: "tiny",
        title: "1 slot × 900 ms",
        begins: Kind::Server(1, 900),
        changes: &[],
    },
    Scenario {
        slug: "slow",
        title: "20 slots × 2.5 s",
        begins: Kind::Server(20, 2_500),
        changes: &[],
    },
    Scenario {
        slug: "black-hole",
        title: "black hole",
        begins: Kind::BlackHole,
        changes: &[],
    },
    Scenario {
        slug: "collapse",
        title: "50 slots × 80 ms, from 60 s on 4 slots × 400 ms",
        begins: Kind::Server(50, 80),
        changes: &[(60, Kind::Resized(4, 400))],
    },
    Scenario {
        slug: "outage",
        title: "50 slots × 80 ms, dead from 60 s to 120 s",
        begins: Kind::Server(50, 80),
        changes: &[(60, Kind::BlackHole), (120, Kind::Server(50, 80))],
    },
];

impl Scenario {
    /// Runs it.
    #[must_use]
    pub fn run(&self, seed: u64) -> Outcome {
        let mut world = World::new(seed, PoolSettings::default());
        world.trace(DOMAIN);
        world.add_peer(DOMAIN, Switched::new(self));
        world.queue_endlessly(DOMAIN);
        world.run(SCENARIO_TIME);
        Outcome {
            record: world.records.remove(DOMAIN).unwrap_or_default(),
            began: World::BEGINNING,
        }
    }
}

impl Outcome {
    /// Messages delivered per second.
    #[must_use]
    pub fn per_second(&self) -> f64 {
        count(self.record.successes.len()) / SCENARIO_TIME.as_secs_f64()
    }

    /// Transfers that timed out.
    #[must_use]
    pub fn timeouts(&self) -> f64 {
        count(usize::try_from(self.record.timeouts).unwrap_or(usize::MAX))
    }

    /// Seconds that half of the successful exchanges took at most.
    #[must_use]
    pub fn median_s(&self) -> f64 {
        let mut took: Vec<Duration> = self
            .record
            .successes
            .iter()
            .map(|&(_, took)| took)
            .collect();
        if took.is_empty() {
            return 0.0;
        }
        let middle = took.len() / 2;
        took.select_nth_unstable(middle).1.as_secs_f64()
    }

    /// Seconds from `second` to the first success after it.
    #[must_use]
    pub fn first_success_after(&self, second: u64) -> Option<f64> {
        let moment = self.began + Duration::from_secs(second);
        let (at, _) = self.record.successes.iter().find(|(at, _)| *at > moment)?;
        Some(at.since(moment).as_secs_f64())
    }

    /// What was seen at the end of each transfer, with the seconds since the beginning.
    pub fn points(&self) -> impl Iterator<Item = (f64, &Point)> {
        self.record
            .trace
            .iter()
            .map(|point| (point.at.since(self.began).as_secs_f64(), point))
    }
}

/// A peer that changes at given moments.
struct Switched {
    server: Server,
    present: Kind,
    changes: Vec<(Timestamp, Kind)>,
}

impl Switched {
    fn new(scenario: &Scenario) -> Self {
        let changes = scenario.changes.iter().rev();
        let mut switched = Self {
            server: Server::new(1, 1),
            present: scenario.begins,
            changes: changes
                .map(|&(second, kind)| (World::BEGINNING + Duration::from_secs(second), kind))
                .collect(),
        };
        switched.become_kind(scenario.begins);
        switched
    }

    fn become_kind(&mut self, kind: Kind) {
        self.present = kind;
        match kind {
            Kind::Server(slots, service_ms) => self.server = Server::new(slots, service_ms),
            Kind::Resized(slots, service_ms) => {
                self.server = self.server.resized(slots, service_ms);
            }
            Kind::BlackHole => {}
        }
    }
}

impl Peer for Switched {
    fn answer(
        &mut self,
        now: Timestamp,
        entropy: &mut crate::entropy::SeededEntropy,
    ) -> super::Reply {
        while let Some((_, kind)) = self.changes.pop_if(|(at, _)| *at <= now) {
            self.become_kind(kind);
        }
        match self.present {
            Kind::BlackHole => Dead(Way::BlackHole).answer(now, entropy),
            Kind::Server(..) | Kind::Resized(..) => self.server.answer(now, entropy),
        }
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "counts of a simulation are small"
)]
fn count(number: usize) -> f64 {
    number as f64
}
