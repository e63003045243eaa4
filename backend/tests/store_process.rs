//! The embedded store in a process of its own: killed, out of disk, without permission.
//!
//! The tests start this very binary again with only [`child`] in it and a role in its environment, talk
//! to it over its output, and look at what it left behind. `MESH_KILL_ROUNDS` asks for a longer run.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test stops where it fails"
)]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use mesh_backend::store::{
    CommitError, EmbeddedOptions, EmbeddedStore, KeyRange, Limit, Order, Read, Row, Store,
    StoreError, Tx, TxOptions,
};

/// Transactions the child has in flight at once.
const WRITERS: u64 = 8;

/// Small tables, so that they are written and merged while the process is killed.
fn options() -> EmbeddedOptions {
    EmbeddedOptions {
        memtable_bytes: 128 * 1_024,
        ..EmbeddedOptions::default()
    }
}

/// The value of batch `number` of `writer`: up to 6,000 octets that no other batch has.
fn value(writer: u64, number: u64) -> Vec<u8> {
    let seed = writer * 1_000_003 + number;
    let length = 16 + seed * 7_919 % 6_000;
    (0..length)
        .map(|place| (seed.wrapping_mul(31) + place * 17 % 251) as u8)
        .collect()
}

fn key(writer: u64, number: u64) -> Vec<u8> {
    [b"w", &writer.to_be_bytes()[..], &number.to_be_bytes()[..]].concat()
}

/// Commits batch `number`: the value under its key, and a line in the log under a stamp.
async fn append(store: &EmbeddedStore, writer: u64, number: u64) -> Result<(), CommitError> {
    let mut tx = store.begin(TxOptions::default());
    tx.set(&key(writer, number), value(writer, number));
    tx.set_stamped_key(b"log/", b"", key(writer, number));
    tx.commit().await.map(|_| ())
}

async fn rows(store: &EmbeddedStore, prefix: &[u8]) -> Vec<Row> {
    let tx = store.begin(TxOptions::default());
    let (mut rows, mut rest) = (Vec::new(), Some(KeyRange::prefix(prefix)));
    while let Some(range) = rest {
        let page = tx
            .range(&range, Limit::default(), Order::Forward, Read::Snapshot)
            .await
            .unwrap();
        rest = page.rest(&range, Order::Forward);
        rows.extend(page.rows);
    }
    rows
}

/// How many batches of each writer the store holds. Checks that they are whole, dense, and logged
/// exactly once each, in their order.
async fn batches(store: &EmbeddedStore) -> BTreeMap<u64, u64> {
    let mut counts = BTreeMap::new();
    for row in rows(store, b"w").await {
        let writer = u64::from_be_bytes(row.key[1..9].try_into().unwrap());
        let count = counts.entry(writer).or_insert(0);
        assert_eq!(
            row.key,
            key(writer, *count),
            "the batches of a writer are dense"
        );
        assert_eq!(
            row.value,
            value(writer, *count),
            "the batch is what was written"
        );
        *count += 1;
    }
    let mut logged = BTreeMap::new();
    for row in rows(store, b"log/").await {
        let writer = u64::from_be_bytes(row.value[1..9].try_into().unwrap());
        let count = logged.entry(writer).or_insert(0);
        assert_eq!(
            row.value,
            key(writer, *count),
            "each batch is logged once, in order"
        );
        *count += 1;
    }
    assert_eq!(
        counts, logged,
        "both parts of a batch are there, or neither"
    );
    counts
}

