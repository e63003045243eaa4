//! Why a command was not done: a sentence, its causes, what to type next, and the exit code.

use std::error::Error;

use serde_json::{Value, json};

/// The answer is no.
pub const REFUSED: u8 = 1;
/// It could not be asked.
pub const NOT_ASKED: u8 = 2;

/// A command that was not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    message: String,
    causes: Vec<String>,
    advice: String,
    exit_code: u8,
}

impl Failure {
    /// It could not be asked.
    #[must_use]
    pub fn not_asked(message: impl Into<String>, advice: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            causes: Vec::new(),
            advice: advice.into(),
            exit_code: NOT_ASKED,
        }
    }

    /// The answer is no.
    #[must_use]
    pub fn refused(message: impl Into<String>, advice: impl Into<String>) -> Self {
        Self {
            exit_code: REFUSED,
            ..Self::not_asked(message, advice)
        }
    }

    /// Adds `error` and what caused it, without repetitions.
    #[must_use]
    pub fn caused_by(mut self, error: &(dyn Error + 'static)) -> Self {
        let mut next = Some(error);
        while let Some(cause) = next {
            let text = cause.to_string();
            if self.causes.last() != Some(&text) && self.message != text {
                self.causes.push(text);
            }
            next = cause.source();
        }
        self
    }

    /// The exit code.
    #[must_use]
    pub const fn exit_code(&self) -> u8 {
        self.exit_code
    }

    /// `error:`, `caused by:`, `try:`, each on its line.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = format!("error: {}\n", self.message);
        for cause in &self.causes {
            text.push_str(&format!("caused by: {cause}\n"));
        }
        text.push_str(&format!("try: {}\n", self.advice));
        text
    }

    /// The JSON object of `--json`.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({"error": {
            "message": self.message,
            "caused_by": self.causes,
            "try": self.advice,
            "exit_code": self.exit_code,
        }})
    }
}
