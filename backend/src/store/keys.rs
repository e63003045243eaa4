//! The one table of keys. Nothing else in the program builds or takes apart a key of the store.
//!
//! Keys are binary: one table octet, then fields of fixed length in big-endian order, so that the
//! order of keys is the order of what they mean. A prefix that several services share one engine
//! under is the engine's business. Cluster §5 with the kinds of decision Q-62; the account id
//! begins with its partition (design note 0001), so a partition is one range of table 20.
//!
//! | table | key | value |
//! | --- | --- | --- |
//! | `00` meta | name | cluster id, format, number of partitions |
//! | `00` meta | `"ticket" epoch` | the secret of the tickets of an epoch, sealed |
//! | `01` node | `node` | heartbeat record: what a node says of itself |
//! | `01` node | `node 'd'` | an order to that node: that it lets go of everything, and leaves |
//! | `02` part | `p` | ownership record: the fence |
//! | `03` route | — | versionstamp of the last change of owner |
//! | `10` dir | `domain 00 user` | account id, state, since |
//! | `13` escrow | `'h' holder` | who spends of limits that nodes share, or is closed: the fence of what it spends |
//! | `13` escrow | `'g' hash16` | one such limit: to whom how much of it is granted |
//! | `13` escrow | `'w' hash16` | versionstamp of when somebody met it last: others give back what they do not need |
//! | `20` acct | `aid 'm'` | account record: address, profiles, status, policy |
//! | `20` acct | `aid 't'` | tip: batch id, change sequence, octets used |
//! | `20` acct | `aid 'h' cid` | head: name, count, apex, digest stack |
//! | `20` acct | `aid 'f' cid index` | frame record |
//! | `20` acct | `aid 'b' cid index chunk` | payload chunk of 65,536 octets |
//! | `20` acct | `aid 'k' kind cid hash16` | lookup: entry by unique id, message by sender and id |
//! | `20` acct | `aid 'o' cid index` | the frame that replaced or deleted this one: what redaction works from |
//! | `20` acct | `aid 'a' cid index` | a message that is read or deleted, and since when |
//! | `20` acct | `aid 'z' cid` | how far the states of a spool's messages were folded |
//! | `20` acct | `aid 'd' hash16` | device record: what the revocation index knows of a device |
//! | `20` acct | `aid 'v' hash16` | a key that never lives again (decision Q-9) |
//! | `20` acct | `aid 'r' hash16` | replay: digest of a committed request, and its response |
//! | `20` acct | `aid 'i' id` | an entry of the intake that was drained (decision Q-59) |
//! | `20` acct | `aid 's' hash16` | delivery state of an outgoing message, per recipient |
//! | `20` acct | `aid 'x' hash16` | outstanding exchange: what may be answered (service §7.5 rule 4) |
//! | `20` acct | `aid 'q'` | tally: messages taken today |
//! | `20` acct | `aid 'c' hash16` | a device's request to be connected, by the MessageID of its acknowledgement |
//! | `20` acct | `aid 'l'` | what the account has sent lately, as its outbound rates count it |
//! | `20` acct | `aid 'n' hash16` | to whom a message of Outbound was sent |
//! | `20` acct | `aid 'w' hash16` | when the account last wrote to a recipient |
//! | `21` intake | `p generation versionstamp n` | what others left for an account of `p`, in the order of the commits |
//! | `23` due | `p due kind aid rest` | empty: work to be done from the moment `due` on |
//! | `24` aside | `p key kind` | an entry of an intake that cannot be received: `e` verbatim, `w` why |
//! | `25` incident | `at id` | something that counts against somebody, on record (X-61) |
//! | `26` conduct | `hash16 at id` | the same, by whom it counts against: how much |
//! | `30` queue | `s hash16 'd'` | a destination: its name, what is remembered of it between lives |
//! | `30` queue | `s hash16 'q' due id` | one message for one recipient there, as it waits |
//! | `31` body | `s id` | that message, verbatim |
//! | `32` wake-out | `s` | versionstamp of the last commit that queued something |
//! | `33` quarantine | `s id kind` | an item that cannot be handled: `e` verbatim, `b` its message, `w` why |
//! | `34` shard | `s` | unclean ends of the owners of `s`, and the item under suspicion |
//! | `35` pin | `domain` | the service that another domain had before |
//! | `36` once | `s versionstamp n` | an order of an operator that the owner of `s` carries out once |
//! | `40` admin | `'o' hash16` | a standing order of an operator: messages that are held or take another way |
//! | `40` admin | `'v'` | versionstamp of the last change of a standing order |
//! | `41` migration | name | what copying a store notes for itself in the other one |
//!
//! Reserved: `11`–`12` domains, `20` acct `'g'` gate,
//! `'e'` EARL content, `22` wake-in.
//!
//! `s` is the shard of the destination. Shards are owned as partitions are: table `02` has them behind
//! the partitions. `queue` builds the keys of tables 30 to 36, `escrow` those of table 13.
//!
//! Draft: cluster §5 has grants by domain and partition in table 13; here they are by limit and by life of a node
//! (`mesh_common::escrow` says why). It has no tables 23, 24 and 34 to 36, and eight octets of a destination where there are
//! sixteen here. Everything that expires or is purged leaves a row in table 23, so that work which is due
//! is found by one range read, however many accounts there are. Table 32 is written with every commit that
//! queues something, not only when a nudge failed: nobody has to know whether it did.

