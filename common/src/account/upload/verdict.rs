//! What becomes of each envelope, and of the request as a whole: a Reject outranks a Conflict, and
//! either undoes everything (containers §8.4 "Response", D22).

use super::Upload;
use super::ledger::Ledger;
use crate::account::decide::{Decision, Scene};
use crate::account::policy::AccountPolicy;
use crate::account::refusal;
use crate::dare::ContainerName;
use crate::error::ServiceError;
use crate::protocol::{
    Code, ConstraintsData, EntryResponse, EntryResult, Outcome, PostResponse, Request, Response,
    UploadRequest, UploadResponse,
};

/// What becomes of one envelope, if nothing is wrong with the others.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::account) enum Verdict {
    /// It stands, or will stand, at this index.
    Accept(u64),
    /// It belongs to another state of the container; the sentence says which.
    Conflict(String),
    /// It is refused as it stands.
    Reject(Box<Rejection>),
}

/// Why an envelope is refused as it stands.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::account) struct Rejection {
    pub(in crate::account) error: ServiceError,
    /// The bound that was met.
    pub(in crate::account) bounds: Option<ConstraintsData>,
}

impl Verdict {
    pub(in crate::account) fn conflict(reason: impl Into<String>) -> Self {
        Self::Conflict(reason.into())
    }

    pub(in crate::account) fn reject(code: Code, message: impl Into<String>) -> Self {
        ServiceError::new(code, message).into()
    }

    /// Refused because a bound of `bytes_max` octets was met.
    pub(in crate::account) fn beyond(
        code: Code,
        message: impl Into<String>,
        bytes_max: u64,
    ) -> Self {
        Self::Reject(Box::new(Rejection {
            error: ServiceError::new(code, message),
            bounds: Some(ConstraintsData {
                bytes_max: i64::try_from(bytes_max).ok(),
                ..ConstraintsData::default()
            }),
        }))
    }
}

impl From<ServiceError> for Verdict {
    fn from(error: ServiceError) -> Self {
        Self::Reject(Box::new(Rejection {
            error,
            bounds: None,
        }))
    }
}

/// The rows of a request, in its order.
#[derive(Debug, Default)]
pub(in crate::account) struct Verdicts {
    rows: Vec<(ContainerName, Verdict)>,
    /// Envelopes so far, probes not counted: the position evidence is given by.
    envelopes: usize,
    /// Whether there was a probe or an offer: their answer states the bounds.
    asks_for_bounds: bool,
}

impl Verdicts {
    /// Position of the next envelope among all envelopes of the request.
    pub(in crate::account) const fn next_envelope(&self) -> usize {
        self.envelopes
    }

    pub(in crate::account) fn add(&mut self, name: &ContainerName, verdict: Verdict) {
        self.envelopes += 1;
        self.rows.push((name.clone(), verdict));
    }

    pub(in crate::account) fn add_probe(&mut self, name: &ContainerName, verdict: Verdict) {
        self.asks_for_bounds = true;
        self.rows.push((name.clone(), verdict));
    }

    pub(in crate::account) fn offered(&mut self) {
        self.asks_for_bounds = true;
    }

    /// The verdict of row `position` becomes `verdict`.
    pub(in crate::account) fn replace_last(&mut self, verdict: Verdict) {
        if let Some(row) = self.rows.last_mut() {
            row.1 = verdict;
        }
    }

    /// The decision that follows from all rows.
    pub(in crate::account) fn conclude(self, upload: &Upload<'_>, ledger: Ledger) -> Decision {
        let scene = upload.scene;
        if let Some(error) = self.failure() {
            return scene.answer(self.refusal(upload, error));
        }
        let rows = self.rows.iter().zip(0..);
        let entries = rows
            .map(|((_, verdict), position)| entry(verdict, position, None))
            .collect();
        let response = self.response(scene, refusal::ok(scene.request), entries);
        ledger.conclude(scene, upload.state, response)
    }

