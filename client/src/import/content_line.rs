//! What vCard and iCalendar have in common: logical lines folded over several physical ones, and
//! BEGIN and END. RFC 6350 §3.2, RFC 5545 §3.1.

use super::source::{Line, is_blank, lines};

/// One logical line, `name;parameters:value`, with its folds removed. A line without a colon has
/// its whole text as the name, as it is.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ContentLine {
    /// The name, in upper case where there is a value.
    pub(super) name: String,
    /// The parameters with the semicolon before them; empty when there are none.
    pub(super) parameters: String,
    /// The value; `None` when the line has no colon outside quotes.
    pub(super) value: Option<String>,
}

/// Whether the physical line is `keyword:` and then, if given, `component`, in any case.
pub(super) fn marks(line: &[u8], keyword: &str, component: Option<&str>) -> bool {
    marked(line, keyword)
        .is_some_and(|found| component.is_none_or(|name| found.eq_ignore_ascii_case(name)))
}

/// The component of a line such as `BEGIN:VEVENT`.
pub(super) fn marked<'a>(line: &'a [u8], keyword: &str) -> Option<&'a str> {
    let line = line.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(line);
    let (name, component) = std::str::from_utf8(line).ok()?.split_once(':')?;
    name.trim_end()
        .eq_ignore_ascii_case(keyword)
        .then(|| component.trim())
}

/// The logical lines of a text.
pub(super) fn content_lines(text: &str) -> Vec<ContentLine> {
    let mut unfolded: Vec<String> = Vec::new();
    for line in lines(text.as_bytes()) {
        // The lines of a text are text: they are cut at ASCII octets.
        let whole = &text[line.start..line.end()];
        let physical = whole.trim_end_matches(['\r', '\n']);
        match (physical.strip_prefix([' ', '\t']), unfolded.last_mut()) {
            (Some(rest), Some(before)) => before.push_str(rest),
            _ if is_blank(physical.as_bytes()) => {}
            _ => unfolded.push(physical.to_owned()),
        }
    }
    unfolded
        .iter()
        .map(|line| ContentLine::read(line))
        .collect()
}

impl ContentLine {
    fn read(line: &str) -> Self {
        let mut quoted = false;
        let colon = line.find(|letter| {
            quoted ^= letter == '"';
            letter == ':' && !quoted
        });
        let (head, value) = match colon {
            Some(place) => (&line[..place], Some(line[place + 1..].to_owned())),
            None => (line, None),
        };
        let (name, parameters) = head.split_at(head.find(';').unwrap_or(head.len()));
        let name = match value {
            Some(_) => name.trim().to_ascii_uppercase(),
            None => {
                return Self {
                    name: line.trim().to_owned(),
                    parameters: String::new(),
                    value,
                };
            }
        };
        Self {
            name,
            parameters: parameters.to_owned(),
            value,
        }
    }
}

/// The end of the line, CR LF or LF, that a piece of a file uses.
pub(super) fn line_end_of(octets: &[u8]) -> &'static [u8] {
    match lines(octets).next() {
        Some(Line { whole, .. }) if whole.ends_with(b"\r\n") => b"\r\n",
        Some(Line { whole, .. }) if whole.ends_with(b"\r") => b"\r",
        _ => b"\n",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folds_are_removed_and_parameters_told_from_values() {
        let read =
            content_lines("DTSTART;TZID=\"a:b\":2024\r\nSUMMARY:Tea\r\n  and\r\n\t cake\r\nx\n");
        let line = |name: &str, parameters: &str, value: Option<&str>| ContentLine {
            name: name.into(),
            parameters: parameters.into(),
            value: value.map(Into::into),
        };
        assert_eq!(
            read,
            [
                line("DTSTART", ";TZID=\"a:b\"", Some("2024")),
                line("SUMMARY", "", Some("Tea and cake")),
                line("x", "", None),
            ]
        );
    }

    #[test]
    fn begin_and_end_are_found_in_any_case() {
        assert!(marks(b"begin:vcard ", "BEGIN", Some("VCARD")));
        assert!(marks(b"\xEF\xBB\xBFBEGIN:VCARD", "BEGIN", None));
        assert!(!marks(b" END:VCARD", "END", Some("VCARD")));
        assert!(!marks(b"NOTE:END:VCARD", "END", Some("VCARD")));
    }
}
