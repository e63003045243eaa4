//! What a message that another service posts proves by itself, established by the front-end: no
//! account is needed for it (service §7.4 checks 3 to 5; X-50; decisions ).

use crate::account::intake::{ForwardingService, IntakeMessage, MessageSender};
use crate::account::policy::AccountPolicy;
use crate::account::post::check_block;
use crate::account::upload::{Prepared, RESPOND_CONNECTION, Verdict};
use crate::address::AccountAddress;
use crate::assertion::{AssertionError, Authority, ProfileAccount, ProfileMesh, Signed, verify};
use crate::dare::{ContainerKind, Envelope, Signature};
use crate::error::ServiceError;
use crate::limits::CHAINS_PER_REQUEST_MAX;
use crate::message::{
    Follow, Identified, Message, RespondConnection, accredited_block, identify, vouching,
};
use crate::protocol::Code;
use crate::udf::Udf;

/// What a refusal calls a message.
const TAG: &str = "message";

/// Checks the message that `service` posts for `recipient`, and says who sent it: the entry of the
/// sending account's `ServiceIDs` in the domain of that service, so that a service speaks only for its
/// own accounts.
///
/// # Errors
/// 413/8 for its size, 400/100 for form and identifier, 400/102 for its encryption, 422/115 and
/// 422/116 for signature and chain, 403/5 for a sender of another domain and for one or a recipient
/// that is not who can be read in it.
pub fn evidence(
    envelope: Envelope,
    service: ForwardingService,
    recipient: &AccountAddress,
    policy: &AccountPolicy,
    follow: Follow<'_>,
) -> Result<IntakeMessage, ServiceError> {
    let one = Prepared::whole(&envelope, ContainerKind::Inbound, policy).map_err(refusal_of)?;
    check_block(&one).map_err(refusal_of)?;
    let (payload_digest, block_bytes) = (one.payload_digest, one.block_octets());
    let identified = identify(&envelope)
        .map_err(|error| ServiceError::new(Code::Malformed, error.to_string()))?;
    let author = Author::of(&envelope, &identified, follow).map_err(|error| error.refusal())?;
    let address = author.address_in(&service, &identified)?;
    check_recipient(&identified, recipient, &service)?;
    Ok(IntakeMessage {
        sender: MessageSender {
            address,
            account_udf: author.account.udf().clone(),
            mesh_udf: author.mesh_udf,
            signed_by: Some(author.signed_by),
        },
        service: Some(service),
        unique_id: identified.unique_id,
        message_type: identified.message_type,
        payload_digest,
        envelope,
        block_bytes,
    })
}

fn refusal_of(verdict: Verdict) -> ServiceError {
    match verdict {
        Verdict::Reject(rejection) => rejection.error,
        Verdict::Accept(_) | Verdict::Conflict(_) => {
            ServiceError::new(Code::Malformed, "the message is not acceptable in a spool")
        }
    }
}

/// The account that signed a message.
struct Author {
    account: Signed<ProfileAccount>,
    /// The mesh, if it vouches for the account.
    mesh_udf: Option<Udf>,
    signed_by: Udf,
}

impl Author {
    fn of(
        envelope: &Envelope,
        identified: &Identified,
        follow: Follow<'_>,
    ) -> Result<Self, AssertionError> {
        match (accredited_block(envelope), &identified.message) {
            (Some(block), _) => Self::of_device(envelope, block, follow),
            (None, Some(Message::RespondConnection(answer))) => Self::of_answer(envelope, answer),
            (None, _) => Err(AssertionError::Unsigned { tag: TAG }),
        }
    }

    /// A device signed, and carries the chain to the account in the signature block.
    fn of_device(
        envelope: &Envelope,
        block: &Signature,
        follow: Follow<'_>,
    ) -> Result<Self, AssertionError> {
        let verified = follow(block)?;
        let chain = verified.chain();
        chain.check_signed(envelope, block)?;
        Ok(Self {
            account: chain.profile.clone(),
            mesh_udf: verified.vouching().cloned(),
            signed_by: chain.connection.udf().clone(),
        })
    }

    /// An online key of the mesh signed the answer to a device that asked a hailing account (service
    /// §6.5, decision Q-19). What it answers with holds the profiles of mesh and account.
    fn of_answer(envelope: &Envelope, answer: &RespondConnection) -> Result<Self, AssertionError> {
        let missing = |member| AssertionError::Missing {
            tag: RESPOND_CONNECTION,
            member,
        };
        let entry = answer
            .cataloged_device
            .as_ref()
            .ok_or_else(|| missing("CatalogedDevice"))?;
        let mesh = entry
            .enveloped_profile_mesh
            .as_ref()
            .ok_or_else(|| missing("EnvelopedProfileMesh"))?;
        let mesh = ProfileMesh::verify(mesh)?;
        let signers = verify::signers(TAG, envelope, mesh.keys())?;
        let signed_by = signers
            .into_iter()
            .next()
            .ok_or(AssertionError::Unsigned { tag: TAG })?;
        let authority = Authority::from(&mesh);
        let profiles = entry.accounts.iter().take(CHAINS_PER_REQUEST_MAX);
        let account = profiles
            .filter_map(|account| account.enveloped_profile_account.as_ref())
            // A key of the mesh speaks for accounts that the mesh itself has signed for.
            .filter(|profile| vouching(&mesh, profile).is_some())
            .find_map(|profile| ProfileAccount::verify(profile, Some(&authority)).ok())
            .ok_or_else(|| missing("Accounts"))?;
        Ok(Self {
            account,
            mesh_udf: Some(mesh.udf().clone()),
            signed_by,
        })
    }

    /// The address the message is sent from (service §7.4 check 5): that of the account at the
    /// forwarding service. Of several the one that the message names, else the first.
    fn address_in(
        &self,
        service: &ForwardingService,
        identified: &Identified,
    ) -> Result<AccountAddress, ServiceError> {
        let mut own = self
            .account
            .service_ids
            .iter()
            .filter_map(|text| AccountAddress::parse(text).ok())
            .filter(|address| address.domain() == service.domain);
        let stated = identified.message.as_ref().and_then(Message::sender);
        let found = match stated {
            None => own.next(),
            Some(text) => {
                let stated = AccountAddress::parse(text).ok();
                own.find(|address| Some(address) == stated.as_ref())
            }
        };
        found.ok_or_else(|| {
            misaddressed(
                service,
                "its sender is no account of the forwarding service",
            )
        })
    }
}

/// Whom the message can be read to be for is whom it is posted to.
fn check_recipient(
    identified: &Identified,
    recipient: &AccountAddress,
    service: &ForwardingService,
) -> Result<(), ServiceError> {
    let stated = identified.message.as_ref().and_then(Message::recipient);
    let agrees = stated.is_none_or(|text| AccountAddress::parse(text).as_ref() == Ok(recipient));
    if agrees {
        Ok(())
    } else {
        Err(misaddressed(service, "it is addressed to somebody else"))
    }
}

fn misaddressed(service: &ForwardingService, why: &str) -> ServiceError {
    super::refused().with_context(format!("a message of {} is refused: {why}", service.domain))
}
