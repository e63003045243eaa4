//! The feature level of the store: what is known of it here, and the commit that raises it (cluster §15).
//!
//! ```text
//!   a node's record (claims::beat)           the raise
//!   reads  meta        serializably          reads  every node's record, serializably
//!   writes node/<id>                         writes meta
//! ```
//!
//! Of a raise and a record written at the same moment the store lets one land first, and the other sees it or is
//! refused. So at every moment each node with a record reads the level of the store.

use std::sync::atomic::{AtomicU16, Ordering};

use mesh_common::cluster::{LevelWatch, NodeId, Readiness, level};
use serde::{Deserialize, Serialize};

use super::Stopwatch;
use super::rows;
use crate::node::{LevelError, Meta};
use crate::partition::RowError;
use crate::partition::shared::{Shared, chain};
use crate::store::{
    Plan, PlanError, ProbeError, Read, Row, Store, StoreError, Tx, TxOptions, commit_with_probe,
    keys, walk,
};

/// The level of the store as this process knows it, and the levels it reads.
#[derive(Debug)]
pub(crate) struct StoreLevel {
    levels: (u16, u16),
    level: AtomicU16,
}

impl StoreLevel {
    pub(crate) const fn new(levels: (u16, u16), level: u16) -> Self {
        Self {
            levels,
            level: AtomicU16::new(level),
        }
    }

    /// Rows of this level and of those below may be written: every node reads them.
    pub(crate) fn get(&self) -> u16 {
        self.level.load(Ordering::Acquire)
    }

    /// The lowest and the highest whose rows are read here.
    pub(crate) const fn levels(&self) -> (u16, u16) {
        self.levels
    }

    /// The store was found at `level`: it only rises.
    pub(crate) fn learn(&self, level: u16) {
        self.level.fetch_max(level, Ordering::AcqRel);
    }

    /// Whether the store is at a level that is not read here: this process has to be replaced.
    pub(crate) fn check(&self) -> Result<(), LevelError> {
        let (level, levels) = (self.get(), self.levels);
        if level::reads(levels, level) {
            Ok(())
        } else {
            Err(LevelError { level, levels })
        }
    }
}

/// The level to which a store was raised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Raised {
    /// The level before.
    pub from: u16,
    /// The level now.
    pub to: u16,
}

/// Why a store was not raised.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotRaised {
    /// There is nothing above for anybody.
    #[error("the store is at feature level {level}, and no node reads the next one")]
    Highest { level: u16 },
    /// Somebody would find rows and not read them.
    #[error("{} of the nodes do not read feature level {next}", behind.len())]
    Behind { next: u16, behind: Vec<NodeId> },
    /// Somebody else raised it at the same moment, or what was seen of it is old.
    #[error("the store is at feature level {level} already")]
    Changed { level: u16 },
    /// What says everything else of the store does not read.
    #[error("the store was made by another release")]
    Row(#[from] RowError),
}

/// Raises the store by one level, if whoever reads `own` and every node reads that; `expected`, if it is said, has to be
/// the level to which that is.
///
/// # Errors
/// [`ProbeError`]: with [`NotRaised`] nothing has changed.
pub(crate) async fn raise<S: Store>(
    store: &S,
    options: TxOptions,
    own: (NodeId, (u16, u16)),
    expected: Option<u16>,
) -> Result<Raised, ProbeError<NotRaised>> {
    let tx = store.begin(TxOptions::default());
    let found = level_of(&tx).await.map_err(ProbeError::Store)?;
    let from = found.map_err(|error| ProbeError::Refused(NotRaised::Row(error)))?;
    let plan = RaisePlan {
        key: keys::meta(),
        own,
        from: from.unwrap_or(own.1.0),
        expected,
    };
    commit_with_probe(store, options, &plan).await?;
    Ok(Raised {
        from: plan.from,
        to: plan.from + 1,
    })
}

/// The level of the store; none in one that has no `meta`. Depends on it.
pub(super) async fn level_of<T: Tx>(tx: &T) -> Result<Result<Option<u16>, RowError>, StoreError> {
    let row = tx.get(&keys::meta(), Read::Serializable).await?;
    let meta = row.map(|row| Meta::decode(&row)).transpose();
    Ok(meta.map(|meta| meta.map(|meta| meta.level)))
}

