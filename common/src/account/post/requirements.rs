//! Which rows must be looked up for a Post: messages it may repeat and to whom they went, whom the
//! account has written to, how much it has sent, how much waits and what counts against it; and for
//! messages to itself as an Upload does.

use crate::account::change::MessageKey;
use crate::account::needs::Needs;
use crate::account::state::AccountState;
use crate::account::upload::{add_own_message, unique_id};
use crate::address::AccountAddress;
use crate::conduct::Subject;
use crate::dare::ContainerKind;
use crate::delivery::QueueScope;
use crate::limits::{POST_MESSAGES_MAX, POST_RECIPIENTS_MAX};
use crate::protocol::PostRequest;
use crate::time::Timestamp;

/// Adds what a Post needs. A request beyond the bounds is refused without a look.
pub(in crate::account) fn add_needs(
    state: &AccountState,
    request: &PostRequest,
    received_at: Timestamp,
    needs: &mut Needs,
) {
    let count = request.messages.len() + request.self_messages.len();
    if count > POST_MESSAGES_MAX || request.accounts.len() > POST_RECIPIENTS_MAX {
        return;
    }
    for message in &request.self_messages {
        add_own_message(state, message, needs);
    }
    if request.accounts.is_empty() {
        for message in &request.messages {
            add_own_message(state, message, needs);
        }
        return;
    }
    let outbound = ContainerKind::Outbound.name();
    let outbound = outbound.and_then(|name| state.head(&name));
    for id in request.messages.iter().filter_map(unique_id) {
        if let Some(outbound) = outbound {
            needs.messages.insert(MessageKey {
                container: outbound.number,
                sender: state.record.address.canonical().to_owned(),
                unique_id: id.clone(),
            });
        }
        needs.sendings.insert(id);
    }
    let addresses = request.accounts.iter();
    for address in addresses.filter_map(|text| AccountAddress::parse(text).ok()) {
        let tenant = state.record.address.domain();
        let scopes = QueueScope::of(tenant, address.domain());
        needs.waiting.extend(scopes);
        needs.recipients.insert(address.canonical().to_owned());
    }
    needs.posting = true;
    let account = Subject::Account(state.record.address.clone());
    needs.conduct = Some((account, received_at));
}
