//! What is done to a valid request: to its octets, to the JSON it is, to the head of HTTP.

use mesh_common::entropy::{Entropy as _, SeededEntropy, draw};
use serde_json::{Map, Number, Value};

/// Chance that is the same for the same seed.
#[derive(Debug)]
pub(crate) struct Dice(SeededEntropy);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(SeededEntropy::new(seed))
    }

    /// A number below `bound`, which is above 0.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        let drawn = u64::from_be_bytes(draw(&mut self.0));
        usize::try_from(drawn % bound as u64).expect("a number below a usize is one")
    }

    pub(crate) fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }

    pub(crate) fn octets(&mut self, length: usize) -> Vec<u8> {
        let mut octets = vec![0; length];
        self.0.fill(&mut octets);
        octets
    }

    pub(crate) fn array<const N: usize>(&mut self) -> [u8; N] {
        draw(&mut self.0)
    }

    fn range(&mut self, length: usize) -> (usize, usize) {
        let (one, other) = (self.below(length + 1), self.below(length + 1));
        (one.min(other), one.max(other))
    }
}

/// Changes octets in one to three ways.
pub(crate) fn octets(dice: &mut Dice, mut text: Vec<u8>) -> Vec<u8> {
    for _ in 0..=dice.below(3) {
        if text.is_empty() {
            return dice.octets(8);
        }
        change_octets(dice, &mut text);
    }
    text
}

fn change_octets(dice: &mut Dice, text: &mut Vec<u8>) {
    let place = dice.below(text.len());
    match dice.below(8) {
        0 => text[place] ^= 1 << dice.below(8),
        1 => text[place] = dice.array::<1>()[0],
        2 => text.truncate(place),
        3 => {
            let (from, to) = dice.range(text.len());
            text.drain(from..to);
        }
        4 => {
            let (from, to) = dice.range(text.len());
            let copy = text[from..to.min(from + 65_536)].to_vec();
            text.splice(place..place, copy);
        }
        5 => {
            let length = 1 + dice.below(16);
            let noise = dice.octets(length);
            text.splice(place..place, noise);
        }
        6 => {
            let other = dice.below(text.len());
            text.swap(place, other);
        }
        _ => {
            let pieces: [&[u8]; 8] = [
                b"\"",
                b"{",
                b"]",
                b",",
                b"\\u0000",
                b"\\ud800",
                b"\x00",
                b"\xff\xfe",
            ];
            let piece = dice.pick(&pieces).to_vec();
            text.splice(place..place, piece);
        }
    }
}

/// Changes a place or two of a JSON text; sometimes in ways that no `Value` can hold.
pub(crate) fn json(dice: &mut Dice, text: &[u8]) -> Vec<u8> {
    let Ok(mut value) = serde_json::from_slice::<Value>(text) else {
        return octets(dice, text.to_vec());
    };
    // One change mostly: two make it likely that the first thing read is refused.
    for _ in 0..=dice.below(4) / 3 {
        change_json(dice, &mut value);
    }
    let written = value.to_string();
    match dice.below(10) {
        0 => with_member_twice(dice, &written),
        1 => with_odd_number(dice, &written),
        2 => nested(dice, &written),
        _ => written.into_bytes(),
    }
}

fn change_json(dice: &mut Dice, value: &mut Value) {
    let places = count(value);
    let place = dice.below(places);
    let other = {
        let other = dice.below(places);
        nth(value, other).cloned().unwrap_or_default()
    };
    let Some(node) = nth_mut(value, place) else {
        return;
    };
    match dice.below(10) {
        0 => *node = odd_value(dice),
        1 => *node = other,
        2 => change_members(dice, node),
        3 => *node = Value::Array(vec![node.clone(), node.clone()]),
        4 => {
            let copies = dice.pick(&[2, 3, 20, 65, 130, 501]);
            *node = Value::Array(vec![node.clone(); copies]);
        }
        5 => {
            let name = dice.pick(&["Status", "x", "", "Header", "Envelopes"]);
            *node = Value::Object(Map::from_iter([(name.to_owned(), node.clone())]));
        }
        _ => change_leaf(dice, node),
    }
}

