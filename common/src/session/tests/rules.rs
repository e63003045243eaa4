//! The matrix of service §4.8, as far as it needs no state, and check 7.

use super::exchange::{authenticate, status};
use super::world::{ALICE, NOW, World};
use crate::address::AccountAddress;
use crate::protocol::{Code, CreateRequest, HelloRequest, Request, StatusRequest, Transaction};
use crate::session::{Caller, Mode, Via, account_for, check_mode, open_request};
use crate::udf::Udf;

fn caller(mode: Mode, via: Via) -> Caller {
    Caller {
        mode,
        via,
        account: (mode != Mode::Service).then(|| AccountAddress::parse(ALICE).unwrap()),
        profile_udf: None,
        key_udf: Udf::parse("MAAA-AAAA").unwrap(),
        credential_digest: [0; 32],
        domain: None,
    }
}

// X-24, I-P-4.3.2-a, I-P-4.3.2-b
#[test]
fn the_matrix_holds() {
    const NO: Option<Code> = Some(Code::NotAuthorized);
    const WAY: Option<Code> = Some(Code::TicketRequired);
    let columns = [
        (Mode::Device, Via::Exchange),
        (Mode::Profile, Via::Exchange),
        (Mode::Device, Via::Ticket),
        (Mode::Profile, Via::Ticket),
        (Mode::Service, Via::Exchange),
        (Mode::Service, Via::Ticket),
    ];
    for (transaction, row) in [
        (Transaction::Hello, [None; 6]),
        (Transaction::CreateAccount, [None, None, WAY, WAY, NO, NO]),
        (Transaction::Connect, [None, NO, None, NO, NO, NO]),
        (Transaction::Complete, [None, NO, None, NO, NO, NO]),
        (Transaction::Status, [None, None, None, None, NO, NO]),
        (Transaction::Download, [None, None, None, None, NO, NO]),
        (Transaction::Upload, [None, None, None, None, NO, NO]),
        (Transaction::Post, [None; 6]),
        (Transaction::DeleteAccount, [WAY, WAY, None, None, NO, NO]),
    ] {
        for ((mode, via), expected) in columns.into_iter().zip(row) {
            let refusal = check_mode(&caller(mode, via), transaction).err();
            assert_eq!(
                refusal.map(|error| error.code),
                expected,
                "{transaction:?} {mode:?} {via:?}"
            );
        }
    }
}

// Decision Q-44
#[test]
fn without_an_account_there_is_hello_and_connect_only() {
    for transaction in Transaction::ALL {
        let nobody = Caller {
            account: None,
            ..caller(Mode::Device, Via::Ticket)
        };
        let allowed = matches!(transaction, Transaction::Hello | Transaction::Connect);
        assert_eq!(
            check_mode(&nobody, transaction).is_ok(),
            allowed,
            "{transaction:?}"
        );
    }
}

// Decision Q-25
#[test]
fn session_and_request_name_one_account() {
    let mut world = World::new();
    let client = world.as_connected();
    let session = world.session(client);
    let mut entropy = world.entropy.clone();
    let (envelope, _) = session.request(NOW, &mut entropy, &status()).unwrap();
    let opened = open_request(envelope, &world.hosts, &world.tickets, NOW).unwrap();
    world.entropy = entropy;
    let authenticated = authenticate(&world, opened);
    let asking = |account: Option<&str>| {
        Request::Status(StatusRequest {
            account: account.map(Into::into),
            ..StatusRequest::default()
        })
    };
    let creating = |account: &str| {
        Request::CreateAccount(Box::new(CreateRequest {
            service_id: Some(account.into()),
            ..CreateRequest::default()
        }))
    };
    let hello = Request::Hello(HelloRequest::default());
    for (request, expected) in [
        (asking(Some(ALICE)), Ok(ALICE)),
        (asking(Some("ALICE@Example.COM")), Ok("ALICE@Example.COM")),
        (asking(None), Ok(ALICE)),
        (hello, Ok(ALICE)),
        (asking(Some("bob@example.com")), Err(Code::NotAuthorized)),
        (asking(Some("alice")), Err(Code::NotAuthorized)),
        (creating("bob@example.com"), Err(Code::NotAuthorized)),
        (creating("a b@example.com"), Err(Code::InvalidName)),
    ] {
        let account = account_for(&authenticated, &request);
        let outcome = account
            .as_ref()
            .map(|account| account.as_ref().unwrap().as_written())
            .map_err(|error| error.code);
        assert_eq!(outcome, expected, "{request:?}");
    }
}
