//! `containers.json`: frames, digests, whole files, proofs, catalogs, spools and damaged files.
//! The part `synchronization` is a sequence of requests to an account and is replayed there.

mod files;

use mesh_common::catalog::CatalogIndex;
use mesh_common::dare::chain::ChainState;
use mesh_common::dare::container::{self, DamageKind, Report};
use mesh_common::dare::frame::{self, Frame, TagKind};
use mesh_common::dare::legacy;
use mesh_common::dare::merkle::{
    Digest64, DigestStack, EMPTY_PAYLOAD_DIGEST, NO_DIGEST, frontier, join, payload_digest,
    previous_apex, siblings,
};
use mesh_common::dare::proof::InclusionProof;
use mesh_common::dare::{ContentMeta, Header, Trailer};
use mesh_common::encoding::base64url::{self, Binary};
use mesh_common::encoding::json;
use serde::Deserialize;
use serde_json::Value;

use self::files::ContainerCase;
use crate::count::Tally;
use crate::json_of;

#[test]
fn every_entry_of_the_file_holds() {
    let mut tally = Tally::of(json_of("containers.json"));
    framing(&mut tally);
    tree_index(&mut tally);
    digests(&mut tally);
    legacy_digests(&mut tally);
    tally.each("/containers", |_, case: ContainerCase| case.check());
    inclusion_proofs(&mut tally);
    tally.each("/catalog_rules", |_, case: CatalogCase| case.check());
    tally.each("/lenient_json", |_, case: LenientCase| case.check());
    tally.each("/negative", |_, case: NegativeCase| case.check());
    tally.leave("/synchronization");
    assert_eq!(tally.finish(), 118);
}

fn hex(text: &str) -> Vec<u8> {
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).expect("the file has hex here"))
        .collect()
}

