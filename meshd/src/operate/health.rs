//! `meshd health`: whether a request sent now would be served. What an image without a shell asks as its
//! health check, and a person who wonders.

use serde::{Deserialize, Serialize};

use super::failure::Failure;
use super::link::Ask;
use super::page::plain;
use super::{Done, read};

/// What `/v1/health` answers.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Health {
    /// Why a request would not be served; nothing means that it would.
    pub obstacles: Vec<String>,
}

/// Asks.
///
/// # Errors
/// [`Failure`]: nobody answers.
pub fn ask(link: &dyn Ask) -> Result<Done, Failure> {
    let answer = link.get("health")?;
    let Health { obstacles } = read(&answer)?;
    if obstacles.is_empty() {
        return Ok(Done::new("health", "ready\n".to_owned(), answer));
    }
    let lines = obstacles
        .iter()
        .map(|one| format!("not ready: {}\n", plain(one)));
    Ok(Done::new("health", lines.collect(), answer).refused())
}
