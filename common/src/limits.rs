//! Every bound of the service: name with unit and role, value, where it comes from, and what the
//! one who meets it sees. Settings may lower most of them; nothing raises them silently.

use std::time::Duration;

// ---- HTTP and JSON (service §8, decision Q-4) ----

/// Octets of a sealed request body. Above: HTTP 413, 413/8 (decision Q-4).
pub const BODY_SEALED_BYTES_MAX: usize = 2 * 1024 * 1024;
/// Octets of a bare request body. Above: HTTP 413, 413/8 (decision Q-4).
pub const BODY_BARE_BYTES_MAX: usize = 64 * 1024;
/// Octets of a bare Hello once its tag is known. Above: 413/8 (decision Q-4).
pub const BODY_HELLO_BYTES_MAX: usize = 4 * 1024;
/// Octets of all HTTP headers together. Above: HTTP 431 (decision Q-43).
pub const HTTP_HEADER_BYTES_MAX: usize = 16 * 1024;
/// Octets read and thrown away after a 413 before the connection closes (decision Q-43).
pub const DISCARD_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Time for that (decision Q-43).
pub const DISCARD_TIME_MAX: Duration = Duration::from_secs(2);
/// Octets of all request bodies that one front-end holds at once. Above: 503 with Retry-After.
pub const BODIES_BYTES_MAX: usize = 256 * 1024 * 1024;
/// Requests per core that wait for curve arithmetic (service §4.9): a quarter of a second of it.
/// Above: 503 with Retry-After.
pub const ARITHMETIC_WAITING_PER_CORE_MAX: usize = 128;
/// Time until the first octet of a request (service §8). Above: the connection closes.
pub const REQUEST_FIRST_BYTE_TIME_MAX: Duration = Duration::from_secs(5);
/// Time for a whole request to arrive (service §8). Above: HTTP 408, 408/9.
pub const REQUEST_TIME_MAX: Duration = Duration::from_secs(30);
/// Time for one transaction once its request has arrived (P 9.1.2.1). Above: 408/9.
pub const TRANSACTION_TIME_MAX: Duration = Duration::from_secs(5);
/// Levels of nested JSON. Above: 400/100.
pub const JSON_DEPTH_MAX: usize = 64;
/// Member names of one JSON object that are searched in a list; more are hashed. No refusal.
pub const JSON_MEMBERS_SCANNED_MAX: usize = 16;
/// Octets that the string codes of one JSON-B text stand for together. Above: unreadable.
pub const JSONB_EXPANDED_BYTES_MAX: usize = 4 * 1024 * 1024;

// ---- Waiting (architecture A-14, cluster §10) ----

/// Longest wait of a Status; what asks for more waits this long. Below the time after which proxies
/// and address translators forget a silent connection.
pub const POLL_TIME_MAX: Duration = Duration::from_secs(60);
/// One part in this many of a wait is cut off it at random, so that devices that came together do not
/// come back together.
pub const POLL_JITTER_SHARE: u32 = 5;
/// Requests of one front-end that wait at once. Above: answered at once.
pub const POLLS_MAX: usize = 50_000;
/// Requests that wait at once for one account. Above: answered at once.
pub const POLLS_PER_ACCOUNT_MAX: usize = 8;

// ---- Containers (architecture A-8, containers §8.6, decision Q-38) ----

