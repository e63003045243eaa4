//! The new device: it asks to be connected, and asks for the answer until there is one (service §6.2
//! and §6.3).
//!
//! ```text
//!  keys, request ─kept▶ Connect ─▶ acknowledgement, checked ─kept▶ witness shown
//!                                        Complete, Status ─▶ answer, checked ─▶ activation
//! ```
//!
//! An interrupted command goes on where it was: the request keeps its keys, and the answer stays
//! available at the service.

use std::time::Duration;

use mesh_common::address::AccountAddress;
use mesh_common::assertion::make::DeviceKeys;
use mesh_common::assertion::{Assertion, Authority, CatalogedDevice, ProfileMesh, activate_device};
use mesh_common::dare::Envelope;
use mesh_common::message::{
    Acknowledgement, ConnectionAnswer, ConnectionRequest, Nonce, Pin, Proved, response_id_2020,
};
use mesh_common::protocol::{
    Code, CompleteRequest, ConnectRequest, Request, Response, StatusRequest,
};
use mesh_common::session::client::ClientIdentity;
use mesh_common::udf::{self, Udf};
use serde::Serialize;

use super::ConnectError;
use super::kept::{self, Acknowledged, Kept, Proof};
use crate::account::AccountFacts;
use crate::client::Client;
use crate::error::ClientError;
use crate::keystore;
use crate::limits::{POLL_WAIT_MAX, POLL_WAIT_MIN};
use crate::service::{Service, ServiceFailure, hello, identity_of};
use crate::transport::{Https, check_url, default_url};

/// Which account a device wants to be connected to.
#[derive(Debug, Clone)]
pub struct NewRequest {
    /// The account's address.
    pub address: AccountAddress,
    /// A PIN, if an administrator made one.
    pub pin: Option<Pin>,
    /// Where the service is; none for the default place of the address's domain.
    pub service_url: Option<String>,
    /// Certificate authorities to trust besides the system's, in PEM form.
    pub authorities: Option<String>,
    /// What to call this device.
    pub device: Option<String>,
}

impl NewRequest {
    /// A request to an account at the default place of its domain, to be accepted by comparing
    /// witnesses.
    #[must_use]
    pub const fn to(address: AccountAddress) -> Self {
        Self {
            address,
            pin: None,
            service_url: None,
            authorities: None,
            device: None,
        }
    }
}

/// A request that waits for its answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Requested {
    /// The account that was asked.
    pub address: String,
    /// UDF of this device.
    pub device_udf: String,
    /// What this device is called.
    pub device: Option<String>,
    /// What both users compare; none where a PIN or an EARL does it.
    pub witness: Option<String>,
    /// How the two sides know each other: `witness`, `pin` or `earl`.
    pub by: &'static str,
}

impl Client {
    /// What this device has asked, if it waits for the answer.
    ///
    /// # Errors
    /// [`ClientError::Connect`] if what was kept does not hold together.
    pub fn requested(&self) -> Result<Option<Requested>, ClientError> {
        self.request
            .as_ref()
            .filter(|kept| kept.acknowledged.is_some())
            .map(|kept| self.described(kept))
            .transpose()
    }

    /// Forgets a request that waits for its answer, and its keys.
    ///
    /// # Errors
    /// [`ClientError::Home`].
    pub fn forget_request(&mut self) -> Result<(), ClientError> {
        self.request = None;
        Ok(self.home.remove(kept::FILE)?)
    }

    /// Asks to be connected, or goes on with a request that waits. Without `new` there must be one.
    ///
    /// # Errors
    /// [`ClientError::AccountExists`] if this device has an account; [`ClientError::Connect`];
    /// [`ClientError::Service`] and [`ClientError::Transport`] from the service.
    pub async fn request_connection(
        &mut self,
        new: Option<&NewRequest>,
    ) -> Result<Requested, ClientError> {
        if let Some(state) = self.state() {
            return Err(ClientError::AccountExists {
                address: state.address.clone(),
            });
        }
        match (&self.request, new) {
            (None, None) => return Err(ConnectError::NothingAsked.into()),
            (None, Some(new)) => Box::pin(self.begin_request(new)).await?,
            (Some(kept), Some(new)) if kept.address != new.address => {
                return Err(ConnectError::OtherAsked {
                    address: kept.address.clone(),
                }
                .into());
            }
            (Some(_), _) => {}
        }
        let mut kept = self.request.clone().ok_or(ConnectError::NothingAsked)?;
        if kept.acknowledged.is_none() {
            let mut service = self.service_of(&kept)?;
            Box::pin(self.connect_at(&mut kept, &mut service)).await?;
        }
        self.described(&kept)
    }

