//! The only assistance with retries: commit a plan, and find out when the result is unknown.
//!
//! Cluster §7.3 is the table. A plan writes absolute values and leaves a mark (the batch id in the tip
//! of the account), so that looking at the store tells whether it has landed.

use std::future::Future;

use super::{CommitError, Committed, Read, Store, StoreError, Tx, TxOptions};

/// Attempts to place one plan, the barrier and the probe included (cluster §7.3).
const ATTEMPTS_MAX: usize = 5;

/// Writes that are to land together, exactly once.
pub trait Plan<S: Store>: Sync {
    /// Why the plan cannot be carried out any more: another owner holds the fence, say.
    type Refusal: Send;

    /// A key that the plan depends on and that only the owner of the plan writes: the fence
    /// `part/p`. The barrier rewrites it.
    fn fence_key(&self) -> &[u8];

    /// Reads what must still hold and fills in all writes. Called once per attempt, so it must
    /// not consume anything, and its writes must be absolute values.
    fn fill(
        &self,
        tx: &mut S::Tx,
    ) -> impl Future<Output = Result<(), PlanError<Self::Refusal>>> + Send;

    /// An attempt was answered: it is committed.
    fn answered(&self, _committed: &Committed) {}

    /// Whether an earlier attempt has landed: the mark this plan leaves is there.
    fn has_landed(&self, tx: &S::Tx) -> impl Future<Output = Result<bool, StoreError>> + Send;
}

/// Why a plan was not filled in.
#[derive(Clone, Debug, thiserror::Error)]
pub enum PlanError<R> {
    /// What the plan depends on does not hold.
    #[error("the plan does not hold any more")]
    Refused(R),
    /// What the plan was made from has changed: it has to be made anew.
    #[error("the plan is to be made anew")]
    Outdated,
    /// The store could not be read.
    #[error("the plan could not be read for")]
    Store(#[from] StoreError),
}

/// How a plan came to be in the store.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Landing {
    /// The commit was answered.
    Answered(Committed),
    /// The answer was lost; the probe found the writes in place.
    Found,
}

/// Why a plan is not known to be in the store.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ProbeError<R> {
    /// Nothing was written: what the plan depends on does not hold.
    #[error("the plan does not hold any more")]
    Refused(R),
    /// Nothing was written: the store said so, as often as we tried.
    #[error("the plan was not committed")]
    NotCommitted(#[source] CommitError),
    /// Nothing is known: the request has to be repeated and will then find out.
    #[error("it is unknown whether the plan was committed")]
    Unresolved(#[source] CommitError),
    /// Nothing was written: the store could not be read.
    #[error("the store could not be read")]
    Store(#[source] StoreError),
}

/// Commits `plan`, at most five times, and never twice.
///
/// - answered: done;
/// - conflict or too old: filled in again, so the fence is read again;
/// - unknown: the probe looks, and only what is not there is tried again;
/// - may still land: a barrier on the fence first, after which it cannot land any more, then the probe;
/// - outdated: not committed, as after a conflict;
/// - refused or outdated after one of these two: unresolved, since a new owner may have come after what landed.
///
/// # Errors
/// See [`ProbeError`]: each variant says what is known about the effect.
///
/// # Cancellation
/// Dropping the future leaves the result unknown.
pub async fn commit_with_probe<S: Store, P: Plan<S>>(
    store: &S,
    options: TxOptions,
    plan: &P,
) -> Result<Landing, ProbeError<P::Refusal>> {
    let (mut last, mut doubted) = (CommitError::Conflict, None);
    for _ in 0..ATTEMPTS_MAX {
        let mut tx = store.begin(options);
        match plan.fill(&mut tx).await {
            Ok(()) => {}
            // An attempt may have landed, and others may have written over its mark before we looked.
            Err(PlanError::Refused(refusal)) => {
                return Err(doubted.map_or(ProbeError::Refused(refusal), ProbeError::Unresolved));
            }
            Err(PlanError::Outdated) => {
                let conflict = ProbeError::NotCommitted(CommitError::Conflict);
                return Err(doubted.map_or(conflict, ProbeError::Unresolved));
            }
            Err(PlanError::Store(StoreError::TooOld)) => {
                last = CommitError::TooOld;
                continue;
            }
            Err(PlanError::Store(error)) => return Err(ProbeError::Store(error)),
        }
        // The barrier works because the plan depends on the fence, read or not.
        tx.read_conflict(plan.fence_key());
        last = match tx.commit().await {
            Ok(committed) => {
                plan.answered(&committed);
                return Ok(Landing::Answered(committed));
            }
            Err(error) => error,
        };
        match last {
            CommitError::Conflict | CommitError::TooOld => {}
            CommitError::Unknown | CommitError::MayStillLand => {
                if has_landed(store, options, plan, &last).await? {
                    return Ok(Landing::Found);
                }
                doubted = Some(last.clone());
            }
            CommitError::TooLarge { .. } | CommitError::ReadOnly | CommitError::Full => break,
            CommitError::Fatal(_) => return Err(ProbeError::Unresolved(last)),
        }
    }
    Err(ProbeError::NotCommitted(last))
}

/// Finds out whether the attempt that ended in `outcome` has landed; it cannot land afterwards.
async fn has_landed<S: Store, P: Plan<S>>(
    store: &S,
    options: TxOptions,
    plan: &P,
    outcome: &CommitError,
) -> Result<bool, ProbeError<P::Refusal>> {
    let unresolved = |_| ProbeError::Unresolved(outcome.clone());
    if matches!(outcome, CommitError::MayStillLand) {
        commit_barrier(store, options, plan.fence_key())
            .await
            .map_err(unresolved)?;
    }
    for _ in 1..ATTEMPTS_MAX {
        match plan.has_landed(&store.begin(options)).await {
            Ok(landed) => return Ok(landed),
            Err(StoreError::TooOld) => {}
            Err(_) => break,
        }
    }
    Err(ProbeError::Unresolved(outcome.clone()))
}

/// Rewrites `key` unchanged. Whatever depends on it and is still in flight can never commit
/// afterwards (cluster §7.3). Harmless to repeat, so every doubtful result is tried again.
async fn commit_barrier<S: Store>(
    store: &S,
    options: TxOptions,
    key: &[u8],
) -> Result<(), CommitError> {
    let mut last = CommitError::Conflict;
    for _ in 0..ATTEMPTS_MAX {
        let mut tx = store.begin(options);
        match tx.get(key, Read::Serializable).await {
            Ok(Some(value)) => tx.set(key, value),
            Ok(None) => tx.clear(key),
            Err(StoreError::TooOld) => continue,
            Err(error) => return Err(CommitError::Fatal(error)),
        }
        last = match tx.commit().await {
            Ok(_) => return Ok(()),
            Err(error @ (CommitError::Fatal(_) | CommitError::ReadOnly | CommitError::Full)) => {
                return Err(error);
            }
            Err(error) => error,
        };
    }
    Err(last)
}

#[cfg(test)]
mod tests;