/// Octets of one catalog entry's payload. Above: 413/8.
pub const ENTRY_PAYLOAD_BYTES_MAX: usize = 256 * 1024;
/// Octets of one message's payload that are accepted. Above: 413/8 (P 7, P 9).
pub const MESSAGE_PAYLOAD_BYTES_MAX: usize = 64 * 1024;
/// Octets of one message's payload that our own devices originate (schema draft §4.4).
pub const MESSAGE_ORIGINATED_BYTES_MAX: usize = 32 * 1024;
/// Octets of a frame's header as received, and of its trailer. Above: 400/100 (decision Q-38).
pub const FRAME_HEADER_BYTES_MAX: usize = 16 * 1024;
/// Envelopes of one Upload, Updates and Self together. Above: 413/8.
pub const UPLOAD_ENVELOPES_MAX: usize = 500;
/// Payload octets of one Upload. Above: 413/8.
pub const UPLOAD_PAYLOAD_BYTES_MAX: usize = 512 * 1024;
/// Entries of one Download response. The rest is asked for again by index.
pub const DOWNLOAD_ENTRIES_MAX: usize = 1_024;
/// Payload octets of one Download response; one entry is always sent.
pub const DOWNLOAD_PAYLOAD_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Selections of one Download. Above: 413/8.
pub const DOWNLOAD_SELECTIONS_MAX: usize = 64;
/// Octets of a container's name before its `_` or `/` (decision Q-29). Above: 400/119.
pub const CONTAINER_PREFIX_BYTES_MAX: usize = 32;
/// Octets of a container's name behind its `_` or `/` (decision Q-29). Above: 400/119.
pub const CONTAINER_NAME_BYTES_MAX: usize = 64;
/// Octets of one frame's body in file form. Above: the file is refused. Room for the largest entry
/// with header and trailer many times over, since files of other writers are read too.
pub const FRAME_BODY_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Octets of a UniqueID (containers D9). Above: 400/100.
pub const UNIQUE_ID_BYTES_MAX: usize = 1_024;
/// Containers of one account, the service's own spools included. Above: 507/113 (decision Q-69).
pub const CONTAINERS_PER_ACCOUNT_MAX: usize = 64;
/// Frames of one container (service §8). Above: 507/113.
pub const FRAMES_PER_CONTAINER_MAX: u64 = 100_000;
/// Octets stored for one account (service §8). Above: 507/113.
pub const ACCOUNT_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// Octets of the account quota kept for deletions and completions, which give space back
/// (containers §12.6).
pub const ACCOUNT_RESERVE_BYTES: u64 = 1024 * 1024;
/// One part in this many of a smaller quota is kept instead, so that a reserve is never all of it.
pub const ACCOUNT_RESERVE_SHARE: u64 = 16;

/// References of one MessageComplete. Above: 413/8 (nobody's rule but ours: each is looked up).
pub const COMPLETION_REFERENCES_MAX: usize = 128;

// ---- Posting (architecture A-8, service §8, decision Q-55) ----

/// Recipients of one Post. Above: 413/8.
pub const POST_RECIPIENTS_MAX: usize = 32;
/// Messages of one Post. Above: 413/8.
pub const POST_MESSAGES_MAX: usize = 32;
/// Payload octets of the messages of one Post, each counted once per recipient served here (decision
/// the largest message for the most recipients. Above: 413/8.
pub const POST_DELIVERED_BYTES_MAX: usize = MESSAGE_PAYLOAD_BYTES_MAX * POST_RECIPIENTS_MAX;
/// Octets of their headers and trailers, counted the same way, so that one Post always fits into one
/// transaction of the store. Above: 413/8.
pub const POST_DELIVERED_BLOCKS_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Octets of header and trailer together of a message for others, so that the largest one fits into one
/// row of an intake. Above: 413/8 (nobody's rule but ours; a chain with its mesh takes a third).
pub const MESSAGE_BLOCK_BYTES_MAX: usize = 24 * 1024;
/// Recipients one message is sent to, over all Posts that repeat it. Above: 413/8.
pub const MESSAGE_RECIPIENTS_MAX: usize = 256;
/// How long an account that was written to is no new recipient.
pub const RECIPIENT_REMEMBERED: Duration = Duration::from_secs(90 * 24 * 3_600);
/// Messages to others per account and day (service §8). Above: 429/114.
pub const RATE_OUTBOUND_PER_DAY: u32 = 200;
/// Messages to others per account and minute (service §8). Above: 429/114.
pub const RATE_OUTBOUND_PER_MINUTE: u32 = 20;
/// Days for which an account counts as new (service §8).
pub const RATE_NEW_ACCOUNT_DAYS: u32 = 7;
/// One part in this many of the outbound rates is left to a new account (service §8).
pub const RATE_NEW_ACCOUNT_SHARE: u32 = 10;
/// Recipients per account and day that it has not written to before (service §8). Above: 429/114.
pub const RATE_NEW_RECIPIENTS_PER_DAY: u32 = 50;

// ---- Receiving (service §7.4 and §7.5, cluster §8) ----

