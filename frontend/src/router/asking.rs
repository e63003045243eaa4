//! How one request is asked for: of whom, how often, and when it is given up (cluster §4.6).
//!
//! What decides is whether something may have been carried out already. The link knows what it never
//! sent; what was sent and not answered is open.
//!
//! | request | a node did not get it | it was sent, and no answer came |
//! | --- | --- | --- |
//! | Status, Download, Complete, keys, fetches | the next node | once more: nothing is written |
//! | Post of another service | the next node | once more, elsewhere: an entry of an intake has an id that follows from the message, and whoever drains knows what was appended |
//! | a device's write | through another node, if the owner is alive (`passing`), else wait for it | once more, of the owner there is then: the RequestID is in the replay table since the commit, which happened under a fence, before the new owner's claim or not at all |
//! | a write in interop mode | the same | never: nobody authenticated it, so no retry of it is recognized |
//!
//! So each request reaches nodes at most [`ROUTED_TRIES_MAX`] times, apart from `Moved`, which costs a
//! node nothing and is bounded by the time that writes may wait. Everything ends with the deadline.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use mesh_common::account::connect::Publication;
use mesh_common::account::is_recognized;
use mesh_common::address::AccountAddress;
use mesh_common::cluster::handle::BoxFuture;
use mesh_common::cluster::{
    AccountRequest, Answer, CallFailure, PartitionId, Route, SigningKeys, Unit, Verified,
};
use mesh_common::discovery::Pinned;
use mesh_common::error::ServiceError;
use mesh_common::limits::{
    NODE_REFUSES_PAUSE, PARKED_TIME_MAX, ROUTED_PATIENCE, ROUTED_TRIES_MAX, SUPERSEDED_PATIENCE,
};
use mesh_common::protocol::Code;
use mesh_common::session::Mode;
use mesh_common::time::Timestamp;
use mesh_common::udf::Udf;
use mesh_link::{LinkFailure, NodeLink};
use tokio::time::{Instant, sleep, sleep_until, timeout_at};

use super::Inner;
use super::links::Linked;
use super::parking::{Place, UnparkTurn};
use super::routing::{Address, Target, Turn};

/// Something that any node can be asked for.
pub(super) trait Ask: Sync {
    /// What comes of it.
    type Got: Send;

    /// Asks one node, once.
    fn ask<'a>(&'a self, link: &'a dyn NodeLink) -> BoxFuture<'a, Result<Self::Got, LinkFailure>>;

    /// What comes of it if nobody answers and somebody does not know the call, being of an older release.
    /// None: every release knows it.
    fn without(&self) -> Option<Self::Got> {
        None
    }
}

/// A transaction that only reads.
pub(super) struct Reading<'r>(pub(super) &'r Verified<AccountRequest>);

/// The Post of another service.
pub(super) struct Receiving<'r>(pub(super) &'r Verified<AccountRequest>);

/// The keys that may sign for an account, until a deadline.
pub(super) struct KeysOf<'r>(pub(super) &'r AccountAddress, pub(super) Timestamp);

/// What a hailing account publishes under a name, until a deadline.
pub(super) struct PublishedBy<'r>(
    pub(super) &'r AccountAddress,
    pub(super) &'r Udf,
    pub(super) Timestamp,
);

/// What is remembered of the service of a domain, once what was seen of it is, until a deadline.
pub(super) struct PinnedFor<'r>(
    pub(super) &'r str,
    pub(super) Option<&'r Pinned>,
    pub(super) Timestamp,
);

/// What back-ends remember of a domain.
pub(super) enum Remembered {
    As(Option<Box<Pinned>>),
    /// They remember nothing of any.
    Nothing,
}

impl Ask for PinnedFor<'_> {
    type Got = Remembered;

    fn ask<'a>(&'a self, link: &'a dyn NodeLink) -> BoxFuture<'a, Result<Self::Got, LinkFailure>> {
        Box::pin(async move {
            let pinned = link.pinned(self.0, self.1, self.2).await?;
            Ok(Remembered::As(pinned.map(Box::new)))
        })
    }

    fn without(&self) -> Option<Self::Got> {
        Some(Remembered::Nothing)
    }
}

