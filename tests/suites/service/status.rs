//! Status: where the containers stand (service §5.4, decision Q-23).

use mesh_common::crypto::digest::sha512;
use mesh_common::encoding::base64url::Binary;
use mesh_common::protocol::{Code, Request, StatusRequest};
use mesh_tests::people::permission;
use mesh_tests::{Client, alice, frames};

use crate::{alices_service, with_phone};

// I-P-7.1-a
#[test]
fn without_lists_spools_come_first_then_catalogs() {
    let (_service, mut client) = alices_service();
    let upload = frames::upload(frames::BOOKMARKS, frames::catalog(1));
    client.ask(&upload).must_be(Code::Ok);
    let status = client.ask(&frames::status());
    let names: Vec<_> = status
        .status()
        .container_status
        .iter()
        .map(|row| row.container.as_deref().unwrap())
        .collect();
    assert_eq!(
        names,
        [
            "mmm_Inbound",
            "mmm_Outbound",
            "mmm_Local",
            "mmm_Device",
            "mmm_Bookmark"
        ]
    );
}

#[test]
fn a_container_is_called_as_the_request_calls_it() {
    let (_service, mut client) = alices_service();
    let names = [
        "SpoolInbound",
        "mmm/Device",
        "MMM_Device",
        "mmm_CatalogDevice",
        "mmm_Calendar",
    ];
    let request = Request::Status(StatusRequest {
        catalogs: names.map(str::to_owned).into(),
        ..StatusRequest::default()
    });
    let status = client.ask(&request);
    let rows = &status.must_be(Code::Ok).status().container_status;
    assert!(
        rows.iter()
            .map(|row| row.container.as_deref())
            .eq(names.map(Some))
    );
    let counts: Vec<_> = rows.iter().map(|row| row.index).collect();
    assert_eq!(counts, [Some(1), Some(2), Some(2), Some(2), Some(0)]);
    assert!(rows[4].digest.is_none(), "nothing has no digest");
    assert_eq!(rows[1].digest, rows[2].digest);
}

#[test]
fn the_digest_is_the_apex_of_the_frames() {
    let (_service, mut client) = alices_service();
    let catalog = frames::catalog(6);
    client
        .ask(&frames::upload(frames::BOOKMARKS, catalog.clone()))
        .must_be(Code::Ok);
    let status = client.ask(&frames::status_of(frames::BOOKMARKS));
    assert_eq!(
        status.status().container_status[0].digest,
        frames::apex(&catalog)
    );
}

#[test]
fn a_profile_the_device_has_is_not_sent() {
    let (_service, mut client) = alices_service();
    let payload = alice().profile_mesh.payload;
    let request = |digest: Vec<u8>| {
        Request::Status(StatusRequest {
            profile_master_digest: Some(Binary(digest)),
            ..StatusRequest::default()
        })
    };
    let known = client.ask(&request(sha512(&[payload.as_slice()]).to_vec()));
    assert!(known.status().enveloped_profile_master.is_none());
    let other = client.ask(&request(vec![0; 64]));
    assert_eq!(
        other.status().enveloped_profile_master,
        Some(alice().profile_mesh)
    );
}

// I-P-7.1-b, I-P-8-b
#[test]
fn a_device_is_sent_its_entry_when_it_has_changed() {
    let (service, mut client) = alices_service();
    let (phone, mut on_phone) = with_phone(&service, &mut client);
    let before = on_phone.ask(&frames::status());
    assert!(
        before
            .must_be(Code::Ok)
            .status()
            .enveloped_catalog_entry_device
            .is_none()
    );
    // The same keys, and a permission more.
    let changed = alice().another_device("phone", &permission("Confirm"));
    assert_eq!(changed.udf(), phone.udf());
    let update = changed.frame(3, "Update");
    client
        .ask(&frames::upload(frames::DEVICES, vec![update]))
        .must_be(Code::Ok);
    let after = on_phone.by_ticket(&frames::status());
    let sent = after
        .must_be(Code::Ok)
        .status()
        .enveloped_catalog_entry_device
        .clone();
    assert_eq!(sent.unwrap().payload, changed.frame(3, "Update").payload);
    let mut renewed = Client::new(&service, changed.as_connected());
    let status = renewed.exchange(&frames::status());
    assert!(
        status
            .must_be(Code::Ok)
            .status()
            .enveloped_catalog_entry_device
            .is_none()
    );
}

// P-10-a
#[test]
fn a_status_changes_nothing() {
    let (_service, mut client) = alices_service();
    let first = client.ask(&frames::status());
    client
        .ask(&frames::status_of("mmm_Network"))
        .must_be(Code::Ok);
    assert_eq!(client.ask(&frames::status()).text, first.text);
}
