//! `objects.json`: a service, a mesh, an account and a device with all their keys; what they sign,
//! and three sessions between them (service §4, §6 and §7.2; decisions ).

mod sessions;

use std::collections::BTreeMap;

use mesh_common::address::AccountAddress;
use mesh_common::assertion::make::{
    AccountKeys, DeviceKeys, HostProfileKeys, MeshKeys, ServiceKeys,
};
use mesh_common::assertion::{
    Assertion, AssertionError, Authority, CatalogedDevice, ConnectionAccount, ConnectionDevice,
    ProfileAccount, ProfileDevice, ProfileHost, ProfileMesh, ProfileService, Signed,
    activate_account, activate_device, verify,
};
use mesh_common::catalog::entry::CatalogEntry;
use mesh_common::crypto::curve::{Crrl, Ed448Provider, POINT_BYTES};
use mesh_common::crypto::{PublicKey, SecretKey, eddsa};
use mesh_common::dare::{Envelope, Header};
use mesh_common::encoding::base64url::Binary;
use mesh_common::encoding::json;
use mesh_common::message::{Accreditation, Message, Relationship, identify};
use mesh_common::protocol::Request;
use mesh_common::time::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use crate::count::Tally;
use crate::json_of;
use crate::service::{envelope_of, hex, text_of, written};

/// The account of all examples.
const ALICE: &str = "alice@example.com";
/// 2020-03-10T12:00:00Z.
const NOW: Timestamp = Timestamp::from_secs(1_583_841_600);

#[test]
fn every_entry_of_the_file_holds() {
    let mut tally = Tally::of(json_of("objects.json"));
    tally.whole("/source", |source: String| {
        assert!(source.contains("for tests only"));
    });
    let mut keys = BTreeMap::new();
    tally.whole("/keys", |cases: BTreeMap<String, KeyCase>| keys = cases);
    for case in keys.values() {
        case.check();
    }
    let world = World::of(&keys, &tally);
    tally.whole("/profiles", |cases: BTreeMap<String, Value>| {
        world.check_profiles(&cases);
    });
    tally.whole("/connections", |cases: BTreeMap<String, Value>| {
        world.check_connections(&cases);
    });
    tally.whole("/CatalogedDevice", |case: Value| world.check_entry(&case));
    tally.whole("/CatalogedContact", |case: Value| check_contact(&case));
    tally.whole("/signed_RequestContact", |case: SignedCase| {
        world.check_signed(&case);
    });
    tally.whole(
        "/signed_RequestContact_account_signed_by_mesh",
        |case: SignedCase| world.check_signed_by_mesh(&case),
    );
    tally.whole("/RespondConnection", |case: Value| {
        world.check_respond(&case)
    });
    tally.whole("/service_MessageComplete", |case: Value| {
        world.check_complete(&case);
    });
    let mut creation = None;
    tally.whole("/sessions", |cases: sessions::Sessions| {
        creation = Some(cases.check(&world));
    });
    let creation = creation.unwrap();
    tally.whole("/create_proof", |case: sessions::ProofCase| {
        case.check(&world, &creation);
    });
    assert_eq!(tally.finish(), 189);
}

// ---- Keys ----

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyCase {
    public: Binary,
    udf: String,
    #[serde(default)]
    seed: Option<String>,
    scalar_hex_be: String,
}

impl KeyCase {
    fn public(&self) -> PublicKey {
        PublicKey::ed448(self.public.as_slice()).unwrap()
    }

    fn secret(&self) -> SecretKey {
        SecretKey::from_seed(&hex(self.seed.as_ref().unwrap())).unwrap()
    }

    fn check(&self) {
        assert_eq!(self.public().udf().as_str(), self.udf);
        let mut wide = [0; 2 * POINT_BYTES];
        for (octet, from) in wide.iter_mut().zip(hex(&self.scalar_hex_be).iter().rev()) {
            *octet = *from;
        }
        let scalar = Crrl::reduce(&wide);
        let public = Crrl::encode(&eddsa::public::<Crrl>(&scalar));
        assert_eq!(public, self.public.as_slice());
        if let Some(seed) = &self.seed {
            assert_eq!(*eddsa::expand::<Crrl>(&hex(seed)).scalar, scalar);
            assert_eq!(self.secret().public(), &self.public());
        }
    }
}

