//! CreateAccount (service §5.2, X-30 and X-31; decisions ): a new
//! account, the retry of one, newer profiles for one, or its recovery with the offline key.

use std::sync::Arc;

use super::access;
use super::change::{Change, DirectoryEntry, Tombstone};
use super::decide::{Decision, Scene};
use super::frame::{self, FrameRecord};
use super::policy::Creation;
use super::refusal;
use super::state::{
    AccountId, AccountRecord, AccountState, AccountStatus, Bootstrap, BootstrapPhase, Head, Import,
    ProfileVersion, Standing, Tip,
};
use crate::address::AccountAddress;
use crate::cluster::handle::CreateEvidence;
use crate::cluster::{Evidence, PartitionId, SigningKeys};
use crate::dare::{ContainerKind, ContainerName};
use crate::entropy::Entropy;
use crate::error::ServiceError;
use crate::protocol::{Code, CreateRequest, CreateResponse, Outcome, Response};
use crate::session::{Mode, Via};

/// The spools every account has from the beginning (containers D25).
const FIRST_SPOOLS: [ContainerKind; 3] = [
    ContainerKind::Inbound,
    ContainerKind::Outbound,
    ContainerKind::Local,
];

/// Decides a CreateAccount.
///
/// # Errors
/// 401/109 on a ticket, 401/2 as a service or for another account than the session's, 422/117 for
/// the name, 403/5 where creation is closed, the domain full or the account blocked, 409/1 for a name that is taken,
/// 409/112 for older profiles.
pub(super) fn decide(
    scene: &Scene<'_>,
    standing: &Standing,
    request: &CreateRequest,
    entropy: &mut dyn Entropy,
) -> Result<Decision, ServiceError> {
    check_mode(scene)?;
    let address = check_name(scene, request)?;
    scene.check_id()?;
    if let Some(repeated) = scene.repeated()? {
        return Ok(repeated);
    }
    let Evidence::Create(evidence) = &scene.request.evidence else {
        return Err(ServiceError::internal(
            "CreateAccount came without evidence",
        ));
    };
    match standing {
        Standing::Account(state) => again(scene, state, request, evidence),
        Standing::Reserved(tombstone) if scene.now < tombstone.reserved_until => {
            check_reserved(tombstone, evidence)?;
            create(scene, &address, request, evidence, entropy)
        }
        Standing::Reserved(_) | Standing::Unknown => {
            create(scene, &address, request, evidence, entropy)
        }
    }
}

/// On an exchange only (decision Q-47), and not as a service (service §4.8).
fn check_mode(scene: &Scene<'_>) -> Result<(), ServiceError> {
    let caller = &scene.request.caller;
    match (caller.mode, caller.via) {
        (Mode::Interop, _) | (Mode::Device | Mode::Profile, Via::Exchange) => Ok(()),
        (Mode::Service, _) => Err(refusal::not_permitted()),
        (Mode::Device | Mode::Profile, Via::Ticket | Via::Bare) => Err(ServiceError::new(
            Code::TicketRequired,
            "an account is created on an exchange only, not on a ticket",
        )),
    }
}

fn check_name(scene: &Scene<'_>, request: &CreateRequest) -> Result<AccountAddress, ServiceError> {
    let address = scene.policy.names.check(request.service_id.as_deref())?;
    let caller = &scene.request.caller;
    let agrees = address == scene.request.account
        && (caller.mode == Mode::Interop || caller.account.as_ref() == Some(&address));
    if agrees {
        Ok(address)
    } else {
        Err(ServiceError::new(
            Code::NotAuthorized,
            "the ServiceID is not the account of the session",
        ))
    }
}

fn taken() -> ServiceError {
    ServiceError::new(Code::AccountRegistered, "Account already registered.")
}

// ---- A new account ----