use mesh_common::account::state::ACCOUNT_ID_BYTES;
use mesh_common::account::{AccountId, ContainerNumber};
use mesh_common::address::AccountAddress;
use mesh_common::cluster::{NodeId, PartitionId, Unit};
use mesh_common::delivery::ShardId;
use mesh_common::limits::{OUTBOUND_SHARDS, PARTITIONS};
use mesh_common::time::Timestamp;
use sha2::{Digest, Sha512};

pub use self::escrow::{all_wanted, holder, holders, ledger, ledgers, parse_holder, wanted};
pub use self::queue::{
    QueuePlace, Zone, all_once, all_quarantined, all_queues, destination, once_prefix,
    parse_quarantined, parse_queue_item, pin, quarantined, queue, queue_body, queue_item, queues,
    shard, shard_of_once, shard_of_suspect, shard_of_wake, suspect, suspects, wake, wakes,
};
#[cfg(feature = "bottle")]
pub use self::queue::{bodies, shard_of_body};
pub use self::tickets::{parse_ticket_secret, ticket_secret, ticket_secrets};
use super::KeyRange;

pub mod conduct;
mod escrow;
mod queue;
mod tickets;

const META: u8 = 0x00;
const NODE: u8 = 0x01;
/// Behind a node's name: an order to it.
const DRAIN: u8 = b'd';
const PART: u8 = 0x02;
const ROUTE: u8 = 0x03;
const DIR: u8 = 0x10;
const ACCT: u8 = 0x20;
const INTAKE: u8 = 0x21;
const DUE: u8 = 0x23;
const ASIDE: u8 = 0x24;
/// Behind the tables of what was left, is due, was set aside or complained about.
const ASIDE_END: u8 = 0x27;
/// The tables of the queues to other services.
const QUEUES_BEGIN: u8 = 0x30;
const QUEUES_END: u8 = 0x36;
const ADMIN: u8 = 0x40;
const MIGRATION: u8 = 0x41;

