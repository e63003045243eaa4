//! The partition's actor as it does what is due (architecture A-15).
//!
//! Nobody waits for it, so it goes last: it begins once the process has places among its commits to spare and the
//! store serves it at once (cluster §14). Both are asked for before the one commit in flight is taken,
//! so that no request of the partition ever waits behind work that is held back. What finds no room is put off to the
//! next interval.

use std::sync::Arc;

use actix::prelude::*;
use mesh_common::address::AccountAddress;
use mesh_common::cluster::Fence;
use tokio::sync::oneshot;

use super::{Claim, Flight, PartitionActor};
use crate::commits::Place;
use crate::partition::commands::Tend;
use crate::partition::shared::chain;
use crate::partition::upkeep::{self, Tended, UpkeepError};
use crate::store::{ProbeError, Store};

/// How far it is.
#[derive(Default)]
pub(super) struct Tending {
    is_due: bool,
    room: Room,
    /// Rows carried out since somebody asked.
    done: usize,
    replies: Vec<oneshot::Sender<Tended>>,
}

#[derive(Default)]
enum Room {
    #[default]
    None,
    Asked,
    Granted(Place),
}

impl Tending {
    pub(super) const fn is_due(&self) -> bool {
        self.is_due
    }

    /// Something may be due.
    pub(super) const fn begin(&mut self) {
        self.is_due = true;
    }

    /// Leaves what is due to the next interval, and tells who asked how much was done, and whether there is `more` to be
    /// done at once.
    pub(super) fn give_up(&mut self, more: bool) {
        self.is_due = false;
        if matches!(self.room, Room::Granted(_)) {
            self.room = Room::None;
        }
        let tended = Tended {
            done: std::mem::take(&mut self.done),
            more,
        };
        for reply in self.replies.drain(..) {
            let _gone = reply.send(tended);
        }
    }
}

impl<S: Store> PartitionActor<S> {
    /// Asks for room, or, once that is granted, does a piece of what is due.
    pub(super) fn begin_upkeep(&mut self, ctx: &mut Context<Self>, fence: Fence) {
        if !self.tending.is_due || !matches!(self.flight, Flight::None) {
            return;
        }
        match std::mem::replace(&mut self.tending.room, Room::Asked) {
            Room::None => {
                let shared = Arc::clone(&self.shared);
                let ask = async move { shared.room_for_background().await };
                ctx.spawn(ask.into_actor(self).map(Self::room_found));
            }
            Room::Asked => {}
            Room::Granted(place) => self.tend(ctx, fence, place),
        }
    }

    fn room_found(room: Option<Place>, this: &mut Self, ctx: &mut Context<Self>) {
        this.tending.room = Room::None;
        match room {
            Some(place) if this.tending.is_due => this.tending.room = Room::Granted(place),
            Some(_) => {}
            None => this.tending.give_up(false),
        }
        this.go_on(ctx);
    }

    fn tend(&mut self, ctx: &mut Context<Self>, fence: Fence, place: Place) {
        self.tending.room = Room::None;
        self.tending.is_due = false;
        self.flight = Flight::Upkeep;
        let (shared, partition, now) =
            (Arc::clone(&self.shared), self.partition, self.shared.now());
        let (queue, draining) = (&self.queue, &self.draining);
        let idle = self.shared.config.account_idle();
        self.accounts.retire(now, idle, |address| {
            queue.holds(address) || draining.holds(address)
        });
        let tend = async move { upkeep::tend(&shared, partition, fence, now, place).await };
        ctx.spawn(tend.into_actor(self).map(Self::tended));
    }

    fn tended(
        result: Result<(Tended, Vec<AccountAddress>), UpkeepError>,
        this: &mut Self,
        ctx: &mut Context<Self>,
    ) {
        this.flight = Flight::None;
        match result {
            Ok((tended, touched)) => {
                // Their heads and tips are others now; who needs them reads them.
                for address in touched {
                    this.accounts.forget(&address);
                }
                this.tending.done += tended.done;
                // As long as nobody waits, the work goes on; else it makes room and is asked for again.
                this.tending.is_due |= tended.more && this.queue.is_empty();
                if !this.tending.is_due {
                    this.tending.give_up(tended.more);
                }
            }
            Err(error) => {
                tracing::warn!(
                    partition = this.partition.0,
                    cause = chain(&error),
                    "upkeep failed"
                );
                if let UpkeepError::Commit(ProbeError::Refused(_) | ProbeError::Unresolved(_)) =
                    error
                {
                    this.give_up_claim();
                }
                this.tending.give_up(false);
            }
        }
        this.go_on(ctx);
    }
}

impl<S: Store> Handler<Tend> for PartitionActor<S> {
    type Result = ();

    fn handle(&mut self, Tend { reply }: Tend, ctx: &mut Self::Context) {
        if matches!(self.ownership, Claim::Lost) {
            return;
        }
        self.tending.replies.push(reply);
        self.tending.begin();
        self.go_on(ctx);
    }
}
