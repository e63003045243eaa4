//! Whether every code of every transaction has its transcript: the table below says which codes a
//! transaction can answer with today, and every test here fails when table, transcripts and tests
//! part ways.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use mesh_common::protocol::status_code::TABLE;
use mesh_common::protocol::{Code, Transaction};
use mesh_tests::golden;

use crate::numbers_of;

/// The codes of each transaction; those of `None` stand in a MeshResponse.
const PRODUCIBLE: &[(Option<Transaction>, &[Code])] = &[
    (
        None,
        &[
            Code::Malformed,
            Code::Encoding,
            Code::AuthenticationFailed,
            Code::TicketInvalid,
            Code::HostKeyUnknown,
            Code::ClockSkew,
            Code::NotFound,
            Code::MethodNotAllowed,
            Code::Timeout,
            Code::TooLarge,
            Code::UnsupportedMediaType,
            Code::Misdirected,
            Code::InvalidProfile,
            Code::RateLimited,
            Code::HeadersTooLarge,
            Code::UnknownOperation,
            Code::Overload,
        ],
    ),
    (
        Some(Transaction::Hello),
        &[Code::Ok, Code::Malformed, Code::TooLarge],
    ),
    (
        Some(Transaction::CreateAccount),
        &[
            Code::Ok,
            Code::Pending,
            Code::Malformed,
            Code::AuthenticationRequired,
            Code::Replay,
            Code::TicketRequired,
            Code::NotAuthorized,
            Code::Refused,
            Code::AccountRegistered,
            Code::Conflict,
            Code::InvalidSignature,
            Code::InvalidProfile,
            Code::InvalidName,
            Code::RateLimited,
            Code::Overload,
        ],
    ),
    (
        Some(Transaction::DeleteAccount),
        &[
            Code::Ok,
            Code::Malformed,
            Code::AuthenticationRequired,
            Code::Replay,
            Code::TicketRequired,
            Code::NotAuthorized,
            Code::NotAdministrator,
            Code::DeviceRevoked,
            Code::NotFound,
        ],
    ),
    (
        Some(Transaction::Status),
        &[
            Code::Ok,
            Code::Pending,
            Code::Malformed,
            Code::UnknownStore,
            Code::AuthenticationRequired,
            Code::NotAuthorized,
            Code::DeviceRevoked,
            Code::Refused,
            Code::NotFound,
            Code::RateLimited,
        ],
    ),
    (
        Some(Transaction::Download),
        &[
            Code::Ok,
            Code::Malformed,
            Code::UnknownStore,
            Code::AuthenticationRequired,
            Code::NotAuthorized,
            Code::DeviceRevoked,
            Code::Refused,
            Code::NotFound,
            Code::TooLarge,
        ],
    ),
    (
        Some(Transaction::Upload),
        &[
            Code::Ok,
            Code::Malformed,
            Code::Encoding,
            Code::UnknownStore,
            Code::AuthenticationRequired,
            Code::Replay,
            Code::NotAuthorized,
            Code::NotAdministrator,
            Code::DeviceRevoked,
            Code::Refused,
            Code::NotFound,
            Code::Conflict,
            Code::IdReused,
            Code::TooLarge,
            Code::InvalidSignature,
            Code::InvalidProfile,
            Code::Overload,
            Code::QuotaExceeded,
        ],
    ),
    (
        Some(Transaction::Post),
        &[
            Code::Ok,
            Code::Malformed,
            Code::Encoding,
            Code::AuthenticationRequired,
            Code::Replay,
            Code::NotAuthorized,
            Code::NotAdministrator,
            Code::DeviceRevoked,
            Code::Refused,
            Code::NotFound,
            Code::IdReused,
            Code::TooLarge,
            Code::InvalidSignature,
            Code::InvalidProfile,
            Code::InvalidName,
            Code::RateLimited,
            Code::Overload,
            Code::QueueFull,
            Code::QuotaExceeded,
        ],
    ),
    (
        Some(Transaction::Connect),
        &[
            Code::Ok,
            Code::Malformed,
            Code::AuthenticationRequired,
            Code::Replay,
            Code::NotAuthorized,
            Code::Refused,
            Code::NotFound,
            Code::Conflict,
            Code::TooLarge,
            Code::InvalidSignature,
            Code::InvalidProfile,
            Code::InvalidName,
            Code::RateLimited,
            Code::Overload,
            Code::QuotaExceeded,
        ],
    ),
    (
        Some(Transaction::Complete),
        &[
            Code::Ok,
            Code::Pending,
            Code::Malformed,
            Code::AuthenticationRequired,
            Code::NotAuthorized,
            Code::Refused,
            Code::NotFound,
            Code::Expired,
        ],
    ),
];

