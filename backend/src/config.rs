//! What an operator may set for the back-end. Bounds come from [`mesh_common::limits`]; settings may
//! lower most of them.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::time::Duration;

use mesh_common::account::{AccountPolicy, ConnectionRules, QueuePolicy};
use mesh_common::address::AccountAddress;
use mesh_common::conduct::ConductPolicy;
use mesh_common::limits::{
    CONDUCT_FROM_MAX, CONNECTION_LIFE_MAX, EXPIRY_MAX, HAILING_ACCOUNTS_MAX, HAILING_PENDING_MAX,
    PARTITION_ACCOUNTS_MAX, PARTITION_MAILBOX_MAX, QUEUE_BOUND_MAX,
};
use serde::{Deserialize, Serialize};

/// Accounts kept in memory by the whole node when nothing else is set: some 8 KB each, so 32 MB.
pub const NODE_ACCOUNTS_DEFAULT: usize = 4_096;

/// Settings of the back-end.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BackendConfig {
    /// Threads that partition actors are spread over; one per core when absent.
    pub threads: Option<NonZeroUsize>,
    /// Requests that wait for one partition; at most [`PARTITION_MAILBOX_MAX`].
    pub partition_mailbox_max: usize,
    /// Accounts one partition keeps in memory; at most [`PARTITION_ACCOUNTS_MAX`].
    pub partition_accounts_max: usize,
    /// Accounts all partitions together keep in memory. Idle ones leave beyond it; those that are
    /// being worked on stay.
    pub node_accounts_max: usize,
    /// Seconds after which an account that nobody asked for leaves memory.
    pub account_idle_s: u64,
    /// Seconds between two rounds of forgetting what expired.
    pub upkeep_interval_s: u64,
    /// Seconds between two looks for what of an account's containers is not kept any longer
    /// (containers §10): what goes goes at the next look.
    pub retention_interval_s: u64,
    /// Milliseconds one commit may take before its result counts as unknown (cluster §3).
    pub commit_timeout_ms: u64,
    /// Whether a commit rests on the one before it instead of reading who owns the partition (cluster
    /// §7.2).
    pub version_chain: bool,
    /// What holds for the accounts of every domain that has no policy of its own.
    pub policy: AccountPolicy,
    /// Policies by canonical domain (architecture A-17).
    pub domains: BTreeMap<String, AccountPolicy>,
}

impl Default for BackendConfig {
    fn default() -> Self {
        Self {
            threads: None,
            partition_mailbox_max: PARTITION_MAILBOX_MAX,
            partition_accounts_max: PARTITION_ACCOUNTS_MAX,
            node_accounts_max: NODE_ACCOUNTS_DEFAULT,
            account_idle_s: 600,
            upkeep_interval_s: 30,
            retention_interval_s: 86_400,
            commit_timeout_ms: 4_000,
            version_chain: false,
            policy: AccountPolicy::default(),
            domains: BTreeMap::new(),
        }
    }
}

/// A setting that is out of bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the back-end setting {name} must be from 1 to {max}, found {found}")]
pub struct ConfigError {
    /// The setting.
    pub name: &'static str,
    /// Its greatest value.
    pub max: u64,
    /// What was set.
    pub found: u64,
}

impl BackendConfig {
    /// Refuses what is out of bounds.
    ///
    /// # Errors
    /// The first setting that is, with its bounds.
    pub fn check(&self) -> Result<(), ConfigError> {
        let bounded = [
            (
                "partition_mailbox_max",
                self.partition_mailbox_max as u64,
                PARTITION_MAILBOX_MAX as u64,
            ),
            (
                "partition_accounts_max",
                self.partition_accounts_max as u64,
                PARTITION_ACCOUNTS_MAX as u64,
            ),
            ("node_accounts_max", self.node_accounts_max as u64, 1 << 20),
            ("account_idle_s", self.account_idle_s, 86_400),
            ("upkeep_interval_s", self.upkeep_interval_s, 86_400),
            (
                "retention_interval_s",
                self.retention_interval_s,
                30 * 86_400,
            ),
            ("commit_timeout_ms", self.commit_timeout_ms, 60_000),
        ];
        let policies = [&self.policy].into_iter().chain(self.domains.values());
        let of_policies = policies.flat_map(|policy| {
            let connections = bounds_of(&policy.connections).into_iter();
            let queue = bounds_of_queue(&policy.queue).into_iter();
            connections
                .chain(queue)
                .chain(bounds_of_conduct(&policy.conduct))
        });
        for (name, found, max) in bounded.into_iter().chain(of_policies) {
            if found == 0 || found > max {
                return Err(ConfigError { name, max, found });
            }
        }
        Ok(())
    }

    /// Threads to spread partitions over.
    #[must_use]
    pub fn threads(&self) -> usize {
        self.threads
            .or_else(|| std::thread::available_parallelism().ok())
            .map_or(1, NonZeroUsize::get)
    }

    /// What holds for accounts of the domain of `address`.
    #[must_use]
    pub fn policy_of(&self, address: &AccountAddress) -> &AccountPolicy {
        self.policy_of_domain(address.domain())
    }

    /// What holds for accounts of a canonical domain.
    #[must_use]
    pub fn policy_of_domain(&self, domain: &str) -> &AccountPolicy {
        self.domains.get(domain).unwrap_or(&self.policy)
    }

