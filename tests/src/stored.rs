//! Rows of a store that no service has open, changed as an operator's tool would change them: for
//! states of an account that no request brings about.

use std::path::Path;

use mesh_backend::store::keys::{self, AccountKeys};
use mesh_backend::store::{EmbeddedOptions, EmbeddedStore, Read, Store as _, Tx as _, TxOptions};
use mesh_common::account::{AccountRecord, AccountStatus, DirectoryEntry};
use mesh_common::address::AccountAddress;
use serde::de::DeserializeOwned;

/// Blocks the account of `address` in the store of the data folder `data`.
///
/// # Panics
/// If there is no such account, or the store cannot be opened.
pub fn block(data: &Path, address: &AccountAddress) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime needs nothing");
    runtime.block_on(async {
        let store = EmbeddedStore::open(data.join("store"), EmbeddedOptions::default())
            .expect("a service that stopped leaves its store");
        let released = store.released();
        let mut tx = store.begin(TxOptions::default());
        let entry = tx.get(&keys::dir(address), Read::Snapshot).await;
        let DirectoryEntry::Account(id) = decoded(&entry.expect("the store can be read")) else {
            panic!("{address} is reserved")
        };
        let key = AccountKeys::of(id).record();
        let row = tx
            .get(&key, Read::Snapshot)
            .await
            .expect("the store can be read");
        let blocked = AccountRecord {
            status: AccountStatus::Blocked,
            ..decoded(&row)
        };
        let mut octets = row.map_or_else(Vec::new, |row| row[..1].to_vec());
        octets.extend(serde_json::to_vec(&blocked).expect("a record is JSON"));
        tx.set(&key, octets);
        tx.commit().await.expect("the store can be written");
        drop(store);
        released.wait().await;
    });
}

/// A row of JSON, behind its format octet.
fn decoded<T: DeserializeOwned>(row: &Option<impl AsRef<[u8]>>) -> T {
    let row = row.as_ref().expect("there is such an account").as_ref();
    serde_json::from_slice(&row[1..]).expect("a row is as it was written")
}
