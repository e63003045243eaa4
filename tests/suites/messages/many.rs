//! 1,000 messages to one recipient from 100 senders at once, with one reply in ten lost and the
//! request repeated: exactly 1,000 entries, in the order of each sender.

use std::collections::BTreeMap;

use mesh_common::encoding::json;
use mesh_common::protocol::{Code, Request};
use mesh_tests::client::{Circumstances, Client};
use mesh_tests::frames;
use mesh_tests::people::Person;
use mesh_tests::service::TestService;
use mesh_tests::wire::HttpRequest;

use super::{INBOUND, OUTBOUND, count, ended, signed, spool};

const SENDERS: usize = 100;
const MESSAGES: usize = 10;

/// What the sender knows of a reply that is lost.
#[derive(Clone, Copy)]
enum Loss {
    /// It came, and was forgotten: the same request again, on the same connection.
    Forgotten,
    /// The connection broke before it came: the same request again, while the first may still run.
    Broken,
    /// The same, and the device has forgotten the request too: the same message in another request.
    Renewed,
}

#[test]
fn a_thousand_messages_with_lost_replies_arrive_once_and_in_order() {
    let service = TestService::with(|config| {
        let inbound = &mut config.backend.policy.inbound;
        inbound.stranger_per_sender_day = 1_000;
        inbound.stranger_per_recipient_day = 10_000;
    });
    let hub = Person::named("hub");
    let mut hubs = Client::of_new_account_with_device(&service, &hub);
    let mut senders: Vec<Sender> = (0..SENDERS)
        .map(|number| Sender::new(&service, number))
        .collect();
    let lost: usize = std::thread::scope(|scope| {
        let (service, hub) = (&service, hub.address.as_str());
        let sending: Vec<_> = senders
            .iter_mut()
            .map(|sender| scope.spawn(move || sender.send_all(service, hub)))
            .collect();
        let lost = sending
            .into_iter()
            .map(|one| one.join().expect("every sender sends"));
        lost.sum()
    });
    assert_eq!(lost, SENDERS * MESSAGES / 10);
    // In turn, so that no connection is idle for too long.
    while {
        count(&mut hubs, INBOUND);
        let waiting = senders.iter_mut().filter_map(|sender| {
            let is_told = count(&mut sender.client, OUTBOUND) > 2 * MESSAGES as u64;
            (!is_told).then_some(())
        });
        waiting.count() > 0
    } {}
    for sender in &mut senders {
        sender.is_told_everything();
    }

    // An intake is drained in its order: when this one is there, nothing is left behind it.
    let last = Person::named("last");
    let mut lasts = Client::of_new_account_with_device(&service, &last);
    let message = signed(&last, "RequestContact", "last", "{}");
    lasts
        .ask(&frames::post(&[&hub.address], vec![message]))
        .must_be(Code::Ok);
    ended(&mut lasts, 1);
    let arrived = spool(&mut hubs, INBOUND);
    assert_eq!(arrived.len(), SENDERS * MESSAGES + 1);
    let mut by_sender: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for envelope in &arrived[..SENDERS * MESSAGES] {
        let id = envelope
            .header
            .content_meta()
            .expect("it reads")
            .unique_id
            .expect("it has one");
        let (sender, number) = id.rsplit_once('-').expect("ids have a sender and a number");
        let number = number.parse().expect("it is a number");
        by_sender.entry(sender.to_owned()).or_default().push(number);
    }
    assert_eq!(by_sender.len(), SENDERS);
    let in_order: Vec<usize> = (0..MESSAGES).collect();
    assert!(
        by_sender.values().all(|numbers| *numbers == in_order),
        "{by_sender:?}"
    );
}

/// Somebody with an account and ten messages.
struct Sender {
    number: usize,
    person: Person,
    client: Client,
}

impl Sender {
    fn new(service: &TestService, number: usize) -> Self {
        let person = Person::named(&format!("sender{number}"));
        let client = Client::of_new_account_with_device(service, &person);
        Self {
            number,
            person,
            client,
        }
    }

    /// Sends all messages; how many replies were lost.
    fn send_all(&mut self, service: &TestService, hub: &str) -> usize {
        let mut lost = 0;
        for message in 0..MESSAGES {
            let id = format!("sender{}-{message}", self.number);
            let body = "{\"Subject\":\"one of many\"}";
            let envelope = signed(&self.person, "RequestContact", &id, body);
            let request = frames::post(&[hub], vec![envelope]);
            let loss = [Loss::Forgotten, Loss::Broken, Loss::Renewed][self.number % 3];
            let is_lost = (self.number + message).is_multiple_of(10);
            lost += usize::from(is_lost);
            self.send(service, &request, is_lost.then_some(loss));
        }
        lost
    }

    fn send(&mut self, service: &TestService, request: &Request, loss: Option<Loss>) {
        let client = &mut self.client;
        let mut draw = || Circumstances {
            request_id: Some(mesh_common::entropy::draw(&mut client.entropy)),
            ..Circumstances::default()
        };
        let (mut how, other) = (draw(), draw());
        match loss {
            None => {}
            Some(Loss::Forgotten) => {
                let _forgotten = client.by_ticket_as(request, &how);
            }
            Some(Loss::Broken | Loss::Renewed) => {
                let (envelope, _pending) = client.seal_ticket(&json::write(request), &how);
                let octets = HttpRequest::post(json::write(&envelope)).octets();
                let written = client.connection.write(&octets);
                written.expect("the service takes it");
                client.connection = service.connect();
            }
        }
        if matches!(loss, Some(Loss::Renewed)) {
            how = other;
        }
        // A service that is busy says so, and the device asks again.
        loop {
            let answer = client.by_ticket_as(request, &how);
            match answer.code() {
                Some(Code::Overload | Code::Timeout) => std::thread::yield_now(),
                _ => {
                    answer.must_be(Code::Ok);
                    return;
                }
            }
        }
    }

    /// Waits for what became of each message.
    fn is_told_everything(&mut self) {
        let told = ended(&mut self.client, MESSAGES);
        assert_eq!(told.len(), MESSAGES, "{told:?}");
        assert!(told.iter().all(|one| one.2 == "Received"), "{told:?}");
    }
}
