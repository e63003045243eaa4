//! What errands bring back: the pool judges, and what becomes of the message is written.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use mesh_common::account::IntakeEntry;
use mesh_common::cluster::Backend as _;
use mesh_common::dare::Envelope;
use mesh_common::delivery::{
    Attempt, BreakerState, End, Fate, Judgement, QueueItem, ShardId, Unreachable, retry,
};
use mesh_common::error::ServiceError;
use mesh_common::limits::TRANSFER_TIME_MAX;
use mesh_common::spool::MessageState;
use mesh_common::time::Timestamp;

use super::{Dispatcher, Done, RETRY_TIME, complain, report};
use crate::handle::BackendHandle;
use crate::outbound::load::Unreadable;
use crate::outbound::local;
use crate::outbound::settle::{Place, Settlement, Then};
use crate::outbound::transfer::{Carried, Errand};
use crate::partition::records::Rows;
use crate::store::{Read, Store, StoreError, Tx, TxOptions, keys};

/// An item that waits on lies elsewhere than before.
const SOONEST: Duration = Duration::from_millis(1);
impl<S: Store> Dispatcher<S> {
    pub(super) fn handle_carried(&mut self, now: Timestamp, errand: Errand, carried: Carried) {
        match carried {
            Carried::Attempted { item, attempt } => {
                self.flights -= 1;
                self.handle_attempt(now, errand, &item, &attempt);
            }
            Carried::Local { item, envelope } => self.leave_here(errand, item, *envelope),
            Carried::Gone | Carried::Held => self.release(now, &errand),
            Carried::StoreAway(error) => {
                complain(&error, "message");
                self.release_for_a_moment(now, &errand);
            }
            Carried::Unreadable { unreadable, body } => {
                report_aside(&unreadable);
                let settlement = Settlement::moved_aside(&unreadable, body);
                self.settle_and_release(errand, settlement);
            }
            Carried::Bodyless { item, body, reason } => {
                report_quarantine(&item, &reason);
                self.shared.metrics.outbound.settled(&Fate::Poison);
                let place = Place::of(&item);
                let settlement = Settlement::quarantined(&item, place, body, &reason, now);
                self.settle_and_release(errand, settlement);
            }
        }
    }

    /// Nothing was sent; the errand is over once that is written.
    fn settle_and_release(&mut self, errand: Errand, mut settlement: Settlement) {
        let shard = settlement.shard;
        self.holding.note_suspect(shard, None, &mut settlement.rows);
        settlement.then = Then::Released(errand);
        self.write(settlement);
    }

    /// The errand came to nothing: nothing is held against anybody.
    pub(super) fn release(&mut self, now: Timestamp, errand: &Errand) {
        self.flights -= 1;
        self.be_done_with(errand.id);
        self.pool.handle_released(now, &errand.domain, errand.id);
        self.clear_suspicion(errand);
    }

    /// The same, and its destination is looked at again.
    fn release_for_a_moment(&mut self, now: Timestamp, errand: &Errand) {
        self.release(now, errand);
        let domain = errand.domain.to_string();
        self.again.insert((now + RETRY_TIME, domain));
    }

    /// Nothing is being handled any more in the item's shard.
    fn clear_suspicion(&mut self, errand: &Errand) {
        let (shard, mut rows) = (ShardId::of(&errand.domain), Rows::default());
        self.holding.note_suspect(shard, None, &mut rows);
        if !rows.is_empty() {
            self.write(Settlement::of_rows(shard, rows));
        }
    }

    fn handle_attempt(
        &mut self,
        now: Timestamp,
        errand: Errand,
        item: &QueueItem,
        attempt: &Attempt,
    ) {
        let mut entropy = self.shared.entropy.clone();
        let domain = &errand.domain;
        let is_away = self.is_away(now, domain);
        let judgement = self
            .pool
            .handle_finished(now, domain, item, attempt, &mut entropy);
        report_destination(domain, attempt, is_away, self.is_away(now, domain));
        self.records.touch(domain);
        let place = Place {
            key: errand.key.clone(),
            expected: None,
        };
        if judgement.fate == Fate::Poison {
            let reason = judgement.trouble.map_or_else(String::new, |one| one.text);
            return self.read_poison(item.clone(), place, reason);
        }
        if judgement.fate == Fate::Stays && retry::is_late(now, item) {
            self.tell_delayed(now, item, place.clone(), judgement.trouble.clone());
        }
        match self.settlement_of(now, item, place, judgement) {
            Some(settlement) => self.settle_transfer(settlement),
            None => {
                self.be_done_with(errand.id);
                self.clear_suspicion(&errand);
            }
        }
    }

