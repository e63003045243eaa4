//! What a peer does, taken apart: how it can be reached, how much it bears at once, how long it takes,
//! and what becomes of a Post. The [kinds](super::kind) are combinations with names.

use std::time::{Duration, Instant};

use mesh_common::protocol::Code;

/// What a peer does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conduct {
    /// How it can be reached.
    pub door: Door,
    /// Posts it works on at once; the others wait in the order in which they came. At least one.
    pub slots: usize,
    /// How long one Post occupies a slot. Work that was begun is finished even if the sender has gone.
    pub latency: Duration,
    /// What becomes of a Post.
    pub deed: Deed,
    /// It is there for so long, then resets every connection for as long, and so on.
    pub flaps: Option<Duration>,
}

/// How a peer can be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Door {
    /// As it should be.
    Open,
    /// Nobody listens. Another door opens it for good.
    Refused,
    /// Connections are reset as soon as they are there.
    Reset,
    /// Connections are accepted, and no octet ever comes back.
    Silent,
    /// Its certificate is not good.
    Certificate(Flaw),
}

/// What is wrong with a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Flaw {
    /// Its time is over.
    Expired,
    /// It names another domain.
    OtherName,
    /// It comes from an authority that nobody trusts.
    OtherAuthority,
}

/// What becomes of a Post.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deed {
    /// 201, and it is kept.
    Keep,
    /// 202: taken, but not in the spool yet (decision Q-5). It is kept.
    KeepForLater,
    /// 201, and it is thrown away: the lie that nobody can see.
    Forget,
    /// The answer is sealed under a key that the sender does not share.
    Garble,
    /// Refused, and to be tried again after so long if that is said.
    Refuse(Code, Option<Duration>),
    /// 307 with this place as its description.
    Redirect(String),
    /// It is read, and never answered.
    Never,
}

impl Default for Conduct {
    /// As a good peer: fifty slots, 20 ms.
    fn default() -> Self {
        Self {
            door: Door::Open,
            slots: 50,
            latency: Duration::from_millis(20),
            deed: Deed::Keep,
            flaps: None,
        }
    }
}

impl Conduct {
    /// A good peer but for what becomes of a Post.
    #[must_use]
    pub fn doing(deed: Deed) -> Self {
        Self {
            deed,
            ..Self::default()
        }
    }

    /// A good peer but for how it can be reached.
    #[must_use]
    pub fn behind(door: Door) -> Self {
        Self {
            door,
            ..Self::default()
        }
    }

    /// A good peer with so many slots, each busy so long with one Post.
    #[must_use]
    pub fn bearing(slots: usize, latency: Duration) -> Self {
        Self {
            slots,
            latency,
            ..Self::default()
        }
    }

    /// The door as it is at `now` for a peer that began at `began`.
    pub(super) fn door_at(&self, began: Instant, now: Instant) -> Door {
        let is_away = self.flaps.is_some_and(|time| {
            let rounds = now.saturating_duration_since(began).as_millis() / time.as_millis().max(1);
            rounds % 2 == 1
        });
        if is_away { Door::Reset } else { self.door }
    }
}

#[cfg(test)]
mod tests {
    use super::super::moment;
    use super::*;

    #[test]
    fn a_flapping_peer_is_there_every_other_while() {
        let conduct = Conduct {
            flaps: Some(Duration::from_secs(2)),
            ..Conduct::default()
        };
        let began = moment();
        let at = |seconds| conduct.door_at(began, began + Duration::from_secs(seconds));
        assert_eq!(
            [0, 1, 2, 3, 4].map(at),
            [Door::Open, Door::Open, Door::Reset, Door::Reset, Door::Open]
        );
        assert_eq!(Conduct::default().door_at(began, began), Door::Open);
    }
}