    /// Whether any domain has limits of which parts are granted to partitions.
    #[must_use]
    pub fn grants_to_partitions(&self) -> bool {
        let mut policies = self.domains.values().chain([&self.policy]);
        policies.any(|policy| policy.domain.grants())
    }

    /// How long one commit may take.
    #[must_use]
    pub const fn commit_timeout(&self) -> Duration {
        Duration::from_millis(self.commit_timeout_ms)
    }

    /// How long an account stays in memory that nobody asks for.
    #[must_use]
    pub const fn account_idle(&self) -> Duration {
        Duration::from_secs(self.account_idle_s)
    }

    /// Time between two looks for what is not kept any longer.
    #[must_use]
    pub const fn retention_interval(&self) -> Duration {
        Duration::from_secs(self.retention_interval_s)
    }

    /// Time between two rounds of upkeep.
    #[must_use]
    pub const fn upkeep_interval(&self) -> Duration {
        Duration::from_secs(self.upkeep_interval_s)
    }
}

/// What is bounded of how devices are connected: name, value, greatest value. That there is no
/// hailing account is no error.
fn bounds_of(rules: &ConnectionRules) -> [(&'static str, u64, u64); 5] {
    let pending_max = HAILING_PENDING_MAX as u64;
    [
        (
            "policy.connections.life_s",
            rules.life_s,
            CONNECTION_LIFE_MAX.as_secs(),
        ),
        (
            "policy.connections.pending_max",
            rules.pending_max as u64,
            pending_max,
        ),
        (
            "policy.connections.pending_per_device_max",
            rules.pending_per_device_max as u64,
            pending_max,
        ),
        (
            "policy.connections.hailing_pending_max",
            rules.hailing_pending_max as u64,
            pending_max,
        ),
        (
            "policy.connections.hailing",
            rules.hailing.len().max(1) as u64,
            HAILING_ACCOUNTS_MAX as u64,
        ),
    ]
}

/// What is bounded of the queue to other services.
fn bounds_of_queue(queue: &QueuePolicy) -> [(&'static str, u64, u64); 4] {
    let hours_max = EXPIRY_MAX.as_secs() / 3_600;
    [
        (
            "policy.queue.per_destination_max",
            queue.per_destination_max,
            QUEUE_BOUND_MAX,
        ),
        (
            "policy.queue.per_tenant_max",
            queue.per_tenant_max,
            QUEUE_BOUND_MAX,
        ),
        (
            "policy.queue.tenant_share",
            queue.tenant_share,
            QUEUE_BOUND_MAX,
        ),
        (
            "policy.queue.lifetime_h",
            queue.lifetime_h.unwrap_or(hours_max),
            hours_max,
        ),
    ]
}

/// What is bounded of what follows from complaints.
fn bounds_of_conduct(conduct: &ConductPolicy) -> [(&'static str, u64, u64); 3] {
    let row = |name, from: u32| (name, u64::from(from), u64::from(CONDUCT_FROM_MAX));
    [
        row("policy.conduct.throttled_from", conduct.throttled_from),
        row("policy.conduct.restricted_from", conduct.restricted_from),
        row("policy.conduct.suspended_from", conduct.suspended_from),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_within_their_bounds() {
        assert_eq!(BackendConfig::default().check(), Ok(()));
        assert!(BackendConfig::default().threads() >= 1);
    }

    #[test]
    fn a_setting_at_its_bound_is_taken_and_above_it_refused() {
        let with = |partition_mailbox_max| BackendConfig {
            partition_mailbox_max,
            ..BackendConfig::default()
        };
        assert!(with(1).check().is_ok());
        assert!(with(PARTITION_MAILBOX_MAX).check().is_ok());
        for found in [0, PARTITION_MAILBOX_MAX + 1] {
            let error = with(found).check().unwrap_err();
            assert_eq!(
                error.to_string(),
                format!(
                    "the back-end setting partition_mailbox_max must be from 1 to 256, found {found}"
                )
            );
        }
    }

    #[test]
    fn how_devices_are_connected_is_bounded_for_every_domain() {
        let with = |change: fn(&mut ConnectionRules)| {
            let mut policy = AccountPolicy::default();
            change(&mut policy.connections);
            let domains = BTreeMap::from([("example.com".to_owned(), policy)]);
            let config = BackendConfig {
                domains,
                ..BackendConfig::default()
            };
            config.check().map_err(|error| error.name)
        };
        assert_eq!(with(|_| {}), Ok(()));
        assert_eq!(
            with(|rules| rules.life_s = 0),
            Err("policy.connections.life_s")
        );
        assert_eq!(
            with(|rules| rules.pending_max = HAILING_PENDING_MAX + 1),
            Err("policy.connections.pending_max")
        );
        let with_queue = |queue: QueuePolicy| {
            let policy = AccountPolicy {
                queue,
                ..AccountPolicy::default()
            };
            let config = BackendConfig {
                policy,
                ..BackendConfig::default()
            };
            config.check().map_err(|error| error.name)
        };
        assert_eq!(
            with_queue(QueuePolicy {
                lifetime_h: Some(121),
                ..QueuePolicy::default()
            }),
            Err("policy.queue.lifetime_h")
        );
        assert_eq!(
            with(|rules| rules.hailing = vec!["devices".to_owned(); HAILING_ACCOUNTS_MAX + 1]),
            Err("policy.connections.hailing")
        );
    }
}
