//! Where an envelope belongs: among the frames that are there (then it must be the same), right
//! behind them (then it is appended), or nowhere (containers §8.4 steps 1, 2, 5, 7 and 8).

use std::sync::Arc;

use super::Upload;
use super::ledger::{Draft, Ledger};
use super::prepare::Prepared;
use super::verdict::{Verdict, Verdicts};
use crate::account::change::UniqueRow;
use crate::account::frame::{CONTAINER_TYPE, FrameRecord};
use crate::account::state::{BootstrapPhase, Import};
use crate::dare::merkle::Digest64;
use crate::dare::{ContainerKind, ContainerName, Envelope, legacy};
use crate::limits::{ACCOUNT_RESERVE_BYTES, ACCOUNT_RESERVE_SHARE};
use crate::protocol::{Code, ContainerUpdate};

/// What all envelopes of one update share.
#[derive(Debug, Clone, Copy)]
pub(super) struct Course<'a> {
    pub(super) name: &'a ContainerName,
    pub(super) kind: ContainerKind,
    /// Index of the first envelope.
    pub(super) base: u64,
    /// Whether nobody said where the envelopes belong, as for messages: each goes where the
    /// service puts it.
    pub(super) floats: bool,
    /// Whether all envelopes claim `base`, as a defect of old clients has it.
    pub(super) renumbers: bool,
    /// Whether the update brings a container from elsewhere (containers D31, decision Q-50).
    pub(super) imports: bool,
}

/// Index of the first envelope of an update to a container of `count` frames: as the envelope
/// says, or the update, or behind what is there; `None` if the two say different things.
pub(super) fn base_of(update: &ContainerUpdate, count: u64) -> Option<u64> {
    let claimed = update.envelopes.first().and_then(Envelope::index);
    match (claimed, update.index) {
        (Some(claimed), Some(index)) if claimed != index => None,
        (claimed, index) => Some(claimed.or(index).unwrap_or(count)),
    }
}

/// Whether all of several envelopes claim the same index (containers §8.4 step 2).
fn renumbers(envelopes: &[Envelope], base: u64) -> bool {
    envelopes.len() > 1
        && envelopes
            .iter()
            .all(|envelope| envelope.index() == Some(base))
}

