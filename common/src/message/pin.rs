//! Connecting a device by a PIN: what proves to each side that the other knows it, without sending
//! it (service §6.4, X-43 and X-45, decisions ).

use std::fmt;

use zeroize::Zeroizing;

use crate::address::{AccountAddress, AddressError};
use crate::crypto::PublicKey;
use crate::crypto::derive::hmac512;
use crate::encoding::base32;
use crate::entropy::Entropy;
use crate::udf::{self, Udf, UdfError};

/// Bits of PinUDF and Witness: 52 characters.
const PROOF_BITS: usize = 260;
/// What a PIN's URI begins with.
const PIN_SCHEME: &str = "mcu://";

/// A PIN: a nonce UDF of at least 80 bits that travels out of band.
#[derive(Clone, PartialEq, Eq)]
pub struct Pin(Zeroizing<String>);

impl Pin {
    /// Draws a PIN of 80 bits.
    pub fn draw(entropy: &mut dyn Entropy) -> Self {
        Self(Zeroizing::new(udf::pin(entropy).to_string()))
    }

    /// Reads what a person typed, ignoring case and grouping.
    ///
    /// # Errors
    /// Too few letters to be one.
    pub fn parse(text: &str) -> Result<Self, UdfError> {
        Udf::parse(text).map(|udf| Self(Zeroizing::new(udf.to_string())))
    }

    /// The text for the person who is to type it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// `PinUDF` of the RequestConnection of `device` (its KeyOfflineSignature).
    #[must_use]
    pub fn request_udf(
        &self,
        account: &AccountAddress,
        client_nonce: &[u8],
        device: &PublicKey,
    ) -> String {
        self.proof(&[
            b"request",
            account.canonical().as_bytes(),
            client_nonce,
            &device.udf_binary(),
        ])
    }

    /// `Witness` of the RespondConnection by an administrator of `mesh` (its KeyOfflineSignature).
    #[must_use]
    pub fn respond_witness(
        &self,
        account: &AccountAddress,
        client_nonce: &[u8],
        server_nonce: &[u8],
        device: &PublicKey,
        mesh: &PublicKey,
    ) -> String {
        self.proof(&[
            b"respond",
            account.canonical().as_bytes(),
            client_nonce,
            server_nonce,
            &device.udf_binary(),
            &mesh.udf_binary(),
        ])
    }

    /// The presentation of a MAC over `items`, each preceded by its length.
    fn proof(&self, items: &[&[u8]]) -> String {
        let key = Zeroizing::new(hmac512(b"mmm-pin-1", &[&self.secret()]));
        let lengths: Vec<[u8; 4]> = items
            .iter()
            .map(|item| {
                u32::try_from(item.len())
                    .expect("addresses, nonces and fingerprints are far below 4 GiB")
                    .to_be_bytes()
            })
            .collect();
        let parts: Vec<&[u8]> = lengths
            .iter()
            .zip(items)
            .flat_map(|(length, item)| [length.as_slice(), item])
            .collect();
        let mut presented = vec![0];
        presented.extend_from_slice(&hmac512(key.as_slice(), &parts));
        base32::present(&presented, PROOF_BITS)
    }

    /// The octets of the PIN behind its type octet.
    fn secret(&self) -> Zeroizing<Vec<u8>> {
        let mut octets = Zeroizing::new(base32::read(&self.0));
        if !octets.is_empty() {
            octets.remove(0);
        }
        octets
    }
}

impl fmt::Debug for Pin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Pin(…)")
    }
}

/// A PIN and the account it is for, as one text to hand over: `mcu://alice@example.com/NCGD-…`
/// (service §6.4).
#[derive(Clone, PartialEq, Eq)]
pub struct PinUri {
    /// The account.
    pub account: AccountAddress,
    /// The PIN.
    pub pin: Pin,
}

/// A text that is no PIN with its account.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PinUriError {
    /// Not of the form `mcu://user@domain/PIN`.
    #[error("not a mcu:// URI")]
    Form,
    /// The address in it is none.
    #[error("the mcu:// URI names no account")]
    Account(#[source] AddressError),
    /// The PIN in it is none.
    #[error("the mcu:// URI holds no PIN")]
    Pin(#[source] UdfError),
}

impl PinUri {
    /// Reads the URI.
    ///
    /// # Errors
    /// [`PinUriError`]: its variants say when.
    pub fn parse(text: &str) -> Result<Self, PinUriError> {
        let rest = text.trim();
        let rest = match rest.split_at_checked(PIN_SCHEME.len()) {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case(PIN_SCHEME) => rest,
            _ => return Err(PinUriError::Form),
        };
        let (account, pin) = rest.rsplit_once('/').ok_or(PinUriError::Form)?;
        Ok(Self {
            account: AccountAddress::parse(account).map_err(PinUriError::Account)?,
            pin: Pin::parse(pin).map_err(PinUriError::Pin)?,
        })
    }

    /// The text, which holds the PIN.
    #[must_use]
    pub fn reveal(&self) -> Zeroizing<String> {
        let account = self.account.canonical();
        Zeroizing::new(format!("{PIN_SCHEME}{account}/{}", self.pin.reveal()))
    }
}

impl fmt::Debug for PinUri {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "PinUri({})", self.account.canonical())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::SeededEntropy;

    #[test]
    fn a_pin_and_its_account_are_read_as_they_are_written() {
        let uri = PinUri {
            account: AccountAddress::parse("Alice@Example.com").unwrap(),
            pin: Pin::draw(&mut SeededEntropy::new(1)),
        };
        let text = uri.reveal();
        assert!(text.starts_with("mcu://alice@example.com/N"), "{}", *text);
        assert_eq!(PinUri::parse(&text), Ok(uri.clone()));
        assert_eq!(PinUri::parse(&text.replace("mcu", "MCU")), Ok(uri.clone()));
        assert_eq!(format!("{uri:?}"), "PinUri(alice@example.com)");
        for text in [
            "",
            "mcu:",
            "mcu://alice@example.com",
            "udf://a@b.c/NAAA-AAAA",
        ] {
            assert_eq!(PinUri::parse(text), Err(PinUriError::Form), "{text}");
        }
        assert!(PinUri::parse("mcu://alice/NAAA-AAAA").is_err());
        assert!(PinUri::parse("mcu://alice@example.com/N").is_err());
    }
}