fn change_members(dice: &mut Dice, node: &mut Value) {
    match node {
        Value::Object(members) if !members.is_empty() => {
            let name = members
                .keys()
                .nth(dice.below(members.len()))
                .cloned()
                .unwrap_or_default();
            let value = members.remove(&name).unwrap_or_default();
            match dice.below(4) {
                0 => {}
                1 => drop(members.insert(name.to_lowercase(), value)),
                2 => drop(members.insert(format!("{name}\u{0}"), value)),
                _ => {
                    members.insert(name, odd_value(dice));
                    members.insert("Unknown".to_owned(), value);
                }
            }
        }
        Value::Array(items) if !items.is_empty() => {
            let (one, other) = (dice.below(items.len()), dice.below(items.len()));
            items.swap(one, other);
            if dice.below(2) == 0 {
                items.remove(one);
            }
        }
        other => *other = odd_value(dice),
    }
}

fn change_leaf(dice: &mut Dice, node: &mut Value) {
    match node {
        Value::String(text) => {
            let changed = octets(dice, std::mem::take(text).into_bytes());
            *text = String::from_utf8_lossy(&changed).into_owned();
        }
        Value::Number(number) => {
            let before = number.as_i64().unwrap_or_default();
            let step = dice.pick(&[1, -1, 2, 100, i64::MAX / 2]);
            *number = Number::from(before.wrapping_add(step));
        }
        other => *other = odd_value(dice),
    }
}

fn odd_value(dice: &mut Dice) -> Value {
    match dice.below(14) {
        0 => Value::Null,
        1 => Value::Bool(true),
        2 => Value::from(u64::MAX),
        3 => Value::from(i64::MIN),
        4 => Value::from(1e300),
        5 => Value::from(0),
        6 => Value::from(""),
        7 => Value::from("x".repeat(dice.pick(&[1, 33, 65, 1_025, 17_000, 70_000]))),
        8 => Value::from("\u{0}\u{202e}\u{1f600}\u{fffd}"),
        9 => Value::from("9999-12-31T23:59:59.999999999Z"),
        10 => Value::from("-0001-01-01T00:00:00Z"),
        11 => Value::Array(Vec::new()),
        12 => Value::Object(Map::new()),
        _ => Value::from(dice.below(usize::MAX)),
    }
}

/// The text with one member written twice.
fn with_member_twice(dice: &mut Dice, text: &str) -> Vec<u8> {
    let opens: Vec<usize> = text.match_indices("{\"").map(|(at, _)| at).collect();
    let Some(&at) = opens.get(dice.below(opens.len().max(1))) else {
        return text.as_bytes().to_vec();
    };
    let name_end = text[at + 2..]
        .find('"')
        .map_or(text.len(), |end| at + 2 + end);
    let name = &text[at + 2..name_end];
    format!("{}{{\"{name}\":0,{}", &text[..at], &text[at + 1..]).into_bytes()
}

/// The text with numbers that no machine has.
fn with_odd_number(dice: &mut Dice, text: &str) -> Vec<u8> {
    let odd = dice.pick(&[
        "1e400",
        "-1e400",
        "18446744073709551616",
        "-9223372036854775809",
        "1E-400",
        "0.1",
        "-0",
        "NaN",
        "0x10",
        "00",
    ]);
    let digits: Vec<usize> = text
        .match_indices(|letter: char| letter.is_ascii_digit())
        .map(|(at, _)| at)
        .collect();
    match digits.get(dice.below(digits.len().max(1))) {
        Some(&at) => format!("{}{odd}{}", &text[..at], &text[at + 1..]).into_bytes(),
        None => odd.as_bytes().to_vec(),
    }
}

