//! What another service posts: one message for one recipient (service §7.4; decisions
//! and Q-57). The service is the one of its domain: see [`crate::callback`].

use std::sync::Arc;

use mesh_common::account::inbound;
use mesh_common::account::intake::ForwardingService;
use mesh_common::address::AccountAddress;
use mesh_common::cluster::{AccountRequest, Evidence, Verified};
use mesh_common::crypto::digest::sha512;
use mesh_common::dare::{Envelope, Signature};
use mesh_common::error::ServiceError;
use mesh_common::protocol::{Code, PostRequest, Request};
use mesh_common::session::{Authenticated, Caller};

use super::{Arrival, Edge, Outcomed};

/// A Post as services make them.
struct Forwarded {
    recipient: AccountAddress,
    envelope: Envelope,
    /// The request without its message.
    rest: PostRequest,
}

impl Edge {
    /// Takes in the Post of a service, in the order of checks of service §7.4.
    pub(super) async fn receive(
        &self,
        authenticated: &Arc<Authenticated>,
        post: PostRequest,
        arrival: Arrival<'_>,
    ) -> Result<Outcomed, ServiceError> {
        let service = forwarding(&authenticated.caller)?;
        self.backend.heard_from(&service.domain);
        let forwarded = Forwarded::of(post)?;
        let recipient = forwarded.recipient.clone();
        let policy = Arc::clone(self.policies.of(recipient.domain()));
        if policy.inbound.blocks_service(&service) {
            return Err(inbound::refused().with_context("the site blocks the forwarding service"));
        }
        let domain = service.domain.clone();
        let known = self.rules.serves(recipient.domain())
            && self
                .signers
                .keys(&recipient, arrival.deadline)
                .await?
                .is_some();
        let told = if known {
            self.received(authenticated, forwarded, service, policy, arrival)
                .await
        } else {
            Err(unknown_account())
        };
        let is_unknown = match &told {
            Ok(outcomed) => outcomed.response.outcome().code() == Some(Code::NotFound),
            Err(error) => error.code == Code::NotFound,
        };
        if is_unknown {
            self.admission.unknown_recipient(&domain);
        }
        told
    }

    /// Verifies the message, and hands it to the recipient's home.
    async fn received(
        &self,
        authenticated: &Arc<Authenticated>,
        forwarded: Forwarded,
        service: ForwardingService,
        policy: Arc<mesh_common::account::AccountPolicy>,
        arrival: Arrival<'_>,
    ) -> Result<Outcomed, ServiceError> {
        let Forwarded {
            recipient,
            envelope,
            rest,
        } = forwarded;
        let account = recipient.clone();
        let chains = self.signers.chains.clone();
        let work = move || {
            let follow = |block: &Signature| chains.follow(block);
            inbound::evidence(envelope, service, &recipient, &policy, &follow)
        };
        let message = self.arithmetic.run(work).await?.inspect_err(|error| {
            // A service that speaks for others than its own is for the operator to know.
            if error.code == Code::Refused {
                tracing::warn!(account = %account, incident = error.context, "incident");
            }
        })?;
        let call = AccountRequest {
            account: account.clone(),
            caller: authenticated.caller.clone(),
            request_id: authenticated.request_id,
            request_digest: sha512(&[&authenticated.plaintext]),
            received_at: arrival.now,
            deadline: arrival.deadline,
            request: Request::Post(rest),
            evidence: Evidence::Forwarded(Box::new(message)),
        };
        let receiving = self.backend.receive(Verified::declare(call));
        let answer = self.in_time(arrival.deadline, receiving).await;
        answer
            .map(|answer| Outcomed {
                response: answer.response,
                account: Some(account),
                context: answer.context,
                retry_after: answer.retry_after,
            })
            .map_err(|failure| failure.into_refusal().unwrap_or_else(super::still_stale))
    }
}

/// The service that forwards, as it authenticated.
fn forwarding(caller: &Caller) -> Result<ForwardingService, ServiceError> {
    match (&caller.domain, &caller.profile_udf) {
        (Some(domain), Some(udf)) => Ok(ForwardingService {
            domain: domain.clone(),
            udf: udf.clone(),
        }),
        _ => Err(ServiceError::internal(
            "a session in Service mode names no service",
        )),
    }
}

impl Forwarded {
    /// Reads a Post: one recipient, one message, nothing else.
    fn of(mut post: PostRequest) -> Result<Self, ServiceError> {
        let is_single = post.accounts.len() == 1 && post.messages.len() == 1;
        let envelope = post
            .messages
            .pop()
            .filter(|_| is_single && post.self_messages.is_empty())
            .ok_or_else(|| {
                ServiceError::new(
                    Code::Malformed,
                    "a service posts one message for one recipient, and nothing for itself",
                )
            })?;
        let recipient = AccountAddress::parse(&post.accounts[0]).map_err(|error| {
            ServiceError::new(
                Code::InvalidName,
                format!("the recipient is no account: {error}"),
            )
        })?;
        Ok(Self {
            recipient,
            envelope,
            rest: post,
        })
    }
}

/// As the account's home says it: senders need to know (decision Q-57).
fn unknown_account() -> ServiceError {
    ServiceError::new(Code::NotFound, "there is no such account")
}
