//! Containers of every type, written, read back, damaged and redacted.

use proptest::prelude::*;

use super::*;
use crate::dare::merkle::{EMPTY_PAYLOAD_DIGEST, payload_digest};
use crate::dare::{ContainerInfo, ContentMeta, Envelope, Header, Trailer};
use crate::encoding::base64url::Binary;
use crate::limits::FRAME_BODY_BYTES_MAX;

const TYPES: [ContainerType; 5] = [
    ContainerType::List,
    ContainerType::Tree,
    ContainerType::Digest,
    ContainerType::Chain,
    ContainerType::Merkle,
];

fn entry(payload: &[u8]) -> Envelope {
    let meta = ContentMeta {
        unique_id: Some("a".to_owned()),
        ..ContentMeta::default()
    };
    Envelope {
        header: Header::default().with_content_meta(&meta),
        payload: payload.into(),
        trailer: None,
    }
}

fn file(kind: ContainerType, payloads: &[&[u8]]) -> Vec<u8> {
    let mut octets = Vec::new();
    let mut writer = ContainerWriter::new(kind);
    writer
        .append(&frame_zero(kind, "text/plain"), &mut octets)
        .unwrap();
    for payload in payloads {
        writer.append(&entry(payload), &mut octets).unwrap();
    }
    octets
}

fn envelopes(octets: &[u8]) -> Vec<Envelope> {
    read_all(octets)
        .unwrap()
        .into_iter()
        .map(|stored| stored.envelope)
        .collect()
}

fn damages(report: &Report) -> Vec<(u64, &'static str)> {
    report
        .damages
        .iter()
        .map(|damage| (damage.frame, damage.kind.name()))
        .collect()
}

#[test]
fn each_type_keeps_what_its_table_says() {
    for kind in TYPES {
        let octets = file(kind, &[b"one", b"two", b"three"]);
        let report = verify(&octets);
        assert!(report.is_sound(), "{kind}: {report:?}");
        assert_eq!((report.container_type, report.frames), (Some(kind), 4));
        for stored in read_all(&octets).unwrap() {
            let envelope = &stored.envelope;
            let info = envelope.header.container_info.clone().unwrap_or_default();
            assert_eq!(info.index, Some(stored.position));
            assert_eq!(
                info.tree_position.is_some(),
                kind.has_positions() && stored.position > 0
            );
            let trailer = envelope.trailer.clone().unwrap_or_default();
            assert_eq!(trailer.payload_digest.is_some(), kind.has_payload_digests());
            assert_eq!(trailer.chain_digest.is_some(), kind == ContainerType::Chain);
            assert_eq!(trailer.tree_digest.is_some(), kind == ContainerType::Merkle);
        }
        assert_eq!(kind.name().parse(), Ok(kind));
    }
    assert!("Simple".parse::<ContainerType>().is_err());
}

#[test]
fn all_types_of_the_same_payloads_have_one_apex() {
    let apexes: Vec<_> = TYPES
        .iter()
        .map(|kind| verify(&file(*kind, &[b"one", b"two"])).apex)
        .collect();
    assert!(apexes.windows(2).all(|pair| pair[0] == pair[1]));
    assert!(apexes[0].is_some());
}

#[test]
fn a_store_begins_with_the_digests_that_every_service_reports() {
    let mut octets = Vec::new();
    let writer = ContainerWriter::create_store(&mut octets).unwrap();
    assert_eq!((writer.count(), writer.length()), (1, 361));
    let report = verify(&octets);
    assert!(report.is_sound());
    assert_eq!(report.apex, writer.apex());
    let frame = &read_all(&octets).unwrap()[0].envelope;
    assert_eq!(
        frame.payload_digest().map(Binary::as_slice),
        Some(&EMPTY_PAYLOAD_DIGEST[..])
    );
    assert_eq!(
        frame.header.content_meta().unwrap().cty.as_deref(),
        Some(CONTENT_TYPE_CATALOG)
    );
}

#[test]
fn positions_belong_to_the_file_they_are_written_to() {
    let mut sent = entry(b"one");
    sent.header.container_info = Some(ContainerInfo {
        index: Some(1),
        tree_position: Some(4_711),
        index_position: Some(4_712),
        exchange_position: Some(4_713),
        default: Some(true),
        ..ContainerInfo::default()
    });
    let octets = to_file([
        &frame_zero(ContainerType::Merkle, CONTENT_TYPE_CATALOG),
        &sent,
    ])
    .unwrap();
    let info = envelopes(&octets)[1].header.container_info.clone().unwrap();
    assert_eq!(info.tree_position, Some(0));
    assert_eq!((info.index_position, info.exchange_position), (None, None));
    assert_eq!(info.default, Some(true));
}