/// Sixteen octets that stand for a text of any length in a key: SHA-512, cut.
#[must_use]
pub fn hash16(parts: &[&[u8]]) -> [u8; 16] {
    let mut digest = Sha512::new();
    for part in parts {
        digest.update(u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
        digest.update(part);
    }
    let mut cut = [0; 16];
    cut.copy_from_slice(&digest.finalize()[..16]);
    cut
}

/// What the service as a whole is: written once, read at every start.
#[must_use]
pub fn meta() -> Vec<u8> {
    concat(&[&[META], b"meta"])
}

/// Says that everything in this store went to another one, and by which migration. Nothing is served from it.
#[must_use]
pub fn left() -> Vec<u8> {
    concat(&[&[META], b"left"])
}

/// Says that another store is being copied into this one, and by which migration. Nothing is served from it yet.
#[must_use]
pub fn arriving() -> Vec<u8> {
    concat(&[&[MIGRATION], b"arriving"])
}

/// The mark of whoever copies another store into this one.
#[must_use]
pub fn migration() -> Vec<u8> {
    concat(&[&[MIGRATION], b"copy"])
}

/// Every table whose rows are of no one account and of no one process.
#[must_use]
pub fn tables_of_everybody() -> [KeyRange; 4] {
    [
        KeyRange::prefix(&[DIR]),
        // 21 to 26: intakes, what is due, what was set aside, who complained.
        KeyRange::new(&[INTAKE], &[ASIDE_END]),
        // 30 to 35: the queues to other services.
        KeyRange::new(&[QUEUES_BEGIN], &[QUEUES_END]),
        KeyRange::prefix(&[ADMIN]),
    ]
}

/// All rows of all accounts.
#[must_use]
pub fn accounts() -> KeyRange {
    KeyRange::prefix(&[ACCT])
}

/// The account whose row `key` is.
#[must_use]
pub fn account_of(key: &[u8]) -> Option<AccountId> {
    let (&ACCT, rest) = key.split_first()? else {
        return None;
    };
    Some(AccountId::from_octets(*rest.first_chunk()?))
}

/// The ownership record of a partition: the fence that every batch depends on.
#[must_use]
pub fn part(partition: PartitionId) -> Vec<u8> {
    concat(&[&[PART], &partition.0.to_be_bytes()])
}

/// The ownership records of all partitions.
#[must_use]
pub fn parts() -> KeyRange {
    KeyRange::prefix(&[PART])
}

/// The partition whose ownership record `key` is; `None` for that of a shard.
#[must_use]
pub fn partition_of_part(key: &[u8]) -> Option<PartitionId> {
    let [PART, high, low] = *key else { return None };
    let number = u16::from_be_bytes([high, low]);
    (number < PARTITIONS).then_some(PartitionId(number))
}

/// The ownership record of a partition or a shard.
#[must_use]
pub fn unit(unit: Unit) -> Vec<u8> {
    match unit {
        Unit::Partition(partition) => part(partition),
        Unit::Shard(one) => shard(one),
    }
}

/// What the ownership record under `key` is about.
#[must_use]
pub fn unit_of_part(key: &[u8]) -> Option<Unit> {
    if let Some(partition) = partition_of_part(key) {
        return Some(Unit::Partition(partition));
    }
    let [PART, high, low] = *key else { return None };
    let number = u16::from_be_bytes([high, low]).checked_sub(PARTITIONS)?;
    (number < OUTBOUND_SHARDS).then_some(Unit::Shard(ShardId(number)))
}

/// What a node says of itself.
#[must_use]
pub fn node(node: NodeId) -> Vec<u8> {
    concat(&[&[NODE], &node.0])
}

/// An order of an operator to `node`: that it lets go of everything, and leaves. Read with the records of nodes.
#[must_use]
pub fn drain_order(node: NodeId) -> Vec<u8> {
    concat(&[&[NODE], &node.0, &[DRAIN]])
}

/// The node to which the order under `key` is.
#[must_use]
pub fn node_of_drain_order(key: &[u8]) -> Option<NodeId> {
    let (&NODE, rest) = key.split_first()? else {
        return None;
    };
    let (&DRAIN, id) = rest.split_last()? else {
        return None;
    };
    Some(NodeId(id.try_into().ok()?))
}

/// What all nodes say of themselves, and the orders to them.
#[must_use]
pub fn nodes() -> KeyRange {
    KeyRange::prefix(&[NODE])
}

/// The node whose record `key` is.
#[must_use]
pub fn node_of_key(key: &[u8]) -> Option<NodeId> {
    let (&NODE, id) = key.split_first()? else {
        return None;
    };
    Some(NodeId(id.try_into().ok()?))
}

/// Written with every change of an owner: what those who keep routes watch.
#[must_use]
pub fn route() -> Vec<u8> {
    vec![ROUTE]
}

/// The directory row of an address.
#[must_use]
pub fn dir(address: &AccountAddress) -> Vec<u8> {
    concat(&[
        &[DIR],
        address.domain().as_bytes(),
        &[0],
        address.user().as_bytes(),
    ])
}

/// All directory rows.
#[must_use]
pub fn dirs() -> KeyRange {
    KeyRange::prefix(&[DIR])
}

/// The directory rows of all addresses of a canonical domain.
#[must_use]
pub fn dir_domain(domain: &str) -> KeyRange {
    KeyRange::prefix(&concat(&[&[DIR], domain.as_bytes(), &[0]]))
}

/// The canonical address whose directory row `key` is.
#[must_use]
pub fn address_of_dir(key: &[u8]) -> Option<String> {
    let (&DIR, rest) = key.split_first()? else {
        return None;
    };
    let (domain, user) = std::str::from_utf8(rest).ok()?.split_once('\0')?;
    Some(format!("{user}@{domain}"))
}

/// What a row of kind `'k'` finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum LookupKind {
    /// A catalog's entry or a spool's newest frame, by its unique id.
    UniqueId = b'u',
    /// A message, by its sender and id, while duplicates are recognized (decision Q-26).
    Message = b'm',
}

