//! Messages for other services, from the queue to what their senders are told: over a store that behaves
//! and one that does not, towards peers that the tests play themselves.

mod ends;
mod faults;
mod nodes;
mod orders;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;

use mesh_common::account::intake::DeliveryKey;
use mesh_common::cluster::handle::BoxFuture;
use mesh_common::delivery::{
    Answered, Attempt, Class, End, ItemId, QueueItem, ShardId, Unreachable,
};
use mesh_common::spool::MessageState;
use tokio::sync::{Notify, Semaphore};

use super::*;
use crate::outbound::{Carrier, Outbound, OutboundConfig, Transfer, rows};
use crate::partition::records::{self, Intakes, Rows};
use crate::store::keys::{self, AccountKeys};
use crate::store::{Read, Tx, TxOptions, walk};

/// How a played peer answers: by the message, and how often it came before.
type Answers = dyn Fn(&Transfer, u32) -> End + Send + Sync;

/// Peers, played.
struct Played {
    answers: Box<Answers>,
    seen: Mutex<Seen>,
    clock: Arc<StoryClock>,
    /// Transfers end while there are permits; those of who has none wait.
    gate: Semaphore,
    came: Notify,
}

#[derive(Default)]
struct Seen {
    /// How often each message came, by its id.
    times: BTreeMap<String, u32>,
    /// In the order in which they came.
    order: Vec<Transfer>,
    in_flight: BTreeSet<(String, String)>,
    most_in_flight: usize,
}

impl Played {
    fn new(
        clock: &Arc<StoryClock>,
        answers: impl Fn(&Transfer, u32) -> End + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Self {
            answers: Box::new(answers),
            seen: Mutex::default(),
            clock: Arc::clone(clock),
            gate: Semaphore::new(Semaphore::MAX_PERMITS),
            came: Notify::new(),
        })
    }

    /// Peers whose transfers do not end before [`Self::open`].
    fn shut(
        clock: &Arc<StoryClock>,
        answers: impl Fn(&Transfer, u32) -> End + Send + Sync + 'static,
    ) -> Arc<Self> {
        let played = Self::new(clock, answers);
        played.gate.forget_permits(Semaphore::MAX_PERMITS);
        played
    }

    fn open(&self) {
        self.gate.add_permits(Semaphore::MAX_PERMITS / 2);
    }

    fn times(&self, message: &str) -> u32 {
        let seen = self.seen.lock().unwrap();
        seen.times.get(message).copied().unwrap_or_default()
    }

    fn order(&self) -> Vec<Transfer> {
        self.seen.lock().unwrap().order.clone()
    }

    fn most_in_flight(&self) -> usize {
        self.seen.lock().unwrap().most_in_flight
    }

    /// Waits until `count` transfers have begun.
    async fn came(&self, count: usize) {
        while self.seen.lock().unwrap().order.len() < count {
            self.came.notified().await;
        }
    }

    fn begin(&self, transfer: &Transfer) -> u32 {
        let id = id_of(transfer);
        let mut seen = self.seen.lock().unwrap();
        let times = seen.times.entry(id.clone()).or_default();
        let before = *times;
        *times += 1;
        let is_new = seen.in_flight.insert((id, transfer.recipient.to_string()));
        assert!(is_new, "an item is never in flight twice in one life");
        seen.most_in_flight = seen.most_in_flight.max(seen.in_flight.len());
        seen.order.push(transfer.clone());
        drop(seen);
        self.came.notify_one();
        before
    }
}

fn id_of(transfer: &Transfer) -> String {
    String::from_utf8(transfer.envelope.payload.0.clone()).unwrap()
}

/// Takes the transfer out of the air, however it ends.
struct Landing<'a>(&'a Played, (String, String));

impl Drop for Landing<'_> {
    fn drop(&mut self) {
        let seen = self.0.seen.lock();
        let mut seen = seen.unwrap_or_else(std::sync::PoisonError::into_inner);
        seen.in_flight.remove(&self.1);
    }
}

