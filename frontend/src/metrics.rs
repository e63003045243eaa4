//! Names and help of every measure the front-end keeps.

use mesh_common::protocol::Transaction;
use prometheus::{Histogram, HistogramOpts, IntCounterVec, IntGauge, Opts, Registry};

/// The measures of one front-end.
#[derive(Debug, Clone)]
pub struct FrontendMetrics {
    requests: IntCounterVec,
    seconds: Histogram,
    in_flight: IntGauge,
    pub(crate) polls_waiting: IntGauge,
    pub(crate) polls_ended: IntCounterVec,
}

/// One request being measured.
#[derive(Debug)]
pub(crate) struct Measured<'a> {
    metrics: &'a FrontendMetrics,
    timer: Option<prometheus::HistogramTimer>,
}

impl Drop for Measured<'_> {
    /// In work no more: answered, or given up because the sender is gone.
    fn drop(&mut self) {
        self.metrics.in_flight.dec();
        if let Some(timer) = self.timer.take() {
            timer.stop_and_discard();
        }
    }
}

impl FrontendMetrics {
    /// Registers the measures.
    ///
    /// # Errors
    /// A name is taken in `registry` already.
    pub fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let requests = IntCounterVec::new(
            Opts::new(
                "mesh_frontend_requests_total",
                "Requests answered, by transaction, Mesh status and extended status.",
            ),
            &["transaction", "status", "extended"],
        )?;
        let seconds = Histogram::with_opts(
            HistogramOpts::new(
                "mesh_frontend_request_seconds",
                "Time from a request's headers to its answer.",
            )
            .buckets(prometheus::exponential_buckets(0.000_25, 2.0, 16)?),
        )?;
        let in_flight = IntGauge::new(
            "mesh_frontend_requests_in_flight",
            "Requests in work at this moment.",
        )?;
        let polls_waiting = IntGauge::new(
            "mesh_frontend_polls_waiting",
            "Requests that wait for news at this moment.",
        )?;
        let polls_ended = IntCounterVec::new(
            Opts::new(
                "mesh_frontend_polls_total",
                "Requests that waited for news and were answered, by what ended the wait.",
            ),
            &["end"],
        )?;
        registry.register(Box::new(polls_waiting.clone()))?;
        registry.register(Box::new(polls_ended.clone()))?;
        registry.register(Box::new(requests.clone()))?;
        registry.register(Box::new(seconds.clone()))?;
        registry.register(Box::new(in_flight.clone()))?;
        Ok(Self {
            requests,
            seconds,
            in_flight,
            polls_waiting,
            polls_ended,
        })
    }

    /// Begins to measure one request.
    pub(crate) fn begin(&self) -> Measured<'_> {
        self.in_flight.inc();
        Measured {
            metrics: self,
            timer: Some(self.seconds.start_timer()),
        }
    }
}

impl FrontendMetrics {
    /// Counts an answered request. Labels are bounded by the two tables they come from.
    pub(crate) fn count(
        &self,
        transaction: Option<Transaction>,
        status: u16,
        extended: Option<u16>,
    ) {
        let name = transaction.map_or("unknown", Transaction::request_tag);
        let extended = extended.map_or_else(String::new, |code| code.to_string());
        self.requests
            .with_label_values(&[name, status.to_string().as_str(), extended.as_str()])
            .inc();
    }
}

impl Measured<'_> {
    /// The request was answered.
    pub(crate) fn end(
        mut self,
        transaction: Option<Transaction>,
        status: u16,
        extended: Option<u16>,
    ) {
        self.metrics.count(transaction, status, extended);
        if let Some(timer) = self.timer.take() {
            timer.observe_duration();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_that_is_given_up_is_in_work_no_more() {
        let metrics = FrontendMetrics::register(&Registry::new()).unwrap();
        let given_up = metrics.begin();
        metrics.begin().end(Some(Transaction::Hello), 201, None);
        assert_eq!(metrics.in_flight.get(), 1);
        drop(given_up);
        assert_eq!(metrics.in_flight.get(), 0);
        assert_eq!(metrics.seconds.get_sample_count(), 1);
    }
}