    /// The reason why the request is refused, if it is: the first Reject, else the first Conflict.
    fn failure(&self) -> Option<ServiceError> {
        let rejection = self.rows.iter().find_map(|(_, verdict)| match verdict {
            Verdict::Reject(rejection) => Some(rejection.error.clone()),
            _ => None,
        });
        rejection.or_else(|| {
            self.rows.iter().find_map(|(_, verdict)| match verdict {
                Verdict::Conflict(reason) => {
                    Some(ServiceError::new(Code::Conflict, reason.clone()))
                }
                _ => None,
            })
        })
    }

    fn refusal(self, upload: &Upload<'_>, error: ServiceError) -> Response {
        let entries = self
            .rows
            .iter()
            .zip(0..)
            .map(|((name, verdict), position)| {
                let count = upload.state.head(name).map_or(0, |head| head.count());
                entry(verdict, position, Some(count))
            })
            .collect();
        let outcome = Outcome {
            id: refusal::echoed_id(upload.scene.request),
            ..Outcome::refusal(&error)
        };
        self.response(upload.scene, outcome, entries)
    }

    /// The response in the class of the request: Post has the fields of Upload (P 10.12).
    fn response(
        &self,
        scene: &Scene<'_>,
        outcome: Outcome,
        entries: Vec<EntryResponse>,
    ) -> Response {
        if matches!(scene.request.request, Request::Post(_)) {
            return Response::Post(PostResponse {
                outcome,
                entries,
                constraints_data: None,
            });
        }
        Response::Upload(UploadResponse {
            outcome,
            entries,
            constraints_data: self.asks_for_bounds.then(|| bounds(scene.policy)),
        })
    }
}

/// One row. In a refused request (`refused_at` is the container's frame count) whatever is not
/// itself a Reject is a Conflict.
fn entry(verdict: &Verdict, position: u64, refused_at: Option<u64>) -> EntryResponse {
    let (index_container, result, constraints_data) = match (verdict, refused_at) {
        (Verdict::Reject(rejection), _) => (None, EntryResult::Reject, rejection.bounds.clone()),
        (_, Some(count)) => (Some(count), EntryResult::Conflict, None),
        (Verdict::Accept(index), None) => (Some(*index), EntryResult::Accept, None),
        (Verdict::Conflict(_), None) => (None, EntryResult::Conflict, None),
    };
    EntryResponse {
        index_request: Some(position),
        index_container,
        result: Some(result),
        constraints_data,
    }
}

/// The bounds of a whole Upload.
fn bounds(policy: &AccountPolicy) -> ConstraintsData {
    ConstraintsData {
        max_entries: i64::try_from(policy.upload_envelopes_max).ok(),
        bytes_max: i64::try_from(policy.upload_payload_bytes_max).ok(),
        ..ConstraintsData::default()
    }
}

/// The refusal of a request that is too large as a whole (architecture A-8, decision Q-38).
pub(in crate::account) fn too_large(
    scene: &Scene<'_>,
    request: &UploadRequest,
) -> Option<Decision> {
    let policy = scene.policy;
    let entries: usize = request
        .updates
        .iter()
        .map(|update| update.envelopes.len().max(1))
        .sum::<usize>()
        + request.self_messages.len();
    let octets: usize = request
        .updates
        .iter()
        .flat_map(|update| &update.envelopes)
        .chain(&request.self_messages)
        .map(|envelope| envelope.payload.0.len())
        .sum();
    if entries <= policy.upload_envelopes_max && octets <= policy.upload_payload_bytes_max {
        return None;
    }
    let error = ServiceError::new(
        Code::TooLarge,
        format!(
            "an Upload has at most {} envelopes with {} octets of payload, this one has {entries} \
             with {octets}",
            policy.upload_envelopes_max, policy.upload_payload_bytes_max
        ),
    );
    let mut answer = refusal::answer(scene.request, error);
    if let Response::Upload(response) = &mut answer.response {
        response.constraints_data = Some(bounds(policy));
    }
    Some(Decision::Answer(Box::new(answer)))
}
