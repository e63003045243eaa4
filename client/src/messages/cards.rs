//! Contact data that goes from account to account: what a person says about themself, signed by
//! their device with the chain to their account, and how it becomes an entry of the Contact catalog
//! (schema draft §5.3 and §6.3, decision Q-34).

use mesh_common::address::AccountAddress;
use mesh_common::catalog::entry::{Address, CatalogEntry, CatalogedContact, Contact, Permission};
use mesh_common::dare::{Envelope, Header};
use mesh_common::encoding::json;
use mesh_common::message::Accreditation;
use mesh_common::udf::{self, Udf};
use serde::Serialize;
use serde_json::{Value, json};

use super::book::{Book, Known, KnownAccount, PROVEN_ADDRESS, mesh_addresses};
use super::failure::MessageFailure;
use crate::client::Client;
use crate::error::ClientError;

/// What the UniqueID of a contact is made of.
const CONTACT_ID_TYPE: &str = "application/mmm/contact";

/// Contact data that its owner signed.
#[derive(Debug)]
pub(crate) struct Card {
    envelope: Envelope,
    contact: Contact,
    account: Udf,
}

/// Somebody who is in the catalog now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Acquaintance {
    /// The address their message came from.
    pub address: String,
    /// What a person calls them.
    pub name: String,
    /// UniqueID of the entry.
    pub id: String,
    /// UDF of their account.
    pub account: Udf,
}

impl Card {
    /// Checks the contact data in `envelope`: signed by a device of the account that `sender` leads
    /// to, about that account and no other.
    ///
    /// # Errors
    /// Why it is not.
    pub(crate) fn check(envelope: &Envelope, sender: &Accreditation) -> Result<Self, String> {
        let signed =
            Accreditation::verify(envelope).map_err(|error| crate::verify::chain(&error))?;
        let account = sender.profile.udf().clone();
        if *signed.profile != *sender.profile || signed.profile.udf() != &account {
            return Err("another account signed it than the message".into());
        }
        let contact = CatalogedContact {
            enveloped_contact: Some(envelope.clone()),
            ..CatalogedContact::default()
        }
        .contact()
        .map_err(|error| crate::verify::chain(&error))?
        .unwrap_or_default();
        let is_about_sender = |value: &Value| {
            KnownAccount::read(value).is_some_and(|known| known.profile == *signed.profile)
        };
        if contact.assertion_accounts.is_empty() {
            return Err("it names no account".into());
        }
        if !contact.assertion_accounts.iter().all(is_about_sender) {
            return Err("it names another account than its sender's".into());
        }
        Ok(Self {
            envelope: envelope.clone(),
            contact,
            account,
        })
    }
}

impl Client {
    /// What this account says about itself: the entry that is marked so, or the address alone; with
    /// the account's profile, signed by this device.
    pub(crate) fn own_card(&mut self, book: &Book) -> Result<Envelope, ClientError> {
        let address = self.own_address()?;
        let now = self.clock.now();
        let device = self.device.as_ref().ok_or(ClientError::NoAccount)?;
        let mut contact = book
            .own_card(device.identity.mesh.keys())
            .unwrap_or_default();
        contact.assertion_accounts =
            vec![serde_json::to_value(&*device.identity.account).unwrap_or(Value::Null)];
        contact.updated = Some(now);
        name_address(&mut contact, &address);
        let content = json::write(&json!({"Contact": contact}));
        let mut envelope = Envelope::signed(content, Header::default(), &[]);
        self.sign_accredited(&mut envelope)?;
        Ok(envelope)
    }

    /// Puts checked contact data into the catalog: into the entry of that account, into one that has
    /// its address and no account yet, or into a new one. What the person wrote themself stays.
    ///
    /// # Errors
    /// [`MessageFailure::OtherAccount`] if another account is known at `from`.
    pub(crate) fn take_card(
        &mut self,
        book: &Book,
        card: Card,
        from: &AccountAddress,
        allow: &[String],
    ) -> Result<Acquaintance, ClientError> {
        let own = self.device()?.identity.account.udf().clone();
        let known = match book.by_account(&card.account) {
            Some(known) => Some(known),
            None => entry_to_fill(book, from)?,
        };
        let mut entry = match known {
            Some(known) => filled(known, &card, from),
            None => CatalogedContact {
                key: Some(contact_id(&own, &card.account)),
                enveloped_contact: Some(card.envelope.clone()),
                ..CatalogedContact::default()
            },
        };
        let proven = Value::String(from.canonical().to_owned());
        entry.extra.0.insert(PROVEN_ADDRESS.to_owned(), proven);
        permit(&mut entry.permissions, allow);
        let place = self.put(&CatalogEntry::CatalogedContact(entry))?;
        Ok(Acquaintance {
            address: from.as_written().to_owned(),
            name: place.title,
            id: place.id,
            account: card.account,
        })
    }
}

/// The entry that has the address and no account yet.
fn entry_to_fill<'a>(
    book: &'a Book,
    from: &AccountAddress,
) -> Result<Option<&'a Known>, ClientError> {
    let Some(known) = book.by_address(from).into_iter().next() else {
        return Ok(None);
    };
    match &known.account {
        None => Ok(Some(known)),
        Some(other) => Err(MessageFailure::OtherAccount {
            address: from.clone(),
            known: other.udf.to_string(),
        }
        .into()),
    }
}

/// The entry with the contact data in it.
fn filled(known: &Known, card: &Card, from: &AccountAddress) -> CatalogedContact {
    let mut entry = known.entry.clone();
    let is_theirs = known
        .entry
        .enveloped_contact
        .as_ref()
        .is_some_and(Envelope::is_signed);
    if is_theirs || says_nothing(&known.contact) {
        entry.enveloped_contact = Some(card.envelope.clone());
    } else {
        let mut contact = known.contact.clone();
        contact.assertion_accounts = card.contact.assertion_accounts.clone();
        name_address(&mut contact, from);
        entry.enclose(&contact);
    }
    entry
}

/// Whether an entry holds nothing but Mesh addresses: it was made to ask or to block somebody.
fn says_nothing(contact: &Contact) -> bool {
    let only_addresses = Contact {
        addresses: contact.addresses.clone(),
        ..Contact::default()
    };
    *contact == only_addresses && mesh_addresses(contact).len() == contact.addresses.len()
}

/// Adds a Mesh address, unless it is there.
pub(crate) fn name_address(contact: &mut Contact, address: &AccountAddress) {
    if !mesh_addresses(contact).contains(address) {
        contact.addresses.push(Address {
            uri: Some(format!("mmm:{}", address.canonical())),
            ..Address::default()
        });
    }
}

/// Adds what somebody may send, and lifts what refused it.
pub(crate) fn permit(permissions: &mut Vec<Permission>, allow: &[String]) {
    for name in allow {
        permissions.retain(|permission| permission.name.as_deref() != Some(name));
        permissions.push(Permission {
            name: Some(name.clone()),
            role: Some("Accept".to_owned()),
            ..Permission::default()
        });
    }
}

/// The UniqueID of the entry for an account. All devices of an account make the same one, so that two
/// that take in the same answer make one entry; who does not know both accounts learns nothing.
// Draft: schema §7.4.6 has a random nonce, which every device would draw for itself.
pub(crate) fn contact_id(own: &Udf, account: &Udf) -> String {
    let both = format!("{own}:{account}");
    udf::content_digest(CONTACT_ID_TYPE, both.as_bytes(), udf::BITS_DEFAULT).to_string()
}
