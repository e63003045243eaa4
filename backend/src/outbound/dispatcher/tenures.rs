//! Shards that come and go while this runs (cluster §4.3, delivery §11).
//!
//! A shard that came is worked for once it is noted how the owner before ended. One that is to be let go of
//! begins nothing more; what is in flight has some seconds to end, and what became of it is committed. One
//! that others hold is dropped at once: nothing can be written about it any more.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use mesh_common::cluster::Ownership;
use mesh_common::delivery::ShardId;
use mesh_common::limits::OUTBOUND_STOP_TIME_MAX;
use mesh_common::time::Timestamp;
use tokio::time::Instant;

use super::{Dispatcher, Done, RETRY_TIME};
use crate::outbound::holding::{Caution, Held, Phase};
use crate::outbound::settle::{Settlement, Then};
use crate::outbound::shards::Tenure;
use crate::outbound::takeover::{self, TakeoverError};
use crate::partition::shared::chain;
use crate::store::Store;

/// How soon it is looked again at what is late and still being committed.
const LEAVING_SOONEST: Duration = Duration::from_millis(10);

impl<S: Store> Dispatcher<S> {
    /// Does what was decided of shards since the last time.
    pub(super) fn follow(&mut self, now: Timestamp) {
        self.arrive_again();
        let Some(tenures) = self.shared.shards.since(&mut self.followed) else {
            return;
        };
        let is_over = |shard: ShardId, ownership: &Ownership| {
            let tenure = tenures.get(&shard);
            tenure.is_none_or(|tenure| tenure.ownership != *ownership)
        };
        let held = self.holding.iter();
        let over = held.filter(|(shard, held)| is_over(*shard, &held.ownership));
        let over: BTreeSet<ShardId> = over.map(|(shard, _)| shard).collect();
        self.drop_shards(now, &over, Vec::new());
        let mut leaving = BTreeSet::new();
        let mut new = BTreeMap::new();
        for (shard, tenure) in tenures {
            match self.holding.get(shard).map(|held| held.phase) {
                None => {
                    self.holding.add(shard, tenure.ownership, Phase::Arriving);
                    new.insert(shard, tenure);
                }
                Some(Phase::Working) if tenure.is_leaving => {
                    leaving.insert(shard);
                }
                Some(_) => {}
            }
        }
        self.arrive(new);
        self.begin_to_leave(now, &leaving);
        self.show_home();
    }

    // ---- Coming ----

    fn arrive(&mut self, tenures: BTreeMap<ShardId, Tenure>) {
        if tenures.is_empty() {
            return;
        }
        let shared = Arc::clone(&self.shared);
        self.tasks.spawn(async move {
            let cautious = takeover::arrive(&shared, &tenures).await;
            Done::Arrived { tenures, cautious }
        });
    }

    /// Tries again what could not be noted.
    fn arrive_again(&mut self) {
        if self.arrivals_at.is_none_or(|at| at > self.moment()) {
            return;
        }
        self.arrivals_at = None;
        let arriving = |shard: &ShardId| {
            let held = self.holding.get(*shard);
            held.is_some_and(|held| held.phase == Phase::Arriving)
        };
        let mut tenures = self.shared.shards.tenures();
        tenures.retain(|shard, _| arriving(shard));
        self.arrive(tenures);
    }

    pub(super) fn handle_arrived(
        &mut self,
        now: Timestamp,
        tenures: BTreeMap<ShardId, Tenure>,
        cautious: Result<Vec<(ShardId, Caution)>, TakeoverError>,
    ) {
        let cautious = match cautious {
            Ok(cautious) => cautious,
            Err(error) => return self.put_arrival_off(now, &tenures, &error),
        };
        for (shard, tenure) in &tenures {
            let held = self.holding.get_mut(*shard);
            let is_it = |held: &&mut Held| {
                held.ownership == tenure.ownership && held.phase == Phase::Arriving
            };
            let Some(held) = held.filter(is_it) else {
                continue;
            };
            held.phase = Phase::Working;
            // What was known of its last commit may come from before others held it.
            self.told.remove(shard);
            self.scan(*shard);
        }
        for (shard, caution) in cautious {
            if self.holding.works_for(shard) {
                self.holding.be_cautious(shard, caution);
            }
        }
        self.show_home();
        takeover::report_caution(&self.holding);
        tracing::info!(shards = tenures.len(), "shards of the queue have come");
        self.round.hurry(now);
        // Some may have been told to leave meanwhile.
        self.followed = 0;
    }

    fn put_arrival_off(
        &mut self,
        now: Timestamp,
        tenures: &BTreeMap<ShardId, Tenure>,
        error: &TakeoverError,
    ) {
        if let TakeoverError::Lost { shards } = error {
            let lost = tenures.iter().filter(|(shard, _)| shards.contains(shard));
            let lost = lost.map(|(shard, one)| (*shard, one.ownership)).collect();
            self.lose(now, &lost, Vec::new());
        } else {
            tracing::error!(
                cause = chain(error),
                "shards of the queue cannot be taken on; it is tried again"
            );
        }
        self.arrivals_at = Some(self.moment() + RETRY_TIME);
    }

