//! Chains from devices to accounts that were followed to their end: what the messages of a device
//! share, and what may be remembered from one message to the next (service §7.2 and §7.4, X-50).
//!
//! A chain that holds holds for good: it consists of signatures over itself. Whether the account is
//! still who the chain says is another question, and is asked for every message.

use std::sync::Arc;

use super::Chain;
use crate::address::AccountAddress;
use crate::assertion::{
    Assertion, AssertionError, Authority, ConnectionAccount, ProfileAccount, ProfileMesh, Signed,
    verify,
};
use crate::dare::{Envelope, Signature};
use crate::udf::Udf;

/// Follows the chain in a signature block: [`ProvenChain::follow`], or what remembers what that gave
/// for a block with the same links ([`ProvenChain::is_of`]).
pub type Follow<'a> = &'a dyn Fn(&Signature) -> Result<Arc<ProvenChain>, AssertionError>;

/// A chain from a signature block that holds.
#[derive(Debug, PartialEq)]
pub struct ProvenChain {
    chain: Chain,
    /// What it was verified by, as it was received.
    links: [Option<Box<Envelope>>; 3],
    /// The mesh, if it signed the account's profile. A mesh that is only named vouches for nothing:
    /// anybody can name it.
    vouching: Option<Udf>,
}

impl ProvenChain {
    /// Follows the chain in `block`.
    ///
    /// # Errors
    /// [`AssertionError`].
    pub fn follow(block: &Signature) -> Result<Arc<Self>, AssertionError> {
        let chain = Chain::verify(block)?;
        let vouching = match (&chain.mesh, block.enveloped_profile.as_deref()) {
            (Some(mesh), Some(profile)) => vouching(mesh, profile),
            _ => None,
        };
        let links = links_of(block).map(|link| link.map(|link| Box::new(link.clone())));
        Ok(Arc::new(Self {
            chain,
            links,
            vouching,
        }))
    }

    /// What a chain is found by among others: a signature that only the account can have made, of one
    /// device. `None` for what is no chain.
    #[must_use]
    pub fn mark_of(block: &Signature) -> Option<&[u8]> {
        let connection = block.enveloped_connection.as_deref()?;
        let signature = connection.signatures().first()?;
        signature.signature.as_ref().map(AsRef::as_ref)
    }

    /// Whether the chain in `block` is this one, to the last octet that this one was verified by.
    #[must_use]
    pub fn is_of(&self, block: &Signature) -> bool {
        self.links.each_ref().map(Option::as_deref) == links_of(block)
    }

    /// The chain.
    #[must_use]
    pub const fn chain(&self) -> &Chain {
        &self.chain
    }

    /// UDF of the mesh, if it signed the account's profile.
    #[must_use]
    pub const fn vouching(&self) -> Option<&Udf> {
        self.vouching.as_ref()
    }

    /// Insists that the chain, which is the one in `block`, leads to `account` at `address` as its
    /// home knows it: its profile may have changed since the one in the block was signed.
    ///
    /// # Errors
    /// [`AssertionError`].
    pub fn check_account(
        &self,
        block: &Signature,
        account: &Authority,
        address: &AccountAddress,
    ) -> Result<(), AssertionError> {
        let chain = &self.chain;
        if chain.profile.udf() != account.udf() {
            return Err(AssertionError::Mismatch {
                tag: ProfileAccount::TAG,
                member: "KeyOfflineSignature",
            });
        }
        // The connection was verified by these very keys.
        if chain.profile.keys() == account.keys() {
            return chain.connection.check_address(address);
        }
        if let Some(connection) = block.enveloped_connection.as_deref() {
            ConnectionAccount::verify(connection, account, Some(address))?;
        }
        Ok(())
    }
}

/// Everything in `block` that the chain in it is verified by.
fn links_of(block: &Signature) -> [Option<&Envelope>; 3] {
    [
        block.enveloped_connection.as_deref(),
        block.enveloped_profile.as_deref(),
        block.enveloped_profile_mesh.as_deref(),
    ]
}

/// UDF of `mesh`, if it signed `profile`.
pub(crate) fn vouching(mesh: &Signed<ProfileMesh>, profile: &Envelope) -> Option<Udf> {
    let signers = verify::signers(ProfileAccount::TAG, profile, mesh.keys()).ok()?;
    (!signers.is_empty()).then(|| mesh.udf().clone())
}
