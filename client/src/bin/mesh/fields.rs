//! From what was typed to entries: what `add` makes, and what `update` changes of an entry that is
//! there. Members that were not named stay as they are.

use mesh_client::entries::{EntryKind, application_key};
use mesh_common::catalog::entry::{
    Address, CatalogEntry, CatalogedApplicationMail, CatalogedApplicationSSH, CatalogedBookmark,
    CatalogedContact, CatalogedCredential, CatalogedNetwork, CatalogedTask, Contact, MailServer,
    Permission, Role, SecretText, Task,
};

use crate::args::{
    BookmarkFields, ContactFields, Fields, MailFields, NetworkFields, PasswordFields, SecretFields,
    SshFields, TaskFields,
};
use crate::failure::Failure;
use crate::input::lines_of;

/// The members of one kind of entry, as typed.
pub(crate) trait Members: Fields {
    /// The kind.
    const KIND: EntryKind;

    /// An entry without members. `key` is a fresh random id, for kinds whose id says nothing.
    fn fresh(key: String) -> CatalogEntry;

    /// Puts what was typed into `entry`, which is of this kind.
    fn apply(
        &self,
        subject: Option<&str>,
        secret: Option<&SecretText>,
        entry: &mut CatalogEntry,
    ) -> Result<(), Failure>;

    /// Where a password comes from, for kinds that have one.
    fn secret(&self) -> Option<&SecretFields> {
        None
    }

    /// Whether `add` asks for a password that was not given.
    const ASKS_FOR_SECRET: bool = false;
}

/// Unwraps the kind of entry that a command works on; another kind was never selected.
macro_rules! inner {
    ($entry:expr, $kind:ident) => {
        match $entry {
            CatalogEntry::$kind(inner) => inner,
            other => return Err(Failure::other_kind(other)),
        }
    };
}

fn set(place: &mut Option<String>, typed: Option<&str>) {
    if let Some(typed) = typed {
        *place = Some(typed.to_owned());
    }
}

fn set_key(place: &mut Option<String>, kind: EntryKind, typed: Option<&str>) {
    if let Some(typed) = typed {
        *place = Some(application_key(kind, typed));
    }
}

fn set_list(place: &mut Vec<String>, typed: &[String]) {
    if !typed.is_empty() {
        *place = typed.to_vec();
    }
}

impl Members for ContactFields {
    const KIND: EntryKind = EntryKind::Contact;

    fn fresh(key: String) -> CatalogEntry {
        CatalogEntry::CatalogedContact(CatalogedContact {
            key: Some(key),
            ..CatalogedContact::default()
        })
    }

    fn apply(
        &self,
        subject: Option<&str>,
        _secret: Option<&SecretText>,
        entry: &mut CatalogEntry,
    ) -> Result<(), Failure> {
        let entry = inner!(entry, CatalogedContact);
        let mut contact: Contact = entry.contact().map_err(Failure::entry)?.unwrap_or_default();
        set(&mut contact.full_name, subject);
        set(&mut contact.first, self.first.as_deref());
        set(&mut contact.last, self.last.as_deref());
        set_list(&mut contact.labels, &self.label);
        set_addresses(&mut contact, "mailto:", &self.email);
        set_addresses(&mut contact, "tel:", &self.phone);
        set_addresses(&mut contact, "mmm:", &self.mesh);
        set_pages(&mut contact, &self.url);
        if let Some(company) = &self.company {
            match contact.roles.first_mut() {
                Some(role) => role.company_name = Some(company.clone()),
                None => contact.roles.push(Role {
                    company_name: Some(company.clone()),
                    ..Role::default()
                }),
            }
        }
        if self.is_self {
            entry.is_self = Some(true);
        }
        set_permissions(&mut entry.permissions, &self.allow, "Accept");
        set_permissions(&mut entry.permissions, &self.refuse, "Reject");
        entry.enclose(&contact);
        Ok(())
    }
}

/// Replaces the addresses of one scheme, if any were typed.
fn set_addresses(contact: &mut Contact, scheme: &str, typed: &[String]) {
    if typed.is_empty() {
        return;
    }
    contact.addresses.retain(|address| {
        !address
            .uri
            .as_deref()
            .is_some_and(|uri| uri.starts_with(scheme))
    });
    contact.addresses.extend(typed.iter().map(|text| Address {
        uri: Some(format!("{scheme}{text}")),
        ..Address::default()
    }));
}

/// Replaces the pages, if any were typed.
fn set_pages(contact: &mut Contact, typed: &[String]) {
    let is_page = |address: &Address| {
        let uri = address.uri.as_deref().unwrap_or_default();
        uri.starts_with("http:") || uri.starts_with("https:")
    };
    if typed.is_empty() {
        return;
    }
    contact.addresses.retain(|address| !is_page(address));
    contact.addresses.extend(typed.iter().map(|text| Address {
        uri: Some(text.clone()),
        ..Address::default()
    }));
}

fn set_permissions(permissions: &mut Vec<Permission>, names: &[String], role: &str) {
    for name in names {
        permissions.retain(|permission| permission.name.as_deref() != Some(name));
        permissions.push(Permission {
            name: Some(name.clone()),
            role: Some(role.to_owned()),
            ..Permission::default()
        });
    }
}

