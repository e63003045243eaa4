//! Why a command was not done: a sentence, its causes, what to type next, and the exit code.

use std::error::Error;
use std::fmt::Write as _;
use std::io;
use std::path::Path;

use mesh_client::ClientError;
use mesh_common::catalog::entry::{CatalogEntry, EntryError};
use serde_json::{Value, json};

/// The answer is no.
pub(crate) const REFUSED: u8 = 1;
/// It could not be asked.
pub(crate) const NOT_ASKED: u8 = 2;

/// A command that was not done.
#[derive(Debug)]
pub(crate) struct Failure {
    message: String,
    causes: Vec<String>,
    advice: Option<String>,
    exit_code: u8,
}

impl Failure {
    /// What was typed cannot be carried out.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            causes: Vec::new(),
            advice: None,
            exit_code: NOT_ASKED,
        }
    }

    /// A file that cannot be read.
    pub(crate) fn unreadable(path: &Path, error: io::Error) -> Self {
        Self {
            causes: vec![error.to_string()],
            ..Self::usage(format!("{} cannot be read", path.display()))
                .with_advice("check its name and who may read it")
        }
    }

    /// A file that cannot be written.
    pub(crate) fn unwritable(path: &Path, error: io::Error) -> Self {
        Self {
            causes: vec![error.to_string()],
            ..Self::usage(format!("{} cannot be written", path.display()))
                .with_advice("name a place where you may write")
        }
    }

    /// A structure inside an entry that cannot be changed.
    pub(crate) fn entry(error: EntryError) -> Self {
        Self {
            causes: causes_of(&error),
            exit_code: REFUSED,
            ..Self::usage(error.to_string())
        }
    }

    /// An entry of another kind than the command works on.
    pub(crate) fn other_kind(entry: &CatalogEntry) -> Self {
        Self {
            exit_code: REFUSED,
            ..Self::usage(format!("the entry is a {}", entry.tag()))
        }
    }

    /// What was typed or is to be shown is not what it has to be.
    pub(crate) fn of(error: impl Error) -> Self {
        Self {
            causes: causes_of(&error),
            ..Self::usage(error.to_string())
        }
    }

    /// Adds what to do about it.
    pub(crate) fn with_advice(mut self, advice: impl Into<String>) -> Self {
        self.advice = Some(advice.into());
        self
    }

    /// The exit code.
    pub(crate) const fn exit_code(&self) -> u8 {
        self.exit_code
    }

    /// `error:`, `caused by:`, `try:`, each on its line.
    pub(crate) fn to_text(&self) -> String {
        let mut text = format!("error: {}\n", self.message);
        for cause in &self.causes {
            let _ = writeln!(text, "caused by: {cause}");
        }
        if let Some(advice) = &self.advice {
            let _ = writeln!(text, "try: {advice}");
        }
        text
    }

    /// The JSON object of `--json`.
    pub(crate) fn to_json(&self) -> Value {
        json!({"error": {
            "message": self.message,
            "caused_by": self.causes,
            "try": self.advice,
            "exit_code": self.exit_code,
        }})
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        Self {
            message: error.to_string(),
            causes: causes_of(&error),
            advice: error.advice(),
            exit_code: if error.is_refusal() {
                REFUSED
            } else {
                NOT_ASKED
            },
        }
    }
}

/// What caused `error`, outermost first, without repetitions.
fn causes_of(error: &dyn Error) -> Vec<String> {
    let mut causes = Vec::new();
    let mut last = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let text = cause.to_string();
        if text != last {
            causes.push(text.clone());
        }
        last = text;
        next = cause.source();
    }
    causes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_says_what_why_and_what_next() {
        let failure = Failure::unreadable(
            Path::new("contacts.vcf"),
            io::Error::new(io::ErrorKind::NotFound, "no such file"),
        );
        assert_eq!(
            failure.to_text(),
            "error: contacts.vcf cannot be read\ncaused by: no such file\n\
             try: check its name and who may read it\n"
        );
        let json = failure.to_json();
        assert_eq!(json["error"]["exit_code"], 2);
        assert_eq!(json["error"]["caused_by"][0], "no such file");
    }
}
