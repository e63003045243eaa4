//! What a node tells by itself: one line of JSON per event (decision Q-63).
//!
//! ```text
//!  {"Greeting":{…}}      once: who tells, which versions it speaks, how the stream is called
//!  {"Told":{…}}          what differs from what was told before in this stream; the first: everything
//!  {"Changed":[7,9]}     accounts that are watched under these numbers
//!  {"Alive":{}}          nothing is new, and both sides are there
//! ```

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, Zeroizing};

use super::{StreamId, VERSION};
use crate::cluster::{
    Fence, NodeId, PartitionId, Roles, Route, RoutedNode, RoutingTable, TicketSecret, Told, Unit,
};
use crate::delivery::ShardId;
use crate::encoding::{base64url, json};
use crate::limits::{LINK_EVENT_BYTES_MAX, LINK_NODES_MAX, LINK_TICKET_SECRETS_MAX};
use crate::limits::{OUTBOUND_SHARDS, PARTITIONS};

/// One event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// The first of every stream.
    Greeting(Greeting),
    /// Something is told anew.
    Told(Box<News>),
    /// Accounts changed, by the numbers of their watches.
    Changed(Vec<u64>),
    /// Nothing; the stream is open.
    Alive {},
}

/// Who tells, and how the stream is called.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Greeting {
    /// The lowest and the highest version of calls that the node answers.
    pub versions: (u16, u16),
    /// The stream, for orders that concern it.
    #[serde(with = "hex")]
    pub stream: StreamId,
}

/// What differs from what was told before.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct News {
    /// The revision of what is told now.
    revision: u64,
    /// All nodes, if any of them is another than before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    nodes: Option<BTreeMap<NodeName, NodeLine>>,
    /// The units whose owner is another than before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    owned: Vec<(UnitName, NodeName, u32, u64)>,
    /// The units that have no owner at work any more.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    abandoned: Vec<UnitName>,
    /// All ticket secrets, if any of them is another than before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ticket_secrets: Option<Vec<(u32, SecretText)>>,
}

/// A node's name as hexadecimal text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct NodeName(#[serde(with = "hex")] NodeId);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct NodeLine {
    address: String,
    zone: String,
    roles: Roles,
    draining: bool,
}

/// `p7` or `s7`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
struct UnitName(Unit);

/// A secret as base64url text; wiped, and never printed.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
struct SecretText(String);

impl fmt::Debug for SecretText {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a secret")
    }
}

/// A line that is no event, or says what cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no event: {reason}")]
pub struct EventError {
    reason: String,
}

impl EventError {
    fn new(reason: impl fmt::Display) -> Self {
        Self {
            reason: reason.to_string(),
        }
    }
}

impl Event {
    /// The greeting of `stream`, by this release.
    #[must_use]
    pub const fn greeting(stream: StreamId) -> Self {
        Self::Greeting(Greeting {
            versions: (VERSION, VERSION),
            stream,
        })
    }

    /// The line, its end included.
    #[must_use]
    pub fn to_line(&self) -> Vec<u8> {
        let mut line = json::write(self);
        line.push(b'\n');
        line
    }

    /// Reads one line, without its end.
    ///
    /// # Errors
    /// [`EventError`]: a line that [`Self::to_line`] does not write, or above
    /// [`LINK_EVENT_BYTES_MAX`].
    pub fn from_line(line: &[u8]) -> Result<Self, EventError> {
        if line.len() > LINK_EVENT_BYTES_MAX {
            let reason = format!("a line of more than {LINK_EVENT_BYTES_MAX} octets");
            return Err(EventError { reason });
        }
        json::parse(line).map_err(EventError::new)
    }
}

impl News {
    /// What `now` says that `before` did not.
    #[must_use]
    pub fn between(before: &Told, now: &Told) -> Self {
        let mut news = Self {
            revision: now.revision,
            ..Self::default()
        };
        let (old, new) = (&*before.routes, &*now.routes);
        if old.nodes != new.nodes {
            news.nodes = Some(new.nodes.iter().map(node_line).collect());
        }
        for (unit, _, route) in RoutingTable::differences(old, new) {
            let Some(Route { node, fence }) = route else {
                news.abandoned.push(UnitName(unit));
                continue;
            };
            let Fence { generation, epoch } = fence;
            let owned = (UnitName(unit), NodeName(node), generation, epoch);
            news.owned.push(owned);
        }
        if before.ticket_secrets != now.ticket_secrets {
            news.ticket_secrets = Some(now.ticket_secrets.iter().map(secret_line).collect());
        }
        news
    }

