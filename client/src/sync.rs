//! Synchronization: what the service has is downloaded and checked, what waits here is put behind it
//! and uploaded, until both agree (containers §8, service §5.4 to §5.6).
//!
//! ```text
//!  Status ─▶ newer there? ─▶ Download ─▶ check digests ─▶ put waiting changes behind
//!    ▲                                                              │
//!    └──────────── 409: somebody was faster ◀── Upload ◀────────────┘
//! ```
//!
//! Nothing here overwrites another device's change: where both changed one entry, the caller says
//! whose change counts, or learns of the collision and nothing of that catalog is sent.

use std::collections::BTreeMap;

use mesh_common::dare::{ContainerName, Envelope};
use mesh_common::encoding::base64url::{self, Binary};
use mesh_common::limits::{UPLOAD_ENVELOPES_MAX, UPLOAD_PAYLOAD_BYTES_MAX};
use mesh_common::protocol::{
    Code, ConstraintsSelect, ContainerStatus, ContainerUpdate, DownloadRequest, EntryResult,
    Request, Response, StatusRequest, UploadRequest, UploadResponse,
};
use serde::Serialize;

use crate::catalogs::open_entry;
use crate::changes::{Collision, Decisions, Keep, arrange, behind, rebase};
use crate::client::Client;
use crate::connect::PinAnswer;
use crate::error::ClientError;
use crate::limits::REBASES_MAX;
use crate::service::ServiceFailure;
use crate::state::Stage;

/// What a synchronization did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct SyncReport {
    /// The containers, in the order of a Status.
    pub containers: Vec<SyncedContainer>,
    /// Entries that were changed on both sides; their catalogs were left as they are.
    pub collisions: Vec<Collision>,
    /// How often waiting changes were put behind those of other devices.
    pub rebases: u32,
    /// Devices that asked to be connected with a PIN, if this device administers the account.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub devices: Vec<PinAnswer>,
}

/// One container after a synchronization.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct SyncedContainer {
    /// Its canonical name.
    pub container: String,
    /// Frames on both sides now.
    pub frames: u64,
    /// Frames that came from the service.
    pub downloaded: u64,
    /// Frames that went to the service.
    pub uploaded: u64,
    /// The tree digest of the last frame, as base64url.
    pub apex: Option<String>,
}

/// Where a container stands at the service.
#[derive(Debug, Clone)]
pub(crate) struct Remote {
    pub(crate) name: ContainerName,
    pub(crate) count: u64,
    pub(crate) apex: Option<Vec<u8>>,
}

/// Frames of one container that wait to be uploaded.
#[derive(Debug)]
pub(crate) struct Parcel {
    pub(crate) name: ContainerName,
    pub(crate) base: u64,
    pub(crate) envelopes: Vec<Envelope>,
    /// The apex behind the last of them.
    pub(crate) apex: Binary,
}

impl Client {
    /// Brings the replicas and the service to agreement, and on an administrator's device answers the
    /// devices that ask with a PIN. `keep` says whose change counts where one entry was changed here
    /// and elsewhere.
    ///
    /// # Errors
    /// [`ClientError::Collisions`] if there are any and nobody said whose change counts: all other
    /// catalogs are synchronized then. [`ClientError::Forked`] and [`ClientError::Rewound`] if the
    /// service's history is not the one it showed before. [`ClientError::Service`],
    /// [`ClientError::Transport`], [`ClientError::Replica`].
    pub async fn sync(&mut self, keep: Option<Keep>) -> Result<SyncReport, ClientError> {
        self.sync_deciding(&keep.into()).await
    }

    /// [`Self::sync`], with whose change counts said for each entry.
    ///
    /// # Errors
    /// As [`Self::sync`].
    pub async fn sync_deciding(
        &mut self,
        decisions: &Decisions,
    ) -> Result<SyncReport, ClientError> {
        let mut report = Box::pin(self.synchronize(decisions)).await?;
        report.devices = Box::pin(self.answer_pins()).await?;
        Ok(report)
    }

