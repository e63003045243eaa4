//! Making, checking and using assertions.

use super::*;
use crate::assertion::make::{DeviceKeys, MeshKeys};
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