struct RaisePlan {
    key: Vec<u8>,
    /// Whoever raises it: it has no record where it is alone with the store.
    own: (NodeId, (u16, u16)),
    from: u16,
    expected: Option<u16>,
}

impl RaisePlan {
    fn refuse<T>(refusal: NotRaised) -> Result<T, PlanError<NotRaised>> {
        Err(PlanError::Refused(refusal))
    }
}

impl<S: Store> Plan<S> for RaisePlan {
    type Refusal = NotRaised;

    fn fence_key(&self) -> &[u8] {
        &self.key
    }

    async fn fill(&self, tx: &mut S::Tx) -> Result<(), PlanError<NotRaised>> {
        let row = tx.get(&self.key, Read::Serializable).await?;
        let meta = row.map(|row| Meta::decode(&row)).transpose();
        let Some(mut meta) = meta.map_err(|error| PlanError::Refused(error.into()))? else {
            return Self::refuse(NotRaised::Highest { level: self.from });
        };
        if meta.level != self.from {
            return Self::refuse(NotRaised::Changed { level: meta.level });
        }
        let mut nodes = vec![(self.own.0, Some(self.own.1))];
        for row in all_nodes(tx, Read::Serializable).await? {
            if let Some(node) = keys::node_of_key(&row.key).filter(|node| *node != self.own.0) {
                let record = rows::decode(node, &row.value).ok();
                nodes.push((node, record.map(|record| record.levels)));
            }
        }
        let readiness = Readiness::of(meta.level, nodes);
        let Some(next) = readiness.next else {
            return Self::refuse(NotRaised::Highest { level: meta.level });
        };
        if self.expected.is_some_and(|expected| expected != next) {
            return Self::refuse(NotRaised::Changed { level: meta.level });
        }
        if readiness.reached().is_none() {
            let behind = readiness.behind;
            return Self::refuse(NotRaised::Behind { next, behind });
        }
        meta.level = next;
        tx.set(&self.key, meta.encode());
        Ok(())
    }

    async fn has_landed(&self, tx: &S::Tx) -> Result<bool, StoreError> {
        let row = tx.get(&self.key, Read::Snapshot).await?;
        // Whoever raised it: the commit is for nobody alone.
        let meta = row.and_then(|row| Meta::decode(&row).ok());
        Ok(meta.is_some_and(|meta| meta.level > self.from))
    }
}

/// All rows of table 01.
pub(super) async fn all_nodes<T: Tx>(tx: &T, read: Read) -> Result<Vec<Row>, StoreError> {
    walk::rows(tx, keys::nodes(), read).await
}

/// Raises the store to `level` without anybody's word, because every node has been able for long enough.
pub(crate) async fn raise_by_itself<S: Store>(
    shared: &Shared<S>,
    own: (NodeId, (u16, u16)),
    level: u16,
) {
    let raised = raise(&shared.store, shared.writing(), own, Some(level));
    match raised.await {
        Ok(Raised { from, to }) => {
            shared.learn_level(to);
            tracing::info!(from, to, "the store was raised to the next feature level");
        }
        Err(ProbeError::Refused(NotRaised::Changed { .. })) => {}
        Err(error) => {
            let cause = chain(&error);
            tracing::warn!(
                level,
                cause,
                "the store was not raised to the next feature level"
            );
        }
    }
}

/// Raises the store of a process that is alone with it, once it has run for long enough.
pub(crate) struct Alone<W> {
    stopwatch: W,
    watch: LevelWatch,
    levels: (u16, u16),
}

impl<W: Stopwatch> Alone<W> {
    /// Of a process that reads these levels.
    pub(crate) fn new(stopwatch: W, levels: (u16, u16)) -> Self {
        Self {
            stopwatch,
            watch: LevelWatch::default(),
            levels,
        }
    }

    /// To be called now and then.
    pub(crate) async fn look<S: Store>(&mut self, shared: &Shared<S>) {
        let (now, node) = (self.stopwatch.elapsed(), shared.claimant.node);
        let readiness = Readiness::of(shared.level.get(), [(node, Some(self.levels))]);
        if let Some(level) = self.watch.looked(now, now, &readiness) {
            raise_by_itself(shared, (node, self.levels), level).await;
        }
    }
}
