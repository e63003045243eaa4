//! What is remembered of one peer while this process lives: who it is, and a session for each domain we
//! speak for, with the ticket that all transfers share.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mesh_common::discovery::Recent;
use mesh_common::limits::PEERS_REMEMBERED_MAX;
use mesh_common::session::client::{ClientSession, StoredTicket};
use mesh_common::time::Timestamp;

use crate::greeting::Greeting;

/// What is remembered of all peers, by the key of their place.
pub(crate) struct Memory(Mutex<Recent<Arc<Peer>>>);

/// One peer.
#[derive(Default)]
pub(crate) struct Peer {
    greeting: Mutex<Option<Arc<Greeting>>>,
    /// Held by who says Hello.
    pub(crate) greeting_gate: tokio::sync::Mutex<()>,
    sessions: Mutex<HashMap<String, Arc<Session>>>,
}

/// What a domain of ours has with a peer.
#[derive(Default)]
pub(crate) struct Session {
    state: Mutex<State>,
    /// Held by who makes an exchange, so that many transfers make one.
    pub(crate) exchange_gate: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct State {
    session: Option<ClientSession>,
    /// When the profiles the session goes by were fetched.
    greeted_at: Timestamp,
    /// The peer gives none: every transfer is an exchange, and none waits for another.
    is_without_tickets: bool,
}

impl Memory {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(Recent::new(PEERS_REMEMBERED_MAX)))
    }

    /// What is remembered of the peer at `key`.
    pub(crate) fn peer(&self, key: &str) -> Arc<Peer> {
        let mut peers = locked(&self.0);
        if let Some(peer) = peers.look(key) {
            return Arc::clone(peer);
        }
        let peer = Arc::<Peer>::default();
        peers.put(key.to_owned(), Arc::clone(&peer));
        peer
    }

    pub(crate) fn forget(&self, key: &str) {
        locked(&self.0).remove(key);
    }
}

impl Peer {
    /// Who the peer is, as far as that is known.
    pub(crate) fn greeting(&self) -> Option<Arc<Greeting>> {
        locked(&self.greeting).clone()
    }

    pub(crate) fn learn(&self, greeting: &Arc<Greeting>) {
        *locked(&self.greeting) = Some(Arc::clone(greeting));
    }

    /// What the domain `from` has with the peer.
    pub(crate) fn session(&self, from: &str) -> Arc<Session> {
        let mut sessions = locked(&self.sessions);
        match sessions.get(from) {
            Some(session) => Arc::clone(session),
            None => Arc::clone(sessions.entry(from.to_owned()).or_default()),
        }
    }
}

impl Session {
    /// The session, if a transfer can go by its ticket, or none will ever be given, and the profiles are
    /// still fresh.
    pub(crate) fn ready(&self, now: Timestamp) -> Option<ClientSession> {
        let state = locked(&self.state);
        let session = state.session.as_ref()?;
        let is_ready = state.is_without_tickets || session.has_ticket(now);
        let is_fresh = now.since(state.greeted_at) < mesh_common::limits::GREETING_LIFE;
        (is_ready && is_fresh).then(|| session.clone())
    }

    /// The session, however it stands.
    pub(crate) fn any(&self) -> Option<ClientSession> {
        locked(&self.state).session.clone()
    }

    /// Goes on with `session`, after an answer of the peer that opened.
    pub(crate) fn keep(&self, session: &ClientSession, greeted_at: Option<Timestamp>) {
        let mut state = locked(&self.state);
        state.is_without_tickets = session.ticket().is_none();
        state.session = Some(session.clone());
        if let Some(greeted_at) = greeted_at {
            state.greeted_at = greeted_at;
        }
    }

    /// Goes by `ticket` no longer: the peer does not take it.
    pub(crate) fn drop_ticket(&self, ticket: &StoredTicket) {
        let mut state = locked(&self.state);
        if let Some(kept) = state.session.take_if(|kept| kept.ticket() == Some(ticket)) {
            state.session = Some(kept.with_ticket(None));
        }
    }

    /// Begins anew next time.
    pub(crate) fn forget(&self) {
        *locked(&self.state) = State::default();
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
