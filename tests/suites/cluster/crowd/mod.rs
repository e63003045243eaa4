//! Those who use the cluster while something happens to it: for each account a writer, for some a reader, and a
//! service of elsewhere that posts to all of them. Each does one thing after the other, at a gentle pace, and
//! remembers when and with how many tries.

mod visitor;

pub(crate) mod events;
mod reader;
mod stranger;
mod writer;

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use mesh_common::address::AccountAddress;
use mesh_common::cluster::PartitionId;
use mesh_tests::books::{self, Book};
use mesh_tests::cluster::Cluster;
use mesh_tests::ledger;
use mesh_tests::peer::Peer;
use mesh_tests::people::Person;

use self::events::{Event, Progress};
use self::reader::Reader;
use self::stranger::{STRANGE, Stranger};
pub(crate) use self::visitor::Manner;
use self::visitor::Visitor;
pub(crate) use self::visitor::moment;
use self::writer::Writer;

/// Between two things that somebody does.
const PACE: Duration = Duration::from_millis(120);
/// Between two looks at what is not there yet.
const LOOK_AGAIN_AFTER: Duration = Duration::from_millis(50);
/// Nothing here takes so long; only a hang does.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// Tells everybody when to stop.
#[derive(Debug, Default)]
struct Whistle {
    is_over: Mutex<bool>,
    blown: Condvar,
}

impl Whistle {
    /// Waits for a while; true if it is over.
    fn pause(&self, time: Duration) -> bool {
        let is_over = self.is_over.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.blown.wait_timeout_while(is_over, time, |over| !*over);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }

    fn blow(&self) {
        *self.is_over.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.blown.notify_all();
    }
}

/// Blows when it is dropped: nobody goes on because a test has failed.
struct Whistler<'a>(&'a Whistle);

impl Drop for Whistler<'_> {
    fn drop(&mut self) {
        self.0.blow();
    }
}

/// Everybody.
pub(crate) struct Crowd {
    writers: Vec<Writer>,
    readers: Vec<Reader>,
    stranger: Stranger,
    /// The service of elsewhere, which posts here and is posted to.
    peer: Arc<Peer>,
}

impl Crowd {
    /// One account at each of `addresses`, with a writer; every other one with a reader. `peer` posts to all.
    pub(crate) fn gather(cluster: &Cluster, addresses: &[String], peer: &Arc<Peer>) -> Self {
        let visitor = Visitor::service(cluster, peer.as_client());
        let sender = Person::at("stranger", &peer.account("stranger"));
        let mut crowd = Self {
            writers: Vec::new(),
            readers: Vec::new(),
            stranger: Stranger::new(visitor, sender, addresses),
            peer: Arc::clone(peer),
        };
        for (number, address) in addresses.iter().enumerate() {
            let person = Person::at(address, address);
            let next = &addresses[(number + 1) % addresses.len()];
            let recipients = [next.clone(), peer.account("recipient")];
            let owner = Visitor::owner(cluster, &person);
            let writer = Writer::new(owner, person.clone(), recipients);
            if number % 2 == 0 {
                let device = Visitor::device(cluster, &person);
                let reader = Reader::new(device, address, writer.acknowledged());
                crowd.readers.push(reader);
            }
            crowd.writers.push(writer);
        }
        crowd
    }

    /// Whether somebody reads this account.
    pub(crate) fn is_read(&self, account: &str) -> bool {
        self.readers
            .iter()
            .any(|reader| reader.account() == account)
    }

    /// Lets everybody go on while `during` happens, and returns what that returned and what they saw.
    pub(crate) fn beside<T>(
        &mut self,
        manner: Manner,
        during: impl FnOnce(&Progress) -> T,
    ) -> (T, Vec<Event>) {
        let (whistle, progress) = (Whistle::default(), Progress::default());
        let happened = std::thread::scope(|scope| {
            let (whistle, progress) = (&whistle, &progress);
            for writer in &mut self.writers {
                scope.spawn(move || {
                    while !whistle.pause(PACE) {
                        writer.act(manner, progress);
                    }
                });
            }
            for reader in &mut self.readers {
                scope.spawn(move || {
                    while !whistle.pause(PACE) {
                        reader.act(manner, progress);
                    }
                });
            }
            let stranger = &mut self.stranger;
            scope.spawn(move || {
                while !whistle.pause(PACE / 2) {
                    stranger.act(manner, progress);
                }
            });
            let _whistler = Whistler(whistle);
            during(progress)
        });
        (happened, progress.into_events())
    }