/// Codes of the table that no peer can cause today, and why.
const NOT_YET: &[(Code, &str)] = &[
    (
        Code::Accepted,
        "an owner is away for moments only before there is a cluster; the back-end's tests show it",
    ),
    (
        Code::RedirectPermanent,
        "accounts do not move before there is a cluster",
    ),
    (
        Code::RedirectTemporary,
        "accounts do not move before there is a cluster",
    ),
    (
        Code::Internal,
        "a mistake of ours, which no request is known to cause",
    ),
];

/// The folder of a transaction's transcripts.
fn folder_of(transaction: Option<Transaction>) -> &'static str {
    transaction.map_or("MeshResponse", Transaction::request_tag)
}

/// What is typed, what a lying service is told, and what a cluster refuses, have their transcripts beside those of
/// the wire, and suites of their own. What is no transcript lies beside the folders.
const OTHERS: [&str; 6] = ["cli", "hostile", "malice", "messages", "ordered", "refused"];

/// All transcripts of the wire: folder, and name without its end.
fn transcripts() -> Vec<(String, String)> {
    let mut found = Vec::new();
    for folder in fs::read_dir(golden::folder()).unwrap() {
        let folder = folder.unwrap();
        let is_other = OTHERS.iter().any(|other| folder.file_name() == *other);
        if is_other || !folder.path().is_dir() {
            continue;
        }
        for file in fs::read_dir(folder.path()).unwrap() {
            let name = file.unwrap().file_name().into_string().unwrap();
            let name = name.strip_suffix(".txt").unwrap().to_owned();
            found.push((folder.file_name().into_string().unwrap(), name));
        }
    }
    found
}

#[test]
fn every_transaction_has_a_transcript_of_each_of_its_codes() {
    let transcripts = transcripts();
    for (transaction, codes) in PRODUCIBLE {
        let folder = folder_of(*transaction);
        for code in *codes {
            let begin = format!("{}-", numbers_of(*code));
            let is_there = transcripts
                .iter()
                .any(|(place, name)| place == folder && is_of(name, &begin));
            assert!(is_there, "{folder} has no transcript of {code:?}");
        }
    }
}

/// Whether a transcript is of the code whose numbers and hyphen are `begin`: 401-2 is not 401.
fn is_of(name: &str, begin: &str) -> bool {
    name.strip_prefix(begin).is_some_and(|slug| {
        slug.bytes()
            .next()
            .is_some_and(|octet| octet.is_ascii_lowercase())
    })
}

#[test]
fn every_transcript_is_of_a_code_that_its_transaction_can_answer_with() {
    for (place, name) in transcripts() {
        let (_, codes) = PRODUCIBLE
            .iter()
            .find(|(transaction, _)| folder_of(*transaction) == place)
            .unwrap();
        let is_known = codes
            .iter()
            .any(|code| is_of(&name, &format!("{}-", numbers_of(*code))));
        assert!(
            is_known,
            "{place}/{name} is of a code that the table does not have"
        );
    }
}

#[test]
fn every_code_of_the_table_is_shown_or_excused() {
    let shown: BTreeSet<Code> = PRODUCIBLE
        .iter()
        .flat_map(|(_, codes)| codes.iter().copied())
        .collect();
    let excused: BTreeSet<Code> = NOT_YET.iter().map(|(code, _)| *code).collect();
    for (code, ..) in TABLE {
        assert_ne!(
            shown.contains(code),
            excused.contains(code),
            "{code:?} is neither shown nor excused, or both"
        );
    }
    assert!(NOT_YET.iter().all(|(_, reason)| !reason.is_empty()));
    let transactions: BTreeSet<_> = PRODUCIBLE.iter().map(|(one, _)| *one).collect();
    assert_eq!(transactions.len(), Transaction::ALL.len() + 1);
}

#[test]
fn every_transcript_is_checked_by_a_test() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("suites/wire");
    let sources: String = fs::read_dir(folder)
        .unwrap()
        .map(|file| fs::read_to_string(file.unwrap().path()).unwrap())
        .collect();
    for (place, name) in transcripts() {
        let slug = name.trim_start_matches(|letter: char| letter.is_ascii_digit() || letter == '-');
        let literal = format!("\"{slug}\"");
        assert!(sources.contains(&literal), "no test checks {place}/{name}");
    }
}
