//! One request and its answer over a connection that is kept warm, or over a new one.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::header::{
    CACHE_CONTROL, CONTENT_TYPE, DATE, HOST, HeaderName, HeaderValue, RETRY_AFTER, USER_AGENT,
};
use hyper::{Method, Request, Response};
use mesh_common::delivery::Unreachable;
use mesh_common::discovery::Target;
use mesh_common::limits::{
    IDLE_CONNECTION_TIME_MAX, IDLE_CONNECTIONS_MAX, PEER_IDLE_CONNECTIONS_MAX,
    PEER_RESPONSE_BYTES_MAX, TRANSFER_CONNECT_TIME_MAX,
};
use mesh_common::time::Timestamp;
use rustls::pki_types::ServerName;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;

use crate::dial::{Open, Trust, dial};

/// The way to a service, for one transfer.
#[derive(Debug, Clone)]
pub(crate) struct Route {
    /// By what its connections and sessions are kept.
    pub(crate) key: String,
    /// What the certificate must name.
    pub(crate) name: ServerName<'static>,
    /// `Host` of every request.
    pub(crate) host: String,
    /// The targets, in the order they are tried.
    pub(crate) targets: Vec<Target>,
}

/// An answer over HTTP.
#[derive(Debug)]
pub(crate) struct HttpAnswer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
    /// The peer's clock, from `Date`.
    pub(crate) date: Option<Timestamp>,
    pub(crate) retry_after: Option<Duration>,
    /// The target that answered.
    pub(crate) host: String,
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum NoAnswer {
    /// The request was never sent, or the connection broke under it.
    Unreachable(Unreachable),
    /// The time was over after it was sent.
    TimedOut,
}

/// Connections to other services.
pub(crate) struct Connections {
    trust: RwLock<Trust>,
    idle: Mutex<Idle>,
}

/// Connections nobody uses at the moment.
#[derive(Default)]
struct Idle {
    by_key: HashMap<String, Vec<Waiting>>,
    /// Keys in the order their connections came in, the oldest first.
    order: VecDeque<(u64, String)>,
    last: u64,
    count: usize,
}

struct Waiting {
    number: u64,
    since: Instant,
    open: Open,
}

impl Connections {
    pub(crate) fn new(tls: TlsConnector) -> Self {
        Self {
            trust: RwLock::new(Trust { tls, number: 0 }),
            idle: Mutex::default(),
        }
    }

    /// Posts `body` and waits for the answer until `deadline`. Time from the first octet sent to the last one
    /// received is added to `exchange`. Targets whose host is in `avoided` are left out.
    pub(crate) async fn exchange(
        &self,
        route: &Route,
        avoided: &[String],
        body: Bytes,
        deadline: Instant,
        exchange: &mut Duration,
    ) -> Result<HttpAnswer, NoAnswer> {
        if let Some(open) = self.warm(&route.key, avoided).await {
            match send(route, open, body.clone(), deadline, exchange).await {
                // The peer may have closed it at this very moment. What is posted twice is received once.
                Err(NoAnswer::Unreachable(why)) => {
                    tracing::debug!(peer = route.key, %why, "a warm connection was of no use");
                }
                ended => return self.kept(route, ended),
            }
        }
        let targets: Vec<Target> = route
            .targets
            .iter()
            .filter(|target| !avoided.contains(&target.host))
            .cloned()
            .collect();
        let connected_by = deadline.min(Instant::now() + TRANSFER_CONNECT_TIME_MAX);
        let open = dial(&self.trust(), &route.name, &targets, connected_by)
            .await
            .map_err(NoAnswer::Unreachable)?;
        let ended = send(route, open, body, deadline, exchange).await;
        self.kept(route, ended)
    }

    /// From now on connections are secured by `tls`. Those made before are not used again, but for what is under
    /// way on them.
    pub(crate) fn secure_by(&self, tls: TlsConnector) {
        {
            let mut trust = self.trust.write().unwrap_or_else(PoisonError::into_inner);
            let number = trust.number + 1;
            *trust = Trust { tls, number };
        }
        *self.idle() = Idle::default();
    }

