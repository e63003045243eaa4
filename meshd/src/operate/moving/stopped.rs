//! What only a stopped service allows: handing over to another store, and opening one that was restored.

use mesh_backend::SystemEntropy;
use mesh_backend::moving::listing::Listing;
use mesh_backend::moving::migrate::{Finished, Heartbeats, MigrateError, Migration};
use mesh_backend::moving::restored::{self, RestoreError, Standing};
use mesh_backend::moving::verify::Verified;
use mesh_backend::store::AnyStore;
use mesh_common::address::AccountAddress;
use mesh_common::cluster::times::Times;
use mesh_common::time::Timestamp;
use serde_json::json;

use super::hand::Direct;
use super::passes::{Totals, problems};
use crate::admin::moving::{PAGE_ADDRESSES, options, place_of};
use crate::operate::Done;
use crate::operate::args::{Migrate, RestoreCheck};
use crate::operate::failure::Failure;
use crate::operate::page::{ago, counted, facts, size};
use crate::operate::progress::Progress;
use crate::stores::OpenStore;

/// `meshd migrate --finish`.
pub(super) fn finish(asked: &Migrate, now: Timestamp) -> Result<Done, Failure> {
    let direct = Direct::open(&asked.place.desk, now)?;
    let guard = direct.runtime.enter();
    let to = OpenStore::of_file(&asked.to).map_err(|error| {
        Failure::not_asked(
            "the store that is to be written to cannot be opened",
            "meshd check-config --config FILE says what is wrong with its configuration",
        )
        .caused_by(&*error)
    })?;
    drop(guard);
    let progress = Progress::begin();
    let work = hand_over(direct.store.clone(), to.store(), asked, &progress);
    let finished = direct
        .runtime
        .block_on(work)
        .map_err(|error| told(&error))?;
    drop(progress);
    let text = format!(
        "moved {}: {} had changed since they were copied, {} of this last step\n\
         {} were recomputed at the other end, every digest is right\n\
         next:\n  meshd run --config {}\n",
        counted(finished.accounts, "account"),
        finished.changed,
        size(finished.synced.octets),
        counted(finished.frames, "frame"),
        asked.to.display()
    );
    Ok(Done::new("migrate", text, json!(finished)))
}

async fn hand_over(
    from: AnyStore,
    to: AnyStore,
    asked: &Migrate,
    progress: &Progress,
) -> Result<Finished, MigrateError> {
    let (place, mut entropy) = (place_of(&asked.to), SystemEntropy);
    let migration = Migration::begin(from, to, &place, options(), &mut entropy).await?;
    let ended = ended(&migration, progress).await?;
    let tell = |accounts| progress.tell(&format!("{} checked", counted(accounts, "account")));
    migration.finish(&ended, &mut entropy, tell).await
}

/// The records of nodes that have ended without taking them away: those that do not change for longer than
/// any lease.
async fn ended(
    migration: &Migration<AnyStore, AnyStore>,
    progress: &Progress,
) -> Result<Heartbeats, MigrateError> {
    let seen = migration.heartbeats().await?;
    if !seen.is_empty() {
        progress.tell("waiting to see whether a process still serves from the store");
        tokio::time::sleep(Times::default().failover_bound() * 2).await;
    }
    Ok(seen)
}

fn told(error: &MigrateError) -> Failure {
    let advice = match error {
        MigrateError::Empty | MigrateError::Left { .. } => {
            "name the configuration of the service that is to be moved with --config"
        }
        MigrateError::Occupied => "use an empty database, or another store.foundationdb.prefix",
        MigrateError::Overtaken => "let the other one end, then the same again",
        MigrateError::Served { .. } => "stop every process of the service, then the same again",
        MigrateError::Differs { .. } => {
            "meshd verify shows what is damaged; the service may go on where it was"
        }
        MigrateError::Level(_) => "use the release that the service runs",
        MigrateError::Row(_) | MigrateError::Sync(_) => {
            "the same again: what was copied is not copied twice"
        }
    };
    Failure::refused("the service was not handed over", advice).caused_by(error)
}

