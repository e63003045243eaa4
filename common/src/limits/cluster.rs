//! Bounds between the processes of one service: owners, partitions, the roads to them.

use std::time::Duration;

use super::{DOWNLOAD_ENTRIES_MAX, DOWNLOAD_PAYLOAD_BYTES_MAX, FRAME_HEADER_BYTES_MAX, POLLS_MAX};

// ---- Ownership (cluster §4) ----

/// The shortest time between two heartbeats, or two looks at the tables of nodes and owners.
pub const CLUSTER_TIME_MIN: Duration = Duration::from_millis(10);
/// The longest lease of a node.
pub const CLUSTER_LEASE_MAX: Duration = Duration::from_secs(300);
/// Units that one transaction takes over. The rest is taken by further ones.
pub const CLAIM_UNITS_MAX: usize = 64;
/// Claims of one node that are on their way at once.
pub const CLAIMS_IN_FLIGHT_MAX: usize = 4;
/// Time between two looks at the tables, however many nudges ask for one.
pub const LOOK_INTERVAL_MIN: Duration = Duration::from_millis(50);
/// Time between two looks that a node takes because some owner has changed. Each reads all of table 02; whom
/// the change concerns is told by whoever made it.
pub const ROUTE_LOOK_INTERVAL_MIN: Duration = Duration::from_millis(500);
/// How long the same nodes must have been there until units are moved between them (cluster §4.3).
pub const REBALANCE_STABLE: Duration = Duration::from_secs(10);
/// Time between two units that a node lets go of for another: eight per second (cluster §4.3).
pub const REBALANCE_RELEASE_INTERVAL: Duration = Duration::from_millis(125);
/// How long a node must have been silent until its record is removed, if it owns nothing any more.
pub const NODE_FORGOTTEN_AFTER: Duration = Duration::from_secs(60);
/// How long every node must have been able to read rows of the next feature level until the store is raised to it without
/// an operator's word (cluster §15).
pub const FEATURE_LEVEL_RAISED_AFTER: Duration = Duration::from_secs(3_600);
/// How long whoever finds a partition's mailbox full is asked to wait (cluster §14).
pub const BUSY_TIME: Duration = Duration::from_secs(2);
/// Greatest weight of a node: its share of partitions beside the weights of others.
pub const NODE_WEIGHT_MAX: u32 = 10_000;
/// Octets of the address or the zone of a node.
pub const NODE_TEXT_BYTES_MAX: usize = 255;
/// Time that a partition that is let go of has to finish what it commits: what takes longer is fenced
/// off (cluster §4.3).
pub const RELEASE_TIME_MAX: Duration = Duration::from_secs(4);
/// How long a process that stops waits until it has let go of everything: less than the 20 seconds that it
/// has in all (cluster §15).
pub const LEAVE_TIME_MAX: Duration = Duration::from_secs(12);
/// Releases carried out at once while a node leaves.
pub const RELEASES_IN_FLIGHT_MAX: usize = 64;

// ---- Partitions (architecture A-1, cluster §7.1) ----

/// Partitions that accounts are divided into; fixed when a service is first started.
pub const PARTITIONS: u16 = 1_024;
/// Requests that wait for one partition. Above: 503 with Retry-After (architecture A-13); what is past its deadline
/// is dropped before any work.
pub const PARTITION_MAILBOX_MAX: usize = 256;
/// How long something must have waited for a partition without a pause until the newest requests are taken first, and
/// whoever has waited longer than this makes room for them (cluster §14).
pub const PARTITION_OVERLOADED_AFTER: Duration = Duration::from_millis(500);
/// Payload octets of the requests that wait for one partition (cluster §14). Above: 503 with
/// Retry-After.
pub const PARTITION_MAILBOX_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Requests of one account that wait: a quarter of its partition's mailbox, so that a hot account
/// meets its bound before its neighbours do (cluster §18). Above: 503 with Retry-After.
pub const ACCOUNT_WAITING_MAX: usize = PARTITION_MAILBOX_MAX / 4;
/// Commits of one process that are on their way to the store at once (cluster §14). Above: they wait, and so
/// mailboxes fill.
pub const COMMITS_MAX: usize = 128;
/// Places among them that work in the background leaves free. Where fewer are, it is put off.
pub const COMMITS_LEFT_BY_BACKGROUND: usize = COMMITS_MAX / 2;
/// Operations folded into one batch (cluster §7.1). The rest waits for the next one.
pub const BATCH_OPERATIONS_MAX: usize = 64;
/// Octets at which a batch is closed; one operation alone may reach 2 MiB (decision Q-55).
pub const BATCH_BYTES_MAX: usize = 512 * 1024;
/// Octets of one stored chunk of a payload (decision Q-62).
pub const PAYLOAD_CHUNK_BYTES: usize = 65_536;
/// Frame records that one transaction reads for a Download; the rest is read in further ones, so
/// that none lasts longer than 1.5 s (cluster §3).
pub const READ_TX_FRAMES_MAX: usize = 256;
/// Payload octets that one transaction reads for a Download; one frame is always read.
pub const READ_TX_BYTES_MAX: usize = 1024 * 1024;
/// Rows that one round of forgetting and purging looks at, per partition.
pub const UPKEEP_ROWS_MAX: usize = 256;
/// Accounts kept in memory by one partition; the least recently used idle one leaves first.
pub const PARTITION_ACCOUNTS_MAX: usize = 256;

