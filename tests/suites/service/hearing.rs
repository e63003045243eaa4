//! The device library waiting for news of a real service: two folders of one device.

use std::path::{Path, PathBuf};
use std::time::Duration;

use mesh_client::account::NewAccount;
use mesh_client::waiting::News;
use mesh_client::{Client, ClientError};
use mesh_common::address::AccountAddress;
use mesh_common::catalog::entry::{CatalogEntry, CatalogedBookmark};
use mesh_tests::TestService;
use mesh_tests::polling::{find_measure, measure};
use meshd::config::MeshdConfig;

const WAITING: &str = "mesh_frontend_polls_waiting";
const MINUTE: Duration = Duration::from_secs(60);
const SECOND: Duration = Duration::from_secs(1);

/// Runs one device's part on a thread of its own.
pub(crate) fn on_its_own<T: Send>(part: impl AsyncFnOnce() -> T + Send) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.unwrap().block_on(part())
}

pub(crate) fn bookmark(path: &str, uri: &str) -> CatalogEntry {
    CatalogEntry::CatalogedBookmark(CatalogedBookmark {
        path: Some(path.into()),
        uri: Some(uri.into()),
        ..CatalogedBookmark::default()
    })
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for file in std::fs::read_dir(from).unwrap() {
        let path = file.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            std::fs::copy(&path, &target).unwrap();
        }
    }
}

fn account(service: &TestService) -> NewAccount {
    NewAccount {
        address: AccountAddress::parse("alice@localhost").unwrap(),
        service_url: Some(format!("https://localhost:{}", service.address().port())),
        authorities: Some(service.authority()),
        device: None,
    }
}

/// A service for `localhost`, and two folders that hold the device of a new account, synchronized.
pub(crate) fn two_folders(
    adjust: impl FnOnce(&mut MeshdConfig),
) -> (TestService, PathBuf, PathBuf) {
    let service = TestService::with(|config| {
        config.frontend.domains = vec!["localhost".into()];
        adjust(config);
    });
    let (one, other) = (
        service.scratch().join("one"),
        service.scratch().join("other"),
    );
    on_its_own(async || {
        let mut client = Client::open(&one).unwrap();
        client.create_account(&account(&service)).await.unwrap();
        client.sync(None).await.unwrap();
    });
    copy(&one, &other);
    (service, one, other)
}

#[test]
fn a_device_that_waits_hears_of_a_change_and_of_nothing_else() {
    let (service, one, other) = two_folders(|_| {});
    std::thread::scope(|scope| {
        let hearing = scope.spawn(|| {
            on_its_own(async || {
                let mut client = Client::open(&other).unwrap();
                client.sync(None).await.unwrap();
                let quiet = client.wait_for_news(SECOND).await.unwrap();
                let loud = client.wait_for_news(MINUTE).await.unwrap();
                let report = client.sync(None).await.unwrap();
                let downloaded: u64 = report.containers.iter().map(|one| one.downloaded).sum();
                (quiet, loud, downloaded, client.wait_for_news(SECOND).await)
            })
        });
        // The first wait is over, and the second has begun.
        while ended_by_time(&service) < 1 || measure(service.admin_address(), WAITING) == 0 {
            std::thread::yield_now();
        }
        on_its_own(async || {
            let mut client = Client::open(&one).unwrap();
            client.add(&bookmark("a", "https://example.org")).unwrap();
            client.sync(None).await.unwrap();
            // What was uploaded from here is no news here.
            assert_eq!(client.wait_for_news(SECOND).await.unwrap(), News::None);
        });
        let (quiet, loud, downloaded, then) = hearing.join().unwrap();
        assert_eq!((quiet, loud, downloaded), (News::None, News::Some, 1));
        assert_eq!(then.unwrap(), News::None);
    });
}

fn ended_by_time(service: &TestService) -> u64 {
    let name = "mesh_frontend_polls_total{end=\"time\"}";
    find_measure(service.admin_address(), name).unwrap_or(0)
}

#[test]
fn a_service_that_does_not_wait_is_told_apart_from_one_that_did() {
    let service = TestService::with(|config| {
        config.frontend.domains = vec!["localhost".into()];
        config.limits.polls_max = 0;
    });
    on_its_own(async || {
        let mut client = Client::open(service.scratch().join("one")).unwrap();
        client.create_account(&account(&service)).await.unwrap();
        client.sync(None).await.unwrap();
        assert_eq!(client.wait_for_news(MINUTE).await.unwrap(), News::NoneYet);
        client.delete_account().await.unwrap();
        let refused = client.wait_for_news(MINUTE).await.unwrap_err();
        assert!(
            matches!(&refused, ClientError::AccountDeleted { .. }),
            "{refused:?}"
        );
    });
}
