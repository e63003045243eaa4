//! Opening the desks of operators: the back-end and its queue, the token of the data folder, and the record
//! of orders.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use mesh_backend::desk::{NoPool, PoolDesk};
use mesh_backend::outbound::Outbound;
use mesh_backend::store::Store;
use mesh_backend::{BackendHandle, SystemClock, SystemEntropy};

use super::api::Api;
use super::audit::Audit;
use super::moving::Moving;
use super::peers::PeerDesk;
use super::token::{Token, TokenError};
use crate::data_dir::DataDir;

/// Why the desks cannot be opened; the sentence says what to do.
#[derive(Debug, thiserror::Error)]
pub enum DesksError {
    /// The token.
    #[error("{cause}: {}", cause.remedy())]
    Token {
        /// Why.
        cause: TokenError,
    },
    /// The record of orders.
    #[error(
        "the record of operators' orders in {} cannot be opened: run this as the user that meshd runs as",
        folder.display()
    )]
    Audit {
        /// Where it lies.
        folder: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
}

/// The desk of a queue that is emptied from here.
#[must_use]
pub fn pool_of<S: Store>(outbound: Outbound<S>) -> Arc<dyn PoolDesk> {
    Arc::new(outbound)
}

/// The desk of a queue that is emptied by other processes: what waits is read from the store, how
/// destinations do is known there, and what is to be done about messages is left for them.
#[must_use]
pub fn no_pool() -> Arc<dyn PoolDesk> {
    Arc::new(NoPool)
}

/// Opens the desks over `backend`, whose queue `pool` empties by way of `peers`.
///
/// # Errors
/// [`DesksError`].
pub fn open<S: Store>(
    backend: &BackendHandle<S>,
    pool: Arc<dyn PoolDesk>,
    peers: Arc<dyn PeerDesk>,
    folder: &DataDir,
) -> Result<Api, DesksError> {
    let folder = folder.admin();
    let token = Token::load_or_make(&folder, &mut SystemEntropy)
        .map_err(|cause| DesksError::Token { cause })?;
    let audit = Audit::open(&folder).map_err(|cause| DesksError::Audit { folder, cause })?;
    Ok(Api {
        token,
        queue: Arc::new(backend.outbound_desk(pool)),
        aside: Arc::new(backend.clone()),
        conduct: Arc::new(backend.clone()),
        domains: Arc::new(backend.clone()),
        cluster: Arc::new(backend.clone()),
        peers,
        moving: Arc::new(Moving::over(backend.store())),
        audit,
        clock: Arc::new(SystemClock),
    })
}
