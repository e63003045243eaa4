//! What is remembered of a request to connect a device, and the stages it goes through (service §6.3,
//! decision Q-36).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::account::compact;
use crate::limits::{CONNECTION_ANSWER_KEPT, CONNECTION_REMEMBERED};
use crate::time::Timestamp;
use crate::udf::Udf;

/// A device's request to be connected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingConnection {
    /// What its answer is asked for by: either form of the ResponseID. For a hailing account
    /// those of the published request, else those of the acknowledgement.
    pub response_ids: Vec<Udf>,
    /// UDF of the ProfileDevice that asks.
    pub device: Udf,
    /// Until when it waits for its answer.
    #[serde(with = "compact::millis")]
    pub expires_at: Timestamp,
    /// When it was answered last.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        with = "compact::optional_millis"
    )]
    pub answered_at: Option<Timestamp>,
}

/// Where a request stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Not answered yet.
    Waiting,
    /// Answered; the answer can be fetched.
    Answered,
    /// Nobody answered in time, or the answer was kept long enough.
    Over,
    /// As if it had never been.
    Forgotten,
}

impl PendingConnection {
    /// Where the request stands at `now`.
    #[must_use]
    pub fn stage(&self, now: Timestamp) -> Stage {
        if now >= self.forgotten_at() {
            Stage::Forgotten
        } else if now >= self.over_at() {
            Stage::Over
        } else if self.answered_at.is_some() {
            Stage::Answered
        } else {
            Stage::Waiting
        }
    }

    /// From this moment on Complete says that it has expired.
    #[must_use]
    pub fn over_at(&self) -> Timestamp {
        self.answered_at
            .map_or(self.expires_at, |at| at + CONNECTION_ANSWER_KEPT)
    }

    /// From this moment on the row counts no longer and may be removed.
    #[must_use]
    pub fn forgotten_at(&self) -> Timestamp {
        self.over_at() + CONNECTION_REMEMBERED
    }

    /// Whether its answer is called `response_id`.
    #[must_use]
    pub fn is_answered_by(&self, response_id: &Udf) -> bool {
        self.response_ids.contains(response_id)
    }
}

/// All requests to connect that one account remembers, by the MessageID of their acknowledgement.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Connections(BTreeMap<String, PendingConnection>);

impl Connections {
    /// Puts a row in its place, or takes it out.
    pub fn set(&mut self, message_id: &str, row: Option<PendingConnection>) {
        match row {
            Some(row) => {
                self.0.insert(message_id.to_owned(), row);
            }
            None => {
                self.0.remove(message_id);
            }
        }
    }

    /// All rows, those that are forgotten and not yet removed included.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &PendingConnection)> {
        self.0.iter().map(|(id, row)| (id.as_str(), row))
    }

    /// Number of rows.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// The rows that wait for an answer at `now`.
    pub fn waiting(&self, now: Timestamp) -> impl Iterator<Item = &PendingConnection> {
        self.0
            .values()
            .filter(move |row| row.stage(now) == Stage::Waiting)
    }

    /// The request of `device` whose answer is called `response_id`; the latest, if it asked more
    /// than once. Without `device` that of any.
    #[must_use]
    pub fn find(
        &self,
        device: Option<&Udf>,
        response_id: &Udf,
        now: Timestamp,
    ) -> Option<&PendingConnection> {
        self.0
            .values()
            .filter(|row| device.is_none_or(|device| device == &row.device))
            .filter(|row| row.is_answered_by(response_id) && row.stage(now) != Stage::Forgotten)
            .max_by_key(|row| row.expires_at)
    }
}