impl Ask for Reading<'_> {
    type Got = Answer;

    fn ask<'a>(&'a self, link: &'a dyn NodeLink) -> BoxFuture<'a, Result<Answer, LinkFailure>> {
        link.perform(self.0)
    }
}

impl Ask for Receiving<'_> {
    type Got = Answer;

    fn ask<'a>(&'a self, link: &'a dyn NodeLink) -> BoxFuture<'a, Result<Answer, LinkFailure>> {
        link.receive(self.0)
    }
}

impl Ask for KeysOf<'_> {
    type Got = Option<SigningKeys>;

    fn ask<'a>(&'a self, link: &'a dyn NodeLink) -> BoxFuture<'a, Result<Self::Got, LinkFailure>> {
        link.signing_keys(self.0, self.1)
    }
}

impl Ask for PublishedBy<'_> {
    type Got = Option<Publication>;

    fn ask<'a>(&'a self, link: &'a dyn NodeLink) -> BoxFuture<'a, Result<Self::Got, LinkFailure>> {
        link.published(self.0, self.1, self.2)
    }
}

/// What became of one question.
pub(super) enum Ended<T> {
    /// It is answered.
    For(Result<T, CallFailure>),
    /// Nothing was carried out, since it never got there.
    Unreached,
    /// Nothing was carried out. Whoever was asked may have known who is to be asked instead.
    Nothing,
    /// Nobody knows whether it was carried out, and why not.
    Open(String),
}

/// Why a write cannot go on now.
enum Hurdle {
    /// There is no owner to ask, at least until this time.
    NoOwner(Option<Duration>),
    /// So many that waited for this node are with it already.
    Others(Arc<Linked>),
}

/// A write on its way to an owner that answers.
#[derive(Default)]
struct Writing<'a> {
    /// When it waits no longer, once it has waited.
    waits_until: Option<Instant>,
    /// Its place while it waits, or finds out whether it still has to.
    place: Option<Place<'a>>,
    /// Its turn among those that waited, and at which node.
    turn: Option<(Address, UnparkTurn)>,
    /// Whether it could not be brought to the owner a moment ago.
    is_unreached: bool,
    /// How often it was sent without an answer.
    sent: usize,
}

impl Inner {
    /// Waits for `work` until `deadline`.
    pub(super) async fn in_time<T>(
        &self,
        deadline: Timestamp,
        work: impl Future<Output = Result<T, CallFailure>>,
    ) -> Result<T, CallFailure> {
        let left = deadline.since(self.clock.now());
        if left.is_zero() {
            return Err(too_late());
        }
        tokio::time::timeout(left, work)
            .await
            .unwrap_or_else(|_| Err(too_late()))
    }

    // ---- What needs no owner ----

    /// Asks the owner of `partition`, or whoever else is there; and a second one when the first takes
    /// its time. The first answer counts.
    pub(super) async fn ask_anybody<A: Ask>(
        &self,
        partition: PartitionId,
        ask: &A,
    ) -> Result<A::Got, CallFailure> {
        let mut tried: Vec<Address> = Vec::new();
        let mut under_way = FuturesUnordered::new();
        let mut sent = 0;
        let mut last = away("no back-end is known that could be asked");
        let mut without = None;
        let mut is_next_due = true;
        loop {
            if is_next_due
                && sent < ROUTED_TRIES_MAX
                && let Some(linked) = self.next(partition, &tried)
            {
                tried.push(Address::clone(&linked.address));
                sent += 1;
                under_way.push(async move {
                    let outcome = ask.ask(&*linked.link).await;
                    (linked, outcome)
                });
            }
            if under_way.is_empty() {
                return without.ok_or(last);
            }
            let patience = sleep(ROUTED_PATIENCE);
            let (linked, outcome) = tokio::select! {
                Some(answered) = under_way.next() => answered,
                () = patience, if sent < ROUTED_TRIES_MAX => {
                    is_next_due = true;
                    continue;
                }
            };
            let ended = match (&outcome, ask.without()) {
                // It is there, and of an older release.
                (Err(LinkFailure::Unknown(_)), Some(got)) => {
                    self.is_there(&linked.address, None);
                    without = Some(got);
                    Ended::Nothing
                }
                _ => self.judge(&linked, partition.into(), None, outcome),
            };
            match ended {
                Ended::For(answer) => {
                    self.mark_slow(&tried, &linked.address, !under_way.is_empty());
                    return answer;
                }
                Ended::Nothing | Ended::Unreached => {
                    sent -= 1;
                    last = away("no back-end that is known can be reached");
                }
                Ended::Open(why) => {
                    last = away(&why);
                    if self.next(partition, &tried).is_none() {
                        // There is but one: it may be back on its feet already.
                        tried.clear();
                    }
                }
            }
            is_next_due = true;
        }
    }

