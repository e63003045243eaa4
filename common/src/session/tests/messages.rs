//! What the signatures of messages prove of who sent them (X-50; decisions,
//!

use super::world::{ALICE, World};
use crate::address::AccountAddress;
use crate::assertion::make::{AccountKeys, MeshKeys, connect_to_account};
use crate::assertion::{Authority, ProfileAccount, ProfileDevice, ProfileMesh};
use crate::cluster::{Evidence, MessageEvidence, MessageSigners};
use crate::crypto::SecretKey;
use crate::dare::{Envelope, Signature, Trailer};
use crate::entropy::SeededEntropy;
use crate::limits::{CHAINS_PER_REQUEST_MAX, POST_MESSAGES_MAX};
use crate::message::{Message, RequestTask, accredit};
use crate::protocol::{Code, ContainerUpdate, PostRequest, Request, UploadRequest};
use crate::session::{content_evidence, has_signed_content};

fn task() -> Envelope {
    Message::RequestTask(RequestTask::default()).to_envelope("NAAA", &[])
}

fn connection(world: &World) -> &Envelope {
    let account = &world.entry.accounts[0];
    account.enveloped_connection_account.as_ref().unwrap()
}

/// A message that the device of `world` signed, with its chain.
fn accredited(world: &World) -> Envelope {
    let mut message = task();
    let signer = &world.in_account.signature;
    accredit(
        &mut message,
        signer,
        connection(world),
        &world.profile_account,
        None,
    );
    message
}

fn post(messages: Vec<Envelope>) -> Request {
    Request::Post(PostRequest {
        accounts: vec!["bob@example.com".into()],
        messages,
        ..PostRequest::default()
    })
}

fn evidence(world: &World, message: Envelope) -> Result<MessageSigners, Code> {
    let evidence = content_evidence(&post(vec![message]), Some(&world.keys()), &World::address());
    let evidence = evidence.unwrap();
    let [(0, found)] = &evidence.content().unwrap().messages[..] else {
        panic!("{evidence:?}");
    };
    match found {
        MessageEvidence::Valid(signers) => Ok(signers.clone()),
        MessageEvidence::Invalid(error) => Err(error.code),
    }
}

fn block(message: &mut Envelope) -> &mut Signature {
    &mut message.trailer.as_mut().unwrap().signatures[0]
}

// P-9.1.1-a
#[test]
fn a_device_signs_with_the_chain_to_its_account() {
    let world = World::shared();
    let signers = evidence(world, accredited(world)).unwrap();
    let device = signers.device.unwrap();
    assert_eq!(device.key_udf, world.in_account.signature.udf());
    let facts = world.entry.accounts[0]
        .enveloped_connection_account
        .as_ref();
    let digest = crate::crypto::digest::sha512(&[facts.unwrap().payload.as_slice()]);
    assert_eq!(device.connection_digest, digest[..32]);
    assert_eq!(device.permissions[0].name.as_deref(), Some("Admin"));
    assert_eq!(signers.online_key, None);
}

//
#[test]
fn an_online_key_signs_without_a_chain_and_unknown_keys_do_not_count() {
    let world = World::shared();
    for (key, is_online) in [
        (&world.account.online, true),
        (&world.mesh.online, true),
        (&world.account.offline, false),
        (&world.mesh.offline, false),
        (&world.service.online, false),
    ] {
        let mut message = task();
        message.add_signature(key);
        let signers = evidence(world, message).unwrap();
        assert_eq!(signers.device, None);
        assert_eq!(signers.online_key, is_online.then(|| key.udf()));
    }
    let mut both = accredited(world);
    both.add_signature(&world.account.online);
    let signers = evidence(world, both).unwrap();
    assert!(signers.device.is_some() && signers.online_key.is_some());
}

//
#[test]
fn an_account_signed_by_its_mesh_alone_brings_the_mesh() {
    let world = World::shared();
    let mut profile = world.profile_account.clone();
    let offline = world.account.offline.udf().to_string();
    let trailer = profile.trailer.as_mut().unwrap();
    trailer
        .signatures
        .retain(|one| one.kid.as_deref() != Some(&offline));
    let with = |mesh: Option<&Envelope>| {
        let mut message = task();
        let signer = &world.in_account.signature;
        accredit(&mut message, signer, connection(world), &profile, mesh);
        evidence(world, message)
    };
    assert!(with(Some(&world.profile_mesh)).is_ok());
    assert_eq!(with(None), Err(Code::InvalidSignature));
    assert_eq!(
        with(Some(&world.profile_account)),
        Err(Code::InvalidProfile)
    );
}

//
#[test]
fn one_wrong_link_and_nothing_is_proven() {
    let world = World::shared();
    let changed = |change: &dyn Fn(&mut Envelope)| {
        let mut message = accredited(world);
        change(&mut message);
        evidence(world, message).map(drop)
    };
    let signature = Err(Code::InvalidSignature);
    let profile = Err(Code::InvalidProfile);
    assert_eq!(changed(&|_| {}), Ok(()));
    assert_eq!(changed(&|message| message.payload.0.push(b' ')), signature);
    assert_eq!(
        changed(&|message| {
            let value = block(message).signature.as_mut().unwrap();
            value.0[3] ^= 1;
        }),
        signature
    );
    assert_eq!(
        changed(&|message| block(message).signature = None),
        signature
    );
    assert_eq!(
        changed(&|message| block(message).enveloped_profile = None),
        profile
    );
    assert_eq!(
        changed(&|message| {
            let connection = block(message).enveloped_connection.as_mut().unwrap();
            connection.payload.0.push(b' ');
        }),
        signature
    );
    assert_eq!(
        changed(&|message| {
            let connection = block(message).enveloped_connection.as_mut().unwrap();
            connection.trailer = None;
        }),
        signature
    );
    // A ConnectionDevice is no ConnectionAccount.
    assert_eq!(
        changed(&|message| {
            let device = world.entry.enveloped_connection_device.clone();
            block(message).enveloped_connection = device.map(Box::new);
        }),
        profile
    );
    // The kid of another key than the connection's.
    assert_eq!(
        changed(&|message| block(message).kid = Some(world.account.online.udf().to_string())),
        profile
    );
}

