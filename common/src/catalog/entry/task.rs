//! Tasks: events, to-dos, notes. Schema draft §5.6, §7.3.7 and §7.4.9; the members are those of
//! iCalendar (RFC 5545).

use serde::{Deserialize, Serialize};

use super::enclosed::{disclose, enclose};
use super::{EntryError, Members, Original};
use crate::dare::Envelope;
use crate::time::Timestamp;

/// The entry of a task. Its unique id is [`key`](Self::key).
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct CatalogedTask {
    /// The [`Task`] in an envelope.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enveloped_task: Option<Envelope>,
    /// A random nonce UDF, drawn when the entry is made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The data the entry was imported from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub original: Option<Original>,
    /// Members no schema names.
    #[serde(flatten)]
    pub extra: Members,
}

impl CatalogedTask {
    /// Puts the task into an unsigned envelope in the entry.
    pub fn enclose(&mut self, task: &Task) {
        self.enveloped_task = Some(enclose("Task", task));
    }

    /// The task in the entry, whether or not it is signed; `None` when there is none.
    ///
    /// # Errors
    /// [`EntryError::Encrypted`] and [`EntryError::Enclosed`]: its envelope cannot be read.
    pub fn task(&self) -> Result<Option<Task>, EntryError> {
        self.enveloped_task
            .as_ref()
            .map(|envelope| disclose("Task", envelope))
            .transpose()
    }
}

/// What is to happen or to be done, when and where.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Task {
    /// The key of the entry.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// When it starts, in UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start: Option<Timestamp>,
    /// When it ends or is due, in UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finish: Option<Timestamp>,
    /// When one has to leave for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_travel: Option<String>,
    /// When one is back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finish_travel: Option<String>,
    /// The zone its times were given in, such as `Europe/Berlin`; recurrences follow its clock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    /// What it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// More about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Where it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub location: Option<String>,
    /// When to be reminded: values of TRIGGER, such as `-PT15M`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub trigger: Vec<String>,
    /// Addresses of conferences.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conference: Vec<String>,
    /// When it happens again: the lines RRULE, RDATE, EXDATE and EXRULE of iCalendar, separated
    /// by line feeds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repeat: Option<String>,
    /// Whether the time counts as taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub busy: Option<bool>,
    /// Members no schema names.
    #[serde(flatten)]
    pub extra: Members,
}
