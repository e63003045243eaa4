//! Download: which frames are asked for, and the response made of them as the shell feeds them
//! (service §5.5, containers §8.3, decisions Q-30 and Q-45).

use std::mem;

use super::decide::{Decision, Scene};
use super::frame::StoredFrame;
use super::refusal;
use super::state::{AccountState, ContainerNumber, Head};
use super::status::container_name;
use crate::cluster::Answer;
use crate::dare::{ContainerInfo, Envelope, Header};
use crate::encoding::base64url::Binary;
use crate::error::ServiceError;
use crate::limits::DOWNLOAD_SELECTIONS_MAX;
use crate::protocol::{
    Code, ConstraintsData, ConstraintsSelect, ContainerUpdate, DownloadRequest, DownloadResponse,
    Outcome, Response,
};
use crate::time::Timestamp;

/// What a Download reads, decided on one state of the account. Frames never change, so they may be
/// read later than the state.
#[derive(Debug, Clone, PartialEq)]
pub struct DownloadPlan {
    /// The outcome of the response.
    pub outcome: Outcome,
    /// One element per selection, in the order of the request.
    pub selections: Vec<Selection>,
    /// Entries of the response at most.
    pub entries_max: usize,
    /// Payload octets of the response at most; one frame is always sent.
    pub payload_bytes_max: usize,
    /// Payload octets to skip: only with exactly one selected frame.
    pub payload_offset: Option<usize>,
    /// Which parts are sent.
    pub parts: Parts,
}

/// One selection, resolved.
#[derive(Debug, Clone, PartialEq)]
pub struct Selection {
    /// The container's name in the spelling of the request.
    pub name: String,
    /// Number of frames when the plan was made.
    pub count: u64,
    /// Apex then.
    pub apex: Option<Binary>,
    /// The runs of indices to read, ascending: container, first, index behind the last.
    pub runs: Vec<(ContainerNumber, u64, u64)>,
    /// Commit time from which on frames are sent, whole seconds compared.
    pub not_before: Option<Timestamp>,
    /// Commit time from which on frames are not sent, whole seconds compared.
    pub before: Option<Timestamp>,
}

/// Which parts of frames are sent (containers D17).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parts {
    /// The header; without it the index alone.
    pub header: bool,
    /// The payload.
    pub payload: bool,
    /// The trailer.
    pub trailer: bool,
}

/// Decides the Download of an admitted device.
///
/// # Errors
/// 400/119 for a name that no container can have, 400/100 for bounds that make no sense, 413/8 for
/// too many selections, 404/6 if no selected container exists.
pub(super) fn decide(
    scene: &Scene<'_>,
    state: &AccountState,
    request: &DownloadRequest,
) -> Result<Decision, ServiceError> {
    if request.select.len() > DOWNLOAD_SELECTIONS_MAX {
        return Err(ServiceError::new(
            Code::TooLarge,
            format!("a Download has at most {DOWNLOAD_SELECTIONS_MAX} selections"),
        ));
    }
    let selections = request
        .select
        .iter()
        .map(|select| resolve(state, select))
        .collect::<Result<Vec<_>, _>>()?;
    if !selections.is_empty() && selections.iter().all(|selection| selection.count == 0) {
        return Err(ServiceError::new(
            Code::NotFound,
            "the account has none of these containers",
        ));
    }
    let constraints = request.constraints_post.clone().unwrap_or_default();
    let plan = DownloadPlan {
        outcome: refusal::ok(scene.request),
        entries_max: budget(constraints.max_entries, scene.policy.download_entries_max)?,
        payload_bytes_max: budget(
            constraints.bytes_max,
            scene.policy.download_payload_bytes_max,
        )?,
        payload_offset: offset(&constraints, &selections)?,
        parts: Parts::of(&constraints),
        selections,
    };
    Ok(Decision::Read(Box::new(plan)))
}

fn malformed(message: &str) -> ServiceError {
    ServiceError::new(Code::Malformed, message)
}

/// The smaller of what is asked for and what is allowed (containers D16, decision Q-30).
fn budget(asked: Option<i64>, allowed: usize) -> Result<usize, ServiceError> {
    match asked {
        None => Ok(allowed),
        Some(asked) if asked < 1 => Err(malformed("MaxEntries and BytesMax are at least 1")),
        Some(asked) => Ok(usize::try_from(asked).unwrap_or(usize::MAX).min(allowed)),
    }
}

