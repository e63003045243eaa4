//! What a Mesh contact says of a card. RFC 6350 §6, schema draft §7.3.2.

use std::collections::HashMap;

use calcard::common::PartialDateTime;
use calcard::vcard::{
    VCard, VCardEntry, VCardParameterName, VCardProperty, VCardValue, VCardVersion,
};
use mesh_common::catalog::entry::{Address, Contact, Location, Role};
use mesh_common::time::Timestamp;

use super::identity::percent_encode;
use super::moment::timestamp_of;

/// Why most properties stay in the original only.
const NO_MEMBER: &str = "a Mesh contact has no member for it";

/// A card, read.
pub(super) struct Reading {
    /// What a Mesh contact can say.
    pub(super) contact: Contact,
    /// The version of the card; a card that does not say is taken for a 3.0.
    pub(super) version: VCardVersion,
    /// What it cannot say, and why.
    pub(super) notes: Vec<(String, &'static str)>,
}

/// Reads the properties a Mesh contact has members for, and notes the others.
pub(super) fn read_contact(card: &VCard) -> Reading {
    let mut reading = Reading {
        contact: Contact::default(),
        version: card.version().unwrap_or(VCardVersion::V3_0),
        notes: Vec::new(),
    };
    let labels = group_labels(card);
    for property in &card.entries {
        reading.property(property, &labels);
    }
    reading.complete_name();
    reading
}

/// The labels that programs of Apple give to groups: `item1.X-ABLabel:_$!<Other>!$_`.
fn group_labels(card: &VCard) -> HashMap<&str, String> {
    let labels = card
        .entries
        .iter()
        .filter(|property| is_group_label(property));
    labels
        .filter_map(|property| {
            let text = text_of(property);
            let label = text.trim_start_matches("_$!<").trim_end_matches(">!$_");
            Some((property.group.as_deref()?, label.to_owned()))
        })
        .collect()
}

fn is_group_label(property: &VCardEntry) -> bool {
    property.group.is_some() && property.name.as_str().eq_ignore_ascii_case("X-ABLabel")
}

impl Reading {
    fn property(&mut self, property: &VCardEntry, labels: &HashMap<&str, String>) {
        let text = text_of(property);
        let represented = match &property.name {
            // What every card says of itself.
            VCardProperty::Version | VCardProperty::Prodid => true,
            VCardProperty::Fn => put(&mut self.contact.full_name, text),
            VCardProperty::N => self.name(property),
            VCardProperty::Uid => put(&mut self.contact.identifier, text),
            VCardProperty::Rev => put_moment(&mut self.contact.updated, property),
            VCardProperty::Categories => {
                let categories = property.values.iter().filter_map(VCardValue::as_text);
                self.contact.labels.extend(categories.map(str::to_owned));
                true
            }
            VCardProperty::Email => self.address(property, labels, mailto(&text)),
            VCardProperty::Tel => self.address(property, labels, tel(&text)),
            VCardProperty::Url | VCardProperty::Impp | VCardProperty::Socialprofile => {
                self.address(property, labels, text.contains(':').then_some(text))
            }
            VCardProperty::Adr => self.location(property, labels),
            VCardProperty::Org => self.organization(property),
            _ => {
                text.trim().is_empty() && property.values.iter().all(is_empty_text) || {
                    labels.contains_key(property.group.as_deref().unwrap_or_default())
                        && is_group_label(property)
                }
            }
        };
        if represented {
            self.parameters(property);
        } else {
            self.notes
                .push((property.name.as_str().to_ascii_uppercase(), NO_MEMBER));
        }
    }

    /// Notes parameters that say more than a label: alternative forms, languages.
    fn parameters(&mut self, property: &VCardEntry) {
        let labelled = matches!(
            property.name,
            VCardProperty::Email
                | VCardProperty::Tel
                | VCardProperty::Url
                | VCardProperty::Impp
                | VCardProperty::Socialprofile
        );
        for parameter in &property.params {
            let said = match &parameter.name {
                VCardParameterName::Value => true,
                VCardParameterName::Type | VCardParameterName::Pref => {
                    labelled || property.name == VCardProperty::Adr
                }
                name => matches!(
                    name.as_str().to_ascii_uppercase().as_str(),
                    "CHARSET" | "ENCODING"
                ),
            };
            if !said {
                let what = format!("{};{}", property.name.as_str(), parameter.name.as_str());
                self.notes.push((what, NO_MEMBER));
            }
        }
    }

    /// N: family, given, additional, prefixes, suffixes; RFC 9554 adds two more.
    fn name(&mut self, property: &VCardEntry) -> bool {
        let contact = &mut self.contact;
        let parts = [
            &mut contact.last,
            &mut contact.first,
            &mut contact.middle,
            &mut contact.title,
            &mut contact.suffix,
        ];
        if parts.iter().any(|part| part.is_some()) {
            return false;
        }
        let count = parts.len();
        for (part, value) in parts.into_iter().zip(&property.values) {
            *part = Some(component_text(value)).filter(|text| !text.is_empty());
        }
        property.values.iter().skip(count).all(is_empty_text)
    }

    fn address(
        &mut self,
        property: &VCardEntry,
        groups: &HashMap<&str, String>,
        uri: Option<String>,
    ) -> bool {
        let Some(uri) = uri else { return false };
        self.contact.addresses.push(Address {
            uri: Some(uri),
            labels: labels_of(property, groups),
            ..Address::default()
        });
        true
    }

