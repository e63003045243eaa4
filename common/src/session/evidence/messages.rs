//! The signatures of messages, checked by the front-end against the keys of the account that sends
//! or keeps them (service §7.2, X-50; decisions ).
//!
//! A device signs by the KeySignature of its connection and carries the chain to the account in the
//! signature block; an administrator may sign by an online key of account or mesh. Whether either is
//! needed depends on the message, which is for the account machine to say.

use std::sync::Arc;

use crate::address::AccountAddress;
use crate::assertion::verify::signers;
use crate::assertion::{AssertionError, Authorities, Authority};
use crate::cluster::{MessageEvidence, MessageSigners, SigningDevice};
use crate::crypto::PublicKey;
use crate::dare::{ContainerKind, ContainerName, Envelope, Signature};
use crate::error::ServiceError;
use crate::limits::{CHAINS_PER_REQUEST_MAX, POST_MESSAGES_MAX, UPLOAD_ENVELOPES_MAX};
use crate::message::{Follow, ProvenChain, accredited_block};
use crate::protocol::{PostRequest, UploadRequest};
use crate::udf::Udf;

/// What a refusal calls a message.
const TAG: &str = "message";

/// The messages of a Post that carry signatures, with their position. None of a Post with more
/// messages than are looked at.
pub(super) fn of_post(request: &PostRequest) -> impl Iterator<Item = (usize, &Envelope)> {
    let count = request.messages.len() + request.self_messages.len();
    request
        .messages
        .iter()
        .chain(&request.self_messages)
        .enumerate()
        .filter(move |_| count <= POST_MESSAGES_MAX)
        .filter(is_signed)
}

/// The messages of an Upload that carry signatures, with their position: those for spools that
/// others see or Complete reads, and Self. None of an Upload with more envelopes than are looked at.
pub(super) fn of_upload(request: &UploadRequest) -> impl Iterator<Item = (usize, &Envelope)> {
    let of_updates = request.updates.iter().flat_map(|update| {
        let is_spool = update
            .container
            .as_deref()
            .and_then(|name| ContainerName::parse(name).ok())
            .is_some_and(|name| holds_messages(name.kind()));
        update.envelopes.iter().map(move |one| (is_spool, one))
    });
    let in_updates: usize = request.updates.iter().map(|one| one.envelopes.len()).sum();
    let count = in_updates + request.self_messages.len();
    of_updates
        .chain(request.self_messages.iter().map(|one| (true, one)))
        .enumerate()
        .filter(move |(_, (is_message, _))| *is_message && count <= UPLOAD_ENVELOPES_MAX)
        .map(|(position, (_, envelope))| (position, envelope))
        .filter(is_signed)
}

/// Whether the service looks at what a device puts into a spool of `kind`. Archive is known to the
/// client only.
const fn holds_messages(kind: ContainerKind) -> bool {
    matches!(
        kind,
        ContainerKind::Inbound | ContainerKind::Outbound | ContainerKind::Local
    )
}

fn is_signed((_, envelope): &(usize, &Envelope)) -> bool {
    !envelope.signatures().is_empty()
}

/// Checks the signatures of each message.
pub(super) fn evidence<'a>(
    messages: impl Iterator<Item = (usize, &'a Envelope)>,
    authorities: &Authorities,
    account: &AccountAddress,
    follow: Follow<'_>,
) -> Vec<(usize, MessageEvidence)> {
    let Authorities {
        mesh,
        account: authority,
        ..
    } = authorities;
    let known = [authority.keys(), mesh.keys()].concat();
    let online: Vec<Udf> = [authority, mesh]
        .into_iter()
        .flat_map(online_of)
        .map(PublicKey::udf)
        .collect();
    let mut chains = Chains {
        account,
        authority,
        follow,
        followed: Vec::new(),
    };
    let evidence = messages.map(|(position, envelope)| {
        let evidence = match check(envelope, &known, &mut chains) {
            Ok((device, signers)) => MessageEvidence::Valid(MessageSigners {
                device,
                online_key: signers.into_iter().find(|signer| online.contains(signer)),
            }),
            Err(error) => MessageEvidence::Invalid(error),
        };
        (position, evidence)
    });
    evidence.collect()
}

/// The online keys of a profile: all but the last, which is the offline key.
fn online_of(authority: &Authority) -> &[PublicKey] {
    let keys = authority.keys().split_last();
    keys.map_or(&[], |(_, online)| online)
}

/// The device whose chain the message carries, and all known keys that signed.
fn check<'a>(
    envelope: &'a Envelope,
    known: &[PublicKey],
    chains: &mut Chains<'_, 'a>,
) -> Result<(Option<SigningDevice>, Vec<Udf>), ServiceError> {
    let refusal = |error: AssertionError| error.refusal();
    let Some(block) = accredited_block(envelope) else {
        return Ok((None, signers(TAG, envelope, known).map_err(refusal)?));
    };
    let proven = chains.follow(block)?;
    let chain = proven.chain();
    chain.check_kid(block).map_err(refusal)?;
    let known = [known, chain.connection.keys()].concat();
    let device = SigningDevice {
        key_udf: chain.connection.udf().clone(),
        connection_digest: chain.connection.credential_digest(),
        permissions: chain.connection.permissions.clone(),
    };
    // The block's key is among the known ones, so its signature must verify.
    let signers = signers(TAG, envelope, &known).map_err(refusal)?;
    Ok((Some(device), signers))
}

/// The chains of one request, each followed once: the messages of a device share theirs.
struct Chains<'k, 'a> {
    account: &'k AccountAddress,
    authority: &'k Authority,
    follow: Follow<'k>,
    followed: Vec<(&'a Signature, Result<Arc<ProvenChain>, ServiceError>)>,
}

impl<'a> Chains<'_, 'a> {
    /// The chain in `block`, if it leads to the account.
    fn follow(&mut self, block: &'a Signature) -> Result<Arc<ProvenChain>, ServiceError> {
        let known = self
            .followed
            .iter()
            .find(|(followed, _)| same_chain(followed, block));
        if let Some((_, chain)) = known {
            return chain.clone();
        }
        if self.followed.len() >= CHAINS_PER_REQUEST_MAX {
            let error = AssertionError::TooMany {
                tag: TAG,
                member: "connections",
            };
            return Err(error.refusal());
        }
        let chain = self.verify(block).map_err(|error| error.refusal());
        self.followed.push((block, chain.clone()));
        chain
    }

    /// Follows a chain as its recipients will, then as the account's home knows the account.
    fn verify(&self, block: &Signature) -> Result<Arc<ProvenChain>, AssertionError> {
        let proven = (self.follow)(block)?;
        proven.check_account(block, self.authority, self.account)?;
        Ok(proven)
    }
}

fn same_chain(one: &Signature, other: &Signature) -> bool {
    one.enveloped_connection == other.enveloped_connection
        && one.enveloped_profile == other.enveloped_profile
        && one.enveloped_profile_mesh == other.enveloped_profile_mesh
}
