//! Many accounts, made by the back-end itself in this process: the same rows that a service writes,
//! without a million signatures.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use mesh_backend::config::BackendConfig;
use mesh_backend::store::{EmbeddedOptions, EmbeddedStore};
use mesh_backend::{BackendHandle, ServiceKeys, ServiceSecrets, SystemClock, SystemEntropy};
use mesh_common::account::testing::{Device, Person, event, first_frame};
use mesh_common::address::AccountAddress;
use mesh_common::cluster::{AccountRequest, Backend as _, Verified};
use mesh_common::crypto::SecretKey;
use mesh_common::protocol::Code;
use mesh_common::time::Clock as _;
use mesh_tests::process::Process;

/// Requests under way at once.
const AT_ONCE: usize = 200;

/// Makes `count` accounts in `store`, each with a catalog of a few entries.
pub(crate) fn fill(store: &Path, count: usize) {
    in_a_system(|| async {
        let backend = open(store).await;
        let numbers: Vec<usize> = (0..count).collect();
        for some in numbers.chunks(AT_ONCE) {
            let made: Vec<_> = some
                .iter()
                .map(|&number| actix_rt::spawn(make(backend.clone(), number)))
                .collect();
            for one in made {
                one.await.expect("making an account does not panic");
            }
        }
        backend.stop().await;
    });
}

/// Stops `process` and counts the accounts in its store.
pub(crate) fn found(data: &Path, process: Process) -> usize {
    assert!(process.stop().success());
    let (sender, counted) = std::sync::mpsc::sync_channel(1);
    in_a_system(|| async move {
        let backend = open(&data.join("store")).await;
        let (mut count, mut last) = (0, None);
        loop {
            let page = backend
                .accounts("localhost", last.as_ref(), 1_000)
                .await
                .expect("the store can be read");
            count += page.len();
            match page.last() {
                Some(account) => last = AccountAddress::parse(&account.address).ok(),
                None => break,
            }
        }
        backend.stop().await;
        sender.send(count).expect("somebody waits for it");
    });
    counted.recv().expect("it was counted")
}

async fn open(store: &Path) -> BackendHandle<EmbeddedStore> {
    let store = EmbeddedStore::open(store, EmbeddedOptions::default()).expect("it opens");
    let config = BackendConfig::default();
    let keys = ServiceKeys::single(ServiceSecrets {
        online: Arc::new(SecretKey::generate(&mut SystemEntropy)),
        reading: Vec::new(),
    });
    BackendHandle::start(config, store, Arc::new(SystemClock), SystemEntropy, keys)
        .await
        .expect("the back-end starts")
}

/// Runs `work` on a thread with an actix system of its own.
fn in_a_system<F: Future<Output = ()>>(work: impl FnOnce() -> F + Send) {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| actix_rt::System::new().block_on(work()));
        thread.join().expect("it does not panic");
    });
}

async fn make(backend: BackendHandle<EmbeddedStore>, number: usize) {
    let name = format!("person{number}");
    let mut device = Device::of(&format!("{name}@localhost"), &name);
    let create = device.create(&Person::named(&name));
    perform(&backend, create).await;
    let mut frames = vec![first_frame()];
    frames.extend((1..4).map(|index| event(index, "New", &format!("id{index}"), &"x".repeat(300))));
    let mut upload = device.upload("mmm_Bookmark", frames);
    upload.caller.mode = mesh_common::session::Mode::Device;
    upload.caller.key_udf = mesh_common::account::testing::connection_key(&name);
    perform(&backend, upload).await;
}

async fn perform(backend: &BackendHandle<EmbeddedStore>, mut request: AccountRequest) {
    request.received_at = SystemClock.now();
    request.deadline = request.received_at + Duration::from_secs(60);
    let answer = backend
        .perform(Verified::declare(request))
        .await
        .expect("the back-end takes it");
    let code = answer.response.outcome().code();
    assert_eq!(code, Some(Code::Ok), "{:?}", answer.response);
}
