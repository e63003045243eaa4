//! One message that no device of the account brings: it is appended to a spool within the same bounds
//! and quotas as what devices append, and by the same code.

use super::Upload;
use super::ledger::Ledger;
use super::prepare::Prepared;
use super::verdict::Verdict;
use crate::account::access::Access;
use crate::account::change::Change;
use crate::account::decide::Scene;
use crate::account::state::{AccountState, Import, Tip};
use crate::dare::{ContainerKind, Envelope};
use crate::error::ServiceError;
use crate::protocol::Code;

/// What appending a message writes.
#[derive(Debug)]
pub(in crate::account) struct Arrival {
    /// The rows, without the tip.
    pub(in crate::account) changes: Vec<Change>,
    /// The tip as it was, with the octets then used.
    pub(in crate::account) tip: Tip,
}

/// Appends `envelope` to the spool of `kind`.
///
/// # Errors
/// 413/8 for its size, 400/100 and 400/102 for its form, 507/113 if the account's space is used up.
pub(in crate::account) fn arrive(
    scene: &Scene<'_>,
    state: &AccountState,
    kind: ContainerKind,
    envelope: &Envelope,
) -> Result<Arrival, ServiceError> {
    let name = kind
        .name()
        .ok_or_else(|| ServiceError::internal("a message arrives in a spool"))?;
    let upload = Upload {
        scene,
        state,
        access: Access {
            administrator: false,
            device: None,
        },
    };
    let mut ledger = Ledger::new(state);
    let write = |ledger: &mut Ledger| -> Result<u64, Verdict> {
        let one = Prepared::of(envelope, kind, scene.policy)?;
        upload.write(ledger, &name, &one, |_| Ok(()))
    };
    write(&mut ledger).map_err(refusal_of)?;
    ledger.draft_mut(&name).head.import = Import::Closed;
    let tip = Tip {
        bytes_used: ledger.bytes_used,
        ..state.tip
    };
    Ok(Arrival {
        changes: ledger.changes(state),
        tip,
    })
}

fn refusal_of(verdict: Verdict) -> ServiceError {
    match verdict {
        Verdict::Reject(rejection) => rejection.error,
        Verdict::Conflict(reason) => ServiceError::new(Code::Conflict, reason),
        Verdict::Accept(_) => ServiceError::internal("an accepted message was refused"),
    }
}
