//! What another service posts, on its way to the recipient's owner, or into the intake when that is
//! away (decision Q-5, cluster §8).
//!
//! ```text
//!  receive ─▶ view, contacts ─▶ owner: decided, committed, 201 or the refusal
//!     │        beside the actor
//!     └─ the owner is away, or ended over it ─▶ intake: 202, while its gate is open (`crate::backlog`)
//! ```
//!
//! When the owner ended over a message it may have been appended, and is left in the intake all the
//! same: the drain recognizes it by sender, UniqueID and payload.

use std::sync::Arc;

use mesh_common::account::inbound::{is_blocked, left, refused};
use mesh_common::account::{AccountStatus, IntakeBody, IntakeEntry, Standing};
use mesh_common::cluster::{AccountRequest, Answer, CallFailure, PartitionId, Verified};
use mesh_common::conduct::Level;
use mesh_common::error::ServiceError;
use mesh_common::protocol::Code;

use crate::handle::{Inner, NotHere, ended};
use crate::partition::commands::{Beside, Operation, Outcome, Perform};
use crate::partition::reading::{self, ReadError};
use crate::partition::records::Rows;
use crate::partition::shared::{Shared, chain};
use crate::partition::{conduct, contacts};
use crate::store::{Store, Tx as _, TxOptions};

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
        self.shared.backlogs.let_in(&request.account)?;
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
    let entry = IntakeEntry {
        id: message.entry_id(&request.account),
        account: request.account.clone(),
        left_at: shared.now(),
        body: IntakeBody::Message(Box::new(message.clone())),
    };
    let (account, octets) = (&request.account, entry.bytes());
    shared.backlogs.leave(account, octets)?;
    let mut rows = Rows::default();
    rows.leave(&entry);
    let place = shared.commits.place().await;
    let mut tx = shared.store.begin(shared.writing());
    rows.fill(&mut tx, shared.intakes());
    // An append whose result is unknown may be repeated: its id makes it one.
    let committed = tx.commit().await;
    drop(place);
    if let Err(error) = committed {
        shared.backlogs.not_left(account, octets);
        return Err(ServiceError::unavailable(chain(&error)).into());
    }
    shared.bell.ring(entry.partition());
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
