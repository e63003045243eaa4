//! The real service with one account that sends, beside the peers it sends to. The service knows from
//! its configuration where the peers are and whom they trust; nothing else is particular to the test.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use mesh_common::dare::Envelope;
use mesh_common::protocol::{Code, ConstraintsSelect};
use mesh_common::spool::SpoolItem;
use mesh_tests::client::Client;
use mesh_tests::frames;
use mesh_tests::peer::Simulator;
use mesh_tests::people::{Person, alice};
use mesh_tests::process::{Place, Process};
use mesh_tests::service::DOMAIN;
use mesh_tests::wire::Tls;
use tempfile::TempDir;

/// Recipients of one Post.
const RECIPIENTS: usize = 32;
const OUTBOUND: &str = "mmm_Outbound";

/// Nothing here takes so long; only a hang does.
pub(crate) const PATIENCE: Duration = Duration::from_secs(300);

/// What every service of these suites is told: no rates, few threads.
const SETTINGS: &str = "frontend.domains = [\"example.com\"]\n\
    frontend.workers = 1\n\
    limits.rate.enabled = false\n";

/// A service that sends to the peers of `simulator`.
pub(crate) struct Stage {
    pub(crate) simulator: Simulator,
    pub(crate) process: Process,
    pub(crate) alice: Person,
    pub(crate) client: Client,
    _place: Place,
    _folder: TempDir,
    /// Messages made so far: their ids are numbers.
    made: usize,
}

/// When a message was handed to the service, and to whom it goes.
#[derive(Debug, Clone)]
pub(crate) struct Posted {
    pub(crate) id: String,
    pub(crate) recipients: Vec<String>,
    pub(crate) at: Instant,
}

impl Stage {
    /// Starts the service with `settings` beside the usual ones, and makes alice's account. The usual ones
    /// say nothing of what the service does by itself.
    pub(crate) fn new(simulator: Simulator, settings: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let authority = folder.path().join("peers.pem");
        std::fs::write(&authority, simulator.authority().pem()).expect("it can be written");
        let mut text = format!("{SETTINGS}{settings}discovery.authorities = [{authority:?}]\n");
        for (domain, address) in simulator.map() {
            writeln!(text, "discovery.domains.{domain:?} = \"{address}\"").expect("into memory");
        }
        let place = Place::new(&text);
        let process = place.start();
        let alice = alice();
        let connection = Tls::trusting(process.ca()).connect(process.https(), DOMAIN);
        let mut client = Client::on(connection, alice.device.as_connected());
        client.create_account(&alice).must_be(Code::Ok);
        let entry = vec![frames::first(), alice.device.frame(1, "New")];
        let uploaded = client.ask(&frames::upload(frames::DEVICES, entry));
        uploaded.must_be(Code::Ok);
        Self {
            simulator,
            process,
            alice,
            client,
            _place: place,
            _folder: folder,
            made: 0,
        }
    }

    /// Posts one new message to one account of each of `domains`.
    pub(crate) fn post_to(&mut self, domains: &[String]) -> Vec<Posted> {
        domains
            .chunks(RECIPIENTS)
            .map(|domains| self.post(domains, 1).remove(0))
            .collect()
    }

    /// Posts `count` new messages to one account of each of `domains`.
    pub(crate) fn post_many_to(&mut self, domains: &[String], count: usize) -> Vec<Posted> {
        // Enough for few Posts, and few enough for one commit each.
        let at_once = 8;
        let mut posted = Vec::new();
        for domains in domains.chunks(RECIPIENTS) {
            for begin in (0..count).step_by(at_once) {
                posted.extend(self.post(domains, at_once.min(count - begin)));
            }
        }
        posted
    }

    fn post(&mut self, domains: &[String], count: usize) -> Vec<Posted> {
        let recipients: Vec<String> = domains.iter().map(|one| format!("bob@{one}")).collect();
        let ids: Vec<String> = (0..count)
            .map(|number| format!("M-{}", self.made + number))
            .collect();
        self.made += count;
        let messages = ids.iter().map(|id| signed(&self.alice, id)).collect();
        let accounts: Vec<&str> = recipients.iter().map(String::as_str).collect();
        let at = moment();
        let answer = self.client.ask(&frames::post(&accounts, messages));
        answer.must_be(Code::Ok);
        ids.into_iter()
            .map(|id| Posted {
                id,
                recipients: recipients.clone(),
                at,
            })
            .collect()
    }

    /// What the service told alice in her Outbound: message, recipient, state.
    pub(crate) fn told(&mut self) -> Vec<(String, String, String)> {
        let mut told = Vec::new();
        let mut next = 1;
        loop {
            let select = ConstraintsSelect {
                container: Some(OUTBOUND.to_owned()),
                index_min: Some(next),
                ..ConstraintsSelect::default()
            };
            let answer = self.client.ask(&frames::download_select(vec![select]));
            let page = &answer.must_be(Code::Ok).download().updates[0].envelopes;
            if page.is_empty() {
                return told;
            }
            next += i64::try_from(page.len()).expect("pages are short");
            told.extend(page.iter().flat_map(completions));
        }
    }

    /// Waits until a measure of the service is at least `value`; false if it never is.
    pub(crate) fn wait_until_measured(&self, name: &str, value: f64) -> bool {
        let deadline = moment() + PATIENCE;
        while self.process.measured(name, "") < value {
            if moment() > deadline {
                return false;
            }
            std::thread::yield_now();
        }
        true
    }

    /// Waits until alice is told `count` things, and says which.
    pub(crate) fn wait_until_told(&mut self, count: usize) -> Vec<(String, String, String)> {
        let deadline = moment() + PATIENCE;
        loop {
            let told = self.told();
            if told.len() >= count {
                return told;
            }
            assert!(moment() < deadline, "only this was told: {told:?}");
            std::thread::yield_now();
        }
    }
}

/// What one frame of Outbound says of messages.
pub(crate) fn completions(envelope: &Envelope) -> Vec<(String, String, String)> {
    let payload = Some(envelope.payload.as_slice());
    let SpoolItem::Completion {
        recipient: Some(recipient),
        references,
    } = SpoolItem::read(1, &envelope.header, payload)
    else {
        return Vec::new();
    };
    references
        .into_iter()
        .map(|one| (one.message_id, recipient.clone(), one.relationship))
        .collect()
}

/// A signed message of `person` with `id`.
pub(crate) fn signed(person: &Person, id: &str) -> Envelope {
    let message = frames::message("RequestContact", id, "{\"Subject\":\"hello\"}");
    person.device.signed(message)
}

/// The present moment, by the clock that measures durations.
#[expect(
    clippy::disallowed_methods,
    reason = "a scenario measures how long messages take"
)]
pub(crate) fn moment() -> Instant {
    Instant::now()
}

/// What the environment sets `variable` to.
pub(crate) fn number_of(variable: &str, otherwise: usize) -> usize {
    std::env::var(variable).map_or(otherwise, |text| {
        text.parse()
            .unwrap_or_else(|_| panic!("{variable} is not a number: {text}"))
    })
}