    fn next(&self, partition: PartitionId, tried: &[Address]) -> Option<Arc<Linked>> {
        let now = self.now();
        let mut tried = tried.to_vec();
        loop {
            let address = self.routing().anybody(partition, &tried, now)?;
            match self.links.get(&address) {
                Some(linked) => return Some(linked),
                // The link to it is not made yet.
                None => tried.push(address),
            }
        }
    }

    /// Whoever was asked first, and is still silent when the second one has answered, is slow.
    fn mark_slow(&self, tried: &[Address], answered: &Address, is_one_silent: bool) {
        if let Some(first) = tried
            .first()
            .filter(|first| is_one_silent && *first != answered)
        {
            let now = self.now();
            self.routing_mut().slow(first, now);
        }
    }

    // ---- What only the owner can do ----

    /// Has the owner carry out `request`, whoever that is by then.
    pub(super) async fn write(
        &self,
        request: &Verified<AccountRequest>,
    ) -> Result<Answer, CallFailure> {
        let partition = PartitionId::of(&request.account);
        let mut writing = Writing::default();
        loop {
            let ready = self.routing().owner(partition.into());
            let target = match ready.filter(|_| writing.waits_until.is_none()) {
                Some(target) => target,
                None => Box::pin(self.park(partition, &mut writing)).await?,
            };
            let unit = partition.into();
            let ended = match &target.through {
                None => self.ask_owner(&target, unit, request).await,
                Some(through) => self.ask_through((&target, through), unit, request).await,
            };
            writing.turn = None;
            writing.is_unreached = matches!(ended, Ended::Unreached);
            match ended {
                Ended::For(answer) => return answer,
                // From now on it waits where it has to.
                Ended::Nothing | Ended::Unreached => writing.begin_to_wait(),
                Ended::Open(why) => {
                    writing.sent += 1;
                    if writing.sent >= ROUTED_TRIES_MAX || !may_be_repeated(request) {
                        return Err(away(&why));
                    }
                    writing.begin_to_wait();
                }
            }
        }
    }

    /// Asks `target` once. Gives up, not knowing what becomes of it, when another node has the
    /// partition since and `target` still says nothing: it may be paused, and has lost its fence.
    async fn ask_owner(
        &self,
        target: &Target,
        unit: Unit,
        request: &Verified<AccountRequest>,
    ) -> Ended<Answer> {
        let Some(linked) = self.links.get(&target.address) else {
            let now = self.now();
            self.routing_mut().doubt(&target.address, now);
            return Ended::Nothing;
        };
        tokio::select! {
            biased;
            outcome = linked.link.perform(request) => {
                self.judge(&linked, unit, Some(target), outcome)
            }
            () = self.superseded(unit, target) => {
                Ended::Open("another node owns the partition by now".into())
            }
            () = self.unheard(&linked, (target, unit), request) => {
                Ended::Open("the owner is not heard any more".into())
            }
        }
    }

