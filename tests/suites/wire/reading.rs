//! Hello, Status and Download (service §5.1, §5.4 and §5.5; decisions Q-23 and Q-30).

use mesh_common::limits::DOWNLOAD_SELECTIONS_MAX;
use mesh_common::protocol::{
    Code, ConstraintsData, ConstraintsSelect, DownloadRequest, Request, StatusRequest, Transaction,
};
use mesh_tests::client::bare as say;
use mesh_tests::{Client, TestService, alice, bob, frames};

use crate::{alices_service, bare, sealed};

const STATUS: Transaction = Transaction::Status;
const DOWNLOAD: Transaction = Transaction::Download;

// P-4.3.1-a, S-4.3-a, P-4.4-d, P-10.5-a
#[test]
fn hello_says_who_the_service_is_and_what_it_bears() {
    let service = TestService::start();
    let answer = say(&mut service.connect(), br#"{"Hello":{}}"#);
    bare(
        Some(Transaction::Hello),
        Code::Ok,
        "unauthenticated",
        &answer,
    );
}

#[test]
fn hello_echoes_the_id_of_its_request() {
    let service = TestService::start();
    let answer = say(
        &mut service.connect(),
        br#"{"Hello":{"ID":"BwcHBwcHBwcHBwcHBwcHBw"}}"#,
    );
    bare(Some(Transaction::Hello), Code::Ok, "with-an-id", &answer);
}

// P-4.3-a
#[test]
fn hello_may_be_sealed_and_then_brings_a_ticket() {
    let (service, _client) = alices_service();
    let hello = Request::Hello(mesh_common::protocol::HelloRequest::default());
    let mut client = Client::new(&service, alice().device.as_connected());
    let answer = client.exchange(&hello);
    sealed(Transaction::Hello, Code::Ok, "by-exchange", &answer);
    assert!(answer.ticket.is_some());
    client.by_ticket(&frames::status()).must_be(Code::Ok);
}

// I-P-7.1-a
#[test]
fn status_lists_the_containers() {
    let (_service, mut client) = alices_service();
    let upload = frames::upload(frames::BOOKMARKS, frames::catalog(2));
    client.ask(&upload).must_be(Code::Ok);
    sealed(
        STATUS,
        Code::Ok,
        "of-everything-by-ticket",
        &client.by_ticket(&frames::status()),
    );
    sealed(
        STATUS,
        Code::Ok,
        "of-everything-by-exchange",
        &client.exchange(&frames::status()),
    );
    let some = Request::Status(StatusRequest {
        catalogs: vec!["mmm_Bookmark".into(), "mmm_Contact".into()],
        spools: vec!["SpoolInbound".into()],
        ..StatusRequest::default()
    });
    sealed(STATUS, Code::Ok, "of-some-containers", &client.ask(&some));
}

// I-P-8-b, I-P-7.1-b
#[test]
fn a_device_reads_its_own_entry_in_device_mode() {
    let (service, mut client) = alices_service();
    let phone = alice().another_device("phone", &[]);
    let mut on_phone = Client::new(&service, phone.as_device());
    on_phone.exchange(&frames::status()).must_be(Code::NotFound);
    let added = frames::upload(frames::DEVICES, vec![phone.frame(2, "New")]);
    client.ask(&added).must_be(Code::Ok);
    let answer = on_phone.exchange(&frames::status());
    sealed(STATUS, Code::Ok, "of-its-own-entry", &answer);
    assert!(
        answer.ticket.is_none(),
        "service §4.2: no ticket in Device mode after a Status"
    );
}

#[test]
fn a_name_that_no_container_can_have_is_refused() {
    let (_service, mut client) = alices_service();
    let request = frames::status_of("../../etc/passwd");
    sealed(
        STATUS,
        Code::UnknownStore,
        "a-name-with-dots",
        &client.ask(&request),
    );
    let request = frames::download("mmm_");
    sealed(
        DOWNLOAD,
        Code::UnknownStore,
        "a-name-without-an-end",
        &client.ask(&request),
    );
}

// I-P-7.2-a
#[test]
fn download_brings_what_is_selected() {
    let (_service, mut client) = alices_service();
    let upload = frames::upload(frames::BOOKMARKS, frames::catalog(3));
    client.ask(&upload).must_be(Code::Ok);
    let answer = client.ask(&frames::download_select(vec![
        ConstraintsSelect {
            container: Some(frames::BOOKMARKS.into()),
            index_min: Some(1),
            index_max: Some(2),
            ..ConstraintsSelect::default()
        },
        ConstraintsSelect {
            container: Some("mmm/Inbound".into()),
            index_min: Some(-1),
            ..ConstraintsSelect::default()
        },
    ]));
    sealed(DOWNLOAD, Code::Ok, "of-two-selections", &answer);
    let nothing = client.ask(&frames::download_select(Vec::new()));
    sealed(DOWNLOAD, Code::Ok, "of-nothing", &nothing);
}

#[test]
fn a_download_of_containers_that_are_not_there_finds_nothing() {
    let (_service, mut client) = alices_service();
    let answer = client.ask(&frames::download("mmm_Network"));
    sealed(DOWNLOAD, Code::NotFound, "of-an-absent-container", &answer);
}

// X-60
#[test]
fn a_download_has_at_most_64_selections() {
    let (_service, mut client) = alices_service();
    let selections = |count: usize| {
        let select = ConstraintsSelect {
            container: Some("mmm_Inbound".into()),
            ..ConstraintsSelect::default()
        };
        frames::download_select(vec![select; count])
    };
    for count in [DOWNLOAD_SELECTIONS_MAX - 1, DOWNLOAD_SELECTIONS_MAX] {
        client.ask(&selections(count)).must_be(Code::Ok);
    }
    let answer = client.ask(&selections(DOWNLOAD_SELECTIONS_MAX + 1));
    sealed(DOWNLOAD, Code::TooLarge, "of-65-selections", &answer);
}

#[test]
fn bounds_of_a_download_make_sense() {
    let (_service, mut client) = alices_service();
    let upload = frames::upload(frames::BOOKMARKS, frames::catalog(3));
    client.ask(&upload).must_be(Code::Ok);
    let with = |constraints: ConstraintsData, page_key: Option<&str>| {
        Request::Download(DownloadRequest {
            select: vec![ConstraintsSelect {
                container: Some(frames::BOOKMARKS.into()),
                page_key: page_key.map(str::to_owned),
                ..ConstraintsSelect::default()
            }],
            constraints_post: Some(constraints),
            ..DownloadRequest::default()
        })
    };
    let none = ConstraintsData::default;
    for (slug, request) in [
        (
            "no-entries",
            with(
                ConstraintsData {
                    max_entries: Some(0),
                    ..none()
                },
                None,
            ),
        ),
        (
            "no-octets",
            with(
                ConstraintsData {
                    bytes_max: Some(0),
                    ..none()
                },
                None,
            ),
        ),
        (
            "an-offset-into-several-entries",
            with(
                ConstraintsData {
                    bytes_offset: Some(1),
                    ..none()
                },
                None,
            ),
        ),
        ("a-page-key", with(none(), Some("next"))),
    ] {
        sealed(DOWNLOAD, Code::Malformed, slug, &client.ask(&request));
    }
    client.ask(&with(none(), Some(""))).must_be(Code::Ok);
}

#[test]
fn a_download_is_for_the_account_of_the_session() {
    let (_service, mut client) = alices_service();
    let request = Request::Download(DownloadRequest {
        account: Some(bob().address),
        ..DownloadRequest::default()
    });
    let slug = "for-another-account-than-the-session";
    sealed(DOWNLOAD, Code::NotAuthorized, slug, &client.ask(&request));
}
