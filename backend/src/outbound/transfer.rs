//! One transfer: the item and its message are read, looked at once more, and carried. Runs beside the
//! dispatcher; whatever panics here costs this transfer alone (delivery §13, "poison").

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use mesh_common::dare::Envelope;
use mesh_common::delivery::{Attempt, End, ItemId, QueueItem, ShardId};
use mesh_common::limits::TRANSFER_TIME_MAX;

use super::carrier::{Carrier, Transfer};
use super::load::{Found, Unreadable, found};
use super::rows;
use crate::partition::commands::{contained, contained_future};
use crate::partition::shared::{Shared, chain};
use crate::store::{Read, Row, Store, StoreError, Tx, TxOptions, keys};

/// What a carrier may take longer than it was told, before it is given up.
const GRACE: Duration = Duration::from_secs(1);

/// An item to be sent.
#[derive(Debug, Clone)]
pub(crate) struct Errand {
    pub(crate) domain: Arc<str>,
    pub(crate) id: ItemId,
    /// Where its row is.
    pub(crate) key: Vec<u8>,
}

/// What came of an errand.
#[derive(Debug)]
pub(crate) enum Carried {
    /// The transfer was made, or failed.
    Attempted {
        item: Box<QueueItem>,
        attempt: Attempt,
    },
    /// The item is not there any more, or due at another time.
    Gone,
    /// The item is held by order of the operator.
    Held,
    /// The recipient's domain is served here by now (decision Q-46).
    Local {
        item: Box<QueueItem>,
        envelope: Box<Envelope>,
    },
    /// The row of the item does not read.
    Unreadable {
        unreadable: Box<Unreadable>,
        body: Option<Bytes>,
    },
    /// The message is missing, or does not read.
    Bodyless {
        item: Box<QueueItem>,
        body: Option<Bytes>,
        reason: String,
    },
    /// The store cannot be read.
    StoreAway(StoreError),
}

/// Runs `errand`. A panic is an attempt that failed here.
pub(crate) async fn run<S: Store>(
    shared: Arc<Shared<S>>,
    carrier: Arc<dyn Carrier>,
    errand: Errand,
) -> Carried {
    let (item, envelope) = match read(&shared, &errand).await {
        Ok(read) => read,
        Err(carried) => return carried,
    };
    if shared.orders.hold_of(&item).is_some() {
        return Carried::Held;
    }
    let policy = shared.config.policy_of(&item.recipient);
    if policy.domains_served.contains(item.destination()) {
        let envelope = Box::new(envelope);
        return Carried::Local { item, envelope };
    }
    let transfer = Transfer {
        from: item.tenant().to_owned(),
        recipient: item.recipient.clone(),
        envelope,
        route: shared.orders.route_of(&item),
        time_max: TRANSFER_TIME_MAX,
    };
    let began_at = shared.now();
    let attempt = carry(&shared, carrier.as_ref(), &item, transfer).await;
    let (measures, whole) = (&shared.metrics.outbound, shared.now().since(began_at));
    measures.carried(&errand.domain, whole, &attempt);
    Carried::Attempted { item, attempt }
}

async fn carry<S: Store>(
    shared: &Shared<S>,
    carrier: &dyn Carrier,
    item: &QueueItem,
    transfer: Transfer,
) -> Attempt {
    let failed = |end| Attempt {
        end,
        exchange: TRANSFER_TIME_MAX,
        at: shared.now(),
    };
    let time_max = TRANSFER_TIME_MAX + GRACE;
    let carried = shared.pace.within(time_max, carrier.carry(transfer));
    match contained_future(carried).await {
        Some(Some(attempt)) => attempt,
        // It is late.
        Some(None) => failed(End::TimedOut),
        None => {
            let panics = &shared.metrics.panics;
            panics.with_label_values(&["transfer"]).inc();
            tracing::error!(
                item = %item.id,
                destination = item.destination(),
                "a transfer panicked; it is tried again"
            );
            failed(End::Internal("it panicked".to_owned()))
        }
    }
}

/// The item and its message, of one version of the store.
async fn read<S: Store>(
    shared: &Shared<S>,
    errand: &Errand,
) -> Result<(Box<QueueItem>, Envelope), Carried> {
    let tx = shared.store.begin(TxOptions::default());
    let row = tx.get(&errand.key, Read::Snapshot).await;
    let Some(value) = row.map_err(Carried::StoreAway)? else {
        return Err(Carried::Gone);
    };
    let shard = ShardId::of(&errand.domain);
    let body = tx
        .get(&keys::queue_body(shard, errand.id), Read::Snapshot)
        .await;
    let body = body.map_err(Carried::StoreAway)?;
    let row = Row {
        key: errand.key.clone().into(),
        value,
    };
    let item = match found(row) {
        Found::Item(item) => item,
        Found::Record => return Err(Carried::Gone),
        Found::Unreadable(unreadable) => {
            let unreadable = Box::new(unreadable);
            return Err(Carried::Unreadable { unreadable, body });
        }
    };
    let reason = match body.as_deref().map(|body| contained(|| rows::body(body))) {
        Some(Some(Ok(envelope))) => return Ok((item, envelope)),
        Some(Some(Err(error))) => chain(&error),
        Some(None) => "reading its message panicked".to_owned(),
        None => "its message is missing".to_owned(),
    };
    Err(Carried::Bodyless { item, body, reason })
}