    /// Draws keys and makes the request, and keeps them.
    async fn begin_request(&mut self, new: &NewRequest) -> Result<(), ClientError> {
        let service_url = new
            .service_url
            .clone()
            .unwrap_or_else(|| default_url(new.address.domain()));
        check_url(&service_url)?;
        if keystore::exists(&self.home)? {
            return Err(ClientError::KeysWithoutAccount {
                folder: self.home.folder().to_owned(),
            });
        }
        if self.transport.is_none() {
            let https = Https::trusting(new.authorities.as_deref())?;
            self.transport = Some(std::sync::Arc::new(https));
        }
        let greeted = hello(self.way()?.as_ref(), &service_url).await?;
        let keys = DeviceKeys::generate(self.entropy.as_mut());
        let profile_device = keys.profile(new.device.clone());
        let client_nonce = Nonce::draw(self.entropy.as_mut());
        let pin_udf = new.pin.as_ref().map(|pin| {
            let device = keys.signature.public();
            pin.request_udf(&new.address, client_nonce.as_slice(), device)
        });
        let request = ConnectionRequest::make(
            &new.address,
            &profile_device,
            &keys.authentication,
            &udf::nonce(self.entropy.as_mut()),
            &client_nonce,
            pin_udf,
        );
        self.keep_request(Kept {
            address: new.address.clone(),
            service_url,
            authorities: new.authorities.clone(),
            service: greeted.pinned,
            keys,
            profile_device,
            request,
            proof: new.pin.clone().map_or(Proof::Witness, Proof::Pin),
            acknowledged: None,
        })
    }

    /// Puts the request before the account, and keeps what the service says to it.
    async fn connect_at(
        &mut self,
        kept: &mut Kept,
        service: &mut Service,
    ) -> Result<(), ClientError> {
        let request = Request::Connect(Box::new(ConnectRequest {
            message_connection_request_client: Some(kept.request.clone()),
            ..ConnectRequest::default()
        }));
        let response = match self.ask_of(kept, service, &request).await? {
            Response::Connect(response) => response,
            other => return Err(ServiceFailure::other_class(&other).into()),
        };
        if !response.outcome.is_success() {
            return Err(self.not_connected(kept, response.outcome.code(), &response.outcome)?);
        }
        let missing = || ServiceFailure::Misbehaved {
            problem: "its acknowledgement lacks a profile".into(),
        };
        kept.acknowledged = Some(Acknowledged {
            acknowledgement: response.enveloped_connection_response.ok_or_else(missing)?,
            profile_mesh: response.enveloped_profile_master.ok_or_else(missing)?,
            profile_account: response.enveloped_account_assertion.ok_or_else(missing)?,
        });
        checked(kept)?;
        self.keep_request(kept.clone())
    }

    /// The refusal of a Connect. One that will not change leaves the folder as it was before.
    fn not_connected(
        &mut self,
        kept: &Kept,
        code: Option<Code>,
        outcome: &mesh_common::protocol::Outcome,
    ) -> Result<ClientError, ClientError> {
        if code == Some(Code::Conflict) {
            return Ok(ConnectError::Unwitnessed {
                address: kept.address.clone(),
            }
            .into());
        }
        let passes = matches!(
            code,
            Some(Code::RateLimited | Code::Overload | Code::Timeout | Code::Internal) | None
        );
        if !passes && !matches!(kept.proof, Proof::Earl(_)) {
            self.forget_request()?;
        }
        Ok(ServiceFailure::refusal(outcome).into())
    }

    /// Asks once whether the request was answered. If it was granted, this device is connected.
    ///
    /// # Errors
    /// [`ConnectError::Rejected`] and [`ConnectError::Expired`], after which another request can be
    /// made; [`ConnectError::Answer`] and [`ConnectError::Activation`] if the answer is not
    /// believed; what keeps the service from answering.
    pub async fn poll_connection(&mut self) -> Result<Option<AccountFacts>, ClientError> {
        let mut kept = self.request.clone().ok_or(ConnectError::NothingAsked)?;
        let mut service = self.service_of(&kept)?;
        Box::pin(self.poll_in(&mut kept, &mut service)).await
    }

    /// Asks until the request was answered: after 1, 2, 4 … 60 seconds.
    ///
    /// # Errors
    /// As [`Self::poll_connection`]; a service out of reach is asked again.
    pub async fn wait_for_connection(&mut self) -> Result<AccountFacts, ClientError> {
        let mut kept = self.request.clone().ok_or(ConnectError::NothingAsked)?;
        let mut service = self.service_of(&kept)?;
        let mut pause = POLL_WAIT_MIN;
        loop {
            match Box::pin(self.poll_in(&mut kept, &mut service)).await {
                Ok(Some(facts)) => return Ok(facts),
                Ok(None) => {}
                Err(ClientError::Transport(error)) if error.is_retryable() => {
                    tracing::warn!(%error, "asked again later");
                }
                Err(error) => return Err(error),
            }
            tokio::time::sleep(pause).await;
            pause = next_pause(pause);
        }
    }