/// Starts this binary as a child with a role.
fn start(command: &mut Command, role: &str, folder: &Path) -> Child {
    command
        .args([
            "--exact",
            "child",
            "--ignored",
            "--nocapture",
            "--test-threads=1",
        ])
        .env("MESH_STORE_ROLE", role)
        .env("MESH_STORE_FOLDER", folder)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

fn this_binary() -> std::path::PathBuf {
    std::env::current_exe().unwrap()
}

/// What the child says: the lines that begin with a mark, which the test runner's own do not.
fn said(child: &mut Child) -> impl Iterator<Item = String> + use<> {
    let output = BufReader::new(child.stdout.take().unwrap());
    output.lines().filter_map(|line| {
        let line = line.ok()?;
        line.split_once("> ").map(|(_, said)| said.to_owned())
    })
}

/// The other process. What it says is behind "> ", one line at a time.
#[test]
#[ignore = "started by the tests beside it as a process of its own"]
fn child() {
    let role =
        std::env::var("MESH_STORE_ROLE").expect("a role is given by the test that starts it");
    let folder = std::env::var("MESH_STORE_FOLDER").expect("a folder is given with the role");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(async {
        match role.as_str() {
            "append" => append_until_killed(Path::new(&folder)).await,
            "fill" => append_until_full(Path::new(&folder)).await,
            "open" => match EmbeddedStore::open(&folder, options()) {
                Ok(_) => println!("> opened"),
                Err(error) => println!("> {error}; try: {}", error.remedy().unwrap_or_default()),
            },
            other => panic!("no role {other}"),
        }
    });
}

async fn append_until_killed(folder: &Path) {
    let store = EmbeddedStore::open(folder, options()).unwrap();
    let counts = batches(&store).await;
    let writers = (0..WRITERS).map(async |writer| {
        let mut number = counts.get(&writer).copied().unwrap_or_default();
        loop {
            append(&store, writer, number).await.unwrap();
            println!("> {writer} {number}");
            number += 1;
        }
    });
    futures_util::future::join_all(writers).await;
}

async fn append_until_full(folder: &Path) {
    let store = EmbeddedStore::open(folder, options()).unwrap();
    let mut number = batches(&store).await.get(&0).copied().unwrap_or_default();
    let error = loop {
        match append(&store, 0, number).await {
            Ok(()) => println!("> 0 {number}"),
            Err(error) => break error,
        }
        number += 1;
    };
    let CommitError::Fatal(cause) = error else {
        panic!("expected Fatal, found {error}")
    };
    println!("> {cause}; try: {}", cause.remedy().unwrap_or_default());
    let again = append(&store, 1, 0).await;
    println!(
        "> again: {}",
        matches!(again, Err(CommitError::Fatal(StoreError::DiskFull { .. })))
    );
    println!("> rows: {}", rows(&store, b"w").await.len());
}

fn acknowledged(line: &str) -> Option<(u64, u64)> {
    let (writer, number) = line.split_once(' ')?;
    Some((writer.parse().ok()?, number.parse().ok()?))
}

#[tokio::test]
async fn every_acknowledged_batch_outlives_a_kill_and_none_is_there_twice() {
    let rounds: u64 = std::env::var("MESH_KILL_ROUNDS")
        .ok()
        .and_then(|rounds| rounds.parse().ok())
        .unwrap_or(20);
    let mut folder = tempfile::tempdir().unwrap();
    let mut last = BTreeMap::new();
    let mut total = 0;
    for round in 0..rounds {
        // Every round reads all of it, so a long run begins anew now and then.
        if round > 0 && round % 10 == 0 {
            folder = tempfile::tempdir().unwrap();
            last.clear();
        }
        let mut child = start(&mut Command::new(this_binary()), "append", folder.path());
        let mut lines = said(&mut child);
        // A random moment: after so many acknowledgements, wherever the committer is by then.
        let moment = 1 + ((round * 2_654_435_761) >> 7) % 300;
        let mut told: Vec<(u64, u64)> = Vec::new();
        while told.len() < moment as usize {
            told.push(
                acknowledged(&lines.next().expect("the child runs until it is killed")).unwrap(),
            );
        }
        child.kill().unwrap();
        // The last line may have been cut in the middle of a number.
        told.extend(lines.filter_map(|line| acknowledged(&line)));
        assert_eq!(child.wait().unwrap().signal(), Some(9));
        let store = opened(folder.path(), options());
        let counts = batches(&store).await;
        for (writer, number) in told {
            assert!(
                counts[&writer] > number,
                "round {round}: batch {number} of {writer} is lost"
            );
            total += 1;
        }
        for (writer, count) in &last {
            assert!(
                counts[writer] >= *count,
                "round {round}: batches of earlier rounds are kept"
            );
        }
        last = counts;
    }
    assert!(total >= rounds);
}

/// Opens the store. A program that another test is just starting shares the folder's lock until it is
/// itself: then a moment later.
fn opened(folder: &Path, options: EmbeddedOptions) -> EmbeddedStore {
    loop {
        match EmbeddedStore::open(folder, options) {
            Err(StoreError::InUse { .. }) => std::thread::yield_now(),
            opened => return opened.unwrap(),
        }
    }
}

#[tokio::test]
async fn a_full_disk_stops_writes_with_a_sentence_and_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    // Opened twice: the journal no longer takes its space in advance.
    for _ in 0..2 {
        drop(opened(folder.path(), EmbeddedOptions::default()));
    }
    // No file may grow beyond 96 units of 512 octets; the signal for it is ignored, so that writes
    // fail as they do on a full disk.
    let mut shell = Command::new("sh");
    shell
        .args(["-c", "trap '' XFSZ; ulimit -f 96; exec \"$0\" \"$@\""])
        .arg(this_binary());
    let mut child = start(&mut shell, "fill", folder.path());
    let said: Vec<String> = said(&mut child).collect();
    assert!(child.wait().unwrap().success(), "{said:?}");
    let told = said.iter().filter_map(|line| acknowledged(line)).count() as u64;
    assert!(told > 0, "{said:?}");
    let path = folder.path().display();
    let expected = format!(
        "the disk holding {path} is full; nothing acknowledged was lost; \
         try: free space or move {path} to a larger disk, then start again"
    );
    assert!(said.contains(&expected), "{said:?}");
    assert!(said.contains(&"again: true".to_owned()), "{said:?}");
    assert!(said.contains(&format!("rows: {told}")), "{said:?}");

    let store = opened(folder.path(), EmbeddedOptions::default());
    let found = batches(&store).await[&0];
    // The batch that failed may have reached the disk in the end; no other.
    assert!(found == told || found == told + 1, "{found} of {told}");
    append(&store, 1, 0).await.unwrap();
}

