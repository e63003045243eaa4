//! The secrets of tickets, as back-ends tell them (decision Q-54): a front-end of a cluster makes none
//! and keeps none, so that a ticket of one front-end is good at every other.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use mesh_common::cluster::TicketSecret;
use mesh_common::session::{Epoch, TicketKeys};
use mesh_common::time::Timestamp;
use mesh_common::udf::Udf;
use zeroize::Zeroizing;

/// Puts what is told where tickets are sealed and opened.
pub(crate) struct ToldTickets {
    service: Udf,
    known: Mutex<BTreeMap<Epoch, Zeroizing<[u8; 32]>>>,
    shared: Arc<ArcSwap<TicketKeys>>,
}

impl ToldTickets {
    /// Keeps `shared` as it is told, for the tickets of `service`.
    pub(crate) fn new(service: Udf, shared: Arc<ArcSwap<TicketKeys>>) -> Self {
        Self {
            service,
            known: Mutex::default(),
            shared,
        }
    }

    /// Adds what one back-end told. Several tell the same, some a moment later: what one of them does
    /// not name is not forgotten before its epoch is over.
    pub(crate) fn take(&self, secrets: &[TicketSecret], now: Timestamp) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        for told in secrets {
            known.insert(Epoch(told.epoch), told.secret.clone());
        }
        let oldest = Epoch::held_at(now).next();
        known.retain(|epoch, _| oldest.is_none_or(|oldest| *epoch >= oldest));
        let mut keys = TicketKeys::new(self.service.clone());
        for (epoch, secret) in &*known {
            keys.insert(*epoch, secret.clone());
        }
        // The same keys stay, with the tickets that were opened under them.
        if keys != **self.shared.load() {
            self.shared.store(Arc::new(keys));
        }
    }
}

#[cfg(test)]
mod tests {
    use mesh_common::limits::TICKET_KEY_EPOCH;

    use super::*;

    fn secret(epoch: Epoch, fill: u8) -> TicketSecret {
        TicketSecret {
            epoch: epoch.0,
            secret: Zeroizing::new([fill; 32]),
        }
    }

    #[test]
    fn secrets_of_several_back_ends_are_kept_together_until_their_epoch_is_over() {
        let service = Udf::parse("MAAA-BBBB-CCCC-DDDD").unwrap();
        let shared = Arc::new(ArcSwap::from_pointee(TicketKeys::new(service.clone())));
        let tickets = ToldTickets::new(service, Arc::clone(&shared));
        let now = Timestamp::from_secs(1_800_000_000);
        let Epoch(current) = Epoch::at(now);
        let [here, next] = [Epoch(current), Epoch(current + 1)];
        tickets.take(&[secret(here, 1)], now);
        let first = shared.load_full();
        assert!(first.epochs().eq([here]));
        tickets.take(&[secret(here, 1)], now);
        assert!(Arc::ptr_eq(&first, &shared.load_full()), "nothing is new");
        tickets.take(&[secret(next, 2)], now);
        assert!(shared.load().epochs().eq([here, next]));
        // Two epochs before are still opened, three are not.
        let later = now + TICKET_KEY_EPOCH * 3;
        tickets.take(&[], later);
        assert!(shared.load().epochs().eq([next]));
    }
}