/// Everybody in the file.
struct World {
    service: ServiceKeys,
    host: HostProfileKeys,
    mesh: MeshKeys,
    account: AccountKeys,
    device: DeviceKeys,
    /// The device's keys under the mesh and under the account, public.
    composites: BTreeMap<String, PublicKey>,
    signed_mesh: Signed<ProfileMesh>,
    signed_account: Signed<ProfileAccount>,
    profiles: BTreeMap<String, Envelope>,
    entry: CatalogedDevice,
}

impl World {
    fn of(keys: &BTreeMap<String, KeyCase>, tally: &Tally) -> Self {
        let secret = |name: &str| keys[name].secret();
        let profiles: BTreeMap<String, Envelope> = tally
            .value("/profiles")
            .as_object()
            .unwrap()
            .iter()
            .map(|(name, value)| (name.clone(), envelope_of(value)))
            .collect();
        let signed_mesh = ProfileMesh::verify(&profiles["ProfileMesh"]).unwrap();
        let signed_account = ProfileAccount::verify(&profiles["ProfileAccount"], None).unwrap();
        let entry = tally.value("/CatalogedDevice").to_string();
        Self {
            service: ServiceKeys {
                offline: secret("service_offline"),
                online: secret("service_online"),
                authentication: secret("service_authentication"),
            },
            host: HostProfileKeys {
                offline: secret("host_offline"),
                authentication: secret("host_authentication"),
            },
            mesh: MeshKeys {
                offline: secret("mesh_offline"),
                online: secret("mesh_online"),
                encryption: secret("mesh_encryption"),
            },
            account: AccountKeys {
                offline: secret("account_offline"),
                online: secret("account_online"),
                encryption: secret("account_encryption"),
            },
            device: DeviceKeys {
                signature: secret("device_signature"),
                encryption: secret("device_encryption"),
                authentication: secret("device_authentication"),
            },
            composites: keys
                .iter()
                .filter(|(name, _)| name.starts_with("connection_"))
                .map(|(name, case)| (name.clone(), case.public()))
                .collect(),
            signed_mesh,
            signed_account,
            profiles,
            entry: CatalogedDevice::from_json(entry.as_bytes()).unwrap(),
        }
    }

    fn authorities(&self) -> (Authority, Authority) {
        (
            Authority::from(&self.signed_mesh),
            Authority::from(&self.signed_account),
        )
    }

    fn address() -> AccountAddress {
        AccountAddress::parse(ALICE).unwrap()
    }

    fn check_profiles(&self, cases: &BTreeMap<String, Value>) {
        let service = ProfileService::verify(&self.profiles["ProfileService"]).unwrap();
        assert!(ProfileHost::verify(&self.profiles["ProfileHost"], &service).is_ok());
        assert!(ProfileDevice::verify(&self.profiles["ProfileDevice"]).is_ok());
        let (mesh, _) = self.authorities();
        let account = &self.profiles["ProfileAccount"];
        assert!(ProfileAccount::verify(account, Some(&mesh)).is_ok());
        let by_mesh = &self.profiles["ProfileAccount_signed_by_mesh_only"];
        assert!(ProfileAccount::verify(by_mesh, Some(&mesh)).is_ok());
        assert!(matches!(
            ProfileAccount::verify(by_mesh, None),
            Err(AssertionError::Unsigned { .. })
        ));
        let made = [
            ("ProfileService", self.service.profile(NOW)),
            ("ProfileHost", self.host.profile(&self.service.offline)),
            ("ProfileMesh", self.mesh.profile(NOW)),
            (
                "ProfileDevice",
                self.device.profile(Some("vector device".into())),
            ),
            (
                "ProfileAccount",
                self.resigned::<ProfileAccount>(
                    account,
                    &[&self.account.offline, &self.mesh.online],
                ),
            ),
            (
                "ProfileAccount_signed_by_mesh_only",
                self.resigned::<ProfileAccount>(by_mesh, &[&self.mesh.online]),
            ),
        ];
        assert_eq!(made.len(), cases.len());
        for (name, envelope) in made {
            assert_eq!(written(&envelope), text_of(&cases[name]), "{name}");
        }
    }

