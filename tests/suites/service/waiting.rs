//! A Status that waits for news: `Prefer: wait=N` (architecture A-14, decision Q-38, design note 0004).

use std::net::SocketAddr;

use mesh_common::encoding::json;
use mesh_common::protocol::{Code, ContainerStatus, DeleteRequest, KnownState, Request};
use mesh_tests::client::Circumstances;
use mesh_tests::polling::{Begun, measure, prefer, status, status_of};
use mesh_tests::wire::HttpRequest;
use mesh_tests::{Answer, Client, TestService, alice, frames};

use crate::{alices_service, with_phone};

const WAITING: &str = "mesh_frontend_polls_waiting";

/// Alice's service, her administrator's device, and her phone with a ticket.
fn with_waiting_phone() -> (TestService, Client, Client) {
    let (service, mut client) = alices_service();
    let (_, mut phone) = with_phone(&service, &mut client);
    phone.exchange(&frames::status()).must_be(Code::Ok);
    (service, client, phone)
}

/// What `client` knows after a Status.
fn known(client: &mut Client) -> KnownState {
    let answer = client.ask(&status(&alice()));
    answer.must_be(Code::Ok).status().known_state()
}

/// Lets `client` wait for a long time, and returns once it does.
fn begin_waiting(service: &TestService, client: &mut Client) -> Begun {
    let known = known(client);
    let before = measure(service.admin_address(), WAITING);
    let begun = client.begin(&status(&alice()), &prefer(60, &known));
    wait_until(service.admin_address(), before + 1);
    begun
}

/// Asks until so many wait: the test's own deadline ends what never happens.
fn wait_until(admin: SocketAddr, waiting: u64) {
    while measure(admin, WAITING) != waiting {
        std::thread::yield_now();
    }
}

fn bookmark(client: &mut Client) {
    let upload = frames::upload(frames::BOOKMARKS, frames::catalog(1));
    client.ask(&upload).must_be(Code::Ok);
}

#[test]
fn a_change_reaches_a_device_that_waits() {
    let (service, mut client, mut phone) = with_waiting_phone();
    let begun = begin_waiting(&service, &mut phone);
    bookmark(&mut client);
    let answer = phone.finish(begun);
    assert_eq!(
        answer.must_be(Code::Ok).count_of(frames::BOOKMARKS),
        Some(2)
    );
    assert!(answer.is_sealed);
    assert_eq!(answer.applied(), Some("wait=60"));
    // The connection is as good as before.
    assert_eq!(known(&mut phone), answer.status().known_state());
}

#[test]
fn a_change_between_two_polls_is_news_at_once() {
    let (_service, mut client, mut phone) = with_waiting_phone();
    let known = known(&mut phone);
    bookmark(&mut client);
    let answer = phone.ask_preferring(&status(&alice()), &prefer(3_600, &known));
    assert_eq!(answer.count_of(frames::BOOKMARKS), Some(2));
    assert_eq!(answer.applied(), Some("wait=60"), "clamped");
}

#[test]
fn what_a_device_uploaded_itself_is_no_news_if_it_says_so() {
    let (service, mut client, mut phone) = with_waiting_phone();
    let mut rows = client
        .ask(&status(&alice()))
        .status()
        .container_status
        .to_vec();
    bookmark(&mut client);
    rows.push(ContainerStatus {
        container: Some(frames::BOOKMARKS.to_owned()),
        index: Some(2),
        digest: frames::apex(&frames::catalog(1)),
    });
    let prefer = prefer(60, &KnownState::of(&rows));
    let begun = client.begin(&status(&alice()), &prefer);
    wait_until(service.admin_address(), 1);
    let more = frames::event(2, "New", "entry-2", b"another");
    phone
        .ask(&frames::upload(frames::BOOKMARKS, vec![more]))
        .must_be(Code::Ok);
    let answer = client.finish(begun);
    assert_eq!(answer.count_of(frames::BOOKMARKS), Some(3));
}

#[test]
fn a_change_elsewhere_does_not_wake_who_asked_for_one_container() {
    let (service, mut client, mut phone) = with_waiting_phone();
    let request = status_of(&alice(), &["mmm_Inbound"]);
    let known = phone.ask(&request).status().known_state();
    let begun = phone.begin(&request, &prefer(60, &known));
    wait_until(service.admin_address(), 1);
    bookmark(&mut client);
    bookmark(&mut client);
    assert_eq!(measure(service.admin_address(), WAITING), 1);
    let message = frames::message("RequestTask", "task-1", "{\"MessageID\":\"task-1\"}");
    client
        .ask(&frames::upload_all(Vec::new(), vec![message]))
        .must_be(Code::Ok);
    let answer = phone.finish(begun);
    assert_eq!(answer.count_of("mmm_Inbound"), Some(2));
}

#[test]
fn a_wait_without_news_ends_with_the_state_that_is_known() {
    let (_service, mut client) = alices_service();
    let known = known(&mut client);
    let answer = client.ask_preferring(&status(&alice()), &prefer(1, &known));
    assert_eq!(answer.must_be(Code::Ok).status().known_state(), known);
    assert_eq!(answer.applied(), Some("wait=1"));
}

