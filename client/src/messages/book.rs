//! The Contact catalog, read for messages: who is known under an address, and by which account they
//! are recognized (service §7.5 and §7.6, decision Q-34).
//!
//! An entry counts only if a device of this account signed it: whoever knows the account's public
//! key can encrypt to it, the service included.

use mesh_common::address::AccountAddress;
use mesh_common::assertion::ProfileAccount;
use mesh_common::catalog::entry::{CATALOG_CONTACT, CatalogEntry, CatalogedContact, Contact};
use mesh_common::crypto::PublicKey;
use mesh_common::dare::Envelope;
use mesh_common::udf::Udf;

use crate::catalogs::{name_of, open_entry};
use crate::client::Client;
use crate::entries::{Secrets, Summary};
use crate::error::ClientError;
use crate::signers::Signers;

/// The member of an entry that says at which address its account was proven.
// Draft: a card and a profile name whatever addresses their owner likes; which of them a message
// really came from has no member in the schema.
pub(crate) const PROVEN_ADDRESS: &str = "ProvenAddress";

/// Somebody in the catalog.
#[derive(Debug, Clone)]
pub(crate) struct Known {
    /// The entry.
    pub(crate) entry: CatalogedContact,
    /// What is said about them.
    pub(crate) contact: Contact,
    /// What a person calls them.
    pub(crate) name: String,
    /// The addresses they are believed to have.
    pub(crate) addresses: Vec<AccountAddress>,
    /// Their account, where it is known.
    pub(crate) account: Option<KnownAccount>,
    frame: Envelope,
}

/// An account somebody is recognized by.
#[derive(Debug, Clone)]
pub(crate) struct KnownAccount {
    /// Its UDF, recomputed from its key.
    pub(crate) udf: Udf,
    /// The profile.
    pub(crate) profile: ProfileAccount,
}

/// Everybody in the catalog but the owner.
#[derive(Debug)]
pub(crate) struct Book {
    known: Vec<Known>,
    /// The owner's own entries, with their frames.
    own: Vec<(CatalogedContact, Envelope)>,
    pub(crate) signers: Signers,
}

impl KnownAccount {
    /// Reads an element of AssertionAccounts; none if it is no profile.
    pub(crate) fn read(value: &serde_json::Value) -> Option<Self> {
        let profile: ProfileAccount = serde_json::from_value(value.clone()).ok()?;
        let key = profile.key_offline_signature.as_ref()?.public_key().ok()?;
        Some(Self {
            udf: key.udf(),
            profile,
        })
    }

    /// The key that data for the account is encrypted to.
    pub(crate) fn encryption_key(&self) -> Option<PublicKey> {
        self.profile.encryption_key().ok()
    }
}

impl Known {
    fn of(entry: CatalogedContact, frame: Envelope) -> Self {
        let contact = entry.contact().ok().flatten().unwrap_or_default();
        let proven = entry
            .extra
            .0
            .get(PROVEN_ADDRESS)
            .and_then(|value| AccountAddress::parse(value.as_str()?).ok());
        let addresses = match proven {
            Some(proven) => vec![proven],
            None => mesh_addresses(&contact),
        };
        let account = contact
            .assertion_accounts
            .first()
            .and_then(KnownAccount::read);
        let name = Summary::of(
            &CatalogEntry::CatalogedContact(entry.clone()),
            Secrets::Hide,
        )
        .title;
        Self {
            entry,
            contact,
            name,
            addresses,
            account,
            frame,
        }
    }

    /// Whether the person refuses everything they send.
    pub(crate) fn is_blocked(&self) -> bool {
        self.entry.permissions.iter().any(|permission| {
            permission.name.as_deref() == Some("*") && permission.role.as_deref() == Some("Reject")
        })
    }
}

impl Book {
    /// Who is recognized by the account `udf`.
    pub(crate) fn by_account(&self, udf: &Udf) -> Option<&Known> {
        self.known.iter().find(|known| {
            let is_theirs = |account: &KnownAccount| account.udf == *udf;
            known.account.as_ref().is_some_and(is_theirs) && self.signers.signed(&known.frame)
        })
    }

    /// Who is believed to have `address`; those whose account is known first.
    pub(crate) fn by_address(&self, address: &AccountAddress) -> Vec<&Known> {
        let mut found: Vec<&Known> = self
            .known
            .iter()
            .filter(|known| known.addresses.contains(address) && self.signers.signed(&known.frame))
            .collect();
        found.sort_by_key(|known| known.account.is_none());
        found
    }

    /// The one account known at `address`; none if there are several.
    pub(crate) fn account_at(&self, address: &AccountAddress) -> Option<&KnownAccount> {
        let mut accounts = self
            .by_address(address)
            .into_iter()
            .filter_map(|known| known.account.as_ref());
        let first = accounts.next()?;
        accounts
            .all(|other| other.udf == first.udf)
            .then_some(first)
    }

    /// What the owner says about themself, signed by one of `keys`: an administration key of the
    /// mesh (schema draft §7.4.6).
    pub(crate) fn own_card(&self, keys: &[PublicKey]) -> Option<Contact> {
        self.own.iter().rev().find_map(|(entry, frame)| {
            keys.iter()
                .any(|key| frame.verify_by(key).is_ok())
                .then(|| entry.contact().ok().flatten())?
        })
    }
}

impl Client {
    /// Reads the Contact catalog. Entries that cannot be opened are nobody.
    pub(crate) fn book(&mut self) -> Result<Book, ClientError> {
        let signers = self.signers()?;
        let name = name_of(CATALOG_CONTACT);
        self.replica(&name)?;
        let device = self.device.as_ref().ok_or(ClientError::NoAccount)?;
        let mut book = Book {
            known: Vec::new(),
            own: Vec::new(),
            signers,
        };
        let Some(replica) = device.replicas.get(&name) else {
            return Ok(book);
        };
        let key = &device.identity.keys.account_encryption;
        for (_, frames) in replica.index().entries() {
            let Some(frame) = replica.frame(frames.last) else {
                continue;
            };
            let Ok(CatalogEntry::CatalogedContact(entry)) = open_entry(frame, key) else {
                continue;
            };
            if entry.is_self == Some(true) {
                book.own.push((entry, frame.clone()));
            } else {
                book.known.push(Known::of(entry, frame.clone()));
            }
        }
        Ok(book)
    }
}

/// The Mesh addresses a contact names.
pub(crate) fn mesh_addresses(contact: &Contact) -> Vec<AccountAddress> {
    contact
        .addresses
        .iter()
        .filter_map(|address| {
            AccountAddress::parse(address.uri.as_deref()?.strip_prefix("mmm:")?).ok()
        })
        .collect()
}
