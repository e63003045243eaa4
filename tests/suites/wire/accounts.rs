//! CreateAccount and DeleteAccount (service §5.2 and §5.3; decisions Q-10, Q-15, Q-31, Q-47, Q-69).

use std::time::Duration;

use mesh_common::account::policy::Creation;
use mesh_common::dare::Envelope;
use mesh_common::encoding::base64url::Binary;
use mesh_common::protocol::{Code, CreateRequest, DeleteRequest, Request, Transaction};
use mesh_tests::client::{Answer, Circumstances};
use mesh_tests::people::UPDATED;
use mesh_tests::{Client, Person, TestService, alice, bob, frames, mallet};

use crate::{alices_service, sealed};

const CREATE: Transaction = Transaction::CreateAccount;
const DELETE: Transaction = Transaction::DeleteAccount;

/// Asks for alice's account with a request that `change` has touched.
fn create_with(service: &TestService, change: impl FnOnce(&mut CreateRequest)) -> Answer {
    let alice = alice();
    let Request::CreateAccount(mut request) = alice.creation() else {
        panic!("a creation is a CreateAccount");
    };
    change(&mut request);
    let mut client = Client::new(service, alice.device.as_device());
    let how = Circumstances {
        proof: Some((&alice.mesh.online, &alice.address)),
        ..Circumstances::default()
    };
    client.exchange_as(&Request::CreateAccount(request), how)
}

// I-P-6-a, I-P-4.3.2-a
#[test]
fn a_new_name_is_given_and_given_again_to_its_owner() {
    let service = TestService::start();
    let alice = alice();
    let mut client = Client::new(&service, alice.device.as_device());
    let answer = client.create_account(&alice);
    sealed(CREATE, Code::Ok, "a-new-account", &answer);
    assert!(answer.ticket.is_some());
    sealed(
        CREATE,
        Code::Ok,
        "the-same-account-again",
        &client.create_account(&alice),
    );
}

// I-P-6-a
#[test]
fn a_name_that_is_taken_is_refused() {
    let (service, _client) = alices_service();
    let other = Person::at("mallet", &alice().address);
    let mut client = Client::new(&service, other.device.as_device());
    let answer = client.create_account(&other);
    sealed(
        CREATE,
        Code::AccountRegistered,
        "a-name-that-is-taken",
        &answer,
    );
}

// X-30/31
#[test]
fn newer_profiles_replace_and_older_ones_conflict() {
    let (_service, mut client) = alices_service();
    let alice = alice();
    let newer = alice.updated_at(UPDATED + Duration::from_secs(60));
    sealed(
        CREATE,
        Code::Ok,
        "newer-profiles",
        &client.create_account(&newer),
    );
    let status = client.ask(&frames::status());
    assert_eq!(
        status
            .status()
            .enveloped_profile_master
            .as_ref()
            .unwrap()
            .payload,
        newer.profile_mesh.payload
    );
    sealed(
        CREATE,
        Code::Conflict,
        "older-profiles",
        &client.create_account(&alice),
    );
}

// X-30/31
#[test]
fn names_come_before_profiles_and_profiles_before_the_proof() {
    let service = TestService::start();
    let answer = create_with(&service, |request| {
        request.service_id = Some("alice@example.org".into());
        request.signed_profile_mesh = None;
    });
    answer.must_be(Code::NotAuthorized);
    let alice = alice();
    let tampered = Request::CreateAccount(Box::new(CreateRequest {
        service_id: Some("a b@example.com".into()),
        ..CreateRequest::default()
    }));
    let mut client = Client::new(&service, alice.device.as_device());
    client.exchange(&tampered).must_be(Code::InvalidName);
    let unproved = Request::CreateAccount(Box::new(CreateRequest {
        service_id: Some(alice.address),
        signed_profile_mesh: None,
        ..CreateRequest::default()
    }));
    client.exchange(&unproved).must_be(Code::InvalidProfile);
}

