//! Writing JSON-B: the shortest form of every length, no separators.

use super::{Dialect, Item};

/// Writes `item`.
#[must_use]
pub fn write(item: &Item, dialect: Dialect) -> Vec<u8> {
    let mut octets = Vec::new();
    append(&mut octets, item, dialect);
    octets
}

/// Writes `data` as one binary value.
#[must_use]
pub fn write_binary(data: &[u8]) -> Vec<u8> {
    let mut octets = Vec::with_capacity(data.len() + 9);
    counted(&mut octets, 0x88, data);
    octets
}

fn append(octets: &mut Vec<u8>, item: &Item, dialect: Dialect) {
    match item {
        Item::Null => octets.push(0xb2),
        Item::Boolean(true) => octets.push(0xb0),
        Item::Boolean(false) => octets.push(0xb1),
        Item::Integer(value) => {
            integer(octets, *value < 0, &value.unsigned_abs().to_be_bytes());
        }
        Item::BigInteger {
            is_negative,
            magnitude,
        } => integer(octets, *is_negative, magnitude),
        Item::Float(value) => {
            octets.push(0x92);
            octets.extend(value.to_bits().to_be_bytes());
        }
        Item::String(text) => counted(octets, 0x80, text.as_bytes()),
        Item::Binary(data) => counted(octets, 0x88, data),
        Item::Array(items) => {
            octets.push(b'[');
            for item in items {
                append(octets, item, dialect);
            }
            octets.push(b']');
        }
        Item::Object(members) => {
            octets.push(b'{');
            for (name, item) in members {
                let code = match dialect {
                    Dialect::Draft => 0x80,
                    Dialect::Reference => 0xb4,
                };
                counted(octets, code, name.as_bytes());
                append(octets, item, dialect);
            }
            octets.push(b'}');
        }
    }
}

/// An integer in 1, 2, 4 or 8 octets, or else as a big integer; 65 535 octets at most.
fn integer(octets: &mut Vec<u8>, is_negative: bool, magnitude: &[u8]) {
    let sign = if is_negative { 8 } else { 0 };
    let start = magnitude.iter().take_while(|octet| **octet == 0).count();
    let magnitude = &magnitude[start.min(magnitude.len().saturating_sub(1))..];
    if magnitude.len() <= 8 {
        let width = magnitude.len().next_power_of_two();
        octets.push(0xa0 + sign + width.trailing_zeros() as u8);
        octets.extend(std::iter::repeat_n(0, width - magnitude.len()));
    } else {
        let magnitude_bytes = u16::try_from(magnitude.len()).unwrap_or(u16::MAX);
        octets.push(0xa7 + sign);
        octets.extend(magnitude_bytes.to_be_bytes());
    }
    octets.extend(magnitude);
}

/// Code, length and octets, with the shortest length of 1, 2, 4 or 8 octets.
fn counted(octets: &mut Vec<u8>, first: u8, data: &[u8]) {
    let length = (data.len() as u64).to_be_bytes();
    let width = match data.len() {
        0..=0xff => 0,
        0x100..=0xffff => 1,
        0x1_0000..=0xffff_ffff => 2,
        _ => 3,
    };
    octets.push(first + width);
    octets.extend(&length[8 - (1 << width)..]);
    octets.extend(data);
}
