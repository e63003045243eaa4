//! From a sealed body to its sender: checks 2 to 6 of service §4.4, with the rate limit between the
//! cheap ones and the curve arithmetic.

use std::sync::Arc;

use mesh_common::cluster::SigningKeys;
use mesh_common::dare::Envelope;
use mesh_common::error::ServiceError;
use mesh_common::protocol::Request;
use mesh_common::session::{
    Authenticated, Mode, Opened, OpenedExchange, authentication_failed, examine, parse_request,
};
use mesh_common::time::Timestamp;

use crate::admission::Source;
use crate::edge::Edge;
use crate::identity::ServiceIdentity;

impl Edge {
    /// Who sent `envelope`, and what it holds.
    ///
    /// # Errors
    /// A refusal to be sent bare (decision Q-1).
    pub(crate) async fn authenticate(
        &self,
        envelope: Envelope,
        identity: &ServiceIdentity,
        source: Source,
        now: Timestamp,
        deadline: Timestamp,
    ) -> Result<Authenticated, ServiceError> {
        let examined = examine(envelope, &identity.host_keys, &self.tickets.load(), now)?;
        self.admission.source(source)?;
        let authenticated = if examined.is_exchange() {
            // Milliseconds of curve arithmetic: not on a thread that serves connections.
            let opened = off_thread(move || examined.open()).await?;
            self.verified(opened, deadline).await
        } else {
            self.verified(examined.open(), deadline).await
        };
        if authenticated.is_err() {
            self.admission.failed_authentication(source);
        }
        authenticated
    }

    /// Check 6: the credential.
    async fn verified(
        &self,
        opened: Result<Opened, ServiceError>,
        deadline: Timestamp,
    ) -> Result<Authenticated, ServiceError> {
        let exchange = match opened? {
            Opened::Ticket(authenticated) => return Ok(*authenticated),
            Opened::Exchange(exchange) => exchange,
        };
        if exchange.mode() != Mode::Profile {
            return off_thread(move || exchange.verify_alone()).await?;
        }
        let keys = match exchange.account() {
            Some(account) => self.signers.keys(account, deadline).await?,
            None => None,
        };
        off_thread(move || verify_profile(exchange, keys)).await?
    }
}

/// A connected device is verified by its account's keys; while the account does not exist yet, by
/// those of the profiles in its CreateAccount.
fn verify_profile(
    exchange: Box<OpenedExchange>,
    keys: Option<Arc<SigningKeys>>,
) -> Result<Authenticated, ServiceError> {
    match parse_request(exchange.plaintext()) {
        Ok(Request::CreateAccount(request)) => exchange.verify_creating(&request),
        _ => exchange.verify_by(keys.as_deref()),
    }
}

/// Runs `work` on a thread that may be busy.
async fn off_thread<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, ServiceError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| authentication_failed(format!("verification ended early: {error}")))
}