/// The text deep inside arrays or objects.
fn nested(dice: &mut Dice, text: &str) -> Vec<u8> {
    let depth = dice.pick(&[10, 62, 63, 64, 65, 66, 1_000, 20_000]);
    let (open, close) = dice.pick(&[("[", "]"), ("{\"a\":", "}")]);
    let at = text.find(':').map_or(0, |colon| colon + 1);
    let (head, rest) = text.split_at(at);
    let (inner, tail) = rest.split_at(rest.len().saturating_sub(usize::from(at > 0)));
    let (opens, closes) = (open.repeat(depth), close.repeat(depth));
    format!("{head}{opens}{inner}{closes}{tail}").into_bytes()
}

fn count(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(count).sum(),
        Value::Object(members) => members.values().map(count).sum(),
        _ => 0,
    }
}

fn nth(value: &Value, place: usize) -> Option<&Value> {
    fn seek<'a>(value: &'a Value, place: &mut usize) -> Option<&'a Value> {
        if *place == 0 {
            return Some(value);
        }
        *place -= 1;
        match value {
            Value::Array(items) => items.iter().find_map(|item| seek(item, place)),
            Value::Object(members) => members.values().find_map(|item| seek(item, place)),
            _ => None,
        }
    }
    seek(value, &mut { place })
}

fn nth_mut(value: &mut Value, place: usize) -> Option<&mut Value> {
    fn seek<'a>(value: &'a mut Value, place: &mut usize) -> Option<&'a mut Value> {
        if *place == 0 {
            return Some(value);
        }
        *place -= 1;
        match value {
            Value::Array(items) => items.iter_mut().find_map(|item| seek(item, place)),
            Value::Object(members) => members.values_mut().find_map(|item| seek(item, place)),
            _ => None,
        }
    }
    seek(value, &mut { place })
}

/// A head for `body` with something wrong about it, and the body.
pub(crate) fn head(dice: &mut Dice, body: &[u8]) -> Vec<u8> {
    let sound = format!(
        "POST /.well-known/mmm HTTP/1.1\r\nHost: localhost\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let odd_line = |line: &str| sound.replacen("\r\n\r\n", &format!("\r\n{line}\r\n\r\n"), 1);
    let text = match dice.below(15) {
        0 => sound.replacen("POST", dice.pick(&["GET", "HEAD", "BREW", "", "post"]), 1),
        1 => sound.replacen(
            "/.well-known/mmm",
            dice.pick(&["/", "*", "//", "/%00", "x"]),
            1,
        ),
        2 => sound.replacen(
            "localhost",
            dice.pick(&["", "example.org", "\u{e9}", "a:b:c"]),
            1,
        ),
        3 => sound.replacen(
            "application/json",
            dice.pick(&["text/html", "", ";", "*/*"]),
            1,
        ),
        4 => sound.replacen(
            &format!("Content-Length: {}", body.len()),
            dice.pick(&[
                "Content-Length: -1",
                "Content-Length: 99999999999999999999",
                "Content-Length: 3000000",
                "Content-Length: 7",
                "Content-Length: x",
                "Transfer-Encoding: chunked",
                "Transfer-Encoding: gzip, chunked",
            ]),
            1,
        ),
        5 => odd_line("Content-Length: 1"),
        6 => odd_line("Transfer-Encoding: chunked"),
        7 => odd_line("Content-Encoding: gzip"),
        8 => odd_line(&format!("X-Long: {}", "x".repeat(dice.below(200_000)))),
        9 => odd_line(&"X-Many: x\r\n".repeat(1 + dice.below(300))),
        10 => odd_line("Expect: 100-continue"),
        11 => odd_line("Connection: upgrade\r\nUpgrade: h2c"),
        12 => sound.replacen(
            "HTTP/1.1",
            dice.pick(&["HTTP/1.0", "HTTP/2.0", "HTTP/9", ""]),
            1,
        ),
        13 => sound.replace("\r\n", dice.pick(&["\n", "\r", "\r\n "])),
        _ => {
            let mut octets = octets(dice, sound.into_bytes());
            octets.extend_from_slice(body);
            return octets;
        }
    };
    let mut octets = text.into_bytes();
    octets.extend_from_slice(body);
    octets
}
