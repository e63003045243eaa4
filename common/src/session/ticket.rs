//! Tickets: what an exchange established, sealed under a key that every front-end of the service
//! has, so that further requests cost no curve arithmetic (service §4.5, X-21, decision Q-54).
//!
//! ```text
//!  Ticket = 2 ‖ keyID(4) ‖ salt(32) ‖ GCM(K, N, T, aad = 2 ‖ keyID ‖ salt ‖ service UDF)
//!  T      = 2 ‖ (length(2) ‖ field)*     SK, mode, account, device, key, credential, issued, expires
//! ```
//!
//! Version 1 was issued to services that nobody had called back (decision Q-60): no ticket of it is
//! good any more.
//!
//! A key is named by its epoch: the number of [`TICKET_KEY_EPOCH`]s since 1970. Keys are there two
//! epochs ahead, so that no front-end meets one that it does not know.

use std::fmt;
use std::sync::Arc;

use zeroize::Zeroizing;

use super::caller::{Caller, Mode, Via};
use super::opened::OpenedTickets;
use super::schedule::{SECRET_BYTES, SessionSecret};
use crate::address::AccountAddress;
use crate::crypto::cipher::{gcm_open, gcm_seal};
use crate::crypto::derive::Expander;
use crate::entropy::{Entropy, draw};
use crate::limits::{
    TICKET_BYTES_MAX, TICKET_DEVICE_LIFE, TICKET_KEY_EPOCH, TICKET_KEY_EPOCHS_KEPT,
    TICKET_PROFILE_LIFE, TICKET_SERVICE_LIFE,
};
use crate::time::Timestamp;
use crate::udf::Udf;

/// Version octet of the ticket and of its text.
const VERSION: u8 = 2;
/// Octets of the salt a ticket is sealed with.
pub(super) const SEAL_SALT_BYTES: usize = 32;
/// Octets before the cipher text: version, keyID, salt.
const HEAD_BYTES: usize = 1 + 4 + SEAL_SALT_BYTES;
/// Epochs for which keys are made ahead of time (decision Q-54).
const EPOCHS_AHEAD: u32 = 2;

/// The number of a ticket-sealing key: which epoch it is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(pub u32);

impl Epoch {
    /// The epoch `now` is in.
    #[must_use]
    pub fn at(now: Timestamp) -> Self {
        let seconds = u64::try_from(now.as_secs()).unwrap_or(0);
        Self(u32::try_from(seconds / TICKET_KEY_EPOCH.as_secs()).unwrap_or(u32::MAX))
    }

    /// The epochs whose keys a front-end holds at `now`: the two before, this one, the two after.
    pub fn held_at(now: Timestamp) -> impl Iterator<Item = Self> {
        let Self(current) = Self::at(now);
        let kept = TICKET_KEY_EPOCHS_KEPT as u32;
        (current.saturating_sub(kept)..=current.saturating_add(EPOCHS_AHEAD)).map(Self)
    }
}

/// The ticket-sealing keys of one service, by epoch.
#[derive(Clone)]
pub struct TicketKeys {
    service_udf: Udf,
    /// In ascending order of epochs.
    keys: Vec<(Epoch, Zeroizing<[u8; 32]>)>,
    /// What was opened under these keys.
    opened: OpenedTickets,
}

impl TicketKeys {
    /// No keys yet: every ticket is refused and none is issued.
    #[must_use]
    pub fn new(service_udf: Udf) -> Self {
        Self {
            service_udf,
            keys: Vec::new(),
            opened: OpenedTickets::default(),
        }
    }

    /// Adds the key of `epoch`, or replaces it.
    pub fn insert(&mut self, epoch: Epoch, key: Zeroizing<[u8; 32]>) {
        self.opened = OpenedTickets::default();
        match self.keys.binary_search_by_key(&epoch, |entry| entry.0) {
            Ok(position) => self.keys[position].1 = key,
            Err(position) => self.keys.insert(position, (epoch, key)),
        }
    }

    /// Erases the keys whose tickets are not opened any more, and draws those that are missing from
    /// this epoch on: rotation for a service of one process.
    pub fn rotate(&mut self, now: Timestamp, entropy: &mut dyn Entropy) {
        self.erase_expired(now);
        let current = Epoch::at(now);
        for epoch in Epoch::held_at(now).filter(|epoch| *epoch >= current) {
            if self.key(epoch).is_none() {
                self.insert(epoch, Zeroizing::new(draw(entropy)));
            }
        }
    }

    /// Erases the keys whose tickets are not opened any more.
    pub fn erase_expired(&mut self, now: Timestamp) {
        let oldest = Self::oldest(now);
        self.opened = OpenedTickets::default();
        self.keys.retain(|(epoch, _)| *epoch >= oldest);
    }

