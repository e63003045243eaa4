//! Signature checks over a request's content, with the account's keys as its home knows them.
//!
//! The keys are cached with the version of the profiles they stand in. When the back-end finds that
//! version stale, they are fetched and used once more (decision Q-51).

use std::sync::Arc;
use std::time::Duration;

use mesh_common::address::AccountAddress;
use mesh_common::cluster::{Backend, Evidence, SigningKeys};
use mesh_common::error::ServiceError;
use mesh_common::protocol::Request;
use mesh_common::session::{
    Authenticated, Leniency, create_evidence, device_evidence, touches_devices,
};
use mesh_common::time::Timestamp;
use moka::sync::Cache;

/// Accounts whose keys are kept.
const ACCOUNTS_MAX: u64 = 16_384;
/// How long keys are believed without asking again; staleness is found by version, not by time.
const KEPT: Duration = Duration::from_secs(60);

/// The signing keys of accounts, from their homes.
pub(crate) struct Signers {
    backend: Arc<dyn Backend>,
    cache: Cache<String, Arc<SigningKeys>>,
}

impl Signers {
    pub(crate) fn new(backend: Arc<dyn Backend>) -> Self {
        let cache = Cache::builder()
            .max_capacity(ACCOUNTS_MAX)
            .time_to_live(KEPT)
            .build();
        Self { backend, cache }
    }

    /// The keys that may sign for `account`; `None` if there is no such account, which is not
    /// remembered.
    ///
    /// # Errors
    /// The account's home is away or too busy.
    pub(crate) async fn keys(
        &self,
        account: &AccountAddress,
        deadline: Timestamp,
    ) -> Result<Option<Arc<SigningKeys>>, ServiceError> {
        if let Some(keys) = self.cache.get(account.canonical()) {
            return Ok(Some(keys));
        }
        let keys = self
            .backend
            .signing_keys(account, deadline)
            .await?
            .map(Arc::new);
        if let Some(keys) = &keys {
            self.cache
                .insert(account.canonical().to_owned(), Arc::clone(keys));
        }
        Ok(keys)
    }

    /// Forgets the keys of `account`.
    pub(crate) fn forget(&self, account: &AccountAddress) {
        self.cache.invalidate(account.canonical());
    }

    /// What the content of `request` proves. `authenticated` is `None` in interop mode.
    ///
    /// # Errors
    /// What the content fails; the account's home is away.
    pub(crate) async fn evidence(
        &self,
        request: &Request,
        account: &AccountAddress,
        authenticated: Option<&Authenticated>,
        leniency: Leniency,
        deadline: Timestamp,
    ) -> Result<Evidence, ServiceError> {
        match request {
            Request::CreateAccount(request) => {
                let evidence = create_evidence(request, authenticated, leniency)?;
                Ok(Evidence::Create(Box::new(evidence)))
            }
            Request::Upload(request) if touches_devices(request) => {
                match self.keys(account, deadline).await? {
                    Some(keys) => device_evidence(request, &keys, account),
                    // The back-end says what an unknown account says.
                    None => Ok(Evidence::Nothing),
                }
            }
            _ => Ok(Evidence::Nothing),
        }
    }
}