    /// The same, without answering devices that ask with a PIN.
    pub(crate) async fn synchronize(
        &mut self,
        decisions: &Decisions,
    ) -> Result<SyncReport, ClientError> {
        self.finish_creation().await?;
        Box::pin(self.finish_profiles()).await?;
        let mut is_renewed = false;
        let mut counts: BTreeMap<ContainerName, (u64, u64)> = BTreeMap::new();
        let mut rebases = 0;
        let (remote, collisions) = loop {
            let remote = match self.remote().await {
                Err(error) if error.is_about_credential() && !is_renewed => {
                    is_renewed = true;
                    self.renew_or(error).await?;
                    continue;
                }
                remote => remote?,
            };
            let collisions = self.catch_up(&remote, decisions, &mut counts).await?;
            self.settle()?;
            let blocked: Vec<_> = collisions
                .iter()
                .map(|collision| collision.container.clone())
                .collect();
            match self.upload_waiting(&blocked, &mut counts).await? {
                None => break (remote, collisions),
                Some(container) if rebases == REBASES_MAX => {
                    return Err(ClientError::Outrun { container });
                }
                Some(_) => rebases += 1,
            }
        };
        let now = self.clock.now();
        if self.is_recovered() {
            self.connected_again()?;
        }
        let state = &mut self.device()?.state;
        state.synced_at = Some(now);
        state.stage = Stage::Ready;
        self.save_state()?;
        if !collisions.is_empty() {
            return Err(ClientError::Collisions(collisions));
        }
        let containers = self.report_of(&remote, &counts)?;
        Ok(SyncReport {
            containers,
            collisions,
            rebases,
            devices: Vec::new(),
        })
    }

    fn is_recovered(&self) -> bool {
        self.state()
            .is_some_and(|state| state.stage == Stage::Recovered)
    }

    /// From now on the device acts as the connected one that its entry says it is.
    fn connected_again(&mut self) -> Result<(), ClientError> {
        self.device()?.service = None;
        self.set_stage(Stage::Ready)
    }

    /// Gets this device's place anew; where it has none, `refusal` stands.
    async fn renew_or(&mut self, refusal: ClientError) -> Result<(), ClientError> {
        match Box::pin(self.renew_place()).await {
            Err(ClientError::Service(ServiceFailure::Refused { .. })) => Err(refusal),
            outcome => outcome,
        }
    }

    /// Where the account's containers stand at the service.
    pub(crate) async fn remote(&mut self) -> Result<Vec<Remote>, ClientError> {
        let device = self.device.as_ref().ok_or(ClientError::NoAccount)?;
        let known = device.identity.mesh.digest();
        let request = StatusRequest {
            account: Some(self.account_name()?),
            profile_master_digest: Some(Binary::from(*known)),
            ..StatusRequest::default()
        };
        let response = match self.call(Request::Status(request)).await? {
            Response::Status(response) => response,
            other => return Err(ServiceFailure::other_class(&other).into()),
        };
        if response.container_status.is_empty() && self.is_recovered() {
            // Our entry arrived, and the answer to it did not: as a device alone we see nothing now.
            self.connected_again()?;
            return Box::pin(self.remote()).await;
        }
        self.take_profile(response.enveloped_profile_master)?;
        Ok(response
            .container_status
            .iter()
            .filter_map(remote_of)
            .collect())
    }

    /// Downloads what is new at the service and puts what waits here behind it.
    pub(crate) async fn catch_up(
        &mut self,
        remote: &[Remote],
        decisions: &Decisions,
        counts: &mut BTreeMap<ContainerName, (u64, u64)>,
    ) -> Result<Vec<Collision>, ClientError> {
        let mut behind = Vec::new();
        for container in remote {
            if self.is_behind(container)? {
                behind.push(container.clone());
            }
        }
        let total = behind
            .iter()
            .map(|container| container.count - self.synced(&container.name))
            .sum();
        let mut done = 0;
        let mut collisions = Vec::new();
        for container in &behind {
            let received = self.download(container, &mut done, total).await?;
            let number = received.len() as u64;
            match self.take_in(&container.name, received, decisions)? {
                Ok(()) => counts.entry(container.name.clone()).or_default().0 += number,
                Err(found) => collisions.extend(found),
            }
        }
        self.save_state()?;
        Ok(collisions)
    }

