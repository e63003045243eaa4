//! The story of one request: told its form, authenticated, checked, carried out, sealed.
//!
//! Until a sender is authenticated, refusals are bare; from then on every answer is sealed
//! (decision Q-1).

mod bare;
mod forwarded;
mod policies;
mod poll;

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use mesh_common::account::connect::Publication;
use mesh_common::account::is_recognized;
use mesh_common::address::AccountAddress;
use mesh_common::cluster::{AccountRequest, Answer, Backend, CallFailure, Evidence, Verified};
use mesh_common::crypto::digest::sha512;
use mesh_common::dare::Envelope;
use mesh_common::entropy::Entropy;
use mesh_common::error::ServiceError;
use mesh_common::limits::TRANSACTION_TIME_MAX;
use mesh_common::protocol::{Code, Outcome, Request, Response, Transaction};
use mesh_common::session::{
    Authenticated, BareRequest, Body, Leniency, Mode, RequestId, TicketKeys, account_for,
    check_mode, has_signed_content, parse_request, read_body,
};
use mesh_common::time::{Clock, Timestamp};
use mesh_common::udf::Udf;

use crate::admission::{Admission, Source};
use crate::arithmetic::Arithmetic;
use crate::body::Bounds;
use crate::callback::{CallBack, CallBacks};
use crate::config::FrontendConfig;
use crate::evidence::{Acknowledging, Signers};
use crate::hello;
use crate::http_rules::HttpRules;
use crate::identity::{Identities, ServiceIdentity};
use crate::metrics::FrontendMetrics;
use crate::polls::{EndOfWaiting, Polls};
use crate::prefer::Wait;
use crate::respond::Reply;
use policies::Policies;
use poll::Asked;
pub(crate) use poll::{Poll, Reached};

/// Gives each request its own source of chance.
pub type EntropySource = Arc<dyn Fn() -> Box<dyn Entropy + Send> + Send + Sync>;

/// Everything a request is answered with. Components are arguments, settings are a document.
pub struct Edge {
    pub(crate) rules: HttpRules,
    pub(crate) admission: Admission,
    pub(crate) arithmetic: Arc<Arithmetic>,
    pub(crate) call_backs: CallBacks,
    pub(crate) signers: Signers,
    pub(crate) tickets: Arc<ArcSwap<TicketKeys>>,
    pub(crate) metrics: FrontendMetrics,
    identities: Identities,
    backend: Arc<dyn Backend>,
    clock: Arc<dyn Clock>,
    pub(crate) entropy: EntropySource,
    leniency: Leniency,
    policies: Policies,
    polls: Polls,
    pub(crate) mirror_status: bool,
    pub(crate) interop: bool,
    pub(crate) body_bounds: Bounds,
}

/// What an [`Edge`] is made of.
pub struct Components {
    /// Who the service is.
    pub identities: Identities,
    /// Where accounts live.
    pub backend: Arc<dyn Backend>,
    /// What tickets are sealed under; replaced as epochs pass.
    pub tickets: Arc<ArcSwap<TicketKeys>>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Chance.
    pub entropy: EntropySource,
    /// Where measures go.
    pub metrics: FrontendMetrics,
    /// Asks domains who their services are.
    pub call_back: Arc<dyn CallBack>,
}

/// A reply, and what the log says of it.
pub(crate) struct Told {
    pub(crate) reply: Reply,
    pub(crate) outcome: Outcome,
    pub(crate) transaction: Option<Transaction>,
    pub(crate) account: Option<AccountAddress>,
    pub(crate) context: Option<String>,
}

/// Where and when a request came in.
#[derive(Clone, Copy)]
pub(crate) struct Arrival<'a> {
    pub(crate) domain: &'a str,
    pub(crate) identity: &'a ServiceIdentity,
    pub(crate) source: Source,
    pub(crate) now: Timestamp,
    pub(crate) deadline: Timestamp,
    /// How long a Status may wait for news.
    pub(crate) wait: Option<Wait>,
}

/// An authenticated request whose answer is known.
struct Outcomed {
    response: Response,
    account: Option<AccountAddress>,
    context: Option<String>,
    retry_after: Option<Duration>,
}

