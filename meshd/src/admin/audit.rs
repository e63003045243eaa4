//! Who did what: each order of an operator is a line of the log, and of a file beside the token, before
//! it is carried out and after.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use mesh_common::time::Timestamp;
use serde_json::{Value, json};

/// The file, one JSON object a line, in the folder of operators.
const FILE: &str = "audit.jsonl";
/// Characters of the name that an operator goes by.
const NAME_CHARACTERS_MAX: usize = 64;

/// The record of orders.
#[derive(Debug)]
pub struct Audit(Mutex<File>);

/// Who asks, as they say: the token is the same for all who may read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operator(String);

impl Operator {
    /// The operator of this name, made fit for a log.
    #[must_use]
    pub fn named(name: Option<&str>) -> Self {
        let name: String = name
            .unwrap_or_default()
            .chars()
            .filter(|letter| !letter.is_control())
            .take(NAME_CHARACTERS_MAX)
            .collect();
        let name = name.trim();
        Self(if name.is_empty() { "unnamed" } else { name }.to_owned())
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0
    }
}

/// An order as it is recorded.
#[derive(Debug)]
pub struct Entry<'a> {
    /// Who gave it.
    pub operator: &'a Operator,
    /// What is to be done.
    pub action: &'static str,
    /// To what.
    pub about: Value,
}

impl Audit {
    /// Opens the record of `folder`; what is there is kept.
    ///
    /// # Errors
    /// The file cannot be opened.
    pub fn open(folder: &Path) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.create(true).append(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        Ok(Self(Mutex::new(options.open(folder.join(FILE))?)))
    }

    /// Records that `entry` is about to be carried out.
    pub fn asked(&self, now: Timestamp, entry: &Entry<'_>) {
        let (operator, action, about) = (entry.operator.name(), entry.action, &entry.about);
        tracing::info!(operator, action, %about, "an operator asks");
        self.write(&json!({"at": now, "operator": operator, "action": action, "about": about}));
    }

    /// Records what came of `entry`.
    pub fn done(&self, now: Timestamp, entry: &Entry<'_>, outcome: &Result<Value, String>) {
        let (operator, action, about) = (entry.operator.name(), entry.action, &entry.about);
        let line = match outcome {
            Ok(done) => {
                tracing::info!(operator, action, %about, %done, "an operator's order was carried out");
                json!({"at": now, "operator": operator, "action": action, "about": about, "done": done})
            }
            Err(refused) => {
                tracing::warn!(operator, action, %about, refused, "an operator's order was refused");
                json!({"at": now, "operator": operator, "action": action, "about": about, "refused": refused})
            }
        };
        self.write(&line);
    }

    /// A full disk must not keep an operator from making room: the log has the line as well.
    fn write(&self, line: &Value) {
        let mut file = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let written = file
            .write_all(format!("{line}\n").as_bytes())
            .and_then(|()| file.sync_data());
        if let Err(error) = written {
            tracing::error!(%error, %line, "the record of operators' orders cannot be written");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_recorded_before_and_after() {
        let folder = tempfile::tempdir().unwrap();
        let audit = Audit::open(folder.path()).unwrap();
        let operator = Operator::named(Some("ops\u{1b}[31m"));
        let entry = Entry {
            operator: &operator,
            action: "hold",
            about: json!({"destination": "example.net"}),
        };
        let now = Timestamp::from_secs(0);
        audit.asked(now, &entry);
        audit.done(now, &entry, &Err("no".to_owned()));
        let text = std::fs::read_to_string(folder.path().join(FILE)).unwrap();
        assert_eq!(
            text,
            "{\"at\":\"1970-01-01T00:00:00Z\",\"operator\":\"ops[31m\",\"action\":\"hold\",\
             \"about\":{\"destination\":\"example.net\"}}\n\
             {\"at\":\"1970-01-01T00:00:00Z\",\"operator\":\"ops[31m\",\"action\":\"hold\",\
             \"about\":{\"destination\":\"example.net\"},\"refused\":\"no\"}\n"
        );
    }

    #[test]
    fn whoever_says_no_name_is_unnamed() {
        assert_eq!(Operator::named(None).name(), "unnamed");
        assert_eq!(Operator::named(Some(" \n")).name(), "unnamed");
        assert_eq!(Operator::named(Some(&"x".repeat(100))).name().len(), 64);
    }
}
