//! The secret of a cluster: a file on every node, under which the secrets of tickets lie in the store
//! (decision Q-54). Whoever reads the store alone can forge no ticket.
//!
//! ```text
//!  sealed = salt16 ‖ AES-256-GCM(K, N, aad = epoch32 ‖ service, secret32)
//!  K, N   = HKDF-SHA512(cluster secret, salt16, …)
//! ```

use zeroize::{Zeroize, Zeroizing};

use super::service::TicketSecret;
use crate::crypto::cipher::{gcm_open, gcm_seal};
use crate::crypto::derive::Expander;
use crate::encoding::base64url;
use crate::entropy::{Entropy, draw};
use crate::udf::Udf;

/// Octets of the secret of a cluster, and of that of an epoch of tickets.
pub const CLUSTER_SECRET_BYTES: usize = 32;
const SALT_BYTES: usize = 16;

/// The secret of one cluster, and perhaps the one before or after it, while one replaces the other. The
/// first seals, each opens. Zeroized, and never printed.
#[derive(Clone)]
pub struct ClusterSecret {
    seals: Secret,
    opens_too: Option<Secret>,
}

type Secret = Zeroizing<[u8; CLUSTER_SECRET_BYTES]>;

/// A text that is no secret of a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not one line, or two, of {CLUSTER_SECRET_BYTES} octets in base64url")]
pub struct NoSecret;

/// What lies in the store was sealed under another secret, for another service, or was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the secret of epoch {epoch} was sealed under another cluster secret, or damaged")]
pub struct NotOurs {
    /// Of which epoch.
    pub epoch: u32,
}

impl ClusterSecret {
    /// Draws one.
    #[must_use]
    pub fn generate(entropy: &mut dyn Entropy) -> Self {
        Self {
            seals: Zeroizing::new(draw(entropy)),
            opens_too: None,
        }
    }

    /// Reads what [`Self::to_text`] wrote, or two such lines.
    ///
    /// # Errors
    /// [`NoSecret`].
    pub fn from_text(text: &str) -> Result<Self, NoSecret> {
        let mut lines = text.trim().lines().map(secret_of);
        let seals = lines.next().ok_or(NoSecret)??;
        let opens_too = lines.next().transpose()?;
        match lines.next() {
            None => Ok(Self { seals, opens_too }),
            Some(_) => Err(NoSecret),
        }
    }

    /// What seals, as it stands in its file.
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        Zeroizing::new(base64url::encode(self.seals.as_slice()))
    }

    /// Seals the secret of an epoch of tickets of `service`.
    #[must_use]
    pub fn seal(&self, service: &Udf, ticket: &TicketSecret, entropy: &mut dyn Entropy) -> Vec<u8> {
        let salt = draw::<SALT_BYTES>(entropy);
        let (key, nonce) = cipher(&self.seals, &salt);
        let aad = aad(service, ticket.epoch);
        let sealed = gcm_seal(&key, &nonce, &aad, ticket.secret.as_slice());
        [salt.as_slice(), &sealed].concat()
    }

    /// Opens what [`Self::seal`] made for the same service and epoch.
    ///
    /// # Errors
    /// [`NotOurs`].
    pub fn open(&self, service: &Udf, epoch: u32, sealed: &[u8]) -> Result<TicketSecret, NotOurs> {
        let not_ours = NotOurs { epoch };
        let (salt, cipher_text) = sealed.split_at_checked(SALT_BYTES).ok_or(not_ours)?;
        let aad = aad(service, epoch);
        let opened = [Some(&self.seals), self.opens_too.as_ref()]
            .into_iter()
            .flatten()
            .find_map(|secret| {
                let (key, nonce) = cipher(secret, salt);
                gcm_open(&key, &nonce, &aad, cipher_text).ok()
            });
        let opened = opened.ok_or(not_ours)?;
        let secret = opened.as_slice().try_into().map_err(|_| not_ours)?;
        Ok(TicketSecret {
            epoch,
            secret: Zeroizing::new(secret),
        })
    }
}

