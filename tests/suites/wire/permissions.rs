//! Who authenticated and may not: what the sealed text says, and checks 7 to 8a of service §4.4, whose
//! refusals are sealed (decision Q-1).

use mesh_common::encoding::base64url::Binary;
use mesh_common::encoding::json;
use mesh_common::protocol::{Code, HelloRequest, Request, StatusRequest, Transaction};
use mesh_common::session::client::ClientIdentity;
use mesh_tests::client::Circumstances;
use mesh_tests::people::Person;
use mesh_tests::{
    Client, Domains, ELSEWHERE, ForeignService, Form, TestService, alice, bob, frames, mallet,
};

use crate::{alices_service, sealed};

// P-4.5-a, P-4.4-a
#[test]
fn a_sealed_text_that_is_no_request_is_refused_sealed() {
    let (_service, mut client) = alices_service();
    let status = Some(Transaction::Status);
    for (slug, transaction, code, text) in [
        ("sealed-no-json", None, Code::Malformed, &b"hello"[..]),
        (
            "sealed-unknown-tag",
            None,
            Code::UnknownOperation,
            br#"{"Publish":{}}"#,
        ),
        ("sealed-json-b", None, Code::Encoding, b"{\x80\x06Status{}}"),
        (
            "a-second-member",
            status,
            Code::Malformed,
            br#"{"Status":{},"Hello":{}}"#,
        ),
        (
            "a-member-of-another-type",
            status,
            Code::Malformed,
            br#"{"Status":{"Spools":7}}"#,
        ),
    ] {
        let (envelope, pending) = client.seal_ticket(text, &Circumstances::default());
        let answer = client.send(Form::Ticket, text.to_vec(), &envelope, &pending);
        assert!(answer.is_sealed);
        crate::shown(transaction, code, slug, &answer);
    }
}

fn status_with(change: impl FnOnce(&mut StatusRequest)) -> Request {
    let mut request = StatusRequest::default();
    change(&mut request);
    Request::Status(request)
}

// X-23
#[test]
fn the_id_of_a_request_is_its_request_id() {
    let (_service, mut client) = alices_service();
    let how = Circumstances {
        request_id: Some([3; 16]),
        ..Circumstances::default()
    };
    let other = status_with(|request| request.id = Some(Binary(vec![4; 16])));
    let answer = client.by_ticket_as(&other, &how);
    let slug = "an-id-that-is-not-the-request-id";
    sealed(Transaction::Status, Code::Malformed, slug, &answer);
    let same = status_with(|request| request.id = Some(Binary(vec![3; 16])));
    let answer = client.by_ticket_as(&same, &how);
    assert_eq!(
        answer.must_be(Code::Ok).outcome().id,
        Some(Binary(vec![3; 16]))
    );
}

#[test]
fn session_and_request_name_one_account() {
    let (_service, mut client) = alices_service();
    let other = status_with(|request| request.account = Some(bob().address));
    let slug = "for-another-account-than-the-session";
    sealed(
        Transaction::Status,
        Code::NotAuthorized,
        slug,
        &client.by_ticket(&other),
    );
    client.exchange(&other).must_be(Code::NotAuthorized);
    let own = status_with(|request| request.account = Some("ALICE@Example.COM".into()));
    client.by_ticket(&own).must_be(Code::Ok);
}

