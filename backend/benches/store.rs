//! What the embedded engine costs, against the engines it was chosen over and against a raw log.
//!
//! `cargo bench -p mesh-backend --bench store` prints one table: durable appends of 1 KiB and 4 KiB, each
//! with one index record, from 64 writers whose appends are committed together. Every contender runs in
//! a process of its own, in the same run and on the same disk; only the ratios mean anything. Without
//! `--bench` each runs for a moment only, as a check that the bench works. `MESH_BENCH_DIR` names the
//! disk.

#![expect(clippy::disallowed_methods, reason = "a bench measures durations")]
#![expect(clippy::print_stdout, reason = "a bench prints its table")]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use fjall::{CompressionType, KvSeparationOptions, PersistMode};
use mesh_backend::store::{EmbeddedOptions, EmbeddedStore, Read, Store, Tx, TxOptions, limits};
use tokio::sync::{mpsc, oneshot};

const WRITERS: u64 = 64;
const ACCOUNTS: u64 = 10_000;
const INDEX_BYTES: usize = 200;
const CONTENDERS: [&str; 5] = ["raw", "store", "fjall+kv", "fjall", "redb"];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|word| word != "--bench")
        .collect();
    let is_bench = std::env::args().any(|word| word == "--bench");
    match arguments.first().map(String::as_str) {
        Some("measure") => measure(&arguments[1..]),
        Some("fill-accounts") => fill_accounts(Path::new(&arguments[1]), arguments[2].parse()?),
        Some("open-accounts") => open_accounts(Path::new(&arguments[1])),
        _ => compare(is_bench),
    }
}

/// What one contender showed.
#[derive(Clone, Copy, Debug, Default)]
struct Measured {
    appends_per_s: f64,
    p99_ms: f64,
    cpu_us: f64,
    written_per_octet: f64,
    resident_mib: f64,
    read_us: f64,
    reopen_ms: f64,
}

/// Rounds in which the contenders take turns; each keeps its folder from round to round.
const ROUNDS: usize = 3;

fn compare(is_bench: bool) -> Result<(), Box<dyn std::error::Error>> {
    let seconds = if is_bench { 1.0 } else { 0.05 };
    let parent = std::env::var_os("MESH_BENCH_DIR").map_or_else(std::env::temp_dir, PathBuf::from);
    for bytes in [1_024, 4_096] {
        println!(
            "\n{bytes} octets and an index record of {INDEX_BYTES}, {WRITERS} writers; medians of {ROUNDS} rounds"
        );
        println!(
            "contender   appends/raw  p99/raw  CPU us  CPU/raw  written/octet  RSS MiB  read us  reopen ms"
        );
        let folders: Vec<_> = CONTENDERS
            .iter()
            .map(|_| tempfile::tempdir_in(&parent))
            .collect::<Result<_, _>>()?;
        let mut rounds = Vec::new();
        for number in 0..ROUNDS {
            let mut round = Vec::new();
            for (contender, folder) in CONTENDERS.iter().zip(&folders) {
                round.push(run_measure(
                    contender,
                    bytes,
                    seconds,
                    number,
                    folder.path(),
                )?);
            }
            rounds.push(round);
        }
        for (place, contender) in CONTENDERS.iter().enumerate() {
            let median = |figure: &dyn Fn(&Measured, &Measured) -> f64| {
                let mut figures: Vec<f64> = rounds
                    .iter()
                    .map(|round| figure(&round[place], &round[0]))
                    .collect();
                figures.sort_by(f64::total_cmp);
                figures[ROUNDS / 2]
            };
            println!(
                "{contender:<10} {:>12.2} {:>8.2} {:>7.1} {:>8.2} {:>14.2} {:>8.0} {:>8.1} {:>10.0}",
                median(&|own, raw| own.appends_per_s / raw.appends_per_s),
                median(&|own, raw| own.p99_ms / raw.p99_ms),
                median(&|own, _| own.cpu_us),
                median(&|own, raw| own.cpu_us / raw.cpu_us),
                median(&|own, _| own.written_per_octet),
                median(&|own, _| own.resident_mib),
                median(&|own, _| own.read_us),
                median(&|own, _| own.reopen_ms),
            );
        }
    }
    let folder = tempfile::tempdir_in(&parent)?;
    let accounts = if is_bench { ACCOUNTS } else { 100 };
    say(child(&[
        "fill-accounts".as_ref(),
        folder.path().as_ref(),
        accounts.to_string().as_ref(),
    ])?);
    say(child(&["open-accounts".as_ref(), folder.path().as_ref()])?);
    Ok(())
}

fn say(text: String) {
    println!("{}", text.trim_end());
}