/// BytesOffset goes with exactly one selected frame (decision Q-30).
fn offset(
    constraints: &ConstraintsData,
    selections: &[Selection],
) -> Result<Option<usize>, ServiceError> {
    let Some(offset) = constraints.bytes_offset else {
        return Ok(None);
    };
    let frames: u64 = selections
        .iter()
        .flat_map(|selection| &selection.runs)
        .map(|(_, first, end)| end - first)
        .sum();
    match usize::try_from(offset) {
        Ok(offset) if frames == 1 => Ok(Some(offset)),
        _ => Err(malformed(
            "BytesOffset is not negative and goes with exactly one selected entry",
        )),
    }
}

fn resolve(state: &AccountState, select: &ConstraintsSelect) -> Result<Selection, ServiceError> {
    let text = select
        .container
        .as_deref()
        .ok_or_else(|| malformed("a selection names a container"))?;
    let name = container_name(text)?;
    if select.page_key.as_ref().is_some_and(|key| !key.is_empty()) {
        return Err(malformed("this service issues no PageKey"));
    }
    let head = state.head(&name);
    Ok(Selection {
        name: text.to_owned(),
        count: head.map_or(0, Head::count),
        apex: head.and_then(Head::apex).map(Binary::from),
        runs: head.map_or_else(Vec::new, |head| runs(head, select)),
        not_before: select.not_before,
        before: select.before,
    })
}

/// The indices that exist of those asked for; below the floor frame 0 stands for what was purged
/// (containers D29).
fn runs(head: &Head, select: &ConstraintsSelect) -> Vec<(ContainerNumber, u64, u64)> {
    let first = u64::try_from(select.index_min.unwrap_or(0)).unwrap_or(0);
    let end = match select.index_max.map(u64::try_from) {
        None => head.count(),
        Some(Ok(max)) => max.saturating_add(1).min(head.count()),
        Some(Err(_)) => 0,
    };
    let runs = if head.floor > 1 && first < head.floor {
        vec![(0, end.min(1)), (head.floor, end)]
    } else {
        vec![(first, end)]
    };
    runs.into_iter()
        .filter(|(first, end)| first < end)
        .map(|(first, end)| (head.number, first, end))
        .collect()
}

impl Parts {
    /// Nothing said: all. Any `true`: only those. Only `false`: all but those (containers D17).
    fn of(constraints: &ConstraintsData) -> Self {
        let flags = [constraints.header, constraints.payload, constraints.trailer];
        let positive = flags.contains(&Some(true));
        let [header, payload, trailer] = flags.map(|flag| flag.unwrap_or(!positive));
        Self {
            header,
            payload,
            trailer,
        }
    }
}

/// Frames that are still wanted. The shell may read and push any number of them from the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    /// Of which container.
    pub container: ContainerNumber,
    /// From which index.
    pub first: u64,
    /// Up to but without this index.
    pub end: u64,
    /// More frames than this are of no use.
    pub entries: usize,
    /// More payload octets than this are of no use beyond the first frame.
    pub payload_bytes: usize,
    /// Whether payloads are needed at all.
    pub payload: bool,
}

/// The response to a Download in the making.
///
/// ```text
///  while let Some(wanted) = assembly.wanted() { read some of it; assembly.push(frame) …; }
///  assembly.finish()
/// ```
#[derive(Debug)]
pub struct DownloadAssembly {
    plan: DownloadPlan,
    updates: Vec<ContainerUpdate>,
    /// Position in the plan: selection, run, next index.
    selection: usize,
    run: usize,
    next: u64,
    entries: usize,
    payload_bytes: usize,
    full: bool,
}

impl DownloadAssembly {
    /// Begins the response of `plan`.
    #[must_use]
    pub fn new(plan: DownloadPlan) -> Self {
        let updates = plan
            .selections
            .iter()
            .map(|selection| ContainerUpdate {
                container: Some(selection.name.clone()),
                index: Some(selection.count),
                digest: selection.apex.clone(),
                envelopes: Vec::new(),
            })
            .collect();
        let mut assembly = Self {
            plan,
            updates,
            selection: 0,
            run: 0,
            next: 0,
            entries: 0,
            payload_bytes: 0,
            full: false,
        };
        assembly.settle();
        assembly
    }

