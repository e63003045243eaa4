//! Fingerprints as text: RFC 4648 Base32 without padding, a dash after every fourth character
//! (crypto §2.1).

use data_encoding::BASE32_NOPAD;

/// Presents the first `bits` bits of `octets`: `ceil(bits / 5)` characters in groups of four.
/// Bits beyond the data are zero.
#[must_use]
pub fn present(octets: &[u8], bits: usize) -> String {
    let characters = bits.div_ceil(5);
    let mut padded = octets.to_vec();
    padded.resize(padded.len().max((characters * 5).div_ceil(8)), 0);
    let mut last_kept = characters * 5;
    // Clear what lies beyond `bits` inside the last character, so that equal values print equally.
    while last_kept > bits {
        last_kept -= 1;
        padded[last_kept / 8] &= !(0x80 >> (last_kept % 8));
    }
    let text = BASE32_NOPAD.encode(&padded);
    let mut grouped = String::with_capacity(characters + characters / 4);
    for (position, character) in text.chars().take(characters).enumerate() {
        if position > 0 && position % 4 == 0 {
            grouped.push('-');
        }
        grouped.push(character);
    }
    grouped
}

/// Reads Base32 text, ignoring case and every character outside the alphabet (crypto §2.1).
/// Bits of an incomplete last octet are dropped.
#[must_use]
pub fn read(text: &str) -> Vec<u8> {
    let mut octets = Vec::with_capacity(text.len() * 5 / 8);
    let (mut pending, mut pending_bits) = (0_u16, 0);
    for value in text.bytes().filter_map(value_of) {
        pending = (pending << 5) | u16::from(value);
        pending_bits += 5;
        if pending_bits >= 8 {
            pending_bits -= 8;
            octets.push((pending >> pending_bits) as u8);
            pending &= (1 << pending_bits) - 1;
        }
    }
    octets
}

fn value_of(character: u8) -> Option<u8> {
    match character.to_ascii_uppercase() {
        letter @ b'A'..=b'Z' => Some(letter - b'A'),
        digit @ b'2'..=b'7' => Some(digit - b'2' + 26),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_presented_is_read_back() {
        let octets: Vec<u8> = (0..20).collect();
        assert_eq!(read(&present(&octets, 160)), octets);
        assert_eq!(present(&[0xff; 20], 140).len(), 28 + 6);
        assert_eq!(read("mdjk-hijz og7o"), read("MDJKHIJZOG7O"));
    }
}
