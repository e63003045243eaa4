//! One device that uploads as fast as it is answered, and remembers what it was told.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use mesh_common::dare::Envelope;
use mesh_common::entropy::{SeededEntropy, draw};
use mesh_common::protocol::{Code, EntryResult, Response};
use mesh_common::session::client::Attempt;
use mesh_tests::device::{Answered as _, Device, first_frame, upload};
use mesh_tests::ledger::Ledger;
use tokio::sync::watch;

/// The catalog everybody writes to.
pub(crate) const CATALOG: &str = "mmm_Bookmark";
/// Objects one device changes over and over.
const OBJECTS: u64 = 8;
/// Octets of most entries, and of one in thirty-two, which needs several rows in the store.
const SMALL_BYTES: usize = 600;
const LARGE_BYTES: usize = 70_000;

/// Counts what happens: requests sent and answers received.
#[derive(Debug, Clone)]
pub(crate) struct Moments(Arc<watch::Sender<u64>>);

impl Moments {
    pub(crate) fn new(sender: watch::Sender<u64>) -> Self {
        Self(Arc::new(sender))
    }

    fn pass(&self) {
        self.0.send_modify(|passed| *passed += 1);
    }
}

/// A request on its way.
struct UnderWay {
    attempt: Attempt<'static>,
    frames: Vec<Envelope>,
}

/// A device that uploads.
pub(crate) struct Writer {
    device: Device,
    chance: SeededEntropy,
    ledger: Ledger,
    /// Which of its objects exist: the service accepts "New" once.
    objects: Vec<u64>,
    unanswered: Option<UnderWay>,
}

/// Makes the catalog.
pub(crate) async fn begin_catalog(device: &mut Device) {
    let response = device.upload(CATALOG, Some(0), vec![first_frame()]).await;
    assert_eq!(response.code(), Some(Code::Ok), "{response:?}");
}

impl Writer {
    pub(crate) fn new(device: Device, seed: u64) -> Self {
        Self {
            device,
            chance: SeededEntropy::new(seed),
            ledger: Ledger::default(),
            objects: Vec::new(),
            unanswered: None,
        }
    }

    pub(crate) fn device(&mut self) -> &mut Device {
        &mut self.device
    }

    pub(crate) fn address(&self) -> &str {
        &self.device.address
    }

    pub(crate) fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Uploads until the service is gone. The upload it was gone in stays unanswered.
    pub(crate) async fn upload_until_gone(
        mut self,
        moments: Moments,
        stop: Arc<AtomicBool>,
    ) -> Self {
        while !stop.load(Ordering::SeqCst) {
            let mut under_way = self.next();
            moments.pass();
            match self.device.carry(&mut under_way.attempt).await {
                Ok(response) => {
                    moments.pass();
                    self.acknowledged(&under_way.frames, &response);
                }
                Err(_gone) => {
                    self.unanswered = Some(under_way);
                    break;
                }
            }
        }
        self
    }

    /// Sends the request that was not answered once more, and then again, under its id: both
    /// answers name the same frames. True if there was one.
    pub(crate) async fn settle_what_was_not_answered(&mut self) -> bool {
        let Some(mut under_way) = self.unanswered.take() else {
            return false;
        };
        let mut rows = Vec::new();
        for _ in 0..2 {
            let response = self
                .device
                .carry(&mut under_way.attempt)
                .await
                .expect("the service runs again");
            rows.push(self.acknowledged(&under_way.frames, &response));
        }
        assert_eq!(rows[0], rows[1], "a repeated request has one effect");
        true
    }

    /// Notes what an answer says of `frames`, and gives their indices. The uploads name no index, so
    /// nothing but an error of the service can refuse them.
    fn acknowledged(&mut self, frames: &[Envelope], response: &Response) -> Vec<u64> {
        assert_eq!(response.code(), Some(Code::Ok), "{response:?}");
        let Response::Upload(upload) = response else {
            panic!("an Upload was answered with {response:?}");
        };
        assert_eq!(upload.entries.len(), frames.len());
        let mut indices = Vec::new();
        for (row, frame) in upload.entries.iter().zip(frames) {
            assert_eq!(row.result, Some(EntryResult::Accept));
            let index = row.index_container.expect("an accepted row has an index");
            self.ledger.acknowledge(index, frame);
            indices.push(index);
        }
        indices
    }

    /// One to four new versions of its objects, for wherever the container ends by then.
    fn next(&mut self) -> UnderWay {
        let [number, ..] = draw::<4>(&mut self.chance);
        let frames: Vec<Envelope> = (0..=number % 4).map(|_| self.next_frame()).collect();
        frames.iter().for_each(|frame| self.ledger.send(frame));
        let request = upload(CATALOG, None, frames.clone());
        UnderWay {
            attempt: self.device.begin(&request),
            frames,
        }
    }

    fn next_frame(&mut self) -> Envelope {
        let [object, size, fill, _] = draw::<4>(&mut self.chance);
        let object = u64::from(object) % OBJECTS;
        let kind = if self.objects.contains(&object) {
            "Update"
        } else {
            self.objects.push(object);
            "New"
        };
        let bytes = if size % 32 == 0 {
            LARGE_BYTES
        } else {
            SMALL_BYTES
        };
        let unique_id = format!("{}/{object}", self.device.session().client().key_udf());
        self.device.entry(kind, &unique_id, &vec![fill; bytes])
    }
}
