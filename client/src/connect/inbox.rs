//! What an administrator finds of devices that ask: acknowledged requests in Inbound, the PINs and
//! answers in Local, the devices that have their entry (service §6.2 step 6, §6.4).
//!
//! Nothing is remembered besides the replicas: where a request stands follows from them, so an
//! answer that was interrupted is seen and gone on with on any administrator's device.

use std::collections::BTreeMap;

use mesh_common::dare::{ContainerKind, Envelope};
use mesh_common::message::{
    Acknowledgement, ConnectionRequest, KeptPin, Message, Proved, Relationship, response_id_later,
};
use mesh_common::spool::{MessageState, Spool, SpoolItem};
use mesh_common::time::Timestamp;
use mesh_common::udf::Udf;
use serde::Serialize;

use super::ConnectError;
use crate::catalogs::name_of;
use crate::client::Client;
use crate::error::ClientError;
use crate::service::identity_of;

const INBOUND: &str = "mmm_Inbound";
const LOCAL: &str = "mmm_Local";
const ACKNOWLEDGEMENT: &str = "AcknowledgeConnection";
const PIN: &str = "MessagePIN";
const ANSWER: &str = "RespondConnection";

/// Where a request stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Standing {
    /// Nobody has answered.
    Waiting,
    /// The device has its entry, but not yet its answer.
    Granted,
    /// It was accepted and answered.
    Accepted,
    /// It was rejected and answered.
    Rejected,
}

/// How a request stands to the PINs of the account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum PinStanding {
    /// Made with a PIN that is good.
    Valid,
    /// Made with a PIN that is over.
    Expired,
    /// Made with a PIN with which another device was connected.
    Used,
    /// Made with no PIN that this device knows.
    Invalid,
}

impl PinStanding {
    /// What the request was made with.
    #[must_use]
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::Valid => "a PIN that is good",
            Self::Expired => "a PIN that has expired",
            Self::Used => "a PIN that another device has used",
            Self::Invalid => "a PIN that this device does not know",
        }
    }
}

/// A request to connect a device, checked.
#[derive(Debug, Clone, Serialize)]
pub struct Asked {
    /// MessageID of the acknowledgement: what the request is called.
    pub id: String,
    /// What both users compare.
    pub witness: String,
    /// UDF of the device.
    pub device_udf: String,
    /// What the device is called.
    pub device: Option<String>,
    /// Where the request stands.
    pub standing: Standing,
    /// How it stands to the PINs; none if it was made without one.
    pub pin: Option<PinStanding>,
    #[serde(skip)]
    pub(super) request: ConnectionRequest,
    #[serde(skip)]
    pub(super) acknowledgement: Acknowledgement,
    #[serde(skip)]
    pub(super) matched: Option<KeptPin>,
    /// Whether a MessageComplete says what became of it.
    #[serde(skip)]
    pub(super) is_completed: bool,
}

/// The requests to connect that an account has received.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Inbox {
    /// Those that verify, oldest first.
    pub requests: Vec<Asked>,
    /// Those that do not: their id, and why.
    pub refused: Vec<(String, String)>,
}

/// A PIN of the account and what became of it.
struct FoundPin {
    kept: KeptPin,
    /// The device that was connected with it, by the ResponseID of its answer.
    used_for: Option<String>,
}

/// What Local says.
#[derive(Default)]
struct Local {
    pins: Vec<FoundPin>,
    /// Answers by ResponseID: whether the newest says yes.
    answers: BTreeMap<String, bool>,
}

/// What a request is looked at with.
struct Scene<'a> {
    local: &'a Local,
    /// Whether the answer of this ResponseID is to a request of the same device.
    is_of_device: &'a dyn Fn(&str) -> bool,
    now: Timestamp,
}

impl Asked {
    /// Whether it waits for an answer.
    #[must_use]
    pub const fn is_waiting(&self) -> bool {
        matches!(self.standing, Standing::Waiting | Standing::Granted)
    }

    /// The values that a PIN is proved over.
    pub(super) fn proved(&self) -> Proved<'_> {
        Proved::of(&self.request, &self.acknowledgement)
    }
}

