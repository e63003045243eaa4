//! How the world of the model goes on: what nodes see, what they hold, how their commits are spoilt and
//! end.

use super::*;

impl World {
    /// What node `n` has observed: whose record it saw unchanged.
    pub(super) fn observer(&self, n: usize) -> Observer {
        let others = || (0..NODES).filter(|other| *other != n);
        let mut observer = Observer::default();
        let unchanged = others().filter(|other| self.nodes[n].seen[*other]);
        observer.observe(
            Duration::ZERO,
            Duration::ZERO,
            unchanged.map(record).collect(),
        );
        observer.observe(LEASE, LEASE, others().map(record).collect());
        observer
    }

    /// Forgets what makes no difference, so that worlds that are alike are equal: transactions that
    /// cannot land and that nobody waits for, and what was seen of nodes that own nothing.
    pub(super) fn tidy(&mut self) {
        let flights = std::mem::take(&mut self.flights);
        let matters = |one: &Flight| !one.is_spoilt || self.is_awaited(one);
        self.flights = flights.into_iter().filter(matters).collect();
        self.flights.sort_unstable();
        for other in (0..NODES)
            .filter(|other| !self.is_recorded(*other))
            .collect::<Vec<_>>()
        {
            self.nodes
                .iter_mut()
                .for_each(|node| node.seen[other] = false);
        }
    }

    /// Whether its sender waits for the end of a transaction.
    pub(super) fn is_awaited(&self, flight: &Flight) -> bool {
        let (node, p) = (
            &self.nodes[usize::from(flight.node)],
            usize::from(flight.partition),
        );
        match &flight.work {
            Work::Claim { .. } => node.beliefs[p] == Belief::Claiming,
            Work::Write { held, batch, .. } => node.awaits(p, held.fence, batch.2),
            Work::Release { .. } => false,
        }
    }

    /// Whether the store has `n` as the owner of anything.
    pub(super) fn is_recorded(&self, n: usize) -> bool {
        let owners = self.partitions.iter().filter_map(|stored| stored.owner);
        owners
            .into_iter()
            .any(|one| one.is_active && one.node == id(n))
    }

    /// Whether it makes a difference that `n` says that it lives.
    pub(super) fn is_observed(&self, n: usize) -> bool {
        let takes_from = |one: &Flight| match one.work {
            Work::Claim { victim, .. } => {
                victim == Some(n as u8) && !one.is_spoilt && !one.is_robbery
            }
            _ => false,
        };
        self.nodes.iter().any(|node| node.seen[n]) || self.flights.iter().any(takes_from)
    }

    /// Whether nothing of `n` is anywhere.
    pub(super) fn is_untouched(&self, n: usize) -> bool {
        let is_stored = |stored: &Stored| {
            stored.owner.is_some_and(|one| one.node == id(n))
                || stored.log.iter().any(|batch| usize::from(batch.0) == n)
        };
        self.nodes[n] == Node::default()
            && !self.nodes.iter().any(|node| node.seen[n])
            && !self.flights.iter().any(|one| usize::from(one.node) == n)
            && !self.partitions.iter().any(is_stored)
    }

    pub(super) fn held(&self, n: usize, p: usize) -> Option<(Ownership, usize, u8)> {
        let Belief::Owner {
            fence,
            tip,
            attempt,
            ..
        } = &self.nodes[n].beliefs[p]
        else {
            return None;
        };
        let held = Ownership {
            fence: *fence,
            node: id(n),
            is_active: true,
        };
        Some((held, *tip, *attempt))
    }

    pub(super) fn pend(&mut self, n: usize, p: usize, stage: Pending) {
        if let Belief::Owner { pending, .. } = &mut self.nodes[n].beliefs[p] {
            *pending = stage;
        }
    }

    pub(super) fn spoil_readers_of_owner(&mut self, p: usize) {
        let readers = self.flights.iter_mut();
        readers
            .filter(|one| usize::from(one.partition) == p && one.reads_owner)
            .for_each(|one| one.is_spoilt = true);
    }