/// Messages that one account takes from one stranger in a day (service §7.5 rule 6). Above: refused.
pub const STRANGER_PER_SENDER_DAY: u32 = 5;
/// Messages that one account takes from all strangers in a day (service §7.5 rule 6). Above: refused.
pub const STRANGER_PER_RECIPIENT_DAY: u32 = 50;
/// Octets of a stranger's `Subject` and `Self` together (service §7.5 rule 6). Above: refused.
pub const STRANGER_BYTES_MAX: usize = 16 * 1024;
/// Messages that one account takes in a day, from whomever (service §7.4 check 8): a fourteenth of a
/// minute each, and no more than fill a spool in ten days. Above: refused.
pub const INBOUND_PER_RECIPIENT_DAY: u32 = 10_000;
/// Live contacts of one account that are read for access control. Further ones count as unreadable.
pub const CONTACTS_INDEXED_MAX: usize = 10_000;
/// Octets of all contact indexes kept in memory; the least recently used leave first.
pub const CONTACT_INDEXES_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// How long an exchange may be answered (service §7.5 rule 4).
pub const EXCHANGE_REMEMBERED: Duration = Duration::from_secs(30 * 24 * 3_600);
/// How long it is remembered what the sender of a message was told.
pub const DELIVERY_REMEMBERED: Duration = Duration::from_secs(30 * 24 * 3_600);
/// How long the id of a drained entry is remembered (decision Q-59).
pub const INTAKE_ID_REMEMBERED: Duration = Duration::from_secs(30 * 24 * 3_600);
/// Entries of an intake that are drained in one commit (cluster §8). The rest waits for the next one.
pub const INTAKE_ENTRIES_MAX: usize = 64;
/// Octets of them (cluster §8); one entry is always drained.
pub const INTAKE_BYTES_MAX: usize = 512 * 1024;
/// Time between two looks at intakes whose owners nobody nudged (cluster §8).
pub const INTAKE_POLL_INTERVAL: Duration = Duration::from_secs(2);
/// Time from one draining of an intake for the sake of outcomes alone to the next: who sends a lot is told of
/// several at once.
pub const OUTCOMES_TOLD_INTERVAL: Duration = Duration::from_millis(250);
/// Messages of other services left for a partition while its owner is away; above: 503.
pub const INTAKE_AWAY_ENTRIES_MAX: usize = 1_000;

// ---- Complaints (service §8, X-61) ----

/// Time after which an incident counts half as much.
pub const CONDUCT_HALF_LIFE: Duration = Duration::from_secs(7 * 24 * 3_600);
/// Half-lives for which an incident counts at all: what is left then is below a two-hundredth.
pub const CONDUCT_HALF_LIVES_COUNTED: u32 = 8;
/// Incidents of one subject that are counted, the newest first: many times what suspends anybody.
pub const CONDUCT_INCIDENTS_COUNTED: usize = 1_024;
/// How long incidents stay on record: longer than they count.
pub const INCIDENTS_KEPT: Duration = Duration::from_secs(90 * 24 * 3_600);
/// Incidents that one account adds to by itself in a day, each about another sender; further ones
/// are not recorded. Keeps a peer that invents senders from filling the disk.
pub const INCIDENTS_PER_RECIPIENT_DAY: usize = 64;
/// Score from which on somebody is throttled: as many people complain at once, or more over days.
pub const CONDUCT_THROTTLED_FROM: u32 = 5;
/// Score from which on somebody is restricted.
pub const CONDUCT_RESTRICTED_FROM: u32 = 10;
/// Score from which on somebody is suspended.
pub const CONDUCT_SUSPENDED_FROM: u32 = 20;
/// The greatest score that a level can be set to begin at.
pub const CONDUCT_FROM_MAX: u32 = 1_000;
/// One part in this many of the rates is left to who is throttled.
pub const CONDUCT_THROTTLE_SHARE: u32 = 10;
/// What a refusal by rules 1 to 3 adds to a score, and what an operator files, in thousandths.
pub const INCIDENT_WEIGHT: u32 = 1_000;
/// What a refusal by a peer adds, in thousandths: it does not say why.
pub const INCIDENT_WEIGHT_PEER: u32 = 500;
/// Refusals by peers in a day that say nothing yet; each further one is an incident (X-61,
/// "repeated").
pub const PEER_REFUSALS_PER_DAY_FREE: u32 = 2;
/// How long the level of a service is believed before it is computed again.
pub const CONDUCT_BELIEVED: Duration = Duration::from_secs(10);

// ---- Connecting devices (service §6.2, §6.3, §6.5; decisions) ----

/// How long a request to connect waits for its answer. Beyond: 410/111.
pub const CONNECTION_LIFE: Duration = Duration::from_secs(24 * 3_600);
/// The longest such life that may be set.
pub const CONNECTION_LIFE_MAX: Duration = Duration::from_secs(30 * 24 * 3_600);
/// How long an answer can be fetched once it was given. Beyond: 410/111.
pub const CONNECTION_ANSWER_KEPT: Duration = Duration::from_secs(7 * 24 * 3_600);
/// How long a request to connect that is over is remembered, so that its device is told 410/111.
/// Beyond: 404/6.
pub const CONNECTION_REMEMBERED: Duration = Duration::from_secs(7 * 24 * 3_600);
/// Requests to connect that wait at one account. Above: 429/114.
pub const CONNECTIONS_PENDING_MAX: usize = 8;
/// Those of one device at one account. Above: 429/114.
pub const CONNECTIONS_PENDING_PER_DEVICE_MAX: usize = 3;
/// Requests to connect that wait at one hailing account. Above: 429/114.
pub const HAILING_PENDING_MAX: usize = 1_024;
/// Requests to connect that an account remembers, in multiples of those that may wait. Above: the
/// one that was over first is forgotten.
pub const CONNECTIONS_REMEMBERED_FACTOR: usize = 8;
/// Hailing accounts of one domain: each is asked for the content of an EARL.
pub const HAILING_ACCOUNTS_MAX: usize = 16;

