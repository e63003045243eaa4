//! The two ends of `mmm-kx-1` against each other, and everything the service's end refuses.

mod client;
mod connection;
mod evidence;
mod exchange;
mod messages;
mod properties;
mod refusals;
mod rules;
mod tickets;
mod world;

pub(super) use tickets::ticket;
