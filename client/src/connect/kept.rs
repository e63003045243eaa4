//! What a new device keeps of its request until it is answered: its keys, the request, the
//! acknowledgement. One file, sealed by the passphrase of the keys, replaced whole.

use mesh_common::address::AccountAddress;
use mesh_common::assertion::make::DeviceKeys;
use mesh_common::catalog::entry::SecretText;
use mesh_common::dare::Envelope;
use mesh_common::encoding::json;
use mesh_common::entropy::Entropy;
use mesh_common::message::{Earl, Pin};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::error::ClientError;
use crate::home::{Home, HomeError};
use crate::keystore::{Cost, KeystoreError, Passphrase, StoredDevice, load_sealed, save_sealed};
use crate::state::PinnedService;

/// The file.
pub(crate) const FILE: &str = "request.json";
const VERSION: u32 = 1;

/// A request to connect that is under way.
#[derive(Debug, Clone)]
pub(crate) struct Kept {
    /// The account that is asked; a hailing account, if the request was published.
    pub(crate) address: AccountAddress,
    /// Where its service is.
    pub(crate) service_url: String,
    /// Certificate authorities trusted besides the system's, in PEM form.
    pub(crate) authorities: Option<String>,
    /// The service.
    pub(crate) service: PinnedService,
    /// The device's keys.
    pub(crate) keys: DeviceKeys,
    /// The device.
    pub(crate) profile_device: Envelope,
    /// The RequestConnection.
    pub(crate) request: Envelope,
    /// What the answer is proved with.
    pub(crate) proof: Proof,
    /// What the service said to it.
    pub(crate) acknowledged: Option<Acknowledged>,
}

/// What tells the device that the answer is from whom it expects.
#[derive(Debug, Clone)]
pub(crate) enum Proof {
    /// The users compare the witness.
    Witness,
    /// A PIN.
    Pin(Pin),
    /// The key of the EARL under which the request was published.
    Earl(Earl),
}

/// What the service said to a request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Acknowledged {
    /// The AcknowledgeConnection.
    pub(crate) acknowledgement: Envelope,
    /// The ProfileMesh of the account.
    pub(crate) profile_mesh: Envelope,
    /// The ProfileAccount.
    pub(crate) profile_account: Envelope,
}

impl Kept {
    /// The request kept in `home`; none if there is none.
    pub(crate) fn load(
        home: &Home,
        passphrase: Option<&Passphrase>,
    ) -> Result<Option<Self>, ClientError> {
        let Some(text) = load_sealed(home, FILE, passphrase)? else {
            return Ok(None);
        };
        let stored: Stored = json::parse(&text).map_err(|_| KeystoreError::Content)?;
        Ok(Some(stored.into_kept().ok_or(KeystoreError::Content)?))
    }

    /// Keeps the request in `home`.
    pub(crate) fn save(
        &self,
        home: &Home,
        passphrase: Option<(&Passphrase, Cost)>,
        entropy: &mut dyn Entropy,
    ) -> Result<(), HomeError> {
        let text = Zeroizing::new(json::write(&Stored::of(self)));
        save_sealed(home, FILE, &text, passphrase, entropy)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Stored {
    version: u32,
    address: AccountAddress,
    service_url: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    authorities: Option<String>,
    service: PinnedService,
    device: StoredDevice,
    profile_device: Envelope,
    request: Envelope,
    #[serde(skip_serializing_if = "Option::is_none")]
    pin: Option<SecretText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    earl: Option<SecretText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    acknowledged: Option<Acknowledged>,
}

impl Stored {
    fn of(kept: &Kept) -> Self {
        let (pin, earl) = match &kept.proof {
            Proof::Witness => (None, None),
            Proof::Pin(pin) => (Some(pin.reveal().into()), None),
            Proof::Earl(earl) => (None, Some(earl.reveal().as_str().into())),
        };
        Self {
            version: VERSION,
            address: kept.address.clone(),
            service_url: kept.service_url.clone(),
            authorities: kept.authorities.clone(),
            service: kept.service.clone(),
            device: StoredDevice::of(&kept.keys),
            profile_device: kept.profile_device.clone(),
            request: kept.request.clone(),
            pin,
            earl,
            acknowledged: kept.acknowledged.clone(),
        }
    }

    fn into_kept(self) -> Option<Kept> {
        let proof = match (self.pin, self.earl) {
            (None, None) => Proof::Witness,
            (Some(pin), None) => Proof::Pin(Pin::parse(pin.reveal()).ok()?),
            (None, Some(earl)) => Proof::Earl(Earl::parse(earl.reveal()).ok()?),
            (Some(_), Some(_)) => return None,
        };
        (self.version == VERSION).then_some(())?;
        Some(Kept {
            address: self.address,
            service_url: self.service_url,
            authorities: self.authorities,
            service: self.service,
            keys: self.device.keys().ok()?,
            profile_device: self.profile_device,
            request: self.request,
            proof,
            acknowledged: self.acknowledged,
        })
    }
}
