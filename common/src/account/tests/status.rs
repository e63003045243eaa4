//! Status (service §5.4, §6.3; decision Q-23).

use super::*;
use crate::account::testing::{first_frame, message};
use crate::cluster::Evidence;
use crate::cluster::handle::DeviceEvidence;
use crate::dare::container_name::NameStyle;
use crate::encoding::base64url::Binary;
use crate::protocol::{ContainerStatus, Request, StatusRequest, StatusResponse};
use crate::session::{Mode, Via};

fn status(shell: &mut Shell, device: &mut Device, request: StatusRequest) -> StatusResponse {
    let answer = shell.perform(device.ask(Request::Status(request), Evidence::Nothing));
    match answer.response {
        Response::Status(response) => *response,
        other => panic!("not a Status: {other:?}"),
    }
}

fn names(rows: &[ContainerStatus]) -> Vec<&str> {
    rows.iter()
        .filter_map(|row| row.container.as_deref())
        .collect()
}

#[test]
fn without_lists_all_containers_are_reported_spools_first() {
    let (mut shell, mut laptop) = alice_with_contacts();
    let response = status(&mut shell, &mut laptop, StatusRequest::default());
    let rows = &response.container_status;
    assert_eq!(
        names(rows),
        ["mmm_Inbound", "mmm_Outbound", "mmm_Local", "mmm_Contact"]
    );
    assert_eq!(rows[3].index, Some(3));
    let apex = shell.frames(&laptop.address, "mmm_Contact")[2].tree_digest;
    assert_eq!(rows[3].digest, Some(Binary::from(apex)));
    shell.policy.name_style = NameStyle::Upper;
    let response = status(&mut shell, &mut laptop, StatusRequest::default());
    assert_eq!(names(&response.container_status)[3], "MMM_Contact");
}

//
#[test]
fn names_are_answered_as_they_were_asked_and_absent_containers_have_index_0() {
    let (mut shell, mut laptop) = alice_with_contacts();
    let request = StatusRequest {
        catalogs: vec!["mmm/CatalogContact".into(), "SpoolInbound".into()],
        spools: vec!["MMM_Task".into()],
        ..StatusRequest::default()
    };
    let response = status(&mut shell, &mut laptop, request);
    let rows = &response.container_status;
    assert_eq!(
        names(rows),
        ["MMM_Task", "mmm/CatalogContact", "SpoolInbound"]
    );
    assert_eq!((rows[0].index, &rows[0].digest), (Some(0), &None));
    assert_eq!((rows[1].index, rows[2].index), (Some(3), Some(1)));
    assert_eq!(
        count(&shell, &laptop, "mmm_Task"),
        0,
        "a Status creates nothing"
    );
}

#[test]
fn the_profile_is_left_out_if_the_device_has_it() {
    let (mut shell, mut laptop) = alice();
    let response = status(&mut shell, &mut laptop, StatusRequest::default());
    assert!(response.enveloped_profile_master.is_some());
    let request = StatusRequest {
        profile_master_digest: Some(Binary::from(state(&shell, &laptop).record.mesh.digest)),
        ..StatusRequest::default()
    };
    let response = status(&mut shell, &mut laptop, request);
    assert_eq!(response.enveloped_profile_master, None);
}

// I-P-7.1-b, Q-23
#[test]
fn the_device_entry_is_sent_once_it_differs_from_the_credential() {
    let (mut shell, mut laptop) = alice();
    let entry = event(1, "New", &laptop.unique_id(), "entry");
    let upload = laptop.upload_devices(
        vec![first_frame(), entry],
        vec![(1, DeviceEvidence::Valid(laptop.facts()))],
    );
    assert_eq!(told(&mut shell, upload), Code::Ok);
    let response = status(&mut shell, &mut laptop, StatusRequest::default());
    assert_eq!(response.enveloped_catalog_entry_device, None);
    laptop.caller.credential_digest = [9; 32];
    let response = status(&mut shell, &mut laptop, StatusRequest::default());
    let envelope = response.enveloped_catalog_entry_device.unwrap();
    assert_eq!(
        (envelope.payload.as_slice(), envelope.index()),
        (&b"entry"[..], Some(1))
    );
}

// I-P-8-b, X-42
#[test]
fn in_device_mode_a_device_gets_its_own_entry_or_nothing() {
    let (mut shell, mut laptop) = alice();
    let mut phone = Device::of(ALICE, "phone").authenticating(Mode::Device, Via::Exchange);
    let ask =
        |shell: &mut Shell, device: &mut Device| status(shell, device, StatusRequest::default());
    assert_eq!(
        ask(&mut shell, &mut phone).outcome.code(),
        Some(Code::NotFound)
    );
    let upload = laptop.upload_devices(
        vec![
            first_frame(),
            event(1, "New", &laptop.unique_id(), "laptop"),
            event(2, "New", &phone.unique_id(), "phone"),
        ],
        vec![
            (1, DeviceEvidence::Valid(laptop.facts())),
            (2, DeviceEvidence::Valid(phone.facts())),
        ],
    );
    assert_eq!(told(&mut shell, upload), Code::Ok);
    let response = ask(&mut shell, &mut phone);
    assert_eq!(response.outcome.code(), Some(Code::Ok));
    assert!(response.container_status.is_empty());
    assert!(response.enveloped_profile_master.is_some());
    let entry = response.enveloped_catalog_entry_device.unwrap();
    assert_eq!(entry.payload.as_slice(), b"phone");
    let delete = laptop.upload(
        "mmm_Device",
        vec![event(3, "Delete", &phone.unique_id(), "")],
    );
    assert_eq!(told(&mut shell, delete), Code::Ok);
    assert_eq!(
        ask(&mut shell, &mut phone).outcome.code(),
        Some(Code::NotFound)
    );
}

#[test]
fn the_change_sequence_rises_with_every_commit_and_only_then() {
    let (mut shell, mut laptop) = alice();
    let before = state(&shell, &laptop).tip.change_seq;
    status(&mut shell, &mut laptop, StatusRequest::default());
    assert_eq!(state(&shell, &laptop).tip.change_seq, before);
    let upload = laptop.upload_all(Vec::new(), vec![message("Notice", "N1", "{}")]);
    assert_eq!(told(&mut shell, upload), Code::Ok);
    assert_eq!(state(&shell, &laptop).tip.change_seq, before + 1);
}
