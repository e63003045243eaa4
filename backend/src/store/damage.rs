//! Which of the engine's files is damaged.
//!
//! fjall keeps each tree of rows in a folder `keyspaces/N`: tables in `tables/`, values kept apart in
//! `blobs/`, a manifest `vM` that lists both with their checksums, and `current`, which names the
//! manifest and its checksum. The engine checks what it reads block by block, but it neither checks
//! the manifest, so that a damaged one could make it forget tables, nor says which file was damaged.
//! [`check_manifests`] does the one before the engine is opened, [`find`] the other once it complains.

use std::fs::File;
use std::io::{BufRead, Read};
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::Xxh3;

use super::folder::io_error;
use super::{StoreError, Version};

/// Octets of `current`: the number of the manifest, its checksum, and the kind of checksum.
const CURRENT_BYTES: usize = 25;

/// What a manifest lists: each file with the checksum of its content.
pub(super) type Listed = Vec<(PathBuf, u128)>;

/// Checks that every manifest is what the engine wrote, and that the files it lists are there.
///
/// # Errors
/// [`StoreError::Corrupt`], naming the file.
pub(super) fn check_manifests(
    folder: &Path,
    engine: &Path,
    acknowledged: Version,
) -> Result<(), StoreError> {
    let attempt = |error| io_error(folder, "read its manifests", error);
    for tree in trees(&engine.join("keyspaces")).map_err(attempt)? {
        let corrupt = |file: PathBuf, detail: &str| {
            Err(StoreError::Corrupt {
                file,
                detail: detail.to_owned(),
            })
        };
        let current = tree.join("current");
        if !current.try_exists().map_err(attempt)? {
            // The engine removes a tree that it did not finish making. It must not remove ours.
            if acknowledged > Version::default() {
                return corrupt(current, "it is missing");
            }
            continue;
        }
        let Some((manifest, checksum)) = manifest(&tree).map_err(attempt)? else {
            return corrupt(current, "it does not name a manifest");
        };
        match checksum_of(&manifest) {
            Ok(found) if found == checksum => {}
            Ok(_) => {
                return corrupt(
                    manifest,
                    "its checksum is not the one that `current` beside it gives",
                );
            }
            Err(error) => {
                let detail = format!("`current` beside it names it, but: {error}");
                return corrupt(manifest, &detail);
            }
        }
        let Some(listed) = listed(&tree, &manifest) else {
            return corrupt(manifest, "it cannot be read");
        };
        for (file, _) in listed {
            if !file.try_exists().map_err(attempt)? {
                return corrupt(file, "it is missing");
            }
        }
    }
    Ok(())
}

/// The first damaged file below `keyspaces`, or that folder when every file is what it was. Reads
/// everything, so it is for a store that has already failed.
pub(super) fn find(keyspaces: &Path) -> PathBuf {
    for tree in trees(keyspaces).unwrap_or_default() {
        let Ok(Some((manifest, checksum))) = manifest(&tree) else {
            return tree.join("current");
        };
        if checksum_of(&manifest).ok() != Some(checksum) {
            return manifest;
        }
        let Some(listed) = listed(&tree, &manifest) else {
            return manifest;
        };
        for (file, checksum) in listed {
            if checksum_of(&file).ok() != Some(checksum) {
                return file;
            }
        }
    }
    keyspaces.to_owned()
}

fn trees(keyspaces: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut trees = Vec::new();
    if keyspaces.try_exists()? {
        for entry in std::fs::read_dir(keyspaces)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                trees.push(entry.path());
            }
        }
    }
    trees.sort();
    Ok(trees)
}

/// The manifest that `current` names, and its checksum.
pub(super) fn manifest(tree: &Path) -> std::io::Result<Option<(PathBuf, u128)>> {
    let current = std::fs::read(tree.join("current"))?;
    let Ok::<[u8; CURRENT_BYTES], _>(current) = current.try_into() else {
        return Ok(None);
    };
    let (number, rest) = current.split_at(8);
    let number = le(number);
    Ok(Some((tree.join(format!("v{number}")), le(&rest[..16]))))
}

/// The tables and value files of a manifest.
pub(super) fn listed(tree: &Path, manifest: &Path) -> Option<Listed> {
    let archive = sfa::Reader::new(manifest).ok()?;
    let mut listed = Listed::new();
    let mut section = archive
        .toc()
        .section(b"tables")?
        .buf_reader(manifest)
        .ok()?;
    for _ in 0..number(&mut section, 1)? {
        for _ in 0..number(&mut section, 1)? {
            for _ in 0..number(&mut section, 4)? {
                listed.push(entry(&mut section, &tree.join("tables"))?);
                number(&mut section, 8)?;
            }
        }
    }
    let mut section = archive
        .toc()
        .section(b"blob_files")?
        .buf_reader(manifest)
        .ok()?;
    for _ in 0..number(&mut section, 4)? {
        listed.push(entry(&mut section, &tree.join("blobs"))?);
    }
    Some(listed)
}

/// One file: its number, the kind of checksum, the checksum.
fn entry(section: &mut impl BufRead, folder: &Path) -> Option<(PathBuf, u128)> {
    let name = number(section, 8)?;
    number(section, 1)?;
    Some((folder.join(name.to_string()), number(section, 16)?))
}

fn number(section: &mut impl BufRead, bytes: usize) -> Option<u128> {
    let mut octets = [0; 16];
    section.read_exact(&mut octets[..bytes]).ok()?;
    Some(le(&octets[..bytes]))
}

fn le(octets: &[u8]) -> u128 {
    octets
        .iter()
        .rev()
        .fold(0, |number, octet| number << 8 | u128::from(*octet))
}

fn checksum_of(path: &Path) -> std::io::Result<u128> {
    let mut file = File::open(path)?;
    let mut checksum = Xxh3::new();
    let mut chunk = vec![0; 1 << 16];
    loop {
        match file.read(&mut chunk)? {
            0 => return Ok(checksum.digest128()),
            read => checksum.update(&chunk[..read]),
        }
    }
}
