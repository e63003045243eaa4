//! What is printed: text for people, or one JSON object. Results that are lists come as columns.

use std::fmt::Write as _;
use std::io::{self, Write as _};

use serde::Serialize;
use serde_json::{Value, json};

use crate::failure::Failure;

/// A command that was done.
#[derive(Debug)]
pub(crate) struct Done {
    /// For people.
    pub(crate) text: String,
    /// For programs.
    pub(crate) result: Value,
    /// 0, or 1 where the answer is no.
    pub(crate) exit_code: u8,
}

impl Done {
    /// Done, with what to say.
    pub(crate) fn new(text: impl Into<String>, result: &impl Serialize) -> Self {
        Self {
            text: text.into(),
            result: serde_json::to_value(result).unwrap_or(Value::Null),
            exit_code: 0,
        }
    }

    /// The answer is no.
    pub(crate) const fn refused(mut self) -> Self {
        self.exit_code = crate::failure::REFUSED;
        self
    }
}

/// Prints the outcome of the command `name` and returns the exit code.
pub(crate) fn print(name: &str, as_json: bool, outcome: &Result<Done, Failure>) -> u8 {
    let (out, err, code) = match outcome {
        Ok(done) if as_json => (
            line(&json!({"command": name, "result": done.result})),
            String::new(),
            done.exit_code,
        ),
        Ok(done) => (done.text.clone(), String::new(), done.exit_code),
        Err(failure) if as_json => (line(&failure.to_json()), String::new(), failure.exit_code()),
        Err(failure) => (String::new(), failure.to_text(), failure.exit_code()),
    };
    // A reader that went away (`mesh contact list | head`) has seen enough: that is no failure.
    let _ = io::stdout().lock().write_all(out.as_bytes());
    let _ = io::stderr().lock().write_all(err.as_bytes());
    code
}

fn line(value: &Value) -> String {
    format!("{value}\n")
}

/// Rows as columns that line up, two spaces apart; the last column is as long as it is.
pub(crate) fn columns(rows: &[Vec<String>]) -> String {
    let count = rows.iter().map(Vec::len).max().unwrap_or(0);
    let widths: Vec<usize> = (0..count)
        .map(|column| {
            rows.iter()
                .filter_map(|row| row.get(column))
                .map(|cell| cell.chars().count())
                .max()
                .unwrap_or(0)
        })
        .collect();
    let mut text = String::new();
    for row in rows {
        let mut written = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            let _ = write!(written, "{cell:width$}  ");
        }
        let _ = writeln!(text, "{}", written.trim_end());
    }
    text
}

/// Text on one line, without anything a terminal would act on.
pub(crate) fn plain(text: &str) -> String {
    text.chars()
        .map(|letter| if letter.is_control() { ' ' } else { letter })
        .collect()
}

/// `1 frame`, `2 frames`.
pub(crate) fn counted(number: u64, one: &str) -> String {
    match number {
        1 => format!("1 {one}"),
        number if one.ends_with('y') => format!("{number} {}ies", &one[..one.len() - 1]),
        number => format!("{number} {one}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let rows = [["a", "long one", "x"], ["bcd", "é", ""]];
        let rows: Vec<Vec<String>> = rows
            .iter()
            .map(|row| row.iter().map(|cell| (*cell).to_owned()).collect())
            .collect();
        assert_eq!(columns(&rows), "a    long one  x\nbcd  é\n");
        assert_eq!(columns(&[]), "");
    }

    #[test]
    fn numbers_agree_with_their_nouns() {
        assert_eq!(counted(1, "entry"), "1 entry");
        assert_eq!(counted(2, "entry"), "2 entries");
        assert_eq!(counted(0, "frame"), "0 frames");
    }

    #[test]
    fn nothing_reaches_a_terminal_that_it_would_act_on() {
        assert_eq!(plain("a\u{1b}[31m\nb"), "a [31m b");
    }
}