// ---- Frames ----

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TagCase {
    length: u64,
    record_tag_hex: String,
    frame_tag_hex: String,
    frame_tail_hex: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FrameCase {
    name: String,
    #[serde(rename = "provenance")]
    _provenance: String,
    records_hex: Vec<String>,
    frame_hex: String,
}

fn framing(tally: &mut Tally) {
    tally.each("/framing/tags", |_, case: TagCase| {
        for (kind, expected) in [
            (TagKind::Record, hex(&case.record_tag_hex)),
            (TagKind::Frame, hex(&case.frame_tag_hex)),
        ] {
            let mut written = Vec::new();
            frame::write_tag(kind, case.length, &mut written);
            assert_eq!(written, expected);
            let read = frame::read_tag(kind, &expected);
            assert_eq!(read, Ok(Some((case.length, expected.len()))));
        }
        let tail: Vec<u8> = hex(&case.frame_tag_hex).into_iter().rev().collect();
        assert_eq!(tail, hex(&case.frame_tail_hex));
    });
    tally.each("/framing/frames", |_, case: FrameCase| {
        let records: Vec<Vec<u8>> = case.records_hex.iter().map(|record| hex(record)).collect();
        let slices: Vec<&[u8]> = records.iter().map(Vec::as_slice).collect();
        let expected = hex(&case.frame_hex);
        let mut written = Vec::new();
        frame::write_frame(&slices, &mut written).expect("the records fit");
        assert_eq!(written, expected, "{}", case.name);
        let forwards = Frame::read(&expected, 0).expect("the frame is sound");
        assert_eq!(forwards.map(|frame| frame.records().to_vec()), Some(slices));
        assert_eq!(Frame::read_back(&expected, expected.len()), Ok(forwards));
    });
}

// ---- Digests ----

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TreeRow {
    index: u64,
    level: usize,
    siblings: Vec<u64>,
    previous_apex: i64,
    frontier_after: Vec<u64>,
}

fn tree_index(tally: &mut Tally) {
    tally.each("/tree_index/rows", |_, row: TreeRow| {
        assert_eq!(siblings(row.index).collect::<Vec<_>>(), row.siblings);
        assert_eq!(siblings(row.index).count(), row.level);
        assert_eq!(
            previous_apex(row.index),
            u64::try_from(row.previous_apex).ok()
        );
        assert_eq!(frontier(row.index).collect::<Vec<_>>(), row.frontier_after);
    });
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DigestCase {
    name: String,
    #[serde(rename = "provenance")]
    _provenance: String,
    payload_rule: String,
    frames: Vec<DigestRow>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DigestRow {
    index: u64,
    payload_length: usize,
    payload_digest: Binary,
    tree_digest: Option<Binary>,
    chain_digest: Option<Binary>,
}

/// The payload of frame `index` by a rule of the file.
fn payload_by_rule(rule: &str, index: u64) -> Vec<u8> {
    let times = usize::try_from(index).expect("the file has small indices");
    match (rule, index) {
        (r#"frame 0 empty; frame i is "Test " (with the space) repeated i times"#, _) => {
            b"Test ".repeat(times)
        }
        ("frame 0 empty; frame i is the decimal ASCII of i", 0) => Vec::new(),
        ("frame 0 empty; frame i is the decimal ASCII of i", _) => index.to_string().into_bytes(),
        (r#"empty; "Test1"; "Test2" x100; "Test3" x1000"#, _) => match index {
            0 => Vec::new(),
            1 => b"Test1".to_vec(),
            2 => b"Test2".repeat(100),
            _ => b"Test3".repeat(1_000),
        },
        ("300 octets 00 01 .. ff 00 .. 2b", _) => (0..=255).cycle().take(300).collect(),
        _ => panic!("no such rule is known: {rule}"),
    }
}

fn digests(tally: &mut Tally) {
    tally.each("/digests/constants", |name, value: Binary| {
        let expected = if name == "H(empty)" {
            EMPTY_PAYLOAD_DIGEST
        } else {
            assert!(name.starts_with("H(zero64||H(empty))"), "{name}");
            join(&NO_DIGEST, &payload_digest(&[]))
        };
        assert_eq!(value.as_slice(), expected);
    });
    for pointer in ["/digests/merkle", "/digests/chain"] {
        tally.each(pointer, |_, case: DigestCase| {
            let (mut tree, mut chain) = (DigestStack::new(), ChainState::new());
            for (number, row) in (0..).zip(&case.frames) {
                let payload = payload_by_rule(&case.payload_rule, row.index);
                assert_eq!((row.index, row.payload_length), (number, payload.len()));
                let digest = payload_digest(&payload);
                assert_eq!(row.payload_digest.as_slice(), digest, "{}", case.name);
                let (tree, chain) = (tree.append(&digest), chain.append(&digest));
                let expected = if pointer == "/digests/merkle" {
                    assert!(row.chain_digest.is_none());
                    (&row.tree_digest, tree)
                } else {
                    assert!(row.tree_digest.is_none());
                    (&row.chain_digest, chain)
                };
                assert_eq!(expected.0, &Some(expected.1.into()), "{}", case.name);
            }
        });
    }
}

fn legacy_digests(tally: &mut Tally) {
    const AT: &str = "/digests/legacy";
    let rule: String = text(tally, "/digests/legacy/payload_rule");
    let digest = payload_digest(&payload_by_rule(&rule, 0));
    tally.mark("/digests/legacy/payload_rule");
    for (member, expected) in [
        ("payload_digest", digest),
        ("chain_digest_every_frame", legacy::chain_digest(&digest)),
    ] {
        let pointer = format!("{AT}/{member}");
        assert_eq!(text(tally, &pointer), base64url::encode(&expected));
        tally.mark(&pointer);
    }
    type Path = fn(u64, &Digest64) -> Digest64;
    let paths: [(&str, Path); 2] = [
        ("tree_digest_stream_path", legacy::tree_digest_stream),
        (
            "tree_digest_deferred_path_generated",
            legacy::tree_digest_deferred,
        ),
    ];
    for (member, path) in paths {
        tally.each(&format!("{AT}/{member}"), |index, value: Binary| {
            let index = index.parse().expect("the members are indices");
            assert_eq!(value.as_slice(), path(index, &digest), "{member} {index}");
            assert!(legacy::is_tree_digest(index, &digest, value.as_slice()));
        });
    }
}

fn text(tally: &Tally, pointer: &str) -> String {
    tally
        .value(pointer)
        .as_str()
        .expect("the file has a text here")
        .to_owned()
}

fn inclusion_proofs(tally: &mut Tally) {
    assert_eq!(
        text(tally, "/inclusion_proofs/base"),
        "digests.merkle test-words-21"
    );
    tally.mark("/inclusion_proofs/base");
    let base: DigestCase = serde_json::from_value(tally.value("/digests/merkle/0").clone())
        .expect("the first case of digests is readable");
    let mut tree = DigestStack::new();
    let log: Vec<(Digest64, Digest64)> = base
        .frames
        .iter()
        .map(|row| {
            let digest = row.payload_digest.as_slice().try_into().expect("64 octets");
            (digest, tree.append(&digest))
        })
        .collect();
    tally.each("/inclusion_proofs/cases", |_, case: Value| {
        let proof: InclusionProof =
            serde_json::from_value(case.clone()).expect("the case is a proof");
        let at = |index: u64| log.get(usize::try_from(index).ok()?).copied();
        let made = InclusionProof::make(proof.frame, proof.apex_frame, at);
        assert_eq!(made.as_ref(), Ok(&proof));
        let (digest, _) = at(proof.frame).expect("the frame is in the log");
        let (_, apex) = at(proof.apex_frame).expect("the apex is in the log");
        assert_eq!(case["apex"], base64url::encode(&apex));
        assert_eq!(proof.check(&apex), Ok(digest));
        assert!(proof.check(&digest).is_err());
    });
}

// ---- Rules ----

fn damages(report: &Report) -> Vec<(u64, String)> {
    report
        .damages
        .iter()
        .map(|damage| (damage.frame, damage.kind.name().to_owned()))
        .collect()
}

fn live(index: &CatalogIndex) -> Value {
    index
        .entries()
        .map(|(id, frames)| {
            let frames = serde_json::to_value(frames).expect("numbers are JSON");
            (id.to_owned(), frames)
        })
        .collect()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CatalogCase {
    name: String,
    content_meta: Vec<ContentMeta>,
    live: Value,
    errors: Vec<(u64, String)>,
}

impl CatalogCase {
    fn check(self) {
        let mut index = CatalogIndex::new();
        let mut errors = Vec::new();
        for (number, meta) in (0..).zip(&self.content_meta) {
            let header = Header::default().with_content_meta(meta);
            if let Err(error) = index.replay(number, &header) {
                assert!(error.is_conflict());
                errors.push((number, error.name().to_owned()));
            }
        }
        assert_eq!(errors, self.errors, "{}", self.name);
        assert_eq!(live(&index), self.live, "{}", self.name);
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LenientCase {
    name: String,
    #[serde(rename = "provenance")]
    _provenance: String,
    #[serde(rename = "note")]
    _note: Option<String>,
    text_b64: String,
    must_parse: bool,
    #[serde(rename = "PayloadDigest")]
    payload_digest: Option<Binary>,
    #[serde(rename = "TreeDigest")]
    tree_digest: Option<Binary>,
    content_meta: Option<ContentMeta>,
}

impl LenientCase {
    fn check(self) {
        let text = base64url::decode(&self.text_b64).expect("the file has base64url here");
        let header: Result<Header, _> = json::parse(&text);
        assert_eq!(header.is_ok(), self.must_parse, "{}", self.name);
        let header = header.expect("all cases of the file are readable");
        assert_eq!(header.payload_digest, self.payload_digest, "{}", self.name);
        assert_eq!(header.tree_digest, self.tree_digest, "{}", self.name);
        if let Some(meta) = self.content_meta {
            assert_eq!(header.content_meta(), Ok(meta), "{}", self.name);
        }
        let trailer: Trailer = json::parse(&text).expect("trailers are as lenient");
        assert_eq!(trailer.payload_digest, self.payload_digest, "{}", self.name);
        let strict = json::write(&header);
        assert!(!strict.iter().any(u8::is_ascii_control), "{}", self.name);
        assert_eq!(serde_json::from_slice::<Header>(&strict).ok(), Some(header));
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NegativeCase {
    name: String,
    data: Binary,
    expect: String,
    model: Vec<Value>,
    #[serde(rename = "note")]
    _note: String,
}

impl NegativeCase {
    fn check(self) {
        let octets = self.data.as_slice();
        let report = container::verify(octets);
        let mut found: Vec<Value> = damages(&report)
            .into_iter()
            .map(|damage| serde_json::to_value(damage).expect("pairs are JSON"))
            .collect();
        if report.format.is_some() {
            found = vec!["format".into()];
        } else {
            found.insert(0, "verify".into());
        }
        assert_eq!(found, self.model, "{}", self.name);
        assert!(
            self.expectation_holds(&report),
            "{}: {}",
            self.name,
            self.expect
        );
        let recovered = frame::recover(octets, 0);
        assert_eq!(recovered.damage, report.format);
        assert_eq!(recovered.frames, report.frames);
        if self.expect.contains("recover") {
            let kept = &octets[..usize::try_from(recovered.octets).expect("a small file")];
            assert!(container::verify(kept).is_sound(), "{}", self.name);
        }
    }

    /// Compares with the sentence of the file: `ok`, `format error…` or `… mismatch at N`.
    fn expectation_holds(&self, report: &Report) -> bool {
        let first = |kind, at: &str| {
            report
                .damages
                .first()
                .is_some_and(|damage| damage.kind == kind && at.parse() == Ok(damage.frame))
        };
        if let Some(at) = self.expect.strip_prefix("payload digest mismatch at ") {
            first(DamageKind::PayloadDigest, at)
        } else if let Some(at) = self.expect.strip_prefix("index mismatch at ") {
            first(DamageKind::Index, at)
        } else if self.expect == "ok" {
            report.is_sound()
        } else {
            self.expect.starts_with("format error") && report.format.is_some()
        }
    }
}