#[test]
fn possession_of_the_mesh_is_proved() {
    let service = TestService::start();
    let (alice, mallet) = (alice(), mallet());
    let mut client = Client::new(&service, mallet.device.as_device());
    client.identity = mesh_common::session::client::ClientIdentity::device(
        mallet.device.profile.clone(),
        mallet.device.keys.authentication.clone(),
        Some(alice.address.clone()),
    );
    let answer = client.exchange(&alice.creation());
    sealed(CREATE, Code::NotAuthorized, "no-proof", &answer);
    for (signer, address) in [
        (&mallet.mesh.online, alice.address.as_str()),
        (&alice.account.online, alice.address.as_str()),
        (&alice.mesh.online, "alice@example.net"),
    ] {
        let how = Circumstances {
            proof: Some((signer, address)),
            ..Circumstances::default()
        };
        let answer = client.exchange_as(&alice.creation(), how);
        sealed(CREATE, Code::NotAuthorized, "a-wrong-proof", &answer);
    }
}

#[test]
fn session_and_creation_name_one_account() {
    let service = TestService::start();
    let answer = create_with(&service, |request| request.service_id = Some(bob().address));
    let slug = "for-another-account-than-the-session";
    sealed(CREATE, Code::NotAuthorized, slug, &answer);
}

#[test]
fn an_account_is_not_created_by_ticket() {
    let (_service, mut client) = alices_service();
    let answer = client.by_ticket(&alice().creation());
    sealed(CREATE, Code::TicketRequired, "by-ticket", &answer);
}

#[test]
fn the_id_of_a_creation_is_its_request_id() {
    let service = TestService::start();
    let answer = create_with(&service, |request| request.id = Some(Binary(vec![1; 16])));
    sealed(
        CREATE,
        Code::Malformed,
        "an-id-that-is-not-the-request-id",
        &answer,
    );
}

#[test]
fn the_request_id_of_another_creation_is_refused() {
    let service = TestService::start();
    let alice = alice();
    let mut client = Client::new(&service, alice.device.as_device());
    let how = || Circumstances {
        request_id: Some([6; 16]),
        proof: Some((&alice.mesh.online, &alice.address)),
        ..Circumstances::default()
    };
    client
        .exchange_as(&alice.creation(), how())
        .must_be(Code::Ok);
    let newer = alice.updated_at(UPDATED + Duration::from_secs(60));
    let answer = client.exchange_as(&newer.creation(), how());
    sealed(
        CREATE,
        Code::Replay,
        "the-request-id-of-another-request",
        &answer,
    );
}

#[test]
fn nobody_creates_accounts_where_creation_is_closed() {
    let service = TestService::with(|config| config.backend.policy.creation = Creation::Closed);
    let answer = create_with(&service, |_| {});
    sealed(CREATE, Code::Refused, "where-creation-is-closed", &answer);
}

#[test]
fn an_account_on_hold_waits_for_its_provider() {
    let service = TestService::with(|config| config.backend.policy.creation = Creation::Approval);
    let alice = alice();
    let mut client = Client::new(&service, alice.device.as_connected());
    sealed(
        CREATE,
        Code::Pending,
        "where-the-provider-approves",
        &client.create_account(&alice),
    );
    let slug = "of-an-account-on-hold";
    let code = Code::Refused;
    sealed(
        Transaction::Status,
        code,
        slug,
        &client.ask(&frames::status()),
    );
    let download = frames::download(frames::BOOKMARKS);
    sealed(Transaction::Download, code, slug, &client.ask(&download));
    let upload = frames::upload(frames::BOOKMARKS, frames::catalog(1));
    sealed(Transaction::Upload, code, slug, &client.ask(&upload));
    // It can be given up (decision Q-38).
    client.ask(&deletion()).must_be(Code::Ok);
}

// S-3.2-a, S-3.2-b, I-S-3.2-a
#[test]
fn profiles_are_signed_by_their_keys() {
    let service = TestService::start();
    let answer = create_with(&service, |request| {
        let mesh = request.signed_profile_mesh.as_mut().unwrap();
        *mesh = Envelope::plain(mesh.payload.as_slice());
    });
    sealed(CREATE, Code::InvalidSignature, "an-unsigned-mesh", &answer);
    let answer = create_with(&service, |request| {
        let mesh = request.signed_profile_mesh.as_mut().unwrap();
        mesh.trailer.as_mut().unwrap().signatures[0]
            .signature
            .as_mut()
            .unwrap()
            .0[3] ^= 1;
    });
    sealed(
        CREATE,
        Code::InvalidSignature,
        "a-mesh-with-a-changed-signature",
        &answer,
    );
    let answer = create_with(&service, |request| {
        let mesh = request.signed_profile_mesh.as_mut().unwrap();
        mesh.payload.0.push(b' ');
    });
    sealed(
        CREATE,
        Code::InvalidSignature,
        "a-mesh-with-a-changed-payload",
        &answer,
    );
    let answer = create_with(&service, |request| {
        let account = request.signed_assertion_account.as_mut().unwrap();
        *account = Envelope::plain(account.payload.as_slice());
    });
    sealed(
        CREATE,
        Code::InvalidSignature,
        "an-unsigned-account",
        &answer,
    );
}