    async fn poll_in(
        &mut self,
        kept: &mut Kept,
        service: &mut Service,
    ) -> Result<Option<AccountFacts>, ClientError> {
        if kept.acknowledged.is_none() {
            Box::pin(self.connect_at(kept, service)).await?;
        }
        let (acknowledgement, request) = checked(kept)?;
        let response_id = response_id_of(kept, &acknowledgement, &request);
        let complete = CompleteRequest {
            account: Some(kept.address.canonical().to_owned()),
            service_id: Some(kept.address.canonical().to_owned()),
            response_id: Some(response_id.to_string()),
            ..CompleteRequest::default()
        };
        let complete = Request::Complete(complete);
        let response = match self.ask_of(kept, service, &complete).await? {
            Response::Complete(response) => response,
            other => return Err(ServiceFailure::other_class(&other).into()),
        };
        let code = response.outcome.code();
        match (code, response.signed_response) {
            (Some(Code::Ok), Some(answer)) => {
                let answer =
                    self.answer_in(kept, &acknowledgement, &request, &answer, &response_id);
                self.take_answer(kept, answer?).map(Some)
            }
            (Some(Code::Pending), _) => self.entry_at_service(kept, service).await,
            (Some(Code::Expired | Code::NotFound), _) => {
                match self.entry_at_service(kept, service).await? {
                    Some(facts) => Ok(Some(facts)),
                    None => self.over(kept),
                }
            }
            _ => Err(ServiceFailure::refusal(&response.outcome).into()),
        }
    }

    /// Checks an answer against the request.
    fn answer_in(
        &self,
        kept: &Kept,
        acknowledgement: &Acknowledgement,
        request: &ConnectionRequest,
        answer: &Envelope,
        response_id: &Udf,
    ) -> Result<ConnectionAnswer, ClientError> {
        let known = mesh_known(kept)?;
        let (proved, pin) = match &kept.proof {
            Proof::Witness => (Proved::of(request, acknowledgement), None),
            Proof::Pin(pin) => (Proved::of(request, acknowledgement), Some(pin.clone())),
            Proof::Earl(earl) => (Proved::published(request), Some(earl.pin())),
        };
        ConnectionAnswer::verify(answer, response_id, known.as_ref(), &proved, pin.as_ref())
            .map_err(|error| ConnectError::Answer(error).into())
    }

    fn take_answer(
        &mut self,
        kept: &Kept,
        answer: ConnectionAnswer,
    ) -> Result<AccountFacts, ClientError> {
        match answer {
            ConnectionAnswer::Accepted { entry, mesh } => self.activate(kept, *entry, &mesh),
            ConnectionAnswer::Rejected => {
                self.forget_request()?;
                Err(ConnectError::Rejected {
                    address: kept.address.clone(),
                }
                .into())
            }
        }
    }

    /// The second way (service §6.3): this device's entry in the account's Device catalog. The entry
    /// proves nothing but that the mesh made it, so it is for requests whose witness was compared.
    async fn entry_at_service(
        &mut self,
        kept: &Kept,
        service: &mut Service,
    ) -> Result<Option<AccountFacts>, ClientError> {
        if !matches!(kept.proof, Proof::Witness) {
            return Ok(None);
        }
        let status = Request::Status(StatusRequest {
            account: Some(kept.address.canonical().to_owned()),
            device_udf: Some(kept.keys.signature.udf().to_string()),
            ..StatusRequest::default()
        });
        let response = match self.ask_of(kept, service, &status).await? {
            Response::Status(response) => response,
            other => return Err(ServiceFailure::other_class(&other).into()),
        };
        let Some(entry) = response
            .enveloped_catalog_entry_device
            .filter(|_| response.outcome.is_success())
        else {
            return Ok(None);
        };
        let entry = CatalogedDevice::from_envelope(&entry).map_err(ConnectError::Activation)?;
        let mesh = mesh_known(kept)?.ok_or(ConnectError::Incomplete { what: "mesh" })?;
        // An entry that is not for this request's keys is no answer to it.
        if activate_device(&kept.keys, &entry, &Authority::from(&mesh)).is_err() {
            tracing::debug!("the entry at the service is not for this request");
            return Ok(None);
        }
        self.activate(kept, entry, &mesh).map(Some)
    }

    /// A request that nobody answered in time. A published one is put before the hailing account
    /// again: its answer may come years later.
    fn over(&mut self, kept: &mut Kept) -> Result<Option<AccountFacts>, ClientError> {
        if matches!(kept.proof, Proof::Earl(_)) {
            kept.acknowledged = None;
            self.keep_request(kept.clone())?;
            return Ok(None);
        }
        self.forget_request()?;
        Err(ConnectError::Expired {
            address: kept.address.clone(),
        }
        .into())
    }

