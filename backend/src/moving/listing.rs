//! All accounts of a store in the order of their addresses, page by page: each page is a read of its own, and the
//! last address of one is where the next begins. What is created or deleted meanwhile is seen or not.

use mesh_common::account::{AccountId, DirectoryEntry};
use mesh_common::address::AccountAddress;

use crate::partition::directory;
use crate::partition::reading::ReadError;
use crate::store::{KeyRange, Limit, Order, Read, Store, Tx, TxOptions, keys};

/// An address of the directory, with what lies there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its canonical form.
    pub address: AccountAddress,
    /// The account that lives there, or whose address it was.
    pub account: AccountId,
    /// Whether the account was deleted and its address is kept for it.
    pub is_reserved: bool,
}

/// Which addresses are listed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Listing {
    /// Of this canonical domain alone.
    pub domain: Option<String>,
    /// Behind this address, as a key of the directory orders them: by domain, then by name.
    pub after: Option<AccountAddress>,
}

impl Listing {
    fn range(&self) -> KeyRange {
        let all = self
            .domain
            .as_deref()
            .map_or_else(keys::dirs, keys::dir_domain);
        match &self.after {
            Some(after) => all.rest(&keys::dir(after), Order::Forward),
            None => all,
        }
    }

    /// The next addresses, at most `max` and at least one if there is any.
    ///
    /// # Errors
    /// The store gives no answer, or the directory does not read.
    pub async fn addresses<S: Store>(
        &self,
        store: &S,
        max: usize,
    ) -> Result<Vec<Listed>, Box<dyn std::error::Error + Send + Sync>> {
        Ok(self.page(store, max).await?)
    }

    /// The next addresses, at most `max` and at least one if there is any; fewer do not mean that there
    /// are no more.
    ///
    /// # Errors
    /// [`ReadError`].
    pub(crate) async fn page<S: Store>(
        &self,
        store: &S,
        max: usize,
    ) -> Result<Vec<Listed>, ReadError> {
        let mut found = Vec::new();
        let mut range = Some(self.range());
        // A page of rows that are no addresses of ours would look like the end.
        while let (true, Some(rest)) = (found.is_empty(), range.take()) {
            let tx = store.begin(TxOptions::default());
            let limit = Limit::rows(max.max(1));
            let page = tx
                .range(&rest, limit, Order::Forward, Read::Snapshot)
                .await?;
            range = page.rest(&rest, Order::Forward);
            for row in &page.rows {
                let address = keys::address_of_dir(&row.key)
                    .and_then(|text| AccountAddress::parse(&text).ok());
                let Some(address) = address else { continue };
                let (account, is_reserved) = match directory(&row.value)? {
                    DirectoryEntry::Account(account) => (account, false),
                    DirectoryEntry::Reserved(tombstone) => (tombstone.account, true),
                };
                found.push(Listed {
                    address,
                    account,
                    is_reserved,
                });
            }
        }
        Ok(found)
    }
}
