//! The secrets of tickets, as the nodes of a cluster share them: one row of table 00 per epoch, sealed
//! under the cluster's secret, made two epochs ahead by whoever comes first, erased after their last use
//! (decision Q-54).
//!
//! Every node looks now and then. Who finds that something is missing adds it, provided that nothing in
//! the range was written meanwhile; who did not make it first reads what the other made. What is handed
//! out has been read, never only written.

use std::time::Duration;

use mesh_common::cluster::{ClusterSecret, NotOurs, TicketSecret};
use mesh_common::entropy::Entropy;
use mesh_common::session::Epoch;
use mesh_common::time::Timestamp;
use mesh_common::udf::Udf;

use crate::partition::{Reader, RowError, Writer};
use crate::store::{CommitError, Limit, Order, Read, Store, StoreError, Tx, TxOptions, keys};

/// Format of a sealed secret.
const SEALED: u8 = 1;
/// How long one commit may take.
const COMMIT_TIME_MAX: Duration = Duration::from_secs(4);
/// How often a look is repeated because others wrote as well.
const TRIES_MAX: usize = 8;

/// The secrets of the tickets of one service, in the store.
#[derive(Debug)]
pub struct TicketVault<S> {
    store: S,
    secret: ClusterSecret,
    service: Udf,
}

