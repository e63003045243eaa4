//! One transfer: a Post in Service mode, with every second try that decision Q-64 allows, within one bound of
//! time (service §7.3, delivery §11 and §13).

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use mesh_common::delivery::{End, Unreachable};
use mesh_common::limits::{GREETING_LIFE, GREETING_REFRESH_INTERVAL};
use mesh_common::protocol::{Code, Outcome, Request};
use mesh_common::session::client::{Attempt, ClientError, ClientSession, Step};
use mesh_common::time::Timestamp;
use tokio::time::{Instant, timeout_at};

use crate::answer::{Carried, answered, foreign, redirection};
use crate::connections::{HttpAnswer, NoAnswer};
use crate::greeting::GreetingError;
use crate::locator::Place;
use crate::memory::Session;
use crate::peers::{Inner, Way};

/// One transfer under way.
pub(crate) struct Transfer<'a> {
    pub(crate) inner: &'a Inner,
    /// The domain we speak for.
    pub(crate) from: &'a str,
    pub(crate) request: Request,
    pub(crate) deadline: Instant,
    /// Time the exchanges took so far.
    pub(crate) exchange: Duration,
}

/// One request on its way, with the session it goes by.
struct Talk {
    session: ClientSession,
    attempt: Attempt<'static>,
    /// Hosts that said they have no time.
    avoided: Vec<String>,
    /// What the last of them said of when to come again.
    busy: Option<End>,
}

impl Transfer<'_> {
    /// Carries the request to the service at `place`, and once further if that says where.
    pub(crate) async fn run(&mut self, place: &Place) -> End {
        let carried = match self.carry(place).await {
            Ok(carried) => carried,
            Err(end) => return end,
        };
        let Some(place) = redirection(&carried.response) else {
            return End::Answered(answered(&carried));
        };
        tracing::debug!(?place, "sent elsewhere");
        match self.carry(&place).await {
            Ok(carried) => End::Answered(answered(&carried)),
            Err(end) => end,
        }
    }

    async fn carry(&mut self, place: &Place) -> Result<Carried, End> {
        let way = self
            .inner
            .way(place, self.deadline)
            .await
            .map_err(End::Unreachable)?;
        let peer = self.inner.memory.peer(&way.place.key());
        let session = peer.session(self.from);
        if let Some(ready) = session.ready(self.inner.clock.now()) {
            return self.talk(&way, &session, ready).await;
        }
        // Whoever comes first makes the exchange; the others go by the ticket it brings.
        let _gate = timeout_at(self.deadline, session.exchange_gate.lock())
            .await
            .map_err(|_| {
                let why = "the exchange that opens a session with the peer takes too long";
                End::Unreachable(Unreachable::Connect(why.into()))
            })?;
        let ready = match session.ready(self.inner.clock.now()) {
            Some(ready) => ready,
            None => self.begin(place, &session).await?,
        };
        self.talk(&way, &session, ready).await
    }

    /// A session by profiles that are fresh.
    async fn begin(&self, place: &Place, kept: &Session) -> Result<ClientSession, End> {
        let greeting = self
            .inner
            .greet(place, GREETING_LIFE, self.deadline)
            .await
            .map_err(end_of_greeting)?;
        let identity = self.inner.speaker.identity_of(self.from).ok_or_else(|| {
            End::Internal(format!("{} is not a domain that we speak for", self.from))
        })?;
        let mut session = kept
            .any()
            .unwrap_or_else(|| ClientSession::new(greeting.service.clone(), identity.clone()));
        if session.set_host(greeting.service.clone()).is_err() {
            session = ClientSession::new(greeting.service.clone(), identity);
        }
        Ok(session)
    }

    /// Sends the request until there is an answer to believe, or no more to try.
    async fn talk(
        &mut self,
        way: &Way,
        kept: &Arc<Session>,
        session: ClientSession,
    ) -> Result<Carried, End> {
        let mut entropy = (self.inner.entropy)();
        let mut talk = Talk {
            attempt: session.begin(&self.request, entropy.as_mut()),
            session,
            avoided: Vec::new(),
            busy: None,
        };
        drop(entropy);
        loop {
            let ticket = talk.session.ticket().cloned();
            let now = self.inner.clock.now();
            let is_exchange = !talk.session.has_ticket(now);
            let (sealed, back) = self.sealed(talk, now, is_exchange).await?;
            talk = back;
            let answer = match (self.sent(way, &talk, sealed).await, talk.busy.take()) {
                (Ok(answer), _) => answer,
                // That one has no time says more than that the next is not there.
                (Err(End::Unreachable(_)), Some(busy)) => return Err(busy),
                (Err(end), _) => return Err(end),
            };
            if answer.status == 503 && talk.avoided.len() + 1 < way.route.targets.len() {
                talk.busy = Some(foreign(&answer, None));
                talk.avoided.push(answer.host);
                continue;
            }
            let now = self.inner.clock.now();
            let (step, back) = received(talk, &answer, now, is_exchange).await?;
            talk = back;
            let step = step.map_err(|error| self.unbelievable(way, kept, &error, &answer))?;
            match step {
                Step::Done(response) => {
                    if is_exchange || talk.session.ticket() != ticket.as_ref() {
                        kept.keep(&talk.session, self.greeted_at(way));
                    }
                    return Ok(Carried {
                        response: *response,
                        retry_after: answer.retry_after,
                    });
                }
                Step::SendAgain => {
                    if let Some(ticket) = ticket.filter(|_| talk.session.ticket().is_none()) {
                        kept.drop_ticket(&ticket);
                    }
                }
                Step::HelloFirst => self.greet_again(way, &mut talk.session).await?,
                Step::Refused(response) => return Err(refused(way, &answer, response.outcome())),
            }
        }
    }

    fn greeted_at(&self, way: &Way) -> Option<Timestamp> {
        let greeting = self.inner.memory.peer(&way.place.key()).greeting()?;
        Some(greeting.fetched_at)
    }

    /// Seals the request. An exchange is arithmetic, which has its own threads.
    async fn sealed(
        &self,
        mut talk: Talk,
        now: Timestamp,
        is_exchange: bool,
    ) -> Result<(Bytes, Talk), End> {
        let source = Arc::clone(&self.inner.entropy);
        let seal = move || {
            let mut entropy = source();
            let envelope = talk.session.seal(&mut talk.attempt, now, entropy.as_mut());
            envelope.map(|envelope| (Bytes::from(envelope.to_json()), talk))
        };
        aside(is_exchange, seal)
            .await?
            .map_err(|error| End::Unreachable(Unreachable::Identity(error.to_string())))
    }

    async fn sent(&mut self, way: &Way, talk: &Talk, sealed: Bytes) -> Result<HttpAnswer, End> {
        let connections = &self.inner.connections;
        let (route, avoided) = (&way.route, &talk.avoided);
        connections
            .exchange(route, avoided, sealed, self.deadline, &mut self.exchange)
            .await
            .map_err(|none| match none {
                NoAnswer::Unreachable(why) => End::Unreachable(why),
                NoAnswer::TimedOut => End::TimedOut,
            })
    }

    /// The peer has another key than its profile said: that is fetched anew.
    async fn greet_again(&self, way: &Way, session: &mut ClientSession) -> Result<(), End> {
        let place = &way.place;
        let repeated = self
            .inner
            .greet(place, GREETING_REFRESH_INTERVAL, self.deadline);
        let greeting = repeated.await.map_err(end_of_greeting)?;
        session
            .set_host(greeting.service.clone())
            .map_err(|error| End::Unreachable(Unreachable::Identity(error.to_string())))
    }

    /// What came back is no answer of the service whose profile we know.
    fn unbelievable(
        &self,
        way: &Way,
        kept: &Session,
        error: &ClientError,
        answer: &HttpAnswer,
    ) -> End {
        if !matches!(error, ClientError::NotSealed) {
            tracing::warn!(peer = way.route.key, %error, "an answer that cannot be believed");
            kept.forget();
        }
        foreign(answer, None)
    }
}

