//! What operators ask on loopback: `/metrics`, `/livez`, `/readyz`, and below `/v1` the API that the
//! commands for operators use. Those who watch from other hosts, as an orchestrator does, have the first
//! three at a second address: what answers there changes nothing and knows no secret.
//!
//! | module | holds |
//! | --- | --- |
//! | [`token`] | the secret that tells an operator from other users of this host |
//! | `guard` | who may use the API |
//! | [`door`] | what operators are told before there is an API |
//! | [`api`], [`desks`] | the API, and the desks behind it |
//! | [`peers`] | the desk for other services |
//! | [`moving`] | the desk for accounts as a whole |
//! | [`audit`] | who did what |
//!
//! `/livez` says that the process answers. `/readyz` says whether a request sent now would be served,
//! and if not, why: the store takes no writes, or the service is stopping. The listeners for devices
//! are open before this one is, and the process ends with them.

pub mod api;
pub mod audit;
pub mod desks;
pub mod door;
mod guard;
pub mod moving;
pub mod peers;
pub mod token;

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use actix_web::dev::ServerHandle;
use actix_web::http::header::CONTENT_TYPE;
use actix_web::{App, HttpResponse, HttpServer, web};
use futures_util::future::BoxFuture;
use prometheus::{Encoder, Registry, TextEncoder};

use self::door::Door;
use crate::config::AdminConfig;
use crate::operate::health::Health;

/// Whether the service is ready, asked anew for each `/readyz`.
pub trait Readiness: Send + Sync + 'static {
    /// The reasons why it is not; none means that it is.
    fn obstacles(&self) -> BoxFuture<'_, Vec<String>>;

    /// Brings up to date what is only measured when somebody looks, for each `/metrics`.
    fn refresh_measures(&self) -> BoxFuture<'_, ()>;
}

/// The running admin listener, and the one for those who only watch.
#[derive(Debug)]
pub struct Admin {
    listener: Listener,
    observation: Option<Listener>,
}

/// Why one of them does not run.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {setting} = {listen}: choose another port, or stop what listens there")]
pub struct AdminError {
    /// Which setting names the address.
    pub setting: &'static str,
    /// The address.
    pub listen: SocketAddr,
    /// Why.
    #[source]
    pub cause: io::Error,
}

/// One address that is answered at.
#[derive(Debug)]
struct Listener {
    address: SocketAddr,
    handle: ServerHandle,
    serving: tokio::task::JoinHandle<io::Result<()>>,
}

/// What both show.
#[derive(Clone)]
struct Shown {
    registry: Registry,
    readiness: Arc<dyn Readiness>,
}

impl Admin {
    /// Binds the addresses of `config` and begins to answer. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// [`AdminError`]: an address cannot be listened on; nothing is answered.
    pub fn start(
        config: &AdminConfig,
        registry: Registry,
        readiness: Arc<dyn Readiness>,
        door: Arc<Door>,
    ) -> Result<Self, AdminError> {
        let shown = Shown {
            registry,
            readiness,
        };
        let observation = config
            .observe
            .map(|listen| bind("admin.observe", listen))
            .transpose()?;
        let bound = bind("admin.listen", config.listen)?;
        Ok(Self {
            listener: bound.serve(shown.clone(), Some(door))?,
            observation: observation
                .map(|bound| bound.serve(shown, None))
                .transpose()?,
        })
    }

    /// Where it answers.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.listener.address
    }

    /// Where those who only watch are answered.
    #[must_use]
    pub fn observed_at(&self) -> Option<SocketAddr> {
        self.observation.as_ref().map(|listener| listener.address)
    }

    /// Stops answering.
    pub async fn stop(self) {
        self.listener.stop().await;
        if let Some(observation) = self.observation {
            observation.stop().await;
        }
    }
}

/// An address that is ours.
struct Bound {
    setting: &'static str,
    listen: SocketAddr,
    listener: TcpListener,
}

fn bind(setting: &'static str, listen: SocketAddr) -> Result<Bound, AdminError> {
    match TcpListener::bind(listen) {
        Ok(listener) => Ok(Bound {
            setting,
            listen,
            listener,
        }),
        Err(cause) => Err(AdminError {
            setting,
            listen,
            cause,
        }),
    }
}

impl Bound {
    fn serve(self, shown: Shown, door: Option<Arc<Door>>) -> Result<Listener, AdminError> {
        let (setting, listen) = (self.setting, self.listen);
        Listener::serve(self.listener, shown, door).map_err(|cause| AdminError {
            setting,
            listen,
            cause,
        })
    }
}

impl Listener {
    fn serve(listener: TcpListener, shown: Shown, door: Option<Arc<Door>>) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let (shown, door) = (web::Data::new(shown), door.map(web::Data::<Door>::from));
        let server = HttpServer::new(move || {
            let door = door.clone();
            App::new()
                .configure(move |config| {
                    if let Some(door) = door {
                        api::routes(door, config);
                    }
                })
                .app_data(shown.clone())
                .route("/livez", web::get().to(livez))
                .route("/readyz", web::get().to(readyz))
                .route("/metrics", web::get().to(metrics))
        })
        .workers(1)
        .tcp_nodelay(true)
        .disable_signals()
        .listen(listener)?
        .run();
        let handle = server.handle();
        Ok(Self {
            address,
            handle,
            serving: tokio::spawn(server),
        })
    }

    async fn stop(self) {
        self.handle.stop(true).await;
        // The task ends with the server; its result says nothing more than that.
        drop(self.serving.await);
    }
}

/// The reasons once more, for `meshd health`.
async fn health(shown: web::Data<Shown>) -> HttpResponse {
    let obstacles = shown.readiness.obstacles().await;
    HttpResponse::Ok().json(Health { obstacles })
}

async fn livez() -> HttpResponse {
    HttpResponse::Ok().body("alive\n")
}

async fn readyz(shown: web::Data<Shown>) -> HttpResponse {
    let obstacles = shown.readiness.obstacles().await;
    if obstacles.is_empty() {
        HttpResponse::Ok().body("ready\n")
    } else {
        HttpResponse::ServiceUnavailable().body(obstacles.join("\n") + "\n")
    }
}

async fn metrics(shown: web::Data<Shown>) -> HttpResponse {
    shown.readiness.refresh_measures().await;
    let mut text = Vec::new();
    match TextEncoder::new().encode(&shown.registry.gather(), &mut text) {
        Ok(()) => HttpResponse::Ok()
            .insert_header((CONTENT_TYPE, prometheus::TEXT_FORMAT))
            .body(text),
        Err(error) => {
            tracing::error!(%error, "the metrics could not be written");
            HttpResponse::InternalServerError().finish()
        }
    }
}
