//! Which messages an operator means: those to a destination, from a tenant, or one message; what is
//! stated together must hold together (delivery §13).

use mesh_common::address::canonical_domain;
use mesh_common::delivery::QueueItem;
use serde::{Deserialize, Serialize};

/// Messages that wait for other services. What is absent does not matter; something is present.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "Scope", into = "Scope")]
pub struct Selection(Scope);

/// A [`Selection`] as it is written.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Scope {
    /// The domain of the recipients.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub destination: Option<String>,
    /// The domain of the senders.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// UniqueID of a message, or the id of one item of the queue.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// A selection that means nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SelectionError {
    /// It would mean every message of everybody.
    #[error("nothing is selected: name a destination, a tenant or a message")]
    Nothing,
    /// A domain that is none.
    #[error("{found:?} is not a domain")]
    Domain {
        /// What was found.
        found: String,
    },
}

impl Selection {
    /// The messages for one domain.
    ///
    /// # Errors
    /// [`SelectionError::Domain`].
    pub fn of_destination(domain: &str) -> Result<Self, SelectionError> {
        Self::try_from(Scope {
            destination: Some(domain.to_owned()),
            ..Scope::default()
        })
    }

    /// One message, for all its recipients.
    ///
    /// # Errors
    /// [`SelectionError::Nothing`] if the id is empty.
    pub fn of_message(id: &str) -> Result<Self, SelectionError> {
        Self::try_from(Scope {
            message: Some(id.to_owned()),
            ..Scope::default()
        })
    }

    /// What it consists of.
    #[must_use]
    pub const fn scope(&self) -> &Scope {
        &self.0
    }

    /// Whether `item` is meant.
    #[must_use]
    pub fn matches(&self, item: &QueueItem) -> bool {
        let Scope {
            destination,
            tenant,
            message,
        } = &self.0;
        let names = |id: &String| *id == item.unique_id || *id == item.id.to_string();
        destination
            .as_ref()
            .is_none_or(|domain| domain == item.destination())
            && tenant.as_ref().is_none_or(|domain| domain == item.tenant())
            && message.as_ref().is_none_or(names)
    }

    /// How much is stated: of two selections that match, the one that states more is meant, and a message
    /// counts more than domains.
    #[must_use]
    pub const fn specificity(&self) -> u8 {
        let Scope {
            destination,
            tenant,
            message,
        } = &self.0;
        4 * message.is_some() as u8 + 2 * destination.is_some() as u8 + tenant.is_some() as u8
    }

    /// The one domain it is about, if it is about one.
    #[must_use]
    pub fn destination(&self) -> Option<&str> {
        self.0.destination.as_deref()
    }

    /// The domain it is about and nothing else, if so.
    #[must_use]
    pub fn whole_destination(&self) -> Option<&str> {
        match &self.0 {
            Scope {
                destination: Some(domain),
                tenant: None,
                message: None,
            } => Some(domain),
            _ => None,
        }
    }
}

impl TryFrom<Scope> for Selection {
    type Error = SelectionError;

    fn try_from(scope: Scope) -> Result<Self, SelectionError> {
        let domain = |text: Option<String>| {
            let canonical = |text: String| {
                canonical_domain(&text).map_err(|_| SelectionError::Domain { found: text })
            };
            text.map(canonical).transpose()
        };
        let scope = Scope {
            destination: domain(scope.destination)?,
            tenant: domain(scope.tenant)?,
            message: scope.message.filter(|id| !id.is_empty()),
        };
        if scope == Scope::default() {
            return Err(SelectionError::Nothing);
        }
        Ok(Self(scope))
    }
}

impl From<Selection> for Scope {
    fn from(selection: Selection) -> Self {
        selection.0
    }
}

/// For people: `messages from example.com to example.net`.
impl std::fmt::Display for Selection {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.0.message {
            Some(id) => write!(formatter, "message {id}")?,
            None => formatter.write_str("messages")?,
        }
        if let Some(tenant) = &self.0.tenant {
            write!(formatter, " from {tenant}")?;
        }
        if let Some(destination) = &self.0.destination {
            write!(formatter, " to {destination}")?;
        }
        Ok(())
    }
}
