//! Everything a device and its service have to tell each other: containers, then what waits in the
//! outbox, then the answers that came and prove themselves.

use mesh_common::dare::ContainerKind;
use serde::Serialize;

use super::cards::Acquaintance;
use super::failure::MessageFailure;
use super::folder::MessageFacts;
use super::outbox::{Flushed, Posted, Rejected};
use crate::changes::{Collision, Decisions};
use crate::client::Client;
use crate::error::ClientError;
use crate::sync::SyncReport;

/// What an exchange did.
#[derive(Debug, Default, Serialize)]
pub struct Exchange {
    /// The containers, and what went which way.
    #[serde(flatten)]
    pub sync: SyncReport,
    /// Messages the service has now.
    pub posted: Vec<Posted>,
    /// What it refused for good.
    pub rejected: Vec<Rejected>,
    /// Messages that arrived.
    pub arrived: Vec<MessageFacts>,
    /// Who answered a request and is in the catalog now.
    pub contacts: Vec<Acquaintance>,
}

impl Exchange {
    fn add_sync(&mut self, later: SyncReport) {
        self.sync.rebases += later.rebases;
        for device in later.devices {
            self.sync.devices.retain(|one| one.id != device.id);
            self.sync.devices.push(device);
        }
        for container in later.containers {
            let earlier = self
                .sync
                .containers
                .iter_mut()
                .find(|one| one.container == container.container);
            match earlier {
                Some(one) => {
                    one.frames = container.frames;
                    one.downloaded += container.downloaded;
                    one.uploaded += container.uploaded;
                    one.apex = container.apex;
                }
                None => self.sync.containers.push(container),
            }
        }
    }

    fn add_flushed(&mut self, flushed: Flushed) {
        self.posted.extend(flushed.posted);
        self.rejected.extend(flushed.rejected);
    }

    /// Whether the message `id` reached the service.
    ///
    /// # Errors
    /// [`MessageFailure::Refused`] if the service refused it.
    pub fn confirm_posted(mut self, id: &str) -> Result<Self, ClientError> {
        let rejected = self.rejected.iter_mut().find(|one| one.id == id);
        match rejected.and_then(|one| one.failure.take()) {
            Some(source) => Err(MessageFailure::Refused {
                id: id.to_owned(),
                source,
            }
            .into()),
            None => Ok(self),
        }
    }
}

impl Client {
    /// Brings containers and service to agreement, sends what waits, and takes in the answers to
    /// requests for contact data.
    ///
    /// # Errors
    /// As [`Self::sync_deciding`]; what waits in the outbox is sent before collisions are told.
    pub async fn exchange(&mut self, decisions: &Decisions) -> Result<Exchange, ClientError> {
        let (exchange, collisions) = self.exchange_all(decisions).await?;
        if collisions.is_empty() {
            Ok(exchange)
        } else {
            Err(ClientError::Collisions(collisions))
        }
    }

    /// What an exchange did, and what it could not decide.
    async fn exchange_all(
        &mut self,
        decisions: &Decisions,
    ) -> Result<(Exchange, Vec<Collision>), ClientError> {
        self.finish_creation().await?;
        let mut exchange = Exchange::default();
        let before = self.inbound_frames()?;
        let mut collisions = Vec::new();
        self.step(decisions, &mut exchange, &mut collisions).await?;
        let flushed = self.flush_outbox().await?;
        let changed = flushed.changes > 0 || !flushed.posted.is_empty();
        exchange.add_flushed(flushed);
        exchange.contacts = self.take_replies()?;
        if !exchange.contacts.is_empty() {
            let flushed = self.flush_outbox().await?;
            exchange.add_flushed(flushed);
        }
        if changed || !exchange.contacts.is_empty() {
            collisions.clear();
            self.step(decisions, &mut exchange, &mut collisions).await?;
        }
        exchange.arrived = self.messages_from(before)?;
        Ok((exchange, collisions))
    }

    /// [`Self::exchange`] for the sake of the message `id`, which was put into the outbox.
    ///
    /// # Errors
    /// [`MessageFailure::Waits`] if the service could not be asked: the message is kept.
    /// [`MessageFailure::Refused`] if it was refused. Collisions of entries are left to
    /// [`Self::sync`].
    pub async fn deliver(&mut self, id: &str) -> Result<Exchange, ClientError> {
        match self.exchange_all(&Decisions::default()).await {
            Ok((exchange, _)) => exchange.confirm_posted(id),
            Err(error) if self.outbox()?.iter().any(|parcel| parcel.id == id) => {
                Err(MessageFailure::Waits {
                    id: id.to_owned(),
                    source: Box::new(error),
                }
                .into())
            }
            Err(error) => Err(error),
        }
    }

    async fn step(
        &mut self,
        decisions: &Decisions,
        exchange: &mut Exchange,
        collisions: &mut Vec<Collision>,
    ) -> Result<(), ClientError> {
        match self.sync_deciding(decisions).await {
            Ok(report) => exchange.add_sync(report),
            Err(ClientError::Collisions(found)) => collisions.extend(found),
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn inbound_frames(&mut self) -> Result<u64, ClientError> {
        match ContainerKind::Inbound.name() {
            Some(name) => Ok(self.replica(&name)?.count()),
            None => Ok(0),
        }
    }
}
