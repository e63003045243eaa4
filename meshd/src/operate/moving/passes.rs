//! Passes over accounts, page by page.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use mesh_backend::moving::verify::{Problem, Verified};
use mesh_backend::usage::recount::Counted;
use mesh_common::limits::PACE_SHARE_MAX;
use mesh_common::pace::time_left;
use serde_json::json;

use super::hand::Hand;
use super::usage;
use crate::admin::moving::{Archive, Place};
use crate::operate::Done;
use crate::operate::args::{Export, Import, Migrate, Verify};
use crate::operate::failure::Failure;
use crate::operate::page::{counted, plain, size};
use crate::operate::progress::Progress;

/// Problems that are written out.
pub(super) const PROBLEMS_TOLD: usize = 100;

/// `meshd verify`.
pub(super) fn verify(asked: &Verify, hand: &dyn Hand) -> Result<Done, Failure> {
    let progress = Progress::begin();
    let mut place = Place {
        domain: asked.domain.clone(),
        one_in: asked.one_in,
        ..Place::default()
    };
    let (mut found, mut total, mut passed_by) = (Vec::new(), Totals::default(), 0);
    loop {
        let page = hand.verify(&place)?;
        passed_by += page.passed_by;
        for one in page.accounts {
            total.add(&one);
            if !one.problems.is_empty() {
                found.push(one);
            }
        }
        progress.tell(&total.text());
        if page.last.is_none() {
            break;
        }
        place.after = page.last;
    }
    let usage = match asked.one_in {
        1 => Some(usage::count(asked, hand, &progress)?),
        _ => None,
    };
    drop(progress);
    let mut text = format!("verified {}", total.text());
    if passed_by > 0 {
        text.push_str(&format!(
            "; {} not of the sample",
            counted(passed_by, "address")
        ));
    }
    text.push('\n');
    text.push_str(&problems(&found));
    text.push_str(&usage.as_ref().map(usage::page).unwrap_or_default());
    let result = json!({
        "accounts": total.accounts,
        "containers": total.containers,
        "frames": total.frames,
        "octets": total.octets,
        "passed_by": passed_by,
        "damaged": found,
        "usage": usage,
    });
    let done = Done::new("verify", text, result);
    let is_wrong = |usage: &Counted| usage.drifted.iter().any(|one| !one.is_mended);
    Ok(
        if found.is_empty() && !usage.as_ref().is_some_and(is_wrong) {
            done
        } else {
            done.refused()
        },
    )
}

#[derive(Default)]
pub(super) struct Totals {
    accounts: u64,
    containers: u64,
    frames: u64,
    octets: u64,
}

impl Totals {
    pub(super) fn add(&mut self, one: &Verified) {
        self.accounts += 1;
        self.containers += one.containers;
        self.frames += one.frames;
        self.octets += one.octets;
    }

    pub(super) fn text(&self) -> String {
        format!(
            "{}: {}, {}, {} of payloads",
            counted(self.accounts, "account"),
            counted(self.containers, "container"),
            counted(self.frames, "frame"),
            size(self.octets)
        )
    }
}

/// What is wrong, a line each.
pub(super) fn problems(found: &[Verified]) -> String {
    let lines = found.iter().flat_map(|one| {
        let line = |problem: &Problem| {
            let mut place = plain(&one.address);
            if let Some(container) = &problem.container {
                place.push_str(&format!(" {}", plain(container)));
            }
            if let Some(index) = problem.index {
                place.push_str(&format!(" [{index}]"));
            }
            format!("  {place}: {}\n", plain(&problem.what))
        };
        one.problems.iter().map(line)
    });
    let mut lines: Vec<String> = lines.collect();
    if lines.is_empty() {
        return "every digest is right\n".to_owned();
    }
    let all = lines.len();
    lines.truncate(PROBLEMS_TOLD);
    let mut text = format!(
        "{} not right:\n{}",
        counted(all as u64, "thing"),
        lines.concat()
    );
    if all > PROBLEMS_TOLD {
        text.push_str("  ... --json has all of them\n");
    }
    text.push_str("try: restore what is damaged from a backup, or meshd export what is whole\n");
    text
}

/// `meshd export`.
pub(super) fn export(asked: &Export, hand: &dyn Hand) -> Result<Done, Failure> {
    let to = absolute(&asked.to)?;
    if asked.what.contains('@') {
        let archive = Archive {
            account: Some(asked.what.clone()),
            folder: to,
        };
        let exported = hand.export(&archive)?;
        let text = format!(
            "exported {}: {}, {}{}\n  {}\ntry: mesh verify {}    checks it without the service\n",
            plain(&exported.address),
            counted(exported.containers, "container"),
            size(exported.octets),
            waiting(exported.waiting),
            archive.folder.display(),
            archive.folder.display(),
        );
        return Ok(Done::new("export", text, json!([exported])));
    }
    let progress = Progress::begin();
    let mut place = Place {
        domain: Some(asked.what.clone()),
        ..Place::default()
    };
    let (mut done, mut octets) = (Vec::new(), 0);
    loop {
        let page = hand.list(&place)?;
        for address in page.addresses {
            let exported = hand.export(&Archive {
                folder: to.join(folder_name(&address)),
                account: Some(address),
            })?;
            octets += exported.octets;
            done.push(exported);
            progress.tell(&format!(
                "{}, {}",
                counted(done.len() as u64, "account"),
                size(octets)
            ));
        }
        if page.last.is_none() {
            break;
        }
        place.after = page.last;
    }
    drop(progress);
    let text = format!(
        "exported {} of {}, {}\n  {}\n",
        counted(done.len() as u64, "account"),
        plain(&asked.what),
        size(octets),
        to.display()
    );
    Ok(Done::new("export", text, json!(done)))
}

