//! Reading JSON-B: lenient about which tokens a value is made of, strict about everything else.

use std::collections::{BTreeMap, HashSet};

use super::{Item, JsonBError, Sequence};
use crate::encoding::json;
use crate::limits::{JSON_DEPTH_MAX, JSONB_EXPANDED_BYTES_MAX};

/// Reads the one value that `octets` are.
///
/// # Errors
/// [`JsonBError`].
pub fn read(octets: &[u8]) -> Result<Item, JsonBError> {
    let mut reader = Reader::new(octets);
    let item = reader.value(0)?;
    reader.space();
    if reader.position < octets.len() {
        return Err(JsonBError::Trailing {
            position: reader.position,
        });
    }
    Ok(item)
}

/// Reads values until the octets end. A definition alone is no value, but its code is kept.
///
/// # Errors
/// [`JsonBError`].
pub fn read_sequence(octets: &[u8]) -> Result<Sequence, JsonBError> {
    let mut reader = Reader::new(octets);
    let mut items = Vec::new();
    loop {
        reader.definitions()?;
        if reader.position >= octets.len() {
            break;
        }
        items.push(reader.value(0)?);
    }
    Ok(Sequence {
        items,
        codes: reader.codes,
    })
}

/// Reads one binary value from the start of `octets`; returns it and what is left.
///
/// # Errors
/// [`JsonBError::Torn`], [`JsonBError::Code`].
pub fn read_binary(octets: &[u8]) -> Result<(Vec<u8>, &[u8]), JsonBError> {
    let mut reader = Reader::new(octets);
    let binary = reader.chunks(BINARY)?;
    Ok((binary, &octets[reader.position..]))
}

/// First code of strings, of binary values and of names; the next three have longer lengths.
const STRING: u8 = 0x80;
const BINARY: u8 = 0x88;
const NAME: u8 = 0xb4;

struct Reader<'a> {
    octets: &'a [u8],
    position: usize,
    codes: BTreeMap<u32, String>,
    expanded_bytes: usize,
}

impl<'a> Reader<'a> {
    const fn new(octets: &'a [u8]) -> Self {
        Self {
            octets,
            position: 0,
            codes: BTreeMap::new(),
            expanded_bytes: 0,
        }
    }

    /// The value that starts here; definitions before it are taken in.
    fn value(&mut self, depth: usize) -> Result<Item, JsonBError> {
        self.definitions()?;
        let code = self.peek()?;
        Ok(match code {
            0x80..=0x87 => Item::String(self.string()?),
            0x88..=0x8f => Item::Binary(self.chunks(BINARY)?),
            0x90..=0x92 => Item::Float(self.float()?),
            0xa0..=0xa4 | 0xa7..=0xac | 0xaf => self.integer()?,
            0xb0 => self.literal(Item::Boolean(true)),
            0xb1 => self.literal(Item::Boolean(false)),
            0xb2 => self.literal(Item::Null),
            0xc0..=0xc2 | 0xc8..=0xca => Item::String(self.coded()?),
            b'"' => Item::String(self.quoted()?),
            b'[' => self.array(depth)?,
            b'{' => self.object(depth)?,
            b'-' | b'0'..=b'9' | b't' | b'f' | b'n' => self.word()?,
            _ => return Err(self.refused()),
        })
    }

    /// Takes in definitions that yield no value: C4 to C6.
    fn definitions(&mut self) -> Result<(), JsonBError> {
        loop {
            self.space();
            match self.octets.get(self.position) {
                Some(0xc4..=0xc6) => {
                    self.definition(0xc4)?;
                }
                _ => return Ok(()),
            }
        }
    }

    /// The string that a code stands for, defined here (C8 to CA) or before (C0 to C2).
    fn coded(&mut self) -> Result<String, JsonBError> {
        let text = if self.peek()? >= 0xc8 {
            self.definition(0xc8)?
        } else {
            let code = self.code(0xc0)?;
            self.codes
                .get(&code)
                .cloned()
                .ok_or(JsonBError::UnknownCode { code })?
        };
        self.expanded_bytes += text.len();
        if self.expanded_bytes > JSONB_EXPANDED_BYTES_MAX {
            return Err(JsonBError::TooLong);
        }
        Ok(text)
    }

