//! `kill -9` of two real services while messages flow both ways, and what must then hold: each message
//! that was accepted is in its recipient's Inbound exactly once, and its sender knows what became of it;
//! none is lost, none is unexplained (delivery §11, cluster §18 rows 1 and 6).
//!
//! `MESH_KILLS` sets how often a service is killed (6 unless set; 200 is the long form), `MESH_MESSAGES`
//! how many messages are sent at least (0; 5,000), and `MESH_SEED` whom it hits when.

mod account;
mod sender;
mod side;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use mesh_common::entropy::{SeededEntropy, draw};
use mesh_tests::books::{self, Fate};

use self::sender::{Moments, Sender};
use self::side::Side;
use super::stage::{PATIENCE, moment, number_of};

const DOMAINS: [&str; 2] = ["a.test", "b.test"];
/// Moments (a request sent, an answer received) that pass at most before the next kill.
const MOMENTS_MAX: u64 = 120;

#[test]
fn every_message_arrives_once_and_is_explained_though_both_services_are_killed() {
    let kills = number_of("MESH_KILLS", 6);
    let messages = number_of("MESH_MESSAGES", 0);
    let mut chance = SeededEntropy::new(number_of("MESH_SEED", 1) as u64);
    let mut sides = Side::pair(DOMAINS);
    let mut killed = [0; 2];
    for _ in 0..kills {
        let [which, ..] = draw::<4>(&mut chance);
        let which = usize::from(which % 2);
        let moments = 1 + u64::from_be_bytes(draw(&mut chance)) % MOMENTS_MAX;
        run(&mut sides, moments, Some(which));
        killed[which] += 1;
    }
    while sent(&sides) < messages.max(2) {
        run(&mut sides, MOMENTS_MAX, None);
    }
    let repeated: usize = all(&sides).map(|sender| sender.repeated).sum();
    let fates = settle(&mut sides);
    println!(
        "{killed:?} kills, {} messages, {repeated} requests repeated after a kill: {fates:?}",
        sent(&sides)
    );
    for side in &sides {
        assert_eq!(side.panics(), 0.0, "{}", side.domain);
    }
}

fn all(sides: &[Side; 2]) -> impl Iterator<Item = &Sender> {
    sides.iter().flat_map(|side| &side.senders)
}

fn sent(sides: &[Side; 2]) -> usize {
    all(sides).map(|sender| sender.book.len()).sum()
}

/// Lets everybody send until so many moments have passed; then one service is killed, if that is said,
/// and started again, and whoever had no answer asks again.
fn run(sides: &mut [Side; 2], moments: u64, kill: Option<usize>) {
    let passed = Moments::default();
    let stop = AtomicBool::new(false);
    let mut processes = sides.each_mut().map(|side| side.process.take());
    std::thread::scope(|scope| {
        for sender in sides.iter_mut().flat_map(|side| &mut side.senders) {
            let (passed, stop) = (&passed, &stop);
            scope.spawn(move || sender.send_until(passed, stop));
        }
        assert!(
            passed.wait_for(moments, PATIENCE),
            "nothing happens any more"
        );
        if let Some(process) = kill.and_then(|which| processes[which].take()) {
            process.kill();
        }
        stop.store(true, Ordering::SeqCst);
    });
    for (side, process) in sides.iter_mut().zip(processes) {
        match process {
            Some(process) => side.process = Some(process),
            None => side.start(),
        }
        for sender in &mut side.senders {
            sender.settle();
        }
    }
}

/// Waits until every sender knows what became of everything, for as long as that goes forward: after many
/// kills items are sent one at a time (delivery §13). Then compares that with what arrived.
fn settle(sides: &mut [Side; 2]) -> BTreeMap<Fate, usize> {
    let (mut deadline, mut least) = (moment() + PATIENCE, usize::MAX);
    loop {
        let open: usize = sides
            .iter_mut()
            .flat_map(|side| &mut side.senders)
            .map(|sender| sender.book.open_after(&sender.account.told()))
            .sum();
        if open == 0 {
            break;
        }
        if open < least {
            (deadline, least) = (moment() + PATIENCE, open);
        }
        assert!(
            moment() < deadline,
            "{open} messages are unexplained: {:?}",
            sides.each_ref().map(Side::queued)
        );
        std::thread::yield_now();
    }
    let mut arrived: Vec<(String, String)> = Vec::new();
    for sender in sides.iter_mut().flat_map(|side| &mut side.senders) {
        let recipient = sender.account.address().to_owned();
        let ids = sender.account.inbound();
        arrived.extend(ids.into_iter().map(|id| (id, recipient.clone())));
    }
    let books: Vec<_> = all(sides).map(|sender| &sender.book).collect();
    books::check(&books, &arrived).unwrap_or_else(|problem| panic!("{problem}"))
}
