//! Every row of the outcome table, for the message and for the destination.

use super::*;
use crate::delivery::testing;
use crate::delivery::{Class, ItemId};
use crate::entropy::SeededEntropy;

const NOW: Timestamp = Timestamp::from_secs(1_000_000);
const SERVED: Sample = Sample::Exchange(Outcome::Served);
const TROUBLED: Sample = Sample::Exchange(Outcome::Troubled);

fn item() -> QueueItem {
    testing::item(
        ItemId([1; 16]),
        "b.example",
        "a.example",
        Class::Bulk,
        100,
        NOW,
    )
}

/// An item that has been tried `attempts` times in `hours`.
fn aged(hours: i64, attempts: u32) -> QueueItem {
    QueueItem {
        enqueued_at: Timestamp::from_secs(NOW.as_secs() - hours * 3_600),
        expires_at: Timestamp::from_secs(NOW.as_secs() + (72 - hours) * 3_600),
        attempts,
        ..item()
    }
}

fn judged(item: &QueueItem, end: End) -> Judgement {
    let attempt = Attempt {
        end,
        exchange: Duration::from_millis(50),
        at: NOW,
    };
    judge(NOW, item, &attempt, &mut SeededEntropy::new(1))
}

fn answered(status: u16, extended: Option<u16>) -> End {
    End::Answered(Answered {
        status,
        extended,
        text: "so it is".to_owned(),
        retry_after: None,
    })
}

fn foreign(http: u16) -> End {
    End::Foreign {
        http,
        retry_after: None,
    }
}

/// How an outcome is called in the tables of these tests.
fn called(fate: &Fate) -> &'static str {
    match fate {
        Fate::Received => "received",
        Fate::Sent => "sent",
        Fate::Refused(_) => "refused",
        Fate::Failed(_) => "failed",
        Fate::Later { .. } => "later",
        Fate::Stays => "stays",
        Fate::Mishandled { .. } => "mishandled",
        Fate::Poison => "poison",
    }
}

#[test]
fn what_a_peer_answers_decides_message_and_sample() {
    for (status, extended, fate, sample) in [
        (201, None, "received", SERVED),
        (200, None, "received", SERVED),
        (202, None, "sent", SERVED),
        (307, Some(7), "later", SERVED),
        (400, Some(100), "failed", SERVED),
        (401, Some(104), "later", TROUBLED),
        (401, Some(105), "later", TROUBLED),
        (401, Some(108), "later", TROUBLED),
        (403, Some(5), "refused", SERVED),
        (404, Some(6), "failed", SERVED),
        (404, None, "later", TROUBLED),
        (408, Some(9), "later", TROUBLED),
        (409, Some(118), "refused", SERVED),
        (410, Some(111), "failed", SERVED),
        (413, Some(8), "failed", SERVED),
        (421, None, "later", TROUBLED),
        (422, Some(115), "failed", SERVED),
        (429, Some(114), "later", TROUBLED),
        (500, None, "later", TROUBLED),
        (501, Some(101), "later", TROUBLED),
        (503, None, "later", TROUBLED),
        (507, Some(113), "later", SERVED),
    ] {
        let judgement = judged(&item(), answered(status, extended));
        assert_eq!(called(&judgement.fate), fate, "{status}");
        assert_eq!(judgement.sample, sample, "{status}");
        let delivered = matches!(fate, "received" | "sent");
        assert_eq!(judgement.trouble.is_none(), delivered, "{status}");
    }
}

#[test]
fn what_others_answer_over_http_is_no_verdict_on_the_message() {
    for http in [200, 301, 400, 403, 404, 408, 413, 425, 429, 500, 502, 503] {
        let judgement = judged(&item(), foreign(http));
        assert_eq!(called(&judgement.fate), "later", "{http}");
        assert_eq!(judgement.sample, TROUBLED, "{http}");
    }
}

