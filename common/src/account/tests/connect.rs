//! Requests to be connected, from Connect to the last Complete (service §6.2, §6.3, §6.5; decisions
//!

use std::time::Duration;

use super::devices::alice_with_laptop;
use super::*;
use crate::account::connect::answers_pending;
use crate::account::state::AccountStatus;
use crate::account::testing::{message, signed_online, udf};
use crate::account::{AccountPolicy, ConnectionRules, Decision};
use crate::cluster::Evidence;
use crate::cluster::handle::DeviceEvidence;
use crate::limits::{
    CONNECTION_ANSWER_KEPT, CONNECTION_LIFE, CONNECTION_REMEMBERED, CONNECTIONS_REMEMBERED_FACTOR,
};
use crate::message::{response_id_2020, response_id_later};
use crate::protocol::{CompleteRequest, Request, StatusRequest};
use crate::session::{Mode, Via};
use crate::udf::Udf;

const INSTANT: Duration = Duration::from_millis(1);

/// A device that is not connected yet.
fn device(name: &str) -> Device {
    Device::of(ALICE, name).authenticating(Mode::Device, Via::Exchange)
}

/// What the answer to the request is called that was acknowledged under `name`.
fn response_id(name: &str) -> Udf {
    response_id_2020(udf(name).as_str())
}

fn later_id(name: &str) -> Udf {
    response_id_later(udf(name).as_str()).unwrap()
}

/// An administrator's answer in Local.
fn answer(by: &mut Device, id: &Udf, result: &str) -> AccountRequest {
    let body = format!("{{\"MessageID\":\"{id}\",\"Result\":\"{result}\"}}");
    by.upload(
        "mmm_Local",
        vec![signed_online(message(
            "RespondConnection",
            id.as_str(),
            &body,
        ))],
    )
}

/// What the answer says that a Complete brings.
fn fetched(shell: &mut Shell, device: &mut Device, id: &Udf) -> String {
    match shell.perform(device.complete(id)).response {
        Response::Complete(response) => {
            let envelope = response.signed_response.expect("there is an answer");
            String::from_utf8(envelope.payload.0).unwrap()
        }
        other => panic!("not a Complete: {other:?}"),
    }
}

fn status(shell: &mut Shell, device: &mut Device) -> Code {
    let request = Request::Status(StatusRequest::default());
    told(shell, device.ask(request, Evidence::Nothing))
}

// I-S-6.2-c, X-41
#[test]
fn a_request_waits_and_is_answered_under_either_form_of_its_id() {
    let (mut shell, mut laptop) = alice_with_laptop();
    let mut phone = device("phone");
    assert_eq!(told(&mut shell, phone.connect("one")), Code::Ok);
    let inbound = shell.frames(&laptop.address, "mmm_Inbound");
    let acknowledgement = inbound.last().unwrap();
    assert_eq!(
        acknowledgement.unique_id.as_deref(),
        Some(udf("one").as_str())
    );
    assert_eq!(
        acknowledgement.message_type.as_deref(),
        Some("AcknowledgeConnection")
    );
    for id in [response_id("one"), later_id("one")] {
        assert_eq!(told(&mut shell, phone.complete(&id)), Code::Pending);
    }
    let accept = answer(&mut laptop, &later_id("one"), "Accept");
    assert_eq!(told(&mut shell, accept), Code::Ok);
    for id in [response_id("one"), later_id("one")] {
        assert!(fetched(&mut shell, &mut phone, &id).contains("Accept"));
    }
}

#[test]
fn the_answer_holds_the_profiles_of_the_account() {
    let (mut shell, laptop) = alice_with_laptop();
    let answer = shell.perform(device("phone").connect("one"));
    let Response::Connect(response) = answer.response else {
        panic!("not a Connect");
    };
    let record = state(&shell, &laptop).record;
    assert_eq!(
        response.enveloped_profile_master.as_ref(),
        Some(&record.profile_mesh)
    );
    assert_eq!(
        response.enveloped_account_assertion.as_ref(),
        Some(&record.profile_account)
    );
    assert!(response.enveloped_connection_response.is_some());
}

