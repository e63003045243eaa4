//! Envelopes as clients make them, and the rows of answers.

use crate::cluster::Answer;
use crate::dare::{ContainerInfo, ContentMeta, Envelope, Header};
use crate::protocol::{ContainerUpdate, EntryResult, Response};

/// An update without Index and Digest.
#[must_use]
pub fn update(container: &str, envelopes: Vec<Envelope>) -> ContainerUpdate {
    ContainerUpdate {
        container: Some(container.to_owned()),
        envelopes,
        ..ContainerUpdate::default()
    }
}

/// Frame 0 of a Merkle container.
#[must_use]
pub fn first_frame() -> Envelope {
    let mut envelope = enclose(
        &ContentMeta {
            cty: Some("application/mmm-catalog".to_owned()),
            ..ContentMeta::default()
        },
        "",
    );
    envelope.header.container_info = Some(ContainerInfo {
        data_encoding: Some("JSON".to_owned()),
        index: Some(0),
        container_type: Some("Merkle".to_owned()),
        ..ContainerInfo::default()
    });
    envelope
}

/// An event of a catalog for `index`.
#[must_use]
pub fn event(index: u64, event: &str, unique_id: &str, payload: &str) -> Envelope {
    let meta = ContentMeta {
        unique_id: Some(unique_id.to_owned()),
        event: Some(event.to_owned()),
        ..ContentMeta::default()
    };
    at(index, enclose(&meta, payload))
}

/// A message, as yet without a place.
#[must_use]
pub fn message(tag: &str, unique_id: &str, body: &str) -> Envelope {
    let meta = ContentMeta {
        unique_id: Some(unique_id.to_owned()),
        message_type: Some(tag.to_owned()),
        ..ContentMeta::default()
    };
    enclose(&meta, &format!("{{\"{tag}\":{body}}}"))
}

/// A MessageComplete that says `relationship` of the message `target`.
#[must_use]
pub fn completion(unique_id: &str, target: &str, relationship: &str) -> Envelope {
    let body = format!(
        "{{\"References\":[{{\"MessageID\":\"{target}\",\"Relationship\":\"{relationship}\"}}]}}"
    );
    message("MessageComplete", unique_id, &body)
}

/// The same envelope with a claim where it stands.
#[must_use]
pub fn at(index: u64, mut envelope: Envelope) -> Envelope {
    envelope.header.container_info = Some(ContainerInfo {
        index: Some(index),
        ..ContainerInfo::default()
    });
    envelope
}

fn enclose(meta: &ContentMeta, payload: &str) -> Envelope {
    Envelope {
        header: Header::default().with_content_meta(meta),
        ..Envelope::plain(payload)
    }
}

/// The rows of an Upload's response: result and index in the container.
///
/// # Panics
/// If the answer is that of another transaction.
#[must_use]
pub fn rows_of(answer: &Answer) -> Vec<(EntryResult, Option<u64>)> {
    let Response::Upload(response) = &answer.response else {
        panic!("not an Upload: {answer:?}");
    };
    response
        .entries
        .iter()
        .zip(0..)
        .map(|(entry, position)| {
            assert_eq!(entry.index_request, Some(position));
            (
                entry.result.expect("every row has a result"),
                entry.index_container,
            )
        })
        .collect()
}
