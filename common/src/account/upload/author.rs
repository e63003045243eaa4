//! Who signed a message that stays within the account or is sent from it (service §7.1, §7.2;
//! decisions ). The front-end verified the signatures; here is what they
//! must be for which message, and whether the device that signed is still connected.

use super::Upload;
use super::ledger::Ledger;
use super::prepare::Prepared;
use super::spool::{Readable, tag_of};
use super::verdict::Verdict;
use crate::account::state::BootstrapPhase;
use crate::cluster::{MessageEvidence, MessageSigners, SigningDevice};
use crate::protocol::Code;
use crate::session::Mode;

/// The administrator's answer to a device that asks to be connected.
pub(in crate::account) const RESPOND_CONNECTION: &str = "RespondConnection";
/// The PIN a device may connect with.
const MESSAGE_PIN: &str = "MessagePIN";

impl Upload<'_> {
    /// Who signed the envelope at `position` of the request: nobody, if it is not signed.
    ///
    /// # Errors
    /// The Reject: 422/115 for a signature that does not verify, 422/116 for a chain that does not
    /// lead from a connected device to this account.
    pub(in crate::account) fn signers(
        &self,
        ledger: &Ledger,
        one: &Prepared<'_>,
        position: usize,
    ) -> Result<MessageSigners, Verdict> {
        if one.envelope.signatures().is_empty() || self.is_interop() {
            return Ok(MessageSigners::default());
        }
        match self.message_evidence(position) {
            Some(MessageEvidence::Valid(signers)) => {
                if let Some(device) = &signers.device {
                    check_connected(ledger, device)?;
                }
                Ok(signers.clone())
            }
            Some(MessageEvidence::Invalid(error)) => Err(error.clone().into()),
            None => Err(Verdict::reject(
                Code::InvalidSignature,
                "the signatures of the message have not been verified",
            )),
        }
    }

    /// Checks the author of a message that stays within the account. RespondConnection and
    /// MessagePIN are an administrator's and are signed; the others may be, since the device that
    /// brings them is authenticated.
    ///
    /// # Errors
    /// The Reject: 401/3, or as [`signers`](Self::signers).
    pub(super) fn check_author(
        &self,
        ledger: &Ledger,
        one: &Prepared<'_>,
        readable: Option<&Readable>,
        position: usize,
    ) -> Result<(), Verdict> {
        let signers = self.signers(ledger, one, position)?;
        match tag_of(one, readable) {
            Some(RESPOND_CONNECTION) => self.check_respond(&signers),
            Some(MESSAGE_PIN) => {
                self.access.require_administrator()?;
                if signers.device.is_some() || signers.online_key.is_some() || self.is_interop() {
                    return Ok(());
                }
                Err(unsigned("a device of the account or an online key"))
            }
            _ => Ok(()),
        }
    }

    /// RespondConnection is an administrator's, signed by an online key (decision Q-19).
    ///
    /// # Errors
    /// The Reject: 401/3 or 422/115.
    pub(in crate::account) fn check_respond(
        &self,
        signers: &MessageSigners,
    ) -> Result<(), Verdict> {
        self.access.require_administrator()?;
        if signers.online_key.is_some() || self.is_interop() {
            Ok(())
        } else {
            Err(unsigned("an online key of the account or its mesh"))
        }
    }

    /// In interop mode nobody signs (decision Q-39).
    pub(in crate::account) fn is_interop(&self) -> bool {
        self.scene.request.caller.mode == Mode::Interop
    }

    fn message_evidence(&self, position: usize) -> Option<&MessageEvidence> {
        let messages = &self.scene.request.evidence.content()?.messages;
        let place = messages.binary_search_by_key(&position, |(place, _)| *place);
        place.ok().map(|place| &messages[place].1)
    }
}

/// The device that signed is one of the account's now. While the Device catalog has not taken over,
/// nobody can say which those are.
fn check_connected(ledger: &Ledger, device: &SigningDevice) -> Result<(), Verdict> {
    let is_connected = ledger.devices.live.values().any(|entry| {
        let facts = entry.facts.as_ref();
        facts.is_some_and(|facts| facts.connection_digests.contains(&device.connection_digest))
    });
    if is_connected || ledger.phase != BootstrapPhase::Closed {
        return Ok(());
    }
    Err(Verdict::reject(
        Code::InvalidProfile,
        "the message is signed by a device that is not connected to the account",
    ))
}

/// The Reject of a message without the signature it needs.
pub(in crate::account) fn unsigned(signer: &str) -> Verdict {
    Verdict::reject(
        Code::InvalidSignature,
        format!("the message is not signed by {signer}"),
    )
}
