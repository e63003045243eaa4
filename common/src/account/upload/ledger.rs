//! What an Upload would write, while it is being decided: a draft of each container it touches,
//! of the device index, and of the octets used.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::account::change::{Change, MessageKey, MessageRow, UniqueRow};
use crate::account::decide::{Decision, Scene};
use crate::account::devices::{DeviceEntry, DeviceIndex};
use crate::account::frame::{self, FrameRecord};
use crate::account::heads::Heads;
use crate::account::intake::{ExchangeKey, ExchangeRow};
use crate::account::state::{
    AccountRecord, AccountState, Bootstrap, BootstrapPhase, ContainerNumber, Head, Import, Tip,
};
use crate::dare::ContainerName;
use crate::protocol::Response;
use crate::udf::Udf;

/// One container as it would be.
#[derive(Debug, Clone)]
pub(in crate::account) struct Draft {
    pub(in crate::account) head: Head,
    /// Whether it is new with this request.
    pub(in crate::account) is_new: bool,
    /// Frames to write, by index, with their payloads.
    pub(in crate::account) frames: BTreeMap<u64, (FrameRecord, Arc<[u8]>)>,
    pub(in crate::account) unique_ids: BTreeMap<String, UniqueRow>,
    pub(in crate::account) superseded: BTreeMap<u64, u64>,
    pub(in crate::account) messages: BTreeMap<MessageKey, MessageRow>,
    /// Whether an earlier envelope of this request did not fit: then no later one does.
    pub(in crate::account) has_failed: bool,
}

impl Draft {
    fn of(head: Head, is_new: bool) -> Self {
        Self {
            head,
            is_new,
            frames: BTreeMap::new(),
            unique_ids: BTreeMap::new(),
            superseded: BTreeMap::new(),
            messages: BTreeMap::new(),
            has_failed: false,
        }
    }
}

/// Everything that would change.
#[derive(Debug, Clone)]
pub(in crate::account) struct Ledger {
    heads: Heads,
    drafts: BTreeMap<ContainerName, Draft>,
    next_number: ContainerNumber,
    pub(in crate::account) bytes_used: u64,
    pub(in crate::account) devices: Arc<DeviceIndex>,
    pub(in crate::account) phase: BootstrapPhase,
    devices_changed: BTreeSet<String>,
    retired: BTreeSet<Udf>,
    exchanges: BTreeMap<ExchangeKey, ExchangeRow>,
    others: Vec<Change>,
}

impl Ledger {
    /// Nothing changed yet.
    pub(in crate::account) fn new(state: &AccountState) -> Self {
        Self {
            heads: state.heads.clone(),
            drafts: BTreeMap::new(),
            next_number: state.next_number(),
            bytes_used: state.tip.bytes_used,
            devices: Arc::clone(&state.devices),
            phase: state.record.bootstrap.phase,
            devices_changed: BTreeSet::new(),
            retired: BTreeSet::new(),
            exchanges: BTreeMap::new(),
            others: Vec::new(),
        }
    }

    /// The head of a container as it stands now in this request, if it exists.
    pub(in crate::account) fn head(&self, name: &ContainerName) -> Option<&Head> {
        match self.drafts.get(name) {
            Some(draft) => Some(&draft.head),
            None => self.heads.get(name).map(AsRef::as_ref),
        }
    }

    /// Whether this request would make a container know an id.
    pub(in crate::account) fn would_know(&self, name: &ContainerName, id: &str) -> bool {
        self.drafts
            .get(name)
            .is_some_and(|draft| draft.unique_ids.contains_key(id))
    }

    /// The container as it stands now in this request, to be changed.
    pub(in crate::account) fn draft_mut(&mut self, name: &ContainerName) -> &mut Draft {
        let (heads, next_number) = (&self.heads, &mut self.next_number);
        self.drafts
            .entry(name.clone())
            .or_insert_with(|| match heads.get(name) {
                Some(head) => Draft::of((**head).clone(), false),
                None => {
                    let number = *next_number;
                    *next_number += 1;
                    Draft::of(Head::new(number, name, Import::Closed), true)
                }
            })
    }

