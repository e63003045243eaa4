//! What stands in an account's spools, and what the service told its owner there.

use mesh_common::dare::Envelope;
use mesh_common::protocol::{Code, ConstraintsSelect};
use mesh_common::spool::SpoolItem;

use crate::client::Client;
use crate::frames;

/// Messages of others.
pub const INBOUND: &str = "mmm_Inbound";
/// Messages to others, and what became of them.
pub const OUTBOUND: &str = "mmm_Outbound";

/// The envelopes of a spool behind frame 0, in as many Downloads as it takes.
///
/// # Panics
/// If the service refuses.
pub fn spool(client: &mut Client, name: &str) -> Vec<Envelope> {
    let mut envelopes = Vec::new();
    loop {
        let select = ConstraintsSelect {
            container: Some(name.to_owned()),
            index_min: Some(1 + i64::try_from(envelopes.len()).expect("spools of tests are short")),
            ..ConstraintsSelect::default()
        };
        let answer = client.ask(&frames::download_select(vec![select]));
        let page = &answer.must_be(Code::Ok).download().updates[0].envelopes;
        if page.is_empty() {
            return envelopes;
        }
        envelopes.extend(page.iter().cloned());
    }
}

/// What the service told in Outbound: message, recipient, state.
///
/// # Panics
/// If the service refuses, or does not name the recipient.
pub fn told(client: &mut Client) -> Vec<(String, String, String)> {
    let mut told = Vec::new();
    for envelope in spool(client, OUTBOUND) {
        let payload = Some(envelope.payload.as_slice());
        if let SpoolItem::Completion {
            recipient,
            references,
        } = SpoolItem::read(1, &envelope.header, payload)
        {
            let recipient = recipient.expect("the service names the recipient");
            told.extend(
                references
                    .into_iter()
                    .map(|one| (one.message_id, recipient.clone(), one.relationship)),
            );
        }
    }
    told
}