//
#[test]
fn an_answer_can_be_fetched_for_seven_days_and_then_has_expired() {
    let (mut shell, mut laptop) = alice_with_laptop();
    let mut phone = device("phone");
    let id = response_id("one");
    assert_eq!(told(&mut shell, phone.connect("one")), Code::Ok);
    shell.advance(CONNECTION_LIFE - INSTANT);
    let reject = answer(&mut laptop, &id, "Reject");
    assert_eq!(told(&mut shell, reject), Code::Ok);
    shell.advance(CONNECTION_ANSWER_KEPT - INSTANT);
    assert!(fetched(&mut shell, &mut phone, &id).contains("Reject"));
    shell.advance(INSTANT);
    assert_eq!(told(&mut shell, phone.complete(&id)), Code::Expired);
    shell.advance(CONNECTION_REMEMBERED - INSTANT);
    assert_eq!(told(&mut shell, phone.complete(&id)), Code::Expired);
    shell.advance(INSTANT);
    assert_eq!(told(&mut shell, phone.complete(&id)), Code::NotFound);
}

//
#[test]
fn a_request_that_nobody_answers_in_time_has_expired_for_good() {
    let (mut shell, mut laptop) = alice_with_laptop();
    let mut phone = device("phone");
    let id = response_id("one");
    assert_eq!(told(&mut shell, phone.connect("one")), Code::Ok);
    shell.advance(CONNECTION_LIFE - INSTANT);
    assert_eq!(told(&mut shell, phone.complete(&id)), Code::Pending);
    assert_eq!(status(&mut shell, &mut phone), Code::Pending);
    shell.advance(INSTANT);
    assert_eq!(told(&mut shell, phone.complete(&id)), Code::Expired);
    assert_eq!(status(&mut shell, &mut phone), Code::NotFound);
    let accept = answer(&mut laptop, &id, "Accept");
    assert_eq!(told(&mut shell, accept), Code::Ok, "Local takes it");
    assert_eq!(
        told(&mut shell, phone.complete(&id)),
        Code::Expired,
        "too late"
    );
}

//
#[test]
fn the_newest_answer_counts() {
    let (mut shell, mut laptop) = alice_with_laptop();
    let mut phone = device("phone");
    assert_eq!(told(&mut shell, phone.connect("one")), Code::Ok);
    let reject = answer(&mut laptop, &response_id("one"), "Reject");
    assert_eq!(told(&mut shell, reject), Code::Ok);
    shell.advance(CONNECTION_ANSWER_KEPT - INSTANT);
    let accept = answer(&mut laptop, &later_id("one"), "Accept");
    assert_eq!(told(&mut shell, accept), Code::Ok);
    shell.advance(CONNECTION_ANSWER_KEPT - INSTANT);
    let id = response_id("one");
    assert!(fetched(&mut shell, &mut phone, &id).contains("Accept"));
}

#[test]
fn only_an_answer_answers() {
    let (mut shell, mut laptop) = alice_with_laptop();
    let mut phone = device("phone");
    let id = response_id("one");
    assert_eq!(told(&mut shell, phone.connect("one")), Code::Ok);
    let notice = message("Notice", id.as_str(), "{}");
    let upload = laptop.upload("mmm_Local", vec![notice]);
    assert_eq!(told(&mut shell, upload), Code::Ok);
    assert_eq!(told(&mut shell, phone.complete(&id)), Code::Pending);
}

//
#[test]
fn only_the_device_that_asked_is_told() {
    let (mut shell, mut laptop) = alice_with_laptop();
    let (mut phone, mut tablet) = (device("phone"), device("tablet"));
    let id = response_id("one");
    assert_eq!(told(&mut shell, phone.connect("one")), Code::Ok);
    let accept = answer(&mut laptop, &id, "Accept");
    assert_eq!(told(&mut shell, accept), Code::Ok);
    assert_eq!(told(&mut shell, tablet.complete(&id)), Code::NotFound);
    assert_eq!(
        told(&mut shell, phone.complete(&response_id("two"))),
        Code::NotFound
    );
    let mut nameless = device("phone");
    nameless.caller.profile_udf = None;
    assert_eq!(told(&mut shell, nameless.complete(&id)), Code::NotFound);
    let mut connected = Device::of(ALICE, "laptop");
    assert_eq!(
        told(&mut shell, connected.complete(&id)),
        Code::NotAuthorized
    );
    let mut phone = device("phone").authenticating(Mode::Device, Via::Ticket);
    assert_eq!(
        told(&mut shell, phone.complete(&id)),
        Code::Ok,
        "by ticket as well"
    );
    let mut believed = Device::of(ALICE, "anybody").authenticating(Mode::Interop, Via::Bare);
    assert_eq!(told(&mut shell, believed.complete(&id)), Code::Ok, "Q-39");
}

