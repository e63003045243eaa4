//! What all partitions of a node share: the store, the settings, time, chance, measures, and what is
//! known of the store's health.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use mesh_common::address::AccountAddress;
use mesh_common::cluster::{CallFailure, PartitionId, SigningKeys, Unit};
use mesh_common::entropy::Entropy;
use mesh_common::time::{Clock, Timestamp};

use super::accounts::NodeAccounts;
use super::conduct::ConductCache;
use super::contacts::ContactCache;
use super::doubts::Doubts;
use super::ownership::Claimant;
use super::records::Intakes;
use super::shown::Shown;
use super::version_chain::VersionChains;
use crate::backlog::Backlogs;
use crate::bell::Bell;
use crate::cluster::level::StoreLevel;
use crate::cluster::membership::Membership;
use crate::commits::{Commits, Place};
use crate::config::BackendConfig;
use crate::desk::standing::StandingOrders;
use crate::escrow::Escrow;
use crate::metrics::Metrics;
use crate::outbound::bell::QueueBell;
use crate::outbound::depths::Depths;
use crate::outbound::shards::Shards;
use crate::pace::Pace;
use crate::service_keys::ServiceKeys;
use crate::store::{Store, Tx as _, TxOptions};
use crate::usage::Usages;

/// A source of chance that several threads draw from.
#[derive(Clone)]
pub(crate) struct SharedEntropy(Arc<Mutex<dyn Entropy + Send>>);

impl SharedEntropy {
    pub(crate) fn new(entropy: impl Entropy + Send + 'static) -> Self {
        Self(Arc::new(Mutex::new(entropy)))
    }
}

impl Entropy for SharedEntropy {
    fn fill(&mut self, octets: &mut [u8]) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .fill(octets);
    }
}

/// Whether the store takes writes, as the last one showed.
#[derive(Debug)]
pub(crate) struct Health {
    is_up: AtomicBool,
    reason: Mutex<Option<String>>,
}

impl Default for Health {
    fn default() -> Self {
        Self {
            is_up: AtomicBool::new(true),
            reason: Mutex::default(),
        }
    }
}

impl Health {
    pub(crate) fn up(&self, metrics: &Metrics) {
        metrics.store_up.set(1);
        if !self.is_up.swap(true, Ordering::Relaxed) {
            tracing::info!("the store takes writes again");
        }
    }

    pub(crate) fn down(&self, metrics: &Metrics, error: &(dyn std::error::Error + 'static)) {
        metrics.store_up.set(0);
        let reason = chain(error);
        if self.is_up.swap(false, Ordering::Relaxed) {
            tracing::error!(cause = reason, "the store takes no writes");
        }
        *self.reason.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason);
    }

    /// Why the last write failed, if it did.
    pub(crate) fn trouble(&self) -> Option<String> {
        if self.is_up.load(Ordering::Relaxed) {
            return None;
        }
        let reason = self.reason.lock().unwrap_or_else(PoisonError::into_inner);
        Some(reason.clone().unwrap_or_default())
    }
}

/// An error with its causes, for the log.
pub(crate) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

/// Signing keys, as an owner of the partition knew them.
#[derive(Debug)]
pub(crate) struct KnownKeys {
    /// By which claim it was the owner: what an earlier one knew says nothing.
    pub(crate) epoch: u64,
    pub(crate) keys: SigningKeys,
}

/// The signing keys that were asked for, by account (decision Q-51). Owners drop what they change.
pub(crate) type KeyCache = moka::sync::Cache<AccountAddress, Arc<KnownKeys>>;

/// What all partitions of a node share.
pub(crate) struct Shared<S> {
    pub(crate) store: S,
    pub(crate) config: BackendConfig,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) pace: Pace,
    pub(crate) entropy: SharedEntropy,
    pub(crate) metrics: Metrics,
    pub(crate) health: Health,
    /// What is on its way to the store.
    pub(crate) commits: Commits,
    pub(crate) accounts: Arc<NodeAccounts>,
    pub(crate) signing_keys: KeyCache,
    /// What each partition shows, in their order, once somebody asked.
    pub(crate) shown: Vec<OnceLock<Arc<Shown>>>,
    pub(crate) claimant: Claimant,
    /// Which kinds of rows may be written.
    pub(crate) level: StoreLevel,
    /// The node's part in its cluster, if it is not alone with the store.
    pub(crate) membership: Option<Arc<Membership>>,
    /// The secrets of the service. Never used on a partition's thread.
    pub(crate) keys: ServiceKeys,
    pub(crate) contacts: ContactCache,
    /// How services stand that forward messages.
    pub(crate) conduct: ConductCache,
    /// Rung for partitions with something in their intake.
    pub(crate) bell: Bell<PartitionId>,
    /// The same, where it is what became of messages to other services: that is told at a pace.
    pub(crate) outcome_bell: Bell<PartitionId>,
    /// The shards of destinations that are ours.
    pub(crate) shards: Shards,
    /// Rung when something is queued for other services.
    pub(crate) queue_bell: QueueBell,
    /// How much waits for other services.
    pub(crate) depths: Depths,
    /// What we were granted of its limits, if other nodes queue too.
    pub(crate) escrow: Option<Escrow>,
    /// What of that is in doubt.
    pub(crate) doubts: Doubts,
    /// What domains use, as owners here know it.
    pub(crate) usages: Usages,
    /// The fence without a read, if it is to be used.
    pub(crate) chains: VersionChains,
    /// Rung for services that spoke, authenticated, while something waits for them (delivery §12.2).
    pub(crate) heard: Bell<String>,
    /// What waits in intakes that are not drained as fast as they fill.
    pub(crate) backlogs: Backlogs,
    /// What operators ordered to be held, or sent another way.
    pub(crate) orders: StandingOrders,
    /// For tests: an operation that makes deciding it panic.
    #[cfg(test)]
    pub(crate) poison: Mutex<Option<mesh_common::session::RequestId>>,
    /// For tests: an entry of the intake that makes receiving it panic.
    #[cfg(test)]
    pub(crate) poison_intake: Mutex<Option<mesh_common::account::IntakeId>>,
}

