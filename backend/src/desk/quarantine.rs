//! Items that were taken out of the queue because handling them failed here (delivery §13, "poison"):
//! listed, put back, dropped. Only operators clear table 33, each item in one commit with what follows.

use std::ops::ControlFlow;

use mesh_common::delivery::{ItemId, QueueItem, ShardId};
use mesh_common::spool::MessageState;

use super::queue::{OutboundDesk, shown};
use super::scan::{each, octets_of};
use super::{DeskError, Quarantined};
use crate::outbound::rows;
use crate::partition::records::Rows;
use crate::store::{Read, Row, Store, Tx, keys};

/// Items in quarantine.
pub(crate) async fn count_quarantined<S: Store>(store: &S) -> Result<u64, DeskError> {
    let mut count = 0;
    each(store, keys::all_quarantined(), |row| {
        let place = keys::parse_quarantined(&row.key);
        count += u64::from(place.is_some_and(|(_, _, kind)| kind == b'e'));
        ControlFlow::Continue(())
    })
    .await?;
    Ok(count)
}

impl<S: Store> OutboundDesk<S> {
    async fn each_quarantined(
        &self,
        mut look: impl FnMut(ShardId, ItemId, u8, &Row) -> ControlFlow<()> + Send,
    ) -> Result<(), DeskError> {
        each(
            &self.shared.store,
            keys::all_quarantined(),
            |row| match keys::parse_quarantined(&row.key) {
                Some((shard, id, kind)) => look(shard, id, kind, row),
                None => ControlFlow::Continue(()),
            },
        )
        .await
    }

    /// What lies there. Kinds of one item come in the order of their octets: body, item, reason.
    pub(super) async fn in_quarantine(&self, max: usize) -> Result<Vec<Quarantined>, DeskError> {
        let mut found: Vec<Quarantined> = Vec::new();
        self.each_quarantined(|_, id, kind, row| {
            if kind == b'e' {
                let item = rows::item(&row.value).ok();
                found.push(Quarantined {
                    id: id.to_string(),
                    reason: String::new(),
                    item: item.as_ref().map(shown),
                });
            } else if let Some(last) = found.last_mut().filter(|_| kind == b'w') {
                last.reason = String::from_utf8_lossy(&row.value).into_owned();
            }
            if found.len() <= max {
                ControlFlow::Continue(())
            } else {
                ControlFlow::Break(())
            }
        })
        .await?;
        found.truncate(max);
        Ok(found)
    }

    /// Puts an item back into the queue, with its failures here forgotten.
    pub(super) async fn take_back(&self, id: &str) -> Result<(), DeskError> {
        let (shard, item_id) = self.place_of(id).await?;
        let [entry, body, why] = keys::quarantined(shard, item_id);
        let shared = &self.shared;
        let mut tx = shared.store.begin(shared.writing());
        let value = tx.get(&entry, Read::Serializable).await?;
        let message = tx.get(&body, Read::Serializable).await?;
        let Some((value, message)) = value.zip(message) else {
            return Err(unreadable(id));
        };
        let item = rows::item(&value).map_err(|_| unreadable(id))?;
        rows::body(&message).map_err(|_| unreadable(id))?;
        let item = QueueItem {
            attempts_internal: 0,
            due_at: shared.now(),
            // Nobody was granted it: an operator's order is not measured by the bounds of the queue.
            charged_to: None,
            ..item
        };
        let mut queued = Rows::default();
        queued.enqueue(&item, message);
        queued.fill(&mut tx, shared.intakes());
        [entry, body, why].iter().for_each(|key| tx.clear(key));
        let committed = tx.commit().await?;
        queued.tell_queued(shared, committed.stamp);
        Ok(())
    }

    /// Forgets an item. Its sender learns that it failed, if the item still says who that is.
    pub(super) async fn drop_from_quarantine(&self, id: &str) -> Result<(), DeskError> {
        let (shard, item_id) = self.place_of(id).await?;
        let places = keys::quarantined(shard, item_id);
        let shared = &self.shared;
        let mut tx = shared.store.begin(shared.writing());
        let Some(value) = tx.get(&places[0], Read::Serializable).await? else {
            return Err(unknown(id));
        };
        let mut left = Rows::default();
        if let Ok(item) = rows::item(&value) {
            let reason = "it could not be handled here and was dropped by an operator";
            left.leave(&item.told(MessageState::Failed, Some(reason), shared.now()));
        }
        left.fill(&mut tx, shared.intakes());
        places.iter().for_each(|key| tx.clear(key));
        tx.commit().await?;
        left.left_for().for_each(|one| shared.bell.ring(one));
        Ok(())
    }

    async fn place_of(&self, id: &str) -> Result<(ShardId, ItemId), DeskError> {
        let wanted = octets_of(id).ok_or_else(|| unknown(id))?;
        let mut found = None;
        self.each_quarantined(|shard, item, _, _| {
            if item.0[..] == wanted[..] {
                found = Some((shard, item));
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        })
        .await?;
        found.ok_or_else(|| unknown(id))
    }
}

fn unknown(id: &str) -> DeskError {
    DeskError::NotFound {
        what: format!("no item {id} is in quarantine"),
    }
}

fn unreadable(id: &str) -> DeskError {
    DeskError::Refused {
        why: format!("item {id} does not read, so it can never be sent"),
    }
}