impl Carrier for Played {
    fn carry(&self, transfer: Transfer) -> BoxFuture<'_, Attempt> {
        Box::pin(async move {
            let before = self.begin(&transfer);
            let key = (id_of(&transfer), transfer.recipient.to_string());
            let _landing = Landing(self, key);
            let permit = self.gate.acquire().await.unwrap();
            permit.forget();
            Attempt {
                end: (self.answers)(&transfer, before),
                exchange: Duration::from_millis(20),
                at: self.clock.now(),
            }
        })
    }
}

/// An answer of a peer.
fn answer(status: u16, extended: Option<u16>) -> End {
    End::Answered(Answered {
        status,
        extended,
        text: format!("code {status}"),
        retry_after: None,
    })
}

fn unreachable() -> End {
    End::Unreachable(Unreachable::Connect("refused".to_owned()))
}

fn received(_: &Transfer, _: u32) -> End {
    answer(201, None)
}

/// A message of `sender` for `recipient`, as it is accepted at `now`.
fn queued(sender: &Person, recipient: &str, message: &str, now: Timestamp) -> QueueItem {
    let mut id = [0; 16];
    id.copy_from_slice(&payload_digest(format!("{message} {recipient}").as_bytes())[..16]);
    QueueItem {
        id: ItemId(id),
        sender: sender.address.clone(),
        recipient: AccountAddress::parse(recipient).unwrap(),
        unique_id: message.to_owned(),
        message_type: "RequestContact".to_owned(),
        class: Class::Interactive,
        bytes: 100,
        enqueued_at: now,
        expires_at: now + Duration::from_secs(72 * 3_600),
        due_at: now,
        attempts: 0,
        attempts_internal: 0,
        told_delayed: false,
        last_trouble: None,
        charged_to: None,
    }
}

impl<S: Store> Scene<S> {
    /// Puts items into the queue in one commit, and rings.
    async fn put_in_queue(&self, items: &[QueueItem]) {
        let rows = self.enqueue_silently(items).await;
        rows.tell_queued(&self.backend.inner.shared, None);
    }

    /// The same, and nobody is told.
    async fn enqueue_silently(&self, items: &[QueueItem]) -> Rows {
        loop {
            let mut rows = Rows::default();
            for item in items {
                let body = rows::encode_body(&Envelope::plain(item.unique_id.as_bytes()));
                rows.enqueue(item, body);
            }
            let mut tx = self.store.begin(TxOptions::default());
            rows.fill(&mut tx, Intakes::new(1, None));
            if tx.commit().await.is_ok() {
                return rows;
            }
        }
    }

    async fn deliver(&self, carrier: &Arc<Played>) -> Outbound<S> {
        let carrier: Arc<dyn Carrier> = Arc::<Played>::clone(carrier);
        let config = OutboundConfig::default();
        self.backend.start_outbound(&config, carrier).await.unwrap()
    }

    /// Everything that waits, as it lies in the store.
    async fn in_queue(&self) -> Vec<QueueItem> {
        let mut items = Vec::new();
        for row in self.rows_of(keys::all_queues()).await {
            if keys::parse_queue_item(&row.key).is_some() {
                items.extend(rows::item(&row.value));
            }
        }
        items
    }

    async fn rows_of(&self, range: crate::store::KeyRange) -> Vec<crate::store::Row> {
        let tx = self.store.begin(TxOptions::default());
        walk::rows(&tx, range, Read::Snapshot).await.unwrap()
    }

    /// What the sender was told last of a message for a recipient.
    async fn state_told(
        &self,
        sender: &Person,
        message: &str,
        recipient: &str,
    ) -> Option<MessageState> {
        self.backend.drain().await;
        let tx = self.store.begin(TxOptions::default());
        let row = tx.get(&keys::dir(&sender.address), Read::Snapshot).await;
        let entry = crate::partition::directory(&row.unwrap().unwrap()).unwrap();
        let mesh_common::account::DirectoryEntry::Account(account) = entry else {
            panic!("the sender has an account");
        };
        let hash = records::delivery_hash(&DeliveryKey {
            unique_id: message.to_owned(),
            recipient: recipient.to_owned(),
        });
        let key = AccountKeys::of(account).delivery(hash);
        let row = tx.get(&key, Read::Snapshot).await.unwrap()?;
        Some(records::delivery(&row).unwrap().state)
    }

