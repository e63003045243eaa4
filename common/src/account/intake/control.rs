//! Access control: five inputs, six rules, one verdict (protocol draft §9.1.2.2, service §7.5 with
//! and decisions ). The first rule that has an opinion decides.
//!
//! | rule | asks |
//! | --- | --- |
//! | 1 | does the site block the service, the account or the profile? Is the service suspended? |
//! | 2 | does the site take messages of this type? |
//! | 3 | does a contact entry for the sender name the type, its group, or `*`? |
//! | 4 | does the message answer one that this account sent? |
//! | 5 | is there an entry that says nothing of the type? Then contact data only |
//! | 6 | a stranger: RequestContact only, within bounds, not by way of a service that is restricted |

use super::contacts::Standpoint;
use super::site::{Accreditation, InboundPolicy};
use super::{ForwardingService, MessageSender};
use crate::conduct::Level;

/// The type by which strangers introduce themselves.
const REQUEST_CONTACT: &str = "RequestContact";
/// The type that answers it.
const REPLY_CONTACT: &str = "ReplyContact";

/// What the rules look at.
#[derive(Debug, Clone, Copy)]
pub struct Inputs<'a> {
    /// The sender, as its signature block proves it.
    pub sender: &'a MessageSender,
    /// The service that transmitted the message; none for an account served here.
    pub service: Option<&'a ForwardingService>,
    /// What follows from complaints about that service; normal for an account served here, whose
    /// own level is looked at when it sends.
    pub service_level: Level,
    /// The tag, where it is known.
    pub message_type: Option<&'a str>,
    /// What the user's contacts say of the sender and the type.
    pub standpoint: Standpoint,
    /// Whether a live contact cannot be read: it might have said no (decision Q-53).
    pub has_unreadable_contacts: bool,
    /// Site policy.
    pub site: &'a InboundPolicy,
    /// Whether the message answers an exchange that this account began.
    pub answers: bool,
    /// What the sender did as a stranger before.
    pub stranger: StrangerFacts,
}

/// What rule 6 counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StrangerFacts {
    /// Messages taken from this sender today by rule 6.
    pub from_sender_today: u32,
    /// Messages taken from all strangers today.
    pub to_recipient_today: u32,
    /// Octets of `Subject` and `Self`; of the whole payload where it cannot be read.
    pub content_bytes: usize,
}

/// Which rule decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rule {
    /// 1: the site's block list.
    SiteBlock = 1,
    /// 2: the site's types.
    SiteType = 2,
    /// 3: what a contact may send.
    Permission = 3,
    /// 4: answers.
    Answer = 4,
    /// 5: contacts nothing is said of.
    Contact = 5,
    /// 6: strangers.
    Stranger = 6,
}

/// Why a message is refused. For the operator alone: senders are told nothing of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Reason {
    /// Rule 1.
    #[error("the site takes nothing from the sender")]
    Blocked,
    /// Rules 1 and 6, by what the service's senders did before.
    #[error("the service draws too many complaints")]
    Conduct,
    /// Rule 2.
    #[error("the site does not take messages of this type")]
    TypeNotTaken,
    /// Rule 3.
    #[error("the recipient takes nothing of this kind from the sender")]
    Rejected,
    /// Rules 5 and 6.
    #[error("the sender may not send messages of this type")]
    NotPermitted,
    /// Rule 6, where accreditation is asked for.
    #[error("the sender is a stranger whom nobody vouches for")]
    NotAccredited,
    /// Rule 6: `Subject` and `Self`.
    #[error("the stranger's introduction is too long")]
    TooLong,
    /// Rule 6.
    #[error("the stranger has sent as much as one may in a day")]
    SenderQuota,
    /// Rule 6.
    #[error("strangers have sent as much as all may in a day")]
    RecipientQuota,
}

/// What the rules decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ruling {
    /// By which rule.
    pub rule: Rule,
    /// Taken, or why not.
    pub verdict: Result<(), Reason>,
}

/// Decides whether a message may come in.
#[must_use]
pub fn rule(inputs: &Inputs<'_>) -> Ruling {
    if inputs.site.blocks(inputs.sender, inputs.service) {
        return refused(Rule::SiteBlock, Reason::Blocked);
    }
    if inputs.service_level == Level::Suspended {
        return refused(Rule::SiteBlock, Reason::Conduct);
    }
    let message_type = inputs.message_type.unwrap_or_default();
    if !inputs.site.takes(message_type) {
        return refused(Rule::SiteType, Reason::TypeNotTaken);
    }
    match inputs.standpoint {
        Standpoint::Accept => return taken(Rule::Permission),
        Standpoint::Reject => return refused(Rule::Permission, Reason::Rejected),
        Standpoint::Silent | Standpoint::Unknown => {}
    }
    if inputs.answers {
        return taken(Rule::Answer);
    }
    if inputs.standpoint == Standpoint::Silent {
        return if matches!(message_type, REQUEST_CONTACT | REPLY_CONTACT) {
            taken(Rule::Contact)
        } else {
            refused(Rule::Contact, Reason::NotPermitted)
        };
    }
    Ruling {
        rule: Rule::Stranger,
        verdict: stranger(inputs, message_type),
    }
}

/// Rule 6.
fn stranger(inputs: &Inputs<'_>, message_type: &str) -> Result<(), Reason> {
    let (site, facts) = (inputs.site, &inputs.stranger);
    if message_type != REQUEST_CONTACT {
        return Err(Reason::NotPermitted);
    }
    if inputs.service_level >= Level::Restricted {
        return Err(Reason::Conduct);
    }
    let needed = if site.requires_accreditation || inputs.has_unreadable_contacts {
        Accreditation::Site
    } else {
        Accreditation::None
    };
    if site.accreditation(inputs.sender, inputs.service) < needed {
        return Err(Reason::NotAccredited);
    }
    if facts.content_bytes > site.stranger_bytes_max {
        return Err(Reason::TooLong);
    }
    if facts.from_sender_today >= site.stranger_per_sender_day {
        return Err(Reason::SenderQuota);
    }
    if facts.to_recipient_today >= site.stranger_per_recipient_day {
        return Err(Reason::RecipientQuota);
    }
    Ok(())
}

const fn taken(rule: Rule) -> Ruling {
    Ruling {
        rule,
        verdict: Ok(()),
    }
}

const fn refused(rule: Rule, reason: Reason) -> Ruling {
    Ruling {
        rule,
        verdict: Err(reason),
    }
}

impl Rule {
    /// Its number in the table.
    #[must_use]
    pub const fn number(self) -> u8 {
        self as u8
    }
}

impl Reason {
    /// A short name, for measures.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Blocked => "blocked",
            Self::Conduct => "conduct",
            Self::TypeNotTaken => "type",
            Self::Rejected => "rejected",
            Self::NotPermitted => "permission",
            Self::NotAccredited => "accreditation",
            Self::TooLong => "long",
            Self::SenderQuota => "sender-quota",
            Self::RecipientQuota => "recipient-quota",
        }
    }

    /// Whether the refusal is recorded as an incident: rules 1 to 3. What follows from
    /// incidents is none, else nobody would ever come back.
    #[must_use]
    pub const fn is_incident(self) -> bool {
        matches!(self, Self::Blocked | Self::TypeNotTaken | Self::Rejected)
    }
}
