//! DeleteAccount: the binding ends (service §5.3, X-32, decision Q-15).

use mesh_common::catalog::entry::Permission;
use mesh_common::protocol::{Code, DeleteRequest, Request};
use mesh_tests::people::{administrator, permission};
use mesh_tests::{Client, Person, TestService, alice, frames};

use crate::{alices_service, with_phone};

/// The permission of an administrator.
pub(crate) fn admin() -> Vec<Permission> {
    administrator()
}

fn deletion() -> Request {
    Request::DeleteAccount(DeleteRequest::default())
}

// I-P-6-b
#[test]
fn every_transaction_of_a_deleted_account_finds_nothing() {
    let (service, mut client) = alices_service();
    client.ask(&deletion()).must_be(Code::Ok);
    for request in [
        frames::status(),
        frames::download(frames::DEVICES),
        frames::upload(frames::BOOKMARKS, frames::catalog(1)),
        deletion(),
    ] {
        client.by_ticket(&request).must_be(Code::NotFound);
    }
    // Without a ticket of before, the account is as unknown as any other.
    let mut stranger = Client::new(&service, alice().device.as_connected());
    stranger
        .exchange(&frames::status())
        .must_be(Code::AuthenticationFailed);
}

// X-30/31
#[test]
fn the_name_of_a_deleted_account_is_kept_for_its_mesh() {
    let (service, mut client) = alices_service();
    client.ask(&deletion()).must_be(Code::Ok);
    let other = Person::at("mallet", &alice().address);
    let mut mallets = Client::new(&service, other.device.as_device());
    mallets
        .create_account(&other)
        .must_be(Code::AccountRegistered);
    let mut again = Client::of_new_account(&service, &alice());
    let status = again.ask(&frames::status());
    assert_eq!(
        status.status().container_status.len(),
        3,
        "a new account, without the old frames"
    );
}

//
#[test]
fn an_administrator_is_who_has_the_permission() {
    let (service, mut client) = alices_service();
    let helper = alice().another_device("helper", &admin());
    let added = frames::upload(frames::DEVICES, vec![helper.frame(2, "New")]);
    client.ask(&added).must_be(Code::Ok);
    let mut on_helper = Client::of_device(&service, &helper);
    on_helper.ask(&frames::status()).must_be(Code::Ok);
    on_helper.ask(&deletion()).must_be(Code::Ok);
}

//
#[test]
fn a_permission_for_something_else_makes_no_administrator() {
    let (service, mut client) = alices_service();
    let phone = alice().another_device("phone", &permission("Contact"));
    let added = frames::upload(frames::DEVICES, vec![phone.frame(2, "New")]);
    client.ask(&added).must_be(Code::Ok);
    let mut on_phone = Client::of_device(&service, &phone);
    on_phone.ask(&frames::status()).must_be(Code::Ok);
    on_phone.ask(&deletion()).must_be(Code::NotAdministrator);
}

//
#[test]
fn the_bootstrap_device_is_an_administrator_until_the_catalog_decides() {
    let service = TestService::start();
    let alice = alice();
    let mut client = Client::new(&service, alice.device.as_device());
    client.create_account(&alice).must_be(Code::Ok);
    client.by_ticket(&deletion()).must_be(Code::Ok);
}

//
#[test]
fn where_no_entry_has_a_permission_every_device_is_an_administrator() {
    let service = TestService::start();
    let alice = alice();
    // Her first device, connected without a permission, and a second one likewise.
    let first = alice.another_device("first", &[]);
    let mut client = Client::new(&service, first.as_connected());
    client.create_account(&alice).must_be(Code::Ok);
    let own = frames::upload(
        frames::DEVICES,
        vec![frames::first(), first.frame(1, "New")],
    );
    client.ask(&own).must_be(Code::Ok);
    let (_phone, mut on_phone) = with_phone(&service, &mut client);
    on_phone.ask(&frames::status()).must_be(Code::Ok);
    on_phone.by_ticket(&deletion()).must_be(Code::Ok);
}
