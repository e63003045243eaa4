//! A Status that waits, from the answer that says nothing new to the one that goes out (architecture
//! What bounds it is in [`crate::polls`].

use std::pin::pin;
use std::sync::Arc;

use mesh_common::address::AccountAddress;
use mesh_common::cluster::{AccountRequest, Evidence, Watch};
use mesh_common::entropy::draw;
use mesh_common::limits::TRANSACTION_TIME_MAX;
use mesh_common::protocol::{Request, StatusRequest, Transaction};
use mesh_common::session::{Authenticated, Via};
use tokio::time::sleep;

use super::{Edge, Outcomed, Told, answered, digest_for_retries, refused, still_stale};
use crate::polls::{Place, Wakened};
use crate::prefer::Wait;

/// How far a request has come.
#[expect(
    clippy::large_enum_variant,
    reason = "one for each request, moved once; a box would cost every answer"
)]
pub(crate) enum Reached {
    /// To its answer.
    Answer(Told),
    /// To where it waits.
    Wait(Box<Poll>),
}

/// A request that waits: who asks what, and what is no news. Small, for there are many.
pub(crate) struct Poll {
    authenticated: Arc<Authenticated>,
    account: AccountAddress,
    request: StatusRequest,
    wait: Wait,
    watch: Watch,
    place: Place,
}

/// A request that may have to wait.
pub(super) struct Asked {
    request: StatusRequest,
    wait: Wait,
}

impl Asked {
    /// Only a Status on a ticket waits; on any other request the preference is ignored.
    pub(super) fn of(
        authenticated: &Authenticated,
        request: &Request,
        wait: Option<Wait>,
    ) -> Option<Self> {
        let Request::Status(request) = request else {
            return None;
        };
        let wait = wait.filter(|_| authenticated.caller.via == Via::Ticket)?;
        Some(Self {
            request: request.clone(),
            wait,
        })
    }
}

impl Edge {
    /// Puts a request aside whose answer would be `outcomed`, if that is no news and there is room.
    pub(super) async fn put_aside(
        &self,
        authenticated: Arc<Authenticated>,
        asked: Asked,
        outcomed: Outcomed,
    ) -> Reached {
        let Asked { request, wait } = asked;
        let is_news = wait.is_news(&outcomed.response);
        if let Some(account) = outcomed.account.clone().filter(|_| !is_news)
            && let Some(place) = self.polls.place()
            && let Some(watch) = self.backend.watch(&account).await
        {
            return Reached::Wait(Box::new(Poll {
                authenticated,
                account,
                request,
                wait,
                watch,
                place,
            }));
        }
        let is_applied = is_news && outcomed.response.outcome().is_success();
        let mut told = self.sealed(&authenticated, Some(Transaction::Status), outcomed);
        if is_applied {
            told.reply = told.reply.with_wait(wait.time);
        }
        Reached::Answer(told)
    }

    /// Waits until there is news, the time is over or the service stops, and answers then.
    ///
    /// # Cancellation
    /// Leaves nothing behind: place and watch end with the request.
    pub(crate) async fn wait(&self, mut poll: Box<Poll>) -> Told {
        let [chance] = draw(&mut *(self.entropy)());
        let mut time = pin!(sleep(poll.wait.shortened(chance)));
        let mut wakened = Wakened::Change;
        loop {
            // Also before the first wait: the watch is younger than the answer that was no news.
            let outcomed = Box::pin(self.look(&poll)).await;
            if wakened != Wakened::Change || poll.wait.is_news(&outcomed.response) {
                poll.place.count(wakened);
                return Box::pin(self.wakened(&poll, outcomed)).await;
            }
            wakened = poll.place.next(&mut poll.watch, time.as_mut()).await;
        }
    }

    /// What a Status says now. It has its own time: the wait counts for nothing.
    async fn look(&self, poll: &Poll) -> Outcomed {
        let (now, authenticated) = (self.clock.now(), &poll.authenticated);
        let request = Request::Status(poll.request.clone());
        let call = Box::new(AccountRequest {
            account: poll.account.clone(),
            caller: authenticated.caller.clone(),
            request_id: authenticated.request_id,
            request_digest: digest_for_retries(&request, &authenticated.plaintext),
            received_at: now,
            deadline: now + TRANSACTION_TIME_MAX,
            request,
            evidence: Evidence::Nothing,
        });
        let transaction = Some(Transaction::Status);
        let mut outcomed = match self.perform(call).await {
            Ok(answer) => Outcomed {
                context: answer.context,
                retry_after: answer.retry_after,
                ..answered(Some(poll.account.clone()), answer.response)
            },
            Err(failure) => refused(
                transaction,
                failure.into_refusal().unwrap_or_else(still_stale),
            ),
        };
        if let Some(id) = &poll.request.id {
            outcomed.response.outcome_mut().id = Some(id.clone());
        }
        outcomed
    }

    async fn wakened(&self, poll: &Poll, outcomed: Outcomed) -> Told {
        let is_applied = outcomed.response.outcome().is_success();
        let mut told = self.sealed(&poll.authenticated, Some(Transaction::Status), outcomed);
        if is_applied {
            told.reply = told.reply.with_wait(poll.wait.time);
        }
        told
    }
}
