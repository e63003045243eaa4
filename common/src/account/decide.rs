//! State, lookups, request and time become a decision (architecture §4). One file per transaction
//! does the work; here they are told apart.

use super::change::Transition;
use super::download::DownloadPlan;
use super::needs::{Lookups, Needs};
use super::policy::AccountPolicy;
use super::refusal;
use super::state::Standing;
use crate::cluster::{AccountRequest, Answer, Verified};
use crate::entropy::Entropy;
use crate::time::Timestamp;

/// What is to be done about a request.
#[derive(Debug, Clone, PartialEq)]
pub enum Decision {
    /// Nothing is written: answer.
    Answer(Box<Answer>),
    /// Write, apply, then answer.
    Commit(Box<Transition>),
    /// Read frames into a [`super::DownloadAssembly`], then answer.
    Read(Box<DownloadPlan>),
    /// The profiles changed since the evidence was made: the front-end verifies again (decision
    ///
    Stale,
}

/// What must be looked up before `request` can be decided.
#[must_use]
pub fn needs(_standing: &Standing, _request: &AccountRequest) -> Needs {
    Needs::default()
}

/// Decides a request: the state it meets, the rows it needed, the domain's policy, the time, and
/// chance for what it creates.
#[must_use]
pub fn decide(
    _standing: &Standing,
    request: &Verified<AccountRequest>,
    _lookups: &Lookups,
    _policy: &AccountPolicy,
    _now: Timestamp,
    _entropy: &mut dyn Entropy,
) -> Decision {
    Decision::Answer(Box::new(refusal::not_offered(request)))
}
