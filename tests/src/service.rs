//! A whole service in this process: listeners on ports the system chooses, an actix system on its
//! own thread, a data folder that goes away with the test.

use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;

use mesh_frontend::callback::CallBack;
use meshd::config::MeshdConfig;
use meshd::service::{STILL_READ, Service};
use tempfile::TempDir;
use tokio::sync::mpsc;

use crate::admin;
use crate::forwarding::Domains;
use crate::wire::{Connection, Tls};

/// The domain that tests speak of.
pub const DOMAIN: &str = "example.com";
/// A second domain of the same service.
pub const OTHER_DOMAIN: &str = "example.net";
/// A further name of the host.
pub const HOST_NAME: &str = "host1.example.org";

/// A running service. It stops when it is dropped.
#[derive(Debug)]
pub struct TestService {
    config: MeshdConfig,
    /// What other domains tell, unless they are really asked.
    domains: Option<Arc<Domains>>,
    folder: TempDir,
    running: Option<Running>,
}

#[derive(Debug)]
struct Running {
    addresses: Addresses,
    commands: mpsc::Sender<Command>,
    thread: JoinHandle<()>,
}

/// Where the parts of a service listen.
#[derive(Debug, Clone)]
struct Addresses {
    secure: SocketAddr,
    plain: Option<SocketAddr>,
    admin: SocketAddr,
}

/// What the thread of the service is asked to do between requests.
#[derive(Debug)]
enum Command {
    ReloadCertificate(SyncSender<Result<(), String>>),
    Stop,
}

impl TestService {
    /// A service for [`DOMAIN`] and [`OTHER_DOMAIN`] with the default settings, rates not limited.
    #[must_use]
    pub fn start() -> Self {
        Self::with(|_| {})
    }

    /// The same with other settings.
    ///
    /// # Panics
    /// If the settings are refused or the service does not start.
    #[must_use]
    pub fn with(adjust: impl FnOnce(&mut MeshdConfig)) -> Self {
        Self::calling_back(None, adjust)
    }

    /// A service that learns from `domains` whose service posts here.
    ///
    /// # Panics
    /// As [`Self::with`].
    #[must_use]
    pub fn with_domains(domains: &Arc<Domains>, adjust: impl FnOnce(&mut MeshdConfig)) -> Self {
        Self::calling_back(Some(Arc::clone(domains)), adjust)
    }

    fn calling_back(domains: Option<Arc<Domains>>, adjust: impl FnOnce(&mut MeshdConfig)) -> Self {
        let folder = tempfile::tempdir().expect("this machine has a folder for temporary files");
        let mut config = MeshdConfig {
            data_dir: folder.path().join("data"),
            ..MeshdConfig::default()
        };
        config.frontend.listen = vec![loopback()];
        config.frontend.domains = vec![DOMAIN.to_owned(), OTHER_DOMAIN.to_owned()];
        config.frontend.host_names = vec![HOST_NAME.to_owned()];
        config.frontend.workers = 2;
        config.admin.listen = loopback();
        config.limits.rate.enabled = false;
        // Nobody answers there: no test looks up a domain of others.
        config.discovery.resolver = Some(([127, 0, 0, 1], 9).into());
        adjust(&mut config);
        let mut service = Self {
            config,
            domains,
            folder,
            running: None,
        };
        service.run();
        service
    }

    /// The same as [`Self::start`], with a plain listener as well.
    #[must_use]
    pub fn with_plain_listener() -> Self {
        Self::with(|config| config.frontend.listen_plain = vec![loopback()])
    }

    /// Stops the service, lets `change` have its data folder, and starts it again.
    ///
    /// # Panics
    /// If the folder is not as a service leaves it.
    pub fn restart_after(&mut self, change: impl FnOnce(&Path)) {
        self.stop();
        // The last threads of the HTTP server may still be on their way out, and with them the
        // last handle to the store: whoever gets its lock knows that they are gone.
        let lock = File::options()
            .write(true)
            .open(self.config.data_dir.join("store/lock"))
            .expect("a store has a lock");
        lock.lock().expect("a lock can be waited for");
        drop(lock);
        change(&self.config.data_dir);
        self.run();
    }