#[test]
fn an_unwritable_folder_is_refused_with_a_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let set_mode = |path: &Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    let closed = folder.path().join("closed");
    std::fs::create_dir(&closed).unwrap();
    let binary = folder.path().join("binary");
    std::fs::copy(this_binary(), &binary).unwrap();
    set_mode(&binary, 0o755);
    set_mode(&closed, 0o555);
    set_mode(folder.path(), 0o755);
    let mut command = Command::new(&binary);
    let is_root = std::fs::metadata("/proc/self").map(|own| {
        use std::os::unix::fs::MetadataExt;
        own.uid() == 0
    });
    if is_root.unwrap() {
        // Permissions do not bind root.
        command.uid(65_534).gid(65_534);
    }
    let mut child = start(&mut command, "open", &closed);
    let said: Vec<String> = said(&mut child).collect();
    assert!(child.wait().unwrap().success());
    let path = closed.display();
    let expected = format!(
        "the store folder {path} cannot be written; try: give the user of this process write \
         permission on {path} and all in it, or name another folder"
    );
    assert_eq!(said, [expected]);
}

#[test]
fn a_folder_in_use_by_another_process_is_refused_with_a_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let store = opened(folder.path(), options());
    let mut child = start(&mut Command::new(this_binary()), "open", folder.path());
    let told: Vec<String> = said(&mut child).collect();
    assert!(child.wait().unwrap().success());
    let path = folder.path().display();
    let expected = format!(
        "the store folder {path} is in use by another process; \
         try: stop the other process, or name another folder than {path}"
    );
    assert_eq!(told, [expected]);
    drop(store);
    let mut child = start(&mut Command::new(this_binary()), "open", folder.path());
    assert_eq!(said(&mut child).collect::<Vec<_>>(), ["opened"]);
    assert!(child.wait().unwrap().success());
}