/// The keys of one account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AccountKeys {
    account: AccountId,
}

impl AccountKeys {
    /// The keys of `account`.
    #[must_use]
    pub const fn of(account: AccountId) -> Self {
        Self { account }
    }

    /// The account.
    #[must_use]
    pub const fn account(&self) -> AccountId {
        self.account
    }

    /// Everything of the account.
    #[must_use]
    pub fn all(&self) -> KeyRange {
        KeyRange::prefix(&self.key(&[]))
    }

    /// Every row but those of frames and their payloads.
    #[must_use]
    pub fn all_but_frames(&self) -> [KeyRange; 3] {
        let (all, chunks, frames) = (
            self.all(),
            KeyRange::prefix(&self.key(&[b"b"])),
            KeyRange::prefix(&self.key(&[b"f"])),
        );
        [
            KeyRange {
                begin: all.begin,
                end: chunks.begin,
            },
            KeyRange {
                begin: chunks.end,
                end: frames.begin,
            },
            KeyRange {
                begin: frames.end,
                end: all.end,
            },
        ]
    }

    /// The account record.
    #[must_use]
    pub fn record(&self) -> Vec<u8> {
        self.key(&[b"m"])
    }

    /// The tip.
    #[must_use]
    pub fn tip(&self) -> Vec<u8> {
        self.key(&[b"t"])
    }

    /// The head of a container.
    #[must_use]
    pub fn head(&self, container: ContainerNumber) -> Vec<u8> {
        self.key(&[b"h", &container.to_be_bytes()])
    }

    /// The heads of all containers.
    #[must_use]
    pub fn heads(&self) -> KeyRange {
        KeyRange::prefix(&self.key(&[b"h"]))
    }

    /// The container whose head `key` is.
    #[must_use]
    pub fn container_of_head(&self, key: &[u8]) -> Option<ContainerNumber> {
        let rest = key.strip_prefix(self.key(&[b"h"]).as_slice())?;
        Some(u16::from_be_bytes(rest.try_into().ok()?))
    }

    /// The record of one frame.
    #[must_use]
    pub fn frame(&self, container: ContainerNumber, index: u64) -> Vec<u8> {
        self.key(&[b"f", &container.to_be_bytes(), &index.to_be_bytes()])
    }

    /// The records of the frames from index `first` up to but without `end`.
    #[must_use]
    pub fn frames(&self, container: ContainerNumber, first: u64, end: u64) -> KeyRange {
        KeyRange::new(&self.frame(container, first), &self.frame(container, end))
    }

    /// The index of the frame of `container` whose record `key` is.
    #[must_use]
    pub fn index_of_frame(&self, container: ContainerNumber, key: &[u8]) -> Option<u64> {
        let prefix = self.key(&[b"f", &container.to_be_bytes()]);
        let rest = key.strip_prefix(prefix.as_slice())?;
        Some(u64::from_be_bytes(rest.try_into().ok()?))
    }

    /// One chunk of a frame's payload.
    #[must_use]
    pub fn chunk(&self, container: ContainerNumber, index: u64, chunk: u16) -> Vec<u8> {
        self.key(&[
            b"b",
            &container.to_be_bytes(),
            &index.to_be_bytes(),
            &chunk.to_be_bytes(),
        ])
    }

