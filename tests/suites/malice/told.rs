//! What a person is told, and what the device made of a request.

use std::error::Error;
use std::fmt::Write as _;

use mesh_client::ClientError;
use mesh_tests::golden;

/// Compares what `mesh` prints for `error` with the golden file `name`.
#[track_caller]
pub(crate) fn told(name: &str, error: &ClientError) {
    let mut text = format!("error: {error}\n");
    let mut next = error.source();
    let mut last = error.to_string();
    while let Some(cause) = next {
        if cause.to_string() != last {
            let _ = writeln!(text, "caused by: {cause}");
        }
        last = cause.to_string();
        next = cause.source();
    }
    if let Some(advice) = error.advice() {
        let _ = writeln!(text, "try: {advice}");
    }
    let code = if error.is_refusal() { 1 } else { 2 };
    let _ = writeln!(text, "[{code}]");
    golden::check(&format!("malice/{name}"), &masked(&text));
}

/// UDFs and witnesses differ from run to run.
fn masked(text: &str) -> String {
    let is_part = |letter: char| letter.is_ascii_alphanumeric() || letter == '-';
    let mut shown = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let is_word = is_part(first);
        let end = rest
            .find(|letter| is_part(letter) != is_word)
            .unwrap_or(rest.len());
        let (piece, behind) = rest.split_at(end);
        if is_word {
            shown.push_str(&golden::masked_text(piece.to_owned()));
        } else {
            shown.push_str(piece);
        }
        rest = behind;
    }
    shown
}
