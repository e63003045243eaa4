//! What an export of an account holds: one file per container, with the apex and the digest each of
//! them must have. An export is only as true as its manifest, so who keeps exports keeps the
//! manifest where the service cannot reach it (containers §9.4, §11).

use serde::{Deserialize, Serialize};

use super::container::{Report, verify};
use super::container_name::ContainerName;
use super::merkle::{Digest64, payload_digest};
use crate::encoding::base64url::Binary;
use crate::limits::CONTAINERS_PER_ACCOUNT_MAX;
use crate::time::Timestamp;

/// The manifest of one export.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Manifest {
    /// Address of the account.
    pub account: String,
    /// When the export was made.
    pub created: Timestamp,
    /// One row per container, in the order of a Status.
    pub containers: Vec<ManifestEntry>,
}

/// One container of an export.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ManifestEntry {
    /// Its name.
    pub container: ContainerName,
    /// Frames it holds, frame 0 included.
    pub frames: u64,
    /// The canonical tree digest of its last frame (containers §8.1).
    pub apex: Binary,
    /// Name of its file, beside the manifest.
    pub file: String,
    /// Octets of the file.
    pub bytes: u64,
    /// SHA-512 of the file.
    pub digest: Binary,
}

/// A manifest or a file of it that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// The file is not a sound container of its own.
    #[error("{} things are wrong with {container}", .report.damages.len() + usize::from(.report.format.is_some()))]
    Damaged {
        /// The container.
        container: ContainerName,
        /// Everything that is wrong with it.
        report: Box<Report>,
    },
    /// The file is sound, but another one than the manifest describes.
    #[error("the file of {container} differs from its manifest in its {part}")]
    Differs {
        /// The container.
        container: ContainerName,
        /// What differs first: `frame count`, `apex`, `length` or `digest`.
        part: &'static str,
    },
    /// A row names a file that is not one beside the manifest.
    #[error("{file:?} is no name of a file in an export")]
    FileName {
        /// What the row names.
        file: String,
    },
    /// Two rows name the same container or the same file.
    #[error("{name:?} stands twice in the manifest")]
    Twice {
        /// The name.
        name: String,
    },
    /// There are more rows than an account has containers.
    #[error("the manifest has {found} rows, at most {CONTAINERS_PER_ACCOUNT_MAX} are possible")]
    TooLong {
        /// Rows it has.
        found: usize,
    },
}

impl ManifestEntry {
    /// The row for a container's file. Containers whose digests are legacy ones are described as
    /// they are.
    ///
    /// # Errors
    /// [`ManifestError::Damaged`] for a file that is no sound container.
    pub fn describe(container: &ContainerName, octets: &[u8]) -> Result<Self, ManifestError> {
        let (report, apex) = sound(container, octets)?;
        Ok(Self {
            container: container.to_canonical(),
            frames: report.frames,
            apex: apex.into(),
            file: container.file_name(),
            bytes: octets.len() as u64,
            digest: payload_digest(octets).into(),
        })
    }

    /// Checks a container's file against this row, and everything inside it.
    ///
    /// # Errors
    /// [`ManifestError::Damaged`], [`ManifestError::Differs`].
    pub fn verify(&self, octets: &[u8]) -> Result<Report, ManifestError> {
        let (report, apex) = sound(&self.container, octets)?;
        let part = if report.frames != self.frames {
            "frame count"
        } else if apex != self.apex.as_slice() {
            "apex"
        } else if octets.len() as u64 != self.bytes {
            "length"
        } else if payload_digest(octets) != self.digest.as_slice() {
            "digest"
        } else {
            return Ok(report);
        };
        Err(ManifestError::Differs {
            container: self.container.clone(),
            part,
        })
    }
}

impl Manifest {
    /// A manifest without rows.
    #[must_use]
    pub fn new(account: impl Into<String>, created: Timestamp) -> Self {
        Self {
            account: account.into(),
            created,
            containers: Vec::new(),
        }
    }

    /// Checks the rows themselves, before any file they name is opened.
    ///
    /// # Errors
    /// [`ManifestError::TooLong`], [`ManifestError::FileName`], [`ManifestError::Twice`].
    pub fn check(&self) -> Result<(), ManifestError> {
        if self.containers.len() > CONTAINERS_PER_ACCOUNT_MAX {
            return Err(ManifestError::TooLong {
                found: self.containers.len(),
            });
        }
        for (place, row) in self.containers.iter().enumerate() {
            if !is_file_name(&row.file) {
                return Err(ManifestError::FileName {
                    file: row.file.chars().take(200).collect(),
                });
            }
            for earlier in &self.containers[..place] {
                if earlier.container == row.container
                    || earlier.file.eq_ignore_ascii_case(&row.file)
                {
                    return Err(ManifestError::Twice {
                        name: row.file.clone(),
                    });
                }
            }
        }
        Ok(())
    }

