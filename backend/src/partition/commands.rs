//! What a partition can be asked, and how the answer comes back.
//!
//! Every command carries the channel for its answer. A channel that is dropped without an answer
//! tells the asker that the partition stopped: it is started anew by the next command.

use std::sync::Arc;
use std::time::Duration;

use actix::Message;
use futures_util::FutureExt as _;
use mesh_common::account::Standing;
use mesh_common::account::intake::ContactIndex;
use mesh_common::address::AccountAddress;
use mesh_common::cluster::{AccountRequest, Answer, CallFailure, Verified};
use mesh_common::conduct::Level;
use mesh_common::error::ServiceError;
use mesh_common::time::Timestamp;
use tokio::sync::oneshot;

use super::queue::payload_bytes;
use super::shared::{KeyCache, KnownKeys};
use super::upkeep::Tended;

/// What an operation comes to.
pub(crate) type Outcome = Result<Answer, CallFailure>;

/// What an operation is judged by that takes long to read, or curve arithmetic: found out before it
/// comes to the partition.
#[derive(Debug, Default)]
pub(crate) struct Beside {
    /// What the account's contacts say, where that matters.
    pub(crate) contacts: Option<Arc<ContactIndex>>,
    /// How the service stands that posts the message.
    pub(crate) service_level: Level,
}

/// One request that may write, and where its answer goes.
#[derive(Debug)]
pub(crate) struct Operation {
    request: Arc<Verified<AccountRequest>>,
    bytes: usize,
    beside: Beside,
    /// When it came to wait for the partition.
    queued_at: Option<Timestamp>,
    reply: oneshot::Sender<Outcome>,
}

impl Operation {
    pub(crate) fn new(request: Verified<AccountRequest>) -> (Self, oneshot::Receiver<Outcome>) {
        Self::forwarded(Arc::new(request), Beside::default())
    }

    /// A Post to others, or of another service, with what it is judged by. Whoever asks for a service
    /// keeps the request, for the case that nobody answers.
    pub(crate) fn forwarded(
        request: Arc<Verified<AccountRequest>>,
        beside: Beside,
    ) -> (Self, oneshot::Receiver<Outcome>) {
        let (reply, answer) = oneshot::channel();
        let operation = Self {
            bytes: payload_bytes(&request),
            request,
            beside,
            queued_at: None,
            reply,
        };
        (operation, answer)
    }

    /// What was found out beside the partition.
    pub(crate) const fn beside(&self) -> &Beside {
        &self.beside
    }

    pub(crate) fn request(&self) -> &Verified<AccountRequest> {
        &self.request
    }

    pub(crate) fn account(&self) -> &AccountAddress {
        &self.request.account
    }

    /// Payload octets of the request.
    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// It waits for the partition, since `now` if it did not before.
    pub(crate) fn wait_since(&mut self, now: Timestamp) {
        self.queued_at.get_or_insert(now);
    }

    /// How long it has waited for the partition.
    pub(crate) fn waited(&self, now: Timestamp) -> Duration {
        self.queued_at
            .map_or(Duration::ZERO, |queued_at| now.since(queued_at))
    }

    /// Whether an answer is of no use any more.
    pub(crate) fn is_late(&self, now: Timestamp) -> bool {
        now >= self.request.deadline
    }

    /// Answers, unless nobody waits any more.
    pub(crate) fn answer(self, outcome: Outcome) {
        if self.reply.send(outcome).is_err() {
            tracing::debug!("the asker of an operation has left before its answer");
        }
    }

    /// Answers with a refusal.
    pub(crate) fn refuse(self, error: ServiceError) {
        self.answer(Err(CallFailure::Refused(error)));
    }

    /// Answers that the owner is away, or does not know whether it was carried out.
    pub(crate) fn give_back(self, error: ServiceError) {
        self.answer(Err(CallFailure::Away(error)));
    }
}

/// Carry out an operation.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Perform(pub(crate) Operation);

/// Show an account as it is committed.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct View {
    pub(crate) account: AccountAddress,
    /// Whether its signing keys go into the node's cache on the way. The owner puts them there and
    /// takes them out again, so that no older keys can come after newer ones.
    pub(crate) is_for_keys: bool,
    pub(crate) reply: oneshot::Sender<Result<Arc<Standing>, ServiceError>>,
}

impl View {
    /// Answers, unless nobody waits any more. `epoch` tells by which claim we own the account.
    pub(crate) fn show(self, standing: &Arc<Standing>, cache: &KeyCache, epoch: u64) {
        if let Some(keys) = standing.signing_keys().filter(|_| self.is_for_keys) {
            let keys = keys.clone();
            cache.insert(self.account, Arc::new(KnownKeys { epoch, keys }));
        }
        let _gone = self.reply.send(Ok(Arc::clone(standing)));
    }

    /// Answers with a refusal.
    pub(crate) fn refuse(self, error: ServiceError) {
        let _gone = self.reply.send(Err(error));
    }
}

/// Do the work that is due. Answered once all of it is done, or once requests wait behind it.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Tend {
    pub(crate) reply: oneshot::Sender<Tended>,
}

/// Drain the intake. Who asks for it is answered, with how many entries that were, once nothing more
/// is known to be there.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Drain {
    pub(crate) reply: Option<oneshot::Sender<usize>>,
}

/// Finish what is in flight, refuse the rest, and stop.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Stop {
    /// What operations are told that wait, or come yet.
    pub(crate) refusal: CallFailure,
    pub(crate) reply: oneshot::Sender<()>,
}

/// Look whether there is something to do: the node may have come to own the partition surely again, or to
/// own it no more.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Wake;

/// Runs `work` and turns a panic in it into `None`.
pub(crate) fn contained<T>(work: impl FnOnce() -> T) -> Option<T> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).ok()
}

/// Polls `work` and turns a panic in it into `None`.
pub(crate) async fn contained_future<T>(work: impl Future<Output = T>) -> Option<T> {
    std::panic::AssertUnwindSafe(work).catch_unwind().await.ok()
}