#[test]
fn what_comes_from_another_place_or_history_is_not_written() {
    let mut octets = file(ContainerType::Merkle, &[b"one"]);
    let length = octets.len();
    let mut writer = ContainerWriter::resume(&octets).unwrap();
    let mut elsewhere = entry(b"two");
    elsewhere.header.container_info = Some(ContainerInfo {
        index: Some(3),
        ..ContainerInfo::default()
    });
    let mut changed = entry(b"two");
    changed.trailer = Some(Trailer {
        payload_digest: Some(payload_digest(b"2").into()),
        ..Trailer::default()
    });
    let mut other_history = entry(b"two");
    other_history.trailer = Some(Trailer {
        tree_digest: Some(payload_digest(b"2").into()),
        ..Trailer::default()
    });
    let too_large = entry(&vec![0; usize::try_from(FRAME_BODY_BYTES_MAX).unwrap()]);
    assert_eq!(
        writer.append(&elsewhere, &mut octets),
        Err(ContainerError::Index {
            claimed: 3,
            expected: 2
        })
    );
    assert_eq!(
        writer.append(&changed, &mut octets),
        Err(ContainerError::PayloadDigest { frame: 2 })
    );
    assert_eq!(
        writer.append(&other_history, &mut octets),
        Err(ContainerError::History { frame: 2 })
    );
    assert!(matches!(
        writer.append(&too_large, &mut octets),
        Err(ContainerError::Frame(_))
    ));
    assert_eq!((octets.len(), writer.count()), (length, 2));
    writer.append(&entry(b"two"), &mut octets).unwrap();
    assert_eq!(octets, file(ContainerType::Merkle, &[b"one", b"two"]));
}

#[test]
fn a_frame_zero_without_a_type_begins_nothing() {
    let mut writer = ContainerWriter::new(ContainerType::Merkle);
    let mut octets = Vec::new();
    for frame in [entry(b""), frame_zero(ContainerType::List, "text/plain")] {
        assert!(matches!(
            writer.append(&frame, &mut octets),
            Err(ContainerError::Type { .. })
        ));
    }
    assert!(matches!(
        to_file(std::iter::empty()),
        Err(ContainerError::Type { found: None })
    ));
    assert!(ContainerWriter::resume(&[]).is_err());
    let nameless = [entry(b"")];
    assert_eq!(
        damages(&verify_envelopes(&nameless)),
        [(0, "container-type"), (0, "index")]
    );
    assert!(!verify(&[]).is_sound());
}

