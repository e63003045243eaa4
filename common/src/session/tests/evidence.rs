//! What a CreateAccount proves, and what the entries of an Upload do (decisions ).

use super::world::{ALICE, NOW, World};
use crate::assertion::{Assertion, CatalogedDevice, ProfileAccount};
use crate::cluster::{CreateEvidence, DeviceEvidence, Evidence};
use crate::crypto::SecretKey;
use crate::dare::{ContentMeta, Envelope, Header};
use crate::error::ServiceError;
use crate::protocol::{Code, ContainerUpdate, CreateRequest, Request, Transaction, UploadRequest};
use crate::session::client::ClientIdentity;
use crate::session::{
    Authenticated, Leniency, Mode, Opened, TicketGrant, content_evidence, create_evidence,
    has_signed_content, open_request, parse_request,
};

fn creation(world: &World) -> CreateRequest {
    CreateRequest {
        service_id: Some(ALICE.into()),
        signed_profile_mesh: Some(world.profile_mesh.clone()),
        signed_assertion_account: Some(world.profile_account.clone()),
        ..CreateRequest::default()
    }
}

/// What the service makes of a CreateAccount with a Proof by `signer`.
fn evidence_by(
    world: &mut World,
    client: ClientIdentity,
    request: &CreateRequest,
    signer: Option<&SecretKey>,
) -> Result<CreateEvidence, ServiceError> {
    let authenticated = creating(world, client, request, signer)?;
    let Ok(Request::CreateAccount(request)) = parse_request(&authenticated.plaintext) else {
        panic!("not a CreateAccount");
    };
    create_evidence(&request, Some(&authenticated), Leniency::default())
}

fn creating(
    world: &mut World,
    client: ClientIdentity,
    request: &CreateRequest,
    signer: Option<&SecretKey>,
) -> Result<Authenticated, ServiceError> {
    let session = world.session(client);
    let mut entropy = world.entropy.clone();
    let asked = Request::CreateAccount(Box::new(request.clone()));
    let mut attempt = match signer {
        Some(signer) => session.begin_creating(&asked, signer, &mut entropy),
        None => session.begin(&asked, &mut entropy),
    };
    let envelope = session.seal(&mut attempt, NOW, &mut entropy).unwrap();
    world.entropy = entropy;
    let Opened::Exchange(opened) =
        open_request(envelope, &world.hosts, &world.tickets, NOW).unwrap()
    else {
        panic!("not an exchange");
    };
    match opened.mode() {
        Mode::Profile => opened.verify_creating(request),
        _ => opened.verify_alone(),
    }
}

// Decisions
#[test]
fn creating_an_account_takes_a_proof_by_a_key_of_the_mesh() {
    let mut world = World::new();
    let request = creation(&world);
    let (online, offline) = (world.mesh.online.clone(), world.mesh.offline.clone());
    let client = world.as_device();
    let evidence = evidence_by(&mut world, client.clone(), &request, Some(&online)).unwrap();
    assert_eq!(evidence.keys, world.keys());
    assert_eq!(evidence.mesh_updated, Some(NOW));
    assert_eq!(evidence.mesh_digest, *world.signed_mesh.digest());
    assert_eq!(evidence.account_digest, *world.signed_account.digest());
    assert_eq!(evidence.device_keys, [world.device.authentication.udf()]);
    assert!(!evidence.by_offline_key);
    let recovery = evidence_by(&mut world, client.clone(), &request, Some(&offline)).unwrap();
    assert!(recovery.by_offline_key);
    let stranger = world.account.online.clone();
    for signer in [None, Some(&stranger)] {
        let refusal = evidence_by(&mut world, client.clone(), &request, signer).unwrap_err();
        assert_eq!(refusal.code, Code::NotAuthorized);
    }
}

// Decision Q-10
#[test]
fn a_connected_device_creates_by_the_mesh_it_presents() {
    let mut world = World::new();
    let request = creation(&world);
    let online = world.mesh.online.clone();
    for client in [world.as_connected_to_mesh(), world.as_connected()] {
        let key = client.key_udf();
        let evidence = evidence_by(&mut world, client, &request, Some(&online)).unwrap();
        assert_eq!(evidence.device_keys[0], key);
    }
    let without_mesh = CreateRequest {
        signed_profile_mesh: None,
        ..request
    };
    let client = world.as_connected_to_mesh();
    let refusal = creating(&mut world, client, &without_mesh, Some(&online)).unwrap_err();
    assert_eq!(refusal.code, Code::AuthenticationFailed);
}