/// Somebody else's account, and a connection of the device of `world` to it.
fn elsewhere(world: &World, address: &str) -> (Envelope, Envelope, SecretKey) {
    let mut entropy = SeededEntropy::new(77);
    let (mesh, account) = (
        MeshKeys::generate(&mut entropy),
        AccountKeys::generate(&mut entropy),
    );
    let profile_mesh = mesh.profile(super::world::NOW);
    let signed_mesh = ProfileMesh::verify(&profile_mesh).unwrap();
    let profile = account.profile(
        signed_mesh.udf(),
        &[address.into()],
        super::world::NOW,
        &mesh.online,
    );
    let authority = Authority::from(&signed_mesh);
    let signed = ProfileAccount::verify(&profile, Some(&authority)).unwrap();
    let device = ProfileDevice::verify(&world.profile_device).unwrap();
    let place = connect_to_account(&device, &signed, &account.online, &[], &mut entropy).unwrap();
    let entry = crate::assertion::make::account_entry(signed.udf(), &profile, place);
    let (_, _, keys) =
        crate::assertion::activate_account(&world.device, &entry, &authority).unwrap();
    let connection = entry.enveloped_connection_account.unwrap();
    (profile, connection, keys.signature)
}

#[test]
fn a_chain_leads_to_the_account_that_posts() {
    let world = World::shared();
    let (profile, connection, signer) = elsewhere(world, ALICE);
    let mut message = task();
    accredit(&mut message, &signer, &connection, &profile, None);
    assert_eq!(evidence(world, message), Err(Code::InvalidProfile));
    // The right account's profile does not make a foreign connection right.
    let mut message = task();
    accredit(
        &mut message,
        &signer,
        &connection,
        &world.profile_account,
        None,
    );
    assert_eq!(evidence(world, message), Err(Code::InvalidProfile));
    // A connection that names its account speaks for no other.
    let other = AccountAddress::parse("alice@example.net").unwrap();
    let request = post(vec![accredited(world)]);
    let found = content_evidence(&request, Some(&world.keys()), &other).unwrap();
    let found = &found.content().unwrap().messages[0].1;
    let MessageEvidence::Invalid(error) = found else {
        panic!("{found:?}");
    };
    assert_eq!(error.code, Code::InvalidProfile);
}

//
#[test]
fn messages_of_an_account_that_does_not_exist_prove_nothing() {
    let request = post(vec![accredited(World::shared())]);
    assert_eq!(
        content_evidence(&request, None, &World::address()),
        Ok(Evidence::Nothing)
    );
}

#[test]
fn signatures_are_looked_at_where_others_rely_on_them() {
    let world = World::shared();
    let positions = |request: &Request| -> Vec<usize> {
        let evidence = content_evidence(request, Some(&world.keys()), &World::address()).unwrap();
        let content = evidence.content();
        content.map_or_else(Vec::new, |content| {
            content
                .messages
                .iter()
                .map(|(position, _)| *position)
                .collect()
        })
    };
    let update = |container: &str, envelopes: Vec<Envelope>| ContainerUpdate {
        container: Some(container.into()),
        envelopes,
        ..ContainerUpdate::default()
    };
    let upload = Request::Upload(UploadRequest {
        updates: vec![
            update("mmm_Archive", vec![accredited(world)]),
            update("mmm/Local", vec![task(), accredited(world)]),
            update("mmm_Contact", vec![accredited(world)]),
            update("SpoolInbound", vec![accredited(world)]),
        ],
        self_messages: vec![task(), accredited(world)],
        ..UploadRequest::default()
    });
    assert_eq!(positions(&upload), [2, 4, 6]);
    let unsigned = post(vec![task()]);
    assert!(!has_signed_content(&unsigned));
    assert!(positions(&unsigned).is_empty());
    let many = post(vec![accredited(world); POST_MESSAGES_MAX]);
    assert_eq!(positions(&many).len(), POST_MESSAGES_MAX);
    let too_many = post(vec![accredited(world); POST_MESSAGES_MAX + 1]);
    assert!(positions(&too_many).is_empty());
}

#[test]
fn so_many_different_chains_are_followed_in_one_request() {
    let world = World::shared();
    let messages: Vec<Envelope> = (0..=CHAINS_PER_REQUEST_MAX)
        .map(|number| {
            let mut message = accredited(world);
            let profile = block(&mut message).enveloped_profile.as_mut().unwrap();
            profile.header.extra.insert("Number".into(), number.into());
            message
        })
        .collect();
    let evidence = content_evidence(&post(messages), Some(&world.keys()), &World::address());
    let evidence = evidence.unwrap();
    let valid = |one: &(usize, MessageEvidence)| matches!(one.1, MessageEvidence::Valid(_));
    let messages = &evidence.content().unwrap().messages;
    assert!(messages[..CHAINS_PER_REQUEST_MAX].iter().all(valid));
    assert!(!valid(&messages[CHAINS_PER_REQUEST_MAX]));
}

#[test]
fn a_message_signed_in_its_header_counts_as_one_signed_in_its_trailer() {
    let world = World::shared();
    let mut message = accredited(world);
    let Trailer { signatures, .. } = message.trailer.take().unwrap();
    message.header.signatures = signatures;
    assert!(evidence(world, message).unwrap().device.is_some());
}
