//! Where the first back-ends are (architecture A-4): in a list, or found by name.

use std::net::SocketAddr;

use mesh_common::cluster::handle::BoxFuture;
use mesh_peer::back_ends::{BackEnds, NotFound};

/// Finds back-ends.
pub trait Finder: Send + Sync + 'static {
    /// `host:port` of some back-ends that may be there; they tell of the others.
    ///
    /// # Errors
    /// [`NotFound`]: nothing can be found out now.
    fn find(&self) -> BoxFuture<'_, Result<Vec<String>, NotFound>>;
}

/// Back-ends that the settings list.
#[derive(Debug, Clone)]
pub struct Listed(pub Vec<String>);

impl Finder for Listed {
    fn find(&self) -> BoxFuture<'_, Result<Vec<String>, NotFound>> {
        Box::pin(std::future::ready(Ok(self.0.clone())))
    }
}

impl Finder for BackEnds {
    fn find(&self) -> BoxFuture<'_, Result<Vec<String>, NotFound>> {
        Box::pin(async move {
            let found = self.look().await?;
            Ok(found.iter().map(SocketAddr::to_string).collect())
        })
    }
}
