//! What a message proves to a service that knows nothing of its sender: the address it is from, and
//! who vouches for the account (service §7.4 check 5, decisions ).

use super::evidence;
use crate::account::intake::{ForwardingService, IntakeMessage};
use crate::account::policy::AccountPolicy;
use crate::account::testing::{message, udf};
use crate::address::AccountAddress;
use crate::assertion::make::{
    AccountKeys, DeviceKeys, MeshKeys, account_entry, cataloged_device, connect_to_account,
    connect_to_mesh,
};
use crate::assertion::{
    Authority, CatalogedDevice, ProfileAccount, ProfileDevice, ProfileMesh, activate_account,
};
use crate::crypto::SecretKey;
use crate::dare::{Envelope, Signature};
use crate::entropy::SeededEntropy;
use crate::error::ServiceError;
use crate::message::{ConnectionAnswer, ProvenChain, accredit};
use crate::protocol::Code;
use crate::time::Timestamp;
use crate::udf::Udf;

const NOW: Timestamp = Timestamp::from_secs(1_770_120_000);
const CAROL: &str = "carol@example.org";

/// Carol, her mesh, and her device.
struct Sender {
    mesh: MeshKeys,
    profile_mesh: Envelope,
    profile_account: Envelope,
    entry: CatalogedDevice,
    signature: SecretKey,
}

impl Sender {
    /// With an account at `addresses` that says it is of the mesh `named`, and that `vouching` signs
    /// beside it.
    fn new(addresses: &[&str], named: Option<&Udf>, vouching: Option<&SecretKey>) -> Self {
        let mut entropy = SeededEntropy::new(11);
        let mesh = MeshKeys::generate(&mut entropy);
        let account = AccountKeys::generate(&mut entropy);
        let device = DeviceKeys::generate(&mut entropy);
        let profile_mesh = mesh.profile(NOW);
        let signed_mesh = ProfileMesh::verify(&profile_mesh).unwrap();
        let addresses: Vec<String> = addresses.iter().map(|one| (*one).to_owned()).collect();
        let profile_account = account.profile(
            named.unwrap_or_else(|| signed_mesh.udf()),
            &addresses,
            NOW,
            vouching.unwrap_or(&mesh.online),
        );
        let signed_account = ProfileAccount::verify(&profile_account, None).unwrap();
        let profile_device = ProfileDevice::verify(&device.profile(None)).unwrap();
        let in_mesh = connect_to_mesh(
            &profile_device,
            signed_mesh.udf(),
            &mesh.online,
            &[],
            &mut entropy,
        );
        let in_account = connect_to_account(
            &profile_device,
            &signed_account,
            &account.online,
            &[],
            &mut entropy,
        );
        let accounts = account_entry(signed_account.udf(), &profile_account, in_account.unwrap());
        let mut entry =
            cataloged_device(&device.profile(None), in_mesh.unwrap(), vec![accounts]).unwrap();
        entry.enveloped_profile_mesh = Some(profile_mesh.clone());
        let authority = Authority::from(&signed_mesh);
        let activated = match named {
            None => {
                activate_account(&device, &entry.accounts[0], &authority)
                    .unwrap()
                    .2
                    .signature
            }
            // An account that names another mesh is not activated: its keys are made the same way.
            Some(_) => {
                let mut own = Self::new(&[CAROL], None, None);
                own.entry = entry.clone();
                own.signature
            }
        };
        Self {
            mesh,
            profile_mesh,
            profile_account,
            entry,
            signature: activated,
        }
    }

    fn carol() -> Self {
        Self::new(&[CAROL], None, None)
    }

    /// A message with the chain in its block; `mesh` goes along if it is given.
    fn sends(&self, tag: &str, body: &str, mesh: Option<&Envelope>) -> Envelope {
        let mut message = message(tag, "N1", body);
        let connection = self.entry.accounts[0].enveloped_connection_account.clone();
        accredit(
            &mut message,
            &self.signature,
            &connection.unwrap(),
            &self.profile_account,
            mesh,
        );
        message
    }
}

/// What a message proves that the service of `domain` posts for alice.
fn proves(message: Envelope, domain: &str) -> Result<IntakeMessage, ServiceError> {
    let service = ForwardingService {
        domain: domain.to_owned(),
        udf: udf("a service"),
    };
    let alice = AccountAddress::parse("alice@example.com").unwrap();
    let follow = |block: &Signature| ProvenChain::follow(block);
    evidence(message, service, &alice, &AccountPolicy::default(), &follow)
}

fn sender_of(message: Envelope, domain: &str) -> Result<String, Code> {
    proves(message, domain)
        .map(|found| found.sender.address.canonical().to_owned())
        .map_err(|error| error.code)
}