    /// How many completions stand in the sender's Outbound.
    async fn completions(&self, sender: &Person) -> u64 {
        self.backend.drain().await;
        // Who was woken may have drained before, and not shown it yet.
        self.backend.drains_are_shown().await;
        let status = self.status(sender).await;
        let outbound = status
            .iter()
            .find(|row| row.container.as_deref() == Some("mmm_Outbound"));
        // Frame 0 is the container's own.
        outbound.map_or(0, |row| row.index.unwrap().saturating_sub(1))
    }

    async fn is_empty(&self) -> bool {
        let bodies = crate::store::KeyRange::prefix(&[0x31]);
        self.in_queue().await.is_empty() && self.rows_of(bodies).await.is_empty()
    }
}

impl Scene<MemoryStore> {
    /// The process is gone, and another one starts over the same store. Whoever still worked in it is gone
    /// before: it might claim again what the other one has claimed.
    async fn crash(&mut self) {
        for thread in self.backend.inner.end_threads() {
            let _ended = thread.join();
        }
        self.backend = start(&self.store, BackendConfig::default(), &self.clock).await;
    }
}

#[actix::test]
async fn a_message_is_sent_and_its_sender_learns_what_became_of_it() {
    let (scene, alice) = (Scene::new().await, Person::new("alice"));
    scene.create(&alice).await;
    let played = Played::shut(&scene.clock, |transfer, _| {
        match transfer.recipient.user() {
            "taken" => answer(202, None),
            "nobody" => answer(404, Some(6)),
            "cross" => answer(403, Some(5)),
            _ => answer(201, None),
        }
    });
    let outbound = scene.deliver(&played).await;
    let cases = [
        ("bob@peer.example", MessageState::Received),
        ("taken@peer.example", MessageState::Sent),
        ("nobody@peer.example", MessageState::Failed),
        ("cross@peer.example", MessageState::Refused),
    ];
    let items = cases.map(|(recipient, _)| queued(&alice, recipient, "M1", scene.now()));
    scene.put_in_queue(&items).await;
    assert_eq!(outbound.depth_of_destination("peer.example").items, 4);
    played.open();
    outbound.idle().await.unwrap();
    for (recipient, state) in cases {
        let told = scene.state_told(&alice, "M1", recipient).await;
        assert_eq!(told, Some(state), "{recipient}");
    }
    assert!(scene.is_empty().await);
    assert_eq!(outbound.depth_of_destination("peer.example").items, 0);
    assert_eq!(outbound.depth_of_tenant("example.com").items, 0);
    let first = &played.order()[0];
    assert_eq!(first.from, "example.com");
    assert_eq!(first.route, None);
}

#[actix::test]
async fn a_busy_peer_gets_the_message_later_and_the_attempt_counts() {
    let (scene, alice) = (Scene::new().await, Person::new("alice"));
    scene.create(&alice).await;
    let played = Played::new(&scene.clock, |_, before| match before {
        0 => answer(503, None),
        _ => answer(201, None),
    });
    let outbound = scene.deliver(&played).await;
    let item = queued(&alice, "bob@peer.example", "M1", scene.now());
    scene.put_in_queue(std::slice::from_ref(&item)).await;
    outbound.idle().await.unwrap();
    let waiting = scene.in_queue().await;
    assert_eq!(waiting[0].attempts, 1);
    assert!(waiting[0].due_at >= scene.now() + Duration::from_secs(7));
    assert!(waiting[0].last_trouble.is_some());
    assert_eq!(
        scene.state_told(&alice, "M1", "bob@peer.example").await,
        None
    );
    scene.clock.advance(Duration::from_secs(13));
    outbound.idle().await.unwrap();
    let told = scene.state_told(&alice, "M1", "bob@peer.example").await;
    assert_eq!(told, Some(MessageState::Received));
    assert!(scene.is_empty().await);
}