impl Edge {
    /// The edge of one front-end; `config` has been checked.
    #[must_use]
    pub fn new(config: &FrontendConfig, components: Components) -> Self {
        let arithmetic = Arc::new(Arithmetic::of_this_machine());
        let backend = Arc::clone(&components.backend);
        Self {
            rules: HttpRules::new(config),
            admission: Admission::new(config),
            signers: Signers::new(backend, Arc::clone(&arithmetic)),
            arithmetic,
            call_backs: CallBacks::new(components.call_back),
            tickets: components.tickets,
            polls: Polls::new(config.polls_max, components.metrics.clone()),
            metrics: components.metrics,
            identities: components.identities,
            backend: components.backend,
            clock: components.clock,
            entropy: components.entropy,
            leniency: Leniency {
                unsigned_profile_mesh: config.interop.unsigned_profile_mesh,
            },
            policies: Policies::new(config),
            mirror_status: config.http.mirror_status,
            interop: config.interop.bare_json.is_some(),
            body_bounds: Bounds::new(config),
        }
    }

    /// Where and when: for the domain a request was made to.
    pub(crate) fn arrival<'a>(&'a self, domain: &'a str, source: Source) -> Arrival<'a> {
        let now = self.clock.now();
        Arrival {
            domain,
            identity: self.identities.of(domain),
            source,
            now,
            deadline: now + TRANSACTION_TIME_MAX,
            wait: None,
        }
    }

    /// What ends all waiting, for whoever stops the front-end.
    pub(crate) fn end_of_waiting(&self) -> EndOfWaiting {
        self.polls.end_of_waiting()
    }

    /// Answers the body of a request, or puts it aside. `named_account` is the test header of interop
    /// mode.
    pub(crate) async fn answer(
        &self,
        octets: &[u8],
        arrival: Arrival<'_>,
        named_account: Option<&str>,
    ) -> Reached {
        let told = match read_body(octets) {
            Ok(Body::Bare(bare)) => {
                Box::pin(self.answer_bare(&bare, arrival, named_account, false)).await
            }
            Ok(Body::Plain(bare)) => {
                Box::pin(self.answer_bare(&bare, arrival, named_account, true)).await
            }
            Ok(Body::Sealed(envelope)) => return self.answer_sealed(envelope, arrival).await,
            Err(error) => self.told_refusal(None, error),
        };
        Reached::Answer(told)
    }

    async fn answer_sealed(&self, envelope: Box<Envelope>, arrival: Arrival<'_>) -> Reached {
        let authenticated = self
            .authenticate(
                envelope,
                arrival.identity,
                arrival.source,
                arrival.now,
                arrival.deadline,
            )
            .await;
        let authenticated = match authenticated {
            Ok(authenticated) => Arc::new(authenticated),
            Err(error) => return Reached::Answer(self.told_refusal(None, error)),
        };
        let told = match parse_request(&authenticated.plaintext) {
            Ok(request) => {
                let transaction = request.transaction();
                let asked = Asked::of(&authenticated, &request, arrival.wait);
                let outcomed = self
                    .carry_out(&authenticated, Box::new(request), arrival)
                    .await;
                if let Some(asked) = asked {
                    return Box::pin(self.put_aside(authenticated, asked, outcomed)).await;
                }
                self.sealed(&authenticated, Some(transaction), outcomed)
            }
            Err(error) => {
                // Of a known tag it is answered in its class, as a bare one is (decision Q-2).
                let transaction = BareRequest::of(&authenticated.plaintext).transaction;
                self.sealed(&authenticated, transaction, refused(transaction, error))
            }
        };
        Reached::Answer(told)
    }

    /// Everything from check 7 on; a refusal is an answer like any other.
    async fn carry_out(
        &self,
        authenticated: &Arc<Authenticated>,
        request: Box<Request>,
        arrival: Arrival<'_>,
    ) -> Outcomed {
        let transaction = request.transaction();
        let id = request.id().map(<[u8]>::to_vec);
        let mut outcomed = match self.transact(authenticated, request, arrival).await {
            Ok(outcomed) => outcomed,
            Err(error) => refused(Some(transaction), error),
        };
        if let Some(id) = id {
            outcomed.response.outcome_mut().id = Some(id.into());
        }
        outcomed
    }