    /// Reads the certificate again, as on SIGHUP.
    ///
    /// # Errors
    /// What is wrong with the files.
    ///
    /// # Panics
    /// If the service does not run.
    pub fn reload_certificate(&self) -> Result<(), String> {
        let (reply, outcome) = sync_channel(1);
        let running = self.running();
        running
            .commands
            .blocking_send(Command::ReloadCertificate(reply))
            .expect("the service's thread takes commands until it is stopped");
        outcome.recv().expect("every command is answered")
    }

    /// Where HTTPS is answered.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.running().addresses.secure
    }

    /// Where plain HTTP is answered.
    #[must_use]
    pub fn plain_address(&self) -> Option<SocketAddr> {
        self.running().addresses.plain
    }

    /// Where operators ask.
    #[must_use]
    pub fn admin_address(&self) -> SocketAddr {
        self.running().addresses.admin
    }

    /// The data folder.
    #[must_use]
    pub fn data_dir(&self) -> &Path {
        &self.config.data_dir
    }

    /// A folder for whatever else the test writes.
    #[must_use]
    pub fn scratch(&self) -> PathBuf {
        self.folder.path().to_owned()
    }

    /// The certificate authority of the development certificate, PEM.
    ///
    /// # Panics
    /// If the service has not made one.
    #[must_use]
    pub fn authority(&self) -> String {
        std::fs::read_to_string(self.data_dir().join("tls/ca.pem"))
            .expect("a service without [tls] makes a development CA")
    }

    /// A new connection with TLS 1.3, to the name [`DOMAIN`].
    #[must_use]
    pub fn connect(&self) -> Connection {
        Tls::trusting(&self.authority()).connect(self.address(), DOMAIN)
    }

    /// Sum of the samples of a measure whose line contains `labels`; 0 if there is none.
    ///
    /// # Panics
    /// If `/metrics` is not answered.
    #[must_use]
    pub fn measured(&self, name: &str, labels: &str) -> f64 {
        admin::measured(self.admin_address(), name, labels)
    }

    /// A new connection to the plain listener.
    ///
    /// # Panics
    /// If there is none.
    #[must_use]
    pub fn connect_plain(&self) -> Connection {
        let address = self.plain_address();
        Connection::plain(address.expect("this service has a plain listener"))
    }

    fn running(&self) -> &Running {
        self.running.as_ref().expect("the service runs")
    }

    fn run(&mut self) {
        self.config.check().expect("the settings of a test hold");
        let (started, addresses) = sync_channel(1);
        let (commands, received) = mpsc::channel(1);
        let (config, domains) = (self.config.clone(), self.domains.clone());
        let thread = std::thread::spawn(move || serve(&config, domains, &started, received));
        let addresses: Addresses = addresses
            .recv()
            .expect("the service's thread says how the start went")
            .unwrap_or_else(|error| panic!("the service does not start: {error}"));
        self.running = Some(Running {
            addresses,
            commands,
            thread,
        });
    }

    fn stop(&mut self) {
        let Some(running) = self.running.take() else {
            return;
        };
        // An error says that the thread is gone already, which joining it will tell.
        drop(running.commands.blocking_send(Command::Stop));
        let outcome = running.thread.join();
        if !std::thread::panicking() {
            outcome.expect("the service's thread ends without a panic");
        }
    }
}

impl Drop for TestService {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Any port of this host that is free.
#[must_use]
pub fn loopback() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 0))
}

/// The life of a service on its thread.
fn serve(
    config: &MeshdConfig,
    domains: Option<Arc<Domains>>,
    started: &SyncSender<Result<Addresses, String>>,
    mut commands: mpsc::Receiver<Command>,
) {
    meshd::install_provider();
    let call_back = domains.map(|domains| -> Arc<dyn CallBack> { domains });
    actix_rt::System::new().block_on(async {
        let service = match Service::start_with(config, call_back).await {
            Ok(service) => service,
            Err(error) => {
                let told = started.send(Err(error.to_string()));
                return told.expect("the test waits for the start");
            }
        };
        let addresses = Addresses {
            secure: service.addresses()[0],
            plain: service.plain_addresses().first().copied(),
            admin: service.admin().address(),
        };
        let told = started.send(Ok(addresses));
        told.expect("the test waits for the start");
        while let Some(Command::ReloadCertificate(reply)) = commands.recv().await {
            let unread = service.reload().into_iter().next();
            let told = reply.send(unread.map_or(Ok(()), |error| Err(error.to_string())));
            told.expect("the test waits for the outcome");
        }
        assert!(service.stop().await, "{STILL_READ} after the stop");
    });
}