// I-S-4.4-b
#[test]
fn a_mode_that_may_not_is_told_so() {
    let service = TestService::with_domains(&Domains::elsewhere(), |_| {});
    let _client = Client::of_new_account_with_device(&service, &alice());
    let mut peer = ForeignService::of(ELSEWHERE).client(&service);
    let answer = peer.exchange(&frames::status());
    sealed(
        Transaction::Status,
        Code::NotAuthorized,
        "as-a-service",
        &answer,
    );
    let answer = peer.exchange(&frames::upload(frames::BOOKMARKS, frames::catalog(1)));
    sealed(
        Transaction::Upload,
        Code::NotAuthorized,
        "as-a-service",
        &answer,
    );
    let hello = Request::Hello(HelloRequest::default());
    let answer = peer.exchange(&hello);
    sealed(Transaction::Hello, Code::Ok, "as-a-service", &answer);
    assert!(answer.ticket.is_some(), "a service gets a ticket");
    let request: Request =
        json::parse(br#"{"Complete":{"ServiceID":"alice@example.com"}}"#).unwrap();
    let mut connected = Client::new(&service, alice().device.as_connected());
    let answer = connected.exchange(&request);
    sealed(
        Transaction::Complete,
        Code::NotAuthorized,
        "as-a-connected-device",
        &answer,
    );
}

// X-16, I-P-10.11.1-a
#[test]
fn a_device_that_is_not_connected_may_do_nothing_here() {
    let (service, _client) = alices_service();
    // Mallet's device speaks for itself, and names alice's account, then one that is not here.
    let mut answers = Vec::new();
    for address in [alice().address, bob().address] {
        let device = mallet().device;
        let identity = ClientIdentity::device(
            device.profile.clone(),
            device.keys.authentication.clone(),
            Some(address),
        );
        let mut client = Client::new(&service, identity);
        let download = client.exchange(&frames::download(frames::BOOKMARKS));
        sealed(
            Transaction::Download,
            Code::NotAuthorized,
            "as-a-strange-device",
            &download,
        );
        let upload = client.exchange(&frames::upload(frames::BOOKMARKS, frames::catalog(1)));
        sealed(
            Transaction::Upload,
            Code::NotAuthorized,
            "as-a-strange-device",
            &upload,
        );
        let status = client.exchange(&frames::status());
        sealed(
            Transaction::Status,
            Code::NotFound,
            "as-a-strange-device",
            &status,
        );
        answers.push([download.text, upload.text, status.text]);
    }
    assert_eq!(
        answers[0], answers[1],
        "who is here and who is not looks the same"
    );
}

// X-21/22
#[test]
fn a_ticket_bound_to_no_account_allows_hello_only() {
    let (service, _client) = alices_service();
    let device = mallet().device;
    let identity = ClientIdentity::device(device.profile, device.keys.authentication, None);
    let mut client = Client::new(&service, identity);
    let hello = Request::Hello(HelloRequest::default());
    client.exchange(&hello).must_be(Code::Ok);
    assert!(client.ticket.is_some());
    let answer = client.by_ticket(&hello);
    sealed(
        Transaction::Hello,
        Code::Ok,
        "by-a-ticket-bound-to-no-account",
        &answer,
    );
    let named = status_with(|request| request.account = Some(alice().address));
    let answer = client.by_ticket(&named);
    let slug = "by-a-ticket-bound-to-no-account";
    sealed(Transaction::Status, Code::NotAuthorized, slug, &answer);
}

// X-23
#[test]
fn a_request_id_is_used_for_one_request() {
    let (_service, mut client) = alices_service();
    let how = Circumstances {
        request_id: Some([8; 16]),
        ..Circumstances::default()
    };
    let first = frames::upload(frames::BOOKMARKS, frames::catalog(1));
    let stored = client.by_ticket_as(&first, &how);
    stored.must_be(Code::Ok);
    let again = client.by_ticket_as(&first, &how);
    assert_eq!(again.text, stored.text, "the stored answer, newly sealed");
    assert_ne!(again.http.body, stored.http.body);
    let entry = frames::event(2, "New", "entry-2", b"another");
    let other = frames::upload(frames::BOOKMARKS, vec![entry]);
    let answer = client.by_ticket_as(&other, &how);
    sealed(
        Transaction::Upload,
        Code::Replay,
        "the-request-id-of-another-request",
        &answer,
    );
    let count = client.ask(&frames::status()).count_of(frames::BOOKMARKS);
    assert_eq!(count, Some(2));
}

// X-21/22
#[test]
fn a_deleted_device_is_refused_on_its_next_request() {
    let (service, mut client) = alices_service();
    let phone = alice().another_device("phone", &[]);
    let added = frames::upload(frames::DEVICES, vec![phone.frame(2, "New")]);
    client.ask(&added).must_be(Code::Ok);
    let mut on_phone = Client::of_device(&service, &phone);
    on_phone.ask(&frames::status()).must_be(Code::Ok);
    assert!(on_phone.ticket.is_some());
    let deleted = frames::event(3, "Delete", &phone.udf(), b"");
    client
        .ask(&frames::upload(frames::DEVICES, vec![deleted]))
        .must_be(Code::Ok);
    let slug = "as-a-deleted-device";
    let code = Code::DeviceRevoked;
    sealed(
        Transaction::Status,
        code,
        slug,
        &on_phone.by_ticket(&frames::status()),
    );
    let download = on_phone.by_ticket(&frames::download(frames::DEVICES));
    sealed(Transaction::Download, code, slug, &download);
    let upload = frames::upload(frames::BOOKMARKS, frames::catalog(1));
    sealed(
        Transaction::Upload,
        code,
        slug,
        &on_phone.by_ticket(&upload),
    );
    let deletion: Request = json::parse(br#"{"DeleteAccount":{}}"#).unwrap();
    sealed(
        Transaction::DeleteAccount,
        code,
        slug,
        &on_phone.by_ticket(&deletion),
    );
    let exchanged = on_phone.exchange(&frames::status());
    assert!(
        exchanged.must_be(code).ticket.is_none(),
        "and gets no ticket (decision Q-56)"
    );
}

// X-21: while an account has no device, a ticket for it would be all that an administrator needs.
#[test]
fn a_creation_that_is_refused_is_no_way_into_the_account() {
    let (service, _client) = alices_service();
    let impostor = Person::at("mallet", &alice().address);
    let mut mallets = Client::new(&service, impostor.device.as_connected());
    let taken = mallets.create_account(&impostor);
    assert!(taken.must_be(Code::AccountRegistered).ticket.is_none());
    let bobs = Person::at("mallet", &bob().address);
    let mut mallets = Client::new(&service, bobs.device.as_connected());
    let unproven = mallets.exchange(&bobs.creation());
    assert!(unproven.must_be(Code::NotAuthorized).ticket.is_none());
}
