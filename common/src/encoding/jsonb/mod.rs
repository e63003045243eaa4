//! JSON-B: JSON with binary tokens, and the codes of JSON-C that stand for strings (crypto §9).
//!
//! A library: it reads and writes encoded data sequences (crypto §6.6) and every published
//! example, but the service does not offer it as an encoding (architecture A-18). Read are the
//! binary tokens of the draft, the member names of the reference dialect, and plain JSON mixed
//! with both; refused are dictionaries, and the number formats of JSON-D except binary16 and
//! binary32.

mod read;
#[cfg(test)]
mod tests;
mod write;

use std::collections::BTreeMap;

pub use read::{read, read_binary, read_sequence};
pub use write::{write, write_binary};

/// One value.
#[derive(Debug, Clone, PartialEq)]
pub enum Item {
    /// Nothing.
    Null,
    /// True or false.
    Boolean(bool),
    /// An integer of up to 127 bits.
    Integer(i128),
    /// A larger integer.
    BigInteger {
        /// Whether it is below zero.
        is_negative: bool,
        /// Its magnitude, big endian, without leading zeros.
        magnitude: Vec<u8>,
    },
    /// A number with a fraction.
    Float(f64),
    /// Text.
    String(String),
    /// Octets.
    Binary(Vec<u8>),
    /// Values in order.
    Array(Vec<Self>),
    /// Members in order; no name stands twice (decision Q-16).
    Object(Vec<(String, Self)>),
}

/// Values one after the other, and the codes they defined.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sequence {
    /// The values.
    pub items: Vec<Item>,
    /// The strings that codes stand for.
    pub codes: BTreeMap<u32, String>,
}

/// How member names are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// As the draft says: like any string, codes 80 to 83.
    Draft,
    /// As the reference does: codes B4 to B7, which the draft does not list.
    Reference,
}

/// Octets that are no JSON-B.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JsonBError {
    /// The octets end inside a value.
    #[error("the octets end inside the value at octet {position}")]
    Torn {
        /// Where the token starts.
        position: usize,
    },
    /// A code that begins nothing here, or something that is not read.
    #[error("code {code:#04x} at octet {position} is not read")]
    Code {
        /// The code.
        code: u8,
        /// Where it stands.
        position: usize,
    },
    /// A string that is not UTF-8, or text that is not JSON.
    #[error("the text at octet {position} is not readable")]
    Text {
        /// Where it starts.
        position: usize,
    },
    /// A code is used that nothing defined.
    #[error("nothing defines the string code {code}")]
    UnknownCode {
        /// The code.
        code: u32,
    },
    /// One object has the same member twice.
    #[error("member {name:?} stands twice in one object")]
    DuplicateMember {
        /// The member's name.
        name: String,
    },
    /// Nested deeper than [`crate::limits::JSON_DEPTH_MAX`].
    #[error("nested too deep")]
    TooDeep,
    /// Codes stand for more than [`crate::limits::JSONB_EXPANDED_BYTES_MAX`] octets together.
    #[error("the string codes stand for too much text")]
    TooLong,
    /// Octets are left behind the value.
    #[error("octets are left from octet {position}")]
    Trailing {
        /// Where they start.
        position: usize,
    },
}
