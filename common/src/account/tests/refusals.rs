//! Every refusal the machine can give, in one table per transaction; and that strangers cannot tell
//! an account that exists from one that does not.

use super::*;
use crate::account::testing::{message, update};
use crate::account::{Decision, decide, needs};
use crate::address::AccountAddress;
use crate::cluster::{Evidence, Verified};
use crate::entropy::SeededEntropy;
use crate::limits;
use crate::protocol::{
    CompleteRequest, ConstraintsData, ConstraintsSelect, DownloadRequest, HelloRequest,
    PostRequest, Request, StatusRequest, Transaction,
};
use crate::session::{Mode, Via};

/// How a caller may come: all pairs that exist.
const WAYS: [(Mode, Via); 7] = [
    (Mode::Device, Via::Exchange),
    (Mode::Device, Via::Ticket),
    (Mode::Profile, Via::Exchange),
    (Mode::Profile, Via::Ticket),
    (Mode::Service, Via::Exchange),
    (Mode::Service, Via::Ticket),
    (Mode::Interop, Via::Bare),
];

fn bare(transaction: Transaction) -> Request {
    match transaction {
        Transaction::Hello => Request::Hello(HelloRequest::default()),
        Transaction::CreateAccount => Request::CreateAccount(Box::default()),
        Transaction::DeleteAccount => Request::DeleteAccount(Default::default()),
        Transaction::Complete => Request::Complete(CompleteRequest::default()),
        Transaction::Status => Request::Status(StatusRequest::default()),
        Transaction::Download => Request::Download(DownloadRequest::default()),
        Transaction::Upload => Request::Upload(Default::default()),
        Transaction::Post => Request::Post(PostRequest::default()),
        Transaction::Connect => Request::Connect(Box::default()),
    }
}

fn stranger(address: &str, (mode, via): (Mode, Via)) -> Device {
    Device::of(address, "stranger").authenticating(mode, via)
}

// X-24, I-S-4.4-a, I-S-4.4-b
#[test]
fn the_matrix_of_modes_and_transactions_holds_for_strangers() {
    use Transaction::{DeleteAccount, Download, Status, Upload};
    for (way, transaction, expected) in [
        ((Mode::Device, Via::Exchange), Status, Code::NotFound),
        ((Mode::Device, Via::Ticket), Status, Code::NotFound),
        ((Mode::Device, Via::Exchange), Download, Code::NotAuthorized),
        ((Mode::Device, Via::Ticket), Download, Code::NotAuthorized),
        ((Mode::Device, Via::Exchange), Upload, Code::NotAuthorized),
        ((Mode::Device, Via::Ticket), Upload, Code::NotAuthorized),
        (
            (Mode::Device, Via::Exchange),
            DeleteAccount,
            Code::TicketRequired,
        ),
        (
            (Mode::Device, Via::Ticket),
            DeleteAccount,
            Code::NotAuthorized,
        ),
        ((Mode::Profile, Via::Exchange), Status, Code::DeviceRevoked),
        ((Mode::Profile, Via::Ticket), Download, Code::DeviceRevoked),
        ((Mode::Profile, Via::Ticket), Upload, Code::DeviceRevoked),
        (
            (Mode::Profile, Via::Exchange),
            DeleteAccount,
            Code::TicketRequired,
        ),
        (
            (Mode::Profile, Via::Ticket),
            DeleteAccount,
            Code::DeviceRevoked,
        ),
        ((Mode::Service, Via::Exchange), Status, Code::NotAuthorized),
        ((Mode::Service, Via::Ticket), Download, Code::NotAuthorized),
        ((Mode::Service, Via::Ticket), Upload, Code::NotAuthorized),
        (
            (Mode::Service, Via::Ticket),
            DeleteAccount,
            Code::NotAuthorized,
        ),
    ] {
        let (mut shell, _) = devices::alice_with_laptop();
        let request = stranger(ALICE, way).ask(bare(transaction), Evidence::Nothing);
        assert_eq!(
            told(&mut shell, request),
            expected,
            "{way:?} {transaction:?}"
        );
    }
}

// whoever is not connected gets the same answer, word for word.
#[test]
fn strangers_cannot_tell_whether_an_account_exists() {
    let (mut shell, _) = devices::alice_with_laptop();
    let unconnected = WAYS
        .into_iter()
        .filter(|(mode, _)| matches!(mode, Mode::Device | Mode::Service));
    for way in unconnected {
        for transaction in Transaction::ALL {
            // Both say whether the name is taken: the one always, the other by what it is answered.
            if matches!(
                transaction,
                Transaction::CreateAccount | Transaction::Connect
            ) {
                continue;
            }
            let mut ask = |address: &str| {
                let mut device = stranger(address, way);
                shell.perform(device.ask(bare(transaction), Evidence::Nothing))
            };
            assert_eq!(
                ask(ALICE),
                ask("nobody@example.com"),
                "{way:?} {transaction:?}"
            );
        }
    }
}

