//! Entries of catalogs: sealed to the account (contacts to the service too), put behind the replica,
//! found again by id, by the start of an id or by title. Everything here is local; `sync` carries it
//! (architecture A-10, service §7.6, containers §3.3 and §6).

use mesh_common::assertion::ProfileService;
use mesh_common::catalog::entry::{CATALOG_CONTACT, CatalogEntry};
use mesh_common::crypto::PublicKey;
use mesh_common::dare::{ContainerName, Envelope, Header};
use mesh_common::limits::ENTRY_PAYLOAD_BYTES_MAX;
use mesh_common::udf;
use serde::Serialize;
use zeroize::Zeroizing;

use crate::changes::{Change, arrange};
use crate::client::Client;
use crate::entries::{EntryKind, Secrets, Summary};
use crate::error::ClientError;
use crate::replica::Replica;

/// The catalogs a device makes with an account (containers §11.3), Device first.
pub const CATALOGS: [&str; 7] = [
    ContainerName::DEVICE,
    ContainerName::CONTACT,
    "mmm_Application",
    "mmm_Credential",
    "mmm_Bookmark",
    "mmm_Task",
    "mmm_Network",
];

/// Where an entry is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EntryPlace {
    /// The canonical name of the catalog.
    pub container: String,
    /// The UniqueID.
    pub id: String,
    /// What a person calls it.
    pub title: String,
    /// Index of the frame that speaks for it.
    pub index: u64,
}

/// A living entry.
#[derive(Debug, Clone, PartialEq)]
pub struct Listed {
    /// The UniqueID.
    pub id: String,
    /// Index of the frame that holds it.
    pub index: u64,
    /// Whether the service does not have this frame yet.
    pub waits: bool,
    /// What it says.
    pub entry: CatalogEntry,
}

impl Listed {
    /// The entry in a few words.
    #[must_use]
    pub fn summary(&self, secrets: Secrets) -> Summary {
        Summary::of(&self.entry, secrets)
    }
}

/// What became of the entries of one catalog that was read.
#[derive(Debug, Default)]
pub struct Listing {
    /// The living entries, by UniqueID.
    pub entries: Vec<Listed>,
    /// UniqueIDs of living entries that cannot be opened or read, and why.
    pub unreadable: Vec<(String, String)>,
}

impl Client {
    /// A fresh random id, for entries whose id says nothing about them.
    pub fn new_key(&mut self) -> String {
        udf::nonce(self.entropy.as_mut()).to_string()
    }

    /// Adds an entry.
    ///
    /// # Errors
    /// [`ClientError::Exists`] if there is one with its id; [`ClientError::NoId`],
    /// [`ClientError::EntryTooLarge`], and what keeps the replica from being used.
    pub fn add(&mut self, entry: &CatalogEntry) -> Result<EntryPlace, ClientError> {
        let container = container_of(entry);
        let id = id_of(entry)?;
        if self.replica(&container)?.index().live(&id).is_some() {
            return Err(ClientError::Exists {
                container: container.canonical().to_owned(),
                id,
            });
        }
        self.put(entry)
    }

    /// All living entries of a kind.
    ///
    /// # Errors
    /// [`ClientError::NoAccount`], [`ClientError::Replica`].
    pub fn list(&mut self, kind: EntryKind) -> Result<Listing, ClientError> {
        let mut listing = self.listing(&name_of(kind.catalog()))?;
        listing.entries.retain(|listed| {
            EntryKind::of(&listed.entry) == Some(kind) && !listed.entry.is_continuation()
        });
        Ok(listing)
    }

    /// All living entries of a catalog, further parts of originals included.
    ///
    /// # Errors
    /// [`ClientError::NoAccount`], [`ClientError::Replica`].
    pub fn listing(&mut self, container: &ContainerName) -> Result<Listing, ClientError> {
        self.replica(container)?;
        let device = self.device()?;
        let synced = device.state.synced(container);
        let mut listing = Listing::default();
        let Some(replica) = device.replicas.get(container) else {
            return Ok(listing);
        };
        for (id, frames) in replica.index().entries() {
            let Some(frame) = replica.frame(frames.last) else {
                continue;
            };
            let key = &device.identity.keys.account_encryption;
            match open_entry(frame, key) {
                Ok(entry) => listing.entries.push(Listed {
                    id: id.to_owned(),
                    index: frames.last,
                    waits: frames.last >= synced,
                    entry,
                }),
                Err(reason) => listing.unreadable.push((id.to_owned(), reason)),
            }
        }
        Ok(listing)
    }

