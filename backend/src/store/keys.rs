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
//! | `11` domain | `domain 00 'a'` | who added accounts last to a domain that may have so many, or took of what else it may use: they take turns at it |
//! | `11` domain | `00 'r' p` | versionstamp of when others last took back something that `p` was granted of such a limit |
//! | `12` usage | `domain 00 p` | what the accounts of a domain use in a partition, and what they may without asking |
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
//! | `22` wake-in | `p` | versionstamp of the last commit by which a node left something for the partition of another |
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
//! Reserved: `20` acct `'g'` gate,
//! `'e'` EARL content.
//!
//! `s` is the shard of the destination. Shards are owned as partitions are: table `02` has them behind
//! the partitions. `queue` builds the keys of tables 30 to 36, `escrow` those of table 13, `usage` those of tables 11 and 12.
//!
//! Draft: cluster §5 has grants by domain and partition in table 13; here they are by limit and by life of a node
//! (`mesh_common::escrow` says why). It has no tables 23, 24 and 34 to 36, and eight octets of a destination where there are
//! sixteen here. Everything that expires or is purged leaves a row in table 23, so that work which is due
//! is found by one range read, however many accounts there are. Table 32 is written with every commit that
//! queues something, not only when a nudge failed: nobody has to know whether it did; and so is table 22, but only
//! where the partition is another node's.

use mesh_common::account::AccountId;
use mesh_common::address::AccountAddress;
use mesh_common::cluster::{NodeId, PartitionId, Unit};
use mesh_common::delivery::ShardId;
use mesh_common::limits::{OUTBOUND_SHARDS, PARTITIONS};
use sha2::{Digest, Sha512};

pub use self::account::{AccountKeys, LookupKind};
pub use self::due::{Due, DueKind, all_due, due};
pub use self::escrow::{all_wanted, holder, holders, ledger, ledgers, parse_holder, wanted};
pub use self::intake::{
    all_set_aside, intake, intake_prefix, intakes, parse_set_aside, partition_of_intake, set_aside,
    wake_in,
};
pub use self::queue::{
    QueuePlace, Zone, all_once, all_quarantined, all_queues, destination, once_prefix,
    parse_quarantined, parse_queue_item, pin, quarantined, queue, queue_body, queue_item, queues,
    shard, shard_of_once, shard_of_suspect, shard_of_wake, suspect, suspects, wake, wakes,
};
#[cfg(feature = "bottle")]
pub use self::queue::{bodies, shard_of_body};
pub use self::tickets::{parse_ticket_secret, ticket_secret, ticket_secrets};
pub use self::usage::{all_usage, domain_turn, parse_usage, recalls, usage, usage_of_domain};
use super::KeyRange;

mod account;
pub mod conduct;
mod due;
mod escrow;
mod intake;
mod queue;
mod tickets;
mod usage;

const META: u8 = 0x00;
const NODE: u8 = 0x01;
/// Behind a node's name: an order to it.
const DRAIN: u8 = b'd';
const PART: u8 = 0x02;
const ROUTE: u8 = 0x03;
const DIR: u8 = 0x10;
const ACCT: u8 = 0x20;
const INTAKE: u8 = 0x21;
const WAKE_IN: u8 = 0x22;
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
pub fn tables_of_everybody() -> [KeyRange; 5] {
    [
        KeyRange::prefix(&[DIR]),
        all_usage(),
        // 21 to 26: intakes and whom they wake, what is due, what was set aside, who complained.
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

/// All rows of the accounts of a partition.
#[must_use]
pub fn accounts_of(partition: PartitionId) -> KeyRange {
    KeyRange::prefix(&concat(&[&[ACCT], &partition.0.to_be_bytes()]))
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

fn concat(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

#[cfg(test)]
mod tests;
