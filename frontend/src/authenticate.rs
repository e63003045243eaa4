//! From a sealed body to its sender: checks 2 to 6 of service §4.4, with the rate limit between the
//! cheap ones and the curve arithmetic.

use std::sync::Arc;

use mesh_common::cluster::SigningKeys;
use mesh_common::dare::Envelope;
use mesh_common::error::ServiceError;
use mesh_common::protocol::{Code, Request};
use mesh_common::session::{
    Authenticated, Examined, Mode, Opened, OpenedExchange, examine, parse_request,
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
        envelope: Box<Envelope>,
        identity: &ServiceIdentity,
        source: Source,
        now: Timestamp,
        deadline: Timestamp,
    ) -> Result<Authenticated, ServiceError> {
        let examined = examine(envelope, &identity.host_keys, &self.tickets.load(), now)?;
        self.admission.source(source)?;
        // An exchange is rare, and what it has to keep would make every request large: it is kept
        // elsewhere.
        let authenticated = if examined.is_exchange() {
            Box::pin(self.exchanged(examined, deadline)).await
        } else {
            by_ticket(examined)
        };
        // Only what the sender did wrong: that we are busy is nothing it pays for.
        if matches!(&authenticated, Err(error) if error.code == Code::AuthenticationFailed) {
            self.admission.failed_authentication(source);
        }
        authenticated
    }

    /// Checks 5 and 6 of an exchange: the agreement, then the credential.
    async fn exchanged(
        &self,
        examined: Examined,
        deadline: Timestamp,
    ) -> Result<Authenticated, ServiceError> {
        let exchange = match self.arithmetic.run(move || examined.open()).await?? {
            Opened::Ticket(authenticated) => return Ok(*authenticated),
            Opened::Exchange(exchange) => exchange,
        };
        if exchange.mode() != Mode::Profile {
            return self.arithmetic.run(move || exchange.verify_alone()).await?;
        }
        let keys = match exchange.account() {
            Some(account) => self.signers.keys(account, deadline).await?,
            None => None,
        };
        self.arithmetic
            .run(move || verify_profile(exchange, keys))
            .await?
    }
}

/// A ticket says itself whose it is.
fn by_ticket(examined: Examined) -> Result<Authenticated, ServiceError> {
    match examined.open()? {
        Opened::Ticket(authenticated) => Ok(*authenticated),
        Opened::Exchange(_) => Err(ServiceError::internal("a ticket opened as an exchange")),
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
