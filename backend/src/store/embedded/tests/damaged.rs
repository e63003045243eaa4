//! Torn and damaged files: a store is recovered to its last acknowledged commit, or refused with the
//! name of the file. It never serves what was not written, and never less than was acknowledged.

use std::fs;
use std::os::unix::fs::FileExt;

use super::*;

const COMMITS: u8 = 12;

fn value(number: u8) -> Vec<u8> {
    vec![number; 80 * usize::from(number)]
}

/// The rows of the first `commits` commits.
fn assert_holds(rows: &[Row], commits: u8) {
    assert_eq!(rows.len(), usize::from(commits));
    for (number, row) in rows.iter().enumerate() {
        assert_eq!(row.key, vec![b'k', number as u8]);
        assert_eq!(row.value, value(number as u8));
    }
}

/// A store with twelve commits in its journal, as `kill -9` would leave it, and the length of the
/// journal after each commit.
async fn killed() -> (tempfile::TempDir, Vec<u64>) {
    let folder = tempfile::tempdir().unwrap();
    // The first life leaves the space of the journal that is taken in advance, the second cuts it.
    drop(open(folder.path()));
    let store = open(folder.path());
    let journal = folder.path().join("engine/0.jnl");
    let mut ends = Vec::new();
    for number in 0..COMMITS {
        let mut tx = store.begin(TxOptions::default());
        tx.set(&[b'k', number], value(number));
        tx.commit().await.unwrap();
        ends.push(fs::metadata(&journal).unwrap().len());
    }
    let copy = copied(folder.path());
    drop(store);
    (copy, ends)
}

fn copied(folder: &Path) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    copy_into(folder, copy.path());
    copy
}

fn copy_into(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_into(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

fn edit(file: &Path) -> fs::File {
    fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open(file)
        .unwrap()
}

fn flip(file: &Path, bit: u64) {
    let file = edit(file);
    let mut octet = [0];
    file.read_exact_at(&mut octet, bit / 8).unwrap();
    octet[0] ^= 1 << (bit % 8);
    file.write_all_at(&octet, bit / 8).unwrap();
}

/// Takes back the note that the last commit was acknowledged.
fn forget_last(folder: &Path) {
    let (note, version) = Acknowledged::open(&Folder::open(folder).unwrap()).unwrap();
    note.note(Version(version.0 - 1)).unwrap();
}

fn journal(folder: &Path) -> PathBuf {
    folder.join("engine/0.jnl")
}

fn assert_names(error: &StoreError, expected: &Path) {
    match error {
        StoreError::Corrupt { file, .. } => assert_eq!(file, expected),
        other => panic!("expected damage of {}, found {other}", expected.display()),
    }
    assert!(error.to_string().contains(&expected.display().to_string()));
    assert!(error.remedy().unwrap().contains("restore"));
}

/// Numbers of a fixed sequence.
fn sampled(count: usize, below: u64) -> impl Iterator<Item = u64> {
    let mut state = 0x1234_5678_9abc_def1_u64;
    std::iter::repeat_with(move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % below
    })
    .take(count)
}

#[tokio::test]
async fn a_store_that_was_killed_holds_every_commit() {
    let (folder, ends) = killed().await;
    assert!(ends.is_sorted());
    assert_holds(&everything(&open(folder.path())).await.rows, COMMITS);
}

#[tokio::test]
async fn whatever_was_begun_behind_the_last_commit_is_cut() {
    let (folder, ends) = killed().await;
    let whole = fs::read(journal(folder.path())).unwrap();
    let last = whole[ends[10] as usize..].to_vec();
    let tails = [
        vec![0; 5_000],
        vec![0xff; 5_000],
        vec![1],
        vec![3; 400],
        last[..1].to_vec(),
        last[..last.len() / 2].to_vec(),
        last[..last.len() - 1].to_vec(),
        (0..3_000_000_u32)
            .map(|number| (number.wrapping_mul(number) >> 7) as u8)
            .collect(),
    ];
    for tail in tails {
        let image = copied(folder.path());
        fs::write(journal(image.path()), [whole.as_slice(), &tail].concat()).unwrap();
        let store = open(image.path());
        assert_holds(&everything(&store).await.rows, COMMITS);
        // What is written next stands where the tail was cut.
        put(&store, b"next", b"1").await;
        drop(store);
        assert_eq!(get(&open(image.path()), b"next").await.unwrap(), "1");
    }
}

#[tokio::test]
async fn a_commit_that_was_torn_before_it_was_acknowledged_is_not_there() {
    let (folder, ends) = killed().await;
    forget_last(folder.path());
    for place in sampled(15, ends[11] - ends[10]) {
        let image = copied(folder.path());
        edit(&journal(image.path()))
            .set_len(ends[10] + place)
            .unwrap();
        assert_holds(&everything(&open(image.path())).await.rows, COMMITS - 1);
    }
}

#[tokio::test]
async fn a_commit_that_was_acknowledged_and_is_torn_is_damage() {
    let (folder, ends) = killed().await;
    for place in sampled(15, ends[11]) {
        let image = copied(folder.path());
        edit(&journal(image.path())).set_len(place).unwrap();
        let before = fs::read(journal(image.path())).unwrap();
        assert_names(&refusal(image.path()), &journal(image.path()));
        if place >= ends[0] {
            assert_eq!(
                fs::read(journal(image.path())).unwrap(),
                before,
                "what is left is kept"
            );
        }
    }
}

#[tokio::test]
async fn a_flipped_bit_in_the_journal_is_found_or_harmless() {
    let (folder, ends) = killed().await;
    let mut refused = 0;
    for bit in sampled(120, ends[11] * 8) {
        let image = copied(folder.path());
        flip(&journal(image.path()), bit);
        match EmbeddedStore::open(image.path(), EmbeddedOptions::default()) {
            Ok(store) => assert_holds(&everything(&store).await.rows, COMMITS),
            Err(error) => {
                assert_names(&error, &journal(image.path()));
                refused += 1;
            }
        }
    }
    assert!(refused > 110, "{refused} of 120");
}

#[tokio::test]
async fn a_damaged_commit_before_others_is_found_without_the_note() {
    let (folder, ends) = killed().await;
    fs::remove_file(folder.path().join("acknowledged")).unwrap();
    for bit in sampled(40, (ends[10] - ends[1]) * 8) {
        let image = copied(folder.path());
        flip(&journal(image.path()), ends[1] * 8 + bit);
        match EmbeddedStore::open(image.path(), EmbeddedOptions::default()) {
            Ok(store) => assert_holds(&everything(&store).await.rows, COMMITS),
            Err(error) => assert_names(&error, &journal(image.path())),
        }
    }
}

#[tokio::test]
async fn a_missing_journal_is_damage() {
    let (folder, _) = killed().await;
    fs::remove_file(journal(folder.path())).unwrap();
    let error = refusal(folder.path());
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
}

#[tokio::test]
async fn a_damaged_note_counts_as_none() {
    let (folder, _) = killed().await;
    flip(&folder.path().join("acknowledged"), 13);
    assert_holds(&everything(&open(folder.path())).await.rows, COMMITS);
}

/// A store whose rows are in a table and in a value file.
async fn written_out() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    for number in 0..COMMITS {
        let mut tx = store.begin(TxOptions::default());
        tx.set(&[b'k', number], value(number));
        tx.commit().await.unwrap();
    }
    store.write_tables();
    drop(store);
    // Opened once more, so that the journal is short.
    drop(open(folder.path()));
    folder
}

