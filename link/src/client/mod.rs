//! The end of the link that asks: one [`LinkClient`] per node, with connections that are kept, and the
//! stream of what the node tells.

mod connection;
mod dial;
mod listen;
mod nudges;
mod pool;
mod watches;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use hyper::header::{HOST, HeaderValue};
use hyper::{Method, Request, StatusCode, Uri};
use mesh_common::account::connect::Publication;
use mesh_common::address::AccountAddress;
use mesh_common::cluster::handle::BoxFuture;
use mesh_common::cluster::wire::{
    self, KeysQuestion, PassOnOrder, PinQuestion, PublishedQuestion, WatchOnOrder, WatchOrder,
    WatchReply, Wire,
};
use mesh_common::cluster::{
    AccountRequest, Answer, CallFailure, Changes, Nudge, Route, SigningKeys, Verified, Watch,
};
use mesh_common::discovery::Pinned;
use mesh_common::entropy::{self, Entropy};
use mesh_common::limits::{
    LINK_BUSY_PAUSE, LINK_CALL_BYTES_MAX, LINK_CALLS_MAX, LINK_NUDGE_TIME_MAX,
};
use mesh_common::time::{Clock, Timestamp};
use mesh_common::udf::Udf;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::{Instant, timeout_at};

#[cfg(test)]
pub(crate) use listen::Lost;
pub use nudges::Nudges;

use crate::calls::{
    Call, DEADLINE, EVENTS_PATH, LATE, NOT_PASSED_ON, PROCESS, TRACEPARENT, UNKNOWN,
};
use crate::link::{Connector, Heard, LinkFailure, NodeLink};
use crate::tls::LinkSecurity;
use crate::trace::Traces;
use connection::{HttpAnswer, Open, Outgoing};
use pool::Pool;
use watches::Watches;

/// Characters of what a node says about a call it refuses.
const REASON_CHARACTERS_MAX: usize = 200;

/// What makes links of this process to nodes.
#[derive(Clone)]
pub struct LinkConnector {
    process: Arc<Process>,
}

/// What all links of this process share.
struct Process {
    security: LinkSecurity,
    clock: Arc<dyn Clock>,
    traces: Traces,
    /// What this process calls itself.
    name: HeaderValue,
    /// Where streams are listened to.
    runtime: Handle,
}

impl LinkConnector {
    /// Links secured by `security`, with deadlines by `clock`. Must be called inside a tokio runtime,
    /// which then listens to the streams of events; calls run where they are made.
    pub fn new(
        security: LinkSecurity,
        clock: Arc<dyn Clock>,
        traces: Traces,
        entropy: &mut dyn Entropy,
    ) -> Self {
        let name = u128::from_be_bytes(entropy::draw(entropy));
        Self {
            process: Arc::new(Process {
                security,
                clock,
                traces,
                name: digits(&format!("{name:032x}")),
                runtime: Handle::current(),
            }),
        }
    }

    /// A link over which nothing is heard: for nodes that only ask others.
    #[must_use]
    pub fn silent_link(&self, address: &str) -> LinkClient {
        LinkClient {
            core: Arc::new(Core::new(address, Arc::clone(&self.process))),
            listening: None,
        }
    }

    /// A link over which the node is heard.
    #[must_use]
    pub fn listening_link(&self, address: &str) -> LinkClient {
        let mut client = self.silent_link(address);
        let listening = listen::listen(Arc::clone(&client.core));
        client.listening = Some(self.process.runtime.spawn(listening).abort_handle());
        client
    }
}

impl Connector for LinkConnector {
    fn link(&self, address: &str) -> Arc<dyn NodeLink> {
        Arc::new(self.listening_link(address))
    }
}

/// The link to one node.
pub struct LinkClient {
    pub(crate) core: Arc<Core>,
    listening: Option<AbortHandle>,
}

impl Drop for LinkClient {
    fn drop(&mut self) {
        if let Some(listening) = &self.listening {
            listening.abort();
        }
        self.core.tell_all();
    }
}

/// What calls and the listener share.
pub(crate) struct Core {
    address: String,
    /// `Host` of every request.
    host: HeaderValue,
    process: Arc<Process>,
    pool: Pool,
    under_way: AtomicUsize,
    pub(crate) heard: watch::Sender<Heard>,
    changes: Arc<Changes>,
    /// Who waits for what the node watches at others.
    passed: Arc<Changes>,
    watches: Watches,
}

/// One call that is under way, among those of its link.
struct Place<'a>(&'a AtomicUsize);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Core {
    fn new(address: &str, process: Arc<Process>) -> Self {
        Self {
            host: HeaderValue::from_str(address).unwrap_or_else(|_| digits("0")),
            address: address.to_owned(),
            process,
            pool: Pool::default(),
            under_way: AtomicUsize::new(0),
            heard: watch::Sender::new(Heard::default()),
            changes: Arc::default(),
            passed: Arc::default(),
            watches: Watches::default(),
        }
    }