//
#[test]
fn a_complete_names_an_answer_of_its_own_account() {
    let (mut shell, _) = alice_with_laptop();
    let with = |response_id: Option<&str>, service_id: &str| {
        let request = Request::Complete(CompleteRequest {
            account: Some(ALICE.to_owned()),
            service_id: Some(service_id.to_owned()),
            response_id: response_id.map(str::to_owned),
            ..CompleteRequest::default()
        });
        device("phone").ask(request, Evidence::Nothing)
    };
    let id = response_id("one");
    for (request, expected) in [
        (with(None, ALICE), Code::Malformed),
        (with(Some("-"), ALICE), Code::Malformed),
        (with(Some(id.as_str()), ALICE), Code::NotFound),
        (
            with(Some(id.as_str()), "bob@example.com"),
            Code::NotAuthorized,
        ),
    ] {
        assert_eq!(told(&mut shell, request), expected);
    }
}

//
#[test]
fn so_many_requests_wait_and_not_one_more() {
    let (mut shell, mut laptop) = alice_with_laptop();
    let mut phone = device("phone");
    for number in 0..3 {
        let request = phone.connect(&format!("phone {number}"));
        assert_eq!(told(&mut shell, request), Code::Ok);
        shell.advance(Duration::from_secs(60));
    }
    let refused = shell.perform(phone.connect("phone 3"));
    assert_eq!(code(&refused), Code::RateLimited);
    let wait = CONNECTION_LIFE - Duration::from_secs(180);
    assert_eq!(
        refused.retry_after,
        Some(wait),
        "when the first one is over"
    );
    for number in 0..5 {
        let request = device(&format!("device {number}")).connect(&format!("other {number}"));
        assert_eq!(told(&mut shell, request), Code::Ok);
    }
    assert_eq!(
        told(&mut shell, device("ninth").connect("ninth")),
        Code::RateLimited
    );
    let accept = answer(&mut laptop, &response_id("phone 0"), "Reject");
    assert_eq!(told(&mut shell, accept), Code::Ok);
    assert_eq!(told(&mut shell, device("ninth").connect("ninth")), Code::Ok);
    shell.advance(wait);
    assert_eq!(
        told(&mut shell, device("tenth").connect("tenth")),
        Code::RateLimited
    );
    shell.advance(Duration::from_secs(60));
    assert_eq!(told(&mut shell, device("tenth").connect("tenth")), Code::Ok);
}

//
#[test]
fn the_same_request_gets_the_same_acknowledgement_and_a_new_one_counts() {
    let (mut shell, laptop) = alice_with_laptop();
    let mut phone = device("phone");
    let request = phone.connect("one");
    let first = shell.perform(request.clone());
    let mut again = phone.connect("two");
    again.request_id = request.request_id;
    again.request_digest = request.request_digest;
    assert_eq!(shell.perform(again), first);
    let waiting = |shell: &Shell| state(shell, &laptop).connections.waiting(shell.now).count();
    assert_eq!(waiting(&shell), 1);
    let mut other = phone.connect("three");
    other.request_id = request.request_id;
    assert_eq!(told(&mut shell, other), Code::Replay);
    assert_eq!(told(&mut shell, phone.connect("three")), Code::Ok);
    assert_eq!(waiting(&shell), 2);
}

//
#[test]
fn unknown_and_suspended_accounts_refuse_alike_unless_probing_is_allowed() {
    let ask = |shell: &mut Shell| shell.perform(device("phone").connect("one"));
    let mut unknown = Shell::default();
    let (mut blocked, laptop) = alice_with_laptop();
    set_status(&mut blocked, &laptop, AccountStatus::Blocked);
    let (mut pending, laptop) = alice_with_laptop();
    set_status(&mut pending, &laptop, AccountStatus::Pending);
    let expected = ask(&mut unknown);
    assert_eq!(code(&expected), Code::Refused);
    assert_eq!(ask(&mut blocked), expected);
    assert_eq!(ask(&mut pending), expected);
    for shell in [&mut unknown, &mut blocked] {
        shell.policy.connections.probing = true;
    }
    assert_eq!(code(&ask(&mut unknown)), Code::NotFound);
    assert_eq!(code(&ask(&mut blocked)), Code::Refused);
    let complete = |shell: &mut Shell| shell.perform(device("phone").complete(&response_id("one")));
    let (mut known, _) = alice_with_laptop();
    assert_eq!(complete(&mut known), complete(&mut unknown));
}