/// `meshd restore-check`.
pub(super) fn restore_check(asked: &RestoreCheck, now: Timestamp) -> Result<Done, Failure> {
    let direct = Direct::open(&asked.desk, now)?;
    let store = &direct.store;
    let standing = restored::standing(store);
    let standing = direct
        .runtime
        .block_on(standing)
        .map_err(|error| refused(&error))?;
    let accounts = direct.runtime.block_on(look(store, asked.one_in));
    let (found, total) = accounts.map_err(|error| refused(&error))?;
    let mut text = page(&standing, &total, now);
    text.push_str(&problems(&found));
    let is_sound = found.is_empty() && standing.later_owners == 0;
    let mut result = json!({"standing": standing, "damaged": found, "is_sound": is_sound});
    if !asked.open {
        if is_sound {
            text.push_str(
                "next:\n  meshd restore-check --open    so that processes may be started\n",
            );
        }
        let done = Done::new("restore-check", text, result);
        return Ok(if is_sound { done } else { done.refused() });
    }
    if !is_sound && !asked.in_spite_of_damage {
        return Err(Failure::refused(
            "the store is not as it should be, and was not opened",
            "meshd restore-check says what is wrong; --in-spite-of-damage opens it as it is",
        ));
    }
    let opened = restored::open(store, &standing, options());
    let generation = direct
        .runtime
        .block_on(opened)
        .map_err(|error| refused(&error))?;
    text.push_str(&format!(
        "opened under generation {generation}: processes may be started\n"
    ));
    result["generation"] = json!(generation);
    Ok(Done::new("restore-check", text, result))
}

async fn look(store: &AnyStore, one_in: u64) -> Result<(Vec<Verified>, Totals), RestoreError> {
    let progress = Progress::begin();
    let (mut found, mut total, mut listing) = (Vec::new(), Totals::default(), Listing::default());
    loop {
        let page = restored::accounts(store, &listing, one_in, PAGE_ADDRESSES).await?;
        for one in page.accounts {
            total.add(&one);
            if !one.problems.is_empty() {
                found.push(one);
            }
        }
        progress.tell(&total.text());
        let last = page.last.and_then(|last| AccountAddress::parse(&last).ok());
        let Some(last) = last else {
            return Ok((found, total));
        };
        listing.after = Some(last);
    }
}

fn page(standing: &Standing, total: &Totals, now: Timestamp) -> String {
    let mut known = vec![
        ("generation", standing.generation.to_string()),
        ("accounts", total.text()),
        ("to be received", counted(standing.intake_entries, "entry")),
        ("to be sent", counted(standing.queued_messages, "message")),
    ];
    if let Some(at) = standing.last_queued_at {
        known.push(("last queued", ago(now, Timestamp::from_millis(at))));
    }
    if standing.former_nodes > 0 {
        let nodes = counted(standing.former_nodes, "process");
        known.push((
            "were at work",
            format!("{nodes}, at the time of the backup"),
        ));
    }
    if standing.unreadable_items > 0 {
        let items = counted(standing.unreadable_items, "item");
        known.push((
            "do not read",
            format!("{items} of the queue: they will be set aside"),
        ));
    }
    if standing.later_owners > 0 {
        let owners = counted(standing.later_owners, "record");
        let what = format!("{owners} of owners are later than the rest: the restore is not whole");
        known.push(("NOT WHOLE", what));
    }
    format!(
        "what was restored\n{}\
         what came after the backup was made is not here; messages that were delivered since are sent again, and \
         known there; devices upload again what they have\n",
        facts(&known)
    )
}

fn refused(error: &RestoreError) -> Failure {
    let advice = match error {
        RestoreError::Served { .. } => "stop every process, then the same again",
        RestoreError::Commit(_) => {
            "meshd restore-check once more: somebody else opened it, or it takes no writes"
        }
        RestoreError::Empty | RestoreError::Row(_) | RestoreError::Store(_) => {
            "look whether the restore has ended, and whether [store] names what was restored"
        }
    };
    Failure::refused("the store was not opened", advice).caused_by(error)
}