// ---- Reaching back-ends (cluster §4.6, §10 and §14) ----

/// How long a write waits, all in all, for its partition to have an owner that answers. Beyond: 503.
pub const PARKED_TIME_MAX: Duration = Duration::from_secs(3);
/// Writes of one partition that wait for that at one front-end. Above: 503 with Retry-After.
pub const PARKED_PER_PARTITION_MAX: usize = 64;
/// Writes that wait for that at one front-end. Above: 503 with Retry-After. What they hold in memory
/// counts among [`super::BODIES_BYTES_MAX`].
pub const PARKED_MAX: usize = 2_048;
/// Writes that waited and are asked of one node at once, so that it is not met by all of them in the
/// moment it takes over. Further ones wait for their turn.
pub const UNPARKED_AT_ONCE_MAX: usize = 128;
/// How often a front-end asks for one request, as far as a node may have got it: once, and once more.
pub const ROUTED_TRIES_MAX: usize = 2;
/// From this time on a read, or the message of a service, is asked of a second node as well.
pub const ROUTED_PATIENCE: Duration = Duration::from_secs(1);
/// How long a node that was slower than the second one is not asked first.
pub const ROUTED_SLOW_LIFE: Duration = Duration::from_secs(2);
/// How long a write that was sent is waited for, once another node has its partition.
pub const SUPERSEDED_PATIENCE: Duration = Duration::from_millis(500);
/// Time between two questions whether an owner that was not there is there now, at first.
pub const OWNER_PAUSE_MIN: Duration = Duration::from_millis(50);
/// The same at most; it doubles with each question.
pub const OWNER_PAUSE_MAX: Duration = Duration::from_millis(400);
/// Requests that one node has passed on to their owners at once, for front-ends that cannot reach them
/// (cluster §18, row 4). Above: busy.
pub const PASSED_ON_MAX: usize = 512;
/// How long a node that takes nothing from this process is not asked again.
pub const NODE_REFUSES_PAUSE: Duration = Duration::from_secs(5);
/// Nodes that a front-end keeps links to. Further ones are not asked.
pub const NODES_LINKED_MAX: usize = 256;
/// Time between two looks for back-ends while none is heard.
pub const BACKENDS_LOOKUP_PAUSE: Duration = Duration::from_secs(2);
/// The same while one is heard: it tells of the others.
pub const BACKENDS_LOOKUP_INTERVAL: Duration = Duration::from_secs(30);
/// How long a request that wants to wait for news waits for the account's owner to watch it. Beyond:
/// it is answered at once.
pub const WATCH_BEGINS_TIME_MAX: Duration = Duration::from_secs(1);
/// The same of another node that is to watch at an owner: it may have to connect first.
pub const WATCH_PASSED_TIME_MAX: Duration = Duration::from_secs(2);
/// How long a node goes on hearing another one at which it watched for front-ends, when nothing is watched
/// there any more.
pub const NEIGHBOUR_HEARD_LINGER: Duration = Duration::from_secs(10);
/// Watches that are begun again at once when owners change or streams break.
pub const WATCHES_RENEWED_AT_ONCE: usize = 16;
/// How long the place of one is kept at least: with the bound above, 1,600 in a second and front-end.
pub const WATCH_RENEWAL_TIME_MIN: Duration = Duration::from_millis(10);
/// Time between two attempts to watch an account whose owner cannot be heard.
pub const WATCH_RENEWAL_PAUSE: Duration = Duration::from_secs(1);
/// Domains of which a front-end remembers by itself which service they have, while its back-ends do not know
/// how (decision Q-52).
pub const PINS_OF_FRONT_END_MAX: u64 = 4_096;
/// How long it is not told again that a domain's service spoke.
pub const HEARD_TOLD_INTERVAL: Duration = Duration::from_secs(10);
/// Domains of which that is remembered.
pub const HEARD_DOMAINS_MAX: u64 = 4_096;

// ---- The internal link (architecture A-5, cluster §10 and §14, decision Q-63) ----

