//! What a client does when it is asked for another try.

use std::time::Duration;

use super::exchange::{authenticate, ok, status};
use super::world::{NOW, World};
use crate::assertion::make::ServiceKeys;
use crate::encoding::json;
use crate::error::ServiceError;
use crate::protocol::{Code, DeleteRequest, HelloResponse, Request, Response, Transaction};
use crate::session::client::{Attempt, ClientError, ClientSession, Step};
use crate::session::{Authenticated, HostKeys, Via, open_request};
use crate::time::Timestamp;

/// A service that answers one sealed request, and a client that asks it.
struct Talk {
    world: World,
    session: ClientSession,
}

/// What came of one round.
struct Round {
    step: Result<Step, ClientError>,
    received: Result<Authenticated, ServiceError>,
}

impl Talk {
    fn new() -> Self {
        let world = World::new();
        let session = world.session(world.as_connected());
        Self { world, session }
    }

    /// One round: the client's clock shows `client_now`, the service's `now`.
    fn round(
        &mut self,
        attempt: &mut Attempt<'_>,
        client_now: Timestamp,
        now: Timestamp,
        answer: impl FnOnce(Transaction) -> Response,
    ) -> Round {
        let mut entropy = self.world.entropy.clone();
        let sent = self
            .session
            .seal(attempt, client_now, &mut entropy)
            .unwrap();
        let opened = open_request(sent, &self.world.hosts, &self.world.tickets, now);
        let received = opened.map(|opened| authenticate(&self.world, opened));
        let body = match &received {
            Ok(authenticated) => {
                let request = crate::session::parse_request(&authenticated.plaintext).unwrap();
                let transaction = request.transaction();
                let response = match transaction {
                    Transaction::Hello => ok(Transaction::Hello),
                    other => answer(other),
                };
                json::write(
                    &authenticated
                        .sealer
                        .seal_response(
                            Some(transaction),
                            &response,
                            &self.world.tickets,
                            now,
                            &mut entropy,
                        )
                        .unwrap(),
                )
            }
            Err(error) => json::write(&Response::refusal(None, error)),
        };
        self.world.entropy = entropy;
        let step = self.session.receive(attempt, &body, Some(now), client_now);
        Round { step, received }
    }

    fn begin(&mut self, request: &Request) -> Attempt<'static> {
        let mut entropy = self.world.entropy.clone();
        let attempt = self.session.begin(request, &mut entropy);
        self.world.entropy = entropy;
        attempt
    }
}

fn refused(code: Code) -> impl Fn(Transaction) -> Response {
    move |transaction| Response::refusal(Some(transaction), &ServiceError::new(code, "no"))
}

#[test]
fn a_lost_ticket_costs_one_exchange() {
    let mut talk = Talk::new();
    let mut attempt = talk.begin(&status());
    let first = talk.round(&mut attempt, NOW, NOW, ok);
    assert!(matches!(first.step, Ok(Step::Done(_))));
    assert!(talk.session.ticket().is_some());
    // Emergency: all keys are dropped (service §4.6).
    let keys = crate::session::TicketKeys::new(talk.world.service.offline.udf());
    talk.world.tickets = keys;
    let mut attempt = talk.begin(&status());
    let second = talk.round(&mut attempt, NOW, NOW, ok);
    assert_eq!(second.step, Ok(Step::SendAgain));
    assert_eq!(second.received.unwrap_err().code, Code::TicketInvalid);
    let third = talk.round(&mut attempt, NOW, NOW, ok);
    assert_eq!(third.received.unwrap().caller.via, Via::Exchange);
    assert!(matches!(third.step, Ok(Step::Done(_))));
}

#[test]
fn a_new_host_key_costs_one_hello() {
    let mut talk = Talk::new();
    let mut entropy = talk.world.entropy.clone();
    let old = talk.world.service.clone();
    let new = ServiceKeys {
        authentication: ServiceKeys::generate(&mut entropy).authentication,
        ..old
    };
    talk.world.hosts = HostKeys::new(new.offline.udf(), new.authentication.clone()).unwrap();
    let mut attempt = talk.begin(&status());
    let first = talk.round(&mut attempt, NOW, NOW, ok);
    assert_eq!(first.step, Ok(Step::HelloFirst));
    let later = NOW + Duration::from_secs(1);
    let hello = |keys: &ServiceKeys, updated| {
        let hello = HelloResponse {
            enveloped_profile_service: Some(keys.profile(updated)),
            ..HelloResponse::default()
        };
        crate::session::client::ServiceIdentity::from_hello(&hello).unwrap()
    };
    let stranger = ServiceKeys::generate(&mut entropy);
    // P 4.3, decision Q-52
    assert_eq!(
        talk.session.set_host(hello(&stranger, later)),
        Err(ClientError::OtherService)
    );
    let older = NOW - Duration::from_secs(1);
    assert_eq!(
        talk.session.set_host(hello(&new, older)),
        Err(ClientError::OlderProfile)
    );
    talk.session.set_host(hello(&new, later)).unwrap();
    let second = talk.round(&mut attempt, NOW, NOW, ok);
    assert!(matches!(second.step, Ok(Step::Done(_))));
    // A second such answer to one request is the end of it.
    let mut attempt = talk.begin(&status());
    talk.session = ClientSession::new(talk.world.identity(), talk.world.as_connected());
    let mut round = || talk.round(&mut attempt, NOW, NOW, ok).step;
    assert_eq!(round(), Ok(Step::HelloFirst));
    assert!(matches!(round(), Ok(Step::Refused(_))));
}