    /// The epochs there are keys for, in ascending order.
    pub fn epochs(&self) -> impl Iterator<Item = Epoch> {
        self.keys.iter().map(|(epoch, _)| *epoch)
    }

    fn oldest(now: Timestamp) -> Epoch {
        Epoch(
            Epoch::at(now)
                .0
                .saturating_sub(TICKET_KEY_EPOCHS_KEPT as u32),
        )
    }

    fn key(&self, epoch: Epoch) -> Option<&[u8; 32]> {
        self.keys
            .binary_search_by_key(&epoch, |entry| entry.0)
            .ok()
            .map(|position| &*self.keys[position].1)
    }

    /// Seals `ticket` under the newest key whose epoch has begun; `None` without such a key.
    #[must_use]
    pub fn seal(
        &self,
        ticket: &Ticket,
        now: Timestamp,
        entropy: &mut dyn Entropy,
    ) -> Option<Vec<u8>> {
        let current = Epoch::at(now);
        let (epoch, key) = self
            .keys
            .iter()
            .rev()
            .find(|(epoch, _)| *epoch <= current)?;
        let mut sealed = Vec::with_capacity(512);
        sealed.push(VERSION);
        sealed.extend_from_slice(&epoch.0.to_be_bytes());
        sealed.extend_from_slice(&draw::<SEAL_SALT_BYTES>(entropy));
        let (cipher_key, nonce) = ticket_cipher(key, &sealed[5..]);
        let cipher_text = gcm_seal(&cipher_key, &nonce, &self.aad(&sealed), &ticket.to_text());
        sealed.extend_from_slice(&cipher_text);
        Some(sealed)
    }

    /// Opens a ticket that is in date and of this service.
    ///
    /// # Errors
    /// [`TicketError`]; the client learns only that it has to make a new exchange.
    pub fn open(&self, sealed: &[u8], now: Timestamp) -> Result<Arc<Ticket>, TicketError> {
        if sealed.len() > TICKET_BYTES_MAX {
            return Err(TicketError::Length);
        }
        let (head, cipher_text) = sealed
            .split_first_chunk::<HEAD_BYTES>()
            .ok_or(TicketError::Length)?;
        let [VERSION, a, b, c, d, salt @ ..] = head else {
            return Err(TicketError::Version);
        };
        let epoch = Epoch(u32::from_be_bytes([*a, *b, *c, *d]));
        let key = self
            .key(epoch)
            .filter(|_| epoch >= Self::oldest(now))
            .ok_or(TicketError::UnknownKey)?;
        let ticket = match self.opened.find(salt, sealed) {
            Some(ticket) => ticket,
            None => {
                let ticket = Arc::new(self.unseal(key, head, salt, cipher_text)?);
                self.opened.remember(salt, sealed, &ticket);
                ticket
            }
        };
        if now >= ticket.expires {
            return Err(TicketError::Expired);
        }
        Ok(ticket)
    }

    fn unseal(
        &self,
        key: &[u8; 32],
        head: &[u8],
        salt: &[u8],
        cipher_text: &[u8],
    ) -> Result<Ticket, TicketError> {
        let (cipher_key, nonce) = ticket_cipher(key, salt);
        let text = gcm_open(&cipher_key, &nonce, &self.aad(head), cipher_text)
            .map_err(|_| TicketError::Forged)?;
        Ticket::from_text(&text).ok_or(TicketError::Forged)
    }

    fn aad(&self, head: &[u8]) -> Vec<u8> {
        [head, self.service_udf.as_str().as_bytes()].concat()
    }
}

/// The same keys of the same service; what was opened under them says nothing about them.
impl PartialEq for TicketKeys {
    fn eq(&self, other: &Self) -> bool {
        self.service_udf == other.service_udf && self.keys == other.keys
    }
}

impl fmt::Debug for TicketKeys {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("TicketKeys")
            .field("service_udf", &self.service_udf)
            .field("epochs", &self.epochs().collect::<Vec<_>>())
            .finish()
    }
}

/// K and N of one ticket.
fn ticket_cipher(key: &[u8; 32], salt: &[u8]) -> (Zeroizing<[u8; 32]>, Zeroizing<[u8; 12]>) {
    let prk = Expander::extract(salt, key);
    (
        prk.expand(b"mmm-kx-1 ticket key"),
        prk.expand(b"mmm-kx-1 ticket nonce"),
    )
}

/// Why a ticket is not good. For the log: the client gets 401/105 for all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TicketError {
    /// Longer or shorter than a ticket can be.
    #[error("the length is not that of a ticket")]
    Length,
    /// Of another version.
    #[error("the version is unknown")]
    Version,
    /// Sealed under a key that is gone or never was ours.
    #[error("sealed under a key that is not known")]
    UnknownKey,
    /// Not sealed by us, or for another service.
    #[error("not sealed by this service")]
    Forged,
    /// Its time is over.
    #[error("expired")]
    Expired,
}

