//! Requests that wait for news (architecture A-14, cluster §10): a Status that would say nothing new is
//! put aside, and answered when the account changes, its time ends, or the service stops.
//!
//! ```text
//!  Status ─▶ answered as ever ─▶ news? ──yes──▶ out
//!                                  │ no
//!                                  ▼
//!               a place, a watch ─▶ look ─▶ news? ──yes──▶ out
//!                                    ▲        │ no
//!                                    └── the account changes; else time or shutdown: look, out
//! ```
//!
//! While it waits, a request is a small future: no body, no answer, no place among the requests in
//! work, nothing at the back-end but one entry that is woken. Nothing is remembered from one poll to
//! the next: what is news follows from what the request says it knows (design note 0004).

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use mesh_common::cluster::Watch;
use mesh_common::limits::POLL_JITTER_SHARE;
use mesh_common::protocol::{Code, Response};
use tokio::sync::watch;
use tokio::time::Sleep;

use crate::metrics::FrontendMetrics;
use crate::prefer::Wait;

/// The places for waiting requests of one front-end, and the bell that ends all waiting.
pub(crate) struct Polls {
    waiting: Arc<AtomicUsize>,
    places: usize,
    ending: Arc<watch::Sender<bool>>,
    metrics: FrontendMetrics,
}

/// Ends all waiting, once and for good.
#[derive(Debug, Clone)]
pub(crate) struct EndOfWaiting(Arc<watch::Sender<bool>>);

/// One place; leaving it is dropping it.
pub(crate) struct Place {
    waiting: Arc<AtomicUsize>,
    ending: watch::Receiver<bool>,
    metrics: FrontendMetrics,
}

/// Why a request waits no longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wakened {
    /// The account changed, perhaps.
    Change,
    /// Its time is over.
    Time,
    /// The service stops.
    Shutdown,
}

impl Polls {
    pub(crate) fn new(places: usize, metrics: FrontendMetrics) -> Self {
        Self {
            waiting: Arc::default(),
            places,
            ending: Arc::new(watch::Sender::new(false)),
            metrics,
        }
    }

    /// A place to wait at; `None` if all are taken, or if waiting has ended.
    pub(crate) fn place(&self) -> Option<Place> {
        if *self.ending.borrow() {
            return None;
        }
        let is_free = |taken| (taken < self.places).then_some(taken + 1);
        let (order, waiting) = (Ordering::Relaxed, &self.waiting);
        waiting.fetch_update(order, order, is_free).ok()?;
        self.metrics.polls_waiting.inc();
        Some(Place {
            waiting: Arc::clone(waiting),
            ending: self.ending.subscribe(),
            metrics: self.metrics.clone(),
        })
    }

    pub(crate) fn end_of_waiting(&self) -> EndOfWaiting {
        EndOfWaiting(Arc::clone(&self.ending))
    }
}

impl EndOfWaiting {
    /// Wakes everybody who waits; nobody waits any more.
    pub(crate) fn ring(&self) {
        self.0.send_replace(true);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        self.metrics.polls_waiting.dec();
    }
}

impl Place {
    /// Waits for whatever comes first.
    pub(crate) async fn next(&mut self, changes: &mut Watch, time: Pin<&mut Sleep>) -> Wakened {
        tokio::select! {
            biased;
            () = self.ended() => Wakened::Shutdown,
            () = changes.changed() => Wakened::Change,
            () = time => Wakened::Time,
        }
    }

    /// Waits until waiting ends.
    async fn ended(&mut self) {
        // An error says that the front-end is gone: waiting has ended as well.
        drop(self.ending.wait_for(|&has_ended| has_ended).await);
    }

    /// Counts how the wait ended.
    pub(crate) fn count(&self, wakened: Wakened) {
        let label = match wakened {
            Wakened::Change => "change",
            Wakened::Time => "time",
            Wakened::Shutdown => "shutdown",
        };
        let ended = &self.metrics.polls_ended;
        ended.with_label_values(&[label]).inc();
    }
}

impl Wait {
    /// Whether `response` says something that the one who asks does not know.
    pub(crate) fn is_news(&self, response: &Response) -> bool {
        !matches!(response, Response::Status(status)
            if status.outcome.code() == Some(Code::Ok)
                && status.enveloped_profile_master.is_none()
                && status.known_state() == self.known)
    }

    /// The wait, shortened by `chance`: at 255 by the whole share.
    pub(crate) fn shortened(&self, chance: u8) -> Duration {
        let share = self.time / POLL_JITTER_SHARE;
        self.time - share * u32::from(chance) / u32::from(u8::MAX)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use mesh_common::encoding::base64url::Binary;
    use mesh_common::error::ServiceError;
    use mesh_common::protocol::{ContainerStatus, Outcome, StatusResponse, Transaction};
    use prometheus::Registry;

    use super::*;

    fn polls(places: usize) -> Polls {
        Polls::new(places, FrontendMetrics::register(&Registry::new()).unwrap())
    }

    #[test]
    fn places_are_bounded_and_given_back() {
        let polls = polls(2);
        let (one, other) = (polls.place().unwrap(), polls.place().unwrap());
        assert!(polls.place().is_none());
        assert_eq!(polls.metrics.polls_waiting.get(), 2);
        drop(one);
        assert!(polls.place().is_some());
        drop(other);
        assert_eq!(polls.metrics.polls_waiting.get(), 0);
        assert!(self::polls(0).place().is_none(), "none is a setting");
    }

    #[test]
    fn the_end_of_waiting_is_for_all_and_for_good() {
        let polls = polls(2);
        let mut place = polls.place().unwrap();
        assert_eq!(place.ended().now_or_never(), None);
        polls.end_of_waiting().ring();
        assert_eq!(place.ended().now_or_never(), Some(()));
        assert!(polls.place().is_none());
    }

    fn status(index: u64) -> StatusResponse {
        StatusResponse {
            outcome: Outcome::ok(),
            container_status: vec![ContainerStatus {
                container: Some("mmm_Inbound".into()),
                index: Some(index),
                digest: Some(Binary(vec![1; 64])),
            }]
            .into(),
            ..StatusResponse::default()
        }
    }

    fn wait() -> Wait {
        Wait {
            time: Duration::from_secs(10),
            known: status(3).known_state(),
        }
    }

    #[test]
    fn everything_but_the_known_state_is_news() {
        let is_news = |status| wait().is_news(&Response::Status(Box::new(status)));
        assert!(!is_news(status(3)));
        assert!(is_news(status(4)));
        assert!(is_news(StatusResponse {
            enveloped_profile_master: Some(mesh_common::dare::Envelope::plain(vec![])),
            ..status(3)
        }));
        let refusal = ServiceError::new(Code::DeviceRevoked, "the device was removed");
        assert!(wait().is_news(&Response::refusal(Some(Transaction::Status), &refusal)));
        assert!(is_news(StatusResponse {
            outcome: Outcome::refusal(&refusal),
            ..status(3)
        }));
    }

    #[test]
    fn a_wait_is_shortened_by_a_fifth_at_most() {
        assert_eq!(wait().shortened(0), Duration::from_secs(10));
        assert_eq!(wait().shortened(u8::MAX), Duration::from_secs(8));
    }
}