impl<S: Store> Shared<S> {
    /// The store was found at feature level `level`.
    pub(crate) fn learn_level(&self, level: u16) {
        self.level.learn(level);
        self.metrics.cluster.feature_level.set(level.into());
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// What `partition` shows.
    pub(crate) fn shown(&self, partition: PartitionId) -> &Arc<Shown> {
        self.shown[usize::from(partition.0)].get_or_init(Arc::default)
    }

    /// Whether `partition` is ours, as far as we know.
    pub(crate) fn owns(&self, partition: PartitionId) -> bool {
        let membership = self.membership.as_ref();
        membership.is_none_or(|membership| membership.owns(partition))
    }

    /// Whether what is in memory of `partition` is what is committed.
    pub(crate) fn serves(&self, partition: PartitionId) -> bool {
        let membership = self.membership.as_ref();
        membership.is_none_or(|membership| membership.serves(partition))
    }

    /// Whether nobody can have taken anything from us meanwhile. If somebody can, the partitions that run are
    /// woken once that is known not to be so.
    pub(crate) fn is_awake(&self) -> bool {
        let membership = self.membership.as_ref();
        self.pace.is_awake() && membership.is_none_or(|membership| membership.is_awake_or_told())
    }

    /// What tells one of our claims of `partition` from the next; nothing where there is only one owner.
    pub(crate) fn epoch(&self, partition: PartitionId) -> u64 {
        let membership = self.membership.as_ref();
        membership.map_or(0, |membership| membership.epoch(partition))
    }

    /// What is told to whoever asks us for `partition`, which is not ours.
    pub(crate) fn moved(&self, partition: PartitionId) -> CallFailure {
        let membership = self.membership.as_ref();
        let unit = Unit::Partition(partition);
        CallFailure::Moved(membership.and_then(|membership| membership.route(unit)))
    }

    /// The intakes of all partitions, as this node leaves something in them.
    pub(crate) fn intakes(&self) -> Intakes<'_> {
        Intakes::new(self.claimant.generation, self.membership.as_deref())
    }

    /// Panics if a test asked for it.
    #[cfg(test)]
    pub(crate) fn trip(&self, operation: &super::commands::Operation) {
        let poison = self.poison.lock().unwrap_or_else(PoisonError::into_inner);
        assert_ne!(
            *poison,
            Some(operation.request().request_id),
            "a test asked for this panic"
        );
    }

    /// Panics if a test asked for it.
    #[cfg(test)]
    pub(crate) fn trip_intake(&self, id: mesh_common::account::IntakeId) {
        let poison = self.poison_intake.lock();
        let poison = *poison.unwrap_or_else(PoisonError::into_inner);
        assert_ne!(poison, Some(id), "a test asked for this panic");
    }

    /// A place for work in the background, once the store would serve it at once: under load that is asked for
    /// here, while nothing waits behind it. Nothing, if now is not the time.
    pub(crate) async fn room_for_background(&self) -> Option<Place> {
        let place = self.commits.background_place()?;
        let tx = self.store.begin(self.writing_in_background());
        let found = tx.read_version().await;
        found.ok().map(|_| place)
    }

    /// How transactions are run that write and that nobody waits for.
    pub(crate) fn writing_in_background(&self) -> TxOptions {
        TxOptions {
            is_background: true,
            ..self.writing()
        }
    }

    /// How transactions that write are run.
    pub(crate) fn writing(&self) -> TxOptions {
        TxOptions {
            timeout: Some(self.config.commit_timeout()),
            ..TxOptions::default()
        }
    }
}
