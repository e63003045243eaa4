//! DeleteAccount (service §5.3, architecture A-15, decision Q-15): the address is kept for the same
//! ProfileMesh, the data waits for its purge, tickets die because the account is gone.

use std::sync::Arc;

use super::access::Access;
use super::change::{Change, DirectoryEntry, Tombstone};
use super::decide::{Decision, Scene};
use super::refusal;
use super::state::{AccountRecord, AccountState, AccountStatus};
use crate::error::ServiceError;
use crate::limits::{DELETED_DATA_KEPT, DELETED_NAME_RESERVED};
use crate::protocol::{Response, Transaction};

/// Decides a DeleteAccount of an admitted device.
///
/// # Errors
/// 401/3 unless it is an administrator's.
pub(super) fn decide(
    scene: &Scene<'_>,
    state: &AccountState,
    access: Access<'_>,
) -> Result<Decision, ServiceError> {
    access.require_administrator()?;
    let record = &state.record;
    let tombstone = Tombstone {
        account: record.id,
        mesh_udf: record.keys.mesh_udf.clone(),
        mesh: record.mesh.clone(),
        account_udf: record.keys.account_udf.clone(),
        profile: record.account.clone(),
        deleted_at: scene.now,
        reserved_until: scene.now + DELETED_NAME_RESERVED,
    };
    let deleted = AccountRecord {
        status: AccountStatus::Deleted { at: scene.now },
        ..(**record).clone()
    };
    let changes = vec![
        Change::Directory(DirectoryEntry::Reserved(Box::new(tombstone))),
        Change::Account(Arc::new(deleted)),
        Change::Purge {
            due: scene.now + DELETED_DATA_KEPT,
        },
    ];
    let response =
        Response::with_outcome(Some(Transaction::DeleteAccount), refusal::ok(scene.request));
    let transition = scene.commit(record.id, state.tip, changes, response);
    Ok(Decision::Commit(Box::new(transition)))
}