    // ---- Going ----

    /// Begins nothing more for `shards`.
    fn begin_to_leave(&mut self, now: Timestamp, shards: &BTreeSet<ShardId>) {
        let until = self.moment() + OUTBOUND_STOP_TIME_MAX;
        for shard in shards {
            if let Some(held) = self.holding.get_mut(*shard) {
                held.phase = Phase::Leaving;
                self.leaving.insert(*shard, until);
            }
        }
        for domain in self.domains_of(shards) {
            if let Some(remembered) = self.pool.remove_destination(now, &domain)
                && let Some(row) = self.records.worth_writing(&domain, remembered)
            {
                self.write(row);
            }
            self.records.closed(&domain);
        }
    }

    /// Lets go of the shards that are to leave and for which nothing is under way any more, or no longer
    /// waited for. What is then still in flight is found again by the next owner: it is not written here.
    pub(super) fn leave(&mut self) {
        if self.leaving.is_empty() {
            return;
        }
        let moment = self.moment();
        let is_done = |shard: &ShardId, until: &mut Instant| {
            let is_busy = self.busy.values().any(|one| one == shard);
            let is_waiting = is_busy || self.ledger.has_waiting(*shard);
            !self.ledger.is_committing(*shard) && (!is_waiting || *until <= moment)
        };
        let done: BTreeSet<ShardId> = self
            .leaving
            .extract_if(.., |shard, until| is_done(shard, until))
            .map(|(shard, _)| shard)
            .collect();
        for shard in &done {
            if let Some(held) = self.holding.get(*shard) {
                self.shared.shards.left(*shard, &held.ownership);
            }
        }
        self.forget_shards(&done, Vec::new());
    }

    /// When leaving is not waited for any longer.
    pub(super) fn leave_at(&self) -> Option<Instant> {
        let soonest = self.moment() + LEAVING_SOONEST;
        self.leaving.values().min().map(|until| soonest.max(*until))
    }

    /// Others hold these shards: nothing more is sent for them from here, and nothing written.
    pub(super) fn lose(
        &mut self,
        now: Timestamp,
        lost: &BTreeMap<ShardId, Ownership>,
        gone: Vec<Settlement>,
    ) {
        if self.shared.shards.are_shared() {
            tracing::warn!(
                shards = lost.len(),
                "other nodes hold shards of the queue by now"
            );
        } else {
            tracing::error!(
                shards = lost.len(),
                incident = "another owner holds shards of the queue",
                "incident"
            );
        }
        self.drop_shards(now, &lost.keys().copied().collect(), gone);
        self.shared.shards.lose(lost);
        self.show_home();
    }

    /// Forgets `shards`, their destinations, and all that was to be written about them: `gone`, and what waits.
    fn drop_shards(&mut self, now: Timestamp, shards: &BTreeSet<ShardId>, gone: Vec<Settlement>) {
        self.forget_shards(shards, gone);
        for domain in self.domains_of(shards) {
            self.pool.remove_destination(now, &domain);
            self.records.closed(&domain);
        }
    }

    fn forget_shards(&mut self, shards: &BTreeSet<ShardId>, gone: Vec<Settlement>) {
        for shard in shards {
            self.holding.remove(*shard);
            self.leaving.remove(shard);
        }
        let waiting = match shards.is_empty() {
            true => Vec::new(),
            false => self.ledger.take_out(shards),
        };
        for settlement in gone.into_iter().chain(waiting) {
            self.abandon(settlement);
        }
    }

    fn domains_of(&self, shards: &BTreeSet<ShardId>) -> Vec<Arc<str>> {
        if shards.is_empty() {
            return Vec::new();
        }
        let domains = self.pool.domains();
        let theirs = domains.filter(|domain| shards.contains(&ShardId::of(domain)));
        theirs.map(Arc::clone).collect()
    }

    /// Says whose news are taken in here.
    fn show_home(&self) {
        if self.shared.shards.are_shared() {
            self.shared.queue_bell.be_home_of(self.holding.working());
        }
    }

    // ---- Writing ----

    /// Has `settlement` committed, if its shard is ours.
    pub(super) fn write(&mut self, settlement: Settlement) {
        if self.holding.may_write(settlement.shard) {
            self.ledger.add(settlement, self.moment());
        } else {
            self.abandon(settlement);
        }
    }

    /// `settlement` is not written: its shard is not ours.
    fn abandon(&mut self, settlement: Settlement) {
        match settlement.then {
            Then::Carry(errand) | Then::Released(errand) => {
                self.flights -= 1;
                self.be_done_with(errand.id);
                // Nothing follows: else the pool takes it for under way, and never begins it again should its
                // shard come back.
                let now = self.shared.now();
                self.pool.handle_released(now, &errand.domain, errand.id);
            }
            Then::Settled { id, .. } => self.be_done_with(id),
            Then::Changed { id, .. } => {
                self.ending.remove(&id);
            }
            Then::Nothing => {}
        }
    }
}
