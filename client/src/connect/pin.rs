//! PINs: an administrator makes one, and whichever administrator synchronizes first answers the device
//! that comes with it (service §6.4).

use std::time::Duration;

use mesh_common::assertion::{Assertion, ConnectionAccount};
use mesh_common::crypto::PublicKey;
use mesh_common::dare::ContainerName;
use mesh_common::message::{KeptPin, Pin, PinUri};
use mesh_common::protocol::{PostRequest, Request};
use mesh_common::udf;
use serde::Serialize;

use super::answer::{administers, outrun};
use super::inbox::{Asked, PinStanding};
use super::{Answered, ConnectError, Terms};
use crate::catalogs::name_of;
use crate::changes::Decisions;
use crate::client::Client;
use crate::error::ClientError;
use crate::limits::REBASES_MAX;

/// A PIN that was made and left for the account's administrators.
#[derive(Debug, Clone)]
pub struct MadePin {
    /// The PIN with its account, for the person who is to type or scan it.
    pub uri: PinUri,
    /// Until when it is good, in RFC 3339.
    pub expires: String,
    /// How many administrators' devices can answer the device that comes with it.
    pub administrators: usize,
}

/// What became of a request that was made with a PIN.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PinAnswer {
    /// The request.
    pub id: String,
    /// UDF of the device that asks.
    pub device_udf: String,
    /// What it is called.
    pub device: Option<String>,
    /// How its PIN stands. Only the device of a valid one is connected.
    pub pin: PinStanding,
    /// Whether the device is connected and has its answer.
    pub connected: bool,
    /// Why not, where the PIN is valid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

impl PinAnswer {
    /// Whether somebody should look at it: a PIN was used a second time (service §6.4).
    #[must_use]
    pub const fn is_alert(&self) -> bool {
        matches!(self.pin, PinStanding::Used)
    }
}

impl Client {
    /// Makes a PIN that one device may connect with for `life`, and leaves it for the administrators
    /// of the account.
    ///
    /// # Errors
    /// [`ConnectError::NotAdministrator`]; what keeps the service from keeping it.
    pub async fn make_pin(
        &mut self,
        life: Duration,
        terms: &Terms,
    ) -> Result<MadePin, ClientError> {
        self.check_administrator()?;
        Box::pin(self.synchronize(&Decisions::default())).await?;
        let owner = self.owner()?;
        let account = self.device()?.state.address.clone();
        let kept = KeptPin {
            message_id: udf::nonce(self.entropy.as_mut()).to_string(),
            account: account.clone(),
            pin: Pin::draw(self.entropy.as_mut()),
            expires: self.clock.now() + life,
            permissions: terms.rights(),
        };
        let administrators = self.administrators()?;
        let recipients: Vec<_> = administrators.iter().collect();
        let envelope = kept
            .seal(&recipients, &owner.mesh.online, self.entropy.as_mut())
            .map_err(ConnectError::Pin)?;
        let request = PostRequest {
            self_messages: vec![envelope],
            ..PostRequest::default()
        };
        self.call(Request::Post(request)).await?;
        Box::pin(self.synchronize(&Decisions::default())).await?;
        Ok(MadePin {
            expires: kept.expires.to_text(),
            uri: PinUri {
                account,
                pin: kept.pin,
            },
            administrators: administrators.len(),
        })
    }

    /// Answers the requests that wait and were made with a PIN, if this device may. What came of each
    /// is told, refusals included; those that need a person stay.
    ///
    /// # Errors
    /// What keeps the replicas from being read or the service from being asked.
    pub(crate) async fn answer_pins(&mut self) -> Result<Vec<PinAnswer>, ClientError> {
        if self.check_administrator().is_err() {
            return Ok(Vec::new());
        }
        let mut told = Vec::new();
        for waiting in self.waiting_with_pin()? {
            told.push(self.answer_pin(&waiting.id).await?);
        }
        Ok(told.into_iter().flatten().collect())
    }

    /// The requests with a PIN that wait, oldest first.
    fn waiting_with_pin(&mut self) -> Result<Vec<Asked>, ClientError> {
        let requests = self.connection_requests()?.requests;
        let waits = |asked: &Asked| asked.is_waiting() && asked.pin.is_some();
        Ok(requests.into_iter().filter(waits).collect())
    }

    /// Answers one of them. Another administrator may be faster at any time; then everything is
    /// looked at again, so that one PIN connects one device.
    async fn answer_pin(&mut self, id: &str) -> Result<Option<PinAnswer>, ClientError> {
        for _ in 0..=REBASES_MAX {
            let requests = self.waiting_with_pin()?;
            let Some(mut asked) = requests.into_iter().find(|asked| asked.id == id) else {
                return Ok(None);
            };
            let Some((PinStanding::Valid, kept)) = asked.pin.zip(asked.matched.as_ref()) else {
                return Ok(Some(answer(&asked, Ok(None))));
            };
            let terms = Terms::of_rights(&kept.permissions);
            match self.grant(&mut asked, &terms).await {
                Ok(true) => {
                    let outcome = self.leave_answer(&asked).await.map(Some);
                    return Ok(Some(answer(&asked, outcome)));
                }
                Ok(false) => {
                    Box::pin(self.synchronize(&Decisions::default())).await?;
                }
                Err(error) => return Ok(Some(answer(&asked, Err(error)))),
            }
        }
        Err(outrun())
    }

    /// The encryption keys of the administrators' devices: what a PIN is encrypted to.
    fn administrators(&mut self) -> Result<Vec<PublicKey>, ClientError> {
        let account_udf = self.device()?.identity.account.udf().to_string();
        let own = self
            .device()?
            .identity
            .in_account
            .encryption
            .public()
            .clone();
        let names: Vec<_> = self
            .replica(&name_of(ContainerName::DEVICE))?
            .index()
            .entries()
            .map(|(id, _)| id.to_owned())
            .collect();
        let mut keys = vec![own];
        for name in names {
            let Some(entry) = self.entry_of(&name)? else {
                continue;
            };
            let key = entry
                .accounts
                .iter()
                .filter(|account| account.account_udf.as_deref() == Some(&account_udf))
                .find_map(|account| account.enveloped_connection_account.as_ref())
                .and_then(|envelope| ConnectionAccount::from_envelope(envelope).ok())
                .and_then(|connection| connection.encryption_key().ok());
            if let Some(key) = key.filter(|key| administers(&entry) && !keys.contains(key)) {
                keys.push(key);
            }
        }
        Ok(keys)
    }
}

fn answer(asked: &Asked, outcome: Result<Option<Answered>, ClientError>) -> PinAnswer {
    PinAnswer {
        id: asked.id.clone(),
        device_udf: asked.device_udf.clone(),
        device: asked.device.clone(),
        pin: asked.pin.unwrap_or(PinStanding::Invalid),
        connected: matches!(outcome, Ok(Some(_))),
        problem: outcome.err().map(|error| error.to_string()),
    }
}
