//! An administrator answers a request to connect: the device's place in the mesh and its accounts is
//! made, its entry uploaded (a), then the answer left where the device asks for it (b)
//! (service §6.2 step 7).
//!
//! Interrupted between a and b, the request stands at `granted`; the same call, or the next
//! synchronization of any administrator if there was a PIN, leaves the answer.

use mesh_common::address::AccountAddress;
use mesh_common::assertion::make::{
    Grants, account_entry, cataloged_device, connect_to_account_granting, connect_to_mesh_granting,
};
use mesh_common::assertion::{
    AccountEntry, Assertion, CatalogedDevice, Permission, ProfileDevice, Signed, is_administrator,
};
use mesh_common::dare::{ContainerName, Envelope};
use mesh_common::message::{ConnectionAnswer, Reference, Relationship};
use mesh_common::protocol::{PostRequest, Request};
use serde::Serialize;

use super::inbox::{Asked, Standing};
use super::{ConnectError, PinStanding};
use crate::changes::Decisions;
use crate::client::Client;
use crate::error::ClientError;
use crate::limits::REBASES_MAX;

/// Letters of an id or witness that are enough to tell requests apart.
const TYPED_MIN: usize = 4;

/// What a device is to be.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Terms {
    /// Whether it administers the account: it may connect and remove devices.
    pub administrator: bool,
    /// Permissions by name; none listed means what any device may.
    pub permissions: Vec<String>,
    /// Further accounts of the same mesh that it is connected to as well.
    pub accounts: Vec<AccountAddress>,
}

impl Terms {
    /// The permissions that stand in the device's connections.
    #[must_use]
    pub fn rights(&self) -> Vec<Permission> {
        let named = |name: &str| Permission {
            name: Some(name.to_owned()),
            ..Permission::default()
        };
        let mut rights: Vec<_> = self.permissions.iter().map(|name| named(name)).collect();
        if rights.is_empty() {
            rights.push(named("Confirm"));
        }
        if self.administrator && !is_administrator(&rights) {
            rights.insert(0, named("Admin"));
        }
        rights
    }

    /// The terms that `rights` say, for one account.
    pub(super) fn of_rights(rights: &[Permission]) -> Self {
        let is_other = |one: &&Permission| !is_administrator(std::slice::from_ref(*one));
        let others = rights.iter().filter(is_other);
        Self {
            administrator: is_administrator(rights),
            permissions: others.filter_map(|one| one.name.clone()).collect(),
            accounts: Vec::new(),
        }
    }
}

/// A request that was answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Answered {
    /// The request.
    pub id: String,
    /// UDF of the device.
    pub device_udf: String,
    /// What it is called.
    pub device: Option<String>,
    /// Whether the answer is yes.
    pub accepted: bool,
    /// Whether the device administers the account now.
    pub administrator: bool,
    /// What both users compared; none where a PIN or an EARL did it.
    pub witness: Option<String>,
}

impl Client {
    /// Synchronizes, and says yes to the request that goes by `wanted`: its witness, its id, or the
    /// beginning of either. The users must have compared the witness.
    ///
    /// # Errors
    /// [`ConnectError::NotAdministrator`], [`ConnectError::NoRequest`],
    /// [`ConnectError::AmbiguousRequest`], [`ConnectError::AnsweredOtherwise`],
    /// [`ConnectError::NoSuchAccount`]; what keeps the service from doing it.
    pub async fn accept_connection(
        &mut self,
        wanted: &str,
        terms: &Terms,
    ) -> Result<Answered, ClientError> {
        for _ in 0..=REBASES_MAX {
            Box::pin(self.synchronize(&Decisions::default())).await?;
            let mut asked = self.find_request(wanted)?;
            self.check_acceptable(&asked)?;
            if self.grant(&mut asked, terms).await? {
                return self.leave_answer(&asked).await;
            }
        }
        Err(outrun())
    }

    /// Synchronizes, and says no to the request that goes by `wanted`.
    ///
    /// # Errors
    /// As [`Self::accept_connection`].
    pub async fn reject_connection(&mut self, wanted: &str) -> Result<Answered, ClientError> {
        Box::pin(self.synchronize(&Decisions::default())).await?;
        let asked = self.find_request(wanted)?;
        if matches!(asked.standing, Standing::Accepted | Standing::Granted) {
            return Err(answered_otherwise(&asked, "accepted"));
        }
        let online = self.owner()?.mesh.online;
        let response_id = asked.acknowledgement.response_id.as_str();
        let answer = ConnectionAnswer::make(response_id, None, None, None, &online);
        let note = self.note(&asked.id, response_id, Relationship::Reject)?;
        // The answer first: what a lost one leaves behind is a request that still waits.
        let request = PostRequest {
            messages: vec![answer],
            self_messages: vec![note],
            ..PostRequest::default()
        };
        self.call(Request::Post(request)).await?;
        Box::pin(self.synchronize(&Decisions::default())).await?;
        Ok(Answered {
            accepted: false,
            ..told(&asked, false)
        })
    }

