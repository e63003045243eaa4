//! What is shown of an entry: a title to recognize it by, a few details, and its whole JSON with
//! enclosed structures opened. Secrets are left out unless they are asked for.

use mesh_common::assertion::ProfileAccount;
use mesh_common::catalog::entry::{
    CatalogEntry, CatalogedApplicationMail, CatalogedContact, CatalogedTask, Contact, MailServer,
    SecretText, Task,
};
use serde_json::{Map, Value};

use super::EntryKind;

/// What stands in the place of a secret that was not asked for.
pub const HIDDEN: &str = "(hidden)";

/// Whether secrets are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Secrets {
    /// They are replaced by [`HIDDEN`].
    Hide,
    /// They are printed.
    Show,
}

/// An entry in a few words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// What a person calls the entry.
    pub title: String,
    /// What more there is, label and text, in an order for reading.
    pub details: Vec<(&'static str, String)>,
}

impl Summary {
    /// Sums up `entry`.
    #[must_use]
    pub fn of(entry: &CatalogEntry, secrets: Secrets) -> Self {
        let mut details = Details {
            rows: Vec::new(),
            secrets,
        };
        let title = match entry {
            CatalogEntry::CatalogedContact(contact)
            | CatalogEntry::CatalogedContactRecryption(contact) => details.contact(contact),
            CatalogEntry::CatalogedCredential(credential) => {
                details.text("protocol", credential.protocol.as_deref());
                details.text("username", credential.username.as_deref());
                details.secret("password", credential.password.as_ref());
                credential.service.clone()
            }
            CatalogEntry::CatalogedNetwork(network) => {
                details.text("protocol", network.protocol.as_deref());
                details.text("username", network.username.as_deref());
                details.secret("password", network.password.as_ref());
                network.service.clone()
            }
            CatalogEntry::CatalogedBookmark(bookmark) => {
                details.text("url", bookmark.uri.as_deref());
                details.text("path", bookmark.path.as_deref());
                bookmark.title.clone().or_else(|| bookmark.path.clone())
            }
            CatalogEntry::CatalogedTask(task) => details.task(task),
            CatalogEntry::CatalogedApplicationSSH(ssh) => {
                details.texts("known host", &ssh.known_hosts);
                details.texts("authorized key", &ssh.authorized_keys);
                name_in(EntryKind::Ssh, ssh.key.as_deref())
            }
            CatalogEntry::CatalogedApplicationMail(mail) => details.mail(mail),
            CatalogEntry::CatalogedApplication(application)
            | CatalogEntry::CatalogedGroup(application)
            | CatalogEntry::CatalogedApplicationNetwork(application) => application.key.clone(),
            CatalogEntry::CatalogedMember(member) => member.udf.clone(),
        };
        Self {
            title: title
                .filter(|title| !title.is_empty())
                .or_else(|| entry.unique_id())
                .unwrap_or_default(),
            details: details.rows,
        }
    }

    /// Whether the title or a detail holds `text`, ignoring case.
    #[must_use]
    pub fn mentions(&self, text: &str) -> bool {
        let text = text.to_lowercase();
        self.title.to_lowercase().contains(&text)
            || self
                .details
                .iter()
                .any(|(_, detail)| detail.to_lowercase().contains(&text))
    }
}

struct Details {
    rows: Vec<(&'static str, String)>,
    secrets: Secrets,
}

impl Details {
    fn text(&mut self, label: &'static str, text: Option<&str>) {
        if let Some(text) = text.filter(|text| !text.is_empty()) {
            self.rows.push((label, text.to_owned()));
        }
    }

    fn texts(&mut self, label: &'static str, texts: &[String]) {
        for text in texts {
            self.text(label, Some(text));
        }
    }

    fn secret(&mut self, label: &'static str, secret: Option<&SecretText>) {
        let shown = match self.secrets {
            Secrets::Hide => secret.map(|_| HIDDEN),
            Secrets::Show => secret.map(SecretText::reveal),
        };
        self.text(label, shown);
    }

