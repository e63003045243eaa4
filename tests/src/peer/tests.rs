//! A sender speaks to simulated peers, and finds them as their conduct says.

use std::time::Duration;

use mesh_backend::SystemEntropy;
use mesh_common::dare::Envelope;
use mesh_common::encoding::json;
use mesh_common::protocol::{Code, Request, Response};
use mesh_common::session::ClientSession;
use mesh_common::session::client::ServiceIdentity;

use super::simulator::several;
use super::*;
use crate::client::{Answer, Circumstances, Client, Form, opened};
use crate::frames;
use crate::people::alice;
use crate::wire::{HttpRequest, Tls};

/// Only a hang takes longer.
const PATIENCE: Duration = Duration::from_secs(60);

fn quick(deed: Deed) -> Conduct {
    Conduct {
        latency: Duration::ZERO,
        ..Conduct::doing(deed)
    }
}

fn simulator(conduct: Conduct) -> Simulator {
    start(vec![("peer.test".to_owned(), conduct)], Settings::default())
}

fn start(peers: Vec<(String, Conduct)>, settings: Settings) -> Simulator {
    Simulator::start(peers, settings).expect("this machine has ports")
}

/// A service that has said Hello to `peer`, for a domain of its own.
fn sender(simulator: &Simulator, peer: &Peer) -> Client {
    let tls = Tls::trusting(simulator.authority().pem());
    let mut connection = tls.connect(peer.address(), peer.domain());
    let hello = HttpRequest::post(ClientSession::bare_hello()).header("Host", peer.domain());
    let answer = Answer::bare(Form::Bare, hello.body.clone(), connection.send(&hello));
    let Response::Hello(hello) = &answer.response else {
        panic!("not a Hello: {}", answer.told());
    };
    Client {
        connection,
        service: ServiceIdentity::from_hello(hello).expect("the peer proves who it is"),
        identity: simulator.peers()[0].as_client(),
        ticket: None,
        entropy: SystemEntropy,
    }
}

fn posting(client: &mut Client, peer: &Peer, request: &Request) -> Answer {
    let text = json::write(request);
    let how = Circumstances::default();
    let (form, (envelope, pending)) = if client.ticket.is_some() {
        (Form::Ticket, client.seal_ticket(&text, &how))
    } else {
        (Form::Exchange, client.seal_exchange(&text, how))
    };
    let http = HttpRequest::post(json::write(&envelope)).header("Host", peer.domain());
    let answer = opened(form, text, client.connection.send(&http), &pending);
    if answer.ticket.is_some() {
        client.ticket.clone_from(&answer.ticket);
    }
    answer
}

fn message(id: &str) -> Envelope {
    frames::message("RequestContact", id, "{}")
}

fn to(peer: &Peer, id: &str) -> Request {
    frames::post(&[&peer.account("bob")], vec![message(id)])
}

#[test]
fn a_healthy_peer_keeps_a_message_once_and_counts_its_copies() {
    let simulator = simulator(quick(Deed::Keep));
    let peer = &simulator.peers()[0];
    let mut client = sender(&simulator, peer);
    let first = posting(&mut client, peer, &to(peer, "M-1"));
    assert_eq!(first.form, Form::Exchange);
    first.must_be(Code::Ok);
    for id in ["M-1", "M-2"] {
        let again = posting(&mut client, peer, &to(peer, id));
        assert_eq!(again.form, Form::Ticket);
        again.must_be(Code::Ok);
    }
    let seen = peer.seen();
    assert_eq!((seen.hellos, seen.exchanges, seen.posts), (1, 1, 3));
    let copies = |id: &str| seen.messages[&(peer.account("bob"), id.to_owned())].copies;
    assert_eq!((copies("M-1"), copies("M-2")), (2, 1));
    assert_eq!(simulator.totals().kept(), 2);
    peer.forget_tickets();
    posting(&mut client, peer, &to(peer, "M-3")).must_be(Code::TicketInvalid);
}

#[test]
fn each_deed_is_answered_as_it_says() {
    let simulator = simulator(quick(Deed::Keep));
    let peer = &simulator.peers()[0];
    let mut client = sender(&simulator, peer);
    posting(&mut client, peer, &to(peer, "M-0")).must_be(Code::Ok);
    for (deed, status, kept) in [
        (Deed::KeepForLater, 202, 2),
        (Deed::Forget, 201, 2),
        (Deed::Refuse(Code::QuotaExceeded, None), 507, 2),
        (Deed::Redirect("https://b.test".to_owned()), 307, 2),
    ] {
        peer.behave(quick(deed));
        let answer = posting(&mut client, peer, &to(peer, &format!("M-{status}")));
        assert!(answer.is_sealed);
        assert_eq!(answer.outcome().status, Some(status));
        assert_eq!(peer.kept(), kept, "{status}");
    }
    let wait = Some(Duration::from_secs(30));
    peer.behave(quick(Deed::Refuse(Code::Overload, wait)));
    let busy = posting(&mut client, peer, &to(peer, "M-503"));
    assert_eq!(busy.http.header("retry-after"), Some("30"));
    assert_eq!(peer.seen().refused, 0, "all of it on purpose");
}

#[test]
fn an_impostor_answers_what_does_not_open() {
    let simulator = simulator(quick(Deed::Garble));
    let peer = &simulator.peers()[0];
    let mut client = sender(&simulator, peer);
    let text = json::write(&to(peer, "M-1"));
    let (envelope, pending) = client.seal_exchange(&text, Circumstances::default());
    let http = HttpRequest::post(json::write(&envelope)).header("Host", peer.domain());
    let reply = client.connection.send(&http);
    let sealed: Envelope = json::parse(&reply.body).unwrap();
    assert!(pending.open_sealed(&sealed).is_err());
    assert_eq!(peer.kept(), 0);
}

