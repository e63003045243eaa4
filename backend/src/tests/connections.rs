//! Requests of devices to be connected: they outlive a restart, expire, and are forgotten in the end
//! (service §6.3, decision Q-36); and what hailing accounts publish.

use mesh_common::cluster::ConnectEvidence;
use mesh_common::dare::Header;
use mesh_common::limits::{CONNECTION_LIFE, CONNECTION_REMEMBERED};
use mesh_common::message::response_id_2020;
use mesh_common::protocol::CompleteRequest;

use super::*;
use crate::store::{KeyRange, Limit, Order, Read, Tx as _, TxOptions};

const MILLISECOND: Duration = Duration::from_millis(1);

impl Person {
    /// A device asks this account to be connected; acknowledged under `message_id`.
    fn asked(&self, now: Timestamp, device: &Udf, message_id: &Udf) -> AccountRequest {
        let meta = ContentMeta {
            unique_id: Some(message_id.to_string()),
            message_type: Some("AcknowledgeConnection".into()),
            ..ContentMeta::default()
        };
        let evidence = ConnectEvidence {
            profile_version: 1,
            device_udf: device.clone(),
            published_id: None,
            message_id: message_id.clone(),
            acknowledgement: Envelope {
                header: Header::default().with_content_meta(&meta),
                ..Envelope::plain(b"acknowledged".as_slice())
            },
        };
        let request = Request::Connect(Box::default());
        let mut asked = self.request(now, Via::Exchange, request);
        asked.evidence = Evidence::Connection(Box::new(evidence));
        asked.caller.profile_udf = Some(device.clone());
        asked
    }

    /// The device asks whether it was answered.
    fn completed(&self, now: Timestamp, device: &Udf, message_id: &Udf) -> AccountRequest {
        let request = Request::Complete(CompleteRequest {
            response_id: Some(response_id_2020(message_id.as_str()).to_string()),
            ..CompleteRequest::default()
        });
        let mut asked = self.request(now, Via::Exchange, request);
        asked.caller.profile_udf = Some(device.clone());
        asked
    }
}

/// How many rows of requests to connect there are, of all accounts.
async fn rows<S: Store>(store: &S) -> usize {
    let tx = store.begin(TxOptions::default());
    let all = KeyRange::prefix(&[0x20]);
    let page = tx
        .range(&all, Limit::default(), Order::Forward, Read::Snapshot)
        .await
        .unwrap();
    assert!(!page.more);
    page.rows.iter().filter(|row| row.key[17] == b'c').count()
}

//
#[actix::test]
async fn a_request_to_connect_outlives_a_restart_expires_and_is_forgotten() {
    let (mut scene, alice) = (Scene::new().await, Person::new("alice"));
    scene.create(&alice).await;
    let (device, id) = (Udf::present(b"phone", 140), Udf::present(b"message", 140));
    let asked = alice.asked(scene.now(), &device, &id);
    assert_eq!(scene.ask(asked).await.0, Code::Ok);
    scene.restart().await;
    let complete = async |scene: &Scene<_>| {
        let complete = alice.completed(scene.now(), &device, &id);
        scene.ask(complete).await.0
    };
    assert_eq!(complete(&scene).await, Code::Pending);
    scene.clock.advance(CONNECTION_LIFE);
    assert_eq!(complete(&scene).await, Code::Expired);
    scene.clock.advance(CONNECTION_REMEMBERED - MILLISECOND);
    scene.backend.tend().await;
    assert_eq!(complete(&scene).await, Code::Expired);
    assert_eq!(rows(&scene.store).await, 1);
    scene.clock.advance(MILLISECOND);
    assert_eq!(
        complete(&scene).await,
        Code::NotFound,
        "before it is cleared"
    );
    scene.backend.tend().await;
    assert_eq!(rows(&scene.store).await, 0);
    assert_eq!(complete(&scene).await, Code::NotFound);
}

//
#[actix::test]
async fn two_of_one_batch_count_both() {
    let mut config = BackendConfig::default();
    config.policy.connections.pending_per_device_max = 1;
    let scene = Scene::over(MemoryStore::new(), config).await;
    let alice = Person::new("alice");
    scene.create(&alice).await;
    let device = Udf::present(b"phone", 140);
    let asked = |name: &[u8]| {
        let id = Udf::present(name, 140);
        scene.ask(alice.asked(scene.now(), &device, &id))
    };
    let (one, two) = tokio::join!(asked(b"one message"), asked(b"another message"));
    assert_eq!((one.0, two.0), (Code::Ok, Code::RateLimited));
}