    /// `envelope` read as an assertion, written and signed anew.
    fn resigned<T: Assertion>(&self, envelope: &Envelope, signers: &[&SecretKey]) -> Envelope {
        let assertion = T::from_envelope(envelope).unwrap();
        Envelope::signed(assertion.to_json(), Header::default(), signers)
    }

    fn check_connections(&self, cases: &BTreeMap<String, Value>) {
        let (mesh, account) = self.authorities();
        let device = envelope_of(&cases["ConnectionDevice"]);
        let connection = ConnectionDevice::verify(&device, &mesh).unwrap();
        assert_eq!(
            connection.keys(),
            [self.composites["connection_device_signature"].clone()]
        );
        assert!(matches!(
            ConnectionDevice::verify(&device, &account),
            Err(AssertionError::Mismatch { .. })
        ));
        assert_eq!(
            written(&self.resigned::<ConnectionDevice>(&device, &[&self.mesh.online])),
            text_of(&cases["ConnectionDevice"])
        );
        let to_account = envelope_of(&cases["ConnectionAccount"]);
        let alice = Self::address();
        assert!(ConnectionAccount::verify(&to_account, &account, Some(&alice)).is_ok());
        let other = AccountAddress::parse("bob@example.com").unwrap();
        assert!(matches!(
            ConnectionAccount::verify(&to_account, &account, Some(&other)),
            Err(AssertionError::Mismatch {
                member: "ServiceID",
                ..
            })
        ));
        assert_eq!(
            written(&self.resigned::<ConnectionAccount>(&to_account, &[&self.account.online])),
            text_of(&cases["ConnectionAccount"])
        );
        assert_eq!(cases.len(), 2);
    }

    fn check_entry(&self, case: &Value) {
        // The activation's header has its members in another order than ours, which is of no
        // consequence: no digest covers it.
        let again: Value = json::parse(&self.entry.to_json()).unwrap();
        assert!(&again == case);
        let (mesh, account) = self.authorities();
        let device_udf = self.device.signature.udf();
        let alice = Self::address();
        let facts = self
            .entry
            .verify(device_udf.as_str(), &mesh, &account, &alice)
            .unwrap();
        assert_eq!(facts.device_udf, device_udf);
        assert_eq!(facts.device_key, Some(self.device.authentication.udf()));
        assert_eq!(
            facts.profile_keys,
            [
                self.composites["connection_device_authentication"].udf(),
                self.composites["connection_account_authentication"].udf(),
            ]
        );
        assert_eq!(facts.connection_digests.len(), 2);
        assert!(facts.lists_permissions && facts.is_administrator);
        assert!(self.entry.verify("other", &mesh, &account, &alice).is_err());
        assert!(
            self.entry
                .verify(device_udf.as_str(), &account, &account, &alice)
                .is_err()
        );
        self.check_activations(&mesh);
    }

    /// crypto §7
    fn check_activations(&self, mesh: &Authority) {
        let (_, in_mesh) = activate_device(&self.device, &self.entry, mesh).unwrap();
        let (_, _, in_account) =
            activate_account(&self.device, &self.entry.accounts[0], mesh).unwrap();
        for (name, key) in [
            ("connection_device_signature", &in_mesh.signature),
            ("connection_device_authentication", &in_mesh.authentication),
            ("connection_account_signature", &in_account.signature),
            ("connection_account_encryption", &in_account.encryption),
            (
                "connection_account_authentication",
                &in_account.authentication,
            ),
        ] {
            assert_eq!(key.public(), &self.composites[name], "{name}");
        }
        let stranger = DeviceKeys {
            encryption: self.mesh.encryption.clone(),
            ..self.device.clone()
        };
        assert!(matches!(
            activate_device(&stranger, &self.entry, mesh),
            Err(AssertionError::Undecryptable { .. })
        ));
    }

