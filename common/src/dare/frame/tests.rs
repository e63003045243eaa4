//! Frames as the drafts and other writers form them, and octets that are none.

use proptest::prelude::*;

use super::*;

fn framed(records: &[&[u8]]) -> Vec<u8> {
    let mut octets = Vec::new();
    write_frame(records, &mut octets).unwrap();
    octets
}

fn any_records() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let record = prop_oneof![
        8 => prop::collection::vec(any::<u8>(), 0..40),
        1 => (250_usize..262).prop_map(|length| vec![0xf4; length]),
        1 => (65_530_usize..65_540).prop_map(|length| vec![0xf6; length]),
    ];
    prop::collection::vec(record, 0..=3)
}

fn any_file() -> impl Strategy<Value = (Vec<Vec<Vec<u8>>>, Vec<u8>)> {
    prop::collection::vec(any_records(), 0..12).prop_map(|frames| {
        let mut octets = Vec::new();
        for records in &frames {
            let slices: Vec<&[u8]> = records.iter().map(Vec::as_slice).collect();
            write_frame(&slices, &mut octets).unwrap();
        }
        (frames, octets)
    })
}

#[test]
fn the_smallest_example_of_the_reference_is_written_and_read() {
    let octets = framed(&[b"Header ", b"Data "]);
    assert_eq!(octets, b"\xf4\x10\xf0\x07Header \xf0\x05Data \x10\xf4");
    let frame = Frame::read(&octets, 0).unwrap().unwrap();
    assert_eq!(frame.records(), [&b"Header "[..], b"Data "]);
    assert_eq!(
        (frame.header(), frame.trailer()),
        (&b"Header "[..], &b""[..])
    );
    assert_eq!(Frame::read_back(&octets, octets.len()), Ok(Some(frame)));
    assert_eq!(Frame::read(&octets, octets.len()), Ok(None));
    assert_eq!(Frame::read_back(&octets, 0), Ok(None));
}

#[test]
fn lengths_in_any_width_are_read() {
    let octets = b"\xf6\x00\x00\x00\x0b\xf3\0\0\0\0\0\0\0\x02Hi\x0b\x00\x00\x00\xf6";
    let frame = Frame::read(octets, 0).unwrap().unwrap();
    assert_eq!(frame.records(), [b"Hi"]);
    assert_eq!(Frame::read_back(octets, octets.len()), Ok(Some(frame)));
}

#[test]
fn reserved_and_misplaced_codes_are_refused() {
    for code in [0, b'{', 0xef, 0xf0, 0xf3, 0xf8, 0xff] {
        let octets = [code, 0, 0, code];
        for outcome in [Frame::read(&octets, 0), Frame::read_back(&octets, 4)] {
            assert!(
                matches!(outcome, Err(FrameError::Code { code: found, .. }) if found == code),
                "{code:#x}: {outcome:?}"
            );
        }
    }
    let frame_in_frame = b"\xf4\x04\xf4\x00\x00\xf4\x04\xf4";
    assert_eq!(
        Frame::read(frame_in_frame, 0),
        Err(FrameError::Code {
            code: 0xf4,
            position: 2,
            expected: TagKind::Record
        })
    );
}

#[test]
fn records_that_do_not_fill_the_frame_are_refused() {
    for octets in [
        &b"\xf4\x03\xf0\x05H\x03\xf4"[..],
        b"\xf4\x01\xf0\x01\xf4",
        b"\xf4\x02\xf1\x00\x02\xf4",
        b"\xf4\x08\xf0\x00\xf0\x00\xf0\x00\xf0\x00\x08\xf4",
    ] {
        assert_eq!(
            Frame::read(octets, 0),
            Err(FrameError::Records { position: 0 }),
            "{octets:x?}"
        );
        assert!(Frame::read_back(octets, octets.len()).is_err());
    }
    let four: [&[u8]; 4] = [&[]; 4];
    let mut out = Vec::new();
    assert!(write_frame(&four, &mut out).is_err());
    assert!(out.is_empty());
}

#[test]
fn a_frame_ends_in_its_own_tag() {
    let good = framed(&[b"Header ", b"Data "]);
    for position in [good.len() - 1, good.len() - 2] {
        let mut octets = good.clone();
        octets[position] ^= 1;
        assert_eq!(
            Frame::read(&octets, 0),
            Err(FrameError::Tail { position: 0 })
        );
        assert!(Frame::read_back(&octets, octets.len()).is_err());
    }
}

