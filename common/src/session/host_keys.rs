//! The service's KeyAuthentication: the one in its profile, and the one before for a while
//! (service §4.6, decision Q-12).

use std::sync::Arc;

use crate::crypto::{Curve, SecretKey};
use crate::limits::HOST_KEY_GRACE;
use crate::time::Timestamp;
use crate::udf::Udf;

/// The keys one service answers to.
#[derive(Debug, Clone)]
pub struct HostKeys {
    service_udf: Udf,
    keys: Vec<HostKey>,
}

/// One key.
#[derive(Debug, Clone)]
struct HostKey {
    udf: Udf,
    secret: Arc<SecretKey>,
    /// When it stops answering; `None` for the current key.
    until: Option<Timestamp>,
}

/// A key of another curve than Ed448, which `mmm-kx-1` cannot use (decision Q-40).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a service authenticates with an Ed448 key, not with one on {curve}")]
pub struct HostKeyError {
    /// The key's curve.
    pub curve: Curve,
}

impl HostKeys {
    /// The keys of the service with the profile `service_udf`, beginning with its current one.
    ///
    /// # Errors
    /// [`HostKeyError`].
    pub fn new(service_udf: Udf, current: SecretKey) -> Result<Self, HostKeyError> {
        Ok(Self {
            service_udf,
            keys: vec![HostKey::new(current, None)?],
        })
    }

    /// Adds a key that was replaced at `replaced_at`: it answers for seven days.
    ///
    /// # Errors
    /// [`HostKeyError`].
    pub fn with_previous(
        mut self,
        previous: SecretKey,
        replaced_at: Timestamp,
    ) -> Result<Self, HostKeyError> {
        let until = Some(replaced_at + HOST_KEY_GRACE);
        self.keys.push(HostKey::new(previous, until)?);
        Ok(self)
    }

    /// UDF of the service's profile.
    #[must_use]
    pub const fn service_udf(&self) -> &Udf {
        &self.service_udf
    }

    /// The current key.
    #[must_use]
    pub fn current(&self) -> &SecretKey {
        &self.keys[0].secret
    }

    /// The key named `text`, if it is ours and still answers.
    pub(super) fn find(&self, text: &str, now: Timestamp) -> Option<Arc<SecretKey>> {
        let udf = Udf::parse(text).ok()?;
        self.keys
            .iter()
            .find(|key| key.udf == udf && key.until.is_none_or(|until| now < until))
            .map(|key| Arc::clone(&key.secret))
    }
}

impl HostKey {
    fn new(secret: SecretKey, until: Option<Timestamp>) -> Result<Self, HostKeyError> {
        if secret.curve() != Curve::Ed448 {
            return Err(HostKeyError {
                curve: secret.curve(),
            });
        }
        Ok(Self {
            udf: secret.udf(),
            secret: Arc::new(secret),
            until,
        })
    }
}