    fn contact(&mut self, entry: &CatalogedContact) -> Option<String> {
        let Ok(Some(contact)) = entry.contact() else {
            return None;
        };
        for address in &contact.addresses {
            let uri = address.uri.as_deref().unwrap_or_default();
            let (label, text) = match uri.split_once(':') {
                Some(("mailto", text)) => ("email", text),
                Some(("tel", text)) => ("phone", text),
                Some(("mmm", text)) => ("mesh", text),
                _ => ("url", uri),
            };
            self.text(label, Some(text));
        }
        for role in &contact.roles {
            self.text("company", role.company_name.as_deref());
        }
        for location in &contact.locations {
            let parts = [
                &location.street,
                &location.postcode,
                &location.locality,
                &location.country,
            ];
            let parts: Vec<_> = parts.into_iter().flatten().map(String::as_str).collect();
            self.text("place", Some(&parts.join(", ")));
        }
        self.texts("label", &contact.labels);
        if entry.is_self == Some(true) {
            self.text("is", Some("yourself"));
        }
        let profiles = contact.assertion_accounts.iter();
        let accounts: Vec<_> = profiles.filter_map(account_udf).collect();
        self.texts("account", &accounts);
        for permission in &entry.permissions {
            let name = permission.name.as_deref().unwrap_or("*");
            let label = match permission.role.as_deref() {
                Some("Reject") => "refused",
                _ => "allowed",
            };
            self.text(label, Some(name));
        }
        name_of(&contact)
    }

    fn task(&mut self, entry: &CatalogedTask) -> Option<String> {
        let Ok(Some(task)) = entry.task() else {
            return None;
        };
        let Task {
            start,
            finish,
            location,
            repeat,
            trigger,
            busy,
            description,
            title,
            ..
        } = task;
        self.text("start", start.map(|time| time.to_text()).as_deref());
        self.text("finish", finish.map(|time| time.to_text()).as_deref());
        self.text("where", location.as_deref());
        self.text("repeat", repeat.as_deref());
        self.texts("remind", &trigger);
        self.text("busy", busy.map(|busy| if busy { "yes" } else { "no" }));
        self.text("description", description.as_deref());
        title
    }

