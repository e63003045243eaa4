//! Upload: frames appended to the account's containers, all of them or none (service §5.6,
//! containers §8.4 and decision D20 there; decisions Q-20, Q-24, Q-27, Q-28, Q-38, Q-45, Q-50).
//!
//! ```text
//!  prepare   what an envelope says of itself, whatever the container holds
//!  place     where it belongs: already there, next, or in conflict
//!  catalog, spool, device     whether it may stand there
//!  author    who signed a message that stays within the account
//!  ledger    what would be written; offers are evaluated and forgotten
//!  verdict   one row per envelope, and the one outcome of all
//! ```

mod author;
mod catalog;
mod device;
mod ledger;
mod place;
mod prepare;
mod requirements;
mod spool;
mod verdict;

pub(super) use author::{RESPOND_CONNECTION, unsigned};
pub(super) use ledger::Ledger;
pub(super) use prepare::Prepared;
pub(super) use requirements::{add_needs, add_own_message, unique_id};
pub(super) use spool::{Readable, check_agreement, check_identifier, tag_of};
pub(super) use verdict::{Verdict, Verdicts};

use super::access::Access;
use super::decide::{Decision, Scene};
use super::state::{AccountState, Head};
use super::status::container_name;
use crate::dare::{ContainerKind, ContainerName};
use crate::encoding::base64url::Binary;
use crate::error::ServiceError;
use crate::protocol::{Code, ContainerUpdate, UploadRequest};

/// What an Upload is decided by, and a Post as far as it appends to the account's own containers,
/// beside what is planned to be written.
pub(super) struct Upload<'a> {
    pub(super) scene: &'a Scene<'a>,
    pub(super) state: &'a AccountState,
    pub(super) access: Access<'a>,
}

/// Decides the Upload of an admitted device.
///
/// # Errors
/// 413/8 for too many envelopes or octets, 400/119 and 400/100 for container names. Everything
/// else is told per envelope, in the rows of the response.
pub(super) fn decide(
    scene: &Scene<'_>,
    state: &AccountState,
    access: Access<'_>,
    request: &UploadRequest,
) -> Result<Decision, ServiceError> {
    if scene.is_stale(state) {
        return Ok(Decision::Stale);
    }
    if let Some(refusal) = verdict::too_large(scene, request) {
        return Ok(refusal);
    }
    let names = request
        .updates
        .iter()
        .map(name_of)
        .collect::<Result<Vec<_>, _>>()?;
    let upload = Upload {
        scene,
        state,
        access,
    };
    let mut ledger = Ledger::new(state);
    let mut verdicts = Verdicts::default();
    for (update, name) in request.updates.iter().zip(&names) {
        upload.update(&mut ledger, &mut verdicts, name, update);
    }
    for message in &request.self_messages {
        upload.own_message(&mut ledger, &mut verdicts, message, ContainerKind::Inbound);
    }
    Ok(verdicts.conclude(&upload, ledger))
}

fn name_of(update: &ContainerUpdate) -> Result<ContainerName, ServiceError> {
    let text = update
        .container
        .as_deref()
        .ok_or_else(|| ServiceError::new(Code::Malformed, "an update names a container"))?;
    container_name(text)
}

impl Upload<'_> {
    /// One update: a probe if it has no envelopes (decision Q-24).
    fn update(
        &self,
        ledger: &mut Ledger,
        verdicts: &mut Verdicts,
        name: &ContainerName,
        update: &ContainerUpdate,
    ) {
        if update.envelopes.is_empty() {
            let verdict = probe(ledger, name, update);
            verdicts.add_probe(name, verdict);
        } else {
            self.place_all(ledger, verdicts, name, update);
        }
    }
}

/// Tests the position of a container without writing (X-39, containers D23).
fn probe(ledger: &Ledger, name: &ContainerName, update: &ContainerUpdate) -> Verdict {
    let head = ledger.head(name);
    let count = head.map_or(0, Head::count);
    let apex = head.and_then(Head::apex);
    let index_holds = update.index.is_none_or(|index| index == count);
    let digest_holds = update
        .digest
        .as_ref()
        .is_none_or(|digest| Some(digest) == apex.map(Binary::from).as_ref());
    if index_holds && digest_holds {
        Verdict::Accept(count)
    } else {
        Verdict::conflict(format!(
            "container {name} is at index {count}, the upload expects another state"
        ))
    }
}
