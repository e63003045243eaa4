//! The same request again (service §4.7, X-23, decision Q-33).

use super::*;
use crate::account::testing::rows_of;
use crate::encoding::base64url::Binary;
use crate::limits::REPLAY_TIME;
use crate::protocol::Request;
use std::time::Duration;

//
#[test]
fn a_committed_request_that_comes_again_gets_its_stored_answer() {
    let (mut shell, mut laptop) = alice_with_contacts();
    let request = laptop.upload("mmm_Contact", vec![event(3, "Delete", "bob", "")]);
    let first = shell.perform(request.clone());
    let next = laptop.upload("mmm_Contact", vec![event(4, "New", "bob", "{}")]);
    assert_eq!(told(&mut shell, next), Code::Ok);
    let commits = shell.commits;
    assert_eq!(shell.perform(request), first);
    assert_eq!(shell.commits, commits);
}

//
#[test]
fn a_request_id_used_for_another_request_is_a_replay() {
    let (mut shell, mut laptop) = alice_with_contacts();
    let request = laptop.upload("mmm_Contact", vec![event(3, "New", "dan", "{}")]);
    assert_eq!(told(&mut shell, request.clone()), Code::Ok);
    let mut other = laptop.upload("mmm_Contact", vec![event(4, "New", "eve", "{}")]);
    other.request_id = request.request_id;
    assert_eq!(told(&mut shell, other.clone()), Code::Replay);
    other.caller.key_udf = crate::account::testing::udf("another key");
    assert_eq!(told(&mut shell, other), Code::Ok, "ids are drawn per key");
}

//
#[test]
fn after_the_window_a_request_is_judged_afresh() {
    let (mut shell, mut laptop) = alice_with_contacts();
    let request = laptop.upload("mmm_Contact", vec![event(3, "New", "dan", "{}")]);
    let mut other = laptop.upload("mmm_Contact", vec![event(4, "New", "eve", "{}")]);
    other.request_id = request.request_id;
    assert_eq!(told(&mut shell, request), Code::Ok);
    shell.advance(REPLAY_TIME - Duration::from_millis(1));
    assert_eq!(told(&mut shell, other.clone()), Code::Replay);
    shell.advance(Duration::from_millis(1));
    assert_eq!(told(&mut shell, other), Code::Ok);
}

//
#[test]
fn a_refused_request_may_be_sent_again_under_its_id() {
    let (mut shell, mut laptop) = alice_with_contacts();
    let request = laptop.upload("mmm_Contact", vec![event(4, "New", "eve", "{}")]);
    assert_eq!(told(&mut shell, request.clone()), Code::Conflict);
    let between = laptop.upload("mmm_Contact", vec![event(3, "New", "dan", "{}")]);
    assert_eq!(told(&mut shell, between), Code::Ok);
    let answer = shell.perform(request);
    assert_eq!(rows_of(&answer), [(ACCEPT, Some(4))]);
}

//
#[test]
fn a_lost_answer_to_a_deletion_is_repeated() {
    let (mut shell, mut laptop) = alice();
    let request = laptop.delete();
    let first = shell.perform(request.clone());
    assert_eq!(shell.perform(request), first);
    assert_eq!(told(&mut shell, laptop.delete()), Code::NotFound);
}

//
#[test]
fn a_stated_id_is_the_request_id_and_is_echoed() {
    let (mut shell, mut laptop) = alice_with_contacts();
    let mut request = laptop.upload("mmm_Contact", vec![event(3, "New", "dan", "{}")]);
    let id = Binary::from(request.request_id.0);
    for (stated, expected) in [(Binary(vec![9; 16]), Code::Malformed), (id, Code::Ok)] {
        if let Request::Upload(upload) = &mut request.request {
            upload.id = Some(stated.clone());
        }
        let answer = shell.perform(request.clone());
        assert_eq!(code(&answer), expected);
        assert_eq!(answer.response.outcome().id, Some(stated));
    }
}