    /// Whether a destination is left alone since it does not answer.
    fn is_away(&self, now: Timestamp, domain: &str) -> bool {
        let standing = self.pool.describe(now, domain);
        standing.is_some_and(|standing| standing.breaker != BreakerState::Closed)
    }

    fn settle_transfer(&mut self, settlement: Settlement) {
        let mut settlement = settlement.after_transfer();
        self.holding
            .note_suspect(settlement.shard, None, &mut settlement.rows);
        self.write(settlement);
    }

    /// Handling an item has failed here too often: it goes aside with its message.
    fn read_poison(&mut self, item: QueueItem, place: Place, reason: String) {
        let shared = Arc::clone(&self.shared);
        self.tasks.spawn(async move {
            let tx = shared.store.begin(TxOptions::default());
            let key = keys::queue_body(item.shard(), item.id);
            let body = tx.get(&key, Read::Snapshot).await;
            let item = Box::new(item);
            Done::Poison {
                item,
                place,
                reason,
                body,
            }
        });
    }

    pub(super) fn handle_poison(
        &mut self,
        now: Timestamp,
        (item, place, reason): (Box<QueueItem>, Place, String),
        body: Result<Option<Bytes>, StoreError>,
    ) {
        match body {
            Ok(body) => {
                report_quarantine(&item, &reason);
                self.shared.metrics.outbound.settled(&Fate::Poison);
                let settlement = Settlement::quarantined(&item, place, body, &reason, now);
                self.settle_transfer(settlement);
            }
            Err(error) => {
                complain(&error, "message");
                let after = QueueItem {
                    due_at: now + RETRY_TIME,
                    ..(*item).clone()
                };
                self.settle_transfer(Settlement::waits(&item, place, &after));
            }
        }
    }

    /// What is to be written after a transfer; nothing if nothing was learned about the message.
    fn settlement_of(
        &self,
        now: Timestamp,
        item: &QueueItem,
        place: Place,
        judgement: Judgement,
    ) -> Option<Settlement> {
        let Judgement { fate, trouble, .. } = judgement;
        self.shared.metrics.outbound.settled(&fate);
        let over = |state, word, reason: Option<&str>| {
            report(&self.shared, item, word, reason);
            Some(Settlement::over(item, place.clone(), (state, reason), now))
        };
        match fate {
            Fate::Received => over(MessageState::Received, "received", None),
            Fate::Sent => over(MessageState::Sent, "sent", None),
            Fate::Refused(failure) => over(MessageState::Refused, "refused", Some(&failure.text)),
            Fate::Failed(failure) => over(MessageState::Failed, "failed", Some(&failure.text)),
            Fate::Stays => {
                let text = trouble.as_ref().map(|one| one.text.as_str());
                tracing::debug!(item = %item.id, reason = text, "a transfer did not begin");
                None
            }
            Fate::Later { due_at } => {
                let after = QueueItem {
                    attempts: item.attempts + 1,
                    due_at: due_at.max(item.due_at + SOONEST),
                    last_trouble: trouble,
                    ..item.clone()
                };
                Some(self.waits_on(now, item, place, after))
            }
            Fate::Mishandled { due_at } => {
                let after = QueueItem {
                    attempts_internal: item.attempts_internal + 1,
                    due_at: due_at.max(item.due_at + SOONEST),
                    last_trouble: trouble,
                    ..item.clone()
                };
                Some(self.waits_on(now, item, place, after))
            }
            Fate::Poison => None,
        }
    }

    fn waits_on(
        &self,
        now: Timestamp,
        item: &QueueItem,
        place: Place,
        after: QueueItem,
    ) -> Settlement {
        let text = after.last_trouble.as_ref().map(|one| one.text.as_str());
        if retry::is_late(now, item) {
            report(&self.shared, &after, "delayed", text);
            return Settlement::delayed(item, place, after, now);
        }
        report(&self.shared, &after, "later", text);
        Settlement::waits(item, place, &after)
    }