    /// All chunks of the payloads of the frames from index `first` up to but without `end`.
    #[must_use]
    pub fn chunks(&self, container: ContainerNumber, first: u64, end: u64) -> KeyRange {
        KeyRange::new(
            &self.chunk(container, first, 0),
            &self.chunk(container, end, 0),
        )
    }

    /// Index of the frame and number of the chunk of `container` that `key` holds.
    #[must_use]
    pub fn place_of_chunk(&self, container: ContainerNumber, key: &[u8]) -> Option<(u64, u16)> {
        let prefix = self.key(&[b"b", &container.to_be_bytes()]);
        let rest = key.strip_prefix(prefix.as_slice())?;
        let (index, chunk) = rest.split_at_checked(8)?;
        Some((
            u64::from_be_bytes(index.try_into().ok()?),
            u16::from_be_bytes(chunk.try_into().ok()?),
        ))
    }

    /// What is known under a text, within a container.
    #[must_use]
    pub fn lookup(&self, kind: LookupKind, container: ContainerNumber, hash: [u8; 16]) -> Vec<u8> {
        self.key(&[b"k", &[kind as u8], &container.to_be_bytes(), &hash])
    }

    /// Everything of a kind that is known within a container.
    #[must_use]
    pub fn lookups(&self, kind: LookupKind, container: ContainerNumber) -> KeyRange {
        KeyRange::prefix(&self.key(&[b"k", &[kind as u8], &container.to_be_bytes()]))
    }

    /// What replaced or deleted a catalog's frame.
    #[must_use]
    pub fn superseded(&self, container: ContainerNumber, index: u64) -> Vec<u8> {
        self.key(&[b"o", &container.to_be_bytes(), &index.to_be_bytes()])
    }

    /// What was replaced or deleted in a catalog, from index `first` on.
    #[must_use]
    pub fn all_superseded(&self, container: ContainerNumber, first: u64) -> KeyRange {
        KeyRange::new(
            &self.superseded(container, first),
            &self.superseded(container, u64::MAX),
        )
    }

    /// That a message is read or deleted.
    #[must_use]
    pub fn mark(&self, container: ContainerNumber, index: u64) -> Vec<u8> {
        self.key(&[b"a", &container.to_be_bytes(), &index.to_be_bytes()])
    }

    /// The marks of a spool from index `first` on.
    #[must_use]
    pub fn marks(&self, container: ContainerNumber, first: u64) -> KeyRange {
        KeyRange::new(
            &self.mark(container, first),
            &self.mark(container, u64::MAX),
        )
    }

    /// The index that ends `key`, one of [`Self::superseded`] or [`Self::mark`].
    #[must_use]
    pub fn index_at_end(key: &[u8]) -> Option<u64> {
        key.last_chunk().copied().map(u64::from_be_bytes)
    }

    /// How far the states of a spool were folded.
    #[must_use]
    pub fn folded(&self, container: ContainerNumber) -> Vec<u8> {
        self.key(&[b"z", &container.to_be_bytes()])
    }

    /// The record of a device, by its UDF.
    #[must_use]
    pub fn device(&self, udf: &str) -> Vec<u8> {
        self.key(&[b"d", &hash16(&[udf.as_bytes()])])
    }

    /// The records of all devices.
    #[must_use]
    pub fn devices(&self) -> KeyRange {
        KeyRange::prefix(&self.key(&[b"d"]))
    }

    /// The mark of a key that never lives again, by its UDF.
    #[must_use]
    pub fn retired(&self, udf: &str) -> Vec<u8> {
        self.key(&[b"v", &hash16(&[udf.as_bytes()])])
    }

    /// The marks of all keys that never live again.
    #[must_use]
    pub fn all_retired(&self) -> KeyRange {
        KeyRange::prefix(&self.key(&[b"v"]))
    }

    /// The replay row of a committed request: by the requester's key and the request's id.
    #[must_use]
    pub fn replay(&self, hash: [u8; 16]) -> Vec<u8> {
        self.key(&[b"r", &hash])
    }

