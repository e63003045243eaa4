//! Who a message is from: the device's connection and the account's profile stand in the signature
//! block of its envelope (service §7.2, X-50; decisions ).

use crate::assertion::{
    Assertion, AssertionError, Authority, ConnectionAccount, ProfileAccount, ProfileMesh, Signed,
    verify,
};
use crate::crypto::SecretKey;
use crate::dare::{Envelope, Signature};
use crate::udf::Udf;

/// What a refusal calls the message.
const TAG: &str = "message";

/// The chain from a message's signature to the account it is from, checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Accreditation {
    /// The account.
    pub profile: Signed<ProfileAccount>,
    /// The device that signed.
    pub connection: Signed<ConnectionAccount>,
    /// The mesh, where the account is signed by it alone (decision Q-13).
    pub mesh: Option<Signed<ProfileMesh>>,
    /// SHA-512 of the message's payload.
    pub digest: [u8; 64],
}

/// The part of an accreditation that all messages of one device share: the account, its device, and
/// perhaps the mesh.
#[derive(Debug, Clone, PartialEq)]
pub struct Chain {
    /// The account.
    pub profile: Signed<ProfileAccount>,
    /// The device.
    pub connection: Signed<ConnectionAccount>,
    /// The mesh, where the account is signed by it alone (decision Q-13).
    pub mesh: Option<Signed<ProfileMesh>>,
}

/// The signature of `envelope` that carries a chain: the first with a connection.
#[must_use]
pub fn accredited_block(envelope: &Envelope) -> Option<&Signature> {
    envelope
        .signatures()
        .iter()
        .find(|block| block.enveloped_connection.is_some())
}

impl Chain {
    /// Follows the chain in a signature block: the connection is signed by the account, the account
    /// by itself or by its mesh.
    ///
    /// # Errors
    /// [`AssertionError`]; `Missing` if the block lacks the connection or the profile.
    pub fn verify(block: &Signature) -> Result<Self, AssertionError> {
        let missing = |member| AssertionError::Missing { tag: TAG, member };
        let mesh = block
            .enveloped_profile_mesh
            .as_deref()
            .map(ProfileMesh::verify)
            .transpose()?;
        let profile = ProfileAccount::verify(
            block
                .enveloped_profile
                .as_deref()
                .ok_or_else(|| missing("EnvelopedProfile"))?,
            mesh.as_ref().map(Authority::from).as_ref(),
        )?;
        let connection = ConnectionAccount::verify(
            block
                .enveloped_connection
                .as_deref()
                .ok_or_else(|| missing("EnvelopedConnection"))?,
            &Authority::from(&profile),
            None,
        )?;
        Ok(Self {
            profile,
            connection,
            mesh,
        })
    }

    /// Insists that the device of this chain made the signature of `envelope` that `block` is, and
    /// gives the digest of what it signed.
    ///
    /// # Errors
    /// [`AssertionError`].
    pub fn check_signed(
        &self,
        envelope: &Envelope,
        block: &Signature,
    ) -> Result<[u8; 64], AssertionError> {
        self.check_kid(block)?;
        verify::signed_by(TAG, envelope, self.connection.keys())
    }

    /// Insists that a signature is said to be made by the device of this chain.
    ///
    /// # Errors
    /// [`AssertionError::Mismatch`].
    pub fn check_kid(&self, block: &Signature) -> Result<(), AssertionError> {
        if super::names(block.kid.as_deref(), self.connection.udf()) {
            return Ok(());
        }
        Err(AssertionError::Mismatch {
            tag: ConnectionAccount::TAG,
            member: "KeySignature",
        })
    }
}

impl Accreditation {
    /// Follows the chain: the message is signed by the connection's KeySignature, the connection by
    /// the account, the account by itself or by its mesh.
    ///
    /// # Errors
    /// [`AssertionError`]; `Unsigned` if no signature carries a connection.
    pub fn verify(envelope: &Envelope) -> Result<Self, AssertionError> {
        let block = accredited_block(envelope).ok_or(AssertionError::Unsigned { tag: TAG })?;
        let chain = Chain::verify(block)?;
        let digest = chain.check_signed(envelope, block)?;
        Ok(Self {
            profile: chain.profile,
            connection: chain.connection,
            mesh: chain.mesh,
            digest,
        })
    }

    /// Whether it leads to the account `udf` of the mesh `mesh_udf`, as they are known from before.
    ///
    /// A profile that its mesh alone signs may name anybody's KeyOfflineSignature, and with it
    /// anybody's UDF: such a chain counts only if it comes from the mesh that is known (decision
    ///
    #[must_use]
    pub fn leads_to(&self, udf: &Udf, mesh_udf: Option<&str>) -> bool {
        self.profile.udf() == udf
            && match &self.mesh {
                None => true,
                Some(mesh) => super::names(mesh_udf, mesh.udf()),
            }
    }
}

/// Signs `envelope` by the device key `signer`, with the chain to the account in the signature
/// block. `mesh` is needed where the account is signed by its mesh alone.
pub fn accredit(
    envelope: &mut Envelope,
    signer: &SecretKey,
    connection: &Envelope,
    profile: &Envelope,
    mesh: Option<&Envelope>,
) {
    envelope.add_signature(signer);
    attach_chain(envelope, &signer.udf(), connection, profile, mesh);
}

/// Puts the chain to the account into the block of the last signature of `envelope`, if `signer`
/// made it: for envelopes that were encrypted and signed at once, with a witness.
pub fn attach_chain(
    envelope: &mut Envelope,
    signer: &Udf,
    connection: &Envelope,
    profile: &Envelope,
    mesh: Option<&Envelope>,
) {
    let block: Option<&mut Signature> = envelope
        .trailer
        .as_mut()
        .and_then(|trailer| trailer.signatures.last_mut())
        .filter(|block| block.names(signer));
    if let Some(block) = block {
        block.enveloped_connection = Some(Box::new(connection.clone()));
        block.enveloped_profile = Some(Box::new(profile.clone()));
        block.enveloped_profile_mesh = mesh.cloned().map(Box::new);
    }
}
