//! A write whose owner is alive, and cannot be reached from here, goes through another node (cluster §18,
//! row 4).
//!
//! ```text
//!  router ──✕──▶ owner                cut between these two alone
//!     └──▶ a node that is heard, and lists the owner as alive ──▶ owner
//! ```
//!
//! [`Routing::turn`](super::routing::Routing::turn) says when, and through whom: nodes of the own zone
//! first, in the order of rendezvous. The node brings the request to the owner once, and tells what came of
//! it. So a write is sent at most twice here too: to the owner and through a node, or through two.

use mesh_common::account::is_recognized;
use mesh_common::cluster::{AccountRequest, Answer, CallFailure, Unit, Verified};
use mesh_common::limits::SUPERSEDED_PATIENCE;
use mesh_link::LinkFailure;
use tokio::time::sleep;

use super::Inner;
use super::asking::{Ended, too_late};
use super::links::Linked;
use super::routing::{Target, Through};

impl Inner {
    /// Has `through` bring `request` to `target`, once.
    pub(super) async fn ask_through(
        &self,
        (target, through): (&Target, &Through),
        unit: Unit,
        request: &Verified<AccountRequest>,
    ) -> Ended<Answer> {
        let Some(linked) = self.links.get(&through.by) else {
            self.routing_mut().pass_otherwise(&target.address);
            let now = self.now();
            self.routing_mut().doubt(&through.by, now);
            return Ended::Nothing;
        };
        tokio::select! {
            biased;
            outcome = linked.link.pass_on(through.route, request) => {
                self.judge_passed(&linked, target, unit, outcome)
            }
            () = self.superseded(unit, target) => {
                Ended::Open("another node owns the partition by now".into())
            }
        }
    }

    /// Learns from what became of a request that `linked` was to bring to `target`.
    fn judge_passed(
        &self,
        linked: &Linked,
        target: &Target,
        unit: Unit,
        outcome: Result<Answer, LinkFailure>,
    ) -> Ended<Answer> {
        let (by, now) = (&linked.address, self.now());
        self.measures.count_passed(&outcome);
        let failure = match outcome {
            Ok(answer) => {
                self.is_way(linked, target);
                return Ended::For(Ok(answer));
            }
            Err(failure) => failure,
        };
        match failure {
            LinkFailure::Call(CallFailure::Moved(hint)) => {
                self.is_not_owner(by, unit, Some(target), hint);
                Ended::Nothing
            }
            LinkFailure::Call(CallFailure::Away(error)) => {
                Ended::Open(error.context.unwrap_or(error.message))
            }
            LinkFailure::Call(failure) => {
                self.is_way(linked, target);
                Ended::For(Err(failure))
            }
            LinkFailure::Deadline { .. } => Ended::For(Err(too_late())),
            LinkFailure::NotPassedOn(why) => {
                tracing::debug!(node = %by, why, "a node cannot reach an owner either");
                self.routing_mut().not_passed(&target.address, now);
                Ended::Nothing
            }
            LinkFailure::NotSent(_) => {
                let mut routing = self.routing_mut();
                routing.doubt(by, now);
                routing.pass_otherwise(&target.address);
                Ended::Nothing
            }
            LinkFailure::Refused(why) | LinkFailure::Unknown(why) => {
                tracing::debug!(node = %by, why, "a node passes nothing on");
                self.routing_mut().passes_nothing(by, &target.address, now);
                Ended::Nothing
            }
            LinkFailure::Lost(why) => {
                self.routing_mut().doubt(by, now);
                Ended::Open(why)
            }
        }
    }

    /// `target` answered by way of `linked`: others may go there too.
    fn is_way(&self, linked: &Linked, target: &Target) {
        self.is_there(&linked.address, None);
        if !self.routing().is_way(&target.address) {
            tracing::warn!(
                node = %target.address, by = %linked.address,
                "a node cannot be reached from here; what is for it goes through another one"
            );
            let changed = self.routing_mut().passed(&target.address);
            self.wake(&changed);
        }
    }

    /// Ready when `linked`, which was heard as `request` was sent, is heard no more, and somebody else
    /// hears it: whatever is on its way there will not arrive soon, nor its answer. Only for what its home
    /// recognizes, should it arrive twice.
    pub(super) async fn unheard(
        &self,
        linked: &Linked,
        (target, unit): (&Target, Unit),
        request: &Verified<AccountRequest>,
    ) {
        if !is_recognized(&request.request) {
            return std::future::pending().await;
        }
        let mut before = linked.stream();
        loop {
            let changed = linked.stream_changed();
            tokio::pin!(changed);
            changed.as_mut().enable();
            let stream = linked.stream();
            if before.is_none() || stream == before {
                before = stream;
                changed.await;
                continue;
            }
            // Streams are also opened anew for other reasons.
            sleep(SUPERSEDED_PATIENCE).await;
            before = linked.stream();
            let now = self.now();
            if before.is_none() && self.routing().has_way(unit, &target.address, now) {
                return;
            }
        }
    }
}
