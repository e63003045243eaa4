//! What the content of a request proves, established by the front-end so that no signature is
//! computed inside a partition (decision Q-51): the profiles of a CreateAccount and its Proof, the
//! entries for the Device catalog, the messages of an Upload or Post.

mod messages;

use super::credential::{Authenticated, CreationProof};
use super::schedule::creation_digest;
use crate::address::AccountAddress;
use crate::assertion::{
    Assertion, AssertionError, Authorities, Authority, CatalogedDevice, ProfileAccount,
    ProfileMesh, Signed,
};
use crate::cluster::{
    ContentEvidence, CreateEvidence, DeviceEvidence, DeviceFacts, Evidence, SigningKeys,
};
use crate::crypto::{PublicKey, SecretKey};
use crate::dare::sign::DIGEST_NAMES;
use crate::dare::{ContainerKind, ContainerName, Envelope, Signature};
use crate::error::ServiceError;
use crate::message::{Follow, ProvenChain};
use crate::protocol::{Code, CreateRequest, Request, UploadRequest};
use crate::udf::Udf;

/// What interoperation switches waive (service §11, decision Q-39). Nothing by default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Leniency {
    /// `interop.unsigned_profile_mesh`.
    pub unsigned_profile_mesh: bool,
}

/// Checks the profiles of a CreateAccount, then the Proof (X-30, decisions ).
/// `authenticated` is `None` for bare requests in interop mode, which have no Proof.
///
/// # Errors
/// 422/115 to 422/117 by what does not verify; 401/2 for a Proof that is missing or wrong.
pub fn create_evidence(
    request: &CreateRequest,
    authenticated: Option<&Authenticated>,
    leniency: Leniency,
) -> Result<CreateEvidence, ServiceError> {
    let account = request
        .service_id
        .as_deref()
        .ok_or_else(|| ServiceError::new(Code::InvalidName, "the request has no ServiceID"))
        .and_then(|text| {
            AccountAddress::parse(text)
                .map_err(|error| ServiceError::new(Code::InvalidName, error.to_string()))
        })?;
    let (mesh, profile) =
        profiles_of(request, &account, leniency).map_err(|error| error.refusal())?;
    let by_offline_key = match authenticated {
        Some(authenticated) => check_proof(authenticated.creation.as_ref(), &mesh, &account)?,
        None => false,
    };
    Ok(CreateEvidence {
        keys: signing_keys(&mesh, &profile),
        mesh_updated: mesh.updated,
        account_updated: profile.updated,
        mesh_digest: *mesh.digest(),
        account_digest: *profile.digest(),
        by_offline_key,
        device_keys: authenticated.map_or_else(Vec::new, device_keys),
    })
}

/// The keys that may sign for an account with these profiles.
#[must_use]
pub fn signing_keys(mesh: &Signed<ProfileMesh>, account: &Signed<ProfileAccount>) -> SigningKeys {
    let octets = |keys: &[PublicKey]| keys.iter().map(|key| key.octets().to_vec()).collect();
    SigningKeys {
        profile_version: 0,
        mesh_udf: mesh.udf().clone(),
        mesh_keys: octets(mesh.keys()),
        account_udf: account.udf().clone(),
        account_keys: octets(account.keys()),
    }
}

/// Checks 3 and 4 of X-30.
fn profiles_of(
    request: &CreateRequest,
    account: &AccountAddress,
    leniency: Leniency,
) -> Result<(Signed<ProfileMesh>, Signed<ProfileAccount>), AssertionError> {
    let missing = |member| AssertionError::Missing {
        tag: "CreateAccount",
        member,
    };
    let envelope = request
        .signed_profile_mesh
        .as_ref()
        .ok_or_else(|| missing("SignedProfileMesh"))?;
    let mesh = if leniency.unsigned_profile_mesh {
        ProfileMesh::verify_or_unsigned(envelope)?
    } else {
        ProfileMesh::verify(envelope)?
    };
    let envelope = request
        .signed_assertion_account
        .as_ref()
        .ok_or_else(|| missing("SignedAssertionAccount"))?;
    let profile = ProfileAccount::verify(envelope, Some(&Authority::from(&mesh)))?;
    let serves = profile
        .service_ids
        .iter()
        .any(|text| AccountAddress::parse(text).is_ok_and(|parsed| &parsed == account));
    if serves {
        Ok((mesh, profile))
    } else {
        Err(AssertionError::Mismatch {
            tag: ProfileAccount::TAG,
            member: "ServiceIDs",
        })
    }
}

/// Whether the Proof was made by the mesh's offline key; that it was made at all is checked
/// (decisions ).
fn check_proof(
    creation: Option<&CreationProof>,
    mesh: &Signed<ProfileMesh>,
    account: &AccountAddress,
) -> Result<bool, ServiceError> {
    let refusal = |context: &str| {
        ServiceError::new(
            Code::NotAuthorized,
            "the request does not prove possession of the mesh",
        )
        .with_context(context)
    };
    let creation = creation.ok_or_else(|| refusal("asked for by a ticket"))?;
    let proof = creation.proof.as_ref().ok_or_else(|| refusal("no Proof"))?;
    if !proof
        .alg
        .as_deref()
        .is_none_or(|name| DIGEST_NAMES.contains(&name))
    {
        return Err(refusal("another digest than SHA-2-512"));
    }
    let kid = proof
        .kid
        .as_deref()
        .and_then(|text| Udf::parse(text).ok())
        .ok_or_else(|| refusal("no kid"))?;
    let (position, key) = mesh
        .keys()
        .iter()
        .enumerate()
        .find(|(_, key)| key.udf() == kid)
        .ok_or_else(|| refusal("the kid is no key of the mesh"))?;
    let digest = creation_digest(&creation.transcript, account.canonical());
    let value = proof.signature.as_ref().map(AsRef::as_ref);
    key.verify(&digest, value.unwrap_or_default())
        .map_err(|_| refusal("the signature does not verify"))?;
    Ok(position == mesh.keys().len() - 1)
}

