//! Verification: every digest of every container recomputed, every signature checked against the
//! device or profile that made it, every entry opened where the keys are at hand. Nothing is
//! repaired; everything that is wrong is named (containers §5, crypto §5).

use std::fs;
use std::io;
use std::path::Path;

use mesh_common::assertion::{Authority, ProfileAccount, ProfileMesh};
use mesh_common::catalog::CatalogIndex;
use mesh_common::crypto::SecretKey;
use mesh_common::dare::container::{self, read_all};
use mesh_common::dare::manifest::ManifestEntry;
use mesh_common::dare::{ContainerKind, ContainerName, Envelope};
use mesh_common::encoding::base64url;
use mesh_common::udf::Udf;
use serde::Serialize;

use crate::catalogs::open_entry;
use crate::client::{CONTAINERS, Client};
use crate::error::ClientError;
use crate::export;
use crate::home::HomeError;
use crate::signers::{Roots, Signers};

/// What a verification found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct VerifyReport {
    /// The account's address.
    pub account: String,
    /// Whether nothing is wrong.
    pub sound: bool,
    /// The containers, in the order of a Status.
    pub containers: Vec<VerifiedContainer>,
    /// Everything that is wrong.
    pub problems: Vec<Problem>,
}

/// One container that was verified.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct VerifiedContainer {
    /// Its canonical name.
    pub container: String,
    /// Its frames.
    pub frames: u64,
    /// The apex recomputed from its payloads, as base64url.
    pub apex: Option<String>,
    /// Signatures that verify.
    pub signatures: u64,
    /// Signatures by keys that no device or profile of the account has or had.
    pub foreign_signatures: u64,
    /// Frames with content that nobody signed.
    pub unsigned: u64,
    /// Living entries that were opened and are what their frames say.
    pub entries: u64,
}

/// Something that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The container, or the file.
    pub place: String,
    /// The frame, where it is about one.
    pub frame: Option<u64>,
    /// What is wrong.
    pub what: String,
}

/// One verification on its way.
struct Verification<'a> {
    signers: Signers,
    roots: Option<Roots>,
    key: Option<&'a SecretKey>,
    report: VerifyReport,
}

impl Client {
    /// Verifies the replicas of this device.
    ///
    /// # Errors
    /// [`ClientError::NoAccount`], [`ClientError::Home`]: nothing could be looked at. What is wrong
    /// with the replicas is in the report.
    pub fn verify(&mut self) -> Result<VerifyReport, ClientError> {
        let folder = self.home.path(CONTAINERS);
        let names = self.containers()?;
        let device = self.device.as_ref().ok_or(ClientError::NoAccount)?;
        let state = &device.state;
        let mut verification = Verification::new(
            state.address.as_written(),
            &state.profile_mesh,
            &state.profile_account,
        );
        let mut files = Vec::new();
        for name in names {
            let path = folder.join(name.file_name());
            match fs::read(&path) {
                Ok(octets) => files.push((name, octets)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    verification.problem(name.canonical(), None, "its file is not there");
                }
                Err(source) => return Err(HomeError::reading(&path, source).into()),
            }
        }
        verification.key = Some(&device.identity.keys.account_encryption);
        verification.learn_devices(&files);
        let total = files.len() as u64;
        for (done, (name, octets)) in (1..).zip(&files) {
            verification.container(name, octets);
            self.tell("verifying", done, total);
        }
        Ok(verification.finish())
    }
}

/// Verifies the export in `folder`, without any keys.
///
/// # Errors
/// [`ClientError::Export`]: it is no export. What is wrong with it is in the report.
pub fn verify_export(folder: &Path) -> Result<VerifyReport, ClientError> {
    let (manifest, profiles) = export::open(folder)?;
    let mut verification = Verification::new(
        &manifest.account,
        &profiles.profile_mesh,
        &profiles.profile_account,
    );
    let mut files = Vec::new();
    for row in &manifest.containers {
        match fs::read(folder.join(&row.file)) {
            Ok(octets) => {
                verification.manifest_row(row, &octets);
                files.push((row.container.clone(), octets));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                verification.problem(&row.file, None, "it is not there");
            }
            Err(error) => verification.problem(&row.file, None, error.to_string()),
        }
    }
    verification.learn_devices(&files);
    for (name, octets) in &files {
        verification.container(name, octets);
    }
    Ok(verification.finish())
}

impl<'a> Verification<'a> {
    /// Begins with the profiles.
    fn new(account: &str, profile_mesh: &Envelope, profile_account: &Envelope) -> Self {
        let mut verification = Self {
            signers: Signers::default(),
            roots: None,
            key: None,
            report: VerifyReport {
                account: account.to_owned(),
                ..VerifyReport::default()
            },
        };
        verification.learn_profiles(profile_mesh, profile_account);
        verification
    }

    fn learn_profiles(&mut self, profile_mesh: &Envelope, profile_account: &Envelope) {
        let mesh = match ProfileMesh::verify(profile_mesh) {
            Ok(mesh) => mesh,
            Err(error) => return self.problem("ProfileMesh", None, chain(&error)),
        };
        self.signers.add(mesh.keys());
        let mesh = Authority::from(&mesh);
        match ProfileAccount::verify(profile_account, Some(&mesh)) {
            Ok(account) => {
                self.signers.add(account.keys());
                self.roots = Some(Roots {
                    account: Authority::from(&account),
                    mesh,
                });
            }
            Err(error) => self.problem("ProfileAccount", None, chain(&error)),
        }
    }

