//! A committed transition becomes what is believed: rows into the [`Standing`] they belong to.

use std::sync::Arc;

use super::change::{Change, DirectoryEntry, Transition};
use super::devices::DeviceIndex;
use super::heads::Heads;
use super::needs::Lookups;
use super::state::{AccountRecord, AccountState, Standing, Tip};

impl Standing {
    /// Takes over what `transition` wrote. To be called once, after the commit, or on a copy while
    /// a batch is planned.
    pub fn apply(&mut self, transition: &Transition) {
        self.apply_changes(&transition.changes);
    }

    /// Takes over rows that were written, or are planned.
    pub fn apply_changes(&mut self, changes: &[Change]) {
        for change in changes {
            match change {
                Change::Directory(DirectoryEntry::Reserved(tombstone)) => {
                    *self = Self::Reserved(tombstone.clone());
                    return;
                }
                Change::Account(record) => self.take_record(record),
                _ => {}
            }
        }
        if let Self::Account(state) = self {
            state.take_rows(changes);
        }
    }

    /// A record of another account than the one known begins a new state.
    fn take_record(&mut self, record: &Arc<AccountRecord>) {
        match self {
            Self::Account(state) if state.record.id == record.id => {
                state.record = Arc::clone(record);
            }
            _ => *self = Self::Account(Box::new(AccountState::new(Arc::clone(record)))),
        }
    }
}

impl AccountState {
    /// An account of which nothing is known but its record.
    #[must_use]
    pub fn new(record: Arc<AccountRecord>) -> Self {
        Self {
            record,
            heads: Heads::default(),
            devices: Arc::default(),
            connections: Arc::default(),
            tip: Tip::default(),
        }
    }

    fn take_rows(&mut self, changes: &[Change]) {
        for change in changes {
            match change {
                Change::Tip(tip) => self.tip = *tip,
                Change::Head(head) => self.heads.insert(Arc::clone(head)),
                Change::Device { unique_id, entry } => {
                    let devices: &mut DeviceIndex = Arc::make_mut(&mut self.devices);
                    match entry {
                        Some(entry) => {
                            devices.live.insert(unique_id.clone(), entry.clone());
                        }
                        None => {
                            devices.live.remove(unique_id);
                        }
                    }
                }
                Change::Retired(key) => {
                    Arc::make_mut(&mut self.devices).retired.insert(key.clone());
                }
                Change::Connection { message_id, row } => {
                    Arc::make_mut(&mut self.connections).set(message_id, row.clone());
                }
                Change::Directory(_)
                | Change::Account(_)
                | Change::Frame { .. }
                | Change::Unique { .. }
                | Change::Superseded { .. }
                | Change::Message { .. }
                | Change::Replay { .. }
                | Change::Intake(_)
                | Change::Enqueue(_)
                | Change::Incident(_)
                | Change::Seen { .. }
                | Change::Exchange { .. }
                | Change::Delivery { .. }
                | Change::Tally(_)
                | Change::Sending { .. }
                | Change::Recipient { .. }
                | Change::Posting(_)
                | Change::Purge { .. } => {}
            }
        }
    }
}

impl Lookups {
    /// Adds the rows that `transition` is about to write, for deciding the next request of the same
    /// batch on top of it. Rows of other accounts must not be mixed in.
    pub fn absorb(&mut self, transition: &Transition) {
        self.absorb_changes(&transition.changes);
    }

    /// Adds rows that are about to be written. Rows of other accounts must not be mixed in.
    pub fn absorb_changes(&mut self, changes: &[Change]) {
        for change in changes {
            match change {
                Change::Frame {
                    container,
                    index,
                    record,
                    payload,
                } => {
                    self.records
                        .insert((*container, *index), Arc::new((**record).clone()));
                    self.payloads.insert((*container, *index), payload.to_vec());
                }
                Change::Unique {
                    container,
                    unique_id,
                    row,
                } => {
                    self.unique_ids
                        .insert((*container, unique_id.clone()), *row);
                }
                Change::Message { key, row } => {
                    self.messages.insert(key.clone(), *row);
                }
                Change::Sending { unique_id, row } => {
                    self.sendings.insert(unique_id.clone(), (**row).clone());
                }
                Change::Recipient { recipient, row } => {
                    self.recipients.insert(recipient.clone(), *row);
                }
                Change::Posting(counts) => self.posting = Some((**counts).clone()),
                Change::Replay { key, row } => {
                    self.replays.insert(key.clone(), (**row).clone());
                }
                Change::Seen { id, row } => {
                    self.intake.insert(*id, *row);
                }
                Change::Exchange { key, row } => {
                    self.exchanges.insert(key.clone(), *row);
                }
                Change::Delivery { key, row } => {
                    self.deliveries.insert(key.clone(), *row);
                }
                Change::Tally(tally) => self.tally = Some((**tally).clone()),
                _ => {}
            }
        }
    }
}