#[actix::test]
async fn being_unreachable_is_no_evidence_about_a_message() {
    let (scene, alice) = (Scene::new().await, Person::new("alice"));
    let played = Played::new(&scene.clock, |_, _| unreachable());
    let outbound = scene.deliver(&played).await;
    let item = queued(&alice, "bob@dead.example", "M1", scene.now());
    scene.put_in_queue(std::slice::from_ref(&item)).await;
    for _ in 0..20 {
        outbound.idle().await.unwrap();
        scene.clock.advance(Duration::from_secs(1));
    }
    outbound.idle().await.unwrap();
    assert_eq!(scene.in_queue().await, [item]);
    let states = crate::desk::PoolDesk::destinations(&outbound)
        .await
        .unwrap();
    let away = matches!(states[0].phase, crate::desk::Phase::Away { .. });
    assert!(away, "{states:?}");
    // The breaker is open: a black hole costs its window, then one probe per interval.
    assert!(played.times("M1") <= 8, "{}", played.times("M1"));
    let record = scene.rows_of(keys::all_queues()).await;
    let record = rows::destination(&record[0].value).unwrap();
    assert!(record.reopens_at.is_some());
}

#[actix::test]
async fn what_nobody_was_told_of_is_found_by_looking() {
    let (scene, alice) = (Scene::new().await, Person::new("alice"));
    let played = Played::new(&scene.clock, received);
    let before = queued(&alice, "bob@one.example", "before", scene.now());
    scene.enqueue_silently(&[before]).await;
    let outbound = scene.deliver(&played).await;
    outbound.idle().await.unwrap();
    assert_eq!(played.times("before"), 1);
    let after = queued(&alice, "bob@two.example", "after", scene.now());
    scene.enqueue_silently(&[after]).await;
    scene.clock.advance(Duration::from_secs(2));
    outbound.idle().await.unwrap();
    assert_eq!(played.times("after"), 1);
}

#[actix::test]
async fn what_was_there_before_is_counted_once() {
    let (mut scene, alice) = (Scene::new().await, Person::new("alice"));
    let played = Played::shut(&scene.clock, received);
    let items: Vec<_> = (0..600)
        .map(|number| {
            let recipient = format!("bob@d{}.example", number % 3);
            queued(&alice, &recipient, &format!("M{number}"), scene.now())
        })
        .collect();
    scene.enqueue_silently(&items).await;
    scene.restart().await;
    scene.clock.advance(Duration::from_secs(1));
    let outbound = scene.deliver(&played).await;
    played.came(1).await;
    assert_eq!(outbound.depth_of_destination("d0.example").items, 200);
    assert_eq!(outbound.depth_of_tenant("example.com").items, 600);
    assert_eq!(outbound.depth_of_tenant("example.com").bytes, 60_000);
    played.open();
    scene.backend.stop().await;
}

#[actix::test]
async fn a_thousand_messages_to_one_peer_all_arrive_once() {
    let (scene, alice) = (Scene::new().await, Person::new("alice"));
    scene.create(&alice).await;
    let played = Played::new(&scene.clock, received);
    let outbound = scene.deliver(&played).await;
    let items: Vec<_> = (0..1_000)
        .map(|number| {
            queued(
                &alice,
                "bob@peer.example",
                &format!("M{number}"),
                scene.now(),
            )
        })
        .collect();
    for some in items.chunks(100) {
        scene.put_in_queue(some).await;
    }
    // Windows grow with time, which stands still here but for this.
    while !scene.is_empty().await {
        scene.clock.advance(Duration::from_millis(100));
        outbound.idle().await.unwrap();
    }
    assert!((0..1_000).all(|number| played.times(&format!("M{number}")) == 1));
    assert!(played.most_in_flight() <= 100);
    assert_eq!(scene.completions(&alice).await, 1_000);
}