/// What a ticket says.
#[derive(Debug, Clone, PartialEq)]
pub struct Ticket {
    /// SK.
    pub secret: SessionSecret,
    /// Who got it; `via` is the ticket itself.
    pub caller: Caller,
    /// When it was issued.
    pub issued: Timestamp,
    /// From when on it is not good any more.
    pub expires: Timestamp,
}

impl Ticket {
    /// A ticket for `caller` that begins now and lives as long as its mode allows.
    #[must_use]
    pub fn new(secret: SessionSecret, caller: Caller, now: Timestamp) -> Self {
        let life = match caller.mode {
            Mode::Profile => TICKET_PROFILE_LIFE,
            Mode::Device | Mode::Interop => TICKET_DEVICE_LIFE,
            Mode::Service => TICKET_SERVICE_LIFE,
        };
        Self {
            secret,
            caller: Caller {
                via: Via::Ticket,
                ..caller
            },
            issued: now,
            expires: now + life,
        }
    }

    /// Whether more than half of its life is over at `now`: time for a new one.
    #[must_use]
    pub fn is_past_half(&self, now: Timestamp) -> bool {
        now.since(self.issued) * 2 > self.expires.since(self.issued)
    }

    fn to_text(&self) -> Zeroizing<Vec<u8>> {
        let caller = &self.caller;
        // In Service mode, which has no account, the second field holds the domain.
        let account = match caller.mode {
            Mode::Service => caller.domain.as_deref(),
            _ => caller.account.as_ref().map(AccountAddress::as_written),
        };
        let fields: [&[u8]; 8] = [
            self.secret.reveal(),
            &[mode_octet(caller.mode)],
            account.unwrap_or_default().as_bytes(),
            caller
                .profile_udf
                .as_ref()
                .map_or(&[], |udf| udf.as_str().as_bytes()),
            caller.key_udf.as_str().as_bytes(),
            &caller.credential_digest,
            &self.issued.as_millis().to_be_bytes(),
            &self.expires.as_millis().to_be_bytes(),
        ];
        let mut text = Zeroizing::new(Vec::with_capacity(TICKET_BYTES_MAX));
        text.push(VERSION);
        for field in fields {
            let length = u16::try_from(field.len())
                .expect("addresses and fingerprints are far below 64 KiB");
            text.extend_from_slice(&length.to_be_bytes());
            text.extend_from_slice(field);
        }
        text
    }

    fn from_text(text: &[u8]) -> Option<Self> {
        let (&version, rest) = text.split_first()?;
        if version != VERSION {
            return None;
        }
        let mut fields = Fields(rest);
        let secret = Zeroizing::new(fields.fixed::<SECRET_BYTES>()?);
        let mode = mode_of(fields.fixed()?)?;
        let account = fields.text()?;
        let (account, domain) = match (mode, account) {
            (_, "") => (None, None),
            (Mode::Service, domain) => (None, Some(domain.to_owned())),
            (_, account) => (Some(AccountAddress::parse(account).ok()?), None),
        };
        let profile_udf = match fields.text()? {
            "" => None,
            text => Some(Udf::parse(text).ok()?),
        };
        let key_udf = Udf::parse(fields.text()?).ok()?;
        let credential_digest = fields.fixed()?;
        let issued = Timestamp::from_millis(i64::from_be_bytes(fields.fixed()?));
        let expires = Timestamp::from_millis(i64::from_be_bytes(fields.fixed()?));
        fields.0.is_empty().then_some(Self {
            secret: SessionSecret::from_octets(secret),
            caller: Caller {
                mode,
                via: Via::Ticket,
                account,
                profile_udf,
                key_udf,
                credential_digest,
                domain,
            },
            issued,
            expires,
        })
    }
}

/// The fields that are left, each behind its length.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn next(&mut self) -> Option<&'a [u8]> {
        let (length, rest) = self.0.split_first_chunk::<2>()?;
        let (field, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
        self.0 = rest;
        Some(field)
    }

    fn fixed<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.next()?.try_into().ok()
    }

    fn text(&mut self) -> Option<&'a str> {
        std::str::from_utf8(self.next()?).ok()
    }
}

const fn mode_octet(mode: Mode) -> u8 {
    match mode {
        Mode::Device => 1,
        Mode::Profile => 2,
        Mode::Service => 3,
        Mode::Interop => 0,
    }
}

const fn mode_of([octet]: [u8; 1]) -> Option<Mode> {
    match octet {
        1 => Some(Mode::Device),
        2 => Some(Mode::Profile),
        3 => Some(Mode::Service),
        _ => None,
    }
}