    /// The one entry of a kind that goes by `wanted`: its id, its title, the start of its id, or the
    /// start of its title; in this order, and all but the first ignoring case.
    ///
    /// # Errors
    /// [`ClientError::NotFound`], [`ClientError::Ambiguous`].
    pub fn find(&mut self, kind: EntryKind, wanted: &str) -> Result<Listed, ClientError> {
        let entries = self.list(kind)?.entries;
        let folded = wanted.to_lowercase();
        let by_id = |listed: &Listed| listed.id == wanted;
        let by_title =
            |listed: &Listed| listed.summary(Secrets::Hide).title.to_lowercase() == folded;
        let by_start =
            |listed: &Listed| !folded.is_empty() && listed.id.to_lowercase().starts_with(&folded);
        let by_title_start = |listed: &Listed| {
            let title = listed.summary(Secrets::Hide).title.to_lowercase();
            !folded.is_empty() && title.starts_with(&folded)
        };
        let ways: [&dyn Fn(&Listed) -> bool; 4] = [&by_id, &by_title, &by_start, &by_title_start];
        for way in ways {
            let mut found: Vec<_> = entries.iter().filter(|&listed| way(listed)).collect();
            match found.len() {
                0 => {}
                1 => return Ok(found.remove(0).clone()),
                _ => {
                    return Err(ClientError::Ambiguous {
                        kind,
                        wanted: wanted.to_owned(),
                        found: found.iter().map(|listed| listed.id.clone()).collect(),
                    });
                }
            }
        }
        Err(ClientError::NotFound {
            kind,
            wanted: wanted.to_owned(),
        })
    }

    /// Puts a changed entry in the place of the one with the UniqueID `id`.
    ///
    /// # Errors
    /// [`ClientError::OtherId`] if its id is another one; as [`Self::add`].
    pub fn replace(&mut self, id: &str, entry: &CatalogEntry) -> Result<EntryPlace, ClientError> {
        let after = id_of(entry)?;
        if after != id {
            return Err(ClientError::OtherId {
                before: id.to_owned(),
                after,
            });
        }
        self.put(entry)
    }

    /// Deletes the one entry of a kind that goes by `wanted`.
    ///
    /// # Errors
    /// As [`Self::find`], and what keeps the replica from being written.
    pub fn delete(&mut self, kind: EntryKind, wanted: &str) -> Result<EntryPlace, ClientError> {
        let listed = self.find(kind, wanted)?;
        let container = name_of(kind.catalog());
        let mut changes = vec![Change {
            unique_id: listed.id.clone(),
            content: None,
        }];
        // Further parts of its original go with it.
        let all = self.listing(&container)?.entries;
        changes.extend(all.iter().filter_map(|part| {
            let of = part.entry.original()?.continues.as_ref()?;
            (*of == listed.id).then(|| Change {
                unique_id: part.id.clone(),
                content: None,
            })
        }));
        let index = self.change(&container, changes)?;
        Ok(EntryPlace {
            container: container.canonical().to_owned(),
            title: listed.summary(Secrets::Hide).title,
            id: listed.id,
            index,
        })
    }

    /// Adds an entry, or replaces the one with its id.
    pub(crate) fn put(&mut self, entry: &CatalogEntry) -> Result<EntryPlace, ClientError> {
        let container = container_of(entry);
        let change = self.sealed(entry)?;
        let id = change.unique_id.clone();
        let index = self.change(&container, vec![change])?;
        Ok(EntryPlace {
            container: container.canonical().to_owned(),
            id,
            title: Summary::of(entry, Secrets::Hide).title,
            index,
        })
    }

