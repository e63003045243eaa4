//! What counts against a sender by itself: refusals by rules 1 to 3, and repeated refusals by
//! other services.
//!
//! The rows belong to the account that refuses, or is told: its tally keeps one sender from being
//! counted more than once a day, and a peer that invents senders from filling the disk.

use super::control::Reason;
use super::reception::{ReceptionResult, Setting};
use super::{IntakeMessage, MessageOutcome};
use crate::account::change::Change;
use crate::account::needs::Lookups;
use crate::address::AccountAddress;
use crate::conduct::{Incident, IncidentId, IncidentMessage, Reporter, Subject};
use crate::limits::{INCIDENT_WEIGHT, INCIDENT_WEIGHT_PEER};
use crate::spool::MessageState;
use crate::time::Timestamp;

/// What a refusal of `message` by `recipient` counts: against the service that forwarded it, or the
/// sender who lives here.
pub(in crate::account) fn of_refusal(
    message: &IntakeMessage,
    recipient: &AccountAddress,
    lookups: &Lookups,
    refusal: ReceptionResult,
    now: Timestamp,
) -> Vec<Change> {
    let ReceptionResult::Ruled(reason) = refusal else {
        return Vec::new();
    };
    let sender = &message.sender.address;
    let mut tally = lookups.tally.clone().unwrap_or_default().on(now);
    if !reason.is_incident() || !tally.complain(sender.canonical()) {
        return Vec::new();
    }
    let service = message.service.as_ref();
    let subject = service.map_or_else(
        || Subject::Account(sender.clone()),
        |service| Subject::Service(service.domain.clone()),
    );
    let mut digest = [0; 32];
    digest.copy_from_slice(&message.payload_digest[..32]);
    let incident = Incident {
        id: IncidentId::of(&[
            b"refusal",
            sender.canonical().as_bytes(),
            &[0],
            recipient.canonical().as_bytes(),
            &[0],
            message.unique_id.as_bytes(),
        ]),
        at: now,
        subject,
        what: reason.to_string(),
        weight: INCIDENT_WEIGHT,
        reporter: match reason {
            Reason::Rejected => Reporter::Account(recipient.clone()),
            _ => Reporter::Site,
        },
        message: Some(IncidentMessage {
            unique_id: message.unique_id.clone(),
            digest: Some(digest),
            sender: Some(sender.clone()),
        }),
    };
    vec![
        Change::Tally(Box::new(tally)),
        Change::Incident(Box::new(incident)),
    ]
}

/// What `outcome` counts against `account`, which sent the message: the refusals of other services,
/// once they are repeated. What is refused here is counted where it is refused.
pub(super) fn of_outcome(
    account: &AccountAddress,
    outcome: &MessageOutcome,
    lookups: &Lookups,
    setting: &Setting<'_>,
) -> Vec<Change> {
    let peer = outcome.recipient.domain();
    let is_by_peer = !setting.policy.domains_served.contains(peer);
    if outcome.state != MessageState::Refused || !is_by_peer {
        return Vec::new();
    }
    let now = setting.now;
    let mut tally = lookups.tally.clone().unwrap_or_default().on(now);
    let is_repeated = tally.refused_by_peer();
    let mut changes = vec![Change::Tally(Box::new(tally))];
    if is_repeated {
        changes.push(Change::Incident(Box::new(Incident {
            id: IncidentId::of(&[
                b"refusal by a peer",
                account.canonical().as_bytes(),
                &[0],
                outcome.recipient.canonical().as_bytes(),
                &[0],
                outcome.unique_id.as_bytes(),
            ]),
            at: now,
            subject: Subject::Account(account.clone()),
            what: "another service refused the message".to_owned(),
            weight: INCIDENT_WEIGHT_PEER,
            reporter: Reporter::Service(peer.to_owned()),
            message: Some(IncidentMessage {
                unique_id: outcome.unique_id.clone(),
                digest: None,
                sender: Some(account.clone()),
            }),
        })));
    }
    changes
}