// ---- Names (service §5.1 and §1.2) ----

/// Characters of the user part of an address, at least. Below: 422/117.
pub const NAME_CHARACTERS_MIN: usize = 1;
/// Characters of the user part of an address, at most. Above: 422/117.
pub const NAME_CHARACTERS_MAX: usize = 64;
/// Octets of a whole account address. Above: 422/117.
pub const ADDRESS_BYTES_MAX: usize = 320;
/// Characters no account name may hold (service §5.1). Any: 422/117.
pub const NAME_CHARACTERS_INVALID: &str = " @/\\<>\",";

// ---- Sessions (service §4) ----

/// How far a request's Time may be from our clock, both ends included. Beyond: 401/107.
pub const CLOCK_SKEW_MAX: Duration = Duration::from_secs(300);
/// How long a committed request is remembered: the window both ways and a margin (service §4.7).
pub const REPLAY_TIME: Duration = Duration::from_secs(900);
/// Entries of one account's replay table that are kept at most; the oldest go first once they are
/// older than the window.
pub const REPLAY_ENTRIES_MAX: usize = 4_096;
/// Octets of a RequestID, exactly (decision Q-25). Else: 400/100.
pub const REQUEST_ID_BYTES: usize = 16;
/// Octets of a Ticket. Above: 401/105.
pub const TICKET_BYTES_MAX: usize = 1_024;
/// Life of a ticket in Profile mode.
pub const TICKET_PROFILE_LIFE: Duration = Duration::from_secs(24 * 3_600);
/// Life of a ticket in Device mode.
pub const TICKET_DEVICE_LIFE: Duration = Duration::from_secs(3_600);
/// Life of a ticket in Service mode.
pub const TICKET_SERVICE_LIFE: Duration = Duration::from_secs(3_600);
/// Time one ticket-sealing key is used for new tickets.
pub const TICKET_KEY_EPOCH: Duration = Duration::from_secs(24 * 3_600);
/// Epochs before the current one whose tickets are still opened.
pub const TICKET_KEY_EPOCHS_KEPT: usize = 2;
/// Opened tickets that one front-end remembers: some 1 KiB each.
pub const TICKETS_OPENED_MAX: usize = 16_384;
/// How long a replaced service KeyAuthentication still answers (service §4.6).
pub const HOST_KEY_GRACE: Duration = Duration::from_secs(7 * 24 * 3_600);

/// Octets of the `Session` of a sealed request, its credential included. Above: 413/8.
pub const SESSION_BYTES_MAX: usize = 64 * 1024;
/// Signatures of one assertion or message that are looked at. More: 422/116 (crypto §5.3).
pub const SIGNATURES_PER_ENVELOPE_MAX: usize = 16;
/// Different chains from device to account that the messages of one request may carry. More:
/// 422/116 (nobody's rule but ours: each costs three signatures).
pub const CHAINS_PER_REQUEST_MAX: usize = 8;
/// Keys of one profile, all uses together. More: 422/116.
pub const KEYS_PER_PROFILE_MAX: usize = 32;
/// Accounts in one entry of the Device catalog. More: 422/116.
pub const ACCOUNTS_PER_DEVICE_ENTRY_MAX: usize = 32;

// ---- Accounts (architecture A-15) ----

/// How long the data of a deleted account can be restored by the operator.
pub const DELETED_DATA_KEPT: Duration = Duration::from_secs(30 * 24 * 3_600);
/// How long the address of a deleted account stays reserved for its ProfileMesh.
pub const DELETED_NAME_RESERVED: Duration = Duration::from_secs(90 * 24 * 3_600);
/// How long a message's id is remembered for duplicates (decision Q-26).
pub const MESSAGE_ID_REMEMBERED: Duration = Duration::from_secs(30 * 24 * 3_600);