    fn definition(&mut self, first: u8) -> Result<String, JsonBError> {
        let code = self.code(first)?;
        self.space();
        let text = match self.peek()? {
            0x80..=0x87 => self.string()?,
            b'"' => self.quoted()?,
            _ => return Err(self.refused()),
        };
        self.codes.insert(code, text.clone());
        Ok(text)
    }

    /// A string code of 1, 2 or 4 octets behind one of three codes.
    fn code(&mut self, first: u8) -> Result<u32, JsonBError> {
        let width = 1 << (self.peek()? - first);
        let octets = self.token(1, width)?;
        Ok(octets
            .iter()
            .fold(0, |code, octet| code << 8 | u32::from(*octet)))
    }

    fn string(&mut self) -> Result<String, JsonBError> {
        let position = self.position;
        String::from_utf8(self.chunks(STRING)?).map_err(|_| JsonBError::Text { position })
    }

    /// Chunks up to the last: `first` to `first + 3` end the value, the next four do not.
    fn chunks(&mut self, first: u8) -> Result<Vec<u8>, JsonBError> {
        let mut value = Vec::new();
        loop {
            let code = self.peek()?;
            if !(first..first + 8).contains(&code) {
                return Err(self.refused());
            }
            value.extend_from_slice(self.counted(code & 3)?);
            if code < first + 4 {
                return Ok(value);
            }
        }
    }