    fn trust(&self) -> Trust {
        let trust = self.trust.read().unwrap_or_else(PoisonError::into_inner);
        trust.clone()
    }

    /// Closes what is kept for `key`.
    pub(crate) fn forget(&self, key: &str) {
        self.idle().remove(key);
    }

    /// Number of connections nobody uses at the moment.
    pub(crate) fn idle_count(&self) -> usize {
        self.idle().count
    }

    fn kept(
        &self,
        route: &Route,
        ended: Result<(HttpAnswer, Option<Open>), NoAnswer>,
    ) -> Result<HttpAnswer, NoAnswer> {
        let (answer, open) = ended?;
        if let Some(open) = open
            && open.trust == self.trust().number
        {
            self.idle().put(&route.key, open, Instant::now());
        }
        Ok(answer)
    }

    /// A connection that still takes requests.
    async fn warm(&self, key: &str, avoided: &[String]) -> Option<Open> {
        loop {
            let taken = self.idle().take(key, avoided, Instant::now());
            let mut open = taken?;
            if open.sender.ready().await.is_ok() && open.trust == self.trust().number {
                return Some(open);
            }
        }
    }

    fn idle(&self) -> MutexGuard<'_, Idle> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Idle {
    /// The youngest connection of `key` that is still open.
    fn take(&mut self, key: &str, avoided: &[String], now: Instant) -> Option<Open> {
        let waiting = self.by_key.get_mut(key)?;
        let before = waiting.len();
        waiting.retain(|one| !one.open.sender.is_closed() && !is_over(one.since, now));
        let position = waiting
            .iter()
            .rposition(|one| !avoided.contains(&one.open.host));
        let taken = position.map(|position| waiting.remove(position));
        self.count -= before - waiting.len();
        if waiting.is_empty() {
            self.by_key.remove(key);
        }
        taken.map(|one| one.open)
    }

    fn put(&mut self, key: &str, open: Open, now: Instant) {
        let waiting = self.by_key.entry(key.to_owned()).or_default();
        if waiting.len() >= PEER_IDLE_CONNECTIONS_MAX {
            return;
        }
        self.last += 1;
        waiting.push(Waiting {
            number: self.last,
            since: now,
            open,
        });
        self.order.push_back((self.last, key.to_owned()));
        self.count += 1;
        self.sweep(now);
    }

    /// Closes the oldest ones: those over their time, and those above the bound.
    fn sweep(&mut self, now: Instant) {
        while let Some((number, key)) = self.order.front() {
            let waiting = self.by_key.get(key);
            let found = waiting.and_then(|all| all.iter().find(|one| one.number == *number));
            match found {
                Some(one) if self.count <= IDLE_CONNECTIONS_MAX && !is_over(one.since, now) => {
                    break;
                }
                Some(_) => self.drop_oldest(),
                None => {
                    self.order.pop_front();
                }
            }
        }
        // Connections that come and go leave their numbers behind one that stays.
        if self.order.len() > 4 * IDLE_CONNECTIONS_MAX {
            let all = self.by_key.values().flatten();
            let live: HashSet<u64> = all.map(|one| one.number).collect();
            self.order.retain(|(number, _)| live.contains(number));
        }
    }

    fn drop_oldest(&mut self) {
        let Some((number, key)) = self.order.pop_front() else {
            return;
        };
        if let Some(waiting) = self.by_key.get_mut(&key) {
            let before = waiting.len();
            waiting.retain(|one| one.number != number);
            self.count -= before - waiting.len();
            if waiting.is_empty() {
                self.by_key.remove(&key);
            }
        }
    }

    fn remove(&mut self, key: &str) {
        if let Some(waiting) = self.by_key.remove(key) {
            self.count -= waiting.len();
        }
    }
}

fn is_over(since: Instant, now: Instant) -> bool {
    now.saturating_duration_since(since) > IDLE_CONNECTION_TIME_MAX
}

