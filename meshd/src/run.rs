//! `meshd run`: start, say where and what to type next, answer signals, stop.

use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::config::MeshdConfig;
use crate::open_files;
use crate::service::{Service, StartError};

/// Why `run` ended in another way than by being told to.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The service did not start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// Signals cannot be received.
    #[error("signals cannot be received from the system")]
    Signals(#[source] std::io::Error),
    /// The HTTP server ended by itself.
    #[error("the HTTP server ended by itself; the log says why")]
    Ended,
}

/// Runs the service until SIGTERM or SIGINT; SIGHUP reads the certificate again.
///
/// `say` is given the lines that tell a person what is going on.
///
/// # Errors
/// [`RunError`].
pub async fn run(config: &MeshdConfig, say: impl Fn(&str)) -> Result<(), RunError> {
    let mut hang_up = listen_for(SignalKind::hangup())?;
    let mut terminate = listen_for(SignalKind::terminate())?;
    let mut interrupt = listen_for(SignalKind::interrupt())?;
    let config = &open_files::fitted(config);
    warn_of_interop(config);
    let service = Service::start(config).await?;
    say(&greeting(config, &service));
    loop {
        tokio::select! {
            _ = hang_up.recv() => reload(&service),
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            () = ended(&service) => return Err(RunError::Ended),
        }
    }
    tracing::info!("stopping: no new requests, finishing those in work");
    service.stop().await;
    tracing::info!("stopped");
    Ok(())
}

fn listen_for(kind: SignalKind) -> Result<Signal, RunError> {
    signal(kind).map_err(RunError::Signals)
}

fn reload(service: &Service) {
    match service.reload_certificate() {
        Ok(()) => tracing::info!("the certificate was read again"),
        Err(error) => {
            tracing::error!(%error, "the certificate was not read again; the present one stays in use")
        }
    }
}

/// Waits until the HTTP server is gone, which it should never be by itself.
async fn ended(service: &Service) {
    let mut interval = tokio::time::interval(Duration::from_secs(1));
    while service.is_serving() {
        interval.tick().await;
    }
}

/// Each switch that makes the service less strict is said aloud at every start (decision Q-39).
fn warn_of_interop(config: &MeshdConfig) {
    let switches = [
        (
            "interop.bare_json",
            config.interop.bare_json.is_some(),
            "requests on loopback are not authenticated",
        ),
        (
            "interop.unsigned_profile_mesh",
            config.interop.unsigned_profile_mesh,
            "a ProfileMesh may come unsigned",
        ),
        (
            "interop.legacy_digests",
            config.interop.legacy_digests,
            "tree digests may prove nothing",
        ),
        (
            "limits.rate.enabled",
            !config.limits.rate.enabled,
            "rates are not limited",
        ),
        (
            "http.mirror_status",
            !config.http.mirror_status,
            "every answer that was parsed has HTTP 200",
        ),
    ];
    for (switch, _, consequence) in switches.into_iter().filter(|&(_, on, _)| on) {
        tracing::warn!(switch, "INTEROPERABILITY SWITCH: {consequence}");
    }
}

/// Where the service listens, and what to type next.
fn greeting(config: &MeshdConfig, service: &Service) -> String {
    let domain = config
        .frontend
        .domains
        .first()
        .map_or("localhost", String::as_str);
    let mut lines = vec![format!(
        "meshd serves {}",
        config.frontend.domains.join(", ")
    )];
    for address in service.addresses() {
        lines.push(format!("  HTTPS     https://{address}/.well-known/mmm"));
    }
    for address in service.plain_addresses() {
        lines.push(format!("  HTTP      http://{address}/.well-known/mmm"));
    }
    lines.push(format!(
        "  admin     http://{}/readyz",
        service.admin().address()
    ));
    if let Some(address) = service.admin().observed_at() {
        lines.push(format!("  observed  http://{address}/readyz"));
    }
    lines.push(format!("  identity  {}", service.service_udf()));
    lines.push(format!("  data      {}", config.data_dir.display()));
    if let (Some(ca), Some(address)) = (service.development_ca(), service.addresses().first()) {
        let port = address.port();
        lines.push(String::new());
        lines.push("next, in another terminal:".to_owned());
        lines.push(format!(
            "  mesh account create alice@{domain} --service https://{domain}:{port} --ca {}",
            ca.display()
        ));
    }
    lines.join("\n")
}
