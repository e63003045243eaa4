//! A running process of a service: what its roles need, started in order, stopped in order.
//!
//! | module | holds |
//! | --- | --- |
//! | `ground` | what every process has: folder, identity, measures |
//! | `engine` | the store that `[store]` names |
//! | `front` | listeners, certificate, edge |
//! | `alone` | the whole service in one process |
//! | `error` | why a start fails |

mod alone;
mod engine;
mod error;
mod front;
mod ground;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use mesh_backend::BackendHandle;
use mesh_backend::store::AnyStore;
use mesh_common::udf::Udf;
use mesh_frontend::callback::CallBack;
use mesh_frontend::tls::TlsError;

use self::alone::Alone;
pub use self::error::StartError;
use self::front::Front;
use self::ground::Ground;
use crate::admin::Admin;
use crate::config::MeshdConfig;

/// A running process. Dropping it without [`Self::stop`] ends it without finishing its work.
pub struct Service {
    running: Alone,
    service_udf: Udf,
}

impl Service {
    /// Starts everything that `config` describes. To be called inside an actix system.
    ///
    /// # Errors
    /// [`StartError`], with what to do about it. What was started before is stopped.
    pub async fn start(config: &MeshdConfig) -> Result<Self, StartError> {
        Self::start_with(config, None).await
    }

    /// The same with another way to call back services that post here; for tests.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub async fn start_with(
        config: &MeshdConfig,
        call_back: Option<Arc<dyn CallBack>>,
    ) -> Result<Self, StartError> {
        // Here too: no way leads around what only loopback may have.
        config.check()?;
        let ground = Ground::lay(config)?;
        Ok(Self {
            running: Alone::start(config, &ground, call_back).await?,
            service_udf: ground.service_udf,
        })
    }

    fn front(&self) -> Option<&Front> {
        Some(&self.running.front)
    }

    /// Where HTTPS is answered; nowhere, if this process is no front-end.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        self.front().map_or(&[], |front| front.server.addresses())
    }

    /// Where plain HTTP is answered.
    #[must_use]
    pub fn plain_addresses(&self) -> &[SocketAddr] {
        self.front()
            .map_or(&[], |front| front.server.plain_addresses())
    }

    /// Whether everything that listens still does. It should never end by itself.
    #[must_use]
    pub fn is_serving(&self) -> bool {
        self.front().is_none_or(|front| front.server.is_serving())
    }

    /// Where operators ask.
    #[must_use]
    pub const fn admin(&self) -> &Admin {
        &self.running.admin
    }

    /// The back-end, if this process has one and it is at work.
    #[must_use]
    pub const fn backend(&self) -> Option<&BackendHandle<AnyStore>> {
        Some(&self.running.backend)
    }

    /// The service's permanent name.
    #[must_use]
    pub const fn service_udf(&self) -> &Udf {
        &self.service_udf
    }

    /// The development CA that clients must be told to trust, if it made the certificate.
    #[must_use]
    pub fn development_ca(&self) -> Option<&Path> {
        self.front().and_then(Front::development_ca)
    }

    /// Reads the certificate again. On an error the present one stays in use.
    ///
    /// # Errors
    /// Which file, and what is wrong with it.
    pub fn reload_certificate(&self) -> Result<(), TlsError> {
        self.front().map_or(Ok(()), Front::reload)
    }

    /// Takes no new requests, finishes those in work, makes everything durable, and ends. Afterwards
    /// the data folder can be used again.
    pub async fn stop(self) {
        self.running.stop().await;
    }
}
