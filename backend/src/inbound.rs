//! What another service posts, on its way to the recipient's owner, or into the intake when that is
//! away (decision Q-5, cluster §8).
//!
//! ```text
//!  receive ─▶ view, contacts ─▶ owner: decided, committed, 201 or the refusal
//!     │        beside the actor
//!     └─ the owner is away, or ended over it ─▶ intake: 202, at most so many for a partition
//! ```
//!
//! When the owner ended over a message it may have been appended, and is left in the intake all the
//! same: the drain recognizes it by sender, UniqueID and payload.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use mesh_common::account::inbound::{is_blocked, left, refused};
use mesh_common::account::{AccountStatus, IntakeBody, IntakeEntry, Standing};
use mesh_common::cluster::{AccountRequest, Answer, CallFailure, PartitionId, Verified};
use mesh_common::conduct::Level;
use mesh_common::error::ServiceError;
use mesh_common::limits::INTAKE_AWAY_ENTRIES_MAX;
use mesh_common::protocol::Code;

use crate::handle::{Inner, ended};
use crate::partition::commands::{Beside, Operation, Outcome, Perform};
use crate::partition::reading::{self, ReadError};
use crate::partition::records::Rows;
use crate::partition::shared::chain;
use crate::partition::{conduct, contacts};
use crate::store::{Store, Tx as _, TxOptions};

/// Entries left for each partition while its owner was away, since it drained last.
#[derive(Debug)]
pub(crate) struct LeftMeanwhile(Vec<AtomicUsize>);

impl Default for LeftMeanwhile {
    fn default() -> Self {
        Self(PartitionId::all().map(|_| AtomicUsize::new(0)).collect())
    }
}

impl LeftMeanwhile {
    /// Counts one more, unless there are as many as may be.
    pub(crate) fn count(&self, partition: PartitionId) -> bool {
        let more = |count| (count < INTAKE_AWAY_ENTRIES_MAX).then_some(count + 1);
        let count = &self.0[usize::from(partition.0)];
        count
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, more)
            .is_ok()
    }

    /// What was counted was not left.
    pub(crate) fn discount(&self, partition: PartitionId) {
        let less = |count: usize| count.checked_sub(1);
        let count = &self.0[usize::from(partition.0)];
        // Nothing to take away: the owner was back in between.
        let _ = count.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
    }

    /// The owner is back: its intake was found empty.
    pub(crate) fn drained(&self, partition: PartitionId) {
        self.0[usize::from(partition.0)].store(0, Ordering::Relaxed);
    }
}

impl<S: Store> Inner<S> {
    /// Takes in the Post of a service.
    pub(crate) async fn receive(&self, request: Verified<AccountRequest>) -> Outcome {
        let request = Arc::new(request);
        match self.receive_at_home(&request).await {
            Err(CallFailure::Away(error)) if !self.is_stopping() => {
                tracing::info!(
                    account = %request.account,
                    context = error.context,
                    "the owner of an account is away; a message is left for it"
                );
                self.receive_meanwhile(&request).await
            }
            outcome => outcome,
        }
    }

    /// The owner decides. What takes long is done here, beside it: contacts are read with the
    /// service's keys, as the drain reads them.
    async fn receive_at_home(&self, request: &Arc<Verified<AccountRequest>>) -> Outcome {
        let view = self.view(&request.account, false).await;
        let standing = view.map_err(|error| match error.code {
            Code::Overload => CallFailure::Away(error),
            _ => CallFailure::Refused(error),
        })?;
        let beside = self.beside(&standing, request).await;
        let beside = beside.map_err(|error| error.to_refusal())?;
        let (operation, answer) = Operation::forwarded(Arc::clone(request), beside);
        let partition = PartitionId::of(&request.account);
        self.send(partition, Perform(operation))
            .await
            .map_err(CallFailure::Away)?;
        answer.await.unwrap_or_else(|_| Err(ended()))
    }

    async fn beside(
        &self,
        standing: &Standing,
        request: &AccountRequest,
    ) -> Result<Beside, ReadError> {
        let shared = &self.shared;
        let Some(state) = standing.account() else {
            return Ok(Beside::default());
        };
        let message = request.evidence.forwarded();
        let service_level = match message.and_then(|message| message.service.as_ref()) {
            Some(service) => {
                let policy = &shared.config.policy_of(&request.account).conduct;
                conduct::of_service(shared, &service.domain, policy).await?
            }
            None => Level::Normal,
        };
        Ok(Beside {
            contacts: Some(contacts::index_of(shared, state).await?),
            service_level,
        })
    }

    /// Nobody decides now: what can be refused by a look is refused, the rest is left for the owner.
    async fn receive_meanwhile(&self, request: &Verified<AccountRequest>) -> Outcome {
        let shared = &self.shared;
        let message = request
            .evidence
            .forwarded()
            .ok_or_else(|| ServiceError::internal("nothing was forwarded"))?;
        let tx = shared.store.begin(TxOptions::default());
        let standing = reading::standing(&tx, &request.account).await;
        drop(tx);
        if !takes_messages(&standing.map_err(|error| error.to_refusal())?) {
            return Err(no_such_account().into());
        }
        if is_blocked(message, shared.config.policy_of(&request.account)) {
            return Err(refused().into());
        }
        let partition = PartitionId::of(&request.account);
        if !shared.left_meanwhile.count(partition) {
            let reason = "as much is left for the partition as may be while its owner is away";
            return Err(ServiceError::unavailable(reason).into());
        }
        let entry = IntakeEntry {
            id: message.entry_id(&request.account),
            account: request.account.clone(),
            left_at: shared.now(),
            body: IntakeBody::Message(Box::new(message.clone())),
        };
        let mut rows = Rows::default();
        rows.leave(&entry);
        let mut tx = shared.store.begin(shared.writing());
        rows.fill(&mut tx);
        // An append whose result is unknown may be repeated: its id makes it one.
        let committed = tx.commit().await;
        if let Err(error) = committed {
            shared.left_meanwhile.discount(partition);
            return Err(ServiceError::unavailable(chain(&error)).into());
        }
        shared.bell.ring(partition);
        Ok(Answer {
            response: left(request),
            context: None,
            retry_after: None,
        })
    }
}

fn takes_messages(standing: &Standing) -> bool {
    let state = standing.account();
    state.is_some_and(|state| state.record.status == AccountStatus::Connected)
}

/// As the owner says it (decision Q-57).
fn no_such_account() -> ServiceError {
    ServiceError::new(Code::NotFound, "there is no such account")
}
