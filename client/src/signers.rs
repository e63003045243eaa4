//! Whose signatures count in a verification: the keys of the profiles, and those of every device
//! that ever was connected (crypto §5.3, decision Q-32).
//!
//! The profiles of today vouch for the devices of today. A device that was connected under an online
//! key that was withdrawn later is vouched for by whoever signed the frame that connected it, if that
//! was a device that counts.

use std::collections::{HashMap, HashSet};

use mesh_common::assertion::{
    Assertion, AssertionError, Authority, CatalogedDevice, ConnectionAccount, ConnectionDevice,
    ProfileDevice,
};
use mesh_common::catalog::CatalogIndex;
use mesh_common::crypto::PublicKey;
use mesh_common::dare::container::StoredFrame;
use mesh_common::dare::{ContainerName, Envelope};
use mesh_common::udf::Udf;

use crate::catalogs::name_of;
use crate::client::Client;
use crate::error::ClientError;
use crate::verify::chain;

/// The profiles everything is checked against.
pub(crate) struct Roots {
    pub(crate) mesh: Authority,
    pub(crate) account: Authority,
}

/// The keys whose signatures count.
#[derive(Debug, Default)]
pub(crate) struct Signers(HashMap<Udf, PublicKey>);

impl Signers {
    pub(crate) fn add(&mut self, keys: &[PublicKey]) {
        for key in keys {
            self.0.insert(key.udf(), key.clone());
        }
    }

    /// The key that goes by `udf`, if it counts.
    pub(crate) fn get(&self, udf: &Udf) -> Option<&PublicKey> {
        self.0.get(udf)
    }

    /// Learns the keys of every device that ever stood in the Device catalog that `frames` are.
    /// Returns what is wrong, by frame.
    pub(crate) fn learn_devices(
        &mut self,
        roots: &Roots,
        frames: &[StoredFrame],
    ) -> Vec<(u64, String)> {
        let living = living(frames);
        let mut problems = Vec::new();
        let mut former = Vec::new();
        for stored in frames {
            let envelope = &stored.envelope;
            if stored.position == 0 || envelope.payload.as_slice().is_empty() {
                continue;
            }
            let entry = CatalogedDevice::from_envelope(envelope);
            let keys = entry.and_then(|entry| Ok((keys_of(&entry, Some(roots))?, entry)));
            match keys {
                Ok((keys, _)) => self.add(&keys),
                Err(AssertionError::Unsigned { .. }) if !living.contains(&stored.position) => {
                    former.push(stored);
                }
                Err(error) => problems.push((stored.position, chain(&error))),
            }
        }
        problems.extend(self.learn_former(former));
        problems
    }

    /// Learns devices that no key of today's profiles vouches for, but one that is known does.
    fn learn_former(&mut self, mut former: Vec<&StoredFrame>) -> Vec<(u64, String)> {
        loop {
            let (known, rest): (Vec<_>, Vec<_>) = former
                .into_iter()
                .partition(|stored| self.signed(&stored.envelope));
            if known.is_empty() {
                let told = |stored: &StoredFrame| {
                    let what = "no key of the profiles and no device of the account vouches for it";
                    (stored.position, what.to_owned())
                };
                return rest.into_iter().map(told).collect();
            }
            for stored in known {
                let entry = CatalogedDevice::from_envelope(&stored.envelope);
                if let Ok(keys) = entry.and_then(|entry| keys_of(&entry, None)) {
                    self.add(&keys);
                }
            }
            former = rest;
        }
    }

    /// Whether one that counts signed `envelope`.
    pub(crate) fn signed(&self, envelope: &Envelope) -> bool {
        envelope.signatures().iter().any(|signature| {
            let kid = signature.kid.as_deref();
            let kid = kid.and_then(|kid| Udf::parse(kid).ok());
            let key = kid.and_then(|kid| self.0.get(&kid));
            key.is_some_and(|key| envelope.verify_by(key).is_ok())
        })
    }
}

impl Client {
    /// The keys whose signatures count in this account, as far as this device knows. What does not
    /// verify in the Device catalog counts for nothing; [`Client::verify`] tells of it.
    pub(crate) fn signers(&mut self) -> Result<Signers, ClientError> {
        let name = name_of(ContainerName::DEVICE);
        self.replica(&name)?;
        let device = self.device.as_ref().ok_or(ClientError::NoAccount)?;
        let identity = &device.identity;
        let mut signers = Signers::default();
        for keys in [
            identity.connection_account.keys(),
            identity.mesh.keys(),
            identity.account.keys(),
        ] {
            signers.add(keys);
        }
        let roots = Roots {
            mesh: Authority::from(&identity.mesh),
            account: Authority::from(&identity.account),
        };
        if let Some(replica) = device.replicas.get(&name) {
            let frames: Vec<StoredFrame> = (0..)
                .zip(replica.frames())
                .map(|(position, envelope)| StoredFrame {
                    position,
                    start: 0,
                    end: 0,
                    envelope: envelope.clone(),
                })
                .collect();
            signers.learn_devices(&roots, &frames);
        }
        Ok(signers)
    }
}

/// The frames that speak for an entry.
fn living(frames: &[StoredFrame]) -> HashSet<u64> {
    let mut index = CatalogIndex::new();
    for stored in frames {
        // What is wrong with the events is told with the container.
        let _ = index.replay(stored.position, &stored.envelope.header);
    }
    index.entries().map(|(_, frames)| frames.last).collect()
}

/// The keys a device signs or signed with. With `roots`, its connections must be signed by them.
fn keys_of(
    entry: &CatalogedDevice,
    roots: Option<&Roots>,
) -> Result<Vec<PublicKey>, AssertionError> {
    let mut keys = Vec::new();
    if let Some(profile) = &entry.enveloped_profile_device {
        keys.extend_from_slice(ProfileDevice::verify(profile)?.keys());
    }
    if let Some(connection) = &entry.enveloped_connection_device {
        match roots {
            Some(roots) => {
                let connection = ConnectionDevice::verify(connection, &roots.mesh)?;
                keys.extend_from_slice(connection.keys());
            }
            None => keys.push(ConnectionDevice::from_envelope(connection)?.signature_key()?),
        }
    }
    for part in &entry.accounts {
        let Some(connection) = &part.enveloped_connection_account else {
            continue;
        };
        match roots {
            Some(roots) if part.account_udf.as_deref() == Some(roots.account.udf().as_str()) => {
                let connection = ConnectionAccount::verify(connection, &roots.account, None)?;
                keys.extend_from_slice(connection.keys());
            }
            Some(_) => {}
            None => keys.push(ConnectionAccount::from_envelope(connection)?.signature_key()?),
        }
    }
    Ok(keys)
}