/// What was accepted for an account and is not received yet.
fn waiting(entries: u64) -> String {
    match entries {
        0 => String::new(),
        entries => format!(", {} to be received", counted(entries, "entry")),
    }
}

/// `meshd import`.
pub(super) fn import(asked: &Import, hand: &dyn Hand) -> Result<Done, Failure> {
    let progress = Progress::begin();
    let (mut text, mut done) = (String::new(), Vec::new());
    for folder in &asked.folders {
        let folder = absolute(folder)?;
        let imported = hand.import(&Archive {
            account: None,
            folder,
        })?;
        text.push_str(&format!(
            "imported {}: {}, {}, every digest is right{}\n",
            plain(&imported.address),
            counted(imported.containers, "container"),
            counted(imported.frames, "frame"),
            waiting(imported.waiting),
        ));
        done.push(imported);
        progress.tell(&counted(done.len() as u64, "account"));
    }
    drop(progress);
    Ok(Done::new("import", text, json!(done)))
}

/// `meshd migrate` while the service runs.
pub(super) fn copy(asked: &Migrate, hand: &dyn Hand) -> Result<Done, Failure> {
    let progress = Progress::begin();
    let all = if progress.is_shown() {
        Some(count(hand)?)
    } else {
        None
    };
    let share = asked
        .share
        .or_else(|| asked.place.stopped.then_some(PACE_SHARE_MAX));
    let mut place = Place {
        to: Some(absolute(&asked.to)?),
        share,
        rate: asked.rate,
        ..Place::default()
    };
    let (mut accounts, mut same, mut octets) = (0, 0, 0);
    let begun = moment();
    loop {
        let page = hand.copy(&place)?;
        accounts += page.accounts;
        same += page.same;
        octets += page.synced.octets;
        let done = Copying {
            done: accounts + same,
            all,
            octets,
            time: begun.elapsed(),
        };
        progress.tell(&done.text());
        if page.last.is_none() {
            break;
        }
        place.after = page.last;
    }
    drop(progress);
    let text = format!(
        "copied {}, {}; {same} were there already\n\
         next:\n  stop the service, then\n  meshd migrate --to {} --finish    copies what changed since, checks \
         everything, and hands over\n",
        counted(accounts, "account"),
        size(octets),
        asked.to.display()
    );
    let result = json!({"copied": accounts, "same": same, "octets": octets});
    Ok(Done::new("migrate", text, result))
}

/// How many accounts there are.
fn count(hand: &dyn Hand) -> Result<u64, Failure> {
    let (mut place, mut found) = (Place::default(), 0);
    loop {
        let page = hand.list(&place)?;
        found += page.addresses.len() as u64;
        if page.last.is_none() {
            return Ok(found);
        }
        place.after = page.last;
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "how long a command takes is measured by the machine's own monotonic clock"
)]
fn moment() -> Instant {
    Instant::now()
}

/// How far a copy is.
struct Copying {
    /// Accounts that are there.
    done: u64,
    /// Accounts that there were at the beginning, if they were counted.
    all: Option<u64>,
    octets: u64,
    time: Duration,
}

impl Copying {
    fn text(&self) -> String {
        let copied = size(self.octets);
        let Some(all) = self.all else {
            return format!("{}, {copied}", counted(self.done, "account"));
        };
        let left = match time_left(self.done, all, self.time) {
            Some(left) if self.done < all => format!(", {} left", about(left)),
            _ => String::new(),
        };
        format!(
            "{} of {}, {copied}{left}",
            self.done,
            counted(all, "account")
        )
    }
}

/// A time that nobody knows exactly.
fn about(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..60 => "less than a minute".to_owned(),
        60..7_200 => format!("about {} minutes", seconds.div_ceil(60)),
        _ => format!("about {} hours", seconds.div_ceil(3_600)),
    }
}

/// The folder of an account below that of its domain.
fn folder_name(address: &str) -> String {
    let plain =
        |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '.' | '-' | '_' | '@');
    if address.chars().all(plain) && !address.starts_with('.') {
        return address.to_owned();
    }
    // Names that a file system may take for something else.
    let digits: Vec<String> = address
        .bytes()
        .map(|octet| format!("{octet:02x}"))
        .collect();
    format!("hex-{}", digits.concat())
}

/// The service may run in another folder than this command.
fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    std::path::absolute(path).map_err(|error| {
        let message = format!("{} is no path", path.display());
        Failure::not_asked(message, "name a folder or file").caused_by(&error)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_says_how_far_it_is_and_how_long_it_will_take() {
        let text = |done, all, seconds| {
            let copying = Copying {
                done,
                all,
                octets: 2_000_000,
                time: Duration::from_secs(seconds),
            };
            copying.text().replace(&size(2_000_000), "SIZE")
        };
        assert_eq!(text(1, None, 5), "1 account, SIZE");
        assert_eq!(text(0, Some(9), 5), "0 of 9 accounts, SIZE");
        assert_eq!(
            text(8, Some(9), 80),
            "8 of 9 accounts, SIZE, less than a minute left"
        );
        assert_eq!(
            text(1, Some(9), 60),
            "1 of 9 accounts, SIZE, about 8 minutes left"
        );
        assert_eq!(
            text(1, Some(9), 3_600),
            "1 of 9 accounts, SIZE, about 8 hours left"
        );
        assert_eq!(text(9, Some(9), 3_600), "9 of 9 accounts, SIZE");
    }

    #[test]
    fn an_address_names_a_folder_and_never_leaves_it() {
        assert_eq!(folder_name("alice@example.com"), "alice@example.com");
        assert_eq!(
            folder_name("../x@example.com"),
            "hex-2e2e2f78406578616d706c652e636f6d"
        );
        assert!(folder_name("é@example.com").starts_with("hex-"));
    }
}
