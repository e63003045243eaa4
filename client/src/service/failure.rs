//! A service's refusals, and what a person does about each (service §3, X-17).

use mesh_common::assertion::AssertionError;
use mesh_common::protocol::{Code, Outcome, Response};
use mesh_common::session::client::ClientError as SessionError;
use mesh_common::udf::Udf;

/// Characters of a service's own words that are shown.
const DESCRIPTION_CHARACTERS_MAX: usize = 300;

/// A service that refused, or that cannot be believed.
#[derive(Debug, thiserror::Error)]
pub enum ServiceFailure {
    /// The service was asked, and the answer is no.
    #[error("{}the service says no: {description} ({status}{})", place(.about), slash(.extended))]
    Refused {
        /// What our table calls it, if it stands there.
        code: Option<Code>,
        /// `Status`.
        status: u16,
        /// `StatusExtended`.
        extended: Option<u16>,
        /// The service's own words, made printable.
        description: String,
        /// What it is about, if that is known.
        about: Option<String>,
    },
    /// Somebody refused in the service's name, without proof that it was the service.
    #[error("something on the way to the service says no: {description} ({status}{})", slash(.extended))]
    Hint {
        /// What our table calls it, if it stands there.
        code: Option<Code>,
        /// `Status`.
        status: u16,
        /// `StatusExtended`.
        extended: Option<u16>,
        /// Its words, made printable.
        description: String,
    },
    /// What answers there does not speak the protocol.
    #[error("what answers at {url} is not a Mesh service (HTTP {http_status})")]
    NotMesh {
        /// The address.
        url: String,
        /// HTTP's status code.
        http_status: u16,
    },
    /// The profiles the service shows do not verify.
    #[error("the service cannot prove who it is")]
    Identity(#[source] AssertionError),
    /// Another service than the one known answers.
    #[error("another service answers: {found}, expected {pinned}")]
    OtherService {
        /// The one known.
        pinned: Udf,
        /// The one that answers.
        found: Udf,
    },
    /// The sealed exchange failed.
    #[error("the answer of the service cannot be believed")]
    Session(#[source] SessionError),
    /// The service breaks the protocol.
    #[error("the service breaks the protocol: {problem}")]
    Misbehaved {
        /// How.
        problem: String,
    },
}

fn place(about: &Option<String>) -> String {
    about
        .as_ref()
        .map_or_else(String::new, |about| format!("{about}: "))
}

fn slash(extended: &Option<u16>) -> String {
    extended.map_or_else(String::new, |extended| format!("/{extended}"))
}

impl ServiceFailure {
    /// The refusal that `outcome` is.
    #[must_use]
    pub fn refusal(outcome: &Outcome) -> Self {
        Self::Refused {
            code: outcome.code(),
            status: outcome.status.unwrap_or(0),
            extended: outcome.status_extended,
            description: printable(outcome.status_description.as_deref()),
            about: None,
        }
    }

    /// Says what the refusal is about.
    #[must_use]
    pub fn about(mut self, what: impl Into<String>) -> Self {
        if let Self::Refused { about, .. } = &mut self {
            *about = Some(what.into());
        }
        self
    }

    pub(crate) fn other_class(response: &Response) -> Self {
        Self::Misbehaved {
            problem: format!("it answers with a {}", response.tag()),
        }
    }

    pub(super) fn hint(outcome: &Outcome) -> Self {
        Self::Hint {
            code: outcome.code(),
            status: outcome.status.unwrap_or(0),
            extended: outcome.status_extended,
            description: printable(outcome.status_description.as_deref()),
        }
    }

    /// The code of a refusal, if it has one of our table.
    #[must_use]
    pub const fn code(&self) -> Option<Code> {
        match self {
            Self::Refused { code, .. } | Self::Hint { code, .. } => *code,
            _ => None,
        }
    }

    /// Whether the service was asked and said no.
    #[must_use]
    pub const fn is_refusal(&self) -> bool {
        matches!(
            self,
            Self::Refused { .. } | Self::OtherService { .. } | Self::Identity(_)
        )
    }

    /// What to do next, if that can be said.
    #[must_use]
    pub fn advice(&self) -> Option<String> {
        let advice = match self {
            Self::Refused { code, .. } | Self::Hint { code, .. } => advice_for((*code)?)?,
            Self::NotMesh { .. } => "check the address of the service, and what stands before it",
            Self::OtherService { .. } => {
                "do not go on; ask the operator of the service why its identity changed"
            }
            Self::Identity(_) | Self::Session(_) | Self::Misbehaved { .. } => {
                "report this to the operator of the service"
            }
        };
        Some(advice.to_owned())
    }
}

/// What a person does about a refusal.
const fn advice_for(code: Code) -> Option<&'static str> {
    Some(match code {
        Code::AccountRegistered | Code::InvalidName => "choose another address",
        Code::Misdirected => "check the domain of the address, and the address of the service",
        Code::Pending => "mesh sync, once the operator has approved the account",
        Code::Refused => "ask the operator of the service",
        Code::NotAuthorized | Code::NotFound => {
            "check the address of the account, and that it was not deleted"
        }
        Code::NotAdministrator => "repeat this on a device that administers the account",
        Code::DeviceRevoked => "connect this device again from another one",
        Code::QuotaExceeded => "delete what you do not need, then mesh sync",
        Code::TooLarge => "make the entry smaller",
        Code::ClockSkew => "set the clock of this machine",
        Code::RateLimited | Code::Overload | Code::QueueFull | Code::Timeout => {
            "wait a while and repeat"
        }
        Code::Internal => "repeat later; report it to the operator if it stays",
        Code::RedirectPermanent | Code::RedirectTemporary => {
            "ask the operator of the service: the account is served somewhere else now"
        }
        _ => return None,
    })
}

/// A service's own words, without anything a terminal would act on.
fn printable(text: Option<&str>) -> String {
    let text = text.unwrap_or("no reason given");
    let mut shown: String = text
        .chars()
        .filter(|letter| !letter.is_control())
        .take(DESCRIPTION_CHARACTERS_MAX)
        .collect();
    if shown.is_empty() {
        shown.push_str("no reason given");
    }
    shown
}
