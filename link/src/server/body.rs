//! Bodies: of calls as they are read, of answers as they are sent.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::sync::mpsc;

/// Room that is made for a body because of its announced length alone.
const ROOM_MAX: usize = 64 * 1024;

/// What is sent.
#[derive(Debug)]
pub(crate) enum AnswerBody {
    /// One piece.
    Whole(Bytes),
    /// Line after line, for as long as somebody writes them.
    Lines(mpsc::Receiver<Bytes>),
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.get_mut() {
            Self::Whole(octets) if octets.is_empty() => Poll::Ready(None),
            Self::Whole(octets) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(octets))))),
            Self::Lines(lines) => lines
                .poll_recv(context)
                .map(|line| line.map(|line| Ok(Frame::data(line)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole(octets) if octets.is_empty())
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(octets) => SizeHint::with_exact(octets.len() as u64),
            Self::Lines(_) => SizeHint::default(),
        }
    }
}

/// Reads a body of exactly `length` octets; what comes in one piece is not copied.
pub(crate) async fn read(mut body: Incoming, length: usize) -> Result<Bytes, hyper::Error> {
    let mut whole = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else {
            continue;
        };
        if whole.is_empty() && data.len() == length {
            return Ok(data);
        }
        if whole.is_empty() {
            whole.reserve(length.min(ROOM_MAX));
        }
        whole.extend_from_slice(&data);
    }
    Ok(whole.freeze())
}
