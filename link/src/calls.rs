//! What both ends agree on above HTTP: paths, headers, statuses (architecture A-5).
//!
//! ```text
//!  POST /mesh-link/1/perform          GET /mesh-link/1/events
//!  mesh-process: 32 hex digits        mesh-process: …
//!  mesh-deadline: milliseconds
//!  traceparent: W3C
//! ```
//!
//! 200 has an answer in its body, whatever the node said; every other status is about the link.

use hyper::StatusCode;
use hyper::header::HeaderName;
use mesh_common::cluster::wire::VERSION;

use crate::identity::LinkRoles;

/// What can be asked, beside the stream of events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Call {
    Perform,
    Receive,
    SigningKeys,
    Published,
    Watch,
    Nudge,
    /// Of a front-end to a node: to bring a request to its owner.
    PassOn,
    /// Of a node to the owner: what it passes on.
    PassedOn,
    /// What is remembered of the service of a domain.
    Pin,
    /// Of a front-end to a node: to watch an account at its owner.
    WatchOn,
}

impl Call {
    const ALL: [Self; 10] = [
        Self::Perform,
        Self::Receive,
        Self::SigningKeys,
        Self::Published,
        Self::Watch,
        Self::Nudge,
        Self::PassOn,
        Self::PassedOn,
        Self::Pin,
        Self::WatchOn,
    ];

    pub(crate) const fn path(self) -> &'static str {
        match self {
            Self::Perform => "/mesh-link/1/perform",
            Self::Receive => "/mesh-link/1/receive",
            Self::SigningKeys => "/mesh-link/1/signing-keys",
            Self::Published => "/mesh-link/1/published",
            Self::Watch => "/mesh-link/1/watch",
            Self::Nudge => "/mesh-link/1/nudge",
            Self::PassOn => "/mesh-link/1/pass-on",
            Self::PassedOn => "/mesh-link/1/passed-on",
            Self::Pin => "/mesh-link/1/pin",
            Self::WatchOn => "/mesh-link/1/watch-on",
        }
    }

    pub(crate) fn of_path(path: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|call| call.path() == path)
    }

    /// Whether a process with `roles` may ask it (decision Q-61).
    ///
    /// Draft: Q-61 lets front-ends alone send what was verified. What a back-end passes on was verified by
    /// a front-end that showed it its certificate, and the back-end vouches for that with its own. It could
    /// do no more by lying than without: whoever may own partitions may write into them. For the same reason
    /// it may watch, and listen: it has the secrets of tickets that are told there.
    pub(crate) const fn is_for(self, roles: LinkRoles) -> bool {
        match self {
            Self::Perform
            | Self::Receive
            | Self::SigningKeys
            | Self::Published
            | Self::PassOn
            | Self::WatchOn
            | Self::Pin => roles.frontend,
            Self::Watch => may_listen(roles),
            Self::PassedOn => roles.backend,
            Self::Nudge => roles.any(),
        }
    }
}

/// Whether a process with `roles` may hear what a node tells: front-ends, and back-ends that watch for one.
pub(crate) const fn may_listen(roles: LinkRoles) -> bool {
    roles.frontend || roles.backend
}

/// The stream of events.
pub(crate) const EVENTS_PATH: &str = "/mesh-link/1/events";

// The version stands in the paths.
const _: () = assert!(VERSION == 1, "raise the paths with the version");

/// When an answer is of no use any more: milliseconds since 1970, in decimal digits.
pub(crate) const DEADLINE: HeaderName = HeaderName::from_static("mesh-deadline");
/// Sixteen octets that a process drew when it started, as hexadecimal digits: what its calls are counted
/// by.
pub(crate) const PROCESS: HeaderName = HeaderName::from_static("mesh-process");
/// The W3C trace context.
pub(crate) const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// The deadline had passed, and nothing was begun.
pub(crate) const LATE: StatusCode = StatusCode::REQUEST_TIMEOUT;
/// The role of whoever asks does not permit it.
pub(crate) const WRONG_ROLE: StatusCode = StatusCode::FORBIDDEN;
/// Nothing of this version or name can be asked here.
pub(crate) const UNKNOWN: StatusCode = StatusCode::NOT_FOUND;
/// The call cannot be read.
pub(crate) const UNREADABLE: StatusCode = StatusCode::BAD_REQUEST;
/// The call does not say how long it is.
pub(crate) const NO_LENGTH: StatusCode = StatusCode::LENGTH_REQUIRED;
/// The call is larger than any.
pub(crate) const TOO_LARGE: StatusCode = StatusCode::PAYLOAD_TOO_LARGE;
/// More streams than one node sends.
pub(crate) const NO_STREAM: StatusCode = StatusCode::TOO_MANY_REQUESTS;
/// What was to be passed on could not be brought to anybody, and nothing was carried out.
pub(crate) const NOT_PASSED_ON: StatusCode = StatusCode::BAD_GATEWAY;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_carry_the_version_and_name_one_call_each() {
        for call in Call::ALL {
            assert!(call.path().starts_with(&format!("/mesh-link/{VERSION}/")));
            assert_eq!(Call::of_path(call.path()), Some(call));
        }
        assert_eq!(Call::of_path("/mesh-link/2/perform"), None);
    }

    // Q-61
    #[test]
    fn only_front_ends_send_what_was_verified_and_back_ends_what_front_ends_sent_them() {
        let frontend = LinkRoles {
            frontend: true,
            ..LinkRoles::default()
        };
        let outbound = LinkRoles {
            outbound: true,
            ..LinkRoles::default()
        };
        let node = LinkRoles {
            backend: true,
            ..outbound
        };
        for call in Call::ALL {
            assert_eq!(call.is_for(frontend), call != Call::PassedOn);
            assert_eq!(
                call.is_for(node),
                matches!(call, Call::Nudge | Call::PassedOn | Call::Watch)
            );
            assert_eq!(call.is_for(outbound), call == Call::Nudge);
            assert!(!call.is_for(LinkRoles::default()));
        }
    }
}
