//! Words and columns for people.

use std::time::Duration;

use mesh_backend::desk::TroubleView;
use mesh_common::time::Timestamp;

/// Rows as columns that line up, two spaces apart; the last column is as long as it is.
#[must_use]
pub fn columns(rows: &[Vec<String>]) -> String {
    let count = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..count).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            line.push_str(&format!("{cell:width$}  "));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// The heads of columns.
#[must_use]
pub fn heads(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// Facts below a title, their names lined up.
#[must_use]
pub fn facts(facts: &[(&str, String)]) -> String {
    let rows: Vec<Vec<String>> = facts
        .iter()
        .map(|(name, value)| vec![format!("  {name}"), value.clone()])
        .collect();
    columns(&rows)
}

/// `1 message`, `2 messages`, `2 entries`.
#[must_use]
pub fn counted(number: u64, one: &str) -> String {
    match (number, one.strip_suffix('y')) {
        (1, _) => format!("1 {one}"),
        (number, Some(stem)) => format!("{number} {stem}ies"),
        (number, None) => format!("{number} {one}s"),
    }
}

/// `40 s`, `3 min`, `3 h 12 min`, `2 d 4 h`.
#[must_use]
pub fn span(time: Duration) -> String {
    let seconds = time.as_secs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
    let with = |larger: String, smaller: u64, unit: &str| match smaller {
        0 => larger,
        smaller => format!("{larger} {smaller} {unit}"),
    };
    if minutes == 0 {
        format!("{seconds} s")
    } else if hours == 0 {
        format!("{minutes} min")
    } else if days < 2 {
        with(format!("{hours} h"), minutes % 60, "min")
    } else {
        with(format!("{days} d"), hours % 24, "h")
    }
}

/// How long ago a moment was, or how far ahead it is.
#[must_use]
pub fn ago(now: Timestamp, then: Timestamp) -> String {
    if then > now {
        return in_time(now, then);
    }
    format!("{} ago", span(now.since(then)))
}

/// How far ahead a moment is; `now` if it has come.
#[must_use]
pub fn in_time(now: Timestamp, then: Timestamp) -> String {
    if then <= now {
        "now".to_owned()
    } else {
        // Rounded up: what is a fraction of a second ahead is not yet.
        let left = then.since(now) + Duration::from_millis(999);
        format!("in {}", span(left))
    }
}

/// `740 octets`, `2.1 KiB`, `64 MiB`.
#[must_use]
pub fn size(octets: u64) -> String {
    const UNITS: [(&str, u64); 3] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    for (unit, one) in UNITS {
        if octets >= one {
            let tenths = octets.saturating_mul(10) / one;
            return format!("{}.{} {unit}", tenths / 10, tenths % 10);
        }
    }
    counted(octets, "octet")
}

/// Text on one line, without anything a terminal would act on: peers wrote it.
#[must_use]
pub fn plain(text: &str) -> String {
    text.chars()
        .map(|letter| if letter.is_control() { ' ' } else { letter })
        .collect()
}

/// What went wrong, and when.
#[must_use]
pub fn trouble(now: Timestamp, trouble: &TroubleView) -> String {
    format!("{}, {}", plain(&trouble.text), ago(now, trouble.at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_have_at_most_two_units() {
        for (seconds, text) in [
            (0, "0 s"),
            (59, "59 s"),
            (60, "1 min"),
            (3_600, "1 h"),
            (11_520, "3 h 12 min"),
            (172_800, "2 d"),
            (190_000, "2 d 4 h"),
        ] {
            assert_eq!(span(Duration::from_secs(seconds)), text);
        }
    }

    #[test]
    fn moments_are_told_from_now() {
        let now = Timestamp::from_secs(1_000);
        assert_eq!(ago(now, Timestamp::from_secs(990)), "10 s ago");
        assert_eq!(ago(now, Timestamp::from_secs(1_010)), "in 10 s");
        assert_eq!(in_time(now, Timestamp::from_millis(1_000_001)), "in 1 s");
        assert_eq!(in_time(now, now), "now");
    }

    #[test]
    fn sizes_and_counts_read_well() {
        assert_eq!(size(1), "1 octet");
        assert_eq!(size(2_150), "2.0 KiB");
        assert_eq!(size(5 << 20), "5.0 MiB");
        assert_eq!(counted(2, "entry"), "2 entries");
    }

    #[test]
    fn columns_line_up_and_nothing_acts_on_a_terminal() {
        let rows = vec![heads(&["A", "LONG"]), heads(&["bcd", ""])];
        assert_eq!(columns(&rows), "A    LONG\nbcd\n");
        assert_eq!(plain("a\u{1b}[31m\nb"), "a [31m b");
    }
}
