//! Reading ranges of any length: the pages of [`Tx::range`] one after the other.

use std::ops::ControlFlow;

use super::{KeyRange, Limit, Order, Read, Row, Store, StoreError, Tx, TxOptions};

/// All rows of `range` as the transaction sees them. For ranges that a bound keeps short: they are held
/// in memory together, and read at one version.
///
/// # Errors
/// The store cannot be read; [`StoreError::TooOld`] when reading took longer than a version lives.
pub(crate) async fn rows<T: Tx>(
    tx: &T,
    range: KeyRange,
    read: Read,
) -> Result<Vec<Row>, StoreError> {
    let (mut found, mut rest) = (Vec::new(), Some(range));
    while let Some(range) = rest {
        let limit = Limit::default();
        let page = tx.range(&range, limit, Order::Forward, read).await?;
        rest = page.rest(&range, Order::Forward);
        found.extend(page.rows);
    }
    Ok(found)
}

/// Shows every row of `range` to `look`, in `order`, until it breaks. Each page is read at a version of its
/// own, so that a long range never grows too old: what changes meanwhile is seen or not.
///
/// # Errors
/// The store cannot be read; what was shown until then was there.
pub(crate) async fn each_row<S: Store>(
    store: &S,
    range: KeyRange,
    order: Order,
    mut look: impl FnMut(Row) -> ControlFlow<()> + Send,
) -> Result<(), StoreError> {
    let mut rest = Some(range);
    while let Some(range) = rest {
        let tx = store.begin(TxOptions::default());
        let page = tx
            .range(&range, Limit::default(), order, Read::Snapshot)
            .await?;
        rest = page.rest(&range, order);
        if page.rows.into_iter().try_for_each(&mut look).is_break() {
            break;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::MemoryStore;

    /// A store with more rows than two pages hold.
    async fn store() -> (MemoryStore, usize) {
        let (store, count) = (MemoryStore::new(), 2 * Limit::default().rows + 3);
        let mut tx = store.begin(TxOptions::default());
        for number in 0..count {
            tx.set(&u32::try_from(number).unwrap().to_be_bytes(), vec![0x01]);
        }
        tx.commit().await.unwrap();
        (store, count)
    }

    fn number(row: &Row) -> usize {
        u32::from_be_bytes(row.key.as_ref().try_into().unwrap()) as usize
    }

    #[tokio::test]
    async fn all_pages_are_read_in_order() {
        let (store, count) = store().await;
        let tx = store.begin(TxOptions::default());
        let rows = rows(&tx, KeyRange::all(), Read::Snapshot).await.unwrap();
        assert!(rows.iter().map(number).eq(0..count));
    }

    #[tokio::test]
    async fn rows_are_shown_until_one_is_enough() {
        let (store, count) = store().await;
        let mut shown = Vec::new();
        each_row(&store, KeyRange::all(), Order::Reverse, |row| {
            shown.push(number(&row));
            match shown.len() == count - 1 {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            }
        })
        .await
        .unwrap();
        assert!(shown.into_iter().eq((1..count).rev()));
    }
}
