//! What a world writes down of each destination.

use std::sync::Arc;
use std::time::Duration;

use crate::delivery::Class;
use crate::time::Timestamp;

/// What happened to one destination.
#[derive(Debug, Clone, Default)]
pub struct Record {
    /// Transfers that began.
    pub started: u64,
    /// Items that were done with: received, sent on, refused or failed.
    pub delivered: u64,
    /// Items that failed for good.
    pub failed: u64,
    /// Transfers that timed out.
    pub timeouts: u64,
    /// Connections that did not come about.
    pub unreachable: u64,
    /// Transfers in flight.
    pub in_flight: u32,
    /// When the first transfer began.
    pub first_start: Option<Timestamp>,
    /// When each success came, and how long its exchange took.
    pub successes: Vec<(Timestamp, Duration)>,
    /// The order in which items were started, with tenant and class.
    pub order: Vec<(Arc<str>, Class)>,
    /// What was seen at the end of each transfer, if `World::trace` asked for it.
    pub trace: Vec<Point>,
    pub(super) is_traced: bool,
}

/// How a destination stood at one moment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// When.
    pub at: Timestamp,
    /// Transfers its window lets through; none while its breaker is open.
    pub limit: u32,
    /// Transfers under way.
    pub in_flight: u32,
    /// Whether the transfer that ended just then succeeded.
    pub ok: bool,
    /// Whether it timed out.
    pub timed_out: bool,
}