/// How long a message that is marked deleted is kept when the operator says nothing (containers §10).
pub const RETENTION_DELETED_DEFAULT: Duration = Duration::from_secs(30 * 24 * 3_600);
/// Frames that one step of retention looks at; the rest is looked at in further steps.
pub const RETENTION_FRAMES_MAX: usize = 64;
/// Steps of retention in one round of upkeep, each over another account.
pub const RETENTION_STEPS_MAX: usize = 16;
/// Intervals after which retention looks again at what nothing is to be done about by the present
/// settings.
pub const RETENTION_IDLE_INTERVALS: u64 = 30;

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
/// Requests that wait for one partition. Above: 503 with Retry-After (architecture A-13). Whoever finds it full is
/// the newest, so nothing else is given up for age; what is past its deadline is dropped before any work.
pub const PARTITION_MAILBOX_MAX: usize = 256;
/// Payload octets of the requests that wait for one partition (cluster §14). Above: 503 with
/// Retry-After.
pub const PARTITION_MAILBOX_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Requests of one account that wait: a quarter of its partition's mailbox, so that a hot account
/// meets its bound before its neighbours do (cluster §18). Above: 503 with Retry-After.
pub const ACCOUNT_WAITING_MAX: usize = PARTITION_MAILBOX_MAX / 4;
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
/// counts among [`BODIES_BYTES_MAX`].
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
/// Watches that are begun again at once when owners change or streams break.
pub const WATCHES_RENEWED_AT_ONCE: usize = 16;
/// How long the place of one is kept at least: with the bound above, 1,600 in a second and front-end.
pub const WATCH_RENEWAL_TIME_MIN: Duration = Duration::from_millis(10);
/// Time between two attempts to watch an account whose owner cannot be heard.
pub const WATCH_RENEWAL_PAUSE: Duration = Duration::from_secs(1);
/// How long it is not told again that a domain's service spoke.
pub const HEARD_TOLD_INTERVAL: Duration = Duration::from_secs(10);
/// Domains of which that is remembered.
pub const HEARD_DOMAINS_MAX: u64 = 4_096;

// ---- Delivery to other services (delivery §11–§13) ----

