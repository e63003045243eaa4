//! What the steps check by, and what a step that fails says.

use std::collections::BTreeMap;

use mesh_client::account::AccountStatus;
use mesh_client::sync::SyncReport;
use mesh_client::verify::VerifyReport;

use super::DemoError;

/// Ends the demo unless `holds`.
pub(super) fn check(holds: bool, otherwise: impl FnOnce() -> String) -> Result<(), DemoError> {
    if holds {
        Ok(())
    } else {
        Err(DemoError::Wrong(otherwise()))
    }
}

/// A verification in which nothing was wrong.
pub(super) fn sound(report: VerifyReport) -> Result<VerifyReport, DemoError> {
    match report.problems.first() {
        None => Ok(report),
        Some(problem) => Err(DemoError::Wrong(format!(
            "{}: {}",
            problem.place, problem.what
        ))),
    }
}

/// Every container is what the service has.
pub(super) fn agreed(status: &AccountStatus) -> Result<(), DemoError> {
    let strayed = status
        .containers
        .iter()
        .find(|row| row.waiting > 0 || (row.there > 0 && row.agrees != Some(true)));
    strayed.map_or(Ok(()), |row| {
        Err(DemoError::Wrong(format!(
            "{} is not what the service has",
            row.container
        )))
    })
}

/// The apex of each container.
pub(super) fn apexes(report: &SyncReport) -> BTreeMap<&str, Option<&str>> {
    report
        .containers
        .iter()
        .map(|row| (row.container.as_str(), row.apex.as_deref()))
        .collect()
}