    /// Whether the service has frames of `container` that are not here; an error if its history is
    /// not the one we know.
    fn is_behind(&mut self, container: &Remote) -> Result<bool, ClientError> {
        let name = &container.name;
        let here = self.replica(name)?.count();
        if self.synced(name) > here {
            // A replica that was lost or cut is brought back from where it ends.
            self.set_synced(name, here)?;
        }
        let synced = self.synced(name);
        let known = self.replica(name)?.apex_at(synced);
        if container.count < synced {
            return Err(ClientError::Rewound {
                container: name.canonical().to_owned(),
                found: container.count,
                known: synced,
            });
        }
        let differs = container
            .apex
            .as_deref()
            .zip(known)
            .is_some_and(|(apex, known)| apex != known);
        if container.count == synced && differs {
            return Err(ClientError::Forked {
                container: name.canonical().to_owned(),
                frames: synced,
            });
        }
        Ok(container.count > synced)
    }

    /// The frames of `container` from the first that is not here on, checked against the apex the
    /// service states.
    async fn download(
        &mut self,
        container: &Remote,
        done: &mut u64,
        total: u64,
    ) -> Result<Vec<Envelope>, ClientError> {
        let name = &container.name;
        let from = self.synced(name);
        let mut received: Vec<Envelope> = Vec::new();
        loop {
            let next = from + received.len() as u64;
            let update = self.download_page(name, next).await?;
            let page = update.envelopes.len() as u64;
            received.extend(update.envelopes);
            *done += page;
            self.tell("downloading", *done, total.max(*done));
            let there = update.index.unwrap_or(next + page);
            if next + page >= there {
                self.check_history(name, from, &received, update.digest.as_ref())?;
                return Ok(received);
            }
            if page == 0 {
                let problem = format!("it keeps back frame {next} of {name}");
                return Err(ServiceFailure::Misbehaved { problem }.into());
            }
        }
    }

    async fn download_page(
        &mut self,
        name: &ContainerName,
        from: u64,
    ) -> Result<ContainerUpdate, ClientError> {
        let request = DownloadRequest {
            account: Some(self.account_name()?),
            select: vec![ConstraintsSelect {
                container: Some(name.canonical().to_owned()),
                index_min: i64::try_from(from).ok(),
                ..ConstraintsSelect::default()
            }],
            ..DownloadRequest::default()
        };
        match self.call(Request::Download(request)).await? {
            Response::Download(mut response) if response.updates.len() == 1 => {
                Ok(response.updates.remove(0))
            }
            Response::Download(_) => Err(ServiceFailure::Misbehaved {
                problem: format!("it answers one selection of {name} with another number of them"),
            }
            .into()),
            other => Err(ServiceFailure::other_class(&other).into()),
        }
    }

    /// Recomputes the apex behind `received` and compares it with the one the service states.
    fn check_history(
        &mut self,
        name: &ContainerName,
        from: u64,
        received: &[Envelope],
        apex: Option<&Binary>,
    ) -> Result<(), ClientError> {
        let found = self.replica(name)?.apex_behind(from, received)?;
        match (found, apex) {
            (Some(found), Some(apex)) if apex.as_slice() != found => Err(ClientError::Forked {
                container: name.canonical().to_owned(),
                frames: from + received.len() as u64,
            }),
            _ => Ok(()),
        }
    }