impl Client {
    /// The requests to connect that are in the replicas. Synchronize first.
    ///
    /// # Errors
    /// [`ClientError::NoAccount`]; [`ConnectError::NotAdministrator`] on a device that may not
    /// answer them; what keeps the replicas from being read.
    pub fn connection_requests(&mut self) -> Result<Inbox, ClientError> {
        self.check_administrator()?;
        let local = self.read_local()?;
        let now = self.clock.now();
        let (spool, acknowledgements) = self.read_inbound()?;
        let mut inbox = Inbox::default();
        let mut verified = Vec::new();
        for (index, envelope) in acknowledgements {
            let state = spool.at(index);
            if state.is_some_and(|one| one.state == MessageState::Deleted) {
                continue;
            }
            match self.verified(&envelope) {
                Ok(pair) => verified.push((state, pair)),
                Err(reason) => {
                    let id = state.and_then(|one| one.unique_id.clone());
                    inbox.refused.push((id.unwrap_or_default(), reason));
                }
            }
        }
        let answers_for: BTreeMap<String, Udf> = verified
            .iter()
            .map(|(_, (acknowledgement, request))| {
                let id = acknowledgement.response_id.to_string();
                (id, request.profile.udf().clone())
            })
            .collect();
        for (state, (acknowledgement, request)) in verified {
            let relationship = state.and_then(|one| one.relationship.as_deref());
            let device = request.profile.udf().clone();
            let scene = Scene {
                local: &local,
                is_of_device: &|id| answers_for.get(&canonical(id)) == Some(&device),
                now,
            };
            let asked = self.looked_at(acknowledgement, request, relationship, &scene)?;
            inbox.requests.push(asked);
        }
        Ok(inbox)
    }

    pub(super) fn check_administrator(&self) -> Result<(), ClientError> {
        self.device.as_ref().ok_or(ClientError::NoAccount)?;
        self.owner()
            .map(drop)
            .map_err(|_| ConnectError::NotAdministrator.into())
    }

    /// Checks an acknowledgement by the pinned service and this device's own mesh (service §6.2
    /// step 6).
    fn verified(
        &self,
        envelope: &Envelope,
    ) -> Result<(Acknowledgement, ConnectionRequest), String> {
        let device = self.device.as_ref().ok_or("there is no account")?;
        let pinned = device
            .state
            .service
            .as_ref()
            .ok_or("no service is pinned")?;
        let service = identity_of(pinned).map_err(|error| error.to_string())?;
        let mesh = &device.identity.mesh;
        let (acknowledgement, request) =
            Acknowledgement::verify(envelope, &service.signing_keys, mesh, None)
                .map_err(|error| error.message)?;
        if request.account != device.state.address {
            return Err(format!("it is for {}", request.account));
        }
        Ok((acknowledgement, request))
    }

    fn looked_at(
        &mut self,
        acknowledgement: Acknowledgement,
        request: ConnectionRequest,
        relationship: Option<&str>,
        scene: &Scene<'_>,
    ) -> Result<Asked, ClientError> {
        let device_udf = request.profile.udf().to_string();
        let is_live = self.device_is_live(&device_udf)?;
        let answer = answer_to(&acknowledgement, scene.local);
        let standing = match (answer, is_live) {
            (Some(true), _) => Standing::Accepted,
            (Some(false), false) => Standing::Rejected,
            (_, true) => Standing::Granted,
            // Its device was connected and has been removed since.
            (None, false) if relationship == Some(Relationship::Accept.as_str()) => {
                Standing::Accepted
            }
            (None, false) => Standing::Waiting,
        };
        let proved = Proved::of(&request, &acknowledgement);
        let (pin, matched) = match request.request.pin_udf.as_deref() {
            Some(pin_udf) => pin_of(&proved, pin_udf, scene),
            None => (None, None),
        };
        Ok(Asked {
            id: acknowledgement.message_id.clone(),
            witness: acknowledgement.witness.clone(),
            device: request.profile.description.clone(),
            device_udf,
            standing,
            pin,
            matched,
            is_completed: relationship.is_some_and(|word| word == "Accept" || word == "Reject"),
            request,
            acknowledgement,
        })
    }