/// Every file in use of the engine's tree of rows. Some that are not may still lie beside them.
fn tree_files(folder: &Path) -> Vec<PathBuf> {
    let tree = folder.join("engine/keyspaces/1");
    let (manifest, _) = damage::manifest(&tree).unwrap().unwrap();
    let listed = damage::listed(&tree, &manifest).unwrap();
    let mut files = vec![tree.join("current"), manifest];
    files.extend(listed.into_iter().map(|(file, _)| file));
    files
}

/// Reads everything from a store of which `file` was damaged.
async fn read_damaged(folder: &Path, file: &Path) -> bool {
    let store = match EmbeddedStore::open(folder, EmbeddedOptions::default()) {
        Ok(store) => store,
        // Of a manifest and the file that points to it, which disagree, either may be the damaged one.
        Err(StoreError::Corrupt {
            file: named,
            detail,
        }) if file.ends_with("current") && detail.contains("current") => {
            assert_eq!(named.parent(), file.parent());
            return true;
        }
        Err(error) => {
            assert_names(&error, file);
            return true;
        }
    };
    let tx = store.begin(TxOptions::default());
    for number in 0..COMMITS {
        match tx.get(&[b'k', number], Read::Snapshot).await {
            Ok(found) => assert_eq!(found.unwrap(), value(number)),
            Err(error) => {
                assert_names(&error, file);
                return true;
            }
        }
    }
    match tx
        .range(
            &KeyRange::all(),
            Limit::default(),
            Order::Forward,
            Read::Snapshot,
        )
        .await
    {
        Ok(page) => assert_holds(&page.rows, COMMITS),
        Err(error) => {
            assert_names(&error, file);
            return true;
        }
    }
    false
}

#[tokio::test]
async fn a_flipped_bit_in_a_table_is_found_or_harmless() {
    let folder = written_out().await;
    let names: Vec<PathBuf> = tree_files(folder.path())
        .iter()
        .map(|path| path.strip_prefix(folder.path()).unwrap().to_owned())
        .collect();
    assert!(
        names
            .iter()
            .any(|name| name.to_string_lossy().contains("tables/"))
    );
    assert!(
        names
            .iter()
            .any(|name| name.to_string_lossy().contains("blobs/"))
    );
    for name in names {
        let length = fs::metadata(folder.path().join(&name)).unwrap().len();
        let mut found = 0;
        for bit in sampled(25, length * 8) {
            let image = copied(folder.path());
            flip(&image.path().join(&name), bit);
            found += u32::from(read_damaged(image.path(), &image.path().join(&name)).await);
        }
        assert!(found > 0, "no damage of {} was found", name.display());
    }
}

#[tokio::test]
async fn a_missing_file_is_named() {
    let folder = written_out().await;
    for path in tree_files(folder.path()) {
        let image = copied(folder.path());
        let missing = image.path().join(path.strip_prefix(folder.path()).unwrap());
        fs::remove_file(&missing).unwrap();
        assert_names(&refusal(image.path()), &missing);
    }
    let image = copied(folder.path());
    fs::remove_file(image.path().join("engine/version")).unwrap();
    assert_names(&refusal(image.path()), &image.path().join("engine/version"));
}
