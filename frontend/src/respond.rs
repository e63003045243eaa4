//! From a response to HTTP: the only place that chooses an HTTP status (service §2.3).

use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderName, HeaderValue, RETRY_AFTER,
    WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use mesh_common::account::connect::Publication;
use mesh_common::dare::Envelope;
use mesh_common::encoding::{base64url, json};
use mesh_common::entropy::{Entropy, draw};
use mesh_common::error::ServiceError;
use mesh_common::limits::{RETRY_AFTER_SPREAD_MAX, RETRY_AFTER_SPREAD_SHARE};
use mesh_common::protocol::{Code, Outcome, Response, Transaction};

use crate::edge::EntropySource;

/// Says which preference was honoured (RFC 7240 §3).
const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");

/// A response on its way out, with what HTTP adds to it.
#[derive(Debug)]
pub(crate) struct Reply {
    body: Vec<u8>,
    http: u16,
    retry_after: Option<Duration>,
    allow: Option<&'static str>,
    wait: Option<Duration>,
}

impl Reply {
    /// A response in bare form.
    pub(crate) fn bare(response: &Response, mirror_status: bool) -> Self {
        Self::new(json::write(response), response.outcome(), mirror_status)
    }

    /// A response whose octets exist already, in bare form or sealed.
    pub(crate) fn new(body: Vec<u8>, outcome: &Outcome, mirror_status: bool) -> Self {
        Self {
            body,
            http: http_of(outcome, mirror_status),
            retry_after: None,
            allow: None,
            wait: None,
        }
    }

    /// A sealed response.
    pub(crate) fn sealed(envelope: &Envelope, outcome: &Outcome, mirror_status: bool) -> Self {
        Self::new(envelope.to_json(), outcome, mirror_status)
    }

    /// A refusal in bare form, for a transaction that is known or not.
    ///
    /// What could not even be read keeps its HTTP code whatever `mirror_status` says.
    pub(crate) fn refusal(
        transaction: Option<Transaction>,
        error: &ServiceError,
        mirror_status: bool,
    ) -> Self {
        let response = Response::refusal(transaction, error);
        let unread = matches!(
            error.code,
            Code::MethodNotAllowed
                | Code::UnsupportedMediaType
                | Code::Misdirected
                | Code::HeadersTooLarge
                | Code::TooLarge
        );
        let mut reply = Self::bare(&response, mirror_status || unread);
        reply.retry_after = error.retry_after;
        reply.allow = (error.code == Code::MethodNotAllowed).then_some("POST");
        reply
    }

    /// The refusal of a fetch, which is plain HTTP whatever `mirror_status` says.
    pub(crate) fn of_fetch(error: &ServiceError) -> Self {
        let mut reply = Self::refusal(None, error, true);
        reply.allow = reply.allow.map(|_| "GET, HEAD");
        reply
    }

    /// Adds how long to wait before trying again.
    pub(crate) const fn with_retry_after(mut self, wait: Option<Duration>) -> Self {
        self.retry_after = wait;
        self
    }

    /// Says that the request waited as it preferred, or would have (decision Q-38).
    pub(crate) const fn with_wait(mut self, time: Duration) -> Self {
        self.wait = Some(time);
        self
    }

    /// The HTTP status.
    pub(crate) const fn http(&self) -> u16 {
        self.http
    }

    /// The HTTP response. `Date` is added by the server; chance is asked only when somebody is to come again.
    pub(crate) fn into_http(self, chance: &EntropySource) -> HttpResponse {
        let status = StatusCode::from_u16(self.http).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut builder = HttpResponse::build(status);
        builder
            .insert_header((CONTENT_TYPE, HeaderValue::from_static("application/json")))
            .insert_header((CACHE_CONTROL, HeaderValue::from_static("no-store")));
        if status == StatusCode::UNAUTHORIZED {
            builder.insert_header((WWW_AUTHENTICATE, HeaderValue::from_static("Mesh")));
        }
        if let Some(methods) = self.allow {
            builder.insert_header((ALLOW, HeaderValue::from_static(methods)));
        }
        if let Some(wait) = self.retry_after {
            builder.insert_header((RETRY_AFTER, come_again(wait, &mut *chance())));
        }
        if let Some(time) = self.wait {
            let applied = format!("wait={}", time.as_secs());
            builder.insert_header((PREFERENCE_APPLIED, applied));
        }
        builder.body(self.body)
    }
}

/// In how many seconds to come again: not before `wait` is over, and some time later by chance.
fn come_again(wait: Duration, entropy: &mut dyn Entropy) -> u64 {
    let least = wait.as_millis().div_ceil(1_000).max(1) as u64;
    let more = least.div_ceil(RETRY_AFTER_SPREAD_SHARE);
    let more = more.min(RETRY_AFTER_SPREAD_MAX.as_secs());
    least + u64::from_le_bytes(draw(entropy)) % (more + 1)
}

/// How long caches may keep what was published, in seconds.
const PUBLISHED_KEPT: &str = "public, max-age=300";
/// Octets of a digest that tell one content from the next.
const TAG_BYTES: usize = 24;

/// Something published, or that the asker has it: `known` is its `If-None-Match`.
pub(crate) fn published(publication: Publication, known: Option<&str>) -> HttpResponse {
    let digest = &publication.digest[..TAG_BYTES];
    let tag = format!("\"{}\"", base64url::encode(digest));
    let is_known = known.is_some_and(|known| {
        let mut tags = known.split(',').map(str::trim);
        tags.any(|one| one == "*" || one.trim_start_matches("W/") == tag)
    });
    let status = if is_known {
        StatusCode::NOT_MODIFIED
    } else {
        StatusCode::OK
    };
    let mut builder = HttpResponse::build(status);
    builder
        .insert_header((CACHE_CONTROL, HeaderValue::from_static(PUBLISHED_KEPT)))
        .insert_header((ETAG, tag));
    if is_known {
        return builder.finish();
    }
    // Whatever it is, no browser is to guess it and show it as ours.
    let of_no_kind = HeaderValue::from_static("application/octet-stream");
    builder
        .insert_header((CONTENT_TYPE, of_no_kind))
        .insert_header((X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")))
        .body(publication.content)
}

fn http_of(outcome: &Outcome, mirror_status: bool) -> u16 {
    let status = outcome.status.unwrap_or_else(|| Code::Internal.status());
    match status {
        300..400 => 200,
        _ if mirror_status => status,
        _ => 200,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use mesh_common::entropy::SeededEntropy;

    use super::*;

    #[test]
    fn those_who_were_sent_away_together_do_not_come_back_together() {
        let mut entropy = SeededEntropy::new(1);
        for (wait_ms, least, most) in [
            (0, 1, 2),
            (1, 1, 2),
            (1_000, 1, 2),
            (2_000, 2, 3),
            (2_001, 3, 5),
            (7_000, 7, 11),
            (60_000, 60, 90),
            (600_000, 600, 630),
        ] {
            let wait = Duration::from_millis(wait_ms);
            let told: BTreeSet<u64> = (0..1_000).map(|_| come_again(wait, &mut entropy)).collect();
            let all: BTreeSet<u64> = (least..=most).collect();
            assert_eq!(told, all, "{wait_ms} ms");
        }
    }
}
