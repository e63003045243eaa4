//! From a sealed body to its sender: checks 2 to 6 of service §4.4, with the rate limit between the
//! cheap ones and the curve arithmetic.

use std::sync::Arc;

use mesh_common::dare::Envelope;
use mesh_common::error::ServiceError;
use mesh_common::protocol::{Code, Request};
use mesh_common::session::{
    Authenticated, Examined, Mode, Opened, OpenedExchange, authentication_failed, examine,
    parse_request,
};
use mesh_common::time::Timestamp;

use crate::admission::Source;
use crate::callback::{Claim, Moment};
use crate::edge::Edge;
use crate::evidence::Known;
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
            Box::pin(self.exchanged(examined, source, now, deadline)).await
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
        source: Source,
        now: Timestamp,
        deadline: Timestamp,
    ) -> Result<Authenticated, ServiceError> {
        let exchange = match self.arithmetic.run(move || examined.open()).await?? {
            Opened::Ticket(authenticated) => return Ok(*authenticated),
            Opened::Exchange(exchange) => exchange,
        };
        match exchange.mode() {
            Mode::Profile => {}
            Mode::Service => {
                let moment = Moment {
                    now,
                    left: deadline.since(now),
                };
                return self.service(exchange, source, moment).await;
            }
            Mode::Device | Mode::Interop => {
                return self.arithmetic.run(move || exchange.verify_alone()).await?;
            }
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

impl Edge {
    /// Check 6 of a service: the credential, then the domain that it names is called back (decisions
    /// A domain of ours has no other service.
    async fn service(
        &self,
        exchange: Box<OpenedExchange>,
        source: Source,
        moment: Moment,
    ) -> Result<Authenticated, ServiceError> {
        let key = exchange.client_key().clone();
        let authenticated = self
            .arithmetic
            .run(move || exchange.verify_alone())
            .await??;
        let caller = &authenticated.caller;
        let (Some(domain), Some(service_udf)) = (&caller.domain, &caller.profile_udf) else {
            return Err(authentication_failed("the credential names no service"));
        };
        if self.rules.serves(domain) {
            return Err(authentication_failed(
                "the credential names a domain of ours",
            ));
        }
        let claim = Claim {
            domain: domain.clone(),
            service_udf: service_udf.clone(),
            key,
        };
        let may_ask = || self.admission.new_domain(source);
        self.call_backs.check(&claim, moment, may_ask).await?;
        Ok(authenticated)
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
    known: Option<Arc<Known>>,
) -> Result<Authenticated, ServiceError> {
    match parse_request(exchange.plaintext()) {
        Ok(Request::CreateAccount(request)) => exchange.verify_creating(&request),
        _ => exchange.verify_by(known.as_ref().map(|known| &known.keys)),
    }
}