// S-3.2-a, I-S-7.2.4-a
#[test]
fn profiles_are_what_they_are_for() {
    let service = TestService::start();
    let (alice, bob) = (alice(), bob());
    let answer = create_with(&service, |request| request.signed_profile_mesh = None);
    sealed(CREATE, Code::InvalidProfile, "no-mesh", &answer);
    let answer = create_with(&service, |request| request.signed_assertion_account = None);
    sealed(CREATE, Code::InvalidProfile, "no-account-profile", &answer);
    let answer = create_with(&service, |request| {
        request.signed_profile_mesh = Some(alice.profile_account.clone());
    });
    sealed(
        CREATE,
        Code::InvalidProfile,
        "another-class-of-profile",
        &answer,
    );
    let answer = create_with(&service, |request| {
        request.signed_profile_mesh = Some(Envelope::plain("no profile"));
    });
    sealed(CREATE, Code::InvalidProfile, "an-unreadable-mesh", &answer);
    let answer = create_with(&service, |request| {
        let named = Person::at("alice", &bob.address);
        request.signed_assertion_account = Some(named.profile_account);
    });
    sealed(
        CREATE,
        Code::InvalidProfile,
        "an-account-profile-of-another-name",
        &answer,
    );
    let answer = create_with(&service, |request| {
        let mesh = request.signed_profile_mesh.as_ref().unwrap();
        let text = String::from_utf8(mesh.payload.0.clone()).unwrap();
        let udf = alice.mesh.offline.udf().to_string();
        let text = text.replacen(&udf, &bob.mesh.offline.udf().to_string(), 1);
        let header = mesh.header.clone();
        let forged = Envelope::signed(text, header, &[&alice.mesh.offline]);
        request.signed_profile_mesh = Some(forged);
    });
    sealed(
        CREATE,
        Code::InvalidProfile,
        "a-udf-that-is-not-the-keys",
        &answer,
    );
    let answer = create_with(&service, |request| {
        let text = br#"{"ProfileMesh":{"Updated":"2020-03-10T12:00:00Z"}}"#;
        let header = mesh_common::dare::Header::default();
        let forged = Envelope::signed(&text[..], header, &[&alice.mesh.offline]);
        request.signed_profile_mesh = Some(forged);
    });
    sealed(
        CREATE,
        Code::InvalidProfile,
        "a-mesh-without-its-signature-key",
        &answer,
    );
}

// X-30/31
#[test]
fn a_name_is_one_that_can_be_had_here() {
    let service = TestService::with(|config| {
        config.backend.policy.names.reserved = vec!["postmaster".into()];
    });
    let device = alice().device;
    for (slug, name) in [
        ("no-name", None),
        ("no-address", Some("alice".to_owned())),
        ("a-blank-in-the-name", Some("al ice@example.com".to_owned())),
        (
            "a-control-octet-in-the-name",
            Some("al\u{1}ice@example.com".to_owned()),
        ),
        ("an-empty-name", Some("@example.com".to_owned())),
        (
            "a-name-of-65-characters",
            Some(format!("{}@example.com", "a".repeat(65))),
        ),
        ("a-reserved-name", Some("Postmaster@example.com".to_owned())),
        ("a-name-elsewhere", Some("alice@example.org".to_owned())),
    ] {
        let identity = mesh_common::session::client::ClientIdentity::device(
            device.profile.clone(),
            device.keys.authentication.clone(),
            name.clone().or_else(|| Some("alice@example.com".into())),
        );
        let mut client = Client::new(&service, identity);
        let request = Request::CreateAccount(Box::new(CreateRequest {
            service_id: name,
            ..CreateRequest::default()
        }));
        let answer = client.exchange(&request);
        sealed(CREATE, Code::InvalidName, slug, &answer);
    }
    let longest = Person::at("longest", &format!("{}@example.com", "a".repeat(64)));
    let mut client = Client::new(&service, longest.device.as_device());
    client.create_account(&longest).must_be(Code::Ok);
}