#[test]
fn members_of_old_files_are_brought_to_their_place() {
    let mut octets = Vec::new();
    let records: [&[u8]; 1] = [br#"{"Index":0,"ContainerType":"List","Later":1}"#];
    crate::dare::frame::write_frame(&records, &mut octets).unwrap();
    let records: [&[u8]; 2] = [br#"{"Index":1,"ContentMetaData":"e30"}"#, b"Data "];
    crate::dare::frame::write_frame(&records, &mut octets).unwrap();
    let read = envelopes(&octets);
    assert_eq!(
        ContainerType::of_frame_zero(&read[0].header),
        Ok(ContainerType::List)
    );
    assert_eq!(read[0].header.extra.len(), 1);
    assert_eq!(read[1].index(), Some(1));
    assert!(verify(&octets).is_sound());
}

#[test]
fn a_header_that_is_no_json_is_told_and_the_rest_is_read() {
    let mut octets = file(ContainerType::Merkle, &[b"one"]);
    let records: [&[u8]; 3] = [b"{", b"two", b""];
    crate::dare::frame::write_frame(&records, &mut octets).unwrap();
    let report = verify(&octets);
    assert_eq!(damages(&report), [(2, "header")]);
    assert_eq!(report.frames, 3);
    assert!(matches!(
        read_all(&octets),
        Err(ContainerError::Unreadable { frame: 2, .. })
    ));
    let mut reader = ContainerReader::new();
    reader.push(&octets);
    reader.next_frame().unwrap().unwrap();
    reader.next_frame().unwrap().unwrap();
    assert!(reader.next_frame().is_err());
    assert_eq!(reader.next_frame(), Ok(None));
    assert_eq!(reader.finish(), Ok(()));
}

#[test]
fn redaction_keeps_every_digest_of_a_chained_container() {
    for kind in [ContainerType::Merkle, ContainerType::Chain] {
        let octets = file(kind, &[b"one", b"two", b"three"]);
        let mut frames = envelopes(&octets);
        frames[2].header.salt = Some(b"salt"[..].into());
        assert!(redact(2, &mut frames[2]));
        assert!(!redact(2, &mut frames[2]));
        assert!(!redact(0, &mut frames[0]));
        assert!(is_redacted(2, &frames[2]) && !is_redacted(1, &frames[1]));
        assert_eq!(frames[2].header.salt, None);
        assert_eq!(frames[2].header.malt, Some(payload_digest(b"salt").into()));

        let rewritten = to_file(&frames).unwrap();
        let report = verify(&rewritten);
        assert!(report.is_sound(), "{kind}: {report:?}");
        assert_eq!(report.redacted, [2]);
        assert_eq!(report.apex, verify(&octets).apex);
        let resumed = ContainerWriter::resume(&rewritten).unwrap();
        assert_eq!(resumed.apex(), report.apex);

        frames[2].trailer.as_mut().unwrap().payload_digest = Some([7; 64].into());
        assert!(!verify_envelopes(&frames).is_sound());
    }
}

#[test]
fn a_payload_digest_of_another_algorithm_is_left_to_the_signatures() {
    let mut signed = entry(b"one");
    signed.header.dig = Some("S256".to_owned());
    signed.trailer = Some(Trailer {
        payload_digest: Some(vec![1; 32].into()),
        ..Trailer::default()
    });
    let first = frame_zero(ContainerType::Merkle, CONTENT_TYPE_CATALOG);
    let octets = to_file([&first, &signed]).unwrap();
    assert!(verify(&octets).is_sound());
    signed.header.dig = None;
    let mut frames = envelopes(&octets);
    frames[1].header.dig = None;
    assert_eq!(damages(&verify_envelopes(&frames)), [(1, "payload-digest")]);
}

fn any_payloads() -> impl Strategy<Value = Vec<Vec<u8>>> {
    prop::collection::vec(prop::collection::vec(any::<u8>(), 0..30), 0..40)
}

fn any_type() -> impl Strategy<Value = ContainerType> {
    prop::sample::select(&TYPES[..])
}

proptest! {
    #[test]
    fn what_is_written_in_any_runs_is_read_back(
        kind in any_type(),
        payloads in any_payloads(),
        resume_every in 1_usize..9,
        piece in 1_usize..400,
    ) {
        let slices: Vec<&[u8]> = payloads.iter().map(Vec::as_slice).collect();
        let whole = file(kind, &slices);
        let mut octets = file(kind, &[]);
        for run in slices.chunks(resume_every) {
            let mut writer = ContainerWriter::resume(&octets).unwrap();
            for payload in run {
                writer.append(&entry(payload), &mut octets).unwrap();
            }
        }
        prop_assert_eq!(&octets, &whole);

        let read = read_all(&octets).unwrap();
        let found: Vec<&[u8]> = read.iter().skip(1).map(|stored| stored.envelope.payload.as_slice()).collect();
        prop_assert_eq!(found, slices);
        let mut reader = ContainerReader::new();
        let mut streamed = Vec::new();
        for piece in octets.chunks(piece) {
            reader.push(piece);
            while let Some(stored) = reader.next_frame().unwrap() {
                streamed.push(stored);
            }
        }
        prop_assert_eq!(&streamed, &read);

        let wire: Vec<Envelope> = read.into_iter().map(|stored| stored.envelope).collect();
        prop_assert!(verify_envelopes(&wire).is_sound());
        prop_assert_eq!(to_file(&wire).unwrap(), octets);
    }

    #[test]
    fn no_changed_payload_goes_unnoticed(
        kind in prop::sample::select(vec![ContainerType::Digest, ContainerType::Chain, ContainerType::Merkle]),
        frame in 1_u64..6,
    ) {
        let octets = file(kind, &[b"one", b"two", b"three", b"four", b"five"]);
        let stored = read_all(&octets).unwrap();
        let mut frames: Vec<Envelope> = stored.into_iter().map(|stored| stored.envelope).collect();
        frames[usize::try_from(frame).unwrap()].payload.0[0] ^= 1;
        let report = verify_envelopes(&frames);
        prop_assert!(damages(&report).contains(&(frame, "payload-digest")));
        if kind != ContainerType::Digest {
            let last = report.damages.last().unwrap();
            prop_assert_eq!(last.frame, 5);
        }
    }

    #[test]
    fn damaged_files_never_panic(
        kind in any_type(),
        at in any::<prop::sample::Index>(),
        octet in any::<u8>(),
        length in any::<prop::sample::Index>(),
    ) {
        let mut octets = file(kind, &[b"one", b"two"]);
        let position = at.index(octets.len());
        octets[position] = octet;
        octets.truncate(length.index(octets.len() + 1));
        let report = verify(&octets);
        prop_assert!(report.frames <= 3);
        let _ = ContainerWriter::resume(&octets).map(|writer| writer.count());
        let mut reader = ContainerReader::new();
        reader.push(&octets);
        while let Ok(Some(_)) = reader.next_frame() {}
    }
}