fn child(arguments: &[&std::ffi::OsStr]) -> Result<String, Box<dyn std::error::Error>> {
    let output = Command::new(std::env::current_exe()?)
        .args(arguments)
        .output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
    }
    Ok(String::from_utf8(output.stdout)?)
}

fn run_measure(
    contender: &str,
    bytes: usize,
    seconds: f64,
    round: usize,
    folder: &Path,
) -> Result<Measured, Box<dyn std::error::Error>> {
    let output = child(&[
        "measure".as_ref(),
        contender.as_ref(),
        bytes.to_string().as_ref(),
        seconds.to_string().as_ref(),
        round.to_string().as_ref(),
        folder.as_ref(),
    ])?;
    let numbers: Vec<f64> = output
        .split_whitespace()
        .map(str::parse)
        .collect::<Result<_, _>>()?;
    let [
        appends_per_s,
        p99_ms,
        cpu_us,
        written_per_octet,
        resident_mib,
        read_us,
        reopen_ms,
    ] = numbers
        .try_into()
        .map_err(|_| "seven numbers were expected")?;
    Ok(Measured {
        appends_per_s,
        p99_ms,
        cpu_us,
        written_per_octet,
        resident_mib,
        read_us,
        reopen_ms,
    })
}

/// Two rows that are to land together.
type Append = [(Vec<u8>, Vec<u8>); 2];

/// An engine under a committer of the same shape as the store's own.
trait Engine: Send {
    fn commit(&mut self, appends: &[Append]);
    fn read(&self, key: &[u8]) -> Option<usize>;
}

struct Raw(std::fs::File);

impl Engine for Raw {
    fn commit(&mut self, appends: &[Append]) {
        let mut octets = Vec::new();
        for (key, value) in appends.iter().flatten() {
            octets.extend_from_slice(key);
            octets.extend_from_slice(value);
        }
        self.0.write_all(&octets).expect("the log takes a group");
        self.0.sync_data().expect("the log syncs");
    }

    fn read(&self, _: &[u8]) -> Option<usize> {
        None
    }
}

struct Fjall(fjall::Database, fjall::Keyspace);

impl Fjall {
    fn open(folder: &Path, separation: bool) -> Self {
        let own = EmbeddedOptions::default();
        let database = fjall::Database::builder(folder)
            .cache_size(own.cache_bytes)
            .worker_threads(2)
            .manual_journal_persist(true)
            .journal_compression(CompressionType::None)
            .open()
            .expect("fjall opens");
        let separation = separation.then(|| {
            KvSeparationOptions::default()
                .separation_threshold(512)
                .compression(CompressionType::None)
        });
        let options = fjall::KeyspaceCreateOptions::default()
            .max_memtable_size(own.memtable_bytes)
            .manual_journal_persist(true)
            .with_kv_separation(separation);
        let rows = database
            .keyspace("rows", || options)
            .expect("fjall makes its tree");
        Self(database, rows)
    }
}

impl Engine for Fjall {
    fn commit(&mut self, appends: &[Append]) {
        let mut batch = self.0.batch().durability(Some(PersistMode::SyncData));
        for (key, value) in appends.iter().flatten() {
            batch.insert(&self.1, key.as_slice(), value.as_slice());
        }
        batch.commit().expect("fjall commits");
    }

    fn read(&self, key: &[u8]) -> Option<usize> {
        self.1
            .get(key)
            .expect("fjall reads")
            .map(|value| value.len())
    }
}

const REDB_ROWS: redb::TableDefinition<'_, &[u8], &[u8]> = redb::TableDefinition::new("rows");

struct Redb(redb::Database);

impl Redb {
    fn open(folder: &Path) -> Self {
        let database = redb::Builder::new()
            .set_cache_size(16 * 1_024 * 1_024)
            .create(folder.join("rows.redb"))
            .expect("redb opens");
        Self(database)
    }
}

impl Engine for Redb {
    fn commit(&mut self, appends: &[Append]) {
        let tx = self.0.begin_write().expect("redb begins");
        {
            let mut table = tx.open_table(REDB_ROWS).expect("redb opens its table");
            for (key, value) in appends.iter().flatten() {
                table
                    .insert(key.as_slice(), value.as_slice())
                    .expect("redb inserts");
            }
        }
        tx.commit().expect("redb commits");
    }

    fn read(&self, key: &[u8]) -> Option<usize> {
        use redb::ReadableDatabase;
        let tx = self.0.begin_read().expect("redb begins");
        let table = tx.open_table(REDB_ROWS).expect("redb opens its table");
        table
            .get(key)
            .expect("redb reads")
            .map(|value| value.value().len())
    }
}

/// What the writers append to.
#[derive(Clone)]
enum Target {
    Store(EmbeddedStore),
    Engine(mpsc::Sender<(Append, oneshot::Sender<()>)>),
}