// Service §4.5, decisions: while an account has no devices, a ticket for it is all that an
// administrator needs.
#[test]
fn a_creation_that_is_refused_gives_no_ticket_for_the_account() {
    let mut world = World::new();
    let request = creation(&world);
    let online = world.mesh.online.clone();
    let granted = |authenticated: &Authenticated, code| {
        let transaction = Some(Transaction::CreateAccount);
        authenticated.sealer.grant(transaction, Some(code)) == TicketGrant::Grant
    };
    let client = world.as_connected();
    let connected = creating(&mut world, client, &request, Some(&online)).unwrap();
    let client = world.as_device();
    let device = creating(&mut world, client, &request, Some(&online)).unwrap();
    for code in [Code::Ok, Code::Pending] {
        assert!(granted(&connected, code) && granted(&device, code));
    }
    for code in [Code::AccountRegistered, Code::NotAuthorized, Code::Overload] {
        assert!(!granted(&connected, code), "{code:?}");
        assert!(granted(&device, code), "its key alone says what it may");
    }
}

// X-30, decision Q-25
#[test]
fn each_fault_of_the_profiles_has_its_code() {
    let world = World::new();
    let good = creation(&world);
    let code = |request: &CreateRequest| {
        create_evidence(request, None, Leniency::default())
            .map(drop)
            .map_err(|error| error.code)
    };
    assert_eq!(code(&good), Ok(()));
    let unsigned = |envelope: &Envelope| {
        Some(Envelope {
            trailer: None,
            ..envelope.clone()
        })
    };
    let mut damaged = world.profile_mesh.clone();
    damaged.trailer.as_mut().unwrap().payload_digest = Some(vec![0; 64].into());
    let mut elsewhere = ProfileAccount::from_envelope(&world.profile_account).unwrap();
    elsewhere.service_ids = vec!["bob@example.com".into()];
    let mut other_mesh = elsewhere.clone();
    other_mesh.service_ids = vec![ALICE.into()];
    other_mesh.mesh_profile_udf = Some(world.signed_account.udf().to_string());
    let resigned = |profile: &ProfileAccount| {
        let signer = &[&world.account.offline];
        Some(Envelope::signed(
            profile.to_json(),
            Header::default(),
            signer,
        ))
    };
    let mesh = |signed_profile_mesh| CreateRequest {
        signed_profile_mesh,
        ..good.clone()
    };
    let account = |signed_assertion_account| CreateRequest {
        signed_assertion_account,
        ..good.clone()
    };
    let named = |text: Option<&str>| CreateRequest {
        service_id: text.map(Into::into),
        ..good.clone()
    };
    for (request, expected) in [
        (named(None), Code::InvalidName),
        (named(Some("alice")), Code::InvalidName),
        (named(Some("bob@example.com")), Code::InvalidProfile),
        (mesh(None), Code::InvalidProfile),
        (mesh(unsigned(&world.profile_mesh)), Code::InvalidSignature),
        (mesh(Some(damaged)), Code::InvalidSignature),
        (
            mesh(Some(world.profile_device.clone())),
            Code::InvalidProfile,
        ),
        (account(None), Code::InvalidProfile),
        (
            account(unsigned(&world.profile_account)),
            Code::InvalidSignature,
        ),
        (account(resigned(&elsewhere)), Code::InvalidProfile),
        (account(resigned(&other_mesh)), Code::InvalidProfile),
    ] {
        assert_eq!(code(&request), Err(expected));
    }
    let lenient = Leniency {
        unsigned_profile_mesh: true,
    };
    let request = mesh(unsigned(&world.profile_mesh));
    assert!(create_evidence(&request, None, lenient).is_ok());
}

/// A frame of the Device catalog.
fn frame(event: &str, unique_id: &str, entry: &CatalogedDevice) -> Envelope {
    let meta = ContentMeta {
        unique_id: Some(unique_id.into()),
        event: Some(event.into()),
        ..ContentMeta::default()
    };
    Envelope::signed(
        entry.to_json(),
        Header::default().with_content_meta(&meta),
        &[],
    )
}