    async fn transact(
        &self,
        authenticated: &Arc<Authenticated>,
        request: Box<Request>,
        arrival: Arrival<'_>,
    ) -> Result<Outcomed, ServiceError> {
        let transaction = request.transaction();
        let caller = &authenticated.caller;
        check_id(&request, authenticated.request_id)?;
        check_mode(caller, transaction)?;
        let account = account_for(authenticated, &request)?;
        self.admission.shed(transaction, caller.mode)?;
        match (&caller.domain, &caller.profile_udf) {
            (Some(domain), Some(service)) => self.admission.count_service(domain, service)?,
            _ => {
                let source = arrival.source;
                self.admission.count(source, &caller.key_udf, transaction)?;
            }
        }
        if transaction == Transaction::Hello {
            return Ok(answered(account, self.hello(arrival)));
        }
        let request = match *request {
            Request::Post(post) if caller.mode == Mode::Service => {
                return Box::pin(self.receive(authenticated, post, arrival)).await;
            }
            other => other,
        };
        let account = account.ok_or_else(not_offered)?;
        self.check_name(&request, &account)?;
        let call = Box::new(AccountRequest {
            account: account.clone(),
            caller: caller.clone(),
            request_id: authenticated.request_id,
            request_digest: digest_for_retries(&request, &authenticated.plaintext),
            received_at: arrival.now,
            deadline: arrival.deadline,
            request,
            evidence: Evidence::Nothing,
        });
        let again = may_be_stale(&call.request).then(|| call.clone());
        let mut answer = self.with_evidence(call, authenticated).await?;
        if answer == Err(CallFailure::Stale)
            && let Some(call) = again
        {
            self.signers.forget(&account);
            answer = self.with_evidence(call, authenticated).await?;
        }
        if transaction == Transaction::CreateAccount {
            // Profiles may have been replaced: nobody is verified by the old keys any more.
            self.signers.forget(&account);
        }
        match answer {
            Ok(answer) => Ok(Outcomed {
                response: answer.response,
                account: Some(account),
                context: answer.context,
                retry_after: answer.retry_after,
            }),
            Err(failure) => Err(failure.into_refusal().unwrap_or_else(still_stale)),
        }
    }

    /// Establishes the evidence for `call` and carries it out once.
    async fn with_evidence(
        &self,
        mut call: Box<AccountRequest>,
        authenticated: &Arc<Authenticated>,
    ) -> Result<Result<Answer, CallFailure>, ServiceError> {
        if Signers::may_prove(&call.request) {
            // Apart, so that requests without evidence stay small.
            call = Box::pin(self.establish(*call, authenticated)).await?;
        }
        Ok(self.perform(call).await)
    }

    /// Adds to `call` what its content proves.
    async fn establish(
        &self,
        call: AccountRequest,
        authenticated: &Arc<Authenticated>,
    ) -> Result<Box<AccountRequest>, ServiceError> {
        let (request, evidence) = self
            .evidence(
                call.request,
                &call.account,
                Some(Arc::clone(authenticated)),
                call.deadline,
            )
            .await?;
        Ok(Box::new(AccountRequest {
            request,
            evidence,
            ..call
        }))
    }

    /// What the content of `request` proves; see [`Signers::evidence`].
    async fn evidence(
        &self,
        request: Request,
        account: &AccountAddress,
        authenticated: Option<Arc<Authenticated>>,
        deadline: Timestamp,
    ) -> Result<(Request, Evidence), ServiceError> {
        let signers = &self.signers;
        if let Request::Connect(request) = request {
            let domain = account.domain();
            let acknowledging = Acknowledging {
                signer: Arc::clone(&self.identities.of(domain).online),
                entropy: (self.entropy)(),
                message_bytes_max: self.policies.of(domain).message_payload_bytes_max,
            };
            return signers
                .connection(request, account, authenticated, acknowledging, deadline)
                .await;
        }
        signers
            .evidence(request, account, authenticated, self.leniency, deadline)
            .await
    }

    /// Hands the request to the account's home, for as long as an answer is of use.
    async fn perform(&self, call: Box<AccountRequest>) -> Result<Answer, CallFailure> {
        let deadline = call.deadline;
        let performing = self.backend.perform(Verified::declare(*call));
        self.in_time(deadline, performing).await
    }

    /// Waits for the home of an account until `deadline`.
    async fn in_time(
        &self,
        deadline: Timestamp,
        work: impl Future<Output = Result<Answer, CallFailure>>,
    ) -> Result<Answer, CallFailure> {
        let left = deadline.since(self.clock.now());
        tokio::time::timeout(left, work).await.unwrap_or_else(|_| {
            let sentence = "the transaction took too long, repeat the request";
            Err(CallFailure::Refused(ServiceError::new(
                Code::Timeout,
                sentence,
            )))
        })
    }

