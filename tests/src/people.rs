//! The people of the tests, their meshes, accounts and devices. Their keys follow from their names,
//! so that a failing test fails the same way again.

use mesh_common::assertion::make::{
    AccountKeys, DeviceKeys, MeshKeys, account_entry, cataloged_device, connect_to_account,
    connect_to_mesh,
};
use mesh_common::assertion::{
    ActivatedKeys, Assertion, Authority, CatalogedDevice, ProfileAccount, ProfileDevice,
    ProfileMesh, Signed, activate_account, activate_device,
};
use mesh_common::catalog::entry::Permission;
use mesh_common::crypto::digest::sha512;
use mesh_common::dare::Envelope;
use mesh_common::entropy::SeededEntropy;
use mesh_common::message::accredit;
use mesh_common::protocol::{CreateRequest, Request};
use mesh_common::session::client::ClientIdentity;
use mesh_common::time::Timestamp;

use crate::frames;
use crate::service::DOMAIN;

/// When the profiles of everybody were last changed: 2020-03-10T12:00:00Z.
pub const UPDATED: Timestamp = Timestamp::from_secs(1_583_841_600);

/// Somebody with a personal mesh, an account address, and one device to begin with.
#[derive(Debug, Clone)]
pub struct Person {
    /// The account address.
    pub address: String,
    /// Keys of the mesh.
    pub mesh: MeshKeys,
    /// Keys of the account.
    pub account: AccountKeys,
    /// The signed ProfileMesh.
    pub profile_mesh: Envelope,
    /// The signed ProfileAccount.
    pub profile_account: Envelope,
    /// The device that makes the account: an administrator's.
    pub device: Device,
}

/// A device, connected to its owner's mesh and account.
#[derive(Debug, Clone)]
pub struct Device {
    /// Whose account it is connected to.
    pub address: String,
    /// Its own keys.
    pub keys: DeviceKeys,
    /// The signed ProfileDevice.
    pub profile: Envelope,
    /// What stands in the Device catalog.
    pub entry: CatalogedDevice,
    /// Keys of its ConnectionDevice.
    pub in_mesh: ActivatedKeys,
    /// Keys of its ConnectionAccount.
    pub in_account: ActivatedKeys,
}

/// Alice, who has the account of most tests.
#[must_use]
pub fn alice() -> Person {
    Person::named("alice")
}

/// Bob, who has another account.
#[must_use]
pub fn bob() -> Person {
    Person::named("bob")
}

/// Mallet, who wants what is not his.
#[must_use]
pub fn mallet() -> Person {
    Person::named("mallet")
}

impl Person {
    /// Somebody whose keys follow from `name`, with an account of that name in [`DOMAIN`].
    #[must_use]
    pub fn named(name: &str) -> Self {
        Self::at(name, &format!("{name}@{DOMAIN}"))
    }

    /// The keys of `name`, another address.
    ///
    /// # Panics
    /// If what was just made does not verify.
    #[must_use]
    pub fn at(name: &str, address: &str) -> Self {
        Self::drawn(address, UPDATED, &mut entropy_of(name))
    }

    /// Somebody with an account of this address, profiles of `updated` and keys out of `entropy`.
    ///
    /// # Panics
    /// If what was just made does not verify.
    #[must_use]
    pub fn drawn(address: &str, updated: Timestamp, entropy: &mut SeededEntropy) -> Self {
        let mesh = MeshKeys::generate(entropy);
        let account = AccountKeys::generate(entropy);
        let keys = DeviceKeys::generate(entropy);
        let profile_mesh = mesh.profile(updated);
        let verified = ProfileMesh::verify(&profile_mesh).expect("a new ProfileMesh verifies");
        let profile_account =
            account.profile(verified.udf(), &[address.to_owned()], updated, &mesh.online);
        let owner = Owner {
            address,
            mesh: &mesh,
            signed_mesh: verified,
            account: &account,
            profile_account: &profile_account,
        };
        let device = owner.connect(keys, &administrator(), entropy);
        Self {
            address: address.to_owned(),
            device,
            mesh,
            account,
            profile_mesh,
            profile_account,
        }
    }

    /// Another device of this person, connected with `permissions`.
    ///
    /// # Panics
    /// If what was just made does not verify.
    #[must_use]
    pub fn another_device(&self, name: &str, permissions: &[Permission]) -> Device {
        let mut entropy = entropy_of(&format!("{} {name}", self.address));
        self.device_drawn(permissions, &mut entropy)
    }

    /// Another device of this person, connected with `permissions`, its keys out of `entropy`.
    ///
    /// # Panics
    /// If what was just made does not verify.
    #[must_use]
    pub fn device_drawn(&self, permissions: &[Permission], entropy: &mut SeededEntropy) -> Device {
        let keys = DeviceKeys::generate(entropy);
        let owner = Owner {
            address: &self.address,
            mesh: &self.mesh,
            signed_mesh: ProfileMesh::verify(&self.profile_mesh).expect("it verified before"),
            account: &self.account,
            profile_account: &self.profile_account,
        };
        owner.connect(keys, permissions, entropy)
    }

