//! What goes right: each mode, by exchange and by ticket.

use super::world::{ALICE, NOW, World};
use crate::encoding::json;
use crate::protocol::{HelloRequest, Outcome, Request, Response, StatusRequest, Transaction};
use crate::session::client::{ClientIdentity, ClientSession};
use crate::session::{Authenticated, Mode, Opened, Via, open_request, parse_request};

pub(super) fn status() -> Request {
    Request::Status(StatusRequest {
        account: Some(ALICE.into()),
        ..StatusRequest::default()
    })
}

pub(super) fn ok(transaction: Transaction) -> Response {
    Response::with_outcome(Some(transaction), Outcome::ok())
}

/// Checks 1 to 6 as a front-end does them.
pub(super) fn authenticate(world: &World, opened: Opened) -> Authenticated {
    match opened {
        Opened::Ticket(authenticated) => *authenticated,
        Opened::Exchange(exchange) => match exchange.mode() {
            Mode::Profile => exchange.verify_by(Some(&world.keys())).unwrap(),
            _ => exchange.verify_alone().unwrap(),
        },
    }
}

/// One request and its answer, over the wire form.
fn round(
    world: &mut World,
    session: &mut ClientSession,
    request: &Request,
    now: crate::time::Timestamp,
) -> (Authenticated, Response) {
    let mut entropy = world.entropy.clone();
    let mut attempt = session.begin(request, &mut entropy);
    let sent = session.seal(&mut attempt, now, &mut entropy).unwrap();
    let received = json::parse(&json::write(&sent)).unwrap();
    let opened = open_request(received, &world.hosts, &world.tickets, now).unwrap();
    let authenticated = authenticate(world, opened);
    assert_eq!(&parse_request(&authenticated.plaintext).unwrap(), request);
    let transaction = request.transaction();
    let answer = authenticated
        .sealer
        .seal_response(
            Some(transaction),
            &ok(transaction),
            &world.tickets,
            now,
            &mut entropy,
        )
        .unwrap();
    let step = session
        .receive(&mut attempt, &json::write(&answer), None, now)
        .unwrap();
    world.entropy = entropy;
    match step {
        crate::session::client::Step::Done(response) => (authenticated, *response),
        other => panic!("{other:?}"),
    }
}

// P-4.3.1-c, I-P-4.3.2-b, I-P-4.3.3-a, I-P-4.3.4-a
#[test]
fn each_mode_goes_from_exchange_to_ticket() {
    let mut world = World::new();
    let service = ClientIdentity::service(
        world.profile_service.clone(),
        Some(world.profile_host.clone()),
        "example.net".into(),
        world.service.authentication.clone(),
    );
    let hello = Request::Hello(HelloRequest::default());
    for (client, mode, request) in [
        (world.as_device(), Mode::Device, &hello),
        (world.as_connected(), Mode::Profile, &status()),
        (world.as_connected_to_mesh(), Mode::Profile, &status()),
        (service, Mode::Service, &hello),
    ] {
        let key = client.key_udf();
        let mut session = world.session(client);
        let (first, response) = round(&mut world, &mut session, request, NOW);
        assert!(response.outcome().is_success());
        assert_eq!((first.caller.mode, first.caller.via), (mode, Via::Exchange));
        assert_eq!(first.caller.key_udf, key);
        assert!(session.ticket().is_some());
        let (second, response) = round(&mut world, &mut session, request, NOW);
        assert!(response.outcome().is_success());
        assert_eq!(second.caller.via, Via::Ticket);
        let as_by_exchange = crate::session::Caller {
            via: Via::Exchange,
            ..second.caller
        };
        assert_eq!(as_by_exchange, first.caller);
    }
}