    /// What is told now, if `before` was told before.
    ///
    /// # Errors
    /// [`EventError`]: more nodes or secrets than there can be, or a secret that is none.
    pub fn onto(self, before: &Told) -> Result<Told, EventError> {
        let mut told = before.clone();
        told.revision = self.revision;
        if self.nodes.is_some() || !self.owned.is_empty() || !self.abandoned.is_empty() {
            let routes = Arc::make_mut(&mut told.routes);
            if let Some(nodes) = self.nodes {
                if nodes.len() > LINK_NODES_MAX {
                    return Err(EventError::new("more nodes than a cluster has"));
                }
                routes.nodes = nodes.into_iter().map(routed_node).collect();
            }
            apply_owners(routes, &self.owned, &self.abandoned);
        }
        if let Some(secrets) = self.ticket_secrets {
            if secrets.len() > LINK_TICKET_SECRETS_MAX {
                return Err(EventError::new("more ticket secrets than there are epochs"));
            }
            let secrets: Result<_, _> = secrets.iter().map(ticket_secret).collect();
            told.ticket_secrets = Arc::new(secrets?);
        }
        Ok(told)
    }
}

fn apply_owners(
    routes: &mut RoutingTable,
    owned: &[(UnitName, NodeName, u32, u64)],
    abandoned: &[UnitName],
) {
    for &(UnitName(unit), NodeName(node), generation, epoch) in owned {
        let fence = Fence { generation, epoch };
        routes.owners.insert(unit, Route { node, fence });
    }
    for UnitName(unit) in abandoned {
        routes.owners.remove(unit);
    }
}

fn node_line((id, node): (&NodeId, &RoutedNode)) -> (NodeName, NodeLine) {
    let RoutedNode {
        address,
        zone,
        roles,
        draining,
    } = node.clone();
    let line = NodeLine {
        address,
        zone,
        roles,
        draining,
    };
    (NodeName(*id), line)
}

fn routed_node((NodeName(id), line): (NodeName, NodeLine)) -> (NodeId, RoutedNode) {
    let NodeLine {
        address,
        zone,
        roles,
        draining,
    } = line;
    let node = RoutedNode {
        address,
        zone,
        roles,
        draining,
    };
    (id, node)
}

fn secret_line(secret: &TicketSecret) -> (u32, SecretText) {
    let text = base64url::encode(&*secret.secret);
    (secret.epoch, SecretText(text))
}

fn ticket_secret((epoch, text): &(u32, SecretText)) -> Result<TicketSecret, EventError> {
    let wrong = |_| EventError::new("a ticket secret is 32 octets as base64url");
    let octets = base64url::decode(&text.0)
        .map(Zeroizing::new)
        .map_err(|_| wrong(()))?;
    let mut secret = Zeroizing::new([0; 32]);
    if octets.len() != secret.len() {
        return Err(wrong(()));
    }
    secret.copy_from_slice(&octets);
    Ok(TicketSecret {
        epoch: *epoch,
        secret,
    })
}

impl Drop for SecretText {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl From<UnitName> for String {
    fn from(UnitName(unit): UnitName) -> Self {
        match unit {
            Unit::Partition(PartitionId(number)) => format!("p{number}"),
            Unit::Shard(ShardId(number)) => format!("s{number}"),
        }
    }
}

impl TryFrom<String> for UnitName {
    type Error = EventError;

    fn try_from(text: String) -> Result<Self, EventError> {
        let number = |max: u16| {
            let digits = text.get(1..)?;
            let number: u16 = digits.parse().ok()?;
            (number < max && number.to_string() == digits).then_some(number)
        };
        let unit = match text.as_bytes().first() {
            Some(b'p') => number(PARTITIONS).map(|number| PartitionId(number).into()),
            Some(b's') => number(OUTBOUND_SHARDS).map(|number| ShardId(number).into()),
            _ => None,
        };
        unit.map(Self)
            .ok_or_else(|| EventError::new("no partition or shard"))
    }
}

/// Sixteen octets as hexadecimal text.
mod hex {
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serializer};

    use super::{NodeId, StreamId};

    pub(super) trait Sixteen {
        fn octets(&self) -> [u8; 16];
        fn of(octets: [u8; 16]) -> Self;
    }

    impl Sixteen for NodeId {
        fn octets(&self) -> [u8; 16] {
            self.0
        }

        fn of(octets: [u8; 16]) -> Self {
            Self(octets)
        }
    }

    impl Sixteen for StreamId {
        fn octets(&self) -> [u8; 16] {
            self.0
        }

        fn of(octets: [u8; 16]) -> Self {
            Self(octets)
        }
    }

    pub(super) fn serialize<T: Sixteen, S: Serializer>(
        value: &T,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let number = u128::from_be_bytes(value.octets());
        serializer.collect_str(&format_args!("{number:032x}"))
    }

    pub(super) fn deserialize<'de, T: Sixteen, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<T, D::Error> {
        let text = String::deserialize(deserializer)?;
        u128::from_str_radix(&text, 16)
            .ok()
            .filter(|number| format!("{number:032x}") == text)
            .map(|number| T::of(number.to_be_bytes()))
            .ok_or_else(|| D::Error::custom("sixteen octets are 32 hexadecimal digits"))
    }
}