// nor by what is looked up for them.
#[test]
fn nothing_is_looked_up_for_strangers() {
    let (shell, _) = devices::alice_with_laptop();
    let standing = shell.standing(&AccountAddress::parse(ALICE).unwrap());
    for way in WAYS {
        if way.0 == Mode::Interop {
            continue;
        }
        let upload = stranger(ALICE, way).upload_all(
            vec![update("mmm_Device", vec![event(1, "New", "x", "x")])],
            vec![message("Notice", "N1", "{}")],
        );
        let needs = needs(&standing, &upload);
        assert!(
            needs.records.is_empty() && needs.unique_ids.is_empty(),
            "{way:?}"
        );
        assert!(needs.messages.is_empty(), "{way:?}");
    }
}

// Q-25, I-P-10.11.1-a
#[test]
fn a_device_of_another_account_is_refused() {
    let (mut shell, _) = alice();
    let mut mallet = Device::of("mallet@example.com", "laptop");
    let mut request = mallet.upload_all(Vec::new(), Vec::new());
    request.account = AccountAddress::parse(ALICE).unwrap();
    assert_eq!(told(&mut shell, request), Code::NotAuthorized);
    let (mut shell, mut laptop) = alice();
    let named = |text: &str| {
        Request::Status(StatusRequest {
            account: Some(text.to_owned()),
            ..StatusRequest::default()
        })
    };
    for (text, expected) in [
        ("ALICE@Example.com", Code::Ok),
        ("mallet@example.com", Code::NotAuthorized),
        ("no address", Code::NotAuthorized),
    ] {
        let request = laptop.ask(named(text), Evidence::Nothing);
        assert_eq!(told(&mut shell, request), expected, "{text}");
    }
}

//
#[test]
fn accounts_are_created_on_an_exchange_only() {
    for (way, expected) in [
        ((Mode::Device, Via::Exchange), Code::Ok),
        ((Mode::Device, Via::Ticket), Code::TicketRequired),
        ((Mode::Profile, Via::Exchange), Code::Ok),
        ((Mode::Profile, Via::Ticket), Code::TicketRequired),
        ((Mode::Service, Via::Exchange), Code::NotAuthorized),
        ((Mode::Service, Via::Ticket), Code::NotAuthorized),
        ((Mode::Interop, Via::Bare), Code::Ok),
    ] {
        let mut shell = Shell::default();
        let mut request = stranger(ALICE, way).create(&Person::named("alice"));
        request.caller.via = way.1;
        assert_eq!(told(&mut shell, request), expected, "{way:?}");
    }
}

#[test]
fn a_creation_without_evidence_or_profiles_is_refused() {
    let mut shell = Shell::default();
    let mut laptop = Device::of(ALICE, "laptop");
    let mut request = laptop.create(&Person::named("alice"));
    if let Request::CreateAccount(create) = &mut request.request {
        create.signed_profile_mesh = None;
    }
    assert_eq!(told(&mut shell, request.clone()), Code::InvalidProfile);
    request.evidence = Evidence::Nothing;
    assert_eq!(told(&mut shell, request), Code::Internal);
    let mut elsewhere = laptop.create(&Person::named("alice"));
    elsewhere.caller.account = None;
    assert_eq!(told(&mut shell, elsewhere), Code::NotAuthorized);
}

#[test]
fn what_is_not_offered_says_so_in_its_own_class() {
    let (mut shell, mut laptop) = alice();
    let answer = shell.perform(laptop.ask(bare(Transaction::Hello), Evidence::Nothing));
    assert_eq!(code(&answer), Code::UnknownOperation);
    assert_eq!(answer.response.tag(), "MeshHelloResponse");
}

fn download(select: Vec<ConstraintsSelect>, constraints: ConstraintsData) -> Request {
    Request::Download(DownloadRequest {
        select,
        constraints_post: Some(constraints),
        ..DownloadRequest::default()
    })
}

fn select(container: &str) -> ConstraintsSelect {
    ConstraintsSelect {
        container: Some(container.to_owned()),
        ..ConstraintsSelect::default()
    }
}

