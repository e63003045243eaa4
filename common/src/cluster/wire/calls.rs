//! Everything that is asked of a node, and how it answers.

use serde::Deserialize as _;
use serde_json::Value;

use super::basic::wire_lists;
use super::{Input, Wire, WireError, wire_enum, wire_struct};
use crate::account::connect::Publication;
use crate::address::AccountAddress;
use crate::cluster::{
    AccountRequest, Answer, CallFailure, Fence, NodeId, Nudge, PartitionId, Route, Unit, Verified,
};
use crate::crypto::PublicKey;
use crate::delivery::ShardId;
use crate::discovery::{Pinned, ReplacedKey};
use crate::limits::{OUTBOUND_SHARDS, PARTITIONS};
use crate::time::Timestamp;
use crate::udf::Udf;

/// Asks for the keys that may sign for an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeysQuestion {
    /// The account.
    pub account: AccountAddress,
    /// When the answer is of no use any more.
    pub deadline: Timestamp,
}

/// Asks for what a hailing account publishes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishedQuestion {
    /// The account.
    pub account: AccountAddress,
    /// The name of what it publishes.
    pub id: Udf,
    /// When the answer is of no use any more.
    pub deadline: Timestamp,
}

/// Has a node pass a request on to its owner.
#[derive(Debug, Clone, PartialEq)]
pub struct PassOnOrder {
    /// Who the front-end believes to be the owner.
    pub route: Route,
    /// The request.
    pub request: Verified<AccountRequest>,
}

/// Asks what is remembered of the service of a domain, and tells what a front-end has seen of it.
#[derive(Debug, Clone, PartialEq)]
pub struct PinQuestion {
    /// The domain, canonical.
    pub domain: String,
    /// What it is to be remembered as.
    pub seen: Option<Pinned>,
    /// When the answer is of no use any more.
    pub deadline: Timestamp,
}

/// One stream of events, as the node that sends it calls it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct StreamId(pub [u8; 16]);

/// Begins and ends watches whose changes are told in one stream. Whoever watches draws the numbers of
/// its watches, each once in the life of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WatchOrder {
    /// The stream.
    pub stream: StreamId,
    /// What is to be watched, and by which number its changes are told.
    pub begin: Vec<(u64, AccountAddress)>,
    /// What need not be watched any more.
    pub end: Vec<u64>,
}

/// Has a node watch an account at its owner, and tell what that one tells: one watch begins in place of
/// others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WatchOnOrder {
    /// Who the front-end believes to be the owner.
    pub route: Route,
    /// What is to be watched, as at the owner itself.
    pub order: WatchOrder,
}

/// For each watch that was to begin, whether it did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WatchReply(pub Vec<bool>);

wire_struct!(KeysQuestion { account, deadline });
wire_struct!(PublishedQuestion {
    account,
    id,
    deadline,
});
wire_lists!((u64, AccountAddress), PartitionId, ShardId, Unit);
wire_struct!(WatchOrder { stream, begin, end });

/// Types that hold one value and are written as it.
macro_rules! wire_newtype {
    ($($type:ident),*) => {
        $(impl Wire for $type {
            fn put(&self, out: &mut Vec<u8>) {
                self.0.put(out);
            }

            fn take(input: &mut Input<'_>) -> Result<Self, WireError> {
                Wire::take(input).map(Self)
            }
        })*
    };
}

wire_newtype!(StreamId, WatchReply, NodeId);

impl Wire for PartitionId {
    fn put(&self, out: &mut Vec<u8>) {
        self.0.put(out);
    }

    fn take(input: &mut Input<'_>) -> Result<Self, WireError> {
        match u16::take(input)? {
            number if number < PARTITIONS => Ok(Self(number)),
            _ => Err(WireError::Value { what: "partition" }),
        }
    }
}

impl Wire for ShardId {
    fn put(&self, out: &mut Vec<u8>) {
        self.0.put(out);
    }

    fn take(input: &mut Input<'_>) -> Result<Self, WireError> {
        match u16::take(input)? {
            number if number < OUTBOUND_SHARDS => Ok(Self(number)),
            _ => Err(WireError::Value { what: "shard" }),
        }
    }
}

wire_enum!(Unit {
    0 => Partition(partition),
    1 => Shard(shard),
});
wire_struct!(Fence { generation, epoch });
wire_struct!(Route { node, fence });
wire_struct!(PassOnOrder { route, request });
wire_struct!(WatchOnOrder { route, order });
wire_struct!(ReplacedKey { host_key, until });
wire_struct!(Pinned {
    service_udf,
    updated,
    host_key,
    replaced,
    since,
});
wire_struct!(PinQuestion {
    domain,
    seen,
    deadline,
});

/// As profiles have it, so that no second form of keys has to be kept.
impl Wire for PublicKey {
    fn put(&self, out: &mut Vec<u8>) {
        let parameters = serde_json::to_value(self);
        parameters
            .expect("parameters of keys are texts under names")
            .put(out);
    }

    fn take(input: &mut Input<'_>) -> Result<Self, WireError> {
        let parameters = <Value as Wire>::take(input)?;
        let key = Self::deserialize(&parameters).ok();
        key.filter(|key| serde_json::to_value(key).is_ok_and(|same| same == parameters))
            .ok_or(WireError::Value { what: "public key" })
    }
}
wire_struct!(Nudge {
    intakes,
    queues,
    released,
    heard,
});

wire_struct!(Answer {
    response,
    context,
    retry_after,
});
wire_struct!(Publication { content, digest });
wire_enum!(CallFailure {
    0 => Refused(error),
    1 => Away(error),
    2 => Moved(route),
    3 => Busy(wait),
    4 => Stale,
});

/// The answer of a call that says nothing.
impl Wire for () {
    fn put(&self, _: &mut Vec<u8>) {}

    fn take(_: &mut Input<'_>) -> Result<Self, WireError> {
        Ok(())
    }
}
