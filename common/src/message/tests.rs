//! Identifiers of messages.

use super::*;

#[test]
fn a_message_needs_one_identifier() {
    let message = Message::RequestTask(RequestTask {
        message_id: Some("NAAA".into()),
        ..RequestTask::default()
    });
    let identified = identify(&message.to_envelope("NAAA", &[])).unwrap();
    assert_eq!(identified.unique_id, "NAAA");
    assert_eq!(identified.message_type.as_deref(), Some("RequestTask"));
    for (unique_id, refusal) in [
        ("NBBB", MessageError::IdentifiersDiffer),
        ("", MessageError::Identifier),
        ("N\u{7}", MessageError::Identifier),
    ] {
        assert_eq!(identify(&message.to_envelope(unique_id, &[])), Err(refusal));
    }
    let mut bare = message.to_envelope("NAAA", &[]);
    bare.header.content_meta_data = None;
    assert_eq!(identify(&bare), Err(MessageError::NoIdentifier));
}