fn deletion() -> Request {
    Request::DeleteAccount(DeleteRequest::default())
}

// I-P-6-b
#[test]
fn a_deleted_account_is_gone_for_its_old_tickets() {
    let (_service, mut client) = alices_service();
    let how = Circumstances {
        request_id: Some([2; 16]),
        ..Circumstances::default()
    };
    let answer = client.by_ticket_as(&deletion(), &how);
    sealed(DELETE, Code::Ok, "an-account", &answer);
    let again = client.by_ticket_as(&deletion(), &how);
    assert_eq!(
        again.must_be(Code::Ok).text,
        answer.text,
        "the stored answer"
    );
    let slug = "of-a-deleted-account";
    let code = Code::NotFound;
    sealed(DELETE, code, slug, &client.by_ticket(&deletion()));
    sealed(
        Transaction::Status,
        code,
        slug,
        &client.by_ticket(&frames::status()),
    );
    let download = frames::download(frames::BOOKMARKS);
    sealed(
        Transaction::Download,
        code,
        slug,
        &client.by_ticket(&download),
    );
    let upload = frames::upload(frames::BOOKMARKS, frames::catalog(1));
    sealed(Transaction::Upload, code, slug, &client.by_ticket(&upload));
    // Anybody else gets what an unknown account gives (decision Q-15).
    client
        .exchange(&frames::status())
        .must_be(Code::AuthenticationFailed);
}

#[test]
fn an_account_is_not_deleted_by_exchange() {
    let (_service, mut client) = alices_service();
    let answer = client.exchange(&deletion());
    sealed(DELETE, Code::TicketRequired, "by-exchange", &answer);
    assert!(
        answer.ticket.is_some(),
        "which brings the ticket (decision Q-1)"
    );
    client.by_ticket(&deletion()).must_be(Code::Ok);
}

// X-32
#[test]
fn an_account_is_deleted_by_an_administrator() {
    let (service, mut client) = alices_service();
    let phone = alice().another_device("phone", &[]);
    let added = frames::upload(frames::DEVICES, vec![phone.frame(2, "New")]);
    client.ask(&added).must_be(Code::Ok);
    let mut on_phone = Client::of_device(&service, &phone);
    on_phone.ask(&frames::status()).must_be(Code::Ok);
    let answer = on_phone.by_ticket(&deletion());
    sealed(
        DELETE,
        Code::NotAdministrator,
        "by-a-device-without-the-right",
        &answer,
    );
    client.ask(&frames::status()).must_be(Code::Ok);
}

#[test]
fn a_deletion_is_for_the_account_of_the_session() {
    let (service, mut client) = alices_service();
    let request = Request::DeleteAccount(DeleteRequest {
        account: Some(bob().address),
        ..DeleteRequest::default()
    });
    let slug = "for-another-account-than-the-session";
    sealed(
        DELETE,
        Code::NotAuthorized,
        slug,
        &client.by_ticket(&request),
    );
    let mut bobs = Client::of_new_account(&service, &bob());
    bobs.ask(&frames::status()).must_be(Code::Ok);
}

#[test]
fn the_ids_of_a_deletion_agree_and_are_used_once() {
    let (_service, mut client) = alices_service();
    let request = Request::DeleteAccount(DeleteRequest {
        id: Some(Binary(vec![1; 16])),
        ..DeleteRequest::default()
    });
    let slug = "an-id-that-is-not-the-request-id";
    sealed(DELETE, Code::Malformed, slug, &client.by_ticket(&request));
    let how = Circumstances {
        request_id: Some([1; 16]),
        ..Circumstances::default()
    };
    let upload = frames::upload(frames::BOOKMARKS, frames::catalog(1));
    client.by_ticket_as(&upload, &how).must_be(Code::Ok);
    let answer = client.by_ticket_as(&deletion(), &how);
    sealed(
        DELETE,
        Code::Replay,
        "the-request-id-of-another-request",
        &answer,
    );
}
