//! `meshd run`: start, say where and what to type next, answer signals, stop.

use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::config::MeshdConfig;
use crate::open_files;
use crate::service::{Failure, Service, StartError};

/// Longer than a stop takes; orchestrators wait 30 s before they kill (cluster §15).
const STOP_TIME_MAX: Duration = Duration::from_secs(25);

/// Why `run` ended in another way than by being told to.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The service did not start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// Signals cannot be received.
    #[error("signals cannot be received from the system")]
    Signals(#[source] std::io::Error),
    /// It could not go on.
    #[error(transparent)]
    Failed(#[from] Failure),
}

/// Runs the service until SIGTERM or SIGINT; SIGHUP reads the certificates again.
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
            failure = service.failed() => return Err(failure.into()),
        }
    }
    tracing::info!("stopping: no new requests, finishing those in work");
    tokio::select! {
        stopped = tokio::time::timeout(STOP_TIME_MAX, service.stop()) => match stopped {
            Ok(_) => tracing::info!("stopped"),
            Err(_) => tracing::warn!("stopping took too long: leaving as after a crash"),
        },
        _ = terminate.recv() => leave_now(),
        _ = interrupt.recv() => leave_now(),
    }
    Ok(())
}

/// Told twice to stop: what was acknowledged is durable, and others take over the rest.
fn leave_now() {
    tracing::warn!("told to stop again: leaving at once, as after a crash");
}

fn listen_for(kind: SignalKind) -> Result<Signal, RunError> {
    signal(kind).map_err(RunError::Signals)
}

fn reload(service: &Service) {
    let unread = service.reload();
    if unread.is_empty() {
        tracing::info!("the certificates were read again");
    }
    for error in unread {
        tracing::error!(%error, "a certificate was not read again; the present one stays in use");
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
    let domains = config.frontend.domains.join(", ");
    let mut lines = vec![match service.roles() {
        None => format!("meshd serves {domains}"),
        Some(roles) => format!("meshd serves {domains} with others, as {roles}"),
    }];
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
    if let Some(address) = service.link_address() {
        let bound = config.cluster.times().failover_bound();
        lines.push(format!("  link      {address}"));
        lines.push(format!(
            "  failover  {} s at most until others write for a node that died",
            bound.as_secs_f64()
        ));
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