#[test]
fn after_four_hours_of_answers_that_are_no_verdict_the_message_fails() {
    for end in [
        foreign(404),
        foreign(200),
        answered(507, Some(113)),
        answered(401, Some(104)),
        answered(303, Some(7)),
    ] {
        assert_eq!(called(&judged(&aged(3, 20), end.clone()).fate), "later");
        assert_eq!(called(&judged(&aged(5, 20), end.clone()).fate), "failed");
        // It waited for a dead peer: these answers are its first ones.
        assert_eq!(called(&judged(&aged(5, 0), end).fate), "later");
    }
    for end in [foreign(500), End::TimedOut, answered(503, None)] {
        assert_eq!(called(&judged(&aged(71, 200), end).fate), "later");
    }
}

#[test]
fn a_peer_that_says_when_to_come_back_is_left_alone_and_not_blamed() {
    for (wanted, kept) in [(60, 60), (100_000, 3_600)] {
        let end = End::Answered(Answered {
            status: 503,
            extended: None,
            text: String::new(),
            retry_after: Some(Duration::from_secs(wanted)),
        });
        let judgement = judged(&item(), end);
        assert_eq!(judgement.pause, Some(Duration::from_secs(kept)));
        assert_eq!(judgement.sample, Sample::Nothing);
        let Fate::Later { due_at } = judgement.fate else {
            panic!("it is tried again");
        };
        assert!(due_at >= NOW + Duration::from_secs(kept));
    }
}

#[test]
fn what_was_never_sent_is_no_attempt() {
    let lasting = |unreachable| {
        let judgement = judged(&aged(71, 0), End::Unreachable(unreachable));
        assert_eq!(judgement.fate, Fate::Stays);
        assert_eq!(judgement.sample, Sample::Unreachable);
        judgement.lasting
    };
    let text = || "why".to_owned();
    assert_eq!(lasting(Unreachable::Connect(text())), None);
    assert_eq!(lasting(Unreachable::Lookup(text())), None);
    assert_eq!(lasting(Unreachable::Tls(text())), None);
    assert_eq!(lasting(Unreachable::NoDomain), Some(Lasting::NoDomain));
    assert_eq!(lasting(Unreachable::NoService), Some(Lasting::NoService));
    assert_eq!(lasting(Unreachable::Forbidden), Some(Lasting::Forbidden));
    assert_eq!(
        lasting(Unreachable::Certificate(text())),
        Some(Lasting::Certificate)
    );
    assert_eq!(
        lasting(Unreachable::Identity(text())),
        Some(Lasting::Identity)
    );
}

#[test]
fn a_time_out_counts_as_an_attempt_and_as_slow() {
    let judgement = judged(&item(), End::TimedOut);
    assert_eq!(called(&judgement.fate), "later");
    assert_eq!(judgement.sample, Sample::Exchange(Outcome::Silent));
}

#[test]
fn the_third_failure_of_our_own_makes_an_item_poison() {
    for (attempts_internal, fate) in [(0, "mishandled"), (1, "mishandled"), (2, "poison")] {
        let item = QueueItem {
            attempts_internal,
            ..item()
        };
        let judgement = judged(&item, End::Internal("a panic".to_owned()));
        assert_eq!(called(&judgement.fate), fate);
        assert_eq!(judgement.sample, Sample::Nothing);
    }
}

#[test]
fn what_is_over_its_time_fails_unless_it_was_delivered_or_judged() {
    let over = aged(72, 5);
    for end in [End::TimedOut, foreign(503), answered(503, None)] {
        let Fate::Failed(failure) = judged(&over, end).fate else {
            panic!("its time is over");
        };
        assert_eq!(failure.reason, Reason::Expired);
    }
    let unreachable = End::Unreachable(Unreachable::Connect("refused".to_owned()));
    assert_eq!(called(&judged(&over, unreachable).fate), "failed");
    assert_eq!(judged(&over, answered(201, None)).fate, Fate::Received);
    assert_eq!(
        called(&judged(&over, answered(403, Some(5))).fate),
        "refused"
    );
}

#[test]
fn the_sender_is_told_what_the_peer_said() {
    let Fate::Failed(failure) = judged(&item(), answered(404, Some(6))).fate else {
        panic!("there is no such account");
    };
    assert_eq!(failure.reason, Reason::UnknownRecipient);
    assert_eq!(
        failure.text,
        "the recipient's service answered 404/6: so it is"
    );
}