#[test]
fn what_no_service_would_send_is_refused() {
    let settings = Settings {
        checks: true,
        ..Settings::default()
    };
    let simulator = start(vec![("peer.test".to_owned(), quick(Deed::Keep))], settings);
    let peer = &simulator.peers()[0];
    let mut client = sender(&simulator, peer);
    let two = frames::post(
        &[&peer.account("bob"), &peer.account("carol")],
        vec![message("M-1")],
    );
    posting(&mut client, peer, &two).must_be(Code::Malformed);
    let elsewhere = frames::post(&["bob@elsewhere.test"], vec![message("M-1")]);
    posting(&mut client, peer, &elsewhere).must_be(Code::NotFound);
    posting(&mut client, peer, &to(peer, "M-1")).must_be(Code::InvalidSignature);
    let signed = alice().device.signed(message("M-1"));
    let request = frames::post(&[&peer.account("bob")], vec![signed]);
    posting(&mut client, peer, &request).must_be(Code::Ok);
    assert_eq!(peer.kept(), 1);

    client.identity = alice().device.as_device();
    client.ticket = None;
    posting(&mut client, peer, &request).must_be(Code::NotAuthorized);
    let other_host = HttpRequest::post(ClientSession::bare_hello());
    assert_eq!(client.connection.send(&other_host).status, 421);
}

#[test]
fn doors_are_as_they_say_and_can_be_opened() {
    for listeners in [Listeners::One, Listeners::Each] {
        let doors = [
            Door::Refused,
            Door::Reset,
            Door::Certificate(Flaw::Expired),
            Door::Certificate(Flaw::OtherName),
            Door::Certificate(Flaw::OtherAuthority),
        ];
        let settings = Settings {
            listeners,
            ..Settings::default()
        };
        let peers = doors.iter().enumerate();
        let peers =
            peers.map(|(number, door)| (format!("peer-{number}.test"), Conduct::behind(*door)));
        let simulator = start(peers.collect(), settings);
        let tls = Tls::trusting(simulator.authority().pem());
        for peer in simulator.peers() {
            let tried = tls.try_connect(peer.address(), peer.domain());
            assert!(tried.is_err(), "{:?}", peer.conduct());
            peer.behave(quick(Deed::Keep));
            assert!(simulator.wait_until(PATIENCE, |_| {
                tls.try_connect(peer.address(), peer.domain()).is_ok()
            }));
        }
    }
}

#[test]
fn a_slot_is_taken_by_one_post_and_kept_though_the_sender_goes() {
    let simulator = simulator(Conduct::bearing(1, Duration::from_millis(5)));
    let peer = &simulator.peers()[0];
    let mut clients: Vec<Client> = (0..4).map(|_| sender(&simulator, peer)).collect();
    for (number, client) in clients.iter_mut().enumerate() {
        let text = json::write(&to(peer, &format!("M-{number}")));
        let (envelope, _) = client.seal_exchange(&text, Circumstances::default());
        let http = HttpRequest::post(json::write(&envelope)).header("Host", peer.domain());
        client.connection.write(&http.octets()).unwrap();
        assert!(peer.wait_until(PATIENCE, |seen| seen.posts > number as u64));
    }
    drop(clients);
    assert!(peer.wait_until(PATIENCE, |seen| seen.messages.len() == 4));
    let seen = peer.seen();
    let arrivals: Vec<_> = seen
        .messages
        .values()
        .map(|arrival| arrival.first)
        .collect();
    let apart = arrivals.windows(2).map(|pair| pair[1] - pair[0]);
    assert!(apart.min() >= Some(Duration::from_millis(5)), "one by one");
}

#[test]
fn a_black_hole_takes_what_comes_and_never_answers() {
    let simulator = simulator(Kind::BlackHole.conduct());
    let peer = &simulator.peers()[0];
    let mut client = sender(&simulator, peer);
    let text = json::write(&to(peer, "M-1"));
    let (envelope, _) = client.seal_exchange(&text, Circumstances::default());
    let http = HttpRequest::post(json::write(&envelope)).header("Host", peer.domain());
    client.connection.write(&http.octets()).unwrap();
    assert!(peer.wait_until(PATIENCE, |seen| seen.in_flight == 1));
    drop(client);
    assert!(peer.wait_until(PATIENCE, |seen| seen.in_flight == 0));
    assert!(peer.wait_until(PATIENCE, |seen| seen.connections_open == 0));
    assert_eq!(peer.kept(), 0);
}

#[test]
fn another_service_under_the_same_domain_has_another_name() {
    let simulator = simulator(quick(Deed::Keep));
    let peer = &simulator.peers()[0];
    let before = peer.udf();
    assert_eq!(peer.udf(), before);
    peer.become_another_service();
    assert_ne!(peer.udf(), before);
    assert_ne!(
        sender(&simulator, peer).service.service_udf.to_string(),
        before
    );
}

#[test]
fn a_thousand_peers_have_identities_of_their_own() {
    let mut peers = several(Kind::Healthy, 900);
    peers.extend(several(Kind::Refused, 100));
    let simulator = start(peers, Settings::default());
    assert_eq!(simulator.map().len(), 1_000);
    let text = simulator.map_as_toml();
    assert_eq!(text.lines().count(), 1_000);
    assert!(
        text.starts_with("\"healthy-1.test\" = \"127.0.0.1:"),
        "{text:.60}"
    );
    let (one, other) = (
        simulator.peer("healthy-7.test"),
        simulator.peer("refused-7.test"),
    );
    assert_ne!(one.udf(), other.udf());
    assert_ne!(one.address(), other.address());
}
