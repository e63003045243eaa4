//! Envelopes as clients make them, and the rows of answers.

use super::people::{connection_digest, udf};
use crate::assertion::Permission;
use crate::cluster::{
    Answer, ContentEvidence, Evidence, MessageEvidence, MessageSigners, SigningDevice,
};
use crate::dare::{ContainerInfo, ContentMeta, Envelope, Header, Signature};
use crate::error::ServiceError;
use crate::protocol::{Code, ContainerUpdate, EntryResult, Request, Response};

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

/// A message signed by the device `name`, whose connection permits `permissions` and stands in the
/// signature block. As everything here, without arithmetic: the kid says who signed.
#[must_use]
pub fn signed(message: Envelope, name: &str, permissions: &[&str]) -> Envelope {
    signed_as(message, &["device", name, &permissions.join(" ")].join(" "))
}

/// A message signed by an online key of the account.
#[must_use]
pub fn signed_online(message: Envelope) -> Envelope {
    signed_as(message, "online")
}

/// A message whose signature does not verify.
#[must_use]
pub fn badly_signed(message: Envelope) -> Envelope {
    signed_as(message, "nobody's")
}

fn signed_as(mut message: Envelope, kid: &str) -> Envelope {
    let trailer = message.trailer.get_or_insert_default();
    trailer.signatures.push(Signature {
        kid: Some(kid.to_owned()),
        ..Signature::default()
    });
    message
}

/// What a front-end would establish of the signed messages of a request.
pub(super) fn evidence_of(request: &Request) -> Evidence {
    let envelopes: Vec<&Envelope> = match request {
        Request::Upload(upload) => {
            let updates = upload.updates.iter().flat_map(|one| &one.envelopes);
            updates.chain(&upload.self_messages).collect()
        }
        Request::Post(post) => post.messages.iter().chain(&post.self_messages).collect(),
        _ => Vec::new(),
    };
    let messages: Vec<_> = envelopes
        .into_iter()
        .enumerate()
        .filter(|(_, envelope)| !envelope.signatures().is_empty())
        .map(|(position, envelope)| (position, signers_of(envelope)))
        .collect();
    if messages.is_empty() {
        return Evidence::Nothing;
    }
    Evidence::Content(Box::new(ContentEvidence {
        profile_version: 1,
        devices: Vec::new(),
        messages,
    }))
}

fn signers_of(envelope: &Envelope) -> MessageEvidence {
    let mut signers = MessageSigners::default();
    for signature in envelope.signatures() {
        let kid = signature.kid.as_deref().unwrap_or_default();
        let words: Vec<&str> = kid.split_whitespace().collect();
        match words.as_slice() {
            ["online"] => signers.online_key = Some(udf("online")),
            ["device", name, permissions @ ..] => {
                signers.device = Some(SigningDevice {
                    key_udf: udf(&format!("{name} signature")),
                    connection_digest: connection_digest(name),
                    permissions: permissions.iter().map(|name| permission(name)).collect(),
                });
            }
            ["nobody's"] => {
                let reason = "the signature of the message does not verify";
                return MessageEvidence::Invalid(ServiceError::new(Code::InvalidSignature, reason));
            }
            _ => {}
        }
    }
    MessageEvidence::Valid(signers)
}

fn permission(name: &str) -> Permission {
    Permission {
        name: Some(name.to_owned()),
        ..Permission::default()
    }
}

fn enclose(meta: &ContentMeta, payload: &str) -> Envelope {
    Envelope {
        header: Header::default().with_content_meta(meta),
        ..Envelope::plain(payload)
    }
}

/// The rows of the response to an Upload or Post: result and index in the container.
///
/// # Panics
/// If the answer is that of another transaction.
#[must_use]
pub fn rows_of(answer: &Answer) -> Vec<(EntryResult, Option<u64>)> {
    let entries = match &answer.response {
        Response::Upload(response) => &response.entries,
        Response::Post(response) => &response.entries,
        _ => panic!("neither an Upload nor a Post: {answer:?}"),
    };
    entries
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