    /// Whether a request may be said yes to: one that was made with a PIN only if that is good, since
    /// its device believes nobody who does not know it.
    fn check_acceptable(&mut self, asked: &Asked) -> Result<(), ClientError> {
        match asked.standing {
            Standing::Rejected => return Err(answered_otherwise(asked, "rejected")),
            Standing::Accepted if !self.device_is_live(&asked.device_udf)? => {
                return Err(answered_otherwise(asked, "accepted"));
            }
            Standing::Accepted | Standing::Granted | Standing::Waiting => {}
        }
        match asked.pin {
            None | Some(PinStanding::Valid) => Ok(()),
            Some(standing) => Err(ConnectError::PinStanding {
                id: asked.id.clone(),
                standing,
            }
            .into()),
        }
    }

    fn find_request(&mut self, wanted: &str) -> Result<Asked, ClientError> {
        let requests = self.connection_requests()?.requests;
        let typed = letters(wanted);
        let goes_by = |asked: &&Asked| {
            typed.len() >= TYPED_MIN
                && (letters(&asked.id).starts_with(&typed)
                    || letters(&asked.witness).starts_with(&typed))
        };
        let mut found: Vec<_> = requests.iter().filter(goes_by).collect();
        if found.len() > 1 {
            found.retain(|asked| asked.is_waiting());
        }
        match found.as_slice() {
            [] => Err(ConnectError::NoRequest {
                wanted: wanted.to_owned(),
            }
            .into()),
            [one] => Ok((*one).clone()),
            many => Err(ConnectError::AmbiguousRequest {
                wanted: wanted.to_owned(),
                found: many.iter().map(|one| one.id.clone()).collect(),
            }
            .into()),
        }
    }

    /// Step a: the device's entry in the Device catalog of every account it is connected to, with the
    /// notes of what became of request and PIN. True if the entry is there, false if another device
    /// was faster and everything has to be looked at again.
    pub(super) async fn grant(
        &mut self,
        asked: &mut Asked,
        terms: &Terms,
    ) -> Result<bool, ClientError> {
        if self.device_is_live(&asked.device_udf)? {
            return Ok(true);
        }
        let entry = self.entry_for(&asked.request.profile, &profile_of(asked), terms)?;
        let response_id = asked.acknowledgement.response_id.as_str();
        let mut notes = vec![self.note(&asked.id, response_id, Relationship::Accept)?];
        if asked.pin == Some(PinStanding::Valid)
            && let Some(pin) = &asked.matched
        {
            let id = pin.message_id.clone();
            notes.push(self.note(&id, response_id, Relationship::Accept)?);
        }
        let placed = self
            .place_entry(&asked.device_udf, &entry, terms, notes)
            .await?;
        asked.is_completed |= placed;
        Ok(placed)
    }

    /// Uploads a device's entry, to the catalogs of further accounts first: whoever reads of them in
    /// the entry finds them in place.
    pub(super) async fn place_entry(
        &mut self,
        device_udf: &str,
        entry: &CatalogedDevice,
        terms: &Terms,
        notes: Vec<Envelope>,
    ) -> Result<bool, ClientError> {
        for address in &terms.accounts {
            let mut other = self.open_further(address)?;
            for _ in 0..=REBASES_MAX {
                Box::pin(other.synchronize(&Decisions::default())).await?;
                let is_placed = other.device_is_live(device_udf)?;
                let change = other.entry_change(device_udf, entry)?;
                if is_placed || other.change_devices(vec![change], Vec::new()).await? {
                    break;
                }
            }
        }
        let change = self.entry_change(device_udf, entry)?;
        self.change_devices(vec![change], notes).await
    }

    /// Step b: the answer, in Local, with the entry that the catalog has.
    pub(super) async fn leave_answer(&mut self, asked: &Asked) -> Result<Answered, ClientError> {
        let entry = self.entry_of(&asked.device_udf)?;
        let entry = self.with_mesh(entry.ok_or(ConnectError::Incomplete { what: "entry" })?)?;
        let administrator = administers(&entry);
        if asked.standing != Standing::Accepted {
            let online = self.owner()?.mesh.online;
            let mesh = &self.device()?.identity.mesh;
            let witness = match (&asked.matched, asked.pin) {
                (Some(kept), Some(PinStanding::Valid)) => {
                    Some(asked.proved().witness(&kept.pin, mesh))
                }
                _ => None,
            };
            let response_id = asked.acknowledgement.response_id.as_str();
            let answer = ConnectionAnswer::make(response_id, Some(entry), witness, None, &online);
            let mut self_messages = Vec::new();
            if !asked.is_completed {
                self_messages.push(self.note(&asked.id, response_id, Relationship::Accept)?);
            }
            let request = PostRequest {
                messages: vec![answer],
                self_messages,
                ..PostRequest::default()
            };
            self.call(Request::Post(request)).await?;
            Box::pin(self.synchronize(&Decisions::default())).await?;
        }
        Ok(told(asked, administrator))
    }

