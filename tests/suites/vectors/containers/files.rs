//! Whole files: frames, digests and damage of each, and what a catalog and a spool among them say.

use std::collections::BTreeMap;

use mesh_common::catalog::CatalogIndex;
use mesh_common::dare::container::{self, StoredFrame, read_all, to_file};
use mesh_common::dare::frame::{Frame, FrameError, frames};
use mesh_common::dare::merkle::payload_digest;
use mesh_common::dare::{ContainerKind, Envelope};
use mesh_common::encoding::base64url::Binary;
use mesh_common::spool::{MessageState, Reference, Spool, SpoolItem};
use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{damages, hex, live};
use crate::octets_of;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ContainerCase {
    name: String,
    file: String,
    length: usize,
    sha256_hex: String,
    #[serde(rename = "provenance")]
    _provenance: String,
    digest_mode: String,
    #[serde(rename = "note")]
    _note: String,
    frames: Vec<FrameRow>,
    canonical_verify: Vec<(u64, String)>,
    wire_envelopes: Option<Vec<Envelope>>,
    replay: Option<Vec<ReplayRow>>,
    redactable_after_last_frame: Option<Vec<u64>>,
    states: Option<Vec<StateRow>>,
    pending_after_last_frame: Option<BTreeMap<String, Vec<(u64, Reference)>>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FrameRow {
    index: u64,
    start: u64,
    end: u64,
    record_lengths: Vec<usize>,
    payload_digest: Binary,
    stored: BTreeMap<String, Binary>,
    tree_position: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReplayRow {
    after_frame: u64,
    live: Value,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StateRow {
    after_frame: u64,
    state: BTreeMap<String, MessageRow>,
}

#[derive(Deserialize, PartialEq, Debug)]
#[serde(deny_unknown_fields)]
struct MessageRow {
    state: MessageState,
    relationship: Option<String>,
    by: Option<u64>,
    response: Option<String>,
}

impl ContainerCase {
    pub(super) fn check(self) {
        let octets = octets_of(&self.file);
        assert_eq!(octets.len(), self.length, "{}", self.name);
        assert_eq!(Sha256::digest(&octets)[..], hex(&self.sha256_hex));

        let forwards: Vec<Frame<'_>> = collect(frames(&octets));
        let mut backwards: Vec<Frame<'_>> = collect(frames(&octets).rev());
        backwards.reverse();
        assert_eq!(forwards, backwards, "{}", self.name);
        let stored = read_all(&octets).expect("the file is sound");
        assert_eq!(stored.len(), self.frames.len(), "{}", self.name);
        for ((row, frame), stored) in self.frames.iter().zip(&forwards).zip(&stored) {
            row.check(frame, stored);
        }

        let report = container::verify(&octets);
        assert_eq!(report.format, None);
        assert_eq!(damages(&report), self.canonical_verify, "{}", self.name);
        let is_legacy = report.damages.iter().any(|damage| damage.kind.is_legacy());
        assert_eq!(is_legacy, self.digest_mode == "legacy");
        let envelopes: Vec<Envelope> = stored.into_iter().map(|stored| stored.envelope).collect();
        self.check_rewritten(&envelopes, &octets);
        self.check_catalog(&envelopes);
        self.check_spool(&envelopes);
        if let Some(wire) = &self.wire_envelopes {
            assert_eq!(wire, &envelopes);
        }
    }

    /// The same envelopes written anew are the same file, where the original is strict JSON.
    fn check_rewritten(&self, envelopes: &[Envelope], octets: &[u8]) {
        let rewritten = to_file(envelopes).expect("the envelopes belong together");
        assert_eq!(
            read_all(&rewritten)
                .expect("what we write is readable")
                .iter()
                .map(|stored| stored.envelope.payload.as_slice())
                .collect::<Vec<_>>(),
            envelopes
                .iter()
                .map(|envelope| envelope.payload.as_slice())
                .collect::<Vec<_>>()
        );
        let report = container::verify(&rewritten);
        assert_eq!(damages(&report), self.canonical_verify);
        let is_pretty = self.name.starts_with("dare07");
        assert_eq!(rewritten == octets, !is_pretty, "{}", self.name);
    }

    fn check_catalog(&self, envelopes: &[Envelope]) {
        assert_eq!(self.replay.is_some(), self.name.starts_with("catalog"));
        let Some(rows) = &self.replay else { return };
        assert_eq!(rows.len(), envelopes.len());
        let mut index = CatalogIndex::new();
        for ((number, envelope), row) in (0..).zip(envelopes).zip(rows) {
            assert_eq!(index.replay(number, &envelope.header), Ok(()));
            assert_eq!(row.after_frame, number);
            assert_eq!(live(&index), row.live);
        }
        let superseded: Vec<u64> = index.superseded().map(|(frame, _)| frame).collect();
        assert_eq!(Some(superseded), self.redactable_after_last_frame);
    }

    fn check_spool(&self, envelopes: &[Envelope]) {
        let is_spool = self.name == "spool-inbound";
        assert_eq!(self.states.is_some(), is_spool);
        assert_eq!(self.pending_after_last_frame.is_some(), is_spool);
        let (Some(rows), Some(pending)) = (&self.states, &self.pending_after_last_frame) else {
            return;
        };
        assert_eq!(rows.len() + 1, envelopes.len());
        let mut spool = Spool::new(ContainerKind::Inbound);
        for (number, envelope) in (0..).zip(envelopes) {
            let item = SpoolItem::read(number, &envelope.header, Some(envelope.payload.as_slice()));
            spool.fold(number, item);
            if number > 0 {
                let row = &rows[usize::try_from(number).expect("a small index") - 1];
                assert_eq!(row.after_frame, number);
                assert_eq!(states(&spool), row.state);
            }
        }
        let kept: BTreeMap<String, Vec<(u64, Reference)>> = spool
            .pending()
            .map(|(id, references)| (id.to_owned(), references.to_vec()))
            .collect();
        assert_eq!(&kept, pending);
    }
}

fn collect<'a>(frames: impl Iterator<Item = Result<Frame<'a>, FrameError>>) -> Vec<Frame<'a>> {
    frames
        .map(|frame| frame.expect("the frame is sound"))
        .collect()
}

fn states(spool: &Spool) -> BTreeMap<String, MessageRow> {
    spool
        .messages()
        .map(|(_, message)| {
            let row = MessageRow {
                state: message.state,
                relationship: message.relationship.clone(),
                by: message.by,
                response: message.response.clone(),
            };
            (message.unique_id.clone().expect("all have ids"), row)
        })
        .collect()
}

impl FrameRow {
    fn check(&self, frame: &Frame<'_>, stored: &StoredFrame) {
        assert_eq!((frame.start, frame.end), (self.start, self.end));
        assert_eq!((stored.start, stored.end), (self.start, self.end));
        assert_eq!(stored.position, self.index);
        let lengths: Vec<usize> = frame.records().iter().map(|record| record.len()).collect();
        assert_eq!(lengths, self.record_lengths);
        let envelope = &stored.envelope;
        assert_eq!(envelope.index(), Some(self.index));
        assert_eq!(
            payload_digest(envelope.payload.as_slice()),
            self.payload_digest.as_slice()
        );
        let info = envelope.header.container_info.as_ref();
        assert_eq!(info.and_then(|info| info.tree_position), self.tree_position);
        let trailer = envelope.trailer.clone().unwrap_or_default();
        let digests = [
            ("PayloadDigest", trailer.payload_digest),
            ("ChainDigest", trailer.chain_digest),
            ("TreeDigest", trailer.tree_digest),
        ];
        let found: BTreeMap<String, Binary> = digests
            .into_iter()
            .filter_map(|(name, digest)| Some((name.to_owned(), digest?)))
            .collect();
        assert_eq!(found, self.stored);
    }
}
