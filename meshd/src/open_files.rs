//! How many files the process may have open: each connection is one, and the store must never run out
//! of them because connections took them all.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::config::{MeshdConfig, RoleSet};

/// Files kept for the store, the listeners and the logs; half of all where there are few.
const KEPT: u64 = 1_024;

/// Raises the soft limit of this process to the hard one, and returns `config` with as many
/// connections as that allows, which it says if it is fewer.
#[must_use]
pub fn fitted(config: &MeshdConfig) -> MeshdConfig {
    let mut config = config.clone();
    let asked = config.frontend.connections_max;
    let fitting = connections_in(raised_limit(), asked);
    if fitting < asked && is_frontend(&config) {
        tracing::warn!(
            asked,
            fitting,
            "fewer connections than frontend.connections_max: raise the limit of open files (ulimit -n, LimitNOFILE=)"
        );
    }
    config.frontend.connections_max = fitting;
    config
}

/// Whether devices connect to it.
fn is_frontend(config: &MeshdConfig) -> bool {
    RoleSet::of(&config.cluster.roles).frontend
}

/// The limit in force; `None` if there is none.
fn raised_limit() -> Option<u64> {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(_) => limit.current,
    }
}

/// How many of `asked` connections fit into a limit of open files.
fn connections_in(limit: Option<u64>, asked: usize) -> usize {
    let Some(limit) = limit else { return asked };
    let free = limit.saturating_sub(KEPT).max(limit / 2).max(1);
    asked.min(usize::try_from(free).unwrap_or(usize::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_files_to_the_store() {
        assert_eq!(connections_in(None, 25_000), 25_000);
        assert_eq!(connections_in(Some(26_024), 25_000), 25_000);
        assert_eq!(connections_in(Some(26_023), 25_000), 24_999);
        assert_eq!(connections_in(Some(1_024), 25_000), 512);
        assert_eq!(connections_in(Some(1), 25_000), 1);
    }

    #[test]
    fn the_soft_limit_becomes_the_hard_one() {
        let raised = raised_limit();
        let now = getrlimit(Resource::Nofile);
        assert_eq!(now.current, raised);
        assert_eq!(now.current, now.maximum);
    }
}
