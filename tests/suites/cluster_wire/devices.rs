//! Devices that upload and look, and know what has to be there.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use futures_util::future::join_all;
use mesh_backend::SystemClock;
use mesh_common::account::testing::{Device, Person, connection_key, event, first_frame};
use mesh_common::cluster::{AccountRequest, Answer, Backend as _, CallFailure, Evidence, Verified};
use mesh_common::limits::TRANSACTION_TIME_MAX;
use mesh_common::protocol::{Code, Request, Response, StatusRequest};
use mesh_common::session::Mode;
use mesh_common::time::Clock as _;
use mesh_frontend::router::Router;
use tokio::time::Instant;

use crate::cluster::PATIENCE;

/// The catalog they write to.
const CATALOG: &str = "mmm_Bookmark";

/// A device, and how much it has uploaded.
pub(crate) struct Writer {
    device: Device,
    router: Router,
    /// Frames that were acknowledged.
    pub(crate) frames: Cell<u64>,
}

/// Everything that befell some devices.
#[derive(Debug, Default)]
pub(crate) struct Record {
    pub(crate) writes: usize,
    pub(crate) failures: Vec<String>,
    /// Of one write.
    pub(crate) most_failures: usize,
}

impl Writer {
    /// A new account with a catalog.
    pub(crate) async fn settle(router: &Router, name: &str) -> Self {
        let mut device = Device::of(&format!("{name}@example.com"), name);
        let create = device.create(&Person::named(name));
        insist(router, &create).await;
        device.caller.mode = Mode::Device;
        device.caller.key_udf = connection_key(name);
        let upload = device.upload(CATALOG, vec![first_frame()]);
        insist(router, &upload).await;
        Self {
            device,
            router: router.clone(),
            frames: Cell::new(1),
        }
    }

    pub(crate) fn account(&self) -> &mesh_common::address::AccountAddress {
        &self.device.address
    }

    /// Uploads one more frame, repeating the request under its RequestID until it is done. Returns what
    /// was said before.
    pub(crate) async fn upload(&self) -> Vec<String> {
        let next = self.frames.get();
        let frame = event(next, "New", &format!("id{next}"), "a bookmark");
        let mut device = self.device.clone();
        let request = device.upload(CATALOG, vec![frame]);
        let failures = insist(&self.router, &request).await;
        self.frames.set(next + 1);
        failures
    }

    /// Uploads one more frame by one request that is sent so many times at once.
    pub(crate) async fn upload_at_once(&self, times: usize) {
        let next = self.frames.get();
        let frame = event(next, "New", &format!("id{next}"), "a bookmark");
        let request = self.device.clone().upload(CATALOG, vec![frame]);
        let tries = (0..times).map(|_| insist(&self.router, &request));
        join_all(tries).await;
        self.frames.set(next + 1);
    }

    /// Frames that are there, as a Status says.
    pub(crate) async fn stored(&self) -> Result<u64, String> {
        let mut device = self.device.clone();
        let status = Request::Status(StatusRequest::default());
        let answer = perform(&self.router, device.ask(status, Evidence::Nothing)).await?;
        let Response::Status(status) = answer.response else {
            return Err(format!("{:?}", answer.response));
        };
        let rows = status.container_status.iter();
        let row = rows
            .filter(|row| row.container.as_deref() == Some(CATALOG))
            .find_map(|row| row.index);
        row.ok_or_else(|| "there is no catalog".into())
    }
}

/// Sends `request` until it is done, under the same RequestID. Returns what was said before.
async fn insist(router: &Router, request: &AccountRequest) -> Vec<String> {
    let (began, mut failures) = (Instant::now(), Vec::new());
    while let Err(failure) = perform(router, request.clone()).await {
        failures.push(failure);
        assert!(began.elapsed() < PATIENCE, "{failures:?}");
    }
    failures
}

/// Sends `request` now; a refusal of any kind is an error.
async fn perform(router: &Router, mut request: AccountRequest) -> Result<Answer, String> {
    request.received_at = SystemClock.now();
    request.deadline = request.received_at + TRANSACTION_TIME_MAX;
    let answer = router.perform(Verified::declare(request)).await;
    let answer = answer.map_err(|failure: CallFailure| format!("{failure:?}"))?;
    match answer.response.outcome().code() {
        Some(Code::Ok) => Ok(answer),
        code => Err(format!("{code:?}: {:?}", answer.response.outcome())),
    }
}

/// `count` writers.
pub(crate) async fn settle(router: &Router, count: usize) -> Vec<Rc<Writer>> {
    let names: Vec<String> = (0..count).map(|number| format!("person{number}")).collect();
    let settling = names.iter().map(|name| Writer::settle(router, name));
    join_all(settling).await.into_iter().map(Rc::new).collect()
}

/// All `writers` upload one frame after the other, until `end` is over and each has uploaded `least`
/// more.
pub(crate) async fn upload_during(
    writers: &[Rc<Writer>],
    least: u64,
    end: impl Future<Output = ()>,
) -> Record {
    let is_over = Cell::new(false);
    let record = RefCell::new(Record::default());
    let uploading = writers.iter().map(|writer| async {
        let mut left = least;
        while left > 0 {
            let failures = writer.upload().await;
            if is_over.get() {
                left -= 1;
            }
            let mut record = record.borrow_mut();
            record.writes += 1;
            record.most_failures = record.most_failures.max(failures.len());
            record.failures.extend(failures);
        }
    });
    let ending = async {
        end.await;
        is_over.set(true);
    };
    tokio::join!(join_all(uploading), ending);
    record.into_inner()
}

/// Everything that was acknowledged is there, once, and nothing else is.
pub(crate) async fn check(writers: &[Rc<Writer>]) {
    for writer in writers {
        let stored = writer.stored().await.unwrap();
        assert_eq!(stored, writer.frames.get(), "{}", writer.account());
    }
}
