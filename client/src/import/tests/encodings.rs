//! Strange octets, cut-off files, and records too large for one entry.

use super::*;

const CARD: &str = "BEGIN:VCARD\nVERSION:3.0\nFN:Søren Lind\nEMAIL:s@example.com\nEND:VCARD\n";

fn utf_16(text: &str, big: bool) -> Vec<u8> {
    let units = std::iter::once(0xFEFF).chain(text.encode_utf16());
    units
        .flat_map(|unit| {
            if big {
                unit.to_be_bytes()
            } else {
                unit.to_le_bytes()
            }
        })
        .collect()
}

#[test]
fn byte_order_marks_line_ends_and_utf_16_change_nothing() {
    let plain = contact(&imported(CARD).entries[0]);
    assert_eq!(plain.full_name.as_deref(), Some("Søren Lind"));
    for file in [
        format!("\u{FEFF}{CARD}").into_bytes(),
        CARD.replace('\n', "\r\n").into_bytes(),
        CARD.replace('\n', "\r").into_bytes(),
        utf_16(CARD, true),
        utf_16(CARD, false),
    ] {
        let report = imported(file);
        assert_eq!(contact(&report.entries[0]), plain);
        assert_eq!((report.entries.len(), report.skipped.len()), (1, 0));
    }
}

#[test]
fn octets_that_are_no_utf_8_are_read_and_kept() {
    let card = b"BEGIN:VCARD\r\nVERSION:3.0\r\nFN:J\xFCrgen\r\nEND:VCARD\r\n";
    let report = imported(card);
    assert_eq!(
        contact(&report.entries[0]).full_name.as_deref(),
        Some("Jürgen")
    );
    assert!(is_kept(&report, card));
    assert_eq!(report.kept_verbatim.len(), 1);

    let logins = b"name,url,username,password\nx,https://example.com,j\xFCrgen,p\xE4ss\n";
    let report = imported(logins);
    assert_eq!(
        login(&report.entries[0]).username.as_deref(),
        Some("jürgen")
    );
    assert!(is_kept(&report, b"j\xFCrgen,p\xE4ss"));
}

#[test]
fn quoted_printable_cards_of_version_2_1_are_read() {
    let card = "BEGIN:VCARD\r\nVERSION:2.1\r\nN;CHARSET=UTF-8;ENCODING=QUOTED-PRINTABLE:M=C3=BC=\r\n\
                ller;J=C3=B6rg\r\nTEL;CELL:+1 202 555 0107\r\nPHOTO;ENCODING=BASE64;TYPE=PNG:\r\n \
                iVBORw0KGgo=\r\n\r\nEND:VCARD\r\n";
    let report = imported(card);
    let read = contact(&report.entries[0]);
    assert_eq!(read.last.as_deref(), Some("Müller"));
    assert_eq!(read.first.as_deref(), Some("Jörg"));
    assert!(is_kept(&report, b"iVBORw0KGgo="));
    assert!(
        report
            .kept_verbatim
            .iter()
            .any(|note| note.what == "VERSION:2.1")
    );
}

#[test]
fn empty_files_have_no_entries_and_unknown_ones_are_refused() {
    for file in [&b""[..], b" \r\n\n", b"\xEF\xBB\xBF", b"\xFF\xFE"] {
        assert!(imported(file).entries.is_empty());
    }
    let unknown = import(b"hello", None, &mut counting());
    assert!(matches!(unknown, Err(ImportError::UnknownFormat { .. })));
    let header = import(
        b"colour,taste\n1,2\n",
        Some(Format::Logins),
        &mut counting(),
    );
    let message = header.unwrap_err().to_string();
    for program in [
        "Chrome, Edge",
        "Firefox",
        "Safari",
        "Bitwarden",
        "1Password",
        "KeePassXC",
    ] {
        assert!(message.contains(program), "{message}");
    }
}

#[test]
fn a_file_is_read_up_to_its_bound_and_refused_above() {
    let mut file = CARD.as_bytes().to_vec();
    for size in [FILE_BYTES_MAX - 1, FILE_BYTES_MAX] {
        file.resize(size, b' ');
        assert_eq!(imported(&file).entries.len(), 1);
    }
    file.push(b' ');
    let refusal = import(&file, None, &mut counting());
    assert!(
        matches!(refusal, Err(ImportError::TooLarge { found_bytes }) if found_bytes == file.len())
    );
}

#[test]
fn cut_off_files_keep_what_they_have() {
    let report = imported(&CARD[..CARD.len() - 11]);
    assert_eq!(
        contact(&report.entries[0]).full_name.as_deref(),
        Some("Søren Lind")
    );
    assert!(
        report
            .kept_verbatim
            .iter()
            .any(|note| note.why.contains("no END"))
    );

    let event = "BEGIN:VCALENDAR\nVERSION:2.0\nBEGIN:VEVENT\nUID:1\nSUMMARY:Tea\nLOC";
    let report = imported(event);
    assert_eq!(task(&report.entries[0]).title.as_deref(), Some("Tea"));
    assert!(is_kept(&report, b"LOC"));

    let list =
        "<!DOCTYPE NETSCAPE-Bookmark-file-1>\n<DL><p>\n<DT><A HREF=\"https://example.com\">E";
    for end in [list.len(), list.len() - 2, list.len() - 8] {
        let report = imported(&list[..end]);
        assert!(is_kept(&report, b"https://exam"));
    }

    let logins = "name,url,username,password\nx,https://example.com,amara,\"cut o";
    let report = imported(logins);
    assert_eq!(
        login(&report.entries[0])
            .password
            .as_ref()
            .unwrap()
            .reveal(),
        "cut o"
    );
}

