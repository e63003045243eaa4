//! The main job: one device, real files, encrypted, uploaded, verified and read back.

use std::path::{Path, PathBuf};
use std::time::Duration;

use memchr::memmem;
use mesh_client::Client;
use mesh_client::changes::Decisions;
use mesh_client::entries::EntryKind;
use mesh_client::home::Home;
use mesh_client::state::State;
use mesh_client::sync::SyncReport;
use mesh_client::transport::{Https, Transport};
use mesh_client::verify::verify_export;
use mesh_common::catalog::entry::CatalogEntry;
use mesh_common::encoding::json;
use mesh_common::protocol::{Code, Response};

use super::DemoError;
use super::checks::{agreed, apexes, check, sound};
use super::people::ALICE;
use super::stage::Site;
use super::transcript::{Transcript, digest};

/// Files as other programs export them.
const FILES: [(&str, &[u8]); 5] = [
    (
        "contacts.vcf",
        include_bytes!("../../demo-data/contacts.vcf"),
    ),
    (
        "calendar.ics",
        include_bytes!("../../demo-data/calendar.ics"),
    ),
    (
        "bookmarks.html",
        include_bytes!("../../demo-data/bookmarks.html"),
    ),
    (
        "passwords.csv",
        include_bytes!("../../demo-data/passwords.csv"),
    ),
    (
        "passwords-bitwarden.csv",
        include_bytes!("../../demo-data/passwords-bitwarden.csv"),
    ),
];

/// Shorter secrets could stand in a file by accident.
const MARKER_BYTES_MIN: usize = 10;
/// How long the second device's folder is waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// From an empty service to a device that lost its files and has them back.
pub(super) async fn play(
    site: &mut Site,
    transcript: &mut Transcript,
) -> Result<Client, DemoError> {
    strangers_are_refused(site, transcript).await?;
    let mut alice = site.device("alice")?;
    create_account(site, &mut alice, transcript).await?;
    import_files(&mut alice, transcript)?;
    upload(&mut alice, transcript).await?;
    nothing_is_readable(site, &mut alice, transcript)?;
    let mut replica = read_back(site, &mut alice, transcript).await?;
    both_write(&mut alice, &mut replica, transcript).await?;
    restart(site, &mut alice, transcript).await?;
    export(site, &mut alice, transcript)?;
    Ok(alice)
}

