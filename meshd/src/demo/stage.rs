//! What the demo is played on: two services at two addresses of this host, the name server by which
//! they find each other, and the devices, all in one folder.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};

use mesh_backend::SystemClock;
use mesh_client::Client;
use mesh_client::account::NewAccount;
use mesh_common::address::AccountAddress;
use mesh_common::discovery::fallback_host;
use mesh_common::time::Clock as _;

use super::DemoError;
use super::transcript::Transcript;
use crate::authority::NameServer;
use crate::config::{MeshdConfig, TlsFiles};
use crate::data_dir;
use crate::development_ca;
use crate::service::Service;

/// The domain of the service that most of the demo is played at.
pub(super) const NORTH: &str = "north.test";
/// The domain of the other one.
pub(super) const SOUTH: &str = "south.test";
/// A domain whose service is not there.
pub(super) const GONE: &str = "gone.test";

/// Both services, and who tells where they are.
pub(super) struct Stage {
    pub(super) north: Site,
    pub(super) south: Site,
    /// Asked by both for as long as they run.
    pub(super) names: NameServer,
}

/// One service, and the devices whose accounts are there.
pub(super) struct Site {
    pub(super) folder: PathBuf,
    pub(super) config: MeshdConfig,
    domain: &'static str,
    /// What devices and other services have to trust.
    authority: PathBuf,
    service: Option<Service>,
    address: SocketAddr,
}

impl Stage {
    pub(super) fn new(folder: &Path) -> Result<Self, DemoError> {
        let names = NameServer::start()?;
        let mut north = Site::new(folder, NORTH, loopback(1))?;
        let mut south = Site::new(folder, SOUTH, loopback(2))?;
        let authorities = vec![north.authority.clone(), south.authority.clone()];
        for site in [&mut north, &mut south] {
            let discovery = &mut site.config.discovery;
            discovery.resolver = Some(names.address());
            discovery.authorities.clone_from(&authorities);
            // Other services are on this host too.
            discovery.allow_loopback = true;
        }
        // A place where somebody listened once.
        names.publish(GONE, TcpListener::bind(loopback(3))?.local_addr()?);
        Ok(Self {
            north,
            south,
            names,
        })
    }
}

impl Site {
    fn new(folder: &Path, domain: &'static str, listen: SocketAddr) -> Result<Self, DemoError> {
        let tls = folder.join(format!("{domain}-tls"));
        std::fs::create_dir_all(&tls)?;
        let mut config = MeshdConfig {
            data_dir: folder.join(domain),
            tls: Some(TlsFiles {
                certificate: tls.join("certificate.pem"),
                key: tls.join("key.pem"),
            }),
            ..MeshdConfig::default()
        };
        config.frontend.domains = vec![domain.to_owned()];
        config.frontend.host_names = vec![listen.ip().to_string()];
        config.frontend.listen = vec![listen];
        config.admin.listen = loopback(1);
        config.backend.policy.connections.hailing = vec!["devices".to_owned()];
        // The accounts are seconds old, yet are to send more than strangers may.
        config.limits.rate.new_account_days = 0;
        Ok(Self {
            folder: folder.to_owned(),
            authority: make_certificates(&tls, domain, listen)?,
            config,
            domain,
            service: None,
            address: listen,
        })
    }

    /// Starts the service for the first time, and has DNS say where it is.
    pub(super) async fn start(
        &mut self,
        names: &NameServer,
        transcript: &mut Transcript,
    ) -> Result<(), DemoError> {
        let service = Service::start(&self.config).await?;
        // A restart comes back to the same place.
        self.config.frontend.listen = service.addresses().to_vec();
        self.address = self.config.frontend.listen[0];
        names.publish(self.domain, self.address);
        transcript.show("identity", service.service_udf());
        transcript.show("serves", self.domain);
        transcript.show("listens", self.url());
        self.service = Some(service);
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

    /// The service, while it runs.
    pub(super) const fn service(&self) -> Option<&Service> {
        self.service.as_ref()
    }

    pub(super) fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    /// What devices have to trust, besides what their machine trusts.
    pub(super) fn authorities(&self) -> Result<Option<String>, DemoError> {
        Ok(Some(std::fs::read_to_string(&self.authority)?))
    }

    pub(super) fn service_udf(&self) -> Option<String> {
        self.service()
            .map(|service| service.service_udf().to_string())
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

/// A development CA with a certificate for the domain, the host DNS will name, and the address devices
/// use; where the CA's own certificate is.
fn make_certificates(
    folder: &Path,
    domain: &str,
    listen: SocketAddr,
) -> Result<PathBuf, DemoError> {
    let names = [
        domain.to_owned(),
        fallback_host(domain),
        listen.ip().to_string(),
    ];
    let made = development_ca::make(&names, SystemClock.now())
        .map_err(|error| DemoError::Wrong(format!("no certificate can be made: {error}")))?;
    let authority = folder.join("ca.pem");
    for (file, text) in [
        (authority.clone(), &made.ca),
        (folder.join("certificate.pem"), &made.certificate),
        (folder.join("key.pem"), &made.key),
    ] {
        data_dir::write(&file, text.as_bytes()).map_err(crate::service::StartError::from)?;
    }
    Ok(authority)
}

/// A port of the system's choice at the `number`th address of this host; at the first, on systems that
/// have no other.
fn loopback(number: u8) -> SocketAddr {
    let wanted = SocketAddr::from(([127, 0, 0, number], 0));
    match TcpListener::bind(wanted) {
        Ok(_) => wanted,
        Err(_) => SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
    }
}

/// An address that is written in the demo.
pub(super) fn address_of(text: &str) -> Result<AccountAddress, DemoError> {
    AccountAddress::parse(text).map_err(|error| DemoError::Wrong(error.to_string()))
}
