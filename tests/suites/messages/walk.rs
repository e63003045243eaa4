//! One message each way, and everything that can be said of it afterwards.

use mesh_common::assertion::ProfileService;
use mesh_common::message::Accreditation;
use mesh_common::protocol::{Code, KnownState};
use mesh_tests::client::{Client, hello};
use mesh_tests::frames;
use mesh_tests::people::{alice, bob};
use mesh_tests::polling;
use mesh_tests::service::TestService;

use super::{INBOUND, OUTBOUND, ended, signed, spool, wait_for};

// S-6.1-b I-P-9.1-a I-P-9.1.2-a I-P-9.1.3-a
#[test]
fn a_message_arrives_as_it_was_sent_and_its_sender_is_told() {
    let service = TestService::start();
    let (alice, bob) = (alice(), bob());
    let mut alices = Client::of_new_account_with_device(&service, &alice);
    let mut bobs = Client::of_new_account_with_device(&service, &bob);
    let message = signed(&bob, "RequestContact", "NBOB-1", "{\"Subject\":\"Hello\"}");
    let posted = bobs.ask(&frames::post(&[&alice.address], vec![message.clone()]));
    posted.must_be(Code::Ok);
    wait_for(&mut alices, INBOUND, 2);
    let arrived = spool(&mut alices, INBOUND).remove(0);
    assert_eq!(arrived.payload, message.payload);
    assert_eq!(
        arrived.header.content_meta_data,
        message.header.content_meta_data
    );
    assert_eq!(arrived.signatures(), message.signatures());
    let accreditation = Accreditation::verify(&arrived).expect("the chain still holds");
    assert_eq!(accreditation.profile.service_ids.join(" "), bob.address);

    let received = ("NBOB-1".to_owned(), alice.address, "Received".to_owned());
    assert_eq!(ended(&mut bobs, 1), [received]);
    // Decision Q-7: by an online key of the service.
    let answer = hello(&mut service.connect());
    let profile = answer.enveloped_profile_service.expect("Hello has it");
    let profile = ProfileService::verify(&profile).expect("it verifies");
    let completion = spool(&mut bobs, OUTBOUND).remove(1);
    assert!(
        profile
            .keys()
            .iter()
            .any(|key| completion.verify_by(key).is_ok())
    );
}

#[test]
fn an_answer_to_what_was_asked_comes_in_and_nothing_else_of_a_stranger() {
    let service = TestService::start();
    let (alice, bob) = (alice(), bob());
    let mut alices = Client::of_new_account_with_device(&service, &alice);
    let mut bobs = Client::of_new_account_with_device(&service, &bob);
    let unasked = signed(&bob, "ReplyContact", "NBOB-1", "{}");
    bobs.ask(&frames::post(&[&alice.address], vec![unasked]))
        .must_be(Code::Ok);
    ended(&mut bobs, 1);
    let asked = signed(&alice, "RequestContact", "NALICE-1", "{\"Reply\":true}");
    alices
        .ask(&frames::post(&[&bob.address], vec![asked]))
        .must_be(Code::Ok);
    wait_for(&mut bobs, INBOUND, 2);
    let answer = signed(&bob, "ReplyContact", "NBOB-2", "{}");
    bobs.ask(&frames::post(&[&alice.address], vec![answer]))
        .must_be(Code::Ok);
    wait_for(&mut alices, INBOUND, 2);
    let states: Vec<String> = ended(&mut bobs, 2).into_iter().map(|one| one.2).collect();
    assert_eq!(states, ["Refused", "Received"]);
}

#[test]
fn a_message_reaches_a_device_that_waits() {
    // Architecture A-14
    let service = TestService::start();
    let (alice, bob) = (alice(), bob());
    let mut alices = Client::of_new_account_with_device(&service, &alice);
    let mut bobs = Client::of_new_account_with_device(&service, &bob);
    let status = polling::status_of(&alice, &[INBOUND]);
    let known = KnownState::of(alices.ask(&status).status().container_status.iter());
    let begun = alices.begin(&status, &polling::prefer(60, &known));
    while service.measured("mesh_frontend_polls_waiting", "") < 1.0 {
        std::thread::yield_now();
    }
    let message = signed(&bob, "RequestContact", "NBOB-1", "{}");
    bobs.ask(&frames::post(&[&alice.address], vec![message]))
        .must_be(Code::Ok);
    let answer = alices.finish(begun);
    assert_eq!(answer.must_be(Code::Ok).count_of(INBOUND), Some(2));
}
