//! From the octets of a file to octets that can be cut into records: byte-order marks, UTF-16,
//! line ends. First step of every import; nothing is lost in it.

use std::borrow::Cow;

/// A file as the importers see it: UTF-8, or octets of an unknown encoding.
#[derive(Debug)]
pub(super) struct Source<'a> {
    octets: Cow<'a, [u8]>,
}

/// One line of a source.
#[derive(Debug, Clone, Copy)]
pub(super) struct Line<'a> {
    /// Its number, counted from 1.
    pub(super) number: usize,
    /// Where it starts in the source.
    pub(super) start: usize,
    /// The line with its end.
    pub(super) whole: &'a [u8],
}

impl<'a> Source<'a> {
    /// Removes a byte-order mark and turns UTF-16 into UTF-8.
    pub(super) fn new(file: &'a [u8]) -> Self {
        let octets = match file {
            [0xEF, 0xBB, 0xBF, rest @ ..] => Cow::Borrowed(rest),
            [0xFF, 0xFE, rest @ ..] => Cow::Owned(from_utf16(rest, u16::from_le_bytes)),
            [0xFE, 0xFF, rest @ ..] => Cow::Owned(from_utf16(rest, u16::from_be_bytes)),
            other => Cow::Borrowed(other),
        };
        Self { octets }
    }

    /// All octets.
    pub(super) fn octets(&self) -> &[u8] {
        &self.octets
    }

    /// Whether there is nothing but white space.
    pub(super) fn is_blank(&self) -> bool {
        is_blank(&self.octets)
    }

    /// The lines, ended by LF, CR LF, or CR in a file that has no LF.
    pub(super) fn lines(&self) -> impl Iterator<Item = Line<'_>> {
        lines(&self.octets)
    }
}

/// The lines of some octets, ended by LF, CR LF, or CR where there is no LF.
pub(super) fn lines(octets: &[u8]) -> impl Iterator<Item = Line<'_>> {
    let end = if octets.contains(&b'\n') {
        b'\n'
    } else {
        b'\r'
    };
    let mut start = 0;
    octets
        .split_inclusive(move |octet| *octet == end)
        .enumerate()
        .map(move |(index, whole)| {
            let line = Line {
                number: index + 1,
                start,
                whole,
            };
            start += whole.len();
            line
        })
}

impl<'a> Line<'a> {
    /// The line without its end and without white space before it.
    pub(super) fn trimmed(&self) -> &'a [u8] {
        self.whole.trim_ascii_end()
    }

    /// Where the line ends in the source, its end included.
    pub(super) const fn end(&self) -> usize {
        self.start + self.whole.len()
    }
}

/// Whether octets are white space only.
pub(super) fn is_blank(octets: &[u8]) -> bool {
    octets.trim_ascii().is_empty()
}

/// UTF-16 as UTF-8. A lone surrogate becomes the three octets it would have in UTF-8, and a last
/// odd octet stays as it is: both are no UTF-8, so whatever holds them is kept as octets.
fn from_utf16(octets: &[u8], unit: fn([u8; 2]) -> u16) -> Vec<u8> {
    let (pairs, odd) = octets.as_chunks::<2>();
    let mut result = Vec::with_capacity(octets.len());
    for decoded in char::decode_utf16(pairs.iter().map(|pair| unit(*pair))) {
        match decoded {
            Ok(letter) => result.extend(letter.encode_utf8(&mut [0; 4]).bytes()),
            Err(error) => {
                let surrogate = error.unpaired_surrogate();
                let [high, low] = surrogate.to_be_bytes();
                result.extend([
                    0xE0 | (high >> 4),
                    0x80 | ((high & 0x0F) << 2) | (low >> 6),
                    0x80 | (low & 0x3F),
                ]);
            }
        }
    }
    result.extend(odd);
    result
}

/// Octets as text for reading members out of them: UTF-8 or, where they are not, Windows-1252,
/// which is what old programs wrote. The octets themselves are kept elsewhere.
pub(super) fn legible(octets: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(octets) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => Cow::Owned(octets.iter().map(|octet| windows_1252(*octet)).collect()),
    }
}

/// The letter of an octet in Windows-1252; the five octets it leaves free are control characters.
fn windows_1252(octet: u8) -> char {
    const FROM_80_TO_9F: [char; 32] = [
        '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8D}', 'Ž',
        '\u{8F}', '\u{90}', '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9D}',
        'ž', 'Ÿ',
    ];
    match octet {
        0x80..=0x9F => FROM_80_TO_9F[usize::from(octet - 0x80)],
        other => char::from(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn byte_order_marks_are_removed_and_utf_16_is_read() {
        assert_eq!(Source::new(b"\xEF\xBB\xBFabc").octets(), b"abc");
        for swap in [false, true] {
            let mut file = Vec::new();
            for unit in "\u{FEFF}Ærø 🌊".encode_utf16() {
                file.extend(if swap {
                    unit.to_be_bytes()
                } else {
                    unit.to_le_bytes()
                });
            }
            assert_eq!(Source::new(&file).octets(), "Ærø 🌊".as_bytes());
        }
    }

    #[test]
    fn broken_utf_16_stays_distinguishable() {
        let lone_surrogate = Source::new(b"\xFF\xFEa\x00\x00\xD8");
        assert_eq!(lone_surrogate.octets(), b"a\xED\xA0\x80");
        assert_eq!(Source::new(b"\xFF\xFEa\x00\xE9").octets(), b"a\xE9");
    }

    #[test]
    fn lines_end_with_lf_crlf_or_lone_cr() {
        let trimmed = |octets: &'static [u8]| -> Vec<&[u8]> {
            lines(octets).map(|line| line.trimmed()).collect()
        };
        assert_eq!(trimmed(b"a\nb\n\nc"), [b"a" as &[u8], b"b", b"", b"c"]);
        assert_eq!(trimmed(b"a\r\n b\r\n"), [b"a" as &[u8], b" b"]);
        assert_eq!(trimmed(b"a\rb\r"), [b"a" as &[u8], b"b"]);
        assert_eq!(
            lines(b"a\nbc\nd")
                .map(|line| line.end())
                .collect::<Vec<_>>(),
            [2, 5, 6]
        );
    }

    #[test]
    fn octets_that_are_no_utf_8_are_read_as_windows_1252() {
        assert_eq!(legible(b"M\xFCller \x80 5"), "Müller € 5");
        assert_eq!(legible("Müller".as_bytes()), "Müller");
    }
}