    pub(super) fn device_is_live(&mut self, device_udf: &str) -> Result<bool, ClientError> {
        Ok(self.entry_of(device_udf)?.is_some())
    }

    /// The states of Inbound's messages, and the acknowledgements among them.
    fn read_inbound(&mut self) -> Result<(Spool, Vec<(u64, Envelope)>), ClientError> {
        let replica = self.replica(&name_of(INBOUND))?;
        let mut spool = Spool::new(ContainerKind::Inbound);
        let mut acknowledgements = Vec::new();
        for (index, frame) in (0..).zip(replica.frames()) {
            spool.fold(index, read(index, frame));
            if is_of_type(&spool, index, ACKNOWLEDGEMENT) {
                acknowledgements.push((index, frame.clone()));
            }
        }
        Ok((spool, acknowledgements))
    }

    /// The PINs and answers in Local. What cannot be read or is not signed by the mesh is not there.
    fn read_local(&mut self) -> Result<Local, ClientError> {
        let device = self.device.as_ref().ok_or(ClientError::NoAccount)?;
        let key = device.identity.in_account.encryption.clone();
        let mesh_keys = device.identity.mesh.keys().to_vec();
        let replica = self.replica(&name_of(LOCAL))?;
        let mut spool = Spool::new(ContainerKind::Local);
        let mut local = Local::default();
        let mut pins = Vec::new();
        for (index, frame) in (0..).zip(replica.frames()) {
            spool.fold(index, read(index, frame));
            if is_of_type(&spool, index, PIN) {
                match KeptPin::open(frame, &key, &mesh_keys) {
                    Ok(kept) => pins.push((index, kept)),
                    Err(error) => tracing::debug!(index, %error, "a MessagePIN is left out"),
                }
            }
            if is_of_type(&spool, index, ANSWER)
                && let Ok(Message::RespondConnection(answer)) = Message::from_envelope(frame)
                && let Some(id) = &answer.message_id
            {
                let says_yes = answer.cataloged_device.is_some();
                local.answers.insert(canonical(id), says_yes);
            }
        }
        local.pins = pins
            .into_iter()
            .map(|(index, kept)| FoundPin {
                used_for: spool
                    .at(index)
                    .filter(|one| one.relationship.as_deref() == Some("Accept"))
                    .map(|one| one.response.clone().unwrap_or_default()),
                kept,
            })
            .collect();
        Ok(local)
    }
}

/// Whether the request was answered, and with yes.
fn answer_to(acknowledgement: &Acknowledgement, local: &Local) -> Option<bool> {
    let later = response_id_later(&acknowledgement.message_id);
    [Some(acknowledgement.response_id.clone()), later]
        .into_iter()
        .flatten()
        .find_map(|id| local.answers.get(id.as_str()).copied())
}

/// The PIN with which a request was made. A PIN that was used for a request of the same device is
/// valid: its answer was interrupted, or the device asked again.
fn pin_of(
    proved: &Proved<'_>,
    pin_udf: &str,
    scene: &Scene<'_>,
) -> (Option<PinStanding>, Option<KeptPin>) {
    let found = scene
        .local
        .pins
        .iter()
        .find(|pin| proved.is_asked_with(&pin.kept.pin, pin_udf));
    let Some(found) = found else {
        return (Some(PinStanding::Invalid), None);
    };
    let standing = match &found.used_for {
        Some(answer) if (scene.is_of_device)(answer) => PinStanding::Valid,
        Some(_) => PinStanding::Used,
        None if scene.now >= found.kept.expires => PinStanding::Expired,
        None => PinStanding::Valid,
    };
    (Some(standing), Some(found.kept.clone()))
}

fn canonical(id: &str) -> String {
    Udf::parse(id).map_or_else(|_| id.to_owned(), |udf| udf.to_string())
}

fn read(index: u64, frame: &Envelope) -> SpoolItem {
    let plaintext = (!frame.header.is_encrypted()).then_some(frame.payload.as_slice());
    SpoolItem::read(index, &frame.header, plaintext)
}

fn is_of_type(spool: &Spool, index: u64, tag: &str) -> bool {
    spool
        .at(index)
        .is_some_and(|message| message.message_type.as_deref() == Some(tag))
}
