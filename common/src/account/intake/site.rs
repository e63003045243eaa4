//! What the operator lets in, beside what each user does: site policy, one of the five inputs of
//! access control (protocol draft §9.1.2.2, service §7.5), and the bounds of rule 6.
//!
//! It is set per domain, as part of [`crate::account::AccountPolicy`] (architecture A-17).

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{ForwardingService, MessageSender};
use crate::address::{AccountAddress, canonical_domain};
use crate::assertion::permission::group_of;
use crate::limits;
use crate::udf::Udf;

/// What may come into the accounts of a domain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct InboundPolicy {
    /// Services nothing is taken from: domains, or UDFs of a ProfileService. The domain of a
    /// sender's account counts as its service where the account is served here.
    pub blocked_services: BTreeSet<String>,
    /// Accounts nothing is taken from.
    pub blocked_accounts: BTreeSet<AccountAddress>,
    /// Profiles nothing is taken from: UDFs of a ProfileAccount or a ProfileMesh.
    pub blocked_profiles: BTreeSet<Udf>,
    /// The only types that are taken: tags, or their groups. Empty: all of them.
    pub types_allowed: BTreeSet<String>,
    /// Types that are not taken: tags, or their groups.
    pub types_denied: BTreeSet<String>,
    /// Whether strangers need accreditation before they may introduce themselves (rule 6).
    pub requires_accreditation: bool,
    /// Services whose senders are accredited: domains, or UDFs of a ProfileService.
    pub accredited_services: BTreeSet<String>,
    /// Senders that are accredited: UDFs of a ProfileAccount or a ProfileMesh.
    pub accredited_profiles: BTreeSet<Udf>,
    /// Messages that one account takes from one stranger in a day.
    pub stranger_per_sender_day: u32,
    /// Messages that one account takes from all strangers in a day.
    pub stranger_per_recipient_day: u32,
    /// Octets of `Subject` and `Self` together that a stranger may send.
    pub stranger_bytes_max: usize,
    /// Messages that one account takes in a day, from whomever.
    pub per_recipient_day: u32,
}

impl Default for InboundPolicy {
    fn default() -> Self {
        Self {
            blocked_services: BTreeSet::new(),
            blocked_accounts: BTreeSet::new(),
            blocked_profiles: BTreeSet::new(),
            types_allowed: BTreeSet::new(),
            types_denied: BTreeSet::new(),
            requires_accreditation: false,
            accredited_services: BTreeSet::new(),
            accredited_profiles: BTreeSet::new(),
            stranger_per_sender_day: limits::STRANGER_PER_SENDER_DAY,
            stranger_per_recipient_day: limits::STRANGER_PER_RECIPIENT_DAY,
            stranger_bytes_max: limits::STRANGER_BYTES_MAX,
            per_recipient_day: limits::INBOUND_PER_RECIPIENT_DAY,
        }
    }
}

/// How far a sender is vouched for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Accreditation {
    /// By nobody: the message is unsigned, where interoperability allows that (decision Q-39).
    None,
    /// By its own account: the chain of the signature block holds.
    Account,
    /// By somebody the site trusts: the profile or its service is listed.
    Site,
}

/// A message type that never comes from another account: it is written by an account's own
/// devices, or by its service (service §6 and §7.1).
const WITHIN_AN_ACCOUNT: [&str; 5] = [
    "MessageComplete",
    "MessagePIN",
    "RequestConnection",
    "AcknowledgeConnection",
    "RespondConnection",
];

impl InboundPolicy {
    /// Whether the site takes nothing from this sender (rule 1).
    pub(in crate::account) fn blocks(
        &self,
        sender: &MessageSender,
        service: Option<&ForwardingService>,
    ) -> bool {
        self.blocked_accounts.contains(&sender.address)
            || lists_profile(&self.blocked_profiles, sender)
            || lists_service(&self.blocked_services, sender, service)
    }

    /// Whether the site takes nothing from this service, whoever the sender is.
    #[must_use]
    pub fn blocks_service(&self, service: &ForwardingService) -> bool {
        names_service(&self.blocked_services, &service.domain, Some(&service.udf))
    }

    /// Whether the site takes messages of this type (rule 2).
    pub(super) fn takes(&self, message_type: &str) -> bool {
        let is_listed = |list: &BTreeSet<String>| {
            list.contains(message_type)
                || group_of(message_type).is_some_and(|group| list.contains(group))
        };
        !WITHIN_AN_ACCOUNT.contains(&message_type)
            && !is_listed(&self.types_denied)
            && (self.types_allowed.is_empty() || is_listed(&self.types_allowed))
    }

    /// How far this sender is vouched for.
    #[must_use]
    pub fn accreditation(
        &self,
        sender: &MessageSender,
        service: Option<&ForwardingService>,
    ) -> Accreditation {
        if sender.signed_by.is_none() {
            Accreditation::None
        } else if lists_profile(&self.accredited_profiles, sender)
            || lists_service(&self.accredited_services, sender, service)
        {
            Accreditation::Site
        } else {
            Accreditation::Account
        }
    }
}

fn lists_profile(list: &BTreeSet<Udf>, sender: &MessageSender) -> bool {
    list.contains(&sender.account_udf)
        || sender
            .mesh_udf
            .as_ref()
            .is_some_and(|udf| list.contains(udf))
}

fn lists_service(
    list: &BTreeSet<String>,
    sender: &MessageSender,
    service: Option<&ForwardingService>,
) -> bool {
    let domain = service.map_or_else(|| sender.address.domain(), |one| one.domain.as_str());
    names_service(list, domain, service.map(|service| &service.udf))
}

fn names_service(list: &BTreeSet<String>, domain: &str, udf: Option<&Udf>) -> bool {
    list.iter().any(|entry| {
        canonical_domain(entry).is_ok_and(|listed| listed == domain)
            || udf.is_some_and(|udf| Udf::parse(entry).as_ref() == Ok(udf))
    })
}
