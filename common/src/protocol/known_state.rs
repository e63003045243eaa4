//! What a Status says, in 32 octets: by it a device that waits tells the service what it knows already
//! (architecture A-14, design note 0004).

use std::fmt;
use std::str::FromStr;

use super::constraints::ContainerStatus;
use super::status::StatusResponse;
use crate::crypto::digest::sha512;
use crate::dare::{ContainerName, Envelope};
use crate::encoding::base64url;

/// Octets of a known state.
const BYTES: usize = 32;

/// The state of an account as a Status tells it.
///
/// Both sides compute it, from what they know, and no side needs to remember the other's. One line of
/// text for each container that has frames, `name index digest`, with the canonical name and the apex
/// as base64url, in the order of the names; one line `entry digest` for the device's own entry where a
/// Status carries it. SHA-512 of the lines, cut to 32 octets.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KnownState([u8; BYTES]);

/// A text that is no known state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a known state is {BYTES} octets as base64url")]
pub struct KnownStateError;

impl KnownState {
    /// The state in which the containers stand as `rows` say.
    pub fn of<'a>(rows: impl IntoIterator<Item = &'a ContainerStatus>) -> Self {
        Self::with_entry(rows, None)
    }

    fn with_entry<'a>(
        rows: impl IntoIterator<Item = &'a ContainerStatus>,
        entry: Option<&Envelope>,
    ) -> Self {
        let mut lines: Vec<String> = rows.into_iter().filter_map(line).collect();
        lines.sort_unstable();
        // A container asked for under two of its names is one container.
        lines.dedup();
        if let Some(entry) = entry {
            let digest = sha512(&[entry.payload.as_slice()]);
            lines.push(format!("entry {}\n", base64url::encode(&digest)));
        }
        let digest = sha512(&[lines.concat().as_bytes()]);
        let mut cut = [0; BYTES];
        cut.copy_from_slice(&digest[..BYTES]);
        Self(cut)
    }
}

/// A container without frames says nothing, whether it was asked for by name or not.
fn line(row: &ContainerStatus) -> Option<String> {
    let index = row.index.filter(|&index| index > 0)?;
    let name = ContainerName::parse(row.container.as_deref()?).ok()?;
    let digest = row.digest.as_ref().map(|digest| digest.as_slice());
    let digest = base64url::encode(digest.unwrap_or_default());
    Some(format!("{} {index} {digest}\n", name.canonical()))
}

impl StatusResponse {
    /// The state that this answer tells.
    #[must_use]
    pub fn known_state(&self) -> KnownState {
        KnownState::with_entry(
            self.container_status.iter(),
            self.enveloped_catalog_entry_device.as_ref(),
        )
    }
}

impl fmt::Display for KnownState {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&base64url::encode(&self.0))
    }
}

impl fmt::Debug for KnownState {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "KnownState({self})")
    }
}

impl FromStr for KnownState {
    type Err = KnownStateError;

    fn from_str(text: &str) -> Result<Self, KnownStateError> {
        let octets = base64url::decode(text).map_err(|_| KnownStateError)?;
        octets.try_into().map(Self).map_err(|_| KnownStateError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encoding::base64url::Binary;

    fn row(name: &str, index: u64, digest: u8) -> ContainerStatus {
        ContainerStatus {
            container: Some(name.to_owned()),
            index: Some(index),
            digest: (index > 0).then(|| Binary(vec![digest; 64])),
        }
    }

    fn state(rows: &[ContainerStatus]) -> KnownState {
        KnownState::of(rows)
    }

    /// Devices compute it as well: it must stay as it is.
    #[test]
    fn the_state_is_computed_as_it_was_promised() {
        let rows = [row("mmm_Inbound", 3, 0xff), row("mmm_Device", 2, 0)];
        let text = format!(
            "mmm_Device 2 {}\nmmm_Inbound 3 {}\n",
            base64url::encode(&[0; 64]),
            base64url::encode(&[0xff; 64])
        );
        let digest = sha512(&[text.as_bytes()]);
        assert_eq!(state(&rows).to_string(), base64url::encode(&digest[..32]));
        assert_eq!(state(&rows).to_string().parse(), Ok(state(&rows)));
        for text in ["", "AAAA", "!"] {
            assert_eq!(text.parse::<KnownState>(), Err(KnownStateError));
        }
    }

    #[test]
    fn order_spelling_and_empty_containers_say_nothing() {
        let (inbound, device) = (row("mmm_Inbound", 3, 1), row("mmm_Device", 2, 2));
        let expected = state(&[inbound.clone(), device.clone()]);
        let spelled = [
            row("mmm_Bookmark", 0, 0),
            row("MMM/CatalogDevice", 2, 2),
            row("mmm_Device", 2, 2),
            row("SpoolInbound", 3, 1),
        ];
        assert_eq!(state(&spelled), expected);
        assert_eq!(state(&[device, inbound]), expected);
    }

    #[test]
    fn whatever_a_status_tells_makes_another_state() {
        let base = StatusResponse {
            container_status: vec![row("mmm_Inbound", 3, 1)].into(),
            ..StatusResponse::default()
        };
        let mut states = vec![base.known_state()];
        for rows in [
            vec![row("mmm_Inbound", 4, 1)],
            vec![row("mmm_Inbound", 3, 2)],
            vec![row("mmm_Local", 3, 1)],
            vec![row("mmm_Inbound", 3, 1), row("mmm_Local", 1, 1)],
            vec![],
        ] {
            states.push(state(&rows));
        }
        states.push(
            StatusResponse {
                enveloped_catalog_entry_device: Some(Envelope::plain(b"entry".to_vec())),
                ..base
            }
            .known_state(),
        );
        let count = states.len();
        states.sort_unstable_by_key(ToString::to_string);
        states.dedup();
        assert_eq!(states.len(), count);
    }
}
