//! Accounts as a whole: whatever is damaged is found, and what is moved is the same at the other end.

mod archiving;
mod migrating;
mod verifying;

use super::*;
use crate::moving::listing::Listing;
use crate::moving::verify::{Scope, Verified, verify_page};
use crate::store::{KeyRange, Limit, Order, Read, Row, Tx as _, TxOptions};

/// All rows of a range.
async fn rows<S: Store>(store: &S, range: KeyRange) -> Vec<Row> {
    let (mut found, mut rest) = (Vec::new(), Some(range));
    while let Some(range) = rest {
        let tx = store.begin(TxOptions::default());
        let page = tx
            .range(&range, Limit::default(), Order::Forward, Read::Snapshot)
            .await
            .unwrap();
        rest = page.rest(&range, Order::Forward);
        found.extend(page.rows);
    }
    found
}

/// Writes a row past everybody, as a fault of the store would.
async fn overwrite<S: Store>(store: &S, key: &[u8], value: Option<Vec<u8>>) {
    let mut tx = store.begin(TxOptions::default());
    match value {
        Some(value) => tx.set(key, value),
        None => tx.clear(key),
    }
    tx.commit().await.unwrap();
}

/// What a pass over everything finds, two addresses at a time.
async fn verify_all<S: Store>(store: &S) -> Vec<Verified> {
    let (mut scope, mut found) = (Scope::default(), Vec::new());
    loop {
        let page = verify_page(store, &scope, 2).await.unwrap();
        found.extend(page.accounts);
        let Some(last) = page.last else { return found };
        scope.listing = Listing {
            after: Some(AccountAddress::parse(&last).unwrap()),
            ..scope.listing
        };
    }
}
