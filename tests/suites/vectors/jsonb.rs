//! `jsonbcd.json`: binary tokens, both dialects of member names, string codes, frames and encoded
//! data sequences (crypto §9).

use std::collections::BTreeMap;

use mesh_common::dare::annotation::EncodedData;
use mesh_common::dare::frame::{self, TagKind};
use mesh_common::encoding::jsonb::{self, Dialect, Item};
use serde::Deserialize;
use serde_json::Value;

use crate::count::Tally;
use crate::hex::Hex;
use crate::json_of;

#[test]
fn every_entry_of_the_file_holds() {
    let mut tally = Tally::of(json_of("jsonbcd.json"));
    tally.each("/scalars", |_, case: ScalarCase| case.check());
    tally.each("/structures", |_, case: StructureCase| case.check());
    tally.each("/tags", |_, case: TagCase| case.check());
    tally.each("/frames", |_, case: FrameCase| case.check());
    tally.each("/eds", |_, case: SequenceCase| case.check());
    assert_eq!(tally.finish(), 46);
}

/// The item that a value of the file stands for: `{"$binary": hex}` are octets.
fn item(value: &Value) -> Item {
    match value {
        Value::Null => Item::Null,
        Value::Bool(value) => Item::Boolean(*value),
        Value::String(text) => Item::String(text.clone()),
        Value::Array(values) => Item::Array(values.iter().map(item).collect()),
        Value::Number(number) => number.as_i64().map_or_else(
            || Item::Float(number.as_f64().unwrap()),
            |integer| Item::Integer(integer.into()),
        ),
        Value::Object(members) => match members.get("$binary") {
            Some(hex) => Item::Binary(serde_json::from_value::<Hex>(hex.clone()).unwrap().0),
            None => Item::Object(
                members
                    .iter()
                    .map(|(name, value)| (name.clone(), item(value)))
                    .collect(),
            ),
        },
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ScalarCase {
    source: String,
    hex: Hex,
    value: Value,
    decode: Option<bool>,
    #[serde(rename = "note")]
    _note: Option<String>,
}

impl ScalarCase {
    fn check(&self) {
        if self.decode == Some(false) {
            assert!(jsonb::read(&self.hex.0).is_err());
            return;
        }
        let item = item(&self.value);
        assert_eq!(jsonb::read(&self.hex.0), Ok(item.clone()));
        if self.source.contains("shortest form") {
            assert_eq!(self.hex, jsonb::write(&item, Dialect::Draft)[..]);
            assert_eq!(self.hex, jsonb::write(&item, Dialect::Reference)[..]);
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StructureCase {
    #[serde(rename = "source")]
    _source: String,
    dialect: String,
    hex: Hex,
    value: Value,
}

impl StructureCase {
    fn check(&self) {
        let item = item(&self.value);
        assert_eq!(jsonb::read(&self.hex.0), Ok(item.clone()));
        let dialect = match self.dialect.split(',').next().unwrap() {
            "reference dialect" => Dialect::Reference,
            "draft grammar" => Dialect::Draft,
            mixed => return assert!(mixed.starts_with("text and binary")),
        };
        assert_eq!(self.hex, jsonb::write(&item, dialect)[..]);
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TagCase {
    #[serde(rename = "source")]
    _source: String,
    hex: Hex,
    value: Option<Value>,
    values: Option<Vec<Value>>,
    defines: Option<BTreeMap<String, String>>,
    #[serde(rename = "note")]
    _note: Option<String>,
}

impl TagCase {
    fn check(&self) {
        let sequence = jsonb::read_sequence(&self.hex.0).unwrap();
        let expected: Vec<Item> = match (&self.value, &self.values) {
            (Some(value), None) => vec![item(value)],
            (None, Some(values)) => values.iter().map(item).collect(),
            _ => Vec::new(),
        };
        assert_eq!(sequence.items, expected);
        if let Some(defines) = &self.defines {
            let codes: BTreeMap<String, String> = sequence
                .codes
                .into_iter()
                .map(|(code, text)| (code.to_string(), text))
                .collect();
            assert_eq!(codes, *defines);
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FrameCase {
    #[serde(rename = "source")]
    _source: String,
    codes: Option<BTreeMap<String, Vec<Hex>>>,
    #[serde(rename = "rule")]
    _rule: Option<String>,
    lines: Option<Vec<String>>,
    #[serde(rename = "check")]
    _sum: Option<String>,
}

impl FrameCase {
    fn check(&self) {
        assert!(self.codes.is_some() != self.lines.is_some());
        if let Some(codes) = &self.codes {
            assert_eq!(codes.len(), 2);
            check_codes(TagKind::Record, &codes["uframe"]);
            check_codes(TagKind::Frame, &codes["bframe"]);
        }
        if let Some(lines) = &self.lines {
            check_lines(lines);
        }
    }
}

/// Each code begins a tag whose length has 1, 2, 4 or 8 octets, big endian.
fn check_codes(kind: TagKind, codes: &[Hex]) {
    for (code, length) in codes.iter().zip([0xff, 0xffff, 0xffff_ffff, u64::MAX]) {
        let mut tag = Vec::new();
        frame::write_tag(kind, length, &mut tag);
        assert_eq!(tag[..1], code.0);
        assert_eq!(frame::read_tag(kind, &tag), Ok(Some((length, tag.len()))));
    }
    assert_eq!(codes.len(), 4);
}

/// The tags of a printed frame, in lines: frame, records, and the frame's tag reversed. With data
/// of the lengths they state, they are what is written.
fn check_lines(lines: &[String]) {
    let tags: Vec<Vec<u8>> = lines
        .iter()
        .map(|line| {
            data_encoding::HEXLOWER
                .decode(line.replace(' ', "").as_bytes())
                .unwrap()
        })
        .collect();
    let (head, rest) = tags.split_first().unwrap();
    let (tail, records) = rest.split_last().unwrap();
    let mut reversed = head.clone();
    reversed.reverse();
    assert_eq!(*tail, reversed);
    let data: Vec<Vec<u8>> = records
        .iter()
        .map(|tag| {
            let (length, _) = frame::read_tag(TagKind::Record, tag).unwrap().unwrap();
            vec![7; usize::try_from(length).unwrap()]
        })
        .collect();
    let body: Vec<u8> = records
        .iter()
        .zip(&data)
        .flat_map(|(tag, data)| [tag.as_slice(), data].concat())
        .collect();
    let mut written = Vec::new();
    let parts: Vec<&[u8]> = data.iter().map(Vec::as_slice).collect();
    frame::write_frame(&parts, &mut written).unwrap();
    assert_eq!(written, [head.as_slice(), &body, tail].concat());
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SequenceCase {
    #[serde(rename = "source")]
    _source: String,
    hex: Hex,
    fields: Vec<Hex>,
}

impl SequenceCase {
    fn check(&self) {
        let sequence = EncodedData::read(&self.hex.0).unwrap();
        let fields = [
            Some(sequence.prefix.clone()),
            Some(sequence.body.clone()),
            sequence.tag.clone(),
        ];
        let fields: Vec<Hex> = fields.into_iter().flatten().map(Hex).collect();
        assert_eq!(fields, self.fields);
        assert_eq!(self.hex, sequence.to_octets()[..]);
    }
}
