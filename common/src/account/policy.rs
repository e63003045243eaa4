//! What the operator may set for the accounts of a domain (architecture A-17): who may create
//! accounts, how names must look, how devices are connected, how much may be stored. Bounds may be lowered, never raised above
//! [`crate::limits`] (the storage quota excepted).

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::intake::InboundPolicy;
use super::retention::Retention;
use crate::address::AccountAddress;
use crate::conduct::ConductPolicy;
use crate::dare::container_name::NameStyle;
use crate::delivery::QueueScope;
use crate::error::ServiceError;
use crate::limits;
use crate::protocol::Code;

/// Settings that the account machine decides by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AccountPolicy {
    /// Who may create accounts.
    pub creation: Creation,
    /// How names must look.
    pub names: NameRules,
    /// How devices are connected.
    pub connections: ConnectionRules,
    /// Octets one account may store. Above: 507/113.
    pub account_bytes_max: u64,
    /// Frames of one container. Above: 507/113.
    pub frames_per_container_max: u64,
    /// Containers of one account. Above: 507/113.
    pub containers_per_account_max: usize,
    /// Octets of one catalog entry's payload. Above: 413/8.
    pub entry_payload_bytes_max: usize,
    /// Octets of one message's payload. Above: 413/8.
    pub message_payload_bytes_max: usize,
    /// Envelopes of one Upload. Above: 413/8.
    pub upload_envelopes_max: usize,
    /// Payload octets of one Upload. Above: 413/8.
    pub upload_payload_bytes_max: usize,
    /// Entries of one Download response.
    pub download_entries_max: usize,
    /// Payload octets of one Download response.
    pub download_payload_bytes_max: usize,
    /// How container names are written in a list nobody asked for by name.
    pub name_style: NameStyle,
    /// Whether unlinked tree digests of old clients are accepted (architecture A-9).
    pub legacy_digests: bool,
    /// How long what could go is kept.
    pub retention: Retention,
    /// What may come in from others (service §7.5).
    pub inbound: InboundPolicy,
    /// What follows from complaints (service §8).
    pub conduct: ConductPolicy,
    /// What devices may send to other accounts: tags of messages, their groups, or `*`. Other
    /// messages: 403/5.
    pub outbound_types: Vec<String>,
    /// How much may wait for other services, and how long.
    pub queue: QueuePolicy,
    /// What the accounts of one domain may use together.
    pub domain: DomainLimits,
    /// How much they may send; not limited if absent. From the file's `[limits.rate]` (decision Q-22).
    #[serde(skip)]
    pub outbound_rates: Option<OutboundRates>,
    /// Canonical domains whose accounts live here (decision Q-46); the front-end's `domains`.
    #[serde(skip)]
    pub domains_served: BTreeSet<String>,
}

/// What may be sent by default: everything that is meant for others.
const OUTBOUND_TYPES: [&str; 5] = ["Contact", "Confirm", "Task", "Group", "RespondConnection"];

impl Default for AccountPolicy {
    fn default() -> Self {
        Self {
            creation: Creation::Open,
            names: NameRules::default(),
            connections: ConnectionRules::default(),
            account_bytes_max: limits::ACCOUNT_BYTES_MAX,
            frames_per_container_max: limits::FRAMES_PER_CONTAINER_MAX,
            containers_per_account_max: limits::CONTAINERS_PER_ACCOUNT_MAX,
            entry_payload_bytes_max: limits::ENTRY_PAYLOAD_BYTES_MAX,
            message_payload_bytes_max: limits::MESSAGE_PAYLOAD_BYTES_MAX,
            upload_envelopes_max: limits::UPLOAD_ENVELOPES_MAX,
            upload_payload_bytes_max: limits::UPLOAD_PAYLOAD_BYTES_MAX,
            download_entries_max: limits::DOWNLOAD_ENTRIES_MAX,
            download_payload_bytes_max: limits::DOWNLOAD_PAYLOAD_BYTES_MAX,
            name_style: NameStyle::default(),
            legacy_digests: false,
            retention: Retention::default(),
            inbound: InboundPolicy::default(),
            conduct: ConductPolicy::default(),
            outbound_types: OUTBOUND_TYPES.map(str::to_owned).to_vec(),
            queue: QueuePolicy::default(),
            domain: DomainLimits::default(),
            outbound_rates: Some(OutboundRates::default()),
            domains_served: BTreeSet::new(),
        }
    }
}

