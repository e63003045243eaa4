//! A PIN as its maker leaves it for the other administrators of the account: encrypted to them and
//! signed by the mesh, so that neither the service nor another device can put one there that it
//! knows (service §6.4).

use zeroize::Zeroizing;

use super::kinds::{Message, MessagePin};
use super::{MessageError, Pin};
use crate::address::AccountAddress;
use crate::assertion::{AssertionError, Permission, verify};
use crate::crypto::{PublicKey, SecretKey};
use crate::dare::{Envelope, EnvelopeError};
use crate::encoding::json;
use crate::entropy::Entropy;
use crate::time::Timestamp;

/// What refusals call the message.
const TAG: &str = "MessagePIN";

/// A PIN and what it is good for.
#[derive(Debug, Clone, PartialEq)]
pub struct KeptPin {
    /// The message's identifier.
    pub message_id: String,
    /// The account that a device may connect to with it.
    pub account: AccountAddress,
    /// The PIN.
    pub pin: Pin,
    /// Until when.
    pub expires: Timestamp,
    /// What the device may do.
    pub permissions: Vec<Permission>,
}

/// Why a MessagePIN is not used.
#[derive(Debug, thiserror::Error)]
pub enum KeptPinError {
    /// It is not signed by the mesh.
    #[error("the MessagePIN does not verify")]
    Assertion(#[source] AssertionError),
    /// It is not encrypted, or not to us.
    #[error("the MessagePIN does not open")]
    Closed(#[source] EnvelopeError),
    /// It is no MessagePIN.
    #[error("the MessagePIN cannot be read")]
    Unreadable(#[source] MessageError),
    /// It lacks the PIN, the account or the time.
    #[error("the MessagePIN is not complete")]
    Incomplete,
}

impl KeptPin {
    /// The message, encrypted to `administrators` and signed by `online`, an online key of the mesh.
    ///
    /// # Errors
    /// [`EnvelopeError`]: nobody to encrypt to, or a key that cannot be agreed with.
    pub fn seal(
        &self,
        administrators: &[&PublicKey],
        online: &SecretKey,
        entropy: &mut dyn Entropy,
    ) -> Result<Envelope, EnvelopeError> {
        let message = Message::MessagePin(MessagePin {
            message_id: Some(self.message_id.clone()),
            account: Some(self.account.canonical().to_owned()),
            expires: Some(self.expires),
            pin: Some(self.pin.reveal().to_owned()),
            permissions: self.permissions.clone(),
            ..MessagePin::default()
        });
        let header = message.header(&self.message_id);
        let plaintext = Zeroizing::new(json::write(&message));
        Envelope::encrypted_and_signed(&plaintext, header, administrators, &[online], entropy)
    }

    /// Reads the message with the key of one of its recipients; `mesh_keys` may sign for the mesh.
    ///
    /// # Errors
    /// [`KeptPinError`]: its variants say when.
    pub fn open(
        envelope: &Envelope,
        key: &SecretKey,
        mesh_keys: &[PublicKey],
    ) -> Result<Self, KeptPinError> {
        verify::signed_by(TAG, envelope, mesh_keys).map_err(KeptPinError::Assertion)?;
        let master = envelope.master_key(&[key]).map_err(KeptPinError::Closed)?;
        let plaintext = envelope
            .decrypt_under(&master)
            .map_err(KeptPinError::Closed)?;
        match Message::from_json(&plaintext).map_err(KeptPinError::Unreadable)? {
            Message::MessagePin(message) => Self::of(message).ok_or(KeptPinError::Incomplete),
            _ => Err(KeptPinError::Unreadable(MessageError::TypeDiffers)),
        }
    }

    fn of(message: MessagePin) -> Option<Self> {
        let text = Zeroizing::new(message.pin?);
        Some(Self {
            message_id: message.message_id?,
            account: AccountAddress::parse(&message.account?).ok()?,
            pin: Pin::parse(&text).ok()?,
            expires: message.expires?,
            permissions: message.permissions,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::SeededEntropy;

    #[test]
    fn a_pin_is_read_by_administrators_and_believed_when_the_mesh_signed_it() {
        let entropy = &mut SeededEntropy::new(1);
        let mut key = || SecretKey::generate(entropy);
        let (online, one, other, stranger) = (key(), key(), key(), key());
        let kept = KeptPin {
            message_id: "NAAA-BBBB".into(),
            account: AccountAddress::parse("alice@example.com").unwrap(),
            pin: Pin::draw(entropy),
            expires: Timestamp::from_secs(1_583_841_600),
            permissions: vec![Permission {
                name: Some("Admin".into()),
                ..Permission::default()
            }],
        };
        let to = [one.public(), other.public()];
        let envelope = kept.seal(&to, &online, entropy).unwrap();
        let text = String::from_utf8(json::write(&envelope)).unwrap();
        assert!(!text.contains(kept.pin.reveal()));
        let mesh = [online.public().clone()];
        for key in [&one, &other] {
            assert_eq!(KeptPin::open(&envelope, key, &mesh).unwrap(), kept);
        }
        assert!(matches!(
            KeptPin::open(&envelope, &stranger, &mesh),
            Err(KeptPinError::Closed(_))
        ));
        let forged = kept.seal(&to, &stranger, entropy).unwrap();
        assert!(matches!(
            KeptPin::open(&forged, &one, &mesh),
            Err(KeptPinError::Assertion(_))
        ));
    }
}