impl Target {
    async fn append(&self, append: Append) {
        match self {
            Self::Store(store) => {
                let mut tx = store.begin(TxOptions::default());
                for (key, value) in append {
                    tx.set(&key, value);
                }
                tx.commit().await.expect("the store commits");
            }
            Self::Engine(queue) => {
                let (reply, answer) = oneshot::channel();
                queue
                    .send((append, reply))
                    .await
                    .expect("the committer runs");
                answer.await.expect("the committer answers");
            }
        }
    }
}

fn run_committer(
    mut engine: Box<dyn Engine>,
    mut queue: mpsc::Receiver<(Append, oneshot::Sender<()>)>,
) -> Box<dyn Engine> {
    let mut waiting = Vec::new();
    while queue.blocking_recv_many(&mut waiting, limits::GROUP_TXS_MAX) > 0 {
        let (appends, replies): (Vec<_>, Vec<_>) = waiting.drain(..).unzip();
        engine.commit(&appends);
        for reply in replies {
            let _ = reply.send(());
        }
    }
    engine
}

/// Octets that do not compress, from a fixed sequence.
struct Octets(u64);

impl Octets {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn take(&mut self, bytes: usize) -> Vec<u8> {
        let mut octets = Vec::with_capacity(bytes + 8);
        while octets.len() < bytes {
            octets.extend_from_slice(&self.next().to_le_bytes());
        }
        octets.truncate(bytes);
        octets
    }
}

/// The payload and the frame record at `index` of an account, as cluster §5 lays them out.
fn append_of(octets: &mut Octets, index: u64, bytes: usize) -> Append {
    let account = (octets.next() % ACCOUNTS).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let key = |kind: u8| {
        [
            &[0x20][..],
            &account.to_be_bytes(),
            &account.to_le_bytes(),
            &[kind],
            &index.to_be_bytes(),
        ]
        .concat()
    };
    [
        (key(b'b'), octets.take(bytes)),
        (key(b'f'), octets.take(INDEX_BYTES)),
    ]
}

