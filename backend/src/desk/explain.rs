//! Where a message is: in the queue, in quarantine, in an intake, set aside, or nowhere any more because
//! its way has ended. For whoever asks "has it arrived?" (delivery §13).

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use mesh_common::account::intake::DeliveryKey;
use mesh_common::account::needs::Needs;
use mesh_common::account::{AccountId, DirectoryEntry, IntakeBody};
use mesh_common::address::AccountAddress;
use mesh_common::delivery::{QueueItem, ShardId};

use super::owner::owner_of;
use super::queue::OutboundDesk;
use super::scan::each;
use super::{Aside, DeskError, DestinationState, Explanation, Selection, Whereabouts};
use crate::partition::reading::{self, ReadError};
use crate::partition::{directory, records};
use crate::store::{Read, Store, Tx, TxOptions, keys};

/// Entries that were set aside, or are in quarantine, among which a message is looked for.
const ENTRIES_MAX: usize = 10_000;

impl<S: Store> OutboundDesk<S> {
    /// Everything that is known of `message`. What its sender was told is known if the sender is: named,
    /// or found with the message.
    pub(super) async fn whereabouts(
        &self,
        message: &str,
        sender: Option<&str>,
    ) -> Result<Explanation, DeskError> {
        let selection = Selection::of_message(message).map_err(|error| DeskError::Refused {
            why: error.to_string(),
        })?;
        let queued = self.queued(&selection).await?;
        let mut found = Found {
            message: queued
                .first()
                .map_or_else(|| message.to_owned(), |(_, item)| item.unique_id.clone()),
            sender: sender.map(str::to_owned),
            recipients: BTreeSet::new(),
            whereabouts: Vec::new(),
        };
        for (shard, item) in queued {
            let whereabouts = self.in_queue(shard, &item).await?;
            found.add(&item.sender, &item.recipient, whereabouts);
        }
        self.find_quarantined(&mut found).await?;
        self.find_left(&mut found).await?;
        self.find_aside(&mut found).await?;
        self.find_told(&mut found).await?;
        Ok(Explanation {
            message: found.message,
            recipients: found.whereabouts,
        })
    }

    async fn queued(&self, selection: &Selection) -> Result<Vec<(ShardId, QueueItem)>, DeskError> {
        let mut found = Vec::new();
        self.each_item(keys::all_queues(), |shard, item| {
            if selection.matches(&item) {
                found.push((shard, item));
            }
            ControlFlow::Continue(())
        })
        .await?;
        Ok(found)
    }

    async fn in_queue(&self, shard: ShardId, item: &QueueItem) -> Result<Whereabouts, DeskError> {
        let domain = item.destination();
        let destination = self.look_at(domain).await?;
        let destination = destination
            .unwrap_or_else(|| self.view(DestinationState::unknown(domain), Default::default()));
        let item = Box::new(self.item(item, destination.state.phase));
        Ok(Whereabouts::Queued {
            item,
            shard: shard.0,
            destination: Box::new(destination),
        })
    }

    async fn find_quarantined(&self, found: &mut Found) -> Result<(), DeskError> {
        for entry in self.in_quarantine(ENTRIES_MAX).await? {
            let Some(item) = entry.item.clone() else {
                continue;
            };
            if item.message == found.message || item.id == found.message {
                let entry = Box::new(entry);
                let whereabouts = Whereabouts::Quarantined { entry };
                found.add(&item.sender, &item.recipient, whereabouts);
            }
        }
        Ok(())
    }

    async fn find_left(&self, found: &mut Found) -> Result<(), DeskError> {
        let mut left = Vec::new();
        each(&self.shared.store, keys::intakes(), |row| {
            if let Ok(entry) = records::intake(&row.value)
                && let IntakeBody::Message(message) = &entry.body
                && message.unique_id == found.message
            {
                let sender = message.sender.address.clone();
                left.push((
                    sender,
                    entry.account.clone(),
                    entry.left_at,
                    entry.partition(),
                ));
            }
            ControlFlow::Continue(())
        })
        .await?;
        for (sender, recipient, left_at, partition) in left {
            let whereabouts = Whereabouts::Intake {
                recipient: recipient.clone(),
                left_at,
                partition: partition.0,
                owner: owner_of(&self.shared, partition.into()),
            };
            found.add(&sender, &recipient, whereabouts);
        }
        Ok(())
    }

    async fn find_aside(&self, found: &mut Found) -> Result<(), DeskError> {
        for entry in super::aside::read(&self.shared.store, ENTRIES_MAX).await? {
            if let Aside {
                kind: Some(kind),
                message: Some(message),
                account: Some(recipient),
                other: Some(sender),
                ..
            } = &entry
                && kind == "message"
                && *message == found.message
            {
                let (sender, recipient) = (sender.clone(), recipient.clone());
                let entry = Box::new(entry);
                found.add(&sender, &recipient, Whereabouts::SetAside { entry });
            }
        }
        Ok(())
    }

    /// Adds the recipients that the message waits for nowhere, with what the sender was told last.
    async fn find_told(&self, found: &mut Found) -> Result<(), DeskError> {
        let sender = found.sender.as_deref().map(str::parse::<AccountAddress>);
        let Some(Ok(sender)) = sender else {
            return Ok(());
        };
        let tx = self.shared.store.begin(TxOptions::default());
        let Some(account) = account_of(&tx, &sender).await? else {
            return Ok(());
        };
        let needs = Needs {
            sendings: [found.message.clone()].into(),
            ..Needs::default()
        };
        let sent = reading::look_up(&tx, Some(account), &needs).await?;
        let Some(sending) = sent.sendings.get(&found.message) else {
            return Ok(());
        };
        let key = |recipient: &String| DeliveryKey {
            unique_id: found.message.clone(),
            recipient: recipient.clone(),
        };
        let elsewhere = |recipient: &&String| !found.recipients.contains(*recipient);
        let keys: Vec<_> = sending
            .recipients
            .iter()
            .filter(elsewhere)
            .map(key)
            .collect();
        let needs = Needs {
            deliveries: keys.iter().cloned().collect(),
            ..Needs::default()
        };
        let told = reading::look_up(&tx, Some(account), &needs).await?;
        found.whereabouts.extend(keys.into_iter().map(|key| {
            let row = told.deliveries.get(&key);
            Whereabouts::Told {
                state: row.map(|row| row.state),
                at: row.map(|row| row.told_at),
                recipient: key.recipient,
            }
        }));
        Ok(())
    }
}

/// What was found of a message so far.
struct Found {
    message: String,
    sender: Option<String>,
    recipients: BTreeSet<String>,
    whereabouts: Vec<Whereabouts>,
}

impl Found {
    fn add(&mut self, sender: &AccountAddress, recipient: &AccountAddress, found: Whereabouts) {
        let known = || sender.canonical().to_owned();
        self.sender.get_or_insert_with(known);
        self.recipients.insert(recipient.canonical().to_owned());
        self.whereabouts.push(found);
    }
}

async fn account_of<T: Tx>(
    tx: &T,
    address: &AccountAddress,
) -> Result<Option<AccountId>, DeskError> {
    let Some(row) = tx.get(&keys::dir(address), Read::Snapshot).await? else {
        return Ok(None);
    };
    let entry = directory(&row).map_err(ReadError::from)?;
    Ok(match entry {
        DirectoryEntry::Account(account) => Some(account),
        DirectoryEntry::Reserved(_) => None,
    })
}