/// How much one account may send to others (service §8).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutboundRates {
    /// Messages per day. Above: 429/114.
    pub messages_per_day: u32,
    /// Messages per minute. Above: 429/114.
    pub messages_per_minute: u32,
    /// Days for which an account counts as new.
    pub new_account_days: u32,
    /// One part in this many of both is left to a new account; at least one message.
    pub new_account_share: u32,
    /// Recipients per day that the account has not written to before. Above: 429/114.
    pub new_recipients_per_day: u32,
}

impl Default for OutboundRates {
    fn default() -> Self {
        Self {
            messages_per_day: limits::RATE_OUTBOUND_PER_DAY,
            messages_per_minute: limits::RATE_OUTBOUND_PER_MINUTE,
            new_account_days: limits::RATE_NEW_ACCOUNT_DAYS,
            new_account_share: limits::RATE_NEW_ACCOUNT_SHARE,
            new_recipients_per_day: limits::RATE_NEW_RECIPIENTS_PER_DAY,
        }
    }
}

impl OutboundRates {
    /// What is left of them to an account that draws complaints: at least one of each.
    #[must_use]
    pub fn throttled(self) -> Self {
        let part = |rate: u32| match rate {
            0 => 0,
            rate => (rate / limits::CONDUCT_THROTTLE_SHARE).max(1),
        };
        Self {
            messages_per_day: part(self.messages_per_day),
            messages_per_minute: part(self.messages_per_minute),
            new_recipients_per_day: part(self.new_recipients_per_day),
            ..self
        }
    }
}

/// How much may wait for other services, and how long (cluster §14, delivery §13).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct QueuePolicy {
    /// Messages that wait for one domain, each counted once per recipient. Above: 503/120.
    pub per_destination_max: u64,
    /// Messages of the accounts of one domain that wait, wherever they go. Above: 503/120.
    pub per_tenant_max: u64,
    /// Where several domains are served, one may have one part in this many of what may wait for a
    /// destination. Above: 503/120.
    pub tenant_share: u64,
    /// Hours after which a message that could not be delivered is given up; by its type if absent.
    pub lifetime_h: Option<u64>,
}

impl Default for QueuePolicy {
    fn default() -> Self {
        Self {
            per_destination_max: limits::QUEUE_PER_DESTINATION_MAX,
            per_tenant_max: limits::QUEUE_PER_TENANT_MAX,
            tenant_share: limits::QUEUE_TENANT_SHARE,
            lifetime_h: None,
        }
    }
}

impl QueuePolicy {
    /// How much may wait of `scope`, where `tenants` domains are served.
    #[must_use]
    pub fn max_of(&self, scope: &QueueScope, tenants: usize) -> u64 {
        match scope {
            QueueScope::Destination(_) => self.per_destination_max,
            QueueScope::Tenant(_) => self.per_tenant_max,
            QueueScope::Share { .. } if tenants < 2 => self.per_destination_max,
            QueueScope::Share { .. } => {
                (self.per_destination_max / self.tenant_share.max(1)).max(1)
            }
        }
    }

    /// After which time a message is given up, where that is set.
    #[must_use]
    pub fn lifetime(&self) -> Option<Duration> {
        self.lifetime_h
            .map(|hours| Duration::from_secs(hours.saturating_mul(3_600)))
    }
}

/// What the accounts of one domain may use together (cluster §9).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DomainLimits {
    /// Accounts, those on hold included; without a limit if absent. Above: 403/5.
    pub accounts_max: Option<u64>,
    /// Octets that they store, as the quotas of accounts count them; without a limit if absent. Above: 507/113, and
    /// no account is made (403/5).
    pub octets_max: Option<u64>,
    /// Messages that they send on one day in UTC; without a limit if absent. Above: 429/114.
    pub messages_per_day_max: Option<u64>,
}

impl DomainLimits {
    /// Whether parts of a limit are granted to partitions.
    #[must_use]
    pub const fn grants(&self) -> bool {
        self.octets_max.is_some() || self.messages_per_day_max.is_some()
    }
}