async fn strangers_are_refused(site: &Site, transcript: &mut Transcript) -> Result<(), DemoError> {
    transcript.step("a stranger asks without authentication");
    let https =
        Https::trusting(site.authorities()?.as_deref()).map_err(mesh_client::ClientError::from)?;
    for (name, request, expected) in [
        ("Hello", r#"{"Hello":{}}"#, Code::Ok),
        (
            "Status",
            r#"{"Status":{"Account":"alice@north.test"}}"#,
            Code::AuthenticationRequired,
        ),
    ] {
        let reply = https
            .post(&site.url(), request.into())
            .await
            .map_err(mesh_client::ClientError::from)?;
        let response: Response = json::parse(&reply.body)
            .map_err(|error| DemoError::Wrong(format!("an unreadable answer: {error}")))?;
        let status = response.outcome().status.unwrap_or_default();
        check(response.outcome().code() == Some(expected), || {
            format!("{request} was answered with {status}")
        })?;
        transcript.show(name, format!("{request} is answered {status}"));
    }
    transcript.held("Hello is answered, everything else is 401");
    transcript.done();
    Ok(())
}

async fn create_account(
    site: &Site,
    alice: &mut Client,
    transcript: &mut Transcript,
) -> Result<(), DemoError> {
    transcript.step("a device makes its keys and an account");
    let new = site.new_account(ALICE, "demo laptop")?;
    let report = alice.create_account(&new).await?;
    let facts = alice.account_facts()?;
    transcript.show("account", &facts.address);
    transcript.show("mesh", &facts.mesh_udf);
    transcript.show("device", &facts.device_udf);
    let pinned = facts.service_udf.as_deref();
    let named = site.service_udf();
    check(facts.ready && pinned == named.as_deref(), || {
        "the account is not ready at the service that was pinned".into()
    })?;
    transcript.held(format!(
        "{} containers at the service, whose identity is pinned",
        report.containers.len()
    ));
    transcript.done();
    Ok(())
}

/// Looks for every password in every file of the store.
fn nothing_is_readable(
    site: &Site,
    alice: &mut Client,
    transcript: &mut Transcript,
) -> Result<(), DemoError> {
    transcript.step("the service's files are searched for what the device encrypted");
    let secrets: Vec<String> = alice
        .list(EntryKind::Password)?
        .entries
        .into_iter()
        .filter_map(|listed| match listed.entry {
            CatalogEntry::CatalogedCredential(entry) => entry.password,
            _ => None,
        })
        .map(|secret| secret.reveal().to_owned())
        .filter(|secret| secret.len() >= MARKER_BYTES_MIN)
        .collect();
    let (mut files, mut octets, mut found) = (0_u64, 0, 0);
    for path in files_below(&site.config.data_dir)? {
        let content = std::fs::read(&path)?;
        files += 1;
        octets += content.len();
        found += secrets
            .iter()
            .filter(|secret| memmem::find(&content, secret.as_bytes()).is_some())
            .count();
    }
    check(found == 0 && !secrets.is_empty(), || {
        format!(
            "{found} of {} passwords are readable at the service",
            secrets.len()
        )
    })?;
    transcript.show("searched", format!("{files} files, {octets} octets"));
    transcript.held(format!("none of {} passwords is there", secrets.len()));
    transcript.done();
    Ok(())
}

/// A second folder with the device's keys and nothing else: everything comes from the service.
async fn read_back(
    site: &Site,
    alice: &mut Client,
    transcript: &mut Transcript,
) -> Result<Client, DemoError> {
    transcript.step("the device loses its files, keeps its keys, and reads everything back");
    let folder = site.folder.join("alice-restored");
    std::fs::create_dir_all(&folder)?;
    for name in ["keys.json", "account.json"] {
        std::fs::copy(alice.folder().join(name), folder.join(name))?;
    }
    forget_replicas(&folder)?;
    let mut restored = Client::open(&folder)?;
    let report = restored.sync(None).await?;
    let downloaded: u64 = report.containers.iter().map(|row| row.downloaded).sum();
    transcript.show("downloaded", format!("{downloaded} frames"));
    let verified = sound(restored.verify()?)?;
    transcript.held(format!(
        "{} digests recomputed, {} signatures verified",
        verified
            .containers
            .iter()
            .map(|row| row.frames)
            .sum::<u64>(),
        verified
            .containers
            .iter()
            .map(|row| row.signatures)
            .sum::<u64>(),
    ));
    let mut entries = 0;
    for kind in EntryKind::ALL {
        let (here, there) = (alice.list(kind)?.entries, restored.list(kind)?.entries);
        check(here == there, || {
            format!("the {} entries differ", kind.word())
        })?;
        entries += here.len();
    }
    transcript.held(format!(
        "{entries} entries decrypted, all equal to what was imported"
    ));
    transcript.done();
    Ok(restored)
}

async fn restart(
    site: &mut Site,
    alice: &mut Client,
    transcript: &mut Transcript,
) -> Result<(), DemoError> {
    transcript.step("the service stops and starts again on the same store");
    let before = alice.account_status().await?;
    site.restart().await?;
    let after = alice.account_status().await?;
    check(before == after, || {
        "the containers are not what they were".into()
    })?;
    agreed(&after)?;
    transcript.held(format!(
        "{} containers as they were, the ticket still good",
        after.containers.len()
    ));
    transcript.done();
    Ok(())
}

fn export(site: &Site, alice: &mut Client, transcript: &mut Transcript) -> Result<(), DemoError> {
    transcript.step("everything is exported, verified without keys, and damaged");
    let folder = site.folder.join("export");
    let report = alice.export(&folder)?;
    let octets: u64 = report.containers.iter().map(|row| row.bytes).sum();
    transcript.show(
        "exported",
        format!("{} files, {octets} octets", report.containers.len()),
    );
    sound(verify_export(&folder)?)?;
    transcript.held("every digest of the export recomputes to the manifest's apex");
    let largest = report.containers.iter().max_by_key(|row| row.bytes);
    let largest = largest.ok_or_else(|| DemoError::Wrong("the export is empty".into()))?;
    let path = folder.join(&largest.file);
    let mut damaged = std::fs::read(&path)?;
    let middle = damaged.len() / 2;
    damaged[middle] ^= 1;
    std::fs::write(&path, damaged)?;
    let problems = verify_export(&folder)?.problems;
    check(!problems.is_empty(), || {
        "a flipped bit went unnoticed".into()
    })?;
    transcript.held(format!("one flipped bit in {} is found", largest.file));
    transcript.done();
    Ok(())
}
fn import_files(alice: &mut Client, transcript: &mut Transcript) -> Result<(), DemoError> {
    transcript.step("files of other programs are imported and encrypted on the device");
    for (name, octets) in FILES {
        let imported = alice.import(name, octets, None, false)?;
        let added: Vec<String> = imported
            .kinds
            .iter()
            .map(|row| format!("{} {}", row.added, row.kind.word()))
            .collect();
        let verbatim: usize = imported.kept_verbatim.iter().map(|tally| tally.count).sum();
        check(imported.skipped.is_empty(), || {
            format!("{name}: records were skipped")
        })?;
        transcript.show(
            name,
            format!("{} ({verbatim} details kept verbatim)", added.join(", ")),
        );
    }
    let again = alice.import(FILES[0].0, FILES[0].1, None, true)?;
    check(
        again.kinds.iter().all(|row| row.added + row.updated == 0),
        || "a second import would change something".into(),
    )?;
    transcript.held("nothing was dropped, and a second import changes nothing");
    transcript.done();
    Ok(())
}

async fn upload(alice: &mut Client, transcript: &mut Transcript) -> Result<(), DemoError> {
    transcript.step("everything is uploaded");
    let report = alice.sync(None).await?;
    for row in report.containers.iter().filter(|row| row.uploaded > 0) {
        transcript.show(
            &row.container,
            format!(
                "{:4} frames, apex {}",
                row.frames,
                digest(row.apex.as_deref())
            ),
        );
    }
    let status = alice.account_status().await?;
    agreed(&status)?;
    transcript.held(format!(
        "the service's apex of all {} containers is the device's",
        status.containers.len()
    ));
    transcript.done();
    Ok(())
}

/// Two folders write to one catalog: the slower one is told, puts its change behind, and both agree.
async fn both_write(
    alice: &mut Client,
    other: &mut Client,
    transcript: &mut Transcript,
) -> Result<(), DemoError> {
    transcript.step("two folders of the device change one catalog at once");
    for (client, name) in [(&mut *alice, "first"), (&mut *other, "second")] {
        let row = format!("{name},https://{name}.example.com/login,alice,{name}-Pa55word");
        let file = format!("name,url,username,password\n{row}\n");
        client.import(&format!("{name}.csv"), file.as_bytes(), None, false)?;
    }
    alice.sync(None).await?;
    let slower: SyncReport = other.sync(None).await?;
    let faster: SyncReport = alice.sync(None).await?;
    check(apexes(&slower) == apexes(&faster), || {
        "the two folders do not agree".into()
    })?;
    let (mine, theirs) = (
        alice.list(EntryKind::Password)?,
        other.list(EntryKind::Password)?,
    );
    check(mine.entries == theirs.entries, || {
        "the passwords differ".into()
    })?;
    transcript.held("both entries are there, in both folders, with the same apex");
    transcript.done();
    Ok(())
}

/// The story ends: the accounts are deleted.
pub(super) async fn end(
    everybody: [&mut Client; 3],
    transcript: &mut Transcript,
) -> Result<(), DemoError> {
    transcript.step("everything that is left is verified, and the accounts are deleted");
    for client in everybody {
        client.exchange(&Decisions::default()).await?;
        agreed(&client.account_status().await?)?;
        let verified = sound(client.verify()?)?;
        let frames: u64 = verified.containers.iter().map(|row| row.frames).sum();
        let address = client.account_facts()?.address;
        transcript.held(format!("{address}: {frames} digests and their signatures"));
        client.delete_account().await?;
        let Err(refusal) = client.account_status().await else {
            return Err(DemoError::Wrong("a deleted account still answers".into()));
        };
        transcript.show("then", refusal);
    }
    transcript.held("no service answers anybody for them any more");
    transcript.done();
    Ok(())
}

/// The device remembers what it had synchronized; without its replicas that is not true any more.
fn forget_replicas(folder: &Path) -> Result<(), DemoError> {
    let home = Home::open(folder, PATIENCE).map_err(mesh_client::ClientError::from)?;
    let state = State::load(&home).map_err(mesh_client::ClientError::from)?;
    let mut state = state.ok_or_else(|| DemoError::Wrong("the folder has no account".into()))?;
    state.synced.clear();
    Ok(state.save(&home).map_err(mesh_client::ClientError::from)?)
}

fn files_below(folder: &Path) -> Result<Vec<PathBuf>, std::io::Error> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            files.extend(files_below(&entry.path())?);
        } else {
            files.push(entry.path());
        }
    }
    Ok(files)
}
