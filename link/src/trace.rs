//! The trace context on its way from one process to the next (architecture A-5, cluster §17).

use std::sync::Arc;

use tracing::Span;

/// What knows the trace that work belongs to. The process that collects traces provides it; the link
/// only carries what it says.
pub trait Propagation: Send + Sync + 'static {
    /// The present trace as W3C `traceparent`; none if this work is not traced.
    fn current(&self) -> Option<String>;

    /// Makes `span` part of the trace that `traceparent` says, if it says one.
    fn adopt(&self, span: &Span, traceparent: &str);
}

/// None where nothing collects traces.
pub type Traces = Option<Arc<dyn Propagation>>;
