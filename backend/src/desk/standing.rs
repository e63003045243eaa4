//! Orders that stand until they are revoked: holds and routes. They lie in the store, table 40, and are
//! kept in memory whole, since they are looked up for each item that is about to be sent.
//!
//! Every change is stamped. Where several nodes have one store, each compares the stamp every two seconds and
//! before an operator looks: an order given at one node is followed by all within that time.

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use bytes::Bytes;
use mesh_common::delivery::QueueItem;
use mesh_common::limits::STANDING_ORDERS_MAX;

use super::{DeskError, Route, Selection, StandingOrder, What};
use crate::partition::shared::chain;
use crate::partition::{Reader, RowError, Writer};
use crate::store::{Read, Row, Store, StoreError, Tx, TxOptions, keys, walk};

/// Format of an order.
const ORDER: u8 = 1;

/// The orders in force, as they were last read or written here.
#[derive(Debug, Default)]
pub(crate) struct StandingOrders(RwLock<InForce>);

#[derive(Debug, Default)]
struct InForce {
    /// The most specific first.
    orders: Arc<Vec<StandingOrder>>,
    /// By which change of them this is what is in force.
    changed_by: Option<Bytes>,
}

impl StandingOrders {
    /// Reads what is in force.
    ///
    /// # Errors
    /// The store cannot be read. An order that does not read is reported and left out.
    pub(crate) async fn load<S: Store>(store: &S) -> Result<Self, StoreError> {
        let orders = Self::default();
        orders.reload(store).await?;
        Ok(orders)
    }

    async fn reload<S: Store>(&self, store: &S) -> Result<(), StoreError> {
        let tx = store.begin(TxOptions::default());
        self.read(&tx).await
    }

    async fn read<T: Tx>(&self, tx: &T) -> Result<(), StoreError> {
        let key = keys::standing_orders_changed();
        let changed_by = tx.get(&key, Read::Snapshot).await?;
        let rows = all(tx, Read::Snapshot).await?;
        let mut orders: Vec<_> = rows.iter().filter_map(readable).collect();
        orders.sort_by_key(|order| std::cmp::Reverse(order.selection.specificity()));
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = InForce {
            orders: Arc::new(orders),
            changed_by,
        };
        Ok(())
    }

    /// Reads what is in force if it has changed since, at whatever node. Whether it has.
    ///
    /// # Errors
    /// The store cannot be read: what was known stays in force here.
    pub(crate) async fn refresh<S: Store>(&self, store: &S) -> Result<bool, StoreError> {
        let tx = store.begin(TxOptions::default());
        let key = keys::standing_orders_changed();
        let changed_by = tx.get(&key, Read::Snapshot).await?;
        if changed_by == self.lock().changed_by {
            return Ok(false);
        }
        self.read(&tx).await?;
        Ok(true)
    }

    /// All of them.
    pub(crate) fn all(&self) -> Arc<Vec<StandingOrder>> {
        Arc::clone(&self.lock().orders)
    }

    fn lock(&self) -> RwLockReadGuard<'_, InForce> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The order that holds `item`, if one does.
    pub(crate) fn hold_of(&self, item: &QueueItem) -> Option<StandingOrder> {
        self.first(What::Hold, |selection| selection.matches(item))
    }

    /// Where `item` is sent in place of what discovery finds; of several routes the most specific.
    pub(crate) fn route_of(&self, item: &QueueItem) -> Option<Route> {
        let order = self.first(What::Route, |selection| selection.matches(item));
        order.and_then(|order| order.route)
    }

    /// The order of this kind for everything that goes to `domain`, if there is one.
    pub(crate) fn of_destination(&self, what: What, domain: &str) -> Option<StandingOrder> {
        self.first(what, |selection| {
            selection.whole_destination() == Some(domain)
        })
    }

    fn first(&self, what: What, matches: impl Fn(&Selection) -> bool) -> Option<StandingOrder> {
        let orders = self.all();
        let mut found = orders.iter().filter(|order| order.what == what);
        found.find(|order| matches(&order.selection)).cloned()
    }

    /// Puts `order` in force, in place of one of its kind for the same selection.
    ///
    /// # Errors
    /// [`DeskError::Refused`]: there are [`STANDING_ORDERS_MAX`] already; [`DeskError::Unavailable`].
    pub(crate) async fn put<S: Store>(
        &self,
        store: &S,
        options: TxOptions,
        order: &StandingOrder,
    ) -> Result<(), DeskError> {
        let key = key_of(&order.selection, order.what);
        let mut tx = store.begin(options);
        let rows = all(&tx, Read::Serializable).await?;
        if rows.len() >= STANDING_ORDERS_MAX && rows.iter().all(|row| row.key != key) {
            return Err(DeskError::Refused {
                why: format!(
                    "there are {STANDING_ORDERS_MAX} orders in force; revoke some, or order for a whole destination or tenant"
                ),
            });
        }
        let json = serde_json::to_vec(order).expect("orders hold no maps");
        tx.set(&key, Writer::new(ORDER).octets(&json).finish());
        tx.set_stamped_value(&keys::standing_orders_changed(), b"", b"");
        tx.commit().await?;
        Ok(self.reload(store).await?)
    }

    /// Revokes the order of this kind for exactly this selection; says how many that were.
    ///
    /// # Errors
    /// [`DeskError::Unavailable`].
    pub(crate) async fn revoke<S: Store>(
        &self,
        store: &S,
        options: TxOptions,
        selection: &Selection,
        what: What,
    ) -> Result<u64, DeskError> {
        let key = key_of(selection, what);
        let mut tx = store.begin(options);
        let is_there = tx.get(&key, Read::Serializable).await?.is_some();
        if is_there {
            tx.clear(&key);
            tx.set_stamped_value(&keys::standing_orders_changed(), b"", b"");
            tx.commit().await?;
        }
        self.reload(store).await?;
        Ok(u64::from(is_there))
    }
}

fn key_of(selection: &Selection, what: What) -> Vec<u8> {
    let text = serde_json::to_vec(&(selection, what)).expect("selections hold no maps");
    keys::standing_order(keys::hash16(&[&text]))
}

async fn all<T: Tx>(tx: &T, read: Read) -> Result<Vec<Row>, StoreError> {
    walk::rows(tx, keys::standing_orders(), read).await
}

fn readable(row: &Row) -> Option<StandingOrder> {
    let read = || -> Result<StandingOrder, RowError> {
        let mut reader = Reader::new("standing order", &row.value, ORDER)?;
        let json = reader.octets()?;
        let order = serde_json::from_slice(json).map_err(|_| reader.impossible("text"))?;
        reader.finish()?;
        Ok(order)
    };
    read()
        .inspect_err(|error| {
            tracing::error!(
                cause = chain(error),
                incident = "a standing order does not read and is not followed",
                "incident"
            );
        })
        .ok()
}