    /// ADR: box, extended, street, locality, region, code, country; RFC 9554 adds more.
    fn location(&mut self, property: &VCardEntry, groups: &HashMap<&str, String>) -> bool {
        let part = |index: usize| {
            let text = property
                .values
                .get(index)
                .map(component_text)
                .unwrap_or_default();
            Some(text).filter(|text| !text.is_empty())
        };
        let location = Location {
            appartment: match (part(0), part(1)) {
                (Some(post_box), Some(extended)) => Some(format!("{post_box}, {extended}")),
                (post_box, extended) => post_box.or(extended),
            },
            street: part(2),
            locality: part(3),
            county: part(4),
            postcode: part(5),
            country: part(6),
            ..Location::default()
        };
        if location == Location::default() {
            return false;
        }
        self.contact.locations.push(location);
        if !labels_of(property, groups).is_empty() {
            self.notes
                .push(("ADR;TYPE".to_owned(), "a Mesh location has no labels"));
        }
        property.values.iter().skip(7).all(is_empty_text)
    }

    /// ORG: the company, then its units.
    fn organization(&mut self, property: &VCardEntry) -> bool {
        let company = property
            .values
            .first()
            .map(component_text)
            .unwrap_or_default();
        if company.is_empty() {
            return false;
        }
        let role = Role {
            company_name: Some(company),
            ..Role::default()
        };
        self.contact.roles.push(role);
        property.values.iter().skip(1).all(is_empty_text)
    }

    /// A card without FN is shown under the parts of its name, or under its company.
    fn complete_name(&mut self) {
        let contact = &mut self.contact;
        if contact.full_name.is_none() {
            let parts = [
                &contact.title,
                &contact.first,
                &contact.middle,
                &contact.last,
            ];
            let words: Vec<&str> = parts.into_iter().flatten().map(String::as_str).collect();
            let company = contact
                .roles
                .first()
                .and_then(|role| role.company_name.clone());
            contact.full_name = match words.as_slice() {
                [] => company,
                words => Some(words.join(" ")),
            };
        }
    }
}

/// Fills an empty member; a second value of the same property finds it full.
fn put(member: &mut Option<String>, text: String) -> bool {
    let free = member.is_none() && !text.is_empty();
    if free {
        *member = Some(text);
    }
    free
}

fn put_moment(member: &mut Option<Timestamp>, property: &VCardEntry) -> bool {
    let value = property
        .values
        .first()
        .and_then(VCardValue::as_partial_date_time);
    let complete = |moment: &&PartialDateTime| moment.has_date_and_time() && moment.has_zone();
    let moment = value
        .filter(complete)
        .and_then(PartialDateTime::to_timestamp);
    *member = moment.and_then(timestamp_of).or(*member);
    moment.is_some()
}

/// All text of a property; empty for pictures, sounds and dates.
fn text_of(property: &VCardEntry) -> String {
    let texts: Vec<&str> = property
        .values
        .iter()
        .filter_map(VCardValue::as_text)
        .collect();
    texts.join(",")
}

/// One part of a structured value, its list joined by spaces.
fn component_text(value: &VCardValue) -> String {
    match value {
        VCardValue::Component(list) => list.join(" ").trim().to_owned(),
        other => other.as_text().unwrap_or_default().trim().to_owned(),
    }
}

fn is_empty_text(value: &VCardValue) -> bool {
    match value {
        VCardValue::Component(list) => list.iter().all(String::is_empty),
        VCardValue::Text(text) => text.trim().is_empty(),
        _ => false,
    }
}

/// What an address is for: its types in lower case, its preference, its group's label.
fn labels_of(property: &VCardEntry, groups: &HashMap<&str, String>) -> Vec<String> {
    let mut labels: Vec<String> = Vec::new();
    for parameter in &property.params {
        match parameter.name {
            VCardParameterName::Type => {
                let text = parameter.value.clone().into_text();
                let types = text.split(',').map(|one| one.trim().to_ascii_lowercase());
                labels.extend(types.filter(|one| !one.is_empty() && one != "internet"));
            }
            VCardParameterName::Pref => labels.push("pref".to_owned()),
            _ => {}
        }
    }
    labels.extend(
        property
            .group
            .as_deref()
            .and_then(|group| groups.get(group))
            .cloned(),
    );
    let mut seen = std::collections::HashSet::new();
    labels.retain(|label| seen.insert(label.clone()));
    labels
}

/// `mailto:user@domain`, the form access control looks for (service §7.6).
fn mailto(text: &str) -> Option<String> {
    let address = text.trim();
    let address = match address.get(..7) {
        Some(scheme) if scheme.eq_ignore_ascii_case("mailto:") => &address[7..],
        _ => address,
    };
    let encoded = percent_encode(address, |letter| {
        letter == ' ' || "%?#<>\"".contains(letter)
    });
    (!address.is_empty()).then(|| format!("mailto:{encoded}"))
}

/// `tel:+1-555-0100`, with spaces as the hyphens RFC 3966 allows.
fn tel(text: &str) -> Option<String> {
    let number = text.trim();
    if number
        .get(..4)
        .is_some_and(|scheme| scheme.eq_ignore_ascii_case("tel:"))
    {
        return Some(number.to_owned());
    }
    let hyphened = number.replace([' ', '\u{A0}'], "-");
    let encoded = percent_encode(&hyphened, |letter| "%?#<>\"".contains(letter));
    (!number.is_empty()).then(|| format!("tel:{encoded}"))
}
