//! State, lookups, request and time become a decision (architecture §4). One file per transaction
//! does the work; here they are told apart, after the checks that all of them share: matrix and
//! accounts (service §4.4 check 7), replay (check 8), revocation (check 8a).

use super::access::{self, Access};
use super::change::{Change, ReplayKey, ReplayRow, Transition};
use super::connect;
use super::create;
use super::delete;
use super::download::{self, DownloadPlan};
use super::inbound;
use super::needs::{Lookups, Needs};
use super::policy::AccountPolicy;
use super::post;
use super::refusal;
use super::state::{AccountState, Standing, Tip};
use super::status;
use super::upload;
use crate::cluster::{AccountRequest, Answer, Verified};
use crate::entropy::Entropy;
use crate::error::ServiceError;
use crate::protocol::{Code, Request, Response};
use crate::session::Mode;
use crate::time::Timestamp;

/// What is to be done about a request.
#[derive(Debug, Clone, PartialEq)]
pub enum Decision {
    /// Nothing is written: answer.
    Answer(Box<Answer>),
    /// Nothing is written: answer, and tell the operator what happened.
    Report {
        /// The answer.
        answer: Box<Answer>,
        /// What the operator must learn.
        incidents: Vec<String>,
    },
    /// Write, apply, then answer.
    Commit(Box<Transition>),
    /// Read frames into a [`super::DownloadAssembly`], then answer.
    Read(Box<DownloadPlan>),
    /// The profiles changed since the evidence was made: the front-end verifies again (decision
    ///
    Stale,
}

/// Everything a decision may depend on.
pub(super) struct Scene<'a> {
    pub(super) request: &'a AccountRequest,
    pub(super) lookups: &'a Lookups,
    pub(super) policy: &'a AccountPolicy,
    pub(super) now: Timestamp,
}

/// What must be looked up before `request` can be decided. Only what an admitted caller's request
/// needs; to a stranger's nothing is looked up.
#[must_use]
pub fn needs(standing: &Standing, request: &AccountRequest) -> Needs {
    let mut needs = Needs {
        replay: replay_key(request).filter(|_| standing.account_id().is_some()),
        ..Needs::default()
    };
    let Some(state) = standing.account() else {
        return needs;
    };
    match &request.request {
        Request::Status(_) => status::add_needs(state, request, &mut needs),
        Request::Complete(complete) => connect::add_needs(state, request, complete, &mut needs),
        Request::Upload(upload) if access::admit(state, request).is_ok() => {
            upload::add_needs(state, upload, &mut needs);
        }
        Request::Post(_) if request.caller.mode == Mode::Service => {
            inbound::add_needs(state, request, &mut needs);
        }
        Request::Post(post) if access::admit(state, request).is_ok() => {
            post::add_needs(state, post, request.received_at, &mut needs);
        }
        _ => {}
    }
    needs
}

/// Decides a request: the state it meets, the rows it needed, the domain's policy, the time, and
/// chance for what it creates.
#[must_use]
pub fn decide(
    standing: &Standing,
    request: &Verified<AccountRequest>,
    lookups: &Lookups,
    policy: &AccountPolicy,
    now: Timestamp,
    entropy: &mut dyn Entropy,
) -> Decision {
    let scene = Scene {
        request,
        lookups,
        policy,
        now,
    };
    let decided = match &request.request {
        Request::CreateAccount(create) => create::decide(&scene, standing, create, entropy),
        Request::Connect(_) => connect::decide_connect(&scene, standing),
        Request::Complete(complete) => {
            connect::decide_complete(&scene, standing.account(), complete)
        }
        Request::Hello(_) => {
            return Decision::Answer(Box::new(refusal::not_offered(request)));
        }
        Request::Post(_) if request.caller.mode == Mode::Service => {
            inbound::decide(&scene, standing)
        }
        _ => scene.decide_for_device(standing),
    };
    let mut decision =
        decided.unwrap_or_else(|error| Decision::Answer(Box::new(refusal::answer(request, error))));
    if let (Decision::Commit(transition), Some(state)) = (&mut decision, standing.account()) {
        connect::follow(state, &mut transition.changes, now);
    }
    decision
}