/// Sends the request; gives the connection back if it can be used again.
async fn send(
    route: &Route,
    mut open: Open,
    body: Bytes,
    deadline: Instant,
    exchange: &mut Duration,
) -> Result<(HttpAnswer, Option<Open>), NoAnswer> {
    let request = request(route, &open.path, body)?;
    let began = Instant::now();
    let whole = async {
        let response = open.sender.send_request(request).await.map_err(broken)?;
        answer(response, &open.host).await
    };
    let ended = timeout_at(deadline, whole).await;
    *exchange += Instant::now().saturating_duration_since(began);
    let answer = ended.map_err(|_| NoAnswer::TimedOut)??;
    let is_usable = !open.sender.is_closed();
    Ok((answer, is_usable.then_some(open)))
}

fn request(route: &Route, path: &str, body: Bytes) -> Result<Request<Full<Bytes>>, NoAnswer> {
    Request::builder()
        .method(Method::POST)
        .uri(path)
        .header(HOST, &route.host)
        .header(CONTENT_TYPE, "application/json")
        .header(CACHE_CONTROL, "no-store")
        .header(USER_AGENT, concat!("meshd/", env!("CARGO_PKG_VERSION")))
        .body(Full::new(body))
        .map_err(|error| NoAnswer::Unreachable(Unreachable::Connect(error.to_string())))
}

async fn answer(
    response: Response<hyper::body::Incoming>,
    host: &str,
) -> Result<HttpAnswer, NoAnswer> {
    let mut answer = HttpAnswer {
        status: response.status().as_u16(),
        body: Vec::new(),
        date: text_of(&response, &DATE).and_then(date_of),
        retry_after: text_of(&response, &RETRY_AFTER)
            .and_then(|text| text.trim().parse().ok())
            .map(Duration::from_secs),
        host: host.to_owned(),
    };
    let mut body = response.into_body();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(broken)?.into_data() else {
            continue;
        };
        if answer.body.len() + data.len() > PEER_RESPONSE_BYTES_MAX {
            let why = format!("an answer of more than {PEER_RESPONSE_BYTES_MAX} octets");
            return Err(NoAnswer::Unreachable(Unreachable::Connect(why)));
        }
        answer.body.extend_from_slice(&data);
    }
    Ok(answer)
}

fn text_of<'a, B>(response: &'a Response<B>, name: &HeaderName) -> Option<&'a str> {
    let value: &HeaderValue = response.headers().get(name)?;
    value.to_str().ok()
}

fn date_of(text: &str) -> Option<Timestamp> {
    let zoned = jiff::fmt::rfc2822::parse(text).ok()?;
    Some(Timestamp::from_millis(zoned.timestamp().as_millisecond()))
}

fn broken(error: hyper::Error) -> NoAnswer {
    let why = match std::error::Error::source(&error) {
        Some(source) => format!("the connection broke: {error}: {source}"),
        None => format!("the connection broke: {error}"),
    };
    NoAnswer::Unreachable(Unreachable::Connect(why))
}

#[cfg(test)]
mod tests {
    use hyper::client::conn::http1;
    use hyper_util::rt::TokioIo;

    use super::*;

    /// An open connection, with what keeps it so.
    async fn open() -> (Open, impl Sized) {
        let (near, far) = tokio::io::duplex(64);
        let (sender, connection) = http1::handshake(TokioIo::new(near)).await.unwrap();
        let open = Open {
            sender,
            host: "host.test".to_owned(),
            path: "/".to_owned(),
            trust: 0,
        };
        (open, (connection, far))
    }

    #[tokio::test]
    async fn connections_to_one_peer_are_kept_up_to_their_bound() {
        let (mut idle, mut alive, now) = (Idle::default(), Vec::new(), Instant::now());
        for _ in 0..=PEER_IDLE_CONNECTIONS_MAX {
            let (open, keeper) = open().await;
            alive.push(keeper);
            idle.put("peer.test", open, now);
        }
        assert_eq!(idle.count, PEER_IDLE_CONNECTIONS_MAX);
        let (other, keeper) = open().await;
        alive.push(keeper);
        idle.put("other.test", other, now);
        assert_eq!(
            idle.count,
            PEER_IDLE_CONNECTIONS_MAX + 1,
            "each has its own"
        );
        for _ in 0..PEER_IDLE_CONNECTIONS_MAX {
            assert!(idle.take("peer.test", &[], now).is_some());
        }
        assert!(idle.take("peer.test", &[], now).is_none());
    }
}