    /// Ready when another claim of `unit` than that of `target` is known, and `target` has had time to
    /// answer.
    pub(super) async fn superseded(&self, unit: Unit, target: &Target) {
        let Unit::Partition(partition) = unit else {
            return std::future::pending().await;
        };
        loop {
            sleep(SUPERSEDED_PATIENCE).await;
            let bell = self.bell(partition).notified();
            tokio::pin!(bell);
            bell.as_mut().enable();
            if self.routing().is_superseded(unit, target.fence) {
                return;
            }
            bell.await;
        }
    }

    /// Waits until the owner of `partition` can be asked, or this write is to find out whether it can.
    ///
    /// # Errors
    /// [`CallFailure::Moved`] when it has waited long enough, or too many wait.
    async fn park<'a>(
        &'a self,
        partition: PartitionId,
        writing: &mut Writing<'a>,
    ) -> Result<Target, CallFailure> {
        let until = *writing
            .waits_until
            .get_or_insert_with(|| Instant::now() + PARKED_TIME_MAX);
        let given_up = || CallFailure::Moved(None);
        loop {
            let bell = self.bell(partition).notified();
            tokio::pin!(bell);
            bell.as_mut().enable();
            let now = self.now();
            let is_unreached = std::mem::take(&mut writing.is_unreached);
            let may_ask = self.routing_mut().turn(partition.into(), is_unreached, now);
            let hurdle = match may_ask {
                Turn::Probe(target) => return Ok(target),
                Turn::Ask(target) => match self.turns_at(&target, writing) {
                    None => {
                        writing.place = None;
                        return Ok(target);
                    }
                    Some(linked) => Hurdle::Others(linked),
                },
                Turn::Wait(wait) => Hurdle::NoOwner(wait),
            };
            // Whoever waits for anything holds nobody up.
            writing.turn = None;
            if Instant::now() >= until {
                return Err(given_up());
            }
            if writing.place.is_none() {
                writing.place = Some(self.parking.place(partition).ok_or_else(given_up)?);
            }
            let next = match hurdle {
                Hurdle::NoOwner(wait) => wait.map_or(until, |wait| until.min(self.started + wait)),
                Hurdle::Others(linked) => {
                    let turn = timeout_at(until, linked.turns.wait()).await;
                    let turn = turn.ok().flatten();
                    writing.turn = turn.map(|turn| (Address::clone(&linked.address), turn));
                    // Meanwhile the owner may be another one.
                    continue;
                }
            };
            tokio::select! {
                () = bell => {}
                () = sleep_until(next) => {}
            }
        }
    }

    /// The node whose turns a write for `target` has to wait for; none once it has one, or if there is
    /// nothing to wait for.
    fn turns_at(&self, target: &Target, writing: &mut Writing<'_>) -> Option<Arc<Linked>> {
        let asked = target.asked();
        let here = |(address, _): &(Address, UnparkTurn)| address == asked;
        if writing.turn.as_ref().is_some_and(here) {
            return None;
        }
        let linked = self.links.get(asked)?;
        let turn = linked.turns.at_once();
        writing.turn = turn.map(|turn| (Address::clone(asked), turn));
        writing.turn.is_none().then_some(linked)
    }

    // ---- What an answer means ----

    /// Learns from what became of a question to `linked`, which was asked as the owner of `unit` if it
    /// is `target`.
    fn judge<T>(
        &self,
        linked: &Linked,
        unit: Unit,
        target: Option<&Target>,
        outcome: Result<T, LinkFailure>,
    ) -> Ended<T> {
        let address = &linked.address;
        let failure = match outcome {
            Ok(got) => {
                self.is_there(address, target.map(|target| (unit, target)));
                return Ended::For(Ok(got));
            }
            Err(failure) => failure,
        };
        match failure {
            LinkFailure::Call(CallFailure::Moved(hint)) => {
                self.is_not_owner(address, unit, target, hint);
                Ended::Nothing
            }
            LinkFailure::Call(CallFailure::Away(error)) if target.is_none() => {
                Ended::Open(error.context.unwrap_or(error.message))
            }
            LinkFailure::Call(failure) => {
                self.is_there(address, target.map(|target| (unit, target)));
                Ended::For(Err(failure))
            }
            LinkFailure::Deadline { .. } => Ended::For(Err(too_late())),
            LinkFailure::NotSent(why) => {
                tracing::debug!(node = %address, why, "a node could not be asked");
                let now = self.now();
                self.routing_mut().doubt(address, now);
                Ended::Unreached
            }
            LinkFailure::Refused(why)
            | LinkFailure::NotPassedOn(why)
            | LinkFailure::Unknown(why) => self.is_refused(linked, target, &why),
            LinkFailure::Lost(why) => {
                tracing::debug!(node = %address, why, "a node was asked and did not answer");
                let now = self.now();
                self.routing_mut().doubt(address, now);
                Ended::Open(why)
            }
        }
    }

    /// A node took nothing of it. One that is heard takes calls of this process, so it is this one that it
    /// does not take; that must not keep others from it.
    fn is_refused<T>(&self, linked: &Linked, target: Option<&Target>, why: &str) -> Ended<T> {
        let address = &linked.address;
        if linked.stream().is_none() {
            tracing::error!(node = %address, why, "a node takes no requests from this front-end");
            let until = self.now() + NODE_REFUSES_PAUSE;
            self.routing_mut().doubt_until(address, until);
            return Ended::Nothing;
        }
        tracing::error!(node = %address, why, "a node does not take a request");
        match target {
            Some(_) => Ended::For(Err(ServiceError::internal(why).into())),
            None => Ended::Nothing,
        }
    }

    /// A node answered; as the owner of a unit, if one is named.
    pub(super) fn is_there(&self, address: &Address, owned: Option<(Unit, &Target)>) {
        if self
            .routing()
            .is_settled(address, owned.map(|(unit, _)| unit))
        {
            return;
        }
        let owned = owned.map(|(unit, target)| (unit, target.fence));
        let changed = self.routing_mut().answered(address, owned);
        self.wake(&changed);
    }

    /// A node answered that it is not the owner.
    pub(super) fn is_not_owner(
        &self,
        address: &Address,
        unit: Unit,
        target: Option<&Target>,
        hint: Option<Route>,
    ) {
        self.measures.moved.inc();
        let now = self.now();
        let mut routing = self.routing_mut();
        let mut changed = routing.answered(address, None);
        let is_news = match (target, hint) {
            (Some(target), hint) => routing.moved(unit, target.fence, hint, now),
            (None, Some(route)) => routing.learn(unit, route),
            (None, None) => false,
        };
        drop(routing);
        if is_news {
            changed.insert(unit);
        }
        self.wake(&changed);
    }
}

impl Writing<'_> {
    /// From now on it goes to nobody without looking whether it has to wait.
    fn begin_to_wait(&mut self) {
        self.waits_until
            .get_or_insert_with(|| Instant::now() + PARKED_TIME_MAX);
    }
}

/// Whether a write that may have been carried out may be asked for again under its RequestID: whether
/// the account's home recognizes it (service §4.7).
fn may_be_repeated(request: &AccountRequest) -> bool {
    is_recognized(&request.request) && request.caller.mode != Mode::Interop
}

/// Nobody can say what became of a request, or there is nobody to ask.
fn away(why: &str) -> CallFailure {
    CallFailure::Away(ServiceError::unavailable(why))
}

/// As the front-end says it that waits for its own back-end.
pub(super) fn too_late() -> CallFailure {
    let sentence = "the transaction took too long, repeat the request";
    CallFailure::Refused(ServiceError::new(Code::Timeout, sentence))
}

/// A question that is refused without an answer of its own class.
pub(super) fn refusal(failure: CallFailure) -> ServiceError {
    let unclear = || ServiceError::unavailable("a back-end asks for evidence where none is needed");
    failure.into_refusal().unwrap_or_else(unclear)
}