    fn place(&self) -> Result<Place<'_>, LinkFailure> {
        let place = Place(&self.under_way);
        if self.under_way.fetch_add(1, Ordering::Relaxed) >= LINK_CALLS_MAX {
            return Err(CallFailure::Busy(LINK_BUSY_PAUSE).into());
        }
        Ok(place)
    }

    /// Asks `question` and waits for the answer until `deadline`.
    async fn call<Q: Wire, T: Wire>(
        &self,
        call: Call,
        question: &Q,
        deadline: Timestamp,
    ) -> Result<T, LinkFailure> {
        let _place = self.place()?;
        let now = self.process.clock.now();
        if now >= deadline {
            return Err(LinkFailure::Deadline { begun: false });
        }
        let until = Instant::now() + deadline.since(now);
        let octets = wire::write(question);
        if octets.len() > LINK_CALL_BYTES_MAX {
            let why = format!("a call has at most {LINK_CALL_BYTES_MAX} octets");
            return Err(LinkFailure::Refused(why));
        }
        let outgoing = self.outgoing(call, octets.into(), deadline);
        let mut begun = false;
        let exchanged = timeout_at(until, self.exchange(&outgoing, until, &mut begun)).await;
        match exchanged {
            Ok(answered) => told(&answered?),
            Err(_) => Err(LinkFailure::Deadline { begun }),
        }
    }

    fn outgoing(&self, call: Call, body: Bytes, deadline: Timestamp) -> Outgoing {
        Outgoing {
            method: Method::POST,
            uri: Uri::from_static(call.path()),
            body,
            deadline: Some(digits(&deadline.as_millis().to_string())),
            traceparent: self
                .process
                .traces
                .as_ref()
                .and_then(|traces| traces.current())
                .and_then(|context| HeaderValue::try_from(context).ok()),
        }
    }

    /// The request for the stream of events.
    fn listening() -> Outgoing {
        Outgoing {
            method: Method::GET,
            uri: Uri::from_static(EVENTS_PATH),
            body: Bytes::new(),
            deadline: None,
            traceparent: None,
        }
    }

    fn request(&self, outgoing: &Outgoing) -> Request<connection::CallBody> {
        let mut request = Request::new(outgoing.body.clone().into());
        *request.method_mut() = outgoing.method.clone();
        *request.uri_mut() = outgoing.uri.clone();
        let headers = request.headers_mut();
        headers.insert(HOST, self.host.clone());
        headers.insert(PROCESS, self.process.name.clone());
        for (name, value) in [
            (DEADLINE, &outgoing.deadline),
            (TRACEPARENT, &outgoing.traceparent),
        ] {
            if let Some(value) = value {
                headers.insert(name, value.clone());
            }
        }
        request
    }

    /// Sends the request over a connection that is there, or a new one; sets `begun` once it may have
    /// arrived.
    async fn exchange(
        &self,
        outgoing: &Outgoing,
        until: Instant,
        begun: &mut bool,
    ) -> Result<HttpAnswer, LinkFailure> {
        let made_under = self.process.reloads();
        while let Some(open) = self.pool.take(made_under, Instant::now()).await {
            match self.over(open, outgoing, made_under, begun).await {
                // The node closed it at this very moment.
                Err(LinkFailure::NotSent(why)) => {
                    tracing::debug!(node = self.address, why, "a kept connection was of no use");
                }
                ended => return ended,
            }
        }
        let open = self.dial(until).await?;
        self.over(open, outgoing, made_under, begun).await
    }

    /// Sends the request over `open`, which is kept if it goes well.
    async fn over(
        &self,
        mut open: Open,
        outgoing: &Outgoing,
        made_under: u64,
        begun: &mut bool,
    ) -> Result<HttpAnswer, LinkFailure> {
        let answer = open.exchange(self.request(outgoing), begun).await?;
        self.pool.put(open, made_under, Instant::now());
        Ok(answer)
    }

    /// Orders watches over the stream that is open now: at the node, or at the owner by `route`.
    async fn order(
        &self,
        order: &WatchOrder,
        route: Option<Route>,
    ) -> Result<WatchReply, LinkFailure> {
        let deadline = self.process.clock.now() + LINK_NUDGE_TIME_MAX;
        let Some(route) = route else {
            return self.call(Call::Watch, order, deadline).await;
        };
        let order = WatchOnOrder {
            route,
            order: order.clone(),
        };
        self.call(Call::WatchOn, &order, deadline).await
    }
}

impl Process {
    /// How often certificates were replaced: connections made before are not used again.
    fn reloads(&self) -> u64 {
        match &self.security {
            LinkSecurity::Mutual(tls) => *tls.reloads().borrow(),
            LinkSecurity::PlainOnLoopback => 0,
        }
    }
}

