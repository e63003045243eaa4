//! Connections that wait for the next call.
//!
//! They are kept by thread: a connection lives in the runtime that made it, and each thread of a
//! front-end has one of its own.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::ThreadId;

use mesh_common::limits::{LINK_CONNECTION_LIFE, LINK_IDLE_CONNECTIONS_MAX, LINK_IDLE_TIME_MAX};
use tokio::time::Instant;

use super::connection::Open;

/// Connections nobody uses at the moment.
#[derive(Default)]
pub(super) struct Pool {
    idle: Mutex<HashMap<ThreadId, Vec<Idle>>>,
}

struct Idle {
    since: Instant,
    /// The count of reloads of certificates when it was made.
    made_under: u64,
    open: Open,
}

impl Idle {
    fn is_good(&self, made_under: u64, now: Instant) -> bool {
        self.made_under == made_under
            && now.saturating_duration_since(self.since) < LINK_IDLE_TIME_MAX
            && now.saturating_duration_since(self.open.since) < LINK_CONNECTION_LIFE
    }
}

impl Pool {
    /// The connection of this thread that was used last and still takes a request.
    pub(super) async fn take(&self, made_under: u64, now: Instant) -> Option<Open> {
        let thread = std::thread::current().id();
        loop {
            let mut idle = self.idle().get_mut(&thread)?.pop()?;
            if idle.is_good(made_under, now) && idle.open.is_ready().await {
                return Some(idle.open);
            }
        }
    }

    /// Keeps `open` for the next call, unless enough are kept.
    pub(super) fn put(&self, open: Open, made_under: u64, now: Instant) {
        let mut idle = self.idle();
        let waiting: usize = idle.values().map(Vec::len).sum();
        if waiting < LINK_IDLE_CONNECTIONS_MAX {
            idle.entry(std::thread::current().id())
                .or_default()
                .push(Idle {
                    since: now,
                    made_under,
                    open,
                });
        }
    }

    /// Closes those that have waited too long.
    pub(super) fn sweep(&self, made_under: u64, now: Instant) {
        let mut idle = self.idle();
        idle.retain(|_, waiting| {
            waiting.retain(|one| one.is_good(made_under, now));
            !waiting.is_empty()
        });
    }

    /// Closes all: the network between is not what it was.
    pub(super) fn clear(&self) {
        self.idle().clear();
    }

    fn idle(&self) -> MutexGuard<'_, HashMap<ThreadId, Vec<Idle>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
