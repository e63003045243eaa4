//! Recipients whose accounts live at other services: one item in the queue of their domain each, in the
//! commit that accepts the Post (decision Q-14, delivery §11), if there is room for it.

use std::collections::BTreeMap;

use super::outgoing::Outgoing;
use crate::account::policy::QueuePolicy;
use crate::account::upload::Upload;
use crate::address::AccountAddress;
use crate::crypto::digest::sha512;
use crate::delivery::{Class, ItemId, QueueItem, QueueScope, Queued, retry};
use crate::error::ServiceError;
use crate::limits::QUEUE_FULL_PAUSE;
use crate::protocol::Code;

/// The message as it waits for its recipient's service.
pub(super) fn queued(
    upload: &Upload<'_>,
    message: &Outgoing<'_>,
    recipient: &AccountAddress,
) -> Queued {
    let (now, queue) = (upload.scene.now, &upload.scene.policy.queue);
    let octets = message.block_octets() + message.payload_octets();
    Queued {
        item: QueueItem {
            id: item_id(upload, message, recipient),
            sender: upload.state.record.address.clone(),
            recipient: recipient.clone(),
            unique_id: message.unique_id.clone(),
            message_type: message.tag.clone(),
            class: Class::of(&message.tag),
            bytes: octets as u64,
            enqueued_at: now,
            expires_at: retry::expires_at(&message.tag, now, queue.lifetime()),
            due_at: now,
            attempts: 0,
            attempts_internal: 0,
            told_delayed: false,
            last_trouble: None,
            charged_to: None,
        },
        envelope: message.one.envelope.clone(),
    }
}

/// The same message for the same recipient has the same id, so that whatever queues it twice queues
/// it once (decision Q-59).
fn item_id(upload: &Upload<'_>, message: &Outgoing<'_>, recipient: &AccountAddress) -> ItemId {
    let digest = sha512(&[
        b"message queued",
        upload.state.record.id.octets(),
        &message.one.payload_digest,
        message.unique_id.as_bytes(),
        &[0],
        recipient.canonical().as_bytes(),
    ]);
    let mut id = [0; 16];
    id.copy_from_slice(&digest[..16]);
    ItemId(id)
}

/// What a Post would add to the queue.
#[derive(Debug, Default)]
pub(super) struct Load(BTreeMap<QueueScope, u64>);

impl Load {
    pub(super) fn add(&mut self, item: &QueueItem) {
        for scope in item.scopes() {
            *self.0.entry(scope).or_default() += 1;
        }
    }

    /// Whether that fits on top of what waits (cluster §14).
    ///
    /// # Errors
    /// 503/120, with the time after which it may be tried again.
    pub(super) fn check(
        &self,
        waiting: &BTreeMap<QueueScope, u64>,
        policy: &QueuePolicy,
        tenants: usize,
    ) -> Result<(), ServiceError> {
        let waits = |scope| waiting.get(scope).copied().unwrap_or(0);
        let full = self.0.iter().find(|(scope, more)| {
            let max = policy.max_of(scope, tenants);
            waits(scope) + **more > max
        });
        match full {
            None => Ok(()),
            Some((scope, _)) => {
                let max = policy.max_of(scope, tenants);
                let message = match scope {
                    QueueScope::Destination(domain) => {
                        format!("{max} messages may wait for {domain}, and as many do")
                    }
                    QueueScope::Tenant(domain) => {
                        format!("{max} messages from {domain} may wait, and as many do")
                    }
                    QueueScope::Share {
                        tenant,
                        destination,
                    } => format!(
                        "{max} messages from {tenant} may wait for {destination}, and as many do"
                    ),
                };
                let error = ServiceError::new(Code::QueueFull, message);
                Err(error.retry_after(QUEUE_FULL_PAUSE))
            }
        }
    }
}
