//! Somebody who asks the cluster: over a connection to one of the front-ends, and over another one to the next
//! when that breaks; again, under the same id, when asked to come back.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use mesh_backend::SystemEntropy;
use mesh_common::entropy::draw;
use mesh_common::protocol::{Code, Request};
use mesh_common::session::client::ClientIdentity;
use mesh_tests::client::{Answer, Circumstances, Client};
use mesh_tests::cluster::{Cluster, Role};
use mesh_tests::people::Person;
use mesh_tests::service::DOMAIN;
use mesh_tests::wire::Tls;

use super::PATIENCE;
use super::events::{Deed, Event};

/// After a connection that was refused.
const TRY_AGAIN_AFTER: Duration = Duration::from_millis(50);

/// How somebody comes back who was asked to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// When the service said.
    Polite,
    /// Soon, whatever the service said: to see when it can.
    Curious,
}

impl Manner {
    fn waits(self, told: Option<Duration>) -> Duration {
        match self {
            Self::Polite => told.unwrap_or(Duration::from_secs(1)),
            Self::Curious => Duration::from_millis(100),
        }
    }
}

/// Somebody who asks.
pub(crate) struct Visitor {
    client: Client,
    tls: Tls,
    doors: Vec<SocketAddr>,
    /// Which of them leads to the front-end it asks.
    door: usize,
    is_connected: bool,
}

impl Visitor {
    /// The owner of an account that is made now.
    pub(super) fn owner(cluster: &Cluster, person: &Person) -> Self {
        let client = Client::with_device_on(cluster.connect(), person);
        Self::with(cluster, client)
    }

    /// The device of an account that is there, in a session of its own.
    pub(super) fn device(cluster: &Cluster, person: &Person) -> Self {
        Self::with(
            cluster,
            Client::on(cluster.connect(), person.device.as_connected()),
        )
    }

    /// A service.
    pub(super) fn service(cluster: &Cluster, identity: ClientIdentity) -> Self {
        Self::with(cluster, Client::on(cluster.connect(), identity))
    }

    fn with(cluster: &Cluster, client: Client) -> Self {
        let doors = cluster.of(Role::Frontend);
        Self {
            client,
            tls: cluster.tls(),
            doors: doors
                .map(|number| cluster.member(number).door().address())
                .collect(),
            door: 0,
            is_connected: true,
        }
    }

    /// Client of the present connection, for what is asked when nothing is wrong any more.
    pub(super) fn client(&mut self) -> &mut Client {
        while !self.is_connected {
            self.connect();
        }
        &mut self.client
    }

    /// Asks until there is an answer that is not a wish to be asked again.
    ///
    /// # Panics
    /// If there never is.
    pub(super) fn carry(
        &mut self,
        request: &Request,
        manner: Manner,
        (deed, account): (Deed, &str),
    ) -> (Answer, Event) {
        let request_id = Some(draw(&mut SystemEntropy));
        let began = moment();
        let mut vain = Vec::new();
        loop {
            assert!(
                moment() - began < PATIENCE,
                "{deed:?} of {account}: {vain:?}"
            );
            match self.ask(request, request_id) {
                Ok(answer) if is_done(&answer) => {
                    let event = Event {
                        deed,
                        account: account.to_owned(),
                        began,
                        ended: moment(),
                        tries: vain.len() + 1,
                        vain,
                    };
                    return (answer, event);
                }
                Ok(answer) if answer.code() == Some(Code::TicketInvalid) => {
                    self.client.ticket = None;
                    vain.push("a ticket that is none".to_owned());
                }
                Ok(answer) => {
                    vain.push(format!("{:?}", answer.code()));
                    let told = answer.http.header("retry-after");
                    let told = told.and_then(|text| text.parse().ok());
                    wait(manner.waits(told.map(Duration::from_secs)));
                }
                Err(error) => vain.push(format!("{:?}", error.kind())),
            }
        }
    }

    fn ask(&mut self, request: &Request, id: Option<[u8; 16]>) -> std::io::Result<Answer> {
        while !self.is_connected {
            self.connect();
        }
        let how = Circumstances {
            request_id: id,
            ..Circumstances::default()
        };
        let answer = self.client.try_ask_as(request, &how);
        self.is_connected = answer
            .as_ref()
            .is_ok_and(|answer| answer.http.header("connection") != Some("close"));
        answer
    }

    /// Connects to the next front-end. One that takes no connections is none whom a load balancer would name,
    /// so this is no try that a client notices.
    fn connect(&mut self) {
        self.door = (self.door + 1) % self.doors.len();
        match self.tls.try_connect(self.doors[self.door], DOMAIN) {
            Ok(connection) => {
                self.client.connection = connection;
                self.is_connected = true;
            }
            Err(_) => wait(TRY_AGAIN_AFTER),
        }
    }
}

/// Whether the service does not ask to be asked again.
fn is_done(answer: &Answer) -> bool {
    !matches!(
        answer.code(),
        Some(Code::Overload | Code::Timeout | Code::TicketInvalid)
    )
}

/// Does nothing for a while.
fn wait(time: Duration) {
    let never = super::Whistle::default();
    never.pause(time);
}

/// The present moment, by the clock that measures durations.
#[expect(
    clippy::disallowed_methods,
    reason = "a scene measures how long requests take"
)]
pub(crate) fn moment() -> Instant {
    Instant::now()
}
