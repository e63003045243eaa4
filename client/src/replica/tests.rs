//! Tests of the replica: what is appended is found again, torn tails are cut, damage is told.

use mesh_common::dare::ContentMeta;

use super::*;

fn contacts() -> ContainerName {
    ContainerName::parse(ContainerName::CONTACT).unwrap()
}

fn event(id: &str, event: &str, payload: &[u8]) -> Envelope {
    let meta = ContentMeta {
        unique_id: Some(id.to_owned()),
        event: Some(event.to_owned()),
        ..ContentMeta::default()
    };
    let mut envelope = Envelope::plain(payload);
    envelope.header = envelope.header.with_content_meta(&meta);
    envelope
}

/// A folder with a replica of four frames in it.
fn four_frames() -> (tempfile::TempDir, Replica) {
    let place = tempfile::tempdir().unwrap();
    let mut replica = Replica::new(place.path(), contacts());
    replica.append(vec![Replica::frame_zero()]).unwrap();
    replica
        .append(vec![event("a", "New", b"one"), event("b", "New", b"two")])
        .unwrap();
    replica
        .append(vec![event("a", "Update", b"three")])
        .unwrap();
    (place, replica)
}

#[test]
fn what_is_appended_is_found_again() {
    let (place, replica) = four_frames();
    let again = Replica::load(place.path(), contacts()).unwrap();
    assert_eq!(again.frames(), replica.frames());
    assert_eq!(again.apex(), replica.apex());
    assert_eq!(again.index(), replica.index());
    assert_eq!(again.count(), 4);
    assert_eq!(again.index().live("a").unwrap().last, 3);
    assert_eq!(again.apex_at(4), again.apex());
    assert_eq!(again.apex_at(0), None);
}

#[test]
fn frame_zero_of_a_mesh_container_has_the_published_digest() {
    // Containers §3.5.
    let (_place, replica) = four_frames();
    let tree = replica.frame(0).unwrap().tree_digest().unwrap();
    let text = mesh_common::encoding::base64url::encode(tree.as_slice());
    assert!(
        text.starts_with("FEHy24Y6") && text.ends_with("w1sdg"),
        "{text}"
    );
}

#[test]
fn a_torn_tail_is_cut_to_the_last_whole_frame() {
    let (place, replica) = four_frames();
    let path = place.path().join(contacts().file_name());
    let whole = fs::read(&path).unwrap();
    let third = usize::try_from(replica.starts[3]).unwrap();
    for length in third + 1..whole.len() {
        fs::write(&path, &whole[..length]).unwrap();
        let mut again = Replica::load(place.path(), contacts()).unwrap();
        assert_eq!(again.count(), 3, "{length}");
        assert_eq!(fs::metadata(&path).unwrap().len(), replica.starts[3]);
        again.append(vec![event("c", "New", b"new")]).unwrap();
        let once_more = Replica::load(place.path(), contacts()).unwrap();
        assert_eq!(once_more.count(), 4);
    }
}

#[test]
fn every_flipped_octet_of_a_payload_or_digest_is_told() {
    let (place, replica) = four_frames();
    let path = place.path().join(contacts().file_name());
    let whole = fs::read(&path).unwrap();
    let start = usize::try_from(replica.starts[1]).unwrap();
    let payload = whole[start..].windows(3).position(|part| part == b"one");
    let mut damaged = whole.clone();
    damaged[start + payload.unwrap()] ^= 1;
    fs::write(&path, &damaged).unwrap();
    assert!(matches!(
        Replica::load(place.path(), contacts()),
        Err(ReplicaError::Payload { index: 1, .. })
    ));
    let digest = whole[start..]
        .windows(10)
        .position(|part| part == b"TreeDigest")
        .unwrap();
    let mut damaged = whole;
    let letter = &mut damaged[start + digest + 14];
    *letter = if *letter == b'A' { b'B' } else { b'A' };
    fs::write(&path, &damaged).unwrap();
    assert!(matches!(
        Replica::load(place.path(), contacts()),
        Err(ReplicaError::Tree { index: 1, .. })
    ));
}

#[test]
fn damage_in_the_middle_is_not_cut_away() {
    let (place, replica) = four_frames();
    let path = place.path().join(contacts().file_name());
    let mut octets = fs::read(&path).unwrap();
    octets[usize::try_from(replica.starts[2]).unwrap()] = 0xff;
    fs::write(&path, &octets).unwrap();
    assert!(matches!(
        Replica::load(place.path(), contacts()),
        Err(ReplicaError::Damaged { .. })
    ));
    assert_eq!(fs::read(&path).unwrap(), octets);
}

#[test]
fn frames_that_do_not_fit_change_nothing() {
    let (place, mut replica) = four_frames();
    let apex = replica.apex();
    let mut foreign = replica.frame(1).unwrap().clone();
    assert!(matches!(
        replica.receive(vec![foreign.clone()]),
        Err(ReplicaError::Index {
            index: 4,
            found: 1,
            ..
        })
    ));
    foreign.header.container_info = None;
    assert!(matches!(
        replica.receive(vec![event("c", "New", b"fits"), foreign]),
        Err(ReplicaError::Tree { index: 5, .. })
    ));
    assert_eq!((replica.count(), replica.apex()), (4, apex));
    assert_eq!(Replica::load(place.path(), contacts()).unwrap().count(), 4);
}

#[test]
fn the_apex_behind_any_frame_can_be_foretold() {
    let (_place, replica) = four_frames();
    for count in 0..=4 {
        let rest = &replica.frames()[usize::try_from(count).unwrap()..];
        assert_eq!(replica.apex_behind(count, rest).unwrap(), replica.apex());
        assert_eq!(
            replica.apex_behind(count, &[]).unwrap(),
            replica.apex_at(count)
        );
        let (index, next) = replica.index_behind(count, rest);
        assert_eq!((&index, next), (replica.index(), 4));
    }
    let swapped = [replica.frame(3).unwrap().clone()];
    assert!(replica.apex_behind(2, &swapped).is_err());
}

#[test]
fn waiting_frames_are_put_behind_those_of_the_service() {
    let (place, mut replica) = four_frames();
    let (_other_place, mut other) = four_frames();
    other.replace_behind(2, vec![], vec![]).unwrap();
    other.append(vec![event("c", "New", b"elsewhere")]).unwrap();
    let received = other.frames()[2..].to_vec();
    replica
        .replace_behind(2, received, vec![event("a", "Update", b"three")])
        .unwrap();
    assert_eq!(replica.apex_at(3), other.apex());
    let again = Replica::load(place.path(), contacts()).unwrap();
    assert_eq!(again.apex(), replica.apex());
    assert_eq!(again.index().live("c").unwrap().last, 2);
    assert_eq!(again.index().live("a").unwrap().last, 3);
    assert!(again.index().live("b").is_none());
}
