//! One service, as a device deals with it: whom it expects to answer, what it does when an answer
//! asks for another try, and the ticket it keeps between commands (service §4.2, §4.3, X-17).
//!
//! What the payload says rules over what HTTP says (P 4.5, P 10.2); only an answer that no key of
//! the service made is taken for what it is: a hint.

mod failure;

use std::sync::Arc;

use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use mesh_common::crypto::SecretKey;
use mesh_common::dare::Envelope;
use mesh_common::encoding::json;
use mesh_common::entropy::draw;
use mesh_common::protocol::{Code, HelloResponse, Outcome, Request, Response};
use mesh_common::session::client::{
    Attempt, ClientError as SessionError, ClientIdentity, ClientSession, ServiceIdentity, Step,
    StoredTicket,
};

use crate::client::Client;
use crate::error::ClientError;
use crate::home::Home;
use crate::keystore::SessionSeal;
use crate::limits::{BUSY_RETRIES_MAX, BUSY_WAIT_MAX};
use crate::state::{PinnedService, State};
use crate::transport::{Https, Preference, Reply, Transport, TransportError};

pub use self::failure::ServiceFailure;

const SESSION_FILE: &str = "session.sealed";
const NONCE_BYTES: usize = 12;

/// A session with one service.
pub(crate) struct Service {
    url: String,
    transport: Arc<dyn Transport>,
    session: ClientSession,
    /// What the request at hand asks the service to wait for.
    preference: Option<Preference>,
    /// Whether the last answer was one that waited.
    has_waited: bool,
    /// The service's profiles, if they were fetched again.
    greeted_again: Option<PinnedService>,
}

impl Service {
    /// A session that has not begun, with the service that is pinned.
    pub(crate) fn new(
        url: &str,
        transport: Arc<dyn Transport>,
        pinned: &PinnedService,
        client: ClientIdentity,
    ) -> Result<Self, ServiceFailure> {
        Ok(Self {
            url: url.to_owned(),
            transport,
            session: ClientSession::new(identity_of(pinned)?, client),
            preference: None,
            has_waited: false,
            greeted_again: None,
        })
    }

    /// The service's profiles, if they were fetched again since this was last asked.
    pub(crate) fn take_greeted(&mut self) -> Option<PinnedService> {
        self.greeted_again.take()
    }
}

/// A service that said hello, its profiles checked.
#[derive(Debug, Clone)]
pub(crate) struct Greeted {
    pub(crate) identity: ServiceIdentity,
    pub(crate) pinned: PinnedService,
}

/// Asks the service at `url` who it is, and checks its profiles (service §4.3).
pub(crate) async fn hello(transport: &dyn Transport, url: &str) -> Result<Greeted, ClientError> {
    let reply = transport.post(url, ClientSession::bare_hello()).await?;
    let response: Response = json::parse(&reply.body).map_err(|_| ServiceFailure::NotMesh {
        url: url.to_owned(),
        http_status: reply.http_status,
    })?;
    match response {
        Response::Hello(hello) if hello.outcome.is_success() => Ok(greeted(&hello)?),
        other => Err(ServiceFailure::hint(other.outcome()).into()),
    }
}

fn greeted(hello: &HelloResponse) -> Result<Greeted, ServiceFailure> {
    let identity = ServiceIdentity::from_hello(hello).map_err(ServiceFailure::Identity)?;
    let profile_service =
        hello
            .enveloped_profile_service
            .clone()
            .ok_or_else(|| ServiceFailure::Misbehaved {
                problem: "its hello has no profile".into(),
            })?;
    Ok(Greeted {
        pinned: PinnedService {
            udf: identity.service_udf.clone(),
            profile_service,
            profile_host: hello.enveloped_profile_host.clone(),
        },
        identity,
    })
}