// X-50..53
#[test]
fn the_sender_is_the_accounts_address_at_the_service_that_forwards() {
    let carol = Sender::new(
        &["carol@example.net", "c.second@example.org", CAROL],
        None,
        None,
    );
    let plain = || carol.sends("RequestContact", "{}", None);
    assert_eq!(
        sender_of(plain(), "example.net"),
        Ok("carol@example.net".into())
    );
    assert_eq!(
        sender_of(plain(), "example.org"),
        Ok("c.second@example.org".into()),
        "the first one, where the message says nothing"
    );
    assert_eq!(sender_of(plain(), "example.info"), Err(Code::Refused));
    let saying = |sender: &str| {
        let body = format!("{{\"Sender\":\"{sender}\"}}");
        carol.sends("RequestContact", &body, None)
    };
    assert_eq!(
        sender_of(saying("Carol@Example.ORG"), "example.org"),
        Ok(CAROL.into())
    );
    for other in ["carol@example.net", "dave@example.org", "carol"] {
        assert_eq!(sender_of(saying(other), "example.org"), Err(Code::Refused));
    }
}

// Decision Q-13
#[test]
fn a_mesh_that_did_not_sign_vouches_for_nothing() {
    let carol = Sender::carol();
    let found = proves(carol.sends("RequestContact", "{}", None), "example.org").unwrap();
    assert_eq!(found.sender.mesh_udf, None, "nobody showed a mesh");
    let shown = carol.sends("RequestContact", "{}", Some(&carol.profile_mesh));
    let found = proves(shown, "example.org").unwrap();
    assert_eq!(found.sender.mesh_udf, Some(carol.mesh.offline.udf()));
    assert_eq!(found.service.unwrap().domain, "example.org");
    // An account may name whose mesh it likes, and show its public profile.
    let famous = MeshKeys::generate(&mut SeededEntropy::new(12));
    let mallet = Sender::new(
        &[CAROL],
        Some(&famous.offline.udf()),
        Some(&SecretKey::generate(&mut SeededEntropy::new(13))),
    );
    let shown = mallet.sends("RequestContact", "{}", Some(&famous.profile(NOW)));
    let found = proves(shown, "example.org").unwrap();
    assert_eq!(found.sender.mesh_udf, None);
}

// Decision Q-19
#[test]
fn an_answer_to_a_device_is_proved_by_the_mesh_that_it_brings() {
    let carol = Sender::carol();
    let answer = |entry: Option<CatalogedDevice>, signer: &SecretKey| {
        ConnectionAnswer::make("N1", entry, None, None, signer)
    };
    let sound = answer(Some(carol.entry.clone()), &carol.mesh.online);
    let found = proves(sound, "example.org").unwrap();
    assert_eq!(found.sender.address.canonical(), CAROL);
    assert_eq!(found.sender.signed_by, Some(carol.mesh.online.udf()));
    assert_eq!(found.sender.mesh_udf, Some(carol.mesh.offline.udf()));
    let other = SecretKey::generate(&mut SeededEntropy::new(14));
    let forged = answer(Some(carol.entry.clone()), &other);
    assert_eq!(
        proves(forged, "example.org").unwrap_err().code,
        Code::InvalidSignature
    );
    let silent = answer(None, &carol.mesh.online);
    assert!(proves(silent, "example.org").is_err(), "a no proves nobody");
    // Another mesh that borrows carol's account speaks for it no more than anybody.
    let mallet = MeshKeys::generate(&mut SeededEntropy::new(15));
    let mut borrowed = carol.entry;
    borrowed.enveloped_profile_mesh = Some(mallet.profile(NOW));
    let borrowed = answer(Some(borrowed), &mallet.online);
    assert!(proves(borrowed, "example.org").is_err());
}

#[test]
fn what_remembers_chains_tells_them_apart_by_every_octet() {
    let carol = Sender::carol();
    let block = |message: &Envelope| message.signatures()[0].clone();
    let one = carol.sends("RequestContact", "{}", None);
    let known = ProvenChain::follow(&block(&one)).unwrap();
    let two = carol.sends("RequestTask", "{}", None);
    assert!(known.is_of(&block(&two)), "the same device");
    let marks =
        [&one, &two].map(|one| ProvenChain::mark_of(&one.signatures()[0]).unwrap().to_vec());
    assert_eq!(marks[0], marks[1]);
    let with_mesh = carol.sends("RequestContact", "{}", Some(&carol.profile_mesh));
    assert!(!known.is_of(&block(&with_mesh)));
    let mut unsigned = block(&one);
    unsigned.enveloped_connection.as_mut().unwrap().trailer = None;
    assert_eq!(ProvenChain::mark_of(&unsigned), None);
    assert!(!known.is_of(&unsigned));
    let mut forged = one;
    let block = &mut forged.trailer.as_mut().unwrap().signatures[0];
    let connection = block.enveloped_connection.as_mut().unwrap();
    let signature = &mut connection.trailer.as_mut().unwrap().signatures[0];
    signature.signature.as_mut().unwrap().0[0] ^= 1;
    assert!(
        !known.is_of(&forged.signatures()[0]),
        "a signature of the chain"
    );
}
