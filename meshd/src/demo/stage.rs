//! What the demo is played on: one service in a folder, and the devices beside it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use mesh_client::Client;
use mesh_client::account::NewAccount;
use mesh_common::address::AccountAddress;

use super::DemoError;
use super::transcript::Transcript;
use crate::config::MeshdConfig;
use crate::service::Service;

/// The folder of the demo and the service that runs in it.
pub(super) struct Stage {
    pub(super) folder: PathBuf,
    pub(super) config: MeshdConfig,
    service: Option<Service>,
    port: u16,
}

impl Stage {
    pub(super) fn new(folder: &Path) -> Result<Self, DemoError> {
        std::fs::create_dir_all(folder)?;
        let mut config = MeshdConfig {
            data_dir: folder.join("service"),
            ..MeshdConfig::default()
        };
        let any_port = SocketAddr::from(([127, 0, 0, 1], 0));
        config.frontend.listen = vec![any_port];
        config.admin.listen = any_port;
        config.backend.policy.connections.hailing = vec!["devices".to_owned()];
        // The accounts are seconds old, yet are to send more than strangers may.
        config.limits.rate.new_account_days = 0;
        Ok(Self {
            folder: folder.to_owned(),
            config,
            service: None,
            port: 0,
        })
    }

    /// Starts the service for the first time.
    pub(super) async fn start(&mut self, transcript: &mut Transcript) -> Result<(), DemoError> {
        transcript.step("a service starts: an empty store, a new identity, a development CA");
        let service = Service::start(&self.config).await?;
        self.port = service
            .frontend()
            .addresses()
            .first()
            .map_or(0, SocketAddr::port);
        // A restart comes back to the same place.
        self.config.frontend.listen = service.frontend().addresses().to_vec();
        transcript.show("identity", service.service_udf());
        transcript.show("listens", self.url());
        self.service = Some(service);
        transcript.done();
        Ok(())
    }

    /// Starts it again on what it left, at the same place.
    pub(super) async fn restart(&mut self) -> Result<(), DemoError> {
        self.stop().await;
        self.service = Some(Service::start(&self.config).await?);
        Ok(())
    }

    pub(super) async fn stop(&mut self) {
        if let Some(service) = self.service.take() {
            service.stop().await;
        }
    }

    pub(super) fn url(&self) -> String {
        format!("https://localhost:{}", self.port)
    }

    /// What devices have to trust, besides what their machine trusts.
    pub(super) fn authorities(&self) -> Result<Option<String>, DemoError> {
        let service = self.service.as_ref();
        let path = service
            .and_then(Service::development_ca)
            .map(Path::to_owned);
        Ok(path.map(std::fs::read_to_string).transpose()?)
    }

    pub(super) fn service_udf(&self) -> Option<String> {
        let service = self.service.as_ref();
        service.map(|service| service.service_udf().to_string())
    }

    /// A device that nothing is known of yet.
    pub(super) fn device(&self, name: &str) -> Result<Client, DemoError> {
        Ok(Client::open(self.folder.join(name))?)
    }

    /// What an account at this service is made of.
    pub(super) fn new_account(&self, address: &str, device: &str) -> Result<NewAccount, DemoError> {
        Ok(NewAccount {
            address: address_of(address)?,
            service_url: Some(self.url()),
            authorities: self.authorities()?,
            device: Some(device.into()),
        })
    }
}

/// An address that is written in the demo.
pub(super) fn address_of(text: &str) -> Result<AccountAddress, DemoError> {
    AccountAddress::parse(text).map_err(|error| DemoError::Wrong(error.to_string()))
}
