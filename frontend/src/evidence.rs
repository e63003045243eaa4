//! Signature checks over a request's content, with the account's keys as its home knows them.
//!
//! The keys are cached with the version of the profiles they stand in. When the back-end finds that
//! version stale, they are fetched and used once more (decision Q-51).

use std::sync::Arc;
use std::time::Duration;

use mesh_common::address::AccountAddress;
use mesh_common::assertion::Authorities;
use mesh_common::cluster::{Backend, Evidence, SigningKeys};
use mesh_common::crypto::SecretKey;
use mesh_common::dare::Signature;
use mesh_common::entropy::Entropy;
use mesh_common::error::ServiceError;
use mesh_common::protocol::{ConnectRequest, Request};
use mesh_common::session::{
    Authenticated, Leniency, connect_evidence, content_evidence_by, create_evidence,
    has_signed_content,
};
use mesh_common::time::Timestamp;
use moka::sync::Cache;

use crate::arithmetic::Arithmetic;
use crate::chains::Chains;

/// Accounts whose keys are kept.
const ACCOUNTS_MAX: u64 = 16_384;
/// How long keys are believed without asking again; staleness is found by version, not by time.
const KEPT: Duration = Duration::from_secs(60);

/// The signing keys of accounts, from their homes.
pub(crate) struct Signers {
    backend: Arc<dyn Backend>,
    arithmetic: Arc<Arithmetic>,
    cache: Cache<String, Arc<Known>>,
    /// The chains that messages carry.
    pub(crate) chains: Chains,
}

/// The signing keys of one account.
pub(crate) struct Known {
    /// As its home told them.
    pub(crate) keys: SigningKeys,
    /// The same, decoded: that takes curve arithmetic of its own.
    authorities: Authorities,
}

impl Signers {
    pub(crate) fn new(backend: Arc<dyn Backend>, arithmetic: Arc<Arithmetic>) -> Self {
        let cache = Cache::builder()
            .max_capacity(ACCOUNTS_MAX)
            .time_to_live(KEPT)
            .build();
        Self {
            backend,
            arithmetic,
            cache,
            chains: Chains::new(),
        }
    }

    /// The keys that may sign for `account`; `None` if there is no such account, which is not
    /// remembered.
    ///
    /// # Errors
    /// The account's home is away or too busy; what it has are no keys.
    pub(crate) async fn keys(
        &self,
        account: &AccountAddress,
        deadline: Timestamp,
    ) -> Result<Option<Arc<Known>>, ServiceError> {
        if let Some(keys) = self.cache.get(account.canonical()) {
            return Ok(Some(keys));
        }
        let Some(keys) = self.backend.signing_keys(account, deadline).await? else {
            return Ok(None);
        };
        let authorities = Authorities::of(&keys).map_err(ServiceError::internal)?;
        let known = Arc::new(Known { keys, authorities });
        self.cache
            .insert(account.canonical().to_owned(), Arc::clone(&known));
        Ok(Some(known))
    }

    /// Forgets the keys of `account`.
    pub(crate) fn forget(&self, account: &AccountAddress) {
        self.cache.invalidate(account.canonical());
    }

    /// Whether the content of `request` may prove anything. That of a polling device's never does.
    pub(crate) const fn may_prove(request: &Request) -> bool {
        !matches!(request, Request::Status(_) | Request::Download(_))
    }

    /// What the content of `request` proves. `authenticated` is `None` in interop mode.
    ///
    /// For an account that does not exist the same work is done for nothing: how long the refusal
    /// takes must not tell.
    ///
    /// # Errors
    /// What the content fails, with the request gone; the account's home is away; 503 when too many
    /// signatures wait to be verified.
    pub(crate) async fn evidence(
        &self,
        request: Request,
        account: &AccountAddress,
        authenticated: Option<Arc<Authenticated>>,
        leniency: Leniency,
        deadline: Timestamp,
    ) -> Result<(Request, Evidence), ServiceError> {
        match request {
            Request::CreateAccount(request) => {
                let work = move || {
                    create_evidence(&request, authenticated.as_deref(), leniency)
                        .map(|evidence| (request, evidence))
                };
                let (request, evidence) = self.arithmetic.run(work).await??;
                let evidence = Evidence::Create(Box::new(evidence));
                Ok((Request::CreateAccount(request), evidence))
            }
            request if has_signed_content(&request) => {
                let known = self.keys(account, deadline).await?;
                let (account, chains) = (account.clone(), self.chains.clone());
                let work = move || {
                    let authorities = known.as_ref().map(|known| &known.authorities);
                    let follow = |block: &Signature| chains.follow(block);
                    content_evidence_by(&request, authorities, &account, &follow)
                        .map(|evidence| (request, evidence))
                };
                self.arithmetic.run(work).await?
            }
            other => Ok((other, Evidence::Nothing)),
        }
    }

    /// What a Connect proves, with the acknowledgement that is ready for it (service §6.2).
    ///
    /// # Errors
    /// As for [`evidence`](Self::evidence).
    pub(crate) async fn connection(
        &self,
        request: Box<ConnectRequest>,
        account: &AccountAddress,
        authenticated: Option<Arc<Authenticated>>,
        acknowledging: Acknowledging,
        deadline: Timestamp,
    ) -> Result<(Request, Evidence), ServiceError> {
        let keys = self.keys(account, deadline).await?;
        let work = move || {
            let Acknowledging {
                signer,
                mut entropy,
                message_bytes_max,
            } = acknowledging;
            connect_evidence(
                &request,
                authenticated.as_deref(),
                keys.as_ref().map(|known| &known.keys),
                message_bytes_max,
                &signer,
                &mut *entropy,
            )
            .map(|evidence| (request, evidence))
        };
        let (request, evidence) = self.arithmetic.run(work).await??;
        Ok((Request::Connect(request), evidence))
    }
}

/// What a request to connect is acknowledged with.
pub(crate) struct Acknowledging {
    /// An online key of the service that the account belongs to (decision Q-7).
    pub(crate) signer: Arc<SecretKey>,
    /// Chance for the nonce and the MessageID.
    pub(crate) entropy: Box<dyn Entropy + Send>,
    /// Octets of the request at most.
    pub(crate) message_bytes_max: usize,
}