    /// Puts received frames behind those both sides have, and what waits here behind them.
    fn take_in(
        &mut self,
        name: &ContainerName,
        received: Vec<Envelope>,
        decisions: &Decisions,
    ) -> Result<Result<(), Vec<Collision>>, ClientError> {
        let synced = self.synced(name);
        let number = received.len() as u64;
        self.replica(name)?;
        let device = self.device()?;
        let key = &device.identity.keys.account_encryption;
        let alike = |one: &Envelope, other: &Envelope| {
            open_entry(one, key).is_ok_and(|one| open_entry(other, key).is_ok_and(|it| it == one))
        };
        let Some(replica) = device.replicas.get_mut(name) else {
            return Ok(Ok(()));
        };
        if replica.count() == synced {
            replica.receive(received)?;
        } else {
            let split = usize::try_from(synced).unwrap_or(usize::MAX);
            let waiting = &replica.frames()[split..];
            let own = if name.is_spool() {
                behind(waiting, &received)
            } else {
                match rebase(name.canonical(), waiting, &received, decisions, &alike) {
                    Ok(own) => {
                        let (index, next) = replica.index_behind(synced, &received);
                        arrange(index, next, own)
                    }
                    Err(collisions) => return Ok(Err(collisions)),
                }
            };
            replica.replace_behind(synced, received, own)?;
        }
        self.set_synced(name, synced + number)?;
        Ok(Ok(()))
    }

    /// Uploads what waits in all catalogs but the `blocked` ones. Returns the name of a container
    /// in which somebody else was faster.
    async fn upload_waiting(
        &mut self,
        blocked: &[String],
        counts: &mut BTreeMap<ContainerName, (u64, u64)>,
    ) -> Result<Option<String>, ClientError> {
        let total = self.waiting_frames(blocked)?;
        let mut done = 0;
        loop {
            let parcels = self.next_parcels(blocked)?;
            let Some(first) = parcels.first() else {
                return Ok(None);
            };
            let container = first.name.canonical().to_owned();
            let sent: Vec<_> = parcels
                .iter()
                .map(|parcel| (parcel.name.clone(), parcel.envelopes.len() as u64))
                .collect();
            if !self.upload(parcels).await? {
                return Ok(Some(container));
            }
            for (name, number) in sent {
                let synced = self.synced(&name);
                self.set_synced(&name, synced + number)?;
                counts.entry(name).or_default().1 += number;
                done += number;
            }
            self.save_state()?;
            self.tell("uploading", done, total);
        }
    }

    /// Sends frames; false if somebody else was faster.
    pub(crate) async fn upload(&mut self, parcels: Vec<Parcel>) -> Result<bool, ClientError> {
        self.upload_with(parcels, Vec::new()).await
    }

    /// Sends frames together with messages for the account itself: all of it is there afterwards, or
    /// nothing (X-38); false if somebody else was faster.
    pub(crate) async fn upload_with(
        &mut self,
        parcels: Vec<Parcel>,
        self_messages: Vec<Envelope>,
    ) -> Result<bool, ClientError> {
        let names: Vec<_> = parcels
            .iter()
            .flat_map(|parcel| {
                let name = parcel.name.canonical();
                (parcel.base..)
                    .take(parcel.envelopes.len())
                    .map(move |at| (name.to_owned(), at))
            })
            .collect();
        let request = UploadRequest {
            account: Some(self.account_name()?),
            updates: parcels
                .into_iter()
                .map(|parcel| ContainerUpdate {
                    container: Some(parcel.name.canonical().to_owned()),
                    index: Some(parcel.base),
                    digest: Some(parcel.apex),
                    envelopes: parcel.envelopes,
                })
                .collect(),
            self_messages,
            ..UploadRequest::default()
        };
        let response = match self.ask(Request::Upload(request)).await? {
            Response::Upload(response) => response,
            other => return Err(ServiceFailure::other_class(&other).into()),
        };
        if response.outcome.is_success() {
            return Ok(true);
        }
        if response.outcome.code() == Some(Code::Conflict) {
            return Ok(false);
        }
        Err(rejection(&response, &names).into())
    }