#[test]
fn a_claimed_length_is_refused_before_anything_waits_for_it() {
    let mut reader = FrameReader::new();
    reader.push(b"\xf7\x7f\xff\xff\xff\xff\xff\xff\xff");
    assert!(matches!(
        reader.next_frame(),
        Err(FrameError::TooLong { position: 0, .. })
    ));
    let widest = b"\xf7\xff\xff\xff\xff\xff\xff\xff\xff";
    assert!(Frame::read(widest, 0).is_err());
    assert!(Frame::read_back(b"\xff\xff\xff\xff\xff\xff\xff\xff\xf7", 9).is_err());
}

#[test]
fn a_torn_write_is_dropped_up_to_the_last_whole_frame() {
    let mut octets = framed(&[b"one", b"1"]);
    let good = octets.len();
    octets.extend(framed(&[b"two", b"2"]));
    for length in good + 1..octets.len() {
        let recovered = recover(&octets[..length], 0);
        assert_eq!((recovered.octets, recovered.frames), (good as u64, 1));
        assert_eq!(
            recovered.damage,
            Some(FrameError::Torn {
                position: good as u64
            })
        );
    }
    let whole = recover(&octets, good);
    assert_eq!((whole.octets, whole.frames), (octets.len() as u64, 1));
    assert_eq!(whole.damage, None);
    assert_eq!(recover(&[], 0).frames, 0);
}

proptest! {
    #[test]
    fn what_is_written_is_read_back_from_both_ends((written, octets) in any_file()) {
        let forwards: Vec<Frame<'_>> = frames(&octets).collect::<Result<_, _>>().unwrap();
        prop_assert_eq!(forwards.len(), written.len());
        for (frame, records) in forwards.iter().zip(&written) {
            prop_assert_eq!(frame.records(), records.iter().map(Vec::as_slice).collect::<Vec<_>>());
        }
        let mut backwards: Vec<Frame<'_>> = frames(&octets).rev().collect::<Result<_, _>>().unwrap();
        backwards.reverse();
        prop_assert_eq!(forwards, backwards);
    }

    #[test]
    fn both_ends_meet_in_the_middle((written, octets) in any_file(), turns in any::<u32>()) {
        let mut walk = frames(&octets);
        let mut count = 0;
        loop {
            let next = if turns >> (count % 32) & 1 == 0 { walk.next() } else { walk.next_back() };
            let Some(frame) = next else { break };
            frame.unwrap();
            count += 1;
        }
        prop_assert_eq!(count, written.len());
    }

    #[test]
    fn pieces_of_any_size_give_the_same_frames((_, octets) in any_file(), piece in 1_usize..3_000) {
        let whole: Vec<Frame<'_>> = frames(&octets).collect::<Result<_, _>>().unwrap();
        let mut reader = FrameReader::new();
        let mut seen = 0;
        for piece in octets.chunks(piece) {
            reader.push(piece);
            while let Some(frame) = reader.next_frame().unwrap() {
                prop_assert_eq!(frame, whole[seen]);
                seen += 1;
            }
        }
        prop_assert_eq!(seen, whole.len());
        prop_assert_eq!(reader.finish(), Ok(()));
        prop_assert_eq!(reader.position(), octets.len() as u64);
    }

    #[test]
    fn random_octets_never_panic(
        mut octets in prop::collection::vec(any::<u8>(), 0..60),
        code in 0xf0_u8..=0xf8,
        ends in any::<bool>(),
    ) {
        if let (true, Some(first)) = (ends, octets.first_mut()) {
            *first = code;
        }
        if let Some(last) = octets.last_mut() {
            *last = code;
        }
        prop_assert!(frames(&octets).count() <= octets.len());
        prop_assert!(frames(&octets).rev().count() <= octets.len());
        let recovered = recover(&octets, 0);
        prop_assert!(recovered.octets <= octets.len() as u64);
        let mut reader = FrameReader::new();
        reader.push(&octets);
        while let Ok(Some(_)) = reader.next_frame() {}
    }

    #[test]
    fn a_changed_octet_of_the_structure_is_noticed((_, octets) in any_file(), at in any::<prop::sample::Index>()) {
        prop_assume!(!octets.is_empty());
        let whole: Vec<Vec<Vec<u8>>> = records_of(&octets).unwrap();
        let mut damaged = octets.clone();
        let position = at.index(octets.len());
        damaged[position] ^= 0x40;
        prop_assert_ne!(records_of(&damaged), Ok(whole));
    }
}

fn records_of(octets: &[u8]) -> Result<Vec<Vec<Vec<u8>>>, FrameError> {
    frames(octets)
        .map(|frame| {
            Ok(frame?
                .records()
                .iter()
                .map(|record| record.to_vec())
                .collect())
        })
        .collect()
}
