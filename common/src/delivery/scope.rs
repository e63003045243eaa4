//! What is counted of the queue, so that nobody fills it (cluster §14, delivery §13).

use super::item::QueueItem;

/// Messages that wait and have something in common. Domains are canonical.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum QueueScope {
    /// All that go to one domain.
    Destination(String),
    /// All that come from one domain served here.
    Tenant(String),
    /// Those of one tenant for one destination.
    Share {
        /// From where.
        tenant: String,
        /// To where.
        destination: String,
    },
}

impl QueueScope {
    /// Everything that a message from `tenant` to `destination` counts in.
    #[must_use]
    pub fn of(tenant: &str, destination: &str) -> [Self; 3] {
        let (tenant, destination) = (tenant.to_owned(), destination.to_owned());
        [
            Self::Destination(destination.clone()),
            Self::Tenant(tenant.clone()),
            Self::Share {
                tenant,
                destination,
            },
        ]
    }
}

impl QueueItem {
    /// Everything that it counts in.
    #[must_use]
    pub fn scopes(&self) -> [QueueScope; 3] {
        QueueScope::of(self.tenant(), self.destination())
    }
}
