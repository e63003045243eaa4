//! Whether the store answers, asked every second: what `/readyz` and the log say about a store that is
//! elsewhere (cluster §15, §18 rows 8 to 11).
//!
//! A store that takes no writes is noticed by those who write ([`mesh_backend::BackendHandle::ready`]).

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mesh_backend::store::{AnyStore, Store as _, StoreError, Tx as _, TxOptions};
use tokio::time::Instant;

/// Time between two looks.
const INTERVAL: Duration = Duration::from_secs(1);
/// Within this time a store that is there gives a version (cluster §15).
const ANSWER_TIME_MAX: Duration = Duration::from_secs(2);
/// Longer than this, and it is called slow.
const SLOW: Duration = Duration::from_millis(500);

/// What was seen last.
#[derive(Default)]
pub(super) struct StoreProbe {
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    /// What is wrong with the store, and how long it took to find out.
    trouble: Option<Trouble>,
    /// Since when it does not answer.
    away_since: Option<Instant>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Trouble {
    Away(String),
    Slow(Duration),
}

impl std::fmt::Display for Trouble {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Away(why) => write!(formatter, "the store does not answer: {why}"),
            Self::Slow(time) => write!(
                formatter,
                "the store is slow: it took {} ms to say which version it has",
                time.as_millis()
            ),
        }
    }
}

impl StoreProbe {
    /// What keeps this process from working, if the store does.
    pub(super) fn obstacle(&self) -> Option<String> {
        match &self.seen().trouble {
            Some(trouble @ Trouble::Away(_)) => Some(trouble.to_string()),
            // Slow is not away: whoever is sent elsewhere finds the same store there.
            Some(Trouble::Slow(_)) | None => None,
        }
    }

    /// For how long it has not answered.
    pub(super) fn away_for(&self, now: Instant) -> Duration {
        let since = self.seen().away_since;
        since.map_or(Duration::ZERO, |since| now.duration_since(since))
    }

    /// Looks for as long as it is let.
    pub(super) async fn keep_looking(self: Arc<Self>, store: AnyStore) {
        let mut interval = tokio::time::interval(INTERVAL);
        interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            interval.tick().await;
            let found = look(&store).await;
            self.saw(found, Instant::now());
        }
    }

    fn saw(&self, found: Option<Trouble>, now: Instant) {
        let mut seen = self.seen();
        let kind = |trouble: &Option<Trouble>| trouble.as_ref().map(std::mem::discriminant);
        if kind(&seen.trouble) != kind(&found) {
            match &found {
                Some(trouble) => tracing::warn!("{trouble}"),
                None => tracing::info!("the store answers"),
            }
        }
        seen.away_since = match &found {
            Some(Trouble::Away(_)) => seen.away_since.or(Some(now)),
            Some(Trouble::Slow(_)) | None => None,
        };
        seen.trouble = found;
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        // Whoever panicked left what was seen before.
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One look.
async fn look(store: &AnyStore) -> Option<Trouble> {
    let began = Instant::now();
    let options = TxOptions {
        timeout: Some(ANSWER_TIME_MAX),
        ..TxOptions::default()
    };
    let tx = store.begin(options);
    match tokio::time::timeout(ANSWER_TIME_MAX, tx.read_version()).await {
        Ok(Ok(_)) => Some(began.elapsed())
            .filter(|time| *time > SLOW)
            .map(Trouble::Slow),
        Ok(Err(error)) => Some(Trouble::Away(sentence(&error))),
        Err(_) => Some(Trouble::Away(format!(
            "it gave no version within {} s",
            ANSWER_TIME_MAX.as_secs()
        ))),
    }
}

/// What is wrong, and what to do about it if that is known.
pub(super) fn sentence(error: &StoreError) -> String {
    match error.remedy() {
        Some(remedy) => format!("{error}; {remedy}"),
        None => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use mesh_backend::store::MemoryStore;

    use super::*;

    #[tokio::test]
    async fn a_store_that_answers_is_no_obstacle() {
        let (probe, now) = (StoreProbe::default(), Instant::now());
        probe.saw(look(&MemoryStore::new().into()).await, now);
        assert_eq!(probe.obstacle(), None);
        assert_eq!(probe.away_for(now), Duration::ZERO);
    }

    #[test]
    fn a_store_that_is_away_is_told_from_one_that_is_slow() {
        let (probe, now) = (StoreProbe::default(), Instant::now());
        let away = |why: &str| Some(Trouble::Away(why.to_owned()));
        probe.saw(away("nobody there"), now);
        assert_eq!(
            probe.obstacle().as_deref(),
            Some("the store does not answer: nobody there")
        );
        let later = now + Duration::from_secs(61);
        probe.saw(away("still nobody"), later);
        assert_eq!(probe.away_for(later), Duration::from_secs(61));
        probe.saw(Some(Trouble::Slow(Duration::from_millis(700))), later);
        assert_eq!(probe.obstacle(), None);
        assert_eq!(probe.away_for(later), Duration::ZERO);
    }
}
