//! Which rows must be looked up for an Upload: frames it may overlap, the unique ids it speaks of,
//! messages it may repeat, and what its completions refer to.

use std::collections::BTreeMap;

use super::place::base_of;
use super::spool::{Readable, SPOOLS};
use crate::account::change::MessageKey;
use crate::account::needs::Needs;
use crate::account::state::{AccountState, ContainerNumber, Head};
use crate::dare::{ContainerName, Envelope};
use crate::limits::{COMPLETION_REFERENCES_MAX, UPLOAD_ENVELOPES_MAX};
use crate::protocol::{ContainerUpdate, UploadRequest};

/// Adds what an Upload needs. A request beyond the bounds is refused without a look.
pub(in crate::account) fn add_needs(
    state: &AccountState,
    request: &UploadRequest,
    needs: &mut Needs,
) {
    let envelopes = request
        .updates
        .iter()
        .map(|update| update.envelopes.len().max(1))
        .sum::<usize>()
        + request.self_messages.len();
    if envelopes > UPLOAD_ENVELOPES_MAX {
        return;
    }
    let mut counts = BTreeMap::new();
    for update in &request.updates {
        let Some(name) = update
            .container
            .as_deref()
            .and_then(|text| ContainerName::parse(text).ok())
        else {
            continue;
        };
        if let Some(head) = state.head(&name) {
            let count = counts.entry(name.clone()).or_insert_with(|| head.count());
            add_update(state, head, update, *count, needs);
            *count += update.envelopes.len() as u64;
        }
    }
    for envelope in &request.self_messages {
        add_own_message(state, envelope, needs);
    }
}

fn add_update(
    state: &AccountState,
    head: &Head,
    update: &ContainerUpdate,
    count: u64,
    needs: &mut Needs,
) {
    let length = update.envelopes.len() as u64;
    if let Some(base) = base_of(update, count).filter(|base| *base < head.count()) {
        let end = base.saturating_add(length).min(head.count());
        if length > 0 {
            needs
                .records
                .push((head.number, base.saturating_sub(1), end));
        }
    }
    for envelope in &update.envelopes {
        if head.name.is_spool() {
            add_message(state, head.number, envelope, needs);
        } else if let Some(id) = unique_id(envelope) {
            needs.unique_ids.insert((head.number, id));
        }
    }
}

/// Adds what a message for the account itself needs.
pub(in crate::account) fn add_own_message(
    state: &AccountState,
    envelope: &Envelope,
    needs: &mut Needs,
) {
    let spools: Vec<ContainerNumber> = SPOOLS
        .into_iter()
        .filter_map(|kind| Some(state.head(&kind.name()?)?.number))
        .collect();
    for spool in &spools {
        add_message(state, *spool, envelope, needs);
    }
    let references = Readable::of(envelope)
        .and_then(|readable| readable.references)
        .unwrap_or_default();
    for reference in references.into_iter().take(COMPLETION_REFERENCES_MAX) {
        for spool in &spools {
            needs
                .unique_ids
                .insert((*spool, reference.message_id.clone()));
        }
    }
}

fn add_message(
    state: &AccountState,
    container: ContainerNumber,
    envelope: &Envelope,
    needs: &mut Needs,
) {
    if let Some(unique_id) = unique_id(envelope) {
        needs.messages.insert(MessageKey {
            container,
            sender: state.record.address.canonical().to_owned(),
            unique_id,
        });
    }
}

/// The UniqueID that an envelope states.
pub(in crate::account) fn unique_id(envelope: &Envelope) -> Option<String> {
    envelope.header.content_meta().ok()?.unique_id
}