/// KeyAuthentication used now, then that of the ProfileDevice presented.
fn device_keys(authenticated: &Authenticated) -> Vec<Udf> {
    let mut keys = vec![authenticated.caller.key_udf.clone()];
    let presented = authenticated
        .creation
        .as_ref()
        .and_then(|creation| creation.device_key.clone());
    keys.extend(presented.filter(|key| key != &keys[0]));
    keys
}

/// Whether the content of a request is signed, so that the account's signing keys are needed:
/// entries of the Device catalog, messages.
#[must_use]
pub fn has_signed_content(request: &Request) -> bool {
    match request {
        Request::Upload(upload) => {
            device_frames(upload).next().is_some() || messages::of_upload(upload).next().is_some()
        }
        Request::Post(post) => messages::of_post(post).next().is_some(),
        _ => false,
    }
}

/// Checks every New and Update for the Device catalog (decision Q-9), and the signatures of every
/// message (decisions ). What does not verify is recorded as such: which answer that
/// gets depends on the rest of the request.
///
/// Without `keys` there is no such account: the content is checked by nobody's keys, so that the
/// refusal takes as long, and proves nothing.
///
/// # Errors
/// None that a peer can cause: the account's stored keys are no keys.
pub fn content_evidence(
    request: &Request,
    keys: Option<&SigningKeys>,
    account: &AccountAddress,
) -> Result<Evidence, ServiceError> {
    let authorities = keys.map(Authorities::of).transpose();
    let authorities = authorities.map_err(ServiceError::internal)?;
    let follow = |block: &Signature| ProvenChain::follow(block);
    content_evidence_by(request, authorities.as_ref(), account, &follow)
}

/// The same by keys that are decoded already, with `follow` for the chains of messages.
///
/// # Errors
/// As for [`content_evidence`].
pub fn content_evidence_by(
    request: &Request,
    authorities: Option<&Authorities>,
    account: &AccountAddress,
    follow: Follow<'_>,
) -> Result<Evidence, ServiceError> {
    let Some(authorities) = authorities else {
        let nobody = Authorities::of(&nobody()).map_err(ServiceError::internal)?;
        evidence_by(request, &nobody, account, follow);
        return Ok(Evidence::Nothing);
    };
    Ok(evidence_by(request, authorities, account, follow))
}

/// Keys that are no account's.
pub(super) fn nobody() -> SigningKeys {
    let key = SecretKey::from_seed(&[0; 57]).expect("57 octets are a seed");
    let keys = vec![key.public().octets().to_vec(); 2];
    SigningKeys {
        profile_version: 0,
        mesh_udf: key.udf(),
        mesh_keys: keys.clone(),
        account_udf: key.udf(),
        account_keys: keys,
    }
}

fn evidence_by(
    request: &Request,
    authorities: &Authorities,
    account: &AccountAddress,
    follow: Follow<'_>,
) -> Evidence {
    if !has_signed_content(request) {
        return Evidence::Nothing;
    }
    let devices = match request {
        Request::Upload(upload) => device_evidence(upload, authorities, account),
        _ => Vec::new(),
    };
    let messages = match request {
        Request::Upload(upload) => {
            messages::evidence(messages::of_upload(upload), authorities, account, follow)
        }
        Request::Post(post) => {
            messages::evidence(messages::of_post(post), authorities, account, follow)
        }
        _ => Vec::new(),
    };
    Evidence::Content(Box::new(ContentEvidence {
        profile_version: authorities.profile_version,
        devices,
        messages,
    }))
}

fn device_evidence(
    request: &UploadRequest,
    authorities: &Authorities,
    account: &AccountAddress,
) -> Vec<(usize, DeviceEvidence)> {
    let (mesh, authority) = (&authorities.mesh, &authorities.account);
    let entries = device_frames(request).map(|(position, envelope, unique_id)| {
        let facts = entry_facts(envelope, &unique_id, mesh, authority, account);
        let evidence = match facts {
            Ok(facts) => DeviceEvidence::Valid(facts),
            Err(error) => DeviceEvidence::Invalid(error.refusal()),
        };
        (position, evidence)
    });
    entries.collect()
}

/// The frames that add or change an entry of the Device catalog, with their position among all
/// envelopes of the Updates and their UniqueID.
fn device_frames(request: &UploadRequest) -> impl Iterator<Item = (usize, &Envelope, String)> {
    let mut position = 0;
    request
        .updates
        .iter()
        .flat_map(move |update| {
            let is_device = update
                .container
                .as_deref()
                .and_then(|name| ContainerName::parse(name).ok())
                .is_some_and(|name| name.kind() == ContainerKind::Device);
            let first = position;
            position += update.envelopes.len();
            update
                .envelopes
                .iter()
                .enumerate()
                .filter(move |_| is_device)
                .map(move |(offset, envelope)| (first + offset, envelope))
        })
        .filter_map(|(position, envelope)| {
            let meta = envelope.header.content_meta().ok()?;
            let changes = matches!(meta.event.as_deref(), Some("New" | "Update"));
            changes.then(|| (position, envelope, meta.unique_id.unwrap_or_default()))
        })
}

fn entry_facts(
    envelope: &Envelope,
    unique_id: &str,
    mesh: &Authority,
    authority: &Authority,
    account: &AccountAddress,
) -> Result<DeviceFacts, AssertionError> {
    CatalogedDevice::from_envelope(envelope)?.verify(unique_id, mesh, authority, account)
}
