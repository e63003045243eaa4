//! The parts of a node that read and commit, for a world in which everything else is simulated
//! (cluster §20): the same code that partitions and the node's loop run, without actors, threads or
//! timers. Only with the feature `bottle`, which nothing but tests has.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use mesh_common::account::{AccountId, ContainerNumber, Standing};
use mesh_common::address::AccountAddress;
use mesh_common::cluster::keeper::{Claim, ClaimOutcome, ReleaseOutcome, Tables};
use mesh_common::cluster::{
    AccountRequest, Answer, CallFailure, Fence, NodeId, NodeRecord, Ownership, PartitionId, Unit,
    Verified,
};
use mesh_common::entropy::Entropy;
use mesh_common::error::ServiceError;
use mesh_common::time::Clock;

use crate::cluster::claims;
use crate::config::BackendConfig;
use crate::node::{Parts, StartError};
use crate::partition::commands::Operation;
use crate::partition::reading;
use crate::partition::shared::{Shared, SharedEntropy, chain};
use crate::partition::{Claimant, Fenced, batch};
use crate::service_keys::ServiceKeys;
use crate::store::keys::AccountKeys;
use crate::store::{ProbeError, Store, TxOptions, keys};

/// One node's access to the store; see the module.
pub struct Bottled<S> {
    shared: Arc<Shared<S>>,
}

impl<S> Clone for Bottled<S> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

/// How a batch ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BatchEnd {
    /// It is durable, or had nothing to write.
    Committed,
    /// Somebody else owns the partition.
    Fenced,
    /// It is not durable, and cannot become so.
    Failed,
    /// Nobody knows: it may be durable, or become so until the partition is claimed anew.
    Unknown,
}

/// What came of a batch.
pub struct Batched {
    /// How it ended.
    pub end: BatchEnd,
    /// The answer to each request, in their order.
    pub answers: Vec<Result<Answer, CallFailure>>,
    /// The accounts that it changed, as they are now.
    pub standings: Vec<(AccountAddress, Arc<Standing>)>,
}

impl<S: Store> Bottled<S> {
    /// Opens `store` as the node `node` of the first generation.
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn open(
        store: S,
        node: NodeId,
        clock: Arc<dyn Clock>,
        entropy: impl Entropy + Send + 'static,
        keys: ServiceKeys,
        config: BackendConfig,
    ) -> Result<Self, StartError> {
        let parts = Parts {
            config,
            store,
            clock,
            entropy: SharedEntropy::new(entropy),
            keys,
        };
        let claimant = Claimant {
            generation: 1,
            node,
        };
        let shared = parts.share(claimant, None).await?;
        Ok(Self {
            shared: Arc::new(shared),
        })
    }

    /// Reads the tables of nodes and owners; none if the store cannot be read.
    pub async fn look(&self, begun: Duration) -> Option<Tables> {
        let look = claims::look(&self.shared.store, begun, None).await;
        look.ok().map(|look| look.tables)
    }

    /// Says that the node lives. Whether it is known to be committed.
    pub async fn beat(&self, record: &NodeRecord) -> bool {
        claims::beat(&self.shared.store, self.shared.writing(), record).await
    }

    /// Commits a claim.
    pub async fn claim(&self, claim: &Claim) -> ClaimOutcome {
        claims::claim(&self.shared.store, self.shared.writing(), claim).await
    }

    /// Lets go of `unit`, held by `fence`.
    pub async fn release(&self, unit: Unit, fence: Fence) -> ReleaseOutcome {
        let held = self.held(fence);
        claims::release(&self.shared.store, self.shared.writing(), unit, &held).await
    }

    /// Removes the node's record. Whether it is known to be gone.
    pub async fn leave(&self) -> bool {
        let node = self.shared.claimant.node;
        claims::leave(&self.shared.store, self.shared.writing(), node).await
    }

    /// Removes the record of a dead node.
    pub async fn forget(&self, record: &NodeRecord) {
        claims::forget(&self.shared.store, self.shared.writing(), record).await;
    }

    /// What is committed under `address`; none if it cannot be read.
    pub async fn standing(&self, address: &AccountAddress) -> Option<Standing> {
        standing(&self.shared.store, address).await
    }

    /// Decides `requests` on top of `standings`, which must have their accounts, and commits what
    /// follows as one batch.
    pub async fn commit(
        &self,
        partition: PartitionId,
        fence: Fence,
        requests: Vec<AccountRequest>,
        standings: HashMap<AccountAddress, Arc<Standing>>,
    ) -> Batched {
        let (operations, mut replies): (Vec<_>, Vec<_>) = requests
            .into_iter()
            .map(|request| Operation::new(Verified::declare(request)))
            .unzip();
        let finished = batch::run(&self.shared, partition, fence, operations, standings).await;
        let away = || CallFailure::Away(ServiceError::unavailable("not known to be carried out"));
        let (end, standings) = match finished.result {
            Ok(committed) => {
                for (operation, outcome) in committed.answers {
                    operation.answer(outcome);
                }
                (BatchEnd::Committed, committed.standings)
            }
            Err(failure) => (end_of(&failure.error), Vec::new()),
        };
        drop(finished.left);
        let answers = replies
            .iter_mut()
            .map(|reply| reply.try_recv().unwrap_or_else(|_| Err(away())));
        Batched {
            end,
            answers: answers.collect(),
            standings,
        }
    }

    fn held(&self, fence: Fence) -> Ownership {
        Ownership {
            fence,
            node: self.shared.claimant.node,
            is_active: true,
        }
    }
}

/// What is committed under `address`; none if it cannot be read.
pub async fn standing<S: Store>(store: &S, address: &AccountAddress) -> Option<Standing> {
    let tx = store.begin(TxOptions::default());
    reading::standing(&tx, address).await.ok()
}

/// The payloads of the frames of a container that has `count` of them, from frame 1 on.
///
/// # Errors
/// A sentence about the first that is not there, or does not read.
pub async fn payloads<S: Store>(
    store: &S,
    account: AccountId,
    container: ContainerNumber,
    count: u64,
) -> Result<Vec<Vec<u8>>, String> {
    let tx = store.begin(TxOptions::default());
    let account = AccountKeys::of(account);
    let mut payloads = Vec::new();
    for index in 1..count {
        match reading::one_frame(&tx, &account, container, index).await {
            Ok(Some((_, payload))) => payloads.push(payload),
            Ok(None) => return Err(format!("frame {index} of {count} is missing")),
            Err(error) => return Err(format!("frame {index}: {}", chain(&error))),
        }
    }
    Ok(payloads)
}

const fn end_of(error: &ProbeError<Fenced>) -> BatchEnd {
    match error {
        ProbeError::Refused(Fenced) => BatchEnd::Fenced,
        ProbeError::Unresolved(_) => BatchEnd::Unknown,
        ProbeError::NotCommitted(_) | ProbeError::Store(_) => BatchEnd::Failed,
    }
}

/// The row of a unit's ownership record under its key: for stores that watch who owns what.
#[must_use]
pub fn ownership_row(unit: Unit, record: &Ownership) -> (Vec<u8>, Vec<u8>) {
    (keys::unit(unit), crate::partition::encode_ownership(record))
}
