//! A message whose recipient's domain has come to be served here while it waited (decision Q-46): it
//! goes into the intake of the recipient's partition, as if it had been posted today.

use mesh_common::account::intake::{
    IntakeBody, IntakeEntry, IntakeId, IntakeMessage, MessageSender,
};
use mesh_common::cluster::SigningKeys;
use mesh_common::crypto::digest::sha512;
use mesh_common::dare::Envelope;
use mesh_common::dare::merkle::payload_digest;
use mesh_common::delivery::QueueItem;
use mesh_common::message::accredited_block;
use mesh_common::time::Timestamp;
use mesh_common::udf::Udf;

/// The entry that is left for the recipient. `keys` are those of the sender's account, which the message
/// was verified by when it was accepted. Its id follows from the item's: left twice, it is received once.
pub(crate) fn entry(
    item: &QueueItem,
    envelope: Envelope,
    keys: &SigningKeys,
    now: Timestamp,
) -> IntakeEntry {
    let digest = sha512(&[b"queued message left here", &item.id.0]);
    let mut id = [0; 16];
    id.copy_from_slice(&digest[..16]);
    let payload_bytes = u64::try_from(envelope.payload.0.len()).unwrap_or(u64::MAX);
    let block_bytes = item.bytes.saturating_sub(payload_bytes);
    IntakeEntry {
        id: IntakeId(id),
        account: item.recipient.clone(),
        left_at: now,
        body: IntakeBody::Message(Box::new(IntakeMessage {
            sender: MessageSender {
                address: item.sender.clone(),
                account_udf: keys.account_udf.clone(),
                mesh_udf: Some(keys.mesh_udf.clone()),
                signed_by: signer(&envelope),
            },
            service: None,
            unique_id: item.unique_id.clone(),
            message_type: Some(item.message_type.clone()),
            payload_digest: payload_digest(&envelope.payload.0),
            envelope,
            block_bytes: usize::try_from(block_bytes).unwrap_or(usize::MAX),
        })),
    }
}

/// The key whose signature says who the message is from: that of the block with the chain, else of the
/// first one.
fn signer(envelope: &Envelope) -> Option<Udf> {
    let block = accredited_block(envelope).or_else(|| envelope.signatures().first())?;
    Udf::parse(block.kid.as_deref()?).ok()
}
