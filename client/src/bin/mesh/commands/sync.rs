//! `mesh sync`: exchange what is new, ask about collisions, and with `--watch` stay.

use std::fmt::Write as _;
use std::io::{self, Write as _};

use mesh_client::changes::{self, Decisions};
use mesh_client::limits::{POLL_TIME, UNHELD_PAUSE};
use mesh_client::messages::Exchange;
use mesh_client::sync::SyncedContainer;
use mesh_client::waiting::News;
use mesh_client::watch::{Backoff, Poll, is_passing};
use mesh_client::{Client, ClientError};
use serde_json::json;

use super::device::pins_text;
use super::messages::{named, sender};
use super::{open, open_with, resolve};
use crate::args::{Global, Keep, Sync};
use crate::failure::Failure;
use crate::output::{Done, columns, counted, plain};

pub(super) async fn sync(global: &Global, sync: &Sync) -> Result<Done, Failure> {
    let keep = sync.keep.map(|keep| match keep {
        Keep::Mine => changes::Keep::Mine,
        Keep::Theirs => changes::Keep::Theirs,
    });
    let decisions = Decisions::from(keep);
    if sync.watch {
        return watch(global, &decisions).await;
    }
    let mut client = open(global)?;
    let exchange = asking(&mut client, decisions).await?;
    let done = Done::new(text_of(&exchange), &exchange);
    Ok(if exchange.rejected.is_empty() {
        done
    } else {
        done.refused()
    })
}

/// Exchanges, and asks about collisions where there is a terminal.
async fn asking(client: &mut Client, mut decisions: Decisions) -> Result<Exchange, Failure> {
    loop {
        match client.exchange(&decisions).await {
            Err(ClientError::Collisions(collisions)) => {
                if !resolve::ask(&collisions, &mut decisions)? {
                    return Err(ClientError::Collisions(collisions).into());
                }
            }
            other => return Ok(other?),
        }
    }
}

fn text_of(exchange: &Exchange) -> String {
    let containers = &exchange.sync.containers;
    let down: u64 = containers.iter().map(|one| one.downloaded).sum();
    let up: u64 = containers.iter().map(|one| one.uploaded).sum();
    let mut text = match (down, up) {
        (0, 0) => "nothing to do: this device and the service agree\n".to_owned(),
        _ => format!(
            "downloaded {}, uploaded {}\n",
            counted(down, "frame"),
            counted(up, "frame")
        ),
    };
    let rows: Vec<Vec<String>> = containers
        .iter()
        .filter(|one| one.downloaded + one.uploaded > 0)
        .map(|one| {
            vec![
                format!("  {}", plain(&one.container)),
                counted(one.frames, "frame"),
                format!("+{} down", one.downloaded),
                format!("+{} up", one.uploaded),
            ]
        })
        .collect();
    text.push_str(&columns(&rows));
    text.push_str(&news_of(exchange));
    text
}

/// What went on between people.
fn news_of(exchange: &Exchange) -> String {
    let mut text = pins_text(&exchange.sync.devices);
    for posted in &exchange.posted {
        let _ = writeln!(
            text,
            "sent {} to {}",
            plain(&posted.id),
            plain(&posted.to.join(", "))
        );
    }
    for rejected in &exchange.rejected {
        let _ = writeln!(
            text,
            "NOT SENT: {}: {}",
            plain(&rejected.id),
            plain(&rejected.why)
        );
    }
    for contact in &exchange.contacts {
        let _ = writeln!(
            text,
            "{} answered and is in your contacts",
            named(&contact.name, &contact.address)
        );
    }
    for facts in exchange
        .arrived
        .iter()
        .filter(|facts| facts.answer.is_none())
    {
        let proof = facts
            .origin
            .as_ref()
            .map_or("", |origin| origin.trust.word());
        let _ = writeln!(
            text,
            "new: {} from {} ({proof}): mesh message read {}",
            plain(facts.kind.as_deref().unwrap_or("message of unknown kind")),
            sender(facts),
            plain(&facts.id)
        );
    }
    text
}

/// Stays and fetches what is new, until Ctrl-C or until nothing more can come.
async fn watch(global: &Global, decisions: &Decisions) -> Result<Done, Failure> {
    let ctrl_c = tokio::signal::ctrl_c();
    let outcome = tokio::select! {
        _ = ctrl_c => None,
        error = stay(global, decisions) => Some(error),
    };
    match outcome {
        Some(Err(failure)) => Err(failure),
        Some(Ok(())) | None => {
            let text = if global.json {
                String::new()
            } else {
                "\nstopped\n".to_owned()
            };
            Ok(Done::new(text, &json!({"event": "stopped"})))
        }
    }
}