    /// The entry with the mesh's profile, which tells the device the newest online keys and, if its
    /// request was published, who connects it.
    pub(super) fn with_mesh(
        &mut self,
        entry: CatalogedDevice,
    ) -> Result<CatalogedDevice, ClientError> {
        Ok(CatalogedDevice {
            enveloped_profile_mesh: Some(self.device()?.state.profile_mesh.clone()),
            ..entry
        })
    }

    /// The entry of a device: its place in the mesh and in its accounts, with the keys that it is
    /// granted.
    pub(super) fn entry_for(
        &mut self,
        profile: &Signed<ProfileDevice>,
        enveloped: &Envelope,
        terms: &Terms,
    ) -> Result<CatalogedDevice, ClientError> {
        let rights = terms.rights();
        let owner = self.owner()?;
        let device = self.device.as_ref().ok_or(ClientError::NoAccount)?;
        let grants = Grants {
            administration: terms.administrator.then_some(&owner.mesh.online),
            decryption: None,
        };
        let in_mesh = connect_to_mesh_granting(
            profile,
            device.identity.mesh.udf(),
            &owner.mesh.online,
            &rights,
            grants,
            self.entropy.as_mut(),
        )
        .map_err(ClientError::Making)?;
        let mut accounts = vec![self.account_part(profile, terms)?];
        for address in &terms.accounts {
            let mut other = self.open_further(address)?;
            accounts.push(other.account_part(profile, terms)?);
        }
        cataloged_device(enveloped, in_mesh, accounts).map_err(ClientError::Making)
    }

    /// The part of a device's entry that is about this account.
    fn account_part(
        &mut self,
        profile: &Signed<ProfileDevice>,
        terms: &Terms,
    ) -> Result<AccountEntry, ClientError> {
        let owner = self.owner()?;
        let device = self.device.as_ref().ok_or(ClientError::NoAccount)?;
        let keys = &device.identity.keys;
        let grants = Grants {
            administration: terms.administrator.then_some(&owner.account.online),
            decryption: Some(&keys.account_encryption),
        };
        let account = &device.identity.account;
        let place = connect_to_account_granting(
            profile,
            account,
            &owner.account.online,
            &terms.rights(),
            grants,
            self.entropy.as_mut(),
        )
        .map_err(ClientError::Making)?;
        Ok(account_entry(
            account.udf(),
            &device.state.profile_account,
            place,
        ))
    }

    /// The note of what became of a message. It goes to the spool that holds the message
    /// (decision Q-27).
    fn note(
        &mut self,
        message_id: &str,
        response_id: &str,
        relationship: Relationship,
    ) -> Result<Envelope, ClientError> {
        let reference = Reference {
            message_id: Some(message_id.to_owned()),
            response_id: Some(response_id.to_owned()),
            relationship: Some(relationship),
            ..Reference::default()
        };
        self.completion(vec![reference])
            .map(|(_, envelope)| envelope)
    }
}

fn profile_of(asked: &Asked) -> Envelope {
    let enclosed = asked.request.request.enveloped_profile_device.clone();
    enclosed.expect("a request that verifies encloses the device's profile")
}

pub(super) fn administers(entry: &CatalogedDevice) -> bool {
    entry
        .enveloped_connection_device
        .as_ref()
        .and_then(|envelope| mesh_common::assertion::ConnectionDevice::from_envelope(envelope).ok())
        .is_some_and(|connection| is_administrator(&connection.permissions))
}

fn told(asked: &Asked, administrator: bool) -> Answered {
    Answered {
        id: asked.id.clone(),
        device_udf: asked.device_udf.clone(),
        device: asked.device.clone(),
        accepted: true,
        administrator,
        witness: asked.pin.is_none().then(|| asked.witness.clone()),
    }
}

fn answered_otherwise(asked: &Asked, answered: &'static str) -> ClientError {
    ConnectError::AnsweredOtherwise {
        id: asked.id.clone(),
        answered,
    }
    .into()
}

pub(super) fn outrun() -> ClientError {
    ClientError::Outrun {
        container: ContainerName::DEVICE.to_owned(),
    }
}

fn letters(text: &str) -> String {
    let kept = text.chars().filter(char::is_ascii_alphanumeric);
    kept.collect::<String>().to_uppercase()
}