    /// Insists that everything that was acknowledged is there exactly once, where it was said to be, and in
    /// order; and that every container is what its digests say.
    pub(crate) fn settle(&mut self) -> Totals {
        let mut totals = Totals::default();
        for writer in &mut self.writers {
            let frames = writer.frames();
            ledger::check(&frames, [writer.ledger()].into_iter())
                .unwrap_or_else(|problem| panic!("{}: {problem}", writer.address()));
            totals.frames += writer.ledger().len();
        }
        self.wait_until_all_is_told();
        let mut arrived = Vec::new();
        for writer in &mut self.writers {
            let ids = writer.inbound();
            in_order(&ids).unwrap_or_else(|problem| panic!("{}: {problem}", writer.address()));
            let recipient = writer.address().to_owned();
            arrived.extend(ids.into_iter().map(|id| (id, recipient.clone())));
        }
        let elsewhere = self.peer.seen().messages.into_keys();
        arrived.extend(elsewhere.map(|(recipient, id)| (id, recipient)));
        totals.messages = arrived.len();
        let of_writers = self.writers.iter().map(Writer::book);
        let books: Vec<&Book> = of_writers.chain([self.stranger.book()]).collect();
        books::check(&books, &arrived).unwrap_or_else(|problem| panic!("{problem}"));
        totals
    }

    /// Waits until every sender knows what became of its messages, and every message of the stranger's is
    /// where it was said to go.
    fn wait_until_all_is_told(&mut self) {
        let mut open = 0;
        let all_is_told = eventually(|| {
            open = self.writers.iter_mut().map(Writer::open).sum();
            let arrived: usize = self.writers.iter_mut().map(Writer::strange_messages).sum();
            open += self.stranger.book().len().saturating_sub(arrived);
            open == 0
        });
        assert!(all_is_told, "{open} messages are unexplained");
    }
}

/// What was there in the end.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Totals {
    /// Frames that were acknowledged, and are there.
    pub(crate) frames: usize,
    /// Messages that were accepted, and are there.
    pub(crate) messages: usize,
}

/// Whether the messages of each sender of this service stand in the order in which it sent them, each being
/// accepted before the next was sent: ids are `sender/number`. Those of other services may overtake each
/// other: one that is left in the intake waits for an owner, and the next one may find it.
fn in_order(ids: &[String]) -> Result<(), String> {
    let mut last = BTreeMap::<&str, u64>::new();
    for id in ids.iter().filter(|id| !id.starts_with(STRANGE)) {
        let (sender, number) = id.rsplit_once('/').ok_or("an id of nobody's")?;
        let number: u64 = number.parse().map_err(|_| "an id without a number")?;
        if last
            .insert(sender, number)
            .is_some_and(|last| last >= number)
        {
            return Err(format!("{id} stands behind a later one"));
        }
    }
    Ok(())
}

/// The partition of an address.
pub(crate) fn partition_of(address: &str) -> PartitionId {
    let address = AccountAddress::parse(address).expect("tests use addresses");
    PartitionId::of(&address)
}

/// Waits until `holds`; false if it never does.
pub(crate) fn eventually(mut holds: impl FnMut() -> bool) -> bool {
    let (deadline, between) = (moment() + PATIENCE, Whistle::default());
    while !holds() {
        if moment() > deadline {
            return false;
        }
        between.pause(LOOK_AGAIN_AFTER);
    }
    true
}

#[test]
fn messages_out_of_order_are_found() {
    let ids = |ids: &[&str]| ids.iter().map(|&id| id.to_owned()).collect::<Vec<_>>();
    assert_eq!(in_order(&ids(&["a/1", "b/1", "a/3", "b/2"])), Ok(()));
    assert!(in_order(&ids(&["a/2", "b/1", "a/1"])).is_err());
    assert!(in_order(&ids(&["a/2", "a/2"])).is_err());
    assert_eq!(in_order(&ids(&["strange/2", "strange/1"])), Ok(()));
}