    /// Puts changes behind the replica of a catalog, which is begun if it is not there. Returns the
    /// index of the first frame.
    pub(crate) fn change(
        &mut self,
        container: &ContainerName,
        changes: Vec<Change>,
    ) -> Result<u64, ClientError> {
        self.note_container(container)?;
        let replica = self.replica(container)?;
        let mut frames = Vec::with_capacity(changes.len() + 1);
        if replica.count() == 0 {
            frames.push(Replica::frame_zero());
        }
        let first = replica.count() + frames.len() as u64;
        frames.extend(arrange(replica.index().clone(), first, changes));
        replica.append(frames)?;
        Ok(first)
    }

    /// Remembers that there is such a container, since not every name follows from that of its file.
    fn note_container(&mut self, container: &ContainerName) -> Result<(), ClientError> {
        let synced = &mut self.device()?.state.synced;
        if synced.contains_key(container) {
            return Ok(());
        }
        synced.insert(container.to_canonical(), 0);
        self.save_state()
    }

    /// The change that an entry is: encrypted to those who may read it, signed by this device.
    pub(crate) fn sealed(&mut self, entry: &CatalogEntry) -> Result<Change, ClientError> {
        let unique_id = id_of(entry)?;
        let plaintext = Zeroizing::new(entry.to_json());
        let service = match entry.catalog() {
            CATALOG_CONTACT => self.service_key()?,
            _ => None,
        };
        let device = self.device.as_ref().ok_or(ClientError::NoAccount)?;
        let mut recipients = vec![device.identity.keys.account_encryption.public()];
        recipients.extend(&service);
        let mut signers = vec![&device.identity.in_account.signature];
        if is_about_owner(entry) {
            let owner = device.identity.owner.as_ref();
            signers.push(&owner.ok_or(ClientError::NotOwner)?.mesh.online);
        }
        let content = Envelope::encrypted_and_signed(
            &plaintext,
            Header::default(),
            &recipients,
            &signers,
            self.entropy.as_mut(),
        )
        .map_err(|source| ClientError::Sealing {
            container: entry.catalog().to_owned(),
            source,
        })?;
        let found_bytes = content.payload.as_slice().len();
        if found_bytes > ENTRY_PAYLOAD_BYTES_MAX {
            return Err(ClientError::EntryTooLarge {
                id: unique_id,
                found_bytes,
            });
        }
        Ok(Change {
            unique_id,
            content: Some(content),
        })
    }

    /// The key the service reads contacts with; none if it has none.
    fn service_key(&self) -> Result<Option<PublicKey>, ClientError> {
        let Some(pinned) = self.state().and_then(|state| state.service.as_ref()) else {
            return Ok(None);
        };
        let profile =
            ProfileService::verify(&pinned.profile_service).map_err(ClientError::Identity)?;
        Ok(profile.authentication_key().ok())
    }
}

/// Whether an entry says something about the owner of the catalog: an administration key of the mesh
/// has to sign it (schema draft §7.4.6).
fn is_about_owner(entry: &CatalogEntry) -> bool {
    matches!(entry, CatalogEntry::CatalogedContact(contact) if contact.is_self == Some(true))
}

/// Opens and reads the entry in a frame; the reason if it cannot be.
pub(crate) fn open_entry(
    frame: &Envelope,
    key: &mesh_common::crypto::SecretKey,
) -> Result<CatalogEntry, String> {
    let plaintext = frame.decrypt(&[key]).map_err(|error| error.to_string())?;
    CatalogEntry::from_json(&plaintext).map_err(|error| error.to_string())
}

pub(crate) fn id_of(entry: &CatalogEntry) -> Result<String, ClientError> {
    entry
        .unique_id()
        .filter(|id| !id.is_empty())
        .ok_or(ClientError::NoId { tag: entry.tag() })
}

fn container_of(entry: &CatalogEntry) -> ContainerName {
    name_of(entry.catalog())
}

/// The name of one of the Mesh's own containers.
pub(crate) fn name_of(canonical: &str) -> ContainerName {
    ContainerName::parse(canonical).expect("the names of the Mesh's own containers are well-formed")
}
