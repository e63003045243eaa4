//! Listening to what the node tells: the stream is opened, and opened again for as long as the link lives.

use std::sync::Arc;

use bytes::{Buf, BytesMut};
use hyper::StatusCode;
use hyper::body::Incoming;
use mesh_common::cluster::Told;
use mesh_common::cluster::wire::VERSION;
use mesh_common::cluster::wire::event::{Event, Greeting};
use mesh_common::limits::{
    LINK_CONNECT_TIME_MAX, LINK_EVENT_BYTES_MAX, LINK_EVENTS_SILENCE_MAX, LINK_REOPEN_PAUSE_MAX,
    LINK_REOPEN_PAUSE_MIN, LINK_SWEEP_INTERVAL,
};
use tokio::time::{Instant, timeout};

use super::connection::Open;
use super::{Core, HttpAnswer, reason};
use crate::link::LinkFailure;

/// Why a stream is not heard any more.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Lost {
    #[error("{0}")]
    Link(#[from] LinkFailure),
    #[error("{0}")]
    Event(#[from] mesh_common::cluster::wire::event::EventError),
    #[error("the node ended it")]
    Ended,
    #[error("a line of more than {LINK_EVENT_BYTES_MAX} octets")]
    TooLong,
    #[error("silent for {LINK_EVENTS_SILENCE_MAX:?}")]
    Silent,
    #[error("the node speaks versions {0} to {1} of the link, this process {VERSION}")]
    Version(u16, u16),
    #[error("it did not begin with a greeting and what there is to tell")]
    NoGreeting,
}

/// Listens for as long as it is not aborted.
pub(super) async fn listen(core: Arc<Core>) {
    let mut pause = LINK_REOPEN_PAUSE_MIN;
    loop {
        let opened_before = core.heard.borrow().opened;
        let lost = match core.hear().await {
            Ok(never) => match never {},
            Err(lost) => lost,
        };
        let was_open = core.heard.borrow().opened > opened_before;
        core.watches.close();
        core.heard
            .send_if_modified(|heard| std::mem::take(&mut heard.is_open));
        core.tell_all();
        tracing::info!(node = core.address, %lost, was_open, "a node is not heard");
        if was_open {
            pause = LINK_REOPEN_PAUSE_MIN;
        }
        if matches!(lost, Lost::Silent) {
            // Whatever goes over connections of before may wait for an answer until its deadline.
            core.pool.clear();
        }
        core.pool.sweep(core.process.reloads(), Instant::now());
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LINK_REOPEN_PAUSE_MAX);
    }
}

/// There is no value of it: listening only ever ends by a loss.
pub(crate) enum Never {}

/// Lines out of pieces.
struct Lines {
    open: Open,
    body: Incoming,
    buffer: BytesMut,
}

impl Lines {
    async fn next(&mut self) -> Result<Event, Lost> {
        loop {
            if let Some(end) = self.buffer.iter().position(|octet| *octet == b'\n') {
                let line = self.buffer.split_to(end);
                self.buffer.advance(1);
                return Ok(Event::from_line(&line)?);
            }
            if self.buffer.len() > LINK_EVENT_BYTES_MAX {
                return Err(Lost::TooLong);
            }
            let piece = timeout(LINK_EVENTS_SILENCE_MAX, self.open.piece(&mut self.body)).await;
            let piece = piece.map_err(|_| Lost::Silent)??.ok_or(Lost::Ended)?;
            self.buffer.extend_from_slice(&piece);
        }
    }
}

impl Core {
    /// Opens a stream and listens to it for as long as it lasts.
    pub(crate) async fn hear(&self) -> Result<Never, Lost> {
        let mut lines = self.open_stream().await?;
        let greeting = match lines.next().await? {
            Event::Greeting(greeting) => greeting,
            Event::Told(_) | Event::Changed(_) | Event::Alive {} => return Err(Lost::NoGreeting),
        };
        let (lowest, highest) = greeting.versions;
        if !(lowest..=highest).contains(&VERSION) {
            return Err(Lost::Version(lowest, highest));
        }
        let mut told = match lines.next().await? {
            Event::Told(news) => news.onto(&Told::default())?,
            Event::Greeting(_) | Event::Changed(_) | Event::Alive {} => {
                return Err(Lost::NoGreeting);
            }
        };
        self.begin(&greeting, told.clone());
        let watched = async {
            // What is watched already is watched in this stream as well; then everybody looks, for
            // what changed meanwhile.
            self.watch_again().await;
            self.changes.tell_all();
            loop {
                tokio::time::sleep(LINK_SWEEP_INTERVAL).await;
                self.sweep_watches().await;
                self.pool.sweep(self.process.reloads(), Instant::now());
            }
        };
        let heard = async {
            loop {
                match lines.next().await {
                    Ok(Event::Told(news)) => match news.onto(&told) {
                        Ok(now) => {
                            told = now;
                            self.heard.send_modify(|heard| heard.told = told.clone());
                        }
                        Err(error) => return Lost::from(error),
                    },
                    Ok(Event::Changed(numbers)) => self.tell(&numbers),
                    Ok(Event::Alive {}) => {}
                    Ok(Event::Greeting(_)) => return Lost::NoGreeting,
                    Err(lost) => return lost,
                }
            }
        };
        tokio::select! {
            lost = heard => Err(lost),
            never = watched => never,
        }
    }

    async fn open_stream(&self) -> Result<Lines, Lost> {
        let mut open = self.dial(Instant::now() + LINK_CONNECT_TIME_MAX).await?;
        let request = self.request(&Self::listening());
        let mut begun = false;
        let sent = timeout(LINK_EVENTS_SILENCE_MAX, open.send(request, &mut begun)).await;
        let (head, mut body) = sent.map_err(|_| Lost::Silent)??.into_parts();
        if head.status != StatusCode::OK {
            let said = open.piece(&mut body).await?.unwrap_or_default();
            let answer = HttpAnswer {
                status: head.status,
                body: said,
            };
            return Err(LinkFailure::Refused(reason(&answer)).into());
        }
        Ok(Lines {
            open,
            body,
            buffer: BytesMut::new(),
        })
    }

    /// The stream is open, and what the node has to tell is told.
    fn begin(&self, greeting: &Greeting, told: Told) {
        self.watches.open(greeting.stream);
        self.heard.send_modify(|heard| {
            heard.is_open = true;
            heard.opened += 1;
            heard.told = told;
        });
        tracing::info!(node = self.address, "a node is heard");
    }
}
