//! Whom a call-back lets in, how often it is made, and what a peer is told when it fails.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use mesh_common::crypto::SecretKey;
use mesh_common::discovery::Pinned;
use mesh_common::entropy::SeededEntropy;
use mesh_common::session::client::ServiceIdentity;
use tokio::sync::Notify;

use super::*;

const NOW: Timestamp = Timestamp::from_secs(1_770_120_000);
const DOMAIN: &str = "example.org";

/// A domain that answers as a story says.
struct Story {
    answers: Mutex<VecDeque<Result<Arc<Greeting>, GreetingError>>>,
    asked: AtomicUsize,
    under_way: AtomicUsize,
    most: AtomicUsize,
    /// Whether it keeps whoever asks waiting.
    gate: Option<Notify>,
}

impl Story {
    fn of(answers: impl IntoIterator<Item = Result<Arc<Greeting>, GreetingError>>) -> Arc<Self> {
        Arc::new(Self {
            answers: Mutex::new(answers.into_iter().collect()),
            asked: AtomicUsize::new(0),
            under_way: AtomicUsize::new(0),
            most: AtomicUsize::new(0),
            gate: None,
        })
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

impl CallBack for Story {
    fn greet<'a>(
        &'a self,
        _domain: &'a str,
        _anew: bool,
        _time_max: Duration,
    ) -> BoxFuture<'a, Result<Arc<Greeting>, GreetingError>> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        Box::pin(async move {
            let _under_way = UnderWay::begin(self);
            if let Some(gate) = &self.gate {
                gate.notified().await;
            }
            let next = self.answers.lock().unwrap().pop_front();
            next.unwrap_or(Err(GreetingError::TimedOut))
        })
    }
}

/// One call-back, until it is over or given up.
struct UnderWay<'a>(&'a Story);

impl<'a> UnderWay<'a> {
    fn begin(story: &'a Story) -> Self {
        let count = story.under_way.fetch_add(1, Ordering::SeqCst) + 1;
        story.most.fetch_max(count, Ordering::SeqCst);
        Self(story)
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::SeqCst);
    }
}

fn key(seed: u64) -> SecretKey {
    SecretKey::generate(&mut SeededEntropy::new(seed))
}

/// What a domain tells: the service of one seed with the key of another.
fn greeting(service: u64, host: u64, fetched_at: Timestamp) -> Arc<Greeting> {
    let shown = ServiceIdentity {
        service_udf: key(service).udf(),
        host_key: key(host).public().clone(),
        updated: Some(Timestamp::from_secs(1)),
        signing_keys: Vec::new(),
    };
    Arc::new(Greeting {
        domain: DOMAIN.to_owned(),
        pinned: Pinned::after(None, &shown, None, fetched_at).unwrap(),
        service: shown,
        fetched_at,
    })
}

fn claim(service: u64, host: u64) -> Claim {
    Claim {
        domain: DOMAIN.to_owned(),
        service_udf: key(service).udf(),
        key: key(host).public().clone(),
    }
}

const fn at(now: Timestamp) -> Moment {
    Moment {
        now,
        left: Duration::from_secs(5),
    }
}

async fn check(calls: &CallBacks, claim: &Claim, now: Timestamp) -> Result<(), Code> {
    let outcome = calls.check(claim, at(now), || Ok(())).await;
    outcome.map_err(|error| error.code)
}

// I-P-9.1.2-b
#[tokio::test]
async fn a_service_is_believed_by_what_its_domain_tells_for_a_day() {
    let later = NOW + Duration::from_secs(24 * 3_600);
    let story = Story::of([Ok(greeting(1, 2, NOW)), Ok(greeting(1, 2, later))]);
    let calls = CallBacks::new(Arc::<Story>::clone(&story));
    for _ in 0..3 {
        assert_eq!(check(&calls, &claim(1, 2), NOW).await, Ok(()));
    }
    assert_eq!(story.asked(), 1);
    assert_eq!(check(&calls, &claim(1, 2), later).await, Ok(()));
    assert_eq!(story.asked(), 2);
}

