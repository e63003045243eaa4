//! What a peer's answer to a Post says, in the words of [`End`] (service §3 and §5.7, decision Q-64).

use std::time::Duration;

use mesh_common::address::canonical_domain;
use mesh_common::delivery::{Answered, End};
use mesh_common::limits::PEER_TEXT_BYTES_MAX;
use mesh_common::protocol::{Code, EntryResult, Response};

use crate::connections::HttpAnswer;
use crate::locator::Place;
use crate::settings::host_and_port;

/// An authenticated answer.
#[derive(Debug)]
pub(crate) struct Carried {
    pub(crate) response: Response,
    pub(crate) retry_after: Option<Duration>,
}

/// An answer that is no authenticated one. `status` is the Mesh status, where it has one that anybody could
/// have written: it says more than HTTP's.
pub(crate) const fn foreign(answer: &HttpAnswer, status: Option<u16>) -> End {
    End::Foreign {
        http: match status {
            Some(status) => status,
            None => answer.status,
        },
        retry_after: answer.retry_after,
    }
}

/// What the service answered, of the message.
pub(crate) fn answered(carried: &Carried) -> Answered {
    let outcome = carried.response.outcome();
    let (status, extended) = match row(&carried.response) {
        Some(code) if outcome.is_success() => (code.status(), code.status_extended()),
        _ => (
            outcome.status.unwrap_or_else(|| Code::Internal.status()),
            outcome.status_extended,
        ),
    };
    Answered {
        status,
        extended,
        text: sentence(outcome.status_description.as_deref().unwrap_or("")),
        retry_after: carried.retry_after,
    }
}

/// What the row of the message says, if it is not that it was accepted.
fn row(response: &Response) -> Option<Code> {
    let Response::Post(post) = response else {
        return None;
    };
    match post.entries.first()?.result? {
        EntryResult::Accept => None,
        EntryResult::Reject => Some(Code::Refused),
        EntryResult::Conflict => Some(Code::Conflict),
    }
}

/// A peer's sentence as it is kept: short, on one line.
fn sentence(text: &str) -> String {
    let mut kept = String::new();
    for character in text.chars().filter(|character| !character.is_control()) {
        if kept.len() + character.len_utf8() > PEER_TEXT_BYTES_MAX {
            break;
        }
        kept.push(character);
    }
    kept
}

/// Where the account is, if the service says that it is elsewhere (303, 307): `https://host`, with a port
/// perhaps.
pub(crate) fn redirection(response: &Response) -> Option<Place> {
    let outcome = response.outcome();
    let (Some(Code::RedirectPermanent | Code::RedirectTemporary), Some(uri)) =
        (outcome.code(), outcome.status_description.as_deref())
    else {
        return None;
    };
    let authority = uri.strip_prefix("https://")?;
    let authority = authority
        .split_once('/')
        .map_or(authority, |(authority, _)| authority);
    let (host, port) = match host_and_port(authority) {
        Some(place) => place,
        None => (canonical_domain(authority).ok()?, 443),
    };
    Some(Place::Host { host, port })
}

#[cfg(test)]
mod tests {
    use mesh_common::protocol::{EntryResponse, Outcome, PostResponse};

    use super::*;

    fn carried(outcome: Outcome, result: Option<EntryResult>) -> Carried {
        Carried {
            response: Response::Post(PostResponse {
                outcome,
                entries: vec![EntryResponse {
                    result,
                    ..EntryResponse::default()
                }],
                constraints_data: None,
            }),
            retry_after: None,
        }
    }

    fn outcome(status: u16, extended: Option<u16>, text: &str) -> Outcome {
        Outcome {
            status: Some(status),
            status_extended: extended,
            status_description: Some(text.to_owned()),
            id: None,
        }
    }

    #[test]
    fn the_row_of_the_message_says_more_than_a_success() {
        let accepted = answered(&carried(
            outcome(201, None, "ok"),
            Some(EntryResult::Accept),
        ));
        assert_eq!((accepted.status, accepted.extended), (201, None));
        let rejected = answered(&carried(
            outcome(201, None, "ok"),
            Some(EntryResult::Reject),
        ));
        assert_eq!((rejected.status, rejected.extended), (403, Some(5)));
        let missing = answered(&carried(
            outcome(404, Some(6), "no"),
            Some(EntryResult::Reject),
        ));
        assert_eq!((missing.status, missing.extended), (404, Some(6)));
        let silent = answered(&carried(Outcome::default(), None));
        assert_eq!(silent.status, 500);
    }

    #[test]
    fn a_sentence_is_kept_short_and_on_one_line() {
        let long = format!("a\r\nb\u{7}{}", "\u{fc}".repeat(PEER_TEXT_BYTES_MAX));
        let kept = sentence(&long);
        assert!(kept.starts_with("ab\u{fc}"));
        assert_eq!(kept.len(), PEER_TEXT_BYTES_MAX);
    }

    #[test]
    fn a_redirection_names_a_host_and_perhaps_a_port() {
        let place = |status, text| {
            redirection(&carried(outcome(status, Some(7), text), None).response)
                .map(|place| place.key())
        };
        assert_eq!(
            place(303, "https://mmm.example.net").as_deref(),
            Some("mmm.example.net:443")
        );
        assert_eq!(
            place(307, "https://Example.net:8443/x").as_deref(),
            Some("example.net:8443")
        );
        for (status, text) in [
            (303, "http://example.net"),
            (303, "example.net"),
            (303, "https://"),
            (303, "https://user@example.net"),
            (201, "https://example.net"),
        ] {
            assert_eq!(place(status, text), None, "{text}");
        }
    }
}