    /// Containers that exist or would.
    pub(in crate::account) fn containers(&self) -> usize {
        let new = self
            .drafts
            .values()
            .filter(|draft| draft.is_new && draft.head.count() > 0)
            .count();
        self.heads.len() + new
    }

    /// Puts a device's entry into the index, or takes it out.
    pub(in crate::account) fn set_device(&mut self, unique_id: &str, entry: Option<DeviceEntry>) {
        self.devices_changed.insert(unique_id.to_owned());
        let live = &mut Arc::make_mut(&mut self.devices).live;
        match entry {
            Some(entry) => {
                live.insert(unique_id.to_owned(), entry);
            }
            None => {
                live.remove(unique_id);
            }
        }
    }

    /// A key that never lives again (decision Q-9).
    pub(in crate::account) fn retire(&mut self, key: &Udf) {
        if Arc::make_mut(&mut self.devices).retired.insert(key.clone()) {
            self.retired.insert(key.clone());
        }
    }

    /// A row that belongs to no container.
    pub(in crate::account) fn add(&mut self, change: Change) {
        self.others.push(change);
    }

    /// An answer that is awaited; of several the last one counts.
    pub(in crate::account) fn await_answer(&mut self, key: ExchangeKey, row: ExchangeRow) {
        self.exchanges.insert(key, row);
    }

    /// Commits what there is to write, or answers if everything was there already.
    pub(in crate::account) fn conclude(
        self,
        scene: &Scene<'_>,
        state: &AccountState,
        response: Response,
    ) -> Decision {
        let bytes_used = self.bytes_used;
        let changes = self.changes(state);
        if changes.is_empty() {
            return scene.answer(response);
        }
        let tip = Tip {
            bytes_used,
            ..state.tip
        };
        Decision::Commit(Box::new(scene.commit(
            state.record.id,
            tip,
            changes,
            response,
        )))
    }

    fn changes(self, state: &AccountState) -> Vec<Change> {
        let mut changes = Vec::new();
        for (_, draft) in self.drafts {
            add_draft(draft, &mut changes);
        }
        for unique_id in self.devices_changed {
            let entry = self.devices.live.get(&unique_id).cloned();
            if state.devices.live.get(&unique_id) != entry.as_ref() {
                changes.push(Change::Device { unique_id, entry });
            }
        }
        changes.extend(self.retired.into_iter().map(Change::Retired));
        let exchanges = self.exchanges.into_iter();
        changes.extend(exchanges.map(|(key, row)| Change::Exchange { key, row }));
        changes.extend(self.others);
        if self.phase != state.record.bootstrap.phase {
            changes.push(Change::Account(Arc::new(AccountRecord {
                bootstrap: Bootstrap {
                    keys: state.record.bootstrap.keys.clone(),
                    phase: self.phase,
                },
                ..(*state.record).clone()
            })));
        }
        changes
    }
}

/// The rows of one container; none if no frame is written.
fn add_draft(draft: Draft, changes: &mut Vec<Change>) {
    if draft.frames.is_empty() {
        return;
    }
    let container = draft.head.number;
    for (index, (record, payload)) in draft.frames {
        changes.push(frame::change(container, index, record, payload));
    }
    let rows = draft.unique_ids.into_iter();
    changes.extend(rows.map(|(unique_id, row)| Change::Unique {
        container,
        unique_id,
        row,
    }));
    let rows = draft.superseded.into_iter();
    changes.extend(rows.map(|(index, by)| Change::Superseded {
        container,
        index,
        by,
    }));
    let rows = draft.messages.into_iter();
    changes.extend(rows.map(|(key, row)| Change::Message { key, row }));
    changes.push(Change::Head(Arc::new(draft.head)));
}