/// Who may create accounts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Creation {
    /// Everybody.
    #[default]
    Open,
    /// Everybody, but the operator must approve: the account is on hold until then.
    Approval,
    /// Nobody.
    Closed,
}

/// How the user part of an address must look (service §5.1).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NameRules {
    /// Characters at least.
    pub characters_min: usize,
    /// Characters at most.
    pub characters_max: usize,
    /// Characters that must not occur, beside those no address may hold.
    pub characters_invalid: String,
    /// Names nobody gets, in canonical form.
    pub reserved: Vec<String>,
}

impl Default for NameRules {
    fn default() -> Self {
        Self {
            characters_min: limits::NAME_CHARACTERS_MIN,
            characters_max: limits::NAME_CHARACTERS_MAX,
            characters_invalid: limits::NAME_CHARACTERS_INVALID.to_owned(),
            reserved: Vec::new(),
        }
    }
}

impl NameRules {
    /// Reads the address that a CreateAccount asks for. The front-end asks the same before it spends
    /// signature checks on the request (decision Q-69).
    ///
    /// # Errors
    /// 422/117 for a missing or unacceptable address.
    pub fn check(&self, service_id: Option<&str>) -> Result<AccountAddress, ServiceError> {
        let refusal = |reason: String| ServiceError::new(Code::InvalidName, reason);
        let text = service_id
            .ok_or_else(|| refusal("an account is created under a ServiceID".to_owned()))?;
        let address = AccountAddress::parse(text).map_err(|error| refusal(error.to_string()))?;
        let user = address.user();
        let (min, max) = (self.characters_min, self.characters_max);
        if !(min..=max).contains(&user.chars().count()) {
            return Err(refusal(format!(
                "an account name has {min} to {max} characters"
            )));
        }
        if let Some(character) = user
            .chars()
            .find(|&character| self.characters_invalid.contains(character))
        {
            return Err(refusal(format!(
                "an account name must not hold {character:?}"
            )));
        }
        if self.reserved.iter().any(|name| name == user) {
            return Err(refusal("the account name is reserved".to_owned()));
        }
        Ok(address)
    }
}

/// How devices are connected to accounts (service §6, X-60).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ConnectionRules {
    /// Whether a device that asks to be connected may learn that there is no such account: 404/6
    /// in place of 403/5.
    pub probing: bool,
    /// Seconds a request waits for its answer. Beyond: 410/111.
    pub life_s: u64,
    /// Requests that wait at one account. Above: 429/114.
    pub pending_max: usize,
    /// Requests of one device that wait at one account. Above: 429/114.
    pub pending_per_device_max: usize,
    /// Names of the hailing accounts, in front of the `@`: devices that are sold wait there for
    /// whoever scans their code, and what these accounts publish anybody may fetch (service §6.5).
    pub hailing: Vec<String>,
    /// Requests that wait at one hailing account. Above: 429/114.
    pub hailing_pending_max: usize,
}

impl Default for ConnectionRules {
    fn default() -> Self {
        Self {
            probing: false,
            life_s: limits::CONNECTION_LIFE.as_secs(),
            pending_max: limits::CONNECTIONS_PENDING_MAX,
            pending_per_device_max: limits::CONNECTIONS_PENDING_PER_DEVICE_MAX,
            hailing: Vec::new(),
            hailing_pending_max: limits::HAILING_PENDING_MAX,
        }
    }
}

impl ConnectionRules {
    /// How long a request waits for its answer.
    #[must_use]
    pub const fn life(&self) -> Duration {
        Duration::from_secs(self.life_s)
    }

    /// Whether `account`, of the domain these rules are for, is a hailing account.
    #[must_use]
    pub fn hails(&self, account: &AccountAddress) -> bool {
        self.hailing
            .iter()
            .any(|name| name.eq_ignore_ascii_case(account.user()))
    }

    /// Requests that may wait at `account`.
    #[must_use]
    pub fn pending_max_of(&self, account: &AccountAddress) -> usize {
        if self.hails(account) {
            self.hailing_pending_max
        } else {
            self.pending_max
        }
    }
}
