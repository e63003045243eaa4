//! What a service stops keeping (containers §10, D28 and D29; X-57): payloads that a catalog does not
//! need any more, messages that are read or deleted, and, if the operator wants it, the beginning of
//! spools that are gone through.
//!
//! A redacted frame keeps its place, its header and its digests, so every proof goes on to hold. The
//! bookkeeping around it is the shell's; here is what may go, and what a frame is once it went.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::frame::{FrameRecord, octets_of};
use crate::crypto::digest::sha512;
use crate::encoding::base64url::Binary;
use crate::limits::RETENTION_DELETED_DEFAULT;
use crate::spool::MessageState;
use crate::time::Timestamp;

/// How long what could go is kept all the same, in seconds; 0: for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Retention {
    /// Payloads of catalog entries, after they were replaced or deleted.
    pub superseded_s: u64,
    /// Messages, after they were marked deleted. Until then they can be marked unread again.
    pub deleted_s: u64,
    /// Messages that are marked read, after they came.
    pub read_s: u64,
    /// Frames at the beginning of a spool, after they came: removed whole once nothing but redacted
    /// messages and completions stands there. Devices that never saw them will not (containers D29).
    pub purge_s: u64,
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            superseded_s: 0,
            deleted_s: RETENTION_DELETED_DEFAULT.as_secs(),
            read_s: 0,
            purge_s: 0,
        }
    }
}

/// What makes that something may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// A later frame of the catalog replaced or deleted the entry.
    Superseded,
    /// The message is marked deleted.
    Deleted,
    /// The message is marked read, accepted or rejected.
    Read,
    /// The frame is at the beginning of a spool that is gone through.
    Purge,
}

impl Reason {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Superseded, Self::Deleted, Self::Read, Self::Purge];

    /// A short name, for measures.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Superseded => "superseded",
            Self::Deleted => "deleted",
            Self::Read => "read",
            Self::Purge => "purged",
        }
    }

    /// The reason that a message's state is; none while it must stay.
    #[must_use]
    pub const fn of_state(state: MessageState) -> Option<Self> {
        match state {
            MessageState::Deleted => Some(Self::Deleted),
            MessageState::Read => Some(Self::Read),
            _ => None,
        }
    }
}

impl Retention {
    /// When something that may go since `since` goes; `None` if it is kept for good.
    #[must_use]
    pub fn ends(&self, reason: Reason, since: Timestamp) -> Option<Timestamp> {
        let seconds = match reason {
            Reason::Superseded => self.superseded_s,
            Reason::Deleted => self.deleted_s,
            Reason::Read => self.read_s,
            Reason::Purge => self.purge_s,
        };
        (seconds > 0).then(|| since + Duration::from_secs(seconds))
    }
}

impl FrameRecord {
    /// Whether the frame has something to lose: frame 0 describes the container and stays, and so do
    /// frames that carry no application payload.
    #[must_use]
    pub fn is_redactable(&self, index: u64) -> bool {
        index > 0 && !self.redacted && self.info.is_meta != Some(true) && self.payload_octets > 0
    }

    /// Takes note that the payload is gone, and removes the Salt with it: nothing that was derived from
    /// it can be derived again. `Malt` keeps its SHA-512 (dare draft §5.2.2). Header and trailer stay,
    /// with the recipients' blocks, so whoever finds the key exchange here still does.
    pub fn redact(&mut self) {
        self.redacted = true;
        if let Some(salt) = self.header.salt.take() {
            self.header.malt = Some(Binary::from(sha512(&[salt.as_slice()])));
        }
        self.envelope_octets =
            octets_of(&self.header) + octets_of(&self.info) + octets_of(&self.trailer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dare::{ContainerInfo, DigestStack, Header};

    #[test]
    fn each_reason_has_its_own_time_and_zero_is_for_good() {
        let retention = Retention {
            superseded_s: 1,
            deleted_s: 2,
            read_s: 3,
            purge_s: 4,
        };
        let since = Timestamp::from_secs(100);
        for (reason, end) in Reason::ALL.into_iter().zip([101, 102, 103, 104]) {
            let ends = retention.ends(reason, since);
            assert_eq!(ends, Some(Timestamp::from_secs(end)), "{}", reason.name());
        }
        let default = Retention::default();
        for reason in [Reason::Superseded, Reason::Read, Reason::Purge] {
            assert_eq!(default.ends(reason, since), None);
        }
        assert_eq!(
            default.ends(Reason::Deleted, since),
            Some(since + Duration::from_secs(30 * 86_400))
        );
    }

    #[test]
    fn only_read_and_deleted_messages_may_go() {
        let goes = |state| Reason::of_state(state);
        assert_eq!(goes(MessageState::Deleted), Some(Reason::Deleted));
        assert_eq!(goes(MessageState::Read), Some(Reason::Read));
        for state in [
            MessageState::Unread,
            MessageState::Pending,
            MessageState::Sent,
            MessageState::Delayed,
            MessageState::Received,
            MessageState::Refused,
            MessageState::Failed,
        ] {
            assert_eq!(goes(state), None, "{state:?}");
        }
    }

    fn frame() -> FrameRecord {
        let mut frame = FrameRecord::own_first(&mut DigestStack::new(), Timestamp::default());
        frame.header = Header {
            enc: Some("A256CBC".into()),
            salt: Some(Binary(vec![7; 16])),
            ..Header::default()
        };
        frame.payload_octets = 1_000;
        frame.envelope_octets = 500;
        frame
    }

    #[test]
    fn a_redacted_frame_keeps_its_digests_and_loses_payload_and_salt() {
        let whole = frame();
        let mut redacted = whole.clone();
        redacted.redact();
        assert_eq!(redacted.header.salt, None);
        assert_eq!(
            redacted.header.malt,
            Some(Binary::from(sha512(&[&[7; 16]])))
        );
        assert_eq!(redacted.payload_digest, whole.payload_digest);
        assert_eq!(redacted.whole_trailer(), whole.whole_trailer());
        assert!(redacted.live_octets() < 500, "the quota has it back");
        assert_eq!(redacted.payload_octets, 1_000, "what there was is known");
    }

    #[test]
    fn the_first_frame_and_frames_without_content_have_nothing_to_lose() {
        let mut redacted = frame();
        redacted.redact();
        assert!(frame().is_redactable(1));
        assert!(!frame().is_redactable(0));
        assert!(!redacted.is_redactable(1), "not twice");
        let empty = FrameRecord {
            payload_octets: 0,
            ..frame()
        };
        assert!(!empty.is_redactable(1));
        let meta = FrameRecord {
            info: ContainerInfo {
                is_meta: Some(true),
                ..ContainerInfo::default()
            },
            ..frame()
        };
        assert!(!meta.is_redactable(1));
    }
}
