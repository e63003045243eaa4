//! Starting the back-end of one process: what the store is, who owns it, and the threads its
//! partitions run on (architecture §2, cluster §19).
//!
//! An embedded store has one node, which is started here; the nodes of a cluster join one another in
//! [`crate::cluster`]. It reads or writes `meta`, claims every partition in one commit, and starts no actor: a partition costs nothing until somebody asks for one of its accounts.

use std::sync::{Arc, OnceLock};

use mesh_common::cluster::{NodeId, PartitionId, level};
use mesh_common::entropy::{self, Entropy};
use mesh_common::limits::PARTITIONS;
use mesh_common::time::Clock;

use crate::backlog::Backlogs;
use crate::bell::Bell;
use crate::cluster::ClusterConfigError;
use crate::cluster::level::StoreLevel;
use crate::cluster::membership::Membership;
use crate::commits::Commits;
use crate::config::{BackendConfig, ConfigError};
use crate::desk::standing::StandingOrders;
use crate::escrow::Escrow;
use crate::handle::BackendHandle;
use crate::metrics::Metrics;
use crate::outbound::bell::QueueBell;
use crate::outbound::depths::Depths;
use crate::outbound::shards::Shards;
use crate::pace::Pace;
use crate::partition::doubts::Doubts;
use crate::partition::shared::{Health, Shared, SharedEntropy};
use crate::partition::version_chain::VersionChains;
use crate::partition::{ClaimError, Claimant, Contended, NodeAccounts, Reader, RowError, Writer};
use crate::partition::{conduct, contacts};
use crate::service_keys::ServiceKeys;
use crate::store::{
    Plan, PlanError, ProbeError, Read, Store, StoreError, Tx, TxOptions, commit_with_probe, keys,
};
use crate::usage::Usages;

/// Format of the `meta` row of a store at feature level 1, which says nothing of levels.
const META: u8 = 1;
/// Format of the `meta` row of a store at a higher level.
const META_WITH_LEVEL: u8 = 2;
/// The feature levels of the store whose rows this release reads, the lowest and the highest. A release that
/// brings a new kind of row reads one level more; the level of a store is raised when every process reads it,
/// so that releases that follow each other run together (cluster §15).
pub(crate) const LEVELS: (u16, u16) = (1, 1);
/// Accounts whose signing keys are kept for front-ends.
const SIGNING_KEYS_CACHED_MAX: u64 = 10_000;

/// What the service as a whole is: one row, written by the first node ever started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Meta {
    /// Drawn once: tells one service's store from another's.
    pub cluster_id: [u8; 16],
    /// Raised when the store is restored from a backup.
    pub generation: u32,
    /// Number of partitions, fixed for ever.
    pub partitions: u16,
    /// Which kinds of rows may be in the store (cluster §15).
    pub level: u16,
}

impl Meta {
    /// As the oldest release that may serve from the store reads it.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let has_level = self.level > 1;
        let row = Writer::new(if has_level { META_WITH_LEVEL } else { META })
            .fixed(&self.cluster_id)
            .u32(self.generation)
            .u16(self.partitions);
        if has_level {
            row.u16(self.level).finish()
        } else {
            row.finish()
        }
    }

    pub(crate) fn decode(value: &[u8]) -> Result<Self, RowError> {
        let has_level = value.first() == Some(&META_WITH_LEVEL);
        let format = if has_level { META_WITH_LEVEL } else { META };
        let mut row = Reader::new("meta record", value, format)?;
        let meta = Self {
            cluster_id: row.array()?,
            generation: row.u32()?,
            partitions: row.u16()?,
            level: if has_level { row.u16()? } else { 1 },
        };
        row.finish()?;
        Ok(meta)
    }

    /// Whether a release that reads these levels may serve from the store.
    pub(crate) const fn check_level(&self, levels: (u16, u16)) -> Result<(), LevelError> {
        if level::reads(levels, self.level) {
            Ok(())
        } else {
            Err(LevelError {
                level: self.level,
                levels,
            })
        }
    }
}

