//! Peers made of a few numbers: a server with slots and a queue, and what does not answer at all.

use std::time::Duration;

use crate::delivery::attempt::{Answered, End, Unreachable};
use crate::entropy::{Entropy, SeededEntropy, draw};
use crate::limits::TRANSFER_TIME_MAX;
use crate::time::Timestamp;

/// How a peer answers.
pub trait Peer {
    /// What becomes of a request that begins now.
    fn answer(&mut self, now: Timestamp, entropy: &mut SeededEntropy) -> Reply;
}

/// What becomes of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// How the transfer ends.
    pub end: End,
    /// How long it is in flight.
    pub takes: Duration,
    /// How long the exchange took; zero if there was none.
    pub exchange: Duration,
}

impl Reply {
    /// The message is in the recipient's Inbound after `takes`.
    #[must_use]
    pub fn received(takes: Duration) -> Self {
        Self::answered(takes, 201, None)
    }

    /// The peer answers with `status` after `takes`.
    #[must_use]
    pub fn answered(takes: Duration, status: u16, retry_after: Option<Duration>) -> Self {
        let answered = Answered {
            status,
            extended: None,
            text: String::new(),
            retry_after,
        };
        Self {
            end: End::Answered(answered),
            takes,
            exchange: takes,
        }
    }

    /// Nothing comes back.
    #[must_use]
    pub fn lost() -> Self {
        Self {
            end: End::TimedOut,
            takes: TRANSFER_TIME_MAX,
            exchange: TRANSFER_TIME_MAX,
        }
    }

    /// No connection comes about, which takes so long to find out.
    #[must_use]
    pub fn unreachable(takes: Duration) -> Self {
        Self {
            end: End::Unreachable(Unreachable::Connect("refused".to_owned())),
            takes,
            exchange: Duration::ZERO,
        }
    }
}

/// A server with parallel slots and one queue before them. It does the work even if whoever asked has given
/// up: the worst case.
#[derive(Debug, Clone)]
pub struct Server {
    /// Until when each slot is busy, in seconds since 1970.
    free_at: Vec<f64>,
    /// Seconds that one request takes, without waiting.
    service_s: f64,
    /// How much that varies: the deviation of its logarithm.
    jitter: f64,
}

impl Server {
    /// `slots` requests at once, of which each takes `service_ms`, give or take a quarter.
    #[must_use]
    pub fn new(slots: usize, service_ms: u32) -> Self {
        Self {
            free_at: vec![0.0; slots.max(1)],
            service_s: f64::from(service_ms) / 1_000.0,
            jitter: 0.25,
        }
    }

    /// The same queue with another number of slots, and another time for each request.
    #[must_use]
    pub fn resized(&self, slots: usize, service_ms: u32) -> Self {
        let busiest = self.free_at.iter().copied().fold(0.0, f64::max);
        Self {
            free_at: vec![busiest; slots.max(1)],
            ..Self::new(slots, service_ms)
        }
    }
}

impl Peer for Server {
    #[expect(
        clippy::cast_precision_loss,
        reason = "moments of a simulation are exact to less than a microsecond"
    )]
    fn answer(&mut self, now: Timestamp, entropy: &mut SeededEntropy) -> Reply {
        let now_s = now.as_millis() as f64 / 1_000.0;
        let takes = self.service_s * (self.jitter * normal(entropy)).exp();
        let Some(slot) = self
            .free_at
            .iter_mut()
            .min_by(|one, other| one.total_cmp(other))
        else {
            return Reply::lost();
        };
        let begins = now_s.max(*slot);
        *slot = begins + takes;
        let latency = Duration::from_secs_f64(begins + takes - now_s);
        if latency < TRANSFER_TIME_MAX {
            Reply::received(latency)
        } else {
            Reply::lost()
        }
    }
}

/// Ways of not answering.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Takes the request, and says nothing: five seconds.
    BlackHole,
    /// Takes no connection, and does not say so: two seconds.
    Silent,
    /// Refuses the connection at once.
    Refusing,
}

/// A peer that does not answer.
#[derive(Debug, Clone, Copy)]
pub struct Dead(pub Way);

impl Peer for Dead {
    fn answer(&mut self, _now: Timestamp, _entropy: &mut SeededEntropy) -> Reply {
        match self.0 {
            Way::BlackHole => Reply::lost(),
            Way::Silent => Reply::unreachable(Duration::from_secs(2)),
            Way::Refusing => Reply::unreachable(Duration::from_millis(1)),
        }
    }
}

/// A peer that answers as a function says.
pub struct Scripted<F>(pub F);

impl<F: FnMut(Timestamp) -> Reply> Peer for Scripted<F> {
    fn answer(&mut self, now: Timestamp, _entropy: &mut SeededEntropy) -> Reply {
        self.0(now)
    }
}

/// A number of the standard normal distribution (Box and Muller).
fn normal(entropy: &mut dyn Entropy) -> f64 {
    let [one, other] = [(); 2].map(|()| uniform(entropy));
    (-2.0 * one.ln()).sqrt() * (std::f64::consts::TAU * other).cos()
}

/// A number above zero, at most one.
fn uniform(entropy: &mut dyn Entropy) -> f64 {
    (f64::from(u32::from_be_bytes(draw::<4>(entropy))) + 1.0) / (f64::from(u32::MAX) + 1.0)
}
