//! A service, a person with a mesh, an account and a device: what the tests talk about.

use std::sync::LazyLock;

use zeroize::Zeroizing;

use crate::address::AccountAddress;
use crate::assertion::make::{
    AccountKeys, DeviceKeys, HostProfileKeys, MeshKeys, Place, ServiceKeys, account_entry,
    cataloged_device, connect_to_account, connect_to_mesh,
};
use crate::assertion::{
    ActivatedKeys, Authority, CatalogedDevice, ProfileAccount, ProfileDevice, ProfileMesh, Signed,
    activate_account, activate_device,
};
use crate::catalog::entry::Permission;
use crate::cluster::SigningKeys;
use crate::dare::Envelope;
use crate::entropy::SeededEntropy;
use crate::protocol::HelloResponse;
use crate::session::client::{ClientIdentity, ClientSession, ServiceIdentity};
use crate::session::evidence::signing_keys;
use crate::session::{Epoch, HostKeys, TicketKeys};
use crate::time::Timestamp;
use crate::udf::Udf;

/// 2020-03-10T12:00:00Z.
pub(super) const NOW: Timestamp = Timestamp::from_secs(1_583_841_600);
pub(super) const ALICE: &str = "alice@example.com";

pub(super) struct World {
    pub(super) entropy: SeededEntropy,
    pub(super) service: ServiceKeys,
    pub(super) profile_service: Envelope,
    pub(super) profile_host: Envelope,
    pub(super) hosts: HostKeys,
    pub(super) tickets: TicketKeys,
    pub(super) mesh: MeshKeys,
    pub(super) profile_mesh: Envelope,
    pub(super) signed_mesh: Signed<ProfileMesh>,
    pub(super) account: AccountKeys,
    pub(super) profile_account: Envelope,
    pub(super) signed_account: Signed<ProfileAccount>,
    pub(super) device: DeviceKeys,
    pub(super) profile_device: Envelope,
    pub(super) entry: CatalogedDevice,
    pub(super) in_mesh: ActivatedKeys,
    pub(super) in_account: ActivatedKeys,
}

impl World {
    pub(super) fn new() -> Self {
        let mut entropy = SeededEntropy::new(1);
        let service = ServiceKeys::generate(&mut entropy);
        let host = HostProfileKeys::generate(&mut entropy);
        let mesh = MeshKeys::generate(&mut entropy);
        let account = AccountKeys::generate(&mut entropy);
        let device = DeviceKeys::generate(&mut entropy);
        let profile_mesh = mesh.profile(NOW);
        let signed_mesh = ProfileMesh::verify(&profile_mesh).unwrap();
        let profile_account =
            account.profile(signed_mesh.udf(), &[ALICE.into()], NOW, &mesh.online);
        let authority = Authority::from(&signed_mesh);
        let signed_account = ProfileAccount::verify(&profile_account, Some(&authority)).unwrap();
        let profile_device = device.profile(Some("a device".into()));
        let entry = entry_of(
            &profile_device,
            (&mesh, &signed_mesh),
            (&account, &signed_account, &profile_account),
            &mut entropy,
        );
        let (_, in_mesh) = activate_device(&device, &entry, &authority).unwrap();
        let (_, _, in_account) = activate_account(&device, &entry.accounts[0], &authority).unwrap();
        let mut tickets = TicketKeys::new(service.offline.udf());
        tickets.insert(Epoch::at(NOW), Zeroizing::new([7; 32]));
        Self {
            profile_service: service.profile(NOW),
            profile_host: host.profile(&service.offline),
            hosts: HostKeys::new(service.offline.udf(), service.authentication.clone()).unwrap(),
            tickets,
            entropy,
            service,
            mesh,
            profile_mesh,
            signed_mesh,
            account,
            profile_account,
            signed_account,
            device,
            profile_device,
            entry,
            in_mesh,
            in_account,
        }
    }

    /// One for all cases of a property.
    pub(super) fn shared() -> &'static Self {
        static WORLD: LazyLock<World> = LazyLock::new(World::new);
        &WORLD
    }

    /// UDF of the service's KeyAuthentication.
    pub(super) fn host_key() -> Udf {
        Self::shared().service.authentication.udf()
    }

    pub(super) fn keys(&self) -> SigningKeys {
        signing_keys(&self.signed_mesh, &self.signed_account)
    }

    pub(super) fn address() -> AccountAddress {
        AccountAddress::parse(ALICE).unwrap()
    }

    /// What a client knows of the service after a Hello.
    pub(super) fn identity(&self) -> ServiceIdentity {
        ServiceIdentity::from_hello(&HelloResponse {
            enveloped_profile_service: Some(self.profile_service.clone()),
            enveloped_profile_host: Some(self.profile_host.clone()),
            ..HelloResponse::default()
        })
        .unwrap()
    }

    pub(super) fn as_device(&self) -> ClientIdentity {
        ClientIdentity::device(
            self.profile_device.clone(),
            self.device.authentication.clone(),
            Some(ALICE.into()),
        )
    }

    pub(super) fn as_connected(&self) -> ClientIdentity {
        let connection = self.entry.accounts[0].enveloped_connection_account.clone();
        ClientIdentity::connected_to_account(
            connection.unwrap(),
            Some(self.profile_device.clone()),
            self.in_account.authentication.clone(),
            ALICE.into(),
        )
    }

    pub(super) fn as_connected_to_mesh(&self) -> ClientIdentity {
        ClientIdentity::connected_to_mesh(
            self.entry.enveloped_connection_device.clone().unwrap(),
            None,
            self.in_mesh.authentication.clone(),
            ALICE.into(),
        )
    }

    pub(super) fn session(&self, client: ClientIdentity) -> ClientSession {
        ClientSession::new(self.identity(), client)
    }
}

fn entry_of(
    profile_device: &Envelope,
    (mesh, signed_mesh): (&MeshKeys, &Signed<ProfileMesh>),
    (account, signed_account, profile_account): (&AccountKeys, &Signed<ProfileAccount>, &Envelope),
    entropy: &mut SeededEntropy,
) -> CatalogedDevice {
    let device = ProfileDevice::verify(profile_device).unwrap();
    let administrator = [Permission {
        name: Some("Admin".into()),
        ..Permission::default()
    }];
    let place: Place = connect_to_mesh(
        &device,
        signed_mesh.udf(),
        &mesh.online,
        &administrator,
        entropy,
    )
    .unwrap();
    let in_account = connect_to_account(
        &device,
        signed_account,
        &account.online,
        &administrator,
        entropy,
    )
    .unwrap();
    let entry = account_entry(signed_account.udf(), profile_account, in_account);
    cataloged_device(profile_device, place, vec![entry]).unwrap()
}