/// A refusal that is not authenticated.
fn refused(way: &Way, answer: &HttpAnswer, outcome: &Outcome) -> End {
    tracing::debug!(peer = way.route.key, ?outcome, "refused");
    if outcome.code() == Some(Code::HostKeyUnknown) {
        let why = "it does not take the key that its own profile names";
        return End::Unreachable(Unreachable::Identity(why.into()));
    }
    foreign(answer, outcome.status)
}

/// Reads the answer. That to an exchange is arithmetic as well.
async fn received(
    mut talk: Talk,
    answer: &HttpAnswer,
    now: Timestamp,
    is_exchange: bool,
) -> Result<(Result<Step, ClientError>, Talk), End> {
    if !is_exchange {
        let Talk {
            session, attempt, ..
        } = &mut talk;
        let step = session.receive(attempt, &answer.body, answer.date, now);
        return Ok((step, talk));
    }
    let (body, date) = (answer.body.clone(), answer.date);
    aside(true, move || {
        let Talk {
            session, attempt, ..
        } = &mut talk;
        let step = session.receive(attempt, &body, date, now);
        (step, talk)
    })
    .await
}

/// Runs `work` here, or on a thread for it.
async fn aside<T: Send + 'static>(
    is_arithmetic: bool,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, End> {
    if !is_arithmetic {
        return Ok(work());
    }
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| End::Internal(error.to_string()))
}

/// What a transfer comes to whose peer could not be greeted. The message itself was not sent.
fn end_of_greeting(error: GreetingError) -> End {
    match error {
        GreetingError::Unreachable(why) => End::Unreachable(why),
        GreetingError::TimedOut => {
            End::Unreachable(Unreachable::Connect("no answer to Hello in time".into()))
        }
        GreetingError::Foreign { http, retry_after } => End::Foreign { http, retry_after },
        GreetingError::Store(why) => End::Internal(why),
    }
}
