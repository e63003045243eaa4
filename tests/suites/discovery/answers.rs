//! What a peer answers, and the second tries that answers ask for (delivery §13, decision Q-64).

use std::time::Duration;

use mesh_common::delivery::End;
use mesh_common::protocol::Code;
use mesh_tests::peer::Deed;
use meshd::authority::Said;

use crate::sender::{PEER, Sender, answered, doing, good};

#[test]
fn an_answer_is_told_as_it_is() {
    let sender = Sender::published(good());
    sender.deliver("M-0");
    for (deed, status, extended) in [
        (Deed::KeepForLater, 202, None),
        (Deed::Refuse(Code::NotFound, None), 404, Some(6)),
        (Deed::Refuse(Code::Refused, None), 403, Some(5)),
        (Deed::Refuse(Code::TooLarge, None), 413, Some(8)),
        (Deed::Refuse(Code::QuotaExceeded, None), 507, Some(113)),
    ] {
        sender.peer().behave(doing(deed));
        let end = sender.post("M-1");
        let answered = answered(&end);
        assert_eq!((answered.status, answered.extended), (status, extended));
    }
}

#[test]
fn a_busy_peer_says_when_to_come_again() {
    let wait = Duration::from_secs(30);
    let sender = Sender::published(doing(Deed::Refuse(Code::RateLimited, Some(wait))));
    let end = sender.post("M-1");
    let answered = answered(&end);
    assert_eq!(answered.status, 429);
    assert_eq!(answered.retry_after, Some(wait));
}

#[test]
fn a_ticket_that_is_not_taken_is_replaced_by_an_exchange_at_once() {
    // Decision Q-64
    let sender = Sender::published(good());
    sender.deliver("M-1");
    sender.peer().forget_tickets();
    sender.deliver("M-2");
    sender.deliver("M-3");
    let seen = sender.peer().seen();
    assert_eq!(
        (seen.hellos, seen.exchanges, seen.messages.len()),
        (1, 2, 3)
    );
}

/// A sender whose peer sends everybody to `there`, which has an address.
fn redirected(there: &str) -> Sender {
    let sender = Sender::to(&[(PEER, good()), ("other.test", good())], |_, _| {});
    sender.publish(PEER);
    let address = sender.simulator.peer(there).address();
    sender.names.say(there, Said::Address(address.ip()));
    let url = format!("https://{there}:{}", address.port());
    sender.peer().behave(doing(Deed::Redirect(url)));
    sender
}

#[test]
fn a_redirection_is_followed() {
    // Decision Q-64
    let sender = redirected("other.test");
    let end = sender.post("M-1");
    // The simulated peer there has accounts of its own domain only.
    assert_eq!(answered(&end).status, 404, "{end:?}");
    assert_eq!(sender.simulator.peer("other.test").seen().exchanges, 1);
}

#[test]
fn a_redirection_is_followed_once() {
    // Decision Q-64
    let sender = redirected(PEER);
    let end = sender.post("M-1");
    assert_eq!(answered(&end).status, 307);
    assert_eq!(sender.peer().seen().posts, 2);
}

#[test]
fn an_answer_under_another_key_is_nobodys() {
    let sender = Sender::published(doing(Deed::Garble));
    let end = sender.post("M-1");
    assert!(matches!(end, End::Foreign { .. }), "{end:?}");
    sender.peer().behave(good());
    sender.deliver("M-2");
}

// P-9.1.2.1-b
#[test]
fn a_peer_that_never_answers_is_given_up_in_time() {
    let sender = Sender::published(good());
    // It is known and connected to: what takes time is the answer alone.
    sender.deliver("M-0");
    sender.peer().behave(doing(Deed::Never));
    let posting = sender.posting_within(Duration::from_secs(3), PEER, "M-1");
    let attempt = sender.runtime.block_on(posting);
    assert_eq!(attempt.end, End::TimedOut);
    assert!(!attempt.exchange.is_zero(), "the wait is an exchange");
    sender.peer().behave(good());
    sender.deliver("M-1");
}

#[test]
fn a_clock_that_is_wrong_is_corrected_by_the_peers() {
    // Decision Q-64
    let sender = Sender::published(good());
    sender.clock.pass(Duration::from_secs(400));
    sender.deliver("M-1");
    sender.deliver("M-2");
    assert_eq!(sender.peer().seen().messages.len(), 2);
}
