//! One message for others, checked in itself (service §7.2): size, identifier, signature and chain,
//! sender; then whether site and device permit its type.

use crate::account::upload::{
    Ledger, Prepared, RESPOND_CONNECTION, Readable, Upload, Verdict, check_agreement,
    check_identifier, tag_of, unsigned,
};
use crate::address::AccountAddress;
use crate::assertion::{grants, names_tag};
use crate::cluster::MessageSigners;
use crate::dare::{ContainerKind, Envelope};
use crate::limits::MESSAGE_BLOCK_BYTES_MAX;
use crate::protocol::Code;
use crate::udf::Udf;

/// Messages that never leave an account, whatever the settings say (service §7.1).
const NOT_FOR_OTHERS: [&str; 4] = [
    "MessageComplete",
    "MessagePIN",
    "RequestConnection",
    "AcknowledgeConnection",
];

/// A message that is acceptable in itself.
#[derive(Debug)]
pub(super) struct Outgoing<'a> {
    pub(super) one: Prepared<'a>,
    pub(super) unique_id: String,
    /// Its tag.
    pub(super) tag: String,
    signers: MessageSigners,
}

impl<'a> Outgoing<'a> {
    /// Checks the message at `position` of the request.
    ///
    /// # Errors
    /// The Reject: 413/8 for its size, 400/100 for identifier, type and form, 422/115 for a missing
    /// or wrong signature, 422/116 for a chain from elsewhere, 401/2 for another Sender.
    pub(super) fn of(
        upload: &Upload<'_>,
        ledger: &Ledger,
        envelope: &'a Envelope,
        position: usize,
    ) -> Result<Self, Verdict> {
        let one = Prepared::whole(envelope, ContainerKind::Outbound, upload.scene.policy)?;
        check_block(&one)?;
        let readable = Readable::of(envelope);
        if readable.is_none() && !envelope.header.is_encrypted() {
            return Err(malformed("the message is neither readable nor encrypted"));
        }
        // What is no text would be compared with nothing here, and be unreadable to its recipients.
        if readable.as_ref().is_some_and(|readable| readable.is_odd) {
            return Err(malformed("MessageID and Sender of a message are texts"));
        }
        let unique_id = check_identifier(&one)?.to_owned();
        check_agreement(&one, readable.as_ref())?;
        let tag = tag_of(&one, readable.as_ref())
            .ok_or_else(|| malformed("an encrypted message states its MessageType"))?
            .to_owned();
        let signers = upload.signers(ledger, &one, position)?;
        check_signed(upload, &tag, &signers)?;
        check_sender(upload, readable.as_ref())?;
        Ok(Self {
            one,
            unique_id,
            tag,
            signers,
        })
    }

    /// Whether messages of this type may be sent: as the site has it, and as the device's connection
    /// permits.
    ///
    /// # Errors
    /// The Reject: 403/5 by the site, 401/2 for the device, 401/3 without an administrator.
    pub(super) fn permitted(self, upload: &Upload<'_>) -> Result<Self, Verdict> {
        let tag = self.tag.as_str();
        let allowed = &upload.scene.policy.outbound_types;
        if NOT_FOR_OTHERS.contains(&tag) || !allowed.iter().any(|name| names_tag(name, tag)) {
            return Err(Verdict::reject(
                Code::Refused,
                "messages of this type are not sent to other accounts from here",
            ));
        }
        if tag == RESPOND_CONNECTION {
            upload.check_respond(&self.signers)?;
            return Ok(self);
        }
        let device = self.signers.device.as_ref();
        if device.is_some_and(|device| !grants(&device.permissions, tag)) {
            return Err(Verdict::reject(
                Code::NotAuthorized,
                "the device that signed is not permitted to send messages of this type",
            ));
        }
        Ok(self)
    }

    /// Octets of its header and trailer.
    pub(super) fn block_octets(&self) -> usize {
        self.one.block_octets()
    }

    /// Octets of its payload.
    pub(super) fn payload_octets(&self) -> usize {
        self.one.envelope.payload.0.len()
    }

    /// The key whose signature says who it is from.
    pub(super) fn signed_by(&self) -> Option<Udf> {
        let device = self.signers.device.as_ref();
        device
            .map(|device| device.key_udf.clone())
            .or_else(|| self.signers.online_key.clone())
    }
}

/// Header and trailer within their bound.
///
/// # Errors
/// The Reject: 413/8.
pub(in crate::account) fn check_block(one: &Prepared<'_>) -> Result<(), Verdict> {
    let octets = one.block_octets();
    if octets <= MESSAGE_BLOCK_BYTES_MAX {
        return Ok(());
    }
    let max = MESSAGE_BLOCK_BYTES_MAX;
    Err(Verdict::beyond(
        Code::TooLarge,
        format!(
            "header and trailer of a message for others have at most {max} octets, these have {octets}"
        ),
        max as u64,
    ))
}

/// A message is signed by a device that carries its accreditation (P 9.1.1, X-50). RespondConnection
/// is signed by an online key, whose account the receiving device knows (decision Q-19).
fn check_signed(upload: &Upload<'_>, tag: &str, signers: &MessageSigners) -> Result<(), Verdict> {
    if signers.device.is_some() || upload.is_interop() {
        return Ok(());
    }
    if tag == RESPOND_CONNECTION && signers.online_key.is_some() {
        return Ok(());
    }
    Err(unsigned(
        "a device whose connection to the account stands in the signature block",
    ))
}

/// Who can be read to be the sender is the account that posts.
fn check_sender(upload: &Upload<'_>, readable: Option<&Readable>) -> Result<(), Verdict> {
    let Some(sender) = readable.and_then(|readable| readable.sender.as_deref()) else {
        return Ok(());
    };
    if AccountAddress::parse(sender).as_ref() == Ok(&upload.state.record.address) {
        return Ok(());
    }
    Err(Verdict::reject(
        Code::NotAuthorized,
        "the Sender of a message is the account that posts it",
    ))
}

fn malformed(message: &str) -> Verdict {
    Verdict::reject(Code::Malformed, message)
}