impl Members for PasswordFields {
    const KIND: EntryKind = EntryKind::Password;
    const ASKS_FOR_SECRET: bool = true;

    fn fresh(_key: String) -> CatalogEntry {
        CatalogEntry::CatalogedCredential(CatalogedCredential::default())
    }

    fn apply(
        &self,
        subject: Option<&str>,
        secret: Option<&SecretText>,
        entry: &mut CatalogEntry,
    ) -> Result<(), Failure> {
        let credential = inner!(entry, CatalogedCredential);
        set(&mut credential.service, subject);
        set(&mut credential.username, self.username.as_deref());
        set(&mut credential.protocol, self.protocol.as_deref());
        if let Some(secret) = secret {
            credential.password = Some(secret.clone());
        }
        Ok(())
    }

    fn secret(&self) -> Option<&SecretFields> {
        Some(&self.secret)
    }
}

impl Members for BookmarkFields {
    const KIND: EntryKind = EntryKind::Bookmark;

    fn fresh(_key: String) -> CatalogEntry {
        CatalogEntry::CatalogedBookmark(CatalogedBookmark::default())
    }

    fn apply(
        &self,
        subject: Option<&str>,
        _secret: Option<&SecretText>,
        entry: &mut CatalogEntry,
    ) -> Result<(), Failure> {
        let bookmark = inner!(entry, CatalogedBookmark);
        set(&mut bookmark.uri, subject);
        set(&mut bookmark.title, self.title.as_deref());
        set(&mut bookmark.path, self.path.as_deref());
        if bookmark.path.is_none() {
            bookmark.path = bookmark.title.clone().or_else(|| bookmark.uri.clone());
        }
        Ok(())
    }
}

impl Members for TaskFields {
    const KIND: EntryKind = EntryKind::Task;

    fn fresh(key: String) -> CatalogEntry {
        CatalogEntry::CatalogedTask(CatalogedTask {
            key: Some(key),
            ..CatalogedTask::default()
        })
    }

    fn apply(
        &self,
        subject: Option<&str>,
        _secret: Option<&SecretText>,
        entry: &mut CatalogEntry,
    ) -> Result<(), Failure> {
        let entry = inner!(entry, CatalogedTask);
        let mut task: Task = entry.task().map_err(Failure::entry)?.unwrap_or_default();
        task.key.clone_from(&entry.key);
        set(&mut task.title, subject);
        set(&mut task.location, self.location.as_deref());
        set(&mut task.description, self.description.as_deref());
        set(&mut task.repeat, self.repeat.as_deref());
        set_list(&mut task.trigger, &self.remind);
        task.start = self.start.or(task.start);
        task.finish = self.finish.or(task.finish);
        task.busy = self.busy.or(task.busy);
        entry.enclose(&task);
        Ok(())
    }
}

impl Members for NetworkFields {
    const KIND: EntryKind = EntryKind::Network;
    const ASKS_FOR_SECRET: bool = true;

    fn fresh(_key: String) -> CatalogEntry {
        CatalogEntry::CatalogedNetwork(CatalogedNetwork {
            protocol: Some("wifi".into()),
            ..CatalogedNetwork::default()
        })
    }

    fn apply(
        &self,
        subject: Option<&str>,
        secret: Option<&SecretText>,
        entry: &mut CatalogEntry,
    ) -> Result<(), Failure> {
        let network = inner!(entry, CatalogedNetwork);
        set(&mut network.service, subject);
        set(&mut network.username, self.username.as_deref());
        set(&mut network.protocol, self.protocol.as_deref());
        if let Some(secret) = secret {
            network.password = Some(secret.clone());
        }
        Ok(())
    }

    fn secret(&self) -> Option<&SecretFields> {
        Some(&self.secret)
    }
}

impl Members for SshFields {
    const KIND: EntryKind = EntryKind::Ssh;

    fn fresh(_key: String) -> CatalogEntry {
        CatalogEntry::CatalogedApplicationSSH(CatalogedApplicationSSH::default())
    }

    fn apply(
        &self,
        subject: Option<&str>,
        _secret: Option<&SecretText>,
        entry: &mut CatalogEntry,
    ) -> Result<(), Failure> {
        let ssh = inner!(entry, CatalogedApplicationSSH);
        set_key(&mut ssh.key, Self::KIND, subject);
        let mut hosts = self.known_host.clone();
        if let Some(path) = &self.known_hosts {
            hosts.extend(lines_of(path)?);
        }
        set_list(&mut ssh.known_hosts, &hosts);
        let mut keys = self.authorized_key.clone();
        if let Some(path) = &self.authorized_keys {
            keys.extend(lines_of(path)?);
        }
        set_list(&mut ssh.authorized_keys, &keys);
        Ok(())
    }
}

impl Members for MailFields {
    const KIND: EntryKind = EntryKind::Mail;

    fn fresh(_key: String) -> CatalogEntry {
        CatalogEntry::CatalogedApplicationMail(CatalogedApplicationMail::default())
    }