#[test]
fn who_does_not_say_what_it_knows_is_answered_at_once() {
    let (_service, mut client) = alices_service();
    for header in ["wait=60", "wait=0; known=x", "respond-async"] {
        let answer = client.ask_preferring(&status(&alice()), header);
        assert_eq!(answer.must_be(Code::Ok).applied(), None, "{header}");
    }
    // Without its digest the profile is sent, and the profile is news.
    let known = known(&mut client);
    let answer = client.ask_preferring(&frames::status(), &prefer(60, &known));
    assert!(answer.status().enveloped_profile_master.is_some());
}

// X-21/22
#[test]
fn the_poll_of_a_removed_device_ends_with_its_refusal() {
    let (service, mut client, mut phone) = with_waiting_phone();
    let begun = begin_waiting(&service, &mut phone);
    let udf = alice().another_device("phone", &[]).udf();
    let deleted = frames::event(3, "Delete", &udf, b"");
    client
        .ask(&frames::upload(frames::DEVICES, vec![deleted]))
        .must_be(Code::Ok);
    let refused = phone.finish(begun);
    assert!(refused.must_be(Code::DeviceRevoked).is_sealed);
    assert_eq!(refused.applied(), None);
    assert!(refused.ticket.is_none());
    phone
        .by_ticket(&frames::status())
        .must_be(Code::DeviceRevoked);
}

#[test]
fn a_poll_ends_with_its_account() {
    let (service, mut client, mut phone) = with_waiting_phone();
    let begun = begin_waiting(&service, &mut phone);
    let delete = Request::DeleteAccount(DeleteRequest {
        account: Some(alice().address),
        ..DeleteRequest::default()
    });
    client.by_ticket(&delete).must_be(Code::Ok);
    phone.finish(begun).must_be(Code::NotFound);
}

#[test]
fn a_service_that_stops_answers_who_waits() {
    let (mut service, _client, mut phone) = with_waiting_phone();
    let begun = begin_waiting(&service, &mut phone);
    service.restart_after(|_| {});
    let answer = phone.finish(begun);
    assert_eq!(answer.must_be(Code::Ok).applied(), Some("wait=60"));
    assert!(phone.connection.is_closed_by_peer());
}

//
#[test]
fn beyond_their_bound_polls_are_answered_at_once() {
    let service = TestService::with(|config| config.limits.polls_max = 1);
    let mut client = Client::of_new_account_with_device(&service, &alice());
    let (_, mut phone) = with_phone(&service, &mut client);
    phone.exchange(&frames::status()).must_be(Code::Ok);
    let begun = begin_waiting(&service, &mut phone);
    let known = known(&mut client);
    let answer = client.ask_preferring(&status(&alice()), &prefer(60, &known));
    assert_eq!(answer.must_be(Code::Ok).applied(), None);
    bookmark(&mut client);
    phone.finish(begun).must_be(Code::Ok);
}

//
#[test]
fn one_account_has_eight_polls_at_once() {
    let (service, mut client) = alices_service();
    let known = known(&mut client);
    let mut waiting: Vec<(Client, Begun)> = (1..=8)
        .map(|number| {
            let mut one = another(&service, &client);
            let begun = one.begin(&status(&alice()), &prefer(60, &known));
            wait_until(service.admin_address(), number);
            (one, begun)
        })
        .collect();
    let ninth = client.ask_preferring(&status(&alice()), &prefer(60, &known));
    assert_eq!(ninth.must_be(Code::Ok).applied(), None);
    bookmark(&mut client);
    for (mut one, begun) in waiting.drain(..) {
        let answer: Answer = one.finish(begun);
        assert_eq!(answer.count_of(frames::BOOKMARKS), Some(2));
    }
}

/// The same device on another connection.
fn another(service: &TestService, client: &Client) -> Client {
    let mut other = Client::new(service, client.identity.clone());
    other.ticket.clone_from(&client.ticket);
    other
}

#[test]
fn a_device_that_is_gone_waits_no_longer() {
    let (service, client, mut phone) = with_waiting_phone();
    drop(begin_waiting(&service, &mut phone));
    drop(phone);
    wait_until(service.admin_address(), 0);
    let mut other = another(&service, &client);
    drop(begin_waiting(&service, &mut other));
    other.connection.close_sending();
    wait_until(service.admin_address(), 0);
}

#[test]
fn on_other_requests_the_preference_is_ignored() {
    let (_service, mut client) = alices_service();
    let known = known(&mut client);
    let header = prefer(60, &known);
    let upload = frames::upload(frames::BOOKMARKS, frames::catalog(1));
    for request in [frames::download(frames::DEVICES), upload] {
        let answer = client.ask_preferring(&request, &header);
        assert_eq!(answer.must_be(Code::Ok).applied(), None);
    }
    // Nor does a Status wait that is an exchange.
    let known = self::known(&mut client);
    let text = json::write(&status(&alice()));
    let (envelope, _) = client.seal_exchange(&text, Circumstances::default());
    let http = HttpRequest::post(json::write(&envelope)).header("Prefer", prefer(60, &known));
    let reply = client.connection.send(&http);
    assert_eq!(reply.status, Code::Ok.http());
    assert_eq!(reply.header("preference-applied"), None);
}