    /// The row of a container.
    #[must_use]
    pub fn entry(&self, container: &ContainerName) -> Option<&ManifestEntry> {
        self.containers
            .iter()
            .find(|row| row.container == *container)
    }
}

/// The report over a file that has an apex and nothing worse than legacy digests.
fn sound(container: &ContainerName, octets: &[u8]) -> Result<(Report, Digest64), ManifestError> {
    let report = verify(octets);
    match report.apex {
        Some(apex) if report.is_sound_or_legacy() => Ok((report, apex)),
        _ => Err(ManifestError::Damaged {
            container: container.clone(),
            report: Box::new(report),
        }),
    }
}

/// Whether a text names a file beside the manifest on any system: letters, digits, `.`, `-` and
/// `_`, a letter or digit first.
fn is_file_name(text: &str) -> bool {
    let first_holds = text.starts_with(|first: char| first.is_ascii_alphanumeric());
    first_holds
        && text.len() <= 200
        && text
            .bytes()
            .all(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'.' | b'-' | b'_'))
}

#[cfg(test)]
mod tests {
    use super::super::container::ContainerWriter;
    use super::*;
    use crate::dare::Envelope;
    use crate::encoding::json;

    fn file(payloads: &[&[u8]]) -> Vec<u8> {
        let mut octets = Vec::new();
        let mut writer = ContainerWriter::create_store(&mut octets).unwrap();
        for payload in payloads {
            writer
                .append(&Envelope::plain(*payload), &mut octets)
                .unwrap();
        }
        octets
    }

    fn name() -> ContainerName {
        ContainerName::parse("mmm/Contact").unwrap()
    }

    #[test]
    fn an_export_is_described_and_found_as_described() {
        let octets = file(&[b"one", b"two"]);
        let mut manifest = Manifest::new("alice@example.com", Timestamp::from_secs(1_584_000_000));
        let row = ManifestEntry::describe(&name(), &octets).unwrap();
        manifest.containers.push(row);
        let read: Manifest = json::parse(&json::write(&manifest)).unwrap();
        assert_eq!(read, manifest);
        assert_eq!(read.check(), Ok(()));
        let row = read.entry(&name()).unwrap();
        assert_eq!((row.frames, row.file.as_str()), (3, "mmm_Contact.dare"));
        assert!(row.verify(&octets).unwrap().is_sound());
    }

    #[test]
    fn another_file_is_told_from_a_damaged_one() {
        let octets = file(&[b"one", b"two"]);
        let row = ManifestEntry::describe(&name(), &octets).unwrap();
        let part_of = |octets: &[u8]| match row.verify(octets) {
            Err(ManifestError::Differs { part, .. }) => part,
            other => panic!("{other:?}"),
        };
        assert_eq!(part_of(&file(&[b"one"])), "frame count");
        assert_eq!(part_of(&file(&[b"one", b"TWO"])), "apex");
        let mut damaged = octets.clone();
        damaged.truncate(octets.len() - 1);
        assert!(matches!(
            row.verify(&damaged),
            Err(ManifestError::Damaged { .. })
        ));
        let mut rows = Vec::new();
        let mut writer = ContainerWriter::create_store(&mut rows).unwrap();
        for payload in [&b"one"[..], b"two"] {
            let mut envelope = Envelope::plain(payload);
            envelope.header.envelope_id = Some("other".to_owned());
            writer.append(&envelope, &mut rows).unwrap();
        }
        assert_eq!(part_of(&rows), "length");
        let mut header = octets;
        let at = header
            .windows(5)
            .position(|window| window == b"\"JSON")
            .unwrap();
        header[at + 1] = b'j';
        assert_eq!(part_of(&header), "digest");
    }

    #[test]
    fn a_manifest_names_only_files_beside_it_and_each_once() {
        let row = ManifestEntry::describe(&name(), &file(&[])).unwrap();
        let mut manifest = Manifest::new("alice@example.com", Timestamp::default());
        manifest.containers = vec![row.clone(), row.clone()];
        assert!(matches!(manifest.check(), Err(ManifestError::Twice { .. })));
        manifest.containers.truncate(1);
        for file in [
            "",
            ".",
            "..",
            "../x",
            "a/b",
            "a\\b",
            "/etc/passwd",
            "c:x",
            "-rf",
        ] {
            manifest.containers[0].file = file.to_owned();
            assert!(
                matches!(manifest.check(), Err(ManifestError::FileName { .. })),
                "{file}"
            );
        }
        manifest.containers = vec![row; CONTAINERS_PER_ACCOUNT_MAX + 1];
        assert!(matches!(
            manifest.check(),
            Err(ManifestError::TooLong { .. })
        ));
    }
}