/// A reserved address is for the same ProfileMesh, and not for older profiles (decision Q-58).
fn check_reserved(tombstone: &Tombstone, evidence: &CreateEvidence) -> Result<(), ServiceError> {
    if tombstone.mesh_udf != evidence.keys.mesh_udf {
        return Err(taken());
    }
    if step(&tombstone.mesh, &mesh_version(evidence)) == Step::Back {
        return Err(older());
    }
    let same_account = tombstone.account_udf == evidence.keys.account_udf;
    if same_account && step(&tombstone.profile, &account_version(evidence)) == Step::Back {
        return Err(older());
    }
    Ok(())
}

fn create(
    scene: &Scene<'_>,
    address: &AccountAddress,
    request: &CreateRequest,
    evidence: &CreateEvidence,
    entropy: &mut dyn Entropy,
) -> Result<Decision, ServiceError> {
    let status = match scene.policy.creation {
        Creation::Open => AccountStatus::Connected,
        Creation::Approval => AccountStatus::Pending,
        Creation::Closed => {
            return Err(ServiceError::new(
                Code::Refused,
                "accounts are not created here",
            ));
        }
    };
    // The same as where creation is closed: the site takes no more, and the same request later may find room.
    if scene.lookups.is_domain_full {
        return Err(ServiceError::new(
            Code::Refused,
            "the domain has as many accounts as it may have",
        ));
    }
    let (profile_mesh, profile_account) = profiles(request)?;
    let id = AccountId::draw(PartitionId::of(address), entropy);
    let record = AccountRecord {
        id,
        address: address.clone(),
        status,
        created_at: scene.now,
        profile_mesh,
        profile_account,
        keys: SigningKeys {
            profile_version: 1,
            ..evidence.keys.clone()
        },
        mesh: mesh_version(evidence),
        account: account_version(evidence),
        bootstrap: Bootstrap {
            keys: evidence.device_keys.clone(),
            phase: BootstrapPhase::Open,
        },
        bytes_max: None,
    };
    let mut changes = vec![
        Change::Directory(DirectoryEntry::Account(id)),
        Change::Account(Arc::new(record)),
    ];
    let mut tip = Tip::default();
    for (number, kind) in (0..).zip(FIRST_SPOOLS) {
        if let Some(name) = kind.name() {
            tip.bytes_used += first_spool(scene, number, &name, &mut changes);
        }
    }
    if scene
        .lookups
        .room
        .octets
        .is_some_and(|left| tip.bytes_used > left)
    {
        return Err(ServiceError::new(
            Code::Refused,
            "the domain has no room for another account",
        ));
    }
    let transition = scene.commit(id, tip, changes, response(scene, status));
    Ok(Decision::Commit(Box::new(transition)))
}

/// A spool with the service's own frame 0. Returns the octets it uses.
fn first_spool(
    scene: &Scene<'_>,
    number: u16,
    name: &ContainerName,
    changes: &mut Vec<Change>,
) -> u64 {
    let mut head = Head::new(number, name, Import::Open);
    let record = FrameRecord::own_first(&mut head.digests, scene.now);
    head.live_octets = record.live_octets();
    head.committed_at = scene.now;
    let octets = head.live_octets;
    changes.push(Change::Head(Arc::new(head)));
    changes.push(frame::change(number, 0, record, Arc::from([])));
    octets
}

fn profiles(
    request: &CreateRequest,
) -> Result<(crate::dare::Envelope, crate::dare::Envelope), ServiceError> {
    match (
        &request.signed_profile_mesh,
        &request.signed_assertion_account,
    ) {
        (Some(mesh), Some(account)) => Ok((mesh.clone(), account.clone())),
        _ => Err(ServiceError::new(
            Code::InvalidProfile,
            "an account is created with a ProfileMesh and a ProfileAccount",
        )),
    }
}

fn response(scene: &Scene<'_>, status: AccountStatus) -> Response {
    let done = refusal::ok(scene.request);
    Response::CreateAccount(match status {
        AccountStatus::Pending => CreateResponse {
            outcome: Outcome {
                status: Some(Code::Pending.status()),
                status_extended: Code::Pending.status_extended(),
                status_description: Some("the account is on hold".into()),
                ..done
            },
            reason: Some("the provider has to approve the account".into()),
            url: None,
        },
        _ => CreateResponse {
            outcome: done,
            ..CreateResponse::default()
        },
    })
}