/// Messages that wait for one domain, each counted once per recipient (cluster §14). Above: 503/120.
pub const QUEUE_PER_DESTINATION_MAX: u64 = 10_000;
/// Messages from one domain that wait, wherever they go (cluster §14). Above: 503/120.
pub const QUEUE_PER_TENANT_MAX: u64 = 50_000;
/// One part in this many of a destination's queue is left to one of several domains served here
/// (delivery §13). Above: 503/120.
pub const QUEUE_TENANT_SHARE: u64 = 4;
/// The greatest value that these can be set to.
pub const QUEUE_BOUND_MAX: u64 = 1_000_000;
/// How long a device waits that met one of these bounds: a queue that is full empties slowly.
pub const QUEUE_FULL_PAUSE: Duration = Duration::from_secs(60);
/// Of what remains of a limit that nodes share one part in this many is granted at once (cluster §9), within
/// the bounds of what the limit counts.
pub const ESCROW_PARTS: u64 = 64;
/// Messages that wait, of which as many are granted to a node at once: at least, and at most.
pub const ESCROW_ITEMS: (u64, u64) = (8, 1_024);
/// How long a node keeps what it does not spend of a limit that nodes share (cluster §9).
pub const ESCROW_IDLE: Duration = Duration::from_secs(60);
/// How long after somebody met such a limit the others give back at once what they do not need.
pub const ESCROW_WANTED: Duration = Duration::from_secs(10);
/// Limits of which something is given back in one commit.
pub const ESCROW_GIVEN_BACK_MAX: usize = 64;
/// Shards that destinations are divided into; fixed when a service is first started.
pub const OUTBOUND_SHARDS: u16 = 256;
/// Destinations with a label of their own in measures: the busiest.
pub const DESTINATIONS_LABELLED_MAX: usize = 50;
/// Destinations whose traffic is counted in order to find the busiest.
pub const DESTINATIONS_COUNTED_MAX: usize = 1_000;
/// Standing orders of operators: each is looked at for every item that is about to be sent.
pub const STANDING_ORDERS_MAX: usize = 256;
/// Destinations that wait in memory for their owner to hear that something was queued. Above: it is told
/// to look into the store.
pub const OUTBOUND_RUNG_MAX: usize = 4_096;
/// Rows of one destination that are passed over to find items which are not held. Beyond, the rest waits
/// for the next reading.
pub const OUTBOUND_LOAD_ROWS_MAX: usize = 16_384;
/// Outcomes that are committed together (delivery §11).
pub const OUTBOUND_OUTCOMES_MAX: usize = 64;
/// How long outcomes wait for others to be committed with, at most (delivery §11).
pub const OUTBOUND_OUTCOMES_TIME_MAX: Duration = Duration::from_millis(100);
/// Outcomes that wait to be committed. Above: nothing is sent until the store has taken them.
pub const OUTBOUND_UNCOMMITTED_MAX: usize = 1_024;
/// Destinations in memory at once, unless set otherwise. Above: those that do not answer wait in the store
/// alone.
pub const OUTBOUND_DESTINATIONS_MAX: u32 = 16_384;
/// Items in memory at once, over all destinations: each of many has fewer than [`ITEMS_LOADED_MAX`].
pub const OUTBOUND_ITEMS_MAX: usize = 65_536;
/// Orders and questions that wait for the owner of the shards. Above: who asks waits.
pub const OUTBOUND_COMMANDS_MAX: usize = 256;
/// Time between two looks for what was queued and not told (delivery §11).
pub const OUTBOUND_POLL_INTERVAL: Duration = Duration::from_secs(2);
/// Time between two rounds over the whole queue: for what is late, over, or was never told.
pub const OUTBOUND_ROUND_INTERVAL: Duration = Duration::from_secs(30);
/// Time that transfers have to end when the service stops (cluster §15).
pub const OUTBOUND_STOP_TIME_MAX: Duration = Duration::from_secs(5);
/// Octets of a peer's sentence that are kept and told.
pub const PEER_TEXT_BYTES_MAX: usize = 256;
/// Transfers to all destinations together that are in flight at once, unless set otherwise (delivery
/// §12.2). Above: they wait.
pub const TRANSFERS_MAX: u32 = 512;
/// What the local governor leaves of them at least: enough to notice that the trouble is over.
pub const TRANSFERS_MIN: u32 = 32;
/// Transfers in flight to one destination (P 9.1.2.1 has 100 as its example). Above: they wait.
pub const WINDOW_MAX: u32 = 100;
/// Transfers in flight to a destination of which nothing is known (delivery §12.1).
pub const WINDOW_INITIAL: u32 = 4;
/// Transfers in flight, at first, to a destination that is remembered from another life (delivery §12.2).
pub const WINDOW_REMEMBERED_MAX: u32 = 16;
/// From this time on a transfer is slow (P 9.1.2.1).
pub const TRANSFER_SLOW: Duration = Duration::from_secs(4);
/// Below this time a transfer is fast (P 9.1.2.1).
pub const TRANSFER_FAST: Duration = Duration::from_secs(1);
/// Items of one destination that are in memory, waiting (delivery §11). The rest stays in the store.
pub const ITEMS_LOADED_MAX: usize = 256;
/// How many of them may be retries, so that these never keep first attempts from being read.
pub const RETRIES_LOADED_MAX: usize = 128;
/// With fewer first attempts in memory the next items are read.
pub const ITEMS_LOADED_LOW: usize = 64;
/// Items of a destination that stay in memory while nothing but probes goes there.
pub const ITEMS_KEPT_WHILE_OPEN: usize = 8;
/// Octets that one destination sends before it is the turn of the next one (delivery §13).
pub const QUANTUM_BYTES: u32 = 64 * 1024;
/// Interactive messages that go out before a bulk one does, where both wait (delivery §13).
pub const INTERACTIVE_WEIGHT: u32 = 8;
/// Percent of the node's transfers that destinations may hold together that do not answer, or bear one slow
/// transfer at a time (delivery §13, the slow lane).
pub const SLOW_LANE_PERCENT: u32 = 30;
/// Percent of the node's transfers that they may hold together with destinations that have not answered
/// yet. The rest is always there for those that do.
pub const UNPROVEN_LANE_PERCENT: u32 = 60;
/// Percent of the node's transfers that destinations may hold which answer, but not fast. A fifth at least
/// is left to those that do (bench G-10).
pub const UNHURRIED_LANE_PERCENT: u32 = 20;
/// How long a destination is left alone at first when it does not answer (delivery §12.2).
pub const BREAKER_OPEN_MIN: Duration = Duration::from_secs(5);
/// How long at most; the time triples with every probe that fails.
pub const BREAKER_OPEN_MAX: Duration = Duration::from_secs(30 * 60);
/// Time between two early probes that a peer brings about by speaking to us (delivery §12.2).
pub const BREAKER_EARLY_INTERVAL: Duration = Duration::from_secs(60);
/// Longest pause that a peer may ask for by `Retry-After` (delivery §13).
pub const DESTINATION_PAUSE_MAX: Duration = Duration::from_secs(3_600);
/// Time over which first contacts are spread after a start (delivery §12.2).
pub const FIRST_CONTACTS_SPREAD: Duration = Duration::from_secs(30);
/// Destinations that such a spread is made for: with fewer it is proportionally shorter.
pub const FIRST_CONTACTS_SPREAD_OVER: u32 = 10_000;
/// After this time without work a destination is forgotten; its row stays.
pub const DESTINATION_IDLE: Duration = Duration::from_secs(600);
/// Seconds that a destination's retries are counted over (delivery §13).
pub const RETRY_BUDGET_SECONDS: u32 = 10;
/// Percent of the first attempts in that time that may be retries besides.
pub const RETRY_BUDGET_PERCENT: u32 = 20;
/// Retries per second that are always allowed.
pub const RETRY_BUDGET_FLOOR: u32 = 1;
/// How long a message waits to be sent, unless set otherwise (delivery §13). After that: `Failed`.
pub const EXPIRY: Duration = Duration::from_secs(72 * 3_600);
/// How long a confirmation waits: nobody waits longer for an answer.
pub const EXPIRY_CONFIRMATION: Duration = Duration::from_secs(24 * 3_600);
/// The longest expiry that can be set.
pub const EXPIRY_MAX: Duration = Duration::from_secs(120 * 3_600);
/// After this time without delivery the sender is told: `Delayed` (delivery §13).
pub const DELAYED_AFTER: Duration = Duration::from_secs(4 * 3_600);
/// How long a message is tried again against answers that are no verdict on it (delivery §13).
pub const PATIENCE: Duration = Duration::from_secs(4 * 3_600);
/// How long a message is tried again towards a domain that is not there, or not itself (delivery §13).
pub const PATIENCE_WITH_DOMAIN: Duration = Duration::from_secs(24 * 3_600);
/// Times that handling an item may fail here before it is set aside (delivery §13).
pub const INTERNAL_ATTEMPTS_MAX: u32 = 3;

