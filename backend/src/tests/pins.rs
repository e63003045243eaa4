//! Which service each domain had, at the word of front-ends (service §4.3, decision Q-52).

use mesh_common::cluster::NodeService as _;
use mesh_common::discovery::Pinned;

use super::*;

const PEER: &str = "peer.example";

fn key(seed: u64) -> mesh_common::crypto::PublicKey {
    let secret = SecretKey::generate(&mut SeededEntropy::new(seed));
    secret.public().clone()
}

/// A service, its key, and the day of its profile.
fn seen(service: u64, host_key: u64, day: u64) -> Pinned {
    let day = Duration::from_secs(day * 24 * 3_600);
    Pinned {
        service_udf: key(service).udf(),
        updated: Timestamp::from_secs(1_800_000_000) + day,
        host_key: key(host_key),
        replaced: None,
        since: Timestamp::from_secs(1_800_000_000) + day,
    }
}

impl Scene<MemoryStore> {
    async fn tell(&self, domain: &str, seen: Option<&Pinned>) -> Result<Option<Pinned>, Code> {
        let deadline = self.now() + Duration::from_secs(5);
        let told = self.backend.pinned(domain, seen, deadline).await;
        told.map_err(|error| error.code)
    }
}

//
#[actix::test]
async fn a_front_end_tells_what_it_saw_first_and_nobody_elses_service_after_that() {
    let scene = Scene::new().await;
    assert_eq!(scene.tell(PEER, None).await, Ok(None));
    let first = seen(1, 2, 1);
    let told = scene.tell(PEER, Some(&first)).await;
    assert_eq!(told, Ok(Some(first.clone())));
    assert_eq!(scene.tell(PEER, None).await, Ok(Some(first.clone())));
    let another = scene.tell(PEER, Some(&seen(3, 4, 2))).await;
    assert_eq!(another, Err(Code::Overload), "not to be believed");
    assert_eq!(scene.tell(PEER, None).await, Ok(Some(first.clone())));
    let kept = scene.backend.pins().pinned(PEER).await.unwrap();
    assert_eq!(kept, Some(first), "outbound processes see the same");
}

#[actix::test]
async fn a_newer_profile_of_the_same_service_replaces_an_older_one_and_not_the_other_way_round() {
    let scene = Scene::new().await;
    let first = seen(1, 2, 1);
    scene.tell(PEER, Some(&first)).await.unwrap();
    let newer = Pinned {
        since: first.since,
        ..seen(1, 5, 3)
    };
    let told = scene.tell(PEER, Some(&seen(1, 5, 3))).await;
    assert_eq!(
        told,
        Ok(Some(newer.clone())),
        "it was first seen when it was"
    );
    let told = scene.tell(PEER, Some(&seen(1, 2, 2))).await;
    assert_eq!(told, Ok(Some(newer)));
}

#[actix::test]
async fn what_is_no_name_is_not_remembered() {
    let scene = Scene::new().await;
    for name in ["", "two words", &"a".repeat(261)] {
        let told = scene.tell(name, Some(&seen(1, 2, 1))).await;
        assert_eq!(told, Err(Code::Malformed), "{name}");
    }
    let told = scene.tell("127.0.0.1:8443", Some(&seen(1, 2, 1))).await;
    assert!(told.is_ok(), "peers in the settings may be hosts");
}
