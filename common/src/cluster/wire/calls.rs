//! Everything that is asked of a node, and how it answers.

use super::basic::wire_lists;
use super::{Input, Wire, WireError, wire_enum, wire_struct};
use crate::account::connect::Publication;
use crate::address::AccountAddress;
use crate::cluster::{
    AccountRequest, Answer, CallFailure, Fence, NodeId, Nudge, PartitionId, Route, Unit, Verified,
};
use crate::delivery::ShardId;
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