    fn apply(
        &self,
        subject: Option<&str>,
        secret: Option<&SecretText>,
        entry: &mut CatalogEntry,
    ) -> Result<(), Failure> {
        let mail = inner!(entry, CatalogedApplicationMail);
        set_key(&mut mail.key, Self::KIND, subject);
        set_list(&mut mail.addresses, &self.address);
        for (place, typed) in [
            (&mut mail.inbound, &self.inbound),
            (&mut mail.outbound, &self.outbound),
        ] {
            if !typed.is_empty() {
                *place = typed
                    .iter()
                    .map(|url| server_of(url))
                    .collect::<Result<_, _>>()?;
            }
            for server in place.iter_mut().filter(|server| server.username.is_some()) {
                if let Some(secret) = secret {
                    server.password = Some(secret.clone());
                }
            }
        }
        Ok(())
    }

    fn secret(&self) -> Option<&SecretFields> {
        Some(&self.secret)
    }
}

/// Reads `imaps://user@host:port`.
fn server_of(url: &str) -> Result<MailServer, Failure> {
    let refusal = || {
        Failure::usage(format!("{url:?} is not the address of a mail server"))
            .with_advice("write it as imaps://user@host:port or smtps://user@host:port")
    };
    let (scheme, rest) = url.split_once("://").ok_or_else(refusal)?;
    let (protocol, security) = match scheme {
        "imaps" => ("imap", "tls"),
        "imap" => ("imap", "starttls"),
        "pop3s" => ("pop3", "tls"),
        "pop3" => ("pop3", "starttls"),
        "jmap" => ("jmap", "tls"),
        "smtps" => ("smtp", "tls"),
        "smtp" => ("smtp", "starttls"),
        _ => return Err(refusal()),
    };
    let (username, place) = match rest.trim_end_matches('/').rsplit_once('@') {
        Some((user, place)) => (Some(user.to_owned()), place),
        None => (None, rest.trim_end_matches('/')),
    };
    let (host, port) = match place.rsplit_once(':') {
        Some((host, port)) => (host, Some(port.parse().map_err(|_| refusal())?)),
        None => (place, None),
    };
    if host.is_empty() {
        return Err(refusal());
    }
    Ok(MailServer {
        protocol: Some(protocol.into()),
        host: Some(host.to_owned()),
        port,
        security: Some(security.into()),
        username,
        ..MailServer::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use mesh_client::entries::{Secrets, Summary};

    fn details(entry: &CatalogEntry) -> Vec<(&'static str, String)> {
        Summary::of(entry, Secrets::Show).details
    }

    #[test]
    fn an_update_changes_what_was_named_and_nothing_else() {
        let mut entry = ContactFields::fresh("NAAA".into());
        let added = ContactFields {
            email: vec!["ada@example.org".into()],
            phone: vec!["+44".into()],
            allow: vec!["Confirm".into()],
            ..ContactFields::default()
        };
        added.apply(Some("Ada"), None, &mut entry).unwrap();
        let changed = ContactFields {
            email: vec!["countess@example.org".into()],
            refuse: vec!["Confirm".into()],
            ..ContactFields::default()
        };
        changed.apply(None, None, &mut entry).unwrap();
        assert_eq!(Summary::of(&entry, Secrets::Hide).title, "Ada");
        assert_eq!(
            details(&entry),
            [
                ("phone", "+44".to_owned()),
                ("email", "countess@example.org".to_owned()),
                ("refused", "Confirm".to_owned()),
            ]
        );
    }

    #[test]
    fn a_bookmark_without_a_path_goes_by_its_title_or_address() {
        let mut entry = BookmarkFields::fresh(String::new());
        BookmarkFields::default()
            .apply(Some("https://x.org"), None, &mut entry)
            .unwrap();
        assert_eq!(entry.unique_id().as_deref(), Some("https://x.org"));
    }

    #[test]
    fn mail_servers_are_read_from_their_addresses() {
        let server = server_of("imaps://alice@example.com@imap.example.com:993/").unwrap();
        assert_eq!(server.username.as_deref(), Some("alice@example.com"));
        assert_eq!(server.host.as_deref(), Some("imap.example.com"));
        assert_eq!(
            (server.port, server.security.as_deref()),
            (Some(993), Some("tls"))
        );
        for url in [
            "imap.example.com",
            "gopher://x",
            "imaps://",
            "imaps://x:port",
        ] {
            assert!(server_of(url).is_err(), "{url}");
        }
    }

    #[test]
    fn a_password_is_put_where_there_is_a_user() {
        let mut entry = MailFields::fresh(String::new());
        let fields = MailFields {
            inbound: vec!["imaps://a@x.org".into()],
            outbound: vec!["smtps://x.org".into()],
            ..MailFields::default()
        };
        let secret = SecretText::from("s");
        fields
            .apply(Some("work"), Some(&secret), &mut entry)
            .unwrap();
        let passwords = details(&entry)
            .iter()
            .filter(|(label, _)| *label == "password")
            .count();
        assert_eq!(passwords, 1);
    }
}
