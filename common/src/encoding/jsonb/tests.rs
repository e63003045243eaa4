//! JSON-B: what is written is read, torn and foreign octets are refused.

use proptest::prelude::*;

use super::*;
use crate::limits::JSON_DEPTH_MAX;

fn items() -> impl Strategy<Value = Item> {
    let leaf = prop_oneof![
        Just(Item::Null),
        any::<bool>().prop_map(Item::Boolean),
        any::<i64>().prop_map(|value| Item::Integer(value.into())),
        (i128::MIN + 1..i128::MAX).prop_map(Item::Integer),
        prop::collection::vec(any::<u8>(), 17..40).prop_map(|mut magnitude| {
            magnitude[0] |= 1;
            Item::BigInteger {
                is_negative: magnitude[1] & 1 == 1,
                magnitude,
            }
        }),
        (-1e30..1e30).prop_map(Item::Float),
        ".{0,20}".prop_map(Item::String),
        prop::collection::vec(any::<u8>(), 0..300).prop_map(Item::Binary),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Item::Array),
            prop::collection::btree_map(".{0,8}", inner, 0..6)
                .prop_map(|members| Item::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read(item in items()) {
        for dialect in [Dialect::Draft, Dialect::Reference] {
            let octets = write(&item, dialect);
            prop_assert_eq!(read(&octets), Ok(item.clone()));
            for end in 0..octets.len() {
                prop_assert!(read(&octets[..end]).is_err());
            }
        }
    }

    #[test]
    fn any_octets_are_an_item_or_an_error(octets in prop::collection::vec(any::<u8>(), 0..64)) {
        if let Ok(item) = read(&octets) {
            prop_assert!(read(&write(&item, Dialect::Reference)).is_ok());
        }
    }
}

#[test]
fn json_itself_is_read() {
    let item = read(br#" { "a" : [ 1, -2.5, true, false, null, "\u0062\n" ] , "b":{} } "#).unwrap();
    let Item::Object(members) = item else {
        panic!("an object");
    };
    assert_eq!(
        members[0].1,
        Item::Array(vec![
            Item::Integer(1),
            Item::Float(-2.5),
            Item::Boolean(true),
            Item::Boolean(false),
            Item::Null,
            Item::String("b\n".into()),
        ])
    );
}

#[test]
fn short_floats_are_read() {
    for (octets, value) in [
        (&[0x90, 0x3c, 0x00][..], 1.0),
        (&[0x90, 0xc0, 0x00], -2.0),
        (&[0x90, 0x00, 0x01], 5.960_464_477_539_063e-8),
        (&[0x90, 0x7c, 0x00], f64::INFINITY),
        (&[0x91, 0x3f, 0x80, 0x00, 0x00], 1.0),
    ] {
        assert_eq!(read(octets), Ok(Item::Float(value)));
    }
}

#[test]
fn what_is_not_read_is_refused() {
    for octets in [
        &[0xa5, 0, 1, 0x42][..], // p-int256 of JSON-D
        &[0x94, 0],              // binary128
        &[0xcc, 0],              // dictionary
        &[0xd0, 0],              // dictionary
        &[0xf0, 0],              // record
        &[0xb4, 0],              // a name is no value
        &[0xc4, 1, 0xa0, 1],     // a code for something else than a string
        b"]",
        b"tru",
        b"01",
        b"\"\x01\"",
        &[0x80, 1, 0xff],
    ] {
        assert!(read(octets).is_err(), "{octets:02x?}");
    }
    assert_eq!(
        read(&[b'{', 0xb4, 1, b'a', 0xb2, 0x80, 1, b'a', 0xb2, b'}']),
        Err(JsonBError::DuplicateMember { name: "a".into() })
    );
    assert_eq!(read(&[0xc0, 7]), Err(JsonBError::UnknownCode { code: 7 }));
    assert_eq!(read(&[b'['; JSON_DEPTH_MAX + 1]), Err(JsonBError::TooDeep));
    assert_eq!(
        read(&[0xb2, 0xb2]),
        Err(JsonBError::Trailing { position: 1 })
    );
}

#[test]
fn codes_cannot_stand_for_more_than_their_bound() {
    let mut octets = vec![b'[', 0xc8, 1];
    octets.extend(write(&Item::String("x".repeat(60_000)), Dialect::Draft));
    for _ in 0..2_000 {
        octets.extend([0xc0, 1]);
    }
    octets.push(b']');
    assert_eq!(read(&octets), Err(JsonBError::TooLong));
}
