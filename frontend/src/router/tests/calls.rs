//! One request, and whoever is asked for it.

use futures_util::future::join_all;
use mesh_common::limits::{
    PARKED_PER_PARTITION_MAX, PARKED_TIME_MAX, ROUTED_PATIENCE, SUPERSEDED_PATIENCE,
    TRANSACTION_TIME_MAX, UNPARKED_AT_ONCE_MAX,
};
use proptest::prelude::*;
use tokio::time::sleep;

use super::nodes::{NOON, route};
use super::*;

pub(super) fn alice() -> AccountAddress {
    AccountAddress::parse("alice@example.com").unwrap()
}

fn request(id: u16, account: AccountAddress, mode: Mode, request: Request) -> AccountRequest {
    let mut request_id = [0; 16];
    request_id[..2].copy_from_slice(&id.to_be_bytes());
    AccountRequest {
        caller: Caller {
            mode,
            via: Via::Ticket,
            account: Some(account.clone()),
            profile_udf: None,
            key_udf: nodes::service(),
            credential_digest: [0; 32],
            domain: None,
        },
        account,
        request_id: RequestId(request_id),
        request_digest: [0; 64],
        received_at: NOON,
        deadline: NOON + TRANSACTION_TIME_MAX,
        request,
        evidence: Evidence::Nothing,
    }
}

pub(super) fn write(id: u16) -> AccountRequest {
    let upload = Request::Upload(UploadRequest::default());
    request(id, alice(), Mode::Profile, upload)
}

pub(super) fn read(id: u16) -> AccountRequest {
    let status = Request::Status(StatusRequest::default());
    request(id, alice(), Mode::Profile, status)
}

fn post(id: u16) -> AccountRequest {
    let post = Request::Post(PostRequest::default());
    request(id, alice(), Mode::Service, post)
}

/// Who answered, or why nobody did; and how long that took.
async fn timed(
    asking: impl Future<Output = Result<Answer, CallFailure>>,
) -> (Result<String, CallFailure>, Duration) {
    let began = Instant::now();
    let answer = asking.await;
    let by = answer.map(|answer| {
        let outcome = answer.response.outcome();
        outcome.status_description.clone().unwrap_or_default()
    });
    (by, began.elapsed())
}

pub(super) async fn perform(
    router: &Router,
    request: AccountRequest,
) -> (Result<String, CallFailure>, Duration) {
    timed(router.perform(Verified::declare(request))).await
}

pub(super) fn by(name: u8) -> Result<String, CallFailure> {
    Ok(format!("node {name}"))
}

pub(super) fn not_sent() -> Reply {
    Reply::Fails(LinkFailure::NotSent("nobody listens".into()))
}

pub(super) fn lost() -> Reply {
    Reply::Fails(LinkFailure::Lost("the connection broke".into()))
}

pub(super) fn moved(hint: Option<Route>) -> Reply {
    Reply::Fails(CallFailure::Moved(hint).into())
}

fn busy(wait: u64) -> CallFailure {
    CallFailure::Busy(Duration::from_secs(wait))
}

pub(super) const AT_ONCE: Duration = Duration::ZERO;

#[tokio::test(start_paused = true)]
async fn everything_goes_to_the_owner() {
    let cluster = Cluster::of(3);
    let router = cluster.router().await;
    assert_eq!(perform(&router, write(1)).await, (by(1), AT_ONCE));
    assert_eq!(perform(&router, read(2)).await, (by(1), AT_ONCE));
    let received = router.receive(Verified::declare(post(3)));
    assert_eq!(timed(received).await, (by(1), AT_ONCE));
    let deadline = NOON + TRANSACTION_TIME_MAX;
    router.signing_keys(&alice(), deadline).await.unwrap();
    let (account, id) = (alice(), nodes::service());
    router.published(&account, &id, deadline).await.unwrap();
    let asked = ["perform", "perform", "receive", "keys", "published"];
    assert_eq!(cluster.node(1).asked(), asked);
}

