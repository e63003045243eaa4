//! What a process and all it started have cost: mail servers work in many processes, most of them
//! short-lived.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use super::Outcome;

/// Hundredths of a second: the unit of `/proc/PID/stat` on every Linux there is.
const TICKS_PER_SECOND: u64 = 100;

/// A process and its living descendants, as they are now.
pub(crate) struct Tree {
    ticks: u64,
}

/// One line of `/proc/PID/stat`, as far as it is needed.
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    parent: u32,
    /// User and system time of its own, and of the descendants that it has waited for.
    ticks: u64,
}

impl Tree {
    /// The tree below the process `root`.
    ///
    /// # Errors
    /// The process is gone.
    pub(crate) fn of(root: u32) -> Outcome<Self> {
        let all: BTreeMap<u32, Stat> = fs::read_dir("/proc")?
            .flatten()
            .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
            .filter_map(|id: u32| Some((id, read(id)?)))
            .collect();
        if !all.contains_key(&root) {
            return Err(format!("process {root} is gone").into());
        }
        let ticks = all
            .iter()
            .filter(|(id, _)| is_below(&all, **id, root))
            .map(|(_, stat)| stat.ticks)
            .sum();
        Ok(Self { ticks })
    }

    /// User and system time of all of it, since it began.
    pub(crate) fn cpu(&self) -> Duration {
        Duration::from_millis(self.ticks * 1_000 / TICKS_PER_SECOND)
    }
}

fn is_below(all: &BTreeMap<u32, Stat>, mut id: u32, root: u32) -> bool {
    while id != root {
        match all.get(&id) {
            Some(stat) if stat.parent != id => id = stat.parent,
            _ => return false,
        }
    }
    true
}

fn read(id: u32) -> Option<Stat> {
    parse(&fs::read_to_string(format!("/proc/{id}/stat")).ok()?)
}

/// The name of the program may hold anything; it ends with the last parenthesis.
fn parse(line: &str) -> Option<Stat> {
    let (_, rest) = line.rsplit_once(") ")?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let times = fields.get(11..15)?;
    Some(Stat {
        parent: fields.get(1)?.parse().ok()?,
        ticks: times
            .iter()
            .filter_map(|text| text.parse::<u64>().ok())
            .sum(),
    })
}