#[tokio::test]
async fn a_new_key_is_believed_once_the_profile_names_it() {
    let story = Story::of([Ok(greeting(1, 2, NOW)), Ok(greeting(1, 3, NOW))]);
    let calls = CallBacks::new(Arc::<Story>::clone(&story));
    assert_eq!(check(&calls, &claim(1, 2), NOW).await, Ok(()));
    assert_eq!(check(&calls, &claim(1, 3), NOW).await, Ok(()));
    assert_eq!(
        story.asked(),
        2,
        "asked anew for the key that was not known"
    );
}

#[tokio::test]
async fn another_service_and_another_key_are_refused_and_do_not_shut_out_the_right_one() {
    let told = || Ok(greeting(1, 2, NOW));
    let story = Story::of([told(), told(), told(), told()]);
    let calls = CallBacks::new(Arc::<Story>::clone(&story));
    for (service, host) in [(7, 8), (1, 8), (7, 2)] {
        let outcome = check(&calls, &claim(service, host), NOW).await;
        assert_eq!(outcome, Err(Code::AuthenticationFailed));
    }
    assert_eq!(check(&calls, &claim(1, 2), NOW).await, Ok(()));
}

#[tokio::test]
async fn a_call_back_that_failed_is_not_made_again_for_a_minute() {
    for (error, code) in [
        (GreetingError::TimedOut, Code::Overload),
        (
            Unreachable::Lookup("SERVFAIL".into()).into(),
            Code::Overload,
        ),
        (Unreachable::NoDomain.into(), Code::AuthenticationFailed),
        (Unreachable::Forbidden.into(), Code::AuthenticationFailed),
        (
            Unreachable::Identity("other".into()).into(),
            Code::AuthenticationFailed,
        ),
        (
            GreetingError::Foreign {
                http: 200,
                retry_after: None,
            },
            Code::AuthenticationFailed,
        ),
    ] {
        let story = Story::of([Err(error), Ok(greeting(1, 2, NOW))]);
        let calls = CallBacks::new(Arc::<Story>::clone(&story));
        for _ in 0..2 {
            let refused = calls.check(&claim(1, 2), at(NOW), || Ok(())).await;
            let error = refused.unwrap_err();
            assert_eq!(error.code, code);
            assert_eq!(error.retry_after.is_some(), code == Code::Overload);
        }
        assert_eq!(story.asked(), 1);
    }
}

#[tokio::test]
async fn whoever_may_not_ask_makes_us_call_nobody() {
    let story = Story::of([Ok(greeting(1, 2, NOW))]);
    let calls = CallBacks::new(Arc::<Story>::clone(&story));
    let never = || Err(ServiceError::new(Code::RateLimited, "too many"));
    let refused = calls.check(&claim(1, 2), at(NOW), never).await;
    assert_eq!(refused.unwrap_err().code, Code::RateLimited);
    assert_eq!(story.asked(), 0);
    assert_eq!(check(&calls, &claim(1, 2), NOW).await, Ok(()));
    let known = calls.check(&claim(1, 2), at(NOW), never).await;
    assert_eq!(known, Ok(()), "a domain that is known costs no call");
}

#[tokio::test(start_paused = true)]
async fn so_many_are_called_at_once_and_no_longer_than_two_seconds() {
    let mut story = Story::of([]);
    Arc::get_mut(&mut story).unwrap().gate = Some(Notify::new());
    let calls = Arc::new(CallBacks::new(Arc::<Story>::clone(&story)));
    let asking = (0..2 * CALL_BACKS_MAX).map(|number| {
        let calls = Arc::clone(&calls);
        tokio::spawn(async move {
            let begun = tokio::time::Instant::now();
            let domain = format!("d{number}.example");
            let claim = Claim {
                domain,
                ..claim(1, 2)
            };
            let outcome = check(&calls, &claim, NOW).await;
            assert_eq!(outcome, Err(Code::Overload));
            begun.elapsed()
        })
    });
    for asked in asking.collect::<Vec<_>>() {
        assert!(asked.await.unwrap() <= 2 * CALL_BACK_TIME_MAX);
    }
    assert_eq!(story.most.load(Ordering::SeqCst), CALL_BACKS_MAX);
    // Whoever had no turn may try again at once.
    let remembered = (0..2 * CALL_BACKS_MAX)
        .filter(|number| calls.failed.contains_key(&format!("d{number}.example")));
    assert_eq!(remembered.count(), story.asked());
}
