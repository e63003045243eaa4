//! The revocation index: which KeyAuthentication keys are live, and which never will be again
//! (service §4.6, decisions ). It is built from the Device catalog and consulted on
//! every request.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::cluster::handle::DeviceFacts;
use crate::udf::Udf;

/// A live entry of the Device catalog.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceEntry {
    /// Index of its newest frame in the Device catalog.
    pub frame: u64,
    /// What it says; `None` while an import has not been checked (decision Q-50).
    pub facts: Option<DeviceFacts>,
}

/// What is known of an account's devices.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DeviceIndex {
    /// Live entries, by UniqueID (the UDF of the ProfileDevice).
    pub live: BTreeMap<String, DeviceEntry>,
    /// Keys that never live again for this account.
    pub retired: BTreeSet<Udf>,
}

impl DeviceIndex {
    /// The facts of the live entry in whose connections `key` stands.
    #[must_use]
    pub fn connected(&self, key: &Udf) -> Option<(&DeviceEntry, &DeviceFacts)> {
        if self.retired.contains(key) {
            return None;
        }
        self.find(|facts| facts.profile_keys.contains(key))
    }

    /// The facts of the live entry whose ProfileDevice has `key`.
    #[must_use]
    pub fn by_device_key(&self, key: &Udf) -> Option<(&DeviceEntry, &DeviceFacts)> {
        self.find(|facts| facts.device_key.as_ref() == Some(key))
    }

    /// Whether any live entry lists a Permission.
    #[must_use]
    pub fn lists_permissions(&self) -> bool {
        self.find(|facts| facts.lists_permissions).is_some()
    }

    fn find(&self, holds: impl Fn(&DeviceFacts) -> bool) -> Option<(&DeviceEntry, &DeviceFacts)> {
        self.live.values().find_map(|entry| {
            let facts = entry.facts.as_ref().filter(|facts| holds(facts))?;
            Some((entry, facts))
        })
    }
}
