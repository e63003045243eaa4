//! Whether an account may send at all, and to whom: what follows from complaints about it (service
//! §8, X-61), and what its own contacts say (service §7.2).
//!
//! A contact whose messages of a type the user refuses is not sent messages of that type either: an
//! answer could not come in. Of contacts that the service cannot read nothing is known, and nothing
//! forbidden.

use super::outgoing::Outgoing;
use super::recipients::Recipients;
use crate::account::intake::{ContactIndex, Standpoint};
use crate::account::upload::{Upload, Verdict};
use crate::address::AccountAddress;
use crate::conduct::Level;
use crate::error::ServiceError;
use crate::protocol::Code;

/// How the account stands.
pub(super) fn level(upload: &Upload<'_>) -> Level {
    let scene = upload.scene;
    let score = scene.lookups.conduct.score(scene.now);
    scene.policy.conduct.level(score)
}

/// Whether the account may send to others.
///
/// # Errors
/// 403/5 while it is suspended.
pub(super) fn check_level(level: Level) -> Result<(), ServiceError> {
    if level < Level::Suspended {
        return Ok(());
    }
    Err(ServiceError::new(
        Code::Refused,
        "the account sends nothing for now: too many complaints came about what it sent",
    ))
}

impl Outgoing<'_> {
    /// Whether the account's contacts, and its level, leave this message to all `recipients`.
    ///
    /// # Errors
    /// The Reject: 403/5.
    pub(super) fn welcome(
        self,
        upload: &Upload<'_>,
        recipients: &Recipients,
        level: Level,
    ) -> Result<Self, Verdict> {
        let own = &upload.state.record.address;
        let contacts = upload.scene.lookups.contacts.as_deref();
        for recipient in recipients.iter().filter(|recipient| *recipient != own) {
            check(contacts, recipient, &self.tag, level)?;
        }
        Ok(self)
    }
}

fn check(
    contacts: Option<&ContactIndex>,
    recipient: &AccountAddress,
    tag: &str,
    level: Level,
) -> Result<(), Verdict> {
    let standpoint = contacts.map_or(Standpoint::Unknown, |contacts| {
        contacts.standpoint_to(recipient, tag)
    });
    match standpoint {
        Standpoint::Reject => Err(Verdict::reject(
            Code::Refused,
            format!("the account's contacts refuse messages of this type with {recipient}"),
        )),
        Standpoint::Unknown if level >= Level::Restricted => Err(Verdict::reject(
            Code::Refused,
            format!(
                "the account sends to its contacts only for now, and {recipient} is none that the \
                 service can read: too many complaints came about what it sent"
            ),
        )),
        Standpoint::Unknown | Standpoint::Silent | Standpoint::Accept => Ok(()),
    }
}