impl Upload<'_> {
    /// Places the envelopes of one update and adds a row for each.
    pub(super) fn place_all(
        &self,
        ledger: &mut Ledger,
        verdicts: &mut Verdicts,
        name: &ContainerName,
        update: &ContainerUpdate,
    ) {
        let kind = name.kind();
        let prepared: Vec<_> = update
            .envelopes
            .iter()
            .map(|envelope| Prepared::of(envelope, kind, self.scene.policy))
            .collect();
        let offers = prepared.iter().flatten().filter(|one| one.is_offer).count();
        if offers > 0 && offers < prepared.len() {
            for _ in &prepared {
                verdicts.add(name, mixed());
            }
            return;
        }
        // An offer is evaluated as if it were the entry, and then forgotten (containers D23).
        let kept = (offers > 0).then(|| ledger.clone());
        self.place_each(ledger, verdicts, name, update, prepared);
        if let Some(kept) = kept {
            verdicts.offered();
            *ledger = kept;
        }
    }

    fn place_each(
        &self,
        ledger: &mut Ledger,
        verdicts: &mut Verdicts,
        name: &ContainerName,
        update: &ContainerUpdate,
        prepared: Vec<Result<Prepared<'_>, Verdict>>,
    ) {
        let before = ledger.draft_mut(name).head.digests.clone();
        let course = self.course(ledger, name, update);
        let mut last_row = None;
        for (one, step) in prepared.into_iter().zip(0..) {
            let verdict = match (one, &course) {
                (Err(rejection), _) => rejection,
                (Ok(_), None) => {
                    Verdict::conflict(format!("the update of {name} states two different indices"))
                }
                (Ok(_), Some(_)) if ledger.draft_mut(name).has_failed => {
                    Verdict::conflict(format!("an earlier envelope for {name} does not fit"))
                }
                (Ok(one), Some(course)) => {
                    let position = verdicts.next_envelope();
                    self.place(ledger, course, &one, step, position)
                }
            };
            ledger.draft_mut(name).has_failed |= !matches!(verdict, Verdict::Accept(_));
            last_row = Some(verdict.clone());
            verdicts.add(name, verdict);
        }
        let (Some(course), Some(Verdict::Accept(last))) = (course, last_row) else {
            return;
        };
        let outcome = self
            .check_apex(ledger, &course, update, before.apex(), last)
            .and_then(|()| self.finish_import(ledger, &course));
        if let Err(verdict) = outcome {
            ledger.draft_mut(name).has_failed = true;
            verdicts.replace_last(verdict);
        }
    }

    fn course<'n>(
        &self,
        ledger: &mut Ledger,
        name: &'n ContainerName,
        update: &ContainerUpdate,
    ) -> Option<Course<'n>> {
        let kind = name.kind();
        let phase = ledger.phase;
        let draft = ledger.draft_mut(name);
        let base = base_of(update, draft.head.count())?;
        let is_first_said = update
            .envelopes
            .first()
            .is_some_and(|first| first.index().is_some());
        let imports = match kind {
            ContainerKind::Device => match phase {
                BootstrapPhase::Importing => true,
                BootstrapPhase::Open => base == 0 && update.envelopes.len() > FIRST_UPLOAD_FRAMES,
                BootstrapPhase::Recovering | BootstrapPhase::Closed => false,
            },
            _ => match draft.head.import {
                Import::Running => true,
                Import::Open => base == 0,
                Import::Closed => false,
            },
        };
        Some(Course {
            name,
            kind,
            base,
            floats: kind.is_spool() && !is_first_said && update.index.is_none(),
            renumbers: renumbers(&update.envelopes, base),
            imports,
        })
    }

    /// Places envelope number `step` of the update, `position` of the request.
    fn place(
        &self,
        ledger: &mut Ledger,
        course: &Course<'_>,
        one: &Prepared<'_>,
        step: u64,
        position: usize,
    ) -> Verdict {
        let count = ledger.draft_mut(course.name).head.count();
        let index = if course.floats {
            count
        } else {
            course.base.saturating_add(step)
        };
        let claimed = one.envelope.index();
        if !course.renumbers && claimed.is_some_and(|claimed| claimed != index) {
            return Verdict::conflict(format!(
                "an envelope for {} claims an index that does not follow",
                course.name
            ));
        }
        if index < count {
            return self.compare(ledger, course, one, index);
        }
        if index > count {
            return Verdict::conflict(format!(
                "container {} is at index {count}, the upload expects {index}",
                course.name
            ));
        }
        self.append(ledger, course, one, position)
            .unwrap_or_else(|verdict| verdict)
    }

    /// A frame that is there already: accepted if it is the same (architecture A-9).
    fn compare(
        &self,
        ledger: &mut Ledger,
        course: &Course<'_>,
        one: &Prepared<'_>,
        index: u64,
    ) -> Verdict {
        let draft = ledger.draft_mut(course.name);
        let number = draft.head.number;
        let stored = match draft.frames.get(&index) {
            Some((record, _)) => Some(record),
            None => self
                .scene
                .lookups
                .records
                .get(&(number, index))
                .map(AsRef::as_ref),
        };
        let Some(stored) = stored else {
            // Below the floor of a purged spool nothing is left to compare with.
            return Verdict::conflict(format!("frame {index} of {} is not kept", course.name));
        };
        let is_same =
            stored.payload_digest == one.payload_digest && (index == 0 || same_meta(stored, one));
        if !is_same {
            let count = draft.head.count();
            return Verdict::conflict(format!(
                "container {} is at index {count}, the upload expects {index}",
                course.name
            ));
        }
        let tree_digest = stored.tree_digest;
        if let Err(verdict) = self.check_tree_digest(course, one, index, &tree_digest) {
            return verdict;
        }
        if index == 0 && draft.head.import == Import::Open && draft.head.count() == 1 {
            return self
                .replace_first(ledger, course, one, tree_digest)
                .unwrap_or_else(|verdict| verdict);
        }
        Verdict::Accept(index)
    }

    /// The service's own frame 0 gives way to the one that is brought from elsewhere, while there
    /// is nothing else (containers §8.4 step 5).
    fn replace_first(
        &self,
        ledger: &mut Ledger,
        course: &Course<'_>,
        one: &Prepared<'_>,
        tree_digest: Digest64,
    ) -> Result<Verdict, Verdict> {
        check_first(one)?;
        let bytes_used = ledger.bytes_used;
        let draft = ledger.draft_mut(course.name);
        let record = one.record(0, course.kind, tree_digest, draft.head.committed_at);
        let stored = self.scene.lookups.records.get(&(draft.head.number, 0));
        let differs = stored
            .is_none_or(|stored| stored.header != record.header || stored.info != record.info);
        if differs && !one.is_offer {
            let octets = record.live_octets();
            let freed = std::mem::replace(&mut draft.head.live_octets, octets);
            draft.frames.insert(0, (record, Arc::from([])));
            let bytes_used = bytes_used.saturating_sub(freed) + octets;
            self.check_quota(bytes_used, one)?;
            ledger.bytes_used = bytes_used;
        }
        Ok(Verdict::Accept(0))
    }

    /// Appends a frame, if the container's rules allow it.
    fn append(
        &self,
        ledger: &mut Ledger,
        course: &Course<'_>,
        one: &Prepared<'_>,
        position: usize,
    ) -> Result<Verdict, Verdict> {
        let index = ledger.draft_mut(course.name).head.count();
        if index == 0 {
            check_first(one)?;
            self.check_room_for_container(ledger)?;
        } else if course.kind.is_spool() {
            if let Some(verdict) = self.check_message(ledger, course, one, position)? {
                return Ok(verdict);
            }
        } else if is_event(course.kind, one) {
            self.check_entry(ledger, course, one, position)?;
        }
        self.write(ledger, course.name, one, |digest| {
            self.check_tree_digest(course, one, index, digest)
        })?;
        if course.imports && index > 0 {
            let draft = ledger.draft_mut(course.name);
            if draft.head.import == Import::Open {
                draft.head.import = Import::Running;
            }
        }
        Ok(Verdict::Accept(index))
    }

    /// Writes a frame behind the last one of a container, within the quota.
    pub(in crate::account) fn write(
        &self,
        ledger: &mut Ledger,
        name: &ContainerName,
        one: &Prepared<'_>,
        check: impl FnOnce(&Digest64) -> Result<(), Verdict>,
    ) -> Result<u64, Verdict> {
        let kind = name.kind();
        let bytes_used = ledger.bytes_used;
        let draft = ledger.draft_mut(name);
        let index = draft.head.count();
        let max = self.scene.policy.frames_per_container_max;
        if index >= max {
            return Err(Verdict::reject(
                Code::QuotaExceeded,
                format!("container {name} has {max} frames, more are not kept"),
            ));
        }
        let mut digests = draft.head.digests.clone();
        let tree_digest = digests.append(&one.payload_digest);
        check(&tree_digest)?;
        let committed_at = draft.head.committed_at.max(self.scene.now);
        let record = one.record(index, kind, tree_digest, committed_at);
        let octets = record.live_octets();
        self.check_quota(bytes_used + octets, one)?;
        draft.head.digests = digests;
        draft.head.committed_at = committed_at;
        draft.head.live_octets += octets;
        if kind.is_spool() {
            note_message(draft, &record, index);
        }
        let payload = Arc::from(one.envelope.payload.as_slice());
        draft.frames.insert(index, (record, payload));
        ledger.bytes_used += octets;
        Ok(index)
    }

    /// The account's quota; the last part of it is for what gives space back (containers §12.6). And what is left to the
    /// account's domain (cluster §9), whatever does not give space back.
    fn check_quota(&self, bytes_used: u64, one: &Prepared<'_>) -> Result<(), Verdict> {
        let max = self
            .state
            .record
            .bytes_max
            .unwrap_or(self.scene.policy.account_bytes_max);
        let gives_back = one.meta.event.as_deref() == Some("Delete")
            || one.meta.message_type.as_deref() == Some("MessageComplete");
        let reserve = ACCOUNT_RESERVE_BYTES.min(max / ACCOUNT_RESERVE_SHARE);
        let allowed = if gives_back { max } else { max - reserve };
        if bytes_used > allowed {
            return Err(Verdict::beyond(
                Code::QuotaExceeded,
                format!("the account's quota of {max} octets is used up"),
                max,
            ));
        }
        let left = self.scene.lookups.room.octets.filter(|_| !gives_back);
        let more = bytes_used.saturating_sub(self.state.tip.bytes_used);
        if left.is_none_or(|left| more <= left) {
            return Ok(());
        }
        let max = self.scene.policy.domain.octets_max.unwrap_or(0);
        Err(Verdict::beyond(
            Code::QuotaExceeded,
            format!("the quota of {max} octets of the account's domain is used up"),
            max,
        ))
    }

    fn check_room_for_container(&self, ledger: &Ledger) -> Result<(), Verdict> {
        let max = self.scene.policy.containers_per_account_max;
        if ledger.containers() < max {
            return Ok(());
        }
        Err(Verdict::reject(
            Code::QuotaExceeded,
            format!("an account has at most {max} containers"),
        ))
    }

    /// A supplied tree digest is ours, or an unlinked one where those are accepted (containers §8.4
    /// step 7, D7). In spools the service rewrites it, but a wrong one is a different history there
    /// too (decision Q-28).
    fn check_tree_digest(
        &self,
        course: &Course<'_>,
        one: &Prepared<'_>,
        index: u64,
        ours: &Digest64,
    ) -> Result<(), Verdict> {
        let Some(claimed) = one.envelope.tree_digest() else {
            return Ok(());
        };
        let holds = claimed.as_slice() == ours
            || (self.scene.policy.legacy_digests
                && legacy::is_tree_digest(index, &one.payload_digest, claimed.as_slice()));
        if holds {
            Ok(())
        } else {
            Err(Verdict::conflict(format!(
                "the TreeDigest for frame {index} of {} is that of another history",
                course.name
            )))
        }
    }

    /// `Digest` of an update is the apex before its first envelope or after its last (containers
    /// §8.4 step 8, X-36, architecture A-9).
    fn check_apex(
        &self,
        ledger: &mut Ledger,
        course: &Course<'_>,
        update: &ContainerUpdate,
        apex_before: Option<Digest64>,
        last: u64,
    ) -> Result<(), Verdict> {
        let Some(stated) = &update.digest else {
            return Ok(());
        };
        let draft = ledger.draft_mut(course.name);
        let number = draft.head.number;
        let stored = |index: u64| match draft.frames.get(&index) {
            Some((record, _)) => Some(record.tree_digest),
            None => self
                .scene
                .lookups
                .records
                .get(&(number, index))
                .map(|record| record.tree_digest),
        };
        let before = course
            .base
            .checked_sub(1)
            .and_then(|index| stored(index).or(apex_before));
        let own = update.envelopes.last().and_then(Envelope::tree_digest);
        let holds = [before, stored(last)]
            .into_iter()
            .flatten()
            .any(|apex| stated.as_slice() == apex)
            || (self.scene.policy.legacy_digests && own == Some(stated));
        if holds {
            Ok(())
        } else {
            Err(Verdict::conflict(format!(
                "the Digest for {} is neither the apex before the update nor after it",
                course.name
            )))
        }
    }
}

