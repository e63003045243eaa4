//! What tells imported entries apart: unique ids that no two entries of a catalog share, and
//! import ids that stay the same from one import to the next. Containers §6.2.

use std::collections::HashMap;

use mesh_common::catalog::entry::{CatalogEntry, CatalogedCredential};

use super::limits::UNIQUE_ID_BYTES_MAX;
use super::report::cut;

/// The unique ids that are in use, with the number to try next where one was wanted twice.
#[derive(Debug, Default)]
pub(super) struct Taken(HashMap<(&'static str, String), u32>);

impl Taken {
    /// Remembers the unique id of an entry that is already in its catalog.
    pub(super) fn insert(&mut self, entry: &CatalogEntry) {
        if let Some(id) = entry.unique_id() {
            self.0.entry((entry.catalog(), id)).or_insert(2);
        }
    }

    /// Gives the entry a unique id of its own; true if it is not the one it came with.
    ///
    /// A bookmark gets a number behind its path. A credential, whose unique id names no user, gets
    /// its user before the service, as in the authority of a URI, and if that is taken too a
    /// number: `https:mail.example.com`, `https:bob@mail.example.com`,
    /// `https:bob@mail.example.com #2`. Everything else has a random key.
    pub(super) fn settle(&mut self, entry: &mut CatalogEntry) -> bool {
        let shortened = shorten(entry);
        if self.claim(entry) {
            return shortened;
        }
        if let CatalogEntry::CatalogedCredential(credential) = &mut *entry
            && name_the_user(credential)
            && self.claim(entry)
        {
            return true;
        }
        self.number(entry);
        true
    }

    /// Takes the entry's unique id if it is free.
    fn claim(&mut self, entry: &CatalogEntry) -> bool {
        let Some(id) = entry.unique_id() else {
            return true;
        };
        let mut free = false;
        self.0.entry((entry.catalog(), id)).or_insert_with(|| {
            free = true;
            2
        });
        free
    }

    fn number(&mut self, entry: &mut CatalogEntry) {
        let (catalog, natural) = (entry.catalog(), entry.clone());
        let Some(id) = natural.unique_id() else {
            return;
        };
        loop {
            let next = self.0.entry((catalog, id.clone())).or_insert(2);
            let number = *next;
            *next += 1;
            *entry = natural.clone();
            let place = match entry {
                CatalogEntry::CatalogedCredential(credential) => &mut credential.service,
                CatalogEntry::CatalogedNetwork(network) => &mut network.service,
                CatalogEntry::CatalogedBookmark(bookmark) => &mut bookmark.path,
                // Random keys do not collide; if a source of keys repeats itself, so be it.
                _ => return,
            };
            *place = Some(format!(
                "{} #{number}",
                place.as_deref().unwrap_or_default()
            ));
            if self.claim(entry) {
                return;
            }
        }
    }
}

/// Puts the user before the service; false if there is no user to put there.
fn name_the_user(credential: &mut CatalogedCredential) -> bool {
    let Some(user) = credential
        .username
        .as_deref()
        .filter(|user| !user.is_empty())
    else {
        return false;
    };
    let user = percent_encode(user, |letter| "@:/?#%".contains(letter) || letter == ' ');
    let service = credential.service.as_deref().unwrap_or_default();
    credential.service = Some(cut(&format!("{user}@{service}"), UNIQUE_ID_BYTES_MAX).to_owned());
    true
}

/// Cuts members that make up an overlong unique id; true if one was cut.
fn shorten(entry: &mut CatalogEntry) -> bool {
    let places = match entry {
        CatalogEntry::CatalogedCredential(credential) => [
            Some(&mut credential.protocol),
            Some(&mut credential.service),
        ],
        CatalogEntry::CatalogedBookmark(bookmark) => [Some(&mut bookmark.path), None],
        _ => [None, None],
    };
    let mut room = UNIQUE_ID_BYTES_MAX;
    let mut shortened = false;
    for text in places.into_iter().flatten().flatten() {
        let kept = cut(text, room).len();
        shortened |= kept < text.len();
        text.truncate(kept);
        room -= kept;
    }
    shortened
}

/// Replaces control characters and the letters that `reserved` names by `%XX` of their octets.
pub(super) fn percent_encode(text: &str, reserved: impl Fn(char) -> bool) -> String {
    let mut encoded = String::with_capacity(text.len());
    for letter in text.chars() {
        if letter.is_control() || reserved(letter) {
            for octet in letter.encode_utf8(&mut [0; 4]).bytes() {
                encoded.push_str(&format!("%{octet:02X}"));
            }
        } else {
            encoded.push(letter);
        }
    }
    encoded
}

/// Gives `entry` the identity of the entry it replaces.
pub(super) fn adopt(entry: &mut CatalogEntry, existing: &CatalogEntry) {
    match (entry, existing) {
        (CatalogEntry::CatalogedContact(new), CatalogEntry::CatalogedContact(old)) => {
            new.key.clone_from(&old.key);
        }
        (CatalogEntry::CatalogedTask(new), CatalogEntry::CatalogedTask(old)) => {
            new.key.clone_from(&old.key);
            if let Ok(Some(mut task)) = new.task() {
                task.key.clone_from(&old.key);
                new.enclose(&task);
            }
        }
        (CatalogEntry::CatalogedBookmark(new), CatalogEntry::CatalogedBookmark(old)) => {
            new.path.clone_from(&old.path);
        }
        (CatalogEntry::CatalogedCredential(new), CatalogEntry::CatalogedCredential(old)) => {
            new.protocol.clone_from(&old.protocol);
            new.service.clone_from(&old.service);
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mesh_common::catalog::entry::CatalogedBookmark;

    fn login(service: &str, user: &str) -> CatalogEntry {
        CatalogEntry::CatalogedCredential(CatalogedCredential {
            protocol: Some("https".into()),
            service: Some(service.into()),
            username: Some(user.into()),
            ..CatalogedCredential::default()
        })
    }

    fn settled(taken: &mut Taken, mut entry: CatalogEntry) -> (String, bool) {
        let changed = taken.settle(&mut entry);
        (entry.unique_id().unwrap(), changed)
    }

    #[test]
    fn two_users_of_one_service_keep_their_logins() {
        let mut taken = Taken::default();
        let mut add = |user| settled(&mut taken, login("mail.example.com", user));
        assert_eq!(add("alice"), ("https:mail.example.com".into(), false));
        assert_eq!(add("bob"), ("https:bob@mail.example.com".into(), true));
        assert_eq!(add("bob"), ("https:bob@mail.example.com #2".into(), true));
        assert_eq!(add("bob"), ("https:bob@mail.example.com #3".into(), true));
        assert_eq!(
            add("c@d e"),
            ("https:c%40d%20e@mail.example.com".into(), true)
        );
        assert_eq!(add(""), ("https:mail.example.com #2".into(), true));
    }

    #[test]
    fn bookmarks_of_one_name_are_numbered_and_long_paths_cut() {
        let bookmark = |path: String| {
            CatalogEntry::CatalogedBookmark(CatalogedBookmark {
                path: Some(path),
                ..CatalogedBookmark::default()
            })
        };
        let mut taken = Taken::default();
        assert_eq!(
            settled(&mut taken, bookmark("a/b".into())),
            ("a/b".into(), false)
        );
        assert_eq!(
            settled(&mut taken, bookmark("a/b".into())),
            ("a/b #2".into(), true)
        );
        for _ in 0..2 {
            let (id, changed) = settled(&mut taken, bookmark("é".repeat(2_000)));
            assert!(changed && id.len() <= mesh_common::limits::UNIQUE_ID_BYTES_MAX);
        }
    }
}
