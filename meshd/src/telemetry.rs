//! Logs to standard error, structured by `tracing`; traces by OTLP when an endpoint is configured.

use std::io::IsTerminal;
use std::time::Duration;

use mesh_frontend::TRACE_TARGET;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{Protocol, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use serde::{Deserialize, Serialize};
use tracing::Level;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, fmt};

/// How long one export to the collector may take.
const EXPORT_TIME_MAX: Duration = Duration::from_secs(5);

/// Ours, and what goes wrong elsewhere: the libraries below are talkative about their own lives.
const FILTER_DEFAULT: &str = "warn,meshd=info,mesh_frontend=info,mesh_backend=info,mesh_link=info";

/// What is logged, how, and where traces go.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TelemetryConfig {
    /// What is logged, as `tracing` filters say it: `info`, `warn,mesh_backend=debug`.
    pub filter: String,
    /// `text` for people, `json` for collectors.
    pub format: LogFormat,
    /// OTLP collector, for example `http://127.0.0.1:4318/v1/traces`; absent: no traces leave.
    pub otlp_endpoint: Option<String>,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// One readable line per event.
    Text,
    /// One JSON object per event.
    Json,
}

/// Why logs or traces cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter cannot be read.
    #[error("telemetry.filter {filter:?} cannot be read: write for example \"info\"")]
    Filter {
        /// The text.
        filter: String,
        /// Why.
        #[source]
        cause: tracing_subscriber::filter::ParseError,
    },
    /// The collector's address cannot be used.
    #[error("telemetry.otlp_endpoint {endpoint:?} cannot be used")]
    Endpoint {
        /// The text.
        endpoint: String,
        /// Why.
        #[source]
        cause: opentelemetry_otlp::ExporterBuildError,
    },
    /// Somebody set up logging before.
    #[error("logging is set up twice in one process")]
    Twice,
}

/// Keeps the exporter alive; what is still unsent goes out when this is dropped.
#[derive(Debug, Default)]
pub struct Telemetry {
    provider: Option<SdkTracerProvider>,
}

impl Default for TelemetryConfig {
    fn default() -> Self {
        Self {
            filter: FILTER_DEFAULT.into(),
            format: LogFormat::Text,
            otlp_endpoint: None,
        }
    }
}

impl TelemetryConfig {
    /// Begins to log for the whole process.
    ///
    /// # Errors
    /// [`TelemetryError`].
    pub fn start(&self) -> Result<Telemetry, TelemetryError> {
        let filter = EnvFilter::try_new(&self.filter).map_err(|cause| TelemetryError::Filter {
            filter: self.filter.clone(),
            cause,
        })?;
        let lines = fmt::layer()
            .with_ansi(std::io::stderr().is_terminal())
            .with_writer(std::io::stderr);
        let lines = match self.format {
            LogFormat::Text => lines.with_target(false).boxed(),
            LogFormat::Json => lines.json().flatten_event(true).boxed(),
        };
        let provider = self
            .otlp_endpoint
            .as_deref()
            .map(tracer_provider)
            .transpose()?;
        // A filter of its own, around the layer that may be absent: an absent layer without a filter
        // lets every span be made.
        let wanted = match &provider {
            Some(_) => Targets::new().with_target(TRACE_TARGET, Level::INFO),
            None => Targets::new(),
        };
        let traces = provider
            .as_ref()
            .map(|provider| tracing_opentelemetry::layer().with_tracer(provider.tracer("meshd")))
            .with_filter(wanted);
        tracing_subscriber::registry()
            .with(lines.with_filter(filter))
            .with(traces)
            .try_init()
            .map_err(|_| TelemetryError::Twice)?;
        Ok(Telemetry { provider })
    }
}

fn tracer_provider(endpoint: &str) -> Result<SdkTracerProvider, TelemetryError> {
    let exporter = opentelemetry_otlp::SpanExporter::builder()
        .with_http()
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(endpoint)
        .with_timeout(EXPORT_TIME_MAX)
        .build()
        .map_err(|cause| TelemetryError::Endpoint {
            endpoint: endpoint.to_owned(),
            cause,
        })?;
    Ok(SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_resource(Resource::builder().with_service_name("meshd").build())
        .build())
}

impl Drop for Telemetry {
    fn drop(&mut self) {
        if let Some(provider) = self.provider.take()
            && let Err(error) = provider.shutdown()
        {
            tracing::warn!(%error, "the last traces could not be sent");
        }
    }
}