    /// The mark of an entry of the intake that was drained.
    #[must_use]
    pub fn seen(&self, id: [u8; 16]) -> Vec<u8> {
        self.key(&[b"i", &id])
    }

    /// How far the delivery of a message to one recipient is.
    #[must_use]
    pub fn delivery(&self, hash: [u8; 16]) -> Vec<u8> {
        self.key(&[b"s", &hash])
    }

    /// An exchange that may be answered.
    #[must_use]
    pub fn exchange(&self, hash: [u8; 16]) -> Vec<u8> {
        self.key(&[b"x", &hash])
    }

    /// What the account has taken today.
    #[must_use]
    pub fn tally(&self) -> Vec<u8> {
        self.key(&[b"q"])
    }

    /// A request to be connected.
    #[must_use]
    pub fn connection(&self, hash: [u8; 16]) -> Vec<u8> {
        self.key(&[b"c", &hash])
    }

    /// All requests to be connected.
    #[must_use]
    pub fn connections(&self) -> KeyRange {
        KeyRange::prefix(&self.key(&[b"c"]))
    }

    /// What the account has sent lately.
    #[must_use]
    pub fn posting(&self) -> Vec<u8> {
        self.key(&[b"l"])
    }

    /// To whom a message was sent, by the hash of its UniqueID.
    #[must_use]
    pub fn sending(&self, hash: [u8; 16]) -> Vec<u8> {
        self.key(&[b"n", &hash])
    }

    /// When a recipient was written to, by the hash of its canonical address.
    #[must_use]
    pub fn recipient(&self, hash: [u8; 16]) -> Vec<u8> {
        self.key(&[b"w", &hash])
    }

    fn key(&self, parts: &[&[u8]]) -> Vec<u8> {
        let mut key = Vec::with_capacity(48);
        key.push(ACCT);
        key.extend_from_slice(self.account.octets());
        for part in parts {
            key.extend_from_slice(part);
        }
        key
    }
}

/// What a row of table 23 asks to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum DueKind {
    /// Forget a replay row; `rest` is its hash.
    Replay = b'r',
    /// Forget a duplicate-recognition row; `rest` is container and hash.
    Message = b'm',
    /// Forget that an entry of the intake was drained; `rest` is its id.
    Seen = b'i',
    /// Forget how far a delivery is; `rest` is its hash.
    Delivery = b's',
    /// Forget an exchange; `rest` is its hash.
    Exchange = b'x',
    /// Forget a request to be connected; `rest` is its hash.
    Connection = b'c',
    /// Forget to whom a message was sent; `rest` is its hash.
    Sending = b't',
    /// Forget that a recipient was written to; `rest` is its hash.
    Recipient = b'w',
    /// Look what of a container is not to be kept any longer (containers §10); `rest` says which, and
    /// from where on.
    Retention = b'k',
    /// Remove the data of a deleted account (architecture A-15).
    Purge = b'p',
    /// Release the address of a deleted account (architecture A-15); `rest` is the canonical address.
    Release = b'n',
}

impl DueKind {
    const ALL: [Self; 11] = [
        Self::Retention,
        Self::Replay,
        Self::Message,
        Self::Seen,
        Self::Delivery,
        Self::Exchange,
        Self::Connection,
        Self::Sending,
        Self::Recipient,
        Self::Purge,
        Self::Release,
    ];
}

/// One row of table 23.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// When it is due, in milliseconds since 1970.
    pub at: Timestamp,
    /// What is to be done.
    pub kind: DueKind,
    /// For which account.
    pub account: AccountId,
    /// For what of it; see [`DueKind`].
    pub rest: Vec<u8>,
}

impl Due {
    /// Its key, in the account's partition.
    #[must_use]
    pub fn key(&self) -> Vec<u8> {
        concat(&[
            &due_until(self.account.partition(), self.at),
            &[self.kind as u8],
            self.account.octets(),
            &self.rest,
        ])
    }

