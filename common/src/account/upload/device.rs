//! The Device catalog: who may write it, which entries it takes, which keys they make live, and
//! which never again (decisions ). Signatures were checked by the front-end;
//! what it found is the evidence.

use super::Upload;
use super::ledger::Ledger;
use super::place::Course;
use super::verdict::Verdict;
use crate::account::access;
use crate::account::devices::{DeviceEntry, DeviceIndex};
use crate::account::state::BootstrapPhase;
use crate::catalog::replay::Effect;
use crate::cluster::handle::{DeviceEvidence, DeviceFacts};
use crate::dare::ContainerKind;
use crate::protocol::Code;
use crate::session::Mode;
use crate::udf::Udf;

impl Upload<'_> {
    /// Checks a write to the Device catalog and notes what it does to the revocation index.
    ///
    /// # Errors
    /// The Reject: 401/3 without an administrator, 422 for an entry that is not acceptable.
    pub(super) fn check_device(
        &self,
        ledger: &mut Ledger,
        course: &Course<'_>,
        unique_id: &str,
        effect: Effect,
        position: usize,
    ) -> Result<(), Verdict> {
        self.access.require_administrator()?;
        let before = ledger
            .devices
            .live
            .get(unique_id)
            .and_then(|entry| entry.facts.clone());
        if effect == Effect::Remove {
            retire_missing(ledger, before.as_ref(), &[]);
            ledger.set_device(unique_id, None);
            return Ok(());
        }
        let facts = match self.facts(ledger, unique_id, before.as_ref(), position) {
            Ok(facts) => Some(facts),
            // History is checked structurally only (decision Q-50).
            Err(_) if course.imports => None,
            Err(verdict) => return Err(verdict),
        };
        if !course.imports {
            self.take_over(ledger, facts.as_ref())?;
        }
        if let Some(facts) = &facts {
            retire_missing(ledger, before.as_ref(), &facts.profile_keys);
        }
        let frame = ledger.draft_mut(course.name).head.count();
        ledger.set_device(unique_id, Some(DeviceEntry { frame, facts }));
        Ok(())
    }

    /// What the evidence says of the entry, if it is acceptable here.
    fn facts(
        &self,
        ledger: &Ledger,
        unique_id: &str,
        before: Option<&DeviceFacts>,
        position: usize,
    ) -> Result<DeviceFacts, Verdict> {
        let facts = match self.evidence(position) {
            Some(DeviceEvidence::Valid(facts)) => facts,
            Some(DeviceEvidence::Invalid(error)) => return Err(error.clone().into()),
            None => return Err(invalid("the device entry has not been verified")),
        };
        if Udf::parse(unique_id).as_ref() != Ok(&facts.device_udf) {
            return Err(invalid(
                "the UniqueID of a device entry is the UDF of its ProfileDevice",
            ));
        }
        if is_retired(&ledger.devices, facts) {
            return Err(invalid(
                "the device entry has a key that was deleted from this account before",
            ));
        }
        if before.is_some_and(|before| before.device_key != facts.device_key) {
            return Err(invalid(
                "a changed device has a new ProfileDevice, not another one of the same UDF",
            ));
        }
        Ok(facts.clone())
    }

    fn evidence(&self, position: usize) -> Option<&DeviceEvidence> {
        let content = self.scene.request.evidence.content()?;
        content
            .devices
            .iter()
            .find(|(place, _)| *place == position)
            .map(|(_, evidence)| evidence)
    }

    /// The first entry is the bootstrap device's own (decision Q-11); with it the catalog takes
    /// over. After a recovery it does so with the bootstrap device's next entry (decision Q-48).
    fn take_over(&self, ledger: &mut Ledger, facts: Option<&DeviceFacts>) -> Result<(), Verdict> {
        let is_own = facts.is_some_and(|facts| self.is_bootstrap_entry(facts));
        match ledger.phase {
            BootstrapPhase::Open | BootstrapPhase::Importing if !is_own => Err(invalid(
                "the first device entry is that of the device that created the account",
            )),
            _ if is_own => {
                ledger.phase = BootstrapPhase::Closed;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn is_bootstrap_entry(&self, facts: &DeviceFacts) -> bool {
        // In interop mode nobody authenticates, so nobody is the creating device (decision Q-39).
        self.scene.request.caller.mode == Mode::Interop
            || self.state.record.bootstrap.keys.iter().any(|key| {
                facts.profile_keys.contains(key) || facts.device_key.as_ref() == Some(key)
            })
    }

    /// Whether an entry is that of the bootstrap device asking, by its name alone: it may not verify.
    fn is_callers(&self, unique_id: &str) -> bool {
        let caller = &self.scene.request.caller;
        access::is_bootstrap(self.state, caller)
            && caller
                .profile_udf
                .as_ref()
                .is_some_and(|udf| Udf::parse(unique_id).as_ref() == Ok(udf))
    }

    /// At the end of an update that imports a Device catalog: once the bootstrap device has a live
    /// entry the import is over, and all live entries must verify (decision Q-50).
    ///
    /// # Errors
    /// The Reject of the last frame.
    pub(super) fn finish_import(
        &self,
        ledger: &mut Ledger,
        course: &Course<'_>,
    ) -> Result<(), Verdict> {
        if course.kind != ContainerKind::Device || !course.imports {
            return Ok(());
        }
        let live = &ledger.devices.live;
        let is_over = live.iter().any(|(unique_id, entry)| {
            let is_own = |facts| self.is_bootstrap_entry(facts);
            entry.facts.as_ref().is_some_and(is_own) || self.is_callers(unique_id)
        });
        if is_over {
            let all_verify = live.values().all(|entry| {
                let facts = entry.facts.as_ref();
                facts.is_some_and(|facts| !is_retired(&ledger.devices, facts))
            });
            if !all_verify {
                return Err(invalid(
                    "the imported Device catalog has live entries that do not verify",
                ));
            }
            ledger.phase = BootstrapPhase::Closed;
        } else if ledger.draft_mut(course.name).head.count() > 1 {
            ledger.phase = BootstrapPhase::Importing;
        }
        Ok(())
    }
}

/// Retires the keys of an entry that the next one no longer has (decision Q-9).
fn retire_missing(ledger: &mut Ledger, before: Option<&DeviceFacts>, kept: &[Udf]) {
    let Some(before) = before else { return };
    for key in &before.profile_keys {
        if !kept.contains(key) {
            ledger.retire(key);
        }
    }
}

fn is_retired(devices: &DeviceIndex, facts: &DeviceFacts) -> bool {
    facts
        .profile_keys
        .iter()
        .any(|key| devices.retired.contains(key))
}

fn invalid(message: &str) -> Verdict {
    Verdict::reject(Code::InvalidProfile, message)
}