/// Exchanges, waits for news, and begins again; ends only with an error that will not pass.
async fn stay(global: &Global, decisions: &Decisions) -> Result<(), Failure> {
    let home = super::home_of(global)?;
    let (first, passphrase) = super::open_remembering(global)?;
    let mut next = Some(first);
    let mut stay = Stay {
        global,
        decisions,
        backoff: Backoff::default(),
        poll: None,
        is_first: true,
        undecided: None,
    };
    loop {
        let opened = match next.take() {
            Some(client) => Ok(client),
            None => open_with(&home, global, passphrase.clone()),
        };
        let round = match opened {
            Ok(client) => stay.round(client).await,
            Err(error) => Err(error),
        };
        match round {
            Ok(()) => {}
            Err(error) if is_passing(&error) => stay.pause(&error).await,
            Err(error) => return Err(error.into()),
        }
    }
}

/// A device that stays.
struct Stay<'a> {
    global: &'a Global,
    decisions: &'a Decisions,
    backoff: Backoff,
    /// What waited last; it knows what is no news.
    poll: Option<Poll>,
    is_first: bool,
    /// The collisions that were told last.
    undecided: Option<String>,
}

impl Stay<'_> {
    /// One exchange, and the wait for the next news.
    async fn round(&mut self, mut client: Client) -> Result<(), ClientError> {
        if let Some(poll) = self.poll.take() {
            client.resume(poll);
        }
        match client.exchange(self.decisions).await {
            Ok(exchange) => self.arrived(&exchange),
            // They are told, and the rest goes on; `mesh sync` asks about them.
            Err(ClientError::Collisions(collisions)) => {
                let failure = Failure::from(ClientError::Collisions(collisions));
                let text = failure.to_text();
                if self.undecided.as_ref() != Some(&text) {
                    let event = json!({"event": "undecided", "failure": failure.to_json()});
                    say(self.global, &text, &event);
                    self.undecided = Some(text);
                }
            }
            Err(error) => return Err(error),
        }
        self.wait(client.into_poll()?).await
    }

    /// Waits for news; the folder is free meanwhile.
    async fn wait(&mut self, mut poll: Poll) -> Result<(), ClientError> {
        loop {
            let news = poll.wait(POLL_TIME).await?;
            self.found_again();
            match news {
                News::Some => break,
                News::None => {}
                News::NoneYet => tokio::time::sleep(UNHELD_PAUSE).await,
            }
        }
        self.poll = Some(poll);
        Ok(())
    }

    async fn pause(&mut self, error: &ClientError) {
        let pause = self.backoff.pause();
        let seconds = pause.as_secs();
        say(
            self.global,
            &format!("{error}; trying again in {seconds} s\n"),
            &json!({"event": "lost", "message": error.to_string(), "again_in_seconds": seconds}),
        );
        tokio::time::sleep(pause).await;
    }

    fn found_again(&mut self) {
        if self.backoff.reset() {
            say(
                self.global,
                "connected again\n",
                &json!({"event": "connected"}),
            );
        }
    }

    fn arrived(&mut self, exchange: &Exchange) {
        self.found_again();
        let is_first = std::mem::take(&mut self.is_first);
        let moved = |one: &SyncedContainer| one.downloaded + one.uploaded > 0;
        let has_news = exchange.sync.containers.iter().any(moved) || !exchange.posted.is_empty();
        if has_news || is_first {
            let mut text = text_of(exchange);
            if is_first {
                text.push_str("waiting for news; Ctrl-C stops\n");
            }
            say(
                self.global,
                &text,
                &json!({"event": "news", "news": exchange}),
            );
        }
    }
}

/// Prints at once: nobody waits for the end of a watch.
fn say(global: &Global, text: &str, event: &serde_json::Value) {
    let mut out = io::stdout().lock();
    let said = if global.json {
        format!("{}\n", json!({"command": "sync", "result": event}))
    } else {
        text.to_owned()
    };
    // A reader that went away has seen enough.
    let _ = out.write_all(said.as_bytes()).and_then(|()| out.flush());
}