//
#[test]
fn refusals_of_a_download() {
    let any = ConstraintsData::default;
    let with_page_key = |key: &str| ConstraintsSelect {
        page_key: Some(key.to_owned()),
        ..select("mmm_Inbound")
    };
    let entries = |max_entries| ConstraintsData {
        max_entries: Some(max_entries),
        ..any()
    };
    let octets = |bytes_max| ConstraintsData {
        bytes_max: Some(bytes_max),
        ..any()
    };
    let offset = ConstraintsData {
        bytes_offset: Some(0),
        ..any()
    };
    let many = |count| vec![select("mmm_Inbound"); count];
    let max = limits::DOWNLOAD_SELECTIONS_MAX;
    for (select, constraints, expected) in [
        (many(max), any(), Code::Ok),
        (many(max + 1), any(), Code::TooLarge),
        (vec![with_page_key("")], any(), Code::Ok),
        (vec![with_page_key("x")], any(), Code::Malformed),
        (many(1), entries(0), Code::Malformed),
        (many(1), entries(1), Code::Ok),
        (many(1), octets(0), Code::Malformed),
        (many(1), octets(i64::MIN), Code::Malformed),
        (many(1), offset.clone(), Code::Ok),
        (many(2), offset, Code::Malformed),
        (vec![select("../etc/passwd")], any(), Code::UnknownStore),
        (vec![ConstraintsSelect::default()], any(), Code::Malformed),
        (
            vec![select("mmm_Task"), select("mmm_Contact")],
            any(),
            Code::NotFound,
        ),
        (
            vec![select("mmm_Task"), select("mmm_Local")],
            any(),
            Code::Ok,
        ),
    ] {
        let (mut shell, mut laptop) = alice();
        let text = format!("{select:?} {constraints:?}");
        let request = laptop.ask(download(select, constraints), Evidence::Nothing);
        assert_eq!(told(&mut shell, request), expected, "{text}");
    }
}

//
#[test]
fn a_malformed_name_is_refused_in_a_status() {
    let (mut shell, mut laptop) = alice();
    let request = Request::Status(StatusRequest {
        spools: vec!["mmm/../../x".into()],
        ..StatusRequest::default()
    });
    let request = laptop.ask(request, Evidence::Nothing);
    assert_eq!(told(&mut shell, request), Code::UnknownStore);
}

//
#[test]
fn refusals_of_an_upload_beside_conflicts() {
    let contact = |envelope| update("mmm_Contact", vec![first_frame(), envelope]);
    let entry = || event(1, "New", "bob", "{}");
    let mut foreign_cipher = entry();
    foreign_cipher.header.enc = Some("A128GCM".into());
    let mut bad_meta = entry();
    bad_meta.header.content_meta_data = Some(b"no json".to_vec().into());
    let mut bad_digest = entry();
    bad_digest.header.payload_digest = Some(vec![0; 64].into());
    let mut short_digest = entry();
    short_digest.header.payload_digest = Some(vec![0; 3].into());
    let mut plain_cipher = entry();
    plain_cipher.header.enc = Some("none".into());
    let mut list = first_frame();
    if let Some(info) = &mut list.header.container_info {
        info.container_type = Some("List".into());
    }
    let unnamed = crate::protocol::ContainerUpdate {
        container: None,
        ..contact(entry())
    };
    for (update, expected) in [
        (contact(plain_cipher), Code::Ok),
        (contact(foreign_cipher), Code::Encoding),
        (contact(bad_meta), Code::Malformed),
        (contact(bad_digest), Code::InvalidSignature),
        (contact(short_digest), Code::InvalidSignature),
        (contact(event(1, "New", "", "{}")), Code::Malformed),
        (contact(event(1, "Gone", "bob", "{}")), Code::Malformed),
        (update("mmm_Contact", vec![list]), Code::InvalidProfile),
        (
            update("mmm_Contact", vec![event(0, "New", "bob", "{}")]),
            Code::InvalidProfile,
        ),
        (update("no name", vec![entry()]), Code::UnknownStore),
        (unnamed, Code::Malformed),
    ] {
        let (mut shell, mut laptop) = alice();
        let request = laptop.upload_all(vec![update], Vec::new());
        let answer = shell.perform(request);
        assert_eq!(code(&answer), expected, "{}", description(&answer));
    }
}

#[test]
fn every_refusal_has_a_sentence_for_the_peer() {
    let (mut shell, _) = devices::alice_with_laptop();
    for way in WAYS {
        for transaction in Transaction::ALL {
            for address in [ALICE, "nobody@example.com"] {
                if transaction == Transaction::Connect && address == ALICE {
                    continue; // It needs evidence; see `connect`.
                }
                let mut device = stranger(address, way);
                let answer = shell.perform(device.ask(bare(transaction), Evidence::Nothing));
                let sentence = description(&answer);
                assert!(
                    !sentence.is_empty() && !sentence.ends_with('.'),
                    "{sentence:?}"
                );
                assert_eq!(answer.response.tag(), transaction.response_tag());
            }
        }
    }
}

#[test]
fn deciding_twice_gives_the_same_decision() {
    let (shell, mut laptop) = alice_with_contacts();
    let request = Verified::declare(laptop.upload("mmm_Contact", vec![event(3, "New", "d", "x")]));
    let standing = shell.standing(&laptop.address);
    let once = || -> Decision {
        let lookups = Default::default();
        let mut entropy = SeededEntropy::new(1);
        decide(
            &standing,
            &request,
            &lookups,
            &shell.policy,
            shell.now,
            &mut entropy,
        )
    };
    assert_eq!(once(), once());
}
