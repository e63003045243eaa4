//! Contacts: people and organizations, and what they may send. Schema draft §5.3, §7.3.2 to
//! §7.3.5 and §7.4.6; how a service reads them for access control is service §7.6.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::enclosed::{disclose, enclose};
use super::{EntryError, Members, Original};
use crate::dare::Envelope;
use crate::time::Timestamp;

/// The entry of a contact. Its unique id is [`key`](Self::key).
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct CatalogedContact {
    /// Whether the entry is for the owner of the catalog. Such an entry is valid only when signed
    /// by an administration key of the owner's Mesh.
    #[serde(rename = "Self", skip_serializing_if = "Option::is_none")]
    pub is_self: Option<bool>,
    /// A random nonce UDF, drawn when the entry is made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// What the contact may do; service §7.5 reads them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub permissions: Vec<Permission>,
    /// The [`Contact`] in an envelope, signed by the person it is about where it came from them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enveloped_contact: Option<Envelope>,
    /// The data the entry was imported from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub original: Option<Original>,
    /// Members no schema names.
    #[serde(flatten)]
    pub extra: Members,
}

/// A contact whose data is encrypted for recryption; it has no members of its own.
pub type CatalogedContactRecryption = CatalogedContact;

impl CatalogedContact {
    /// Puts the contact into an unsigned envelope in the entry.
    pub fn enclose(&mut self, contact: &Contact) {
        self.enveloped_contact = Some(enclose("Contact", contact));
    }

    /// The contact in the entry, whether or not it is signed; `None` when there is none.
    ///
    /// # Errors
    /// [`EntryError::Encrypted`] and [`EntryError::Enclosed`]: its envelope cannot be read.
    pub fn contact(&self) -> Result<Option<Contact>, EntryError> {
        self.enveloped_contact
            .as_ref()
            .map(|envelope| disclose("Contact", envelope))
            .transpose()
    }
}

/// Who a person or an organization is and where to reach them. Inherits the members of Assertion.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Contact {
    /// Fingerprints of index terms (Assertion).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<String>,
    /// When the contact was last changed (Assertion).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub updated: Option<Timestamp>,
    /// Proof that a signature was made after the token (Assertion).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub notary_token: Option<String>,
    /// What identifies the contact where it comes from, such as the UID of a vCard.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identifier: Option<String>,
    /// The whole name as the person writes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub full_name: Option<String>,
    /// What stands before the name, such as `Dr.`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// The given name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first: Option<String>,
    /// Further given names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub middle: Option<String>,
    /// The family name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last: Option<String>,
    /// What stands after the name, such as `Jr.`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suffix: Option<String>,
    /// Categories the contact is filed under.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
    /// The profiles of the contact's Mesh accounts, untagged (decision Q-34).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub assertion_accounts: Vec<Value>,
    /// Mail addresses, telephone numbers, pages, as URIs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<Address>,
    /// Places.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub locations: Vec<Location>,
    /// Companies the person belongs to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<Role>,
    /// Members no schema names.
    #[serde(flatten)]
    pub extra: Members,
}

/// A person's part in a company.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Role {
    /// The name of the company.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub company_name: Option<String>,
    /// How to reach the person there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<Address>,
    /// Where the person is found there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub locations: Vec<Location>,
    /// Members no schema names.
    #[serde(flatten)]
    pub extra: Members,
}

/// One way to reach somebody.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Address {
    /// The address as a URI: `mailto:`, `tel:`, `https:`, `mmm:`.
    #[serde(rename = "URI", skip_serializing_if = "Option::is_none")]
    pub uri: Option<String>,
    /// What it is for, such as `work`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
    /// Members no schema names.
    #[serde(flatten)]
    pub extra: Members,
}

/// A postal address.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Location {
    /// The flat, floor or box; the draft spells the member so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub appartment: Option<String>,
    /// Street and number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub street: Option<String>,
    /// The part of the town.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub district: Option<String>,
    /// The town.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub locality: Option<String>,
    /// The county, state or region.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub county: Option<String>,
    /// The postal code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub postcode: Option<String>,
    /// The country.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub country: Option<String>,
    /// Members no schema names.
    #[serde(flatten)]
    pub extra: Members,
}

/// Something a contact may or may not do (schema draft §7.2.13, service §7.5).
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Permission {
    /// What it is about: a message tag, a group of them, or `*`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The answer, such as `Accept` or `Reject`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// Keys or shares of keys that the operation needs, in an envelope.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capabilities: Option<Envelope>,
    /// Members no schema names.
    #[serde(flatten)]
    pub extra: Members,
}
