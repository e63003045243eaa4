//! Frames of catalogs and spools as devices prepare them, and the digests that go with them
//! (containers §3, §5.3).

use mesh_common::dare::merkle::payload_digest;
use mesh_common::dare::{ContainerInfo, ContentMeta, DigestStack, Envelope, Header, Trailer};
use mesh_common::encoding::base64url::Binary;
use mesh_common::protocol::{
    ConstraintsSelect, ContainerUpdate, DownloadRequest, PostRequest, Request, StatusRequest,
    UploadRequest,
};

/// A catalog whose content is opaque to the service.
pub const BOOKMARKS: &str = "mmm_Bookmark";
/// The Device catalog.
pub const DEVICES: &str = "mmm_Device";

/// Frame 0 of a Merkle container.
#[must_use]
pub fn first() -> Envelope {
    let meta = ContentMeta {
        cty: Some("application/mmm-catalog".to_owned()),
        ..ContentMeta::default()
    };
    let mut envelope = enclose(&meta, b"");
    envelope.header.container_info = Some(ContainerInfo {
        data_encoding: Some("JSON".to_owned()),
        index: Some(0),
        container_type: Some("Merkle".to_owned()),
        ..ContainerInfo::default()
    });
    envelope
}

/// An event of a catalog, at `index`.
#[must_use]
pub fn event(index: u64, event: &str, unique_id: &str, payload: &[u8]) -> Envelope {
    let meta = ContentMeta {
        unique_id: Some(unique_id.to_owned()),
        event: Some(event.to_owned()),
        ..ContentMeta::default()
    };
    at(index, enclose(&meta, payload))
}

/// A catalog of `count` entries after frame 0, whose ids are `entry-1` and so on.
#[must_use]
pub fn catalog(count: u64) -> Vec<Envelope> {
    let entries = (1..=count).map(|index| {
        let text = format!("sealed entry {index}");
        event(index, "New", &format!("entry-{index}"), text.as_bytes())
    });
    [first()].into_iter().chain(entries).collect()
}

/// A message of `tag`.
#[must_use]
pub fn message(tag: &str, unique_id: &str, body: &str) -> Envelope {
    let meta = ContentMeta {
        unique_id: Some(unique_id.to_owned()),
        message_type: Some(tag.to_owned()),
        ..ContentMeta::default()
    };
    enclose(&meta, format!("{{\"{tag}\":{body}}}").as_bytes())
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
    let info = envelope.header.container_info.take().unwrap_or_default();
    envelope.header.container_info = Some(ContainerInfo {
        index: Some(index),
        ..info
    });
    envelope
}

/// The frames with their digests, appended to `digests`.
#[must_use]
pub fn with_digests(digests: &mut DigestStack, frames: Vec<Envelope>) -> Vec<Envelope> {
    frames
        .into_iter()
        .map(|mut frame| {
            let payload = payload_digest(frame.payload.as_slice());
            let tree = digests.append(&payload);
            frame.trailer = Some(Trailer {
                payload_digest: Some(Binary(payload.to_vec())),
                tree_digest: Some(Binary(tree.to_vec())),
                ..frame.trailer.take().unwrap_or_default()
            });
            frame
        })
        .collect()
}

/// The apex of a container that holds `frames` and nothing else.
#[must_use]
pub fn apex(frames: &[Envelope]) -> Option<Binary> {
    let mut digests = DigestStack::new();
    for frame in frames {
        digests.append(&payload_digest(frame.payload.as_slice()));
    }
    digests.apex().map(|apex| Binary(apex.to_vec()))
}

/// An update of a container.
#[must_use]
pub fn update(container: &str, envelopes: Vec<Envelope>) -> ContainerUpdate {
    ContainerUpdate {
        container: Some(container.to_owned()),
        envelopes,
        ..ContainerUpdate::default()
    }
}

/// An Upload of one update.
#[must_use]
pub fn upload(container: &str, envelopes: Vec<Envelope>) -> Request {
    upload_all(vec![update(container, envelopes)], Vec::new())
}

/// An Upload of several updates and messages.
#[must_use]
pub fn upload_all(updates: Vec<ContainerUpdate>, self_messages: Vec<Envelope>) -> Request {
    Request::Upload(UploadRequest {
        updates,
        self_messages,
        ..UploadRequest::default()
    })
}

/// A Post of messages to accounts.
#[must_use]
pub fn post(accounts: &[&str], messages: Vec<Envelope>) -> Request {
    post_all(accounts, messages, Vec::new())
}

/// A Post of messages to accounts, and of others to the account itself.
#[must_use]
pub fn post_all(
    accounts: &[&str],
    messages: Vec<Envelope>,
    self_messages: Vec<Envelope>,
) -> Request {
    Request::Post(PostRequest {
        accounts: accounts.iter().map(|one| (*one).to_owned()).collect(),
        messages,
        self_messages,
        ..PostRequest::default()
    })
}

/// A Status of everything.
#[must_use]
pub fn status() -> Request {
    Request::Status(StatusRequest::default())
}

/// A Status of one container.
#[must_use]
pub fn status_of(container: &str) -> Request {
    Request::Status(StatusRequest {
        catalogs: vec![container.to_owned()],
        ..StatusRequest::default()
    })
}

/// A Download of all of one container.
#[must_use]
pub fn download(container: &str) -> Request {
    download_select(vec![ConstraintsSelect {
        container: Some(container.to_owned()),
        ..ConstraintsSelect::default()
    }])
}

/// A Download of what is selected.
#[must_use]
pub fn download_select(select: Vec<ConstraintsSelect>) -> Request {
    Request::Download(DownloadRequest {
        select,
        ..DownloadRequest::default()
    })
}

fn enclose(meta: &ContentMeta, payload: &[u8]) -> Envelope {
    Envelope {
        header: Header::default().with_content_meta(meta),
        ..Envelope::plain(payload)
    }
}
