//! Looking for a secret in octets, however it may have been written there.

use data_encoding::{BASE64, BASE64URL, HEXLOWER, HEXUPPER};

/// The forms a text or key can have in a file: as it is, in two byte orders of UTF-16, as
/// hexadecimal digits, and in base64 of both alphabets behind one, two or no octets of something else.
pub(crate) fn forms(secret: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let wide = |order: fn(u16) -> [u8; 2]| -> Vec<u8> {
        secret
            .iter()
            .flat_map(|&octet| order(octet.into()))
            .collect()
    };
    let mut forms = vec![
        ("plain", secret.to_vec()),
        ("UTF-16LE", wide(u16::to_le_bytes)),
        ("UTF-16BE", wide(u16::to_be_bytes)),
        ("hex", HEXLOWER.encode(secret).into_bytes()),
        ("HEX", HEXUPPER.encode(secret).into_bytes()),
    ];
    for before in 0..3 {
        for (name, alphabet) in [("base64", &BASE64), ("base64url", &BASE64URL)] {
            let mut octets = vec![0; before];
            octets.extend_from_slice(secret);
            let text = alphabet.encode(&octets).into_bytes();
            // Only the characters that no neighbour has a share in.
            let (from, to) = ((before * 8).div_ceil(6), octets.len() * 8 / 6);
            forms.push((name, text[from..to].to_vec()));
        }
    }
    forms
}

/// The forms of `secret` that are found in `octets`.
pub(crate) fn found(octets: &[u8], secret: &[u8]) -> Vec<&'static str> {
    forms(secret)
        .into_iter()
        .filter(|(_, form)| contains(octets, form))
        .map(|(name, _)| name)
        .collect()
}

/// Whether `octets` hold `part`: by its first octet, then by comparison.
fn contains(octets: &[u8], part: &[u8]) -> bool {
    let Some((&first, _)) = part.split_first() else {
        return false;
    };
    let mut rest = octets;
    while let Some(place) = rest.iter().position(|&octet| octet == first) {
        rest = &rest[place..];
        if rest.starts_with(part) {
            return true;
        }
        rest = &rest[1..];
    }
    false
}

#[test]
fn a_secret_is_found_in_every_form_it_can_have() {
    let secret = b"marker-of-this-test";
    for (name, form) in forms(secret) {
        let octets = [b"before ".as_slice(), &form, b" behind"].concat();
        assert!(found(&octets, secret).contains(&name), "{name}");
    }
    for before in ["", "a", "ab", "abc"] {
        let text = format!("{before}marker-of-this-test and more");
        let inner = BASE64URL.encode(text.as_bytes());
        assert_eq!(
            found(inner.as_bytes(), secret),
            ["base64", "base64url"],
            "{before}"
        );
    }
    assert!(found(b"nothing of the kind", secret).is_empty());
}