// ---- Finding and reaching other services (delivery §11, service §7.3, decisions) ----

/// How long a domain's records hold at least, whatever their TTL says.
pub const DISCOVERY_TTL_MIN: Duration = Duration::from_secs(30);
/// How long they hold at most.
pub const DISCOVERY_TTL_MAX: Duration = Duration::from_secs(3_600);
/// How long it is remembered that a domain has no service.
pub const DISCOVERY_NEGATIVE_LIFE: Duration = Duration::from_secs(60);
/// How long old records hold while DNS fails.
pub const DISCOVERY_STALE_MAX: Duration = Duration::from_secs(24 * 3_600);
/// Time between two lookups of a domain that cannot be looked up.
pub const DISCOVERY_FAILURE_PAUSE: Duration = Duration::from_secs(2);
/// Domains whose records are remembered; those longest unused are forgotten.
pub const DISCOVERY_ENTRIES_MAX: usize = 16_384;
/// Domains that are looked up at once. Above: they wait for their turn.
pub const DISCOVERY_LOOKUPS_MAX: usize = 64;
/// Those of them whose last lookup failed, so that dead name servers do not hold everybody's turn.
pub const DISCOVERY_TROUBLED_LOOKUPS_MAX: usize = 48;
/// Domains whose lookup waits for its turn or is under way. Above: unreachable for now.
pub const DISCOVERY_WAITING_MAX: usize = 4_096;
/// Time one domain's lookup may take, all its queries together.
pub const DISCOVERY_LOOKUP_TIME_MAX: Duration = Duration::from_secs(2);
/// SRV targets of a domain that are looked at, the most wanted first.
pub const DISCOVERY_TARGETS_MAX: usize = 8;
/// Addresses of one target that are tried.
pub const DISCOVERY_ADDRESSES_MAX: usize = 8;
/// Octets of a path in TXT `path=`. Longer: ignored.
pub const SERVICE_PATH_BYTES_MAX: usize = 128;

