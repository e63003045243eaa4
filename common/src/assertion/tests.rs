//! Making, checking and using assertions.

use super::*;
use crate::assertion::make::{DeviceKeys, HostProfileKeys, MeshKeys, ServiceKeys};
use crate::entropy::SeededEntropy;
use crate::time::Timestamp;

#[test]
fn unknown_members_are_kept_and_a_second_tag_is_refused() {
    let text = br#"{"ProfileMesh":{"Names":["n"],"Later":{"a":[1]}}}"#;
    let profile = ProfileMesh::from_json(text).unwrap();
    assert_eq!(profile.to_json(), text);
    for text in [
        r#"{"ProfileMesh":{},"ProfileDevice":{}}"#,
        r#"{"ProfileDevice":{}}"#,
        "{}",
        "[]",
    ] {
        assert!(ProfileMesh::from_json(text.as_bytes()).is_err(), "{text}");
    }
}

#[test]
fn a_changed_profile_does_not_verify() {
    let mut entropy = SeededEntropy::new(3);
    let envelope = MeshKeys::generate(&mut entropy).profile(Timestamp::from_secs(0));
    assert!(ProfileMesh::verify(&envelope).is_ok());
    let device = DeviceKeys::generate(&mut entropy).profile(None);
    assert!(matches!(
        ProfileMesh::verify(&device),
        Err(AssertionError::Unreadable { .. })
    ));
    let mut changed = envelope;
    let position = changed.payload.0.len() - 1;
    changed.payload.0.insert(position, b' ');
    assert!(matches!(
        ProfileMesh::verify(&changed),
        Err(AssertionError::Digest { .. })
    ));
    changed.trailer.as_mut().unwrap().payload_digest = None;
    assert!(matches!(
        ProfileMesh::verify(&changed),
        Err(AssertionError::Signature { .. })
    ));
    changed.trailer = None;
    assert!(matches!(
        ProfileMesh::verify(&changed),
        Err(AssertionError::Unsigned { .. })
    ));
    assert!(ProfileMesh::verify_or_unsigned(&changed).is_ok());
}

// Decision Q-32
#[test]
fn unknown_signatures_are_ignored_and_known_ones_must_verify() {
    let mut entropy = SeededEntropy::new(4);
    let mesh = MeshKeys::generate(&mut entropy);
    let stranger = DeviceKeys::generate(&mut entropy);
    let profile = mesh.profile(Timestamp::from_secs(0));
    let mut also_by_stranger = profile.clone();
    also_by_stranger.add_signature(&stranger.signature);
    assert!(ProfileMesh::verify(&also_by_stranger).is_ok());
    let mut damaged_stranger = also_by_stranger.clone();
    let signatures = &mut damaged_stranger.trailer.as_mut().unwrap().signatures;
    signatures[1].signature = Some(vec![0; 114].into());
    assert!(ProfileMesh::verify(&damaged_stranger).is_ok());
    // The online key is known from the profile itself: its signature counts too.
    let mut by_both = profile.clone();
    by_both.add_signature(&mesh.online);
    assert!(ProfileMesh::verify(&by_both).is_ok());
    let signatures = &mut by_both.trailer.as_mut().unwrap().signatures;
    signatures[1].signature = Some(vec![0; 114].into());
    assert!(matches!(
        ProfileMesh::verify(&by_both),
        Err(AssertionError::Signature { .. })
    ));
    // By the online key alone is not enough.
    let mut by_online = profile.clone();
    by_online.trailer = None;
    by_online.add_signature(&mesh.online);
    assert!(matches!(
        ProfileMesh::verify(&by_online),
        Err(AssertionError::Unsigned { .. })
    ));
    let mut many = profile;
    for _ in 0..crate::limits::SIGNATURES_PER_ENVELOPE_MAX {
        let signatures = &mut many.trailer.as_mut().unwrap().signatures;
        signatures.push(signatures[0].clone());
    }
    assert!(matches!(
        ProfileMesh::verify(&many),
        Err(AssertionError::TooMany { .. })
    ));
}

// Crypto §2.4: what a UDF member says is compared, never believed.
#[test]
fn a_key_under_a_false_name_is_refused() {
    let mut entropy = SeededEntropy::new(5);
    let mesh = MeshKeys::generate(&mut entropy);
    let envelope = mesh.profile(Timestamp::from_secs(0));
    let mut profile = ProfileMesh::from_envelope(&envelope).unwrap();
    let other = profile.keys_online_signature[0].udf.clone();
    profile.key_encryption.as_mut().unwrap().udf = other;
    let signed = Envelope::signed(
        profile.to_json(),
        crate::dare::Header::default(),
        &[&mesh.offline],
    );
    assert!(matches!(
        ProfileMesh::verify(&signed),
        Err(AssertionError::Key {
            member: "KeyEncryption",
            ..
        })
    ));
    // As many as may be, all uses together: the offline key is one of them.
    profile.key_encryption = None;
    let online = profile.keys_online_signature[0].clone();
    let others = profile.other_keys().len() + 1;
    for (keys, is_refused) in [
        (crate::limits::KEYS_PER_PROFILE_MAX, false),
        (crate::limits::KEYS_PER_PROFILE_MAX + 1, true),
    ] {
        profile.keys_online_signature = vec![online.clone(); keys - others];
        let signed = Envelope::signed(
            profile.to_json(),
            crate::dare::Header::default(),
            &[&mesh.offline],
        );
        let refused = matches!(
            ProfileMesh::verify(&signed),
            Err(AssertionError::TooMany { .. })
        );
        assert_eq!(refused, is_refused, "{keys} keys");
    }
}

