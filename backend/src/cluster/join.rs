//! Starting as one of several nodes over one store, leaving it, and what a node says of itself
//! (cluster §4.2, §15).

use std::sync::Arc;
use std::time::Duration;

use actix::prelude::Arbiter;
use mesh_common::cluster::{
    Keeper, KeeperSettings, NodeId, NodeRecord, PartitionId, TicketSecret, Unit,
};
use mesh_common::entropy::Entropy;
use mesh_common::time::Clock;

use super::keeping::Keeping;
use super::membership::{Holdings, Membership};
use super::{ClusterConfig, Neighbours, Stopwatch};
use crate::config::BackendConfig;
use crate::handle::BackendHandle;
use crate::node::{LEVELS, Parts, StartError};
use crate::partition::shared::SharedEntropy;
use crate::service_keys::ServiceKeys;
use crate::store::Store;

/// The machine's monotonic clock, since the process joined.
pub(crate) struct MachineTime(std::time::Instant);

impl MachineTime {
    #[expect(
        clippy::disallowed_methods,
        reason = "leases are measured by the machine's own monotonic clock"
    )]
    pub(crate) fn begin() -> Self {
        Self(std::time::Instant::now())
    }
}

impl Stopwatch for MachineTime {
    fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}

impl<S: Store> BackendHandle<S> {
    /// Joins the nodes that run over `store`. Owns nothing at first; what it comes to own, and lets go of,
    /// follows from who else is there. To be called inside an actix system.
    ///
    /// # Errors
    /// [`StartError`]: its variants say why. A store that is away is tried again by whoever calls.
    pub async fn join(
        config: BackendConfig,
        cluster: ClusterConfig,
        store: S,
        clock: Arc<dyn Clock>,
        entropy: impl Entropy + Send + 'static,
        keys: ServiceKeys,
        neighbours: Arc<dyn Neighbours>,
    ) -> Result<Self, StartError> {
        let parts = Parts {
            config,
            store,
            clock,
            entropy: SharedEntropy::new(entropy),
            keys,
            levels: LEVELS,
        };
        let stopwatch = Arc::new(MachineTime::begin());
        let all = Unit::all().collect();
        let entered = Self::enter(parts, cluster, all, stopwatch, neighbours);
        let (backend, keeping) = entered.await?;
        let arbiter = Arbiter::new();
        arbiter.spawn(keeping.run());
        backend.inner.keep_thread(arbiter);
        Ok(backend)
    }

    /// Joins those that share `units`, with the loop of the node still to be run.
    pub(crate) async fn enter(
        mut parts: Parts<S>,
        cluster: ClusterConfig,
        units: Vec<Unit>,
        stopwatch: Arc<dyn Stopwatch>,
        neighbours: Arc<dyn Neighbours>,
    ) -> Result<(Self, Keeping<S>), StartError> {
        cluster.check()?;
        let (claimant, level) = parts.claimant().await?;
        let record = NodeRecord {
            id: claimant.node,
            seq: 0,
            lease: cluster.times.lease,
            roles: cluster.roles,
            address: cluster.address.clone(),
            zone: cluster.zone.clone(),
            weight: cluster.weight,
            draining: false,
            build: env!("CARGO_PKG_VERSION").to_owned(),
            levels: parts.levels,
        };
        let times = cluster.times;
        tracing::info!(
            node = %record.id,
            address = record.address,
            zone = record.zone,
            weight = record.weight,
            failover_bound_s = times.failover_bound().as_secs_f64(),
            "a node joins the cluster"
        );
        let settings = KeeperSettings {
            times,
            generation: claimant.generation,
            units,
        };
        let keeper = Keeper::new(settings, record, stopwatch.elapsed());
        let name = (claimant.node, claimant.generation);
        let now = parts.clock.now();
        let membership = Membership::new(name, now, cluster, stopwatch, neighbours);
        let membership = Arc::new(membership);
        let shared = parts.share((claimant, level), Some(Arc::clone(&membership)));
        let shared = shared.await?;
        let bound = &shared.metrics.cluster.failover_bound;
        bound.set(times.failover_bound().as_secs_f64());
        let fences = PartitionId::all().map(|_| None).collect();
        let backend = Self::over(shared, fences);
        let keeping = Keeping::new(&backend.inner, membership, keeper);
        Ok((backend, keeping))
    }

    /// The node's name in its cluster; none if the process is alone with the store.
    #[must_use]
    pub fn node(&self) -> Option<NodeId> {
        let membership = self.inner.shared.membership.as_ref();
        membership.map(|membership| membership.id)
    }

    /// Tells the node to let go of everything and to remove its record (cluster §15). Reads, and messages
    /// of other services, are served on. Returns at once; does nothing where the process is alone.
    pub fn begin_to_leave(&self) {
        if let Some(membership) = &self.inner.shared.membership {
            membership.leave();
        }
    }

    /// Lets go of everything, and waits for it.
    pub async fn leave(&self) {
        if let Some(membership) = &self.inner.shared.membership {
            membership.leave();
            membership.left().await;
        }
    }

    /// What the node owns now; none if the process is alone with the store, and owns all.
    #[must_use]
    pub fn holdings(&self) -> Option<Holdings> {
        let membership = self.inner.shared.membership.as_ref();
        let shards = self.inner.shared.shards.held().len();
        membership.map(|membership| membership.holdings(shards))
    }

    /// From now on tells these secrets of tickets to whoever is linked to the node (decision Q-54).
    pub fn tell_secrets(&self, secrets: Vec<TicketSecret>) {
        if let Some(membership) = &self.inner.shared.membership {
            membership.tell_secrets(secrets);
        }
    }
}