/// Why the secrets cannot be had now.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// The store cannot be read.
    #[error("the secrets of tickets cannot be read")]
    Read(#[from] StoreError),
    /// The store cannot be written.
    #[error("the secrets of tickets cannot be written")]
    Write(#[source] CommitError),
    /// A row does not read.
    #[error("the secrets of tickets were written by another release")]
    Row(#[from] RowError),
    /// This node has another secret than the one that wrote them.
    #[error(
        "the secrets of tickets were sealed under another cluster secret: give this node the same \
         cluster.secret_file as the others"
    )]
    NotOurs(#[from] NotOurs),
    /// Others wrote every time.
    #[error("the secrets of tickets were changed by others {TRIES_MAX} times in a row")]
    Contended,
}

impl<S: Store> TicketVault<S> {
    /// The secrets of the tickets of `service` in `store`, sealed under `secret`.
    #[must_use]
    pub const fn new(store: S, secret: ClusterSecret, service: Udf) -> Self {
        Self {
            store,
            secret,
            service,
        }
    }

    /// The secrets of the epochs that are held at `now`, in their order; those that are missing from the
    /// present one on are made, those that are over are erased.
    ///
    /// # Errors
    /// [`VaultError`]. Another look may do.
    pub async fn look(
        &self,
        now: Timestamp,
        entropy: &mut (dyn Entropy + Send),
    ) -> Result<Vec<TicketSecret>, VaultError> {
        for _ in 0..TRIES_MAX {
            let options = TxOptions {
                timeout: Some(COMMIT_TIME_MAX),
                ..TxOptions::default()
            };
            let mut tx = self.store.begin(options);
            let (known, over) = self.read(&tx, now).await?;
            let missing = missing(&known, now);
            if missing.is_empty() && over.is_empty() {
                return Ok(known);
            }
            for key in &over {
                tx.clear(key);
            }
            for Epoch(epoch) in missing {
                let ticket = TicketSecret::draw(epoch, entropy);
                let sealed = self.secret.seal(&self.service, &ticket, entropy);
                let row = Writer::new(SEALED).octets(&sealed).finish();
                tx.set(&keys::ticket_secret(epoch), row);
            }
            match tx.commit().await {
                // Whatever became of it shows when it is read: a commit that lands late depends on what
                // it read, which whoever writes after it has changed.
                Ok(_)
                | Err(
                    CommitError::Conflict
                    | CommitError::TooOld
                    | CommitError::Unknown
                    | CommitError::MayStillLand,
                ) => {}
                Err(error) => return Err(VaultError::Write(error)),
            }
        }
        Err(VaultError::Contended)
    }

    /// What there is at `now`, and the keys of what is over.
    async fn read(
        &self,
        tx: &S::Tx,
        now: Timestamp,
    ) -> Result<(Vec<TicketSecret>, Vec<Vec<u8>>), VaultError> {
        let oldest = Epoch::held_at(now).next().unwrap_or(Epoch(0));
        let (mut known, mut over) = (Vec::new(), Vec::new());
        let mut left = Some(keys::ticket_secrets());
        while let Some(range) = left {
            let page = tx.range(&range, Limit::default(), Order::Forward, Read::Serializable);
            let page = page.await?;
            for row in &page.rows {
                let Some(epoch) = keys::parse_ticket_secret(&row.key) else {
                    continue;
                };
                if Epoch(epoch) < oldest {
                    over.push(row.key.to_vec());
                    continue;
                }
                let mut reader = Reader::new("ticket secret", &row.value, SEALED)?;
                let sealed = reader.octets()?.to_vec();
                reader.finish()?;
                known.push(self.secret.open(&self.service, epoch, &sealed)?);
            }
            left = page.rest(&range, Order::Forward);
        }
        Ok((known, over))
    }
}

/// The epochs from the present one on that nobody made a secret for.
fn missing(known: &[TicketSecret], now: Timestamp) -> Vec<Epoch> {
    let present = Epoch::at(now);
    Epoch::held_at(now)
        .filter(|epoch| *epoch >= present)
        .filter(|Epoch(epoch)| known.iter().all(|ticket| ticket.epoch != *epoch))
        .collect()
}

#[cfg(test)]
mod tests {
    use mesh_common::entropy::SeededEntropy;
    use mesh_common::limits::TICKET_KEY_EPOCH;

    use super::*;
    use crate::store::{Fault, MemoryStore};

    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

    fn service() -> Udf {
        Udf::parse("MAAA-BBBB-CCCC-DDDD").unwrap()
    }

    fn vault(store: &MemoryStore, seed: u64) -> TicketVault<MemoryStore> {
        let secret = ClusterSecret::generate(&mut SeededEntropy::new(seed));
        TicketVault::new(store.clone(), secret, service())
    }

    fn epochs(secrets: &[TicketSecret]) -> Vec<Epoch> {
        secrets.iter().map(|ticket| Epoch(ticket.epoch)).collect()
    }

    #[actix::test]
    async fn every_node_has_the_same_secrets_two_epochs_ahead() {
        let store = MemoryStore::new();
        let (one, other) = (vault(&store, 1), vault(&store, 1));
        let (mut first, mut second) = (SeededEntropy::new(2), SeededEntropy::new(3));
        let (one, other) = tokio::join!(one.look(NOW, &mut first), other.look(NOW, &mut second));
        let (one, other) = (one.unwrap(), other.unwrap());
        assert_eq!(one, other);
        let Epoch(now) = Epoch::at(NOW);
        assert_eq!(epochs(&one), [Epoch(now), Epoch(now + 1), Epoch(now + 2)]);
    }

    #[actix::test]
    async fn what_is_over_is_erased_and_what_is_new_is_added() {
        let store = MemoryStore::new();
        let vault = vault(&store, 1);
        let mut entropy = SeededEntropy::new(2);
        let before = vault.look(NOW, &mut entropy).await.unwrap();
        let later = NOW + Duration::from_secs(TICKET_KEY_EPOCH.as_secs() * 3);
        let after = vault.look(later, &mut entropy).await.unwrap();
        // Two epochs before the present one are still held.
        assert_eq!(after[..2], before[1..]);
        assert_eq!(after.len(), 5);
        let tx = store.begin(TxOptions::default());
        let key = keys::ticket_secret(before[0].epoch);
        assert_eq!(tx.get(&key, Read::Snapshot).await.unwrap(), None);
    }

    #[actix::test]
    async fn a_lost_answer_costs_a_second_look_and_nothing_else() {
        for fault in [
            Fault::Conflict,
            Fault::UnknownApplied,
            Fault::UnknownLost,
            Fault::LandsAfter(1),
            Fault::NeverLands,
        ] {
            let store = MemoryStore::new();
            store.inject(fault);
            let vault = vault(&store, 1);
            let mut entropy = SeededEntropy::new(2);
            let found = vault.look(NOW, &mut entropy).await.unwrap();
            assert_eq!(vault.look(NOW, &mut entropy).await.unwrap(), found);
            assert_eq!(found.len(), 3);
        }
    }

    #[actix::test]
    async fn a_node_with_another_cluster_secret_is_told_so() {
        let store = MemoryStore::new();
        let mut entropy = SeededEntropy::new(2);
        vault(&store, 1).look(NOW, &mut entropy).await.unwrap();
        let error = vault(&store, 5).look(NOW, &mut entropy).await.unwrap_err();
        assert!(matches!(error, VaultError::NotOurs(_)));
        assert!(
            error
                .to_string()
                .contains("the same cluster.secret_file as the others")
        );
    }
}
