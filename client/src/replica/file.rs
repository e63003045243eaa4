//! A replica's file: frames in file form, one behind the other (containers §2). Positions inside
//! it are regenerated when it is written and taken out when it is read, so that what is in memory
//! is what travels.

use mesh_common::dare::frame::{Frame, FrameError, write_frame};
use mesh_common::dare::merkle::previous_apex;
use mesh_common::dare::{ContainerInfo, Envelope, Header, Trailer};
use mesh_common::encoding::base64url::Binary;
use mesh_common::encoding::json;

/// Writes `envelope` as the frame of index `index`. `starts` are the offsets of all frames before.
///
/// # Errors
/// [`FrameError::TooLong`].
pub(super) fn write(
    envelope: &Envelope,
    index: u64,
    starts: &[u64],
    out: &mut Vec<u8>,
) -> Result<(), FrameError> {
    let mut header = envelope.header.clone();
    let position = previous_apex(index)
        .and_then(|apex| usize::try_from(apex).ok())
        .and_then(|apex| starts.get(apex).copied());
    let info = header
        .container_info
        .get_or_insert_with(ContainerInfo::default);
    info.index = Some(index);
    info.tree_position = position;
    let header = json::write(&header);
    let trailer = envelope.trailer.as_ref().map(json::write);
    let payload = envelope.payload.as_slice();
    match &trailer {
        Some(trailer) => write_frame(&[&header, payload, trailer], out),
        None => write_frame(&[&header, payload], out),
    }
}

/// Reads a frame back; `None` if its header or trailer is not JSON of the right form.
pub(super) fn read(frame: &Frame<'_>) -> Option<Envelope> {
    let mut header: Header = json::parse(frame.header()).ok()?;
    if let Some(info) = &mut header.container_info {
        info.tree_position = None;
    }
    let trailer: Option<Trailer> = match frame.trailer() {
        [] => None,
        text => Some(json::parse(text).ok()?),
    };
    Some(Envelope {
        header,
        payload: Binary::from(frame.payload()),
        trailer,
    })
}
