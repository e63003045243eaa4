//! Somebody who sends as fast as the service answers, and asks again after a kill.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use mesh_common::entropy::{SeededEntropy, draw};
use mesh_common::protocol::{Code, Request};
use mesh_tests::books::Book;
use mesh_tests::client::{Answer, Circumstances};
use mesh_tests::frames;

use super::super::stage::signed;
use super::account::Account;

/// Counts what happens: requests sent and answers received.
#[derive(Debug, Default)]
pub(crate) struct Moments {
    passed: Mutex<u64>,
    changed: Condvar,
}

impl Moments {
    fn pass(&self) {
        *self.passed.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.changed.notify_all();
    }

    /// Waits until so many have passed; false if they have not within `patience`.
    pub(crate) fn wait_for(&self, moments: u64, patience: Duration) -> bool {
        let passed = self.passed.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self
            .changed
            .wait_timeout_while(passed, patience, |passed| *passed < moments);
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }
}

/// A Post whose answer did not come.
struct Unanswered {
    id: String,
    recipient: String,
    request: Request,
    request_id: [u8; 16],
}

/// Somebody who sends.
pub(crate) struct Sender {
    pub(crate) account: Account,
    pub(crate) book: Book,
    /// Requests that were made again because a service was killed.
    pub(crate) repeated: usize,
    /// To whom, in turn.
    partners: Vec<String>,
    made: usize,
    chance: SeededEntropy,
    unanswered: Option<Unanswered>,
}

impl Sender {
    pub(crate) fn new(account: Account, partners: Vec<String>, seed: u64) -> Self {
        Self {
            account,
            book: Book::default(),
            repeated: 0,
            partners,
            made: 0,
            chance: SeededEntropy::new(seed),
            unanswered: None,
        }
    }

    /// Sends until told to stop, or until the service is gone.
    pub(crate) fn send_until(&mut self, moments: &Moments, stop: &AtomicBool) {
        while !stop.load(Ordering::SeqCst) {
            let next = self.next();
            moments.pass();
            let Ok(answer) = self.ask(&next) else {
                self.unanswered = Some(next);
                return;
            };
            moments.pass();
            if is_busy(&answer) {
                // It is asked again once everybody has stopped.
                self.unanswered = Some(next);
                return;
            }
            self.accepted(next, &answer);
        }
    }

    /// Asks again for what was not answered, under the same id, until it is.
    pub(crate) fn settle(&mut self) {
        let Some(unanswered) = self.unanswered.take() else {
            return;
        };
        self.repeated += 1;
        loop {
            let answer = self.ask(&unanswered).expect("the service runs again");
            if !is_busy(&answer) {
                return self.accepted(unanswered, &answer);
            }
            std::thread::yield_now();
        }
    }

    fn accepted(&mut self, posted: Unanswered, answer: &Answer) {
        answer.must_be(Code::Ok);
        self.book.accept(posted.id, posted.recipient);
    }

    fn ask(&mut self, posted: &Unanswered) -> std::io::Result<Answer> {
        let how = Circumstances {
            request_id: Some(posted.request_id),
            ..Circumstances::default()
        };
        self.account.client.try_ask_as(&posted.request, &how)
    }

    fn next(&mut self) -> Unanswered {
        let address = self.account.address();
        let id = format!("{address}/{}", self.made);
        let recipient = self.partners[self.made % self.partners.len()].clone();
        self.made += 1;
        let message = signed(&self.account.person, &id);
        Unanswered {
            request: frames::post(&[&recipient], vec![message]),
            request_id: draw(&mut self.chance),
            id,
            recipient,
        }
    }
}

/// Whether the service asks to be asked again.
fn is_busy(answer: &Answer) -> bool {
    matches!(answer.code(), Some(Code::Overload | Code::Timeout))
}
