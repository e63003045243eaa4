//! What an attempt means, for the message and for the destination: the outcome table of delivery
//! §13 with decisions.
//!
//! The payload of an authenticated answer beats the HTTP status. What says nothing about the message
//! never fails it before its time; what says nothing about the destination is never charged to it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::attempt::{Answered, Attempt, End, Trouble, Unreachable};
use super::controller::Outcome;
use super::item::QueueItem;
use super::retry;
use crate::entropy::Entropy;
use crate::limits::{DESTINATION_PAUSE_MAX, INTERNAL_ATTEMPTS_MAX, PATIENCE, PATIENCE_WITH_DOMAIN};
use crate::time::Timestamp;

/// Attempts that a message gets at least against answers that are no verdict on it, however long it
/// waited before the first one.
const PATIENT_ATTEMPTS_MIN: u32 = 5;

/// What an attempt means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    /// What becomes of the message.
    pub fate: Fate,
    /// What the destination is charged with.
    pub sample: Sample,
    /// How long the peer asked to be left alone.
    pub pause: Option<Duration>,
    /// What is wrong with the domain itself, if anything is.
    pub lasting: Option<Lasting>,
    /// What went wrong, in a phrase, for operators and the item's row.
    pub trouble: Option<Trouble>,
}

/// What becomes of a message after an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// It is in the recipient's Inbound (201, or it was there already): `Received`, done.
    Received,
    /// The peer has taken it upon itself (202): `Sent`, done (decision Q-64).
    Sent,
    /// The peer's policy, or the recipient's, says no: `Refused`, done.
    Refused(Failure),
    /// It cannot be delivered: `Failed`, done.
    Failed(Failure),
    /// It is to be tried again then. The attempt counts: `attempts` rises by one.
    Later {
        /// Not before this moment.
        due_at: Timestamp,
    },
    /// Nothing was learned about the message: it stays due, and no attempt counts. Nothing about it
    /// needs to be written.
    Stays,
    /// Handling it failed here: `attempts_internal` rises by one, and it is tried again then.
    Mishandled {
        /// Not before this moment.
        due_at: Timestamp,
    },
    /// Handling it failed here too often: into quarantine.
    Poison,
}

impl Fate {
    /// Whether the message leaves the queue.
    #[must_use]
    pub fn is_final(&self) -> bool {
        !matches!(
            self,
            Self::Later { .. } | Self::Stays | Self::Mishandled { .. }
        )
    }
}

/// Why a message was not delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Which kind of reason.
    pub reason: Reason,
    /// What the sender is told, in a sentence.
    pub text: String,
}

/// Kinds of reasons why messages are not delivered, for measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reason {
    /// There is no such account there.
    UnknownRecipient,
    /// The peer, or the recipient, does not want it.
    Policy,
    /// It is too large for the peer.
    TooLarge,
    /// The peer cannot read or verify it.
    BadMessage,
    /// The recipient's space is used up.
    RecipientFull,
    /// The peer does not let this service in.
    NotAdmitted,
    /// No Mesh service answers there.
    NoMeshService,
    /// The domain does not exist, or offers no Mesh service, or none that may be connected to.
    NoDomain,
    /// The peer's certificate is not valid.
    Certificate,
    /// The peer is not who it was.
    Identity,
    /// Its time was over.
    Expired,
}

impl Reason {
    /// What it is called in measures and in JSON.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::UnknownRecipient => "unknown-recipient",
            Self::Policy => "policy",
            Self::TooLarge => "too-large",
            Self::BadMessage => "bad-message",
            Self::RecipientFull => "recipient-full",
            Self::NotAdmitted => "not-admitted",
            Self::NoMeshService => "no-mesh-service",
            Self::NoDomain => "no-domain",
            Self::Certificate => "certificate",
            Self::Identity => "identity",
            Self::Expired => "expired",
        }
    }
}

/// What a destination is charged with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sample {
    /// An exchange, for window and breaker.
    Exchange(Outcome),
    /// There was none: for the breaker alone.
    Unreachable,
    /// Nothing that says how the peer is.
    Nothing,
}

/// What is wrong with a domain itself. Messages that have waited for [`PATIENCE_WITH_DOMAIN`] while it
/// was so for that long are failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Lasting {
    /// It does not exist, says an authoritative answer.
    NoDomain,
    /// It says that it has no Mesh service.
    NoService,
    /// Its addresses are none that may be connected to.
    Forbidden,
    /// Its certificate is not valid.
    Certificate,
    /// It is not who it was.
    Identity,
}

