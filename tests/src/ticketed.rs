//! A device with a ticket, as benches use it: it asks Status as often as they like, and checks every
//! answer.

use std::error::Error;
use std::path::Path;

use mesh_backend::{SystemClock, SystemEntropy};
use mesh_client::Client;
use mesh_client::account::NewAccount;
use mesh_client::transport::WELL_KNOWN_PATH;
use mesh_common::address::AccountAddress;
use mesh_common::crypto::digest::sha512;
use mesh_common::dare::Envelope;
use mesh_common::encoding::base64url::Binary;
use mesh_common::encoding::json;
use mesh_common::protocol::{Code, HelloRequest, Request, Response, StatusRequest};
use mesh_common::session::client::{ClientIdentity, ClientSession, Pending, ServiceIdentity};
use mesh_common::session::{Body, read_body};
use mesh_common::time::Clock as _;

use crate::load::{Answer, Fleet};

/// What benches come to, or why they cannot.
pub type Outcome<T> = Result<T, Box<dyn Error>>;

/// Its account.
const ADDRESS: &str = "alice@localhost";

/// A device of the measured service, with a ticket.
pub struct TicketedDevice {
    session: ClientSession,
    status: Request,
    containers: usize,
}

impl TicketedDevice {
    /// Makes an account with its containers at the service that `fleet` leads to, then a ticket by one
    /// more exchange. `folder` is the device's, `authority` the certificate to trust.
    ///
    /// # Errors
    /// The service does not do it.
    pub async fn join(
        folder: &Path,
        fleet: &mut Fleet,
        url: String,
        authority: &str,
    ) -> Outcome<Self> {
        let mut client = Client::open(folder)?;
        let report = client
            .create_account(&NewAccount {
                address: AccountAddress::parse(ADDRESS)?,
                service_url: Some(url),
                authorities: Some(authority.to_owned()),
                device: None,
            })
            .await?;
        let (state, identity) = client
            .state()
            .zip(client.identity())
            .ok_or("the account was not kept")?;
        let mut device = Self {
            session: ClientSession::new(
                greet(fleet)?,
                ClientIdentity::connected_to_account(
                    identity.enveloped_connection_account.clone(),
                    None,
                    identity.in_account.authentication.clone(),
                    ADDRESS.to_owned(),
                ),
            ),
            status: Request::Status(StatusRequest {
                account: Some(ADDRESS.to_owned()),
                profile_master_digest: Some(Binary::from(sha512(&[state
                    .profile_mesh
                    .payload
                    .as_slice()]))),
                ..StatusRequest::default()
            }),
            containers: report.containers.len(),
        };
        device.fetch_ticket(fleet)?;
        Ok(device)
    }

    fn fetch_ticket(&mut self, fleet: &mut Fleet) -> Outcome<()> {
        let (body, pending) = self.sealed()?;
        let volley = fleet.fire(WELL_KNOWN_PATH, &[body])?;
        let answer = volley.answers.first().ok_or("no answer")?;
        let opened = pending.open_sealed(&envelope(answer)?)?;
        let session = ClientSession::new(
            self.session.service().clone(),
            self.session.client().clone(),
        );
        self.session = session.with_ticket(opened.ticket);
        self.session
            .ticket()
            .map(drop)
            .ok_or_else(|| "the exchange brought no ticket".into())
    }

    /// How many containers its account has.
    #[must_use]
    pub const fn containers(&self) -> usize {
        self.containers
    }

    /// One Status of its own RequestID and salt, and what opens the answer.
    ///
    /// # Errors
    /// It cannot be sealed.
    pub fn sealed(&self) -> Outcome<(Vec<u8>, Pending)> {
        let now = SystemClock.now();
        let (envelope, pending) = self
            .session
            .request(now, &mut SystemEntropy, &self.status)?;
        Ok((json::write(&envelope), pending))
    }

    /// Opens the answer: it must be a success with all containers and without the profile.
    ///
    /// # Errors
    /// It is something else.
    pub fn check(&self, pending: &Pending, answer: &Answer) -> Outcome<()> {
        let response = pending.open(&envelope(answer)?)?;
        let Response::Status(status) = response else {
            return Err(format!("a {} answers a Status", response.tag()).into());
        };
        let is_right = (200..300).contains(&answer.http_status)
            && status.outcome.code() == Some(Code::Ok)
            && status.container_status.len() == self.containers
            && status.enveloped_profile_master.is_none();
        is_right.then_some(()).ok_or_else(|| {
            format!("a wrong answer, HTTP {}: {status:?}", answer.http_status).into()
        })
    }
}

fn envelope(answer: &Answer) -> Outcome<Envelope> {
    match read_body(&answer.body)? {
        Body::Sealed(envelope) => Ok(*envelope),
        Body::Bare(_) | Body::Plain(_) => {
            Err(format!("not sealed: {}", String::from_utf8_lossy(&answer.body)).into())
        }
    }
}

fn greet(fleet: &mut Fleet) -> Outcome<ServiceIdentity> {
    let hello = json::write(&Request::Hello(HelloRequest::default()));
    let volley = fleet.fire(WELL_KNOWN_PATH, &[hello])?;
    let answer = volley.answers.first().ok_or("no answer")?;
    match json::parse(&answer.body)? {
        Response::Hello(hello) => Ok(ServiceIdentity::from_hello(&hello)?),
        other => Err(format!("a {} answers a Hello", other.tag()).into()),
    }
}