    ///
    fn check_signed(&self, case: &SignedCase) {
        let accreditation = Accreditation::verify(&case.envelope).unwrap();
        assert_eq!(accreditation.profile.udf(), self.signed_account.udf());
        assert!(accreditation.mesh.is_none());
        let identified = identify(&case.envelope).unwrap();
        assert_eq!(identified.unique_id, case.message_id);
        assert_eq!(identified.message.unwrap().sender(), Some(ALICE));
        let post = case.post.as_ref().unwrap();
        let request: Request = serde_json::from_value(post.clone()).unwrap();
        assert_eq!(written(&request), text_of(post));
        let Request::Post(request) = request else {
            panic!("not a Post");
        };
        assert_eq!(request.messages, std::slice::from_ref(&case.envelope));
        let mut changed = case.envelope.clone();
        changed.payload.0.push(b' ');
        assert!(Accreditation::verify(&changed).is_err());
    }

    /// Decision Q-13
    fn check_signed_by_mesh(&self, case: &SignedCase) {
        assert!(case.post.is_none());
        let accreditation = Accreditation::verify(&case.envelope).unwrap();
        assert_eq!(accreditation.mesh.unwrap().udf(), self.signed_mesh.udf());
        assert_eq!(identify(&case.envelope).unwrap().unique_id, case.message_id);
        let mut without_mesh = case.envelope.clone();
        let block = &mut without_mesh.trailer.as_mut().unwrap().signatures[0];
        block.enveloped_profile_mesh = None;
        assert!(matches!(
            Accreditation::verify(&without_mesh),
            Err(AssertionError::Unsigned { .. })
        ));
    }

    /// Decision Q-19
    fn check_respond(&self, case: &Value) {
        let envelope = envelope_of(case);
        let keys = self.signed_account.keys();
        assert!(verify::signed_by("RespondConnection", &envelope, keys).is_ok());
        assert!(
            verify::signed_by("RespondConnection", &envelope, self.signed_mesh.keys()).is_err()
        );
        let identified = identify(&envelope).unwrap();
        let message = identified.message.unwrap();
        let header = message.header(&identified.unique_id);
        let payload = envelope.payload.0;
        let made = Envelope::signed(payload, header, &[&self.account.online]);
        assert!(written(&made) == text_of(case));
        let Message::RespondConnection(respond) = message else {
            panic!("not a RespondConnection");
        };
        assert_eq!(respond.cataloged_device.as_ref(), Some(&self.entry));
    }

    /// Decisions
    fn check_complete(&self, case: &Value) {
        let envelope = envelope_of(case);
        let service = ProfileService::verify(&self.profiles["ProfileService"]).unwrap();
        assert!(verify::signed_by("MessageComplete", &envelope, service.keys()).is_ok());
        let identified = identify(&envelope).unwrap();
        let message = identified.message.unwrap();
        assert_eq!(message.recipient(), Some("bob@example.net"));
        assert_eq!(
            message.references()[0].relationship,
            Some(Relationship::Received)
        );
        let made = message.to_envelope(&identified.unique_id, &[&self.service.online]);
        assert_eq!(written(&made), text_of(case));
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SignedCase {
    envelope: Envelope,
    #[serde(rename = "MessageID")]
    message_id: String,
    #[serde(default)]
    post: Option<Value>,
}

fn check_contact(case: &Value) {
    let text = text_of(case);
    let entry = CatalogEntry::from_json(text.as_bytes()).unwrap();
    assert_eq!(String::from_utf8(entry.to_json()).unwrap(), text);
    let CatalogEntry::CatalogedContact(entry) = entry else {
        panic!("not a contact");
    };
    let says: Vec<_> = entry
        .permissions
        .iter()
        .map(|permission| (permission.name.as_deref(), permission.role.as_deref()))
        .collect();
    assert_eq!(
        says,
        [
            (Some("Confirm"), Some("Accept")),
            (Some("Task"), Some("Reject"))
        ]
    );
    let contact = entry.contact().unwrap().unwrap();
    assert_eq!(contact.full_name.as_deref(), Some("Bob"));
    // Decision Q-34: the profiles inside are untagged.
    let profile: ProfileAccount =
        serde_json::from_value(contact.assertion_accounts[0].clone()).unwrap();
    assert_eq!(profile.service_ids, ["bob@example.net"]);
    assert_eq!(
        contact.addresses[0].uri.as_deref(),
        Some("mmm:bob@example.net")
    );
}