impl Lasting {
    fn of(unreachable: &Unreachable) -> Option<Self> {
        match unreachable {
            Unreachable::NoDomain => Some(Self::NoDomain),
            Unreachable::NoService => Some(Self::NoService),
            Unreachable::Forbidden => Some(Self::Forbidden),
            Unreachable::Certificate(_) => Some(Self::Certificate),
            Unreachable::Identity(_) => Some(Self::Identity),
            Unreachable::Lookup(_) | Unreachable::Connect(_) | Unreachable::Tls(_) => None,
        }
    }

    /// Why messages fail for it.
    #[must_use]
    pub fn failure(self, domain: &str) -> Failure {
        let (reason, text) = match self {
            Self::NoDomain => (Reason::NoDomain, "does not exist"),
            Self::NoService => (Reason::NoDomain, "has no Mesh service"),
            Self::Forbidden => (Reason::NoDomain, "has no address that may be connected to"),
            Self::Certificate => (Reason::Certificate, "has no valid certificate"),
            Self::Identity => (Reason::Identity, "is not the service that it was"),
        };
        let hours = PATIENCE_WITH_DOMAIN.as_secs() / 3_600;
        Failure {
            reason,
            text: format!("for {hours} hours: {domain} {text}"),
        }
    }
}

/// What `attempt` means for `item`, which it was made for.
#[must_use]
pub fn judge(
    now: Timestamp,
    item: &QueueItem,
    attempt: &Attempt,
    entropy: &mut dyn Entropy,
) -> Judgement {
    let mut judgement = match &attempt.end {
        End::Answered(answered) => judge_answer(now, item, answered, entropy),
        End::Foreign { http, retry_after } => {
            judge_foreign(now, item, *http, *retry_after, entropy)
        }
        End::TimedOut => Judgement::of(
            again(now, item, None, entropy),
            Sample::Exchange(Outcome::Silent),
        ),
        End::Unreachable(unreachable) => Judgement {
            lasting: Lasting::of(unreachable),
            ..Judgement::of(Fate::Stays, Sample::Unreachable)
        },
        End::Internal(_) => Judgement::of(mishandled(now, item, entropy), Sample::Nothing),
    };
    let is_delivered = matches!(judgement.fate, Fate::Received | Fate::Sent);
    if !is_delivered && judgement.fate != Fate::Poison && now >= item.expires_at {
        judgement.fate = expired_unless_final(judgement.fate, attempt);
    }
    judgement.trouble = (!is_delivered).then(|| Trouble {
        at: now,
        text: phrase(&attempt.end),
    });
    judgement
}

impl Judgement {
    fn of(fate: Fate, sample: Sample) -> Self {
        Self {
            fate,
            sample,
            pause: None,
            lasting: None,
            trouble: None,
        }
    }
}

/// An authenticated answer of the peer.
fn judge_answer(
    now: Timestamp,
    item: &QueueItem,
    answered: &Answered,
    entropy: &mut dyn Entropy,
) -> Judgement {
    const SERVED: Sample = Sample::Exchange(Outcome::Served);
    const TROUBLED: Sample = Sample::Exchange(Outcome::Troubled);
    let failed = |reason| Fate::Failed(answered.failure(reason));
    let refused = || Fate::Refused(answered.failure(Reason::Policy));
    match (answered.status, answered.extended) {
        (202, _) => Judgement::of(Fate::Sent, SERVED),
        (200..=299, _) => Judgement::of(Fate::Received, SERVED),
        (408 | 425 | 429 | 503, _) => busy(now, item, answered.retry_after, entropy),
        (507, _) => Judgement::of(
            patient(now, item, failed(Reason::RecipientFull), entropy),
            SERVED,
        ),
        // Followed already where it may be (decision Q-64): a peer that only sends us round is tried
        // again, since it may be in the middle of a move.
        (300..=399, _) => Judgement::of(
            patient(now, item, failed(Reason::NoMeshService), entropy),
            SERVED,
        ),
        // It is this service that is not let in: no verdict on the message, and true of all of them.
        (401, _) => Judgement::of(
            patient(now, item, failed(Reason::NotAdmitted), entropy),
            TROUBLED,
        ),
        (403, _) | (409, Some(118)) => Judgement::of(refused(), SERVED),
        (404, Some(6)) | (410, _) => Judgement::of(failed(Reason::UnknownRecipient), SERVED),
        (413, _) => Judgement::of(failed(Reason::TooLarge), SERVED),
        (400 | 422, _) => Judgement::of(failed(Reason::BadMessage), SERVED),
        (400..=499, _) => Judgement::of(
            patient(now, item, failed(Reason::NoMeshService), entropy),
            TROUBLED,
        ),
        _ => Judgement::of(again(now, item, None, entropy), TROUBLED),
    }
}