    /// What `key` says.
    #[must_use]
    pub fn parse(key: &[u8]) -> Option<Self> {
        let (&DUE, rest) = key.split_first()? else {
            return None;
        };
        let (_, rest) = rest.split_at_checked(2)?;
        let (at, rest) = rest.split_at_checked(8)?;
        let (kind, rest) = rest.split_first()?;
        let (account, rest) = rest.split_at_checked(ACCOUNT_ID_BYTES)?;
        let millis = u64::from_be_bytes(at.try_into().ok()?);
        Some(Self {
            at: Timestamp::from_millis(i64::try_from(millis).ok()?),
            kind: DueKind::ALL.into_iter().find(|one| *one as u8 == *kind)?,
            account: AccountId::from_octets(account.try_into().ok()?),
            rest: rest.to_vec(),
        })
    }
}

/// The rows of a partition that are due at `now`.
#[must_use]
pub fn due(partition: PartitionId, now: Timestamp) -> KeyRange {
    KeyRange::new(
        &due_until(partition, Timestamp::from_millis(0)),
        &due_until(partition, now + std::time::Duration::from_millis(1)),
    )
}

/// The rows of a partition that are due some day.
#[must_use]
pub fn all_due(partition: PartitionId) -> KeyRange {
    KeyRange::prefix(&concat(&[&[DUE], &partition.0.to_be_bytes()]))
}

/// Where a commit's stamp, and the place of the entry in the commit, are put behind. The generation is
/// that of the store: it rises when everything comes from another cluster or a backup, whose versions
/// may be higher ones, so that entries left later do not sort among those that an owner is about to
/// clear (cluster §5).
#[must_use]
pub fn intake_prefix(partition: PartitionId, generation: u32) -> Vec<u8> {
    concat(&[
        &[INTAKE],
        &partition.0.to_be_bytes(),
        &generation.to_be_bytes(),
    ])
}

/// Everything that was left for accounts of `partition`, of older generations as well.
#[must_use]
pub fn intake(partition: PartitionId) -> KeyRange {
    KeyRange::prefix(&concat(&[&[INTAKE], &partition.0.to_be_bytes()]))
}

/// Everything that was left for anybody.
#[must_use]
pub fn intakes() -> KeyRange {
    KeyRange::prefix(&[INTAKE])
}

/// Where an entry of the intake of `partition`, under `key`, is set aside, and where the reason is.
#[must_use]
pub fn set_aside(partition: PartitionId, key: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let place = |kind: u8| concat(&[&[ASIDE], &partition.0.to_be_bytes(), key, &[kind]]);
    (place(b'e'), place(b'w'))
}

/// What a key of table 24 says: partition, key in its intake, and kind.
#[must_use]
pub fn parse_set_aside(key: &[u8]) -> Option<(PartitionId, Vec<u8>, u8)> {
    let [ASIDE, high, low, rest @ .., kind] = key else {
        return None;
    };
    let partition = PartitionId(u16::from_be_bytes([*high, *low]));
    Some((partition, rest.to_vec(), *kind))
}

/// Everything that was set aside.
#[must_use]
pub fn all_set_aside() -> KeyRange {
    KeyRange::prefix(&[ASIDE])
}

/// The partition in whose intake `key` lies.
#[must_use]
pub fn partition_of_intake(key: &[u8]) -> Option<PartitionId> {
    let [INTAKE, high, low, ..] = *key else {
        return None;
    };
    Some(PartitionId(u16::from_be_bytes([high, low])))
}

/// A standing order, by the hash of what it is for.
#[must_use]
pub fn standing_order(hash: [u8; 16]) -> Vec<u8> {
    concat(&[&[ADMIN], b"o", &hash])
}

/// Written with every change of a standing order: by it the other nodes learn that there was one.
#[must_use]
pub fn standing_orders_changed() -> Vec<u8> {
    concat(&[&[ADMIN], b"v"])
}

/// All standing orders.
#[must_use]
pub fn standing_orders() -> KeyRange {
    KeyRange::prefix(&[ADMIN, b'o'])
}

fn due_until(partition: PartitionId, at: Timestamp) -> Vec<u8> {
    let millis = u64::try_from(at.as_millis()).unwrap_or(0);
    concat(&[&[DUE], &partition.0.to_be_bytes(), &millis.to_be_bytes()])
}

fn concat(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

#[cfg(test)]
mod tests;