/// Time of one transfer, finding and connecting to the peer included (protocol draft §9.1.2.1).
pub const TRANSFER_TIME_MAX: Duration = Duration::from_secs(5);
/// Time a transfer waits for a lookup.
pub const TRANSFER_LOOKUP_TIME_MAX: Duration = Duration::from_secs(1);
/// Time a transfer waits for connection and TLS, all targets together.
pub const TRANSFER_CONNECT_TIME_MAX: Duration = Duration::from_secs(2);
/// Octets of a peer's answer: to Hello with its profiles, to Post with a sentence.
pub const PEER_RESPONSE_BYTES_MAX: usize = 256 * 1024;
/// Octets of the headers of a peer's answer.
pub const PEER_HEADERS_BYTES_MAX: usize = 16 * 1024;
/// Headers of a peer's answer.
pub const PEER_HEADERS_MAX: usize = 64;
/// Connections that wait for the next transfer to one peer: as many as a window has transfers, since each new
/// one costs a handshake on both sides. Further ones are closed.
pub const PEER_IDLE_CONNECTIONS_MAX: usize = WINDOW_MAX as usize;
/// Connections that wait for the next transfer to any peer; the longest idle is closed.
pub const IDLE_CONNECTIONS_MAX: usize = 1_024;
/// How long a connection waits for the next transfer. Below what services close idle ones after.
pub const IDLE_CONNECTION_TIME_MAX: Duration = Duration::from_secs(45);
/// How long a fetched service profile counts as known (decision Q-52).
pub const GREETING_LIFE: Duration = Duration::from_secs(24 * 3_600);
/// Time between two fetches of one profile because a key is not known from the last.
pub const GREETING_REPEAT_INTERVAL: Duration = Duration::from_secs(60);
/// Chains from devices to accounts that a front-end remembers, some 25 KiB each at most.
pub const CHAINS_REMEMBERED_MAX: u64 = 4_096;
/// Time for which one is remembered after it was used.
pub const CHAIN_REMEMBERED: Duration = Duration::from_secs(600);
/// Time for one call-back to a service that authenticates (decision Q-60).
pub const CALL_BACK_TIME_MAX: Duration = Duration::from_secs(2);
/// Call-backs under way at once.
pub const CALL_BACKS_MAX: usize = 16;
/// Time for which a domain whose call-back failed is not asked again.
pub const CALL_BACK_FAILED_LIFE: Duration = Duration::from_secs(60);
/// Domains of which a front-end remembers what came of the call-back.
pub const CALL_BACK_DOMAINS_MAX: u64 = 16_384;
/// Time between two fetches of one profile because the peer itself says that it has another key.
pub const GREETING_REFRESH_INTERVAL: Duration = Duration::from_secs(5);
/// Peers whose greetings and sessions are remembered; those longest unused are forgotten.
pub const PEERS_REMEMBERED_MAX: usize = 16_384;

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

// ---- Requests per source and per device (service §8; settings `limits.rate`) ----

/// CreateAccount per source address and hour. Above: 429/114.
pub const RATE_CREATE_PER_HOUR: u32 = 5;
/// Connect per source address and hour. Above: 429/114.
pub const RATE_CONNECT_PER_HOUR: u32 = 10;
/// Fetches of what hailing accounts publish per source address and minute. Above: 429/114.
pub const RATE_FETCH_PER_MINUTE: u32 = 60;
/// Failed authentications per source address and minute. Above: 429/114 for ten minutes.
pub const RATE_FAILED_AUTHENTICATION_PER_MINUTE: u32 = 30;
/// Sources or devices whose rate one front-end remembers; beyond it the rarest are forgotten.
pub const RATE_KEYS_MAX: u64 = 65_536;
/// How long a source waits after too many failed authentications.
pub const RATE_FAILED_AUTHENTICATION_PAUSE: Duration = Duration::from_secs(600);
/// Requests per device and second, sustained. Above: 429/114.
pub const RATE_DEVICE_PER_SECOND: u32 = 20;
/// Requests a device may make at once before the rate counts.
pub const RATE_DEVICE_BURST: u32 = 100;
/// Messages per second from one forwarding service, sustained (service §8).
pub const RATE_FORWARDING_PER_SECOND: u32 = 50;
/// Messages a forwarding service may post at once.
pub const RATE_FORWARDING_BURST: u32 = 100;
/// Messages to accounts that do not exist, per forwarding service and minute, before it pauses
/// (decision Q-57).
pub const RATE_UNKNOWN_PER_MINUTE: u32 = 60;
/// That pause.
pub const RATE_UNKNOWN_PAUSE: Duration = Duration::from_secs(60);
/// Domains per second for which one source makes us call back (decision Q-60).
pub const RATE_NEW_DOMAINS_PER_SECOND: u32 = 1;

/// Hundredths of the time that work may take at most beside a service: all of it.
pub const PACE_SHARE_MAX: u8 = 100;
/// Hundredths of the time that copying into another store takes unless the operator says otherwise, where the service runs.
pub const PACE_SHARE_DEFAULT: u8 = 25;
/// Fewest octets a second that paced work can be told to handle.
pub const PACE_RATE_MIN: u64 = 65_536;
/// The longest rest between two pieces of paced work.
pub const PACE_REST_MAX: Duration = Duration::from_secs(10);
/// How long one request for the next accounts to be copied goes on taking further ones.
pub const COPY_PAGE_TIME_MAX: Duration = Duration::from_secs(5);
/// Octets of what may wait in an account's intake so that an archive takes it: it comes back in one commit.
pub const ARCHIVED_INTAKE_BYTES_MAX: usize = 4_000_000;
