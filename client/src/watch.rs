//! Staying: waiting for news without keeping the folder, and what to do when the service cannot be
//! reached.
//!
//! A [`Poll`] writes nothing: other commands work in the folder while it waits. What is new is fetched
//! by whoever opens the folder next.

use std::time::Duration;

use mesh_common::protocol::{Code, KnownState};

use crate::client::Client;
use crate::error::ClientError;
use crate::home::HomeError;
use crate::limits::{RECONNECT_PAUSE_MAX, RECONNECT_PAUSE_MIN};
use crate::service::ServiceFailure;
use crate::waiting::News;

/// A device that waits for news and does nothing else.
#[derive(Debug)]
pub struct Poll {
    client: Client,
    /// The state of the account as far as it is here.
    here: KnownState,
}

/// How long to wait before a service that was lost is tried again: a second, then twice as long each
/// time, a minute at most.
#[derive(Debug, Clone, Default)]
pub struct Backoff {
    next: Option<Duration>,
}

impl Backoff {
    /// The next pause.
    #[must_use]
    pub fn pause(&mut self) -> Duration {
        let pause = self.next.unwrap_or(RECONNECT_PAUSE_MIN);
        self.next = Some((pause * 2).min(RECONNECT_PAUSE_MAX));
        pause
    }

    /// Whether something was lost and not yet found again; it is found now.
    pub fn reset(&mut self) -> bool {
        self.next.take().is_some()
    }
}

impl Client {
    /// Frees the folder for other commands and waits for news from now on.
    ///
    /// # Errors
    /// [`ClientError::NoAccount`], [`ClientError::AccountDeleted`], [`ClientError::Replica`].
    pub fn into_poll(mut self) -> Result<Poll, ClientError> {
        self.account_name()?;
        let here = self.here()?;
        self.home.free();
        Ok(Poll { client: self, here })
    }

    /// Takes over from a poll what the service told it: that is no news any more.
    pub fn resume(&mut self, poll: Poll) {
        self.told = poll.client.told;
    }
}

impl Poll {
    /// Waits until the service has something that the device does not, for `time` at most.
    ///
    /// # Errors
    /// As [`Client::wait_for_news`]; [`Code::DeviceRevoked`] if the device was removed.
    pub async fn wait(&mut self, time: Duration) -> Result<News, ClientError> {
        self.client.wait_for_other_than(self.here, time).await
    }
}

/// Whether the same may succeed a little later, without anybody doing anything.
#[must_use]
pub const fn is_passing(error: &ClientError) -> bool {
    match error {
        ClientError::Transport(error) => error.is_retryable(),
        ClientError::Home(HomeError::InUse { .. }) | ClientError::Outrun { .. } => true,
        ClientError::Service(failure) => match failure {
            ServiceFailure::Hint { .. } | ServiceFailure::NotMesh { .. } => true,
            other => matches!(
                other.code(),
                Some(Code::Overload | Code::Timeout | Code::RateLimited | Code::Internal)
            ),
        },
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_minute_and_begin_anew() {
        let mut backoff = Backoff::default();
        assert!(!backoff.reset());
        let pauses: Vec<u64> = (0..8).map(|_| backoff.pause().as_secs()).collect();
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert!(backoff.reset());
        assert_eq!(backoff.pause(), RECONNECT_PAUSE_MIN);
    }
}