    /// Frames that wait, as many as one request may carry.
    fn next_parcels(&mut self, blocked: &[String]) -> Result<Vec<Parcel>, ClientError> {
        let mut room = UPLOAD_ENVELOPES_MAX;
        let mut octets = UPLOAD_PAYLOAD_BYTES_MAX;
        let mut parcels = Vec::new();
        for name in self.containers()? {
            if blocked.iter().any(|blocked| blocked == name.canonical()) {
                continue;
            }
            let base = self.synced(&name);
            let replica = self.replica(&name)?;
            let split = usize::try_from(base).unwrap_or(usize::MAX);
            let waiting = replica.frames().get(split..).unwrap_or_default();
            let mut envelopes = Vec::new();
            for frame in waiting.iter().take(room) {
                let size = frame.payload.as_slice().len();
                if size > octets && !(parcels.is_empty() && envelopes.is_empty()) {
                    room = 0;
                    break;
                }
                octets = octets.saturating_sub(size);
                envelopes.push(frame.clone());
            }
            room = room.saturating_sub(envelopes.len());
            let behind = base + envelopes.len() as u64;
            if let Some(apex) = replica.apex_at(behind).filter(|_| !envelopes.is_empty()) {
                parcels.push(Parcel {
                    name,
                    base,
                    envelopes,
                    apex: Binary::from(apex),
                });
            }
        }
        Ok(parcels)
    }

    fn waiting_frames(&mut self, blocked: &[String]) -> Result<u64, ClientError> {
        let mut waiting = 0;
        for name in self.containers()? {
            if !blocked.iter().any(|blocked| blocked == name.canonical()) {
                waiting += self.waiting(&name)?;
            }
        }
        Ok(waiting)
    }

    /// Frames of a container that the service does not have yet.
    ///
    /// # Errors
    /// [`ClientError::NoAccount`], [`ClientError::Replica`].
    pub fn waiting(&mut self, name: &ContainerName) -> Result<u64, ClientError> {
        let synced = self.synced(name);
        Ok(self.replica(name)?.count().saturating_sub(synced))
    }

    fn report_of(
        &mut self,
        remote: &[Remote],
        counts: &BTreeMap<ContainerName, (u64, u64)>,
    ) -> Result<Vec<SyncedContainer>, ClientError> {
        let mut names: Vec<_> = remote
            .iter()
            .map(|container| container.name.clone())
            .collect();
        names.extend(counts.keys().cloned());
        names.sort();
        names.dedup();
        names
            .into_iter()
            .map(|name| {
                let (downloaded, uploaded) = counts.get(&name).copied().unwrap_or_default();
                let replica = self.replica(&name)?;
                Ok(SyncedContainer {
                    container: name.canonical().to_owned(),
                    frames: replica.count(),
                    downloaded,
                    uploaded,
                    apex: replica.apex().map(|apex| base64url::encode(&apex)),
                })
            })
            .collect()
    }

    pub(crate) fn synced(&self, name: &ContainerName) -> u64 {
        self.state().map_or(0, |state| state.synced(name))
    }

    pub(crate) fn set_synced(
        &mut self,
        name: &ContainerName,
        frames: u64,
    ) -> Result<(), ClientError> {
        let state = &mut self.device()?.state;
        state.synced.insert(name.to_canonical(), frames);
        Ok(())
    }

    /// The account's address as requests name it; an error if the account is gone.
    pub(crate) fn account_name(&self) -> Result<String, ClientError> {
        let state = self.state().ok_or(ClientError::NoAccount)?;
        if state.stage == Stage::Deleted {
            return Err(ClientError::AccountDeleted {
                address: state.address.clone(),
            });
        }
        Ok(state.address.canonical().to_owned())
    }
}

pub(crate) fn remote_of(status: &ContainerStatus) -> Option<Remote> {
    Some(Remote {
        name: ContainerName::parse(status.container.as_deref()?).ok()?,
        count: status.index?,
        apex: status.digest.as_ref().map(|digest| digest.0.clone()),
    })
}

/// The refusal of an upload, with the frame that caused it.
fn rejection(response: &UploadResponse, names: &[(String, u64)]) -> ServiceFailure {
    let rejected = response
        .entries
        .iter()
        .find(|entry| entry.result == Some(EntryResult::Reject))
        .and_then(|entry| usize::try_from(entry.index_request?).ok())
        .and_then(|ordinal| names.get(ordinal));
    let failure = ServiceFailure::refusal(&response.outcome);
    match rejected {
        Some((container, index)) => failure.about(format!("frame {index} of {container}")),
        None => failure,
    }
}
