//! Bounds of the device's side. Those that both sides share are in `mesh_common::limits`.

use std::time::Duration;

/// Octets of one response that are read at most. A Download of 4 MiB of payload is Base64 twice:
/// once as an envelope, once as the sealed text around it, and has headers besides.
pub const RESPONSE_BYTES_MAX: usize = 24 * 1024 * 1024;
/// Time to reach a service.
pub const CONNECT_TIME_MAX: Duration = Duration::from_secs(10);
/// Time for one transaction, from the first octet of the request to the last of the response. The
/// service gives up after 5 s of its own time; the rest is for slow lines.
pub const EXCHANGE_TIME_MAX: Duration = Duration::from_secs(60);
/// How long one command waits for another that works in the same folder.
pub const LOCK_TIME_MAX: Duration = Duration::from_secs(10);
/// How often a request is sent again because the service was busy or out of reach.
pub const BUSY_RETRIES_MAX: u32 = 3;
/// How long the client waits at most before it sends a request again; a service that asks for
/// more patience than this is reported instead.
pub const BUSY_WAIT_MAX: Duration = Duration::from_secs(5);
/// How long a device that asked to be connected waits before it asks for the answer (service §6.2
/// step 8); then twice as long each time.
pub const POLL_WAIT_MIN: Duration = Duration::from_secs(1);
/// How long at most.
pub const POLL_WAIT_MAX: Duration = Duration::from_secs(60);
/// How often an upload that met other devices' frames is put behind them and sent again.
pub const REBASES_MAX: u32 = 16;
/// Octets of a file given on the command line that are read at most.
pub const INPUT_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// Octets of subject and contact data of a RequestContact together: what strangers may send
/// (service §7.5 rule 6).
pub const CONTACT_CARD_BYTES_MAX: usize = 16 * 1024;
/// How long a long poll is asked to wait for a change.
pub const POLL_TIME: Duration = Duration::from_secs(25);
/// The pause before a lost connection is tried again: first this long, then twice as long each time.
pub const RECONNECT_PAUSE_MIN: Duration = Duration::from_secs(1);
/// The longest of these pauses.
pub const RECONNECT_PAUSE_MAX: Duration = Duration::from_secs(60);
/// The pause between two polls of a service that answers at once.
pub const UNHELD_PAUSE: Duration = Duration::from_secs(10);
/// Octets of a copy of a master key that are read at most: sixteen shares in words, with remarks.
pub const COPY_BYTES_MAX: usize = 64 * 1024;
