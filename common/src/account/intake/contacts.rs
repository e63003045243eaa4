//! What an account's Contact catalog says about senders, as far as the service can read it
//! (service §7.6, X-54, X-55; decisions ).
//!
//! The index follows the catalog frame by frame: headers tell which frame speaks for which entry,
//! and only live frames are opened. Where a frame cannot be opened, all that is known is that the
//! user may have said something there.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::MessageSender;
use crate::account::frame::FrameRecord;
use crate::address::AccountAddress;
use crate::assertion::ProfileAccount;
use crate::assertion::permission::group_of;
use crate::catalog::entry::{CatalogEntry, CatalogedContact, Contact, Permission};
use crate::crypto::{KeyData, SecretKey};
use crate::dare::{Digest64, Envelope};
use crate::limits::CONTACTS_INDEXED_MAX;
use crate::udf::Udf;

/// What the user's contacts say of a sender and a message type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standpoint {
    /// The sender is no contact.
    Unknown,
    /// A contact, of whom nothing is said about this type.
    Silent,
    /// The type is taken from this contact.
    Accept,
    /// The type is not taken from this contact.
    Reject,
}

/// The contacts of one account.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ContactIndex {
    /// Live entries, by UniqueID.
    live: BTreeMap<String, Live>,
    by_profile: BTreeMap<Udf, BTreeSet<String>>,
    /// By every address, whether the entry is found by it or by its profiles alone.
    by_address: BTreeMap<String, BTreeSet<String>>,
    /// Frames that were followed.
    frames: u64,
    /// Tree digest of the last of them.
    apex: Option<Digest64>,
    unreadable: usize,
    bytes: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Live {
    frame: u64,
    entry: Entry,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Entry {
    /// Its frame has not been opened.
    Closed,
    /// Its frame cannot be opened, or does not read.
    Unreadable,
    /// What it says.
    Readable(Rules),
}

/// What the frame of a contact says, or that it cannot be read.
#[derive(Debug, Clone)]
pub struct Opened(Entry);

impl Opened {
    /// Opens a frame with the service's keys. Curve arithmetic: not for a partition's thread.
    #[must_use]
    pub fn read(envelope: &Envelope, keys: &[&SecretKey]) -> Self {
        Self(Rules::read(envelope, keys).map_or(Entry::Unreadable, Entry::Readable))
    }

    /// A frame that cannot be read: its payload is gone, say.
    #[must_use]
    pub const fn unreadable() -> Self {
        Self(Entry::Unreadable)
    }
}

/// What one contact may send.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Rules {
    /// UDFs of its accounts' profiles, with the meshes they say are behind them.
    profiles: BTreeMap<Udf, Option<String>>,
    /// Its addresses, canonical.
    addresses: BTreeSet<String>,
    /// Names with whether they are accepted.
    permissions: Vec<(String, bool)>,
}

/// Octets counted for an entry beside its texts.
const ENTRY_BYTES: usize = 256;

impl ContactIndex {
    /// Index of the first frame that was not followed.
    #[must_use]
    pub const fn next_frame(&self) -> u64 {
        self.frames
    }

    /// Whether the index follows the catalog up to this frame and no further.
    #[must_use]
    pub fn is_at(&self, frames: u64, apex: Option<Digest64>) -> bool {
        self.frames == frames && self.apex == apex
    }

    /// Tree digest of the last frame that was followed.
    #[must_use]
    pub const fn apex(&self) -> Option<Digest64> {
        self.apex
    }

    /// Octets it takes, roughly.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether a live contact cannot be read (decision Q-53).
    #[must_use]
    pub const fn has_unreadable(&self) -> bool {
        self.unreadable > 0
    }

    /// Follows the next frame by what its header says.
    pub fn follow(&mut self, index: u64, record: &FrameRecord) {
        self.frames = index + 1;
        self.apex = Some(record.tree_digest);
        let is_meta = record.info.is_meta == Some(true);
        let (Some(unique_id), false) = (&record.unique_id, index == 0 || is_meta) else {
            return;
        };
        match record.event.as_deref() {
            Some("New" | "Update") => {
                let is_full = self.live.len() >= CONTACTS_INDEXED_MAX;
                // Beyond the bound nothing is opened: it may say anything.
                let entry = if is_full && !self.live.contains_key(unique_id) {
                    Entry::Unreadable
                } else {
                    Entry::Closed
                };
                self.put(
                    unique_id,
                    Some(Live {
                        frame: index,
                        entry,
                    }),
                );
            }
            Some("Delete") => self.put(unique_id, None),
            _ => {}
        }
    }