// ---- The account is there already ----

fn again(
    scene: &Scene<'_>,
    state: &AccountState,
    request: &CreateRequest,
    evidence: &CreateEvidence,
) -> Result<Decision, ServiceError> {
    let keys = &state.record.keys;
    if keys.mesh_udf != evidence.keys.mesh_udf || keys.account_udf != evidence.keys.account_udf {
        return Err(taken());
    }
    if state.record.status == AccountStatus::Blocked {
        return Err(refusal::suspended());
    }
    let mut record = (*state.record).clone();
    if profiles_change(scene, state, evidence)? {
        let (profile_mesh, profile_account) = profiles(request)?;
        record.profile_mesh = profile_mesh;
        record.profile_account = profile_account;
        record.mesh = mesh_version(evidence);
        record.account = account_version(evidence);
        record.keys = SigningKeys {
            profile_version: keys.profile_version + 1,
            ..evidence.keys.clone()
        };
    }
    let recovers = evidence.by_offline_key && recover(&mut record.bootstrap, evidence);
    let response = response(scene, record.status);
    if record == *state.record {
        return Ok(scene.answer(response));
    }
    let changes = vec![Change::Account(Arc::new(record))];
    let mut transition = scene.commit(state.record.id, state.tip, changes, response);
    if recovers {
        transition.incidents.push(format!(
            "account {} was recovered with the offline key of its ProfileMesh by the device key {}",
            state.record.address, scene.request.caller.key_udf
        ));
    }
    Ok(Decision::Commit(Box::new(transition)))
}

/// Makes the requester the bootstrap device again (decision Q-48), unless it is already. Before
/// the first entry it then simply is; afterwards it stands next to the catalog until its own entry
/// is there.
fn recover(bootstrap: &mut Bootstrap, evidence: &CreateEvidence) -> bool {
    let phase = match bootstrap.phase {
        BootstrapPhase::Closed => BootstrapPhase::Recovering,
        phase => phase,
    };
    let recovered = Bootstrap {
        keys: evidence.device_keys.clone(),
        phase,
    };
    let changes = *bootstrap != recovered;
    *bootstrap = recovered;
    changes
}

/// Whether the profiles of the request replace the stored ones (X-31, decisions ).
///
/// # Errors
/// 409/112 if one of them is older; 401/3 if only an administrator could say which is newer.
fn profiles_change(
    scene: &Scene<'_>,
    state: &AccountState,
    evidence: &CreateEvidence,
) -> Result<bool, ServiceError> {
    let steps = [
        step(&state.record.mesh, &mesh_version(evidence)),
        step(&state.record.account, &account_version(evidence)),
    ];
    if steps.contains(&Step::Back) {
        return Err(older());
    }
    if steps.contains(&Step::Undated) {
        access::admit(state, scene.request)?.require_administrator()?;
    }
    Ok(steps != [Step::None; 2])
}

fn older() -> ServiceError {
    ServiceError::new(
        Code::Conflict,
        "the service has newer profiles of this account",
    )
}

/// How one profile follows another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// It is the same.
    None,
    /// It is newer.
    Forward,
    /// It is older, or cannot be known to be newer.
    Back,
    /// Neither says when it was updated: an administrator's word counts.
    Undated,
}

fn step(from: &ProfileVersion, to: &ProfileVersion) -> Step {
    match (from.updated, to.updated) {
        _ if from == to => Step::None,
        (Some(from), Some(to)) if to > from => Step::Forward,
        (None, Some(_)) => Step::Forward,
        (None, None) => Step::Undated,
        (Some(_), _) => Step::Back,
    }
}

fn mesh_version(evidence: &CreateEvidence) -> ProfileVersion {
    ProfileVersion {
        updated: evidence.mesh_updated,
        digest: evidence.mesh_digest,
    }
}

fn account_version(evidence: &CreateEvidence) -> ProfileVersion {
    ProfileVersion {
        updated: evidence.account_updated,
        digest: evidence.account_digest,
    }
}
