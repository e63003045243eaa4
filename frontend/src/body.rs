//! Reading a body within its bound, and telling its form: bare JSON or an envelope
//! (service §2.2, decisions ).
//!
//! A body arrives within [`BODY_TIME`], which is time for 64 KiB at the usual pace, or keeps that pace (cluster §14):
//! whoever sends an octet now and then holds a connection for five seconds. Where a setting asks for less, there is
//! time for 64 KiB at that pace. The time for the whole
//! request (service §8) bounds both, so that the largest body needs some 70 KiB a second.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::web::{Bytes, BytesMut, Payload};
use futures_util::{Stream, StreamExt};
use mesh_common::error::ServiceError;
use mesh_common::limits::{
    BODY_BARE_BYTES_MAX, BODY_HELLO_BYTES_MAX, BODY_SEALED_BYTES_MAX, BODY_TIME,
    BODY_UNHURRIED_BYTES, BODY_UNPACED, DISCARD_BYTES_MAX, DISCARD_TIME_MAX,
};
use mesh_common::protocol::Code;
use tokio::time::{Instant, timeout_at};

use crate::admission::Room;
use crate::config::FrontendConfig;

/// The two forms a body has, told by its first octet that is no white space.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// `{`: one object with one member.
    Bare,
    /// `[`: an envelope.
    Envelope,
}

/// What bounds a body, apart from its form.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// Octets of a bare body.
    pub(crate) bare_bytes_max: usize,
    /// Time for the whole body to arrive, at whatever pace.
    pub(crate) time_max: Duration,
    /// Octets per second, on average, of a body that takes its time.
    pub(crate) bytes_per_second_min: u32,
}

/// The parts of a body, as they arrive.
pub(crate) trait Parts<E>: Stream<Item = Result<Bytes, E>> + Unpin {}

impl<E, P: Stream<Item = Result<Bytes, E>> + Unpin> Parts<E> for P {}

impl Bounds {
    /// The usual bounds, or those of interop mode (decision Q-39).
    pub(crate) const fn new(config: &FrontendConfig) -> Self {
        Self {
            bare_bytes_max: if config.interop.bare_json.is_some() {
                BODY_SEALED_BYTES_MAX
            } else {
                BODY_BARE_BYTES_MAX
            },
            time_max: Duration::from_millis(config.http.request_ms),
            bytes_per_second_min: config.http.body_bytes_per_second_min,
        }
    }

    /// The time since the beginning of the body by which more than `octets` of it must have arrived.
    fn time_for(self, octets: usize) -> Duration {
        let octets = u32::try_from(octets.max(BODY_UNHURRIED_BYTES)).unwrap_or(u32::MAX);
        let paced = Duration::from_secs(1) * octets / self.bytes_per_second_min;
        (BODY_UNPACED + paced).max(BODY_TIME).min(self.time_max)
    }

    const fn for_form(self, form: Option<Form>) -> usize {
        match form {
            Some(Form::Envelope) => BODY_SEALED_BYTES_MAX,
            Some(Form::Bare) | None => self.bare_bytes_max,
        }
    }
}

/// Reads the whole body.
///
/// `announced` is the Content-Length, if there is one: a body that announces too much is refused
/// before it is read. After a refusal for size, some of the rest is read and thrown away, so that a
/// client that writes first and reads later sees the answer (decision Q-43). `room` is the memory the
/// body takes, to be held for as long as the body.
///
/// # Errors
/// 413 over the bound, 408 when the body takes too long, 400 when it breaks off, 503 when there is no
/// room.
pub(crate) async fn read<E: std::fmt::Display>(
    payload: &mut impl Parts<E>,
    announced: Option<u64>,
    bounds: Bounds,
    room: &mut Room<'_>,
) -> Result<Bytes, ServiceError> {
    let outcome = read_bounded(payload, announced, bounds, room).await;
    if matches!(&outcome, Err(error) if error.code == Code::TooLarge) {
        discard(payload).await;
    }
    outcome
}