    /// The octets behind a code and a length of `1 << width` octets.
    fn counted(&mut self, width: u8) -> Result<&'a [u8], JsonBError> {
        let torn = JsonBError::Torn {
            position: self.position,
        };
        let length = self
            .token(1, 1 << width)?
            .iter()
            .fold(0, |length: u64, octet| length << 8 | u64::from(*octet));
        let length = usize::try_from(length).map_err(|_| torn)?;
        self.token(0, length)
    }

    fn float(&mut self) -> Result<f64, JsonBError> {
        let code = self.peek()?;
        let octets = self.token(1, 2 << (code - 0x90))?;
        let bits = octets
            .iter()
            .fold(0, |bits: u64, octet| bits << 8 | u64::from(*octet));
        Ok(match code {
            0x90 => half(bits as u16),
            0x91 => f32::from_bits(bits as u32).into(),
            _ => f64::from_bits(bits),
        })
    }

    fn integer(&mut self) -> Result<Item, JsonBError> {
        let code = self.peek()?;
        let is_negative = code & 8 != 0;
        let magnitude = match code & 7 {
            width @ 0..=4 => self.token(1, 1 << width)?,
            _ => {
                let length = self.token(1, 2)?;
                self.token(0, usize::from(length[0]) << 8 | usize::from(length[1]))?
            }
        };
        let start = magnitude.iter().take_while(|octet| **octet == 0).count();
        let magnitude = &magnitude[start..];
        let is_small = magnitude.len() < 16 || magnitude.len() == 16 && magnitude[0] < 0x80;
        if !is_small {
            return Ok(Item::BigInteger {
                is_negative,
                magnitude: magnitude.to_vec(),
            });
        }
        let value = magnitude
            .iter()
            .fold(0, |value: i128, octet| value << 8 | i128::from(*octet));
        Ok(Item::Integer(if is_negative { -value } else { value }))
    }

    fn array(&mut self, depth: usize) -> Result<Item, JsonBError> {
        self.enter(depth)?;
        let mut items = Vec::new();
        while !self.closes(b']')? {
            items.push(self.value(depth + 1)?);
            self.separator(b',');
        }
        Ok(Item::Array(items))
    }

    fn object(&mut self, depth: usize) -> Result<Item, JsonBError> {
        self.enter(depth)?;
        let mut members = Vec::new();
        let mut names = HashSet::new();
        while !self.closes(b'}')? {
            let name = self.name()?;
            if !names.insert(name.clone()) {
                return Err(JsonBError::DuplicateMember { name });
            }
            self.separator(b':');
            members.push((name, self.value(depth + 1)?));
            self.separator(b',');
        }
        Ok(Item::Object(members))
    }

    fn enter(&mut self, depth: usize) -> Result<(), JsonBError> {
        if depth == JSON_DEPTH_MAX {
            return Err(JsonBError::TooDeep);
        }
        self.position += 1;
        Ok(())
    }

    /// Takes the closing octet, if it stands here.
    fn closes(&mut self, close: u8) -> Result<bool, JsonBError> {
        self.definitions()?;
        let is_closed = self.peek()? == close;
        self.position += usize::from(is_closed);
        Ok(is_closed)
    }

    /// A member's name: quoted, as a string, as a name, or a code for a string.
    fn name(&mut self) -> Result<String, JsonBError> {
        let position = self.position;
        match self.peek()? {
            b'"' => self.quoted(),
            0x80..=0x87 => self.string(),
            code @ 0xb4..=0xb7 => String::from_utf8(self.counted(code - NAME)?.to_vec())
                .map_err(|_| JsonBError::Text { position }),
            0xc0..=0xc2 | 0xc8..=0xca => self.coded(),
            _ => Err(self.refused()),
        }
    }

    /// A string in quotes, read as JSON is (decision Q-16).
    fn quoted(&mut self) -> Result<String, JsonBError> {
        let position = self.position;
        let mut end = position + 1;
        loop {
            match self.octets.get(end) {
                None => return Err(JsonBError::Torn { position }),
                Some(b'"') => break,
                Some(b'\\') => end += 2,
                Some(_) => end += 1,
            }
        }
        let text = self.token(0, end + 1 - position)?;
        json::parse(text).map_err(|_| JsonBError::Text { position })
    }

    /// A number or a literal in text.
    fn word(&mut self) -> Result<Item, JsonBError> {
        let position = self.position;
        let length = self.octets[position..]
            .iter()
            .take_while(
                |octet| matches!(octet, b'+' | b'-' | b'.' | b'0'..=b'9' | b'a'..=b'z' | b'E'),
            )
            .count();
        let text = self.token(0, length)?;
        let error = JsonBError::Text { position };
        match json::parse(text).map_err(|_| error.clone())? {
            serde_json::Value::Null => Ok(Item::Null),
            serde_json::Value::Bool(value) => Ok(Item::Boolean(value)),
            serde_json::Value::Number(number) => number
                .as_i128()
                .map(Item::Integer)
                .or_else(|| number.as_f64().map(Item::Float))
                .ok_or(error),
            _ => Err(error),
        }
    }

    const fn literal(&mut self, item: Item) -> Item {
        self.position += 1;
        item
    }

    /// White space, which may stand between any two tokens.
    fn space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.octets.get(self.position) {
            self.position += 1;
        }
    }

    /// A separator of text JSON, which binary tokens do without.
    fn separator(&mut self, separator: u8) {
        self.space();
        self.position += usize::from(self.octets.get(self.position) == Some(&separator));
        self.space();
    }

    /// Skips `skip` octets and takes the next `length`.
    fn token(&mut self, skip: usize, length: usize) -> Result<&'a [u8], JsonBError> {
        let torn = JsonBError::Torn {
            position: self.position,
        };
        let start = self.position + skip;
        let end = start.checked_add(length).ok_or_else(|| torn.clone())?;
        let token = self.octets.get(start..end).ok_or(torn)?;
        self.position = end;
        Ok(token)
    }

    fn peek(&self) -> Result<u8, JsonBError> {
        self.octets
            .get(self.position)
            .copied()
            .ok_or(JsonBError::Torn {
                position: self.position,
            })
    }

    fn refused(&self) -> JsonBError {
        JsonBError::Code {
            code: self.octets[self.position],
            position: self.position,
        }
    }
}

/// IEEE binary16.
fn half(bits: u16) -> f64 {
    let sign = if bits & 0x8000 == 0 { 1.0 } else { -1.0 };
    let exponent = i32::from(bits >> 10 & 0x1f);
    let fraction = f64::from(bits & 0x3ff);
    let magnitude = match exponent {
        0 => fraction * 2_f64.powi(-24),
        31 if fraction == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        _ => (fraction + 1024.0) * 2_f64.powi(exponent - 25),
    };
    sign * magnitude
}