fn set_status(shell: &mut Shell, device: &Device, status: AccountStatus) {
    let Some(Standing::Account(state)) = shell.standings.get_mut(&device.address) else {
        panic!("no account");
    };
    std::sync::Arc::make_mut(&mut state.record).status = status;
}

#[test]
fn what_waits_at_a_suspended_account_is_not_told() {
    let (mut shell, laptop) = alice_with_laptop();
    let mut phone = device("phone");
    assert_eq!(told(&mut shell, phone.connect("one")), Code::Ok);
    set_status(&mut shell, &laptop, AccountStatus::Blocked);
    let complete = phone.complete(&response_id("one"));
    assert_eq!(told(&mut shell, complete), Code::Refused);
    assert_eq!(status(&mut shell, &mut phone), Code::Refused);
}

//
#[test]
fn an_acknowledgement_by_other_profiles_is_stale() {
    let (mut shell, _) = alice_with_laptop();
    let mut request = device("phone").connect("one");
    if let Evidence::Connection(evidence) = &mut request.evidence {
        evidence.profile_version = 0;
    }
    assert_eq!(shell.decide(&request), Decision::Stale);
    request.evidence = Evidence::Nothing;
    assert_eq!(
        shell.decide(&request),
        Decision::Stale,
        "the account is newer"
    );
}

#[test]
fn modes_and_accounts_that_may_not_connect() {
    let (mut shell, _) = alice_with_laptop();
    for mode in [Mode::Profile, Mode::Service] {
        let request = device("phone")
            .authenticating(mode, Via::Ticket)
            .connect("one");
        assert_eq!(told(&mut shell, request), Code::NotAuthorized, "{mode:?}");
    }
    let mut request = device("phone").connect("one");
    request.caller.account = Device::of("bob@example.com", "phone").caller.account;
    assert_eq!(told(&mut shell, request.clone()), Code::NotAuthorized);
    //
    request.caller.account = None;
    assert_eq!(told(&mut shell, request), Code::Ok);
}

/// Alice's phone has its entry in the Device catalog.
fn connect_phone(shell: &mut Shell, laptop: &mut Device) {
    let phone = Device::of(ALICE, "phone");
    let entry = event(2, "New", &phone.unique_id(), "phone");
    let facts = vec![(0, DeviceEvidence::Valid(phone.facts()))];
    let upload = laptop.upload_devices(vec![entry], facts);
    assert_eq!(told(shell, upload), Code::Ok);
}

//
#[test]
fn status_tells_before_during_and_after() {
    let (mut shell, mut laptop) = alice_with_laptop();
    let mut phone = device("phone");
    assert_eq!(status(&mut shell, &mut phone), Code::NotFound);
    assert_eq!(told(&mut shell, phone.connect("one")), Code::Ok);
    assert_eq!(status(&mut shell, &mut phone), Code::Pending);
    assert_eq!(status(&mut shell, &mut device("tablet")), Code::NotFound);
    connect_phone(&mut shell, &mut laptop);
    assert_eq!(status(&mut shell, &mut phone), Code::Ok);
    assert_eq!(
        told(&mut shell, phone.connect("two")),
        Code::Conflict,
        "it is connected"
    );
    let of = |device: &mut Device, udf: &str| {
        let request = Request::Status(StatusRequest {
            device_udf: Some(udf.to_owned()),
            ..StatusRequest::default()
        });
        device.ask(request, Evidence::Nothing)
    };
    let own = phone.unique_id();
    let request = of(&mut phone, &own);
    assert_eq!(told(&mut shell, request), Code::Ok);
    let request = of(&mut phone, &laptop.unique_id());
    assert_eq!(told(&mut shell, request), Code::NotFound);
}