    /// A session as the bare device with the service that was asked.
    fn service_of(&mut self, kept: &Kept) -> Result<Service, ClientError> {
        if self.transport.is_none() {
            let https = Https::trusting(kept.authorities.as_deref())?;
            self.transport = Some(std::sync::Arc::new(https));
        }
        let client = ClientIdentity::device(
            kept.profile_device.clone(),
            kept.keys.authentication.clone(),
            Some(kept.address.canonical().to_owned()),
        );
        let transport = self.way()?;
        Ok(Service::new(
            &kept.service_url,
            transport,
            &kept.service,
            client,
        )?)
    }

    /// Asks as the bare device.
    async fn ask_of(
        &mut self,
        kept: &Kept,
        service: &mut Service,
        request: &Request,
    ) -> Result<Response, ClientError> {
        let outcome = self.ask_in(service, request).await;
        if let Some(pinned) = service.take_greeted() {
            let newer = Kept {
                service: pinned,
                ..kept.clone()
            };
            self.keep_request(newer)?;
        }
        outcome
    }

    pub(crate) fn keep_request(&mut self, kept: Kept) -> Result<(), ClientError> {
        let passphrase = self.passphrase.clone();
        let seal = passphrase.as_ref().map(|words| (words, self.cost));
        kept.save(&self.home, seal, self.entropy.as_mut())?;
        self.request = Some(Box::new(kept));
        Ok(())
    }

    fn described(&self, kept: &Kept) -> Result<Requested, ClientError> {
        let (acknowledgement, request) = checked(kept)?;
        let (witness, by) = match kept.proof {
            Proof::Witness => (Some(acknowledgement.witness), "witness"),
            Proof::Pin(_) => (None, "pin"),
            Proof::Earl(_) => (None, "earl"),
        };
        Ok(Requested {
            address: kept.address.as_written().to_owned(),
            device_udf: request.profile.udf().to_string(),
            device: request.profile.description.clone(),
            witness,
            by,
        })
    }
}

/// Checks what the service said to a request: it is unchanged, the profiles verify, and the witness is
/// that of both profiles and nonces (service §6.2 step 5).
fn checked(kept: &Kept) -> Result<(Acknowledgement, ConnectionRequest), ClientError> {
    let acknowledged = kept
        .acknowledged
        .as_ref()
        .ok_or(ConnectError::NothingAsked)?;
    let service = identity_of(&kept.service)?;
    let refusal = |error: mesh_common::assertion::AssertionError| {
        ConnectError::Acknowledgement(error.refusal())
    };
    let mesh = ProfileMesh::verify(&acknowledged.profile_mesh).map_err(refusal)?;
    mesh_common::assertion::ProfileAccount::verify(
        &acknowledged.profile_account,
        Some(&Authority::from(&mesh)),
    )
    .map_err(refusal)?;
    Acknowledgement::verify(
        &acknowledged.acknowledgement,
        &service.signing_keys,
        &mesh,
        Some(&kept.request),
    )
    .map_err(|error| ConnectError::Acknowledgement(error).into())
}

/// The mesh that entered the witness. An EARL's request went to its maker's mesh: who answers it is
/// told by the answer.
fn mesh_known(
    kept: &Kept,
) -> Result<Option<mesh_common::assertion::Signed<ProfileMesh>>, ClientError> {
    let acknowledged = match &kept.proof {
        Proof::Earl(_) => None,
        Proof::Witness | Proof::Pin(_) => kept.acknowledged.as_ref(),
    };
    acknowledged
        .map(|acknowledged| ProfileMesh::verify(&acknowledged.profile_mesh))
        .transpose()
        .map_err(|error| ConnectError::Activation(error).into())
}

/// What the answer is called: after the acknowledgement, for a published request after the request
/// itself (decision Q-49).
fn response_id_of(
    kept: &Kept,
    acknowledgement: &Acknowledgement,
    request: &ConnectionRequest,
) -> Udf {
    match (&kept.proof, &request.request.message_id) {
        (Proof::Earl(_), Some(published)) => response_id_2020(published),
        _ => acknowledgement.response_id.clone(),
    }
}

/// Twice as long, to a minute.
fn next_pause(pause: Duration) -> Duration {
    (pause * 2).min(POLL_WAIT_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_minute() {
        let mut pause = POLL_WAIT_MIN;
        let mut seconds = Vec::new();
        for _ in 0..9 {
            seconds.push(pause.as_secs());
            pause = next_pause(pause);
        }
        assert_eq!(seconds, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
    }
}