    /// The frames that must be opened before the index can be asked, with the entries they speak for.
    pub fn closed(&self) -> impl Iterator<Item = (&str, u64)> {
        self.live
            .iter()
            .filter(|(_, live)| matches!(live.entry, Entry::Closed))
            .map(|(unique_id, live)| (unique_id.as_str(), live.frame))
    }

    /// Takes what the frame says that speaks for `unique_id`.
    pub fn open(&mut self, unique_id: &str, opened: Opened) {
        if let Some(live) = self.live.get(unique_id) {
            let live = Live {
                frame: live.frame,
                entry: opened.0,
            };
            self.put(unique_id, Some(live));
        }
    }

    /// What the user's contacts say of a message of this type from `sender`.
    ///
    /// Entries with the sender's profile speak alone; only without any do those speak that name the
    /// address and no profile. The most specific permission wins, then Reject (decision Q-34).
    #[must_use]
    pub fn standpoint(&self, sender: &MessageSender, message_type: &str) -> Standpoint {
        let by_profile = self.rules(self.by_profile.get(&sender.account_udf));
        let mut entries: Vec<&Rules> = by_profile.filter(|rules| rules.is_of(sender)).collect();
        if entries.is_empty() {
            let by_address = self.by_address.get(sender.address.canonical());
            let speaks = |rules: &&Rules| rules.profiles.is_empty();
            entries.extend(self.rules(by_address).filter(speaks));
        }
        ruling(&entries, message_type)
    }

    /// What the user's contacts say of a message of this type *to* `recipient`. Whose profile is
    /// behind that address nobody has proven yet, so every entry speaks that names it.
    #[must_use]
    pub fn standpoint_to(&self, recipient: &AccountAddress, message_type: &str) -> Standpoint {
        let by_address = self.by_address.get(recipient.canonical());
        let entries: Vec<&Rules> = self.rules(by_address).collect();
        ruling(&entries, message_type)
    }

    /// What the entries of these ids say.
    fn rules<'a>(
        &'a self,
        unique_ids: Option<&'a BTreeSet<String>>,
    ) -> impl Iterator<Item = &'a Rules> {
        let unique_ids = unique_ids.into_iter().flatten();
        unique_ids.filter_map(|unique_id| match &self.live.get(unique_id)?.entry {
            Entry::Readable(rules) => Some(rules),
            Entry::Closed | Entry::Unreadable => None,
        })
    }

    fn put(&mut self, unique_id: &str, live: Option<Live>) {
        if let Some(before) = self.live.remove(unique_id) {
            self.unlink(unique_id, &before.entry);
        }
        if let Some(live) = live {
            self.link(unique_id, &live.entry);
            self.live.insert(unique_id.to_owned(), live);
        }
    }

    fn link(&mut self, unique_id: &str, entry: &Entry) {
        self.bytes += ENTRY_BYTES + unique_id.len() + entry.bytes();
        match entry {
            Entry::Unreadable => self.unreadable += 1,
            Entry::Closed => {}
            Entry::Readable(rules) => {
                for udf in rules.profiles.keys() {
                    let entries = self.by_profile.entry(udf.clone()).or_default();
                    entries.insert(unique_id.to_owned());
                }
                for address in &rules.addresses {
                    let entries = self.by_address.entry(address.clone()).or_default();
                    entries.insert(unique_id.to_owned());
                }
            }
        }
    }

    fn unlink(&mut self, unique_id: &str, entry: &Entry) {
        self.bytes -= ENTRY_BYTES + unique_id.len() + entry.bytes();
        match entry {
            Entry::Unreadable => self.unreadable -= 1,
            Entry::Closed => {}
            Entry::Readable(rules) => {
                for udf in rules.profiles.keys() {
                    remove_from(&mut self.by_profile, udf, unique_id);
                }
                for address in &rules.addresses {
                    remove_from(&mut self.by_address, address, unique_id);
                }
            }
        }
    }
}

/// What these entries say together of messages of a type: the most specific permission wins, then
/// Reject (decision Q-34).
fn ruling(entries: &[&Rules], message_type: &str) -> Standpoint {
    if entries.is_empty() {
        return Standpoint::Unknown;
    }
    let best = entries
        .iter()
        .flat_map(|rules| &rules.permissions)
        .filter_map(|(name, accepts)| Some((specificity(name, message_type)?, !accepts)))
        .max();
    match best {
        None => Standpoint::Silent,
        Some((_, true)) => Standpoint::Reject,
        Some((_, false)) => Standpoint::Accept,
    }
}

