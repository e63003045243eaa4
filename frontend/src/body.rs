//! Reading a body within its bound, and telling its form: bare JSON or an envelope
//! (service §2.2, decisions ).

use std::time::Duration;

use actix_web::web::{Bytes, BytesMut, Payload};
use futures_util::StreamExt;
use mesh_common::error::ServiceError;
use mesh_common::limits::{
    BODY_BARE_BYTES_MAX, BODY_HELLO_BYTES_MAX, BODY_SEALED_BYTES_MAX, DISCARD_BYTES_MAX,
    DISCARD_TIME_MAX,
};
use mesh_common::protocol::Code;

use crate::admission::Room;

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
    /// Time for the whole body to arrive.
    pub(crate) time_max: Duration,
}

impl Bounds {
    /// The usual bounds, or those of interop mode (decision Q-39).
    pub(crate) const fn new(interop: bool, time_max: Duration) -> Self {
        Self {
            bare_bytes_max: if interop {
                BODY_SEALED_BYTES_MAX
            } else {
                BODY_BARE_BYTES_MAX
            },
            time_max,
        }
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
pub(crate) async fn read(
    payload: &mut Payload,
    announced: Option<u64>,
    bounds: Bounds,
    room: &mut Room<'_>,
) -> Result<Bytes, ServiceError> {
    let reading = read_bounded(payload, announced, bounds, room);
    let reading = tokio::time::timeout(bounds.time_max, reading);
    let outcome = reading.await.unwrap_or_else(|_| {
        Err(ServiceError::new(
            Code::Timeout,
            "the request took too long to arrive",
        ))
    });
    if matches!(&outcome, Err(error) if error.code == Code::TooLarge) {
        discard(payload).await;
    }
    outcome
}

async fn read_bounded(
    payload: &mut Payload,
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
    while let Some(part) = payload.next().await {
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
    Ok(body.freeze())
}

/// Reads and throws away what is left, within [`DISCARD_BYTES_MAX`] and [`DISCARD_TIME_MAX`].
async fn discard(payload: &mut Payload) {
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
    use super::*;

    #[test]
    fn the_first_octet_tells_the_form() {
        assert_eq!(form(b" \n{}"), Some(Form::Bare));
        assert_eq!(form(b"\t[{}]"), Some(Form::Envelope));
        assert_eq!(form(b"x"), None);
        assert_eq!(form(b"  "), None);
    }
}