// X-21/22
#[test]
fn a_device_that_was_removed_gets_nothing_more() {
    let (mut shell, mut laptop) = alice_with_laptop();
    let mut phone = device("phone");
    let id = response_id("one");
    assert_eq!(told(&mut shell, phone.connect("one")), Code::Ok);
    let accept = answer(&mut laptop, &id, "Accept");
    assert_eq!(told(&mut shell, accept), Code::Ok);
    connect_phone(&mut shell, &mut laptop);
    assert_eq!(told(&mut shell, phone.complete(&id)), Code::Ok);
    let gone = event(3, "Delete", &phone.unique_id(), "");
    let upload = laptop.upload("mmm_Device", vec![gone]);
    assert_eq!(told(&mut shell, upload), Code::Ok);
    assert_eq!(told(&mut shell, phone.complete(&id)), Code::NotFound);
    assert_eq!(status(&mut shell, &mut phone), Code::NotFound);
    let mut connected = Device::of(ALICE, "phone");
    assert_eq!(status(&mut shell, &mut connected), Code::DeviceRevoked);
    assert_eq!(
        told(&mut shell, phone.connect("two")),
        Code::Ok,
        "it may ask again, as anybody may"
    );
}

/// A shell whose account of Alice is a hailing account.
fn hailing() -> (Shell, Device) {
    let (mut shell, laptop) = alice_with_laptop();
    shell.policy = AccountPolicy {
        connections: ConnectionRules {
            hailing: vec!["Alice".to_owned()],
            hailing_pending_max: 9,
            ..ConnectionRules::default()
        },
        ..AccountPolicy::default()
    };
    (shell, laptop)
}

fn answers(shell: &Shell, laptop: &Device, id: &Udf) -> bool {
    answers_pending(&state(shell, laptop), &shell.policy, id.as_str(), shell.now)
}

//
#[test]
fn a_hailing_account_files_a_request_under_its_published_id() {
    let (mut shell, mut laptop) = hailing();
    let mut lamp = device("lamp");
    assert_eq!(told(&mut shell, lamp.connect("one")), Code::Ok);
    let (published, own) = (response_id("one published"), response_id("one"));
    assert_eq!(told(&mut shell, lamp.complete(&published)), Code::Pending);
    assert_eq!(told(&mut shell, lamp.complete(&own)), Code::NotFound);
    assert!(
        answers(&shell, &laptop, &published)
            && answers(&shell, &laptop, &later_id("one published"))
    );
    assert!(!answers(&shell, &laptop, &own));
    let accept = answer(&mut laptop, &published, "Accept");
    assert_eq!(told(&mut shell, accept), Code::Ok);
    assert!(fetched(&mut shell, &mut lamp, &published).contains("Accept"));
    assert!(!answers(&shell, &laptop, &published), "it was answered");
    shell.policy = AccountPolicy::default();
    assert_eq!(told(&mut shell, device("radio").connect("two")), Code::Ok);
    assert!(
        !answers(&shell, &laptop, &response_id("two")),
        "not a hailing account"
    );
}

//
#[test]
fn a_request_to_a_hailing_account_was_published() {
    let (mut shell, _) = hailing();
    let mut request = device("lamp").connect("one");
    if let Evidence::Connection(evidence) = &mut request.evidence {
        evidence.published_id = None;
    }
    assert_eq!(told(&mut shell, request), Code::Malformed);
}

#[test]
fn a_hailing_account_has_its_own_bound() {
    let (mut shell, _) = hailing();
    for number in 0..9 {
        let name = format!("lamp {number}");
        assert_eq!(told(&mut shell, device(&name).connect(&name)), Code::Ok);
    }
    assert_eq!(
        told(&mut shell, device("tenth").connect("tenth")),
        Code::RateLimited
    );
}

#[test]
fn what_is_remembered_is_bounded() {
    let (mut shell, mut laptop) = alice_with_laptop();
    let max = shell.policy.connections.pending_max * CONNECTIONS_REMEMBERED_FACTOR;
    for number in 0..max + 5 {
        let name = format!("device {number}");
        assert_eq!(told(&mut shell, device(&name).connect(&name)), Code::Ok);
        let reject = answer(&mut laptop, &response_id(&name), "Reject");
        assert_eq!(told(&mut shell, reject), Code::Ok);
        shell.advance(Duration::from_secs(1));
    }
    assert_eq!(state(&shell, &laptop).connections.count(), max);
    let complete = |number: usize| {
        let name = format!("device {number}");
        device(&name).complete(&response_id(&name))
    };
    assert_eq!(
        told(&mut shell, complete(4)),
        Code::NotFound,
        "the oldest left"
    );
    assert_eq!(told(&mut shell, complete(5)), Code::Ok);
    shell.advance(CONNECTION_ANSWER_KEPT + CONNECTION_REMEMBERED);
    assert_eq!(told(&mut shell, device("last").connect("last")), Code::Ok);
    assert_eq!(state(&shell, &laptop).connections.count(), 1);
}