fn remove_from<K: Ord + Clone>(map: &mut BTreeMap<K, BTreeSet<String>>, key: &K, unique_id: &str) {
    if let Some(entries) = map.get_mut(key) {
        entries.remove(unique_id);
        if entries.is_empty() {
            map.remove(key);
        }
    }
}

impl Entry {
    fn bytes(&self) -> usize {
        match self {
            Self::Closed | Self::Unreadable => 0,
            Self::Readable(rules) => {
                let names = rules.profiles.keys().map(|udf| udf.as_str().len());
                let addresses = rules.addresses.iter().map(String::len);
                let permissions = rules.permissions.iter().map(|(name, _)| name.len());
                // Each name stands in the entry and in a table of its own.
                2 * names
                    .chain(addresses)
                    .map(|bytes| bytes + 64)
                    .sum::<usize>()
                    + permissions.map(|bytes| bytes + 32).sum::<usize>()
            }
        }
    }
}

impl Rules {
    /// What the entry in `envelope` says; `None` if it cannot be read.
    fn read(envelope: &Envelope, keys: &[&SecretKey]) -> Option<Self> {
        let plaintext = envelope.decrypt(keys).ok()?;
        match CatalogEntry::from_json(&plaintext).ok()? {
            CatalogEntry::CatalogedContact(entry)
            | CatalogEntry::CatalogedContactRecryption(entry) => Self::of(&entry),
            _ => None,
        }
    }

    fn of(entry: &CatalogedContact) -> Option<Self> {
        // Such an entry is about the owner and names no sender (schema draft §7.4.6).
        if entry.is_self == Some(true) {
            return Some(Self::default());
        }
        let mut rules = Self {
            permissions: entry.permissions.iter().filter_map(permission).collect(),
            ..Self::default()
        };
        if let Some(contact) = entry.contact().ok()? {
            rules.add_names(&contact);
        }
        Some(rules)
    }

    /// Whether a contact found by the UDF of the sender's account is about that sender.
    ///
    /// A profile signed by its mesh alone (decision Q-13) may name anybody's key, and with it have
    /// anybody's UDF: only together with the mesh does it name an account. A contact whose mesh is not
    /// known is about nobody whom a mesh vouches for.
    fn is_of(&self, sender: &MessageSender) -> bool {
        let mesh = self
            .profiles
            .get(&sender.account_udf)
            .and_then(Option::as_deref);
        match (mesh, &sender.mesh_udf) {
            (known, Some(found)) => known == Some(found.as_str()),
            (_, None) => true,
        }
    }

    fn add_names(&mut self, contact: &Contact) {
        for assertion in &contact.assertion_accounts {
            // One that does not read names nobody; the others still do.
            let Ok(profile) = serde_json::from_value::<ProfileAccount>(assertion.clone()) else {
                continue;
            };
            let key = profile.key_offline_signature.as_ref();
            if let Some(Ok(key)) = key.map(KeyData::public_key) {
                self.profiles
                    .insert(key.udf(), profile.mesh_profile_udf.clone());
            }
            for address in &profile.service_ids {
                self.add_address(address);
            }
        }
        let accounts = contact
            .extra
            .0
            .get("MeshAccounts")
            .and_then(Value::as_array);
        for address in accounts.into_iter().flatten().filter_map(Value::as_str) {
            self.add_address(address);
        }
        for uri in contact
            .addresses
            .iter()
            .filter_map(|one| one.uri.as_deref())
        {
            let (scheme, address) = uri.split_once(':').unwrap_or_default();
            if scheme.eq_ignore_ascii_case("mmm") || scheme.eq_ignore_ascii_case("mailto") {
                self.add_address(address);
            }
        }
    }

    fn add_address(&mut self, text: &str) {
        if let Ok(address) = AccountAddress::parse(text) {
            self.addresses.insert(address.canonical().to_owned());
        }
    }
}

/// Name and whether it is accepted; `None` for a permission that is neither.
fn permission(permission: &Permission) -> Option<(String, bool)> {
    let accepts = match permission.role.as_deref() {
        None | Some("Accept") => true,
        Some("Reject") => false,
        Some(_) => return None,
    };
    Some((permission.name.clone()?, accepts))
}

/// How closely a permission's name describes a message type; `None` if it does not.
fn specificity(name: &str, message_type: &str) -> Option<u8> {
    if name == message_type {
        Some(2)
    } else if Some(name) == group_of(message_type) {
        Some(1)
    } else {
        (name == "*").then_some(0)
    }
}
