//! A running process of a service: what its roles need, started in order, stopped in order.
//!
//! | module | holds |
//! | --- | --- |
//! | `ground` | what every process has: folder, identity, measures |
//! | `engine` | the store that `[store]` names |
//! | `front` | listeners, certificate, edge |
//! | `alone` | the whole service in one process |
//! | `member` | a process of a cluster: front-end, node, or both |
//! | `node` | joining the cluster, and what follows once it has |
//! | `late`, `pins` | what is there before the store is reached |
//! | `link`, `reach` | the way to other processes, and to this one |
//! | `probe` | whether a store elsewhere answers |
//! | `expiry` | for how long certificates are good yet |
//! | `error` | why a start fails |

mod alone;
pub(crate) mod engine;
mod error;
mod expiry;
mod front;
mod ground;
mod late;
mod link;
mod member;
mod node;
mod pins;
mod probe;
mod reach;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use mesh_backend::BackendHandle;
use mesh_backend::store::AnyStore;
use mesh_common::udf::Udf;
use mesh_frontend::callback::CallBack;

use self::alone::Alone;
pub use self::error::{ReloadError, StartError};
use self::front::Front;
use self::ground::Ground;
use self::member::Member;
use self::node::Node;
use crate::admin::Admin;
use crate::config::{MeshdConfig, RoleSet, Shape};

/// What a service logs when it stops although something has not let go of its store.
pub const STILL_READ: &str = "something still reads the store";

/// A running process. Dropping it without [`Self::stop`] ends it without finishing its work.
pub struct Service {
    running: Running,
    service_udf: Udf,
}

enum Running {
    Alone(Box<Alone>),
    Member(Box<Member>),
}

/// Why a process that ran cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The HTTP server ended by itself.
    #[error("the HTTP server ended by itself; the log says why")]
    Listeners,
    /// The node cannot go on.
    #[error(transparent)]
    Node(Arc<StartError>),
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
        let running = match config.shape() {
            Shape::Alone => {
                let alone = Alone::start(config, &ground, call_back).await?;
                Running::Alone(Box::new(alone))
            }
            Shape::Cluster(roles) => {
                let member = Member::start((config, roles), &ground, call_back).await?;
                Running::Member(Box::new(member))
            }
        };
        Ok(Self {
            running,
            service_udf: ground.service_udf,
        })
    }

    fn front(&self) -> Option<&Front> {
        match &self.running {
            Running::Alone(alone) => Some(&alone.front),
            Running::Member(member) => member.front.as_ref(),
        }
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

    /// Where other processes of the cluster are answered, if this one is a node: as they are told.
    #[must_use]
    pub fn link_address(&self) -> Option<&str> {
        match &self.running {
            Running::Alone(_) => None,
            Running::Member(member) => member.node.as_ref().map(|node| node.address.as_str()),
        }
    }

    /// What this process is there for, if it is one of several.
    #[must_use]
    pub fn roles(&self) -> Option<RoleSet> {
        match &self.running {
            Running::Alone(_) => None,
            Running::Member(member) => Some(member.roles),
        }
    }

    /// Waits until the process cannot go on, and says why. That should never be.
    pub async fn failed(&self) -> Failure {
        let node = async {
            match &self.running {
                Running::Alone(_) => std::future::pending().await,
                Running::Member(member) => member.failed().await,
            }
        };
        tokio::select! {
            error = node => Failure::Node(error),
            () = self.ended() => Failure::Listeners,
        }
    }

    /// Waits until the HTTP server is gone.
    async fn ended(&self) {
        let mut interval = tokio::time::interval(Duration::from_secs(1));
        while self.front().is_none_or(|front| front.server.is_serving()) {
            interval.tick().await;
        }
    }

    /// Where operators ask.
    #[must_use]
    pub const fn admin(&self) -> &Admin {
        match &self.running {
            Running::Alone(alone) => &alone.admin,
            Running::Member(member) => &member.admin,
        }
    }

    /// The back-end, if this process has one and it is at work.
    #[must_use]
    pub fn backend(&self) -> Option<&BackendHandle<AnyStore>> {
        match &self.running {
            Running::Alone(alone) => Some(&alone.backend),
            Running::Member(member) => member.node.as_ref().and_then(Node::backend),
        }
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

    /// Reads every certificate again: those that are shown, and those of authorities. Returns what could not
    /// be read: which file, and what is wrong with it. It stays as it is, and the others are in use.
    #[must_use]
    pub fn reload(&self) -> Vec<ReloadError> {
        match &self.running {
            Running::Alone(alone) => alone.reload(),
            Running::Member(member) => member.reload(),
        }
    }

    /// Takes no new requests, finishes those in work, makes everything durable, and ends. Returns whether the data
    /// folder can be used again: if not, something still reads the store, which is also logged.
    pub async fn stop(self) -> bool {
        match self.running {
            Running::Alone(alone) => alone.stop().await,
            Running::Member(member) => {
                member.stop().await;
                true
            }
        }
    }
}