#[test]
fn one_card_cut_off_does_not_swallow_the_next() {
    let report = imported(format!("BEGIN:VCARD\nVERSION:3.0\nFN:Half\n{CARD}"));
    let names: Vec<_> = report
        .entries
        .iter()
        .map(|entry| contact(entry).full_name)
        .collect();
    assert_eq!(names, [Some("Half".into()), Some("Søren Lind".into())]);
}

#[test]
fn a_card_with_a_large_photo_is_kept_in_several_entries() {
    for photo_bytes in [1_000, limits::ORIGINAL_PART_BYTES_MAX, 700_000] {
        let photo = "QUJD".repeat(photo_bytes / 4);
        let card = CARD.replace("END:", &format!("PHOTO;ENCODING=b:{photo}\nEND:"));
        let report = imported(&card);
        let entries: Vec<CatalogEntry> = report
            .entries
            .iter()
            .map(|imported| imported.entry.clone())
            .collect();
        let part_max = limits::ORIGINAL_PART_BYTES_MAX;
        assert_eq!(
            entries.len(),
            (card.len() + 4).div_ceil(part_max),
            "{photo_bytes}"
        );
        for entry in &entries {
            assert!(entry.to_json().len() <= mesh_common::limits::ENTRY_PAYLOAD_BYTES_MAX);
        }
        assert_eq!(
            entries
                .iter()
                .filter(|entry| !entry.is_continuation())
                .count(),
            1
        );
        assert_eq!(original_octets(&entries, "K1").unwrap(), card.as_bytes());
    }
}

#[test]
fn members_too_long_for_an_entry_stay_in_the_original() {
    let login = format!(
        "name,url,username,password\nx,https://example.com,u,{}\n",
        "p".repeat(limits::MEMBERS_BYTES_MAX + 1)
    );
    let report = imported(&login);
    assert_eq!(super::login(&report.entries[0]).password, None);
    assert!(is_kept(&report, &login.as_bytes()[30..]));
    assert!(
        report
            .kept_verbatim
            .iter()
            .any(|note| note.why.contains("too long"))
    );
    let text = format!("{report:?}");
    assert!(!text.contains("ppppp"), "a password is shown");
}

#[test]
fn the_largest_entries_are_within_what_a_service_accepts() {
    let bookmark = |bytes: usize| {
        let uri = "\u{1}\"\\".repeat(bytes / 3);
        format!("<!DOCTYPE NETSCAPE-Bookmark-file-1><DL><p><DT><A HREF='{uri}'>x</A></DL>")
    };
    for bytes in [
        30_000,
        limits::MEMBERS_BYTES_MAX / 3,
        limits::MEMBERS_BYTES_MAX,
        1_000_000,
    ] {
        for imported in imported(bookmark(bytes)).entries {
            let json = imported.entry.to_json();
            assert!(
                json.len() <= mesh_common::limits::ENTRY_PAYLOAD_BYTES_MAX - 1_024,
                "{bytes}"
            );
        }
    }
}

#[test]
fn folders_too_deep_or_too_long_for_a_path_are_kept_by_themselves() {
    for depth in [limits::FOLDER_DEPTH_MAX - 1, limits::FOLDER_DEPTH_MAX, 100] {
        let folders: String = (0..depth)
            .map(|level| format!("<DT><H3>F{level}F</H3>\n<DL><p>\n"))
            .collect();
        let report = imported(format!(
            "<!DOCTYPE NETSCAPE-Bookmark-file-1>\n<DL><p>{folders}<DT><A HREF=\"a:\">x</A>\n"
        ));
        for level in 0..depth {
            assert!(is_kept(&report, format!("F{level}F").as_bytes()), "{level}");
        }
        let deeper = depth.saturating_sub(limits::FOLDER_DEPTH_MAX);
        assert_eq!(report.entries.len(), 1 + deeper);
    }
    for bytes in [limits::HEADING_BYTES_MAX - 40, limits::HEADING_BYTES_MAX] {
        let name = "n".repeat(bytes);
        let report = imported(format!(
            "<!DOCTYPE NETSCAPE-Bookmark-file-1>\n<DL><p><DT><H3>{name}</H3>\n<DL><p>\n\
             <DT><A HREF=\"a:\">x</A>\n"
        ));
        assert!(is_kept(&report, name.as_bytes()));
        assert_eq!(
            report.entries.len(),
            1 + usize::from(bytes == limits::HEADING_BYTES_MAX)
        );
    }
}

// Architecture rule 4: no input can panic a process. The value type RECUR on a date is one that
// the calendar reader does not survive; its event is kept all the same.
#[test]
fn what_the_readers_do_not_survive_is_kept_verbatim() {
    let file = "BEGIN:VCALENDAR\nBEGIN:VEVENT\nUID:1\nDTSTART;VALUE=RECUR:FREQ=DAILY\nEND:VEVENT\n\
                BEGIN:VEVENT\nUID:2\nSUMMARY:Tea\nEND:VEVENT\nEND:VCALENDAR\n";
    let report = imported(file);
    assert_eq!(report.entries.len(), 2);
    assert!(is_kept(&report, b"VALUE=RECUR"));
    assert_eq!(task(&report.entries[1]).title.as_deref(), Some("Tea"));
}
