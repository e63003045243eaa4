//! One trace through several processes: what the internal link carries of it, as OpenTelemetry knows it
//! (architecture A-5, cluster §17).

use std::collections::HashMap;
use std::sync::Arc;

use mesh_link::trace::{Propagation, Traces};
use opentelemetry::propagation::TextMapPropagator as _;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use crate::telemetry::TelemetryConfig;

/// The member of the W3C trace context that is carried.
const TRACEPARENT: &str = "traceparent";

/// Traces by OpenTelemetry.
#[derive(Debug, Default)]
struct Collected(TraceContextPropagator);

/// What knows traces, if they are collected at all.
#[must_use]
pub fn traces(config: &TelemetryConfig) -> Traces {
    let collects = config.otlp_endpoint.is_some();
    collects.then(|| Arc::new(Collected::default()) as Arc<dyn Propagation>)
}

impl Propagation for Collected {
    fn current(&self) -> Option<String> {
        let mut carried = HashMap::new();
        let context = Span::current().context();
        self.0.inject_context(&context, &mut carried);
        carried.remove(TRACEPARENT)
    }

    fn adopt(&self, span: &Span, traceparent: &str) {
        let carried = HashMap::from([(TRACEPARENT.to_owned(), traceparent.to_owned())]);
        // A span that nobody collects takes no parent, and needs none.
        let _unneeded = span.set_parent(self.0.extract(&carried));
    }
}

#[cfg(test)]
mod tests {
    use mesh_frontend::TRACE_TARGET;
    use opentelemetry::trace::TracerProvider as _;
    use opentelemetry_sdk::trace::SdkTracerProvider;
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    #[test]
    fn a_trace_goes_on_in_another_process() {
        let provider = SdkTracerProvider::builder().build();
        let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("test"));
        let subscriber = tracing_subscriber::registry().with(layer);
        tracing::subscriber::with_default(subscriber, || {
            let traces = Collected::default();
            assert_eq!(traces.current(), None, "nothing is traced here");
            let asking = tracing::info_span!(target: TRACE_TARGET, "asking");
            let carried = asking.in_scope(|| traces.current()).unwrap();
            let answering = tracing::info_span!(target: TRACE_TARGET, "answering");
            traces.adopt(&answering, &carried);
            let there = answering.in_scope(|| traces.current()).unwrap();
            let trace_of = |text: &str| text.split('-').nth(1).map(str::to_owned);
            assert_eq!(trace_of(&there), trace_of(&carried));
            assert_ne!(there, carried);
        });
    }

    #[test]
    fn without_a_collector_nothing_is_carried() {
        assert!(traces(&TelemetryConfig::default()).is_none());
    }
}
