//! A front-end's router, links with certificates, and two back-ends over one store, in one process: what a
//! device sees while owners change, die, and while the network between them breaks (cluster §4.6, §4.7).
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod cluster;
mod cut;
mod devices;
mod handovers;
mod roads;
mod streams;