#[test]
fn a_wrong_clock_is_corrected_once_and_for_all_requests() {
    let mut talk = Talk::new();
    let wrong = NOW - Duration::from_secs(4_000);
    let mut attempt = talk.begin(&status());
    let first = talk.round(&mut attempt, wrong, NOW, ok);
    assert_eq!(first.received.unwrap_err().code, Code::ClockSkew);
    assert_eq!(first.step, Ok(Step::SendAgain));
    let second = talk.round(&mut attempt, wrong, NOW, ok);
    assert!(matches!(second.step, Ok(Step::Done(_))));
    let mut attempt = talk.begin(&status());
    let third = talk.round(&mut attempt, wrong, NOW, ok);
    assert!(matches!(third.step, Ok(Step::Done(_))));
}

// Decision Q-64
#[test]
fn an_id_used_before_is_replaced_once() {
    let mut talk = Talk::new();
    let mut attempt = talk.begin(&status());
    let id = attempt.request_id();
    let first = talk.round(&mut attempt, NOW, NOW, refused(Code::Replay));
    assert_eq!(first.step, Ok(Step::SendAgain));
    assert_ne!(attempt.request_id(), id);
    let second = talk.round(&mut attempt, NOW, NOW, refused(Code::Replay));
    assert!(matches!(second.step, Ok(Step::Done(_))));
}

// Service §4.8
#[test]
fn deleting_an_account_fetches_a_ticket_first() {
    let mut talk = Talk::new();
    let mut attempt = talk.begin(&Request::DeleteAccount(DeleteRequest::default()));
    let first = talk.round(&mut attempt, NOW, NOW, ok);
    assert_eq!(first.step, Ok(Step::SendAgain));
    let second = talk.round(&mut attempt, NOW, NOW, ok);
    assert_eq!(second.received.unwrap().caller.via, Via::Ticket);
    let Ok(Step::Done(response)) = second.step else {
        panic!("not done");
    };
    assert!(matches!(*response, Response::DeleteAccount(_)));
}

// Decision Q-56
#[test]
fn a_revoked_device_forgets_its_ticket() {
    let mut talk = Talk::new();
    let mut attempt = talk.begin(&status());
    talk.round(&mut attempt, NOW, NOW, ok).step.unwrap();
    assert!(talk.session.ticket().is_some());
    let mut attempt = talk.begin(&status());
    let round = talk.round(&mut attempt, NOW, NOW, refused(Code::DeviceRevoked));
    assert!(matches!(round.step, Ok(Step::Done(_))));
    assert_eq!(talk.session.ticket(), None);
}

#[test]
fn answers_to_other_requests_and_by_others_are_not_believed() {
    let mut talk = Talk::new();
    let mut entropy = talk.world.entropy.clone();
    let mut answer_to = |talk: &Talk| {
        let (sent, pending) = talk.session.request(NOW, &mut entropy, &status()).unwrap();
        let opened = open_request(sent, &talk.world.hosts, &talk.world.tickets, NOW).unwrap();
        let answer = authenticate(&talk.world, opened)
            .sealer
            .seal_response(
                Some(Transaction::Status),
                &ok(Transaction::Status),
                &talk.world.tickets,
                NOW,
                &mut entropy,
            )
            .unwrap();
        (pending, answer)
    };
    let (one, answer) = answer_to(&talk);
    let (_, other) = answer_to(&talk);
    assert!(one.open(&answer).is_ok());
    assert_eq!(one.open(&other), Err(ClientError::OtherRequest));
    let mut forged = answer.clone();
    forged.payload.0[0] ^= 1;
    assert_eq!(one.open(&forged), Err(ClientError::NotFromService));
    let mut bare = answer;
    bare.header.session = None;
    assert_eq!(one.open(&bare), Err(ClientError::NotSealed));
    let mut attempt = talk.begin(&status());
    assert_eq!(
        talk.session.receive(&mut attempt, b"{}", None, NOW),
        Err(ClientError::NoRequest)
    );
}
