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

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mesh_common::account::inbound::{is_blocked, left, refused};
use mesh_common::account::{AccountStatus, IntakeBody, IntakeEntry, Standing};
use mesh_common::cluster::{AccountRequest, Answer, CallFailure, PartitionId, Verified};
use mesh_common::conduct::Level;
use mesh_common::error::ServiceError;
use mesh_common::limits::INTAKE_AWAY_ENTRIES_MAX;
use mesh_common::protocol::Code;
use mesh_common::time::Timestamp;

use crate::handle::{Inner, NotHere, ended};
use crate::partition::commands::{Beside, Operation, Outcome, Perform};
use crate::partition::reading::{self, ReadError};
use crate::partition::records::Rows;
use crate::partition::shared::{Shared, chain};
use crate::partition::{conduct, contacts};
use crate::store::{Store, Tx as _, TxOptions};

/// Entries left here for partitions while their owners were away, or are others than we.
///
/// The owner that is in this process says when it has drained. Of others it is seen in the store: where
/// the oldest entry is younger than the last look, everything is gone that was left before.
#[derive(Debug, Default)]
pub(crate) struct LeftMeanwhile(Mutex<Counts>);

#[derive(Debug, Default)]
struct Counts {
    left: HashMap<PartitionId, Left>,
    looked_at: Option<Timestamp>,
}

/// Entries left for one partition.
#[derive(Debug, Clone, Copy, Default)]
struct Left {
    /// Before the last look, and not known to be drained.
    before: usize,
    /// Since the last look.
    since: usize,
}

impl LeftMeanwhile {
    /// Counts one more, unless there are as many as may be.
    pub(crate) fn count(&self, partition: PartitionId) -> bool {
        let mut counts = self.lock();
        let left = counts.left.entry(partition).or_default();
        let fits = left.before + left.since < INTAKE_AWAY_ENTRIES_MAX;
        left.since += usize::from(fits);
        fits
    }

    /// What was counted was not left.
    pub(crate) fn discount(&self, partition: PartitionId) {
        if let Some(left) = self.lock().left.get_mut(&partition) {
            // Nothing to take away: the owner was back in between.
            left.since = left.since.saturating_sub(1);
        }
    }

    /// The owner is back: its intake was found empty.
    pub(crate) fn drained(&self, partition: PartitionId) {
        self.lock().left.remove(&partition);
    }

    /// A look that began at `now` found entries for these partitions of others, the oldest of these
    /// times.
    pub(crate) fn looked(
        &self,
        now: Timestamp,
        waiting: &BTreeMap<PartitionId, Option<Timestamp>>,
    ) {
        let mut counts = self.lock();
        let looked_at = counts.looked_at.replace(now);
        counts.left.retain(|partition, left| {
            let is_drained = match waiting.get(partition) {
                None => true,
                Some(oldest) => oldest.is_some() && *oldest > looked_at,
            };
            left.before = if is_drained {
                left.since
            } else {
                left.before + left.since
            };
            left.since = 0;
            left.before > 0
        });
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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
                receive_meanwhile(&self.shared, &request).await
            }
            // Its owner, if there is one at present, was asked before us.
            Err(CallFailure::Moved(_)) if !self.is_stopping() => {
                receive_meanwhile(&self.shared, &request).await
            }
            outcome => outcome,
        }
    }

    /// The owner decides. What takes long is done here, beside it.
    async fn receive_at_home(&self, request: &Arc<Verified<AccountRequest>>) -> Outcome {
        let partition = PartitionId::of(&request.account);
        if !self.shared.serves(partition) {
            return Err(self.shared.moved(partition));
        }
        let view = self.view(&request.account, false).await;
        let standing = view.map_err(|error| match error.code {
            Code::Overload => CallFailure::Away(error),
            _ => CallFailure::Refused(error),
        })?;
        let beside = beside(&self.shared, &standing, request).await;
        let beside = beside.map_err(|error| error.to_refusal())?;
        let (operation, answer) = Operation::forwarded(Arc::clone(request), beside);
        self.send(partition, Perform(operation))
            .await
            .map_err(|reason| match reason {
                NotHere::Moved(failure) => failure,
                NotHere::Away(error) => CallFailure::Away(error),
            })?;
        answer.await.unwrap_or_else(|_| Err(ended()))
    }
}

/// What the Post of a service is judged by beside the owner: contacts are read with the service's keys, as the
/// drain reads them.
///
/// # Errors
/// The store cannot be read.
pub(crate) async fn beside<S: Store>(
    shared: &Shared<S>,
    standing: &Standing,
    request: &AccountRequest,
) -> Result<Beside, ReadError> {
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
pub(crate) async fn receive_meanwhile<S: Store>(
    shared: &Shared<S>,
    request: &Verified<AccountRequest>,
) -> Outcome {
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
    let place = shared.commits.place().await;
    let mut tx = shared.store.begin(shared.writing());
    rows.fill(&mut tx, shared.intakes());
    // An append whose result is unknown may be repeated: its id makes it one.
    let committed = tx.commit().await;
    drop(place);
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

fn takes_messages(standing: &Standing) -> bool {
    let state = standing.account();
    state.is_some_and(|state| state.record.status == AccountStatus::Connected)
}

/// As the owner says it (decision Q-57).
fn no_such_account() -> ServiceError {
    ServiceError::new(Code::NotFound, "there is no such account")
}
