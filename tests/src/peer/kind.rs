//! The kinds of peers, by the names that the command line and the logs of a test use.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use mesh_common::protocol::Code;

use super::conduct::{Conduct, Deed, Door, Flaw};

/// A kind of peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// As a peer should be.
    Healthy,
    /// Healthy, and takes 2.5 s for each message.
    Slow,
    /// One slot, 0.9 s: bears one message a second.
    Tiny,
    /// There for five seconds, away for five.
    Flapping,
    /// Reads every Post and never answers.
    BlackHole,
    /// Accepts connections and never says anything.
    Silent,
    /// Nobody listens at its address.
    Refused,
    /// Resets every connection.
    Reset,
    /// Says it keeps messages, and forgets them.
    Forgetful,
    /// Answers with the wrong key.
    Impostor,
    /// Has no space left for any account.
    OverQuota,
    /// Is overloaded, and says when to come back.
    Busy,
    /// Refuses every message, by policy.
    Unwilling,
    /// Knows none of its accounts.
    Deserted,
    /// Takes messages for later: 202.
    Later,
    /// Sends every message elsewhere.
    Redirecting,
    /// Shows a certificate whose time is over.
    Expired,
    /// Shows the certificate of somebody else.
    Misnamed,
    /// Shows a certificate from an authority that nobody trusts.
    Untrusted,
}

/// Name and sentence of each kind, in the order of the help text.
pub const KINDS: &[(Kind, &str, &str)] = &[
    (
        Kind::Healthy,
        "healthy",
        "as a peer should be: 50 slots, 20 ms",
    ),
    (Kind::Slow, "slow", "20 slots, 2.5 s for each message"),
    (Kind::Tiny, "tiny", "one slot, 0.9 s for each message"),
    (Kind::Flapping, "flapping", "there for 5 s, away for 5 s"),
    (
        Kind::BlackHole,
        "black-hole",
        "reads every Post, never answers",
    ),
    (
        Kind::Silent,
        "silent",
        "accepts connections, never says anything",
    ),
    (Kind::Refused, "refused", "nobody listens at its address"),
    (Kind::Reset, "reset", "resets every connection"),
    (
        Kind::Forgetful,
        "forgetful",
        "says 201 and forgets the message",
    ),
    (Kind::Impostor, "impostor", "answers with the wrong key"),
    (Kind::OverQuota, "over-quota", "507: no space left"),
    (Kind::Busy, "busy", "503 with Retry-After: 30"),
    (Kind::Unwilling, "unwilling", "403: refuses every message"),
    (Kind::Deserted, "deserted", "404: knows no account"),
    (Kind::Later, "later", "202: taken, but not in the spool yet"),
    (
        Kind::Redirecting,
        "redirecting",
        "307 to a place where nobody is",
    ),
    (Kind::Expired, "expired", "a certificate whose time is over"),
    (
        Kind::Misnamed,
        "misnamed",
        "the certificate of another domain",
    ),
    (
        Kind::Untrusted,
        "untrusted",
        "a certificate of an authority nobody trusts",
    ),
];

/// Where a redirecting peer sends messages: a name that nobody can have (RFC 2606).
const NOWHERE: &str = "https://nowhere.invalid/.well-known/mmm";
/// What a busy peer asks for.
const RETRY_AFTER: Duration = Duration::from_secs(30);

impl Kind {
    /// What a peer of this kind does.
    #[must_use]
    pub fn conduct(self) -> Conduct {
        let certificate = |flaw| Conduct::behind(Door::Certificate(flaw));
        let refuse = |code| Conduct::doing(Deed::Refuse(code, None));
        match self {
            Self::Healthy => Conduct::default(),
            Self::Slow => Conduct::bearing(20, Duration::from_millis(2_500)),
            Self::Tiny => Conduct::bearing(1, Duration::from_millis(900)),
            Self::Flapping => Conduct {
                flaps: Some(Duration::from_secs(5)),
                ..Conduct::default()
            },
            Self::BlackHole => Conduct::doing(Deed::Never),
            Self::Silent => Conduct::behind(Door::Silent),
            Self::Refused => Conduct::behind(Door::Refused),
            Self::Reset => Conduct::behind(Door::Reset),
            Self::Forgetful => Conduct::doing(Deed::Forget),
            Self::Impostor => Conduct::doing(Deed::Garble),
            Self::OverQuota => refuse(Code::QuotaExceeded),
            Self::Busy => Conduct::doing(Deed::Refuse(Code::Overload, Some(RETRY_AFTER))),
            Self::Unwilling => refuse(Code::Refused),
            Self::Deserted => refuse(Code::NotFound),
            Self::Later => Conduct::doing(Deed::KeepForLater),
            Self::Redirecting => Conduct::doing(Deed::Redirect(NOWHERE.to_owned())),
            Self::Expired => certificate(Flaw::Expired),
            Self::Misnamed => certificate(Flaw::OtherName),
            Self::Untrusted => certificate(Flaw::OtherAuthority),
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        KINDS
            .iter()
            .find(|row| row.0 == self)
            .map_or("unnamed", |row| row.1)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// A name that no kind has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no kind {name:?} of peers")]
pub struct UnknownKind {
    /// What was said.
    pub name: String,
}

impl FromStr for Kind {
    type Err = UnknownKind;

    fn from_str(name: &str) -> Result<Self, UnknownKind> {
        KINDS
            .iter()
            .find(|row| row.1 == name)
            .map(|row| row.0)
            .ok_or_else(|| UnknownKind {
                name: name.to_owned(),
            })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_kind_has_one_name_and_its_own_conduct() {
        let names: BTreeSet<_> = KINDS.iter().map(|row| row.1).collect();
        assert_eq!(names.len(), KINDS.len());
        for (kind, name, _) in KINDS {
            assert_eq!(name.parse(), Ok(*kind));
            assert_eq!(kind.to_string(), *name);
            let alike = KINDS.iter().filter(|row| row.0.conduct() == kind.conduct());
            assert_eq!(alike.count(), 1, "{name}");
        }
        assert!("unnamed".parse::<Kind>().is_err());
    }
}
