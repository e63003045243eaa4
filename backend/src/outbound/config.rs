//! What an operator may set for sending to other services: `[outbound]`.

use mesh_common::delivery::pool::PoolSettings;
use mesh_common::limits::{OUTBOUND_DESTINATIONS_MAX, TRANSFERS_MAX, WINDOW_MAX};
use serde::{Deserialize, Serialize};

use crate::config::ConfigError;

/// Transfers in flight at once that may be set at most: each is a connection and its buffers.
const TRANSFERS_SET_MAX: u64 = 4_096;
/// Transfers in flight to one destination that may be set at most.
const WINDOW_SET_MAX: u64 = 1_000;

/// Destinations in memory that may be set at most: some kilobytes each.
const DESTINATIONS_SET_MAX: u64 = 65_536;

/// Settings of the outbound pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OutboundConfig {
    /// Transfers in flight to all destinations together.
    pub transfers_max: u32,
    /// Transfers in flight to one destination.
    pub window_max: u32,
    /// Destinations in memory at once. Where there are more, those that do not answer wait in the store.
    pub destinations_max: u32,
}

impl Default for OutboundConfig {
    fn default() -> Self {
        Self {
            transfers_max: TRANSFERS_MAX,
            window_max: WINDOW_MAX,
            destinations_max: OUTBOUND_DESTINATIONS_MAX,
        }
    }
}

impl OutboundConfig {
    /// Refuses what is out of bounds.
    ///
    /// # Errors
    /// The first setting that is, with its bounds.
    pub fn check(&self) -> Result<(), ConfigError> {
        let bounded = [
            (
                "outbound.transfers_max",
                u64::from(self.transfers_max),
                TRANSFERS_SET_MAX,
            ),
            (
                "outbound.window_max",
                u64::from(self.window_max),
                WINDOW_SET_MAX,
            ),
            (
                "outbound.destinations_max",
                u64::from(self.destinations_max),
                DESTINATIONS_SET_MAX,
            ),
        ];
        for (name, found, max) in bounded {
            if found == 0 || found > max {
                return Err(ConfigError { name, max, found });
            }
        }
        Ok(())
    }

    pub(crate) const fn pool(&self) -> PoolSettings {
        PoolSettings {
            transfers_max: self.transfers_max,
            window_max: self.window_max,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_within_their_bounds_and_nothing_is_not() {
        assert_eq!(OutboundConfig::default().check(), Ok(()));
        let none = OutboundConfig {
            transfers_max: 0,
            ..OutboundConfig::default()
        };
        let error = none.check().unwrap_err();
        assert_eq!(error.name, "outbound.transfers_max");
    }
}
