//! Every bound of the service: name with unit and role, value, where it comes from, and what the
//! one who meets it sees. Settings may lower most of them; nothing raises them silently.

use std::time::Duration;

pub use self::cluster::*;
pub use self::delivery::*;

mod cluster;
mod delivery;

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
/// Above: 503 with Retry-After. Draft: cluster §14 has four; one peer alone may send a hundred at once (docs/0012).
pub const ARITHMETIC_WAITING_PER_CORE_MAX: usize = 128;
/// Time until the first octet of a request (service §8). Above: the connection closes.
pub const REQUEST_FIRST_BYTE_TIME_MAX: Duration = Duration::from_secs(5);
/// Time for a whole request to arrive (service §8). Above: HTTP 408, 408/9.
pub const REQUEST_TIME_MAX: Duration = Duration::from_secs(30);
/// Time for a body of [`BODY_UNHURRIED_BYTES`] to arrive (cluster §14). Above: HTTP 408, 408/9. A larger one may take
/// longer, at the pace of [`BODY_BYTES_PER_SECOND_MIN`], but never longer than [`REQUEST_TIME_MAX`].
pub const BODY_TIME: Duration = Duration::from_secs(5);
/// Octets of a body that are not looked at for their pace before all of them could be there (cluster §14).
pub const BODY_UNHURRIED_BYTES: usize = 64 * 1024;
/// Octets per second, on average since [`BODY_UNPACED`], that must have arrived of a body that takes longer than
/// [`BODY_TIME`] (cluster §14).
pub const BODY_BYTES_PER_SECOND_MIN: u32 = 16 * 1024;
/// Time at the beginning of a body that this average leaves out.
pub const BODY_UNPACED: Duration = Duration::from_secs(1);
/// Who is sent away for so many seconds is told up to so many more, by chance: one for each of these, rounded up. So
/// those who were sent away together do not come back together (cluster §14).
pub const RETRY_AFTER_SPREAD_SHARE: u64 = 2;
/// Most that is added so.
pub const RETRY_AFTER_SPREAD_MAX: Duration = Duration::from_secs(30);
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
/// Watches of intakes that an owner begins at once.
pub const INTAKE_WATCHES_BEGUN_AT_ONCE: usize = 16;
/// Time from one waking of an owner by the store to the next for the same partition (cluster §8, table 22): what
/// other nodes leave meanwhile is found together, unless they call.
pub const INTAKE_WAKE_INTERVAL: Duration = Duration::from_millis(250);
/// Time from one draining of an intake for the sake of outcomes alone to the next: who sends a lot is told of
/// several at once.
pub const OUTCOMES_TOLD_INTERVAL: Duration = Duration::from_millis(250);
/// Messages that wait in its intake for one account (cluster §14). Above: 429 with Retry-After for whoever posts; from half
/// of it on for every other message of other services.
pub const INTAKE_ACCOUNT_MESSAGES_MAX: usize = 1_000;
/// Octets of them (cluster §14). Above: the same.
pub const INTAKE_ACCOUNT_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Entries that wait in the intake of one partition (cluster §14). Above: the same, for all its accounts.
pub const INTAKE_PARTITION_ENTRIES_MAX: usize = 20_000;
/// How long whoever finds an intake closed is asked to wait. Short: a service that sends to us holds back everything for us
/// as long.
pub const INTAKE_CLOSED_PAUSE: Duration = Duration::from_secs(2);
/// Pages of intakes that are not drained as fast as they fill which one look reads. The next look reads on.
pub const INTAKE_SURVEY_PAGES_MAX: usize = 16;

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
