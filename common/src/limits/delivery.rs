//! Bounds of what leaves for other services, and of finding and reaching them.

use std::time::Duration;

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
/// Octets that the accounts of a domain store, of which as many are granted to a partition at once (cluster §9): at
/// least, and at most.
pub const DOMAIN_OCTETS: (u64, u64) = (1024 * 1024, 64 * 1024 * 1024);
/// Messages that the accounts of a domain send on a day, of which as many are granted to a partition at once: at
/// least, and at most.
pub const DOMAIN_MESSAGES: (u64, u64) = (8, 1_024);
/// How long a node keeps what it does not spend of a limit that nodes share (cluster §9).
pub const ESCROW_IDLE: Duration = Duration::from_secs(60);
/// How long after somebody met such a limit the others give back at once what they do not need.
pub const ESCROW_WANTED: Duration = Duration::from_secs(10);
/// Limits of which something is given back in one commit.
pub const ESCROW_GIVEN_BACK_MAX: usize = 64;
/// Messages in the whole queue up to which a node that leaves counts them, to give back what it was granted. Above:
/// others do it with their next look.
pub const ESCROW_COUNTED_LEAVING_MAX: u64 = 50_000;
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
