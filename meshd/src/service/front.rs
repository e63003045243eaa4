//! The front-end of a process: its certificate, its listeners, and the edge behind them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use mesh_backend::{SystemClock, SystemEntropy};
use mesh_common::cluster::Backend;
use mesh_common::entropy::Entropy;
use mesh_common::session::TicketKeys;
use mesh_common::time::Clock as _;
use mesh_frontend::callback::CallBack;
use mesh_frontend::edge::{Components, Edge};
use mesh_frontend::metrics::FrontendMetrics;
use mesh_frontend::server::Frontend;
use mesh_frontend::tls::{CertificateSlot, TlsError};

use super::error::StartError;
use super::expiry;
use super::ground::Ground;
use crate::config::MeshdConfig;
use crate::data_dir::{self, DataDir};
use crate::development_ca;

/// Where the certificate comes from, and what is shown of it.
pub(super) struct Certificate {
    chain: PathBuf,
    key: PathBuf,
    /// The development CA, if it made the certificate.
    ca: Option<PathBuf>,
    slot: Arc<CertificateSlot>,
}

/// Listeners, and what they show.
pub(super) struct Front {
    pub(super) server: Frontend,
    certificate: Certificate,
}

/// What a front-end is given by the rest of its process.
pub(super) struct Behind {
    pub(super) backend: Arc<dyn Backend>,
    pub(super) tickets: Arc<ArcSwap<TicketKeys>>,
    pub(super) call_back: Arc<dyn CallBack>,
}

impl Front {
    /// Begins to answer.
    pub(super) fn start(
        config: &MeshdConfig,
        ground: &Ground,
        certificate: Certificate,
        behind: Behind,
    ) -> Result<Self, StartError> {
        let settings = config.effective_frontend();
        let edge = Edge::new(
            &settings,
            Components {
                identities: ground.identities.clone(),
                backend: behind.backend,
                tickets: behind.tickets,
                clock: Arc::new(SystemClock),
                entropy: Arc::new(|| -> Box<dyn Entropy + Send> { Box::new(SystemEntropy) }),
                metrics: FrontendMetrics::register(&ground.registry)?,
                call_back: behind.call_back,
            },
        );
        let slot = Arc::clone(&certificate.slot);
        expiry::measure(&ground.registry, "in", move || slot.not_after())?;
        let server = Frontend::start(&settings, Arc::clone(&certificate.slot), edge)?;
        Ok(Self {
            server,
            certificate,
        })
    }

    /// The development CA that clients must be told to trust, if it made the certificate.
    pub(super) fn development_ca(&self) -> Option<&Path> {
        self.certificate.ca.as_deref()
    }

    /// Reads the certificate again. On an error the present one stays in use.
    pub(super) fn reload(&self) -> Result<(), TlsError> {
        let certificate = &self.certificate;
        certificate
            .slot
            .reload(&certificate.chain, &certificate.key)
    }
}

impl Certificate {
    /// The certificate of `[tls]`, or the development CA's, which is made if it is not there.
    pub(super) fn load(config: &MeshdConfig, folder: &DataDir) -> Result<Self, StartError> {
        let (chain, key, ca) = match &config.tls {
            Some(files) => (files.certificate.clone(), files.key.clone(), None),
            None => development(config, folder)?,
        };
        let slot = Arc::new(CertificateSlot::from_files(&chain, &key)?);
        Ok(Self {
            chain,
            key,
            ca,
            slot,
        })
    }
}

type Files = (PathBuf, PathBuf, Option<PathBuf>);

fn development(config: &MeshdConfig, folder: &DataDir) -> Result<Files, StartError> {
    let (chain, key, ca) = (
        folder.tls().join("development.pem"),
        folder.tls().join("development.key"),
        folder.tls().join("ca.pem"),
    );
    if data_dir::read(&chain)?.is_none() {
        let made = development_ca::make(&names_of(config), SystemClock.now())
            .map_err(StartError::DevelopmentCa)?;
        data_dir::write(&key, made.key.as_bytes())?;
        data_dir::write(&ca, made.ca.as_bytes())?;
        // Last: only with it are the three there.
        data_dir::write(&chain, made.certificate.as_bytes())?;
    }
    Ok((chain, key, Some(ca)))
}

/// Every name this service is reached by, and the loopback addresses.
fn names_of(config: &MeshdConfig) -> Vec<String> {
    let mut names = Vec::new();
    for domain in &config.frontend.domains {
        names.push(domain.clone());
        names.push(format!("mmm.{domain}"));
    }
    names.extend(config.frontend.host_names.iter().cloned());
    names.extend(["127.0.0.1".to_owned(), "::1".to_owned()]);
    names
}
