//! The owner of an account: uploads to a catalog, and posts to the next one and to one elsewhere, in turn.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use mesh_common::dare::merkle::payload_digest;
use mesh_common::dare::{DigestStack, Envelope};
use mesh_common::encoding::base64url::Binary;
use mesh_common::protocol::{Code, ConstraintsSelect, EntryResult};
use mesh_tests::books::Book;
use mesh_tests::frames;
use mesh_tests::ledger::Ledger;
use mesh_tests::people::Person;
use mesh_tests::spools::{self, INBOUND, spool};

use super::events::{Deed, Progress};
use super::stranger::STRANGE;
use super::visitor::{Manner, Visitor};

/// The catalog everybody writes to.
const CATALOG: &str = frames::BOOKMARKS;
/// Octets of an entry.
const ENTRY_BYTES: usize = 400;

pub(super) struct Writer {
    visitor: Visitor,
    person: Person,
    /// To whom it posts, in turn.
    recipients: [String; 2],
    ledger: Ledger,
    book: Book,
    made: u64,
    /// Frames of the catalog as far as they were acknowledged.
    acknowledged: Arc<AtomicU64>,
}

impl Writer {
    pub(super) fn new(mut visitor: Visitor, person: Person, recipients: [String; 2]) -> Self {
        let first = visitor
            .client()
            .ask(&frames::upload(CATALOG, vec![frames::first()]));
        first.must_be(Code::Ok);
        Self {
            visitor,
            person,
            recipients,
            ledger: Ledger::default(),
            book: Book::default(),
            made: 0,
            acknowledged: Arc::default(),
        }
    }

    pub(super) fn address(&self) -> &str {
        &self.person.address
    }

    pub(super) fn acknowledged(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.acknowledged)
    }

    pub(super) const fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    pub(super) const fn book(&self) -> &Book {
        &self.book
    }

    pub(super) fn act(&mut self, manner: Manner, progress: &Progress) {
        self.made += 1;
        if self.made.is_multiple_of(3) {
            self.post(manner, progress);
        } else {
            self.upload(manner, progress);
        }
    }

    fn upload(&mut self, manner: Manner, progress: &Progress) {
        let frame = self.entry();
        self.ledger.send(&frame);
        let request = frames::upload(CATALOG, vec![frame.clone()]);
        let (answer, event) =
            self.visitor
                .carry(&request, manner, (Deed::Upload, &self.person.address));
        let row = &answer.must_be(Code::Ok).upload().entries[0];
        assert_eq!(row.result, Some(EntryResult::Accept));
        let index = row.index_container.expect("an accepted row has an index");
        self.ledger.acknowledge(index, &frame);
        self.acknowledged.store(index + 1, Ordering::SeqCst);
        progress.note(event);
    }

    fn post(&mut self, manner: Manner, progress: &Progress) {
        let id = format!("{}/{}", self.address(), self.made);
        let recipient = self.recipients[self.book.len() % 2].clone();
        let message = frames::message("RequestContact", &id, r#"{"Subject":"hello"}"#);
        let message = self.person.device.signed(message);
        let request = frames::post(&[&recipient], vec![message]);
        let (answer, event) =
            self.visitor
                .carry(&request, manner, (Deed::Post, &self.person.address));
        answer.must_be(Code::Ok);
        self.book.accept(id, recipient);
        progress.note(event);
    }

    /// An event for wherever the container ends by then. No two have the same content.
    fn entry(&self) -> Envelope {
        let id = format!("{}-{}", self.address(), self.made);
        let mut content = id.clone().into_bytes();
        content.resize(ENTRY_BYTES, b'.');
        let mut frame = frames::event(0, "New", &id, &content);
        frame.header.container_info = None;
        frame
    }

    /// Messages that nothing was said of yet.
    pub(super) fn open(&mut self) -> usize {
        let told = spools::told(self.visitor.client());
        self.book.open_after(&told)
    }

    /// The ids of the messages in Inbound.
    pub(super) fn inbound(&mut self) -> Vec<String> {
        let spool = spool(self.visitor.client(), INBOUND);
        let ids = spool.iter().map(|envelope| {
            let meta = envelope.header.content_meta().expect("it reads");
            meta.unique_id.expect("a message has an id")
        });
        ids.collect()
    }

    /// How many of them came from elsewhere.
    pub(super) fn strange_messages(&mut self) -> usize {
        let inbound = self.inbound();
        inbound.iter().filter(|id| id.starts_with(STRANGE)).count()
    }

    /// All frames of the catalog, after checking that each stands where it says, and that the digests of their
    /// payloads give the apex that Status tells.
    pub(super) fn frames(&mut self) -> Vec<Envelope> {
        let client = self.visitor.client();
        let answer = client.ask(&frames::status_of(CATALOG));
        let row = answer.must_be(Code::Ok).status().container_status[0].clone();
        let count = row.index.expect("a container has a count");
        let (mut found, mut digests) = (Vec::new(), DigestStack::new());
        while (found.len() as u64) < count {
            let select = ConstraintsSelect {
                container: Some(CATALOG.to_owned()),
                index_min: i64::try_from(found.len()).ok(),
                ..ConstraintsSelect::default()
            };
            let answer = client.ask(&frames::download_select(vec![select]));
            let page = &answer.must_be(Code::Ok).download().updates[0].envelopes;
            assert!(!page.is_empty(), "a page has at least one frame");
            for envelope in page {
                assert_eq!(envelope.index(), Some(found.len() as u64));
                digests.append(&payload_digest(envelope.payload.as_slice()));
                found.push(envelope.clone());
            }
        }
        assert_eq!(digests.apex().map(Binary::from), row.digest, "{CATALOG}");
        found
    }
}