/// The service that is pinned, as if it had said hello.
pub(crate) fn identity_of(pinned: &PinnedService) -> Result<ServiceIdentity, ServiceFailure> {
    let identity = ServiceIdentity::from_hello(&HelloResponse {
        enveloped_profile_service: Some(pinned.profile_service.clone()),
        enveloped_profile_host: pinned.profile_host.clone(),
        ..HelloResponse::default()
    })
    .map_err(ServiceFailure::Identity)?;
    if identity.service_udf == pinned.udf {
        Ok(identity)
    } else {
        Err(ServiceFailure::OtherService {
            pinned: pinned.udf.clone(),
            found: identity.service_udf,
        })
    }
}

impl Client {
    /// Asks the service, and takes a refusal for an error.
    pub(crate) async fn call(&mut self, request: Request) -> Result<Response, ClientError> {
        let response = self.ask(request).await?;
        if response.outcome().is_success() {
            Ok(response)
        } else {
            Err(ServiceFailure::refusal(response.outcome()).into())
        }
    }

    /// The same with a preference for how long the service waits; true if it did, or would have.
    pub(crate) async fn call_preferring(
        &mut self,
        request: Request,
        preference: Preference,
    ) -> Result<(Response, bool), ClientError> {
        self.service()?.preference = Some(preference);
        let response = self.call(request).await;
        let service = self.service()?;
        service.preference = None;
        let has_waited = std::mem::take(&mut service.has_waited);
        Ok((response?, has_waited))
    }

    /// The session with the service, begun if there is none.
    fn service(&mut self) -> Result<&mut Service, ClientError> {
        if self.device()?.service.is_none() {
            self.device()?.service = Some(self.connect()?);
        }
        let device = self.device.as_mut().ok_or(ClientError::NoAccount)?;
        device.service.as_mut().ok_or(ClientError::NoAccount)
    }

    /// Asks the service as the connected device that this is, and returns what it answered.
    pub(crate) async fn ask(&mut self, request: Request) -> Result<Response, ClientError> {
        self.greet_first().await?;
        let mut service = match self.device()?.service.take() {
            Some(service) => service,
            None => self.connect()?,
        };
        let mut attempt = service.session.begin(&request, self.entropy.as_mut());
        let before = service.session.ticket().cloned();
        let outcome = Box::pin(self.carry(&mut service, &mut attempt)).await;
        self.keep_greeted(&mut service)?;
        let is_connected = !self.device()?.state.stage.is_recovery();
        if is_connected && before.as_ref() != service.session.ticket() {
            self.keep_ticket(service.session.ticket())?;
        }
        self.device()?.service = Some(service);
        outcome
    }

    /// Asks a service in a session that is not the connected device's.
    pub(crate) async fn ask_in(
        &mut self,
        service: &mut Service,
        request: &Request,
    ) -> Result<Response, ClientError> {
        let mut attempt = service.session.begin(request, self.entropy.as_mut());
        Box::pin(self.carry(service, &mut attempt)).await
    }

    /// Asks who the service is, and pins it, where nobody has done that yet: at accounts that came
    /// with another one of the same mesh (service §4.3).
    async fn greet_first(&mut self) -> Result<(), ClientError> {
        let state = &self.device()?.state;
        if state.service.is_some() {
            return Ok(());
        }
        let url = state.service_url.clone();
        let greeted = hello(self.way()?.as_ref(), &url).await?;
        self.device()?.state.service = Some(greeted.pinned);
        self.save_state()
    }

    /// Pins the profiles that were fetched anew.
    fn keep_greeted(&mut self, service: &mut Service) -> Result<(), ClientError> {
        let Some(pinned) = service.take_greeted() else {
            return Ok(());
        };
        self.device()?.state.service = Some(pinned);
        self.save_state()
    }

    /// Asks for the account to be made or changed: as the bare device, with proof by `signer` that
    /// the mesh is ours (decisions ).
    pub(crate) async fn ask_to_create_by(
        &mut self,
        request: Request,
        signer: &SecretKey,
    ) -> Result<Response, ClientError> {
        let mut service = self.session_as(self.as_device()?)?;
        let mut attempt = service
            .session
            .begin_creating(&request, signer, self.entropy.as_mut());
        let outcome = Box::pin(self.carry(&mut service, &mut attempt)).await;
        self.keep_greeted(&mut service)?;
        outcome
    }

