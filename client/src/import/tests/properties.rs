//! What holds for any input: no panic, nothing lost, the same entries each time.

use proptest::prelude::*;

use super::*;

const FORMATS: [Format; 4] = [
    Format::VCard,
    Format::ICalendar,
    Format::Bookmarks,
    Format::Logins,
];

/// Pieces of all formats, whole and broken, to be put together in any order.
fn fragment() -> impl Strategy<Value = Vec<u8>> {
    let known = prop::sample::select(vec![
        "BEGIN:VCARD\n",
        "END:VCARD\n",
        "VERSION:4.0\r\n",
        "VERSION:2.1\n",
        "FN:A B\n",
        "N:B;A;;;\n",
        "EMAIL;TYPE=work,home;PREF=1:a@example.com\n",
        "TEL:\n",
        "ORG:;;\n",
        "ADR:;;;;;;\n",
        "REV:99991231T235959Z\n",
        "REV:00000000T000000Z\n",
        "item1.X-ABLabel:x\n",
        "item1.URL:x:y\n",
        "PHOTO;ENCODING=b:AAAA\n AAAA\n",
        "NOTE;ENCODING=QUOTED-PRINTABLE:=C3=\n=BC\n",
        "AGENT:\n",
        "BEGIN:VCALENDAR\n",
        "END:VCALENDAR\n",
        "BEGIN:VEVENT\n",
        "END:VEVENT\n",
        "BEGIN:VTODO\r\n",
        "END:VTODO\r\n",
        "BEGIN:VALARM\n",
        "END:VALARM\n",
        "BEGIN:VTIMEZONE\nTZID:Z\n",
        "END:VTIMEZONE\n",
        "DTSTART;TZID=Z:20240101T000000\n",
        "DTSTART:20241301T250000Z\n",
        "DTSTART;VALUE=DATE:20240229\n",
        "DTSTART;TZID=Europe/Berlin:20240331T023000\n",
        "DURATION:-P99999999W\n",
        "DURATION:P1DT1H\n",
        "RRULE:FREQ=DAILY\n",
        "TRIGGER;RELATED=END:-PT5M\n",
        "SUMMARY:T\n",
        "UID:1\n",
        "TRANSP:OPAQUE\n",
        "<!DOCTYPE NETSCAPE-Bookmark-file-1>\n",
        "<DL><p>\n",
        "</DL><p>\n",
        "<DT><H3 A=\"1\">F/1</H3>\n",
        "<DT><A HREF=\"https://example.com/\" ICON=\"x\">T</A>\n",
        "<DD>d\n",
        "<HR>",
        "<DT>",
        "<!--",
        "-->",
        "name,url,username,password\n",
        "x,https://example.com/,u,p\n",
        "\"",
        ",",
        "\n",
        "\r",
        "type,",
        ";",
        "url,username,password,httpRealm,formActionOrigin,guid\n",
        " ",
        "\t",
        "x",
        ":",
        "\\",
        "=\n",
    ]);
    prop_oneof![
        8 => known.prop_map(|text| text.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..12),
        1 => "\\PC{0,8}".prop_map(String::into_bytes),
    ]
}

fn soup() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(fragment(), 0..24).prop_map(|fragments| fragments.concat())
}

/// Lines that a format accounts for without keeping them: the frame of a calendar, which every
/// original has anew, and a header row without rows.
fn is_frame(format: Format, line: &[u8], report: &ImportReport) -> bool {
    match format {
        Format::ICalendar => [b"BEGIN:VCALENDAR" as &[u8], b"END:VCALENDAR"].contains(&line),
        Format::Logins => report.entries.is_empty(),
        _ => false,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn no_input_panics_and_every_import_is_repeatable(file in soup(), arbitrary: Vec<u8>) {
        for file in [file, arbitrary] {
            for format in FORMATS.map(Some).into_iter().chain([None]) {
                let first = import(&file, format, &mut counting());
                let second = import(&file, format, &mut counting());
                prop_assert_eq!(format!("{first:?}"), format!("{second:?}"));
                let Ok(report) = first else { continue };
                let mut ids = std::collections::HashSet::new();
                for imported in &report.entries {
                    let id = imported.entry.unique_id().unwrap();
                    prop_assert!(id.len() <= mesh_common::limits::UNIQUE_ID_BYTES_MAX);
                    prop_assert!(ids.insert(id));
                    let json = imported.entry.to_json();
                    prop_assert_eq!(&CatalogEntry::from_json(&json).unwrap(), &imported.entry);
                }
                let live: Vec<_> = report.entries.iter().map(|one| one.entry.clone()).collect();
                let again = reconcile(second.unwrap().entries, &live);
                prop_assert!(again.iter().all(|one| matches!(one, Change::Unchanged(_))));
            }
        }
    }

    #[test]
    fn every_line_of_cards_calendars_and_logins_is_kept(file in soup()) {
        prop_assume!(!file.starts_with(b"\xFF\xFE") && !file.starts_with(b"\xFE\xFF"));
        for format in [Format::VCard, Format::ICalendar, Format::Logins] {
            let Ok(report) = import(&file, Some(format), &mut counting()) else { continue };
            for line in file.split(|octet| b"\r\n".contains(octet)) {
                let line = line.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(line).trim_ascii();
                if !line.is_empty() && !is_frame(format, line, &report) {
                    let shown = String::from_utf8_lossy(line).into_owned();
                    prop_assert!(is_kept(&report, line), "{format:?} lost {shown:?}");
                }
            }
        }
    }

    #[test]
    fn every_word_of_a_bookmark_file_is_kept(
        fragments in prop::collection::vec((fragment(), 0..6_usize), 0..24),
    ) {
        let mut file = Vec::new();
        let mut words = Vec::new();
        for (place, (fragment, form)) in fragments.iter().enumerate() {
            let word = format!("word{place}word");
            file.extend(fragment);
            file.extend(match form {
                0 => format!("<DT><A HREF=\"https://example.com/{word}\">x</A>\n"),
                1 => format!("<DT><H3>{word}</H3>\n<DL><p>\n"),
                2 => format!("</DL><p>{word}\n"),
                3 => format!("<DD>{word}\n"),
                4 => format!("<P {word}=\"1\">\n"),
                _ => format!("{word}\n"),
            }.into_bytes());
            words.push(word);
        }
        prop_assume!(!file.starts_with(b"\xFF\xFE") && !file.starts_with(b"\xFE\xFF"));
        let report = import(&file, Some(Format::Bookmarks), &mut counting()).unwrap();
        for word in words {
            let shown = String::from_utf8_lossy(&file).into_owned();
            prop_assert!(is_kept(&report, word.as_bytes()), "lost {word} of {shown:?}");
        }
    }
}
