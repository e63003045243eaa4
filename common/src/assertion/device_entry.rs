//! The entry of a device in the Device catalog (schema draft §7.4.2 and §7.4.3).

use serde::{Deserialize, Serialize};

use super::Assertion;
use crate::dare::Envelope;
use crate::dare::header::Extra;

/// The catalog of [`CatalogedDevice`], by its canonical name.
pub const CATALOG_DEVICE: &str = "mmm_Device";

/// A device of the mesh: its profile, its place, and what it needs to act. Readable by the service,
/// except for the activations.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct CatalogedDevice {
    /// UDF of KeySignature of the ConnectionDevice.
    #[serde(rename = "UDF", skip_serializing_if = "Option::is_none")]
    pub udf: Option<String>,
    /// The ProfileMesh. Not in the schema draft; the reference implementation sends it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enveloped_profile_mesh: Option<Envelope>,
    /// UDF of the ProfileDevice: the entry's UniqueID.
    #[serde(rename = "DeviceUDF", skip_serializing_if = "Option::is_none")]
    pub device_udf: Option<String>,
    /// The ProfileDevice.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enveloped_profile_device: Option<Envelope>,
    /// The ConnectionDevice.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enveloped_connection_device: Option<Envelope>,
    /// The ActivationDevice, encrypted to the device.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enveloped_activation_device: Option<Envelope>,
    /// The accounts the device is connected to; untagged (decision Q-42).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub accounts: Vec<AccountEntry>,
    /// Members this revision does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

impl Assertion for CatalogedDevice {
    const TAG: &'static str = "CatalogedDevice";
}

/// A device's connection to one account.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub struct AccountEntry {
    /// UDF of the ProfileAccount.
    #[serde(rename = "AccountUDF", skip_serializing_if = "Option::is_none")]
    pub account_udf: Option<String>,
    /// The ProfileAccount.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enveloped_profile_account: Option<Envelope>,
    /// The ConnectionAccount.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enveloped_connection_account: Option<Envelope>,
    /// The ActivationAccount, encrypted to the device.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enveloped_activation_account: Option<Envelope>,
    /// Members this revision does not know.
    #[serde(flatten)]
    pub extra: Extra,
}