/// Frames of a Device catalog that begins here: frame 0 and the entry of the bootstrap device
/// (decision Q-11). More of them from index 0 on are a catalog from elsewhere (decision Q-50).
const FIRST_UPLOAD_FRAMES: usize = 2;

fn mixed() -> Verdict {
    Verdict::reject(
        Code::InvalidProfile,
        "offers and entries must not be mixed in one update",
    )
}

/// Frame 0 describes a Merkle container (containers D5).
fn check_first(one: &Prepared<'_>) -> Result<(), Verdict> {
    let info = one.envelope.header.container_info.as_ref();
    let found = info.and_then(|info| info.container_type.as_deref());
    if found == Some(CONTAINER_TYPE) {
        Ok(())
    } else {
        Err(Verdict::reject(
            Code::InvalidProfile,
            "the first frame of a container describes it as of type Merkle",
        ))
    }
}

/// Whether catalog rules apply to a frame (decisions ).
fn is_event(kind: ContainerKind, one: &Prepared<'_>) -> bool {
    !one.is_meta() && (kind.is_catalog() || one.meta.event.is_some())
}

/// Content metadata compared as parsed (decision Q-38).
fn same_meta(stored: &FrameRecord, one: &Prepared<'_>) -> bool {
    stored
        .header
        .content_meta()
        .is_ok_and(|stored| stored == one.meta)
}

/// In a spool the newest message of an id answers to it.
fn note_message(draft: &mut Draft, record: &FrameRecord, index: u64) {
    if let Some(unique_id) = &record.unique_id {
        let row = UniqueRow {
            first: index,
            last: index,
            live: true,
        };
        draft.unique_ids.insert(unique_id.clone(), row);
    }
}
