//! How much an account may send: per minute, per day, to new recipients, and while it is new (service
//! §8).

use super::*;
use crate::account::OutboundRates;
use crate::limits::RECIPIENT_REMEMBERED;

fn rates(messages_per_minute: u32, messages_per_day: u32, recipients: u32) -> OutboundRates {
    OutboundRates {
        messages_per_minute,
        messages_per_day,
        new_recipients_per_day: recipients,
        ..OutboundRates::default()
    }
}

fn wait_of(shell: &mut Shell, request: AccountRequest) -> Option<Duration> {
    let answer = shell.perform(request);
    assert_eq!(
        answer.retry_after.is_some(),
        code(&answer) == Code::RateLimited
    );
    answer.retry_after
}

//
#[test]
fn so_many_messages_are_sent_in_a_minute_and_in_a_day() {
    let (mut shell, mut laptop) = alice_with_laptop();
    shell.advance(DAY * 7);
    shell.policy.outbound_rates = Some(rates(3, 8, 50));
    let mut number = 0;
    let mut next = |laptop: &mut Device| {
        number += 1;
        post(
            laptop,
            &[BOB],
            vec![from_laptop("RequestTask", &format!("T{number}"))],
        )
    };
    for _ in 0..3 {
        assert_eq!(wait_of(&mut shell, next(&mut laptop)), None);
    }
    let refused = next(&mut laptop);
    let wait = wait_of(&mut shell, refused.clone()).unwrap();
    assert!(wait <= MINUTE + Duration::from_secs(10), "{wait:?}");
    shell.advance(wait - Duration::from_millis(1));
    assert!(
        wait_of(&mut shell, refused.clone()).is_some(),
        "a moment too early"
    );
    shell.advance(Duration::from_millis(1));
    assert_eq!(
        wait_of(&mut shell, refused),
        None,
        "a refused request may be sent again"
    );
    shell.advance(MINUTE * 2);
    for _ in 0..3 {
        assert_eq!(wait_of(&mut shell, next(&mut laptop)), None);
    }
    shell.advance(MINUTE * 2);
    assert_eq!(wait_of(&mut shell, next(&mut laptop)), None);
    let wait = wait_of(&mut shell, next(&mut laptop)).unwrap();
    assert!(wait > DAY - Duration::from_secs(3_600) && wait <= DAY + Duration::from_secs(3_600));
    // What was sent before still goes to nobody twice, and costs nothing.
    let again = post(&mut laptop, &[BOB], vec![from_laptop("RequestTask", "T1")]);
    assert_eq!(wait_of(&mut shell, again), None);
    shell.advance(wait);
    assert_eq!(wait_of(&mut shell, next(&mut laptop)), None);
}

//
#[test]
fn a_new_account_may_send_a_tenth() {
    let (mut shell, mut laptop) = alice_with_laptop();
    shell.policy.outbound_rates = Some(rates(20, 200, 50));
    let mut next =
        |shell: &mut Shell, id: &str| sent(shell, &mut laptop, from_laptop("RequestTask", id));
    assert_eq!(next(&mut shell, "T1"), Code::Ok);
    assert_eq!(next(&mut shell, "T2"), Code::Ok);
    assert_eq!(next(&mut shell, "T3"), Code::RateLimited);
    shell.advance(DAY * 7);
    for number in 0..20 {
        assert_eq!(next(&mut shell, &format!("U{number}")), Code::Ok);
    }
    assert_eq!(next(&mut shell, "U20"), Code::RateLimited);
    shell.policy.outbound_rates = Some(OutboundRates {
        new_account_share: 1_000,
        new_account_days: 365,
        ..rates(20, 200, 50)
    });
    shell.advance(DAY * 2);
    assert_eq!(
        next(&mut shell, "V1"),
        Code::Ok,
        "one message is always left"
    );
    assert_eq!(next(&mut shell, "V2"), Code::RateLimited);
}

//
#[test]
fn so_many_new_recipients_are_written_to_in_a_day() {
    let (mut shell, mut laptop) = alice_with_laptop();
    shell.advance(DAY * 7);
    shell.policy.outbound_rates = Some(rates(1_000, 1_000, 2));
    let mut number = 0;
    let mut to = |shell: &mut Shell, accounts: &[&str]| {
        number += 1;
        let task = from_laptop("RequestTask", &format!("T{number}"));
        told(shell, post(&mut laptop, accounts, vec![task]))
    };
    assert_eq!(
        to(&mut shell, &[BOB, CAROL, "dave@example.com"]),
        Code::RateLimited
    );
    assert_eq!(
        to(&mut shell, &[ALICE]),
        Code::Ok,
        "oneself is no new recipient"
    );
    assert_eq!(to(&mut shell, &[BOB, CAROL]), Code::Ok);
    assert_eq!(to(&mut shell, &[BOB]), Code::Ok, "nobody new");
    assert_eq!(to(&mut shell, &["dave@example.com"]), Code::RateLimited);
    shell.advance(DAY + Duration::from_secs(3_600));
    assert_eq!(to(&mut shell, &["dave@example.com"]), Code::Ok);
    assert_eq!(
        to(&mut shell, &[BOB, CAROL]),
        Code::Ok,
        "known for longer than a day"
    );
    shell.advance(RECIPIENT_REMEMBERED);
    assert_eq!(to(&mut shell, &[BOB, CAROL]), Code::Ok);
    assert_eq!(
        to(&mut shell, &["erin@example.com"]),
        Code::RateLimited,
        "they were new again"
    );
}