impl NodeLink for LinkClient {
    fn address(&self) -> &str {
        &self.core.address
    }

    fn heard(&self) -> watch::Receiver<Heard> {
        self.core.heard.subscribe()
    }

    fn perform<'a>(
        &'a self,
        request: &'a Verified<AccountRequest>,
    ) -> BoxFuture<'a, Result<Answer, LinkFailure>> {
        Box::pin(self.core.call(Call::Perform, request, request.deadline))
    }

    fn receive<'a>(
        &'a self,
        request: &'a Verified<AccountRequest>,
    ) -> BoxFuture<'a, Result<Answer, LinkFailure>> {
        Box::pin(self.core.call(Call::Receive, request, request.deadline))
    }

    fn signing_keys<'a>(
        &'a self,
        account: &'a AccountAddress,
        deadline: Timestamp,
    ) -> BoxFuture<'a, Result<Option<SigningKeys>, LinkFailure>> {
        let question = KeysQuestion {
            account: account.clone(),
            deadline,
        };
        Box::pin(async move { self.core.call(Call::SigningKeys, &question, deadline).await })
    }

    fn published<'a>(
        &'a self,
        account: &'a AccountAddress,
        id: &'a Udf,
        deadline: Timestamp,
    ) -> BoxFuture<'a, Result<Option<Publication>, LinkFailure>> {
        let question = PublishedQuestion {
            account: account.clone(),
            id: id.clone(),
            deadline,
        };
        Box::pin(async move { self.core.call(Call::Published, &question, deadline).await })
    }

    fn watch<'a>(&'a self, account: &'a AccountAddress) -> BoxFuture<'a, Option<Watch>> {
        Box::pin(self.core.watch(account))
    }

    fn watch_on<'a>(
        &'a self,
        route: Route,
        account: &'a AccountAddress,
    ) -> BoxFuture<'a, Option<Watch>> {
        Box::pin(self.core.watch_on(route, account))
    }

    fn nudge(&self, nudge: Nudge) -> BoxFuture<'_, Result<(), LinkFailure>> {
        let deadline = self.core.process.clock.now() + LINK_NUDGE_TIME_MAX;
        Box::pin(async move { self.core.call(Call::Nudge, &nudge, deadline).await })
    }

    fn pinned<'a>(
        &'a self,
        domain: &'a str,
        seen: Option<&'a Pinned>,
        deadline: Timestamp,
    ) -> BoxFuture<'a, Result<Option<Pinned>, LinkFailure>> {
        let question = PinQuestion {
            domain: domain.to_owned(),
            seen: seen.cloned(),
            deadline,
        };
        Box::pin(async move { self.core.call(Call::Pin, &question, deadline).await })
    }

    fn pass_on<'a>(
        &'a self,
        route: Route,
        request: &'a Verified<AccountRequest>,
    ) -> BoxFuture<'a, Result<Answer, LinkFailure>> {
        let deadline = request.deadline;
        let order = PassOnOrder {
            route,
            request: request.clone(),
        };
        Box::pin(async move { self.core.call(Call::PassOn, &order, deadline).await })
    }
}

impl LinkClient {
    /// Has the node carry out what a front-end sent to this one: as the owner, or not at all. For nodes;
    /// see [`NodeLink::pass_on`].
    ///
    /// # Errors
    /// [`LinkFailure`].
    pub async fn passed_on(
        &self,
        request: &Verified<AccountRequest>,
    ) -> Result<Answer, LinkFailure> {
        let deadline = request.deadline;
        self.core.call(Call::PassedOn, request, deadline).await
    }
}

/// What an answer over HTTP says.
fn told<T: Wire>(answer: &HttpAnswer) -> Result<T, LinkFailure> {
    match answer.status {
        StatusCode::OK => {
            let answer: Result<Result<T, CallFailure>, _> = wire::read(&answer.body);
            let answer = answer.map_err(|error| LinkFailure::Lost(error.to_string()))?;
            answer.map_err(LinkFailure::Call)
        }
        LATE => Err(LinkFailure::Deadline { begun: false }),
        NOT_PASSED_ON => Err(LinkFailure::NotPassedOn(reason(answer))),
        UNKNOWN => Err(LinkFailure::Unknown(reason(answer))),
        status if status.is_client_error() => Err(LinkFailure::Refused(reason(answer))),
        status => Err(LinkFailure::Lost(format!("HTTP {status}"))),
    }
}

/// What a node says about a call it does not take.
fn reason(answer: &HttpAnswer) -> String {
    let text = String::from_utf8_lossy(&answer.body);
    let text: String = text.chars().take(REASON_CHARACTERS_MAX).collect();
    format!("HTTP {}: {text}", answer.status)
}

fn digits(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).expect("digits are characters of headers")
}