fn secret_of(line: &str) -> Result<Secret, NoSecret> {
    let mut octets = base64url::decode(line.trim()).map_err(|_| NoSecret)?;
    let secret = octets.as_slice().try_into().map(Zeroizing::new);
    octets.zeroize();
    secret.map_err(|_| NoSecret)
}

fn cipher(secret: &Secret, salt: &[u8]) -> (Zeroizing<[u8; 32]>, Zeroizing<[u8; 12]>) {
    let prk = Expander::extract(salt, secret.as_slice());
    (
        prk.expand(b"mesh cluster secret key"),
        prk.expand(b"mesh cluster secret nonce"),
    )
}

impl TicketSecret {
    /// Draws the secret of `epoch`.
    #[must_use]
    pub fn draw(epoch: u32, entropy: &mut dyn Entropy) -> Self {
        Self {
            epoch,
            secret: Zeroizing::new(draw(entropy)),
        }
    }
}

impl std::fmt::Debug for ClusterSecret {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("ClusterSecret(…)")
    }
}

fn aad(service: &Udf, epoch: u32) -> Vec<u8> {
    [&epoch.to_be_bytes()[..], service.as_str().as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::SeededEntropy;

    fn service() -> Udf {
        Udf::parse("MAAA-BBBB-CCCC-DDDD").unwrap()
    }

    #[test]
    fn what_is_sealed_opens_for_the_same_cluster_service_and_epoch_alone() {
        let mut entropy = SeededEntropy::new(1);
        let secret = ClusterSecret::generate(&mut entropy);
        let ticket = TicketSecret {
            epoch: 7,
            secret: Zeroizing::new([9; 32]),
        };
        let sealed = secret.seal(&service(), &ticket, &mut entropy);
        assert_eq!(secret.open(&service(), 7, &sealed), Ok(ticket.clone()));
        let not_ours = |epoch| Err(NotOurs { epoch });
        assert_eq!(secret.open(&service(), 8, &sealed), not_ours(8));
        let elsewhere = Udf::parse("MBBB-BBBB-CCCC-DDDD").unwrap();
        assert_eq!(secret.open(&elsewhere, 7, &sealed), not_ours(7));
        let other = ClusterSecret::generate(&mut entropy);
        assert_eq!(other.open(&service(), 7, &sealed), not_ours(7));
        for length in 0..sealed.len() {
            assert_eq!(secret.open(&service(), 7, &sealed[..length]), not_ours(7));
        }
    }

    #[test]
    fn while_one_secret_replaces_another_both_open() {
        let mut entropy = SeededEntropy::new(3);
        let [old, new] = [(); 2].map(|()| ClusterSecret::generate(&mut entropy));
        let ticket = TicketSecret::draw(7, &mut entropy);
        let sealed = old.seal(&service(), &ticket, &mut entropy);
        let both = format!("{}\n{}\n", new.to_text().as_str(), old.to_text().as_str());
        let both = ClusterSecret::from_text(&both).unwrap();
        assert_eq!(both.open(&service(), 7, &sealed), Ok(ticket.clone()));
        let anew = both.seal(&service(), &ticket, &mut entropy);
        assert_eq!(new.open(&service(), 7, &anew), Ok(ticket));
        assert!(old.open(&service(), 7, &anew).is_err());
    }

    #[test]
    fn a_secret_is_read_as_it_was_written_and_never_printed() {
        let secret = ClusterSecret::generate(&mut SeededEntropy::new(2));
        let text = secret.to_text();
        let again = ClusterSecret::from_text(&format!("{}\n", text.as_str())).unwrap();
        assert_eq!(again.to_text(), text);
        assert_eq!(format!("{secret:?}"), "ClusterSecret(…)");
        let three = format!("{0}\n{0}\n{0}", text.as_str());
        for not in ["", "AAAA", "not base64!", &text[1..], &three] {
            assert_eq!(ClusterSecret::from_text(not).err(), Some(NoSecret), "{not}");
        }
    }
}