    fn mail(&mut self, mail: &CatalogedApplicationMail) -> Option<String> {
        self.texts("address", &mail.addresses);
        for (label, servers) in [("inbound", &mail.inbound), ("outbound", &mail.outbound)] {
            for server in servers {
                self.text(label, Some(&address_of(server)));
                self.secret("password", server.password.as_ref());
            }
        }
        name_in(EntryKind::Mail, mail.key.as_deref())
    }
}

/// The key of an application that goes by `name`. SSH profiles and mail accounts share a catalog, so
/// the kind stands before the name.
#[must_use]
pub fn application_key(kind: EntryKind, name: &str) -> String {
    format!("{kind}:{name}")
}

/// The name in the key of an application.
fn name_in(kind: EntryKind, key: Option<&str>) -> Option<String> {
    let key = key?;
    let name = key
        .strip_prefix(kind.word())
        .and_then(|rest| rest.strip_prefix(':'));
    Some(name.unwrap_or(key).to_owned())
}

fn name_of(contact: &Contact) -> Option<String> {
    contact
        .full_name
        .clone()
        .filter(|name| !name.is_empty())
        .or_else(|| {
            let parts = [&contact.first, &contact.middle, &contact.last];
            let parts: Vec<_> = parts.into_iter().flatten().map(String::as_str).collect();
            (!parts.is_empty()).then(|| parts.join(" "))
        })
        .or_else(|| contact.roles.first()?.company_name.clone())
        .or_else(|| {
            let uri = contact.addresses.first()?.uri.as_deref()?;
            Some(uri.strip_prefix("mmm:").unwrap_or(uri).to_owned())
        })
}

/// UDF of an account that a contact names.
fn account_udf(profile: &Value) -> Option<String> {
    let profile: ProfileAccount = serde_json::from_value(profile.clone()).ok()?;
    let key = profile.key_offline_signature?.public_key().ok()?;
    Some(key.udf().to_string())
}

fn address_of(server: &MailServer) -> String {
    let protocol = server.protocol.as_deref().unwrap_or("mail");
    let host = server.host.as_deref().unwrap_or_default();
    let user = server
        .username
        .as_deref()
        .map_or_else(String::new, |user| format!("{user}@"));
    let port = server
        .port
        .map_or_else(String::new, |port| format!(":{port}"));
    let security = server
        .security
        .as_deref()
        .map_or_else(String::new, |security| format!(" ({security})"));
    format!("{protocol}://{user}{host}{port}{security}")
}

/// The entry as untagged JSON: `Contact` and `Task` opened, secrets replaced unless shown. What an
/// entry was imported from counts as secret where the entry has secrets.
#[must_use]
pub fn to_json(entry: &CatalogEntry, secrets: Secrets) -> Value {
    let Ok(Value::Object(mut tagged)) = serde_json::to_value(entry) else {
        return Value::Null;
    };
    let Some(Value::Object(mut members)) = tagged.remove(entry.tag()) else {
        return Value::Null;
    };
    match entry {
        CatalogEntry::CatalogedContact(contact)
        | CatalogEntry::CatalogedContactRecryption(contact) => {
            open(
                &mut members,
                "EnvelopedContact",
                "Contact",
                contact.contact().ok().flatten(),
            );
        }
        CatalogEntry::CatalogedTask(task) => {
            open(
                &mut members,
                "EnvelopedTask",
                "Task",
                task.task().ok().flatten(),
            );
        }
        _ if secrets == Secrets::Hide => hide(&mut members),
        _ => {}
    }
    Value::Object(members)
}

fn open<T: serde::Serialize>(
    members: &mut Map<String, Value>,
    envelope: &str,
    name: &str,
    content: Option<T>,
) {
    if let Some(Ok(content)) = content.map(serde_json::to_value) {
        members.remove(envelope);
        members.insert(name.to_owned(), content);
    }
}

/// Replaces passwords, and the text of originals, which has passwords in it.
fn hide(members: &mut Map<String, Value>) {
    for (name, value) in members {
        match value {
            Value::Object(inner) => hide(inner),
            Value::Array(list) => {
                for inner in list.iter_mut().filter_map(Value::as_object_mut) {
                    hide(inner);
                }
            }
            Value::String(text) if matches!(name.as_str(), "Password" | "Text" | "Data") => {
                HIDDEN.clone_into(text);
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mesh_common::catalog::entry::{Address, CatalogedCredential, Original, OriginalText};

    fn credential() -> CatalogEntry {
        CatalogEntry::CatalogedCredential(CatalogedCredential {
            service: Some("mail.example.com".into()),
            username: Some("alice".into()),
            password: Some("open sesame".into()),
            original: Some(Original {
                text: OriginalText::Text("mail,alice,open sesame".into()),
                ..Original::default()
            }),
            ..CatalogedCredential::default()
        })
    }

    fn contact() -> CatalogEntry {
        let mut entry = CatalogedContact {
            key: Some("NAAA".into()),
            ..CatalogedContact::default()
        };
        entry.enclose(&Contact {
            first: Some("Ada".into()),
            last: Some("Lovelace".into()),
            addresses: vec![Address {
                uri: Some("mailto:ada@example.org".into()),
                ..Address::default()
            }],
            ..Contact::default()
        });
        CatalogEntry::CatalogedContact(entry)
    }

    #[test]
    fn a_password_is_shown_only_when_asked_for() {
        let hidden = format!(
            "{:?} {}",
            Summary::of(&credential(), Secrets::Hide),
            to_json(&credential(), Secrets::Hide)
        );
        assert!(!hidden.contains("sesame") && hidden.contains(HIDDEN));
        let shown = Summary::of(&credential(), Secrets::Show);
        assert!(shown.details.contains(&("password", "open sesame".into())));
        let json = to_json(&credential(), Secrets::Show);
        assert_eq!(json["Password"], "open sesame");
    }

    #[test]
    fn a_contact_is_known_by_its_name_and_found_by_its_address() {
        let summary = Summary::of(&contact(), Secrets::Hide);
        assert_eq!(summary.title, "Ada Lovelace");
        assert!(summary.mentions("ADA@example") && !summary.mentions("bob"));
        let json = to_json(&contact(), Secrets::Hide);
        assert_eq!(json["Contact"]["First"], "Ada");
        assert!(json.get("EnvelopedContact").is_none());
    }

    #[test]
    fn an_entry_without_a_title_goes_by_its_id() {
        let entry = CatalogEntry::CatalogedContact(CatalogedContact {
            key: Some("NAAA".into()),
            ..CatalogedContact::default()
        });
        assert_eq!(Summary::of(&entry, Secrets::Hide).title, "NAAA");
    }
}