/// An answer over HTTP that no Mesh service of the domain made: never a verdict on the message.
fn judge_foreign(
    now: Timestamp,
    item: &QueueItem,
    http: u16,
    retry_after: Option<Duration>,
    entropy: &mut dyn Entropy,
) -> Judgement {
    const TROUBLED: Sample = Sample::Exchange(Outcome::Troubled);
    match http {
        408 | 425 | 429 | 503 => busy(now, item, retry_after, entropy),
        500..=599 => Judgement::of(again(now, item, None, entropy), TROUBLED),
        _ => {
            let failure = Failure {
                reason: Reason::NoMeshService,
                text: format!(
                    "what answers at {} is no Mesh service (HTTP {http})",
                    item.destination()
                ),
            };
            Judgement::of(patient(now, item, Fate::Failed(failure), entropy), TROUBLED)
        }
    }
}

/// The peer has too much to do. If it says until when, it is left alone and nothing is held against it.
fn busy(
    now: Timestamp,
    item: &QueueItem,
    retry_after: Option<Duration>,
    entropy: &mut dyn Entropy,
) -> Judgement {
    let pause = retry_after.map(|wanted| wanted.min(DESTINATION_PAUSE_MAX));
    let sample = if pause.is_some() {
        Sample::Nothing
    } else {
        Sample::Exchange(Outcome::Troubled)
    };
    Judgement {
        pause,
        ..Judgement::of(again(now, item, pause, entropy), sample)
    }
}

/// Later, and after the pause.
fn again(
    now: Timestamp,
    item: &QueueItem,
    pause: Option<Duration>,
    entropy: &mut dyn Entropy,
) -> Fate {
    let delay = retry::delay(item.attempts, entropy).max(pause.unwrap_or_default());
    Fate::Later {
        due_at: now + delay,
    }
}

/// Later, as long as there is patience; after that `then`.
fn patient(now: Timestamp, item: &QueueItem, then: Fate, entropy: &mut dyn Entropy) -> Fate {
    let tried_enough = item.attempts + 1 >= PATIENT_ATTEMPTS_MIN;
    if tried_enough && now >= item.enqueued_at + PATIENCE {
        return then;
    }
    again(now, item, None, entropy)
}

fn mishandled(now: Timestamp, item: &QueueItem, entropy: &mut dyn Entropy) -> Fate {
    if item.attempts_internal + 1 >= INTERNAL_ATTEMPTS_MAX {
        return Fate::Poison;
    }
    Fate::Mishandled {
        due_at: now + retry::delay(item.attempts_internal, entropy),
    }
}

fn expired_unless_final(fate: Fate, attempt: &Attempt) -> Fate {
    if fate.is_final() {
        return fate;
    }
    Fate::Failed(Failure {
        reason: Reason::Expired,
        text: format!("not delivered in time; last: {}", phrase(&attempt.end)),
    })
}

impl Answered {
    fn failure(&self, reason: Reason) -> Failure {
        Failure {
            reason,
            text: self.phrase(),
        }
    }

    fn phrase(&self) -> String {
        let code = match self.extended {
            Some(extended) => format!("{}/{extended}", self.status),
            None => self.status.to_string(),
        };
        if self.text.is_empty() {
            format!("the recipient's service answered {code}")
        } else {
            format!("the recipient's service answered {code}: {}", self.text)
        }
    }
}

/// How a transfer ended, in a phrase.
#[must_use]
pub fn phrase(end: &End) -> String {
    match end {
        End::Answered(answered) => answered.phrase(),
        End::Foreign { http, .. } => format!("HTTP {http}, which is not authenticated"),
        End::TimedOut => "no answer in time".to_owned(),
        End::Unreachable(unreachable) => unreachable.to_string(),
        End::Internal(text) => format!("handling it failed here: {text}"),
    }
}

#[cfg(test)]
mod tests;