#[tokio::test(start_paused = true)]
async fn a_write_follows_the_hint_of_a_node_that_knows_better() {
    let cluster = Cluster::of(2);
    let router = cluster.router().await;
    cluster.node(1).script([moved(Some(route(2, 2)))]);
    assert_eq!(perform(&router, write(1)).await, (by(2), AT_ONCE));
    assert_eq!(cluster.measures.moved.get(), 1);
    assert_eq!(perform(&router, write(2)).await, (by(2), AT_ONCE));
    assert_eq!(cluster.node(1).asked().len(), 1, "it is remembered");
}

#[tokio::test(start_paused = true)]
async fn a_write_waits_for_the_next_owner() {
    let cluster = Cluster::of(2);
    let router = cluster.router().await;
    cluster.node(1).usually(moved(None));
    let wait = Duration::from_millis(120);
    let handover = async {
        sleep(wait).await;
        assert_eq!(cluster.measures.parked.get(), 1);
        cluster.tell(Some((2, 2)));
    };
    let (answered, ()) = tokio::join!(perform(&router, write(1)), handover);
    assert_eq!(answered, (by(2), wait));
    assert_eq!(cluster.measures.parked.get(), 0);
    assert_eq!(cluster.measures.park_seconds.get_sample_count(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_owner_that_was_asked_a_moment_too_early_is_asked_again() {
    let cluster = Cluster::of(2);
    let router = cluster.router().await;
    cluster.node(1).script([moved(None)]);
    let (answer, time) = perform(&router, write(1)).await;
    assert_eq!(answer, by(1));
    assert!(time <= Duration::from_millis(60), "{time:?}");
}

// P-3.2-a: requests reach the host that holds the account, or are told to come again.
#[tokio::test(start_paused = true)]
async fn a_write_that_finds_no_owner_is_refused_after_three_seconds() {
    let cluster = Cluster::of(2);
    let router = cluster.router().await;
    cluster.node(1).usually(moved(None));
    let (answer, time) = perform(&router, write(1)).await;
    assert_eq!(answer, Err(CallFailure::Moved(None)));
    assert_eq!(time, PARKED_TIME_MAX);
    let refusal = answer.unwrap_err().into_refusal().unwrap();
    assert_eq!(refusal.code, Code::Overload);
    assert_eq!(refusal.retry_after, Some(Duration::from_secs(2)));
    assert!(
        cluster.node(1).asked().len() < 15,
        "it is not asked all the time"
    );
}

#[tokio::test(start_paused = true)]
async fn a_write_that_never_reached_a_dead_owner_goes_to_the_next() {
    let cluster = Cluster::of(2);
    let router = cluster.router().await;
    cluster.node(1).usually(not_sent());
    let wait = Duration::from_secs(2);
    let takeover = async {
        sleep(wait).await;
        cluster.tell(Some((2, 2)));
    };
    let (answered, ()) = tokio::join!(perform(&router, write(1)), takeover);
    assert_eq!(answered, (by(2), wait));
}

#[tokio::test(start_paused = true)]
async fn a_write_without_an_answer_is_asked_for_once_more() {
    let cluster = Cluster::of(2);
    let router = cluster.router().await;
    // Whether it was carried out is not known here: the node knows it by its RequestID.
    cluster.node(1).script([Reply::DoneAndLost]);
    let id = write(1).request_id;
    assert_eq!(perform(&router, write(1)).await, (by(1), AT_ONCE));
    assert_eq!(cluster.node(1).carried_out(id), 2);
    cluster.node(1).script([lost(), lost()]);
    let (answer, _) = perform(&router, write(2)).await;
    assert!(matches!(answer, Err(CallFailure::Away(_))), "{answer:?}");
    assert_eq!(cluster.node(1).asked().len(), 4, "not a third time");
}

#[tokio::test(start_paused = true)]
async fn what_no_home_recognizes_is_not_asked_for_twice() {
    let cluster = Cluster::of(2);
    let router = cluster.router().await;
    cluster.node(1).script([lost()]);
    let mut interop = write(1);
    interop.caller.mode = Mode::Interop;
    let (answer, _) = perform(&router, interop).await;
    assert!(matches!(answer, Err(CallFailure::Away(_))), "{answer:?}");
    assert_eq!(cluster.node(1).asked().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_write_at_a_paused_owner_is_asked_of_the_next_one() {
    let cluster = Cluster::of(2);
    let router = cluster.router().await;
    cluster.node(1).usually(Reply::Never);
    let takeover = Duration::from_secs(1);
    let handover = async {
        sleep(takeover).await;
        cluster.tell(Some((2, 2)));
    };
    let (answered, ()) = tokio::join!(perform(&router, write(1)), handover);
    let (answer, time) = answered;
    assert_eq!(answer, by(2));
    assert!(time <= takeover + SUPERSEDED_PATIENCE, "{time:?}");
    let id = write(1).request_id;
    assert_eq!(cluster.node(2).carried_out(id), 1);
}

#[tokio::test(start_paused = true)]
async fn an_owner_that_lets_go_answers_what_it_has_begun() {
    let cluster = Cluster::of(2);
    let router = cluster.router().await;
    let batch = Duration::from_millis(400);
    cluster.node(1).usually(Reply::After(batch));
    let handover = async {
        sleep(Duration::from_millis(10)).await;
        cluster.tell(Some((2, 2)));
    };
    let (answered, ()) = tokio::join!(perform(&router, write(1)), handover);
    assert_eq!(answered, (by(1), batch));
    assert!(cluster.node(2).asked().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_request_that_no_node_takes_keeps_no_other_from_it() {
    let cluster = Cluster::of(2);
    let router = cluster.router().await;
    let refused = || Reply::Fails(LinkFailure::Refused("HTTP 400: it cannot be read".into()));
    cluster.node(1).script([refused(), refused()]);
    let (answer, time) = perform(&router, write(1)).await;
    let Err(CallFailure::Refused(refusal)) = answer else {
        panic!("{answer:?}");
    };
    assert_eq!((refusal.code, time), (Code::Internal, AT_ONCE));
    assert_eq!(perform(&router, read(2)).await, (by(2), AT_ONCE));
    assert_eq!(perform(&router, write(3)).await, (by(1), AT_ONCE));
}

#[tokio::test(start_paused = true)]
async fn a_node_that_takes_nothing_from_us_is_left_alone() {
    let cluster = Cluster::of(2);
    let router = cluster.router().await;
    let refused = LinkFailure::Refused("of another cluster".into());
    cluster.node(1).usually(Reply::Fails(refused));
    cluster.node(1).fall_silent();
    sleep(Duration::from_millis(1)).await;
    let (answer, time) = perform(&router, write(1)).await;
    assert_eq!(
        (answer, time),
        (Err(CallFailure::Moved(None)), PARKED_TIME_MAX)
    );
    assert_eq!(perform(&router, read(2)).await, (by(2), AT_ONCE));
    assert_eq!(cluster.node(1).asked().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_deadline_ends_everything() {
    let cluster = Cluster::of(2);
    let router = cluster.router().await;
    for name in [1, 2] {
        cluster.node(name).usually(Reply::Never);
    }
    for request in [read(1), write(2)] {
        let (answer, time) = perform(&router, request).await;
        let Err(CallFailure::Refused(refusal)) = answer else {
            panic!("{answer:?}");
        };
        assert_eq!((refusal.code, time), (Code::Timeout, TRANSACTION_TIME_MAX));
    }
    let deadline = NOON + Duration::from_millis(700);
    let keys = router.signing_keys(&alice(), deadline).await;
    assert_eq!(keys.unwrap_err().code, Code::Timeout);
    let mut late = read(3);
    late.deadline = NOON;
    let before = cluster.node(1).asked().len();
    assert!(perform(&router, late).await.0.is_err());
    assert_eq!(cluster.node(1).asked().len(), before, "not even asked");
}

#[tokio::test(start_paused = true)]
async fn whoever_is_busy_is_believed() {
    let cluster = Cluster::of(2);
    let router = cluster.router().await;
    let failure = || LinkFailure::from(busy(7));
    cluster.node(1).usually(Reply::Fails(failure()));
    for request in [read(1), write(2)] {
        let (answer, time) = perform(&router, request).await;
        assert_eq!((answer, time), (Err(busy(7)), AT_ONCE));
    }
    let refusal = busy(7).into_refusal().unwrap();
    assert_eq!(refusal.retry_after, Some(Duration::from_secs(7)));
    assert!(cluster.node(2).asked().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_read_goes_elsewhere_when_the_owner_is_away() {
    let cluster = Cluster::of(3);
    let router = cluster.router().await;
    let away = CallFailure::Away(ServiceError::unavailable("the partition ended"));
    for reply in [not_sent(), lost(), moved(None), Reply::Fails(away.into())] {
        cluster.node(1).script([reply.clone()]);
        let (answer, time) = perform(&router, read(1)).await;
        assert_ne!(answer, by(1), "{reply:?}");
        assert!(answer.is_ok(), "{reply:?}: {answer:?}");
        assert_eq!(time, AT_ONCE, "{reply:?}: reads never wait for an owner");
        cluster.tell(Some((1, 1)));
        assert_eq!(
            perform(&router, write(2)).await.0,
            by(1),
            "all is well again"
        );
    }
    assert_eq!(cluster.measures.parked.get(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_read_that_nobody_was_sent_tries_everybody() {
    let cluster = Cluster::of(5);
    let router = cluster.router().await;
    for name in 1..=4 {
        cluster.node(name).usually(not_sent());
    }
    assert_eq!(perform(&router, read(1)).await, (by(5), AT_ONCE));
    cluster.node(5).usually(not_sent());
    let (answer, _) = perform(&router, read(2)).await;
    assert!(matches!(answer, Err(CallFailure::Away(_))), "{answer:?}");
}

#[tokio::test(start_paused = true)]
async fn a_read_without_an_answer_is_asked_for_once_more_and_no_more() {
    let cluster = Cluster::of(4);
    let router = cluster.router().await;
    for name in 1..=4 {
        cluster.node(name).usually(lost());
    }
    let (answer, _) = perform(&router, read(1)).await;
    assert!(matches!(answer, Err(CallFailure::Away(_))), "{answer:?}");
    let asked: usize = (1..=4).map(|name| cluster.node(name).asked().len()).sum();
    assert_eq!(asked, 2);
}

#[tokio::test(start_paused = true)]
async fn a_read_whose_only_node_dropped_an_idle_connection_is_repeated_there() {
    let cluster = Cluster::of(1);
    let router = cluster.router().await;
    cluster.node(1).script([lost()]);
    assert_eq!(perform(&router, read(1)).await, (by(1), AT_ONCE));
}

#[tokio::test(start_paused = true)]
async fn a_read_at_a_paused_owner_is_asked_of_a_second_node_and_the_next_one_at_once() {
    let cluster = Cluster::of(2);
    let router = cluster.router().await;
    cluster.node(1).usually(Reply::Never);
    assert_eq!(perform(&router, read(1)).await, (by(2), ROUTED_PATIENCE));
    assert_eq!(perform(&router, read(2)).await, (by(2), AT_ONCE));
    // The first one is not given up: it may be the one that answers.
    cluster
        .node(1)
        .usually(Reply::After(Duration::from_millis(1_500)));
    cluster.node(2).usually(Reply::Never);
    sleep(Duration::from_secs(3)).await;
    let (answer, time) = perform(&router, read(3)).await;
    assert_eq!((answer, time), (by(1), Duration::from_millis(1_500)));
}

#[tokio::test(start_paused = true)]
async fn the_post_of_a_service_never_waits_for_an_owner() {
    let cluster = Cluster::of(2);
    let router = cluster.router().await;
    for reply in [not_sent(), lost(), moved(None)] {
        cluster.node(1).script([reply.clone()]);
        let received = router.receive(Verified::declare(post(1)));
        assert_eq!(timed(received).await, (by(2), AT_ONCE), "{reply:?}");
        assert_eq!(
            perform(&router, write(2)).await.0,
            by(1),
            "all is well again"
        );
    }
    assert!(
        cluster
            .node(2)
            .asked()
            .iter()
            .all(|what| *what == "receive")
    );
}

#[tokio::test(start_paused = true)]
async fn so_many_writes_wait_for_one_partition() {
    let cluster = Cluster::of(2);
    let router = cluster.router().await;
    cluster.tell(None);
    cluster.node(1).usually(moved(None));
    sleep(Duration::from_millis(1)).await;
    let count = PARKED_PER_PARTITION_MAX as u16 + 1;
    let asking = (0..count).map(|id| perform(&router, write(id)));
    let answers = join_all(asking).await;
    let at_once = answers.iter().filter(|(_, time)| *time < PARKED_TIME_MAX);
    assert_eq!(at_once.count(), 1, "one too many");
    let refused = Err(CallFailure::Moved(None));
    assert!(answers.iter().all(|(answer, _)| *answer == refused));
    assert_eq!(cluster.measures.parked.get(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_new_owner_is_not_met_by_everybody_at_once() {
    let cluster = Cluster::of(2);
    let router = cluster.router().await;
    cluster.node(1).usually(not_sent());
    cluster
        .node(2)
        .usually(Reply::After(Duration::from_millis(20)));
    let writes = (0..1_000).map(|id| {
        let account = AccountAddress::parse(&format!("a{id}@example.com")).unwrap();
        let upload = Request::Upload(UploadRequest::default());
        perform(&router, request(id, account, Mode::Profile, upload))
    });
    let takeover = async {
        sleep(Duration::from_secs(1)).await;
        assert!(cluster.measures.parked.get() > 900);
        let before = cluster.node(1).asked().len();
        // The dead owner was tried now and then, not by a thousand.
        assert!(before < 1_100, "{before}");
        cluster.tell(Some((2, 2)));
    };
    let (answers, ()) = tokio::join!(join_all(writes), takeover);
    assert!(answers.iter().all(|(answer, _)| *answer == by(2)));
    assert_eq!(cluster.node(2).most_open(), UNPARKED_AT_ONCE_MAX);
}

/// What a node may do with one question.
fn reply() -> impl Strategy<Value = Reply> {
    prop_oneof![
        3 => Just(Reply::Done),
        2 => Just(Reply::DoneAndLost),
        2 => Just(lost()),
        2 => Just(not_sent()),
        2 => Just(moved(None)),
        1 => Just(Reply::After(Duration::from_millis(1_200))),
        1 => Just(Reply::Never),
        1 => Just(Reply::Fails(busy(3).into())),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Whatever nodes do, and whoever becomes the owner meanwhile: a write that is answered was carried
    /// out, one that is refused for want of an owner was not, and none was sent more than twice
    /// by somebody who might have carried it out. All is over by the deadline.
    #[test]
    fn no_write_is_made_up_and_none_is_sent_for_ever(
        first in prop::collection::vec(reply(), 0..6),
        second in prop::collection::vec(reply(), 0..6),
        handover in prop::option::of(0..4_000_u64),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(async {
            let cluster = Cluster::of(2);
            let router = cluster.router().await;
            cluster.node(1).script(first);
            cluster.node(2).script(second);
            let handover = async {
                if let Some(millis) = handover {
                    sleep(Duration::from_millis(millis)).await;
                    cluster.node(1).usually(moved(Some(route(2, 2))));
                    cluster.tell(Some((2, 2)));
                }
            };
            let request = write(1);
            let id = request.request_id;
            let (answered, ()) = tokio::join!(perform(&router, request), handover);
            let (answer, time) = answered;
            prop_assert!(time <= TRANSACTION_TIME_MAX);
            let carried_out = cluster.carried_out(id);
            prop_assert!(carried_out <= 2);
            match answer {
                Ok(_) => prop_assert!(carried_out >= 1),
                Err(CallFailure::Moved(_) | CallFailure::Busy(_)) => {
                    // What was lost before may have been carried out; a client repeats either way.
                    prop_assert!(carried_out <= 1);
                }
                Err(CallFailure::Away(_) | CallFailure::Refused(_)) => {}
                Err(CallFailure::Stale) => prop_assert!(false, "nobody said so"),
            }
            prop_assert_eq!(cluster.measures.parked.get(), 0);
            Ok(())
        })?;
    }
}