async fn read_bounded<E: std::fmt::Display>(
    payload: &mut impl Parts<E>,
    announced: Option<u64>,
    bounds: Bounds,
    room: &mut Room<'_>,
) -> Result<Bytes, ServiceError> {
    if announced.is_some_and(|length| length > BODY_SEALED_BYTES_MAX as u64) {
        return Err(too_large(BODY_SEALED_BYTES_MAX));
    }
    let capacity = announced.map_or(0, |length| (length as usize).min(BODY_BARE_BYTES_MAX));
    room.grow_to(capacity)?;
    let mut body = BytesMut::with_capacity(capacity);
    let mut bytes_max = BODY_SEALED_BYTES_MAX;
    let begun = Instant::now();
    loop {
        let until = begun + bounds.time_for(body.len());
        let next = timeout_at(until, payload.next()).await;
        let Some(part) = next.map_err(|_| too_slow())? else {
            return Ok(body.freeze());
        };
        let part = part.map_err(|error| {
            ServiceError::new(Code::Malformed, "the request broke off").with_context(error)
        })?;
        room.grow_to(body.len() + part.len())?;
        body.extend_from_slice(&part);
        if bytes_max == BODY_SEALED_BYTES_MAX && form(&body).is_some() {
            bytes_max = bounds.for_form(form(&body));
        }
        if body.len() > bytes_max {
            return Err(too_large(bytes_max));
        }
    }
}

fn too_slow() -> ServiceError {
    ServiceError::new(Code::Timeout, "the request took too long to arrive")
}

/// Reads and throws away what is left, within [`DISCARD_BYTES_MAX`] and [`DISCARD_TIME_MAX`].
async fn discard<E>(payload: &mut impl Parts<E>) {
    let rest = async {
        let mut discarded = 0;
        while let Some(Ok(part)) = payload.next().await {
            discarded += part.len();
            if discarded > DISCARD_BYTES_MAX {
                break;
            }
        }
    };
    let within: Duration = DISCARD_TIME_MAX;
    // Running out of time only means that the connection closes on unread octets.
    drop(tokio::time::timeout(within, rest).await);
}

/// The body of an answer to a request whose own body was not read to its end.
///
/// As long as somebody holds that, the server closes the connection behind the answer. If nobody did, it would read on
/// to the end of a body that was announced by no length, however long that takes to come.
pub(crate) struct Unread {
    answer: BoxBody,
    _rest: Payload,
}

impl Unread {
    /// Has the connection closed after `response`.
    pub(crate) fn close_after(response: HttpResponse, rest: Payload) -> HttpResponse {
        response.map_body(|_, answer| {
            let body = Self {
                answer,
                _rest: rest,
            };
            BoxBody::new(body)
        })
    }
}

impl MessageBody for Unread {
    type Error = <BoxBody as MessageBody>::Error;

    fn size(&self) -> BodySize {
        self.answer.size()
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Pin::new(&mut self.answer).poll_next(context)
    }
}

/// The form of a body, by its first octet that is no white space.
pub(crate) fn form(body: &[u8]) -> Option<Form> {
    match body.iter().find(|octet| !octet.is_ascii_whitespace())? {
        b'{' => Some(Form::Bare),
        b'[' => Some(Form::Envelope),
        _ => None,
    }
}

/// Refuses a bare Hello that is larger than any Hello (decision Q-4).
///
/// # Errors
/// 413 above [`BODY_HELLO_BYTES_MAX`].
pub(crate) fn check_hello(body: &[u8]) -> Result<(), ServiceError> {
    if body.len() > BODY_HELLO_BYTES_MAX {
        return Err(too_large(BODY_HELLO_BYTES_MAX));
    }
    Ok(())
}

fn too_large(bytes_max: usize) -> ServiceError {
    ServiceError::new(
        Code::TooLarge,
        format!("the request is larger than {bytes_max} octets"),
    )
}

#[cfg(test)]
mod tests {
    use std::io;

    use futures_util::stream::unfold;

    use mesh_common::limits::BODY_BYTES_PER_SECOND_MIN;

    use super::*;
    use crate::admission::Admission;
    use crate::config::HttpConfig;

    const ALL: Duration = Duration::from_secs(30);
    const PER_SECOND: usize = BODY_BYTES_PER_SECOND_MIN as usize;

    /// The bounds that these settings make.
    fn bounds(http: HttpConfig) -> Bounds {
        Bounds::new(&FrontendConfig {
            http,
            ..FrontendConfig::default()
        })
    }

    #[test]
    fn the_first_octet_tells_the_form() {
        assert_eq!(form(b" \n{}"), Some(Form::Bare));
        assert_eq!(form(b"\t[{}]"), Some(Form::Envelope));
        assert_eq!(form(b"x"), None);
        assert_eq!(form(b"  "), None);
    }