/// Octets of one call: a request as large as any, decrypted, with what was established about it. Above:
/// the node refuses it.
pub const LINK_CALL_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Octets of one answer: the largest Download, header and trailer of each frame included. Above: the
/// answer counts as lost.
pub const LINK_ANSWER_BYTES_MAX: usize =
    DOWNLOAD_PAYLOAD_BYTES_MAX + 3 * DOWNLOAD_ENTRIES_MAX * FRAME_HEADER_BYTES_MAX;
/// Octets of all calls that one node reads or carries out at once. Above: busy.
pub const LINK_CALLS_BYTES_MAX: usize = 256 * 1024 * 1024;
/// Octets of the headers of a call or answer.
pub const LINK_HEADERS_BYTES_MAX: usize = 8 * 1024;
/// Calls under way at once between one process and one node (cluster §14). Above: busy.
pub const LINK_CALLS_MAX: usize = 1_024;
/// How long whoever met one of these bounds is told to wait.
pub const LINK_BUSY_PAUSE: Duration = Duration::from_secs(1);
/// Connections that one node answers at once. Above: they wait to be accepted.
pub const LINK_CONNECTIONS_MAX: usize = 16_384;
/// Connections to one node that wait for the next call. Further ones are closed.
pub const LINK_IDLE_CONNECTIONS_MAX: usize = 128;
/// How long a connection waits for the next call before the one who made it closes it.
pub const LINK_IDLE_TIME_MAX: Duration = Duration::from_secs(30);
/// How long a node leaves a connection open on which nothing comes: longer, so that it is never the node
/// that closes under a call.
pub const LINK_SILENCE_MAX: Duration = Duration::from_secs(90);
/// How long a connection between two processes is used at most: so long a certificate counts that has
/// expired meanwhile.
pub const LINK_CONNECTION_LIFE: Duration = Duration::from_secs(3_600);
/// Time for TCP and TLS to one node.
pub const LINK_CONNECT_TIME_MAX: Duration = Duration::from_secs(1);
/// Time for a nudge, or an order about watches.
pub const LINK_NUDGE_TIME_MAX: Duration = Duration::from_secs(2);
/// Domains that one nudge says were heard. Further ones are heard again.
pub const LINK_HEARD_PER_NUDGE_MAX: usize = 256;
/// Time between two lines of a stream of events, if only to say that it is open.
pub const LINK_ALIVE_INTERVAL: Duration = Duration::from_secs(1);
/// How long a stream of events may be silent before it counts as lost.
pub const LINK_EVENTS_SILENCE_MAX: Duration = Duration::from_secs(4);
/// Pause before a lost stream is opened again: the first, doubled with each failure.
pub const LINK_REOPEN_PAUSE_MIN: Duration = Duration::from_millis(100);
/// The longest such pause.
pub const LINK_REOPEN_PAUSE_MAX: Duration = Duration::from_secs(2);
/// Streams of events that one node sends at once. Above: refused.
pub const LINK_STREAMS_MAX: usize = 1_024;
/// Streams of events that one node sends to one process at once: it needs one, and may have lost some without
/// the node knowing yet. Above: refused.
pub const LINK_STREAMS_PER_PROCESS_MAX: usize = 16;
/// Octets of one event.
pub const LINK_EVENT_BYTES_MAX: usize = 1024 * 1024;
/// Events that wait for one slow listener. Above: the next ones wait to be made, and are made of all that
/// happened meanwhile.
pub const LINK_EVENTS_WAITING_MAX: usize = 4;
/// Accounts whose changes are told in one event.
pub const LINK_CHANGES_PER_EVENT_MAX: usize = 1_024;
/// Watches of one stream. Above: answered at once, as without a watch.
pub const LINK_WATCHES_MAX: usize = POLLS_MAX;
/// Time between two looks at which watches nobody needs any more.
pub const LINK_SWEEP_INTERVAL: Duration = Duration::from_secs(5);
/// Watches that begin or end by one order.
pub const LINK_WATCHES_PER_ORDER_MAX: usize = 4_096;
/// Nodes of one cluster, as far as one node believes another.
pub const LINK_NODES_MAX: usize = 4_096;
/// Octets of the name under which a node remembers a service at a front-end's word: a domain, or a host and
/// its port.
pub const PINNED_NAME_BYTES_MAX: usize = 260;
/// Ticket secrets that one node believes another.
pub const LINK_TICKET_SECRETS_MAX: usize = 64;

// ---- What domains use (cluster §9) ----

/// Domains of which the owner of a partition remembers what they use there. More are read again. No refusal.
pub const USAGE_DOMAINS_KEPT_MAX: usize = 64;
/// Partitions whose accounts are counted by one step of a pass.
pub const USAGE_PARTITIONS_COUNTED: u16 = 32;
/// Time between two times that what all domains use is added up for the measures.
pub const USAGE_MEASURED_INTERVAL: Duration = Duration::from_secs(30);