    /// Moves a row aside that does not read, with the message it may belong to.
    pub(super) fn move_aside(&mut self, unreadable: Unreadable) {
        let shared = Arc::clone(&self.shared);
        self.tasks.spawn(async move {
            let (shard, id) = unreadable.id;
            let tx = shared.store.begin(TxOptions::default());
            let body = tx.get(&keys::queue_body(shard, id), Read::Snapshot).await;
            let unreadable = Box::new(unreadable);
            Done::Aside { unreadable, body }
        });
    }

    pub(super) fn handle_aside(
        &mut self,
        unreadable: &Unreadable,
        body: Result<Option<Bytes>, StoreError>,
    ) {
        match body {
            Ok(body) => {
                report_aside(unreadable);
                self.write(Settlement::moved_aside(unreadable, body));
            }
            // The next round finds it again.
            Err(error) => complain(&error, "message"),
        }
    }

    // ---- Domains that are served here by now ----

    fn leave_here(&mut self, errand: Errand, item: Box<QueueItem>, envelope: Envelope) {
        let (shared, home) = (Arc::clone(&self.shared), self.home.upgrade());
        self.tasks.spawn(async move {
            let now = shared.now();
            let keys = match home {
                Some(inner) => {
                    let handle = BackendHandle { inner };
                    let deadline = now + TRANSFER_TIME_MAX;
                    handle.signing_keys(&item.sender, deadline).await
                }
                None => Err(ServiceError::unavailable("the back-end is stopping")),
            };
            let entry = keys.map(|keys| {
                let keys = keys.as_ref();
                keys.map(|keys| Box::new(local::entry(&item, envelope, keys, now)))
            });
            Done::Local {
                errand,
                item,
                entry,
            }
        });
    }

    /// The message is left for its recipient, as one of here; the sender's account, if it is gone, cannot
    /// vouch for it any more.
    pub(super) fn handle_local(
        &mut self,
        now: Timestamp,
        errand: Errand,
        item: &QueueItem,
        entry: Result<Option<Box<IntakeEntry>>, ServiceError>,
    ) {
        let place = Place {
            key: errand.key.clone(),
            expected: None,
        };
        match entry {
            Err(_away) => self.release_for_a_moment(now, &errand),
            Ok(Some(entry)) => {
                report(&self.shared, item, "sent", None);
                let mut settlement = Settlement::over(item, place, (MessageState::Sent, None), now);
                settlement.rows.leave(&entry);
                self.settle_and_release(errand, settlement);
            }
            Ok(None) => {
                let reason = "the sender's account is gone";
                report(&self.shared, item, "failed", Some(reason));
                let told = (MessageState::Failed, Some(reason));
                self.settle_and_release(errand, Settlement::over(item, place, told, now));
            }
        }
    }
}

/// What operators want to know of a destination without looking: that it stopped answering, that it answers
/// again, and that it is not who it was.
fn report_destination(domain: &str, attempt: &Attempt, was_away: bool, is_away: bool) {
    if let End::Unreachable(Unreachable::Identity(found)) = &attempt.end {
        tracing::error!(
            destination = domain,
            found,
            incident = "a service is not the one it was; nothing is sent to it",
            "incident"
        );
    }
    if is_away && !was_away {
        let trouble = match &attempt.end {
            End::Unreachable(unreachable) => unreachable.to_string(),
            End::TimedOut => "nothing came back in time".to_owned(),
            End::Foreign { http, .. } => format!("HTTP {http}, of no Mesh service"),
            End::Answered(answered) => format!("status {}: {}", answered.status, answered.text),
            End::Internal(reason) => reason.clone(),
        };
        tracing::warn!(
            destination = domain,
            trouble,
            "a destination does not answer; it is left alone and tried again"
        );
    } else if was_away && !is_away {
        tracing::info!(destination = domain, "a destination answers again");
    }
}

fn report_aside(unreadable: &Unreadable) {
    tracing::error!(
        item = %unreadable.id.1,
        reason = unreadable.reason,
        incident = "a row of the queue does not read and was set aside",
        "incident"
    );
}

fn report_quarantine(item: &QueueItem, reason: &str) {
    tracing::error!(
        message = item.unique_id,
        item = %item.id,
        tenant = item.tenant(),
        destination = item.destination(),
        reason,
        incident = "an item of the queue was set aside",
        "incident"
    );
}