// X-70
#[test]
fn a_host_needs_its_own_signature_and_its_services() {
    let mut entropy = SeededEntropy::new(6);
    let service = ServiceKeys::generate(&mut entropy);
    let other = ServiceKeys::generate(&mut entropy);
    let host = HostProfileKeys::generate(&mut entropy);
    let signed = ProfileService::verify(&service.profile(Timestamp::from_secs(0))).unwrap();
    let profile = host.profile(&service.offline);
    assert!(ProfileHost::verify(&profile, &signed).is_ok());
    for kept in 0..2 {
        let mut half = profile.clone();
        let signatures = &mut half.trailer.as_mut().unwrap().signatures;
        *signatures = vec![signatures[kept].clone()];
        assert!(matches!(
            ProfileHost::verify(&half, &signed),
            Err(AssertionError::Unsigned { .. })
        ));
    }
    for foreign in [host.profile(&other.offline), host.profile(&service.online)] {
        assert!(ProfileHost::verify(&foreign, &signed).is_err());
    }
}

/// A mesh, an account of it, and a device.
struct Household {
    mesh_keys: MeshKeys,
    account_keys: make::AccountKeys,
    mesh: Signed<ProfileMesh>,
    account: Signed<ProfileAccount>,
    profile_account: Envelope,
    device_keys: DeviceKeys,
    device: Signed<ProfileDevice>,
    entropy: SeededEntropy,
}

impl Household {
    fn new() -> Self {
        let mut entropy = SeededEntropy::new(7);
        let start = Timestamp::from_secs(0);
        let mesh_keys = MeshKeys::generate(&mut entropy);
        let account_keys = make::AccountKeys::generate(&mut entropy);
        let device_keys = DeviceKeys::generate(&mut entropy);
        let mesh = ProfileMesh::verify(&mesh_keys.profile(start)).unwrap();
        let addresses = ["alice@example.com".to_owned()];
        let profile_account =
            account_keys.profile(mesh.udf(), &addresses, start, &mesh_keys.online);
        Self {
            account: ProfileAccount::verify(&profile_account, None).unwrap(),
            device: ProfileDevice::verify(&device_keys.profile(None)).unwrap(),
            profile_account,
            mesh_keys,
            account_keys,
            mesh,
            device_keys,
            entropy,
        }
    }

    /// The entry of the device in the account, and what activating it gives.
    fn activate(&mut self, grants: make::Grants<'_>) -> Result<ActivatedKeys, AssertionError> {
        let place = make::connect_to_account_granting(
            &self.device,
            &self.account,
            &self.account_keys.online,
            &[],
            grants,
            &mut self.entropy,
        )?;
        let entry = make::account_entry(self.account.udf(), &self.profile_account, place);
        let mesh = Authority::from(&self.mesh);
        activate_account(&self.device_keys, &entry, &mesh).map(|(_, _, keys)| keys)
    }
}

// Schema draft §7.2.22, crypto §7
#[test]
fn a_device_gets_the_keys_that_it_is_granted_and_no_others() {
    let mut household = Household::new();
    let nothing = household.activate(make::Grants::default()).unwrap();
    assert!(nothing.administration.is_none() && nothing.decryption.is_none());
    let account = household.account_keys.clone();
    let all = make::Grants {
        administration: Some(&account.online),
        decryption: Some(&account.encryption),
    };
    let keys = household.activate(all).unwrap();
    assert_eq!(keys.administration.unwrap().udf(), account.online.udf());
    assert_eq!(keys.decryption.unwrap().udf(), account.encryption.udf());
    assert_ne!(keys.signature.udf(), nothing.signature.udf());
}

#[test]
fn a_granted_key_that_the_profile_does_not_name_gives_nothing() {
    let mut household = Household::new();
    let stranger = household.mesh_keys.online.clone();
    // An administrator's key that was withdrawn leaves the device what it is.
    let withdrawn = make::Grants {
        administration: Some(&stranger),
        decryption: None,
    };
    let keys = household.activate(withdrawn).unwrap();
    assert!(keys.administration.is_none());
    let foreign = make::Grants {
        administration: None,
        decryption: Some(&stranger),
    };
    let error = household.activate(foreign).unwrap_err();
    let AssertionError::Key { member, .. } = error else {
        panic!("{error:?}");
    };
    assert_eq!(member, "KeyGroup");
}
