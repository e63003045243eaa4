//! Octets that the vectors write in hexadecimal.

use std::fmt;

use data_encoding::HEXLOWER;
use num_bigint::BigUint;
use serde::{Deserialize, Deserializer, de};

/// Octets written in lower-case hexadecimal.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Hex(pub(crate) Vec<u8>);

impl Hex {
    /// The octets, if there are `N`.
    pub(crate) fn sized<const N: usize>(&self) -> [u8; N] {
        self.0.as_slice().try_into().expect("octets of this length")
    }
}

impl fmt::Debug for Hex {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&HEXLOWER.encode(&self.0))
    }
}

impl PartialEq<[u8]> for Hex {
    fn eq(&self, other: &[u8]) -> bool {
        self.0 == other
    }
}

impl<'de> Deserialize<'de> for Hex {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        HEXLOWER
            .decode(text.as_bytes())
            .map(Self)
            .map_err(de::Error::custom)
    }
}

/// A number written in decimal.
pub(crate) fn decimal(text: &str) -> BigUint {
    text.parse().expect("a decimal number")
}
