//! Who a simulated peer is: the keys and profiles of a service of its own (service §9.1).

use std::sync::{Mutex, PoisonError};

use mesh_backend::SystemEntropy;
use mesh_common::assertion::make::{HostProfileKeys, ServiceKeys};
use mesh_common::dare::Envelope;
use mesh_common::session::client::ClientIdentity;
use mesh_common::session::{HostKeys, TicketKeys};
use mesh_common::time::Timestamp;
use mesh_common::udf::Udf;

use crate::people::entropy_of;

/// Keys, profiles and ticket keys of one peer.
pub(super) struct Identity {
    /// The signed ProfileService.
    pub(super) profile_service: Envelope,
    /// The signed and countersigned ProfileHost.
    pub(super) profile_host: Envelope,
    /// What requests are made to.
    pub(super) host_keys: HostKeys,
    keys: ServiceKeys,
    tickets: Mutex<TicketKeys>,
}

impl Identity {
    /// The identity that `domain` has in its `generation`th life: the same each time it is asked for.
    pub(super) fn of(domain: &str, generation: u32, now: Timestamp) -> Self {
        let mut entropy = entropy_of(&format!("service of {domain}, {generation}"));
        let keys = ServiceKeys::generate(&mut entropy);
        let host = HostProfileKeys::generate(&mut entropy);
        let udf = keys.offline.udf();
        Self {
            profile_service: keys.profile(now),
            profile_host: host.profile(&keys.offline),
            host_keys: HostKeys::new(udf.clone(), keys.authentication.clone())
                .expect("a generated key is an Ed448 key"),
            tickets: Mutex::new(TicketKeys::new(udf)),
            keys,
        }
    }

    /// UDF of the ProfileService.
    pub(super) const fn udf(&self) -> &Udf {
        self.host_keys.service_udf()
    }

    /// As whom the peer speaks to others, for `domain`.
    pub(super) fn speaking_for(&self, domain: &str) -> ClientIdentity {
        ClientIdentity::service(
            self.profile_service.clone(),
            Some(self.profile_host.clone()),
            domain.to_owned(),
            self.keys.authentication.clone(),
        )
    }

    /// What `use_them` makes of the ticket keys that are good at `now`.
    pub(super) fn with_tickets<T>(
        &self,
        now: Timestamp,
        use_them: impl FnOnce(&TicketKeys) -> T,
    ) -> T {
        let mut tickets = self.tickets.lock().unwrap_or_else(PoisonError::into_inner);
        if tickets.epochs().next().is_none() {
            tickets.rotate(now, &mut SystemEntropy);
        }
        use_them(&tickets)
    }

    /// Forgets the ticket keys: every ticket there is becomes invalid.
    pub(super) fn forget_tickets(&self) {
        let mut tickets = self.tickets.lock().unwrap_or_else(PoisonError::into_inner);
        *tickets = TicketKeys::new(self.udf().clone());
    }
}