impl Scene<'_> {
    /// The transactions of an account's own devices.
    fn decide_for_device(&self, standing: &Standing) -> Result<Decision, ServiceError> {
        access::check_matrix(self.request)?;
        self.check_id()?;
        if let Some(repeated) = self.repeated()? {
            return Ok(repeated);
        }
        let Some(state) = standing.account() else {
            return Err(refusal::unknown_account(self.request));
        };
        if let Request::Status(request) = &self.request.request
            && let Some(decision) = status::decide_unconnected(self, state, request)?
        {
            return Ok(decision);
        }
        let access = access::admit(state, self.request)?;
        self.decide_admitted(state, access)
    }

    fn decide_admitted(
        &self,
        state: &AccountState,
        access: Access<'_>,
    ) -> Result<Decision, ServiceError> {
        match &self.request.request {
            Request::DeleteAccount(_) => delete::decide(self, state, access),
            Request::Status(request) => status::decide(self, state, access, request),
            Request::Download(request) => download::decide(self, state, request),
            Request::Upload(request) => upload::decide(self, state, access, request),
            Request::Post(request) => post::decide(self, state, access, request),
            _ => Ok(Decision::Answer(Box::new(refusal::not_offered(
                self.request,
            )))),
        }
    }

    /// A stated transaction id is the RequestID (service §4.7, decision Q-25).
    pub(super) fn check_id(&self) -> Result<(), ServiceError> {
        let stated = self.request.request.id();
        let agrees = stated.is_none_or(|id| id == self.request.request_id.0);
        if agrees || self.request.caller.mode == Mode::Interop {
            Ok(())
        } else {
            Err(ServiceError::new(
                Code::Malformed,
                "the request's ID differs from the RequestID of its session",
            ))
        }
    }

    /// Whether the evidence was made with other profiles than the account has (decision Q-51).
    pub(super) fn is_stale(&self, state: &AccountState) -> bool {
        let content = self.request.evidence.content();
        content.is_some_and(|content| content.profile_version != state.record.keys.profile_version)
    }

    /// The stored answer of a committed request that comes again (service §4.7, decision Q-33).
    ///
    /// # Errors
    /// 401/108 if the RequestID was used for another request.
    pub(super) fn repeated(&self) -> Result<Option<Decision>, ServiceError> {
        let Some(row) = replay_key(self.request)
            .and_then(|key| self.lookups.replays.get(&key))
            .filter(|row| self.now < row.expires_at())
        else {
            return Ok(None);
        };
        if row.request_digest != self.request.request_digest {
            return Err(ServiceError::new(
                Code::Replay,
                "the RequestID was used for another request",
            ));
        }
        Ok(Some(self.answer(row.response.clone())))
    }

    /// An answer without a write.
    pub(super) fn answer(&self, response: Response) -> Decision {
        Decision::Answer(Box::new(Answer {
            response,
            context: None,
            retry_after: None,
        }))
    }

    /// The transition of `changes`, with the rows that every one has: the tip, and the replay row.
    pub(super) fn commit(
        &self,
        account: super::AccountId,
        tip: Tip,
        mut changes: Vec<Change>,
        response: Response,
    ) -> Transition {
        changes.push(Change::Tip(Tip {
            change_seq: tip.change_seq + 1,
            ..tip
        }));
        if let Some(key) = replay_key(self.request) {
            let row = ReplayRow {
                request_digest: self.request.request_digest,
                committed_at: self.now,
                response: response.clone(),
            };
            changes.push(Change::Replay {
                key,
                row: Box::new(row),
            });
        }
        Transition {
            account,
            address: self.request.account.clone(),
            changes,
            answer: Answer {
                response,
                context: None,
                retry_after: None,
            },
            incidents: Vec::new(),
        }
    }
}

/// Whether a retry of `request` is recognized by the digest of the first one (service §4.7): it is if
/// the request writes. Of others no digest is needed.
#[must_use]
pub const fn is_recognized(request: &Request) -> bool {
    matches!(
        request,
        Request::CreateAccount(_)
            | Request::DeleteAccount(_)
            | Request::Upload(_)
            | Request::Connect(_)
            | Request::Post(_)
    )
}

/// Under which key a retry of this request is recognized; `None` for those that need no
/// recognition: they write nothing, or nobody authenticated them (decision Q-39).
fn replay_key(request: &AccountRequest) -> Option<ReplayKey> {
    let writes = is_recognized(&request.request);
    (writes && request.caller.mode != Mode::Interop).then(|| ReplayKey {
        key_udf: request.caller.key_udf.clone(),
        request_id: request.request_id,
    })
}
