//! Which service a domain had before: trust on first use, and what a later profile may change
//! (service §4.3, §4.6 and §9.1; decision Q-52).

use serde::{Deserialize, Serialize};

use crate::crypto::PublicKey;
use crate::limits::HOST_KEY_GRACE;
use crate::session::client::ServiceIdentity;
use crate::time::Timestamp;
use crate::udf::Udf;

/// The service of a domain, as it is remembered for good.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Pinned {
    /// UDF of its ProfileService: never changes (service §4.6).
    pub service_udf: Udf,
    /// `Updated` of the newest profile that was seen.
    pub updated: Timestamp,
    /// The key that profile authenticates with.
    pub host_key: PublicKey,
    /// The key before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaced: Option<ReplacedKey>,
    /// When the domain was first seen.
    pub since: Timestamp,
}

/// A KeyAuthentication that a newer profile replaced.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ReplacedKey {
    /// The key.
    pub host_key: PublicKey,
    /// Until when it is still accepted.
    pub until: Timestamp,
}

/// Why a profile that verifies is not taken for the domain's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PinError {
    /// Another service than before.
    #[error("the service is {found}, and was {pinned} before")]
    OtherService {
        /// Whose profile was shown.
        found: Udf,
        /// Whose it was before.
        pinned: Udf,
    },
    /// At first sight, another service than DNS names.
    #[error("the service is {found}, and DNS names {named}")]
    OtherThanNamed {
        /// Whose profile was shown.
        found: Udf,
        /// TXT `udf=`.
        named: Udf,
    },
    /// The profile is older than one that was seen.
    #[error("the service's profile is of {found}, and one of {known} is known")]
    Older {
        /// Its `Updated`.
        found: Timestamp,
        /// The newest one known.
        known: Timestamp,
    },
    /// The profile has no `Updated`.
    #[error("the service's profile does not say when it was updated")]
    Undated,
}

impl Pinned {
    /// What is remembered once `shown` has been shown for the domain that was `before`. `named` is
    /// TXT `udf=`, which replaces trust on first use only.
    ///
    /// # Errors
    /// [`PinError`]: the profile is not to be believed, and nothing changes.
    pub fn after(
        before: Option<&Self>,
        shown: &ServiceIdentity,
        named: Option<&Udf>,
        now: Timestamp,
    ) -> Result<Self, PinError> {
        let updated = shown.updated.ok_or(PinError::Undated)?;
        let Some(before) = before else {
            return Self::first(shown, updated, named, now);
        };
        if before.service_udf != shown.service_udf {
            return Err(PinError::OtherService {
                found: shown.service_udf.clone(),
                pinned: before.service_udf.clone(),
            });
        }
        if updated < before.updated {
            return Err(PinError::Older {
                found: updated,
                known: before.updated,
            });
        }
        let mut after = before.clone();
        after.updated = updated;
        if before.host_key != shown.host_key {
            after.host_key = shown.host_key.clone();
            after.replaced = Some(ReplacedKey {
                host_key: before.host_key.clone(),
                until: now + HOST_KEY_GRACE,
            });
        }
        Ok(after)
    }

    fn first(
        shown: &ServiceIdentity,
        updated: Timestamp,
        named: Option<&Udf>,
        now: Timestamp,
    ) -> Result<Self, PinError> {
        if let Some(named) = named.filter(|named| **named != shown.service_udf) {
            return Err(PinError::OtherThanNamed {
                found: shown.service_udf.clone(),
                named: named.clone(),
            });
        }
        Ok(Self {
            service_udf: shown.service_udf.clone(),
            updated,
            host_key: shown.host_key.clone(),
            replaced: None,
            since: now,
        })
    }

    /// Whether `seen`, which somebody else has verified, is of the same service and not older.
    #[must_use]
    pub fn may_become(&self, seen: &Self) -> bool {
        self.service_udf == seen.service_udf && self.updated <= seen.updated
    }

    /// Whether the service may authenticate with `key` now: its present one, or the one before it
    /// within its grace.
    #[must_use]
    pub fn accepts(&self, key: &PublicKey, now: Timestamp) -> bool {
        self.host_key == *key
            || self
                .replaced
                .as_ref()
                .is_some_and(|replaced| replaced.host_key == *key && now < replaced.until)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::crypto::SecretKey;
    use crate::entropy::SeededEntropy;

    const DAY: Duration = Duration::from_secs(24 * 3_600);

    fn now() -> Timestamp {
        Timestamp::from_secs(1_900_000_000)
    }

    fn key(seed: u64) -> PublicKey {
        SecretKey::generate(&mut SeededEntropy::new(seed))
            .public()
            .clone()
    }

    fn shown(service: u64, host_key: u64, updated: Timestamp) -> ServiceIdentity {
        ServiceIdentity {
            service_udf: key(service).udf(),
            host_key: key(host_key),
            updated: Some(updated),
            signing_keys: Vec::new(),
        }
    }

    fn first() -> Pinned {
        Pinned::after(None, &shown(1, 2, now()), None, now()).unwrap()
    }

    #[test]
    fn a_domain_keeps_the_service_it_was_first_seen_with() {
        // Decision Q-52
        let pinned = first();
        let again = Pinned::after(Some(&pinned), &shown(1, 2, now()), None, now() + DAY);
        assert_eq!(again.unwrap(), pinned);
        let other = Pinned::after(Some(&pinned), &shown(3, 2, now() + DAY), None, now() + DAY);
        assert!(matches!(other, Err(PinError::OtherService { .. })));
    }

    #[test]
    fn dns_names_the_service_at_first_sight_only() {
        let named = key(1).udf();
        let pinned = Pinned::after(None, &shown(1, 2, now()), Some(&named), now()).unwrap();
        let other = key(3).udf();
        let refused = Pinned::after(None, &shown(1, 2, now()), Some(&other), now());
        assert!(matches!(refused, Err(PinError::OtherThanNamed { .. })));
        assert!(Pinned::after(Some(&pinned), &shown(1, 2, now()), Some(&other), now()).is_ok());
    }

    #[test]
    fn an_older_profile_and_an_undated_one_are_refused() {
        // Decision Q-52
        let pinned = first();
        let older = shown(1, 2, now() - DAY);
        let refused = Pinned::after(Some(&pinned), &older, None, now());
        assert!(matches!(refused, Err(PinError::Older { .. })));
        let undated = ServiceIdentity {
            updated: None,
            ..shown(1, 2, now())
        };
        assert_eq!(
            Pinned::after(None, &undated, None, now()),
            Err(PinError::Undated)
        );
    }

    #[test]
    fn a_replaced_key_is_accepted_for_its_grace() {
        // Decision Q-52
        let replaced_at = now() + DAY;
        let next = shown(1, 4, replaced_at);
        let pinned = Pinned::after(Some(&first()), &next, None, replaced_at).unwrap();
        assert!(pinned.accepts(&key(4), replaced_at + 8 * DAY));
        assert!(pinned.accepts(&key(2), replaced_at + 6 * DAY));
        assert!(!pinned.accepts(&key(2), replaced_at + 7 * DAY));
        assert!(!pinned.accepts(&key(5), replaced_at));
    }

    #[test]
    fn what_is_remembered_is_read_again() {
        use crate::encoding::json;
        let replaced_at = now() + DAY;
        let next = shown(1, 4, replaced_at);
        let pinned = Pinned::after(Some(&first()), &next, None, replaced_at).unwrap();
        let read: Pinned = json::parse(&json::write(&pinned)).unwrap();
        assert_eq!(read, pinned);
    }
}