/// Why a back-end did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A setting is out of bounds.
    #[error("the settings of the back-end are not usable")]
    Config(#[from] ConfigError),
    /// The store was made with another number of partitions.
    #[error(
        "the store has {found} partitions, this release has {PARTITIONS}; use the release that made it, or another store"
    )]
    Partitions {
        /// The number in the store.
        found: u16,
    },
    /// Everything was moved to another store.
    #[error(
        "everything in this store was moved to {place}: serve from there; this one may be removed"
    )]
    Left {
        /// Where to.
        place: String,
    },
    /// Another store is being copied into this one.
    #[error(
        "this store is being filled by a migration to {place}: meshd migrate --finish ends it; until then the service is in the store it comes from"
    )]
    Arriving {
        /// What the migration is called.
        place: String,
    },
    /// The store has rows that this release does not know, or does not read any more.
    #[error(transparent)]
    Level(#[from] LevelError),
    /// The `meta` row does not read.
    #[error("the store was made by another release")]
    Row(#[from] RowError),
    /// The store cannot be read.
    #[error("the store cannot be read")]
    Store(#[from] StoreError),
    /// The `meta` row cannot be written.
    #[error("the store cannot be written")]
    Write(#[source] ProbeError<Contended>),
    /// The partitions cannot be claimed.
    #[error("the partitions cannot be claimed")]
    Claim(#[from] ClaimError),
    /// The measures cannot be made.
    #[error("the measures cannot be made")]
    Metrics(#[from] prometheus::Error),
    /// A setting of the cluster cannot be.
    #[error("the settings of the cluster are not usable")]
    Cluster(#[from] ClusterConfigError),
}

/// The store has rows that this release does not know, or does not read any more; the sentence says what to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the store is at feature level {level}, this release reads {} to {}: {}", levels.0, levels.1,
    if *level > levels.1 { "use a later release" }
    else { "run the release before this one on every node, then `meshd cluster raise` or an hour's patience, then this one" }
)]
pub struct LevelError {
    /// The level of the store.
    pub level: u16,
    /// The lowest and the highest that this release reads.
    pub levels: (u16, u16),
}

/// What a back-end is made of, whether it is alone or one of several.
pub(crate) struct Parts<S> {
    pub(crate) config: BackendConfig,
    pub(crate) store: S,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: SharedEntropy,
    pub(crate) keys: ServiceKeys,
    /// The feature levels whose rows are read here: [`LEVELS`] but in tests.
    pub(crate) levels: (u16, u16),
}

impl<S: Store> Parts<S> {
    fn writing(&self) -> TxOptions {
        TxOptions {
            timeout: Some(self.config.commit_timeout()),
            ..TxOptions::default()
        }
    }

    /// Who claims: this process, drawn now, in the generation of the store; and the feature level of that.
    pub(crate) async fn claimant(&mut self) -> Result<(Claimant, StoreLevel), StartError> {
        self.config.check()?;
        let (writing, levels) = (self.writing(), self.levels);
        let meta = meta(&self.store, writing, levels, &mut self.entropy).await?;
        let claimant = Claimant {
            generation: meta.generation,
            node: NodeId::draw(&mut self.entropy),
        };
        Ok((claimant, StoreLevel::new(levels, meta.level)))
    }

    /// What all partitions of the node will share.
    pub(crate) async fn share(
        self,
        (claimant, level): (Claimant, StoreLevel),
        membership: Option<Arc<Membership>>,
    ) -> Result<Shared<S>, StartError> {
        let metrics = Metrics::new()?;
        metrics.store_up.set(1);
        metrics.cluster.feature_level.set(level.get().into());
        let loaded = metrics.accounts_loaded.clone();
        let accounts = NodeAccounts::new(self.config.node_accounts_max, loaded);
        let orders = StandingOrders::load(&self.store).await?;
        let depths = Depths::count(&self.store).await?;
        let (shards, queue_bell) = match &membership {
            None => (Shards::all_at_once(), QueueBell::default()),
            Some(_) => (Shards::one_by_one(), QueueBell::of_none()),
        };
        let chains = VersionChains::new(self.config.version_chain);
        let are_granted = self.config.grants_to_partitions();
        let mut entropy = self.entropy.clone();
        let escrow = membership.as_ref().map(|_| Escrow::new(&mut entropy));
        Ok(Shared {
            store: self.store,
            clock: self.clock,
            pace: Pace::default(),
            entropy: self.entropy,
            commits: Commits::new(metrics.commits.clone()),
            backlogs: Backlogs::new(metrics.intake.clone()),
            metrics,
            health: Health::default(),
            accounts: Arc::new(accounts),
            signing_keys: moka::sync::Cache::new(SIGNING_KEYS_CACHED_MAX),
            shown: PartitionId::all().map(|_| OnceLock::new()).collect(),
            claimant,
            level,
            membership,
            config: self.config,
            keys: self.keys,
            contacts: contacts::cache(),
            conduct: conduct::cache(),
            bell: Bell::default(),
            outcome_bell: Bell::default(),
            shards,
            queue_bell,
            depths,
            escrow,
            doubts: Doubts::default(),
            usages: Usages::new(are_granted),
            chains,
            heard: Bell::default(),
            orders,
            #[cfg(test)]
            poison: std::sync::Mutex::default(),
            #[cfg(test)]
            poison_intake: std::sync::Mutex::default(),
        })
    }
}

impl<S: Store> BackendHandle<S> {
    /// Starts the back-end over `store`. To be called inside an actix system; the threads of its
    /// partitions are arbiters of that system.
    ///
    /// # Errors
    /// [`StartError`]: its variants say why.
    pub async fn start(
        config: BackendConfig,
        store: S,
        clock: Arc<dyn Clock>,
        entropy: impl Entropy + Send + 'static,
        keys: ServiceKeys,
    ) -> Result<Self, StartError> {
        let mut parts = Parts {
            config,
            store,
            clock,
            entropy: SharedEntropy::new(entropy),
            keys,
            levels: LEVELS,
        };
        let (claimant, level) = parts.claimant().await?;
        let all: Vec<PartitionId> = PartitionId::all().collect();
        let claims = claimant.claim(&parts.store, parts.writing(), &all);
        let fences = claims.await?.into_iter().map(Some).collect();
        let shared = parts.share((claimant, level), None).await?;
        let owned = &shared.metrics.cluster.partitions_owned;
        owned.set(i64::from(PARTITIONS));
        tracing::info!(
            partitions = PARTITIONS,
            threads = shared.config.threads(),
            "the back-end has claimed its partitions"
        );
        Ok(Self::over(shared, fences))
    }
}

/// Reads `meta`, or writes it into a store that is new.
async fn meta<S: Store>(
    store: &S,
    options: TxOptions,
    levels: (u16, u16),
    entropy: &mut dyn Entropy,
) -> Result<Meta, StartError> {
    let meta = match read_meta(store, options).await? {
        Some(meta) => meta,
        None => {
            let plan = MetaPlan {
                key: keys::meta(),
                meta: Meta {
                    cluster_id: entropy::draw(entropy),
                    generation: 1,
                    partitions: PARTITIONS,
                    level: levels.0,
                },
            };
            match commit_with_probe(store, options, &plan).await {
                Ok(_) => plan.meta,
                Err(error) => {
                    // Of nodes that start together over a new store one is the first.
                    let found = match error {
                        ProbeError::Refused(Contended) => read_meta(store, options).await?,
                        _ => None,
                    };
                    found.ok_or(StartError::Write(error))?
                }
            }
        }
    };
    meta.check_level(levels)?;
    if meta.partitions != PARTITIONS {
        return Err(StartError::Partitions {
            found: meta.partitions,
        });
    }
    Ok(meta)
}

/// What stands in a store that has not gone elsewhere; nothing if it is new.
async fn read_meta<S: Store>(store: &S, options: TxOptions) -> Result<Option<Meta>, StartError> {
    let tx = store.begin(options);
    if let Some(place) = tx.get(&keys::left(), Read::Snapshot).await? {
        let place = String::from_utf8_lossy(&place).into_owned();
        return Err(StartError::Left { place });
    }
    let found = tx.get(&keys::meta(), Read::Snapshot).await?;
    if let (None, Some(place)) = (&found, tx.get(&keys::arriving(), Read::Snapshot).await?) {
        let place = String::from_utf8_lossy(&place).into_owned();
        return Err(StartError::Arriving { place });
    }
    Ok(found.map(|row| Meta::decode(&row)).transpose()?)
}

/// Writes `meta` where there is none.
struct MetaPlan {
    key: Vec<u8>,
    meta: Meta,
}

impl<S: Store> Plan<S> for MetaPlan {
    type Refusal = Contended;

    fn fence_key(&self) -> &[u8] {
        &self.key
    }

    async fn fill(&self, tx: &mut S::Tx) -> Result<(), PlanError<Contended>> {
        if tx.get(&self.key, Read::Serializable).await?.is_some() {
            return Err(PlanError::Refused(Contended));
        }
        tx.set(&self.key, self.meta.encode());
        Ok(())
    }

    async fn has_landed(&self, tx: &S::Tx) -> Result<bool, StoreError> {
        let found = tx.get(&self.key, Read::Snapshot).await?;
        Ok(found.as_deref() == Some(self.meta.encode().as_slice()))
    }
}

#[cfg(test)]
mod tests {
    use mesh_common::entropy::SeededEntropy;

    use super::*;
    use crate::store::MemoryStore;

    #[test]
    fn the_meta_row_is_written_as_it_always_was() {
        let meta = Meta {
            cluster_id: [0xcc; 16],
            generation: 1,
            partitions: 1_024,
            level: 1,
        };
        let mut expected = vec![1];
        expected.extend_from_slice(&[0xcc; 16]);
        expected.extend_from_slice(&[0, 0, 0, 1, 4, 0]);
        assert_eq!(meta.encode(), expected);
        assert_eq!(Meta::decode(&expected), Ok(meta));
    }

    #[actix::test]
    async fn a_store_keeps_its_identity() {
        let store = MemoryStore::new();
        let options = TxOptions::default();
        let first = meta(&store, options, LEVELS, &mut SeededEntropy::new(1))
            .await
            .unwrap();
        let again = meta(&store, options, LEVELS, &mut SeededEntropy::new(2))
            .await
            .unwrap();
        assert_eq!(first, again);
    }

    /// What a release that reads `levels` says of a store at level 2.
    async fn opened_at_two(levels: (u16, u16)) -> Result<Meta, String> {
        let second = Meta {
            cluster_id: [0; 16],
            generation: 1,
            partitions: PARTITIONS,
            level: 2,
        };
        assert_eq!(Meta::decode(&second.encode()), Ok(second));
        let store = MemoryStore::new();
        let mut tx = store.begin(TxOptions::default());
        tx.set(&keys::meta(), second.encode());
        tx.commit().await.unwrap();
        let mut entropy = SeededEntropy::new(1);
        let found = meta(&store, TxOptions::default(), levels, &mut entropy).await;
        found.map_err(|error| error.to_string())
    }

    #[actix::test]
    async fn a_store_is_opened_by_the_releases_that_read_its_level_alone() {
        assert!(opened_at_two((1, 2)).await.is_ok());
        assert!(opened_at_two((2, 3)).await.is_ok());
        assert_eq!(
            opened_at_two((1, 1)).await.unwrap_err(),
            "the store is at feature level 2, this release reads 1 to 1: use a later release"
        );
        assert_eq!(
            opened_at_two((3, 4)).await.unwrap_err(),
            "the store is at feature level 2, this release reads 3 to 4: run the release before this one on \
             every node, then `meshd cluster raise` or an hour's patience, then this one"
        );
    }

    #[actix::test]
    async fn a_store_made_with_another_number_of_partitions_is_refused() {
        let store = MemoryStore::new();
        let mut tx = store.begin(TxOptions::default());
        let other = Meta {
            cluster_id: [0; 16],
            generation: 1,
            partitions: 256,
            level: 1,
        };
        tx.set(&keys::meta(), other.encode());
        tx.commit().await.unwrap();
        let mut entropy = SeededEntropy::new(1);
        let error = meta(&store, TxOptions::default(), LEVELS, &mut entropy)
            .await
            .unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with("the store has 256 partitions"),
            "{error}"
        );
    }
}