    /// Asks as the device alone: what a device does whose connection is not accepted.
    pub(crate) async fn ask_as_device(
        &mut self,
        request: &Request,
    ) -> Result<Response, ClientError> {
        let mut service = self.session_as(self.as_device()?)?;
        let mut attempt = service.session.begin(request, self.entropy.as_mut());
        let outcome = Box::pin(self.carry(&mut service, &mut attempt)).await;
        self.keep_greeted(&mut service)?;
        outcome
    }

    /// This device by its own profile, for its account.
    fn as_device(&self) -> Result<ClientIdentity, ClientError> {
        let device = self.device.as_ref().ok_or(ClientError::NoAccount)?;
        Ok(ClientIdentity::device(
            device.state.profile_device.clone(),
            device.identity.keys.device.authentication.clone(),
            Some(device.state.address.canonical().to_owned()),
        ))
    }

    /// Sends an attempt until there is an answer to believe, or no more to try.
    async fn carry(
        &mut self,
        service: &mut Service,
        attempt: &mut Attempt<'_>,
    ) -> Result<Response, ClientError> {
        let mut patience = BUSY_RETRIES_MAX;
        loop {
            let now = self.clock.now();
            let envelope = service
                .session
                .seal(attempt, now, self.entropy.as_mut())
                .map_err(ServiceFailure::Session)?;
            let reply = match service.post(&envelope).await {
                Ok(reply) => reply,
                Err(error) if error.is_retryable() && patience > 0 => {
                    patience -= 1;
                    tracing::debug!(%error, "sent again");
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            service.has_waited = reply.has_waited;
            let step = service.receive(attempt, &reply, self.clock.now())?;
            tracing::debug!(
                http = reply.http_status,
                octets = reply.body.len(),
                "answered"
            );
            match step {
                Step::Done(response) if waits(response.outcome(), &reply) && patience > 0 => {
                    patience -= 1;
                    pause(&reply).await;
                }
                Step::Done(response) => return Ok(*response),
                Step::SendAgain => {}
                Step::HelloFirst => greet_again(service).await?,
                Step::Refused(response) if waits(response.outcome(), &reply) && patience > 0 => {
                    patience -= 1;
                    pause(&reply).await;
                }
                Step::Refused(response) => {
                    return Err(ServiceFailure::hint(response.outcome()).into());
                }
            }
        }
    }

    /// A session as the connected device, with the ticket of the last command if it is still good.
    fn connect(&mut self) -> Result<Service, ClientError> {
        let device = self.device.as_ref().ok_or(ClientError::NoAccount)?;
        if device.state.stage.is_recovery() {
            return self.session_as(self.as_device()?);
        }
        let client = ClientIdentity::connected_to_account(
            device.identity.enveloped_connection_account.clone(),
            None,
            device.identity.in_account.authentication.clone(),
            device.state.address.canonical().to_owned(),
        );
        let ticket = read_ticket(&self.home, &device.identity.keys.session, &device.state);
        let service = self.session_as(client)?;
        Ok(Service {
            session: service.session.with_ticket(ticket),
            ..service
        })
    }

    fn session_as(&mut self, client: ClientIdentity) -> Result<Service, ClientError> {
        let transport = self.way()?;
        let state = self.state().ok_or(ClientError::NoAccount)?;
        let pinned = state.service.as_ref().ok_or(ClientError::NoAccount)?;
        Ok(Service::new(&state.service_url, transport, pinned, client)?)
    }

    /// The way to the service: the one that was handed in, or HTTPS with the account's authorities.
    pub(crate) fn way(&mut self) -> Result<Arc<dyn Transport>, ClientError> {
        if let Some(transport) = &self.transport {
            return Ok(Arc::clone(transport));
        }
        let authorities = self.state().and_then(|state| state.authorities.clone());
        let transport: Arc<dyn Transport> = Arc::new(Https::trusting(authorities.as_deref())?);
        self.transport = Some(Arc::clone(&transport));
        Ok(transport)
    }

    fn keep_ticket(&mut self, ticket: Option<&StoredTicket>) -> Result<(), ClientError> {
        let device = self.device.as_ref().ok_or(ClientError::NoAccount)?;
        let Some(ticket) = ticket else {
            return Ok(self.home.remove(SESSION_FILE)?);
        };
        let nonce: [u8; NONCE_BYTES] = draw(self.entropy.as_mut());
        let sealed = session_cipher(&device.identity.keys.session)
            .encrypt(
                &Nonce::from(nonce),
                Payload {
                    msg: &ticket.to_octets(),
                    aad: &bound_to(&device.state),
                },
            )
            .expect("a ticket is far below the bounds of GCM");
        Ok(self
            .home
            .write(SESSION_FILE, &[&nonce[..], &sealed].concat())?)
    }
}

/// Learns the service's new key, if it is still the same service.
async fn greet_again(service: &mut Service) -> Result<(), ClientError> {
    let greeted = hello(service.transport.as_ref(), &service.url).await?;
    let pinned = service.session.service().service_udf.clone();
    if greeted.pinned.udf != pinned {
        return Err(ServiceFailure::OtherService {
            pinned,
            found: greeted.pinned.udf,
        }
        .into());
    }
    service
        .session
        .set_host(greeted.identity)
        .map_err(ServiceFailure::Session)?;
    service.greeted_again = Some(greeted.pinned);
    Ok(())
}

impl Service {
    async fn post(&self, envelope: &Envelope) -> Result<Reply, TransportError> {
        let body = json::write(envelope);
        match self.preference {
            Some(preference) => {
                let posting = self.transport.post_preferring(&self.url, body, preference);
                posting.await
            }
            None => self.transport.post(&self.url, body).await,
        }
    }

    fn receive(
        &mut self,
        attempt: &mut Attempt<'_>,
        reply: &Reply,
        now: mesh_common::time::Timestamp,
    ) -> Result<Step, ServiceFailure> {
        self.session
            .receive(attempt, &reply.body, reply.date, now)
            .map_err(|error| match error {
                SessionError::NotSealed | SessionError::Response(_) => ServiceFailure::NotMesh {
                    url: self.url.clone(),
                    http_status: reply.http_status,
                },
                SessionError::OtherService | SessionError::OlderProfile => {
                    ServiceFailure::Session(error)
                }
                other => ServiceFailure::Session(other),
            })
    }
}

/// Whether the same request may be answered a little later, and soon enough to wait for.
fn waits(outcome: &Outcome, reply: &Reply) -> bool {
    let is_busy = matches!(
        outcome.code(),
        Some(Code::Overload | Code::Timeout | Code::RateLimited)
    );
    is_busy && reply.retry_after.is_none_or(|wait| wait <= BUSY_WAIT_MAX)
}

async fn pause(reply: &Reply) {
    let wait = reply
        .retry_after
        .unwrap_or(std::time::Duration::from_secs(1));
    tokio::time::sleep(wait.min(BUSY_WAIT_MAX)).await;
}

/// The ticket of an earlier command; none if there is none, or none that can be opened.
fn read_ticket(home: &Home, seal: &SessionSeal, state: &State) -> Option<StoredTicket> {
    let file = home.read(SESSION_FILE).ok()??;
    let (nonce, sealed) = file.split_first_chunk::<NONCE_BYTES>()?;
    let opened = session_cipher(seal)
        .decrypt(
            &Nonce::from(*nonce),
            Payload {
                msg: sealed,
                aad: &bound_to(state),
            },
        )
        .ok()?;
    StoredTicket::from_octets(&zeroize::Zeroizing::new(opened))
}

fn session_cipher(seal: &SessionSeal) -> Aes256Gcm {
    Aes256Gcm::new_from_slice(seal.0.as_slice()).expect("the seal has the 32 octets of a key")
}

/// What a kept ticket belongs to: the account and the service.
fn bound_to(state: &State) -> Vec<u8> {
    let service = state.service.as_ref().map(|pinned| pinned.udf.as_str());
    json::write(&(state.address.canonical(), service))
}
