//! `Prefer: wait=N; known="…"`: for how long a Status may wait, and what the one who asks knows
//! already (RFC 7240, architecture A-14, design note 0004).

use std::time::Duration;

use actix_web::http::header::{HeaderMap, HeaderName};
use mesh_common::limits::POLL_TIME_MAX;
use mesh_common::protocol::KnownState;

/// The header, as the library's map wants it.
const PREFER: HeaderName = HeaderName::from_static("prefer");

/// A wait that is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wait {
    /// For how long, within [`POLL_TIME_MAX`]; whole seconds.
    pub(crate) time: Duration,
    /// What is no news.
    pub(crate) known: KnownState,
}

/// The wait that `headers` ask for. Only the first `wait` counts (RFC 7240 §2). One that does not read,
/// or does not say what is known, is none: its request is answered at once.
pub(crate) fn wait(headers: &HeaderMap) -> Option<Wait> {
    let preferences = headers
        .get_all(&PREFER)
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| split(value, b','));
    for preference in preferences {
        let mut parts = split(preference, b';').map(name_and_value);
        let Some((name, value)) = parts.next() else {
            continue;
        };
        if !name.eq_ignore_ascii_case("wait") {
            continue;
        }
        let seconds: u64 = value.parse().ok().filter(|&seconds| seconds > 0)?;
        let known = parts.find(|(name, _)| name.eq_ignore_ascii_case("known"))?;
        return Some(Wait {
            time: Duration::from_secs(seconds).min(POLL_TIME_MAX),
            known: known.1.parse().ok()?,
        });
    }
    None
}

/// The pieces of `text` between separators that stand in no quoted string.
fn split(text: &str, separator: u8) -> impl Iterator<Item = &str> {
    let mut is_quoted = false;
    text.split(move |letter| {
        is_quoted ^= letter == '"';
        !is_quoted && letter == char::from(separator)
    })
}

/// `name=value`, where the value may be quoted. Nothing that is read here needs an escape.
fn name_and_value(part: &str) -> (&str, &str) {
    let (name, value) = part.split_once('=').unwrap_or((part, ""));
    (name.trim(), value.trim().trim_matches('"'))
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    const KNOWN: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";

    fn read(values: &[&str]) -> Option<u64> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(PREFER, HeaderValue::from_str(value).unwrap());
        }
        let wait = wait(&headers)?;
        assert_eq!(wait.known.to_string(), KNOWN);
        Some(wait.time.as_secs())
    }

    #[test]
    fn a_wait_is_read_in_every_form_the_rfc_has() {
        for (text, seconds) in [
            (format!("wait=25; known=\"{KNOWN}\""), 25),
            (format!("Wait = \"25\" ;Known={KNOWN}"), 25),
            (
                format!("respond-async, wait=10;a;known={KNOWN} , x=\"1,2\""),
                10,
            ),
            (format!("note=\"wait=3, x\", wait=10;known={KNOWN}"), 10),
            (format!("wait=60;known={KNOWN}"), 60),
            (format!("wait=61;known={KNOWN}"), 60),
            (format!("wait=18446744073709551615;known={KNOWN}"), 60),
        ] {
            assert_eq!(read(&[&text]), Some(seconds), "{text}");
        }
        let first = format!("wait=5;known={KNOWN}");
        assert_eq!(read(&["return=minimal", &first, "wait=9"]), Some(5));
    }

    #[test]
    fn what_asks_for_no_wait_or_says_not_what_is_known_waits_not() {
        for text in [
            "",
            "wait",
            "wait=25",
            "respond-async",
            &format!("wait=0;known={KNOWN}"),
            &format!("wait=-1;known={KNOWN}"),
            &format!("wait=2.5;known={KNOWN}"),
            &format!("wait=18446744073709551616;known={KNOWN}"),
            &format!("waiting=5;known={KNOWN}"),
            &format!("wait=25, known={KNOWN}"),
            "wait=25;known=AAAA",
            "wait=25;known=\"",
        ] {
            assert_eq!(read(&[text]), None, "{text}");
        }
        let second = format!("wait=5;known={KNOWN}");
        assert_eq!(read(&["wait=9", &second]), None, "the first one counts");
    }
}