    /// The same person with profiles changed at `updated`.
    ///
    /// # Panics
    /// If what was just made does not verify.
    #[must_use]
    pub fn updated_at(&self, updated: Timestamp) -> Self {
        let profile_mesh = self.mesh.profile(updated);
        let verified = ProfileMesh::verify(&profile_mesh).expect("a new ProfileMesh verifies");
        let addresses = [self.address.clone()];
        let profile_account =
            self.account
                .profile(verified.udf(), &addresses, updated, &self.mesh.online);
        Self {
            profile_mesh,
            profile_account,
            ..self.clone()
        }
    }

    /// The request that makes the account.
    #[must_use]
    pub fn creation(&self) -> Request {
        Request::CreateAccount(Box::new(CreateRequest {
            service_id: Some(self.address.clone()),
            signed_profile_mesh: Some(self.profile_mesh.clone()),
            signed_assertion_account: Some(self.profile_account.clone()),
            ..CreateRequest::default()
        }))
    }
}

impl Device {
    /// As whom it speaks in Device mode.
    #[must_use]
    pub fn as_device(&self) -> ClientIdentity {
        ClientIdentity::device(
            self.profile.clone(),
            self.keys.authentication.clone(),
            Some(self.address.clone()),
        )
    }

    /// As whom it speaks in Profile mode, by its ConnectionAccount.
    ///
    /// # Panics
    /// If its entry has none.
    #[must_use]
    pub fn as_connected(&self) -> ClientIdentity {
        self.as_connected_to(&self.address)
    }

    /// The same, claiming an account.
    ///
    /// # Panics
    /// If its entry has no ConnectionAccount.
    #[must_use]
    pub fn as_connected_to(&self, address: &str) -> ClientIdentity {
        let connection = self.entry.accounts[0].enveloped_connection_account.clone();
        ClientIdentity::connected_to_account(
            connection.expect("devices of tests are connected"),
            Some(self.profile.clone()),
            self.in_account.authentication.clone(),
            address.to_owned(),
        )
    }

    /// As whom it speaks in Profile mode, by its ConnectionDevice.
    ///
    /// # Panics
    /// If its entry has none.
    #[must_use]
    pub fn as_connected_to_mesh(&self) -> ClientIdentity {
        let connection = self.entry.enveloped_connection_device.clone();
        ClientIdentity::connected_to_mesh(
            connection.expect("devices of tests are connected"),
            Some(self.profile.clone()),
            self.in_mesh.authentication.clone(),
            self.address.clone(),
        )
    }

    /// The message signed by this device, with the chain to its account in the signature block.
    ///
    /// # Panics
    /// If its entry has no account.
    #[must_use]
    pub fn signed(&self, mut message: Envelope) -> Envelope {
        let why = "devices of tests are connected";
        let account = &self.entry.accounts[0];
        let connection = account.enveloped_connection_account.as_ref().expect(why);
        let profile = account.enveloped_profile_account.as_ref().expect(why);
        let signer = &self.in_account.signature;
        accredit(&mut message, signer, connection, profile, None);
        message
    }

    /// UDF of its ProfileDevice: the UniqueID of its entry.
    #[must_use]
    pub fn udf(&self) -> String {
        self.keys.signature.udf().to_string()
    }

    /// Its entry as frame `index` of the Device catalog.
    #[must_use]
    pub fn frame(&self, index: u64, event: &str) -> Envelope {
        frames::event(index, event, &self.udf(), &self.entry.to_json())
    }
}

/// The permission that makes an administrator.
#[must_use]
pub fn administrator() -> Vec<Permission> {
    permission("Admin")
}

/// A permission by its name.
#[must_use]
pub fn permission(name: &str) -> Vec<Permission> {
    vec![Permission {
        name: Some(name.to_owned()),
        ..Permission::default()
    }]
}

/// Who connects a device.
struct Owner<'a> {
    address: &'a str,
    mesh: &'a MeshKeys,
    signed_mesh: Signed<ProfileMesh>,
    account: &'a AccountKeys,
    profile_account: &'a Envelope,
}

impl Owner<'_> {
    fn connect(
        &self,
        keys: DeviceKeys,
        permissions: &[Permission],
        entropy: &mut SeededEntropy,
    ) -> Device {
        let why = "what was just made is as it should be";
        let authority = Authority::from(&self.signed_mesh);
        let account = ProfileAccount::verify(self.profile_account, Some(&authority)).expect(why);
        let profile = keys.profile(Some("a device".into()));
        let device = ProfileDevice::verify(&profile).expect(why);
        let online = &self.mesh.online;
        let in_mesh = connect_to_mesh(
            &device,
            self.signed_mesh.udf(),
            online,
            permissions,
            entropy,
        );
        let in_account = connect_to_account(
            &device,
            &account,
            &self.account.online,
            permissions,
            entropy,
        );
        let entry = account_entry(account.udf(), self.profile_account, in_account.expect(why));
        let entry = cataloged_device(&profile, in_mesh.expect(why), vec![entry]).expect(why);
        let (_, in_mesh) = activate_device(&keys, &entry, &authority).expect(why);
        let (_, _, in_account) =
            activate_account(&keys, &entry.accounts[0], &authority).expect(why);
        Device {
            address: self.address.to_owned(),
            keys,
            profile,
            entry,
            in_mesh,
            in_account,
        }
    }
}

/// Chance that follows from a name.
#[must_use]
pub fn entropy_of(name: &str) -> SeededEntropy {
    let digest = sha512(&[name.as_bytes()]);
    let mut seed = [0; 8];
    seed.copy_from_slice(&digest[..8]);
    SeededEntropy::new(u64::from_be_bytes(seed))
}