    /// The name of a new account, before any signature is verified for it (decision Q-69): its form,
    /// and a domain served here. For other transactions an account elsewhere is an unknown account,
    /// and its home says so.
    fn check_name(&self, request: &Request, account: &AccountAddress) -> Result<(), ServiceError> {
        let Request::CreateAccount(create) = request else {
            return Ok(());
        };
        let policy = self.policies.of(account.domain());
        policy.names.check(create.service_id.as_deref())?;
        if self.rules.serves(account.domain()) {
            return Ok(());
        }
        Err(ServiceError::new(
            Code::InvalidName,
            format!("accounts of {} are not served here", account.domain()),
        ))
    }

    /// What is published at `domain` under `id`: by one of its hailing accounts, or by nobody.
    ///
    /// # Errors
    /// 404/6, the same whoever publishes and whoever does not; the home of an account is away.
    pub(crate) async fn published(
        &self,
        domain: &str,
        id: &Udf,
    ) -> Result<Publication, ServiceError> {
        let deadline = self.clock.now() + TRANSACTION_TIME_MAX;
        for name in &self.policies.of(domain).connections.hailing {
            let Ok(account) = AccountAddress::parse(&format!("{name}@{domain}")) else {
                continue;
            };
            if let Some(found) = self.backend.published(&account, id, deadline).await? {
                return Ok(found);
            }
        }
        Err(nothing_published())
    }

    fn hello(&self, arrival: Arrival<'_>) -> Response {
        hello::response(arrival.identity, self.policies.of(arrival.domain))
    }

    fn sealed(
        &self,
        authenticated: &Authenticated,
        transaction: Option<Transaction>,
        mut outcomed: Outcomed,
    ) -> Told {
        let now = self.clock.now();
        let sealed = authenticated.sealer.seal_response(
            transaction,
            &outcomed.response,
            &self.tickets.load(),
            now,
            &mut *(self.entropy)(),
        );
        // What was told is written now, and need not be told twice.
        let outcome = std::mem::take(outcomed.response.outcome_mut());
        match sealed {
            Ok(envelope) => Told {
                reply: Reply::sealed(&envelope, &outcome, self.mirror_status)
                    .with_retry_after(outcomed.retry_after),
                outcome,
                transaction,
                account: outcomed.account,
                context: outcomed.context,
            },
            Err(error) => self.told_refusal(transaction, error),
        }
    }

    /// A refusal in bare form.
    pub(crate) fn told_refusal(
        &self,
        transaction: Option<Transaction>,
        error: ServiceError,
    ) -> Told {
        Told {
            reply: Reply::refusal(transaction, &error, self.mirror_status),
            outcome: Outcome::refusal(&error),
            transaction,
            account: None,
            context: error.context,
        }
    }
}

fn answered(account: Option<AccountAddress>, response: Response) -> Outcomed {
    Outcomed {
        response,
        account,
        context: None,
        retry_after: None,
    }
}

fn refused(transaction: Option<Transaction>, error: ServiceError) -> Outcomed {
    Outcomed {
        response: Response::refusal(transaction, &error),
        account: None,
        context: error.context,
        retry_after: error.retry_after,
    }
}

/// Without an account nothing else is done for anybody.
fn not_offered() -> ServiceError {
    ServiceError::new(
        Code::UnknownOperation,
        "this service does not offer this transaction",
    )
}

/// Whether the evidence for a request rests on the account's profiles, so that it may be needed
/// again (decision Q-51).
fn may_be_stale(request: &Request) -> bool {
    matches!(request, Request::Connect(_)) || has_signed_content(request)
}

/// Nothing is found under a name that is published, or could be.
pub(crate) fn nothing_published() -> ServiceError {
    ServiceError::new(Code::NotFound, "nothing is published under this name")
}

fn still_stale() -> ServiceError {
    ServiceError::unavailable("the account's profiles changed twice during one request")
}

/// What a retry is told by; nothing where no retry is looked for.
fn digest_for_retries(request: &Request, text: &[u8]) -> [u8; 64] {
    if is_recognized(request) {
        sha512(&[text])
    } else {
        [0; 64]
    }
}

/// Decision Q-25: the request's ID, if given, is its RequestID.
fn check_id(request: &Request, request_id: RequestId) -> Result<(), ServiceError> {
    match request.id() {
        Some(id) if id != request_id.0 => Err(ServiceError::new(
            Code::Malformed,
            "the ID of the request is not its RequestID",
        )),
        _ => Ok(()),
    }
}