#[actix::test]
async fn a_peer_that_speaks_is_tried_at_once() {
    let (scene, alice) = (Scene::new().await, Person::new("alice"));
    let is_back = Arc::new(AtomicBool::new(false));
    let back = Arc::clone(&is_back);
    let played = Played::new(&scene.clock, move |_, _| {
        if back.load(Ordering::SeqCst) {
            answer(201, None)
        } else {
            unreachable()
        }
    });
    let outbound = scene.deliver(&played).await;
    let item = queued(&alice, "bob@peer.example", "M1", scene.now());
    scene.put_in_queue(&[item]).await;
    // By then the breaker is open for minutes.
    for _ in 0..120 {
        outbound.idle().await.unwrap();
        scene.clock.advance(Duration::from_secs(1));
    }
    outbound.idle().await.unwrap();
    is_back.store(true, Ordering::SeqCst);
    let before = played.times("M1");
    outbound.idle().await.unwrap();
    assert_eq!(played.times("M1"), before);
    scene.backend.heard_from("peer.example");
    outbound.idle().await.unwrap();
    assert_eq!(played.times("M1"), before + 1);
    assert!(scene.is_empty().await);
}

/// However many destinations have something to be sent, no more are in memory than may be; those that do
/// not answer make room, and come back in time.
#[actix::test]
async fn destinations_that_do_not_answer_leave_room_in_memory_for_others() {
    const MAX: u32 = 16;
    let (scene, alice) = (Scene::new().await, Person::new("alice"));
    let is_back = Arc::new(AtomicBool::new(false));
    let back = Arc::clone(&is_back);
    let played = Played::new(&scene.clock, move |transfer, _| {
        if back.load(Ordering::SeqCst) || transfer.recipient.domain() == "good.example" {
            answer(201, None)
        } else {
            unreachable()
        }
    });
    let config = OutboundConfig {
        destinations_max: MAX,
        ..OutboundConfig::default()
    };
    let carrier: Arc<dyn Carrier> = Arc::<Played>::clone(&played);
    let outbound = scene.backend.start_outbound(&config, carrier);
    let outbound = outbound.await.unwrap();
    let items: Vec<_> = (0..64)
        .map(|number| {
            let recipient = format!("bob@dead{number}.example");
            queued(&alice, &recipient, &format!("M{number}"), scene.now())
        })
        .collect();
    scene.put_in_queue(&items).await;
    let mut seconds = 0;
    while items.iter().any(|item| played.times(&item.unique_id) == 0) {
        seconds += 1;
        assert!(seconds < 3_600, "every destination is tried");
        scene.clock.advance(Duration::from_secs(1));
        outbound.idle().await.unwrap();
        let totals = outbound.totals().await.unwrap();
        assert!(totals.destinations <= MAX as usize, "{totals:?}");
    }
    let good = queued(&alice, "bob@good.example", "good", scene.now());
    scene.put_in_queue(&[good]).await;
    for _ in 0..60 {
        scene.clock.advance(Duration::from_secs(1));
        outbound.idle().await.unwrap();
    }
    assert_eq!(played.times("good"), 1);
    is_back.store(true, Ordering::SeqCst);
    let mut minutes = 0;
    while !scene.is_empty().await {
        minutes += 1;
        assert!(minutes < 120, "the queue empties");
        scene.clock.advance(Duration::from_secs(60));
        outbound.idle().await.unwrap();
    }
}

#[actix::test]
async fn a_queue_whose_time_is_over_is_given_up_page_by_page() {
    let (scene, alice) = (Scene::new().await, Person::new("alice"));
    scene.create(&alice).await;
    let items: Vec<_> = (0..600)
        .map(|number| {
            queued(
                &alice,
                "bob@peer.example",
                &format!("M{number}"),
                scene.now(),
            )
        })
        .collect();
    scene.enqueue_silently(&items).await;
    scene.clock.advance(Duration::from_secs(100 * 3_600));
    let played = Played::new(&scene.clock, received);
    let outbound = scene.deliver(&played).await;
    for _ in 0..20 {
        outbound.idle().await.unwrap();
        scene.clock.advance(Duration::from_secs(1));
    }
    assert!(scene.is_empty().await);
    assert!(played.order().is_empty());
    assert_eq!(scene.completions(&alice).await, 600);
}