fn measure(arguments: &[String]) -> Result<(), Box<dyn std::error::Error>> {
    let [contender, bytes, seconds, round, folder] = arguments else {
        return Err("five arguments".into());
    };
    let (bytes, seconds): (usize, f64) = (bytes.parse()?, seconds.parse()?);
    // Every round writes keys of its own.
    let round = 2 * round.parse::<u64>()?;
    let folder = Path::new(folder);
    let open_engine = || -> Box<dyn Engine> {
        match contender.as_str() {
            "raw" => Box::new(Raw(std::fs::OpenOptions::new()
                .create(true)
                .append(true)
                .open(folder.join("log"))
                .expect("the log opens"))),
            "redb" => Box::new(Redb::open(folder)),
            kind => Box::new(Fjall::open(folder, kind == "fjall+kv")),
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let is_store = contender == "store";
    let (target, committer) = if is_store {
        (
            Target::Store(EmbeddedStore::open(folder, EmbeddedOptions::default())?),
            None,
        )
    } else {
        let (queue, waiting) = mpsc::channel(limits::COMMIT_QUEUE_MAX);
        let engine = open_engine();
        (
            Target::Engine(queue),
            Some(std::thread::spawn(move || run_committer(engine, waiting))),
        )
    };
    // What is there before the measurement: enough for tables to be written and merged.
    let preload = Duration::from_secs_f64(seconds / 3.0);
    runtime.block_on(append_for(&target, bytes, preload, round + 1));
    let (cpu, written) = (cpu_us()?, written_bytes()?);
    let began = Instant::now();
    let mut appended = runtime.block_on(append_for(
        &target,
        bytes,
        Duration::from_secs_f64(seconds),
        round + 2,
    ));
    let elapsed = began.elapsed().as_secs_f64();
    let appends = appended.times.len() as f64;
    let cpu_us = (cpu_us()? - cpu) / appends;
    let written = (written_bytes()? - written) / (appends * (bytes + INDEX_BYTES) as f64);
    let resident = resident_mib()?;
    appended.times.sort_unstable();
    let p99 = appended.times[appended.times.len() * 99 / 100].as_secs_f64() * 1e3;

    let began;
    let read_us;
    let reopen;
    if let Target::Store(store) = target {
        read_us = time_reads(&appended.keys, |key| {
            let tx = store.begin(TxOptions::default());
            runtime
                .block_on(tx.get(key, Read::Snapshot))
                .expect("the store reads")
                .is_some()
        });
        drop(store);
        began = Instant::now();
        drop(EmbeddedStore::open(folder, EmbeddedOptions::default())?);
        reopen = began.elapsed();
    } else {
        drop(target);
        let engine = committer
            .map(|committer| committer.join().expect("the committer ends"))
            .ok_or("a committer")?;
        read_us = time_reads(&appended.keys, |key| engine.read(key).is_some());
        drop(engine);
        began = Instant::now();
        drop(open_engine());
        reopen = began.elapsed();
    }
    println!(
        "{} {p99} {cpu_us} {written} {resident} {read_us} {}",
        appends / elapsed,
        reopen.as_secs_f64() * 1e3
    );
    Ok(())
}

fn time_reads(keys: &[Vec<u8>], read: impl Fn(&[u8]) -> bool) -> f64 {
    let mut octets = Octets(9);
    let count = 5_000.min(keys.len());
    let began = Instant::now();
    let found = (0..count)
        .filter(|_| read(&keys[octets.next() as usize % keys.len()]))
        .count();
    let each = began.elapsed().as_secs_f64() * 1e6 / count as f64;
    // The raw log cannot read.
    if found == 0 { 0.0 } else { each }
}

#[derive(Default)]
struct Appended {
    times: Vec<Duration>,
    keys: Vec<Vec<u8>>,
}

async fn append_for(target: &Target, bytes: usize, long: Duration, round: u64) -> Appended {
    let began = Instant::now();
    let writers = (0..WRITERS).map(async |writer| {
        let mut octets = Octets(1 + writer + round * 1_000);
        let mut appended = Appended::default();
        while began.elapsed() < long {
            let index = (round << 32) | (writer << 24) | appended.times.len() as u64;
            let append = append_of(&mut octets, index, bytes);
            if appended.times.len() % 8 == 0 {
                appended.keys.push(append[0].0.clone());
            }
            let asked = Instant::now();
            target.append(append).await;
            appended.times.push(asked.elapsed());
        }
        appended
    });
    let mut all = Appended::default();
    for appended in futures_util::future::join_all(writers).await {
        all.times.extend(appended.times);
        all.keys.extend(appended.keys);
    }
    all
}

/// Accounts as they are after creation: directory, entry, tip, and three containers with a head, a
/// frame record and a payload each.
fn fill_accounts(folder: &Path, accounts: u64) -> Result<(), Box<dyn std::error::Error>> {
    let store = EmbeddedStore::open(folder, EmbeddedOptions::default())?;
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let mut octets = Octets(77);
    for first in (0..accounts).step_by(50) {
        let mut tx = store.begin(TxOptions::default());
        for number in first..(first + 50).min(accounts) {
            let account = octets.take(16);
            let key = |kind: &[u8]| [&[0x20, account[0], account[1]], &account[..], kind].concat();
            tx.set(
                format!("\u{10}example.com\0account{number}").as_bytes(),
                octets.take(30),
            );
            tx.set(&key(b"m"), octets.take(1_500));
            tx.set(&key(b"t"), octets.take(80));
            for container in 0..3_u8 {
                tx.set(&key(&[b'h', container]), octets.take(300));
                tx.set(&key(&[b'f', container, 0, 0, 0, 0]), octets.take(500));
                tx.set(&key(&[b'b', container, 0, 0, 0, 0]), octets.take(900));
            }
        }
        runtime.block_on(tx.commit())?;
    }
    let disk = store.disk_bytes()? as f64 / accounts as f64 / 1_024.0;
    drop(store);
    println!("\n{accounts} accounts at rest: {disk:.1} KiB of disk each");
    // The first opening moves what is left in the journal; the next is the ordinary one.
    Ok(())
}

fn open_accounts(folder: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let before = resident_mib()?;
    for attempt in ["after loading", "again"] {
        let began = Instant::now();
        let store = EmbeddedStore::open(folder, EmbeddedOptions::default())?;
        let took = began.elapsed().as_secs_f64() * 1e3;
        println!(
            "opened {attempt} in {took:.0} ms, {:.0} MiB resident ({before:.0} before)",
            resident_mib()?
        );
        drop(store);
    }
    Ok(())
}

/// User and system time of this process in microseconds.
fn cpu_us() -> Result<f64, Box<dyn std::error::Error>> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let fields: Vec<&str> = stat
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .collect();
    // Hundredths of a second, on every Linux we run on.
    Ok((fields[11].parse::<f64>()? + fields[12].parse::<f64>()?) * 10_000.0)
}

fn written_bytes() -> Result<f64, Box<dyn std::error::Error>> {
    field("/proc/self/io", "write_bytes:")
}

fn resident_mib() -> Result<f64, Box<dyn std::error::Error>> {
    Ok(field("/proc/self/status", "VmRSS:")? / 1_024.0)
}

fn field(path: &str, name: &str) -> Result<f64, Box<dyn std::error::Error>> {
    let text = std::fs::read_to_string(path)?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix(name))
        .ok_or("no such field")?;
    Ok(line.split_whitespace().next().ok_or("no number")?.parse()?)
}