fn upload(container: &str, envelopes: Vec<Envelope>) -> Request {
    Request::Upload(UploadRequest {
        updates: vec![
            ContainerUpdate {
                container: Some("mmm_Contact".into()),
                envelopes: vec![Envelope::plain("")],
                ..ContainerUpdate::default()
            },
            ContainerUpdate {
                container: Some(container.into()),
                envelopes,
                ..ContainerUpdate::default()
            },
        ],
        ..UploadRequest::default()
    })
}

// Decision Q-9
#[test]
fn entries_of_devices_are_verified_in_every_spelling_of_the_catalog() {
    let world = World::new();
    let udf = world.device.signature.udf();
    let good = frame("New", udf.as_str(), &world.entry);
    for container in [
        "mmm_Device",
        "mmm_CatalogDevice",
        "mmm/Device",
        "MMM_Device",
    ] {
        let request = upload(
            container,
            vec![
                Envelope::plain(""),
                good.clone(),
                frame("Delete", udf.as_str(), &world.entry),
            ],
        );
        assert!(has_signed_content(&request), "{container}");
        let evidence = content_evidence(&request, Some(&world.keys()), &World::address()).unwrap();
        let content = evidence.content().unwrap();
        assert_eq!(content.profile_version, 0);
        let [(2, DeviceEvidence::Valid(facts))] = &content.devices[..] else {
            panic!("{content:?}");
        };
        assert_eq!(facts.device_udf, udf);
        assert_eq!(
            facts.profile_keys,
            [
                world.in_mesh.authentication.udf(),
                world.in_account.authentication.udf()
            ]
        );
        assert!(facts.is_administrator);
    }
    let other = upload("mmm_Bookmark", vec![good]);
    assert!(!has_signed_content(&other));
    let evidence = content_evidence(&other, Some(&world.keys()), &World::address()).unwrap();
    assert_eq!(evidence, Evidence::Nothing);
}

//
#[test]
fn entries_for_an_account_that_does_not_exist_prove_nothing() {
    let world = World::new();
    let entry = frame("New", world.device.signature.udf().as_str(), &world.entry);
    let request = upload("mmm_Device", vec![entry]);
    let evidence = content_evidence(&request, None, &World::address());
    assert_eq!(evidence, Ok(Evidence::Nothing));
}

// Decision Q-9
#[test]
fn one_bad_envelope_makes_an_entry_invalid() {
    let world = World::new();
    let udf = world.device.signature.udf();
    let code = |entry: &CatalogedDevice, unique_id: &str| {
        let request = upload("mmm_Device", vec![frame("Update", unique_id, entry)]);
        match content_evidence(&request, Some(&world.keys()), &World::address()).unwrap() {
            Evidence::Content(content) => match &content.devices[0].1 {
                DeviceEvidence::Valid(_) => None,
                DeviceEvidence::Invalid(error) => Some(error.code),
            },
            other => panic!("{other:?}"),
        }
    };
    let id = udf.as_str();
    assert_eq!(code(&world.entry, id), None);
    assert_eq!(code(&world.entry, "another"), Some(Code::InvalidProfile));
    let changed = |change: fn(&mut CatalogedDevice)| {
        let mut entry = world.entry.clone();
        change(&mut entry);
        code(&entry, id)
    };
    assert_eq!(
        changed(|entry| entry.enveloped_profile_device = None),
        Some(Code::InvalidProfile)
    );
    assert_eq!(
        changed(|entry| entry.enveloped_connection_device = None),
        Some(Code::InvalidProfile)
    );
    assert_eq!(
        changed(|entry| entry.udf = entry.device_udf.clone()),
        Some(Code::InvalidProfile)
    );
    assert_eq!(
        changed(|entry| {
            let envelope = entry.enveloped_connection_device.as_mut().unwrap();
            envelope.trailer = None;
        }),
        Some(Code::InvalidSignature)
    );
    assert_eq!(
        changed(|entry| {
            let envelope = entry.enveloped_activation_device.as_mut().unwrap();
            envelope.payload.0[0] ^= 1;
        }),
        Some(Code::InvalidSignature)
    );
    assert_eq!(
        changed(|entry| {
            let account = &mut entry.accounts[0];
            account.enveloped_connection_account = account.enveloped_profile_account.clone();
        }),
        Some(Code::InvalidProfile)
    );
    assert_eq!(
        changed(|entry| entry.accounts = vec![entry.accounts[0].clone(); 33]),
        Some(Code::InvalidProfile)
    );
}