    #[test]
    fn a_body_has_five_seconds_or_as_long_as_it_keeps_the_pace() {
        let usual = bounds(HttpConfig::default());
        let seconds = Duration::from_secs;
        for (octets, time) in [
            (0, seconds(5)),
            (64 * 1024, seconds(5)),
            (80 * 1024, seconds(6)),
            (29 * PER_SECOND, ALL),
            (BODY_SEALED_BYTES_MAX, ALL),
        ] {
            assert_eq!(usual.time_for(octets), time, "{octets} octets");
        }
        assert!(usual.time_for(64 * 1024 + 1) > seconds(5));
        let in_a_hurry = bounds(HttpConfig {
            request_ms: 2_000,
            ..HttpConfig::default()
        });
        assert_eq!(in_a_hurry.time_for(0), seconds(2), "a setting lowers it");
    }

    #[test]
    fn behind_slow_links_a_slower_pace_can_be_set_and_elsewhere_a_faster_one() {
        let at = |bytes_per_second_min| {
            bounds(HttpConfig {
                body_bytes_per_second_min: bytes_per_second_min,
                ..HttpConfig::default()
            })
        };
        let seconds = Duration::from_secs;
        let slow = at(4 * 1024);
        for (octets, time) in [(0, 17), (64 * 1024, 17), (80 * 1024, 21), (1 << 20, 30)] {
            assert_eq!(slow.time_for(octets), seconds(time), "{octets} octets");
        }
        assert_eq!(at(1).time_for(0), ALL, "a whole request ends it");
        let fast = at(256 * 1024);
        for (octets, time) in [(0, 5), (1 << 20, 5), (2 << 20, 9)] {
            assert_eq!(fast.time_for(octets), seconds(time), "{octets} octets");
        }
    }

    /// An envelope of so many parts of such a size, each of which takes so long to come.
    fn parts(
        count: usize,
        bytes: usize,
        pause: Duration,
    ) -> Pin<Box<impl Stream<Item = Result<Bytes, io::Error>>>> {
        Box::pin(unfold(0, move |number| async move {
            if number == count {
                return None;
            }
            tokio::time::sleep(pause).await;
            Some((Ok(Bytes::from(vec![b'['; bytes])), number + 1))
        }))
    }

    /// What comes of reading such a body, and after which time.
    async fn read_of(count: usize, bytes: usize, pause: Duration) -> (Result<usize, Code>, f32) {
        let door = Admission::new(&FrontendConfig::default());
        let begun = Instant::now();
        let bounds = bounds(HttpConfig::default());
        let mut parts = parts(count, bytes, pause);
        let body = read(&mut parts, None, bounds, &mut door.room()).await;
        let outcome = body.map(|body| body.len()).map_err(|error| error.code);
        (outcome, begun.elapsed().as_secs_f32().round())
    }

    // Time passes by itself here, as far as the next thing that waits for it.
    #[tokio::test(start_paused = true)]
    async fn who_sends_an_octet_now_and_then_is_cut_off_after_five_seconds() {
        let now_and_then = Duration::from_millis(900);
        let (outcome, after) = read_of(1_000, 1, now_and_then).await;
        assert_eq!((outcome, after), (Err(Code::Timeout), 5.0));
        let (outcome, after) = read_of(1, 1, Duration::from_secs(3_600)).await;
        assert_eq!((outcome, after), (Err(Code::Timeout), 5.0), "or nothing");
    }

    #[tokio::test(start_paused = true)]
    async fn a_small_body_may_take_its_time() {
        let (outcome, after) = read_of(4, 1, Duration::from_millis(1_200)).await;
        assert_eq!((outcome, after), (Ok(4), 5.0));
    }

    #[tokio::test(start_paused = true)]
    async fn a_large_body_goes_on_as_long_as_it_keeps_the_pace() {
        let second = Duration::from_secs(1);
        let (outcome, after) = read_of(20, PER_SECOND, second).await;
        assert_eq!((outcome, after), (Ok(20 * PER_SECOND), 20.0));
        let slower = PER_SECOND * 3 / 4;
        let (outcome, after) = read_of(20, slower, second).await;
        // Of 16 KiB after the first second there are but twelve: behind from the first look on.
        assert_eq!((outcome, after), (Err(Code::Timeout), 5.0));
    }

    #[tokio::test(start_paused = true)]
    async fn no_body_takes_longer_than_a_request_may() {
        let (outcome, after) = read_of(100, PER_SECOND, Duration::from_secs(1)).await;
        assert_eq!((outcome, after), (Err(Code::Timeout), 30.0));
    }
}
