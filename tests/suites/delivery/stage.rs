//! The real service with one account that sends, beside the peers it sends to. The service knows from
//! its configuration where the peers are and whom they trust; nothing else is particular to the test.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use mesh_common::dare::Envelope;
use mesh_common::protocol::{Code, KnownState};
use mesh_tests::client::Client;
use mesh_tests::frames;
use mesh_tests::peer::Simulator;
use mesh_tests::people::{Person, alice};
use mesh_tests::polling;
use mesh_tests::process::{Place, Process};
use mesh_tests::service::DOMAIN;
use mesh_tests::spools::{OUTBOUND, told};
use mesh_tests::wire::{Connection, Tls};
use tempfile::TempDir;

/// Recipients of one Post.
const RECIPIENTS: usize = 32;

/// How long one Status waits for news.
const POLL_SECONDS: u64 = 20;
/// Nothing here takes so long; only a hang does.
pub(crate) const PATIENCE: Duration = Duration::from_secs(300);

/// What every service of these suites is told: no rates, few threads.
const SETTINGS: &str = "frontend.domains = [\"example.com\"]\n\
    frontend.workers = 1\n\
    limits.rate.enabled = false\n";

/// A service that sends to the peers of `simulator`.
pub(crate) struct Stage {
    pub(crate) simulator: Simulator,
    process: Option<Process>,
    place: Place,
    pub(crate) alice: Person,
    pub(crate) client: Client,
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
        let client = Client::with_device_on(connection, &alice);
        Self {
            simulator,
            process: Some(process),
            place,
            alice,
            client,
            _folder: folder,
            made: 0,
        }
    }

    /// The service.
    pub(crate) fn process(&self) -> &Process {
        self.process.as_ref().expect("it runs")
    }

    /// Stops the service and starts it again, where nothing is in memory.
    pub(crate) fn restart(&mut self) {
        let stopped = self.process.take().expect("it runs").stop();
        assert!(stopped.success());
        self.process = Some(self.place.start());
        self.client.connection = self.connect();
    }

    /// A new connection to the service.
    pub(crate) fn connect(&self) -> Connection {
        let process = self.process();
        Tls::trusting(process.ca()).connect(process.https(), DOMAIN)
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

    /// Waits until a measure of the service is at least `value`; false if it never is.
    pub(crate) fn wait_until_measured(&self, name: &str, value: f64) -> bool {
        wait_until(|| self.process().measured(name, "") >= value)
    }

    /// Waits until the service has logged `text`; false if it never does.
    pub(crate) fn wait_until_logged(&self, text: &str) -> bool {
        wait_until(|| self.process().logged().contains(text))
    }

    /// Waits until alice is told `count` things, as her device waits for news, and says which.
    pub(crate) fn wait_until_told(&mut self, count: usize) -> Vec<(String, String, String)> {
        let deadline = moment() + PATIENCE;
        let status = polling::status_of(&self.alice, &[OUTBOUND]);
        let mut answer = self.client.ask(&status);
        loop {
            let known = KnownState::of(answer.must_be(Code::Ok).status().container_status.iter());
            let told = told(&mut self.client);
            if told.len() >= count {
                return told;
            }
            assert!(moment() < deadline, "only this was told: {told:?}");
            let prefer = polling::prefer(POLL_SECONDS, &known);
            answer = self.client.ask_preferring(&status, &prefer);
        }
    }
}

/// A signed message of `person` with `id`.
pub(crate) fn signed(person: &Person, id: &str) -> Envelope {
    let message = frames::message("RequestContact", id, "{\"Subject\":\"hello\"}");
    person.device.signed(message)
}

/// Asks until `holds`; false if it never does.
fn wait_until(holds: impl Fn() -> bool) -> bool {
    let deadline = moment() + PATIENCE;
    while !holds() {
        if moment() > deadline {
            return false;
        }
        std::thread::yield_now();
    }
    true
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