    /// The frames that come next; `None` once the response is complete.
    #[must_use]
    pub fn wanted(&self) -> Option<Wanted> {
        if self.full {
            return None;
        }
        let (container, _, end) = *self
            .plan
            .selections
            .get(self.selection)?
            .runs
            .get(self.run)?;
        Some(Wanted {
            container,
            first: self.next,
            end,
            entries: self.plan.entries_max.saturating_sub(self.entries),
            payload_bytes: self
                .plan
                .payload_bytes_max
                .saturating_sub(self.payload_bytes),
            payload: self.plan.parts.payload,
        })
    }

    /// Adds the next wanted frame. A frame with another index than the one wanted is ignored.
    pub fn push(&mut self, frame: StoredFrame) {
        if self
            .wanted()
            .is_none_or(|wanted| wanted.first != frame.index)
        {
            return;
        }
        if self.matches_time(&frame) {
            self.send(frame);
        }
        if !self.full {
            self.next += 1;
            self.settle();
        }
    }

    /// Gives up the rest of the current run: the store has no more of it (a purge came between).
    pub fn skip_run(&mut self) {
        self.next = u64::MAX;
        self.settle();
    }

    /// The response.
    #[must_use]
    pub fn finish(mut self) -> Answer {
        Answer {
            response: Response::Download(DownloadResponse {
                outcome: mem::take(&mut self.plan.outcome),
                updates: self.updates,
            }),
            context: None,
            retry_after: None,
        }
    }

    /// Moves on to the next index that can be read, perhaps of a later run or selection.
    fn settle(&mut self) {
        while let Some(selection) = self.plan.selections.get(self.selection) {
            match selection.runs.get(self.run) {
                Some(&(_, first, end)) if self.next.max(first) < end => {
                    self.next = self.next.max(first);
                    return;
                }
                Some(_) => self.run += 1,
                None => {
                    self.selection += 1;
                    self.run = 0;
                }
            }
            self.next = 0;
        }
    }

    fn matches_time(&self, frame: &StoredFrame) -> bool {
        let selection = &self.plan.selections[self.selection];
        let second = frame.record.committed_at.as_secs();
        selection
            .not_before
            .is_none_or(|bound| second >= bound.as_secs())
            && selection
                .before
                .is_none_or(|bound| second < bound.as_secs())
    }

    /// Puts a frame into the response, unless a budget is used up.
    fn send(&mut self, frame: StoredFrame) {
        let payload = self.payload_of(&frame);
        let too_many = self.entries >= self.plan.entries_max;
        let too_large = self.payload_bytes + payload.len() > self.plan.payload_bytes_max;
        if self.entries > 0 && (too_many || too_large) {
            self.full = true;
            return;
        }
        self.entries += 1;
        self.payload_bytes += payload.len();
        let is_last_part = self
            .plan
            .payload_offset
            .is_none_or(|offset| offset.saturating_add(payload.len()) >= frame.payload.len());
        let parts = self.plan.parts;
        let record = &frame.record;
        let envelope = Envelope {
            header: if parts.header {
                record.header_at(frame.index)
            } else {
                index_alone(frame.index)
            },
            payload: Binary(payload),
            trailer: (parts.trailer && is_last_part).then(|| record.whole_trailer()),
        };
        self.updates[self.selection].envelopes.push(envelope);
        self.full = self.entries >= self.plan.entries_max;
    }

    /// The payload octets to send of a frame.
    fn payload_of(&self, frame: &StoredFrame) -> Vec<u8> {
        if !self.plan.parts.payload {
            return Vec::new();
        }
        let Some(offset) = self.plan.payload_offset else {
            return frame.payload.clone();
        };
        let start = offset.min(frame.payload.len());
        let end = start
            .saturating_add(self.plan.payload_bytes_max)
            .min(frame.payload.len());
        frame.payload[start..end].to_vec()
    }
}

/// A header that says nothing but where the frame is.
fn index_alone(index: u64) -> Header {
    Header {
        container_info: Some(ContainerInfo {
            index: Some(index),
            ..ContainerInfo::default()
        }),
        ..Header::default()
    }
}