    pub(super) fn beat(&mut self, n: usize) {
        self.nodes.iter_mut().for_each(|node| node.seen[n] = false);
        for flight in &mut self.flights {
            if let Work::Claim { victim, .. } = flight.work
                && victim == Some(n as u8)
            {
                flight.is_robbery = true;
                flight.is_spoilt |= flight.reads_node == victim;
            }
        }
    }

    /// Whatever it knew is gone; what it sent is on its way all the same.
    pub(super) fn crash(&mut self, n: usize) {
        self.nodes[n] = Node {
            is_up: false,
            ..Node::default()
        };
    }

    pub(super) fn release(&mut self, n: usize, p: usize) {
        let Some((held, ..)) = self.held(n, p) else {
            return;
        };
        let permits = Ownership::permits(self.partitions[p].owner.as_ref(), &held);
        // From here on the node starts no work for it, whatever becomes of the release.
        self.nodes[n].beliefs[p] = Belief::NotOurs;
        if permits {
            self.flights.push(Flight {
                node: n as u8,
                partition: p as u8,
                work: Work::Release { held },
                reads_owner: true,
                reads_node: None,
                is_robbery: false,
                is_spoilt: false,
            });
        }
    }

    pub(super) fn give_up(&mut self, n: usize, p: usize) {
        match self.nodes[n].beliefs[p] {
            Belief::Claiming => self.nodes[n].beliefs[p] = Belief::NotOurs,
            _ => self.pend(n, p, Pending::Doubt),
        }
    }

    /// Looks whether the batch in doubt is there, and goes on from what is.
    pub(super) fn look(&mut self, n: usize, p: usize) {
        let Some((held, tip, attempt)) = self.held(n, p) else {
            return;
        };
        let batch = (n as u8, held.fence.epoch, attempt);
        if self.partitions[p].log.get(tip) == Some(&batch) {
            self.acknowledge(n, p, tip, batch);
        } else if let Belief::Owner { attempt, .. } = &mut self.nodes[n].beliefs[p] {
            // What was asked for may be something else by now.
            *attempt = 1;
        }
        self.pend(n, p, Pending::None);
    }

    pub(super) fn acknowledge(&mut self, n: usize, p: usize, index: usize, batch: Batch) {
        self.partitions[p].acknowledged.push((index, batch));
        if let Belief::Owner { tip, .. } = &mut self.nodes[n].beliefs[p] {
            *tip = index + 1;
        }
    }

    /// The transaction lands, or is refused because it is spoilt; who still waits for it is told.
    pub(super) fn end(&mut self, flight: usize) {
        let flight = self.flights.remove(flight);
        let (n, p) = (usize::from(flight.node), usize::from(flight.partition));
        let is_awaited = self.is_awaited(&flight);
        if flight.is_spoilt {
            if is_awaited {
                self.nodes[n].beliefs[p] = Belief::NotOurs;
            }
            return;
        }
        match flight.work {
            Work::Claim { after, .. } => {
                self.robbed |= flight.is_robbery;
                self.partitions[p].owner = Some(after);
                self.spoil_readers_of_owner(p);
                if is_awaited {
                    self.nodes[n].beliefs[p] = Belief::Owner {
                        fence: after.fence,
                        tip: self.partitions[p].log.len(),
                        attempt: 0,
                        pending: Pending::None,
                    };
                }
            }
            Work::Release { held } => {
                self.partitions[p].owner = Some(held.released());
                self.spoil_readers_of_owner(p);
            }
            Work::Write { held, index, batch } => {
                let stored = &mut self.partitions[p];
                self.stray_write |= !Ownership::permits(stored.owner.as_ref(), &held);
                // Absolute values: the frame at its index, and the tip behind it.
                self.overwritten |= stored.log[index.min(stored.log.len())..]
                    .iter()
                    .any(|there| *there != batch);
                stored.log.truncate(index);
                stored.log.push(batch);
                if is_awaited {
                    self.acknowledge(n, p, index, batch);
                    self.pend(n, p, Pending::None);
                }
            }
        }
    }
}