    /// Learns the keys of every device that ever stood in the Device catalog.
    fn learn_devices(&mut self, files: &[(ContainerName, Vec<u8>)]) {
        let devices = files
            .iter()
            .filter(|(name, _)| name.kind() == ContainerKind::Device);
        for (name, octets) in devices {
            // What cannot be read is told when the container's turn comes.
            let frames = read_all(octets).unwrap_or_default();
            let Some(roots) = &self.roots else {
                return;
            };
            for (frame, what) in self.signers.learn_devices(roots, &frames) {
                self.problem(name.canonical(), Some(frame), what);
            }
        }
    }

    fn manifest_row(&mut self, row: &ManifestEntry, octets: &[u8]) {
        use mesh_common::dare::manifest::ManifestError;
        match row.verify(octets) {
            // What is damaged inside is told frame by frame when the container's turn comes.
            Ok(_) | Err(ManifestError::Damaged { .. }) => {}
            Err(error) => self.problem(&row.file, None, chain(&error)),
        }
    }

    /// Verifies one container from the octets of its file.
    fn container(&mut self, name: &ContainerName, octets: &[u8]) {
        let found = container::verify(octets);
        let place = name.canonical();
        for damage in &found.damages {
            let what = format!("the {} does not match", damage.kind);
            self.problem(place, Some(damage.frame), what);
        }
        if let Some(error) = &found.format {
            self.problem(place, Some(found.frames), error.to_string());
        }
        let mut verified = VerifiedContainer {
            container: place.to_owned(),
            frames: found.frames,
            apex: found.apex.map(|apex| base64url::encode(&apex)),
            ..VerifiedContainer::default()
        };
        // Why it cannot be read stands among the damages.
        let frames = read_all(octets).unwrap_or_default();
        let mut index = CatalogIndex::new();
        for stored in &frames {
            if !name.is_spool()
                && let Err(error) = index.replay(stored.position, &stored.envelope.header)
            {
                self.problem(place, Some(stored.position), chain(&error));
            }
            self.signatures(name, stored.position, &stored.envelope, &mut verified);
        }
        let is_sealed = name.kind().is_catalog() && name.kind() != ContainerKind::Device;
        if let Some(key) = self.key.filter(|_| is_sealed) {
            for (id, live) in index.entries() {
                let frame = usize::try_from(live.last)
                    .ok()
                    .and_then(|at| frames.get(at));
                match frame.map(|stored| open_as(&stored.envelope, key, id)) {
                    Some(Err(what)) => self.problem(place, Some(live.last), what),
                    Some(Ok(())) => verified.entries += 1,
                    None => {}
                }
            }
        }
        self.report.containers.push(verified);
    }

    /// Checks the signatures of one frame. Whoever knows the account's public key can encrypt to it,
    /// the service included: an entry counts only if a device of the account signed it.
    fn signatures(
        &mut self,
        name: &ContainerName,
        frame: u64,
        envelope: &Envelope,
        verified: &mut VerifiedContainer,
    ) {
        if frame == 0 || envelope.payload.as_slice().is_empty() {
            return;
        }
        let place = name.canonical();
        let mut is_ours = false;
        for signature in envelope.signatures() {
            let kid = signature
                .kid
                .as_deref()
                .and_then(|kid| Udf::parse(kid).ok());
            match kid.and_then(|kid| self.signers.get(&kid)) {
                None => verified.foreign_signatures += 1,
                Some(key) => match envelope.verify_by(key) {
                    Ok(()) => {
                        verified.signatures += 1;
                        is_ours = true;
                    }
                    Err(error) => self.problem(place, Some(frame), chain(&error)),
                },
            }
        }
        verified.unsigned += u64::from(envelope.signatures().is_empty());
        if !is_ours && name.kind().is_catalog() && self.roots.is_some() {
            self.problem(place, Some(frame), "no device of the account signed it");
        }
    }

    fn problem(&mut self, place: &str, frame: Option<u64>, what: impl Into<String>) {
        self.report.problems.push(Problem {
            place: place.to_owned(),
            frame,
            what: what.into(),
        });
    }

    fn finish(mut self) -> VerifyReport {
        self.report.sound = self.report.problems.is_empty();
        self.report
    }
}

/// Opens the entry in a frame and compares it with the id the frame gives it.
fn open_as(envelope: &Envelope, key: &SecretKey, id: &str) -> Result<(), String> {
    // A payload that was redacted is proved by its digest alone.
    if envelope.payload.as_slice().is_empty() {
        return Ok(());
    }
    let entry = open_entry(envelope, key)?;
    match entry.unique_id() {
        Some(found) if found == id => Ok(()),
        found => Err(format!(
            "the frame says it is {id:?}, the entry in it {:?}",
            found.unwrap_or_default()
        )),
    }
}

/// An error and what caused it, in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}
