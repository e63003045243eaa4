//! What is remembered of lookups: answers for their TTL within bounds, negative ones for a minute, and old
//! ones for a day if DNS fails meanwhile (delivery §11).

use std::sync::Arc;
use std::time::Duration;

use super::recent::Recent;
use super::records::{Absence, Located};
use crate::limits::{
    DISCOVERY_ENTRIES_MAX, DISCOVERY_FAILURE_PAUSE, DISCOVERY_NEGATIVE_LIFE, DISCOVERY_STALE_MAX,
    DISCOVERY_TTL_MAX, DISCOVERY_TTL_MIN,
};
use crate::time::Timestamp;

/// What a lookup of a domain came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lookup {
    /// There is a service.
    Found {
        /// Where.
        located: Arc<Located>,
        /// For how long the records hold.
        ttl: Duration,
    },
    /// There is none, and DNS says so.
    Absent(Absence),
    /// DNS failed: no answer, SERVFAIL, a lame delegation, a loop.
    Failed(String),
}

/// What is known of a domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Known {
    /// Where its service is.
    Located(Arc<Located>),
    /// It has none.
    Absent(Absence),
    /// It could not be looked up a moment ago.
    Failed(String),
    /// It is to be looked up; what was known before holds if that fails or takes long.
    Ask {
        /// What was known before.
        meanwhile: Option<Arc<Located>>,
        /// Whether the last lookup failed.
        is_troubled: bool,
    },
}

/// What is remembered of domains.
#[derive(Debug)]
pub struct DiscoveryCache {
    entries: Recent<Entry>,
}

#[derive(Debug, Clone)]
struct Entry {
    /// What is told until `until`.
    told: Told,
    until: Timestamp,
    /// The last answer that named a service, and until when it may stand in.
    last: Option<(Arc<Located>, Timestamp)>,
    has_failed: bool,
}

#[derive(Debug, Clone)]
enum Told {
    Located(Arc<Located>),
    Absent(Absence),
    Failed(String),
}

impl DiscoveryCache {
    /// What is known of `domain` (canonical).
    pub fn look(&mut self, now: Timestamp, domain: &str) -> Known {
        let Some(entry) = self.entries.look(domain) else {
            return Known::Ask {
                meanwhile: None,
                is_troubled: false,
            };
        };
        if now < entry.until {
            return match &entry.told {
                Told::Located(located) => Known::Located(Arc::clone(located)),
                Told::Absent(absence) => Known::Absent(absence.clone()),
                Told::Failed(why) => Known::Failed(why.clone()),
            };
        }
        let last = entry.last.as_ref().filter(|(_, until)| now < *until);
        Known::Ask {
            meanwhile: last.map(|(located, _)| Arc::clone(located)),
            is_troubled: entry.has_failed,
        }
    }

    /// Remembers what a lookup came to.
    pub fn learn(&mut self, now: Timestamp, domain: &str, lookup: Lookup) {
        let before = self.entries.remove(domain);
        let entry = match lookup {
            Lookup::Found { located, ttl } => Entry {
                told: Told::Located(Arc::clone(&located)),
                until: now + ttl.clamp(DISCOVERY_TTL_MIN, DISCOVERY_TTL_MAX),
                last: Some((located, now + DISCOVERY_STALE_MAX)),
                has_failed: false,
            },
            Lookup::Absent(absence) => Entry {
                told: Told::Absent(absence),
                until: now + DISCOVERY_NEGATIVE_LIFE,
                last: None,
                has_failed: false,
            },
            Lookup::Failed(why) => {
                let last = before
                    .and_then(|entry| entry.last)
                    .filter(|(_, until)| now < *until);
                let stale = last.as_ref().map(|(located, _)| Arc::clone(located));
                Entry {
                    told: stale.map_or(Told::Failed(why), Told::Located),
                    until: now + DISCOVERY_FAILURE_PAUSE,
                    last,
                    has_failed: true,
                }
            }
        };
        self.entries.put(domain.to_owned(), entry);
    }

    /// Forgets `domain`, so that the next one who needs it looks it up.
    pub fn forget(&mut self, domain: &str) {
        self.entries.remove(domain);
    }
}

impl Default for DiscoveryCache {
    fn default() -> Self {
        Self {
            entries: Recent::new(DISCOVERY_ENTRIES_MAX),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOMAIN: &str = "example.org";

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_secs(1_900_000_000) + Duration::from_secs(seconds)
    }

    fn located() -> Arc<Located> {
        Arc::new(Located::default())
    }

    fn found(ttl: u64) -> Lookup {
        Lookup::Found {
            located: located(),
            ttl: Duration::from_secs(ttl),
        }
    }

    fn failed() -> Lookup {
        Lookup::Failed("SERVFAIL".into())
    }

    fn ask(stale: bool) -> Known {
        Known::Ask {
            meanwhile: stale.then(located),
            is_troubled: false,
        }
    }

    fn ask_again(stale: bool) -> Known {
        Known::Ask {
            meanwhile: stale.then(located),
            is_troubled: true,
        }
    }

    #[test]
    fn a_time_to_live_counts_within_its_bounds() {
        for (ttl, holds_at, asked_at) in [(0, 29, 30), (300, 299, 300), (86_400, 3_599, 3_600)] {
            let mut cache = DiscoveryCache::default();
            assert_eq!(cache.look(at(0), DOMAIN), ask(false));
            cache.learn(at(0), DOMAIN, found(ttl));
            assert_eq!(cache.look(at(holds_at), DOMAIN), Known::Located(located()));
            assert_eq!(cache.look(at(asked_at), DOMAIN), ask(true));
        }
    }

    #[test]
    fn what_is_absent_is_so_for_a_minute() {
        let mut cache = DiscoveryCache::default();
        cache.learn(at(0), DOMAIN, found(60));
        cache.learn(at(60), DOMAIN, Lookup::Absent(Absence::NoDomain));
        assert_eq!(
            cache.look(at(119), DOMAIN),
            Known::Absent(Absence::NoDomain)
        );
        assert_eq!(cache.look(at(120), DOMAIN), ask(false));
    }

    #[test]
    fn while_dns_fails_the_last_answer_holds_for_a_day() {
        let mut cache = DiscoveryCache::default();
        cache.learn(at(0), DOMAIN, found(300));
        cache.learn(at(300), DOMAIN, failed());
        assert_eq!(cache.look(at(301), DOMAIN), Known::Located(located()));
        assert_eq!(cache.look(at(302), DOMAIN), ask_again(true));
        let day = 24 * 3_600;
        cache.learn(at(day - 1), DOMAIN, failed());
        assert_eq!(cache.look(at(day - 1), DOMAIN), Known::Located(located()));
        cache.learn(at(day), DOMAIN, failed());
        assert_eq!(
            cache.look(at(day), DOMAIN),
            Known::Failed("SERVFAIL".into())
        );
    }

    #[test]
    fn a_failure_is_not_asked_about_at_once_again() {
        let mut cache = DiscoveryCache::default();
        cache.learn(at(0), DOMAIN, failed());
        assert_eq!(cache.look(at(1), DOMAIN), Known::Failed("SERVFAIL".into()));
        assert_eq!(cache.look(at(2), DOMAIN), ask_again(false));
    }

    #[test]
    fn what_is_forgotten_is_looked_up() {
        let mut cache = DiscoveryCache::default();
        cache.learn(at(0), DOMAIN, found(300));
        cache.forget(DOMAIN);
        assert_eq!(cache.look(at(1), DOMAIN), ask(false));
    }
}
