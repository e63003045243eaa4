//! A device that looks where its account stands, and fetches the newest frame, in turn.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use mesh_common::protocol::{Code, ConstraintsSelect};
use mesh_tests::frames;

use super::events::{Deed, Progress};
use super::visitor::{Manner, Visitor};

pub(super) struct Reader {
    visitor: Visitor,
    account: String,
    /// Frames of the catalog that were acknowledged to the writer: whoever asks afterwards sees them.
    acknowledged: Arc<AtomicU64>,
    looks: bool,
}

impl Reader {
    pub(super) fn new(visitor: Visitor, account: &str, acknowledged: Arc<AtomicU64>) -> Self {
        Self {
            visitor,
            account: account.to_owned(),
            acknowledged,
            looks: false,
        }
    }

    pub(super) fn account(&self) -> &str {
        &self.account
    }

    pub(super) fn act(&mut self, manner: Manner, progress: &Progress) {
        self.looks = !self.looks;
        let known = self.acknowledged.load(Ordering::SeqCst);
        let (request, deed) = if self.looks {
            (frames::status_of(frames::BOOKMARKS), Deed::Status)
        } else {
            let select = ConstraintsSelect {
                container: Some(frames::BOOKMARKS.to_owned()),
                index_min: i64::try_from(known.saturating_sub(1)).ok(),
                ..ConstraintsSelect::default()
            };
            (frames::download_select(vec![select]), Deed::Download)
        };
        let (answer, event) = self.visitor.carry(&request, manner, (deed, &self.account));
        answer.must_be(Code::Ok);
        if self.looks {
            let count = answer.count_of(frames::BOOKMARKS).unwrap_or_default();
            assert!(count >= known, "{}: {count}, not {known}", self.account);
        } else if known > 0 {
            let page = &answer.download().updates[0].envelopes;
            assert!(!page.is_empty(), "{}: frame {known} is gone", self.account);
        }
        progress.note(event);
    }
}
